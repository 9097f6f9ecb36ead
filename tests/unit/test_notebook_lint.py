"""The notebook lint: a good notebook has no findings, and each rule goes red on a bad one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.notebook_book import Book
from tests.notebook_lint import findings

TITLE = """\
# A good notebook

This takes **about 20 minutes** (15 to read and run, 5 for the exercises).

**You will be able to**

- start the lab
- dial a number

**You need**

- nothing
"""
CALL = "caller = lab.phone('+15550009999')\nawait caller.dial('+15550001000')"
EXERCISE = """\
### Exercise 1: who?

<details><summary>Hint</summary>

Look at `lab.up`.

</details>"""


def good(folder: Path) -> Book:
    """A notebook that keeps every rule, in a folder with its picture and solution."""
    (folder / "solutions").mkdir()
    (folder / "solutions" / "00_good_1.py").write_text("answer = await caller.hang_up()\n")
    (folder / "picture.svg").write_text("<svg/>")
    cells: list[Any] = [
        new_markdown_cell(TITLE),
        new_code_cell("import vobiz_kit as vk\nfrom vobiz_kit import lab\n\nawait lab.up()"),
        new_markdown_cell(
            "## Call\n\n![Two phones are connected](picture.svg) *On the cloud:* dial."
        ),
        new_code_cell(CALL, metadata={"tags": ["lab"]}),
        new_markdown_cell(EXERCISE),
        new_code_cell(
            "answer = ...\n# Solution: %load solutions/00_good_1.py",
            metadata={"tags": ["exercise"]},
        ),
        new_code_cell("print('Not yet.')", metadata={"tags": ["check"]}),
        new_markdown_cell("## Key points\n\n- One is enough. See [the call](#call)."),
    ]
    block = {
        "minutes": {"teaching": 15, "exercises": 5},
        "objectives": ["start the lab", "dial a number"],
        "needs": ["nothing"],
    }
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "vobiz_kit": block}
    return Book(folder / "00_good.ipynb", new_notebook(cells=cells, metadata=metadata))


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return good(tmp_path)


def add(source: str, **metadata: Any) -> Callable[[Book], None]:
    """A change: one more code cell, after the one that dials."""

    def change(book: Book) -> None:
        book.node.cells.insert(4, new_code_cell(source, metadata=metadata))

    return change


def say(text: str) -> Callable[[Book], None]:
    """A change: one more markdown cell, after the one that dials."""

    def change(book: Book) -> None:
        book.node.cells.insert(4, new_markdown_cell(text))

    return change


def edit(index: int, old: str, new: str) -> Callable[[Book], None]:
    """A change: other words in a cell."""

    def change(book: Book) -> None:
        assert old in book.node.cells[index].source
        book.node.cells[index].source = book.node.cells[index].source.replace(old, new)

    return change


def block(**values: Any) -> Callable[[Book], None]:
    """A change: other values in the metadata block."""
    return lambda book: book.node.metadata["vobiz_kit"].update(values)


def tag(index: int, *tags: str) -> Callable[[Book], None]:
    """A change: other tags on a cell."""
    return lambda book: book.node.cells[index].metadata.update(tags=list(tags))


def fill(count: int, lines: int) -> Callable[[Book], None]:
    """A change: that many more code cells of that many lines."""
    source = "\n".join(["x = 1"] * lines)
    return lambda book: book.node.cells.extend([new_code_cell(source) for _ in range(count)])


def stored_output(book: Book) -> None:
    book.node.cells[3].update(execution_count=1)


def named_kernel(book: Book) -> None:
    book.node.metadata.kernelspec.name = "my-venv"


def loose(book: Book) -> None:
    book.node.metadata["execution"] = {"allow_errors": True}


def no_solution(book: Book) -> None:
    book.solution(1).unlink()


def broken_solution(book: Book) -> None:
    book.solution(1).write_text("answer = (")


BAD: dict[str, tuple[Callable[[Book], None], str]] = {
    "kernel": (named_kernel, "the kernel's name is 'my-venv'"),
    "second_title": (say("# Again"), "needs exactly one title"),
    "no_title": (edit(0, "# A good", "## A good"), "needs exactly one title"),
    "heading_skipped": (say("#### Deep"), "a heading of level 4 stands below one of level 2"),
    "minutes_missing": (block(minutes={}), "needs vobiz_kit.minutes"),
    "minutes_too_many": (block(minutes={"teaching": 50, "exercises": 5}), "5 to 40"),
    "minutes_differ": (block(minutes={"teaching": 16, "exercises": 5}), "'about 21 minutes'"),
    "minutes_split_differs": (
        block(minutes={"teaching": 14, "exercises": 6}),
        "how many minutes are to read",
    ),
    "exercise_without_minutes": (block(minutes={"teaching": 20, "exercises": 0}), "go together"),
    "objectives_differ": (edit(0, "- dial a number", "- dial"), "vobiz_kit.objectives differ"),
    "needs_differ": (block(needs=["a phone"]), "vobiz_kit.needs differ"),
    "one_objective": (block(objectives=["start the lab"]), "2 to 5 objectives"),
    "too_many_cells": (fill(60, 1), "at most 60"),
    "long_cells": (fill(3, 16), "more than a tenth"),
    "outputs": (stored_output, "cell 3 has outputs or a count"),
    "empty_cell": (add(" \n"), "cell 4 is empty"),
    "unknown_tag": (tag(3, "lab", "skip-execution"), "nobody reads the tag 'skip-execution'"),
    "mock": (add("x = 1", nbmake={"mock": {"x": 2}}), "nbmake metadata"),
    "allow_errors": (loose, "allows errors"),
    "dead_link": (say("[next](01_gone.ipynb)"), "link to 01_gone.ipynb, which does not exist"),
    "dead_anchor": (say("[there](#nowhere)"), "there is no such heading"),
    "dead_image": (say("![A picture of it](gone.svg)"), "image gone.svg, which does not exist"),
    "empty_alt": (say("![](picture.svg)"), "needs an alt text"),
    "html_image_without_alt": (say("<img src='picture.svg'>"), "needs an alt text"),
    "name_in_prose": (say("Use `lab.upp()`."), "`lab.upp` does not exist"),
    "setting_in_prose": (say("Set `VOBIZ_SIP_DOMIAN`."), "`VOBIZ_SIP_DOMIAN` is no setting"),
    "command_in_prose": (say("Run `make coffee`."), "the Makefile makes no coffee"),
    "file_in_prose": (say("See `vobiz_kit/gone.py`."), "`vobiz_kit/gone.py` is no file"),
    "no_key_points": (edit(7, "## Key points", "## The end"), "no section '## Key points'"),
    "secret": (add("key = 'sk-abcdefghij0123456789'"), "looks like a key"),
    "somebodys_number": (say("Dial +4930123456."), "+4930123456 may be somebody's"),
    "check_missing": (add("x = 1", tags=["exercise"]), "the next code cell after an exercise"),
    "two_exercises_one_check": (add("x = 1", tags=["exercise"]), "as many checks as exercises"),
    "exercise_without_heading": (edit(4, "Exercise 1", "Task"), "'### Exercise 1: …'"),
    "no_hint": (edit(4, "<summary>Hint", "<summary>More"), "no <details><summary>Hint"),
    "no_solution": (no_solution, "its solution 00_good_1.py does not exist"),
    "solution_not_named": (edit(5, "%load", "see"), "does not name the way to the solution"),
    "broken_solution": (broken_solution, "00_good_1.py: "),
    "skipped_too_late": (tag(6, "check", "skip-solved"), "only for cells before the first"),
    "syntax_error": (add("x = ("), "cell 4: "),
    "return_at_top_level": (add("return 1"), "'return' outside function"),
    "other_import_names": (edit(1, "import vobiz_kit as vk", "import vobiz_kit"), "as vk'"),
    "star_import": (add("from math import *"), "no '*'"),
    "missing_attribute": (add("lab.upp"), "lab.upp does not exist"),
    "missing_import": (add("from vobiz_kit import nonsense"), "vobiz_kit.nonsense does not exist"),
    "input": (add("name = input('?')"), "input: "),
    "getpass": (add("import getpass"), "getpass: "),
    "asyncio_run": (add("import asyncio\nasyncio.run(None)"), "asyncio.run: "),
    "nest_asyncio": (add("import nest_asyncio"), "nest_asyncio: "),
    "sleep": (add("import time\ntime.sleep(1)"), "time.sleep: "),
    "sleep_imported": (add("from time import sleep\nsleep(1)"), "time.sleep: "),
    "pip": (add("!pip install x"), "installs something"),
    "absolute_path": (add("open('/home/me/x.wav')"), "a path of one computer"),
    "fixed_port": (add("url = 'http://localhost:7880'"), "a fixed port"),
    "lab_untagged": (tag(3), "caller.dial needs the lab"),
    "wire_untagged": (add("await lab.trace(None)"), "lab.trace needs the lab"),
    "cloud_unsaid": (edit(2, "*On the cloud:* dial.", ""), "what to do 'on the cloud'"),
}


def test_good_notebook_has_no_findings(book: Book) -> None:
    assert findings(book) == []


@pytest.mark.parametrize("name", BAD)
def test_bad_notebook_is_told(name: str, book: Book) -> None:
    change, says = BAD[name]
    change(book)
    told = findings(Book(book.path, book.node))  # read afresh: a book remembers what it parsed
    assert any(says in finding for finding in told), told


def test_solved_book_has_the_solution_in_the_exercises_place(book: Book) -> None:
    tag(3, "lab", "skip-solved")(book)
    solved = book.solved()
    assert [cell.source for cell in solved.node.cells if "answer" in cell.source] == [
        "answer = await caller.hang_up()\n"
    ]
    assert len(solved.node.cells) == len(book.node.cells) - 1
    assert "%load" in book.node.cells[5].source, "the notebook itself is left alone"
