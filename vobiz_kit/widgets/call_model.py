"""The state behind the widgets of a call, without any view.

`CallModel` follows a call: it hears of every event once and keeps what a person wants to see. The
widgets show its traits; tests and other front ends can use it without a browser.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from traitlets import Any as AnyTrait
from traitlets import Float, HasTraits, Tuple, Unicode

# status -> sign and words; a sign never stands alone, and neither does a colour.
STATUS_WORDS: dict[str, tuple[str, str]] = {
    "": ("○", "Ready"),
    "dispatched": ("…", "Dispatched: the agent is on its way to the call's room"),
    "dialing": ("…", "Dialing"),
    "ringing": ("…", "Ringing"),
    "active": ("✓", "Answered: agent and caller can talk"),
    "transferring": ("…", "Transferring: the carrier has been asked"),
    "transferred": ("✓", "Transferred: the caller has left the agent"),
    "ended": ("■", "Ended"),
    "failed": ("✗", "Failed"),
}
OVER = frozenset({"transferred", "ended", "failed"})
TALKING = frozenset({"active", "transferring"})


class Event(Protocol):
    """What is read of a `vobiz_kit.calls.CallEvent`."""

    @property
    def time(self) -> float: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def data(self) -> Mapping[str, Any]: ...  # noqa: D102


class Line(Protocol):
    """What is read of a line of a call's transcript."""

    @property
    def speaker(self) -> str: ...  # noqa: D102 - "caller" or "agent"
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def final(self) -> bool: ...  # noqa: D102


class CallLike(Protocol):
    """What the widgets need of a `vobiz_kit.calls.Call`."""

    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def transcript(self) -> Sequence[Line]: ...  # noqa: D102
    @property
    def events(self) -> Sequence[Event]: ...  # noqa: D102
    def subscribe(self, callback: Callable[[Any], None]) -> Callable[[], None]: ...  # noqa: D102
    @property
    def outcome(self) -> Any: ...  # noqa: D102 - a `vobiz_kit.outcomes.Outcome` or None
    @property
    def job_ended(self) -> float | None: ...  # noqa: D102
    @property
    def settings(self) -> Any: ...  # noqa: D102
    def explain(self) -> str: ...  # noqa: D102
    async def hang_up(self) -> None: ...  # noqa: D102
    async def transfer(self, destination: str) -> Any: ...  # noqa: D102


class CallModel(HasTraits):
    """What is known of a call, as traits.

    Attributes:
        status: The call's status; "" before there is a call.
        reason: Why it failed, or "".
        lines: The transcript: pairs of speaker and words; of words still being spoken the last.
        answered_at: Unix time of the answer, 0 before it.
        ended_at: Unix time of the end, 0 before it.
        last_event: The event that came last, or None.
    """

    status = Unicode("")
    reason = Unicode("")
    lines = Tuple()
    answered_at = Float(0.0)
    ended_at = Float(0.0)
    last_event = AnyTrait(None, allow_none=True)

    def __init__(self) -> None:
        super().__init__()
        self.call: CallLike | None = None
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def over(self) -> bool:
        """Whether there is no call in progress."""
        return not self.status or self.status in OVER

    def duration(self, now: float | None = None) -> float:
        """Seconds since the answer, up to the end of the call; 0 before the answer.

        Args:
            now: Unix time; the clock's by default.
        """
        if not self.answered_at:
            return 0.0
        until = self.ended_at or (time.time() if now is None else now)
        return max(until - self.answered_at, 0.0)

    def follow(self, call: CallLike) -> None:
        """Show this call from now on, and what has happened in it so far."""
        self.unfollow()
        with self.hold_trait_notifications():
            self.call = call
            self.reason, self.lines, self.last_event = "", (), None
            self.answered_at = self.ended_at = 0.0
            for event in tuple(call.events):
                self._take(event)
            self._refresh()
        self._unsubscribe = call.subscribe(self._hear)

    def unfollow(self) -> None:
        """Hear no more of the call; what is shown stays."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _hear(self, event: Event) -> None:
        with self.hold_trait_notifications():
            self._take(event)
            self._refresh()

    def _take(self, event: Event) -> None:
        if event.kind == "status":
            status = str(event.data.get("status", ""))
            if status in TALKING and not self.answered_at:
                self.answered_at = event.time
            if status in OVER and not self.ended_at:
                self.ended_at = event.time
        self.last_event = event

    def _refresh(self) -> None:
        if self.call is None:
            return
        self.status = self.call.status
        self.lines = tuple((ln.speaker, ln.text, ln.final) for ln in self.call.transcript)
        failed = self.status == "failed"
        self.reason = str(self.call.outcome or self.call.explain()) if failed else ""
