"""Telephone sound: 8 kHz, 16-bit, mono PCM (little endian), as bytes.

Resampling, levels and WAV files. G.711 itself is the RTP library's.
"""

from __future__ import annotations

import io
import wave
from functools import lru_cache

import numpy as np
import numpy.typing as npt

#: Samples per second on a telephone line (G.711, RFC 3551 section 4.5.14).
LINE_RATE = 8000

#: Bytes of a second on the line.
LINE_BYTES = 2 * LINE_RATE

#: What silence is reported as: one step of 16 bits is -90 dB below full scale.
SILENCE_DBFS = -90.0

# Half the low-pass filter's length, in samples of the line: 4 kHz and above are 70 dB down, and
# the telephone's 300 to 3400 Hz lose less than 2 dB (measured).
_HALF_LENGTH = 24


def samples(pcm: bytes) -> npt.NDArray[np.int16]:
    """The samples of 16-bit PCM; an odd last byte is left out."""
    return np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2")


def to_line_rate(pcm: bytes, rate: int) -> bytes:
    """Bring 16-bit mono PCM to `LINE_RATE`, through a low-pass below the line's 4 kHz.

    Args:
        pcm: 16-bit mono PCM at ``rate``.
        rate: Its samples per second, in Hz; a multiple of `LINE_RATE` (speech comes at 24 kHz).

    Returns:
        PCM of the same duration at `LINE_RATE`, not delayed.

    Raises:
        ValueError: the rate is no multiple of the line's.
    """
    factor, left_over = divmod(rate, LINE_RATE)
    if left_over or factor < 1:
        raise ValueError(f"{rate} Hz is no multiple of the line's {LINE_RATE} Hz")
    if factor == 1 or len(pcm) < 2:
        return pcm
    taps = _low_pass(factor)
    # The filter's own delay is cut off, so that the output begins with the input.
    filtered = np.convolve(samples(pcm), taps)[len(taps) // 2 :][: len(pcm) // 2]
    return np.clip(np.rint(filtered[::factor]), -32768, 32767).astype("<i2").tobytes()


@lru_cache(maxsize=8)
def _low_pass(factor: int) -> npt.NDArray[np.float64]:
    """A Blackman-windowed sinc at ``factor`` times the line's rate, of unit gain."""
    n = np.arange(-_HALF_LENGTH * factor, _HALF_LENGTH * factor + 1)
    # Half of Blackman's transition band (5.5 / length) lies on either side of the cut-off: the
    # stop band begins at half the line's rate, where the spectrum folds.
    cutoff = 0.5 / factor - 2.75 / len(n)
    taps = np.sinc(2 * cutoff * n) * np.blackman(len(n))
    return np.asarray(taps / taps.sum())


def levels(pcm: bytes, frame: int) -> list[float]:
    """Mean level (RMS) of each frame of that many bytes, in dB below full scale.

    0 is the loudest that there is, `SILENCE_DBFS` is silence.
    """
    frames = samples(pcm).astype(np.float64).reshape(-1, frame // 2)
    quietest = 10 ** (SILENCE_DBFS / 20)
    rms = np.sqrt(np.mean(frames * frames, axis=1)) / 32768
    return [float(level) for level in 20 * np.log10(np.maximum(rms, quietest))]


def dbfs(pcm: bytes) -> float:
    """Mean level (RMS) of a whole piece of sound, as `levels` gives it."""
    return levels(pcm, len(pcm) // 2 * 2)[0] if len(pcm) > 1 else SILENCE_DBFS


def wav(left: bytes, right: bytes | None = None, *, rate: int = LINE_RATE) -> bytes:
    """A WAV file: mono, or stereo if there is a right channel (the shorter is filled with silence).

    Args:
        left: 16-bit mono PCM at ``rate``.
        right: The same for the right channel, or None.
        rate: Samples per second, in Hz.
    """
    channels = [left] if right is None else [left, right]
    length = max(len(samples(channel)) for channel in channels)
    frames = np.zeros((length, len(channels)), dtype="<i2")
    for index, channel in enumerate(channels):
        data = samples(channel)
        frames[: len(data), index] = data
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(frames.tobytes())
    return file.getvalue()
