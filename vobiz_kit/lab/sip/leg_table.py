"""The dialogs of one endpoint, by Call-ID and local tag (RFC 3261 section 12)."""

from __future__ import annotations

import asyncio

from aiosipua import SipRequest
from aiosipua.dialog import dialog_matches

from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.legs import Leg
from vobiz_kit.lab.sip.transactions import TIMEOUT

MAX_LEGS = 500
"""Legs that live or linger. livekit-sip itself stops at about 140 calls on two cores."""


class LegTable:
    """Legs that live, and for 32 s those that are over: a BYE or a late 200 may be on its way."""

    def __init__(self) -> None:
        self._legs: dict[tuple[str, str], Leg] = {}
        self._lingering: dict[Leg, asyncio.TimerHandle] = {}

    @property
    def is_full(self) -> bool:
        """Whether there is no room for one more call."""
        return len(self._legs) >= MAX_LEGS

    @property
    def live(self) -> list[Leg]:
        """The legs that are not over, oldest first."""
        return [leg for leg in self._legs.values() if leg.ended is None]

    def add(self, leg: Leg) -> None:
        """Keep a new leg."""
        self._legs[(leg.call_id, leg.dialog.local_tag)] = leg

    def find(self, request: SipRequest) -> Leg | None:
        """The leg in whose dialog a request came."""
        to = request.to_addr
        leg = self._legs.get((request.call_id or "", (to.tag if to else "") or ""))
        return leg if leg is not None and dialog_matches(leg.dialog, request) else None

    def has_merged(self, request: SipRequest) -> bool:
        """Whether this INVITE came already by another way (section 8.2.2.2)."""
        from_ = request.from_addr
        return any(
            leg.incoming
            and leg.call_id == request.call_id
            and leg.invite.headers.get("cseq") == request.headers.get("cseq")
            and from_ is not None
            and from_.tag == leg.dialog.remote_tag
            for leg in self.live
        )

    def linger(self, leg: Leg) -> None:
        """A leg is over: forget it in a while."""
        loop = asyncio.get_running_loop()
        self._lingering[leg] = loop.call_later(TIMEOUT, self._forget, leg)

    def _forget(self, leg: Leg) -> None:
        self._legs.pop((leg.call_id, leg.dialog.local_tag), None)
        self._lingering.pop(leg, None)

    def close(self) -> None:
        """Stop every timer."""
        for leg in self._legs.values():
            if isinstance(leg, IncomingLeg):
                leg.stop_timers()
        for timer in self._lingering.values():
            timer.cancel()
        self._legs.clear()
        self._lingering.clear()
