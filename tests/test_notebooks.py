"""The project's notebooks keep the rules of `tests.notebook_lint`, are stripped, and type-check.

That they run is shown by nbmake with the guard: ``pytest --nbmake notebooks/``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tests.notebook_book import Book, notebooks
from tests.notebook_lint import findings
from tests.prose import ROOT

# What a wrong name or argument in a cell is to mypy. Its other findings are about habits of
# modules that notebooks do not share: exercises assign `...`, cells define a name again.
TOLD = {"attr-defined", "call-arg", "name-defined", "import-not-found", "call-overload"}


def test_there_are_notebooks() -> None:
    assert len(notebooks()) >= 5, "the tests of this module must not pass on nothing"


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_keeps_the_rules(path: Path) -> None:
    assert findings(Book.read(path)) == []


def test_stripped() -> None:
    command = [sys.executable, "-m", "nbstripout", "--keep-id", "--verify", *map(str, notebooks())]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, f"run nbstripout --keep-id on them:\n{run.stdout}{run.stderr}"


def test_every_solution_belongs_to_an_exercise() -> None:
    books = [Book.read(path) for path in notebooks()]
    expected = {
        book.solution(number)
        for book in books
        for number, _ in enumerate(book.tagged("exercise"), start=1)
    }
    assert set((ROOT / "notebooks" / "solutions").glob("*.py")) == expected


def test_names_and_arguments_type_check(tmp_path: Path) -> None:
    """Every attribute and argument in cells and solutions exists, as far as mypy follows them."""
    cell_of: dict[str, list[str]] = {}  # per file, the cell that each line came from
    for path in notebooks():
        lines: list[str] = []
        places: list[str] = []
        cell_of[f"nb_{path.stem}.py"] = places
        for index, cell in Book.read(path).solved().code.items():
            lines += TransformerManager().transform_cell(cell.source).splitlines()
            places += [f"{path.name} cell {index}"] * (len(lines) - len(places))
        (tmp_path / f"nb_{path.stem}.py").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    command += ["--disable-error-code=top-level-await", "--allow-redefinition"]
    command += ["--cache-dir", str(ROOT / ".mypy_cache"), *map(str, tmp_path.glob("nb_*.py"))]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    said = re.findall(r"(nb_\w+\.py):(\d+): error: (.*)  \[([\w-]+)\]$", run.stdout, re.M)
    told = [
        f"{cell_of[file][int(line) - 1]}: {text}" for file, line, text, code in said if code in TOLD
    ]
    assert told == [], "\n".join(told)
