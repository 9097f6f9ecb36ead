"""Run a lab's parts under supervisord: start, watch, restart, stop, and leave nothing behind.

Every process of a lab carries the lab's folder in its environment (`MARK`), which supervisord's
children inherit. So the lab's processes are found again even when the supervisor was killed.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Sequence
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import psutil

from vobiz_kit.errors import VobizKitError
from vobiz_kit.lab.stack import Part

MARK = "VOBIZ_KIT_LAB_HOME"

# What a part may see of the environment it is started from. The rest stays out: livekit-server
# reads LIVEKIT_KEYS, REDIS_HOST and the like, and a part must not meet somebody's cloud account.
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV")
_PASSED_ON_PREFIXES = ("LC_", "CONDA_", "DYLD_", "LD_LIBRARY_", "OMP_", "VOBIZ_KIT_CACHE")

# A Unix socket's path has room for 107 bytes on Linux and 103 on macOS, and supervisord first
# binds a name that is longer by a dot and its pid.
_LONGEST_SOCKET_PATH = 90


class SupervisorError(VobizKitError):
    """The supervisor could not be started or does not answer."""


def socket_path(home: Path) -> Path:
    """Where this lab's supervisor listens: in the lab's folder, or in a new short one."""
    path = home / "supervisor.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    return Path(tempfile.mkdtemp(prefix="vobiz-kit-")) / "supervisor.sock"


def log_path(home: Path, part: str) -> Path:
    """Where a part's output is kept ("supervisor" has a log, too)."""
    return home / "logs" / f"{part}.log"


def processes(home: Path) -> list[psutil.Process]:
    """Every living process of the lab in that folder, the supervisor's included."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(home) and is_alive(process):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            continue  # gone meanwhile, or somebody else's: not a process of this lab
    return found


def is_alive(process: psutil.Process) -> bool:
    """Whether the process runs (one that ended and waits for its parent does not)."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end(remaining: Sequence[psutil.Process], *, within: float = 5.0) -> None:
    """End these processes: SIGTERM, then SIGKILL for those that are still there.

    Args:
        remaining: The processes.
        within: Seconds to wait after SIGTERM.
    """
    for process in remaining:
        _signal(process, kill=False)
    _, alive = psutil.wait_procs(remaining, timeout=within)
    for process in alive:
        _signal(process, kill=True)
    psutil.wait_procs(alive, timeout=within)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return


class Refused(SupervisorError):  # noqa: N818 - an answer
    """The supervisor answers, and does not do what it was asked to."""


class Supervisor:
    """The supervisord of one lab.

    Args:
        home: The lab's folder.
        socket: Its Unix socket, from `socket_path`.
    """

    def __init__(self, home: Path, socket: Path) -> None:
        self.home = home
        self.socket = socket

    def start(self, parts: Sequence[Part]) -> None:
        """Start supervisord in the background. It knows the parts, and starts none by itself.

        Raises:
            SupervisorError: it does not start (with its own words).
        """
        configuration = self.home / "supervisord.conf"
        configuration.write_text(self._configuration(parts))
        log_path(self.home, "supervisor").parent.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", configuration],
            env=self._environment(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            start_new_session=True,  # Ctrl-C in the terminal is not meant for it
        )
        # It returns as soon as the socket is there and the daemon is on its own.
        if done.returncode != 0:
            raise SupervisorError(
                "The lab's supervisor did not start.",
                evidence=(done.stderr or done.stdout).strip()[-2000:],
                fix="vobiz-kit lab down, then start the lab again.",
            )

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of supervisord's XML-RPC interface, e.g. ``getAllProcessInfo``.

        Raises:
            Refused: it does not do it, e.g. ``SPAWN_ERROR``.
            SupervisorError: it does not answer.
        """
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        with xmlrpc.client.ServerProxy("http://supervisor", transport=transport) as proxy:
            try:
                return getattr(proxy.supervisor, method)(*arguments)
            except xmlrpc.client.Fault as fault:
                raise Refused(
                    f"The lab's supervisor refused {method}.", evidence=fault.faultString
                ) from fault
            except (OSError, xmlrpc.client.Error) as error:
                raise SupervisorError(
                    "The lab's supervisor does not answer.",
                    evidence=f"{method} at {self.socket}: {error}",
                    fix="vobiz-kit lab up takes the lab over.",
                ) from error

    def stop(self, within: float = 5.0) -> None:
        """Stop every part, all at once, and then the supervisor.

        supervisord's own shutdown would take the parts one after the other, and itself two seconds
        more; with nothing left to supervise it is simply killed.

        Args:
            within: Seconds to wait at most; after two, supervisord kills what is still there.
        """
        supervisor = self.call("getPID")
        parts = [process for process in processes(self.home) if process.pid != supervisor]
        self.call("stopAllProcesses", False)
        psutil.wait_procs(parts, timeout=within)
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(supervisor)
            process.kill()
            process.wait(within)

    def answers(self) -> bool:
        """Whether a supervisor runs there."""
        try:
            return bool(self.call("getState")["statename"] == "RUNNING")
        except SupervisorError:
            return False

    def _environment(self) -> dict[str, str]:
        passed_on = {
            name: value
            for name, value in os.environ.items()
            if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
        }
        return passed_on | {MARK: str(self.home), "PYTHONUNBUFFERED": "1"}

    def _configuration(self, parts: Sequence[Part]) -> str:
        conf = RawConfigParser()
        conf["supervisord"] = {
            "logfile": _escaped(log_path(self.home, "supervisor")),
            "logfile_maxbytes": "1MB",
            "logfile_backups": "1",
            "pidfile": _escaped(self.home / "supervisord.pid"),
            "identifier": "vobiz-kit-lab",
            "minfds": "1024",
        }
        if os.geteuid() == 0:
            conf["supervisord"]["user"] = "root"
        conf["unix_http_server"] = {"file": _escaped(self.socket), "chmod": "0700"}
        conf["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": ("supervisor.rpcinterface:make_main_rpcinterface"),
        }
        for part in parts:
            conf[f"program:{part.name}"] = {
                "command": _escaped(shlex.join(part.command)),
                "directory": _escaped(self.home),
                "autostart": "false",
                "autorestart": "true",
                "startsecs": "1",
                "startretries": "5",
                "stopsignal": part.stop_signal,
                "stopwaitsecs": "2",
                "stopasgroup": "true",
                "killasgroup": "true",
                "redirect_stderr": "true",
                "stdout_logfile": _escaped(log_path(self.home, part.name)),
                "stdout_logfile_maxbytes": "5MB",
                "stdout_logfile_backups": "2",
            }
        text = io.StringIO()
        conf.write(text)
        return text.getvalue()


def _escaped(value: object) -> str:
    """As supervisord's configuration wants it: it expands ``%(name)s``."""
    return str(value).replace("%", "%%")
