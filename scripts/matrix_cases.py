"""What can go wrong with a transfer: the rows of the matrix that ``make test-matrix`` runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ASK = "Please transfer me to billing"


@dataclass(frozen=True)
class Failure:
    """One thing that goes wrong.

    Attributes:
        what: In words, for the table.
        outcome: The outcome that it has to be called.
        numbers: What the directory has for billing; "" for a number of the row's own.
        script: How the carrier treats the REFER, if not as it should
            (`vobiz_kit.lab.carrier.refer_script`).
        ringing_s: Seconds that the target may ring.
        answers_after: Seconds after which the person at the target answers; None never.
        bridged: Whether the caller has to end up with the target, not with the agent.
        said: What the caller asks for.
    """

    what: str
    outcome: str
    numbers: str = ""
    script: Mapping[str, Any] | None = None
    ringing_s: int = 10
    answers_after: float | None = None
    bridged: bool = False
    said: str = ASK


def _refused(status: int, outcome: str, why: str) -> Failure:
    return Failure(f"REFER refused with {status} ({why})", outcome, script={"answer": status})


def _reported(status: int, outcome: str, why: str) -> Failure:
    script = {"answer": 202, "notify": [100, 180, status]}
    return Failure(f"NOTIFY says {status} ({why})", outcome, script=script)


def _silent(what: str, script: Mapping[str, Any]) -> Failure:
    return Failure(what, "undecided", script=script, ringing_s=3)


FAILURES = (
    Failure("the target is busy", "busy", "+15550004486"),
    Failure("the target declines", "declined", "+15550004603"),
    Failure("the number is not in service", "not_in_service", "+15550004404"),
    Failure("the carrier is congested", "carrier_unavailable", "+15550004503"),
    Failure("the target rings until the carrier gives up", "no_answer", "+15550004480"),
    Failure("nothing at all comes from the target", "no_answer", "+15550004408"),
    _refused(401, "not_permitted", "challenged; LiveKit does not answer that"),
    _refused(403, "not_permitted", "forbidden"),
    _refused(404, "not_in_service", "no such number"),
    _refused(405, "not_permitted", "the carrier knows no REFER"),
    _refused(407, "not_permitted", "challenged"),
    _refused(420, "not_permitted", "bad extension"),
    _refused(481, "rejected", "the carrier has lost the dialog"),
    _refused(491, "rejected", "pending"),
    _refused(501, "not_permitted", "not implemented"),
    _refused(503, "carrier_unavailable", "overloaded"),
    _refused(603, "not_permitted", "declined by the carrier"),
    _reported(302, "unknown", "moved; nobody follows that"),
    _reported(403, "not_permitted", "the target may not be called"),
    _reported(408, "no_answer", "timed out"),
    _reported(487, "cancelled", "cancelled"),
    _reported(488, "media_mismatch", "no codec in common"),
    _reported(500, "carrier_unavailable", "the carrier failed"),
    _reported(600, "busy", "busy everywhere"),
    _silent("REFER accepted, and no word after that", {"answer": 202, "notify": []}),
    _silent("REFER accepted, only 100 Trying after that", {"answer": 202, "notify": [100]}),
    _silent("REFER never answered", {"answer": None}),
    Failure(
        "given up, and then the target answers after all",
        "completed",
        ringing_s=3,
        answers_after=5.0,
        bridged=True,
    ),
    Failure(
        "the first number is busy, the second one answers",
        "completed",
        numbers="+15550004486,{own}",
        answers_after=0.5,
        bridged=True,
    ),
    Failure("the alias is the account's own number", "refused_by_policy", "+15550001000"),
    Failure(
        "nobody of that name is in the directory",
        "refused_by_policy",
        said="Please transfer me to the marketing department",
    ),
)
