"""A call as it is seen from outside: its status, its transcript, its explanation."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

import pytest

from tests.unit.call_fakes import cloud_settings
from vobiz_kit.call_events import CallEvent, Line, Status, from_wire, to_wire
from vobiz_kit.call_state import CallState
from vobiz_kit.calls import Call, place_call
from vobiz_kit.errors import CallError, NumberRefused, TransferError
from vobiz_kit.outcomes import DialOutcome, TransferOutcome

NUMBER = "+15550009900"


def outbound() -> CallState:
    return CallState("vobiz-out-1", phone_number=NUMBER, direction="outbound")


def inbound() -> CallState:
    call = CallState("vobiz-in-1")
    call.phone_seen(
        {"sip.callStatus": "ringing", "sip.ruleID": "SDR_1", "sip.phoneNumber": NUMBER}, "sip_x"
    )
    return call


def answered() -> CallState:
    call = inbound()
    call.phone_seen({"sip.callStatus": "active", "sip.callIDFull": "abc@carrier"}, "sip_x")
    return call


def statuses(call: CallState) -> list[str]:
    return [event.data["status"] for event in call.events if event.kind == "status"]


def say(
    call: CallState, who: Literal["caller", "agent"], text: str, segment: str, final: bool = True
) -> None:
    call.said(Line(time.time(), who, text, final), segment)


async def test_an_outbound_call_goes_from_dialing_to_its_end() -> None:
    call = outbound()
    for status in ("dialing", "ringing", "active"):
        call.phone_seen({"sip.callStatus": status}, "callee")
    call.phone_left("CLIENT_INITIATED")
    call.room_ended("ROOM_DELETED")
    assert statuses(call) == ["dialing", "ringing", "active", "ended"]
    assert call.over
    assert call.outcome is None


async def test_news_of_a_transfer_that_come_after_its_outcome_change_nothing() -> None:
    call = answered()
    call.concluded(TransferOutcome("busy", "billing", 486, "Busy Here"), 2.0)
    call.told(CallEvent(1.0, "transfer", "asking the carrier to connect billing"))
    assert call.status == "active"
    call.told(CallEvent(3.0, "transfer", "asking the carrier to connect sales"))
    assert call.status == "transferring"


async def test_an_inbound_call_is_known_by_its_dispatch_rule() -> None:
    call = answered()
    assert (call.direction, call.phone_number, call.status) == ("inbound", NUMBER, "active")
    assert call.sip_call_id == "abc@carrier"
    assert call.explain().startswith(f"Call from {NUMBER}: active")


async def test_a_status_never_goes_back() -> None:
    call = answered()
    call.phone_seen({"sip.callStatus": "ringing"}, "sip_x")
    assert call.status == "active"


async def test_a_call_that_is_not_answered_fails_with_what_the_agent_reports() -> None:
    call = outbound()
    call.phone_seen({"sip.callStatus": "ringing"}, "callee")
    call.phone_left("USER_REJECTED")
    busy = DialOutcome("busy", NUMBER, 486, "Busy Here")
    call.concluded(busy, 1.0)
    call.concluded(busy, 1.0)  # attributes may be told twice
    call.room_ended("ROOM_DELETED")
    assert statuses(call) == ["ringing", "failed"]
    assert call.outcome is busy
    assert "486 Busy Here" in call.explain()


async def test_without_a_report_the_reason_of_leaving_is_what_is_known() -> None:
    call = outbound()
    call.phone_seen({"sip.callStatus": "ringing"}, "callee")
    call.phone_left("USER_UNAVAILABLE")
    call.room_ended("ROOM_CLOSED")
    assert call.status == "failed"
    assert call.outcome is not None
    assert call.outcome.name == "no_answer"


async def test_a_transfer_that_works_is_transferred_and_not_ended() -> None:
    call = answered()
    call.told(CallEvent(1.0, "transfer", "asking the carrier", {}))
    assert call.status == "transferring"
    call.phone_left("CLIENT_INITIATED")  # the carrier may end the leg before the agent reports
    assert call.status == "transferring"
    call.concluded(TransferOutcome("completed", "billing"), 2.0)
    call.room_ended("ROOM_DELETED")
    assert call.status == "transferred"
    assert (await call.wait_for("ended", within=0.1)) is call


async def test_a_transfer_that_fails_gives_the_caller_back() -> None:
    call = answered()
    call.told(CallEvent(1.0, "transfer", "asking the carrier", {}))
    call.concluded(TransferOutcome("busy", "billing", 486, "Busy Here"), 2.0)
    assert statuses(call)[-2:] == ["transferring", "active"]
    assert not call.over


async def test_waiting_for_a_status_that_cannot_come_ends_at_once_and_says_why() -> None:
    call = outbound()
    waiting = asyncio.ensure_future(call.wait_for("active", within=30))
    await asyncio.sleep(0)
    call.concluded(DialOutcome("declined", NUMBER, 603, "Decline"), 1.0)
    with pytest.raises(CallError, match="did not become 'active'") as error:
        await waiting
    assert error.value.sip_status == 603
    assert "declined it" in error.value.evidence


async def test_waiting_is_over_when_the_agents_code_raised() -> None:
    call = outbound()
    waiting = asyncio.ensure_future(call.wait_for("active", within=30))
    await asyncio.sleep(0)
    call.job_failed(ValueError("oops"))
    with pytest.raises(CallError) as error:
        await waiting
    assert isinstance(error.value.__cause__, ValueError)
    assert "ValueError: oops" in call.explain()


async def test_waiting_too_long_says_where_the_call_stands() -> None:
    with pytest.raises(CallError, match="still 'dispatched' after"):
        await outbound().wait_for("active", within=0.01)


async def test_a_status_that_was_passed_has_been_reached() -> None:
    assert (await answered().wait_for("ringing", within=0)).status == "active"


async def test_the_transcript_grows_in_place_and_keeps_the_final_words() -> None:
    call = answered()
    say(call, "caller", "please", "s1", final=False)
    say(call, "caller", "please transfer", "s1", final=False)
    assert "please transfer …" in repr(call.transcript)
    say(call, "caller", "Please transfer me.", "s1")
    say(call, "caller", "please tran", "s1", final=False)  # overtaken on its way
    say(call, "agent", "To whom?", "s2")
    assert [(line.speaker, line.text) for line in call.transcript] == [
        ("caller", "Please transfer me."),
        ("agent", "To whom?"),
    ]
    spoken = [event for event in call.events if event.kind == "transcript"]
    assert [event.data["speaker"] for event in spoken] == ["caller", "agent"]


async def test_subscribers_hear_everything_until_they_leave() -> None:
    call = answered()
    heard: list[CallEvent] = []
    leave = call.subscribe(heard.append)
    say(call, "agent", "Hel", "s1", final=False)
    say(call, "agent", "Hello", "s1")
    await asyncio.sleep(0)
    leave()
    say(call, "agent", "again", "s2")
    await asyncio.sleep(0)
    assert [event.data["final"] for event in heard] == [False, True]


async def test_an_error_in_a_subscriber_is_shown_and_disturbs_nobody() -> None:
    call = answered()
    shown: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: shown.append(context))
    try:
        call.subscribe(lambda event: [][len(event.text)])
        say(call, "agent", "Hello", "s1")
        await asyncio.sleep(0)
    finally:
        asyncio.get_running_loop().set_exception_handler(None)
    assert "IndexError" in str(shown)
    assert call.transcript[0].text == "Hello"


async def test_what_was_said_is_found_whatever_the_recogniser_made_of_it() -> None:
    call = answered()
    waiting = asyncio.ensure_future(call.wait_until_said("How can I help you?", "agent", 5))
    await asyncio.sleep(0)
    say(call, "caller", "how can I help you", "s1")
    say(call, "agent", "hello, how can i help", "s2", final=False)
    await asyncio.sleep(0)
    assert not waiting.done()
    say(call, "agent", "Hello, thanks for calling. How can I held you", "s2")
    assert (await waiting).speaker == "agent"


async def test_what_was_not_said_is_an_error_with_the_transcript() -> None:
    call = answered()
    say(call, "agent", "Hello", "s1")
    call.phone_left("CLIENT_INITIATED")
    with pytest.raises(CallError, match="said 'goodbye' so far") as error:
        await call.wait_until_said("goodbye", "agent")
    assert "agent: Hello" in error.value.evidence


async def test_a_call_nobody_answers_explains_that_the_agent_is_missing() -> None:
    call = inbound()
    assert "No agent" not in call.explain()
    call.started -= 10
    explained = call.explain()
    assert "No agent took the call" in explained
    assert "Ringing" in explained
    assert "vk.serve" in explained
    call.agent_seen("agent-1")
    assert "No agent" not in call.explain()


async def test_reprs_are_text_and_escaped_html() -> None:
    call = answered()
    say(call, "caller", "<b>hello</b>", "s1")
    assert "caller: <b>hello</b>" in repr(call)
    assert "abc@carrier" in repr(call)
    assert "&lt;b&gt;hello" in call._repr_html_()
    assert "&lt;b&gt;hello" in call.transcript._repr_html_()
    assert "white-space" in call.explain()._repr_html_()
    assert repr(CallState("r").transcript) == "(nothing has been said)"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"time": "x"}', "null", "\x00"])
def test_a_foreign_text_stream_is_no_event(text: str) -> None:
    assert from_wire(text) is None


def test_an_event_survives_the_wire() -> None:
    event = CallEvent(1.5, "tool", "transfer_call('billing')", {"destination": "billing"})
    assert from_wire(to_wire(event)) == event


async def test_a_number_is_checked_before_anything_is_sent() -> None:
    for number, reason in (("the moon", "directory"), ("112", "emergency"), ("+1555", "short")):
        with pytest.raises(NumberRefused, match=reason):
            await place_call(number, cloud_settings())


async def test_livekit_not_there_is_said_plainly() -> None:
    with pytest.raises(CallError, match="did not take the call") as error:
        await place_call(NUMBER, cloud_settings())
    assert "ws://127.0.0.1:1" in error.value.evidence
    assert "not-a-real" not in str(error.value)


@pytest.mark.parametrize("status", ["dispatched", "transferring", "ended"])
async def test_only_an_answered_call_is_transferred(status: Status) -> None:
    call = Call("vobiz-in-1", cloud_settings(), status=status)
    with pytest.raises(TransferError):
        await call.transfer("billing")
    with pytest.raises(NumberRefused):
        await call.transfer("the moon")


async def test_a_room_has_one_call_object() -> None:
    settings = cloud_settings()
    call = Call.known("vobiz-in-2", settings)
    assert Call.known("vobiz-in-2", settings) is call
    assert Call.known("vobiz-in-3", settings) is not call
