"""Which process an agent runs in, written on the agent's participant.

When a process is killed, LiveKit keeps its agent in the room for 21 s more (measured: the time
after which it gives up ICE), and says nowhere that it is gone. On the machine where it ran, the
operating system knows at once.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from functools import cache
from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # Linux; anew with each boot

PROCESS_ATTRIBUTE = "vobiz.process"


@cache
def own_mark() -> str:
    """This process, as the value of `PROCESS_ATTRIBUTE`."""
    return json.dumps([_machine(), os.getpid(), psutil.Process().create_time()])


def is_dead(mark: str) -> bool:
    """Whether that process ran on this machine and is gone. False if nobody here can know.

    Args:
        mark: What `own_mark` gave there; anything may stand in an attribute.
    """
    try:
        machine, pid, created = json.loads(mark)
        if machine != _machine():
            return False
        process = psutil.Process(int(pid))
        # Killed, and not yet collected by the process that started it.
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(process.create_time() - float(created)) >= 1
    except psutil.NoSuchProcess:
        return True
    except (ValueError, TypeError, psutil.Error):
        return False


@cache
def _machine() -> str:
    # Not the time of the boot, which is worked out anew and moves by a second now and then.
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.is_file() else f"{uuid.getnode():x}"
    return f"{socket.gethostname()} {boot}"
