"""What every call needs of the carrier."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from vobiz_kit.lab.carrier.cdr import CallRecords
from vobiz_kit.lab.carrier.refer_script import ReferScript
from vobiz_kit.lab.carrier.routing import Routing
from vobiz_kit.lab.carrier.trace import Trace
from vobiz_kit.lab.sip.endpoint import SipEndpoint
from vobiz_kit.lab.sip.media import RtpLeg


@dataclass
class CallContext:
    """The carrier, as far as a call needs it.

    Attributes:
        endpoint: The carrier's SIP endpoint.
        routing: Where numbers are reached.
        records: Where CDRs go.
        trace: Where Call-IDs are assigned to calls.
        domain: The trunk's SIP domain, for From headers and as the host that a REFER may name.
        media_seconds: How long a party may send no audio before its call is ended.
        ring_seconds: How long a phone rings before the carrier gives up.
        refer_scripts: How REFERs to some numbers are to be treated, by number.
        spawn: Runs a coroutine in the background, owned by the carrier.
    """

    endpoint: SipEndpoint
    routing: Routing
    records: CallRecords
    trace: Trace
    domain: str
    ring_seconds: float
    media_seconds: float
    refer_scripts: dict[str, ReferScript] = field(default_factory=dict)
    spawn: Callable[[Coroutine[Any, Any, None], str], None] = field(init=False)

    async def open_rtp(self) -> RtpLeg:
        """A media socket for one more leg."""
        rtp = await RtpLeg.open(self.endpoint.address[0])
        rtp.fill_silence = False  # it relays: what one party does not send, the other does not get
        return rtp
