"""Every notebook once more, with the solutions in the exercises' place: each check says "✓".

That the same checks say "Not yet" to the untouched exercises is part of the guarded nbmake run.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebook_book import Book, notebooks
from tests.notebook_guard import lab_secrets
from tests.notebook_watch import run_notebook, watching

WITH_EXERCISES = [path for path in notebooks() if Book.read(path).tagged("exercise")]


def test_there_are_exercises() -> None:
    assert len(WITH_EXERCISES) >= 5, "the tests of this module must not pass on nothing"


@pytest.mark.lab
@pytest.mark.parametrize("path", WITH_EXERCISES, ids=lambda path: path.stem)
def test_solutions_pass_their_checks(path: Path, lab: object) -> None:
    solved = Book.read(path).solved()
    with watching(solved=True, secrets=lab_secrets()) as watch:
        found = run_notebook(solved.node, path.parent, watch)
    assert found == [], "\n".join(f"{problem}\n{problem.trace}" for problem in found)
