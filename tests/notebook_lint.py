"""What a notebook of this project looks like, as rules: pure functions on the notebook's JSON.

Each rule yields one sentence for each thing to mend. `findings` runs them all; from a shell:
``python -m tests.notebook_lint notebooks/*.ipynb``. Rules about code are in `tests.notebook_code`,
the claims of the prose are checked by `tests.prose`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.notebook_book import Book
from tests.notebook_code import CODE_RULES
from tests.prose import untrue

MOST_CELLS = 60
MOST_LINES = 15
TAGS = {"exercise", "check", "lab", "raises-exception", "skip-solved", "keep_output"}

_TIME = re.compile(r"about (\d+) minutes(?: \((\d+) to read and run, (\d+) for the exercises?\))?")
_SECRET = re.compile(
    r"sk-[\w-]{16,}|\bAPI[A-Za-z0-9]{10,}|eyJ[\w-]{10,}|AKIA[A-Z0-9]{12,}|BEGIN [A-Z ]*PRIVATE"
    r"|\b[0-9a-f]{32,}\b|://[^/\s:@]+:[^/\s@]+@"
)
_NUMBER = re.compile(r"\+\d{8,15}\b")


def kernel(book: Book) -> Iterator[str]:
    """The kernel is python3, which every Jupyter has."""
    name = book.node.metadata.get("kernelspec", {}).get("name")
    if name != "python3":
        yield f"the kernel's name is {name!r}, not 'python3'"


def headings(book: Book) -> Iterator[str]:
    """One title, in the first cell; then one level down at a time."""
    levels = [(index, level) for index, prose in book.prose.items() for level, _ in prose.headings]
    titles = [index for index, level in levels if level == 1]
    if titles != [0]:
        yield f"needs exactly one title (#), in the first cell; has them in cells {titles}"
    last = 1
    for index, level in levels:
        if level > last + 1:
            yield f"cell {index}: a heading of level {level} stands below one of level {last}"
        last = level


def metadata_block(book: Book) -> Iterator[str]:
    """Minutes, objectives and needs stand in the metadata and, word for word, in the first cell."""
    block = book.node.metadata.get("vobiz_kit", {})
    minutes = block.get("minutes", {})
    if set(minutes) != {"teaching", "exercises"}:
        yield "the metadata needs vobiz_kit.minutes with teaching and exercises"
        return
    total = minutes["teaching"] + minutes["exercises"]
    if not 5 <= total <= 40:
        yield f"takes {total} minutes; a notebook takes 5 to 40"
    if bool(minutes["exercises"]) != bool(book.tagged("exercise")):
        yield "minutes for exercises and cells tagged exercise go together"
    first = book.prose.get(0)
    said = _TIME.search(first.text.replace("*", "")) if first else None
    if said is None or int(said[1]) != total:
        yield f"the first cell does not say 'about {total} minutes'"
    elif minutes["exercises"] and (said[2], said[3]) != (
        str(minutes["teaching"]),
        str(minutes["exercises"]),
    ):
        yield "the first cell does not say how many minutes are to read and run, and for exercises"
    for key, lead in (("objectives", "You will be able to"), ("needs", "You need")):
        lists = first.bullets.items() if first else []
        shown = next((items for said_by, items in lists if said_by.startswith(lead)), [])
        if not block.get(key) or shown != list(block[key]):
            yield f"the list below '{lead}' in the first cell and vobiz_kit.{key} differ"
    if not 2 <= len(block.get("objectives", [])) <= 5:
        yield "has to name 2 to 5 objectives"


def size(book: Book) -> Iterator[str]:
    """At most 60 cells; nine code cells in ten have at most 15 lines."""
    if len(book.node.cells) > MOST_CELLS:
        yield f"has {len(book.node.cells)} cells; at most {MOST_CELLS}"
    long = [
        index for index, cell in book.code.items() if len(cell.source.splitlines()) > MOST_LINES
    ]
    if len(long) > len(book.code) / 10:
        yield f"more than a tenth of the code cells have over {MOST_LINES} lines: cells {long}"


def stripped(book: Book) -> Iterator[str]:
    """No outputs and no counts are stored; what is empty is no cell."""
    for index, cell in enumerate(book.node.cells):
        if not cell.source.strip():
            yield f"cell {index} is empty"
        if not cell.get("id"):
            yield f"cell {index} has no id"
        kept = "keep_output" in cell.metadata.get("tags", [])
        if cell.cell_type == "code" and (cell.execution_count or (cell.outputs and not kept)):
            yield f"cell {index} has outputs or a count: run nbstripout"
    if "widgets" in book.node.metadata:
        yield "stores the state of widgets: run nbstripout"


def tags(book: Book) -> Iterator[str]:
    """Only tags that somebody reads, and nothing that hides a failure."""
    for index, cell in enumerate(book.node.cells):
        for tag in set(cell.metadata.get("tags", [])) - TAGS:
            yield f"cell {index}: nobody reads the tag {tag!r}"
        if "nbmake" in cell.metadata:
            yield f"cell {index}: nbmake metadata hides code from the reader"
    if "execution" in book.node.metadata:
        yield "notebook metadata 'execution' loosens limits or allows errors"


def true_prose(book: Book) -> Iterator[str]:
    """Links, images, alt texts, names, settings and command lines in the text hold."""
    page = list(book.prose.values())
    for index, prose in book.prose.items():
        yield from (f"cell {index}: {claim}" for claim in untrue(prose, book.path.parent, page))


def key_points(book: Book) -> Iterator[str]:
    """A section called Key points, with a list, ends what is taught."""
    for prose in book.prose.values():
        if (2, "Key points") in prose.headings and prose.bullets.get("Key points"):
            return
    yield "has no section '## Key points' with a list"


def private(book: Book) -> Iterator[str]:
    """No key, password or real telephone number is in any cell."""
    for index, cell in enumerate(book.node.cells):
        if _SECRET.search(cell.source):
            yield f"cell {index}: something here looks like a key or password"
        for number in _NUMBER.findall(cell.source):
            if not number.startswith("+1555"):
                yield f"cell {index}: {number} may be somebody's; take one of the +1555 plan"


def exercises(book: Book) -> Iterator[str]:
    """Each exercise has a heading, a hint, a check and a solution in a file of its own."""
    for number, index in enumerate(book.tagged("exercise"), start=1):
        later = [i for i in book.code if i > index]
        check = later[0] if later else None
        if check is None or "check" not in book.tags(check):
            yield f"cell {index}: the next code cell after an exercise is its check"
        around = "\n".join(
            prose.text for i, prose in book.prose.items() if index - 3 <= i <= (check or index)
        )
        if f"### Exercise {number}:" not in around:
            yield f"cell {index}: no heading '### Exercise {number}: …' before it"
        if "<details>" not in around or "<summary>Hint" not in around:
            yield f"cell {index}: no <details><summary>Hint</summary> beside it"
        if not book.solution(number).is_file():
            yield f"cell {index}: its solution {book.solution(number).name} does not exist"
        way = f"%load solutions/{book.solution(number).name}"
        if way not in book.code[index].source:
            yield f"cell {index}: does not name the way to the solution, '# Solution: {way}'"
    for index in book.tagged("skip-solved"):
        # before it, the run with the solutions would only repeat the run without
        if index > min(book.tagged("exercise"), default=0):
            yield f"cell {index}: skip-solved is only for cells before the first exercise"
    if len(book.tagged("exercise")) != len(book.tagged("check")):
        yield "has not as many checks as exercises"


RULES: tuple[Callable[[Book], Iterator[str]], ...] = (
    kernel,
    headings,
    metadata_block,
    size,
    stripped,
    tags,
    true_prose,
    key_points,
    private,
    exercises,
    *CODE_RULES,
)


def findings(book: Book) -> list[str]:
    """Everything in that notebook that breaks a rule."""
    return [f"{book.path.name}: {finding}" for rule in RULES for finding in rule(book)]


if __name__ == "__main__":
    found = [finding for name in sys.argv[1:] for finding in findings(Book.read(Path(name)))]
    sys.stdout.write("".join(f"{finding}\n" for finding in found) or "all rules hold\n")
    sys.exit(1 if found or not sys.argv[1:] else 0)
