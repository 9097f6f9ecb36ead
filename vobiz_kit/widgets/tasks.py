"""Tasks that a widget owns: named, kept, their errors shown, cancelled and awaited at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Tasks:
    """The tasks of one owner.

    Args:
        on_error: Told of the exception of each task that failed. Nothing is swallowed: without a
            taker the event loop's own handler would only write it to a log.
    """

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._on_error = on_error
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run this in the background on the running event loop.

        Raises:
            RuntimeError: there is no running event loop (a plain script, not a notebook).
        """
        try:
            task = asyncio.get_running_loop().create_task(work, name=name)
        except RuntimeError:
            work.close()
            raise
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def start_if_loop(
        self, name: str, work: Callable[[], Coroutine[Any, Any, Any]]
    ) -> asyncio.Task[Any] | None:
        """The same where an event loop is running; elsewhere do nothing and give None."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return None
        return self.start(name, work())

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            self._on_error(error)

    def cancel(self) -> None:
        """Cancel them all, without waiting."""
        for task in tuple(self._tasks):
            task.cancel()

    async def aclose(self) -> None:
        """Cancel them all and wait until they are over."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        self.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
