"""The system packages with which livekit-sip is built: a C compiler and three audio libraries."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

from vobiz_kit.errors import VobizKitError
from vobiz_kit.lab.progress import Progress

LIBRARIES = ("opus", "opusfile", "soxr")
DEBIAN = ("gcc", "libc6-dev", "pkg-config", "libopus-dev", "libopusfile-dev", "libsoxr-dev")
CONDA = ("c-compiler", "pkg-config", "libopus", "opusfile", "soxr")
HOMEBREW = ("pkg-config", "opus", "opusfile", "libsoxr")


class MissingPackagesError(VobizKitError):
    """livekit-sip cannot be built before some system packages are installed."""


def missing() -> list[str]:
    """What livekit-sip's build lacks on this machine, in words; empty if nothing."""
    lacking = []
    compiler = os.environ.get("CC", "").split() or ["gcc"]
    if shutil.which(compiler[0]) is None and shutil.which("cc") is None:
        lacking.append("a C compiler")
    if shutil.which("pkg-config") is None:
        return [*lacking, "pkg-config", *LIBRARIES]
    for library in LIBRARIES:
        if subprocess.run(["pkg-config", "--exists", library], check=False).returncode != 0:
            lacking.append(library)
    return lacking


def install_command() -> list[str]:
    """The one command that installs them here (without sudo)."""
    if os.environ.get("CONDA_PREFIX"):
        return ["conda", "install", "--yes", "--channel", "conda-forge", *CONDA]
    if sys.platform == "darwin":
        return ["brew", "install", *HOMEBREW]
    return ["apt-get", "install", "--yes", "--no-install-recommends", *DEBIAN]


async def ensure_build_packages(progress: Progress) -> None:
    """Make sure that livekit-sip can be built; as root on Debian or Ubuntu, install what lacks.

    Raises:
        MissingPackagesError: something lacks that cannot be installed from here.
    """
    lacking = missing()
    if not lacking:
        return
    command = install_command()
    if command[0] != "apt-get" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        sudo = ["sudo"] if command[0] == "apt-get" else []
        raise MissingPackagesError(
            "livekit-sip cannot be built yet.",
            evidence=f"missing: {', '.join(lacking)}",
            fix=f"Run this line, then start the lab again:\n    {' '.join([*sudo, *command])}",
        )
    with progress.task("Installing system packages for livekit-sip") as say:
        for step in (["apt-get", "update"], command):
            say(" ".join(step))
            process = await asyncio.create_subprocess_exec(
                *step,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            output, _ = await process.communicate()
            if process.returncode != 0:
                last = output.decode(errors="replace").splitlines()[-8:]
                raise MissingPackagesError(
                    f"{' '.join(step[:2])} failed.",
                    evidence="\n    ".join(last),
                    fix="Check the connection and the package sources, then start the lab again.",
                )


def library_rpath() -> str:
    """The linker's flag with which a program finds the libraries where pkg-config found them.

    Debian's lie where the loader looks anyway ("" then); those of conda and Homebrew do not.
    """
    if shutil.which("pkg-config") is None:
        return ""
    done = subprocess.run(
        ["pkg-config", "--variable=libdir", "opus"], capture_output=True, text=True, check=False
    )
    folder = done.stdout.strip()
    if not folder or Path(folder).is_relative_to("/usr/lib"):
        return ""
    return f"-Wl,-rpath,{folder}"
