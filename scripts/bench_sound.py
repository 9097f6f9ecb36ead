"""What a phone's recording says about time: who speaks when, and how long an answer took."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LINE_RATE = 8000  # Hz, what a telephone line carries

_FRAME = 160  # samples: 20 ms
_LOUD = 200  # root mean square of 16-bit samples; silence on the line is below 10
_PAUSE_S = 0.5  # a silence shorter than that belongs to the sentence


def spans(samples: npt.NDArray[np.int16]) -> list[tuple[float, float]]:
    """Where somebody speaks, as (begin, end) in seconds, to 20 ms.

    Args:
        samples: One side of a recording, 8 kHz 16-bit mono.
    """
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > _LOUD)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) * _FRAME / LINE_RATE > _PAUSE_S)
    begins, ends = loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, len(loud) - 1]] + 1
    return [
        (b * _FRAME / LINE_RATE, e * _FRAME / LINE_RATE) for b, e in zip(begins, ends, strict=True)
    ]


def gaps(heard: npt.NDArray[np.int16], said: npt.NDArray[np.int16]) -> list[float]:
    """From the end of each sentence that was said to the begin of the answer, in seconds.

    Raises:
        ValueError: a sentence has no answer, or was interrupted by it.
    """
    answers = spans(heard)
    found = []
    for _, end in spans(said):
        later = [begin for begin, stop in answers if stop > end]
        if not later or later[0] < end:
            raise ValueError(f"no answer, or one too early, to what ended at {end:.2f} s")
        found.append(later[0] - end)
    return found


def tracks(wav: bytes) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """A stereo recording's sides: what the phone heard, what it said."""
    with wave.open(io.BytesIO(wav)) as file:
        both = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    return both[:, 0], both[:, 1]


def percentile(values: Sequence[float], percent: int) -> float:
    """That percentile, by nearest rank: a value that was measured."""
    ordered = sorted(values)
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]
