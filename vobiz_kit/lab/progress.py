"""Tell the person at the keyboard what is going on: a spinner in a terminal, plain lines elsewhere.

A notebook, a log file and CI get lines that stay readable when they are kept; only a terminal gets
a line that changes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEARTBEAT = 20.0  # seconds between two plain lines about one long task


class Progress:
    """Prints what a long job does.

    Args:
        enabled: False keeps silent.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self._terminal = enabled and sys.stderr.isatty()

    def line(self, text: str) -> None:
        """Print one line that stays."""
        if self.enabled:
            print(text, file=sys.stderr if self._terminal else sys.stdout, flush=True)  # noqa: T201

    @contextmanager
    def task(self, title: str) -> Iterator[Callable[[str], None]]:
        """Show a task that takes a while, and how long it took.

        Yields:
            A function that says what the task is doing now ("compiling …").
        """
        started = time.monotonic()
        if self._terminal:
            with self._spinner(title, started) as say:
                yield say
        else:
            self.line(f"{title} …")
            yield self._heartbeat(title, started)
        self.line(f"{title}: done in {time.monotonic() - started:.1f} s")

    @contextmanager
    def _spinner(self, title: str, started: float) -> Iterator[Callable[[str], None]]:
        from rich.console import Console
        from rich.markup import escape

        console = Console(stderr=True)
        with console.status(escape(title)) as status:

            def say(detail: str) -> None:
                elapsed = time.monotonic() - started
                room = max(20, console.width - len(title) - 20)
                status.update(f"{escape(title)} [dim]{elapsed:4.0f} s  {escape(detail[:room])}[/]")

            yield say

    def _heartbeat(self, title: str, started: float) -> Callable[[str], None]:
        last = started

        def say(detail: str) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= HEARTBEAT:
                last = now
                self.line(f"{title}: {now - started:.0f} s, {detail}")

        return say
