"""Matching of words: what a recogniser makes of them still counts, other words do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vobiz_kit.lab.handsets.words import score, were_heard, words_of

word = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=9)
words = st.lists(word, min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, this is Billing.", "hello this is billing"),
        ("I'm at Twenty-five, +1 (555)", "im at 2 5 1 5 5 5"),
        ("twenty, ten and thirty zero", "2 0 1 0 and 3 0 0"),
        ("one five five five", "1 5 5 5"),
        ("ninety nine nine", "9 9 9"),
        ("Café Zürich", "cafe zurich"),
        ("… — !", ""),
        ("snake_case", "snake case"),
    ],
)
def test_words_are_comparable(text, expected):
    assert words_of(text) == expected.split()


@pytest.mark.parametrize(
    ("expected", "heard"),
    [
        ("how can I help", "Hello, this is billing. How can I help you?"),
        ("thanks for calling Vobiz", "Hello, thanks for calling Bobys. How can I help?"),
        ("call back", "Shall I callback?"),
        ("voicemail", "You have reached my voice mail"),
        ("+15550002222", "one five five five zero zero zero two two two two"),
        ("+15550002222", "1-555-000-2222"),
        ("this is billing", "Hello, this is building."),
        ("extension twenty five", "Extension 25, please."),
    ],
)
def test_what_was_said_is_found(expected, heard):
    assert were_heard(expected, heard), score(expected, heard)


@pytest.mark.parametrize(
    ("expected", "heard"),
    [
        ("this is billing", "Hello, this is sales. How can I help you?"),
        ("please transfer me to billing", "please transfer me to sales"),
        ("this is support", "this is sales"),
        ("Connecting you to sales now", "Connecting you to billing now"),
        ("You have reached sales, how can I help?", "You have reached support. How can I help?"),
        ("My name is Alex and I live in Bangalore", "My name is John and I live in Bangalore"),
        ("+15550002222", "+15550001111"),
        ("how can I help", ""),
        ("sales", "please hold"),
        ("goodbye", "Good morning, how are you?"),
        # The words are there, but scattered over a long text: nobody said the sentence.
        (
            "how can I help",
            "how " + "blah " * 8 + "can " + "blah " * 8 + "I " + "blah " * 8 + "help",
        ),
    ],
)
def test_what_was_not_said_is_not_found(expected, heard):
    assert not were_heard(expected, heard), score(expected, heard)


def test_no_words_expected_means_anything_at_all():
    assert were_heard("", "hello")
    assert not were_heard("", "")
    assert not were_heard("", "?!")


@given(words, words, words)
def test_words_within_other_words_are_found_whole(before, expected, after):
    assert score(" ".join(expected), " ".join(before + expected + after)) == pytest.approx(1.0)


@given(words, words)
def test_a_score_lies_between_nothing_and_all(expected, heard):
    assert 0.0 <= score(" ".join(expected), " ".join(heard)) <= 1.0 + 1e-9


@given(words, words, words)
def test_more_to_hear_never_hides_what_was_heard(expected, heard, more):
    alone = score(" ".join(expected), " ".join(heard))
    assert score(" ".join(expected), " ".join(heard + more)) >= alone - 1e-9
    assert score(" ".join(expected), " ".join(more + heard)) >= alone - 1e-9


@given(words)
def test_case_and_punctuation_do_not_matter(expected):
    spoken = " ".join(expected)
    assert score(spoken, ", ".join(w.upper() for w in expected) + "!") == pytest.approx(1.0)


@given(words, words, st.text(alphabet="abc", min_size=1, max_size=3))
def test_a_short_word_of_a_sentence_may_be_lost(begin, end, short):
    letters = sum(map(len, begin + end))
    found = score(" ".join([*begin, short, *end]), " ".join(begin + end))
    assert found >= letters / (letters + len(short)) - 1e-9


@given(st.lists(word, min_size=1, max_size=4), st.sampled_from(["sales", "billing", "support"]))
def test_a_short_sentence_without_its_telling_word_was_not_said(begin, telling):
    sentence = " ".join(["please", *begin[:2], "to", telling])
    other = sentence.removesuffix(telling) + "xxxx"
    assert not were_heard(sentence, other)


@given(st.integers(0, 99), st.text(alphabet="0123456789", min_size=1, max_size=11))
def test_digits_are_the_same_however_they_are_grouped(spacing, digits):
    grouped = digits[: spacing % len(digits)] + "-" + digits[spacing % len(digits) :]
    assert words_of(grouped) == list(digits)
