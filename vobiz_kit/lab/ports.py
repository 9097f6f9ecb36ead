"""Choose a lab's ports: one block of neighbouring ports that nobody uses.

The block lies below the range from which the system takes ports for outgoing connections
(32768 up on Linux, 49152 up on macOS), so that no connection can take a port away while the part
that owns it is being restarted.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable

from vobiz_kit.errors import VobizKitError

LOOPBACK = "127.0.0.1"
FIRST, LAST = 10_000, 32_767


class NoFreePortsError(VobizKitError):
    """No block of free ports was found on loopback."""


def is_free(port: int) -> bool:
    """Whether a server could listen on that loopback port now, with UDP and with TCP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind is socket.SOCK_STREAM:
                # Servers set it too: what an old connection left in TIME_WAIT does not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True


def free_block(size: int, taken: Iterable[range] = (), *, attempts: int = 200) -> range:
    """A block of free ports on loopback, chosen at random.

    Args:
        size: How many ports, one after the other; the first is even (RTP convention, RFC 3550
            section 11).
        taken: Blocks that other labs have been given, whether or not they listen already.
        attempts: How many of the blocks that nobody was given are tried.

    Raises:
        NoFreePortsError: none of them was free.
    """
    taken = list(taken)
    starts = [
        first
        for first in range(FIRST, LAST - size + 1, 2)
        if not any(first < other.stop and other.start < first + size for other in taken)
    ]
    tried = random.sample(starts, min(attempts, len(starts)))
    for first in tried:
        block = range(first, first + size)
        if all(is_free(port) for port in block):
            return block
    raise NoFreePortsError(
        f"No block of {size} free ports was found between {FIRST} and {LAST}.",
        evidence=f"{len(tried)} random blocks were tried on {LOOPBACK}",
        fix="Stop labs that are not needed (vobiz-kit lab down --name NAME), then try again.",
    )
