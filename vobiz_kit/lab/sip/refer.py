"""Transfers by REFER (RFC 3515), from both sides.

aiosipua answers every REFER with 202 and ``NOTIFY 100`` by itself. A carrier must decide first
(not every target is allowed) and must let a few milliseconds pass, so both are the owner's here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiosipua import SipRequest, SipResponse

from vobiz_kit.lab.sip.transport import Address
from vobiz_kit.lab.sip.validate import reason_phrase

if TYPE_CHECKING:
    from vobiz_kit.lab.sip.legs import Leg
    from vobiz_kit.lab.sip.transactions import ServerTransaction


class IncomingRefer:
    """A REFER that the other side sent on a leg; we are the transferee.

    Attributes:
        leg: The leg in whose dialog it came (the transferor's).
        refer_to: The Refer-To header as it stood on the wire.
        request: The whole REFER.
    """

    def __init__(self, leg: Leg, transaction: ServerTransaction) -> None:
        self.leg = leg
        self.request = transaction.request
        self.refer_to = self.request.get_header("refer-to") or ""
        self._transaction = transaction
        cseq = self.request.cseq
        self._id = cseq.seq if cseq else 0
        self._terminated = False

    def accept(self, *, report: bool = True) -> None:
        """Answer 202 and report ``100 Trying``, which the implicit subscription needs.

        Args:
            report: False leaves the report out, as some carriers do.
        """
        self.leg.respond(self._transaction, 202, contact=True)
        if report:
            self.notify(100)

    def reject(self, status: int, reason: str = "") -> None:
        """Refuse the transfer; the call stays as it is."""
        self.leg.respond(self._transaction, status, reason)

    def notify(self, status: int, reason: str = "") -> None:
        """Report how the transfer goes. A status of 200 or more is the last word.

        Nothing is sent once the last word was said or the transferor has left.
        """
        if self._terminated or not self.leg.is_up:
            return
        self._terminated = status >= 200
        state = "terminated;reason=noresource" if self._terminated else "active;expires=180"
        self.leg.send_request(
            "NOTIFY",
            headers={
                "Event": f"refer;id={self._id}",  # another id is ignored by livekit-sip
                "Subscription-State": state,
                "Content-Type": "message/sipfrag;version=2.0",
            },
            body=f"SIP/2.0 {status} {reason or reason_phrase(status)}\r\n",
        )


class OutgoingRefer:
    """A REFER that we sent; we are the transferor.

    Attributes:
        progress: The statuses that the NOTIFYs reported, in order.
    """

    def __init__(self) -> None:
        self.progress: list[tuple[int, str]] = []
        self._answer: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._outcome: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    async def answer(self, within: float = 5.0) -> tuple[int, str]:
        """The final response to the REFER itself, e.g. ``(202, "Accepted")``.

        Raises:
            TimeoutError: no final response within that many seconds.
        """
        return await asyncio.wait_for(asyncio.shield(self._answer), within)

    async def outcome(self, within: float = 30.0) -> tuple[int, str]:
        """The last NOTIFY's status: 200 or more. A refused REFER's own status counts too.

        Raises:
            TimeoutError: undecided after that many seconds.
        """
        return await asyncio.wait_for(asyncio.shield(self._outcome), within)

    def response(self, response: SipResponse, source: Address) -> None:
        """A response to the REFER came (called by the leg)."""
        if response.status_code < 200 or self._answer.done():
            return
        result = (response.status_code, response.reason_phrase)
        self._answer.set_result(result)
        if response.status_code >= 300:
            self._settle(result)

    def timeout(self) -> None:
        """Nobody answered the REFER (called by the leg)."""
        if not self._answer.done():
            self._answer.set_result((408, reason_phrase(408)))
            self._settle((408, reason_phrase(408)))

    def notified(self, request: SipRequest) -> None:
        """A NOTIFY of this subscription came (called by the leg)."""
        words = request.text.partition("\r\n")[0].split(" ", 2)
        if len(words) < 2 or not words[0].upper().startswith("SIP/") or not words[1].isdigit():
            return
        result = (int(words[1]), words[2] if len(words) > 2 else "")
        self.progress.append(result)
        if result[0] >= 200:
            self._settle(result)

    def _settle(self, result: tuple[int, str]) -> None:
        if not self._outcome.done():
            self._outcome.set_result(result)
