"""The stand-in Vobiz in one object: SIP, registrar, calls, records, trace."""

from __future__ import annotations

from vobiz_kit.lab.carrier.announcer import Announcer
from vobiz_kit.lab.carrier.b2bua import Exchange
from vobiz_kit.lab.carrier.cdr import CallRecords
from vobiz_kit.lab.carrier.context import CallContext
from vobiz_kit.lab.carrier.limits import CallLimits
from vobiz_kit.lab.carrier.magic_numbers import AnsweringEquipment, Speak
from vobiz_kit.lab.carrier.number_plan import NumberPlan, Refusal, normalise
from vobiz_kit.lab.carrier.registrar import Registrar
from vobiz_kit.lab.carrier.routing import Routing
from vobiz_kit.lab.carrier.trace import Trace
from vobiz_kit.lab.sip.digest import DigestRealm
from vobiz_kit.lab.sip.endpoint import SipEndpoint
from vobiz_kit.lab.sip.transport import Address, Direction
from vobiz_kit.lab.state import LOOPBACK, LabConfig

SEND_DELAY = 0.003
"""Seconds before each SIP message leaves, see `UdpTransport`."""

RING_SECONDS = 60.0
MEDIA_SECONDS = 60.0
"""Vobiz's media timeout. Without it a phone that vanished would be on the line for good."""


class Carrier:
    """Everything but HTTP.

    Args:
        config: Ports and credentials of the lab.
        ring_seconds: How long a phone rings before the carrier gives up.
        media_seconds: How long a party may send no audio before its call is ended.
        speak: Speaks announcements; the lab's speech server by default.
    """

    def __init__(
        self,
        config: LabConfig,
        *,
        ring_seconds: float = RING_SECONDS,
        media_seconds: float = MEDIA_SECONDS,
        speak: Speak | None = None,
    ) -> None:
        self.config = config
        self.plan = NumberPlan(config.did)
        self.realm = DigestRealm(config.sip_domain, self._password_of)
        self.registrar = Registrar(self.realm)
        self.records = CallRecords(config.vobiz_auth_id, config.trunk_id)
        self.equipment = AnsweringEquipment(self.plan, speak or Announcer(config).speak)
        self.endpoint = SipEndpoint(
            LOOPBACK,
            config.carrier_sip_port,
            user_agent="vobiz-lab carrier",
            on_trace=self._trace,
            send_delay=SEND_DELAY,
        )
        self._ring_seconds = ring_seconds
        self._media_seconds = media_seconds
        self.limits = CallLimits(config.cps, config.concurrent)
        self.trace: Trace
        self.exchange: Exchange

    async def start(self) -> None:
        """Bind the sockets and take calls.

        Raises:
            OSError: the SIP port is taken.
        """
        await self.equipment.start()
        routing = Routing(
            self.plan,
            self.registrar,
            livekit=(LOOPBACK, self.config.livekit_sip_port),
            switchboard=(LOOPBACK, self.config.handsets_sip_port),
            equipment=self.equipment.endpoint.address,
        )
        await self.endpoint.start()
        self.trace = Trace(self.endpoint.address, routing.party_at)
        context = CallContext(
            endpoint=self.endpoint,
            routing=routing,
            records=self.records,
            trace=self.trace,
            domain=self.config.sip_domain,
            ring_seconds=self._ring_seconds,
            media_seconds=self._media_seconds,
        )
        self.exchange = Exchange(
            context, self.registrar, self.realm, self.limits, self.config.vobiz_username
        )
        self.exchange.spawn(self.exchange.watch_media(), "media watch")
        self.endpoint.on_invite = self.exchange.invited
        self.endpoint.on_register = self.registrar.register

    async def aclose(self) -> None:
        """End every call and close the sockets."""
        await self.exchange.aclose()
        await self.endpoint.aclose()
        await self.equipment.aclose()

    def _password_of(self, username: str) -> str | None:
        """The trunk's password, or the one that all phones of the lab share."""
        if username == self.config.vobiz_username:
            return self.config.vobiz_password
        number = normalise(username)
        return None if isinstance(number, Refusal) else self.config.softphone_password

    def _trace(self, time: float, direction: Direction, text: str, remote: Address) -> None:
        self.trace.record(time, direction, text, remote)
