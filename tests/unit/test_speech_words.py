"""Words, numbers and utterances, as the lab's speech compares them."""

from __future__ import annotations

import pytest

from vobiz_kit.lab.speech.spoken_numbers import digits_spelled, digits_written, phone_numbers
from vobiz_kit.lab.speech.tool_results import failed, for_the_caller, succeeded
from vobiz_kit.lab.speech.utterances import ALIKE, mentioned
from vobiz_kit.lab.speech.voice import pieces_of
from vobiz_kit.lab.speech.words import (
    contains_phrase,
    joined,
    likeness,
    sentences_of,
    stem,
    words_of,
)


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("to plus one five five five zero zero zero one one one one.", ["+15550001111"]),
        ("call +1 (555) 000-2222 now", ["+15550002222"]),
        ("555.012.3456 please", ["5550123456"]),
        ("one five five five double zero zero three three three three", ["+15550003333"]),
        ("five five five, oh one two, three four five six", ["5550123456"]),
        # A recogniser's "won" and "for" are digits among digits only.
        ("nine one won nine eight seven six for three", ["911987643"]),
        ("It is +15550001111. Not +15550002222!", ["+15550001111", "+15550002222"]),
        ("nine to five", []),
        ("one moment, I have two questions", []),
        ("plus, I am late", []),
    ],
)
def test_phone_numbers(said: str, numbers: list[str]) -> None:
    assert phone_numbers(said) == numbers


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("Room four one five, please.", "Room 415, please."),
        ("plus one five five five", "+1555"),
        ("We are open nine to five.", "We are open nine to five."),
        ("One of us", "One of us"),
        ("already 415", "already 415"),
    ],
)
def test_numerals(said: str, written: str) -> None:
    assert digits_written(said) == written


def test_numbers_are_spelled_for_the_voice() -> None:
    assert digits_spelled("Call +1 555 000 2222.") == (
        "Call plus one five five five zero zero zero two two two two."
    )
    assert digits_spelled("It costs 20 dollars, since 2026.") == "It costs 20 dollars, since 2026."


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hello. How are you? Fine!", ["Hello.", "How are you?", "Fine!"]),
        ("Ask Mr. Smith, e.g. today.", ["Ask Mr. Smith, e.g. today."]),
        ("We open at 9 a.m. daily. Bye.", ["We open at 9 a.m. daily.", "Bye."]),
        ("- one\n2. two\n\nthree", ["one", "two", "three"]),
        ("", []),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert sentences_of(text) == sentences


def test_what_is_spoken_in_one_go() -> None:
    assert pieces_of("Hello. Your number is +15550002222.\n... 😀") == [
        "Hello.",
        "Your number is plus one five five five zero zero zero two two two two.",
    ]
    long = "We have bicycles, " * 20
    assert len(pieces_of(long)) == 3
    assert " ".join(pieces_of(long)) == long.strip()


@pytest.mark.parametrize(
    "words",
    ["open opening opened opens", "sell sells selling", "bicycle bicycles", "company companies"],
)
def test_forms_of_a_word_have_one_stem(words: str) -> None:
    assert len({stem(word) for word in words.split()}) == 1


def test_likeness_forgives_a_recogniser_but_not_short_words() -> None:
    assert likeness("bill n", "billing") > 0.8
    assert likeness("sails", "sales") > 0.7
    assert likeness("sales", "billing") < 0.5
    assert likeness("hr", "it") == 0.0


def test_phrases_may_have_a_gap() -> None:
    words = words_of("Could you put me right through to them?")
    assert contains_phrase(words, ["put * through"]) == 2
    assert contains_phrase(words, ["put through"]) is None
    assert contains_phrase(words_of("transferring"), ["transfer"]) is None


def test_lists_are_said_as_people_do() -> None:
    assert [joined(["a"]), joined(["a", "b"]), joined(["a", "b", "c"])] == [
        "a",
        "a or b",
        "a, b or c",
    ]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("technical support please", ["tech support"]),
        ("the support desk", ["support"]),
        ("from sales to billing", ["sales", "billing"]),
        ("not sales but billing", ["billing"]),
        ("the weather", []),
    ],
)
def test_destinations_that_are_mentioned(said: str, found: list[str]) -> None:
    assert (
        mentioned(words_of(said), ["billing", "sales", "support", "tech support"], ALIKE) == found
    )


@pytest.mark.parametrize(
    ("result", "did_fail", "did_succeed"),
    [
        ("The transfer to billing failed: the line is busy.", True, False),
        ("I could not connect you.", True, False),
        ("An internal error occurred", True, False),
        ('{"status": "failed"}', True, False),
        ('{"error": "no such number"}', True, False),
        ('{"success": true}', False, True),
        ("Transferred.", False, True),
        ("", False, True),
        ("It is raining.", False, False),
    ],
)
def test_results_of_tools(result: str, did_fail: bool, did_succeed: bool) -> None:
    assert (failed(result), succeeded(result)) == (did_fail, did_succeed)


def test_only_what_is_for_the_caller_is_read_out() -> None:
    told = "Billing (+15550002222) is busy. The caller is still there: tell them. Offer sales."
    assert for_the_caller(told) == "Billing is busy."
