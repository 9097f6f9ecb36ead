"""What speaks against a notebook that has been run: its outputs, and what the probe wrote down."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import nbformat

_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|Exception Group Traceback")
_TOLD = {
    "group": "an ExceptionGroup, which IPython prints and nbmake does not see",
    "callback": "an exception in a callback, shown where no cell fails for it",
    "thread": "an exception in a thread",
    "loop": "an exception that nobody awaited on an event loop",
    "task": "a task failed and nobody asked for its result",
    "future": "work handed to a thread failed and nobody asked for its result",
    "unraisable": "an exception that Python could only print",
    "never awaited": "a coroutine was made and never awaited",
    "logged": "an exception that only went to a log",
}


class Problem(NamedTuple):
    """Why a notebook must not pass: the cell's index (None: the whole notebook) and what it was."""

    cell: int | None
    what: str
    trace: str = ""

    def __str__(self) -> str:
        where = "notebook" if self.cell is None else f"cell {self.cell}"
        return f"{where}: {self.what}"


def verdict(
    nb: Any,
    findings: Sequence[Mapping[str, Any]],
    *,
    failed: bool = False,
    solved: bool = False,
    secrets: Mapping[str, str] | None = None,
) -> list[Problem]:
    """Everything that speaks against that notebook, except its time.

    Args:
        nb: The notebook as it was executed.
        findings: What `tests.notebook_probe` wrote.
        failed: The run stopped with an error: then cells that never ran and a probe that never
            finished are its consequence, and not told again.
        solved: The solutions stood in the exercises' place.
        secrets: Name and value of what no output may show.
    """
    found = _from_probe(nb, findings)
    found += _from_outputs(nb, solved, known={problem.cell for problem in found})
    kinds = {finding["kind"] for finding in findings}
    if "installed" not in kinds:
        found.append(Problem(None, "the guard's probe did not start in the kernel"))
    elif "finished" not in kinds and not failed and not found:
        found.append(Problem(None, "the guard's probe did not live to the last cell"))
    if not failed:
        found += [
            Problem(index, "this code cell never ran")
            for index, cell in enumerate(nb.cells)
            if cell.cell_type == "code" and cell.source.strip() and not cell.execution_count
        ]
    return found + _from_secrets(nb, secrets or {})


def _from_probe(nb: Any, findings: Sequence[Mapping[str, Any]]) -> list[Problem]:
    ran = [index for index, cell in enumerate(nb.cells) if cell.get("execution_count")]
    return [
        Problem(
            ran[finding["cell"] - 1] if 0 < finding["cell"] <= len(ran) else None,
            f"{_TOLD[finding['kind']]}: {finding['summary']}",
            finding["trace"],
        )
        for finding in findings
        if finding["kind"] in _TOLD
    ]


def _from_outputs(nb: Any, solved: bool, known: set[int | None]) -> list[Problem]:
    found: list[Problem] = []
    for index, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        tags = cell.metadata.get("tags", [])
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if "raises-exception" in tags and cell.execution_count and not errors:
            found.append(Problem(index, "tagged raises-exception, but it no longer raises"))
        if "raises-exception" not in tags:
            found += [_error(index, output) for output in errors]
        if index not in known:  # else the probe has told that traceback already
            found += _printed(index, cell.outputs)
        if "check" in tags and cell.execution_count:
            found += _checked(index, cell.outputs, solved)
    for model in _widgets(nb).values():
        outputs = [nbformat.from_dict(o) for o in model["state"].get("outputs") or []]
        found += [_error(None, output) for output in outputs if output.output_type == "error"]
        found += _printed(None, outputs)
    return found


def _widgets(nb: Any) -> dict[str, Any]:
    saved = nb.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    return dict(saved.get("state", {}))


def _error(index: int | None, output: Any) -> Problem:
    return Problem(index, f"{output.ename}: {output.evalue}", "\n".join(output.traceback))


def _printed(index: int | None, outputs: list[Any]) -> list[Problem]:
    text = {
        name: "".join(o.text for o in outputs if o.output_type == "stream" and o.name == name)
        for name in ("stdout", "stderr")
    }
    return [
        Problem(index, f"a traceback on {name}", printed)
        for name, printed in text.items()
        if _TRACEBACK.search(printed)
    ]


def _checked(index: int, outputs: list[Any], solved: bool) -> list[Problem]:
    shown = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs]
    lines = "\n".join(shown).splitlines()
    right = any(line.startswith("✓") for line in lines)
    not_yet = any(line.startswith("Not yet") for line in lines)
    said = "; ".join(lines) or "nothing"
    if solved and (not_yet or not right):
        return [Problem(index, f"the check refuses the solution, it says: {said}")]
    if not solved and not not_yet:
        return [Problem(index, f"the check accepts the untouched exercise, it says: {said}")]
    return []


def _from_secrets(nb: Any, secrets: Mapping[str, str]) -> list[Problem]:
    places: dict[int | None, str] = {
        index: json.dumps(cell.outputs)
        for index, cell in enumerate(nb.cells)
        if cell.cell_type == "code"
    }
    places[None] = json.dumps(_widgets(nb), default=str)
    return [
        Problem(index, f"an output shows the secret {name}")
        for index, text in places.items()
        for name, value in secrets.items()
        if value and value in text
    ]
