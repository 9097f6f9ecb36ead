"""How often may be dialled: transfers of one call, and calls and transfers in an hour.

The limits bound what a loop, or a caller who tries one trick after another, can cost. They count
in this process; the carrier's own limits count everywhere.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from vobiz_kit.errors import NotAllowed

if TYPE_CHECKING:
    from vobiz_kit.asked import Asked
    from vobiz_kit.settings import Settings

_HOUR_S = 3600.0
_MOST_ROOMS = 10_000  # whose attempts are remembered; the longest untouched is forgotten first


class DialLimits:
    """Counts what is dialled, for all threads of this process.

    The limits themselves are settings. Those by the hour hold on the cloud only, since the lab's
    calls are free; the one of a single call holds everywhere.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._attempts: OrderedDict[str, int] = OrderedDict()
        self._hour: dict[str, deque[tuple[float, str]]] = {"call": deque(), "transfer": deque()}

    def forbidden(self, asked: Asked) -> None:
        """Count an attempt to dial what must not be dialled: it uses up one of its call."""
        with self._lock:
            self._count_attempt(asked)

    def allowed(self, asked: Asked, settings: Settings) -> None:
        """Count something that is about to be dialled.

        Args:
            asked: Who dials, in which call. The same call's room counts once as a call, however
                many steps of the way ask for it.
            settings: What the limits are.

        Raises:
            NotAllowed: it would be one too many.
        """
        with self._lock:
            tries = self._count_attempt(asked)
            if asked.kind == "transfer" and asked.room and tries > settings.transfers_per_call:
                raise _one_call(settings.transfers_per_call)
            if settings.backend == "cloud":
                self._count_hour(asked, settings)

    def _count_attempt(self, asked: Asked) -> int:
        if asked.kind != "transfer" or not asked.room:
            return 0
        tries = self._attempts.pop(asked.room, 0) + 1
        self._attempts[asked.room] = tries  # last again: it has just been touched
        while len(self._attempts) > _MOST_ROOMS:
            self._attempts.popitem(last=False)
        return tries

    def _count_hour(self, asked: Asked, settings: Settings) -> None:
        recent = self._hour[asked.kind]
        now = self._clock()
        while recent and now - recent[0][0] > _HOUR_S:
            recent.popleft()
        if asked.kind == "call" and asked.room and any(room == asked.room for _, room in recent):
            return
        limit = settings.calls_per_hour if asked.kind == "call" else settings.transfers_per_hour
        if len(recent) >= limit:
            raise _one_hour(asked.kind, limit, now - recent[0][0] if recent else 0.0)
        recent.append((now, asked.room))


def _one_call(limit: int) -> NotAllowed:
    return NotAllowed(
        f"{limit} transfers have been tried in this call; that is the limit.",
        rule="transfers_per_call",
        evidence=f"VOBIZ_KIT_TRANSFERS_PER_CALL is {limit}",
        fix="See in the audit log what was tried. If callers need more, raise the limit in .env.",
        spoken="I have tried to connect you too often in this call, so I cannot try again.",
    )


def _one_hour(kind: str, limit: int, oldest_s: float) -> NotAllowed:
    wait = max(1, round((_HOUR_S - oldest_s) / 60))
    name = f"VOBIZ_KIT_{kind.upper()}S_PER_HOUR"
    done = "placed" if kind == "call" else "sent"
    return NotAllowed(
        f"{limit} real {kind}s have been {done} here within an hour; that is the limit.",
        rule=f"{kind}s_per_hour",
        evidence=f"{name} is {limit}, and the oldest of them is {oldest_s / 60:.0f} minutes old"
        if limit
        else f"{name} is 0",
        fix=f"Wait {wait} minutes, raise {name} in .env, or practise in the lab, where calls are"
        " free.",
        spoken="I have reached the limit of what I may dial, so I cannot connect you now.",
    )


dial_limits = DialLimits()
