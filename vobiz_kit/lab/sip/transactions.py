"""The transaction layer over UDP (RFC 3261 section 17, RFC 6026).

aiosipua matches responses to requests but neither repeats a request that got no answer, nor
acknowledges a refusal, nor recognises a request that came twice. This layer sits between the
socket and the user agents and does those three things, so that nothing above it sees a
retransmission.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiosipua import SipRequest, SipResponse
from aiosipua.transaction import T1, T2

from vobiz_kit.lab.sip.transport import Address, UdpTransport

log = logging.getLogger(__name__)

TIMEOUT = 64 * T1  # timers B, F, H, J, L, M: 32 s
MAX_TRANSACTIONS = 4096
"""Of each kind. A lab has tens of calls; beyond this somebody floods the port."""

ResponseHook = Callable[[SipResponse, Address], None]
TimeoutHook = Callable[[], None]


def branch_of(message: SipRequest | SipResponse) -> str:
    """The branch parameter of the topmost Via, "" if there is none."""
    vias = message.via
    return (vias[0].branch or "") if vias else ""


def _server_key(request: SipRequest, method: str) -> tuple[str, ...]:
    """What identifies a server transaction (RFC 3261 section 17.2.3)."""
    via = request.via[0]
    branch = via.branch or ""
    if branch.startswith("z9hG4bK"):
        return (branch, via.host, str(via.port), method)
    # An RFC 2543 client: no unique branch, so all that makes a request the same one counts.
    headers = request.headers
    cseq = (headers.get_first("cseq") or "").split(" ", 1)[0]
    from_ = headers.get_first("from") or ""
    return (request.uri, from_, headers.get_first("call-id") or "", cseq, branch, method)


class ServerTransaction:
    """One request that came in, and the last response to it."""

    def __init__(self, layer: TransactionLayer, key: tuple[str, ...], request: SipRequest) -> None:
        self._layer = layer
        self._key = key
        self.request = request
        self.last: SipResponse | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def finished(self) -> bool:
        """Whether a final response has been sent."""
        return self.last is not None and self.last.status_code >= 200

    def respond(self, response: SipResponse) -> None:
        """Send a response. A refusal of an INVITE is repeated until its ACK comes (timer G)."""
        if self.finished:
            return  # exactly one final response, whatever raced
        self.last = response
        self._layer.transport.send_reply(response)
        if response.status_code < 200:
            return
        self.expire_later()
        if self.request.method == "INVITE" and response.status_code >= 300:
            self._timer = asyncio.get_running_loop().call_later(T1, self._repeat, T1)

    def expire_later(self) -> None:
        """Forget this transaction in 32 s; until then it absorbs retransmissions."""
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_later(TIMEOUT, self._layer.forget_server, self._key)

    def request_again(self) -> None:
        """The same request came once more: so does the last response (section 17.2)."""
        if self.last is not None:
            self._layer.transport.send_reply(self.last)

    def acknowledged(self) -> None:
        """The ACK for a refusal came: stop repeating it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _repeat(self, interval: float) -> None:
        self.request_again()
        interval = min(2 * interval, T2)
        self._timer = asyncio.get_running_loop().call_later(interval, self._repeat, interval)

    def cancel_timers(self) -> None:
        """Stop everything; the transaction is forgotten."""
        for timer in (self._timer, self._expiry):
            if timer is not None:
                timer.cancel()
        self._timer = self._expiry = None


class ClientTransaction:
    """One request that went out, repeated until something answers it."""

    def __init__(
        self,
        layer: TransactionLayer,
        request: SipRequest,
        remote: Address,
        on_response: ResponseHook,
        on_timeout: TimeoutHook,
    ) -> None:
        self._layer = layer
        self.request = request
        self.remote = remote
        self._on_response = on_response
        self._on_timeout = on_timeout
        self._final: SipResponse | None = None
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_later(TIMEOUT, self._timed_out)
        self._timer: asyncio.TimerHandle | None = loop.call_later(T1, self._repeat, T1)

    @property
    def is_invite(self) -> bool:
        """Whether this is an INVITE's transaction."""
        return self.request.method == "INVITE"

    def received(self, response: SipResponse, source: Address) -> None:
        """A response with this transaction's branch came."""
        status = response.status_code
        if status < 200:
            if self._final is not None:
                return
            if self.is_invite:
                # Timers A and B end at the first provisional: it may ring for minutes.
                self.stop_repeating()
                self._expiry.cancel()
            self._on_response(response, source)
            return
        self.stop_repeating()
        if self.is_invite and status >= 300:
            self._layer.transport.send(self._ack(response), self.remote)
        repeated = self._final is not None
        if not repeated:
            self._final = response
            self._expiry.cancel()
            # Timers D, K and M: long enough to absorb what comes again.
            self._expiry = asyncio.get_running_loop().call_later(
                TIMEOUT if self.is_invite else 5.0, self._layer.forget_client, self
            )
        if not repeated or (self.is_invite and status < 300):
            self._on_response(response, source)  # a repeated 2xx needs the user agent's ACK again

    def _ack(self, response: SipResponse) -> SipRequest:
        """The ACK of a refused INVITE (RFC 3261 section 17.1.1.3): hop by hop, same branch."""
        ack = SipRequest(method="ACK", uri=self.request.uri)
        ack.headers.append("Via", self.request.headers.get("via")[0])
        for name in ("From", "Call-ID"):
            ack.headers.set_single(name, self.request.headers.get_first(name) or "")
        ack.headers.set_single("To", response.get_header("To") or "")
        cseq = (self.request.headers.get_first("cseq") or "1").split(" ", 1)[0]
        ack.headers.set_single("CSeq", f"{cseq} ACK")
        ack.headers.set_single("Max-Forwards", "70")
        for route in self.request.headers.get("route"):
            ack.headers.append("Route", route)
        return ack

    def _repeat(self, interval: float) -> None:
        self._layer.transport.send(self.request, self.remote)
        interval = 2 * interval if self.is_invite else min(2 * interval, T2)
        self._timer = asyncio.get_running_loop().call_later(interval, self._repeat, interval)

    def stop_repeating(self) -> None:
        """Wait for an answer from now on without asking again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def give_up_later(self) -> None:
        """After a CANCEL: wait 32 s more for the final response (RFC 3261 section 9.1)."""
        if self._final is None:
            self._expiry.cancel()
            self._expiry = asyncio.get_running_loop().call_later(TIMEOUT, self._timed_out)

    def _timed_out(self) -> None:
        self.stop_repeating()
        self._layer.forget_client(self)
        self._on_timeout()

    def cancel_timers(self) -> None:
        """Stop everything; the transaction is forgotten."""
        self.stop_repeating()
        self._expiry.cancel()


class TransactionLayer:
    """All transactions of one socket."""

    def __init__(self, transport: UdpTransport) -> None:
        self.transport = transport
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._servers: dict[tuple[str, ...], ServerTransaction] = {}

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    def send(
        self,
        request: SipRequest,
        remote: Address,
        on_response: ResponseHook | None = None,
        on_timeout: TimeoutHook | None = None,
    ) -> ClientTransaction:
        """Send a request (no ACK) and repeat it until it is answered or 32 s have passed."""
        transaction = ClientTransaction(
            self, request, remote, on_response or _ignore_response, on_timeout or _ignore_timeout
        )
        self._clients[(branch_of(request), request.method)] = transaction
        self.transport.send(request, remote)
        return transaction

    def response(self, response: SipResponse, source: Address) -> None:
        """Hand a response to its transaction; drop it if there is none (section 18.1.2)."""
        cseq = response.cseq
        transaction = self._clients.get((branch_of(response), cseq.method if cseq else ""))
        if transaction is not None:
            transaction.received(response, source)

    def open_server(self, request: SipRequest) -> ServerTransaction | None:
        """The new transaction of a request, or None if it was a retransmission (now answered)."""
        key = _server_key(request, request.method)
        known = self._servers.get(key)
        if known is not None:
            known.request_again()
            return None
        if len(self._servers) >= MAX_TRANSACTIONS:
            log.warning("too many transactions: a %s was dropped", request.method)
            return None
        transaction = self._servers[key] = ServerTransaction(self, key, request)
        return transaction

    def find_invite(self, request: SipRequest) -> ServerTransaction | None:
        """The INVITE's transaction that a CANCEL or an ACK of a refusal means (section 9.2)."""
        return self._servers.get(_server_key(request, "INVITE"))

    def forget_server(self, key: tuple[str, ...]) -> None:
        """Drop a server transaction."""
        transaction = self._servers.pop(key, None)
        if transaction is not None:
            transaction.cancel_timers()

    def forget_client(self, transaction: ClientTransaction) -> None:
        """Drop a client transaction."""
        request = transaction.request
        self._clients.pop((branch_of(request), request.method), None)
        transaction.cancel_timers()

    def close(self) -> None:
        """Stop every timer."""
        for client in self._clients.values():
            client.cancel_timers()
        for server in self._servers.values():
            server.cancel_timers()
        self._clients.clear()
        self._servers.clear()


def _ignore_response(response: SipResponse, source: Address) -> None:
    """For requests whose answer changes nothing (a BYE's 200)."""


def _ignore_timeout() -> None:
    """For requests whose silence changes nothing."""
