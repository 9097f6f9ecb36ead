"""Draws a `vobiz_kit.pictures.Picture` as SVG: one layout, boxes in a row or below each other."""

from __future__ import annotations

import textwrap
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from vobiz_kit import theme

if TYPE_CHECKING:
    from vobiz_kit.pictures import Arrow, Box, Chain, Picture

_LINE = 18  # from one line of text to the next
_CHAR = 7.6  # width of a character of 14 px, on the safe side
_PAD = 12
_ARROW = 44  # height that one arrow with its label takes
_SIDES = {"at the carrier": "carrier", "at LiveKit": "livekit", "your code": "code"}


@dataclass(frozen=True)
class _Frame:
    """Where a box stands."""

    x: float
    y: float
    w: float
    h: float


def picture_svg(picture: Picture, *, narrow: bool = False) -> str:
    """Draw it.

    Args:
        picture: What to draw.
        narrow: Boxes below each other (360 wide) rather than in a row (1000 wide).
    """
    width = 360 if narrow else 1000
    parts, y = [], 8.0
    for chain in picture.chains:
        if chain.caption:
            parts.append(_text(chain.caption, 4, y + 16, "b"))
            y += 30
        drawn, y = (_column if narrow else _row)(chain, y, width)
        parts.append(drawn)
        y += 24
    key = f"vk{zlib.crc32(repr((picture.title, narrow)).encode()):08x}"
    height = round(y - 12)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="vk" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-labelledby="{key}t {key}d">'
        f'<title id="{key}t">{escape(picture.title)}</title>'
        f'<desc id="{key}d">{escape(picture.conclusion)}</desc>'
        f"<style>{theme.css()}{theme.stylesheet('picture_svg')}</style>"
        f"{''.join(parts)}</svg>"
    )


def _row(chain: Chain, y: float, width: float) -> tuple[str, float]:
    count = len(chain.boxes)
    w = 132 if count == 5 else 168
    gap = (width - 8 - count * w) / (count - 1)
    texts = [_lines(box, w) for box in chain.boxes]
    arrows = max(len(a) for a in chain.arrows)
    h = max(max(len(t) for t in texts) * _LINE + 2 * _PAD, arrows * _ARROW + 8)
    frames = [_Frame(4 + i * (w + gap), y, w, h) for i in range(count)]
    out = [_box(b, f, t) for b, f, t in zip(chain.boxes, frames, texts, strict=True)]
    for left, some in zip(frames, chain.arrows, strict=False):
        middle = y + h / 2 + 6
        for i, arrow in enumerate(some):
            at = middle + (i - (len(some) - 1) / 2) * _ARROW
            x1, x2 = left.x + w + 5, left.x + w + gap - 5
            out.append(_arrow(arrow, (x1, at), (x2, at)))
            out.append(_label(arrow, (x1 + x2) / 2, at - 9, "middle"))
    return "".join(out), y + h


def _column(chain: Chain, y: float, width: float) -> tuple[str, float]:
    w = width - 8
    out = []
    for i, box in enumerate(chain.boxes):
        lines = _lines(box, w)
        h = len(lines) * _LINE + 2 * _PAD - 4
        out.append(_box(box, _Frame(4, y, w, h), lines))
        y += h
        if i < len(chain.arrows):
            some = chain.arrows[i]
            gap = 46 if some else 14
            for k, arrow in enumerate(some):
                x = width * (0.2 if len(some) == 1 else (0.12, 0.56)[k])
                out.append(_arrow(arrow, (x, y + 5), (x, y + gap - 5)))
                out.append(_label(arrow, x + 14, y + gap / 2 + 5, "start"))
            y += gap
    return "".join(out), y


def _lines(box: Box, w: float) -> list[tuple[str, str]]:
    """The lines of text of a box: class and text."""
    room = int((w - 2 * _PAD + 8) / _CHAR)
    side = [("q", box.side)] if box.side else []
    note = [("n", line) for line in textwrap.wrap(box.note, room)]
    return [*side, ("b", box.name), *note]


def _box(box: Box, frame: _Frame, lines: Sequence[tuple[str, str]]) -> str:
    kind = "gone" if box.gone else _SIDES.get(box.side, "person")
    first = frame.y + frame.h / 2 - (len(lines) - 1) * _LINE / 2 + 5
    text = "".join(
        _text(line, frame.x + frame.w / 2, first + i * _LINE, css, "middle")
        for i, (css, line) in enumerate(lines)
    )
    return (
        f'<g class="{kind}"><rect x="{frame.x:g}" y="{frame.y:g}" width="{frame.w:g}" '
        f'height="{frame.h:g}" rx="{min(frame.h / 2, 26) if kind == "person" else 6:g}"/>{text}</g>'
    )


def _text(text: str, x: float, y: float, css: str, anchor: str = "start") -> str:
    return f'<text class="{css}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _label(arrow: Arrow, x: float, y: float, anchor: str) -> str:
    step = f'<tspan class="b">{arrow.step} </tspan>' if arrow.step else ""
    return (
        f'<text class="l" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{step}'
        f"{escape(arrow.label)}</text>"
    )


def _arrow(arrow: Arrow, start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    turn = 0 if y1 == y2 else 90
    tips = ""
    if arrow.way in ("right", "both"):
        tips += _tip(x2, y2, turn)
    if arrow.way in ("left", "both"):
        tips += _tip(x1, y1, turn + 180)
    return f'<line class="a" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>{tips}'


def _tip(x: float, y: float, turn: int) -> str:
    return (
        f'<path class="t" transform="translate({x:g} {y:g}) rotate({turn})" d="M1 0l-11-5.5v11z"/>'
    )
