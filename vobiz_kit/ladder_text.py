"""A ladder as fixed-width text, for a terminal, a log, a bug report."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from vobiz_kit.ladder_rows import Column, Row
from vobiz_kit.sip_words import clip

_GAP = 18  # characters from one line to the next
_LEFT = 16  # where the first line stands, after the time
_FILL = {"request": "─", "response": "╌", "speech": "·", "event": "─"}


def marked_label(row: Row) -> str:
    """The label with the signs that colour alone would not tell: ◆ transfer, ✗ refused, ×n."""
    signs = ("◆ " if row.transfer else "") + ("✗ " if row.failed else "")
    return signs + row.label + (f" ×{row.repeats}" if row.repeats > 1 else "")


def ladder_text(
    title: str, summary: str, columns: Sequence[Column], rows: Sequence[Row], *, width: int = 140
) -> str:
    """Draw it.

    Args:
        title: First line.
        summary: What the ladder shows, in a sentence or two.
        columns: The parties.
        rows: The arrows and events.
        width: Characters per line; where words do not fit beside the ladder they go below.
    """
    at = {column.key: _LEFT + i * _GAP for i, column in enumerate(columns)}
    words_at = _LEFT + (len(columns) - 1) * _GAP + 6
    beside = width - words_at >= 30
    out = [title, *textwrap.wrap(summary, width), ""]
    out.append(_heading(at, [column.name for column in columns]))
    if any(column.note for column in columns):
        out.append(_heading(at, [column.note for column in columns]))
    for row in rows:
        drawn = _drawn(row, at)
        if not beside:
            indent = " " * (_LEFT - 4)
            out.append(drawn.rstrip())
            out += textwrap.wrap(
                row.meaning, max(width, 40), initial_indent=indent, subsequent_indent=indent
            )
            continue
        words = textwrap.wrap(row.meaning, width - words_at) or [""]
        out.append(drawn.ljust(words_at) + words[0])
        out += [_lines(at).ljust(words_at) + more for more in words[1:]]
    return "\n".join(line.rstrip() for line in out)


def _heading(at: dict[str, int], texts: Sequence[str]) -> str:
    line = ""
    for x, text in zip(at.values(), texts, strict=True):
        shown = clip(text, _GAP - 1)
        line = line.ljust(max(x - len(shown) // 2, 0)) + shown
    return line


def _fitted(label: str, room: int) -> str:
    """The label, cut between words if it is too long."""
    if len(label) <= room:
        return label
    cut = label[:room].rpartition(" ")[0] or label[: room - 1]
    return cut + "…"


def _lines(at: dict[str, int]) -> str:
    line = ""
    for x in at.values():
        line = line.ljust(x) + "│"
    return line


def _drawn(row: Row, at: dict[str, int]) -> str:
    cells = list(_lines(at))
    time = f"{row.time:9.3f}"
    cells[: len(time)] = time
    label = marked_label(row)
    start, end = at[row.source], at[row.target]
    if start == end:
        shown = clip(label, _GAP - 3)
        cells[start] = "●"
        first = max(start - 1 - len(shown), len(time) + 1)
        cells[first : first + len(shown)] = shown
        return "".join(cells)
    left, right = min(start, end), max(start, end)
    room = right - left - 1
    shown = _fitted(label, room - 3)
    cells[left + 1 : right] = shown.center(room, _FILL[row.line])
    cells[right - 1 if end > start else left + 1] = ">" if end > start else "<"
    return "".join(cells)
