"""A ladder as one SVG image: for slides, print, and pages that take pictures only.

The words are real ``<text>``, and ``<title>`` and ``<desc>`` say all of it to a screen reader.
"""

from __future__ import annotations

import textwrap
import zlib
from collections.abc import Sequence
from html import escape

from vobiz_kit import theme
from vobiz_kit.ladder_rows import Column, Row
from vobiz_kit.ladder_text import marked_label

WIDTH = 1200
_TIME = 76  # room for the time, then the lines, then the words
_WORDS = 390
_WORDS_PER_LINE = 49  # characters of 13 px that fit beside the ladder
_LINE = 16
_STYLE = """
text{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--vk-ink)}
.b{font-weight:700}.q{fill:var(--vk-quiet)}.s{fill:var(--vk-speech)}
.c{fill:var(--vk-transfer);font-weight:700}.f{fill:var(--vk-bad);font-weight:700}
.h{paint-order:stroke;stroke:var(--vk-row);stroke-width:5px;stroke-linejoin:round}
.life{stroke:var(--vk-line)}
.a{stroke:var(--vk-ink);stroke-width:1.6}.t{fill:var(--vk-ink)}
g.c .a{stroke:var(--vk-transfer);stroke-width:2.6}g.c .t{fill:var(--vk-transfer)}
g.f .a{stroke:var(--vk-bad)}g.f .t{fill:var(--vk-bad)}
g.s .a{stroke:var(--vk-speech)}g.s .t{fill:var(--vk-speech)}
.tint{fill:var(--vk-transfer-box);shape-rendering:crispEdges}.paper{fill:var(--vk-paper)}
"""


def ladder_svg(title: str, summary: str, columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Draw it; see `vobiz_kit.callflow.Ladder` for the arguments."""
    step = (WIDTH - _TIME - _WORDS) / len(columns)
    at = {c.key: round(_TIME + step * (i + 0.5), 1) for i, c in enumerate(columns)}
    caption = textwrap.wrap(summary, 165)
    top = 44 + _LINE * len(caption)
    body, tints, y = [], [], top + 52
    for row in rows:
        words = textwrap.wrap(row.meaning, _WORDS_PER_LINE) or [""]
        height = max(36, _LINE * len(words) + 10)
        body.append(_row(row, at, words, y + height - 9))
        if row.transfer:
            box = f'x="8" y="{y}" width="{WIDTH - 16}" height="{height}"'
            tints.append(f'<rect class="tint" {box}/>')
        y += height
    lines = "".join(
        f'<line class="life" x1="{x}" x2="{x}" y1="{top + 44}" y2="{y + 8}"/>' for x in at.values()
    )
    spoken = _spoken(summary, columns, rows)
    key = f"vk{zlib.crc32((title + spoken).encode('utf-8', 'replace')):08x}"
    text = "".join(
        f'<text class="q" x="16" y="{48 + _LINE * i}">{escape(line)}</text>'
        for i, line in enumerate(caption)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="vk" viewBox="0 0 {WIDTH} {y + 24}" '
        f'width="{WIDTH}" height="{y + 24}" style="max-width:100%;height:auto" role="img" '
        f'aria-labelledby="{key}t {key}d"><title id="{key}t">{escape(title)}</title>'
        f'<desc id="{key}d">{escape(spoken)}</desc><style>{theme.css()}{_STYLE}</style>'
        f'<rect class="paper" width="100%" height="100%"/>'
        f'<text class="b" x="16" y="28" style="font-size:17px">{escape(title)}</text>{text}'
        f"{_heads(columns, at, top)}{''.join(tints)}{lines}{''.join(body)}</svg>"
    )


def _spoken(summary: str, columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """The whole ladder as sentences."""
    names = {c.key: f"{c.name} {c.note}".strip() for c in columns}
    said = [summary]
    for row in rows:
        way = names[row.source]
        if row.source != row.target:
            way += f" to {names[row.target]}"
        said.append(f"{row.time:.3f} s, {way}: {row.label}, {row.meaning}.")
    return " ".join(said)


def _heads(columns: Sequence[Column], at: dict[str, float], top: int) -> str:
    return (
        '<g text-anchor="middle">'
        + "".join(
            f'<text class="b" x="{at[c.key]}" y="{top + 16}">{escape(c.name)}</text>'
            f'<text class="q" x="{at[c.key]}" y="{top + 33}">{escape(c.note)}</text>'
            for c in columns
        )
        + "</g>"
    )


def _row(row: Row, at: dict[str, float], words: Sequence[str], base: int) -> str:
    kind = "c" if row.transfer else "f" if row.failed else "s" if not row.messages else "n"
    start, end = at[row.source], at[row.target]
    dash = {"response": "6 4", "speech": "1.5 4"}.get(row.line, "none")
    if start == end:
        drawn = f'<circle class="t" cx="{start}" cy="{base}" r="5"/>'
    else:
        back = -11 if end > start else 11
        drawn = (
            f'<line class="a" x1="{start}" x2="{end + back / 2}" y1="{base}" y2="{base}" '
            f'stroke-dasharray="{dash}"/>'
            f'<path class="t" d="M{end} {base}l{back} -5.5v11z"/>'
        )
    first = base - 3 - _LINE * (len(words) - 1)
    said = "".join(
        f'<text x="{WIDTH - _WORDS + 12}" y="{first + _LINE * i}">{escape(line)}</text>'
        for i, line in enumerate(words)
    )
    return (
        f'<g class="{kind}"><text class="q" x="{_TIME - 12}" y="{base}" text-anchor="end">'
        f'{row.time:.3f}</text>{drawn}<text class="h {kind}" x="{min(start, end) + 6}" '
        f'y="{base - 9}">{escape(marked_label(row))}</text>{said}</g>'
    )
