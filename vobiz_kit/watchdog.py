"""Finds callers whom no agent serves any more, and sends them one, or hands them on.

One sweep of LiveKit's server API looks at all rooms of a prefix: once a second while there are
any. LiveKit's webhooks would tell of an agent that left without being asked, but they cannot reach
a notebook on a laptop. It runs beside every agent that is served, so that any of several processes
rescues the calls of one that was killed.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vobiz_kit.asked import Asked
from vobiz_kit.call_events import WATCHER_IDENTITY, is_consulted
from vobiz_kit.caller_care import FALLBACK
from vobiz_kit.dial_limits import DialLimits
from vobiz_kit.errors import NumberRefused
from vobiz_kit.livekit_api import open_livekit_api
from vobiz_kit.numbers import transfer_uri
from vobiz_kit.phone_job import is_rescue, rescue_metadata
from vobiz_kit.policy import check_destination
from vobiz_kit.process_mark import PROCESS_ATTRIBUTE, is_dead
from vobiz_kit.transfers import is_transferring

if TYPE_CHECKING:
    from livekit.api import AgentDispatch, LiveKitAPI, ParticipantInfo

    from vobiz_kit.settings import Settings

_log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 1.0
_IDLE_SWEEP_EVERY_S = 3.0  # a call that has just begun is found in time all the same
_ROOMS_A_SECOND = 20  # a sweep asks about each room once, and takes its time for many
_ROOMS_AT_ONCE = 10
_REQUEST_WITHIN_S = 5.0
# An agent leaves a moment before the room that it deletes, or before one that takes over.
_GRACE_S = 0.8
# Several watchdogs that see the same caller do not act at the same moment.
_JITTER_S = 0.3
# LiveKit finds a worker within a third of a second, or none at all (measured); the agent's process
# may then take a while to begin.
_OFFERED_WITHIN_S = 2.0
_TAKEN_WITHIN_S = 6.0
_RESCUES = 2
_FALLBACK_RINGS_S = 25


@dataclass(frozen=True)
class Forsaken:
    """A caller without an agent.

    Attributes:
        phone: The phone's identity.
        dead: Identities of agents that LiveKit still shows, but whose process is gone.
    """

    phone: str
    dead: tuple[str, ...] = ()


@dataclass
class _Case:
    """What is known of a forsaken caller's room, in `time.monotonic` seconds."""

    since: float
    dispatched: float | None = None
    rescues: int = 0


def forsaken(participants: Iterable[ParticipantInfo]) -> Forsaken | None:
    """The caller of a room whom nobody serves, or None.

    Two phones talk to each other and need no agent, a warm transfer looks after itself, a person
    who has joined by browser is somebody to talk to, and a phone that still rings has not been
    answered.

    Args:
        participants: Everybody in the room, as LiveKit's server API lists them.
    """
    from livekit.api import ParticipantInfo

    phones, dead = [], []
    for one in participants:
        if is_consulted(one.identity):
            return None
        if one.kind == ParticipantInfo.Kind.SIP:
            phones.append(one)
        elif one.kind == ParticipantInfo.Kind.AGENT:
            if one.identity.startswith(WATCHER_IDENTITY):
                continue
            if not is_dead(one.attributes.get(PROCESS_ATTRIBUTE, "")):
                return None
            dead.append(one.identity)
        elif one.kind == ParticipantInfo.Kind.STANDARD:
            return None
    if len(phones) != 1 or phones[0].attributes.get("sip.callStatus") != "active":
        return None
    return Forsaken(phones[0].identity, tuple(dead))


async def watch(settings: Settings) -> None:
    """Sweep until cancelled. Trouble with LiveKit is logged, and the next sweep tries again.

    Args:
        settings: Where LiveKit is, whose rooms they are, and which agent serves them.
    """
    async with open_livekit_api(settings, within=_REQUEST_WITHIN_S) as api:
        watchdog = Watchdog(settings, api)
        try:
            while True:
                rooms = await watchdog.sweep()
                pause = max(_SWEEP_EVERY_S, rooms / _ROOMS_A_SECOND)
                await asyncio.sleep(pause if rooms else _IDLE_SWEEP_EVERY_S)
        finally:
            await watchdog.aclose()


class Watchdog:
    """Looks after all calls of one prefix.

    Args:
        settings: The prefix, the agent and the fallback.
        api: LiveKit's server API.
    """

    def __init__(self, settings: Settings, api: LiveKitAPI) -> None:
        self._settings = settings
        self._api = api
        self._cases: dict[str, _Case] = {}
        self._handing_on: dict[str, asyncio.Task[None]] = {}

    async def sweep(self) -> int:
        """Look at every room once, and do what there is to do; gives how many there are."""
        from livekit.api import ListRoomsRequest

        ours = (self._settings.inbound_room_prefix, self._settings.outbound_room_prefix)
        rooms: list[str] = []
        with _trouble_logged("its calls"):
            found = (await self._api.room.list_rooms(ListRoomsRequest())).rooms
            rooms = [room.name for room in found if room.name.startswith(ours)]
            for gone in self._cases.keys() - {*rooms}:
                del self._cases[gone]
        # A killed worker may leave many callers behind, and none waits for another.
        at_once = asyncio.Semaphore(_ROOMS_AT_ONCE)

        async def look_into(room: str) -> None:
            async with at_once:
                with _trouble_logged(room):
                    await self._look_into(room)

        await asyncio.gather(*map(look_into, rooms))
        return len(rooms)

    async def aclose(self) -> None:
        """Stop; a caller who is being handed on is with the carrier then."""
        for task in self._handing_on.values():
            task.cancel()
        await asyncio.gather(*self._handing_on.values(), return_exceptions=True)

    async def _look_into(self, room: str) -> None:
        if room in self._handing_on or is_transferring(room):
            return
        caller = await self._forsaken_in(room)
        case = self._cases.get(room)
        if caller is None:
            if case is not None:  # served again; how often that was needed is remembered
                case.since, case.dispatched = float("inf"), None
            return
        now = time.monotonic()
        if case is None:
            case = self._cases[room] = _Case(now)
        case.since = min(case.since, now)
        if caller.dead or now - case.since >= _GRACE_S:
            await self._act(room, caller, case)

    async def _forsaken_in(self, room: str) -> Forsaken | None:
        from livekit.api import ListParticipantsRequest

        answer = await self._api.room.list_participants(ListParticipantsRequest(room=room))
        return forsaken(answer.participants)

    async def _act(self, room: str, caller: Forsaken, case: _Case) -> None:
        dispatches = await self._api.agent_dispatch.list_dispatch(room)
        rescues = sum(is_rescue(dispatch.metadata) for dispatch in dispatches)
        now = time.monotonic()
        if rescues > case.rescues:  # another watchdog was faster
            case.rescues, case.dispatched = rescues, now
        # What was dispatched for some other reason has as long, from when the caller was alone.
        joining = [dispatch for dispatch in dispatches if _is_joining(dispatch)]
        begin = case.dispatched or (case.since if joining else None)
        found = any(dispatch.state.jobs for dispatch in joining) or not joining
        if begin is not None and now - begin < (_TAKEN_WITHIN_S if found else _OFFERED_WITHIN_S):
            return
        for dead in caller.dead:
            await self._remove(room, dead)
        if case.dispatched is not None or case.rescues >= _RESCUES:
            _log.error("no agent takes the call in %s", room)
            self._handing_on[room] = task = asyncio.create_task(
                self._hand_on(room, caller.phone), name=f"hand on {room}"
            )
            task.add_done_callback(lambda _: self._handing_on.pop(room, None))
            return
        await asyncio.sleep(random.uniform(0, _JITTER_S))  # noqa: S311 - no secret
        if len(await self._api.agent_dispatch.list_dispatch(room)) == len(dispatches):
            await self._dispatch(room, case, dispatches)

    async def _dispatch(self, room: str, case: _Case, before: list[AgentDispatch]) -> None:
        from livekit.api import CreateAgentDispatchRequest

        name = self._settings.agent_name
        _log.warning("the caller in %s has no agent: dispatching %s", room, name)
        first = next((dispatch.metadata for dispatch in before), "")
        request = CreateAgentDispatchRequest(
            agent_name=name, room=room, metadata=rescue_metadata(first)
        )
        await self._api.agent_dispatch.create_dispatch(request)
        case.rescues += 1
        case.dispatched = time.monotonic()

    async def _remove(self, room: str, identity: str) -> None:
        from livekit.api import RoomParticipantIdentity, ServerError

        try:
            await self._api.room.remove_participant(
                RoomParticipantIdentity(room=room, identity=identity)
            )
        except ServerError as error:  # LiveKit has noticed it at the same moment
            _log.info("%s was gone from %s: %s", identity, room, error.message)

    async def _hand_on(self, room: str, phone: str) -> None:
        """To the fallback, for which no agent is needed; else the call ends without a word."""
        from livekit.api import DeleteRoomRequest, TransferSIPParticipantRequest

        if FALLBACK in self._settings.numbers:
            with _trouble_logged(room):
                asked = Asked("watchdog", "transfer", room)
                to = check_destination(FALLBACK, self._settings, asked=asked, limits=DialLimits())
                request = TransferSIPParticipantRequest(
                    room_name=room,
                    participant_identity=phone,
                    transfer_to=transfer_uri(to.number, self._settings.vobiz_sip_domain),
                    play_dialtone=True,  # nobody else is there to be heard
                )
                request.ringing_timeout.seconds = _FALLBACK_RINGS_S
                async with open_livekit_api(self._settings, within=_FALLBACK_RINGS_S + 5) as api:
                    await api.sip.transfer_sip_participant(request)
        with _trouble_logged(room):
            await self._api.room.delete_room(DeleteRoomRequest(room=room))


@contextmanager
def _trouble_logged(what: str) -> Iterator[None]:
    import aiohttp
    from livekit.api import ServerError

    try:
        yield
    except (ServerError, aiohttp.ClientError, TimeoutError, NumberRefused) as error:
        _log.warning("the watchdog could not look after %s: %r", what, error)


def _is_joining(dispatch: AgentDispatch) -> bool:
    """Whether an agent may be on its way: no job has been made of it yet, or none has begun."""
    from livekit.protocol.agent import JobStatus

    jobs = dispatch.state.jobs
    return not jobs or any(job.state.status == JobStatus.JS_PENDING for job in jobs)
