"""One call at the carrier: its parties, who talks to whom, and how the ends of legs spread.

Media run through the carrier from the start, so that joining two other parties (a transfer) only
repoints the relay. Events of all legs arrive on one loop, one at a time; nothing here awaits
between looking and acting, which is what keeps crossing messages (glare) harmless.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from vobiz_kit.lab.carrier.causes import (
    MEDIA_TIMEOUT,
    RING_TIMEOUT,
    Cause,
    cause_of,
    status_for_caller,
)
from vobiz_kit.lab.carrier.context import CallContext
from vobiz_kit.lab.carrier.number_plan import Refusal
from vobiz_kit.lab.carrier.party import Party, Role, passed_headers
from vobiz_kit.lab.carrier.routing import Destination
from vobiz_kit.lab.carrier.transfer import Transfer, refer_target
from vobiz_kit.lab.sip.events import Answered, Ended, Event, Referred, Ringing
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.media import PCMA, PCMU, NoCommonCodec, RtpLeg
from vobiz_kit.lab.sip.refer import IncomingRefer

log = logging.getLogger(__name__)


class Bridge:
    """One call, from the caller's INVITE to the end of its last leg.

    Attributes:
        id: The Call-ID of its LiveKit leg (of the caller's, if LiveKit has no part in it).
        direction: "inbound" or "outbound", seen from the account.
        parties: Everybody who has (had) a leg.
        transfer: The transfer that is under way, None otherwise.
    """

    def __init__(
        self,
        context: CallContext,
        bridge_id: str,
        direction: str,
        caller: Party,
        on_finished: Callable[[Bridge], None],
    ) -> None:
        self.id = bridge_id
        self.direction = direction
        self.context = context
        self.parties = [caller]
        self.transfer: Transfer | None = None
        self._on_finished = on_finished
        self._peer: dict[Party, Party] = {}
        self._ring_timer: asyncio.TimerHandle | None = None
        self._rang = 0
        self._watch(caller)

    @property
    def caller(self) -> Party:
        """Who began the call."""
        return self.parties[0]

    @property
    def live(self) -> list[Party]:
        """The parties whose legs are not over."""
        return [p for p in self.parties if p.leg.ended is None]

    def peer(self, party: Party) -> Party | None:
        """Whom that party talks to (or calls), None if nobody."""
        return self._peer.get(party)

    async def connect(self, destination: Destination) -> None:
        """Call the destination on behalf of the caller and connect the two."""
        caller, leg = self.caller, self.caller.leg
        assert isinstance(leg, IncomingLeg)
        caller.rtp = await self.context.open_rtp()
        rtp = await self.context.open_rtp()
        if leg.ended is not None:  # gave up in the meantime
            await asyncio.gather(caller.rtp.aclose(), rtp.aclose())
            return
        try:
            leg.local_sdp = caller.rtp.answer(leg.remote_sdp)
        except NoCommonCodec as error:
            log.info("%s: %s", leg.call_id, error)
            leg.reject(488, headers={"Warning": f'305 vobiz-lab "{_quotable(error)}"'})
            await rtp.aclose()
            return
        leg.on_offer = caller.rtp.answer
        call_id = self.id if destination.is_livekit and not caller.is_livekit else ""
        callee = self.dial(
            destination, Role.CALLEE, caller, rtp, passed_headers(leg.invite), call_id
        )
        self._peer.update({caller: callee, callee: caller})
        self._ring_timer = asyncio.get_running_loop().call_later(
            self.context.ring_seconds, self._ring_out, callee
        )

    def dial(
        self,
        destination: Destination,
        role: Role,
        on_behalf_of: Party,
        rtp: RtpLeg,
        headers: dict[str, str],
        call_id: str = "",
    ) -> Party:
        """Begin a leg to a destination, offering first the codec that the other end has."""
        context, from_number = self.context, self.caller.number
        law = on_behalf_of.rtp.payload_type if on_behalf_of.rtp else PCMU
        leg = context.endpoint.invite(
            destination.request_uri,
            destination.remote,
            from_uri=f"sip:{from_number}@{context.domain}",
            to_uri=f"sip:{destination.number}@{context.domain}",
            sdp=rtp.offer((law, PCMA if law == PCMU else PCMU)),
            headers=headers,
            call_id=call_id,
        )
        leg.on_offer = rtp.answer
        party = Party(destination.party, destination.number, role, leg, rtp)
        party.other_number = from_number
        self.parties.append(party)
        self._watch(party)
        context.trace.assign(leg.call_id, party.name, self.id)
        return party

    def _watch(self, party: Party) -> None:
        party.leg.on_event = lambda _leg, event: self._event(party, event)

    def _ring_out(self, callee: Party) -> None:
        """Nobody answered: the caller hears so, which cancels the callee."""
        for party in (self.caller, callee):
            party.cause, party.hangup_source = RING_TIMEOUT, "Vobiz"
        leg = self.caller.leg
        if isinstance(leg, IncomingLeg):
            leg.reject(480)

    def _event(self, party: Party, event: Event) -> None:
        transfer = self.transfer
        if isinstance(event, Ringing):
            party.progress_at = party.progress_at or time.time()
        if isinstance(event, Ended):
            self._ended(party, event)
        elif isinstance(event, Referred):
            self._referred(party, event.refer)
        elif transfer is not None and party is transfer.target:
            if isinstance(event, Ringing):
                transfer.ringing(event)
            elif isinstance(event, Answered):
                transfer.answered(event)
        elif isinstance(event, Ringing):
            self._ringing(party, event)
        elif isinstance(event, Answered):
            self._answered(party, event)

    def _ringing(self, callee: Party, event: Ringing) -> None:
        leg = self.caller.leg
        assert isinstance(leg, IncomingLeg)
        headers = passed_headers(event.message)
        self.caller.progress_at = callee.progress_at
        if event.sdp is not None and self._hear(callee, event):
            self._rang = event.status
            leg.ring(event.status, sdp=leg.local_sdp, headers=headers)  # early media
        elif event.status != self._rang:  # livekit-sip repeats its 180 every second
            self._rang = event.status
            leg.ring(event.status, headers=headers)

    def _answered(self, callee: Party, event: Answered) -> None:
        self._stop_ring_timer()
        leg = self.caller.leg
        assert isinstance(leg, IncomingLeg)
        if not self._hear(callee, event):
            callee.cause = cause_of(488)
            callee.leg.hang_up('SIP;cause=488;text="Not Acceptable Here"')
            return
        assert leg.local_sdp is not None
        leg.answer(leg.local_sdp, headers=passed_headers(event.message))

    def _hear(self, callee: Party, event: Ringing | Answered) -> bool:
        """Take the callee's session description and connect its audio; False if that cannot be."""
        peer = self._peer.get(callee)
        if peer is None or peer.rtp is None or callee.rtp is None:
            return False
        try:
            callee.rtp.accept_answer(event.sdp)
        except NoCommonCodec as error:
            log.info("%s: %s", callee.leg.call_id, error)
            return False
        callee.rtp.forward_to, peer.rtp.forward_to = peer.rtp, callee.rtp
        return True

    def _ended(self, party: Party, event: Ended) -> None:
        if party.cause is None:
            party.cause = cause_of(event.status)
        if not party.hangup_source:
            sources = {"remote": party.role.value, "timeout": "Carrier", "local": "Vobiz"}
            party.hangup_source = sources[event.by]
        self.context.records.write(party, self.id, self.direction)
        self._silence(party)
        peer = self._peer.pop(party, None)
        if peer is not None:
            self._peer.pop(peer, None)
        transfer = self.transfer
        seen_to = transfer is not None and transfer.party_ended(party, peer, event)
        if peer is not None and not seen_to:
            self.release(peer, party, event)
        if not self.live:
            self._stop_ring_timer()
            self._on_finished(self)

    def release(self, party: Party, because_of: Party, event: Ended) -> None:
        """End a party's leg because another one has ended."""
        if party.leg.ended is not None:
            return
        cause = because_of.cause or cause_of(event.status)
        if party.cause is None:
            party.cause, party.hangup_source = cause, because_of.hangup_source
        leg = party.leg
        if isinstance(leg, IncomingLeg) and not leg.answered_at:
            status, reason = status_for_caller(event.status, event.reason)
            leg.reject(status, reason, headers=passed_headers(event.message))
        else:
            leg.hang_up(cause.reason_header, passed_headers(event.message))

    def end(self, cause: Cause, source: str = "Vobiz") -> None:
        """End every leg (a reset, or the carrier closes)."""
        for party in self.live:
            party.cause, party.hangup_source = cause, source
        for party in self.live:
            party.leg.hang_up(cause.reason_header)

    def end_if_silent(self, since: float) -> None:
        """End every leg if a party that should be talking has sent nothing since that time."""
        for party in self.live:
            rtp = party.rtp
            if rtp is None or rtp.on_hold or not party.is_up or party not in self._peer:
                continue
            if max(rtp.received.last_at, party.leg.answered_at) < since:
                log.info("%s: no audio from %s", self.id, party.name)
                self.end(MEDIA_TIMEOUT)
                return

    # Transfers

    def _referred(self, party: Party, refer: IncomingRefer) -> None:
        peer = self._peer.get(party)
        if not party.is_livekit:
            refer.reject(403, "Only the trunk can transfer")
        elif self.transfer is not None or peer is None or not (party.is_up and peer.is_up):
            refer.reject(491)
        else:
            target = refer_target(refer.refer_to, self._own_hosts())
            if isinstance(target, Refusal):
                refer.reject(target.status, target.reason)
            elif (script := self.context.refer_scripts.get(target)) is not None:
                self.context.spawn(script.play(refer), f"scripted REFER to {target}")
            else:
                self.transfer = Transfer(self, party, peer, refer, target)
                self.context.spawn(self.transfer.run(), f"transfer to {target}")

    def _own_hosts(self) -> frozenset[str]:
        host, port = self.context.endpoint.address
        return frozenset({self.context.domain, f"{host}:{port}"})

    def join(self, transferee: Party, target: Party) -> None:
        """Let these two talk to each other; whoever they talked to before is left alone."""
        for party in (transferee, target):
            former = self._peer.pop(party, None)
            if former is not None:
                self._peer.pop(former, None)
                self._silence(former, close=False)
        self._peer.update({transferee: target, target: transferee})
        assert transferee.rtp is not None and target.rtp is not None
        transferee.rtp.forward_to, target.rtp.forward_to = target.rtp, transferee.rtp

    def _silence(self, party: Party, *, close: bool = True) -> None:
        """Take a party out of the relay."""
        if party.rtp is None:
            return
        party.rtp.forward_to = None
        for other in self.parties:
            if other.rtp is not None and other.rtp.forward_to is party.rtp:
                other.rtp.forward_to = None
        if close:
            self.context.spawn(party.rtp.aclose(), "close RTP")

    def _stop_ring_timer(self) -> None:
        if self._ring_timer is not None:
            self._ring_timer.cancel()
            self._ring_timer = None


def _quotable(error: Exception) -> str:
    return str(error).replace('"', "'").replace("\\", "/")
