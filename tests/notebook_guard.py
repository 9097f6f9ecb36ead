"""A pytest plugin that closes the holes of nbmake: no notebook passes in silence.

nbmake 1.5.5 passes a notebook whose cells raised an ExceptionGroup (and never runs the cells
after it), failed in a thread, in a task that nobody awaits or in a callback under
``Output.capture()``, or whose ``raises-exception`` cell no longer raises (all measured). This
plugin runs the same notebooks through the same nbmake, with a probe in the kernel
(`tests.notebook_probe`), and fails each of them. It also holds a notebook to its time, an
untouched exercise to "Not yet", and outputs to show none of the lab's secrets.

Loaded by the root ``conftest.py``. The limit for one notebook is the ini option
``notebook_limit_s``; on a slow machine: ``pytest -o notebook_limit_s=120``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from unittest import mock

import pytest
from dotenv import dotenv_values
from nbmake import nb_run
from nbmake.nb_result import NotebookError, NotebookResult

from tests.notebook_verdict import Problem
from tests.notebook_watch import NOTEBOOK_LIMIT_S, GuardedClient, watching
from vobiz_kit.lab.state import lab_home

# LIVEKIT_API_KEY and VOBIZ_AUTH_ID are names, not secrets: the settings' table shows them.
_SECRET_ENDINGS = ("_SECRET", "_PASSWORD", "_TOKEN", "OPENAI_API_KEY", "DEEPGRAM_API_KEY")


def lab_secrets() -> dict[str, str]:
    """The secrets of the run's lab, by name; none if there is no lab."""
    values = dotenv_values(lab_home() / "lab.env")
    return {name: v for name, v in values.items() if v and name.endswith(_SECRET_ENDINGS)}


def _guarded(
    execute: Callable[[nb_run.NotebookRun], NotebookResult], limit_s: float
) -> Callable[[nb_run.NotebookRun], NotebookResult]:
    def guarded(run: nb_run.NotebookRun) -> NotebookResult:
        with watching(notebook_limit_s=limit_s) as watch:
            with mock.patch.object(nb_run, "NotebookClient", partial(GuardedClient, watch=watch)):
                result = execute(run)
            watch.secrets = lab_secrets()  # by now the notebook may have started the lab
            found = watch.problems(result.nb, failed=result.error is not None)
        if result.error is not None:  # what nbmake shows already is not shown again
            found = [p for p in found if not p.trace or p.trace not in result.error.trace]
        if found:
            result.error = _told(result.error, found)
        return result

    return guarded


def _told(error: NotebookError | None, found: list[Problem]) -> NotebookError:
    lines = [line for problem in found for line in (f"- {problem}", problem.trace) if line]
    trace = "\n".join(["What the notebook guard saw:", *lines])
    if error is not None:
        return NotebookError(error.summary, f"{error.trace}\n{trace}", error.failing_cell_index)
    first = found[0]
    return NotebookError(str(first), trace, -1 if first.cell is None else first.cell)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option with the limit for one notebook."""
    text = "seconds that one notebook may take"
    parser.addini("notebook_limit_s", text, default=str(NOTEBOOK_LIMIT_S))


def pytest_configure(config: pytest.Config) -> None:
    """Put the guard around nbmake's run."""
    limit_s = float(config.getini("notebook_limit_s"))
    guarded = _guarded(nb_run.NotebookRun.execute, limit_s)
    patch = mock.patch.object(nb_run.NotebookRun, "execute", guarded)
    patch.start()
    config.add_cleanup(patch.stop)
