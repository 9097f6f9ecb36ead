"""The carrier's own answering equipment: what stands behind the magic numbers.

It is a SIP user agent like any other, so that a call to a magic number has two legs, CDRs and a
trace like a call to a person.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from vobiz_kit.lab.carrier.number_plan import Behaviour, NumberPlan, Refusal, normalise
from vobiz_kit.lab.carrier.tones import beep, silence
from vobiz_kit.lab.sip.endpoint import SipEndpoint
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.media import NoCommonCodec, RtpLeg

log = logging.getLogger(__name__)

ANNOUNCEMENT = "The person you are calling will be with you in a moment. Please hold the line."
RINGS = 1.0
LONGEST_MESSAGE = 120.0
KEPT_MESSAGES = 20

Speak = Callable[[str], Awaitable[bytes]]
"""Turns a sentence into 16-bit mono PCM at 8 kHz."""


@dataclass
class VoiceMessage:
    """What the answering machine recorded: 16-bit mono PCM at 8 kHz."""

    number: str
    caller: str
    time: float
    pcm: bytearray = field(default_factory=bytearray)

    def record(self, pcm: bytes, _timestamp: int) -> None:
        """Append what the caller says, up to `LONGEST_MESSAGE`."""
        if len(self.pcm) < 2 * 8000 * LONGEST_MESSAGE:
            self.pcm += pcm


class AnsweringEquipment:
    """Acts out busy, declined, ringing, silent, early-media and answering-machine numbers.

    Args:
        plan: Says what each number does.
        speak: Speaks the announcement.

    Attributes:
        messages: What the answering machine recorded, oldest first.
    """

    def __init__(self, plan: NumberPlan, speak: Speak) -> None:
        self._plan = plan
        self._speak = speak
        self._tasks: set[asyncio.Task[None]] = set()
        self.messages: deque[VoiceMessage] = deque(maxlen=KEPT_MESSAGES)
        self.endpoint = SipEndpoint(user_agent="vobiz-lab answering equipment")
        self.endpoint.on_invite = self._invited

    async def start(self) -> None:
        """Bind a free port."""
        await self.endpoint.start()

    async def aclose(self) -> None:
        """Hang up and stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.endpoint.aclose()

    def _invited(self, leg: IncomingLeg) -> None:
        number = normalise(leg.called)
        if isinstance(number, Refusal):
            leg.reject(number.status, number.reason)
            return
        match self._plan.behaviour(number):
            case Behaviour.BUSY:
                leg.reject(486)
            case Behaviour.DECLINE:
                leg.reject(603)
            case Behaviour.NO_ANSWER:
                leg.ring()
            case Behaviour.SILENT:
                leg.ignore()
            case Behaviour.EARLY_MEDIA:
                self._spawn(self._announce(leg), f"announcement {number}")
            case Behaviour.ANSWERING_MACHINE:
                self._spawn(self._take_message(leg, number), f"answering machine {number}")
            case _:
                leg.reject(480)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _announce(self, leg: IncomingLeg) -> None:
        """183 with an announcement, then answer and stay on the line."""
        rtp = await RtpLeg.open(self.endpoint.address[0])
        try:
            answer = rtp.answer(leg.remote_sdp)
            leg.ring(183, sdp=answer)
            rtp.say(await self._speak(ANNOUNCEMENT))
            await rtp.spoken()
            leg.answer(answer)
            await leg.wait_ended()
        except NoCommonCodec:
            leg.reject(488)
        finally:
            await rtp.aclose()

    async def _take_message(self, leg: IncomingLeg, number: str) -> None:
        """Answer after a ring, beep, and record until the caller hangs up."""
        rtp = await RtpLeg.open(self.endpoint.address[0])
        try:
            answer = rtp.answer(leg.remote_sdp)
            leg.ring()
            await asyncio.sleep(RINGS)
            leg.answer(answer)
            rtp.say(silence(0.5) + beep())
            await rtp.spoken()
            message = VoiceMessage(number, leg.caller, time.time())
            self.messages.append(message)
            rtp.on_audio = message.record
            await leg.wait_ended()
        except NoCommonCodec:
            leg.reject(488)
        finally:
            await rtp.aclose()
