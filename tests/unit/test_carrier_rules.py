"""The carrier's rules without a wire: number plan, limits, routing, trace, records, causes."""

import asyncio

import pytest

from vobiz_kit.lab.carrier.announcer import to_telephone
from vobiz_kit.lab.carrier.causes import cause_of
from vobiz_kit.lab.carrier.cdr import summary
from vobiz_kit.lab.carrier.limits import CallLimits
from vobiz_kit.lab.carrier.number_plan import MAGIC, Behaviour, NumberPlan, Refusal, normalise
from vobiz_kit.lab.carrier.party import passed_headers
from vobiz_kit.lab.carrier.trace import Trace
from vobiz_kit.lab.state import DID, PEOPLE

AT = ("127.0.0.1", 5060)


@pytest.mark.parametrize(
    ("dialled", "number"),
    [
        ("+15550002222", "+15550002222"),
        ("15550002222", "+15550002222"),
        ("%2B15550002222", "+15550002222"),
        ("+1-555-000-2222", "+15550002222"),
        ("+1(555)000.2222", "+15550002222"),
        ("+15550002222;phone-context=x", "+15550002222"),
        ("+919876543210", "+919876543210"),
    ],
)
def test_what_is_dialled_becomes_e164(dialled, number):
    assert normalise(dialled) == number


@pytest.mark.parametrize(
    ("dialled", "status"),
    [
        ("", 404),
        ("billing", 404),
        ("+", 404),
        ("911", 484),
        ("+1555", 484),
        ("0015550002222", 404),
        ("+1234567890123456", 404),
        ("+1555000222\u0662", 404),
        ("++15550002222", 404),
    ],
)
def test_what_is_no_number(dialled, status):
    refusal = normalise(dialled)
    assert isinstance(refusal, Refusal)
    assert refusal.status == status


def test_the_plan_and_its_overrides():
    plan = NumberPlan(DID)
    assert plan.behaviour(DID) is Behaviour.TRUNK
    assert plan.behaviour(PEOPLE["sales"]) is Behaviour.ANSWER
    assert plan.behaviour("+15557654321") is Behaviour.ANSWER
    plan.override(PEOPLE["sales"], Behaviour.BUSY)
    assert plan.behaviour(PEOPLE["sales"]) is Behaviour.BUSY
    rows = {row["number"]: row for row in plan.table()}
    assert rows[PEOPLE["sales"]] == {
        "number": PEOPLE["sales"],
        "behaviour": "busy",
        "name": "sales",
        "overridden": True,
    }
    assert set(MAGIC) <= set(rows)
    assert plan.heal(PEOPLE["sales"])
    assert not plan.heal(PEOPLE["sales"])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_calls_per_second_in_any_second():
    clock = Clock()
    limits = CallLimits(2, 10, clock)
    assert [limits.admit(0) is None for _ in range(3)] == [True, True, False]
    clock.now = 0.9
    assert "cps limit exceeded" in (limits.admit(0) or "")
    clock.now = 1.01
    assert limits.admit(0) is None


def test_calls_at_once():
    limits = CallLimits(100, 2, Clock())
    assert limits.admit(1) is None
    assert "concurrent call limit exceeded" in (limits.admit(2) or "")


def message(method: str, call_id: str) -> str:
    return f"{method} sip:x@y SIP/2.0\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\r\n"


@pytest.fixture
def trace() -> Trace:
    return Trace(AT, lambda address: "livekit-sip" if address[1] == 1 else "", capacity=10)


def record(trace: Trace, method: str, call_id: str, port: int = 1) -> None:
    trace.record(0.0, "received", message(method, call_id), ("127.0.0.1", port))


def test_a_call_id_is_its_own_call_until_it_is_assigned(trace: Trace):
    record(trace, "INVITE", "a")
    record(trace, "INVITE", "b", 2)
    assert [(m.party, m.bridge) for m in trace.select()] == [("livekit-sip", "a"), ("unknown", "b")]
    trace.assign("b", "+15550009999", "a")
    record(trace, "ACK", "b", 2)
    assert [(m.party, m.method) for m in trace.select(bridge="a")] == [
        ("livekit-sip", "INVITE"),
        ("+15550009999", "INVITE"),
        ("+15550009999", "ACK"),
    ]
    assert [m.seq for m in trace.select(call_id="b")] == [2, 3]


def test_keepalives_belong_to_no_call(trace: Trace):
    record(trace, "OPTIONS", "a")
    record(trace, "REGISTER", "a")
    assert [m.bridge for m in trace.select()] == ["", ""]
    assert len(trace.select(bridge="")) == 2
    assert trace.select(bridge="a") == []


def test_the_trace_is_bounded_and_its_numbers_go_on(trace: Trace):
    for i in range(25):
        record(trace, "INVITE", str(i))
    assert [m.seq for m in trace.select()] == list(range(16, 26))
    assert [m.seq for m in trace.select(since=23)] == [24, 25]


async def test_waiting_ends_with_news_or_with_time(trace: Trace):
    assert await trace.wait(0.01) == []
    waiting = asyncio.gather(trace.wait(5, bridge="x"), trace.wait(5))
    await asyncio.sleep(0)
    record(trace, "INVITE", "other")
    record(trace, "INVITE", "x")
    ours, any_ = await waiting
    assert [m.call_id for m in ours] == ["x"]
    assert any_


def test_secrets_do_not_enter_the_trace(trace: Trace):
    text = message("INVITE", "a").replace(
        "\r\n\r\n", '\r\nAuthorization: Digest username="u", response="s3cret"\r\n\r\n'
    )
    trace.record(0.0, "received", text, ("127.0.0.1", 1))
    assert "s3cret" not in trace.select()[0].text


def test_causes():
    assert (cause_of(0).text, cause_of(0).code) == ("NORMAL_CLEARING", 4000)
    assert (cause_of(486).text, cause_of(486).code) == ("USER_BUSY", 3010)
    assert cause_of(599).text == "NORMAL_TEMPORARY_FAILURE"
    assert cause_of(486).reason_header == 'Q.850;cause=17;text="Busy Line"'


def test_only_x_vh_headers_pass():
    from aiosipua import SipRequest

    request = SipRequest(method="INVITE", uri="sip:x@y")
    for name in ("X-VH-Order", "x-vh-two", "X-Order", "P-Asserted-Identity"):
        request.headers.set_single(name, "1")
    assert set(passed_headers(request)) == {"X-VH-Order", "x-vh-two"}
    assert passed_headers(None) == {}


def test_the_summary_of_no_calls():
    assert summary([])["avgCallDuration"] == "0s"


def test_speech_is_brought_to_the_telephones_rate():
    import numpy as np

    from tests.unit.carrier_rig import loudest

    time = np.arange(24000) / 24000
    low = (10000 * np.sin(2 * np.pi * 1000 * time)).astype("<i2").tobytes()
    high = (10000 * np.sin(2 * np.pi * 7000 * time)).astype("<i2").tobytes()
    assert len(to_telephone(low)) == 16000
    assert loudest(to_telephone(low)) == 1000
    assert np.abs(np.frombuffer(to_telephone(high)[400:-400], dtype="<i2")).max() < 300
