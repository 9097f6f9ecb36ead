"""The lab's voice: Piper in its own process, asked over HTTP, sentence by sentence.

Piper is GPL, so nothing here imports it. ``piper.http_server`` takes ``POST /synthesize`` with
``{"text", "length_scale"}`` and answers with a WAV file at the voice's rate.
"""

from __future__ import annotations

import asyncio
import io
import re
import wave
from collections import OrderedDict
from collections.abc import AsyncIterator

import aiohttp
import numpy as np

from vobiz_kit.lab.speech.sound import SPEECH_HZ, Samples, resample
from vobiz_kit.lab.speech.spoken_numbers import digits_spelled
from vobiz_kit.lab.speech.words import sentences_of, words_of

# Between two sentences of one text: Piper's own ends are tight.
_BREATH = np.zeros(int(0.15 * SPEECH_HZ), np.int16)
# The last sentences are kept: an agent says the same greeting again and again. 16-bit samples.
_KEPT_SAMPLES = 60 * SPEECH_HZ
# A sentence longer than that is divided at a comma, so that its begin need not wait for its end.
_LONG_SENTENCE = 160
_TIMEOUT_S = 20


class VoiceUnavailableError(Exception):
    """Piper's process does not answer, or answers that it failed; the text says which."""


class Voice:
    """A client of Piper's process. Close it with `aclose`.

    Args:
        url: Where ``piper.http_server`` listens.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._kept: OrderedDict[tuple[str, float], Samples] = OrderedDict()
        self._session: aiohttp.ClientSession | None = None
        # Piper keeps the memory that each sentence spoken at the same time needed: ten of them
        # make 1.8 GB of its 160 MB (measured), and are no sooner spoken on two cores.
        self._one_at_a_time = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()

    async def speak(self, text: str, speed: float = 1.0) -> AsyncIterator[Samples]:
        """The text, spoken: pieces of PCM at `SPEECH_HZ`, each as soon as it is made.

        Args:
            text: Any text; what cannot be pronounced is left out.
            speed: 2 is twice as fast.

        Raises:
            VoiceUnavailableError: Piper does not answer.
        """
        first = True
        for sentence in pieces_of(text):
            if not first:
                yield _BREATH
            yield await self._sentence(sentence, speed)
            first = False

    async def _sentence(self, sentence: str, speed: float) -> Samples:
        key = (sentence, speed)
        if (known := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return known
        samples = await self._ask(sentence, speed)
        self._kept[key] = samples
        while sum(kept.size for kept in self._kept.values()) > _KEPT_SAMPLES:
            self._kept.popitem(last=False)
        return samples

    async def _ask(self, sentence: str, speed: float) -> Samples:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S))
        body = {"text": sentence, "length_scale": round(1 / speed, 3)}
        try:
            async with (
                self._one_at_a_time,
                self._session.post(f"{self._url}/synthesize", json=body) as response,
            ):
                wav = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise VoiceUnavailableError(
                f"the lab's voice (Piper at {self._url}) does not answer:"
                f" {error or type(error).__name__}. Look at: vobiz-kit lab logs voice"
            ) from error
        if status != 200:
            raise VoiceUnavailableError(
                f"the lab's voice (Piper at {self._url}) failed with HTTP {status}."
                " Look at: vobiz-kit lab logs voice"
            )
        return await asyncio.to_thread(_read, wav)


def pieces_of(text: str) -> list[str]:
    """A text in the pieces that are spoken one after the other, telephone numbers spelled out."""
    pieces = []
    for sentence in sentences_of(digits_spelled(text)):
        start = 0
        for comma in re.finditer(r"[,;:] ", sentence):
            if comma.end() - start >= _LONG_SENTENCE:
                pieces.append(sentence[start : comma.end()].strip())
                start = comma.end()
        pieces.append(sentence[start:].strip())
    return [piece for piece in pieces if words_of(piece)]


def _read(data: bytes) -> Samples:
    with wave.open(io.BytesIO(data)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return resample(samples, file.getframerate(), SPEECH_HZ)
