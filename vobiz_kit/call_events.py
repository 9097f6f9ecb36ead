"""What is known of a call while it goes on: its events, and how the agent tells them to others.

The agent's job sends its events into the call's room as text streams on one topic, and the outcome
as an attribute of the agent: attributes travel in order with the room's end (measured), a text
stream may be overtaken by it. So whoever watches the room, in this kernel or elsewhere, sees them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

TOPIC = "vobiz.call"
# LiveKit's own text streams of what is said.
TRANSCRIPTION_TOPIC = "lk.transcription"
TRANSCRIPTION_FINAL = "lk.transcription_final"
TRANSCRIPTION_SEGMENT = "lk.segment_id"
OUTCOME_ATTRIBUTE = "vobiz.outcome"
# An agent participant that carries it is a watcher of the kit, not the agent on the phone.
WATCHER_IDENTITY = "vobiz-watcher-"
# The two that come into the call's room for a warm transfer: the target's phone, and who briefs it.
TARGET_IDENTITY = "transfer-target-"
BRIEFING_IDENTITY = "transfer-briefing-"

Kind = Literal["status", "transcript", "tool", "transfer", "job", "error"]
Status = Literal[
    "dispatched",
    "dialing",
    "ringing",
    "active",
    "transferring",
    "transferred",
    "ended",
    "failed",
]
OVER: frozenset[Status] = frozenset({"transferred", "ended", "failed"})


def is_consulted(identity: str) -> bool:
    """Whether a participant is there for a warm transfer: neither the caller nor the agent."""
    return identity.startswith((TARGET_IDENTITY, BRIEFING_IDENTITY))


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened in a call.

    Attributes:
        time: When, in Unix seconds.
        kind: "status", "transcript" (data: "speaker", "final"), "tool", "transfer", "job" or
            "error".
        text: What happened, in a few words; of a transcript, the words.
        data: The details, plain JSON data.
    """

    time: float
    kind: Kind
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(self.time))
        return f"{clock}.{int(self.time * 1000) % 1000:03d}  {self.kind:<10}  {self.text}"


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody said.

    Attributes:
        time: When the first words of it were known, in Unix seconds.
        speaker: "caller" (the phone, whoever dialled) or "agent".
        text: The words, as Deepgram understood them or as the agent's voice spoke them.
        final: False while the sentence is still going on.
    """

    time: float
    speaker: Literal["caller", "agent"]
    text: str
    final: bool = True

    def __str__(self) -> str:
        return f"{self.speaker:>6}: {self.text}{'' if self.final else ' …'}"


class Transcript(tuple[Line, ...]):
    """The lines of a call so far, in order; a notebook shows them as a list."""

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "(nothing has been said)"

    def _repr_html_(self) -> str:
        lines = "".join(f"<li><b>{ln.speaker}</b>: {escape(ln.text)}</li>" for ln in self)
        return (
            f'<ol style="list-style: none; padding: 0">{lines}</ol>'
            if lines
            else escape(repr(self))
        )


def to_wire(event: CallEvent) -> str:
    """The event as the text of a text stream."""
    return json.dumps(
        {"time": event.time, "kind": event.kind, "text": event.text, "data": dict(event.data)}
    )


def from_wire(text: str) -> CallEvent | None:
    """The event in a text stream; None if it is none (anybody in the room may send there)."""
    try:
        found = json.loads(text)
        return CallEvent(
            float(found["time"]), found["kind"], str(found["text"]), dict(found.get("data") or {})
        )
    except (ValueError, TypeError, KeyError):
        return None
