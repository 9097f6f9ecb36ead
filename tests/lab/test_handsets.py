"""The lab's phones with the real carrier and the real speech server: they talk and understand."""

from __future__ import annotations

import asyncio
import io
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from vobiz_kit.lab.handsets.client import Handset
from vobiz_kit.lab.handsets.phone import NotAnswered, NotHeard
from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.state import PEOPLE

pytestmark = pytest.mark.lab

A, B, STRANGER = "+15550009999", "+15550008888", "+15557654321"

SENTENCES = [
    "I have a question about my invoice",
    "Thanks for calling Vobiz, goodbye",
    "Please call me back at five five five two one two",
    "Can I speak to somebody in sales?",
]


@asynccontextmanager
async def call(lab: Lab) -> AsyncIterator[tuple[Handset, Handset]]:
    """Two phones of the lab in a call with each other, through the carrier."""
    a, b = lab.phone(A), lab.phone(B)
    await b.behave(answer_after=0.0)
    await a.dial(B, within=10)
    try:
        yield a, b
    finally:
        await a.hang_up()
        await b.wait_until("ended", within=5)


async def test_two_phones_talk_through_the_carrier_and_understand_each_other(lab: Lab):
    async with call(lab) as (a, b):
        status = await a.status()
        assert (status["registered"], status["call"]["rang"]) == (True, True)
        began = time.time()
        ended = await a.says("Please transfer me to billing")
        assert 1.0 < ended - began < 6.0
        assert await b.hears("transfer me to billing", within=10)
        await asyncio.gather(b.says("How can I help you?"), a.hears("how can I help", within=10))
        with pytest.raises(NotHeard) as info:  # said once, heard once
            await a.hears("how can I help", within=0.5)
        assert "silence" in info.value.evidence
        await a.recording("both")
        with wave.open(io.BytesIO(a.wav)) as file:
            assert file.getnframes() / file.getframerate() > ended - began


async def test_other_words_than_expected_are_reported_not_accepted(lab: Lab):
    async with call(lab) as (a, b):
        await b.says("Hello, this is support.")
        with pytest.raises(NotHeard, match="“this is billing” was not heard") as info:
            await a.hears("this is billing", within=2)
        assert "support" in " ".join(info.value.transcript).lower()


@pytest.mark.timeout(180)
async def test_sentences_survive_the_telephone(lab: Lab):
    """Nearly every sentence is understood; none is taken for its neighbour in the list."""
    missed: list[str] = []
    mistaken: list[str] = []
    async with call(lab) as (a, b):
        for number, sentence in enumerate(SENTENCES):
            await a.says(sentence)
            try:
                mistaken.append(await b.hears(SENTENCES[number - 1], within=0.8))
                continue
            except NotHeard as unheard:
                assert unheard.transcript
            try:
                await b.hears(sentence, within=5)
            except NotHeard as unheard:
                missed.append(f"{sentence}: {unheard.transcript}")
    assert mistaken == []
    assert len(missed) <= 1, missed


async def keys_arrive(phone: Handset, keys: str) -> None:
    async with asyncio.timeout(5):
        while (await phone.status())["call"]["keys_heard"] != keys:  # noqa: ASYNC110 - over HTTP
            await asyncio.sleep(0.02)


async def test_keys_arrive_in_both_directions(lab: Lab):
    async with call(lab) as (a, b):
        await asyncio.gather(a.press("1590*#"), b.press("42"))
        await keys_arrive(b, "1590*#")
        await keys_arrive(a, "42")


@pytest.mark.parametrize(("behaviour", "status"), [("busy", 486), ("declines", 603)])
async def test_a_phone_that_does_not_want_the_call(lab: Lab, behaviour: str, status: int):
    a, b = lab.phone(A), lab.phone(B)
    await b.behave(**{"answer_after": None, "busy": False, "declines": False, behaviour: True})
    try:
        with pytest.raises(NotAnswered) as info:
            await a.dial(B, within=10)
        assert info.value.sip_status == status
    finally:
        await b.behave(**{behaviour: False})


async def test_a_phone_rings_until_it_is_answered_by_hand_or_given_up(lab: Lab):
    a, b = lab.phone(A), lab.phone(B)
    await b.behave(answer_after=None)
    await a.dial(B, within=10, until="ringing")
    await b.answer(within=5)
    assert (await a.wait_until("talking", within=5))["state"] == "talking"
    await b.hang_up()
    assert (await a.wait_until("ended", within=5))["call"]["ended_by"] == "remote"
    with pytest.raises(NotAnswered, match="rang for 0.5 s and nobody answered"):
        await a.dial(B, within=0.5)
    assert (await b.wait_until("ended", within=5))["call"]["sip_status"] == 487


@pytest.mark.parametrize("name", PEOPLE)
async def test_people_of_the_number_plan_answer_and_say_who_they_are(lab: Lab, name: str):
    caller = lab.phone(A)
    status = await caller.dial(PEOPLE[name], within=10)
    assert status["call"]["answered_after"] < 1.5
    await caller.hears(f"this is {name}", within=10)
    await caller.hang_up()


async def test_what_is_said_to_people_of_the_number_plan_can_be_heard_at_their_phone(lab: Lab):
    caller, billing = lab.phone(A), lab.phone(PEOPLE["billing"])
    await caller.dial(PEOPLE["billing"], within=10)
    await caller.says("Good morning, I have a question about my invoice")
    await billing.hears("a question about my invoice", within=10)
    assert (await billing.status())["registered"] is False
    await caller.hang_up()
    assert (await billing.wait_until("ended", within=5))["call"]["ended_by"] == "remote"


async def test_anybody_else_answers_after_a_second_and_says_hello(lab: Lab):
    caller = lab.phone(A)
    status = await caller.dial(STRANGER, within=10)
    assert 0.8 < status["call"]["answered_after"] < 2.5
    await caller.hears("hello", within=10)
    await caller.hang_up()
