"""What becomes of a caller whose agent cannot go on, without a network: nothing is heard here."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.call_fakes import FakeJob, FakePhone, FakeRoom, FakeSip, cloud_settings, sip_error
from vobiz_kit import caller_care, transfers
from vobiz_kit.caller_care import CallerCare
from vobiz_kit.outcomes import DialOutcome, Outcome
from vobiz_kit.settings import Settings

NIGHT_DESK = "+15550009977"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """The outcomes that whoever watches the call is told."""
    found: list[Outcome] = []

    async def conclude(_: Any, outcome: Outcome) -> None:
        found.append(outcome)

    monkeypatch.setattr("vobiz_kit.call_reports.CallReport.conclude", conclude)
    return found


async def end(ctx: Any, reason: str) -> None:
    ctx.done.append("ended")


def job(sip: FakeSip | None = None) -> FakeJob:
    return FakeJob(FakeRoom(FakePhone()), sip)


def care_for(ctx: FakeJob, settings: Settings) -> CallerCare:
    return CallerCare(ctx, settings, end)  # type: ignore[arg-type]


async def test_without_a_fallback_the_call_ends(told: list[Outcome]) -> None:
    ctx = job()
    care = care_for(ctx, cloud_settings())
    await care.give_up("ValueError: oops")
    assert ctx.done == ["ended"]
    assert told == [DialOutcome("agent_failed", evidence="ValueError: oops")]
    await care.aclose()


async def test_a_fallback_takes_the_caller(told: list[Outcome]) -> None:
    ctx = job(sip := FakeSip(None))
    care = care_for(ctx, cloud_settings(FALLBACK_NUMBER=NIGHT_DESK))
    await care.give_up("ValueError: oops")
    assert [request.transfer_to for request in sip.requests] == [
        f"sip:{NIGHT_DESK}@1a2b3c4d.sip.vobiz.ai"
    ]
    assert [outcome.name for outcome in told] == ["completed"]
    assert ctx.done == ["ended"]
    await care.aclose()


async def test_a_fallback_that_is_busy_is_told_and_the_call_ends(told: list[Outcome]) -> None:
    ctx = job(FakeSip(sip_error(486, "Busy Here")))
    care = care_for(ctx, cloud_settings(FALLBACK_NUMBER=NIGHT_DESK))
    await care.give_up("ValueError: oops")
    assert [outcome.name for outcome in told] == ["busy", "agent_failed"]
    assert ctx.done == ["ended"]
    await care.aclose()


async def test_a_fallback_that_must_not_be_dialled_is_not(told: list[Outcome]) -> None:
    ctx = job(sip := FakeSip())
    own_number = cloud_settings(FALLBACK_NUMBER="+15550001000")
    care = care_for(ctx, own_number)
    await care.give_up("ValueError: oops")
    assert [outcome.name for outcome in told] == ["refused_by_policy", "agent_failed"]
    assert (sip.requests, ctx.done) == ([], ["ended"])
    await care.aclose()


async def test_a_caller_is_given_up_once(told: list[Outcome]) -> None:
    ctx = job()
    care = care_for(ctx, cloud_settings())
    await asyncio.gather(*(care.give_up("ValueError: oops") for _ in range(3)))
    assert (ctx.done, len(told)) == (["ended"], 1)
    await care.aclose()


async def test_the_agent_does_not_leave_before_a_transfer_is_decided(
    told: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_care, "_LOOK_EVERY_S", 0.001)
    ctx = job()
    care = care_for(ctx, cloud_settings())
    with transfers.claim_transfer(ctx.room.name):
        giving_up = asyncio.ensure_future(care.give_up("ValueError: oops"))
        await asyncio.wait({giving_up}, timeout=0.05)
        assert ctx.done == []
    await asyncio.wait_for(giving_up, 5)
    assert ctx.done == ["ended"]
    await care.aclose()


async def test_nothing_goes_on_when_the_job_is_over() -> None:
    ctx = job()
    care = care_for(ctx, cloud_settings())
    with transfers.claim_transfer(ctx.room.name):
        giving_up = asyncio.ensure_future(care.give_up("ValueError: oops"))
        await asyncio.sleep(0)
        await care.aclose()
        await asyncio.wait_for(giving_up, 5)
    assert ctx.done == []
