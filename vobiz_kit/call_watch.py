"""Watch a call's room as a participant that nobody sees, hears or waits for.

The watcher joins hidden, publishes nothing and subscribes to no track. It joins as an agent, since
a room of agents alone is empty for LiveKit: the watcher does not keep a call's room open (measured
with livekit-server 1.13.5).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any, Literal, Protocol

from vobiz_kit.call_events import (
    OUTCOME_ATTRIBUTE,
    TOPIC,
    TRANSCRIPTION_FINAL,
    TRANSCRIPTION_SEGMENT,
    TRANSCRIPTION_TOPIC,
    WATCHER_IDENTITY,
    CallEvent,
    Line,
    from_wire,
    is_consulted,
)
from vobiz_kit.kit_log import log_to_file
from vobiz_kit.outcomes import DialOutcome, Outcome, TransferOutcome
from vobiz_kit.room_connect import finish_joining

if TYPE_CHECKING:
    from livekit import rtc

    from vobiz_kit.settings import Settings


class Sink(Protocol):
    """Who is told what the watcher sees. Everything is called on the watcher's event loop."""

    def phone_seen(self, attributes: dict[str, str], identity: str) -> None:
        """The phone joined, or its attributes changed."""

    def phone_left(self, reason: str) -> None:
        """The phone left the room; LiveKit's reason by name."""

    def agent_seen(self, identity: str) -> None:
        """An agent is in the room."""

    def agent_left(self, identity: str) -> None:
        """An agent left the room."""

    def said(self, line: Line, segment: str) -> None:
        """Somebody said something; a later call with the same segment replaces it."""

    def told(self, event: CallEvent) -> None:
        """The agent's job reported an event."""

    def concluded(self, outcome: Outcome, at: float) -> None:
        """The agent's job reported how the call, or a transfer, ended."""

    def room_ended(self, reason: str) -> None:
        """The room is gone, or the watcher was thrown out of it."""


class RoomWatch:
    """One room, watched from `start` until the room ends or `aclose`.

    Args:
        settings: Where LiveKit is.
        room_name: The room; it is made if it does not exist.
        sink: Who is told.
    """

    def __init__(self, settings: Settings, room_name: str, sink: Sink) -> None:
        log_to_file()
        from livekit import rtc

        self.room = rtc.Room()
        self._settings = settings
        self._name = room_name
        self._sink = sink
        self._readers: set[asyncio.Task[None]] = set()
        self._ended = False
        self.room.on("participant_connected", self._on_connected)
        self.room.on("participant_disconnected", self._on_disconnected)
        self.room.on("participant_attributes_changed", self._on_attributes)
        self.room.on("disconnected", self._on_room_end)
        self.room.register_text_stream_handler(TRANSCRIPTION_TOPIC, self._on_transcript)
        self.room.register_text_stream_handler(TOPIC, self._on_report)

    async def start(self) -> None:
        """Join the room, and tell the sink who is there already.

        Raises:
            livekit.rtc.ConnectError: LiveKit is not there, or refused the key.
        """
        from livekit import rtc

        options = rtc.RoomOptions(auto_subscribe=False)
        joining = self.room.connect(self._settings.livekit_url, self._token(), options)
        await finish_joining(self.room, joining)
        for participant in [*self.room.remote_participants.values()]:
            self._on_connected(participant)

    async def aclose(self) -> None:
        """Leave the room; the sink hears nothing more."""
        self._ended = True
        for event, handler in (
            ("participant_connected", self._on_connected),
            ("participant_disconnected", self._on_disconnected),
            ("participant_attributes_changed", self._on_attributes),
            ("disconnected", self._on_room_end),
        ):
            self.room.off(event, handler)  # type: ignore[arg-type]
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        await self.room.disconnect()

    def _token(self) -> str:
        from livekit.api import AccessToken, VideoGrants

        key, secret = self._settings.livekit_api_key, self._settings.livekit_api_secret
        grants = VideoGrants(
            room_join=True,
            room=self._name,
            hidden=True,
            can_publish=False,
            can_publish_data=False,
            can_subscribe=True,
        )
        return (
            AccessToken(key, secret.reveal())
            .with_identity(WATCHER_IDENTITY + secrets.token_hex(4))
            .with_kind("agent")
            .with_grants(grants)
            .to_jwt()
        )

    def _on_connected(self, participant: rtc.RemoteParticipant) -> None:
        from livekit.rtc import ParticipantKind

        if is_consulted(participant.identity):
            return
        if participant.kind == ParticipantKind.PARTICIPANT_KIND_SIP:
            self._sink.phone_seen(dict(participant.attributes), participant.identity)
        elif participant.kind == ParticipantKind.PARTICIPANT_KIND_AGENT:
            self._sink.agent_seen(participant.identity)
            self._look_for_outcome(participant.attributes)

    def _on_disconnected(self, participant: rtc.RemoteParticipant) -> None:
        from livekit.rtc import DisconnectReason, ParticipantKind

        if is_consulted(participant.identity):
            return
        if participant.kind == ParticipantKind.PARTICIPANT_KIND_SIP:
            reason = participant.disconnect_reason or DisconnectReason.UNKNOWN_REASON
            self._sink.phone_left(DisconnectReason.Name(reason))
        elif participant.kind == ParticipantKind.PARTICIPANT_KIND_AGENT:
            self._sink.agent_left(participant.identity)

    def _on_attributes(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        from livekit.rtc import ParticipantKind

        if is_consulted(participant.identity):
            return
        if participant.kind == ParticipantKind.PARTICIPANT_KIND_SIP:
            self._sink.phone_seen(dict(participant.attributes), participant.identity)
        elif participant.kind == ParticipantKind.PARTICIPANT_KIND_AGENT:
            self._look_for_outcome(changed)

    def _look_for_outcome(self, attributes: dict[str, str]) -> None:
        text = attributes.get(OUTCOME_ATTRIBUTE)
        if not text:
            return
        found: dict[str, Any] = json.loads(text)
        kind = TransferOutcome if found.get("about") == "transfer" else DialOutcome
        self._sink.concluded(kind.from_json(found), float(found.get("time", time.time())))

    def _on_room_end(self, reason: int | None = None) -> None:
        from livekit.rtc import DisconnectReason

        if not self._ended:
            self._ended = True
            known = reason or DisconnectReason.UNKNOWN_REASON
            self._sink.room_ended(DisconnectReason.Name(known))  # type: ignore[arg-type]

    def _on_transcript(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self._read(self._follow(reader, identity), f"transcript of {identity}")

    def _on_report(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self._read(self._take(reader, identity), f"report of {identity}")

    def _read(self, reading: Any, name: str) -> None:
        task = asyncio.create_task(reading, name=name)
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def _follow(self, reader: rtc.TextStreamReader, identity: str) -> None:
        """A sentence, as it grows. The agent's comes in pieces; each of the caller's is whole."""
        began = time.time()
        speaker: Literal["caller", "agent"] = "agent" if self._is_agent(identity) else "caller"
        attributes = reader.info.attributes or {}
        segment = attributes.get(TRANSCRIPTION_SEGMENT, reader.info.stream_id)
        text = ""
        try:
            async for piece in reader:
                text += piece
                self._sink.said(Line(began, speaker, text.strip(), final=False), segment)
        except ConnectionError:  # the room ended in the middle of the sentence
            pass
        final = speaker == "agent" or attributes.get(TRANSCRIPTION_FINAL) == "true"
        if text.strip():
            self._sink.said(Line(began, speaker, text.strip(), final), segment)

    async def _take(self, reader: rtc.TextStreamReader, identity: str) -> None:
        try:
            event = from_wire(await reader.read_all())
        except ConnectionError:  # the room ended first; the outcome comes as an attribute
            return
        if event is not None and self._is_agent(identity):
            self._sink.told(event)

    def _is_agent(self, identity: str) -> bool:
        from livekit.rtc import ParticipantKind

        participant = self.room.remote_participants.get(identity)
        if participant is None:  # its joining may be told later than its words (measured: 0.2 s)
            return identity.startswith("agent-")
        return participant.kind == ParticipantKind.PARTICIPANT_KIND_AGENT
