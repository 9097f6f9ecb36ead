"""A ladder as HTML: a list with one row per message; a row opens to show the message itself.

Native ``<details>`` elements do the opening, so it works by mouse, by keyboard and by screen
reader, in a saved notebook and in print, without JavaScript. All text from the wire is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from vobiz_kit import theme
from vobiz_kit.ladder_rows import Column, Row
from vobiz_kit.ladder_text import marked_label
from vobiz_kit.sip_words import clip, printable
from vobiz_kit.wire import WireMessage

_KEY = (
    "Solid arrow: a request. Dashed: an answer to one. Dotted: speech. ◆: part of a transfer. "
    "✗: refused. Times are seconds since the start. Open a row to read its message."
)


def ladder_html(title: str, summary: str, columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Draw it; see `vobiz_kit.callflow.Ladder` for the arguments."""
    at = {column.key: _percent(i, len(columns)) for i, column in enumerate(columns)}
    names = {column.key: _spoken(column) for column in columns}
    head = _head(columns)
    body = "".join(_row(row, at, names) for row in rows)
    foot = head if len(rows) > 12 else ""
    return (
        f'<figure class="vk vk-flow" aria-label="{escape(title)}">'
        f"<style>{theme.css()}{theme.stylesheet('ladder')}</style>"
        f"<figcaption><strong>{escape(title)}</strong><br>{escape(summary)}<br>"
        f'<span class="vk-key">{_KEY}</span></figcaption>'
        f"{head}<ol>{body}</ol>{foot}</figure>"
    )


def _percent(index: int, count: int) -> float:
    return round((index + 0.5) * 100 / count, 2)


def _spoken(column: Column) -> str:
    return f"{column.name} {column.note}".strip()


def _head(columns: Sequence[Column]) -> str:
    # The rows say in words who sends to whom; read aloud, the headings would only repeat it.
    # The blanks count where a sanitiser takes the layout away.
    cells = " ".join(
        f"<span>{escape(c.name)} <small>{_breakable(c.note)}</small></span>" for c in columns
    )
    grid = f"grid-template-columns:repeat({len(columns)},minmax(0,1fr))"
    return (
        '<div class="vk-row vk-head" aria-hidden="true"><span class="vk-t">seconds</span>'
        f'<div class="vk-names" style="{grid}">{cells}</div>'
        '<span class="vk-x">in words</span></div>'
    )


def _breakable(note: str) -> str:
    """A number may break before its last four digits where a column is narrow."""
    return f"{escape(note[:-4])}<wbr>{escape(note[-4:])}"


def _row(row: Row, at: dict[str, float], names: dict[str, str]) -> str:
    classes = ["vk-row", f"vk-{row.line}"]
    classes += ["vk-refer"] * row.transfer + ["vk-bad"] * row.failed
    if row.source == row.target:
        way = f"{names[row.source]}: "
    else:
        way = f"{names[row.source]} to {names[row.target]}: "
    left = min(at[row.source], at[row.target])
    label = escape(marked_label(row))
    cells = (
        f'<span class="vk-t">{row.time:.3f}<span class="vk-sr"> seconds, </span></span>'
        f'<span class="vk-w">{_arrow(row, at)}'
        f'<span class="vk-l" style="margin-left:{left}%">'
        f'<span class="vk-sr">{escape(way)}</span>{label}</span></span>'
        f'<span class="vk-x"><span class="vk-sr">, </span>{escape(row.words)}{_small(row)}</span>'
    )
    css = " ".join(classes)
    if not row.messages:
        return f'<li><div class="{css}">{cells}</div></li>'
    opened = "".join(_message(m) for m in row.messages[:1])
    return (
        f'<li><details><summary class="{css}">{cells}</summary>'
        f'<div class="vk-m">{opened}</div></details></li>'
    )


def _small(row: Row) -> str:
    more = row.meaning.removeprefix(row.words).removeprefix("; ")
    return f"<small>{escape(more)}</small>" if more else ""


def _message(message: WireMessage) -> str:
    ends = [message.remote, message.local]
    if message.direction == "sent":
        ends.reverse()
    clock = datetime.fromtimestamp(message.time, UTC).strftime("%H:%M:%S.%f")[:-3]
    facts = f"Message {message.seq}, {clock} UTC, from {clip(ends[0], 60)} to {clip(ends[1], 60)}"
    return f"<p>{escape(facts)}</p><pre>{escape(printable(message.text).rstrip())}</pre>"


def _arrow(row: Row, at: dict[str, float]) -> str:
    lines = "".join(
        f'<line class="vk-life" x1="{x}%" x2="{x}%" y1="0" y2="100%"/>' for x in at.values()
    )
    start, end = at[row.source], at[row.target]
    if start == end:
        drawn = f'<circle class="vk-ink" cx="{start}%" cy="100%" r="5"/>'
    else:
        dash = {"response": "6 4", "speech": "1.5 4"}.get(row.line, "none")
        tip = "M0 0L-11 -5.5L-11 5.5Z" if end > start else "M0 0L11 -5.5L11 5.5Z"
        drawn = (
            f'<line class="vk-ink vk-arrow" x1="{start}%" x2="{end}%" y1="100%" y2="100%" '
            f'stroke-dasharray="{dash}"/>'
            f'<svg x="{end}%" y="100%" style="position:static;overflow:visible">'
            f'<path class="vk-ink" d="{tip}"/></svg>'
        )
    return (
        '<svg aria-hidden="true" focusable="false">'
        f'{lines}<g transform="translate(0,-9)">{drawn}</g></svg>'
    )
