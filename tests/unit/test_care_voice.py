"""The sounds that need no service."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vobiz_kit import care_voice
from vobiz_kit.care_voice import RATE, ringing_tone, trouble_tone, wait_tone

LONGEST_SILENCE_S = 5.0


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(float)


def pitch(pcm: bytes, begin: float, seconds: float) -> float:
    """The strongest frequency of a stretch, in Hz."""
    part = samples(pcm)[int(begin * RATE) : int((begin + seconds) * RATE)]
    return float(np.abs(np.fft.rfft(part)).argmax() / seconds)


def test_the_trouble_tone_is_the_special_information_tone_twice() -> None:
    tone = trouble_tone()
    assert [pitch(tone, 0.33 * n, 0.33) for n in range(3)] == pytest.approx(
        [950, 1400, 1800], abs=2
    )
    assert tone.endswith(tone[: 3 * 2 * int(0.33 * RATE)])


@pytest.mark.parametrize("tone", [trouble_tone, wait_tone, ringing_tone])
def test_a_tone_may_be_repeated_without_a_long_silence(tone: Callable[[], bytes]) -> None:
    loud = np.flatnonzero(np.abs(samples(tone() * 2)) > 100)
    assert np.diff(loud).max() / RATE < LONGEST_SILENCE_S


class Voice:
    """A text to speech that never works."""

    label, model = "voice", "one"

    def synthesize(self, text: str, **_: object) -> None:
        raise AssertionError(f"{text!r} was kept already")


async def test_what_is_kept_is_not_spoken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(care_voice, "_kept", {("voice one", "Goodbye."): b"sound"})
    await care_voice.keep(Voice(), "Goodbye.")
    assert care_voice.kept(Voice(), "Goodbye.") == b"sound"
    care_voice.forget()
    assert care_voice.kept(Voice(), "Goodbye.") is None
