"""The leg of a call that somebody else began (RFC 3261 section 13.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiosipua import SdpMessage, SipRequest, create_dialog_from_request, parse_sdp
from aiosipua.transaction import T1, T2, TIMER_H

from vobiz_kit.lab.sip.events import Confirmed
from vobiz_kit.lab.sip.legs import Leg
from vobiz_kit.lab.sip.target import remote_target_address
from vobiz_kit.lab.sip.transactions import ServerTransaction
from vobiz_kit.lab.sip.transport import Address
from vobiz_kit.lab.sip.validate import reason_phrase

if TYPE_CHECKING:
    from vobiz_kit.lab.sip.endpoint import SipEndpoint

BYE_GRACE = 2.0
"""Seconds that a BYE waits for the ACK of our 200 before it goes out without."""


class IncomingLeg(Leg):
    """An INVITE that came in. `ring`, then `answer` or `reject`; `hang_up` at any time.

    ``remote_sdp`` is the offer, None if the INVITE had none.
    """

    incoming = True

    def __init__(
        self, endpoint: SipEndpoint, transaction: ServerTransaction, source: Address
    ) -> None:
        request = transaction.request
        dialog = create_dialog_from_request(request)
        # RFC 3261 section 12.1.1: in order for the callee; aiosipua reverses it.
        dialog.route_set = list(request.headers.get("record-route"))
        super().__init__(endpoint, dialog, source)
        self.remote = remote_target_address(request, dialog, source)
        self.source = source
        self.invite = request
        if request.body:
            self.remote_sdp = parse_sdp(request.text)
        self._transaction = transaction
        self._acknowledged = False
        self._bye_headers: dict[str, str] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def responded(self) -> bool:
        """Whether anything was answered yet, or never will be."""
        return self._transaction.last is not None or self.ended is not None

    def ignore(self) -> None:
        """Never answer, not even with 100: a phone that the network does not reach."""
        self._transaction.expire_later()
        self._end("local", 408, "ignored")

    def trying(self) -> None:
        """Send 100, which stops the caller's retransmissions."""
        self.respond(self._transaction, 100)

    def ring(
        self,
        status: int = 180,
        *,
        sdp: SdpMessage | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a provisional response: 180 rings, 183 with `sdp` begins early media."""
        if self.ended is None and not self.answered_at:
            self.local_sdp = sdp or self.local_sdp
            self.respond(self._transaction, status, sdp=sdp, headers=headers, contact=True)

    def answer(self, sdp: SdpMessage, *, headers: Mapping[str, str] | None = None) -> None:
        """Send the 200, repeated until its ACK comes; without one for 32 s the leg ends."""
        if self.ended is not None or self.answered_at:
            return
        self.local_sdp = sdp
        extra = {"Allow": self._endpoint.allow, **(headers or {})}
        self.respond(self._transaction, 200, sdp=sdp, headers=extra, contact=True)
        self._up()
        self._schedule(T1, self._repeat_answer, T1, T1)

    def reject(
        self, status: int, reason: str = "", *, headers: Mapping[str, str] | None = None
    ) -> None:
        """Refuse the call with a final response of 300 or more."""
        if self.ended is None and not self.answered_at:
            self.respond(self._transaction, status, reason, headers=headers)
            self._end("local", status, reason or reason_phrase(status))

    def hang_up(self, reason: str = "", headers: Mapping[str, str] | None = None) -> None:
        """End the leg: BYE if it was answered, else 480."""
        if not self.is_up:
            self.reject(480)
            return
        self._bye_headers = {**({"Reason": reason} if reason else {}), **(headers or {})}
        if self._acknowledged:
            self._send_bye()
        else:
            # Section 15: no BYE before the ACK. livekit-sip sends none for SDP that it dislikes.
            self._schedule(BYE_GRACE, self._send_bye)
        self._end("local", 0, reason)

    def cancelled(self) -> None:
        """A CANCEL of our INVITE came (the endpoint has answered the CANCEL itself)."""
        if self.ended is None and not self.answered_at:
            self.respond(self._transaction, 487)
            self._end("remote", 487, "cancelled by the caller")

    def acknowledged(self, ack: SipRequest) -> None:
        """The ACK of our 200 came."""
        if self._acknowledged or not self.answered_at:
            return
        self._acknowledged = True
        self._unschedule()
        if self.ended is not None:
            self._send_bye()
            return
        if ack.body and self.remote_sdp is None:
            self.remote_sdp = parse_sdp(ack.text)
        self._tell(Confirmed())

    def _bye(self, request: SipRequest) -> None:
        self._unschedule()
        self._bye_headers = None
        if not self.answered_at:  # allowed in an early dialog, though a CANCEL is usual
            self.cancelled()
        super()._bye(request)

    def _repeat_answer(self, interval: float, elapsed: float) -> None:
        if elapsed >= TIMER_H:
            self._bye_headers = {}
            self._send_bye()
            self._end("timeout", 0, "no ACK for the 200")
            return
        self._transaction.request_again()
        interval = min(2 * interval, T2)
        self._schedule(interval, self._repeat_answer, interval, elapsed + interval)

    def _send_bye(self) -> None:
        self._unschedule()
        if self._bye_headers is not None:
            self.send_request("BYE", headers=self._bye_headers)
        self._bye_headers = None

    def _schedule(self, delay: float, callback: object, *args: object) -> None:
        self._unschedule()
        self._timer = asyncio.get_running_loop().call_later(delay, callback, *args)  # type: ignore[arg-type]

    def _unschedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop_timers(self) -> None:
        """The endpoint closes: nothing more is sent."""
        self._unschedule()
