"""The trunk's limits: new calls per second and calls at once, as Vobiz has them (2 and 10)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


class CallLimits:
    """Says whether one more call from LiveKit may start.

    Args:
        cps: New calls in any second.
        concurrent: Calls at once.
        clock: Seconds; for tests.
    """

    def __init__(
        self, cps: int, concurrent: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.cps = cps
        self.concurrent = concurrent
        self._clock = clock
        self._starts: deque[float] = deque()

    def admit(self, active: int) -> str | None:
        """Count one more call; return the reason phrase if it is one too many.

        Args:
            active: Calls in progress.
        """
        now = self._clock()
        while self._starts and self._starts[0] <= now - 1.0:
            self._starts.popleft()
        if active >= self.concurrent:
            return f"concurrent call limit exceeded ({self.concurrent})"
        if len(self._starts) >= self.cps:
            return f"cps limit exceeded ({self.cps} per second)"
        self._starts.append(now)
        return None
