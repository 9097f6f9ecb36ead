"""The notebook guard: each way to fail without a sound is red with it, and a sound notebook passes.

The cases are small notebooks that nbmake runs with the guard, in pytests of their own. A kernel
takes a second to start, so the failures that do not stop a notebook share one; each of them is
looked for by its name.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.notebook_watch import run_notebook, watching

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(200)


@dataclass
class Case:
    """A small notebook, or a part of one: its cells, tags by cell index, metadata.

    ``says`` is what one line of the guard's report has to hold, all of it; "{0}" in it is the
    index of the case's first cell, "{1}" that of the second.
    """

    cells: list[str]
    says: tuple[str, ...] = ()
    tags: dict[int, list[str]] = field(default_factory=dict)
    metadata: dict[str, object] = field(default_factory=dict)


FAIL = "import asyncio\n\nasync def fail():\n    raise ValueError('{name}')\n\n"
TASK_GROUP = FAIL + "async with asyncio.TaskGroup() as group:\n    group.create_task(fail())"

# Each stops its notebook, or needs metadata of its own.
LOUD = {
    "plain_exception": Case(["1 / 0"], ("ZeroDivisionError",)),
    "exception_group": Case(
        ["x = 1", "raise ExceptionGroup('g', [ValueError('lost')])", "print('later')"],
        ("cell 1: an ExceptionGroup",),
    ),
    "task_group": Case(["x = 1", TASK_GROUP], ("cell 1: an ExceptionGroup",)),
    "task_group_in_the_first_cell": Case([TASK_GROUP, "x = 1"], ("cell 0: an ExceptionGroup",)),
    "raised_from_a_group": Case(
        [
            "x = 1",
            "try:\n    raise ExceptionGroup('g', [ValueError('lost')])\n"
            "except ExceptionGroup:\n    raise RuntimeError('unwrapped') from None",
        ],
        ("cell 1: an ExceptionGroup",),
    ),
    "cells_after_a_group": Case(
        ["x = 1", "raise ExceptionGroup('g', [ValueError('lost')])", "print('later')"],
        ("cell 2: this code cell never ran",),
    ),
    "errors_allowed": Case(
        ["1 / 0", "x = 1"],
        ("cell 0: ZeroDivisionError",),
        metadata={"execution": {"allow_errors": True}},
    ),
    "too_slow": Case(
        ["x = 1", "import time\ntime.sleep(60)"],
        ("a notebook has 4 s",),
        metadata={"execution": {"timeout": 300}},
    ),
}
# None of them stops the notebook: one cell after the other runs as if nothing had happened.
QUIET = {
    "thread": Case(
        [
            "import threading\nthread = threading.Thread(target=lambda: int('{name}'))\n"
            "thread.start()\nthread.join()"
        ],
        ("cell {0}: an exception in a thread", "{name}"),
    ),
    "timer": Case(
        [
            "import threading\ntimer = threading.Timer(0, lambda: int('{name}'))\n"
            "timer.start()\ntimer.join()"
        ],
        ("cell {0}: an exception in a thread", "{name}"),
    ),
    "callback_on_the_loop": Case(
        [
            "import asyncio\nasyncio.get_running_loop().call_soon(int, '{name}')",
            "await asyncio.sleep(0)",
        ],
        ("nobody awaited on an event loop", "{name}"),
    ),
    "task_dropped": Case(
        [FAIL + "asyncio.create_task(fail());", "import gc\ngc.collect();"],
        ("nobody awaited on an event loop", "{name}"),
    ),
    "task_kept": Case(
        [FAIL + "task = asyncio.create_task(fail())"],
        ("a task failed and nobody asked for its result", "{name}"),
    ),
    "future_of_a_thread": Case(
        [
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor() as pool:\n    pool.submit(int, '{name}')"
        ],
        ("work handed to a thread failed", "{name}"),
    ),
    "del": Case(
        ["class Careless:\n    def __del__(self):\n        int('{name}')\n\nCareless()\ndel _"],
        ("an exception that Python could only print", "{name}"),
    ),
    "never_awaited": Case(
        ["async def forgotten():\n    pass\n\ncoroutine = forgotten()", "del coroutine"],
        ("made and never awaited", "'forgotten'"),
    ),
    "logged_only": Case(
        [
            "import logging\nquiet = logging.getLogger('quiet')\nquiet.propagate = False\n"
            "quiet.addHandler(logging.NullHandler())\n"
            "try:\n    int('{name}')\nexcept ValueError:\n    quiet.exception('it broke')"
        ],
        ("cell {0}: an exception that only went to a log", "{name}"),
    ),
    "output_capture": Case(
        [
            "import ipywidgets\noutput, button = ipywidgets.Output(), ipywidgets.Button()\n"
            "button.on_click(output.capture()(lambda button: int('{name}')))\noutput",
            "button.click()",
        ],
        ("cell {1}: an exception in a callback", "{name}"),
    ),
    "output_context": Case(
        ["with ipywidgets.Output():\n    int('{name}')"],
        ("cell {0}: an exception in a callback", "{name}"),
    ),
    "traceback_on_stderr": Case(
        ["import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc()"],
        ("cell {0}: a traceback on stderr",),
    ),
    "raises_no_longer": Case(
        ["print('fine')"], ("cell {0}: tagged raises-exception",), {0: ["raises-exception"]}
    ),
    "skipped": Case(
        ["print('never')"], ("cell {0}: this code cell never ran",), {0: ["skip-execution"]}
    ),
    "check_accepts_the_untouched": Case(
        ["answer = ...", "print('✓ right')"],
        ("cell {1}: the check accepts the untouched exercise",),
        {0: ["exercise"], 1: ["check"]},
    ),
}
SOUND = {
    "plain": Case(["x = 1", "print(x)"]),
    "handled": Case(
        [
            FAIL + "task = asyncio.create_task(fail())",
            "try:\n    await task\nexcept ValueError as error:\n    print(error)",
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor() as pool:\n"
            "    print(pool.submit(lambda: 1 / 0).exception())",
            "1 / 0",
            "print('Not yet. Look at cell 3.')",
            "sleeping = asyncio.create_task(asyncio.sleep(9))\n"
            "gathered = asyncio.gather(sleeping)\nsleeping.cancel()\nawait asyncio.sleep(0.01)",
        ],
        tags={3: ["raises-exception"], 4: ["check"]},
    ),
}


def notebook(case: Case, name: str = "lost") -> nbformat.NotebookNode:
    """That case as a notebook."""
    cells = [
        new_code_cell(source.replace("{name}", name), metadata={"tags": case.tags.get(index, [])})
        for index, source in enumerate(case.cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, **case.metadata})


def all_quiet() -> tuple[nbformat.NotebookNode, dict[str, int]]:
    """All quiet failures in one notebook, and where each of them begins."""
    together = new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "P"}})
    begins = {}
    for name, case in QUIET.items():
        begins[name] = len(together.cells)
        together.cells += notebook(case, name).cells
    return together, begins


def _start(place: Path, limit_s: float) -> subprocess.Popen[str]:
    """nbmake with the guard on the notebooks of that folder: no conftest, so no lab."""
    command = [sys.executable, "-m", "pytest", "-q", "--nbmake", "-p", "tests.notebook_guard"]
    command += ["-c", str(place.parent / "pytest.ini"), "-p", "no:cacheprovider"]
    command += [
        "-o",
        f"notebook_limit_s={limit_s}",
        f"--junitxml={place / 'report.xml'}",
        str(place),
    ]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What nbmake with the guard says of each case: the failure's text, None where it passed."""
    folder = tmp_path_factory.mktemp("cases")
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = session\n")
    limits_s = {"first": 60, "second": 60, "slow": 4}  # three pytests side by side
    for place in limits_s:
        (folder / place).mkdir()
    for index, (name, case) in enumerate((LOUD | SOUND).items()):
        place = "slow" if name == "too_slow" else ("first", "second")[index % 2]
        nbformat.write(notebook(case), folder / place / f"{name}.ipynb")
    nbformat.write(all_quiet()[0], folder / "second" / "quiet.ipynb")
    runs = [
        (folder / place, _start(folder / place, limit_s)) for place, limit_s in limits_s.items()
    ]
    outcomes: dict[str, str | None] = {}
    for place_path, run in runs:
        try:
            said, _ = run.communicate(timeout=160)
        finally:
            run.kill()
        report = place_path / "report.xml"
        assert report.exists(), said
        for case_report in ElementTree.parse(report).iter("testcase"):
            failure = case_report.find("failure")
            text = None if failure is None else f"{failure.get('message')}\n{failure.text}"
            outcomes[Path(case_report.get("name") or "").stem] = text
    return outcomes


@pytest.mark.parametrize("name", LOUD)
def test_stopped_notebook_fails(name: str, outcome: dict[str, str | None]) -> None:
    text = outcome[name]
    assert text is not None, "the guard let it pass"
    assert LOUD[name].says[0] in text
    assert "NBMAKE INTERNAL ERROR" not in text


@pytest.mark.parametrize("name", QUIET)
def test_quiet_failure_is_told(name: str, outcome: dict[str, str | None]) -> None:
    begin = all_quiet()[1][name]
    wanted = [says.format(begin, begin + 1, name=name) for says in QUIET[name].says]
    told = [line for line in (outcome["quiet"] or "").splitlines() if line.startswith("- ")]
    assert any(all(text in line for text in wanted) for line in told), told


@pytest.mark.parametrize("name", SOUND)
def test_sound_notebook_passes(name: str, outcome: dict[str, str | None]) -> None:
    assert outcome[name] is None


def test_every_case_ran(outcome: dict[str, str | None]) -> None:
    assert outcome.keys() == LOUD.keys() | SOUND.keys() | {"quiet"}


@pytest.mark.parametrize(
    ("answer", "says"),
    [("41", "refuses the solution"), ("42", "")],
    ids=["wrong-solution", "right-solution"],
)
def test_solved_run(answer: str, says: str, tmp_path: Path) -> None:
    check = "print('✓ right' if answer == 42 else 'Not yet. What is six times seven?')"
    solved = notebook(Case([f"answer = {answer}", check], tags={0: ["exercise"], 1: ["check"]}))
    with watching(solved=True) as watch:
        found = run_notebook(solved, tmp_path, watch)
    assert [says in problem.what for problem in found] == ([True] if says else [])


def test_probe_that_does_not_start_is_told(tmp_path: Path) -> None:
    with watching() as watch:
        (watch.folder / "ipython/profile_default/startup/00-notebook-guard.py").unlink()
        found = run_notebook(notebook(Case(["x = 1"])), tmp_path, watch)
    assert [problem.what for problem in found] == ["the guard's probe did not start in the kernel"]


def test_output_that_shows_a_secret(tmp_path: Path) -> None:
    cells = ["import ipywidgets", "print('the password is hunter-2-hunter')", "print('fine')"]
    cells += ["ipywidgets.HTML('hunter-2-hunter')"]
    with watching(secrets={"VOBIZ_PASSWORD": "hunter-2-hunter"}) as watch:
        found = run_notebook(notebook(Case(cells)), tmp_path, watch)
    assert {(problem.cell, problem.what) for problem in found} == {
        (1, "an output shows the secret VOBIZ_PASSWORD"),
        (3, "an output shows the secret VOBIZ_PASSWORD"),
        (None, "an output shows the secret VOBIZ_PASSWORD"),
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_interrupt_ends_the_run_and_its_kernel(number: signal.Signals, tmp_path: Path) -> None:
    """nbclient alone would end one kernel, and the next notebook would begin."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = session\n")
    place = tmp_path / "notebooks"
    place.mkdir()
    begun = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\n"
    nbformat.write(notebook(Case([begun + "time.sleep(60)"])), place / "a.ipynb")
    nbformat.write(notebook(Case(["open('later', 'w').close()"])), place / "b.ipynb")
    run = _start(place, 60)
    try:
        deadline = time.monotonic() + 60
        while not (place / "pid").exists() or not (place / "pid").read_text():
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.05)
        run.send_signal(number)
        said, _ = run.communicate(timeout=30)
    finally:
        run.kill()
    assert run.returncode == pytest.ExitCode.INTERRUPTED, said
    assert not (place / "later").exists()
    assert not psutil.pid_exists(int((place / "pid").read_text()))
