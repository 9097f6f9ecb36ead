"""The agent's side breaks, and no caller is left in silence: heard at the caller's phone."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, JobContext

from tests.lab.call_rig import *  # noqa: F403 - fixtures
from tests.lab.call_rig import handset
from tests.lab.phone_sound import hears_tones, longest_silence, seconds_recorded
from vobiz_kit import care_voice
from vobiz_kit.agent import entrypoint
from vobiz_kit.caller_care import HANDING_ON, SORRY_GOODBYE
from vobiz_kit.jobs import settings_of
from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.speech_faults import speech_fault
from vobiz_kit.phone_job import parse_job
from vobiz_kit.serving import AnotherAgentWarning, ServedAgent, serve
from vobiz_kit.settings import Settings
from vobiz_kit.voice_pipeline import voice_pipeline
from vobiz_kit.watchdog import watch

pytestmark = [pytest.mark.lab, pytest.mark.quiet]
_log = logging.getLogger(__name__)

Phone = Any
NIGHT_DESK = "+15550009977"
LONGEST_SILENCE_S = 5.0


async def learners(ctx: JobContext) -> None:
    """An entrypoint as notebook 02 writes it: nothing in it knows of trouble."""
    await ctx.connect()
    session: AgentSession[None] = AgentSession(**voice_pipeline(settings_of(ctx)))
    await session.start(agent=Agent(instructions="You are friendly."), room=ctx.room)
    await session.say("Hello, how can I help you?")


async def crashing(ctx: JobContext) -> None:
    await learners(ctx)
    raise ZeroDivisionError("a mistake of the learner")


@pytest.fixture
async def learners_agent(settings: Settings) -> AsyncIterator[ServedAgent]:
    """The learner's agent, without a fallback."""
    async with await serve(learners, settings) as agent:
        yield agent


@pytest.fixture
async def with_fallback(settings: Settings) -> AsyncIterator[Settings]:
    """The lab's settings, where callers are handed on to a night desk."""
    desk = handset(NIGHT_DESK)
    # Not at once, so that the caller waits, and the ringing tone is told from the words.
    await desk.behave(answer_after=2.0, says="You have reached the night desk")
    yield Settings.load(fallback_number=NIGHT_DESK)
    await desk.hang_up()


async def ring(caller: Phone, settings: Settings) -> None:
    await caller.dial(settings.vobiz_outbound_number)
    await caller.hears("how can I help you", within=20)


async def is_never_silent(caller: Phone, *, after: float = 0.0) -> None:
    """No silence was longer than allowed, from so many seconds of the call on; hangs up."""
    silence = await longest_silence(caller, after=after)
    await caller.hang_up()  # or the agent would say goodbye at the test's end
    _log.info("the longest silence was %.2f s", silence)
    assert silence < LONGEST_SILENCE_S


async def is_told_and_hung_up_on(caller: Phone, *, after: float = 0.0) -> None:
    await caller.hears(SORRY_GOODBYE, within=25)
    await caller.wait_until("ended", within=10)
    await is_never_silent(caller, after=after)


async def test_an_entrypoint_that_crashes_hands_the_caller_to_the_fallback(
    caller: Phone, with_fallback: Settings
) -> None:
    agent = await serve(crashing, with_fallback)
    await ring(caller, with_fallback)
    call = await agent.next_call()
    await caller.hears(HANDING_ON, within=20)
    await caller.hears("reached the night desk", within=20)
    await call.wait_for("transferred", within=10)
    await is_never_silent(caller)
    with pytest.raises(ZeroDivisionError):
        await agent.aclose()


async def test_a_model_that_does_not_know_the_key_is_told_to_the_caller(
    learners_agent: ServedAgent, caller: Phone, settings: Settings, lab: Lab
) -> None:
    await ring(caller, settings)
    call = await learners_agent.next_call()
    async with speech_fault(lab.config, chat="unauthorized"):
        await caller.says("When do you open tomorrow?")
        await is_told_and_hung_up_on(caller)
    assert call.outcome is not None
    assert call.outcome.name == "service_failed"
    assert "LLM" in call.outcome.evidence


async def test_a_model_that_comes_back_answers(
    learners_agent: ServedAgent, caller: Phone, settings: Settings, lab: Lab
) -> None:
    await ring(caller, settings)
    async with speech_fault(lab.config, chat="hang"):
        await caller.says("When do you open tomorrow?")
        await caller.hears("one moment please", within=10)
    while "one moment" in await caller.hears(within=15):
        continue  # until the model's own words
    assert (await caller.status())["state"] == "talking"
    await is_never_silent(caller)


async def test_an_agent_that_is_deaf_from_the_start_says_so(
    learners_agent: ServedAgent, caller: Phone, settings: Settings, lab: Lab
) -> None:
    async with speech_fault(lab.config, listen="refuse"):
        await ring(caller, settings)
        await is_told_and_hung_up_on(caller)


async def test_an_agent_that_becomes_deaf_says_so(
    learners_agent: ServedAgent, caller: Phone, settings: Settings, lab: Lab
) -> None:
    await ring(caller, settings)
    async with speech_fault(lab.config, listen="error500"):
        # Before that the caller has been silent of their own will.
        await is_told_and_hung_up_on(caller, after=await seconds_recorded(caller))


async def test_the_apology_needs_neither_the_model_nor_the_voice(
    learners_agent: ServedAgent, caller: Phone, settings: Settings, lab: Lab
) -> None:
    await ring(caller, settings)
    async with speech_fault(lab.config, chat="refuse", speech="error500"):
        await caller.says("When do you open tomorrow?")
        await is_told_and_hung_up_on(caller)


async def test_without_any_voice_tones_are_heard_and_then_the_fallback(
    caller: Phone, with_fallback: Settings, lab: Lab
) -> None:
    care_voice.forget()
    async with speech_fault(lab.config, speech="hang"), await serve(learners, with_fallback):
        await caller.dial(with_fallback.vobiz_outbound_number)
        await caller.hears("reached the night desk", within=40)
    assert await hears_tones(caller, 950, 1400, 1800)
    await is_never_silent(caller)


async def leaving(ctx: JobContext) -> None:
    """The first agent leaves its caller alone; the next one stays."""
    if parse_job(ctx).rescue:
        await entrypoint(ctx)
        return
    await learners(ctx)
    ctx.shutdown("a mistake of the learner")


@asynccontextmanager
async def worker(**environment: str) -> AsyncIterator[Process]:
    """A `vobiz-kit worker`, a process of its own, waiting for calls; gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vobiz_kit.cli", "worker"),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        while b"waits for calls" not in (line := await process.stdout.readline()):
            assert line, "the worker ended"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_caller_whose_agent_left_gets_another_one(
    caller: Phone, settings: Settings
) -> None:
    async with await serve(leaving, settings):
        await ring(caller, settings)
        await caller.hears("we were interrupted", within=10)
        await is_never_silent(caller)


async def test_a_worker_killed_in_a_transfer_that_is_declined_loses_nobody(
    caller: Phone, settings: Settings
) -> None:
    target = handset(NIGHT_DESK)
    await target.behave(answer_after=None)
    async with worker(BILLING_NUMBER=NIGHT_DESK) as process:
        await ring(caller, settings)
        with pytest.warns(AnotherAgentWarning):
            agent = await serve(entrypoint, settings)
        async with agent:
            await caller.says("Please transfer me to billing")
            await target.wait_until("ringing", within=20)
            killed = await seconds_recorded(caller)
            process.kill()
            await caller.hears("we were interrupted", within=20)
            await target.hang_up()
            await caller.says("Are you still there?")
            await caller.hears(within=20)
            assert (await caller.status())["state"] == "talking"
            await is_never_silent(caller, after=killed)


async def test_a_caller_whom_no_agent_takes_is_handed_to_the_fallback(
    caller: Phone, with_fallback: Settings
) -> None:
    async with worker() as process:
        await ring(caller, with_fallback)
        watching = asyncio.create_task(watch(with_fallback))
        killed = await seconds_recorded(caller)
        process.kill()
        await caller.hears("reached the night desk", within=20)
        await is_never_silent(caller, after=killed)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
