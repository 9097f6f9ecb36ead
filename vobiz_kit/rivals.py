"""Other processes on this machine that serve the same agent: calls may land there, unnoticed."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vobiz_kit.sources import lab_env_path

if TYPE_CHECKING:
    from vobiz_kit.settings import Settings


@dataclass(frozen=True)
class Rival:
    """A process that serves an agent.

    Attributes:
        pid: Its process id.
        created: When the process began, in Unix seconds; with the pid it is unmistakable.
        agent_name: The agent's name.
        livekit_url: Where it is registered.
        folder: The process's working directory, as a hint for a person.
    """

    pid: int
    created: float
    agent_name: str
    livekit_url: str
    folder: str

    def alive(self) -> bool:
        """Whether that very process still runs."""
        import psutil

        try:
            return abs(psutil.Process(self.pid).create_time() - self.created) < 1
        except psutil.Error:
            return False

    def __str__(self) -> str:
        return f"process {self.pid}, started in {self.folder}"


def announce(settings: Settings) -> list[Rival]:
    """Write down that this process serves the agent; give the others that do.

    Args:
        settings: The agent's name, and where it is registered.
    """
    import psutil

    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    others = []
    for path in folder.glob("*.json"):
        rival = _read(path)
        if rival is None or not rival.alive():
            path.unlink(missing_ok=True)
        elif rival.pid != os.getpid():
            others.append(rival)
    me = Rival(
        os.getpid(),
        psutil.Process().create_time(),
        settings.agent_name,
        settings.livekit_url,
        str(Path.cwd()),
    )
    _own(settings).write_text(json.dumps(asdict(me)))
    return others


def withdraw(settings: Settings) -> None:
    """This process serves the agent no more."""
    _own(settings).unlink(missing_ok=True)


def _folder(settings: Settings) -> Path:
    who = f"{settings.livekit_url} {settings.agent_name}"
    cache = lab_env_path(os.environ).parents[2]
    return cache / "agents" / hashlib.sha256(who.encode()).hexdigest()[:16]


def _own(settings: Settings) -> Path:
    return _folder(settings) / f"{os.getpid()}.json"


def _read(path: Path) -> Rival | None:
    try:
        return Rival(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
