"""Take a lab down when the process it was started for is gone, however that process ended.

A test session that is killed cannot clean up after itself; this runs beside the lab's parts and
does it. Started by the lab's supervisor as ``python -m vobiz_kit.lab.owner_watch``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys

import psutil

from vobiz_kit.lab.supervision import MARK


def main() -> None:
    """Wait for the owner's end, then start ``vobiz-kit lab down`` outside the lab."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pid", type=int, required=True, help="the owner's process id")
    parser.add_argument("--name", required=True, help="the lab's name")
    arguments = parser.parse_args()
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended before this began
        psutil.Process(arguments.pid).wait()
    # Without the mark: what takes the lab down must not be taken down with it.
    environment = {name: value for name, value in os.environ.items() if name != MARK}
    command = [sys.executable, "-m", "vobiz_kit.cli", "lab", "down", "--name", arguments.name]
    subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    signal.pause()  # the supervisor would start this again; it is about to be stopped


if __name__ == "__main__":
    main()
