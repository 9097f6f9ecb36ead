"""SIP messages as they were on the wire, in the order in which they crossed the carrier.

The ladder (``callflow.py``) and the pcap are drawn from these records. They are plain data: the
lab's carrier writes them, and any other source of a SIP trace can.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

# Digest answers and passwords never leave the carrier: RFC 3261 section 22.4 says that whoever
# sees a digest response can attack the password offline.
_DIGEST_SECRET = re.compile(r'\b(response|cnonce|nonce|opaque)="?[^",\s]*"?', re.IGNORECASE)
_AUTH_HEADERS = ("authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate")


def mask_secrets(text: str) -> str:
    """Replace digest parameters in a SIP message's text by ``"***"``; the rest stays byte for byte.

    Args:
        text: One whole SIP message, header lines separated by CRLF.
    """
    lines = text.split("\r\n")
    for i, line in enumerate(lines):
        if line.split(":", 1)[0].strip().lower() in _AUTH_HEADERS:
            lines[i] = _DIGEST_SECRET.sub(r'\1="***"', line)
    return "\r\n".join(lines)


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One SIP message that the carrier sent or received.

    Attributes:
        seq: Position in the carrier's trace, from 1, without gaps.
        time: When it crossed the carrier's socket, in Unix seconds.
        direction: "received" or "sent", seen from the carrier.
        party: Who is at the other end: "livekit-sip", an E.164 number, or "unknown".
        local: The carrier's address, "host:port".
        remote: The other end's address, "host:port".
        call_id: The SIP Call-ID (RFC 3261 section 8.1.1.4); one per leg.
        bridge: What ties the legs of one call together: the Call-ID of its LiveKit leg, equal to
            LiveKit's ``sip.callIDFull`` and the CDR's ``bridge_uuid``. Empty outside a call.
        text: The whole message, digest secrets masked.
    """

    seq: int
    time: float
    direction: Literal["received", "sent"]
    party: str
    local: str
    remote: str
    call_id: str
    bridge: str
    text: str

    @property
    def start_line(self) -> str:
        """The first line: ``INVITE sip:... SIP/2.0`` or ``SIP/2.0 180 Ringing``."""
        return self.text.split("\r\n", 1)[0]

    @property
    def status(self) -> int | None:
        """The status code of a response, None for a request."""
        first = self.start_line.split(" ", 2)
        if first[0].upper().startswith("SIP/") and len(first) > 1:
            code = first[1]
            return int(code) if re.fullmatch("[0-9]{3}", code) else None
        return None

    @property
    def method(self) -> str:
        """The request's method; of a response, the method it answers (from CSeq)."""
        if self.status is None:
            return self.start_line.split(" ", 1)[0]
        return self.header("CSeq").rpartition(" ")[2]

    def header(self, name: str) -> str:
        """The first value of a header, "" if there is none (long form of the name, any case)."""
        head = self.text.split("\r\n\r\n", 1)[0]
        for line in head.split("\r\n")[1:]:
            key, colon, value = line.partition(":")
            if colon and key.strip().lower() == name.lower():
                return value.strip()
        return ""

    @property
    def body(self) -> str:
        """What follows the empty line: SDP, or a NOTIFY's sipfrag."""
        return self.text.partition("\r\n\r\n")[2]

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WireMessage:
        """The inverse of `to_json`; unknown keys are ignored."""
        return cls(**{name: data[name] for name in cls.__slots__})
