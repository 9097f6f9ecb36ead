"""Where a number is reached: LiveKit, a registered phone, the people, or answering equipment."""

from __future__ import annotations

from dataclasses import dataclass

from vobiz_kit.lab.carrier.number_plan import (
    ACTED,
    REFUSED_AT_ONCE,
    Behaviour,
    NumberPlan,
    Refusal,
)
from vobiz_kit.lab.carrier.party import LIVEKIT
from vobiz_kit.lab.carrier.registrar import Registrar, contact_address
from vobiz_kit.lab.sip.transport import Address


@dataclass(frozen=True)
class Destination:
    """Where to send an INVITE.

    Attributes:
        number: The E.164 number called.
        party: How the trace names whoever is there.
        request_uri: The Request-URI.
        remote: The address that it is sent to.
    """

    number: str
    party: str
    request_uri: str
    remote: Address

    @property
    def is_livekit(self) -> bool:
        """Whether the call goes to LiveKit."""
        return self.party == LIVEKIT


class Routing:
    """Resolves numbers.

    Args:
        plan: The number plan.
        registrar: The phones that registered.
        livekit: Where livekit-sip listens: the origination URI.
        switchboard: Where the handsets answer for every number that nobody registered.
        equipment: Where the carrier's own answering equipment listens.
    """

    def __init__(
        self,
        plan: NumberPlan,
        registrar: Registrar,
        *,
        livekit: Address,
        switchboard: Address,
        equipment: Address,
    ) -> None:
        self.plan = plan
        self._registrar = registrar
        self._livekit = livekit
        self._switchboard = switchboard
        self._equipment = equipment

    def resolve(self, number: str) -> Destination | Refusal:
        """Where that E.164 number is reached now.

        What somebody overrode comes first, then a phone that registered the number, then the
        number plan.
        """
        behaviour = self.plan.behaviour(number)
        binding = self._registrar.find(number)
        if binding is not None and not self.plan.is_overridden(number):
            return Destination(number, number, binding.contact, contact_address(binding))
        if behaviour in REFUSED_AT_ONCE:
            return Refusal(*REFUSED_AT_ONCE[behaviour])
        if behaviour is Behaviour.TRUNK:
            return _at(number, LIVEKIT, self._livekit)
        if behaviour in ACTED:
            return _at(number, number, self._equipment)
        return _at(number, number, self._switchboard)

    def party_at(self, address: Address) -> str:
        """Who is at an address, "" if that is not known from the address alone."""
        if address == self._livekit:
            return LIVEKIT
        numbers = self._registrar.numbers_at(address)
        return numbers[0] if len(numbers) == 1 else ""


def _at(number: str, party: str, remote: Address) -> Destination:
    return Destination(number, party, f"sip:{number}@{remote[0]}:{remote[1]}", remote)
