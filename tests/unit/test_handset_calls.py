"""Telephones that call each other over loopback SIP: dialling, ringing, refusing, ending."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.handset_fakes import A, B, pair
from vobiz_kit.errors import CallError
from vobiz_kit.lab.handsets.behaviour import Behaviour, BehaviourRefused, of_person
from vobiz_kit.lab.handsets.phone import NotAnswered, NotHeard
from vobiz_kit.lab.sip.endpoint import SipEndpoint
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.media import RtpLeg


@pytest.mark.parametrize(
    ("behaviour", "status"), [(Behaviour(busy=True), 486), (Behaviour(declines=True), 603)]
)
async def test_refusals_carry_their_status(behaviour, status):
    async with pair(behaviour) as phones:
        with pytest.raises(NotAnswered, match=f"SIP {status}") as info:
            await phones.a.dial(B, 5, "answered")
        assert info.value.sip_status == status
        assert phones.a.status()["call"]["sip_status"] == status
        assert phones.b.status()["call"] is None


async def test_ringing_can_be_waited_for_and_answered_by_hand():
    async with pair(Behaviour(answer_after=None)) as phones:
        ringing = await phones.a.dial(B, 5, "ringing")
        assert (ringing["state"], ringing["call"]["sip_status"]) == ("ringing", 180)
        assert (await phones.b.wait_until("ringing", 1))["state"] == "ringing"
        assert (await phones.b.answer(1))["state"] == "talking"
        assert (await phones.a.wait_until("talking", 2))["call"]["rang"]


async def test_nobody_answers_and_the_phone_gives_up():
    async with pair(Behaviour(answer_after=None)) as phones:
        with pytest.raises(NotAnswered, match="it rang for 0.2 s and nobody answered") as info:
            await phones.a.dial(B, 0.2, "answered")
        assert "is the agent serving" in info.value.fix
        assert (await phones.b.wait_until("ended", 2))["call"]["sip_status"] == 487
        with pytest.raises(NotAnswered, match="Nobody called"):
            await phones.b.answer(0.05)


async def test_the_callee_declines_by_hanging_up_while_it_rings():
    async with pair(Behaviour(answer_after=None)) as phones:
        dialling = asyncio.create_task(phones.a.dial(B, 5, "answered"))
        await phones.b.wait_until("ringing", 2)
        phones.b.hang_up()
        with pytest.raises(NotAnswered, match="SIP 603 Decline"):
            await dialling


async def test_a_phone_in_a_call_is_busy_and_dialling_again_ends_the_call():
    async with pair() as phones:
        await phones.a.dial(B, 5, "answered")
        first = phones.a.call
        assert first
        other = await RtpLeg.open()
        leg = phones.a._place(B, other)
        ended = await leg.wait_ended(2)
        assert ended.status == 486
        await other.aclose()
        phones.b.hang_up()
        await phones.b.wait_until("ended", 2)
        await phones.a.dial(B, 5, "answered")
        assert not first.progress.live
        assert phones.a.live_calls == 1


async def test_people_hang_up_when_nobody_speaks_and_when_it_takes_too_long():
    async with pair(Behaviour(answer_after=0.0, silence=0.3)) as phones:
        await phones.a.dial(B, 5, "answered")
        ended = await phones.a.wait_until("ended", 3)
        assert ended["call"]["ended_by"] == "remote"
        assert 0.2 < ended["call"]["talked"] < 1.5
    async with pair(Behaviour(answer_after=0.0, longest=0.3)) as phones:
        await phones.a.dial(B, 5, "answered")
        assert (await phones.a.wait_until("ended", 3))["call"]["talked"] < 1.5


async def test_a_caller_with_no_g711_is_refused():
    async with pair(Behaviour(answer_after=None)) as phones:
        rtp = await RtpLeg.open()
        offer = rtp.offer((0,))
        offer.media[0].formats = ["111"]
        offer.media[0].attributes["rtpmap"] = ["111 opus/48000/2"]
        caller = SipEndpoint("127.0.0.1", 0)
        await caller.start()
        leg = caller.invite(
            f"sip:{B}@lab", phones.b_endpoint.address, from_uri=f"sip:{A}@lab", sdp=offer
        )
        with pytest.raises(CallError, match="488 Not Acceptable Here"):
            await phones.b.answer(2)
        assert (await leg.wait_ended(2)).status == 488
        await rtp.aclose()
        await caller.aclose()


async def test_no_task_and_no_socket_is_left():
    before = asyncio.all_tasks()
    async with pair(Behaviour(answer_after=0.0, says="hello")) as phones:
        await phones.a.dial(B, 5, "answered")
    assert asyncio.all_tasks() - before == set()


async def test_early_media_is_heard_and_recorded():
    async with pair() as phones:
        answering: list[IncomingLeg] = []
        announcer = await RtpLeg.open()

        def announce(leg: IncomingLeg) -> None:
            leg.ring(183, sdp=announcer.answer(leg.remote_sdp))
            announcer.say(phones.speech.tone("please hold the line"))
            answering.append(leg)

        phones.b_endpoint.on_invite = announce
        dialled = await phones.a.dial(B, 5, "ringing")
        assert (dialled["call"]["sip_status"], dialled["call"]["rang"]) == (183, False)
        assert (await phones.a.hears("hold the line", 3))["heard"] == "please hold the line"
        assert answering[0].local_sdp
        answering[0].answer(answering[0].local_sdp)
        await phones.a.wait_until("talking", 2)
        await announcer.aclose()


async def test_listening_waits_for_a_call_and_says_when_there_is_none():
    async with pair() as phones:
        with pytest.raises(NotHeard, match="is in no call"):
            await phones.b.hears("hello", 0.05)
        listening = asyncio.create_task(phones.b.hears("hello", 5))
        await phones.a.dial(B, 5, "answered")
        await phones.a.says("hello")
        assert (await listening)["heard"] == "hello"


# Behaviour


def test_people_behave_by_their_number():
    greetings = {of_person(n).says for n in ("+15550001111", "+15550002222", "+15550003333")}
    assert len(greetings) == 3
    assert "this is billing" in of_person("+15550002222").says
    assert (of_person(A).says, of_person(A).answer_after) == ("Hello?", 1.0)


def test_behaviour_can_be_changed_in_parts():
    changed = of_person(B).changed({"answer_after": None, "busy": True})
    assert (changed.answer_after, changed.busy, changed.says) == (None, True, "Hello?")


@pytest.mark.parametrize(
    "changes",
    [{"answer": 1}, {"busy": 1}, {"answer_after": True}, {"answer_after": -1}, {"says": None}],
)
def test_what_is_no_behaviour_is_refused(changes):
    with pytest.raises(BehaviourRefused):
        Behaviour().changed(changes)
