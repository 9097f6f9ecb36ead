"""One end of a call at the carrier: its SIP leg, its RTP leg, and what its CDR will say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aiosipua import SipMessage

from vobiz_kit.lab.carrier.causes import Cause
from vobiz_kit.lab.sip.legs import Leg
from vobiz_kit.lab.sip.media import RtpLeg

LIVEKIT = "livekit-sip"


class Role(StrEnum):
    """What an end of a call is in it; the values are Vobiz's hangup sources."""

    CALLER = "Caller"
    CALLEE = "Callee"
    TARGET = "Transfer target"


@dataclass(eq=False)
class Party:
    """One end of a call.

    Attributes:
        name: As the trace names it: "livekit-sip" or an E.164 number.
        number: The E.164 number at this end (LiveKit's is the one that it called from or was
            called on).
        role: Caller, callee or transfer target.
        leg: The SIP dialog.
        rtp: The media socket; None for a call that was refused before it had media.
        cause: Why it ended, as far as is known; set before the leg ends if somebody else ended it.
        hangup_source: Who ended it: a role's value, "Vobiz" or "Carrier".
        other_number: The number at the other end when this leg began.
        progress_at: When it first rang, in Unix seconds; 0.0 if it never did.
    """

    name: str
    number: str
    role: Role
    leg: Leg
    rtp: RtpLeg | None = None
    cause: Cause | None = None
    hangup_source: str = ""
    other_number: str = ""
    progress_at: float = 0.0

    @property
    def is_livekit(self) -> bool:
        """Whether LiveKit is at this end."""
        return self.name == LIVEKIT

    @property
    def is_up(self) -> bool:
        """Answered and not over."""
        return self.leg.is_up


def passed_headers(message: SipMessage | None) -> dict[str, str]:
    """The custom headers that a Vobiz trunk lets through: ``X-VH-*`` and no others."""
    if message is None:
        return {}
    return {
        name: values[0]
        for name, values in message.headers.items()
        if name.lower().startswith("x-vh-") and values
    }
