"""A caller's or callee's phone, as notebooks and tests use it, and what can go wrong with one.

VobizKitError
 ├─ NotHeard                  the words that were waited for were not heard
 └─ CallError
     └─ NotAnswered           a call was not answered (or did not ring)

Two classes are such phones: `client.Handset`, a phone of the lab, played by a program, and
`your_phone.YourPhone`, the real phone in the learner's hand, for the cloud backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from vobiz_kit.errors import CallError, VobizKitError

if TYPE_CHECKING:
    from IPython.display import Audio

#: Whether to wait for the answer, or only for the other end to ring.
Until = Literal["answered", "ringing"]

#: States that can be waited for.
Awaited = Literal["ringing", "talking", "ended"]

#: Sides of a recording: what reached the phone, what it sent, or both (stereo, in that order).
Side = Literal["heard", "said", "both"]


class NotHeard(VobizKitError):  # noqa: N818 - named as what happened
    """The words that were waited for were not heard in time.

    ``transcript`` is what was heard instead, one entry per utterance.
    """

    def __init__(
        self, what: str, *, evidence: str = "", fix: str = "", transcript: list[str] | None = None
    ) -> None:
        super().__init__(what, evidence=evidence, fix=fix)
        self.transcript = transcript or []


class NotAnswered(CallError):  # noqa: N818 - named as what happened
    """A call was refused, or rang (or did not even ring) until time was up.

    ``sip_status`` is the final SIP status, None if there was none.
    """


class Phone(Protocol):
    """What can be done with a phone. Times are in seconds."""

    @property
    def number(self) -> str:
        """The phone's number, E.164."""

    async def dial(
        self, number: str, within: float = 20.0, until: Until = "answered"
    ) -> dict[str, Any]:
        """Call a number and wait until it is answered (or rings); gives the phone's status.

        Raises:
            NotAnswered: it was refused, or not answered in time (the phone has hung up then).
            NumberRefused: that cannot be a number; nothing was sent.
        """

    async def answer(self, within: float = 20.0) -> dict[str, Any]:
        """Wait for the phone to ring and answer it; gives the phone's status.

        Raises:
            NotAnswered: nobody called in time.
        """

    async def says(self, text: str) -> float:
        """Say something into the call; returns when the last word has left the phone.

        Returns:
            When that was, in Unix seconds.

        Raises:
            CallError: the phone is not in a call, or the call ended meanwhile.
        """

    async def hears(self, words: str = "", within: float = 10.0) -> str:
        """Wait until the other side has said these words; gives all that was heard with them.

        Raises:
            NotHeard: they were not said in time; carries the transcript so far.
            CallError: the phone is not in a call.
        """

    async def press(self, digits: str) -> None:
        """Press keys (0-9, *, #, A-D), as telephone events (RFC 4733).

        Raises:
            CallError: the phone is not in a call, or there is no such key.
        """

    async def hang_up(self) -> None:
        """End the call, refuse it if the phone only rings, give up if it is dialing."""

    async def behave(self, **changes: Any) -> dict[str, Any]:
        """Change what the person at this phone does when it rings; gives the phone's status.

        Args:
            **changes: ``answer_after`` (seconds; None: only by `answer`), ``says`` (on
                answering), ``busy`` (486), ``declines`` (603), ``silence`` and ``longest`` (hang
                up after so many seconds of silence, or in all).

        Raises:
            VobizKitError: there is no such behaviour.
        """

    async def wait_until(self, state: Awaited, within: float = 20.0) -> dict[str, Any]:
        """Wait until the phone is in that state; gives its status.

        Raises:
            CallError: it did not get there in time.
        """

    async def status(self) -> dict[str, Any]:
        """What the phone is doing: its state and its last call."""

    async def recording(self, side: Side = "heard") -> Audio | str:
        """The last call's sound, as a player for a notebook (or a note why there is none)."""
