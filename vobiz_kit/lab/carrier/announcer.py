"""The carrier's voice: the lab's speech server if it is up, tones if it is not."""

from __future__ import annotations

import logging

import aiohttp
import numpy as np

from vobiz_kit.lab.carrier.tones import special_information
from vobiz_kit.lab.state import LOOPBACK, LabConfig

log = logging.getLogger(__name__)

SPEECH_RATE = 24000
"""What OpenAI's speech endpoint answers with for ``response_format="pcm"``, in Hz."""


class Announcer:
    """Speaks sentences through the lab's speech server, and remembers them.

    Args:
        config: Where the speech server is, and its key.
    """

    def __init__(self, config: LabConfig) -> None:
        self._url = f"http://{LOOPBACK}:{config.speech_port}/v1/audio/speech"
        self._headers = {"Authorization": f"Bearer {config.openai_api_key}"}
        self._spoken: dict[str, bytes] = {}

    async def speak(self, text: str) -> bytes:
        """That sentence as 16-bit mono PCM at 8 kHz; the network's three tones if nobody speaks."""
        if text not in self._spoken:
            try:
                self._spoken[text] = to_telephone(await self._fetch(text))
            except (aiohttp.ClientError, TimeoutError) as error:
                log.info("no speech server, tones instead: %s", error)
                return special_information() * 2
        return self._spoken[text]

    async def _fetch(self, text: str) -> bytes:
        question = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "pcm"}
        timeout = aiohttp.ClientTimeout(total=3.0)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session,
            session.post(self._url, json=question) as response,
        ):
            response.raise_for_status()
            return await response.read()


def to_telephone(pcm: bytes) -> bytes:
    """16-bit mono PCM at 24 kHz brought to 8 kHz, with what G.711 cannot carry filtered out."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.float64)
    taps = np.arange(-32, 33)
    kernel = np.sinc(taps * 2 * 3600 / SPEECH_RATE) * np.hamming(len(taps))
    filtered = np.convolve(samples, kernel / kernel.sum(), mode="same")
    narrow = filtered[:: SPEECH_RATE // 8000]
    return np.clip(narrow, -32768, 32767).astype("<i2").tobytes()
