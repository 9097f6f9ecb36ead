"""A list of events that can be read, subscribed to, and waited on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from vobiz_kit.call_events import CallEvent


class EventLog:
    """The events of one call; belongs to one event loop."""

    def __init__(self) -> None:
        self._events: list[CallEvent] = []
        self._subscribers: list[Callable[[CallEvent], None]] = []
        self._changed = asyncio.Event()

    @property
    def events(self) -> Sequence[CallEvent]:
        """Everything that happened so far, without sentences that are still being spoken."""
        return tuple(self._events)

    def subscribe(self, callback: Callable[[CallEvent], None]) -> Callable[[], None]:
        """Have every event from now on handed to a function, on the call's event loop.

        Sentences come several times while they are spoken, with ``data["final"]`` False. An error
        in the function goes to the event loop's exception handler; the call is not disturbed.

        Args:
            callback: Takes a `CallEvent`.

        Returns:
            A function that ends the subscription.
        """
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def _add(self, event: CallEvent, *, keep: bool = True) -> None:
        if keep:
            self._events.append(event)
        self._changed.set()
        self._changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        for subscriber in [*self._subscribers]:
            loop.call_soon(subscriber, event)

    async def _until(self, done: Callable[[], object], within: float) -> bool:
        """Wait for something to become true; whether it did."""
        deadline = time.monotonic() + within
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return bool(done())
        return True
