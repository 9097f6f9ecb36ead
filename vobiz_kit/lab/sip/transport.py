"""SIP over UDP: one socket, every datagram traced, hostile ones dropped without a fuss.

aiosipua's own UDP protocol asserts that the loop's transport is an `asyncio.DatagramTransport`,
which the selector loop's is not on Python 3.11, and logs a traceback for every datagram that is
no SIP. This transport keeps aiosipua's interface (`SipTransport`) and does neither.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Literal, cast

from aiosipua import SipMessage, SipRequest, SipResponse, SipTransport, parse_via, stringify_via

log = logging.getLogger(__name__)

Address = tuple[str, int]
Direction = Literal["received", "sent"]

TraceHook = Callable[[float, Direction, str, Address], None]
"""Called with Unix time, direction, the whole datagram as text, and the other end's address."""


class UdpTransport(SipTransport, asyncio.DatagramProtocol):
    """One UDP socket for SIP.

    Args:
        host: Address to bind.
        port: Port to bind; 0 picks a free one (see `local_addr` after `start`).
        on_trace: Called for every datagram in the order in which it crossed the socket.
        send_delay: Seconds that every datagram waits before it leaves, in order. livekit-sip has
            a race with answers that arrive within microseconds of its request, which only a
            carrier on the same host can send; a few milliseconds are what a network would add.
    """

    def __init__(
        self,
        host: str,
        port: int = 0,
        *,
        on_trace: TraceHook | None = None,
        send_delay: float = 0.0,
    ) -> None:
        super().__init__(local_addr=(host, port))
        self._on_trace = on_trace
        self._send_delay = send_delay
        self._outbox: deque[tuple[float, bytes, Address]] = deque()
        self._flush_timer: asyncio.TimerHandle | None = None
        self._udp: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        """Bind the socket.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=self.local_addr)
        assert self._udp is not None
        host, port = self._udp.get_extra_info("sockname")[:2]
        self.local_addr = (host, port)

    async def stop(self) -> None:
        """Send what still waits to be sent and close the socket."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        while self._outbox:
            self._transmit(*self._outbox.popleft()[1:])
        if self._udp is not None:
            self._udp.close()
            self._udp = None

    def send(self, message: SipRequest | SipResponse, addr: Address) -> None:
        """Send one message to that address (after `send_delay`)."""
        if not 0 < addr[1] < 65536:
            # asyncio closes the whole socket when sendto() raises OverflowError.
            log.info("nothing sent to %s: no such port", addr)
            return
        raw = bytes(message)
        if not self._send_delay:
            self._transmit(raw, addr)
            return
        loop = asyncio.get_running_loop()
        self._outbox.append((loop.time() + self._send_delay, raw, addr))
        if self._flush_timer is None:
            self._flush_timer = loop.call_later(self._send_delay, self._flush)

    def send_reply(self, response: SipResponse) -> None:
        """Send a response where its topmost Via says (RFC 3261 section 18.2.2, RFC 3581)."""
        via = response.via[0]
        port = via.rport or via.port or 5060
        self.send(response, (via.received or via.host, int(port)))

    def _flush(self) -> None:
        self._flush_timer = None
        loop = asyncio.get_running_loop()
        while self._outbox and self._outbox[0][0] <= loop.time():
            self._transmit(*self._outbox.popleft()[1:])
        if self._outbox:
            self._flush_timer = loop.call_at(self._outbox[0][0], self._flush)

    def _transmit(self, raw: bytes, addr: Address) -> None:
        if self._udp is None:
            return
        self._trace("sent", raw, addr)
        self._udp.sendto(raw, addr)

    def _trace(self, direction: Direction, raw: bytes, addr: Address) -> None:
        if self._on_trace is not None:
            self._on_trace(time.time(), direction, raw.decode("utf-8", "replace"), addr)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket (asyncio calls this)."""
        self._udp = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Trace, parse and pass on one datagram (asyncio calls this)."""
        if not data.strip(b"\r\n\0 \t"):
            return  # a keepalive, RFC 5626 section 3.5.1: no message, no trace
        source = (addr[0], addr[1])
        self._trace("received", data, source)
        try:
            if b"SIP/2.0" not in data.partition(b"\n")[0]:
                raise ValueError("not SIP/2.0")
            message = SipMessage.parse(data)
            if isinstance(message, SipRequest):
                _stamp_source(message, source)
        except (ValueError, IndexError) as error:
            log.info("dropped a datagram from %s:%d that is no SIP: %s", *source, error)
            return
        if self.on_message is not None:
            self.on_message(message, source)

    def error_received(self, exc: Exception) -> None:
        """Note an ICMP "port unreachable": timers B and F tell whoever waits (asyncio's call)."""
        log.info("UDP: %s", exc)


def _stamp_source(request: SipRequest, source: Address) -> None:
    """Note in the topmost Via where the request came from (RFC 3261 18.2.1, RFC 3581)."""
    vias = request.headers.get("via")
    if not vias:
        return
    via = parse_via(vias[0])
    if "rport" in via.params:
        via.rport = str(source[1])
        via.received = source[0]
    elif via.host != source[0]:
        via.received = source[0]
    vias[0] = stringify_via(via)
