"""Stand-ins for the models of the lab's speech: an ear that hears loudness, a scripted Whisper."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from vobiz_kit.lab.speech.recogniser import Recogniser, Recognition
from vobiz_kit.lab.speech.sound import EARS_HZ, Samples
from vobiz_kit.lab.speech.voice_activity import WINDOW, VoiceActivity


def loud(seconds: float, rate: int = EARS_HZ) -> bytes:
    """What the fake ear takes for speech."""
    return (np.sin(np.arange(int(seconds * rate)) * 0.3) * 8000).astype("<i2").tobytes()


def quiet(seconds: float, rate: int = EARS_HZ) -> bytes:
    """What it takes for silence."""
    return bytes(2 * int(seconds * rate))


class LoudnessModel:
    """Silero's interface: the probability of speech is 0.9 for loud windows, 0.01 for others."""

    def run(self, _: None, inputs: dict[str, Any]) -> list[Any]:
        heard = inputs["input"][0, -WINDOW:]
        probability = 0.9 if np.abs(heard).mean() > 0.02 else 0.01
        return [np.array([probability]), inputs["h"], inputs["c"]]


def loudness_activity() -> VoiceActivity:
    """A detector with that model."""
    return VoiceActivity(LoudnessModel())


class ScriptedRecogniser:
    """Answers with the next of its texts; a text that is an exception is raised.

    Attributes:
        heard: (seconds of sound, hot words, draft) of each job.
        go: Jobs are answered while it is set.
    """

    def __init__(self, *texts: str | Exception, draft: str = "a draft") -> None:
        self.texts = list(texts)
        self.draft = draft
        self.heard: list[tuple[float, tuple[str, ...], bool]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.has_time = True

    async def recognise(
        self, samples: Samples, hot_words: Sequence[str] = (), *, draft: bool = False
    ) -> Recognition:
        self.heard.append((samples.size / EARS_HZ, tuple(hot_words), draft))
        await self.go.wait()
        if draft:
            return Recognition(self.draft, 0.5)
        text = self.texts.pop(0) if self.texts else ""
        if isinstance(text, Exception):
            raise text
        return Recognition(text, 0.9 if text else 0.0)

    @property
    def as_recogniser(self) -> Recogniser:
        """For what asks for the real one's type."""
        return cast(Recogniser, self)
