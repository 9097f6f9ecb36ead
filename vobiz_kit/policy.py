"""What may be dialled. Every transfer and every call passes here just before the wire."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from vobiz_kit.directory import Destination, Directory
from vobiz_kit.errors import NumberRefused
from vobiz_kit.numbers import parse_number

if TYPE_CHECKING:
    from vobiz_kit.settings import Settings


def check_destination(
    number: str, settings: Settings, directory: Directory | None = None
) -> Destination:
    """Say who would be reached, or refuse.

    Refused are the account's own number (the call would come back to the agent and loop),
    emergency numbers (they are for people, and a SIP trunk gives them no location), SIP URIs of a
    host other than the trunk's, what is no number and no alias at all, and on the cloud every
    number that neither the directory nor VOBIZ_KIT_MAY_DIAL names: real calls cost money.

    Args:
        number: An alias of the directory, or a number in any form that `parse_number` reads.
        settings: Whose trunk it is.
        directory: The aliases that count; those of the settings if None.

    Raises:
        UnknownDestination: it is a name, and the directory does not know it.
        NumberRefused: it must not or cannot be dialled; says why. Nothing has been sent.
    """
    if directory is None:
        directory = Directory.from_settings(settings)
    _refuse_emergency(number)
    destination = directory.resolve(number)
    own = settings.vobiz_outbound_number
    if own and destination.number == parse_number(own):
        raise NumberRefused(
            "That is your own number: the call would come back to the agent and go in a circle.",
            evidence=f"{destination} is VOBIZ_OUTBOUND_NUMBER",
            fix="Name another destination.",
        )
    if settings.backend == "cloud" and destination.number not in directory.values():
        _refuse_unlisted(destination.number, settings)
    return destination


def _refuse_unlisted(number: str, settings: Settings) -> None:
    for entry in settings.may_dial.split(","):
        if number == entry or (entry.endswith("*") and number.startswith(entry[:-1])):
            return
    raise NumberRefused(
        "Your settings do not allow a real call to that number, which would cost money.",
        evidence=f"{number} is neither in your directory nor in VOBIZ_KIT_MAY_DIAL"
        f" ({settings.may_dial or 'not set'})",
        fix=f"If you mean it, put VOBIZ_KIT_MAY_DIAL={number} into .env and load the settings"
        " again.",
    )


class CallLimit:
    """How many calls this process may place on the real network in an hour.

    It bounds what a loop in a notebook can cost; the lab is free and has no limit.

    Args:
        calls: Calls in any 3600 seconds.
        clock: Seconds that only grow.
    """

    def __init__(self, calls: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.calls = calls
        self._clock = clock
        self._placed: deque[float] = deque()

    def count(self, settings: Settings) -> None:
        """Count one call that is about to be placed.

        Raises:
            NumberRefused: it would be one too many.
        """
        if settings.backend != "cloud":
            return
        now = self._clock()
        while self._placed and now - self._placed[0] > 3600:
            self._placed.popleft()
        if len(self._placed) >= self.calls:
            wait = (3600 - (now - self._placed[0])) / 60
            raise NumberRefused(
                f"{self.calls} real calls have been placed here within an hour; that is the limit.",
                evidence=f"the oldest of them is {60 - wait:.0f} minutes old",
                fix=f"Wait {wait:.0f} minutes, or practise in the lab, where calls are free.",
            )
        self._placed.append(now)


call_limit = CallLimit(20)


def _refuse_emergency(text: str) -> None:
    """Refuse what any country's network would take for an emergency call (``112``, ``911``)."""
    # Short numbers have no country code, so no E.164 form: look at the bare digits.
    digits = re.sub(r"^\s*(tel|sips?):|[\s().+-]|@.*$", "", text, flags=re.IGNORECASE | re.DOTALL)
    if not re.fullmatch(r"[0-9]{2,6}", digits):
        return
    from phonenumbers import shortnumberinfo

    for region in sorted(shortnumberinfo.SUPPORTED_SHORT_REGIONS):
        if shortnumberinfo.is_emergency_number(digits, region):
            raise NumberRefused(
                "That is an emergency number; the agent does not dial it.",
                evidence=f"{digits} is an emergency number in {region}",
                fix="In an emergency call it from a phone. A SIP trunk tells nobody where you are.",
            )
