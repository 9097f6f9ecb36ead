"""What a phone of the lab has recorded, measured."""

from __future__ import annotations

import io
import wave

import numpy as np

from vobiz_kit.lab.handsets.client import Handset
from vobiz_kit.lab.handsets.listening import FRAME_S, QUIETEST_SPEECH_DBFS
from vobiz_kit.lab.handsets.sound import LINE_RATE


async def recorded(phone: Handset) -> np.ndarray:
    """The newest call's sound, one column for what was heard and one for what was said."""
    await phone.recording("both")
    with wave.open(io.BytesIO(phone.wav)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, LINE_RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


async def seconds_recorded(phone: Handset) -> float:
    """How long the newest call's recording is by now."""
    return len(await recorded(phone)) / LINE_RATE


async def longest_silence(phone: Handset, *, after: float = 0.0) -> float:
    """Seconds of the call in which the caller heard and said nothing, at the longest.

    Args:
        phone: The caller's.
        after: Seconds at the call's begin that do not count.
    """
    sound = (await recorded(phone))[int(after * LINE_RATE) :].astype(float) / 32768
    size = int(FRAME_S * LINE_RATE)
    frames = sound[: len(sound) // size * size].reshape(-1, size, 2)
    loud = np.sqrt((frames**2).mean(axis=1)).max(axis=1) > 10 ** (QUIETEST_SPEECH_DBFS / 20)
    edges = np.flatnonzero(np.concatenate([[True], loud, [True]]))
    return float(np.diff(edges).max() - 1) * FRAME_S


async def hears_tones(phone: Handset, *hertz: float) -> bool:
    """Whether each of these tones has been heard, for a fifth of a second at least."""
    heard = (await recorded(phone))[:, 0].astype(float)
    size = LINE_RATE // 10
    blocks = heard[: len(heard) // size * size].reshape(-1, size) * np.hanning(size)
    spectrum = np.abs(np.fft.rfft(blocks))
    peaks = spectrum.argmax(axis=1) * LINE_RATE / size
    strong = spectrum.max(axis=1) > 0.02 * 32768 * size / 4
    return all((strong & (np.abs(peaks - each) <= 10)).sum() >= 2 for each in hertz)
