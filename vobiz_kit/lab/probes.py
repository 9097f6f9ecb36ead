"""Ask each part of a lab whether it is well, in its own protocol.

A probe returns what the part says of its version ("" if it says nothing) and raises `NotReady`
otherwise. Every probe answers or gives up within `TIMEOUT` seconds.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from vobiz_kit.lab.ports import LOOPBACK

TIMEOUT = 2.0


class NotReady(Exception):  # noqa: N818 - a state, not a fault: the caller asks again
    """The part does not answer, or answers that it is not ready; the text says which."""


async def http(port: int, path: str = "/health") -> str:
    """Ask an HTTP server: 200 is well. The version is the JSON reply's ``version``, if any."""
    import httpx

    url = f"http://{LOOPBACK}:{port}{path}"
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, verify=False) as client:
            reply = await client.get(url)
    except httpx.HTTPError as error:
        raise NotReady(f"GET {url}: {type(error).__name__}") from error
    if reply.status_code != 200:
        raise NotReady(f"GET {url}: status {reply.status_code}, {reply.text[:200]}")
    try:
        body = reply.json()
    except ValueError:
        return ""
    return str(body.get("version", "")) if isinstance(body, dict) else ""


async def redis(port: int) -> str:
    """Ask Redis: PING (its inline protocol needs no client library)."""
    answer = await _redis_command(port, "PING")
    if not answer.startswith(b"+PONG"):
        raise NotReady(f"PING: {answer[:80]!r}")
    return ""


async def livekit_sip(sip_port: int, redis_port: int) -> str:
    """Ask livekit-sip: it answers OPTIONS (RFC 3261 section 11) and listens for dial requests.

    Its own health port would listen on every interface of the machine, so it is left closed. That
    it can dial shows in Redis, where it subscribes to the API's ``CreateSIPParticipant``.
    """
    status = await sip_options(sip_port)
    if status != 200:
        raise NotReady(f"OPTIONS: {status}")
    channels = await _redis_command(redis_port, "PUBSUB CHANNELS *CreateSIPParticipant*")
    if channels.startswith(b"*0"):
        raise NotReady("it has not subscribed to CreateSIPParticipant in Redis")
    return ""


async def sip_options(port: int, timeout: float = TIMEOUT) -> int:
    """Send a SIP OPTIONS by UDP and return the status code of the reply.

    Args:
        port: Where to, on loopback.
        timeout: Seconds to wait for the reply; the request is not repeated.

    Raises:
        NotReady: there was no reply, or it was not SIP.
    """
    loop = asyncio.get_running_loop()
    reply: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Ask(reply), remote_addr=(LOOPBACK, port)
    )
    try:
        host, local_port = transport.get_extra_info("sockname")
        token = secrets.token_hex(8)
        lines = [
            f"OPTIONS sip:{LOOPBACK}:{port} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{local_port};branch=z9hG4bK{token};rport",
            "Max-Forwards: 70",
            f"From: <sip:health@{host}>;tag={token}",
            f"To: <sip:{LOOPBACK}:{port}>",
            f"Call-ID: {token}@health",
            "CSeq: 1 OPTIONS",
            "Content-Length: 0",
        ]
        transport.sendto("\r\n".join([*lines, "", ""]).encode())
        answer = await asyncio.wait_for(reply, timeout)
    except (TimeoutError, OSError) as error:
        raise NotReady(f"OPTIONS to port {port}: {type(error).__name__}") from error
    finally:
        transport.close()
    first = answer.split(b"\r\n", 1)[0].split(b" ")
    if first[0] != b"SIP/2.0" or len(first) < 2 or not first[1].isdigit():
        raise NotReady(f"OPTIONS to port {port}: {answer[:80]!r}")
    return int(first[1])


class _Ask(asyncio.DatagramProtocol):
    def __init__(self, reply: asyncio.Future[bytes]) -> None:
        self.reply = reply

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self.reply.done():
            self.reply.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(exc)  # nobody listens: ICMP port unreachable


async def _redis_command(port: int, command: str) -> bytes:
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(command.encode() + b"\r\n")
                return await reader.readline()
            finally:
                writer.close()
                await writer.wait_closed()
    except (TimeoutError, OSError) as error:
        raise NotReady(f"{command} to port {port}: {type(error).__name__}") from error
