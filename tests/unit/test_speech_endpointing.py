"""When utterances begin, pause and end, by scripted probabilities of speech."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vobiz_kit.lab.speech.endpointing import (
    CUT_AT_PAUSE_S,
    CUT_AT_S,
    SHORTEST_END_S,
    Change,
    Endpointer,
    Event,
)
from vobiz_kit.lab.speech.voice_activity import WINDOW, WINDOW_S


def windows(seconds: float) -> int:
    return round(seconds / WINDOW_S)


def script(*parts: tuple[float, float]) -> list[float]:
    """Probabilities: (seconds, probability), one after the other."""
    return [p for seconds, p in parts for _ in range(windows(seconds))]


def changes(events: list[Event]) -> list[Change]:
    return [event.change for event in events]


def test_an_utterance_begins_pauses_and_ends() -> None:
    endpointer = Endpointer(0.025)  # livekit-plugins-deepgram's default
    events = endpointer.feed(script((0.64, 0.0), (0.96, 0.9), (1.0, 0.01)))
    assert events == [
        Event(Change.BEGINS, windows(0.64) * WINDOW),
        Event(Change.PAUSES, windows(1.6) * WINDOW),
        Event(Change.ENDS, windows(1.6) * WINDOW),
    ]
    assert not endpointer.speaking
    assert endpointer.silent_s == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("asked", "waits"), [(0.0, SHORTEST_END_S), (0.3, SHORTEST_END_S), (1.0, 1.0)]
)
def test_it_waits_as_long_as_asked_and_never_cuts_at_a_comma(asked: float, waits: float) -> None:
    endpointer = Endpointer(asked)
    endpointer.feed(script((0.5, 0.9)))
    assert Change.ENDS not in changes(endpointer.feed(script((waits - WINDOW_S, 0.1))))
    assert Change.ENDS in changes(endpointer.feed(script((2 * WINDOW_S, 0.1))))


def test_speech_after_a_pause_goes_on() -> None:
    events = Endpointer(0.3).feed(script((0.5, 0.9), (0.25, 0.1), (0.5, 0.9)))
    assert changes(events) == [Change.BEGINS, Change.PAUSES, Change.GOES_ON]


def test_a_dip_between_two_sounds_is_no_pause() -> None:
    events = Endpointer(0.3).feed(script((0.5, 0.9), (0.1, 0.1), (0.5, 0.4)))
    assert changes(events) == [Change.BEGINS]


def test_a_click_is_no_speech() -> None:
    assert Endpointer(0.3).feed(script((0.5, 0.0), (0.064, 0.95), (0.5, 0.0)) * 5) == []


def test_who_talks_without_end_is_cut() -> None:
    events = Endpointer(0.3).feed(script((CUT_AT_S + 2, 0.9)))
    assert changes(events) == [Change.BEGINS, Change.IS_CUT]
    assert events[1].at == pytest.approx(CUT_AT_S / WINDOW_S * WINDOW, rel=0.01)


def test_a_long_utterance_is_cut_at_a_pause() -> None:
    long = CUT_AT_PAUSE_S + 1
    events = Endpointer(0.3).feed(script((long, 0.9), (0.25, 0.1), (1.0, 0.9), (1.0, 0.1)))
    assert changes(events) == [
        Change.BEGINS,
        Change.IS_CUT,
        Change.GOES_ON,
        Change.PAUSES,
        Change.ENDS,
    ]


def test_the_end_of_the_stream_ends_an_utterance() -> None:
    endpointer = Endpointer(0.3)
    assert endpointer.end() == []
    endpointer.feed(script((0.5, 0.9)))
    assert changes(endpointer.end()) == [Change.ENDS]
    assert endpointer.end() == []


@given(st.lists(st.floats(0, 1), max_size=400), st.floats(0, 1))
def test_events_alternate_and_go_forward(probabilities: list[float], end_s: float) -> None:
    endpointer = Endpointer(end_s)
    events = endpointer.feed(probabilities) + endpointer.end()
    outer = [e for e in events if e.change in (Change.BEGINS, Change.ENDS)]
    assert changes(outer) == [Change.BEGINS, Change.ENDS] * (len(outer) // 2)
    assert [e.at for e in outer] == sorted(e.at for e in outer)
    assert all(0 <= e.at <= len(probabilities) * WINDOW for e in events)
