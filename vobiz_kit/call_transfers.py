"""A call that can be handed over: by a person, number after number, and settled if undecided."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vobiz_kit.asked import asked_by_call
from vobiz_kit.audit import record_outcome
from vobiz_kit.call_events import CallEvent
from vobiz_kit.call_state import CallState
from vobiz_kit.call_watch import RoomWatch
from vobiz_kit.errors import TransferError, VobizKitError
from vobiz_kit.hunting import transfer_to
from vobiz_kit.livekit_api import open_livekit_api
from vobiz_kit.meanings import MEANINGS
from vobiz_kit.outcomes import Outcome, TransferOutcome
from vobiz_kit.policy import check_destination
from vobiz_kit.settings import Settings
from vobiz_kit.settling import outlasted, settled_by_records
from vobiz_kit.vobiz import cdrs

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from livekit import rtc

    from vobiz_kit.asked import Asked
    from vobiz_kit.directory import Destination, Directory


class TransferableCall(CallState):
    """What `vobiz_kit.calls.Call` knows of transfers."""

    settings: Settings
    _watch: RoomWatch | None
    _undecided: TransferOutcome | None = None

    @abstractmethod
    async def hang_up(self) -> None:
        """End the call for everybody."""

    @abstractmethod
    def _own(self, doing: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it as a task of this call, which ends with it."""

    async def transfer(
        self, destination: str, *, directory: Directory | None = None, ringing_timeout_s: int = 30
    ) -> TransferOutcome:
        """Hand the caller over, as the agent's own tool does: policy, REFER, end of the job.

        Args:
            destination: An alias of the directory, or a number.
            directory: The aliases that count; those of the settings if None.
            ringing_timeout_s: Whole seconds that the target may take to answer.

        Returns:
            The outcome. A target that is busy is an outcome and no error: the caller is still
            with the agent then.

        Raises:
            NumberRefused: it cannot or must not be dialled; nothing was sent.
            TransferError: there is no answered call to transfer.
        """
        asked = asked_by_call(self)
        to = check_destination(destination, self.settings, directory, asked)
        if self._watch is None or self.status != "active":
            name = "transfer_in_progress" if self.status == "transferring" else "not_answered_yet"
            meaning = MEANINGS["caller_hung_up" if self.over else name]
            raise TransferError(
                meaning.happened, evidence=f"the call is {self.status!r}", fix=meaning.advice
            )
        # Cancelling would not stop the transfer (measured, T8): its end has to be dealt with.
        return await asyncio.shield(
            self._own(self._hand_over(to, directory, asked, ringing_timeout_s))
        )

    def phone_left(self, reason: str) -> None:
        """The phone left; after a transfer that was not decided, find out where to."""
        super().phone_left(reason)
        if self.over and self._undecided is not None:
            self._own(self._settle(self._undecided))
            self._undecided = None

    def concluded(self, outcome: Outcome, at: float) -> None:
        """The call failed, or a transfer of it ended; one that is not decided is kept in mind."""
        super().concluded(outcome, at)
        if isinstance(outcome, TransferOutcome) and outcome.name != "transfer_in_progress":
            self._undecided = outcome if outcome.name == "undecided" else None

    async def _hand_over(
        self, to: Destination, directory: Directory | None, asked: Asked, ringing_s: int
    ) -> TransferOutcome:
        if self._watch is None:
            raise TransferError("The call is not being watched.", fix="await call.join()")

        async def on_next(target: Destination, before: TransferOutcome) -> None:
            self._conclude_transfer(before)
            self._tell_transfer(f"trying {target} instead", target)

        self._tell_transfer(f"asking the carrier to connect {to}", to)
        longest = max(ringing_s, to.ringing_s or 0)
        async with open_livekit_api(self.settings, within=longest + 5) as api:
            outcome = await transfer_to(
                api,
                self._watch.room,
                to,
                self.settings,
                directory,
                asked,
                ringing_timeout_s=ringing_s,
                on_next=on_next,
            )
        self._conclude_transfer(outcome)
        if outcome.ok or outcome.name == "caller_hung_up":
            await self.hang_up()
        elif outcome.name == "undecided":
            self._own(self._outlast(self._watch.room, outcome))
        return outcome

    async def _outlast(self, room: rtc.Room, undecided: TransferOutcome) -> None:
        if (settled := await outlasted(room, undecided)) is not None:
            self._conclude_transfer(settled)

    async def _settle(self, undecided: TransferOutcome) -> None:
        """The caller has left, and nobody knows whether to the transfer target: ask the carrier."""
        transfers = (event for event in reversed(self.events) if event.kind == "transfer")
        target = next((str(event.data["to"]) for event in transfers if "to" in event.data), "")
        try:
            records = await cdrs(self, self.settings)
        except VobizKitError as error:
            outcome = replace(undecided, evidence=f"{undecided.evidence}; {error.what}")
        else:
            outcome = settled_by_records(undecided, records, self.sip_call_id, target)
        self._conclude_transfer(outcome)

    def _conclude_transfer(self, outcome: TransferOutcome) -> None:
        self.concluded(outcome, time.time())
        record_outcome(outcome, "transfer", self.room, self.sip_tag, self.sip_call_id)

    def _tell_transfer(self, text: str, to: Destination) -> None:
        self.told(CallEvent(time.time(), "transfer", text, {"to": to.number}))
