"""From a call's events to rows of a ladder diagram: what was said, tool calls, the agent's job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from vobiz_kit.ladder_rows import AGENT, Row
from vobiz_kit.sip_reading import LIVEKIT
from vobiz_kit.sip_words import clip


class Event(Protocol):
    """What is read of a `vobiz_kit.calls.CallEvent`."""

    @property
    def time(self) -> float: ...  # noqa: D102 - Unix seconds
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def data(self) -> Mapping[str, Any]: ...  # noqa: D102


_EVENT_LABELS = {
    "tool": "tool call",
    "transfer": "transfer",
    "job": "job",
    "error": "error",
    "status": "status",
}  # a "transcript" has a label for each speaker


def shown_events(events: Iterable[Event], *, with_status: bool) -> list[Event]:
    """The events that have a place in a ladder; sentences still being spoken have none.

    Args:
        events: A call's events.
        with_status: Changes of the call's status too; where the SIP messages are at hand they say
            it better.
    """
    return [
        event
        for event in events
        if (event.kind in _EVENT_LABELS and (with_status or event.kind != "status"))
        or (event.kind == "transcript" and event.data.get("final", True))
    ]


def event_rows(events: Iterable[Event], start: float) -> list[Row]:
    """Rows for what the agent did: what was said, tool calls, the job's start and end.

    Args:
        events: Those of `shown_events`.
        start: Unix time that counts as 0.
    """
    return [_event_row(event, start) for event in events]


def _event_row(event: Event, start: float) -> Row:
    text = clip(event.text, 300)
    row = Row(
        time=event.time - start,
        source=AGENT,
        target=AGENT,
        label=_EVENT_LABELS.get(event.kind, event.kind),
        words=text,
        line="event",
    )
    if event.kind == "transcript":
        by_agent = event.data.get("speaker") == "agent"
        ends = (AGENT, LIVEKIT) if by_agent else (LIVEKIT, AGENT)
        label = "agent says" if by_agent else "caller says"
        return replace(
            row, source=ends[0], target=ends[1], label=label, words=f"“{text}”", line="speech"
        )
    if event.kind == "status":
        status = clip(str(event.data.get("status", "status")), 20)
        return replace(row, label=status, source=LIVEKIT, target=LIVEKIT, failed=status == "failed")
    if event.kind == "job" and (state := event.data.get("state")):
        return replace(row, label=f"job {clip(str(state), 12)}")
    if event.kind == "transfer":
        # An outcome has a name; without one it is the agent's request to LiveKit's API.
        outcome = event.data.get("name")
        ends = (AGENT, AGENT) if outcome else (AGENT, LIVEKIT)
        failed = outcome not in (None, "completed")
        return replace(row, source=ends[0], target=ends[1], transfer=True, failed=failed)
    return replace(row, failed=event.kind == "error")
