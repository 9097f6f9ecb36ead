"""Sound: rates, files, and what is not sound."""

from __future__ import annotations

import io
import wave
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vobiz_kit.lab.speech.sound import (
    EARS_HZ,
    SPEECH_HZ,
    Resampler,
    Samples,
    UndecodableError,
    decode,
    encode,
    resample,
)


def tone(hz: float, rate: int, seconds: float = 1.0) -> Samples:
    times = np.arange(int(rate * seconds)) / rate
    return (np.sin(2 * np.pi * hz * times) * 16000).astype(np.int16)


def loudest_hz(samples: NDArray[Any], rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples.astype(float)))
    return float(np.argmax(spectrum)) * rate / samples.size


def wav_file(samples: Samples, rate: int, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.repeat(samples, channels).tobytes())
    return file.getvalue()


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_a_stream_in_pieces_comes_out_as_one_tone(rate: int) -> None:
    resampler = Resampler(rate, EARS_HZ)
    sound = tone(440, rate)
    pieces = [resampler.push(sound[i : i + 333]) for i in range(0, sound.size, 333)]
    out = np.concatenate([*pieces, resampler.flush()])
    assert out.size == pytest.approx(EARS_HZ, abs=40)
    assert loudest_hz(out, EARS_HZ) == pytest.approx(440, abs=2)
    middle = out[EARS_HZ // 4 : -EARS_HZ // 4].astype(float)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(16000 / np.sqrt(2), rel=0.03)


def test_what_the_lower_rate_cannot_carry_is_filtered_out() -> None:
    above = resample(tone(11_000, 24_000), 24_000, EARS_HZ).astype(float)
    assert np.sqrt(np.mean(above**2)) < 16000 / np.sqrt(2) / 100


def test_files_and_raw_audio_are_decoded() -> None:
    sound = tone(440, 8000)
    for found in (
        decode(wav_file(sound, 8000)),
        decode(wav_file(sound, 8000, channels=2)),
        decode(sound.astype("<i2").tobytes(), "linear16", 8000),
    ):
        assert found.size == pytest.approx(EARS_HZ, abs=40)
        assert loudest_hz(found, EARS_HZ) == pytest.approx(440, abs=2)
    silent_ulaw, silent_alaw = b"\xff" * 8000, b"\xd5" * 8000  # ITU-T G.711
    assert np.abs(decode(silent_ulaw, "mulaw", 8000)).max() == 0
    assert np.abs(decode(silent_alaw, "alaw", 8000)).max() <= 8


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"RIFF", b"RIFF" + bytes(100), b"#EXTM3U\nhttp://127.0.0.1/x"]
)
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodableError, match="corrupt or unsupported"):
        decode(data)


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac"])
def test_files_that_are_written_can_be_read(form: str) -> None:
    data = encode([tone(440, SPEECH_HZ), tone(440, SPEECH_HZ)], form)
    with av.open(io.BytesIO(data), "r") as file:
        frames = [
            np.asarray(frame.to_ndarray().reshape(-1), float) for frame in file.decode(audio=0)
        ]
        rate = file.streams.audio[0].rate
    sound = np.concatenate(frames)
    assert sound.size / rate == pytest.approx(2.0, abs=0.15)
    assert loudest_hz(sound, rate) == pytest.approx(440, abs=3)
