"""One call at one phone: its SIP leg, its sound, its recording, and who listens to it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from aiosipua import SdpMessage

from vobiz_kit.errors import CallError
from vobiz_kit.lab.handsets.behaviour import Behaviour
from vobiz_kit.lab.handsets.hearing import Ear, Listening
from vobiz_kit.lab.handsets.progress import Progress
from vobiz_kit.lab.handsets.pulse import Pulse
from vobiz_kit.lab.handsets.sound import LINE_BYTES
from vobiz_kit.lab.handsets.speech import Speech
from vobiz_kit.lab.handsets.tape import Tape
from vobiz_kit.lab.sip.events import Answered, Ended, Event, Offered, Referred, Ringing
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.legs import Leg
from vobiz_kit.lab.sip.media import NoCommonCodec, RtpLeg

log = logging.getLogger(__name__)

#: How often a call looks at what it has heard, in seconds.
_TICK_S = 0.1

#: A phone neither rings nor dials longer than that, in seconds.
_LONGEST_RINGING_S = 180.0

#: The Reason of a BYE when somebody simply hangs up (RFC 3326, ITU-T Q.850).
_NORMAL_CLEARING = 'Q.850;cause=16;text="Normal call clearing"'

_KEYS = "0123456789*#ABCD"
# Between two keys, in seconds; receivers want at least 40 ms (ITU-T Q.24).
_BETWEEN_KEYS_S = 0.08


class PhoneCall:
    """One call at one phone. `run` keeps it going; it ends once, and its recording stays.

    Args:
        leg: The call's SIP leg, either direction.
        rtp: The sound of an outgoing call, whose address stood in the offer. An incoming call
            gets its own when it is answered.
        other: The number at the other end.
        speech: Speaks and recognises.
        changed: Told of every change.
        behaviour: When to hang up on its own.

    Attributes:
        progress: How far the call has come.
        tape: The recording; None until there was sound.
    """

    def __init__(
        self,
        leg: Leg,
        rtp: RtpLeg | None,
        *,
        other: str,
        speech: Speech,
        changed: Pulse,
        behaviour: Behaviour,
    ) -> None:
        self.progress = Progress(incoming=leg.incoming, other=other)
        self.tape: Tape | None = None
        self._leg = leg
        self._rtp = rtp
        self._speech = speech
        self._changed = changed
        self._behaviour = behaviour
        self._ear: Ear | None = None
        self._mouth = asyncio.Lock()
        self._over = asyncio.Event()
        leg.on_event = self._event

    async def run(self) -> None:
        """Keep the call going until it is over: listen, mind the limits, then close the sound."""
        try:
            while self.progress.live:
                try:
                    async with asyncio.timeout(_TICK_S):
                        await self._over.wait()
                except TimeoutError:
                    self._tick()
        finally:
            self.hang_up()
            if self._rtp:
                await self._rtp.aclose()

    async def answer(self) -> None:
        """Answer an incoming call.

        Raises:
            CallError: it does not ring any more, or its caller offers no G.711.
        """
        rtp = await RtpLeg.open()
        leg = self._leg
        if not isinstance(leg, IncomingLeg) or self.progress.state != "ringing":
            await rtp.aclose()
            raise self.progress.not_now("answer")
        try:
            description = rtp.answer(leg.remote_sdp)
        except NoCommonCodec as error:
            await rtp.aclose()
            leg.reject(488)
            raise CallError(
                "The caller's phone and this one have no way to carry sound in common.",
                evidence=f"488 Not Acceptable Here: {error}",
                sip_status=488,
            ) from error
        self._rtp = rtp
        self._connect(rtp)
        leg.answer(description)
        self._talk(rtp)

    async def prepare(self, text: str) -> None:
        """Have a text ready, so that `says` speaks it at once.

        Raises:
            SpeechUnavailableError: the speech server is not there.
        """
        if text:
            await self._speech.speak(text)

    async def says(self, text: str) -> float:
        """Speak into the call; returns when the last sample has left, in Unix seconds.

        Raises:
            CallError: there is no call to speak into, or it ended before all was said.
            SpeechUnavailableError: the speech server is not there.
        """
        pcm = await self._speech.speak(text)
        async with self._mouth:
            if self.progress.state != "talking" or not self._rtp or not self.tape:
                raise self.progress.not_now("speak")
            end = self.tape.say(pcm)
            self._rtp.say(pcm)
            await self._rtp.spoken()
            if not self.progress.live:
                unsaid = max(0.0, end - len(self.tape.said) / LINE_BYTES)
                raise CallError(
                    "The call ended while the phone was still speaking.",
                    evidence=f"{unsaid:.1f} s were left to say; {self.progress.course}",
                )
            return time.time()

    async def press(self, digits: str) -> None:
        """Press keys one after the other (RFC 4733).

        Raises:
            CallError: there is no such key, or no call, or it ended meanwhile.
        """
        if wrong := sorted({d for d in digits.upper() if d not in _KEYS}):
            raise CallError(
                "A phone has no such key.", evidence=" ".join(wrong), fix="Keys are 0-9 * # A-D."
            )
        async with self._mouth:
            for digit in digits:
                if self.progress.state != "talking" or not self._rtp:
                    raise self.progress.not_now("press keys")
                self._rtp.press(digit)
                await self._rtp.spoken()
                await asyncio.sleep(_BETWEEN_KEYS_S)

    async def listen(self, expect: str, deadline: float, *, whole_call: bool) -> Listening:
        """Wait for words, see `Ear.listen`. Nothing is heard before there is sound."""
        if not self._ear:
            return Listening()
        return await self._ear.listen(expect, deadline, whole_call=whole_call)

    def hang_up(self) -> None:
        """End the call; decline it while this phone rings, give up while the other does."""
        if isinstance(self._leg, IncomingLeg) and not self._leg.is_up:
            self._leg.reject(603)
        else:
            self._leg.hang_up(_NORMAL_CLEARING)

    def status(self) -> dict[str, Any]:
        """The call as plain JSON data."""
        packets = self._rtp.received.packets if self._rtp else 0
        return {
            "call_id": self._leg.call_id,
            **self.progress.to_json(),
            "packets_heard": packets,
        }

    # What happens on the leg

    def _event(self, leg: Leg, event: Event) -> None:
        match event:
            case Ringing():
                self.progress.rings(event.status, event.reason)
                if event.sdp and not self.tape:
                    self._take_description(event.sdp)  # early media
            case Answered():
                if rtp := self._take_description(event.sdp):
                    self._talk(rtp)
                else:
                    self._leg.hang_up()
            case Referred():
                event.refer.reject(603)  # the people on the phones follow no transfer by REFER
            case Offered():
                log.info("the other side has changed the session")
            case Ended():
                self._ended(event)
        self._changed.beat()

    def _take_description(self, sdp: SdpMessage | None) -> RtpLeg | None:
        """Take the other side's answer to our offer; None if there is no sound in it."""
        rtp = self._rtp
        try:
            if not rtp:
                return None
            rtp.accept_answer(sdp)
        except NoCommonCodec as error:
            self.progress.problem = f"no sound in common with the other side: {error}"
            return None
        self._connect(rtp)
        return rtp

    def _connect(self, rtp: RtpLeg) -> None:
        """There is sound from now on: record it and listen to it."""
        if not self.tape:
            self.tape = Tape()
            self._ear = Ear(self.tape, self._speech.recognise)
        rtp.on_audio = self.tape.hear
        rtp.on_dtmf = self._key
        self._leg.on_offer = rtp.answer

    def _talk(self, rtp: RtpLeg) -> None:
        self.progress.talks()
        rtp.start_sending()
        self._changed.beat()

    def _key(self, digit: str) -> None:
        self.progress.keys_heard += digit
        self._changed.beat()

    def _ended(self, event: Ended) -> None:
        self.progress.ends(event)
        if self.tape:
            self.tape.hush()
        if self._rtp:
            self._rtp.hush()
            self._rtp.on_audio = None
        if self._ear:
            self._ear.end()
        self._over.set()

    def _tick(self) -> None:
        if self._ear:
            self._ear.follow()
        progress, behaviour = self.progress, self._behaviour
        if progress.state != "talking":
            if progress.age > _LONGEST_RINGING_S:
                self.hang_up()
            return
        quiet = min(progress.talked, self._ear.quiet_for if self._ear else progress.talked)
        bored = behaviour.silence is not None and quiet > behaviour.silence
        if bored or progress.talked > behaviour.longest:
            log.info("hangs up: %.0f s in the call, %.0f s of silence", progress.talked, quiet)
            self.hang_up()
