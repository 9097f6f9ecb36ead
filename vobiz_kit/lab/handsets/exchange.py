"""All telephones of a lab: the people of the number plan at one switchboard, and learners' phones.

The carrier sends every call to a number without a registration to the switchboard. A learner's
phone has a SIP endpoint of its own and registers at the carrier, so that calls to its number ring
there instead.
"""

from __future__ import annotations

import asyncio
from typing import Any

from vobiz_kit.errors import NumberRefused
from vobiz_kit.lab.carrier.number_plan import MAGIC
from vobiz_kit.lab.handsets.behaviour import of_person
from vobiz_kit.lab.handsets.plug import Plug, line_of
from vobiz_kit.lab.handsets.speech import Speech
from vobiz_kit.lab.handsets.telephone import Telephone
from vobiz_kit.lab.sip.endpoint import SipEndpoint
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.state import LOOPBACK, PEOPLE, LabConfig
from vobiz_kit.numbers import is_e164

#: People that nobody asked about by number: so many are remembered, with their last recordings.
_STRANGERS = 40

#: A department takes so many calls at once; one person only one.
_DEPARTMENT_LINES = 50


class Exchange:
    """The telephones of one lab.

    Args:
        config: The lab's ports and credentials.
        speech: Speaks and recognises for everybody.
    """

    def __init__(self, config: LabConfig, speech: Speech) -> None:
        self._config = config
        self._speech = speech
        self._switchboard = SipEndpoint(
            LOOPBACK, config.handsets_sip_port, user_agent="vobiz-kit switchboard"
        )
        self._switchboard.on_invite = self._ring_person
        self._people: dict[str, Telephone] = {}
        self._plugged: dict[str, Plug] = {}
        self._plugging = asyncio.Lock()

    async def start(self) -> None:
        """Take calls from now on.

        Raises:
            OSError: the switchboard's port is taken.
        """
        await self._switchboard.start()

    async def aclose(self) -> None:
        """Hang up everything and leave the network."""
        await self.reset()
        await self._switchboard.aclose()

    @property
    def telephones(self) -> list[Telephone]:
        """Every telephone that is known, learners' first."""
        return [plug.telephone for plug in self._plugged.values()] + list(self._people.values())

    def registered(self, telephone: Telephone) -> bool:
        """Whether it is a learner's phone, with a registration at the carrier."""
        return telephone.number in self._plugged

    def known(self, number: str) -> Telephone | None:
        """The telephone of that number, if there has been one."""
        if plug := self._plugged.get(number):
            return plug.telephone
        return self._people.get(number)

    async def plug_in(self, number: str) -> Telephone:
        """The telephone of that number; a new one registers at the carrier.

        People of the number plan keep theirs, and so does whoever is in a call.

        Raises:
            NumberRefused: no phone can have it: it is the DID, or one of the carrier's own.
            CallError: the carrier does not accept the phone.
        """
        self._refuse_taken(number)
        async with self._plugging:
            if plug := self._plugged.get(number):
                return plug.telephone
            person = self._people.get(number)
            if number in PEOPLE.values():
                return person or self._person(number)
            if person and person.live_calls:
                return person
            plug = Plug(number, self._config, self._speech)
            await plug.start()
            self._people.pop(number, None)
            self._plugged[number] = plug
            return plug.telephone

    async def reset(self) -> dict[str, Any]:
        """Hang up everything, forget learners' phones, and let people behave as they used to.

        Returns:
            ``{"calls": ended, "phones": [numbers that were forgotten]}``.
        """
        async with self._plugging:
            calls = sum(telephone.live_calls for telephone in self.telephones)
            people, plugs = list(self._people.values()), list(self._plugged.values())
            self._people.clear()
            self._plugged.clear()
            await asyncio.gather(
                *(person.aclose() for person in people), *(plug.aclose() for plug in plugs)
            )
        return {"calls": calls, "phones": [plug.telephone.number for plug in plugs]}

    def _refuse_taken(self, number: str) -> None:
        if number == self._config.did:
            whose = "the number at which your agent is called"
        elif number in MAGIC:
            whose = f"one of the carrier's test numbers ({MAGIC[number].value})"
        else:
            return
        raise NumberRefused(
            f"{number} is {whose}: no phone can have it.",
            fix='Take another number, e.g. lab.phone("+15550009999"), and dial this one from it.',
        )

    def _ring_person(self, leg: IncomingLeg) -> None:
        if not is_e164(leg.called):
            leg.reject(404)
            return
        self._person(leg.called).ring(leg)

    def _person(self, number: str) -> Telephone:
        if person := self._people.get(number):
            return person
        self._forget_strangers()
        department = number in PEOPLE.values()
        person = Telephone(
            number,
            line_of(number, self._config, self._switchboard),
            self._speech,
            of_person(number),
            lines=_DEPARTMENT_LINES if department else 1,
        )
        self._people[number] = person
        return person

    def _forget_strangers(self) -> None:
        idle = [
            number
            for number, person in self._people.items()
            if number not in PEOPLE.values() and not person.live_calls
        ]
        for number in idle[: max(0, len(idle) - _STRANGERS)]:
            del self._people[number]
