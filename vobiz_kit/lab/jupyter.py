"""Run JupyterLab on the first notebook, with the lab beside it for as long as it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from vobiz_kit.errors import VobizKitError

FIRST_NOTEBOOK = Path("notebooks") / "00_start_here.ipynb"


def run_jupyter(arguments: Sequence[str]) -> int:
    """Run ``jupyter lab`` on the first notebook until the person stops it.

    Args:
        arguments: Passed on to it, e.g. ``["--no-browser"]``.

    Returns:
        Its exit code.

    Raises:
        VobizKitError: the notebooks are not in this folder.
    """
    if not FIRST_NOTEBOOK.is_file():
        raise VobizKitError(
            "The notebooks are not here.",
            evidence=f"no {FIRST_NOTEBOOK} in {Path.cwd()}",
            fix="Change to the folder that you cloned, then try again.",
        )
    root = ["--allow-root"] if os.geteuid() == 0 else []  # JupyterLab refuses to run as root
    command = [
        *(sys.executable, "-m", "jupyter", "lab", *root),
        # Naming the notebook as a file would hide everything outside its folder, and the address
        # that is printed would not lead to it.
        f"--ServerApp.root_dir={Path.cwd()}",
        f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK.as_posix()}",
        *arguments,
    ]
    process = subprocess.Popen(command)

    def pass_on(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    # Ctrl-C in a terminal reaches JupyterLab by itself, and it asks back. It alone decides.
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, pass_on),
        signal.SIGHUP: signal.signal(signal.SIGHUP, pass_on),
    }
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
