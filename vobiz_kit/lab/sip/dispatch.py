"""What comes in at an endpoint, and who gets it (RFC 3261 sections 8.2, 9.2, 12.2.2)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiosipua import Dialog, SipRequest, SipResponse, generate_tag, parse_sdp
from aiosipua.dialog import remote_cseq_valid

from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.leg_table import LegTable
from vobiz_kit.lab.sip.transactions import ServerTransaction, TransactionLayer
from vobiz_kit.lab.sip.transport import Address, UdpTransport
from vobiz_kit.lab.sip.validate import Problem, problem_with, reason_phrase

if TYPE_CHECKING:
    from vobiz_kit.lab.sip.endpoint import SipEndpoint

log = logging.getLogger(__name__)

_IN_DIALOG_ONLY = ("BYE", "NOTIFY", "INFO", "UPDATE", "PRACK")


@dataclass(frozen=True)
class OutOfDialogRequest:
    """A REGISTER, and who sent it; answer it with ``respond(status, reason, headers)``."""

    request: SipRequest
    source: Address
    respond: Callable[[int, str, Mapping[str, str]], None]


class Dispatcher:
    """Hands every message to its transaction and its leg, and refuses what belongs nowhere.

    Args:
        endpoint: Whose ``on_invite`` and ``on_register`` are asked.
        transport: Where stateless refusals go out.
        transactions: The endpoint's transactions.
        legs: The endpoint's legs.
    """

    def __init__(
        self,
        endpoint: SipEndpoint,
        transport: UdpTransport,
        transactions: TransactionLayer,
        legs: LegTable,
    ) -> None:
        self._endpoint = endpoint
        self._transport = transport
        self._transactions = transactions
        self._legs = legs

    def message(self, message: SipRequest | SipResponse, source: Address) -> None:
        """A message came (the transport calls this). Nothing in it can raise out of here."""
        try:
            if isinstance(message, SipResponse):
                self._transactions.response(message, source)
            elif message.method == "ACK":
                self._ack(message)
            else:
                self._request(message, source)
        except (ValueError, IndexError) as error:
            log.info("dropped a message from %s:%d: %s", *source, error)
        except Exception:  # one message must not take the socket down
            log.exception("a message from %s:%d was not understood", *source)

    def _ack(self, ack: SipRequest) -> None:
        if problem_with(ack) is not None:
            return  # an ACK is never answered
        transaction = self._transactions.find_invite(ack)
        if transaction is not None:
            transaction.acknowledged()
        leg = self._legs.find(ack)
        if isinstance(leg, IncomingLeg):
            leg.acknowledged(ack)

    def _request(self, request: SipRequest, source: Address) -> None:
        problem = problem_with(request)
        if problem is not None:
            log.info("%s from %s:%d refused: %s", request.method, *source, problem.reason)
            if request.via:
                self._transport.send_reply(self._response(request, problem))
            return
        transaction = self._transactions.open_server(request)
        if transaction is None:
            return  # a retransmission, already answered again
        try:
            self._handle(transaction, source)
        except Exception:
            self._answer(transaction, 500)  # unless it has been answered
            raise

    def _handle(self, transaction: ServerTransaction, source: Address) -> None:
        to = transaction.request.to_addr
        if transaction.request.method == "CANCEL":
            self._cancel(transaction)
        elif to is not None and to.tag:
            self._in_dialog(transaction, source)
        else:
            self._out_of_dialog(transaction, source)

    def _in_dialog(self, transaction: ServerTransaction, source: Address) -> None:
        leg = self._legs.find(transaction.request)
        if leg is None:
            self._answer(transaction, 481)
        elif not remote_cseq_valid(leg.dialog, transaction.request):
            self._answer(transaction, 500, "CSeq out of order")
        else:
            leg.receive(transaction, source)

    def _cancel(self, transaction: ServerTransaction) -> None:
        invite = self._transactions.find_invite(transaction.request)
        if invite is None:
            self._answer(transaction, 481)
            return
        self._answer(transaction, 200)
        for leg in self._legs.live:
            if isinstance(leg, IncomingLeg) and leg.invite is invite.request:
                leg.cancelled()

    def _out_of_dialog(self, transaction: ServerTransaction, source: Address) -> None:
        request, endpoint = transaction.request, self._endpoint
        if request.method == "INVITE":
            self._invited(transaction, source)
        elif request.method == "OPTIONS":
            headers = {"Allow": endpoint.allow, "Accept": "application/sdp"}
            self._answer(transaction, 200, headers=headers)
        elif request.method == "REGISTER" and endpoint.on_register is not None:
            endpoint.on_register(
                OutOfDialogRequest(
                    request,
                    source,
                    lambda status, reason, headers: self._answer(
                        transaction, status, reason, headers
                    ),
                )
            )
        elif request.method in _IN_DIALOG_ONLY:
            self._answer(transaction, 481)
        else:
            self._answer(transaction, 405, headers={"Allow": endpoint.allow})

    def _invited(self, transaction: ServerTransaction, source: Address) -> None:
        request, on_invite = transaction.request, self._endpoint.on_invite
        if self._legs.has_merged(request):
            self._answer(transaction, 482)
            return
        if self._legs.is_full:
            self._answer(transaction, 503, headers={"Retry-After": "5"})
            return
        try:
            if request.body:
                parse_sdp(request.text)
            leg = IncomingLeg(self._endpoint, transaction, source)
        except (ValueError, IndexError):
            self._answer(transaction, 400, "Bad SDP")
            return
        self._legs.add(leg)
        if on_invite is None:
            leg.reject(480)
            return
        try:
            on_invite(leg)
        except Exception:
            leg.reject(500)
            raise
        if not leg.responded:
            leg.trying()

    def _answer(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        problem = Problem(status, reason or reason_phrase(status), dict(headers or {}))
        transaction.respond(self._response(transaction.request, problem))

    def _response(self, request: SipRequest, problem: Problem) -> SipResponse:
        """A response outside any leg."""
        to = request.headers.get_first("to") or ""
        tag = "" if ";tag=" in to else generate_tag()
        nobody = Dialog(call_id=request.call_id or "", local_tag=tag)
        response = nobody.create_response(request, problem.status, problem.reason)
        response.headers.set_single("User-Agent", self._endpoint.user_agent)
        for name, value in problem.headers.items():
            response.headers.set_single(name, value)
        return response
