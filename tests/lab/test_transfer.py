"""A cold transfer on the real stack: the caller asks, the carrier bridges, both ends are heard."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from tests.lab.call_rig import *  # noqa: F403 - fixtures
from tests.lab.call_rig import confirmed_at, handset, wire
from vobiz_kit import lab as the_lab
from vobiz_kit.agent import entrypoint
from vobiz_kit.call_rooms import rooms_of
from vobiz_kit.calls import Call, place_call
from vobiz_kit.directory import Directory
from vobiz_kit.errors import NumberRefused, TransferError
from vobiz_kit.lab.carrier_client import CarrierClient
from vobiz_kit.lab.lab import Lab
from vobiz_kit.serving import ServedAgent, serve
from vobiz_kit.settings import Settings

pytestmark = pytest.mark.lab

Phone = Any
BILLING = "+15550002222"
BUSY = "+15550004486"
# A number kept free for fiction (ACMA, Australia) in which no digit follows itself: the recogniser
# counts repeated digits as badly as people do.
SPOKEN = "+61491570156"
SPOKEN_WORDS = "plus six one, four nine one, five seven zero, one five six"


async def ring(agent: ServedAgent, caller: Phone, settings: Settings) -> Call:
    """The caller rings and has heard the greeting."""
    await caller.dial(settings.vobiz_outbound_number)
    call = await agent.next_call()
    await caller.hears("how can I help you", within=20)
    return call


async def both_ends_talk(caller: Phone, target: Phone) -> None:
    """What either says is heard by the other, and by nobody in between."""
    await caller.says("Good morning, my invoice is wrong")
    await target.hears("my invoice is wrong", within=20)
    await target.says("Let me look at your account")
    await caller.hears("let me look at your account", within=20)


over_after: list[float] = []  # seconds from the carrier's NOTIFY 200 to the end of the job


async def job_over(call: Call, settings: Settings) -> None:
    """The agent's job is over soon after the carrier's NOTIFY 200, and the room is gone."""
    deadline = time.monotonic() + 3
    while call.job_ended is None or call.room in await rooms_of(settings):
        assert time.monotonic() < deadline, repr(call)
        await asyncio.sleep(0.02)
    seconds = call.job_ended - confirmed_at(call)
    assert seconds < 1.0  # LiveKit alone keeps a job for 20 s
    over_after.append(seconds)


async def test_who_asks_for_billing_talks_to_billing(
    agent: ServedAgent, caller: Phone, settings: Settings
) -> None:
    call = await ring(agent, caller, settings)
    await caller.says("Please transfer me to billing")
    await caller.hears("I am connecting you to billing now", within=20)
    await call.wait_for("transferred", within=20)
    await job_over(call, settings)
    await caller.hears("this is billing", within=20)
    await both_ends_talk(caller, handset(BILLING))
    await caller.hang_up()

    (refer,) = wire(call, "REFER")
    assert refer.header("Refer-To") == f"<sip:{BILLING}@{settings.vobiz_sip_domain}>"
    assert [m.body.split()[1] for m in wire(call, "NOTIFY")][-1] == "200"
    records = [cdr for cdr in the_lab.cdrs() if cdr["bridge_uuid"] == call.sip_call_id]
    assert {BILLING, settings.vobiz_outbound_number} <= {
        record["destination_number"] for record in records
    }
    assert [event.text for event in call.events if event.kind == "tool"]
    assert call.outcome is not None
    assert call.outcome.ok


async def test_a_number_in_e164_can_be_asked_for(caller: Phone, settings: Settings) -> None:
    callee = handset(SPOKEN)
    await callee.behave(answer_after=0.2, says="You have reached extension seven")
    settings = replace(settings, may_dial=SPOKEN)  # Australia is not the lab's own country
    async with await serve(entrypoint, settings) as agent:
        call = await ring(agent, caller, settings)
        await caller.says(f"Please transfer me to {SPOKEN_WORDS}")
        await call.wait_for("transferred", within=25)
        (refer,) = wire(call, "REFER")
        assert f"sip:{SPOKEN}@" in refer.header("Refer-To")
        await caller.hears("you have reached extension seven", within=20)
        await job_over(call, settings)


async def test_a_person_transfers_by_button(
    agent: ServedAgent, caller: Phone, settings: Settings
) -> None:
    call = await ring(agent, caller, settings)
    outcome = await call.transfer("the billing department")
    assert outcome.ok
    assert outcome.who == f"billing ({BILLING})"
    assert call.status == "transferred"
    await job_over(call, settings)
    await caller.hears("this is billing", within=20)
    with pytest.raises(TransferError):
        await call.transfer("sales")


async def test_an_outbound_call_is_transferred_too(
    agent: ServedAgent, callee: Phone, settings: Settings
) -> None:
    await callee.behave(answer_after=0.2)
    call = await place_call(callee.number, settings)
    await call.wait_for("active", within=20)
    await callee.hears("how can I help you", within=20)
    await callee.says("Can you connect me to billing please")
    await call.wait_for("transferred", within=20)
    await callee.hears("this is billing", within=20)
    await both_ends_talk(callee, handset(BILLING))
    await job_over(call, settings)


async def test_whom_nobody_knows_is_not_called_and_the_agent_goes_on(
    agent: ServedAgent, caller: Phone, settings: Settings
) -> None:
    call = await ring(agent, caller, settings)
    await caller.says("Please transfer me to the marketing department")
    await caller.hears("billing, sales or support", within=20)
    assert wire(call, "REFER") == []
    assert call.status == "active"
    await caller.says("Then transfer me to sales")
    await call.wait_for("transferred", within=20)
    await caller.hears("this is sales", within=20)


async def test_a_transfer_that_fails_leaves_caller_and_agent_talking(
    agent: ServedAgent, caller: Phone, settings: Settings
) -> None:
    call = await ring(agent, caller, settings)
    for number, name, sip_status in (
        ("+15550004486", "busy", 486),
        ("+15550004603", "declined", 603),
        ("+15550004404", "not_in_service", 404),
    ):
        outcome = await call.transfer(number)
        assert (outcome.name, outcome.sip_status) == (name, sip_status)
        assert call.status == "active"
    await caller.says("Hello, is anybody still there?")
    await call.wait_until_said("still there", "caller", within=20)
    await caller.hears(within=10)  # the agent answers, whatever the model makes of it


async def test_a_carrier_that_does_not_play_along_costs_nobody_the_call(
    agent: ServedAgent, caller: Phone, lab: Lab, settings: Settings
) -> None:
    number, carrier = "+15550007000", CarrierClient(lab.config)
    call = await ring(agent, caller, settings)
    for script, name, sip_status in (
        ({"answer": 405}, "not_permitted", 405),
        ({"answer": 481}, "rejected", 481),
        ({"answer": 202, "notify": [100, 500]}, "carrier_unavailable", 500),
        ({"answer": 202, "notify": []}, "undecided", None),
    ):
        with carrier.refer_script(number, **script):
            outcome = await call.transfer(number, ringing_timeout_s=2)
        assert (outcome.name, outcome.sip_status) == (name, sip_status)
        assert call.status == "active"
    await caller.says("Hello, is anybody still there?")
    await call.wait_until_said("still there", "caller", within=20)


async def test_a_busy_target_is_told_to_the_model_which_tells_the_caller(
    agent: ServedAgent, caller: Phone, settings: Settings
) -> None:
    billing = handset(BILLING)
    await billing.behave(busy=True)
    try:
        call = await ring(agent, caller, settings)
        await caller.says("Please transfer me to billing")
        await caller.hears("the line is busy", within=20)
        assert call.status == "active"
        assert call.outcome is not None
        assert call.outcome.name == "busy"
    finally:
        await billing.behave(busy=False)


async def test_where_the_first_number_is_busy_the_next_one_is_tried(
    agent: ServedAgent, caller: Phone, settings: Settings
) -> None:
    call = await ring(agent, caller, settings)
    outcome = await call.transfer("billing", directory=Directory({"billing": f"{BUSY},{BILLING}"}))
    assert outcome.ok, outcome
    assert outcome.who == f"billing ({BILLING})"
    assert [refer.header("Refer-To").split("@")[0] for refer in wire(call, "REFER")] == [
        f"<sip:{BUSY}",
        f"<sip:{BILLING}",
    ]
    await caller.hears("this is billing", within=20)


async def test_a_hunt_ends_with_the_agent_if_nobody_takes_the_call(
    agent: ServedAgent, caller: Phone, settings: Settings
) -> None:
    call = await ring(agent, caller, settings)
    nobody = Directory({"billing": f"{BUSY},+15550004603"})
    outcome = await call.transfer("billing", directory=nobody)
    assert outcome.name == "declined"
    assert call.status == "active"
    await caller.says("Hello, is anybody still there?")
    await call.wait_until_said("still there", "caller", within=20)


async def test_a_target_that_rings_too_long_is_given_up_and_nobody_is_asked_for_twice(
    agent: ServedAgent, caller: Phone, callee: Phone, settings: Settings
) -> None:
    await callee.behave(answer_after=None)
    call = await ring(agent, caller, settings)
    slow = Directory({"slow": callee.number}, ringing_s={"slow": 2})
    outcome = await call.transfer("slow", directory=slow)
    assert outcome.name == "undecided", outcome
    assert outcome.seconds < 4
    assert call.status == "active"
    again = await call.transfer("billing")
    assert again.name == "transfer_in_progress"
    assert "may still act" in again.evidence
    assert len(wire(call, "REFER")) == 1
    # Late, but they come: the caller is theirs, the agent goes, and the carrier's records tell.
    await callee.answer(within=5)
    await call.wait_for("ended", within=20)
    deadline = time.monotonic() + 15
    while call.status != "transferred" or call.room in await rooms_of(settings):
        assert time.monotonic() < deadline, call
        await asyncio.sleep(0.05)
    assert call.outcome is not None
    assert call.outcome.ok
    await both_ends_talk(caller, callee)


async def test_a_caller_who_hangs_up_while_it_rings_was_not_transferred(
    agent: ServedAgent, caller: Phone, callee: Phone, settings: Settings
) -> None:
    call = await ring(agent, caller, settings)
    transfer = asyncio.ensure_future(call.transfer(callee.number))
    await callee.wait_until("ringing", within=10)
    await caller.hang_up()
    outcome = await transfer
    assert outcome.name == "caller_hung_up"
    await call.wait_for("ended", within=20)
    await callee.wait_until("ended", within=5)
    assert call.room not in await rooms_of(settings)


async def test_what_must_not_be_dialled_never_reaches_the_wire(
    agent: ServedAgent, caller: Phone, settings: Settings
) -> None:
    call = await ring(agent, caller, settings)
    for destination in (settings.vobiz_outbound_number, "911", "the moon", "+15550002222\r\nX: 1"):
        with pytest.raises(NumberRefused):
            await call.transfer(destination)
    assert wire(call, "REFER") == []
    assert call.status == "active"


async def test_the_job_was_over_within_a_tenth_of_a_second(settings: Settings) -> None:
    # The best of the transfers above: a busy machine delays some. `make bench` has p50 and p95.
    assert len(over_after) >= 3
    assert min(over_after) <= 0.1, over_after
