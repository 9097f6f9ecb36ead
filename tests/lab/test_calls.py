"""Calls on the real stack: a phone, the carrier, LiveKit, an agent with ears and voice."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, JobContext
from livekit.api import (
    CreateSIPOutboundTrunkRequest,
    DeleteSIPTrunkRequest,
    SIPOutboundTrunkInfo,
)

from tests.lab.call_rig import *  # noqa: F403 - fixtures
from tests.lab.call_rig import CALLEE, handset, wire
from vobiz_kit.agent import entrypoint
from vobiz_kit.call_rooms import rooms_of
from vobiz_kit.calls import Call, place_call
from vobiz_kit.errors import CallError, ServingError
from vobiz_kit.livekit_api import open_livekit_api
from vobiz_kit.secret import Secret
from vobiz_kit.serving import AnotherAgentWarning, ServedAgent, serve
from vobiz_kit.settings import Settings
from vobiz_kit.voice_pipeline import voice_pipeline

pytestmark = pytest.mark.lab

Phone = Any


async def gone(call: Call, settings: Settings, within: float = 2.0) -> None:
    """The job is over and the room is gone, soon."""
    deadline = time.monotonic() + within
    while call.job_ended is None or call.room in await rooms_of(settings):
        assert time.monotonic() < deadline, repr(call)
        await asyncio.sleep(0.02)


async def test_an_inbound_call_is_answered_heard_and_over_when_the_caller_hangs_up(
    agent: ServedAgent, caller: Phone, settings: Settings
) -> None:
    await caller.dial(settings.vobiz_outbound_number)
    call = await agent.next_call()
    await caller.hears("how can I help you", within=20)
    assert (call.direction, call.phone_number, call.status) == ("inbound", caller.number, "active")
    await caller.says("What are your opening hours?")
    await call.wait_until_said("opening hours", "caller", within=20)
    await call.wait_until_said("how can I help you", "agent", within=20)
    hung_up = time.time()
    await caller.hang_up()
    await call.wait_for("ended", within=20)
    await gone(call, settings)
    assert call.job_ended is not None
    assert call.job_ended - hung_up < 1.0  # LiveKit alone keeps it for 20 s
    (invite,) = wire(call, "INVITE")[:1]
    assert call.sip_call_id in {message.call_id for message in wire(call, "INVITE")}
    assert invite.bridge == call.sip_call_id


async def test_an_outbound_call_greets_who_picked_up_and_loses_no_first_word(
    agent: ServedAgent, callee: Phone, settings: Settings
) -> None:
    call = await place_call(callee.number, settings)
    assert await agent.next_call() is call
    await callee.answer(within=15)
    heard = await callee.hears("this is the automatic assistant", within=20)
    assert "hello" in heard.lower()
    await call.wait_for("active", within=20)
    assert call.direction == "outbound"
    assert call.sip_call_id
    await call.hang_up()
    assert call.status == "ended"
    await callee.wait_until("ended", within=3)
    await gone(call, settings)


async def test_who_says_hello_first_is_greeted_once(
    agent: ServedAgent, callee: Phone, settings: Settings
) -> None:
    await callee.behave(answer_after=0.2, says="Good morning, what is this about?")
    call = await place_call(callee.number, settings)
    await call.wait_for("active", within=20)
    await callee.hears("how can I help you", within=20)
    await call.wait_until_said("what is this about", "caller", within=20)
    spoken = [line.text for line in call.transcript if line.speaker == "agent"]
    assert len(spoken) == 1, spoken
    await call.hang_up()


@pytest.mark.parametrize(
    ("number", "name", "sip_status"),
    [
        ("+15550004486", "busy", 486),
        ("+15550004603", "declined", 603),
        ("+15550004404", "not_in_service", 404),
        ("+15550004503", "carrier_unavailable", 503),
    ],
)
async def test_a_call_that_is_not_answered_says_why(
    agent: ServedAgent, settings: Settings, number: str, name: str, sip_status: int
) -> None:
    call = await place_call(number, settings)
    await call.wait_for("failed", within=20)
    assert call.outcome is not None
    assert (call.outcome.name, call.outcome.sip_status) == (name, sip_status)
    assert str(sip_status) in call.explain()
    assert call.sip_tag.startswith("SCL_")  # what its From tag is found by in the trace
    await gone(call, settings)


async def test_hanging_up_while_it_rings_stops_the_ringing(
    agent: ServedAgent, callee: Phone, settings: Settings
) -> None:
    call = await place_call(callee.number, settings)
    await callee.wait_until("ringing", within=10)
    await call.wait_for("ringing", within=20)
    await call.hang_up()
    await callee.wait_until("ended", within=3)
    assert call.status == "failed"
    await gone(call, settings)


async def test_a_wrong_password_of_the_trunk_is_explained(settings: Settings) -> None:
    trunk = SIPOutboundTrunkInfo(
        name="a trunk with a wrong password",
        address=settings.vobiz_sip_address,
        numbers=[settings.vobiz_outbound_number],
        auth_username=settings.vobiz_username,
        auth_password="wrong",
    )
    async with open_livekit_api(settings) as api:
        made = await api.sip.create_outbound_trunk(CreateSIPOutboundTrunkRequest(trunk=trunk))
        try:
            wrong = Settings.load(outbound_trunk_id=made.sip_trunk_id)
            async with await serve(entrypoint, wrong) as with_wrong_trunk:
                call = await place_call(CALLEE, wrong)
                await call.wait_for("failed", within=20)
                assert await with_wrong_trunk.next_call() is call
        finally:
            await api.sip.delete_trunk(DeleteSIPTrunkRequest(sip_trunk_id=made.sip_trunk_id))
    assert call.outcome is not None
    assert call.outcome.name == "authentication"
    assert "max auth retry" in call.outcome.evidence
    assert "VOBIZ_PASSWORD" in call.explain()


def plain_entrypoint(settings: Settings, greeting: str) -> Callable[[JobContext], Awaitable[None]]:
    """An agent as the notebooks write it, without the kit's entrypoint."""

    async def plain(ctx: JobContext) -> None:
        await ctx.connect()
        session: AgentSession = AgentSession(**voice_pipeline(settings))
        await session.start(agent=Agent(instructions="You are brief."), room=ctx.room)
        await session.say(greeting)

    return plain


async def test_serving_again_replaces_the_agent_and_says_goodbye_to_who_is_on_the_phone(
    caller: Phone, settings: Settings
) -> None:
    exported = {name: os.environ.get(name) for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY")}
    first = await serve(plain_entrypoint(settings, "This is the first agent."), settings)
    await caller.dial(settings.vobiz_outbound_number)
    call = await first.next_call()
    await caller.hears("first agent", within=20)
    second = await serve(plain_entrypoint(settings, "This is the second agent."), settings)
    await caller.hears("goodbye", within=20)
    await call.wait_for("ended", within=20)
    assert "closed" in repr(first)
    await caller.dial(settings.vobiz_outbound_number)
    await caller.hears("second agent", within=20)
    assert [len(first.calls), len(second.calls)] == [1, 1]
    await caller.hang_up()
    await second.calls[0].wait_for("ended", within=20)
    await gone(second.calls[0], settings)  # a plain entrypoint's job is over at once, too
    await second.aclose()
    assert {name: os.environ.get(name) for name in exported} == exported


async def test_an_error_in_the_entrypoint_is_shown_and_raised_once(
    callee: Phone, settings: Settings
) -> None:
    async def broken(ctx: JobContext) -> None:
        await ctx.connect()
        raise ZeroDivisionError("a mistake of the learner")

    agent = await serve(broken, settings)
    call = await place_call(callee.number, settings)
    await agent.next_call()
    await call.wait_for("failed", within=20)
    assert "ZeroDivisionError: a mistake of the learner" in call.explain()
    with pytest.raises(ZeroDivisionError):
        await agent.next_call()
    # The outcome and the error travel by two ways; here the error has arrived.
    assert [event for event in call.events if event.kind == "error"]
    assert "a mistake of the learner" in agent.log_path.read_text()
    await agent.aclose()


async def test_a_call_made_elsewhere_can_be_joined(
    agent: ServedAgent, caller: Phone, settings: Settings
) -> None:
    await caller.dial(settings.vobiz_outbound_number)
    call = await agent.next_call()
    await call.wait_for("active", within=20)
    assert await Call.in_room(call.room, settings) is call
    stranger = Call(call.room, settings)  # as another process would see it
    await stranger.join()
    await stranger.wait_for("active", within=20)
    await caller.hears("how can I help you", within=20)
    await caller.says("I have a question")
    await stranger.wait_until_said("a question", "caller", within=20)
    await caller.hang_up()
    await stranger.wait_for("ended", within=20)
    await stranger.aclose()


async def test_a_wrong_key_is_refused_before_the_agent_is_served(settings: Settings) -> None:
    wrong = replace(settings, livekit_api_secret=Secret("x" * 40))
    with pytest.raises(ServingError, match="refused"):
        await serve(plain_entrypoint(settings, "never said"), wrong)
    with pytest.raises(CallError, match="did not take the call"):
        await place_call(CALLEE, wrong)


def test_the_phones_are_of_the_lab() -> None:
    assert handset(CALLEE).number == CALLEE


async def test_a_process_that_ends_with_a_call_in_progress_hangs_up_and_ends(
    caller: Phone, settings: Settings
) -> None:
    code = """
import asyncio
from vobiz_kit.agent import entrypoint
from vobiz_kit.serving import serve

async def main():
    agent = await serve(entrypoint)
    print("serving", flush=True)
    call = await agent.next_call()
    await call.wait_for("active")
    print("leaving", flush=True)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"serving\n"
        with pytest.warns(AnotherAgentWarning, match=f"process {process.pid}, started in"):
            rival = await serve(plain_entrypoint(settings, "never said"), settings)
        assert f"process {process.pid}" in repr(rival)
        await rival.aclose()
        await caller.dial(settings.vobiz_outbound_number)
        assert await asyncio.wait_for(process.stdout.readline(), 10) == b"leaving\n"
        assert await asyncio.wait_for(process.wait(), 10) == 0
        await caller.wait_until("ended", within=3)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
