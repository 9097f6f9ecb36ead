"""Resampling, levels, WAV files, and finding utterances in synthetic sound."""

from __future__ import annotations

import io
import itertools
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vobiz_kit.lab.handsets.listening import HANGOVER_S, Utterance, UtteranceDetector
from vobiz_kit.lab.handsets.sound import LINE_BYTES, SILENCE_DBFS, dbfs, samples, to_line_rate, wav


def tone(frequency: float, seconds: float, rate: int = 8000, amplitude: float = 10_000) -> bytes:
    time = np.arange(int(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype("<i2").tobytes()


def silence(seconds: float, rate: int = 8000) -> bytes:
    return bytes(2 * int(seconds * rate))


def noise(seconds: float, level: float, seed: int = 1) -> bytes:
    """White noise at that level in dB below full scale."""
    scale = 32768 * 10 ** (level / 20)
    drawn = np.random.default_rng(seed).normal(0, scale, int(seconds * 8000))
    return np.clip(drawn, -32768, 32767).astype("<i2").tobytes()


# Resampling


@pytest.mark.parametrize("rate", [24_000, 48_000, 16_000, 8_000])
@pytest.mark.parametrize("frequency", [300, 1000, 3000])
def test_the_telephone_band_passes_unchanged(rate, frequency):
    line = to_line_rate(tone(frequency, 1.0, rate), rate)
    assert abs(len(line) / LINE_BYTES - 1.0) < 0.001
    inner = slice(800, -800)
    assert dbfs(line[inner]) == pytest.approx(dbfs(tone(frequency, 1.0)), abs=0.3)
    # Not delayed either: sample by sample the same wave.
    assert np.max(np.abs(samples(line)[400:-400] - samples(tone(frequency, 1.0))[400:7600])) < 300


@pytest.mark.parametrize("rate", [24_000, 48_000, 16_000])
@pytest.mark.parametrize("frequency", [4200, 5000, 7000])
def test_what_would_fold_back_is_60_db_down(rate, frequency):
    loud = tone(frequency, 1.0, rate)
    assert dbfs(to_line_rate(loud, rate)[1600:-1600]) < dbfs(loud) - 60


@given(st.integers(0, 3000), st.sampled_from([8000, 16_000, 24_000, 48_000]))
def test_resampling_keeps_the_duration_and_never_wraps(count, rate):
    loudest = np.full(count, 32767, dtype="<i2").tobytes()
    line = samples(to_line_rate(loudest, rate))
    assert abs(len(line) - count * 8000 / rate) <= 1
    assert not len(line) or line.min() > -8000  # a wrapped sample would be near -32768


@pytest.mark.parametrize("rate", [22_050, 4000, 0])
def test_a_rate_that_does_not_fit_is_refused(rate):
    with pytest.raises(ValueError, match="no multiple"):
        to_line_rate(silence(0.1), rate)


# Levels and files


def test_levels():
    assert dbfs(b"") == SILENCE_DBFS
    assert dbfs(silence(0.1)) == SILENCE_DBFS
    assert dbfs(tone(1000, 0.1, amplitude=32767)) == pytest.approx(-3.01, abs=0.05)
    assert dbfs(noise(1, -40)) == pytest.approx(-40, abs=0.3)


def test_a_wav_file_of_one_or_both_sides():
    with wave.open(io.BytesIO(wav(tone(500, 0.5)))) as mono:
        assert (mono.getnchannels(), mono.getframerate(), mono.getsampwidth()) == (1, 8000, 2)
        assert mono.readframes(mono.getnframes()) == tone(500, 0.5)
    with wave.open(io.BytesIO(wav(tone(500, 0.5), tone(900, 0.2)))) as stereo:
        frames = np.frombuffer(stereo.readframes(stereo.getnframes()), "<i2").reshape(-1, 2)
    assert frames[:, 0].tobytes() == tone(500, 0.5)
    assert frames[:1600, 1].tobytes() == tone(900, 0.2)
    assert not frames[1600:, 1].any()


# Utterances


def utterances(sound: bytes, piece: int = 320) -> list[Utterance]:
    detector = UtteranceDetector()
    pieces = (sound[i : i + piece] for i in range(0, len(sound), piece))
    return list(itertools.chain.from_iterable(map(detector.feed, pieces)))


def test_one_utterance_with_the_quiet_around_it():
    [found] = utterances(silence(1) + tone(400, 1.5) + silence(1))
    begin, end = found.start / LINE_BYTES, found.end / LINE_BYTES
    assert 0.65 <= begin <= 0.95
    assert end == pytest.approx(2.5 + HANGOVER_S, abs=0.03)


def test_a_pause_in_a_sentence_does_not_end_it_and_a_longer_one_does():
    assert len(utterances(tone(400, 1) + silence(0.3) + tone(400, 1) + silence(1))) == 1
    first, second = utterances(tone(400, 1) + silence(0.8) + tone(400, 1) + silence(1))
    assert first.end <= second.start


def test_silence_idle_noise_and_clicks_are_no_speech():
    click = tone(1000, 0.03)
    assert utterances(silence(5)) == []
    assert utterances(noise(5, -70)) == []
    assert utterances(silence(1) + click + silence(1) + click + silence(1)) == []


def test_steady_noise_is_learnt_and_speech_above_it_found():
    background = np.frombuffer(noise(30, -45), "<i2").copy()
    background[26 * 8000 : 27 * 8000] += samples(tone(400, 1.0))
    found = [u for u in utterances(background.tobytes()) if u.start / LINE_BYTES > 20]
    assert len(found) == 1
    assert 25.5 < found[0].start / LINE_BYTES < 26.1


def test_an_utterance_in_progress_can_be_seen():
    detector = UtteranceDetector()
    assert detector.feed(silence(0.5)) == []
    assert detector.speaking is None
    assert detector.feed(tone(400, 1.0)) == []
    assert detector.speaking
    assert detector.speaking.end == int(1.5 * LINE_BYTES)
    assert len(detector.feed(silence(1))) == 1
    assert detector.speaking is None


def test_somebody_who_never_pauses_is_cut_so_that_a_recogniser_can_take_it():
    found = utterances(tone(400, 50) + silence(1))
    assert all(u.seconds <= 20.1 for u in found)
    assert sum(u.seconds for u in found) > 49


@settings(max_examples=15, deadline=None)
@given(st.integers(40, 4000))
def test_the_size_of_the_pieces_does_not_matter(piece):
    sound = silence(0.4) + tone(400, 0.6) + silence(0.7) + tone(700, 0.4) + silence(0.7)
    assert utterances(sound, piece) == utterances(sound)
