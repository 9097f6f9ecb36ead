"""A telephone's connection to the carrier: SIP endpoint, registration, calls out."""

from __future__ import annotations

import asyncio
import logging

from aiosipua import Registration, RegistrationState, SipDigestAuth

from vobiz_kit.errors import CallError
from vobiz_kit.lab.handsets.behaviour import Behaviour
from vobiz_kit.lab.handsets.speech import Speech
from vobiz_kit.lab.handsets.telephone import Place, Telephone
from vobiz_kit.lab.sip.endpoint import RegistrationRefused, SipEndpoint
from vobiz_kit.lab.sip.legs import Leg
from vobiz_kit.lab.sip.media import RtpLeg
from vobiz_kit.lab.state import LOOPBACK, LabConfig

log = logging.getLogger(__name__)

#: A phone registers anew so often, in seconds: a carrier that was restarted has forgotten it.
_REFRESH_S = 20.0
#: What it asks the registrar for, in seconds.
_EXPIRES_S = 60

#: So long may the carrier take to forget a phone that is put away, in seconds.
_FAREWELL_S = 0.4


def line_of(number: str, config: LabConfig, endpoint: SipEndpoint) -> Place:
    """What places calls from that number at the lab's carrier, through an endpoint."""

    def place(other: str, rtp: RtpLeg) -> Leg:
        return endpoint.invite(
            f"sip:{other}@{config.sip_domain}",
            (LOOPBACK, config.carrier_sip_port),
            from_uri=f"sip:{number}@{config.sip_domain}",
            sdp=rtp.offer(),
            auth=SipDigestAuth(number, config.softphone_password),
        )

    return place


class Plug:
    """A learner's phone with a UDP port of its own, registered at the carrier.

    Args:
        number: E.164; also the SIP username.
        config: The lab's; names the carrier and the phones' password.
        speech: Speaks and recognises.
    """

    def __init__(self, number: str, config: LabConfig, speech: Speech) -> None:
        self._config = config
        self._endpoint = SipEndpoint(LOOPBACK, 0, user_agent="vobiz-kit handset")
        self.telephone = Telephone(
            number, line_of(number, config, self._endpoint), speech, Behaviour()
        )
        self._endpoint.on_invite = self.telephone.ring
        self._registration: Registration | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Register, and stay registered.

        Raises:
            CallError: the carrier does not accept the phone, or does not answer.
        """
        await self._endpoint.start()
        number = self.telephone.number
        try:
            self._registration = await self._endpoint.register(
                f"sip:{number}@{self._config.sip_domain}",
                (LOOPBACK, self._config.carrier_sip_port),
                password=self._config.softphone_password,
                expires=_EXPIRES_S,
            )
        except (RegistrationRefused, TimeoutError) as error:
            await self._endpoint.aclose()
            status = error.status if isinstance(error, RegistrationRefused) else None
            raise CallError(
                f"The phone {number} cannot register at the lab's carrier.",
                evidence=f"REGISTER: {error}" if status else "REGISTER was not answered",
                fix="Look at `vobiz-kit lab status`: is the carrier running?",
                sip_status=status,
            ) from error
        self._keeper = asyncio.create_task(
            self._stay_registered(self._registration), name=f"registration of {number}"
        )

    async def aclose(self) -> None:
        """Hang up, tell the carrier that the phone is gone, and close its port."""
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self.telephone.aclose()
        if self._registration:
            await self._say_farewell(self._registration)
        await self._endpoint.aclose()

    async def _stay_registered(self, registration: Registration) -> None:
        while True:
            await asyncio.sleep(_REFRESH_S)
            registration.register()

    async def _say_farewell(self, registration: Registration) -> None:
        """Unregister; the carrier asks for the password first, so the port must stay open."""
        registration.unregister()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _FAREWELL_S
        while registration.state is not RegistrationState.UNREGISTERED:
            if loop.time() > deadline:
                log.info("the carrier does not answer the farewell of a phone")
                return
            await asyncio.sleep(0.01)
