"""A notebook of the project as the lint and the solution tests see it."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from tests.prose import ROOT, Prose, read_markdown

NOTEBOOKS = ROOT / "notebooks"


@dataclass(frozen=True)
class Book:
    """A notebook and where it lives; cells are named by their index."""

    path: Path
    node: Any

    @classmethod
    def read(cls, path: Path) -> Book:
        """The notebook in that file."""
        return cls(path.resolve(), nbformat.read(str(path), as_version=4))

    @functools.cached_property
    def prose(self) -> dict[int, Prose]:
        """The markdown cells, taken apart."""
        return {
            index: read_markdown(cell.source)
            for index, cell in enumerate(self.node.cells)
            if cell.cell_type == "markdown"
        }

    @functools.cached_property
    def code(self) -> dict[int, Any]:
        """The code cells."""
        cells = enumerate(self.node.cells)
        return {index: cell for index, cell in cells if cell.cell_type == "code"}

    def tags(self, index: int) -> list[str]:
        """The tags of that cell."""
        return list(self.node.cells[index].metadata.get("tags", []))

    def tagged(self, tag: str) -> list[int]:
        """The cells with that tag, in order."""
        return [index for index in range(len(self.node.cells)) if tag in self.tags(index)]

    def solution(self, number: int) -> Path:
        """The file that solves the exercise of that number, counted from 1."""
        return self.path.parent / "solutions" / f"{self.path.stem}_{number}.py"

    def solved(self) -> Book:
        """A copy with the solutions in the exercises' place, without cells tagged skip-solved."""
        node = copy.deepcopy(self.node)
        for number, index in enumerate(self.tagged("exercise"), start=1):
            node.cells[index].source = self.solution(number).read_text()
        skipped = set(self.tagged("skip-solved"))
        node.cells = [cell for index, cell in enumerate(node.cells) if index not in skipped]
        return Book(self.path, node)


def notebooks() -> list[Path]:
    """All notebooks of the project, in reading order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
