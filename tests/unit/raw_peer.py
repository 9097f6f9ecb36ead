"""The other end of the wire, byte by byte, for tests of what must not depend on a good stack."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiosipua import SipMessage, SipRequest, SipResponse

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class RawPeer(asyncio.DatagramProtocol):
    """A UDP socket that keeps what it receives and sends what it is told."""

    def __init__(self, target: tuple[str, int] = ("", 0)) -> None:
        self.target = target
        self.received: list[Any] = []  # SipRequest and SipResponse, as they came
        self.react: Callable[[Any], object] | None = None

    async def start(self) -> "RawPeer":
        loop = asyncio.get_running_loop()
        self.udp, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self.address = self.udp.get_extra_info("sockname")[:2]
        return self

    def close(self) -> None:
        self.udp.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.target = self.target if self.target[1] else addr
        message = SipMessage.parse(data)
        self.received.append(message)
        if self.react is not None:
            self.react(message)

    def send(self, data: bytes | str | SipRequest | SipResponse) -> None:
        raw = data.encode() if isinstance(data, str) else bytes(data)
        self.udp.sendto(raw, self.target)

    def requests(self, method: str) -> list[Any]:
        return [m for m in self.received if isinstance(m, SipRequest) and m.method == method]

    def statuses(self) -> list[int]:
        return [m.status_code for m in self.received if isinstance(m, SipResponse)]

    def request(self, method: str, branch: str = "z9hG4bK1", **headers: Any) -> str:
        """A well-formed request; keyword arguments replace headers (None leaves one out)."""
        host, port = self.address
        uri = headers.pop("uri", f"sip:+15550001000@{self.target[0]}:{self.target[1]}")
        body = headers.pop("body", SDP if method == "INVITE" else "")
        fields = {
            "Via": f"SIP/2.0/UDP {host}:{port};branch={branch};rport",
            "From": "<sip:+15550009999@lab>;tag=f1",
            "To": f"<{uri}>",
            "Call-ID": "raw-1",
            "CSeq": f"1 {method}",
            "Max-Forwards": "70",
            "Contact": f"<sip:raw@{host}:{port}>",
            **({"Content-Type": "application/sdp"} if body else {}),
            "Content-Length": str(len(body.encode())),
        }
        for name, value in headers.items():
            fields[name.replace("_", "-")] = value
        lines = [f"{k}: {v}" for k, v in fields.items() if v is not None]
        return "\r\n".join([f"{method} {uri} SIP/2.0", *lines, "", body])

    def response(self, request: Any, status: int, reason: str, **headers: Any) -> str:
        """A response to a request that came, with a To tag, as a callee would send it."""
        host, port = self.address
        body = headers.pop("body", "")
        to = request.get_header("To")
        if ";tag=" not in to:
            to += f";tag={headers.pop('tag', 'raw')}"
        fields = {
            "From": request.get_header("From"),
            "To": to,
            "Call-ID": request.call_id,
            "CSeq": request.get_header("CSeq"),
            "Contact": f"<sip:desk@{host}:{port}>",
            **({"Content-Type": "application/sdp"} if body else {}),
            "Content-Length": str(len(body)),
            **headers,
        }
        lines = [f"Via: {via}" for via in request.headers.get("via")]
        lines += [f"{k}: {v}" for k, v in fields.items()]
        return "\r\n".join([f"SIP/2.0 {status} {reason}", *lines, "", body])
