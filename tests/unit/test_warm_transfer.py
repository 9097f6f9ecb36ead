"""What a warm transfer does before it rings anybody."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import ToolError

from tests.unit.call_fakes import FakeJob, FakePhone, FakeRoom, FakeRun, cloud_settings
from vobiz_kit import warm_transfer as module
from vobiz_kit.call_events import BRIEFING_IDENTITY, TARGET_IDENTITY, is_consulted
from vobiz_kit.errors import TrunkError
from vobiz_kit.tools import TransferTools
from vobiz_kit.transfers import claim_transfer, phone_in
from vobiz_kit.warm_transfer import warm_transfer


@pytest.fixture
def trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(_: object) -> str:
        return "ST_1"

    monkeypatch.setattr(module, "find_outbound_trunk", found)


async def outcome(phone: FakePhone | None, to: str = "billing") -> str:
    job: Any = FakeJob(FakeRoom(phone))
    session: Any = None  # nobody must need it
    return (await warm_transfer(job, session, cloud_settings(), to)).name


@pytest.mark.parametrize("to", ["+15550001000", "911", "the moon", "+15550003333"])
async def test_what_must_not_be_dialled_is_refused(to: str, trunk: None) -> None:
    assert await outcome(FakePhone(), to) == "refused_by_policy"


@pytest.mark.parametrize(
    ("phone", "name"),
    [
        (None, "caller_hung_up"),
        (FakePhone("hangup"), "caller_hung_up"),
        (FakePhone("ringing"), "not_answered_yet"),
    ],
)
async def test_only_an_answered_call_is_transferred(
    phone: FakePhone | None, name: str, trunk: None
) -> None:
    assert await outcome(phone) == name


async def test_the_tool_says_what_it_does_and_why_it_did_not_work(trunk: None) -> None:
    job: Any = FakeJob(FakeRoom(FakePhone("ringing")))
    tools, run = TransferTools(job, cloud_settings(), mode="warm"), FakeRun()
    (tool,) = tools.function_tools.values()
    ask: Any = tool
    with pytest.raises(ToolError, match="the call has not been answered"):
        await ask(run, "billing")
    assert run.said == ["One moment please, I am asking billing to take your call."]


async def test_one_transfer_at_a_time(trunk: None) -> None:
    room: Any = FakeRoom(FakePhone())
    job: Any = FakeJob(room)
    session: Any = None
    with claim_transfer(room.name) as claimed:
        assert claimed
        result = await warm_transfer(job, session, cloud_settings(), "billing")
    assert result.name == "transfer_in_progress"


async def test_without_a_trunk_nobody_can_be_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    async def missing(_: object) -> str:
        raise TrunkError("LiveKit knows no such outbound trunk.")

    monkeypatch.setattr(module, "find_outbound_trunk", missing)
    assert await outcome(FakePhone()) == "no_trunk"


def test_the_targets_phone_is_not_taken_for_the_callers() -> None:
    assert is_consulted(TARGET_IDENTITY + "1")
    assert is_consulted(BRIEFING_IDENTITY + "1")
    assert not is_consulted("sip_+15550009999")
    room: Any = FakeRoom(FakePhone(identity=TARGET_IDENTITY + "1"))
    assert phone_in(room) is None
