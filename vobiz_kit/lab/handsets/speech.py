"""The mouth and the ears of the people on the phones: the lab's speech server, over HTTP.

Text becomes telephone sound by the OpenAI-compatible ``/v1/audio/speech``; telephone sound becomes
words by the Deepgram-compatible pre-recorded ``/v1/listen``. Source: the APIs' public references.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import aiohttp

from vobiz_kit.errors import VobizKitError
from vobiz_kit.lab.handsets.sound import to_line_rate, wav
from vobiz_kit.lab.state import LOOPBACK, LabConfig

#: What ``response_format="pcm"`` gives at OpenAI: 24 kHz, 16-bit, mono.
_SPEECH_RATE = 24_000

# A sentence is about 50 kB on the line: so many are kept, the least used go first.
_KEPT_SENTENCES = 256


class SpeechUnavailableError(VobizKitError):
    """The lab's speech server could not speak or listen."""


class Speech(Protocol):
    """What speaks and listens for the people on the phones."""

    async def speak(self, text: str) -> bytes:
        """The text, spoken: PCM at the line's rate."""

    async def recognise(self, pcm: bytes, keyterms: Sequence[str] = ()) -> str:
        """The words in one utterance of telephone sound, "" if none were made out."""


class SpeechClient:
    """A client of the lab's speech server. Close it with `aclose`.

    Args:
        config: The lab's; names the server's port and keys.
    """

    def __init__(self, config: LabConfig) -> None:
        self._url = f"http://{LOOPBACK}:{config.speech_port}/v1"
        self._openai_key = config.openai_api_key
        self._deepgram_key = config.deepgram_api_key
        self._spoken: OrderedDict[str, bytes] = OrderedDict()
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()

    async def speak(self, text: str) -> bytes:
        """The text, spoken: PCM at the line's rate. Kept, so that saying it again costs nothing.

        Raises:
            SpeechUnavailableError: the server refused or could not be reached.
        """
        if (known := self._spoken.get(text)) is not None:
            self._spoken.move_to_end(text)
            return known
        wide = await self._post(
            "/audio/speech",
            headers={"Authorization": f"Bearer {self._openai_key}"},
            json={"model": "lab-voice", "input": text, "voice": "joe", "response_format": "pcm"},
        )
        # A long text takes tens of milliseconds, which RTP in this process must not wait for.
        line = await asyncio.to_thread(to_line_rate, wide, _SPEECH_RATE)
        self._spoken[text] = line
        if len(self._spoken) > _KEPT_SENTENCES:
            self._spoken.popitem(last=False)
        return line

    async def recognise(self, pcm: bytes, keyterms: Sequence[str] = ()) -> str:
        """The words in telephone sound, "" if none were made out.

        Args:
            pcm: 8 kHz 16-bit mono PCM, one utterance of at most 30 s.
            keyterms: Words and names that may well occur (Deepgram's ``keyterm``).

        Raises:
            SpeechUnavailableError: the server refused or could not be reached.
        """
        answer = await self._post(
            "/listen",
            headers={"Authorization": f"Token {self._deepgram_key}", "Content-Type": "audio/wav"},
            params=[("keyterm", term) for term in keyterms],
            data=wav(pcm),
        )
        try:
            found = json.loads(answer)["results"]["channels"][0]["alternatives"][0]["transcript"]
        except (ValueError, LookupError, TypeError) as error:
            raise SpeechUnavailableError(
                "The speech server's answer is not in Deepgram's form.",
                evidence=f"{type(error).__name__}: {error}",
            ) from error
        return str(found).strip()

    async def _post(self, path: str, **request: object) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        try:
            async with self._session.post(self._url + path, **request) as response:  # type: ignore[arg-type]
                body = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SpeechUnavailableError(
                "The lab's speech server cannot be reached.",
                evidence=f"POST {self._url}{path}: {error or type(error).__name__}",
                fix="Look at `vobiz-kit lab status`: is speech running?",
            ) from error
        if status != 200:
            raise SpeechUnavailableError(
                "The lab's speech server refused.",
                evidence=f"POST {self._url}{path}: HTTP {status}: {body[:200]!r}",
                fix="Look at `vobiz-kit lab logs speech`.",
            )
        return body
