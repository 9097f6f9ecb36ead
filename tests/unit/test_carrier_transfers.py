"""Cold transfers at the carrier: REFER in LiveKit's leg, whoever dialled whom."""

import asyncio

import pytest

from tests.unit.carrier_rig import BILLING, CALLER, PERSON, Rig, carrier_rig, until
from vobiz_kit.lab.carrier.number_plan import Refusal
from vobiz_kit.lab.carrier.transfer import refer_target
from vobiz_kit.lab.state import DID


@pytest.fixture
async def rig():
    async with carrier_rig() as rig:
        yield rig


def refer_to(rig: Rig, number: str = BILLING) -> str:
    return f"<sip:{number}@{rig.config.sip_domain}>"


async def test_an_inbound_caller_is_transferred(rig: Rig):
    phone, livekit = await rig.inbound()
    refer = livekit.refer(refer_to(rig))
    assert await refer.answer() == (202, "Accepted")
    assert await refer.outcome() == (200, "OK")
    assert [status for status, _ in refer.progress] == [100, 180, 200]
    target = rig.people.calls[-1]
    assert (target.caller, target.called) == (CALLER, BILLING)
    await until(lambda: target.is_up)
    rig.people.say(phone, 700)
    await rig.people.hears(target, 700)
    rig.people.say(target, 1100)
    await rig.people.hears(phone, 1100)
    livekit.hang_up()
    await asyncio.sleep(0.1)
    assert phone.is_up
    assert target.is_up
    rig.people.say(phone, 900)
    await rig.people.hears(target, 900)
    target.hang_up()
    assert (await phone.wait_ended(2)).by == "remote"
    cdrs = rig.cdrs(livekit.call_id)
    assert {(r["terminated_to"], r["hangup_source"]) for r in cdrs} == {
        (CALLER, "Transfer target"),
        ("livekit-sip", "Callee"),
        (BILLING, "Transfer target"),
    }


async def test_the_carrier_ends_the_transferors_leg_if_nobody_else_does(rig: Rig):
    phone, livekit = await rig.inbound()
    await livekit.refer(refer_to(rig)).outcome()
    ended = await livekit.wait_ended(3)
    assert ended.by == "remote"
    assert phone.is_up


async def test_the_callee_of_an_outbound_call_is_transferred(rig: Rig):
    leg = await rig.outbound()
    await rig.livekit.talk(leg)
    person = rig.people.calls[-1]
    assert await leg.refer(refer_to(rig)).outcome() == (200, "OK")
    target = rig.people.calls[-1]
    assert target is not person
    assert target.caller == DID
    leg.hang_up()
    await until(lambda: target.is_up)
    rig.people.say(person, 700)
    await rig.people.hears(target, 700)
    person.hang_up()
    await target.wait_ended(2)
    assert len(rig.cdrs(leg.call_id)) == 3


@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("+15550004486", 486),
        ("+15550004603", 603),
        ("+15550004404", 404),
        ("+15550004503", 503),
    ],
)
async def test_a_target_that_cannot_be_had_leaves_the_call_as_it_was(rig: Rig, number, status):
    phone, livekit = await rig.inbound()
    refer = livekit.refer(refer_to(rig, number))
    assert (await refer.answer())[0] == 202
    assert (await refer.outcome())[0] == status
    rig.people.say(phone, 700)
    await rig.livekit.hears(livekit, 700)
    # and it can be tried again
    assert (await livekit.refer(refer_to(rig)).outcome())[0] == 200


async def test_a_target_that_never_answers():
    async with carrier_rig(ring_seconds=0.5) as rig:
        phone, livekit = await rig.inbound()
        refer = livekit.refer(refer_to(rig, "+15550004480"))
        assert (await refer.outcome())[0] == 480
        assert phone.is_up
        assert livekit.is_up


async def test_the_caller_hangs_up_while_the_target_rings(rig: Rig):
    phone, livekit = await rig.inbound()
    rig.people.take = lambda leg: leg.ring()
    refer = livekit.refer(refer_to(rig))
    await until(lambda: (180, "Ringing") in refer.progress)
    target = rig.people.calls[-1]
    phone.hang_up()
    assert (await target.wait_ended(2)).status == 487
    assert (await refer.outcome())[0] == 487
    assert (await livekit.wait_ended(2)).by == "remote"
    await until(lambda: not rig.carrier.exchange.bridges)
    assert len(rig.cdrs(livekit.call_id)) == 3


async def test_the_transferor_leaves_while_the_target_rings_and_the_transfer_goes_on(rig: Rig):
    phone, livekit = await rig.inbound()
    rig.people.take = lambda leg: leg.ring()
    refer = livekit.refer(refer_to(rig))
    await until(lambda: (180, "Ringing") in refer.progress)
    livekit.hang_up()
    await until(lambda: livekit.ended is not None)
    rig.people.heard[phone].clear()
    await rig.people.hears(phone, 400)  # ringback: 440 and 480 Hz
    target = rig.people.calls[-1]
    await rig.people.pick_up(target)
    rig.people.say(target, 1100)
    await rig.people.hears(phone, 1100)
    phone.hang_up()
    await target.wait_ended(2)


async def test_the_transferor_leaves_and_the_target_refuses(rig: Rig):
    phone, livekit = await rig.inbound()
    rig.people.take = lambda leg: leg.ring()
    refer = livekit.refer(refer_to(rig))
    await until(lambda: (180, "Ringing") in refer.progress)
    livekit.hang_up()
    target = rig.people.calls[-1]
    await until(lambda: not livekit._endpoint.legs)
    target.reject(486)
    assert (await phone.wait_ended(2)).by == "remote"
    await until(lambda: not rig.carrier.exchange.bridges)


async def test_a_second_refer_meanwhile_is_refused(rig: Rig):
    phone, livekit = await rig.inbound()
    rig.people.take = lambda leg: leg.ring()
    first = livekit.refer(refer_to(rig))
    await until(lambda: (180, "Ringing") in first.progress)
    assert (await livekit.refer(refer_to(rig)).answer())[0] == 491


async def test_a_phone_cannot_transfer(rig: Rig):
    phone, livekit = await rig.inbound()
    assert (await phone.refer(refer_to(rig)).answer())[0] == 403


async def test_notifies_tell_which_refer_they_belong_to(rig: Rig):
    phone, livekit = await rig.inbound()
    await livekit.refer(refer_to(rig)).outcome()
    messages = rig.carrier.trace.select(call_id=livekit.call_id)
    refer = next(m for m in messages if m.method == "REFER" and not m.status)
    notifies = [m for m in messages if m.method == "NOTIFY" and not m.status]
    number = refer.header("CSeq").split()[0]
    assert {m.header("Event") for m in notifies} == {f"refer;id={number}"}
    assert [int(m.header("CSeq").split()[0]) for m in notifies] == sorted(
        {int(m.header("CSeq").split()[0]) for m in notifies}
    )
    assert notifies[-1].header("Subscription-State").startswith("terminated")
    assert notifies[-1].body == "SIP/2.0 200 OK\r\n"
    assert all(m.header("Content-Type").startswith("message/sipfrag") for m in notifies)


HOSTS = frozenset({"1a2b3c4d.sip.vobiz.ai", "127.0.0.1:5070"})


@pytest.mark.parametrize(
    "value",
    [
        "<sip:+15550002222@1a2b3c4d.sip.vobiz.ai>",
        "sip:+15550002222@1a2b3c4d.sip.vobiz.ai",
        '"Billing" <sip:+15550002222@1A2B3C4D.sip.vobiz.ai;transport=udp>',
        "<sip:%2B15550002222@1a2b3c4d.sip.vobiz.ai:5080>",
        "<sip:+15550002222@127.0.0.1:5070>",
        "<sip:15550002222@127.0.0.1:5070;user=phone>;method=INVITE",
        "tel:+15550002222",
        "<tel:+1-555-000-2222>",
    ],
)
def test_refer_to_in_all_its_forms(value):
    assert refer_target(value, HOSTS) == BILLING


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("<sip:+15550002222@evil.example>", 403),
        ("<sip:+15550002222@127.0.0.1:9>", 403),
        ("<sip:+15550002222>", 400),
        ("<sip:>", 400),
        ("<sip:@>", 400),
        ("", 416),
        ("<sips:+15550002222@1a2b3c4d.sip.vobiz.ai>", 416),
        ("<http://example.com>", 416),
        ("tel:billing", 404),
        ("tel:", 404),
        ("tel:911", 484),
        ("<sip:billing@1a2b3c4d.sip.vobiz.ai>", 404),
        ("<sip:+15550002222@1a2b3c4d.sip.vobiz.ai?Replaces=a%40b>", 501),
        ("<sip:+1 555 000 2222@1a2b3c4d.sip.vobiz.ai>", 404),
    ],
)
def test_refer_to_that_is_refused(value, status):
    refusal = refer_target(value, HOSTS)
    assert isinstance(refusal, Refusal)
    assert refusal.status == status


async def test_custom_headers_of_the_refer_reach_the_target(rig: Rig):
    phone, livekit = await rig.inbound()
    refer = livekit.refer(refer_to(rig), {"X-VH-Summary": "invoice", "X-Secret": "no"})
    await refer.outcome()
    target = rig.people.calls[-1]
    assert target.invite.get_header("x-vh-summary") == "invoice"
    assert target.invite.get_header("x-secret") is None


async def test_transferred_to_a_softphone(rig: Rig):
    await rig.register(PERSON, rig.livekit)
    phone, livekit = await rig.inbound()
    assert (await livekit.refer(refer_to(rig, PERSON)).outcome())[0] == 200
    assert rig.livekit.calls[-1].called == PERSON
