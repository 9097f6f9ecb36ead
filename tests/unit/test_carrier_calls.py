"""Calls through the carrier, between real SIP user agents on loopback."""

import asyncio

import pytest
from aiosipua import SipDigestAuth

from tests.unit.carrier_rig import CALLER, PERSON, Rig, carrier_rig, until
from vobiz_kit.lab.carrier import magic_numbers
from vobiz_kit.lab.carrier.party import passed_headers
from vobiz_kit.lab.sip.events import Answered, Ended, Event
from vobiz_kit.lab.sip.legs import CallRefused
from vobiz_kit.lab.state import DID


@pytest.fixture
async def rig():
    async with carrier_rig() as rig:
        yield rig


async def test_an_inbound_call_reaches_livekit_with_e164_numbers_and_media_both_ways(rig: Rig):
    phone, livekit = await rig.inbound()
    assert (livekit.caller, livekit.called) == (CALLER, DID)
    to = livekit.invite.to_addr
    assert to is not None and to.uri.user == DID
    assert livekit.call_id != phone.call_id
    rig.people.say(phone, 700)
    await rig.livekit.hears(livekit, 700)
    rig.livekit.say(livekit, 1100)
    await rig.people.hears(phone, 1100)
    phone.hang_up()
    assert (await livekit.wait_ended(2)).by == "remote"
    cdrs = rig.cdrs(livekit.call_id)
    assert {r["sip_call_id"] for r in cdrs} == {phone.call_id, livekit.call_id}
    for record in cdrs:
        assert record["call_direction"] == "inbound"
        assert (record["caller_id_number"], record["destination_number"]) == (CALLER, DID)
        assert (record["hangup_cause"], record["hangup_source"]) == ("NORMAL_CLEARING", "Caller")
        assert record["codec"] == "PCMU"
        assert record["mos"] > 4


async def test_livekit_hangs_up(rig: Rig):
    phone, livekit = await rig.inbound()
    livekit.hang_up()
    assert (await phone.wait_ended(2)).by == "remote"
    assert {r["hangup_source"] for r in rig.cdrs(livekit.call_id)} == {"Callee"}
    await until(lambda: not rig.carrier.exchange.bridges)


async def test_an_outbound_call_is_challenged_and_its_bridge_is_its_own_call_id(rig: Rig):
    leg = await rig.outbound()
    await rig.livekit.talk(leg)
    person = rig.people.calls[-1]
    assert (person.caller, person.called) == (DID, PERSON)
    assert rig.first_lines(leg.call_id)[:4] == [
        "livekit-sip > INVITE",
        "livekit-sip < 407 INVITE",
        "livekit-sip > ACK",
        "livekit-sip > INVITE",
    ]
    person.hang_up()
    assert (await leg.wait_ended(2)).by == "remote"
    assert {r["hangup_source"] for r in rig.cdrs(leg.call_id)} == {"Callee"}
    assert {r["call_direction"] for r in rig.cdrs(leg.call_id)} == {"outbound"}


@pytest.mark.parametrize(
    "auth",
    [
        None,
        SipDigestAuth("lab-trunk", "wrong"),
        SipDigestAuth("nobody", "wrong"),
        SipDigestAuth("+15550009999", "wrong"),
    ],
)
async def test_without_the_right_password_there_is_no_call(rig: Rig, auth):
    leg = await rig.livekit.call(PERSON, rig.address, caller=DID, auth=auth)
    with pytest.raises(CallRefused) as refused:
        await leg.wait_answered(2)
    assert refused.value.status == 407
    assert not rig.people.calls


async def test_a_softphone_may_call_with_its_own_number_only(rig: Rig):
    auth = SipDigestAuth(CALLER, rig.config.softphone_password)
    leg = await rig.livekit.call(PERSON, rig.address, caller=CALLER, auth=auth)
    await leg.wait_answered(2)
    leg.hang_up()
    forged = await rig.livekit.call(PERSON, rig.address, caller=DID, auth=auth)
    with pytest.raises(CallRefused) as refused:
        await forged.wait_answered(2)
    assert refused.value.status == 403


async def test_a_wrong_registration_password_is_refused(rig: Rig):
    from vobiz_kit.lab.sip.endpoint import RegistrationRefused

    with pytest.raises(RegistrationRefused) as refused:
        await rig.people.endpoint.register(
            f"sip:{CALLER}@lab", rig.address, password="wrong", within=2
        )
    assert refused.value.status == 401


@pytest.mark.parametrize(
    ("number", "status", "cause"),
    [
        ("+15550004404", 404, "UNALLOCATED_NUMBER"),
        ("+15550004486", 486, "USER_BUSY"),
        ("+15550004603", 603, "CALL_REJECTED"),
        ("+15550004503", 503, "SERVICE_UNAVAILABLE"),
        ("12", 484, "INVALID_NUMBER"),
        ("billing", 404, "UNALLOCATED_NUMBER"),
        ("+0123456789", 404, "UNALLOCATED_NUMBER"),
    ],
)
async def test_magic_and_impossible_numbers(rig: Rig, number, status, cause):
    leg = await rig.outbound(number)
    with pytest.raises(CallRefused) as refused:
        await leg.wait_answered(3)
    assert refused.value.status == status
    assert {r["hangup_cause"] for r in rig.cdrs(leg.call_id)} == {cause}


async def test_nobody_answers():
    async with carrier_rig(ring_seconds=0.3) as rig:
        leg = await rig.outbound("+15550004480")
        with pytest.raises(CallRefused) as refused:
            await leg.wait_answered(3)
        assert refused.value.status == 480
        assert {r["hangup_cause_code"] for r in rig.cdrs(leg.call_id)} == {6010}


async def test_a_silent_number_gets_no_answer_of_any_kind_beyond_the_carriers_100(rig: Rig):
    leg = await rig.outbound("+15550004408")
    await until(lambda: "+15550004408 < INVITE" in rig.first_lines(leg.call_id))
    leg.hang_up()
    await rig.sees(leg, "livekit-sip < 487 INVITE")
    assert not rig.carrier.exchange.bridges
    assert not [s for s in rig.first_lines(leg.call_id) if s.startswith("+15550004408 >")]


async def test_early_media_then_an_answer(rig: Rig):
    leg = await rig.outbound("+15550005183")
    await until(lambda: leg.remote_sdp is not None)
    rig.livekit.rtp[leg].accept_answer(leg.remote_sdp)
    assert not leg.is_up
    await rig.livekit.hears(leg, 1400)
    await leg.wait_answered(3)
    assert "livekit-sip < 183 INVITE" in rig.first_lines(leg.call_id)
    leg.hang_up()


async def test_the_answering_machine_beeps_and_records(rig: Rig, monkeypatch):
    monkeypatch.setattr(magic_numbers, "RINGS", 0.05)
    leg = await rig.outbound("+15550005199")
    await rig.livekit.talk(leg)
    await rig.livekit.hears(leg, 1000)
    messages = rig.carrier.equipment.messages
    await until(lambda: len(messages) == 1)
    rig.livekit.say(leg, 600)
    await until(lambda: len(messages[0].pcm) > 8000)
    leg.hang_up()
    assert messages[0].caller == DID


async def test_an_override_holds_until_it_is_healed(rig: Rig):
    from vobiz_kit.lab.carrier.number_plan import Behaviour

    rig.carrier.plan.override(PERSON, Behaviour.BUSY)
    with pytest.raises(CallRefused) as refused:
        await (await rig.outbound()).wait_answered(2)
    assert refused.value.status == 486
    rig.carrier.plan.heal(PERSON)
    leg = await rig.outbound()
    await leg.wait_answered(2)


async def test_the_caller_gives_up_while_it_rings(rig: Rig):
    rig.people.take = lambda leg: leg.ring()
    leg = await rig.outbound()
    await until(lambda: "livekit-sip < 180 INVITE" in rig.first_lines(leg.call_id))
    leg.hang_up()
    person = rig.people.calls[-1]
    ended = await person.wait_ended(2)
    assert (ended.by, ended.status) == ("remote", 487)
    await until(lambda: len(rig.cdrs(leg.call_id)) == 2)
    assert {r["hangup_cause"] for r in rig.cdrs(leg.call_id)} == {"ORIGINATOR_CANCEL"}


async def test_the_caller_gives_up_in_the_instant_of_the_answer(rig: Rig):
    """A CANCEL and a 200 that cross leave no leg behind, on either side."""
    for _ in range(20):
        leg = await rig.outbound()
        await rig.sees(leg, "livekit-sip < 180 INVITE")
        leg.hang_up()
        await until(lambda: not rig.carrier.exchange.bridges)
        await until(lambda: not rig.people.endpoint.legs and not rig.livekit.endpoint.legs)


async def test_both_hang_up_at_once(rig: Rig):
    phone, livekit = await rig.inbound()
    phone.hang_up()
    livekit.hang_up()
    await until(lambda: not rig.carrier.exchange.bridges)
    assert len(rig.cdrs(livekit.call_id)) == 2


async def test_every_leg_reports_its_end_exactly_once(rig: Rig):
    phone, livekit = await rig.inbound()
    livekit.hang_up()
    await phone.wait_ended(2)
    await until(lambda: not rig.carrier.endpoint.legs)
    for agent in (rig.people, rig.livekit):
        assert sum(isinstance(e, Ended) for e in agent.events) == 1


async def test_calls_per_second_and_calls_at_once_are_limited():
    async with carrier_rig(cps=2) as rig:
        legs = [await rig.outbound() for _ in range(3)]
        results = await asyncio.gather(
            *(leg.wait_answered(3) for leg in legs), return_exceptions=True
        )
        refused = [r for r in results if isinstance(r, CallRefused)]
        assert [(r.status, "cps limit exceeded" in r.reason) for r in refused] == [(503, True)]
    async with carrier_rig(concurrent=1) as rig:
        first = await rig.outbound()
        await first.wait_answered(3)
        with pytest.raises(CallRefused) as second:
            await (await rig.outbound()).wait_answered(3)
        assert second.value.status == 503
        assert "concurrent call limit exceeded" in second.value.reason
        first.hang_up()
        await until(lambda: not rig.carrier.exchange.bridges)
        await (await rig.outbound()).wait_answered(3)


async def test_only_x_vh_headers_pass(rig: Rig):
    headers = {"X-VH-Order": "42", "X-Secret": "no", "X-LK-Call": "no"}
    leg = await rig.outbound(headers=headers)
    await leg.wait_answered(2)
    names = [name.lower() for name, _ in rig.people.calls[-1].invite.headers.items()]
    assert [n for n in names if n.startswith("x-")] == ["x-vh-order"]


async def test_x_vh_headers_of_the_answer_and_the_bye_pass_back(rig: Rig):
    rig.people.take = lambda leg: leg.ring()
    leg = await rig.outbound()
    answers: list[Event] = []
    leg.on_event = lambda _, event: answers.append(event)
    await until(lambda: bool(rig.people.calls))
    person = rig.people.calls[-1]
    rtp = await rig.people.open_rtp(person)
    headers = {"X-VH-Desk": "7", "X-Secret": "no"}
    person.answer(rtp.answer(person.remote_sdp), headers=headers)
    await leg.wait_answered(2)
    person.hang_up(headers=headers)
    await leg.wait_ended(4)
    passed = [passed_headers(e.message) for e in answers if isinstance(e, Answered | Ended)]
    assert passed == [{"X-Vh-Desk": "7"}, {"X-Vh-Desk": "7"}]
    (message,) = [e.message for e in answers if isinstance(e, Answered)]
    assert message is not None and message.get_header("x-secret") is None


async def test_different_laws_are_transcoded(rig: Rig):
    await rig.register()
    phone = await rig.people.call(DID, rig.address, payload_types=(8,))
    await rig.people.talk(phone)
    livekit = rig.livekit.calls[-1]
    await until(lambda: livekit.is_up)
    assert rig.people.rtp[phone].codec == "PCMA"
    rig.people.say(phone, 700)
    await rig.livekit.hears(livekit, 700)


async def test_keys_pass_through_the_relay(rig: Rig):
    phone, livekit = await rig.inbound()
    pressed: list[str] = []
    rig.livekit.rtp[livekit].on_dtmf = pressed.append
    rig.people.rtp[phone].press("4")
    rig.people.rtp[phone].press("#")
    await until(lambda: pressed == ["4", "#"])


async def test_a_registered_number_is_rung_where_it_registered(rig: Rig):
    await rig.register(PERSON, rig.livekit)
    leg = await rig.outbound()
    await leg.wait_answered(2)
    assert rig.livekit.calls and not rig.people.calls
    assert f"{PERSON} < INVITE" in rig.first_lines(leg.call_id)


async def test_an_unregistered_phone_is_found_no_more(rig: Rig):
    registration = await rig.register(PERSON, rig.livekit)
    assert rig.carrier.registrar.find(PERSON) is not None
    registration.unregister()
    await until(lambda: rig.carrier.registrar.find(PERSON) is None)


async def test_a_phone_that_vanishes_does_not_stay_on_the_line():
    async with carrier_rig(media_seconds=0.4) as rig:
        phone, livekit = await rig.inbound()
        await asyncio.sleep(0.6)
        assert phone.is_up  # as long as both send
        await rig.people.rtp[phone].stop_sending()
        assert (await livekit.wait_ended(3)).by == "remote"
        assert {r["hangup_cause"] for r in rig.cdrs(livekit.call_id)} == {"MEDIA_TIMEOUT"}


async def test_a_reset_ends_every_call(rig: Rig):
    phone, livekit = await rig.inbound()
    leg = await rig.outbound()
    await leg.wait_answered(2)
    ended = rig.carrier.exchange.reset()
    assert len(ended) == 2
    for one in (phone, livekit, leg):
        assert (await one.wait_ended(2)).by == "remote"
    assert not rig.carrier.exchange.bridges


async def test_the_trace_tells_the_whole_call_and_keeps_secrets(rig: Rig):
    leg = await rig.outbound()
    await leg.wait_answered(2)
    person = rig.people.calls[-1]
    leg.hang_up()
    await person.wait_ended(2)
    await until(lambda: not rig.carrier.exchange.bridges)
    messages = rig.carrier.trace.select(bridge=leg.call_id)
    assert {m.party for m in messages} == {"livekit-sip", PERSON}
    assert [m.seq for m in messages] == sorted(m.seq for m in messages)
    credentials = [m.header("Proxy-Authorization") for m in messages]
    assert any('response="***"' in c for c in credentials)
    assert rig.config.vobiz_password not in "".join(m.text for m in messages)


async def test_the_trace_can_be_waited_for(rig: Rig):
    waiting = asyncio.create_task(rig.carrier.trace.wait(3, since=rig.carrier.trace.last_seq))
    await rig.register()
    found = await waiting
    assert found[0].method == "REGISTER"
    assert found[0].bridge == ""
