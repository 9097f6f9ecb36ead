"""Which number does what: the account's DID, people, and magic numbers that act out an outcome."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

from vobiz_kit.lab.state import PEOPLE

_E164 = re.compile(r"\+[1-9][0-9]{7,14}")
_SEPARATORS = re.compile(r"[-.()]")  # RFC 3966 calls them visual; they mean nothing


class Behaviour(StrEnum):
    """What happens to a call to a number."""

    TRUNK = "trunk"  # to LiveKit, by the origination URI
    ANSWER = "answer"  # a person answers (at the handsets, or whoever registered the number)
    BUSY = "busy"
    DECLINE = "decline"
    NO_ANSWER = "no-answer"
    NOT_IN_SERVICE = "not-in-service"
    CONGESTION = "congestion"
    SILENT = "silent"
    EARLY_MEDIA = "early-media"
    ANSWERING_MACHINE = "answering-machine"


MAGIC = {
    "+15550004404": Behaviour.NOT_IN_SERVICE,
    "+15550004480": Behaviour.NO_ANSWER,
    "+15550004486": Behaviour.BUSY,
    "+15550004603": Behaviour.DECLINE,
    "+15550004503": Behaviour.CONGESTION,
    "+15550004408": Behaviour.SILENT,
    "+15550005183": Behaviour.EARLY_MEDIA,
    "+15550005199": Behaviour.ANSWERING_MACHINE,
}

REFUSED_AT_ONCE = {
    Behaviour.NOT_IN_SERVICE: (404, "Number not in service"),
    Behaviour.CONGESTION: (503, "Service Unavailable"),
}
"""What the carrier says itself, without calling anybody."""

ACTED = frozenset(
    {
        Behaviour.BUSY,
        Behaviour.DECLINE,
        Behaviour.NO_ANSWER,
        Behaviour.SILENT,
        Behaviour.EARLY_MEDIA,
        Behaviour.ANSWERING_MACHINE,
    }
)
"""What the carrier's own answering equipment acts out (`magic_numbers`)."""


@dataclass(frozen=True)
class Refusal:
    """A call that goes nowhere: the SIP status and the words that go with it."""

    status: int
    reason: str


def normalise(user: str) -> str | Refusal:
    """The E.164 number that somebody dialled, or why it is none.

    Args:
        user: The user part of a SIP URI, or the number of a tel URI; percent-encoding and visual
            separators are removed, and a missing plus sign is added, as carriers do.
    """
    number = _SEPARATORS.sub("", unquote(user).partition(";")[0])
    digits = number.removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        return Refusal(404, "Not a phone number")
    if len(digits) < 8:
        return Refusal(484, "Address Incomplete")
    number = "+" + digits
    if not _E164.fullmatch(number):
        return Refusal(404, "Not an E.164 number")
    return number


class NumberPlan:
    """The plan in force: the DID, the magic numbers, and what somebody overrode.

    Args:
        did: The account's number.
    """

    def __init__(self, did: str) -> None:
        self.did = did
        self._overrides: dict[str, Behaviour] = {}

    def override(self, number: str, behaviour: Behaviour) -> None:
        """Let a number do something else until `heal`."""
        self._overrides[number] = behaviour

    def heal(self, number: str) -> bool:
        """Undo `override`; False if there was none."""
        return self._overrides.pop(number, None) is not None

    def is_overridden(self, number: str) -> bool:
        """Whether `override` is in force for that number."""
        return number in self._overrides

    def behaviour(self, number: str) -> Behaviour:
        """What happens to a call to that E.164 number."""
        if number in self._overrides:
            return self._overrides[number]
        if number == self.did:
            return Behaviour.TRUNK
        return MAGIC.get(number, Behaviour.ANSWER)

    def table(self) -> list[dict[str, Any]]:
        """Every number that the plan names, for people to read."""
        names = {number: alias for alias, number in PEOPLE.items()}
        numbers = [self.did, *PEOPLE.values(), *MAGIC, *self._overrides]
        return [
            {
                "number": number,
                "behaviour": self.behaviour(number).value,
                "name": names.get(number, ""),
                "overridden": self.is_overridden(number),
            }
            for number in dict.fromkeys(numbers)
        ]
