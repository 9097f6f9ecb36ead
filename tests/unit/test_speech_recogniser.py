"""What is believed of what Whisper writes. That it understands speech is a test of the lab's."""

from __future__ import annotations

import pytest

from vobiz_kit.lab.speech.recogniser import is_believable, repeats_itself


@pytest.mark.parametrize(
    ("text", "score", "no_speech", "believed"),
    [
        # Measured: speech through G.711, then silence, hiss, a tone, ringing.
        ("Please transfer me to billing.", -0.17, 0.03, True),
        ("Billing.", -1.24, 0.04, True),
        ("Thank you.", -0.26, 0.03, True),
        (". . .", -1.54, 0.95, False),
        ("Vobiz", -1.44, 0.92, False),
        ("you", -2.81, 0.95, False),
        ("Beeping.", -2.07, 0.80, False),
        ("Thank you.", -1.0, 0.9, False),
        ("no no no no no no no no no no no no no no no no no", -0.2, 0.1, False),
        ("", 0.0, 0.0, False),
    ],
)
def test_what_is_believed(text: str, score: float, no_speech: float, believed: bool) -> None:
    assert is_believable(text, score, no_speech) is believed


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("How can I help you? How can I help you?", True),
        ("I, how can I, how can I help", True),
        ("My number is five five five, two two two two.", False),
        ("Hello? Hello?", False),
        ("Please transfer me to billing.", False),
        ("", False),
    ],
)
def test_what_repeats_itself(text: str, repeats: bool) -> None:
    assert repeats_itself(text) is repeats
