"""A call in words: what became of it, and how a notebook shows it."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from vobiz_kit.meanings import MEANINGS

if TYPE_CHECKING:
    from vobiz_kit.call_state import CallState

# A call that rings for so long without an agent in its room has nobody to answer it: an agent that
# is there joins within half a second (measured).
AGENT_LATE_S = 3.0
_WORDS_THAT_MUST_FIT = 0.75
# Who says "who is" may be written down as "who's", and the other way round.
_CONTRACTIONS = (
    (r"\bcan't\b", "cannot"),
    (r"\bwon't\b", "will not"),
    (r"n't\b", " not"),
    (r"'s\b", " is"),
    (r"'re\b", " are"),
    (r"'m\b", " am"),
    (r"'ll\b", " will"),
    (r"'ve\b", " have"),
)


class Explanation(str):
    """A text that a notebook shows line by line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f'<div style="white-space: pre-wrap">{escape(str(self))}</div>'


def explanation(call: CallState) -> Explanation:
    """What became of a call and why, with the evidence and what to do next."""
    parts = [f"{title(call)}: {call.status}"]
    if call.unserved_s > AGENT_LATE_S:
        missing = MEANINGS["agent_missing"]
        parts += [
            f"✗ {missing.happened} The call has waited for {call.unserved_s:.0f} s.",
            f"  The caller hears: {missing.caller_hears}",
            f"  Next: {missing.advice}",
        ]
    if call.outcome is not None:
        parts.append(str(call.outcome))
    if call.error is not None:
        parts.append(f"✗ The agent's code raised {type(call.error).__name__}: {call.error}")
    errors = [event.text for event in call.events if event.kind == "error"]
    parts += [f"Error: {text}" for text in dict.fromkeys(errors)]
    if len(parts) == 1 and call.events:
        parts.append(f"Last event: {call.events[-1].text}")
    return Explanation("\n".join(parts))


def title(call: CallState) -> str:
    """The call's direction and number in words."""
    number = call.phone_number or "an unknown number"
    return {
        "inbound": f"Call from {number}",
        "outbound": f"Call to {number}",
    }.get(call.direction, "Call")


def as_text(call: CallState) -> str:
    """The call as a terminal shows it."""
    lines = [f"{title(call)}: {call.status}"]
    if call.outcome is not None:
        lines.append(f"  {call.outcome.happened}")
    lines.append(f"  {_ids(call)}")
    return "\n".join([*lines, *(f"  {line}" for line in call.transcript)])


def as_html(call: CallState) -> str:
    """The call as a notebook shows it."""
    happened = f"<br>{escape(call.outcome.happened)}" if call.outcome else ""
    spoken = call.transcript._repr_html_() if call.transcript else ""
    return (
        f"<div><b>{escape(title(call))}: {call.status}</b>{happened}{spoken}"
        f"<small>{escape(_ids(call))}</small></div>"
    )


def _ids(call: CallState) -> str:
    ids = (("room", call.room), ("SIP Call-ID", call.sip_call_id))
    return ", ".join(f"{name} {value}" for name, value in ids if value)


def fits(words: str, text: str) -> bool:
    """Whether enough of the words were said, whatever their case and order."""
    wanted, said = _plain(words), _plain(text)
    if not wanted:
        return False
    return sum(word in said for word in wanted) / len(wanted) >= _WORDS_THAT_MUST_FIT


def _plain(text: str) -> list[str]:
    spelled = text.casefold().replace("’", "'")
    for short, full in _CONTRACTIONS:
        spelled = re.sub(short, full, spelled)
    return re.findall(r"[^\W_]+", spelled.replace("'", ""))
