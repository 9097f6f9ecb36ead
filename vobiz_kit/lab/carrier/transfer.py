"""A cold transfer: REFER in LiveKit's leg, 202, NOTIFYs, another leg, and the relay repointed.

transferor: LiveKit's leg · transferee: who stays · target: who is called now
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiosipua import parse_address

from vobiz_kit.lab.carrier.causes import NORMAL, cause_of
from vobiz_kit.lab.carrier.number_plan import Refusal, normalise
from vobiz_kit.lab.carrier.party import Party, Role, passed_headers
from vobiz_kit.lab.carrier.tones import ringback
from vobiz_kit.lab.sip.events import Answered, Ended, Ringing
from vobiz_kit.lab.sip.media import NoCommonCodec, RtpLeg
from vobiz_kit.lab.sip.refer import IncomingRefer
from vobiz_kit.lab.sip.target import user_of
from vobiz_kit.lab.sip.validate import reason_phrase

if TYPE_CHECKING:
    from vobiz_kit.lab.carrier.bridge import Bridge

log = logging.getLogger(__name__)

BYE_AFTER = 1.5
"""Seconds after which the carrier ends the transferor's leg itself; LiveKit does it after 1.0."""

NEWS_BEFORE_BYE = 0.1
"""Seconds between the last NOTIFY and a BYE, so that livekit-sip does not take the BYE for a
success (it does so in 8 of 20 runs when both arrive together)."""


def refer_target(refer_to: str, own_hosts: frozenset[str]) -> str | Refusal:
    """The E.164 number that a Refer-To header names, or why the transfer is refused.

    Args:
        refer_to: The header's value: a name-addr, an addr-spec, or a tel URI.
        own_hosts: The hosts (``host`` or ``host:port``) that are the carrier itself. Anything
            else would send the call out into the internet at somebody's wish.
    """
    value = refer_to.strip()
    inner = value[value.find("<") + 1 : value.rfind(">")] if "<" in value else value
    scheme = inner.partition(":")[0].strip().lower()
    if scheme == "tel":
        return normalise(user_of(inner.strip()))
    if scheme != "sip":
        return Refusal(416, reason_phrase(416))
    try:
        uri = parse_address(f"<{inner.strip()}>").uri
    except ValueError:
        return Refusal(400, "Bad Refer-To")
    if not uri.user or not uri.host:
        return Refusal(400, "Bad Refer-To")
    if "replaces" in {name.lower() for name in uri.headers}:
        return Refusal(501, "Attended transfer is not supported")
    host = uri.host.lower()
    if host not in own_hosts and f"{host}:{uri.port or 5060}" not in own_hosts:
        return Refusal(403, "Transfers stay within this carrier")
    return normalise(uri.user)


class Transfer:
    """One transfer, from the accepted REFER to its last NOTIFY.

    Attributes:
        target: Who is called, None until the INVITE is out.
    """

    def __init__(
        self,
        bridge: Bridge,
        transferor: Party,
        transferee: Party,
        refer: IncomingRefer,
        number: str,
    ) -> None:
        self._bridge = bridge
        self._transferor = transferor
        self._transferee = transferee
        self._refer = refer
        self._number = number
        self._rtp: RtpLeg | None = None
        self._ring_timer: asyncio.TimerHandle | None = None
        self._rang = 0
        self._over = False
        self.target: Party | None = None

    async def run(self) -> None:
        """Accept the REFER and call the target."""
        context = self._bridge.context
        self._refer.accept()
        rtp = await context.open_rtp()
        destination = context.routing.resolve(self._number)
        if self._over or isinstance(destination, Refusal):
            await rtp.aclose()
            if isinstance(destination, Refusal) and not self._over:
                self._fail(destination.status, destination.reason)
                self._let_go(Ended("remote", destination.status, destination.reason))
            return
        self.target = self._bridge.dial(
            destination,
            Role.TARGET,
            self._transferee,
            rtp,
            passed_headers(self._refer.request),
        )
        self._ring_timer = asyncio.get_running_loop().call_later(
            context.ring_seconds, self._ring_out
        )

    def ringing(self, event: Ringing) -> None:
        """The target rings."""
        if event.status != self._rang:
            self._rang = event.status
            self._refer.notify(event.status, event.reason)
        alone = self._bridge.peer(self._transferee) is None
        if event.sdp is not None and alone and self._connect_audio(event):
            assert self.target is not None and self.target.rtp is not None
            self._hush()
            self.target.rtp.forward_to = self._transferee.rtp  # early media

    def answered(self, event: Answered) -> None:
        """The target answered: it and the transferee talk, the transferor is told and let go."""
        assert self.target is not None
        if not self._connect_audio(event):
            self.target.cause = cause_of(488)
            self.target.leg.hang_up('SIP;cause=488;text="Not Acceptable Here"')
            return
        self._finish()
        self._hush()
        self._bridge.join(self._transferee, self.target)
        self._refer.notify(200)
        self._transferor.cause = NORMAL
        asyncio.get_running_loop().call_later(
            BYE_AFTER, self._transferor.leg.hang_up, NORMAL.reason_header
        )

    def party_ended(self, party: Party, peer: Party | None, event: Ended) -> bool:
        """Somebody's leg ended while the transfer was under way.

        Returns:
            True if the transfer has seen to the others; False leaves that to the bridge.
        """
        if party is self.target:
            self._fail(*_sipfrag_status(event))
            self._let_go(event)
            return True
        if party is self._transferor:
            self._play_ringback()  # a cold transfer: the target goes on ringing
            return True
        if party is self._transferee:
            self._finish()
            self._refer.notify(487)
            if self.target is not None:
                self._bridge.release(self.target, party, event)
            if peer is not None:
                asyncio.get_running_loop().call_later(
                    NEWS_BEFORE_BYE, self._bridge.release, peer, party, event
                )
            return True
        return False

    def _connect_audio(self, event: Ringing | Answered) -> bool:
        assert self.target is not None and self.target.rtp is not None
        try:
            self.target.rtp.accept_answer(event.sdp)
        except NoCommonCodec as error:
            log.info("%s: %s", self.target.leg.call_id, error)
            return False
        return True

    def _ring_out(self) -> None:
        if self.target is not None:
            self.target.cause, self.target.hangup_source = cause_of(480), "Vobiz"
            self.target.leg.hang_up()

    def _fail(self, status: int, reason: str) -> None:
        """The target will not talk; the call stays as it was."""
        if not self._over:
            self._finish()
            self._hush()
            self._refer.notify(status, reason)

    def _let_go(self, event: Ended) -> None:
        """After a failure: if the transferor has left, nobody is there for the transferee."""
        if self._bridge.peer(self._transferee) is None:
            self._bridge.release(self._transferee, self.target or self._transferor, event)

    def _finish(self) -> None:
        self._over = True
        self._bridge.transfer = None
        if self._ring_timer is not None:
            self._ring_timer.cancel()
            self._ring_timer = None

    def _play_ringback(self) -> None:
        if self._transferee.rtp is not None and self._transferee.leg.ended is None:
            self._transferee.rtp.say(ringback(self._bridge.context.ring_seconds))

    def _hush(self) -> None:
        if self._transferee.rtp is not None:
            self._transferee.rtp.hush()


def _sipfrag_status(event: Ended) -> tuple[int, str]:
    """What a NOTIFY says of a target whose leg ended like that."""
    if event.by == "local":  # it rang for as long as the carrier lets it ring
        return 480, reason_phrase(480)
    if event.status in (401, 407) or not 400 <= event.status <= 699:
        return 503, reason_phrase(503)
    return event.status, event.reason
