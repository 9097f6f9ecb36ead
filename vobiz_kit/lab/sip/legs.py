"""One leg of a call: an INVITE dialog with one other party, from its start to its one end.

`IncomingLeg` is handed to ``SipEndpoint.on_invite``; `OutgoingLeg` comes from
``SipEndpoint.invite()``. Both report through ``leg.on_event(leg, event)`` (see `events`), and can
be awaited with ``wait_answered`` and ``wait_ended``. Messages, dialogs, SDP and digest answers
are aiosipua's; its call objects are not used, because they know one dialog per Call-ID, take no
headers on responses, never look at a 200's Contact, and drop a 200 that crosses a CANCEL.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aiosipua import (
    Dialog,
    SdpMessage,
    SipRequest,
    parse_sdp,
    serialize_sdp,
)

from vobiz_kit.lab.sip.events import Ended, EndedBy, Event, Message, Offered, Referred
from vobiz_kit.lab.sip.refer import IncomingRefer, OutgoingRefer
from vobiz_kit.lab.sip.target import remote_target_address, user_of
from vobiz_kit.lab.sip.transactions import ClientTransaction, ServerTransaction
from vobiz_kit.lab.sip.transport import Address
from vobiz_kit.lab.sip.validate import reason_phrase

if TYPE_CHECKING:
    from vobiz_kit.lab.sip.endpoint import SipEndpoint

log = logging.getLogger(__name__)

EventHook = Callable[["Leg", Event], None]


class CallRefused(Exception):  # noqa: N818 - named as the field names it
    """The call was not answered: ``status`` and ``reason`` of the final response (or 408)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class Leg:
    """What both directions have in common.

    Attributes:
        dialog: Tags, CSeq numbers, remote target (aiosipua).
        remote: Where the other party's messages come from and ours go to.
        invite: The INVITE that began this leg, with all its headers.
        local_sdp: The session description we sent last, None before that.
        remote_sdp: The one we received last.
        on_event: Told of everything that happens; set it before control returns to the loop.
        on_offer: Makes the answer to a re-INVITE's offer. None repeats `local_sdp`.
        started, answered_at, ended_at: Unix times; 0.0 if not (yet).
        ended: The last event, None while the leg lives.
    """

    incoming = False

    def __init__(self, endpoint: SipEndpoint, dialog: Dialog, remote: Address) -> None:
        self._endpoint = endpoint
        self.dialog = dialog
        self.remote = remote
        self.invite = SipRequest()
        self.local_sdp: SdpMessage | None = None
        self.remote_sdp: SdpMessage | None = None
        self.on_event: EventHook | None = None
        self.on_offer: Callable[[SdpMessage], SdpMessage] | None = None
        self.started = time.time()
        self.answered_at = 0.0
        self.ended_at = 0.0
        self.ended: Ended | None = None
        self._refers: list[OutgoingRefer] = []
        loop = asyncio.get_running_loop()
        self._answered: asyncio.Future[None] = loop.create_future()
        self._over: asyncio.Future[Ended] = loop.create_future()

    def __repr__(self) -> str:
        state = "ended" if self.ended else "up" if self.is_up else "early"
        arrow = "from" if self.incoming else "to"
        return f"<{type(self).__name__} {self.call_id} {arrow} {self.remote} {state}>"

    @property
    def call_id(self) -> str:
        """The Call-ID of this leg's dialog."""
        return self.dialog.call_id

    @property
    def is_up(self) -> bool:
        """Answered and not over."""
        return self.answered_at > 0 and self.ended is None

    @property
    def caller(self) -> str:
        """The user part of the INVITE's From: who calls."""
        from_ = self.invite.from_addr
        return (from_.uri.user or "") if from_ else ""

    @property
    def called(self) -> str:
        """The user part of the INVITE's Request-URI: who is called."""
        return user_of(self.invite.uri)

    async def wait_answered(self, within: float = 60.0) -> None:
        """Return when the call is answered.

        Raises:
            CallRefused: it never will be.
            TimeoutError: undecided after that many seconds; the call goes on.
        """
        await asyncio.wait_for(asyncio.shield(self._answered), within)

    async def wait_ended(self, within: float | None = None) -> Ended:
        """Return when the leg is over, with how it ended.

        Raises:
            TimeoutError: it still lives after that many seconds.
        """
        return await asyncio.wait_for(asyncio.shield(self._over), within)

    def hang_up(self, reason: str = "", headers: Mapping[str, str] | None = None) -> None:
        """End the leg in the way its state asks for; does nothing on one that is over.

        Args:
            reason: A whole Reason header value (RFC 3326), e.g.
                ``Q.850;cause=16;text="Normal call clearing"``.
            headers: More headers for the BYE.
        """
        raise NotImplementedError

    def refer(self, refer_to: str, headers: Mapping[str, str] | None = None) -> OutgoingRefer:
        """Ask the other side to call `refer_to` instead of us (a blind transfer, RFC 3515).

        Args:
            refer_to: The Refer-To header's value, e.g. ``<sip:+15550002222@example.com>``.
            headers: More headers, e.g. Referred-By.
        """
        refer = OutgoingRefer()
        self._refers.append(refer)
        self.send_request(
            "REFER",
            headers={"Refer-To": refer_to, **(headers or {})},
            on_response=refer.response,
            on_timeout=refer.timeout,
        )
        return refer

    # What refer.py and the endpoint use

    def send_request(
        self,
        method: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: str = "",
        on_response: Callable[..., None] | None = None,
        on_timeout: Callable[[], None] | None = None,
    ) -> ClientTransaction:
        """Send a request in this leg's dialog; CSeq grows by one."""
        host, port = self._endpoint.address
        request = self.dialog.create_request(method, via_host=host, via_port=port)
        request.headers.set_single("Contact", self._endpoint.contact(self.dialog.local_uri))
        request.headers.set_single("User-Agent", self._endpoint.user_agent)
        for name, value in (headers or {}).items():
            request.headers.set_single(name, value)
        request.text = body
        return self._endpoint.transactions.send(request, self.remote, on_response, on_timeout)

    def respond(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        *,
        sdp: SdpMessage | None = None,
        headers: Mapping[str, str] | None = None,
        contact: bool = False,
    ) -> None:
        """Answer a request of this leg's dialog."""
        response = self.dialog.create_response(
            transaction.request,
            status,
            reason or reason_phrase(status),
            contact=self._endpoint.contact(self.dialog.local_uri) if contact else None,
        )
        response.headers.set_single("User-Agent", self._endpoint.user_agent)
        for name, value in (headers or {}).items():
            response.headers.set_single(name, value)
        if sdp is not None:
            response.text = serialize_sdp(sdp)
            response.headers.set_single("Content-Type", "application/sdp")
        transaction.respond(response)

    def receive(self, transaction: ServerTransaction, source: Address) -> None:
        """A request of this leg's dialog came, tags and CSeq already checked."""
        request = transaction.request
        match request.method:
            case "BYE" if self.ended is None or self.answered_at:
                self.respond(transaction, 200)
                self._bye(request)
            case _ if self.ended is not None:
                self.respond(transaction, 481)
            case "INVITE" | "UPDATE":
                self._renegotiate(transaction, source)
            case "REFER" if self.is_up:
                self._referred(transaction)
            case "REFER":
                self.respond(transaction, 491)  # nothing to transfer before the answer
            case "NOTIFY":
                self._notified(transaction)
            case "INFO" | "OPTIONS":
                self.respond(transaction, 200)
            case _:
                self.respond(transaction, 405, headers={"Allow": self._endpoint.allow})

    def _bye(self, request: SipRequest) -> None:
        self._end("remote", 0, request.get_header("reason") or "", request)

    def _renegotiate(self, transaction: ServerTransaction, source: Address) -> None:
        """A re-INVITE or UPDATE: hold, resume, another port, or a session refresh."""
        request = transaction.request
        if request.method == "INVITE" and not self.is_up:
            self.respond(transaction, 491)
            return
        self.remote = remote_target_address(request, self.dialog, source)
        answer = self.local_sdp
        if request.body:
            try:
                offer = parse_sdp(request.text)
                answer = self.on_offer(offer) if self.on_offer else self.local_sdp
            except ValueError as error:
                log.info("re-INVITE of %s refused: %s", self.call_id, error)
                self.respond(transaction, 488)
                return
            self.remote_sdp = offer
            self._tell(Offered(offer))
        elif request.method == "UPDATE":
            answer = None  # a bare session refresh
        self.local_sdp = answer or self.local_sdp
        self.respond(transaction, 200, sdp=answer, contact=True)

    def _referred(self, transaction: ServerTransaction) -> None:
        if not transaction.request.get_header("refer-to"):
            self.respond(transaction, 400, "Missing Refer-To")
        elif len(transaction.request.headers.get("refer-to")) > 1:
            self.respond(transaction, 400, "More than one Refer-To")
        elif self.on_event is None:
            self.respond(transaction, 501)
        else:
            self._tell(Referred(IncomingRefer(self, transaction)))

    def _notified(self, transaction: ServerTransaction) -> None:
        event = (transaction.request.get_header("event") or "").partition(";")[0].strip().lower()
        if event != "refer" or not self._refers:
            self.respond(transaction, 489 if event != "refer" else 481)
            return
        self.respond(transaction, 200)
        self._refers[-1].notified(transaction.request)

    def _tell(self, event: Event) -> None:
        if self.on_event is not None:
            self.on_event(self, event)

    def _up(self) -> None:
        self.answered_at = time.time()
        self.dialog.confirm()
        if not self._answered.done():
            self._answered.set_result(None)

    def _end(self, by: EndedBy, status: int, reason: str, message: Message | None = None) -> None:
        """The one end of this leg. Its dialog lingers to answer what is still on its way."""
        if self.ended is not None:
            return
        self.ended = Ended(by, status, reason, message)
        self.ended_at = time.time()
        self.dialog.terminate()
        if not self._answered.done():
            self._answered.set_exception(CallRefused(status or 487, reason))
            self._answered.exception()  # nobody need be waiting
        if not self._over.done():
            self._over.set_result(self.ended)
        self._endpoint.leg_ended(self)
        self._tell(self.ended)
