"""What is said to the person at the keyboard when a call or a hearing did not work out."""

from __future__ import annotations

from vobiz_kit.lab.handsets.hearing import Listening
from vobiz_kit.lab.handsets.phone import NotAnswered, NotHeard
from vobiz_kit.lab.handsets.progress import Progress

_AGENT = (
    "If that is your agent's number: is the agent serving (vk.serve)? A call rings for good until "
    "an agent joins its room and publishes sound."
)
_FIXES = {
    403: "The carrier does not know this phone: `vobiz-kit lab status`, then lab.phone(...) again.",
    404: "Nobody has that number. Is the DID's trunk there (vk.apply_trunks)?",
    480: "Nobody is there now. " + _AGENT,
    486: "The other side is busy, or an inbound call was given up waiting. " + _AGENT,
    503: "The carrier has no way through now: `vobiz-kit lab status`, calls per second, channels.",
}


def refused(number: str, progress: Progress) -> NotAnswered:
    """The call got a final response other than 200, or none (408)."""
    status, reason = progress.sip_status, progress.sip_reason
    rang = "after ringing " if progress.rang else ""
    by = "this phone gave it up" if progress.ended_by == "local" else f"SIP {status} {reason}"
    return NotAnswered(
        f"The call to {number} was not answered.",
        evidence=f"{by}, {rang}{progress.age:.1f} s after it was dialled"
        + (f"; {progress.problem}" if progress.problem else ""),
        fix=_FIXES.get(status, "The SIP messages (lab.trace) show who refused it, and why."),
        sip_status=status or None,
    )


def given_up(number: str, progress: Progress, within: float) -> NotAnswered:
    """Time was up before there was any final response."""
    if progress.rang:
        seen, fix = f"it rang for {within:g} s and nobody answered (SIP 180 Ringing)", _AGENT
    elif progress.sip_status:
        seen = f"SIP {progress.sip_status} {progress.sip_reason} came, but no answer"
        fix = _AGENT
    else:
        seen = "it did not even ring: no answer of the carrier but 100 at most"
        fix = "Is the lab well (`vobiz-kit lab status`)? The SIP messages (lab.trace) tell more."
    return NotAnswered(
        f"The call to {number} was not answered within {within:g} s; the phone has hung up.",
        evidence=seen,
        fix=fix,
    )


def not_heard(expect: str, within: float, progress: Progress, found: Listening) -> NotHeard:
    """The words were not said, or not understood."""
    wanted = f"“{expect}” was" if expect else "Anything at all was"
    heard = [text for text in found.transcript if text]
    said = "; ".join(f"“{text}”" for text in heard) or "nothing that could be understood"
    match = f" (best match {found.score:.0%})" if heard and expect else ""
    over = "" if progress.live else f"; {progress.course}"
    if heard:
        fix = "Expect words that the other side really says; see `.transcript` for what was heard."
    elif not progress.live:
        fix = "The call is over: listen before it ends, or look at who ended it (lab.trace)."
    else:
        fix = "Play `await phone.recording()`: is there anybody at the other end who speaks?"
    return NotHeard(
        f"{wanted} not heard within {within:g} s." if progress.live else f"{wanted} not heard.",
        evidence=f"heard: {said}{match}; on the line: {found.line}{over}",
        fix=fix,
        transcript=heard,
    )
