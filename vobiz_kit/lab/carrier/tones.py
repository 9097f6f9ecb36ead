"""Tones that a telephone network makes, as 16-bit mono PCM at 8 kHz."""

from __future__ import annotations

from functools import lru_cache
from itertools import cycle

import numpy as np

RATE = 8000


def tone(seconds: float, *hertz: float, level: float = 0.2) -> bytes:
    """A tone of one or more frequencies.

    Args:
        seconds: How long.
        hertz: Its frequencies.
        level: The share of full scale that each frequency gets.
    """
    time = np.arange(int(seconds * RATE)) / RATE
    wave = level * np.sin(2 * np.pi * np.outer(hertz, time)).sum(axis=0)
    edge = min(len(time) // 2, RATE // 200)  # 5 ms in and out, or it clicks
    ramp = np.linspace(0, 1, edge)
    wave[:edge] *= ramp
    wave[len(wave) - edge :] *= ramp[::-1]
    return (np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes()


def silence(seconds: float) -> bytes:
    """Nothing, for so long."""
    return bytes(2 * int(seconds * RATE))


@lru_cache(maxsize=4)
def ringback(seconds: float) -> bytes:
    """North American ringback: 440 and 480 Hz, two seconds on, four off."""
    pcm = b""
    for part in cycle((tone(2, 440, 480, level=0.1), silence(4))):
        if len(pcm) >= 2 * RATE * seconds:
            return pcm
        pcm += part
    raise AssertionError("cycle() does not end")


def beep() -> bytes:
    """An answering machine's beep: half a second of 1 kHz."""
    return tone(0.5, 1000)


def special_information() -> bytes:
    """The three rising tones before a network announcement (ITU-T E.180)."""
    return b"".join(tone(0.33, f) for f in (950, 1400, 1800)) + silence(0.5)
