"""How far a call has come, as one phone sees it: states, SIP status, times."""

from __future__ import annotations

import time
from typing import Any, Literal

from vobiz_kit.errors import CallError
from vobiz_kit.lab.sip.events import Ended

State = Literal["dialing", "ringing", "talking", "ended"]

_WHO = {"local": "this phone", "remote": "the other side", "timeout": "a time-out"}


class Progress:
    """The course of one call.

    Attributes:
        incoming: Whether the other end called.
        other: The number at the other end, as SIP names it.
        state: "dialing" (outgoing, nothing back yet), "ringing", "talking" or "ended".
        rang: Whether the other end was heard to ring (outgoing), or this phone rang (incoming).
        sip_status: The last SIP status of the INVITE, 0 before any; `sip_reason` its phrase.
        ended_by: "local", "remote" or "timeout"; "" while the call lives.
        keys_heard: Keys that the other side has pressed.
        problem: Why there was no sound, or no voice, in plain words; "" if all is well.
    """

    def __init__(self, *, incoming: bool, other: str) -> None:
        self.incoming = incoming
        self.other = other
        self.state: State = "ringing" if incoming else "dialing"
        self.rang = incoming
        self.sip_status, self.sip_reason = (180, "Ringing") if incoming else (0, "")
        self.ended_by = ""
        self.keys_heard = ""
        self.problem = ""
        self._begin = time.monotonic()
        self._ringing_at = self._begin if incoming else 0.0
        self._talking_at = 0.0
        self._ended_at = 0.0

    @property
    def live(self) -> bool:
        """Whether the call is not over."""
        return self.state != "ended"

    @property
    def age(self) -> float:
        """Seconds since the call began, until it ended."""
        return (self._ended_at or time.monotonic()) - self._begin

    @property
    def talked(self) -> float:
        """Seconds that the call was (or has been) up."""
        return (self._ended_at or time.monotonic()) - self._talking_at if self._talking_at else 0.0

    @property
    def ended_for(self) -> float:
        """Seconds since the call ended; 0 while it lives."""
        return time.monotonic() - self._ended_at if self._ended_at else 0.0

    def rings(self, status: int, reason: str) -> None:
        """A provisional response came."""
        self.sip_status, self.sip_reason = status, reason
        self._ringing_at = self._ringing_at or time.monotonic()
        self.rang = self.rang or status == 180
        self.state = "ringing"

    def talks(self) -> None:
        """The call was answered."""
        self.sip_status, self.sip_reason = 200, "OK"
        self._talking_at = time.monotonic()
        self.state = "talking"

    def ends(self, event: Ended) -> None:
        """The call is over."""
        self._ended_at = time.monotonic()
        self.state = "ended"
        self.ended_by = event.by
        if event.status:
            self.sip_status, self.sip_reason = event.status, event.reason

    @property
    def course(self) -> str:
        """What has become of the call, in words."""
        if self.live:
            return f"the call is {self.state}"
        if not self._talking_at:
            return f"the call was never answered ({self.sip_status} {self.sip_reason})"
        return f"the call was ended by {_WHO[self.ended_by]}, {self.ended_for:.1f} s ago"

    def not_now(self, doing: str) -> CallError:
        """The error for doing something that the state of the call does not allow."""
        return CallError(
            f"The phone cannot {doing} now.",
            evidence=self.course,
            fix="Dial, or answer while it rings; `await phone.status()` tells what it is doing.",
            sip_status=self.sip_status or None,
        )

    def to_json(self) -> dict[str, Any]:
        """The course of the call as plain JSON data; times in seconds from its begin."""

        def after(moment: float) -> float | None:
            return round(moment - self._begin, 3) if moment else None

        return {
            "direction": "incoming" if self.incoming else "outgoing",
            "other": self.other,
            "state": self.state,
            "sip_status": self.sip_status,
            "sip_reason": self.sip_reason,
            "ended_by": self.ended_by,
            "rang": self.rang,
            "ringing_after": after(self._ringing_at),
            "answered_after": after(self._talking_at),
            "ended_after": after(self._ended_at),
            "talked": round(self.talked, 3),
            "keys_heard": self.keys_heard,
            "problem": self.problem,
        }
