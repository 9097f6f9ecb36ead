"""The rows that the trunk functions give back: which trunk or rule, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vobiz_kit.tables import Mark, Table

Part = Literal["inbound trunk", "outbound trunk", "dispatch rule"]
State = Literal[
    "made", "changed", "left as it is", "in place", "yours", "somebody else's", "missing", "removed"
]
_MARKS: dict[State, Mark] = {
    "made": Mark("new", "made"),
    "changed": Mark("changed", "changed"),
    "left as it is": Mark("ok", "left as it is"),
    "in place": Mark("ok", "in place"),
    "yours": Mark("ok", "yours, left alone"),
    "removed": Mark("skip", "removed"),
    "missing": Mark("warn", "missing"),
    "somebody else's": Mark("skip", "somebody else's"),
}


@dataclass(frozen=True, slots=True)
class TrunkRow:
    """One trunk or dispatch rule, and what became of it.

    Attributes:
        part: What it is.
        name: Its name at LiveKit.
        id: LiveKit's id (``ST_...``, ``SDR_...``), "" if it does not exist.
        state: What was done, or how it was found.
        details: One line each: what it does, or what changed (old → new; never a password).
    """

    part: Part
    name: str
    id: str
    state: State
    details: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class TrunkTable:
    """The rows of `apply_trunks`, `list_trunks` or `destroy_trunks`; shown as a table.

    Attributes:
        caption: What the rows are.
        rows: One for each trunk and rule.
    """

    caption: str
    rows: Sequence[TrunkRow]

    @property
    def changed(self) -> bool:
        """Whether anything at LiveKit is now other than before."""
        return any(row.state in ("made", "changed", "removed") for row in self.rows)

    def id_of(self, part: Part) -> str:
        """The id of the kit's (or your own) trunk or rule of that kind, "" if there is none."""
        ids = (row.id for row in self.rows if row.part == part and row.state != "somebody else's")
        return next(ids, "")

    def __iter__(self) -> Iterator[TrunkRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def table(self) -> Table:
        """The rows as text and HTML."""
        columns = ("What", "Name", "Id", "State", "Details")
        rows = [
            (row.part, row.name, row.id, _MARKS[row.state], "\n".join(row.details))
            for row in self.rows
        ]
        return Table(self.caption, columns, rows)

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()
