"""Sound in and out: 16-bit PCM resampled as it streams, files and raw audio decoded at once."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"""16-bit mono PCM."""

#: What Whisper and the voice activity detector listen to, in Hz.
EARS_HZ = 16_000
#: What OpenAI's ``response_format="pcm"`` is, in Hz.
SPEECH_HZ = 24_000

# FFmpeg's name and Deepgram's for raw audio.
_RAW = {"linear16": "s16le", "mulaw": "mulaw", "alaw": "alaw"}


class UndecodableError(ValueError):
    """The bytes are not the audio that they were said to be."""


class Resampler:
    """Mono PCM from one rate to another, in pieces as they come (FFmpeg's windowed sinc).

    Args:
        from_hz: Rate of what is pushed.
        to_hz: Rate of what comes out.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._from_hz = from_hz
        self._av = av.AudioResampler("s16", "mono", to_hz) if from_hz != to_hz else None

    def push(self, samples: Samples) -> Samples:
        """The next piece; the filter keeps about 16 samples until `flush`."""
        if self._av is None or not samples.size:
            return samples
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = self._from_hz
        return _joined(self._av.resample(frame))

    def flush(self) -> Samples:
        """What the filter still keeps; nothing may be pushed after that."""
        return _joined(self._av.resample(None)) if self._av else np.empty(0, np.int16)


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """A whole recording at another rate."""
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate([resampler.push(samples), resampler.flush()])


def decode(data: bytes, encoding: str | None = None, sample_rate: int | None = None) -> Samples:
    """A recording as mono PCM at `EARS_HZ`; of several channels their mean.

    Args:
        data: A WAV file, or raw samples if ``encoding`` is given.
        encoding: "linear16" (little endian), "mulaw" or "alaw".
        sample_rate: Of raw samples, in Hz.

    Raises:
        UndecodableError: the data is neither.
    """
    if encoding is None and data[:4] != b"RIFF":
        raise UndecodableError(
            "corrupt or unsupported data: send a WAV file, or raw audio with the query parameters"
            " encoding (linear16, mulaw, alaw) and sample_rate"
        )
    # The format is never left for FFmpeg to guess: some of its formats name other files.
    name = _RAW[encoding] if encoding else "wav"
    options = {"sample_rate": str(sample_rate), "ch_layout": "mono"} if encoding else {}
    resampler = av.AudioResampler("s16", "mono", EARS_HZ)
    pieces = [np.empty(0, np.int16)]
    try:
        with av.open(io.BytesIO(data), "r", format=name, options=options) as container:
            for frame in container.decode(audio=0):
                pieces.append(_joined(resampler.resample(frame)))
        if len(pieces) > 1:
            pieces.append(_joined(resampler.resample(None)))
    except (av.FFmpegError, IndexError) as error:
        raise UndecodableError(f"corrupt or unsupported data: {error}") from error
    return np.concatenate(pieces)


def encode(pieces: Iterable[Samples], format: str) -> bytes:
    """Speech at `SPEECH_HZ` as a file: "mp3", "opus" (in Ogg), "aac" (ADTS) or "flac"."""
    container_format, codec = _FILES[format]
    file = io.BytesIO()
    with av.open(file, "w", format=container_format) as container:
        stream = cast(av.AudioStream, container.add_stream(codec, rate=SPEECH_HZ))
        stream.layout = "mono"
        for piece in pieces:
            frame = av.AudioFrame.from_ndarray(piece[np.newaxis], format="s16", layout="mono")
            frame.sample_rate = SPEECH_HZ
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


_FILES = {
    "mp3": ("mp3", "libmp3lame"),
    "opus": ("ogg", "libopus"),
    "aac": ("adts", "aac"),
    "flac": ("flac", "flac"),
}


def as_floats(samples: Samples) -> NDArray[np.float32]:
    """PCM as floats from -1 to 1."""
    return samples.astype(np.float32) / np.float32(32768)


def _joined(frames: list[av.AudioFrame]) -> Samples:
    if not frames:
        return np.empty(0, np.int16)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])
