"""The phone in the learner's own hand: what `lab.phone()` gives on the cloud backend.

Nobody but a person can play the caller there. Each step says what to do, and waits until LiveKit
sees that it was done, for a bounded time: a notebook that is run without anybody at the phone ends
with an error that says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from vobiz_kit.errors import CallError
from vobiz_kit.lab.handsets.phone import Awaited, NotAnswered, Side, Until
from vobiz_kit.numbers import parse_number

if TYPE_CHECKING:
    from vobiz_kit.settings import Settings

#: How long a person is waited for, in seconds: to find the phone, unlock it and dial.
PATIENCE_S = 120.0

#: How often LiveKit is asked, in seconds.
_POLL_S = 0.5

State = Literal["idle", "ringing", "talking"]

Look = Callable[[], Awaitable[State]]
"""Tells whether a phone is in one of this learner's rooms, and whether it is answered."""


_TO_DO_IT_S = 8.0

# What a behaviour is to a person with a real phone.
_AS_A_REQUEST = {
    ("busy", True): "be in another call, so that the line is busy",
    ("busy", False): "hang up the other call",
    ("declines", True): "decline the next call",
    ("declines", False): "answer calls again",
}


class YourPhone:
    """A real phone, with the methods of the lab's phones.

    Args:
        number: Its number, if it matters (for a call that the agent places); "" otherwise.
        settings: Where LiveKit is, and which rooms are yours; `Settings.load` if None.
        patience: Seconds for which a person is waited for, at least.
        look: Tells the state of your calls; asks LiveKit if None.

    Raises:
        NumberRefused: that cannot be a number.
    """

    def __init__(
        self,
        number: str = "",
        settings: Settings | None = None,
        *,
        patience: float = PATIENCE_S,
        look: Look | None = None,
    ) -> None:
        self.number = parse_number(number) if number else ""
        self._settings = settings
        self._patience = patience
        self._look = look or self._ask_livekit

    async def dial(
        self, number: str, within: float = 0.0, until: Until = "answered"
    ) -> dict[str, Any]:
        """Ask you to dial, and wait until your call is in one of your rooms.

        Args:
            number: Whom to call.
            within: Seconds; at least `patience` (nobody dials by hand as fast as a program).
            until: "ringing" to return as soon as the call has reached LiveKit.

        Raises:
            NotAnswered: no call came in time, or no agent answered it.
        """
        number = parse_number(number)
        tell(f"Take your phone and dial {number}")
        wanted = ("talking",) if until == "answered" else ("ringing", "talking")
        state = await self._wait(within, *wanted)
        if state in wanted:
            return self._status(state)
        rang = state == "ringing"
        raise NotAnswered(
            f"Your call to {number} was not answered."
            if rang
            else f"No call of yours to {number} came in.",
            evidence=f"LiveKit: {'it rings, no agent has joined' if rang else 'no phone'} "
            f"in your rooms after {self._time(within):g} s",
            fix="Is the agent serving (vk.serve)?"
            if rang
            else "Dial by hand while this cell waits; if you did, run the doctor: is the trunk "
            "there (vk.list_trunks), and does Vobiz send the number to LiveKit?",
        )

    async def answer(self, within: float = 0.0) -> dict[str, Any]:
        """Ask you to answer your phone, and wait until you have.

        Raises:
            NotAnswered: the call was not answered in time.
        """
        tell("Your phone rings: answer it")
        state = await self._wait(within, "talking")
        if state == "talking":
            return self._status(state)
        raise NotAnswered(
            "Your phone was not answered.",
            evidence=f"LiveKit: {state} after {self._time(within):g} s",
            fix="Was the call placed to your own number? On the cloud, this cell needs somebody "
            "who answers it.",
        )

    async def says(self, text: str) -> float:
        """Ask you to say something. Returns at once: only the agent hears when you have said it.

        Returns:
            Now, in Unix seconds.
        """
        tell(f"Say: “{text}”")
        return time.time()

    async def hears(self, words: str = "", within: float = 10.0) -> str:
        """Tell you what to listen for. Returns "" at once: only you can hear your phone."""
        tell(f"Listen for: “{words}”" if words else "Listen to what is said")
        return ""

    async def press(self, digits: str) -> None:
        """Ask you to press keys; returns at once."""
        tell(f"Press: {' '.join(digits)}")

    async def hang_up(self) -> None:
        """Ask you to hang up, and wait until your phone has left your rooms.

        Raises:
            CallError: it is still there when `patience` is over.
        """
        tell("Hang up your phone")
        state = await self._wait(0.0, "idle")
        if state != "idle":
            raise CallError(
                "Your phone is still in the call.",
                evidence=f"LiveKit: {state} after {self._patience:g} s",
                fix="Hang up; or end the call from here with `await vk.reset()`.",
            )

    async def behave(self, **changes: Any) -> dict[str, Any]:
        """Ask the person at that phone to behave like that.

        Nothing shows from here whether they do, so they get some seconds before the next step; to
        stop it again needs no time.
        """
        wanted = [_AS_A_REQUEST.get((name, value), "") for name, value in changes.items()]
        for request in filter(None, wanted):
            tell(f"At {self.number}: {request}")
        if any(wanted) and True in changes.values():
            await asyncio.sleep(_TO_DO_IT_S)
        return self._status("idle")

    async def wait_until(self, state: Awaited, within: float = 0.0) -> dict[str, Any]:
        """Wait until your phone is "ringing", "talking" or out of the call ("ended").

        Raises:
            CallError: it did not get there in time.
        """
        wanted: State = "idle" if state == "ended" else state
        seen = await self._wait(within, wanted)
        if seen == wanted:
            return self._status(seen)
        raise CallError(
            f"Your phone was not {state} within {self._time(within):g} s.",
            evidence=f"LiveKit: {seen}",
        )

    async def status(self) -> dict[str, Any]:
        """What LiveKit sees of your phone: "idle", "ringing" or "talking"."""
        return self._status(await self._look())

    async def recording(self, side: Side = "heard") -> str:
        """A note: what your phone hears is recorded by nobody."""
        return "There is no recording: only the lab's phones record what they hear and say."

    def __repr__(self) -> str:
        return f"<YourPhone {self.number or 'in your hand'}>"

    def _status(self, state: State) -> dict[str, Any]:
        return {"number": self.number, "state": state, "call": None}

    def _time(self, within: float) -> float:
        return max(within, self._patience)

    async def _wait(self, within: float, *states: State) -> State:
        """Look until one of the states is seen or time is up; gives what was seen last."""
        deadline = time.monotonic() + self._time(within)
        while True:
            state = await self._look()
            left = deadline - time.monotonic()
            if state in states or left <= 0:
                return state
            await asyncio.sleep(min(_POLL_S, left))

    async def _ask_livekit(self) -> State:
        if self._settings is None:
            from vobiz_kit.settings import Settings

            self._settings = Settings.load()
        return await state_of_phones(self._settings)


async def state_of_phones(settings: Settings) -> State:
    """What the phones in this learner's rooms do, as LiveKit sees them; the furthest one counts.

    Args:
        settings: Where LiveKit is; the prefix tells which rooms are this learner's.

    Raises:
        CallError: LiveKit cannot be asked.
    """
    import aiohttp
    from livekit.api import ListParticipantsRequest, ListRoomsRequest, ServerError
    from livekit.protocol.models import ParticipantInfo

    from vobiz_kit.livekit_api import open_livekit_api

    prefixes = (settings.inbound_room_prefix, settings.outbound_room_prefix)
    state: State = "idle"
    try:
        async with open_livekit_api(settings) as api:
            rooms = (await api.room.list_rooms(ListRoomsRequest())).rooms
            for room in rooms:
                if not room.name.startswith(prefixes):
                    continue
                listed = await api.room.list_participants(ListParticipantsRequest(room=room.name))
                for participant in listed.participants:
                    if participant.kind != ParticipantInfo.Kind.SIP:
                        continue
                    status = participant.attributes.get("sip.callStatus")
                    if status == "active":
                        return "talking"
                    state = state if status == "hangup" else "ringing"
    except (ServerError, aiohttp.ClientError, TimeoutError) as error:
        raise CallError(
            "LiveKit could not be asked about your phone.",
            evidence=f"{settings.livekit_url}: {error or type(error).__name__}",
            fix="Check LIVEKIT_URL, the API key and your connection.",
        ) from error
    return state


def tell(what: str) -> None:
    """Tell the person at the keyboard what to do, so that it is not overlooked.

    A box in a notebook (announced by screen readers), framed text elsewhere.
    """
    frame = "─" * (len(what) + 4)
    text = f"┌{frame}┐\n│  {what}  │\n└{frame}┘"
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        print(text, flush=True)  # noqa: T201 - said to the person in front of a terminal
        return
    from IPython.display import display

    html = (
        '<div role="status" style="border: 2px solid var(--jp-brand-color1, #1565c0); '
        "border-radius: 4px; padding: 0.6em 1em; font-size: 1.2em; max-width: 40em; "
        f'color: var(--jp-content-font-color1, inherit)">{escape(what)}</div>'
    )
    display({"text/plain": text, "text/html": html}, raw=True)
