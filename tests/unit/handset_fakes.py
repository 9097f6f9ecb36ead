"""Phones for tests without carrier and models.

Two telephones that reach each other directly, and a voice in which each text is a tone, recognised
by its pitch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import numpy as np

from vobiz_kit.lab.handsets.behaviour import Behaviour
from vobiz_kit.lab.handsets.sound import LINE_RATE, samples
from vobiz_kit.lab.handsets.telephone import Telephone
from vobiz_kit.lab.sip.endpoint import SipEndpoint
from vobiz_kit.lab.sip.media import RtpLeg

A, B = "+15550009999", "+15550008888"

_STEP_HZ = 60
_LOWEST_HZ = 400


class TonalSpeech:
    """A `Speech` whose texts are tones of `seconds`; sound that is none of them is not understood.

    Attributes:
        keyterms: What the recogniser was given each time.
    """

    def __init__(self, seconds: float = 0.2) -> None:
        self.seconds = seconds
        self.keyterms: list[tuple[str, ...]] = []
        self._texts: list[str] = []

    def tone(self, text: str) -> bytes:
        if text not in self._texts:
            self._texts.append(text)
        pitch = _LOWEST_HZ + _STEP_HZ * self._texts.index(text)
        time = np.arange(int(self.seconds * LINE_RATE)) / LINE_RATE
        return (9000 * np.sin(2 * np.pi * pitch * time)).astype("<i2").tobytes()

    async def speak(self, text: str) -> bytes:
        return self.tone(text)

    async def recognise(self, pcm: bytes, keyterms: Sequence[str] = ()) -> str:
        self.keyterms.append(tuple(keyterms))
        spectrum = np.abs(np.fft.rfft(samples(pcm).astype(float)))
        pitch = float(np.argmax(spectrum)) * LINE_RATE / (len(pcm) // 2)
        index = round((pitch - _LOWEST_HZ) / _STEP_HZ)
        in_tune = abs(pitch - _LOWEST_HZ - _STEP_HZ * index) < _STEP_HZ / 4
        return self._texts[index] if in_tune and 0 <= index < len(self._texts) else ""


@dataclass
class Pair:
    """Two phones; `a` reaches `b` and nobody else."""

    a: Telephone
    b: Telephone
    b_endpoint: SipEndpoint
    speech: TonalSpeech


@asynccontextmanager
async def pair(
    behaviour: Behaviour | None = None, speech: TonalSpeech | None = None
) -> AsyncIterator[Pair]:
    speech = speech or TonalSpeech()
    async with AsyncExitStack() as stack:
        endpoints = [SipEndpoint("127.0.0.1", 0), SipEndpoint("127.0.0.1", 0)]
        for endpoint in endpoints:
            await endpoint.start()
            stack.push_async_callback(endpoint.aclose)

        def place(number: str, rtp: RtpLeg):
            return endpoints[0].invite(
                f"sip:{number}@lab", endpoints[1].address, from_uri=f"sip:{A}@lab", sdp=rtp.offer()
            )

        a = Telephone(A, place, speech, Behaviour())
        b = Telephone(B, place, speech, behaviour or Behaviour(answer_after=0.0))
        endpoints[1].on_invite = b.ring
        stack.push_async_callback(a.aclose)
        stack.push_async_callback(b.aclose)
        yield Pair(a, b, endpoints[1], speech)


async def holds(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110 - packets that arrive wake nobody
            await asyncio.sleep(0.01)
