"""What may be dialled. Every transfer and every call passes here just before the wire.

Allowed by default are the directory's numbers and ordinary numbers (fixed line or mobile) of the
account's own country; in the lab that is its number plan, +1 555. Everything else has to be named
in VOBIZ_KIT_MAY_DIAL. Nobody can talk a language model into more: it is not asked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vobiz_kit.asked import Asked
from vobiz_kit.audit import record_decision
from vobiz_kit.dial_limits import DialLimits, dial_limits
from vobiz_kit.directory import Destination, Directory, UnknownDestination
from vobiz_kit.emergency_numbers import emergency_country
from vobiz_kit.errors import NotAllowed, NumberRefused
from vobiz_kit.number_ranges import number_kind, region_of
from vobiz_kit.numbers import parse_number, sip_user_and_host

if TYPE_CHECKING:
    from vobiz_kit.number_ranges import NumberKind
    from vobiz_kit.settings import Settings


def check_destination(
    number: str,
    settings: Settings,
    directory: Directory | None = None,
    asked: Asked | None = None,
    *,
    limits: DialLimits | None = None,
) -> Destination:
    """Say who would be reached, or refuse.

    Refused whatever the settings say: emergency numbers (they are for people, and a SIP trunk
    gives them no location), the account's own number (the call would come back to the agent and
    loop), SIP URIs of another host or with headers or parameters, and what is no number and no
    alias at all. Premium-rate, satellite, revenue-share and unassigned numbers are allowed by
    their whole number only, in the directory or in VOBIZ_KIT_MAY_DIAL.

    Args:
        number: An alias of the directory, or a number in any form that `parse_number` reads.
        settings: Whose trunk it is, and what may be dialled.
        directory: The aliases that count; those of the settings if None.
        asked: Who is about to dial, in which call: it is counted, and the decision is written to
            the audit log. None if nobody is (a field that is being typed into).
        limits: What counts; that of this process if None.

    Raises:
        UnknownDestination: it is a name, and the directory does not know it.
        NumberRefused: it cannot be dialled; says why. Nothing has been sent.
        NotAllowed: it must not be dialled, or too much has been dialled already.
    """
    if directory is None:
        directory = Directory.from_settings(settings)
    if asked is None:
        return _decide(number, settings, directory)[0]
    limits = limits or dial_limits
    try:
        to, rule = _decide(number, settings, directory)
        limits.allowed(asked, settings)
    except NumberRefused as refusal:
        rule = _rule_of(refusal)
        # A name that was misheard is honest; who asks for what is forbidden uses up his attempts.
        if isinstance(refusal, NotAllowed) and not rule.endswith(("_per_call", "_per_hour")):
            limits.forbidden(asked)
        why = f"{refusal.what} {refusal.evidence}".strip()
        record_decision(asked, number, settings, rule=rule, why=why)
        raise
    record_decision(asked, number, settings, rule=rule, why=_RULES[rule], to=to)
    return to


_RULES = {
    "directory": "It is in the directory.",
    "may_dial": "VOBIZ_KIT_MAY_DIAL names it.",
    "own_country": "It is an ordinary number of the account's own country.",
    "lab": "It is a number of the lab's number plan.",
}


def _decide(text: str, settings: Settings, directory: Directory) -> tuple[Destination, str]:
    """Who may be dialled, and by which rule; raises NumberRefused."""
    _refuse_emergency(text)
    _refuse_foreign_host(text, settings)
    to = directory.resolve(text)
    own = settings.vobiz_outbound_number
    if own and to.number == parse_number(own):
        raise NotAllowed(
            "That is your own number: the call would come back to the agent and go in a circle.",
            rule="own_number",
            evidence=f"{to} is VOBIZ_OUTBOUND_NUMBER",
            fix="Name another destination.",
            spoken="I cannot connect you to our own number.",
        )
    _refuse_emergency(to.number)
    if to.number in directory.all_numbers:
        return to, "directory"
    return to, _permission(to.number, settings)


def _permission(number: str, settings: Settings) -> str:
    """The rule by which a number outside the directory may be dialled."""
    kind = number_kind(number)
    entries = settings.may_dial.split(",")
    prefixes = [entry[:-1] for entry in entries if entry.endswith("*")]
    covered = any(number.startswith(prefix) for prefix in prefixes)
    if number in entries or (covered and not kind.whole_only):
        return "may_dial"
    if kind.name == "fiction" and settings.backend == "lab":
        return "lab"
    own = settings.vobiz_outbound_number
    if own and kind.ordinary_in(region_of(parse_number(own))):
        return "own_country"
    raise _not_listed(number, kind, settings, covered=covered)


def _not_listed(number: str, kind: NumberKind, settings: Settings, *, covered: bool) -> NotAllowed:
    listed = settings.may_dial or "not set"
    evidence = f"{number} is {kind.words}; VOBIZ_KIT_MAY_DIAL ({listed}) does not name it"
    if covered:
        evidence += " by its whole number, as it has to for such a number"
    what = {
        "premium": "That number costs extra by the minute or by the call; it is not dialled.",
        "satellite": "That is a satellite phone, among the dearest calls that there are.",
        "global_service": "That number belongs to no country; such calls are expensive.",
        "revenue_share": "That number is in a range known for revenue-share fraud.",
        "unassigned": "That number is in no known numbering plan; fraud uses such ranges.",
    }.get(kind.name, "Your settings do not allow that number: every call costs money.")
    return NotAllowed(
        what,
        rule=kind.name if kind.whole_only else "not_listed",
        evidence=evidence,
        fix=f"If you mean it, add {number} to VOBIZ_KIT_MAY_DIAL in .env (or give it an alias) and"
        " load the settings again.",
        spoken="I am not allowed to connect you to that number.",
    )


def _rule_of(refusal: NumberRefused) -> str:
    if isinstance(refusal, NotAllowed):
        return refusal.rule
    return "unknown_name" if isinstance(refusal, UnknownDestination) else "no_number"


def _refuse_emergency(text: str) -> None:
    """Refuse what any country's network would take for an emergency call (``112``, ``911``)."""
    if country := emergency_country(text):
        raise NotAllowed(
            "That is an emergency number; the agent does not dial it.",
            rule="emergency",
            evidence=f"{ascii(text)} is an emergency number in {country}",
            fix="In an emergency call it from a phone. A SIP trunk tells nobody where you are.",
            spoken="I cannot call emergency services. Please hang up and dial them yourself, now.",
        )


def _refuse_foreign_host(text: str, settings: Settings) -> None:
    """Refuse a SIP URI of another host, whatever directory is asked later."""
    if not re.match(r"\s*sips?:", text, re.IGNORECASE):
        return
    host = sip_user_and_host(text.strip())[1]
    if host != settings.vobiz_sip_domain.lower():
        raise NotAllowed(
            "That SIP URI names a host other than your trunk's SIP domain; nothing was sent.",
            rule="foreign_host",
            evidence=f"host {host}, the trunk's domain is {settings.vobiz_sip_domain or 'not set'}",
            fix="Give the number alone, like +15550002222.",
        )
