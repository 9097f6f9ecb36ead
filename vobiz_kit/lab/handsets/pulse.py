"""Waiting for something to become true, woken by whoever may have made it so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Pulse:
    """Wakes everybody who waits, whenever something has changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def beat(self) -> None:
        """Something has changed: let all who wait look again."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, condition: Callable[[], bool], deadline: float) -> bool:
        """Wait until the condition holds or time is up; says whether it holds.

        Args:
            condition: Looked at now and after each beat.
            deadline: In `time.monotonic` seconds.
        """
        while not condition():
            event = self._event
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await event.wait()
            except TimeoutError:
                return condition()
        return True
