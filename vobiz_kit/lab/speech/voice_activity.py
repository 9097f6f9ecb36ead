"""Is somebody speaking? Silero's voice activity detector, window by window as sound arrives.

The model is the one that comes with faster-whisper. Measured on telephone speech (G.711): 0.05 ms
a window; speech ends 30 to 60 ms after the last audible sound; noise, tones and ringing stay below
0.15.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from faster_whisper.utils import get_assets_path
from numpy.typing import NDArray

from vobiz_kit.lab.speech.sound import EARS_HZ, Samples, as_floats

#: Samples at `EARS_HZ` that are judged at once: 32 ms.
WINDOW = 512
WINDOW_S = WINDOW / EARS_HZ

_MODEL = "silero_vad_v6.onnx"
# The model wants to see the end of the window before.
_CONTEXT = 64


def load_model() -> onnxruntime.InferenceSession:
    """The model; one serves any number of detectors."""
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it would keep memory that a tiny model never needs
    options.log_severity_level = 3
    path = Path(get_assets_path()) / _MODEL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class VoiceActivity:
    """The detector of one stream.

    Args:
        model: What `load_model` gave.
    """

    def __init__(self, model: onnxruntime.InferenceSession) -> None:
        self._model = model
        self._h = self._c = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._rest = np.empty(0, np.int16)
        # Without silence before it, one first word in ten is missed, or found 0.5 s late (measured;
        # none is after a second of silence).
        self.feed(np.zeros(EARS_HZ // WINDOW * WINDOW, np.int16))

    def feed(self, samples: Samples) -> list[float]:
        """The probability of speech in each window that is complete now."""
        samples = np.concatenate([self._rest, samples])
        whole = samples.size // WINDOW * WINDOW
        self._rest = samples[whole:]
        return [self._judge(as_floats(samples[i : i + WINDOW])) for i in range(0, whole, WINDOW)]

    def _judge(self, window: NDArray[np.float32]) -> float:
        seen = np.concatenate([self._context, window])[np.newaxis]
        self._context = window[-_CONTEXT:]
        probability, self._h, self._c = self._model.run(
            None, {"input": seen, "h": self._h, "c": self._c}
        )
        return float(probability.reshape(-1)[0])
