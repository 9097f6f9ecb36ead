"""How the person at a phone behaves when it rings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from vobiz_kit.errors import VobizKitError
from vobiz_kit.lab.state import PEOPLE

#: Departments say who they are: a caller who was transferred must hear that it worked.
_DEPARTMENTS = {
    "sales": "Hello, this is sales. What would you like to buy?",
    "billing": "Hello, this is billing. How can I help you?",
    "support": "Hello, this is support. What is the problem?",
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a person does with a call.

    Attributes:
        answer_after: Seconds of ringing before the phone is answered; None leaves that to
            ``answer()``.
        says: What the person says on answering; "" for nothing.
        busy: Refuse calls with 486 Busy Here.
        declines: Refuse calls with 603 Decline.
        silence: Hang up after so many seconds in which the other side said nothing; None never.
        longest: Hang up after so many seconds in all.
    """

    answer_after: float | None = None
    says: str = ""
    busy: bool = False
    declines: bool = False
    silence: float | None = None
    longest: float = 900.0

    def changed(self, changes: Mapping[str, Any]) -> Behaviour:
        """The same with some things changed, as they come in a JSON object.

        Raises:
            BehaviourRefused: there is no such thing to change, or its value makes no sense.
        """
        kinds = {
            "answer_after": (float, int, type(None)),
            "says": (str,),
            "busy": (bool,),
            "declines": (bool,),
            "silence": (float, int, type(None)),
            "longest": (float, int),
        }
        for name, value in changes.items():
            if name not in kinds:
                known = ", ".join(f.name for f in fields(self))
                raise BehaviourRefused(
                    f"A phone has no behaviour {name!r}.", fix=f"There are: {known}."
                )
            wrong_bool = isinstance(value, bool) and bool not in kinds[name]
            negative = isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0
            if not isinstance(value, kinds[name]) or wrong_bool or negative:
                raise BehaviourRefused(
                    f"That is no value for a phone's {name}.", evidence=f"{name}={value!r}"
                )
        return replace(self, **changes)


class BehaviourRefused(VobizKitError):  # noqa: N818 - named as what happened
    """A phone cannot behave like that."""


def of_person(number: str) -> Behaviour:
    """How the person at a number of the lab's number plan behaves, unless told otherwise."""
    departments = {e164: _DEPARTMENTS[name] for name, e164 in PEOPLE.items()}
    return Behaviour(
        answer_after=0.5 if number in departments else 1.0,
        says=departments.get(number, "Hello?"),
        silence=60.0,
        longest=300.0,
    )
