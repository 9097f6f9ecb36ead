"""Place a call, watch it, transfer it, hang it up: a call as an object.

call = await place_call("+15550001234")
await call.wait_for("active", within=20)
await call.transfer("billing")
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any, Literal, Self
from weakref import WeakValueDictionary

from vobiz_kit.asked import Asked
from vobiz_kit.call_events import CallEvent, Status
from vobiz_kit.call_rooms import rooms_of
from vobiz_kit.call_transfers import TransferableCall
from vobiz_kit.call_watch import RoomWatch
from vobiz_kit.errors import CallError
from vobiz_kit.livekit_api import open_livekit_api
from vobiz_kit.outcomes import DialOutcome
from vobiz_kit.policy import check_destination
from vobiz_kit.settings import Settings

if TYPE_CHECKING:
    from vobiz_kit.directory import Directory

# Seconds: an agent that is there joins within half a second in the lab, two over the internet.
AGENT_WITHIN_S = 10.0
# Seconds that LiveKit keeps the room of a call that never began, and of one that everybody left.
_EMPTY_TIMEOUT_S = 60
_DEPARTURE_TIMEOUT_S = 5
_ROOM_ENDS_WITHIN_S = 2.0
_AGENT_JOINS_WITHIN_S = 2.0

# One object per room, whoever asks for it: the agent that is served here and `place_call` alike.
_calls: WeakValueDictionary[tuple[str, str], Call] = WeakValueDictionary()


class Call(TransferableCall):
    """A call in progress, or what is known of one that is over.

    It follows the call's room as a participant whom nobody sees or hears, so that it knows calls
    of agents in this kernel and elsewhere alike. Made by `place_call`, by the agent that is served
    here (``await agent.next_call()``), or by `Call.in_room`.
    """

    def __init__(
        self,
        room: str,
        settings: Settings,
        *,
        phone_number: str = "",
        direction: Literal["", "inbound", "outbound"] = "",
        status: Status = "dispatched",
    ) -> None:
        super().__init__(room, phone_number=phone_number, direction=direction, status=status)
        self.settings = settings
        self._watch: RoomWatch | None = None
        self._joining = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def in_room(cls, room: str, settings: Settings | None = None) -> Self:
        """The call in a room that somebody else made, from now on.

        Args:
            room: The room's name at LiveKit; ``await ongoing_calls()`` finds those that there are.
            settings: Where LiveKit is; loaded if None.

        Raises:
            CallError: LiveKit is not there, or refused the key.
        """
        call = cls.known(room, settings or Settings.load())
        await call.join()
        return call

    @classmethod
    def known(cls, room: str, settings: Settings, **how: Any) -> Self:
        """The one object of this room in this event loop; made if there is none yet."""
        key = (settings.livekit_url, room)
        call = _calls.get(key)
        if not isinstance(call, cls) or call._loop is not asyncio.get_running_loop():
            call = _calls[key] = cls(room, settings, **how)
        return call

    async def join(self) -> None:
        """Begin to watch the room. Joining twice changes nothing.

        Raises:
            CallError: LiveKit is not there, or refused the key.
        """
        from livekit import rtc

        async with self._joining:
            if self._watch is not None or self.over:
                return
            watch = RoomWatch(self.settings, self.room, self)
            try:
                await watch.start()
            except (rtc.ConnectError, TimeoutError) as error:
                await watch.aclose()
                raise CallError(
                    "The call cannot be watched: LiveKit did not let us into its room.",
                    evidence=f"{self.settings.livekit_url}: {error}",
                    fix="Check LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET; is it running?",
                ) from error
            self._watch = watch

    async def hang_up(self) -> None:
        """End the call for everybody: the room is deleted, the phone gets its BYE."""
        from livekit.api import DeleteRoomRequest, ListRoomsRequest, ServerError

        if self.served_here and self.job_ended is None:
            # An agent that is just joining would hang for 15 s in a room that is gone (measured).
            await self._until(
                lambda: self._agents or self.over or self.job_ended, _AGENT_JOINS_WITHIN_S
            )
        async with open_livekit_api(self.settings) as api:
            try:
                await api.room.delete_room(DeleteRoomRequest(room=self.room))
            except ServerError as error:
                # A room that ends at the same moment is answered in more than one way.
                if (await api.room.list_rooms(ListRoomsRequest(names=[self.room]))).rooms:
                    raise CallError(
                        "LiveKit did not end the call.", evidence=error.message
                    ) from error
        await self._until(lambda: self.over, _ROOM_ENDS_WITHIN_S)
        if not self.over:  # the watcher was not there to see it
            self.room_ended("ROOM_DELETED")

    async def aclose(self) -> None:
        """Stop watching. The call itself goes on."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._watch is not None:
            await self._watch.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def room_ended(self, reason: str) -> None:
        """The room is gone: so is the watcher's reason to be."""
        super().room_ended(reason)
        if self._watch is not None:
            self._own(self._watch.aclose())

    def expect_agent(self, within: float = AGENT_WITHIN_S) -> None:
        """Give the call up if no agent has joined its room in time."""
        self._own(self._give_up_without_agent(within))

    async def _give_up_without_agent(self, within: float) -> None:
        if await self._until(lambda: self._agents or self.over, within):
            return
        name = self.settings.agent_name
        evidence = f"no agent called {name!r} joined the call's room within {within:g} s"
        outcome = DialOutcome("agent_missing", self.phone_number, evidence=evidence)
        self.concluded(outcome, time.time())
        await self.hang_up()

    def _own(self, doing: Any) -> asyncio.Task[Any]:
        task = self._loop.create_task(doing, name=f"call in {self.room}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def place_call(
    number: str,
    settings: Settings | None = None,
    *,
    metadata: dict[str, Any] | None = None,
    directory: Directory | None = None,
    agent_within: float = AGENT_WITHIN_S,
) -> Call:
    """Have the agent ring a phone: a job for it in a new room, with the number in its metadata.

    Args:
        number: The number to ring, or an alias of the directory.
        settings: Whose agent and trunk; loaded if None.
        metadata: More for the agent to know; plain JSON data. ``phone_number`` is added.
        directory: The aliases that count; those of the settings if None.
        agent_within: Seconds for an agent to take the job. Without one the call fails, and
            ``call.explain()`` says so.

    Returns:
        The call, at once; ``await call.wait_for("active")`` waits for the answer.

    Raises:
        NumberRefused: it cannot or must not be dialled; nothing was sent.
        CallError: LiveKit is not there, or refused.
    """
    import aiohttp
    from livekit.api import CreateAgentDispatchRequest, CreateRoomRequest, ServerError

    settings = settings or Settings.load()
    room = settings.outbound_room_prefix + secrets.token_hex(6)
    to = check_destination(number, settings, directory, Asked("place_call", "call", room))
    job = json.dumps({**(metadata or {}), "phone_number": to.number})
    call = Call.known(room, settings, phone_number=to.number, direction="outbound")
    try:
        async with open_livekit_api(settings) as api:
            await api.room.create_room(
                CreateRoomRequest(
                    name=room,
                    empty_timeout=_EMPTY_TIMEOUT_S,
                    departure_timeout=_DEPARTURE_TIMEOUT_S,
                )
            )
            await call.join()  # first, so that nothing is missed
            await api.agent_dispatch.create_dispatch(
                CreateAgentDispatchRequest(agent_name=settings.agent_name, room=room, metadata=job)
            )
    except (ServerError, aiohttp.ClientError, TimeoutError) as error:
        await call.aclose()
        raise CallError(
            "LiveKit did not take the call.",
            evidence=f"{settings.livekit_url}: {error}",
            fix="Check LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET; is it running?",
        ) from error
    said = f"dispatched {settings.agent_name} to ring {to}"
    call.told(CallEvent(time.time(), "status", said, {"status": "dispatched"}))
    call.expect_agent(agent_within)
    return call


async def ongoing_calls(settings: Settings | None = None) -> list[Call]:
    """This learner's calls in progress at LiveKit, with or without an agent.

    A caller who hears nothing but ringing is here, too: ``(await ongoing_calls())[0].explain()``.

    Args:
        settings: Whose calls; loaded if None.
    """
    settings = settings or Settings.load()
    return [await Call.in_room(name, settings) for name in await rooms_of(settings)]


def watched_calls() -> list[Call]:
    """Every call that this event loop knows and has not forgotten."""
    here = asyncio.get_running_loop()
    return [call for call in _calls.values() if call._loop is here]
