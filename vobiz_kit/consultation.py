"""A second phone in the caller's room, kept apart from the caller until both are to be joined.

LiveKit connects whoever is in a room: livekit-sip subscribes a phone to every track as soon as it
has been answered. Three things keep the two phones apart (livekit-server 1.13.5, livekit-sip
1.8.0):

- While the target's phone rings, LiveKit is told that it may not subscribe to anything, and the
  caller's phone is unsubscribed from it. When it has been answered it is unsubscribed from the
  caller, and only then it may subscribe again, to what is left: the voice that briefs it.
- That voice is a participant of its own, whose tracks nobody but the target may subscribe to.
- The agent's own tracks (voice, hold music) are for the caller alone (`vobiz_kit.hold`).

To join the two is to subscribe each to the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from typing import TYPE_CHECKING, Any

import aiohttp
from livekit import api, rtc
from livekit.agents import AgentSession
from livekit.agents.voice.room_io import RoomOptions

from vobiz_kit.call_events import BRIEFING_IDENTITY, TARGET_IDENTITY
from vobiz_kit.hold import allow_only
from vobiz_kit.room_connect import finish_joining

if TYPE_CHECKING:
    from livekit.agents import Agent, JobContext

    from vobiz_kit.directory import Destination
    from vobiz_kit.settings import Settings

_log = logging.getLogger(__name__)

_APART_WITHIN_S = 5.0  # some milliseconds in the lab
_HEARS_US_WITHIN_S = 5.0

#: What LiveKit's API raises: an answer that is an error, no connection, no answer in time.
API_ERRORS = (api.ServerError, aiohttp.ClientError, TimeoutError)


class Consultation:
    """The target's phone, and the agent that briefs whoever answers it.

    Args:
        ctx: The job; its room is the caller's.
        settings: Whose LiveKit and trunk.
        caller: The caller's phone.
        to: Who is rung.

    Attributes:
        identity: The identity of the target's phone.
        last_status: Its last ``sip.callStatus``, "" before there was one.
    """

    def __init__(
        self, ctx: JobContext, settings: Settings, caller: rtc.RemoteParticipant, to: Destination
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._caller = caller
        self._to = to
        self._room = rtc.Room()  # the caller's room, once more, as the one who briefs
        self._session: AgentSession | None = None
        self._dialled = False
        self.identity = TARGET_IDENTITY + secrets.token_hex(4)
        self.last_status = ""

    async def ring(self, trunk_id: str, ringing_timeout_s: int) -> None:
        """Ring the target, and return when the phone has been answered and is kept apart.

        Args:
            trunk_id: LiveKit's outbound trunk.
            ringing_timeout_s: Whole seconds that it may ring.

        Raises:
            ServerError, aiohttp.ClientError, TimeoutError: LiveKit's, as
                `vobiz_kit.outcomes.dial_outcome` reads them.
        """
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=trunk_id,
            sip_call_to=self._to.number,
            sip_number=self._settings.vobiz_outbound_number,
            room_name=self._ctx.room.name,
            participant_identity=self.identity,
            participant_name=str(self._to),
            wait_until_answered=True,
        )
        request.ringing_timeout.seconds = max(1, ringing_timeout_s)
        published = asyncio.Event()

        def look(*_: object) -> None:
            phone = self._ctx.room.remote_participants.get(self.identity)
            if phone is not None:
                self.last_status = phone.attributes.get("sip.callStatus") or self.last_status
                if phone.track_publications:
                    published.set()

        events = ("participant_connected", "track_published", "participant_attributes_changed")
        for event in events:
            self._ctx.room.on(event, look)  # type: ignore[arg-type]
        separating = asyncio.create_task(self._separate(published), name="keep the phones apart")
        self._dialled = True
        try:
            await self._ctx.api.sip.create_sip_participant(request)
            await asyncio.wait_for(separating, _APART_WITHIN_S)
            await self._subscribe(self.identity, self._not_for_target(), False)
            await self._permit(can_subscribe=True)
        finally:
            separating.cancel()
            await asyncio.gather(separating, return_exceptions=True)
            for event in events:
                self._ctx.room.off(event, look)  # type: ignore[arg-type]

    async def start_briefing(self, agent: Agent, pipeline: dict[str, Any]) -> AgentSession:
        """Let an agent listen and talk to the target's phone alone, also before it is there.

        Args:
            agent: Who briefs.
            pipeline: Its ears, mind and voice: arguments of `AgentSession`.

        Raises:
            livekit.rtc.ConnectError: the room cannot be joined.
        """
        self._room.on("track_published", self._listen_to)
        joining = self._room.connect(
            self._settings.livekit_url, self._token(), rtc.RoomOptions(auto_subscribe=False)
        )
        await finish_joining(self._room, joining)
        allow_only(self._room, self.identity)
        self._session = AgentSession(**pipeline)
        await self._session.start(
            agent=agent,
            room=self._room,
            room_options=RoomOptions(
                participant_kinds=[rtc.ParticipantKind.PARTICIPANT_KIND_SIP],
                participant_identity=self.identity,
                text_input=False,
                text_output=False,  # the transcript of the call is the caller's
            ),
            session_host=False,
            record=False,
        )
        return self._session

    async def confirm_apart(self) -> None:
        """Say once more that the target is not to hear the caller.

        LiveKit takes the phone's own wish to hear everybody and ours to the contrary from two
        connections: should the phone's have come last, this is the end of it.
        """
        await self._subscribe(self.identity, self._not_for_target(), False)

    async def join(self) -> None:
        """Let caller and target hear each other, and take the briefing agent away.

        Raises:
            ServerError, aiohttp.ClientError, TimeoutError: LiveKit did not do it.
        """
        await asyncio.gather(
            self._subscribe(self.identity, self._tracks_of(self._caller.identity), True),
            self._subscribe(self._caller.identity, self._tracks_of(self.identity), True),
        )
        await self._end_briefing()

    async def aclose(self, *, keep_leg: bool) -> None:
        """End the briefing, and the target's leg unless it is kept."""
        await self._end_briefing()
        if keep_leg or not self._dialled:
            return
        # Removing the participant is what stops a dial, too: giving up the request does not.
        leg = api.RoomParticipantIdentity(room=self._ctx.room.name, identity=self.identity)
        try:
            await self._ctx.api.room.remove_participant(leg)
        except api.ServerError as error:
            _log.info("the target's leg was gone already: %s", error.message)
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.warning("the target's leg may still be there: %r", error)

    async def _separate(self, published: asyncio.Event) -> None:
        await published.wait()
        await asyncio.gather(
            self._permit(can_subscribe=False),
            self._subscribe(self._caller.identity, self._tracks_of(self.identity), False),
        )

    async def _permit(self, *, can_subscribe: bool) -> None:
        permission = api.ParticipantPermission(
            can_subscribe=can_subscribe,
            can_publish=True,
            can_publish_data=True,
            can_update_metadata=True,  # livekit-sip tells sip.callStatus by it
        )
        await self._ctx.api.room.update_participant(
            api.UpdateParticipantRequest(
                room=self._ctx.room.name, identity=self.identity, permission=permission
            )
        )

    async def _subscribe(self, identity: str, tracks: list[str], subscribe: bool) -> None:
        await self._ctx.api.room.update_subscriptions(
            api.UpdateSubscriptionsRequest(
                room=self._ctx.room.name, identity=identity, track_sids=tracks, subscribe=subscribe
            )
        )

    def _tracks_of(self, identity: str) -> list[str]:
        participant = self._ctx.room.remote_participants.get(identity)
        return [*participant.track_publications] if participant else []

    def _not_for_target(self) -> list[str]:
        return [
            *self._tracks_of(self._caller.identity),
            *self._ctx.room.local_participant.track_publications,
        ]

    def _listen_to(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if participant.identity == self.identity:
            publication.set_subscribed(True)

    async def _end_briefing(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(RuntimeError):  # it has closed by itself
                await session.aclose()
        self._room.off("track_published", self._listen_to)
        await self._room.disconnect()

    def _token(self) -> str:
        key, secret = self._settings.livekit_api_key, self._settings.livekit_api_secret
        grants = api.VideoGrants(
            room_join=True, room=self._ctx.room.name, can_publish=True, can_subscribe=True
        )
        return (
            api.AccessToken(key, secret.reveal())
            .with_identity(BRIEFING_IDENTITY + secrets.token_hex(4))
            .with_kind("agent")
            .with_grants(grants)
            .to_jwt()
        )
