"""Who has lost their agent, and who only looks like it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.api import ListParticipantsResponse, ListRoomsResponse, ParticipantInfo, Room
from livekit.protocol.agent import Job, JobState, JobStatus
from livekit.protocol.agent_dispatch import AgentDispatch, AgentDispatchState

from tests.unit.call_fakes import cloud_settings
from vobiz_kit import transfers, watchdog
from vobiz_kit.phone_job import is_rescue, rescue_metadata
from vobiz_kit.process_mark import PROCESS_ATTRIBUTE, is_dead, own_mark
from vobiz_kit.watchdog import Forsaken, Watchdog, forsaken

Kind = ParticipantInfo.Kind


def phone(status: str = "active", identity: str = "sip_+15550009999") -> ParticipantInfo:
    return ParticipantInfo(identity=identity, kind=Kind.SIP, attributes={"sip.callStatus": status})


def agent(identity: str = "agent-1", mark: str = "") -> ParticipantInfo:
    return ParticipantInfo(identity=identity, kind=Kind.AGENT, attributes={PROCESS_ATTRIBUTE: mark})


@pytest.fixture(scope="module")
def killed() -> str:
    """The mark of a process that is gone."""
    code = "from vobiz_kit.process_mark import own_mark; print(own_mark())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)  # noqa: S603
    return done.stdout.decode().strip()


def test_a_caller_alone_is_forsaken() -> None:
    assert forsaken([phone()]) == Forsaken("sip_+15550009999")


def test_a_watcher_of_the_kit_serves_nobody() -> None:
    assert forsaken([phone(), agent("vobiz-watcher-1")]) == Forsaken("sip_+15550009999")


def test_an_agent_whose_process_was_killed_serves_nobody(killed: str) -> None:
    assert forsaken([phone(), agent(mark=killed)]) == Forsaken("sip_+15550009999", ("agent-1",))


@pytest.mark.parametrize(
    "mark",
    ["", "nonsense", "[]", "7", own_mark(), '["another machine", 1, 0]'],
    ids=["none", "nonsense", "empty", "number", "this process", "another machine"],
)
def test_an_agent_that_may_live_serves_its_caller(mark: str) -> None:
    assert not is_dead(mark)
    assert forsaken([phone(), agent(mark=mark)]) is None


@pytest.mark.parametrize(
    "others",
    [
        [phone(identity="the target of a warm transfer")],
        [ParticipantInfo(identity="amy", kind=Kind.STANDARD)],
    ],
)
def test_who_has_somebody_to_talk_to_needs_no_agent(others: list[ParticipantInfo]) -> None:
    assert forsaken([phone(), *others]) is None


@pytest.mark.parametrize("status", ["", "dialing", "ringing", "hangup"])
def test_a_call_that_is_not_answered_is_left_alone(status: str) -> None:
    assert forsaken([phone(status)]) is None


def test_a_room_without_a_phone_is_left_alone(killed: str) -> None:
    assert forsaken([agent(mark=killed)]) is None
    assert forsaken([]) is None


def test_a_rescue_knows_what_the_first_agent_knew_and_dials_nobody() -> None:
    metadata = rescue_metadata('{"phone_number": "+15550001234", "name": "Amy"}')
    assert json.loads(metadata) == {"name": "Amy", "rescue": True}
    assert is_rescue(metadata)
    assert is_rescue(rescue_metadata("{not json"))


@pytest.mark.parametrize("metadata", ["", "{}", '{"rescue": "yes"}', "[true]", "rescue"])
def test_nothing_else_is_a_rescue(metadata: str) -> None:
    assert not is_rescue(metadata)


class FakeLiveKit:
    """LiveKit's server API: one room, whose participants the test sets."""

    def __init__(self, room: str, *participants: ParticipantInfo) -> None:
        self.name = room
        self.participants = [*participants]
        self.dispatches: list[AgentDispatch] = []
        self.done: list[str] = []
        self.room = self.agent_dispatch = SimpleNamespace(
            list_rooms=self.list_rooms,
            list_participants=self.list_participants,
            remove_participant=self.remove_participant,
            delete_room=self.delete_room,
            list_dispatch=self.list_dispatch,
            create_dispatch=self.create_dispatch,
        )

    async def list_rooms(self, _: Any) -> ListRoomsResponse:
        return ListRoomsResponse(rooms=[Room(name=self.name)])

    async def list_participants(self, _: Any) -> ListParticipantsResponse:
        self.done.append("looked")
        return ListParticipantsResponse(participants=self.participants)

    async def remove_participant(self, request: Any) -> None:
        self.done.append(f"removed {request.identity}")

    async def delete_room(self, _: Any) -> None:
        self.done.append("deleted")

    async def list_dispatch(self, _: str) -> list[AgentDispatch]:
        return [*self.dispatches]

    async def create_dispatch(self, request: Any) -> None:
        self.done.append(f"dispatched {request.agent_name}")
        self.dispatch(request.metadata, None)

    def dispatch(self, metadata: str, status: Any) -> None:
        jobs = [] if status is None else [Job(state=JobState(status=status))]
        state = AgentDispatchState(jobs=jobs)
        self.dispatches.append(AgentDispatch(metadata=metadata, state=state))

    @property
    def acts(self) -> list[str]:
        return [done for done in self.done if done != "looked"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_GRACE_S", 0.0)
    monkeypatch.setattr(watchdog, "_JITTER_S", 0.0)
    monkeypatch.setattr(watchdog, "_OFFERED_WITHIN_S", 0.05)
    monkeypatch.setattr(watchdog, "_TAKEN_WITHIN_S", 0.2)


def livekit(*participants: ParticipantInfo, room: str = "vobiz-in-1") -> FakeLiveKit:
    api = FakeLiveKit(room, *participants)
    api.dispatch("", JobStatus.JS_RUNNING)
    return api


def dog(api: FakeLiveKit) -> Watchdog:
    return Watchdog(cloud_settings(), api)  # type: ignore[arg-type]


@pytest.mark.usefixtures("impatient")
async def test_a_forsaken_caller_gets_one_agent_and_time_for_it_to_come() -> None:
    api = livekit(phone())
    watching = dog(api)
    for _ in range(3):
        await watching.sweep()
    assert api.acts == ["dispatched vobiz-agent"]
    assert is_rescue(api.dispatches[-1].metadata)


@pytest.mark.usefixtures("impatient")
async def test_a_killed_agent_is_removed_first(killed: str) -> None:
    api = livekit(phone(), agent(mark=killed))
    await dog(api).sweep()
    assert api.acts == ["removed agent-1", "dispatched vobiz-agent"]


@pytest.mark.usefixtures("impatient")
async def test_a_call_that_no_agent_takes_is_ended() -> None:
    api = livekit(phone())
    watching = dog(api)
    await watching.sweep()
    await asyncio.sleep(0.06)
    await watching.sweep()
    await asyncio.sleep(0.01)
    assert api.acts == ["dispatched vobiz-agent", "deleted"]


@pytest.mark.usefixtures("impatient")
async def test_two_watchdogs_send_one_agent() -> None:
    api = livekit(phone())
    first, second = dog(api), dog(api)
    await first.sweep()
    await second.sweep()
    assert api.acts == ["dispatched vobiz-agent"]


@pytest.mark.usefixtures("impatient")
async def test_an_agent_on_its_way_is_waited_for() -> None:
    api = livekit(phone())
    api.dispatch("", JobStatus.JS_PENDING)
    await dog(api).sweep()
    assert api.acts == []


@pytest.mark.usefixtures("impatient")
async def test_an_agent_that_is_lost_again_and_again_is_not_sent_for_ever() -> None:
    api = livekit(phone())
    watching = dog(api)
    for _ in range(3):
        api.participants = [phone()]
        await watching.sweep()
        api.participants = [phone(), agent(mark=own_mark())]
        api.dispatches[-1].state.jobs.add().state.status = JobStatus.JS_RUNNING
        await watching.sweep()
    await asyncio.sleep(0.01)
    assert api.acts == ["dispatched vobiz-agent"] * 2 + ["deleted"]


async def test_a_moment_without_an_agent_is_no_reason() -> None:
    api = livekit(phone())
    await dog(api).sweep()
    assert api.acts == []


@pytest.mark.usefixtures("impatient")
async def test_rooms_of_other_prefixes_are_never_touched() -> None:
    api = livekit(phone(), room="someone-in-1")
    await dog(api).sweep()
    assert api.done == []


@pytest.mark.usefixtures("impatient")
async def test_a_call_that_is_being_transferred_is_left_alone() -> None:
    api = livekit(phone())
    with transfers.claim_transfer("vobiz-in-1"):
        await dog(api).sweep()
    assert api.done == []
