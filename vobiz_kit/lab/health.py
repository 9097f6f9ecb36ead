"""Look at the parts of a running lab: what the supervisor says, what they answer, what they use."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Any

import psutil

from vobiz_kit.lab.lab_status import PartStatus
from vobiz_kit.lab.probes import NotReady
from vobiz_kit.lab.stack import Part
from vobiz_kit.lab.supervision import Supervisor, log_path

# supervisord's states of a process, in words.
_STATES = {
    "STOPPED": "stopped",
    "STOPPING": "stopping",
    "STARTING": "starting",
    "BACKOFF": "restarting",
    "EXITED": "stopped",
    "FATAL": "given up",
    "UNKNOWN": "unknown",
}


async def examine(parts: Sequence[Part], supervisor: Supervisor) -> tuple[PartStatus, ...]:
    """The state of every part, asked all at once; takes at most about two seconds.

    Raises:
        SupervisorError: the supervisor does not answer.
    """
    infos = await asyncio.to_thread(supervisor.call, "getAllProcessInfo")
    by_name = {info["name"]: info for info in infos}
    spawns = _spawns(supervisor)
    return tuple(
        await asyncio.gather(
            *(_examine_part(part, by_name.get(part.name, {}), spawns) for part in parts)
        )
    )


async def _examine_part(part: Part, info: dict[str, Any], spawns: dict[str, int]) -> PartStatus:
    pid = info.get("pid") or None
    process_state = info.get("statename", "UNKNOWN")
    version = part.version
    healthy, state, detail = False, _STATES.get(process_state, "running"), ""
    if process_state in ("RUNNING", "STARTING"):
        try:
            version = await part.probe() or version
        except NotReady as reason:
            state, detail = "does not answer", str(reason)
        else:
            healthy, state = True, "healthy"
    elif process_state == "FATAL":
        detail = info.get("spawnerr") or "it ends as soon as it is started; see its log"
    return PartStatus(
        name=part.name,
        healthy=healthy,
        state=state,
        detail=detail,
        pid=pid,
        ports=part.ports,
        version=version,
        memory=_memory(pid) if pid else 0,
        uptime=max(0.0, time.time() - info.get("start", 0)) if pid else 0.0,
        restarts=max(0, spawns.get(part.name, 0) - 1),
    )


def _memory(pid: int) -> int:
    """Resident bytes of a process and its children; 0 once it is gone."""
    total = 0
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _spawns(supervisor: Supervisor) -> dict[str, int]:
    """How often each part was started, from the supervisor's log (it keeps no count)."""
    counts: dict[str, int] = {}
    text = log_path(supervisor.home, "supervisor").read_text(errors="replace")
    for name in re.findall(r"spawned: '([^']+)' with pid", text):
        counts[name] = counts.get(name, 0) + 1
    return counts
