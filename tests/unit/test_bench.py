"""How the benchmark reads a phone's recording, and what its page says."""

from __future__ import annotations

import importlib.util
import io
import wave
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest

from tests.prose import ROOT


def load(name: str) -> ModuleType:
    """A module of scripts/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sound = load("bench_sound")


def track(length_s: float, *spoken: tuple[float, float]) -> npt.NDArray[np.int16]:
    """A track that is silent but for a tone from … to …, in seconds."""
    samples = np.zeros(int(length_s * 8000), np.int16)
    for begin, end in spoken:
        count = int((end - begin) * 8000)
        tone = 3000 * np.sin(2 * np.pi * 440 * np.arange(count) / 8000)
        samples[int(begin * 8000) : int(begin * 8000) + count] = tone
    return samples


def test_spans_bridge_the_pauses_in_a_sentence() -> None:
    found = sound.spans(track(6, (1, 2), (2.3, 3), (4, 5)))
    assert found == [pytest.approx((1, 3), abs=0.021), pytest.approx((4, 5), abs=0.021)]


def test_silence_has_no_spans() -> None:
    assert sound.spans(track(2)) == []


def test_gaps_are_from_the_last_word_to_the_first_sound() -> None:
    heard, said = track(12, (0, 1.5), (4.2, 6), (9.7, 11)), track(12, (2, 3), (7, 9))
    assert sound.gaps(heard, said) == pytest.approx([1.2, 0.7], abs=0.03)


@pytest.mark.parametrize(
    "heard", [track(6, (0, 1)), track(6, (0, 1), (2.5, 4))], ids=["no-answer", "interrupted"]
)
def test_no_answer_is_not_measured_as_one(heard: npt.NDArray[np.int16]) -> None:
    with pytest.raises(ValueError, match=r"ended at 3\.00 s"):
        sound.gaps(heard, track(6, (2, 3)))


def test_tracks_are_heard_left_and_said_right() -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(np.array([[1, 2], [3, 4]], "<i2").tobytes())
    heard, said = sound.tracks(file.getvalue())
    assert heard.tolist() == [1, 3]
    assert said.tolist() == [2, 4]


@pytest.mark.parametrize(("percent", "expected"), [(50, 10), (95, 19), (100, 20), (1, 1)])
def test_percentile_is_a_measured_value(percent: int, expected: int) -> None:
    assert sound.percentile(range(1, 21), percent) == expected
