"""A lab's folder: who may change it, what a killed lab left in it, and how it goes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from vobiz_kit.lab import supervision
from vobiz_kit.lab.state import LabConfig, cache_dir


@contextlib.asynccontextmanager
async def exclusive() -> AsyncIterator[None]:
    """Start or stop one lab at a time, so that two never take the same ports."""
    from filelock import AsyncFileLock

    path = cache_dir() / "labs" / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    async with AsyncFileLock(path):
        yield


def read_config(home: Path) -> LabConfig | None:
    """The configuration in that folder; None if there is none, or another version's."""
    try:
        return LabConfig.read(home)
    except (FileNotFoundError, TypeError, ValueError):
        return None


def prepare(home: Path, name: str) -> LabConfig:
    """Make the folder ready for a start, and end what a killed lab left running.

    That lab's configuration is kept if its ports are free: a notebook that has loaded the settings
    can go on after the takeover, with its trunks (they are in Redis' log).

    Raises:
        NoFreePortsError: no block of free ports was found.
    """
    supervision.end(supervision.processes(home))
    config = read_config(home)
    if config:
        _remove_socket(home, config)
    for leftover in ("lab.env", "supervisord.pid"):
        (home / leftover).unlink(missing_ok=True)
    shutil.rmtree(home / "logs", ignore_errors=True)
    if config is None or not config.ports_are_free():
        # Before the folder goes: the block that it names is not free, or not for long.
        taken = _blocks_in_use()
        shutil.rmtree(home, ignore_errors=True)
        config = LabConfig.new(name, taken)
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    return config


def remove(home: Path, *, keep_logs: bool) -> None:
    """Remove the folder of a lab that has been stopped.

    Args:
        home: The folder; it need not exist.
        keep_logs: Leave the logs, for whoever wonders why the lab did not start.
    """
    if config := read_config(home):
        _remove_socket(home, config)
    if not keep_logs:
        shutil.rmtree(home, ignore_errors=True)
        return
    for path in home.glob("*"):
        if path.name != "logs":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _remove_socket(home: Path, config: LabConfig) -> None:
    if not config.supervisor_socket:
        return
    socket = Path(config.supervisor_socket)
    socket.unlink(missing_ok=True)
    if socket.parent != home:
        shutil.rmtree(socket.parent, ignore_errors=True)


def _blocks_in_use() -> list[range]:
    """The blocks of ports that the labs of this cache have been given."""
    configs = map(read_config, (cache_dir() / "labs").glob("*/"))
    return [config.ports for config in configs if config]
