"""Rules for the notebooks' code cells; see `tests.notebook_lint`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from tests.notebook_book import Book
from tests.prose import exists

IMPORTS = ("import vobiz_kit as vk", "from vobiz_kit import lab")
LAB_FOR_EVERYBODY = {"up", "status", "phone"}  # on the cloud these say what to do instead
FORBIDDEN = {
    "input": "a run from top to bottom cannot answer it",
    "getpass": "a run from top to bottom cannot answer it",
    "asyncio.run": "a cell can await",
    "run_until_complete": "a cell can await",
    "nest_asyncio": "a cell can await",
    "time.sleep": "it stops the agent that runs in this kernel; wait for what you wait for",
}

_ABSOLUTE = re.compile(r"^(/(home|work|tmp|root|usr|Users|opt|var)\b|[A-Z]:\\)")
_FIXED_PORT = re.compile(r"(localhost|127\.0\.0\.1):\d+")


def _tree(source: str) -> ast.Module:
    # IPython types its transformer loosely
    return ast.parse(str(TransformerManager().transform_cell(source)))


def _trees(book: Book) -> Iterator[tuple[int, ast.Module]]:
    for index, cell in book.code.items():
        try:
            yield index, _tree(cell.source)
        except SyntaxError:
            continue  # `parses` tells it


def dotted(node: ast.AST) -> str:
    """The dotted name that an expression spells, or "" if it is no such name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def parses(book: Book) -> Iterator[str]:
    """Every code cell is Python, as are the solutions."""
    for index, cell in book.code.items():
        try:
            compile(_tree(cell.source), "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError as error:
            yield f"cell {index}: {error.msg}"
    for number, _ in enumerate(book.tagged("exercise"), start=1):
        path = book.solution(number)
        try:
            source = path.read_text() if path.is_file() else ""
            compile(source, path.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError as error:
            yield f"{path.name}: {error.msg}"


def imports(book: Book) -> Iterator[str]:
    """The first code cell imports the kit and the lab under their usual names."""
    first = next(iter(book.code.values()), None)
    lines = first.source.splitlines() if first is not None else []
    for wanted in IMPORTS:
        if wanted not in lines:
            yield f"the first code cell does not say '{wanted}'"
    for index, tree in _trees(book):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                yield f"cell {index}: names what it imports, no '*'"


def names(book: Book) -> Iterator[str]:
    """What the code takes from the kit exists: ``vk.x``, ``lab.x``, ``from vobiz_kit import x``."""
    for index, tree in _trees(book):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                name = dotted(node)
                root, above = name.split(".")[0], name.rpartition(".")[0]
                # of vk.missing.more, only vk.missing is told
                if root in ("vk", "lab") and not exists(name) and exists(above):
                    yield f"cell {index}: {name} does not exist"
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vobiz_kit"):
                for alias in node.names:
                    if not exists(f"{node.module}.{alias.name}"):
                        yield f"cell {index}: {node.module}.{alias.name} does not exist"


def habits(book: Book) -> Iterator[str]:
    """Nothing blocks the kernel, asks for input, installs, or knows one computer's paths."""
    for index, tree in _trees(book):
        source = book.code[index].source
        if re.search(r"^\s*[!%]\s*(pip|conda|apt)", source, re.M):
            yield f"cell {index}: installs something; the environment is set up before"
        for node in ast.walk(tree):
            yield from (f"cell {index}: {bad}" for bad in _bad_habits(node))


def _bad_habits(node: ast.AST) -> Iterator[str]:
    used = dotted(node.func) if isinstance(node, ast.Call) else ""
    if isinstance(node, ast.Import | ast.ImportFrom):
        module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        imported = [module + alias.name for alias in node.names]
        used = next((name for name in imported if name.startswith(tuple(FORBIDDEN))), "")
    for name, why in FORBIDDEN.items():
        if used == name or used.endswith(f".{name}") or used.startswith(f"{name}."):
            yield f"{name}: {why}"
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if _ABSOLUTE.search(node.value):
            yield f"{node.value!r} is a path of one computer"
        if _FIXED_PORT.search(node.value):
            yield f"{node.value!r} holds a fixed port"


def lab_cells(book: Book) -> Iterator[str]:
    """What only the lab can do is tagged, and its section says what to do on the cloud."""
    phones: set[str] = set()
    for index, tree in _trees(book):
        needs = _lab_only(tree, phones)
        if needs and "lab" not in book.tags(index):
            yield f"cell {index}: {needs} needs the lab; tag the cell 'lab'"
        if "lab" in book.tags(index) and "on the cloud" not in _section(book, index).lower():
            yield f"cell {index}: its section does not say what to do 'on the cloud'"


def _lab_only(tree: ast.Module, phones: set[str]) -> str:
    """The first thing the cell does that only the lab can; remembers phones it assigns."""
    todo: list[Any] = list(tree.body)
    found = ""
    while todo:
        node = todo.pop(0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue  # what it does counts where it is called
        if isinstance(node, ast.Assign) and "lab.phone" in ast.unparse(node.value):
            phones |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        name = dotted(node.func) if isinstance(node, ast.Call) else ""
        root, _, attribute = name.partition(".")
        if root in phones or (root == "lab" and attribute not in LAB_FOR_EVERYBODY):
            found = found or name
        todo += ast.iter_child_nodes(node)
    return found


def _section(book: Book, index: int) -> str:
    """The text between the level 2 headings around that cell."""
    starts = [
        i for i, prose in book.prose.items() if any(level <= 2 for level, _ in prose.headings)
    ]
    first = max((i for i in starts if i < index), default=0)
    last = min((i for i in starts if i > index), default=len(book.node.cells))
    return "\n".join(prose.text for i, prose in book.prose.items() if first <= i < last)


CODE_RULES = (parses, imports, names, habits, lab_cells)
