"""Telephones in a call with each other over loopback SIP: speaking, hearing, pressing keys."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.unit.handset_fakes import A, B, TonalSpeech, holds, pair
from vobiz_kit.errors import CallError
from vobiz_kit.lab.handsets.behaviour import Behaviour
from vobiz_kit.lab.handsets.phone import NotHeard
from vobiz_kit.lab.handsets.sound import LINE_BYTES
from vobiz_kit.lab.handsets.speech import SpeechUnavailableError


async def test_two_phones_talk_and_hear_each_other():
    async with pair() as phones:
        a, b = phones.a, phones.b
        assert (a.state, a.status()["call"]) == ("idle", None)
        dialled = await a.dial(B, 5, "answered")
        assert (dialled["state"], dialled["call"]["sip_status"]) == ("talking", 200)
        assert dialled["call"]["rang"]
        assert dialled["call"]["answered_after"] < 1
        assert (await b.answer(1))["call"]["other"] == A

        began = time.time()
        said = await a.says("please transfer me to billing")
        assert said["said_at"] - began >= phones.speech.seconds - 0.05
        understood = await b.hears("transfer me to billing", 3)
        assert understood["heard"] == "please transfer me to billing"
        await asyncio.gather(b.says("how can I help"), a.hears("how can I help", 3))

        await a.press("15#")
        await holds(lambda: b.status()["call"]["keys_heard"] == "15#")

        b.hang_up()
        ended = await a.wait_until("ended", 2)
        assert ended["call"]["ended_by"] == "remote"
        assert ended["call"]["sip_status"] == 200
        assert (await b.wait_until("ended", 2))["call"]["ended_by"] == "local"
        # What was said is still on the tape, and what B said is what A heard.
        spoken = phones.speech.tone("how can I help")
        assert a.call
        assert a.call.tape
        heard = bytes(a.call.tape.heard.pcm)
        assert len(a.recording("both")) >= 2 * len(heard)
        assert await phones.speech.recognise(heard) == "how can I help"
        assert abs(len(heard.strip(b"\0")) - len(spoken)) < 0.02 * LINE_BYTES
        with pytest.raises(CallError, match="cannot speak now"):
            await a.says("hello")


async def test_a_person_answers_and_says_who_they_are():
    async with pair(Behaviour(answer_after=0.1, says="this is billing")) as phones:
        await phones.a.dial(B, 5, "answered")
        assert (await phones.a.hears("this is billing", 3))["score"] == pytest.approx(1.0)
        with pytest.raises(NotHeard, match="“this is billing” was not heard within 0.1 s") as info:
            await phones.a.hears("this is billing", 0.1)
        assert info.value.transcript == []
        assert "silence" in info.value.evidence
        await phones.a.hears("this is billing", 1, since="call")


async def test_a_call_that_ends_in_mid_sentence_says_so():
    async with pair(speech=TonalSpeech(seconds=5)) as phones:
        await phones.a.dial(B, 5, "answered")
        speaking = asyncio.create_task(phones.a.says("a long story"))
        await holds(lambda: phones.b.status()["call"]["packets_heard"] > 5)
        phones.b.hang_up()
        with pytest.raises(CallError, match="ended while the phone was still speaking") as info:
            await speaking
        assert "the call was ended by the other side" in info.value.evidence
        assert phones.a.call and phones.a.call.tape
        assert len(phones.a.call.tape.said) < 4 * LINE_BYTES


async def test_a_person_without_a_voice_is_reported_not_dropped():
    class Mute(TonalSpeech):
        async def speak(self, text: str) -> bytes:
            raise SpeechUnavailableError("The lab's speech server cannot be reached.")

    async with pair(Behaviour(answer_after=0.0, says="hello"), Mute()) as phones:
        await phones.a.dial(B, 5, "answered")
        await holds(lambda: bool(phones.b.status()["call"]["problem"]))
        assert "speech server" in phones.b.status()["call"]["problem"]
        assert phones.b.state == "talking"


async def test_there_is_no_such_key_and_no_recording_before_a_call():
    async with pair() as phones:
        with pytest.raises(CallError, match="no recording"):
            phones.a.recording("heard")
        await phones.a.dial(B, 5, "answered")
        with pytest.raises(CallError, match="no such key"):
            await phones.a.press("1x")
