"""Runs a notebook under watch: with the probe in its kernel, and within its time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from tests.notebook_verdict import Problem, verdict

CELL_LIMIT_S = 50.0
NOTEBOOK_LIMIT_S = 60.0

_PROBE = Path(__file__).with_name("notebook_probe.py")
_STARTUP = """\
def _start_probe():
    import importlib.util, sys
    spec = importlib.util.spec_from_file_location("notebook_probe", {probe!r})
    sys.modules["notebook_probe"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.install({report!r})
_start_probe()
del _start_probe
"""
_FINISH = "await __import__('sys').modules['notebook_probe'].finish()"


@dataclass
class Watch:
    """One guarded run.

    Attributes:
        cell_limit_s: Seconds that one cell may take.
        notebook_limit_s: Seconds that the notebook may take, kernel's start included.
        solved: Whether the solutions stand in the exercises' place.
        secrets: Name and value of what no output may show.
        folder: Where kernel and probe keep what is the run's own.
    """

    cell_limit_s: float = CELL_LIMIT_S
    notebook_limit_s: float = NOTEBOOK_LIMIT_S
    solved: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path = Path()
    started: float = field(default_factory=monotonic)

    @property
    def report(self) -> Path:
        """The file that the probe writes to."""
        return self.folder / "findings.jsonl"

    def left_s(self) -> float:
        """Seconds until the notebook's time is up; never below 0.1, which nbclient can count."""
        return max(self.notebook_limit_s - (monotonic() - self.started), 0.1)

    def problems(self, nb: Any, failed: bool = False) -> list[Problem]:
        """Everything that speaks against the notebook that was run; see `verdict`."""
        lines = self.report.read_text().splitlines() if self.report.exists() else []
        found = verdict(
            nb,
            [json.loads(line) for line in lines],
            failed=failed,
            solved=self.solved,
            secrets=self.secrets,
        )
        taken = monotonic() - self.started
        if taken > self.notebook_limit_s:
            text = f"took {taken:.0f} s; a notebook has {self.notebook_limit_s:.0f} s"
            found.append(Problem(None, text))
        return found


@contextmanager
def watching(**how: Any) -> Iterator[Watch]:
    """A `Watch` with an IPython folder of its own, whose startup file loads the probe."""
    with tempfile.TemporaryDirectory(prefix="notebook-guard-") as folder:
        watch = Watch(folder=Path(folder), **how)
        startup = watch.folder / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        source = _STARTUP.format(probe=str(_PROBE), report=str(watch.report))
        (startup / "00-notebook-guard.py").write_text(source)
        yield watch


class GuardedClient(NotebookClient):
    """nbclient with the probe in its kernel and the watch's limits on cells and notebook."""

    def __init__(self, nb: Any, km: Any = None, *, watch: Watch, **options: Any) -> None:
        super().__init__(nb, km, **options)
        self._watch = watch
        self._interrupted = False

    def execute(self, *args: Any, **options: Any) -> Any:
        """Run the notebook.

        Raises:
            KeyboardInterrupt: Ctrl-C, or SIGTERM. nbclient would end this kernel and let the next
                notebook begin.
        """
        try:
            return super().execute(*args, **options)
        except Exception:
            if self._interrupted:
                raise KeyboardInterrupt from None
            raise

    async def async_start_new_kernel_client(self) -> Any:
        """Connect to the kernel; from here on a signal ends the run, in place of nbclient's own."""
        loop, running = asyncio.get_running_loop(), asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt, running)
        return await super().async_start_new_kernel_client()

    def _interrupt(self, running: asyncio.Task[Any] | None) -> None:
        self._interrupted = True
        self.shutdown_kernel = "immediate"
        if running is not None:
            running.cancel()

    async def async_start_new_kernel(self, **options: Any) -> None:
        """Start the kernel with the watch's IPython folder."""
        ipython = str(self._watch.folder / "ipython")
        options["env"] = {**(options.get("env") or os.environ), "IPYTHONDIR": ipython}
        await super().async_start_new_kernel(**options)

    async def async_execute_cell(self, cell: Any, cell_index: int, *args: Any, **kw: Any) -> Any:
        """Run one cell; after the last one, have the probe look for what failed in silence."""
        done = await super().async_execute_cell(cell, cell_index, *args, **kw)
        if cell_index == len(self.nb.cells) - 1:
            kernel: Any = self.kc
            await kernel.execute_interactive(
                _FINISH, silent=True, timeout=self._watch.left_s(), output_hook=lambda message: None
            )
        return done

    def _get_timeout(self, cell: Any) -> Any:
        own = super()._get_timeout(cell) or self._watch.cell_limit_s
        return min(own, self._watch.cell_limit_s, self._watch.left_s())


def run_notebook(nb: Any, folder: Path, watch: Watch) -> list[Problem]:
    """Run that notebook in that folder under the watch, without nbmake; return what is wrong."""
    client = GuardedClient(nb, watch=watch, resources={"metadata": {"path": str(folder)}})
    try:
        client.execute()
    except CellExecutionError:
        # the error output, or the probe's finding, says it better
        return watch.problems(nb, failed=True) or [Problem(None, "stopped without a reason")]
    except CellTimeoutError as error:
        return [Problem(None, str(error)), *watch.problems(nb, failed=True)]
    return watch.problems(nb)
