"""One small table, shown as text in a terminal and as an accessible HTML table in a notebook.

A status is always a sign *and* a word, never a colour alone (WCAG 2.2, success criterion 1.4.1),
and colours come from JupyterLab's CSS variables, so that light and dark themes both work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from typing import Literal

Kind = Literal["ok", "warn", "fail", "skip", "new", "changed"]

_SIGNS: dict[Kind, str] = {
    "ok": "✓",
    "warn": "!",
    "fail": "✗",
    "skip": "–",
    "new": "+",
    "changed": "~",
}
# JupyterLab's variables first; the second value is for other front ends and for saved HTML.
# Only the border is coloured, the text keeps the theme's own colour and so its contrast.
_COLOURS: dict[Kind, str] = {
    "ok": "var(--jp-success-color1, #2e7d32)",
    "warn": "var(--jp-warn-color1, #b26a00)",
    "fail": "var(--jp-error-color1, #c62828)",
    "skip": "var(--jp-border-color1, #8a8a8a)",
    "new": "var(--jp-brand-color1, #1565c0)",
    "changed": "var(--jp-brand-color1, #1565c0)",
}
_TEXT = "color: var(--jp-content-font-color1, inherit)"
_LINE = "1px solid var(--jp-border-color2, #8a8a8a)"
_CELL = "text-align: left; vertical-align: top; padding: 0.3em 0.8em; white-space: pre-wrap"


@dataclass(frozen=True, slots=True)
class Mark:
    """A status in a table or a message: a sign and a word, e.g. ``Mark("ok", "healthy")``.

    Args:
        kind: Chooses the sign: ok ✓, warn !, fail ✗, skip –, new +, changed ~.
        word: What the sign says; it is always shown beside it.
    """

    kind: Kind
    word: str

    def __str__(self) -> str:
        return f"{_SIGNS[self.kind]} {self.word}"

    def _repr_html_(self) -> str:
        sign = f'<span aria-hidden="true">{_SIGNS[self.kind]}</span>'
        border = f"border-left: 0.3em solid {_COLOURS[self.kind]}; padding-left: 0.4em"
        return f'<span style="{border}">{sign} {escape(self.word)}</span>'


Cell = str | Mark


@dataclass(frozen=True)
class Table:
    """A table with a caption; ``print(table)`` gives text, a notebook shows HTML.

    Attributes:
        caption: What the table shows, in a few words.
        columns: The column headings.
        rows: One sequence of cells per row, as many as there are columns; the first cell names
            the row. A cell may hold several lines.
        note: A sentence below the table, or "".
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells for {len(self.columns)} columns: {row!r}")

    def __str__(self) -> str:
        body = [[str(cell) for cell in row] for row in self.rows]
        lines = [[*self.columns], *body]
        widths = [
            max(len(line) for row in lines for line in row[column].split("\n"))
            for column in range(len(self.columns))
        ]
        out = [self.caption, _text_row(self.columns, widths)]
        out.append("  ".join("-" * width for width in widths))
        out += [_text_row(row, widths) for row in body] or ["(none)"]
        if self.note:
            out.append(self.note)
        return "\n".join(out)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        heads = "".join(
            f'<th scope="col" style="{_CELL}; border-bottom: {_LINE}">{escape(name)}</th>'
            for name in self.columns
        )
        none = f'<tr><td colspan="{len(self.columns)}" style="{_CELL}">(none)</td></tr>'
        body = "".join(f"<tr>{_html_row(row)}</tr>" for row in self.rows) or none
        note = f'<p style="{_TEXT}">{escape(self.note)}</p>' if self.note else ""
        caption = f'<caption style="{_TEXT}; text-align: left; font-weight: bold">'
        return (
            f'<table style="{_TEXT}; border-collapse: collapse; margin: 0.5em 0">'
            f"{caption}{escape(self.caption)}</caption>"
            f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{note}"
        )


def _text_row(cells: Sequence[str], widths: Sequence[int]) -> str:
    lines = zip_longest(*(cell.split("\n") for cell in cells), fillvalue="")
    return "\n".join(
        "  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _html_row(row: Sequence[Cell]) -> str:
    first, *rest = (cell._repr_html_() if isinstance(cell, Mark) else escape(cell) for cell in row)
    cells = f'<th scope="row" style="{_CELL}; font-weight: normal">{first}</th>'
    return cells + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in rest)
