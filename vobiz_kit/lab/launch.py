"""Start the parts of a lab, each as soon as what it needs is there, and wait until all are well."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

from vobiz_kit.errors import VobizKitError
from vobiz_kit.lab.probes import NotReady
from vobiz_kit.lab.progress import Progress
from vobiz_kit.lab.stack import Part
from vobiz_kit.lab.supervision import Refused, Supervisor, log_path

_ASK_EVERY = 0.1  # seconds between two probes of a part that is starting
_PATIENCE = 4.0  # seconds in which a part may end and be started again, then the start has failed


class PartFailedError(VobizKitError):
    """A part of the lab does not start, or not in time."""


async def launch(
    parts: Sequence[Part], supervisor: Supervisor, progress: Progress, *, within: float
) -> None:
    """Start every part that does not run yet and return when all of them are well.

    Args:
        parts: The parts; those named in ``after`` are waited for.
        supervisor: Their supervisor, running.
        progress: Is told about every part.
        within: Seconds until a part that is still not well fails the start.

    Raises:
        PartFailedError: with the end of the failing part's log.
    """
    ready = {part.name: asyncio.Event() for part in parts}
    deadline = time.monotonic() + within
    tasks = [
        asyncio.create_task(
            _launch_one(part, ready, supervisor, progress, deadline), name=f"start {part.name}"
        )
        for part in parts
    ]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _launch_one(
    part: Part,
    ready: dict[str, asyncio.Event],
    supervisor: Supervisor,
    progress: Progress,
    deadline: float,
) -> None:
    for name in part.after:
        await ready[name].wait()
    started = time.monotonic()
    info = await asyncio.to_thread(supervisor.call, "getProcessInfo", part.name)
    if info["statename"] not in ("RUNNING", "STARTING", "BACKOFF"):
        # SPAWN_ERROR: it ended at once. The supervisor tries again, and so it is waited for.
        with contextlib.suppress(Refused):
            await asyncio.to_thread(supervisor.call, "startProcess", part.name, False)
    await _wait_until_well(part, supervisor, deadline)
    ready[part.name].set()
    where = ", ".join(f"{name} {port}" for name, port in part.ports.items())
    if where:
        progress.line(f"  {part.name:15} ready after {time.monotonic() - started:4.1f} s   {where}")


async def _wait_until_well(part: Part, supervisor: Supervisor, deadline: float) -> None:
    reason = NotReady("it was not asked")
    patience = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            await part.probe()
        except NotReady as error:
            reason = error
        else:
            return
        info = await asyncio.to_thread(supervisor.call, "getProcessInfo", part.name)
        ends = info["statename"] == "BACKOFF" and time.monotonic() > patience
        if ends or info["statename"] == "FATAL":
            raise _failure(part, supervisor, "it ends as soon as it is started")
        await asyncio.sleep(_ASK_EVERY)
    raise _failure(part, supervisor, str(reason))


def _failure(part: Part, supervisor: Supervisor, reason: str) -> PartFailedError:
    lines = log_tail(supervisor, part.name, 12)
    return PartFailedError(
        f"The lab's {part.name} did not start.",
        evidence="\n    ".join([f"{reason}; the end of its log:", *lines]),
        fix=f"The whole log is {log_path(supervisor.home, part.name)}.",
    )


def log_tail(supervisor: Supervisor, part: str, lines: int) -> list[str]:
    """The last lines of a part's log, [] if it has written nothing."""
    path = log_path(supervisor.home, part)
    return path.read_text(errors="replace").splitlines()[-lines:] if path.is_file() else []
