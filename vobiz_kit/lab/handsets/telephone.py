"""A telephone of one number: takes and places calls, one at a time unless it is a department's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from vobiz_kit.errors import CallError, VobizKitError
from vobiz_kit.lab.handsets import failures
from vobiz_kit.lab.handsets.behaviour import Behaviour
from vobiz_kit.lab.handsets.call import PhoneCall
from vobiz_kit.lab.handsets.phone import Awaited, NotAnswered, NotHeard, Until
from vobiz_kit.lab.handsets.pulse import Pulse
from vobiz_kit.lab.handsets.speech import Speech
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.legs import Leg
from vobiz_kit.lab.sip.media import RtpLeg
from vobiz_kit.numbers import mask_number

log = logging.getLogger(__name__)

Place = Callable[[str, RtpLeg], Leg]
"""Sends the INVITE to that number, offering that sound."""

#: A call that is over can still be listened to for so long, in seconds.
_ECHO_S = 5.0

#: Between picking up and speaking, in seconds: nobody speaks while still lifting the phone.
_LIFT_S = 0.4


class Telephone:
    """One number's telephone.

    Args:
        number: E.164.
        place: Places a call from this number.
        speech: Speaks and recognises.
        behaviour: What the person at it does when it rings.
        lines: How many calls it takes at once; more are busy. What is asked of the phone
            concerns the newest call.

    Attributes:
        behaviour: See above; may be changed at any time.
        call: The newest call, None before the first.
    """

    def __init__(
        self, number: str, place: Place, speech: Speech, behaviour: Behaviour, *, lines: int = 1
    ) -> None:
        self.number = number
        self.behaviour = behaviour
        self.call: PhoneCall | None = None
        self._place = place
        self._speech = speech
        self._lines = lines
        self._changed = Pulse()
        self._calls: dict[PhoneCall, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def live_calls(self) -> int:
        """How many calls are going on."""
        return sum(call.progress.live for call in self._calls)

    async def aclose(self) -> None:
        """Hang up everything."""
        self.hang_up_all()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Incoming

    def ring(self, leg: IncomingLeg) -> None:
        """Somebody calls."""
        if self.behaviour.declines:
            leg.reject(603)
        elif self.behaviour.busy or self.live_calls >= self._lines:
            leg.reject(486)
        else:
            leg.ring()
            call = self._take(leg, None, leg.caller)
            if self.behaviour.answer_after is not None:
                self._start(self._person(call, self.behaviour), "person")

    async def _person(self, call: PhoneCall, behaviour: Behaviour) -> None:
        """What the person at the phone does with a call: wait, answer, speak."""
        # Nobody starts to look for words when the phone is at the ear: they are ready by then.
        words = asyncio.create_task(call.prepare(behaviour.says), name="a person's first words")
        try:
            await asyncio.sleep(behaviour.answer_after or 0.0)
            if call.progress.state != "ringing":
                return  # answered by hand meanwhile, or given up
            await call.answer()
            if behaviour.says:
                await asyncio.sleep(_LIFT_S)
                await words
                await call.says(behaviour.says)
        except VobizKitError as error:
            # The caller may hang up while a person speaks; a silent person is told in the status.
            if call.progress.live:
                call.progress.problem = str(error)
                log.warning("%s: %s", mask_number(self.number), error)
        finally:
            words.cancel()
            await asyncio.gather(words, return_exceptions=True)

    async def answer(self, within: float) -> dict[str, Any]:
        """Wait for the phone to ring and answer it (or find that it was answered).

        Raises:
            NotAnswered: nobody called in time.
            CallError: the caller gave up at that moment, or offers no G.711.
        """
        if not await self._changed.until(
            lambda: self._is_incoming("ringing", "talking"), time.monotonic() + within
        ):
            raise NotAnswered(
                f"Nobody called {self.number} within {within:g} s.",
                evidence=self.call.progress.course if self.call else "the phone never rang",
                fix="Was the call placed to this very number? The SIP messages (lab.trace) tell.",
            )
        if self.call and self.call.progress.state == "ringing":
            await self.call.answer()
        return self.status()

    def _is_incoming(self, *states: str) -> bool:
        progress = self.call.progress if self.call else None
        return bool(progress and progress.incoming and progress.state in states)

    # Outgoing

    async def dial(self, number: str, within: float, until: Until) -> dict[str, Any]:
        """Call a number; a call in progress is hung up first.

        Raises:
            NotAnswered: it was refused, or not answered in time (it is given up then).
        """
        self.hang_up_all()
        rtp = await RtpLeg.open()
        try:
            leg = self._place(number, rtp)
        except BaseException:
            await rtp.aclose()
            raise
        call = self._take(leg, rtp, number)
        progress = call.progress
        enough = ("talking", "ended") if until == "answered" else ("ringing", "talking", "ended")
        deadline = time.monotonic() + within
        await self._changed.until(lambda: progress.state in enough, deadline)
        if progress.state == "ended" and not progress.talked:
            raise failures.refused(number, progress)
        if progress.state not in enough:
            failure = failures.given_up(number, progress, within)
            call.hang_up()
            raise failure
        return self.status()

    # In a call

    async def says(self, text: str) -> dict[str, Any]:
        """Speak; returns when the last sample has left the phone.

        Raises:
            CallError: there is no call, or it ended meanwhile.
        """
        return {"said_at": await self._current("speak").says(text)}

    async def hears(self, expect: str, within: float, since: str = "last") -> dict[str, Any]:
        """Wait until words were said to this phone.

        The call in progress is listened to, or one that ended a moment ago; with neither, the
        next call is waited for within the time.

        Args:
            expect: The words; "" for anything.
            within: Seconds.
            since: "last": after what was heard last; "call": from the begin of the call.

        Raises:
            NotHeard: carries the transcript so far, and says what was on the line.
        """
        deadline = time.monotonic() + within
        await self._changed.until(self._can_listen, deadline)
        call = self.call
        if not call or not self._can_listen():
            raise NotHeard(
                f"“{expect}” was not heard: {self.number} is in no call.",
                evidence=call.progress.course if call else "the phone has had no call yet",
                fix="Dial, or answer while it rings, before listening.",
            )
        found = await call.listen(expect, deadline, whole_call=since == "call")
        if not found.matched:
            raise failures.not_heard(expect, within, call.progress, found)
        return {
            "heard": found.heard,
            "transcript": found.transcript,
            "score": round(found.score, 3),
            "level": round(found.level, 1),
        }

    def _can_listen(self) -> bool:
        call = self.call
        return bool(call and call.tape and call.progress.ended_for < _ECHO_S)

    async def press(self, digits: str) -> dict[str, Any]:
        """Press keys.

        Raises:
            CallError: there is no call, or no such key.
        """
        await self._current("press keys").press(digits)
        return self.status()

    def hang_up(self) -> None:
        """End the newest call, if there is one."""
        if self.call:
            self.call.hang_up()

    def hang_up_all(self) -> None:
        """End all calls."""
        for call in list(self._calls):
            call.hang_up()

    async def wait_until(self, state: Awaited, within: float) -> dict[str, Any]:
        """Wait for a state of the newest call.

        Raises:
            CallError: it was not reached in time.
        """
        if await self._changed.until(lambda: self.state == state, time.monotonic() + within):
            return self.status()
        raise CallError(
            f"{self.number} was not {state} within {within:g} s.",
            evidence=self.call.progress.course if self.call else "the phone has had no call yet",
        )

    @property
    def state(self) -> Literal["idle", "dialing", "ringing", "talking", "ended"]:
        """What the phone is doing: the state of its newest call."""
        return self.call.progress.state if self.call else "idle"

    def status(self) -> dict[str, Any]:
        """The phone as plain JSON data."""
        return {
            "number": self.number,
            "state": self.state,
            "calls": self.live_calls,
            "call": self.call.status() if self.call else None,
        }

    def recording(self, side: str) -> bytes:
        """The newest call's recording as a WAV file.

        Raises:
            CallError: there was no sound yet.
            ValueError: there is no such side.
        """
        if not self.call or not self.call.tape:
            raise CallError(
                f"There is no recording of {self.number}: it has had no call with sound yet.",
                fix="Dial somebody, or answer a call, first.",
            )
        return self.call.tape.wav(side)

    def _current(self, doing: str) -> PhoneCall:
        if not self.call:
            raise CallError(
                f"The phone cannot {doing} now.",
                evidence=f"{self.number} has had no call yet",
                fix="Dial, or answer while it rings, first.",
            )
        return self.call

    def _take(self, leg: Leg, rtp: RtpLeg | None, other: str) -> PhoneCall:
        call = PhoneCall(
            leg,
            rtp,
            other=other,
            speech=self._speech,
            changed=self._changed,
            behaviour=self.behaviour,
        )
        self.call = call
        self._calls[call] = None
        self._start(self._keep(call), "call")
        self._changed.beat()
        return call

    async def _keep(self, call: PhoneCall) -> None:
        try:
            await call.run()
        finally:
            self._calls.pop(call, None)

    def _start(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.create_task(work, name=f"{what} at {self.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
