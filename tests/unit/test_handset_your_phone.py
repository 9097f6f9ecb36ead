"""The phone in the learner's hand: what it says, how long it waits, and what it makes of rooms."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from vobiz_kit.errors import CallError, NumberRefused
from vobiz_kit.lab.handsets import your_phone
from vobiz_kit.lab.handsets.phone import NotAnswered, Phone
from vobiz_kit.lab.handsets.your_phone import State, YourPhone, state_of_phones
from vobiz_kit.settings import Settings


def phone(*states: State, patience: float = 0.02) -> YourPhone:
    """A phone that is seen in these states one after the other, then in the last for good."""
    left = list(states)

    async def look() -> State:
        return left.pop(0) if len(left) > 1 else left[0]

    return YourPhone("+1 555 000 9999", patience=patience, look=look)


@pytest.fixture(autouse=True)
def quick_polling(monkeypatch):
    monkeypatch.setattr(your_phone, "_POLL_S", 0.001)


async def test_dialling_tells_the_number_and_waits_for_the_call(capsys):
    mine: Phone = phone("idle", "idle", "ringing", "talking", patience=5)
    assert (await mine.dial("+1 555 000 1000"))["state"] == "talking"
    assert "Take your phone and dial +15550001000" in capsys.readouterr().out


async def test_ringing_is_enough_if_one_waits_for_that():
    assert (await phone("idle", "ringing", patience=5).dial("+15550001000", until="ringing"))[
        "state"
    ] == "ringing"


async def test_nobody_dials_and_nobody_answers():
    with pytest.raises(NotAnswered, match=r"No call of yours[\s\S]*Dial by hand"):
        await phone("idle").dial("+15550001000", within=0.01)
    with pytest.raises(NotAnswered, match=r"was not answered[\s\S]*is the agent serving|Is the"):
        await phone("ringing").dial("+15550001000")
    with pytest.raises(NotAnswered, match="needs somebody who answers"):
        await phone("idle").answer()


async def test_a_person_gets_more_time_than_a_program():
    seen = ["idle"] * 20 + ["talking"]
    assert (await phone(*seen, patience=5).dial("+15550001000", within=0.0))["state"] == "talking"  # type: ignore[arg-type]


async def test_a_person_is_asked_to_behave_and_given_time_for_it(capsys, monkeypatch):
    monkeypatch.setattr(your_phone, "_TO_DO_IT_S", 0.02)
    mine = phone("idle")
    began = time.monotonic()
    await mine.behave(busy=True)
    assert time.monotonic() - began >= 0.02
    await mine.behave(busy=False, says="Hello")
    asked = capsys.readouterr().out
    assert f"At {mine.number}: be in another call" in asked
    assert f"At {mine.number}: hang up the other call" in asked


async def test_each_step_says_what_to_do_and_does_not_wait(capsys):
    mine = phone("talking")
    await mine.says("Please transfer me to billing")
    assert await mine.hears("how can I help", within=60) == ""
    await mine.press("15")
    said = capsys.readouterr().out
    assert "Say: “Please transfer me to billing”" in said
    assert "Listen for: “how can I help”" in said
    assert "Press: 1 5" in said
    assert "no recording" in await mine.recording()


async def test_answering_and_hanging_up(capsys):
    assert (await phone("ringing", "talking", patience=5).answer())["state"] == "talking"
    await phone("talking", "idle", patience=5).hang_up()
    assert "Hang up your phone" in capsys.readouterr().out
    with pytest.raises(CallError, match="still in the call"):
        await phone("talking").hang_up()


async def test_waiting_for_a_state():
    assert (await phone("talking", "idle", patience=5).wait_until("ended"))["state"] == "idle"
    with pytest.raises(CallError, match="LiveKit: idle"):
        await phone("idle").wait_until("talking")
    assert (await phone("ringing").status())["state"] == "ringing"


def test_what_is_no_number_is_refused():
    with pytest.raises(NumberRefused):
        YourPhone("my phone")
    assert repr(YourPhone()) == "<YourPhone in your hand>"


# What LiveKit says


class Rooms:
    """LiveKit's room service with these rooms, each with participants (kind, call status)."""

    def __init__(self, rooms: dict[str, list[tuple[int, str]]]) -> None:
        self.rooms = rooms

    async def list_rooms(self, request: object) -> SimpleNamespace:
        return SimpleNamespace(rooms=[SimpleNamespace(name=name) for name in self.rooms])

    async def list_participants(self, request: SimpleNamespace) -> SimpleNamespace:
        participants = [
            SimpleNamespace(kind=kind, attributes={"sip.callStatus": status})
            for kind, status in self.rooms[request.room]
        ]
        return SimpleNamespace(participants=participants)


@pytest.mark.parametrize(
    ("rooms", "state"),
    [
        ({}, "idle"),
        ({"vobiz-in-1": [(4, "")]}, "idle"),
        ({"vobiz-in-1": [(3, "ringing"), (4, "")]}, "ringing"),
        ({"vobiz-in-1": [(3, "ringing")], "vobiz-out-1": [(3, "active")]}, "talking"),
        ({"somebody-else-in-1": [(3, "active")]}, "idle"),
    ],
)
async def test_only_phones_in_rooms_of_this_learner_count(monkeypatch, rooms, state):
    @asynccontextmanager
    async def api(settings: Settings) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(room=Rooms(rooms))

    monkeypatch.setattr("vobiz_kit.livekit_api.open_livekit_api", api)
    assert await state_of_phones(Settings(backend="cloud")) == state
