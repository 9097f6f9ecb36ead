"""What happens on a leg, in the order in which it happens.

A leg tells its owner through ``leg.on_event(leg, event)``. `Ended` comes exactly once per leg and
is the last: whether the call was refused, cancelled, hung up by either side, or timed out.
``message`` is what brought the news, with all its headers, where a message did.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from aiosipua import SdpMessage, SipRequest, SipResponse

if TYPE_CHECKING:
    from vobiz_kit.lab.sip.refer import IncomingRefer

EndedBy = Literal["local", "remote", "timeout"]
Message = SipRequest | SipResponse


@dataclass(frozen=True)
class Ringing:
    """A provisional response above 100 came (180, 181, 183). With ``sdp``, early media follows."""

    status: int
    reason: str
    sdp: SdpMessage | None = None
    message: Message | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Answered:
    """The 200 to our INVITE came; ``sdp`` is the other side's answer, None if it sent none."""

    sdp: SdpMessage | None
    message: Message | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Confirmed:
    """The ACK to our 200 came: the incoming leg is up."""


@dataclass(frozen=True)
class Offered:
    """A re-INVITE or UPDATE brought a new offer; ``leg.remote_sdp`` is already the new one."""

    sdp: SdpMessage


@dataclass(frozen=True)
class Referred:
    """The other side asks for a transfer: answer with ``refer.accept()`` or ``refer.reject()``."""

    refer: IncomingRefer


@dataclass(frozen=True)
class Ended:
    """The leg is over.

    Attributes:
        by: "local" (we hung up, cancelled or refused), "remote", or "timeout".
        status: The SIP status of an INVITE that was never answered (486, 487 when cancelled, 408
            for silence); 0 for a leg that was answered and then hung up.
        reason: The reason phrase, or the text of the BYE's Reason header.
    """

    by: EndedBy
    status: int
    reason: str
    message: Message | None = field(default=None, compare=False, repr=False)


Event = Ringing | Answered | Confirmed | Offered | Referred | Ended
