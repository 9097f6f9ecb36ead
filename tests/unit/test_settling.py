"""What the carrier's records say of a transfer that was not decided in time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from tests.unit.call_fakes import FakePhone, FakeRoom
from vobiz_kit.cdr import Cdr
from vobiz_kit.outcomes import TransferOutcome
from vobiz_kit.settling import outlasted, settled_by_records

BRIDGE, CALLER, DID, TARGET = "lk-leg@carrier", "+15550009999", "+15550001000", "+15550002222"
UNDECIDED = TransferOutcome("undecided", f"billing ({TARGET})", evidence="request timed out")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

LIVEKIT = Cdr(to_number=DID, from_number=CALLER, bridge_uuid=BRIDGE, sip_call_id=BRIDGE)
CALLERS = Cdr(
    to_number=DID,
    from_number=CALLER,
    bridge_uuid=BRIDGE,
    sip_call_id="caller",
    hangup_cause="NORMAL_CLEARING",
)
ANSWERED = Cdr(to_number=TARGET, bridge_uuid=BRIDGE, sip_call_id="target", answered=NOW)
RANG_OUT = Cdr(to_number=TARGET, bridge_uuid=BRIDGE, sip_call_id="target")
FOREIGN = Cdr(to_number=TARGET, bridge_uuid="another", sip_call_id="another", answered=NOW)


@pytest.mark.parametrize(
    ("records", "name"),
    [
        ([], "undecided"),
        ([FOREIGN], "undecided"),
        ([RANG_OUT], "undecided"),  # LiveKit's leg is still up
        ([LIVEKIT], "completed"),  # the caller's leg goes on
        ([LIVEKIT, ANSWERED], "completed"),
        ([LIVEKIT, CALLERS, ANSWERED], "completed"),  # they talked, and have hung up
        ([LIVEKIT, CALLERS], "caller_hung_up"),
        ([LIVEKIT, CALLERS, RANG_OUT], "caller_hung_up"),
        ([FOREIGN, LIVEKIT, CALLERS], "caller_hung_up"),
    ],
)
def test_the_legs_that_have_ended_tell_where_the_caller_is(records: list[Cdr], name: str) -> None:
    outcome = settled_by_records(UNDECIDED, records, BRIDGE, TARGET)
    assert outcome.name == name
    assert outcome.who == UNDECIDED.who
    assert outcome.evidence


async def test_a_caller_who_is_still_there_was_not_connected() -> None:
    outcome = await outlasted(FakeRoom(FakePhone()), UNDECIDED, 0.02)  # type: ignore[arg-type]
    assert outcome is not None
    assert (outcome.name, outcome.who) == ("no_answer", UNDECIDED.who)
    assert outcome.spoken == "I could not connect you to billing: nobody answered."


async def test_of_a_caller_who_leaves_nothing_is_said() -> None:
    room = FakeRoom(FakePhone())
    asyncio.get_running_loop().call_later(0.01, room.phone_leaves)
    assert await outlasted(room, UNDECIDED, 30) is None  # type: ignore[arg-type]
    assert await outlasted(room, UNDECIDED, 30) is None  # type: ignore[arg-type]
