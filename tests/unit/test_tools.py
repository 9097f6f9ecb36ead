"""The transfer tools: checked, announced, sent once, and the caller is never dropped."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from livekit.agents import StopResponse, ToolError

from tests.unit.call_fakes import (
    CALLER,
    CLOUD,
    FakeJob,
    FakePhone,
    FakeRoom,
    FakeRun,
    FakeSip,
    cloud_settings,
    server_error,
    sip_error,
)
from vobiz_kit.directory import Directory
from vobiz_kit.tools import CallingTools, TransferTools

ENDED = ["room deleted", "shut down: transferred"]


def make(sip: FakeSip, phone: FakePhone | None = None, **how: Any) -> tuple[FakeJob, TransferTools]:
    job = FakeJob(FakeRoom(phone or FakePhone()), sip)
    return job, TransferTools(job, cloud_settings(), **how)  # type: ignore[arg-type]


async def ask(tools: TransferTools | CallingTools, said: str, run: FakeRun) -> None:
    """Call the tool as the model does."""
    (tool,) = tools.function_tools.values()
    call: Any = tool
    await call(run, said)


def schema(tools: TransferTools | CallingTools) -> dict[str, Any]:
    (tool,) = tools.parse_function_tools("openai")
    function: dict[str, Any] = tool["function"]
    return function


def test_the_schema_lists_the_directory_and_allows_a_number() -> None:
    function = schema(make(FakeSip())[1])
    assert function["name"] == "transfer_call"
    assert function["strict"] is True
    destination = function["parameters"]["properties"]["destination"]
    assert {"type": "string", "enum": ["billing", "sales"]} in destination["anyOf"]
    assert "billing, sales" in destination["description"]
    assert "+15550002222" in destination["description"]
    assert function["parameters"]["required"] == ["destination"]


def test_two_directories_do_not_mix() -> None:
    one = make(FakeSip(), directory=Directory({"reception": "+15550007777"}))[1]
    two = make(FakeSip())[1]
    assert "reception" in str(schema(one))
    assert "reception" not in str(schema(two))
    assert "billing" not in str(schema(one))


def test_an_empty_directory_leaves_numbers() -> None:
    destination = schema(make(FakeSip(), directory=Directory({}))[1])["parameters"]["properties"]
    assert destination["destination"]["type"] == "string"
    assert "anyOf" not in destination["destination"]


def test_the_tools_are_what_an_agent_takes() -> None:
    job = FakeJob(FakeRoom(FakePhone()))
    tools = TransferTools(job, cloud_settings()).flatten()  # type: ignore[arg-type]
    tools += CallingTools(job, cloud_settings()).flatten()  # type: ignore[arg-type]
    assert [tool.id for tool in tools] == ["transfer_call", "cold_transfer"]


async def test_an_alias_is_announced_and_transferred_and_the_job_is_over() -> None:
    sip = FakeSip(None)
    job, tools = make(sip)
    run = FakeRun()
    with pytest.raises(StopResponse):
        await ask(tools, "the Billing department", run)
    assert run.said == ["I am connecting you to billing now."]
    assert not run.interruptible
    (request,) = sip.requests
    assert request.transfer_to == "sip:+15550002222@1a2b3c4d.sip.vobiz.ai"
    assert request.participant_identity == CALLER
    assert request.room_name == job.room.name
    assert request.play_dialtone is False
    assert request.ringing_timeout.seconds == 30
    assert job.done == ENDED


async def test_a_number_is_transferred_too() -> None:
    sip = FakeSip(None, None)
    job, tools = make(sip)
    with pytest.raises(StopResponse):
        await ask(tools, "+1 (555) 000-9900", FakeRun())
    calling = CallingTools(job, cloud_settings())  # type: ignore[arg-type]
    with pytest.raises(StopResponse):
        await ask(calling, "+15550009900", FakeRun())
    uris = {request.transfer_to for request in sip.requests}
    assert uris == {"sip:+15550009900@1a2b3c4d.sip.vobiz.ai"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("the moon", "I can connect you to billing or sales."),
        ("+15550001000", "I cannot connect you to our own number."),
        ("911", "I cannot call emergency services. Please hang up and dial them yourself, now."),
        ("+870773111632", "I am not allowed to connect you to that number."),
        ("+1555", "too short"),
        ("+15550002222\r\nX-Evil: 1", "invisible character"),
        ("+15550009901", "I am not allowed to connect you to that number."),
        ("sip:+15550002222@evil.example", "I cannot connect you to that."),
    ],
)
async def test_what_must_not_be_dialled_is_never_sent(said: str, told: str) -> None:
    sip = FakeSip()
    job, tools = make(sip)
    run = FakeRun()
    with pytest.raises(ToolError) as refusal:
        await ask(tools, said, run)
    assert told in refusal.value.message
    assert (sip.requests, run.said, job.done) == ([], [], [])


async def test_the_model_is_not_told_what_the_settings_allow() -> None:
    _, tools = make(FakeSip())
    with pytest.raises(ToolError) as refusal:
        await ask(tools, "+15550009901", FakeRun())
    assert "+15550009900" in CLOUD["VOBIZ_KIT_MAY_DIAL"]
    assert not re.search(r"VOBIZ|[0-9]", refusal.value.message)


async def test_a_busy_target_leaves_the_caller_with_the_agent() -> None:
    job, tools = make(FakeSip(sip_error(486, "Busy Here")))
    with pytest.raises(ToolError, match="the line is busy"):
        await ask(tools, "billing", FakeRun())
    assert job.done == []


async def test_after_a_timeout_the_agent_goes_on_talking() -> None:
    job, tools = make(FakeSip(server_error("deadline_exceeded", "request timed out")))
    with pytest.raises(ToolError, match="not certain yet"):
        await ask(tools, "billing", FakeRun())
    assert job.done == []


async def test_a_caller_who_hangs_up_meanwhile_was_not_transferred() -> None:
    room = FakeRoom(FakePhone())

    async def hang_up() -> None:
        room.phone_leaves()
        await asyncio.sleep(0.01)  # LiveKit's "success" comes a moment later (measured, T1)

    job = FakeJob(room, FakeSip(hang_up))
    tools = TransferTools(job, cloud_settings())  # type: ignore[arg-type]
    with pytest.raises(StopResponse):
        await ask(tools, "billing", FakeRun())
    assert job.done == ["room deleted", "shut down: the caller hung up"]


async def test_an_interruption_of_the_tool_does_not_stop_the_transfer() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def ring() -> None:
        asked.set()
        await answer.wait()

    job, tools = make(FakeSip(ring))
    call = asyncio.ensure_future(ask(tools, "billing", FakeRun()))
    await asked.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert job.done == []
    answer.set()
    for task in [*tools._running]:
        await task
    assert job.done == ENDED


async def test_only_one_transfer_of_a_call_at_a_time() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def ring() -> None:
        asked.set()
        await answer.wait()

    sip = FakeSip(ring)
    _, tools = make(sip)
    first = asyncio.ensure_future(ask(tools, "billing", FakeRun()))
    await asked.wait()
    with pytest.raises(ToolError, match="another transfer"):
        await ask(tools, "sales", FakeRun())
    answer.set()
    with pytest.raises(StopResponse):
        await first
    assert len(sip.requests) == 1


@pytest.mark.parametrize("status", ["ringing", "dialing", ""])
async def test_a_call_that_is_not_answered_is_not_transferred(status: str) -> None:
    sip = FakeSip()
    _, tools = make(sip, FakePhone(status))
    with pytest.raises(ToolError, match="has not been answered"):
        await ask(tools, "billing", FakeRun())
    assert sip.requests == []


async def test_without_a_phone_there_is_nobody_to_transfer() -> None:
    sip = FakeSip()
    job = FakeJob(FakeRoom(None), sip)
    tools = TransferTools(job, cloud_settings())  # type: ignore[arg-type]
    with pytest.raises(StopResponse):
        await ask(tools, "billing", FakeRun())
    assert sip.requests == []
    assert job.done == ["room deleted", "shut down: the caller hung up"]


async def test_the_announcement_can_be_worded_or_left_out() -> None:
    run = FakeRun()
    _, tools = make(FakeSip(None), announcement="One moment, {who} is next.")
    with pytest.raises(StopResponse):
        await ask(tools, "sales", run)
    _, quiet = make(FakeSip(None), announcement="")
    with pytest.raises(StopResponse):
        await ask(quiet, "sales", run)
    assert run.said == ["One moment, sales is next."]


def test_cold_and_warm_look_alike_to_the_model() -> None:
    assert schema(make(FakeSip(), mode="warm")[1]) == schema(make(FakeSip())[1])


async def test_a_warm_transfer_is_announced_as_one_and_passes_the_policy_first() -> None:
    job, tools = make(FakeSip(None), FakePhone("hangup"), mode="warm")
    run = FakeRun()
    with pytest.raises(ToolError, match="I can connect you to"):
        await ask(tools, "the moon", run)
    with pytest.raises(ToolError, match="I cannot connect you to our own number"):
        await ask(tools, "+15550001000", run)  # our own number
    assert run.said == []
    assert job.done == []
