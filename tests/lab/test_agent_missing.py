"""No agent: the caller hears ringing, and the kit says why."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.lab.call_rig import *  # noqa: F403 - fixtures
from tests.lab.call_rig import CALLEE
from vobiz_kit.call_rooms import rooms_of
from vobiz_kit.call_text import AGENT_LATE_S
from vobiz_kit.calls import Call, ongoing_calls, place_call
from vobiz_kit.settings import Settings

pytestmark = pytest.mark.lab

Phone = Any


async def test_a_caller_hears_ringing_and_the_kit_says_that_the_agent_is_missing(
    caller: Phone, settings: Settings
) -> None:
    await caller.dial(settings.vobiz_outbound_number, until="ringing")
    deadline = time.monotonic() + 5
    calls: list[Call] = []
    while not calls:  # LiveKit says 180 before it makes the call's room
        assert time.monotonic() < deadline
        calls = await ongoing_calls(settings)
    (call,) = calls
    await call.wait_for("ringing", within=20)
    assert (call.direction, call.phone_number) == ("inbound", caller.number)
    late = call.started + AGENT_LATE_S + 0.1 - time.time()
    await asyncio.sleep(late)  # it is the waiting itself that is explained
    explained = call.explain()
    assert "No agent took the call" in explained
    assert "The caller hears: Ringing" in explained
    assert "vk.serve(entrypoint" in explained
    assert (await caller.status())["state"] == "ringing"
    await caller.hang_up()
    await call.wait_for("ended", within=20)


async def test_a_call_that_no_agent_takes_fails_and_is_cleared_away(settings: Settings) -> None:
    call = await place_call(CALLEE, settings, agent_within=1)
    await call.wait_for("failed", within=20)
    assert call.outcome is not None
    assert call.outcome.name == "agent_missing"
    assert f"no agent called '{settings.agent_name}'" in call.explain()
    deadline = time.monotonic() + 3
    while call.room in await rooms_of(settings):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
