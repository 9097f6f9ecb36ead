"""Around every job: the call ends decently, whatever phone, entrypoint and LiveKit do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from livekit import rtc

from tests.unit.call_fakes import FakeJob, FakePhone, FakeRoom, cloud_settings, sip_error
from vobiz_kit import jobs
from vobiz_kit.jobs import DialFailed, run_job
from vobiz_kit.outcomes import DialOutcome
from vobiz_kit.phone_job import parse_job
from vobiz_kit.room_connect import finish_joining

OUTBOUND = '{"phone_number": "+15550001234"}'


@pytest.fixture(autouse=True)
def no_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(jobs, "give_api", lambda ctx, settings: None)
    monkeypatch.setattr(jobs, "_ENTRYPOINT_GRACE_S", 0.01)
    yield


def job(phone: FakePhone | None = None, metadata: str = "") -> FakeJob:
    return FakeJob(FakeRoom(phone), metadata=metadata)


async def run(ctx: FakeJob, error: Exception | None = None) -> None:
    async def entrypoint(_: Any) -> None:
        if error is not None:
            raise error

    await run_job(ctx, entrypoint, cloud_settings())  # type: ignore[arg-type]


async def close(ctx: FakeJob) -> None:
    for callback in ctx.callbacks:
        await callback()


@pytest.mark.parametrize(
    ("metadata", "direction", "number"),
    [
        ("", "inbound", None),
        ("  ", "inbound", None),
        ("{}", "inbound", None),
        (OUTBOUND, "outbound", "+15550001234"),
        ('{"phone_number": null, "name": "Amy"}', "inbound", None),
        ("{not json", "inbound", None),
        ('["+15550001234"]', "inbound", None),
        ("+15550001234", "inbound", None),
    ],
)
def test_metadata_that_cannot_be_read_never_loses_a_call(
    metadata: str, direction: str, number: str | None
) -> None:
    found = parse_job(job(metadata=metadata))  # type: ignore[arg-type]
    assert (found.direction, found.phone_number) == (direction, number)


async def test_the_job_is_over_when_the_phone_leaves() -> None:
    ctx = job(FakePhone())
    await run(ctx)
    assert ctx.done == []
    ctx.room.phone_leaves()
    await asyncio.sleep(0.001)
    assert ctx.done == ["room deleted", "shut down: the phone left the call"]
    await close(ctx)


async def test_a_room_that_somebody_deleted_is_not_deleted_again() -> None:
    ctx = job(phone := FakePhone())
    await run(ctx)
    phone.disconnect_reason = rtc.DisconnectReason.ROOM_DELETED
    ctx.room.phone_leaves()
    await asyncio.sleep(0.001)
    assert ctx.done == ["shut down: the call was ended"]


async def test_a_call_is_ended_once_whoever_asks() -> None:
    ctx = job(FakePhone())
    await run(ctx)
    ctx.room.phone_leaves()
    await asyncio.gather(*(jobs.end_call(ctx, "again") for _ in range(3)))  # type: ignore[arg-type]
    assert ctx.done.count("room deleted") == 1


async def test_a_caller_who_gives_up_while_it_rings_ends_the_job_too() -> None:
    ctx = job(FakePhone("ringing"))
    await run(ctx)
    ctx.room.phone_leaves()
    await asyncio.sleep(0.001)
    assert ctx.done[0] == "room deleted"


async def test_an_unanswered_callee_leaves_the_entrypoint_time_to_say_why() -> None:
    phone = FakePhone("ringing")
    del phone.attributes["sip.ruleID"]
    ctx = job(phone, OUTBOUND)
    await run(ctx)
    ctx.room.phone_leaves()
    await asyncio.sleep(0.001)
    assert ctx.done == []
    await asyncio.sleep(0.05)
    assert ctx.done[0] == "room deleted"


async def test_nothing_is_left_running_when_the_job_is_over() -> None:
    phone = FakePhone("ringing")
    del phone.attributes["sip.ruleID"]
    ctx = job(phone, OUTBOUND)
    await run(ctx)
    ctx.room.phone_leaves()
    await close(ctx)
    assert [
        task.get_name() for task in asyncio.all_tasks() if "end the call" in task.get_name()
    ] == []


@pytest.mark.parametrize(
    "error",
    [
        DialFailed(DialOutcome("busy", "+15550001234", 486, "Busy Here")),
        sip_error(486, "Busy Here", refer=True),
    ],
)
async def test_a_call_that_fails_is_no_error_of_the_entrypoint(error: Exception) -> None:
    ctx = job(metadata=OUTBOUND)
    await run(ctx, error)
    assert ctx.done == ["room deleted", "shut down: the call failed: busy"]


async def test_a_crash_ends_an_answered_call() -> None:
    ctx = job(FakePhone("active"))
    with pytest.raises(ValueError, match="oops"):
        await run(ctx, ValueError("oops"))
    assert ctx.done[0] == "room deleted"


async def test_a_crash_lets_a_call_ring_on_for_another_agent() -> None:
    ctx = job(FakePhone("ringing"))
    with pytest.raises(ValueError, match="oops"):
        await run(ctx, ValueError("oops"))
    assert ctx.done == []


async def test_livekits_error_in_an_inbound_call_is_a_crash() -> None:
    ctx = job(FakePhone("active"))
    with pytest.raises(Exception, match="486"):
        await run(ctx, sip_error(486, "Busy Here"))
    assert ctx.done[0] == "room deleted"


async def test_a_room_that_was_made_anew_is_not_the_call_that_was_meant() -> None:
    ctx = job(metadata=OUTBOUND)
    dialled: list[str] = []

    async def entrypoint(_: Any) -> None:
        ctx.room.sid_now = "RM_2"  # deleted and made anew while the agent was joining
        await ctx.room.connect("url", "token")
        dialled.append("ring ring")

    await run_job(ctx, entrypoint, cloud_settings())  # type: ignore[arg-type]
    assert dialled == []
    assert ctx.done[0] == "room deleted"


async def test_joining_a_room_comes_to_its_end_even_if_it_is_cancelled() -> None:
    room, joined = FakeRoom(), asyncio.Event()

    async def joining() -> None:
        await asyncio.sleep(0.02)
        joined.set()

    task = asyncio.ensure_future(finish_joining(room, joining()))  # type: ignore[arg-type]
    for _ in range(3):
        await asyncio.sleep(0.001)
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert joined.is_set()
    assert room.left


async def test_the_room_is_not_deleted_while_the_agent_joins_it() -> None:
    ctx = job(FakePhone())

    async def entrypoint(_: Any) -> None:
        await ctx.room.connect("url", "token")

    running = asyncio.ensure_future(run_job(ctx, entrypoint, cloud_settings()))  # type: ignore[arg-type]
    await asyncio.sleep(0.001)
    ending = asyncio.ensure_future(jobs.end_call(ctx, "no more"))  # type: ignore[arg-type]
    await asyncio.sleep(0.001)
    assert ctx.done == []
    await asyncio.gather(running, ending)
    assert ctx.done == ["room deleted", "shut down: no more"]


async def test_an_entrypoint_that_is_busy_does_not_outlive_its_call() -> None:
    ctx = job(FakePhone())
    tidied: list[str] = []

    async def entrypoint(_: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            tidied.append("up")

    running = asyncio.ensure_future(run_job(ctx, entrypoint, cloud_settings()))  # type: ignore[arg-type]
    await asyncio.sleep(0.001)
    ctx.room.emit("disconnected", 5)
    await asyncio.wait_for(running, 2)
    assert tidied == ["up"]


async def test_an_entrypoint_that_livekit_cancels_is_cancelled() -> None:
    ctx = job(FakePhone())
    tidied: list[str] = []

    async def entrypoint(_: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            tidied.append("up")

    running = asyncio.ensure_future(run_job(ctx, entrypoint, cloud_settings()))  # type: ignore[arg-type]
    await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert tidied == ["up"]
