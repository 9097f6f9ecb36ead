"""The agent's side of a call's events: what the job tells whoever watches the call."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from vobiz_kit.asked import sip_ids
from vobiz_kit.audit import record_outcome
from vobiz_kit.call_events import (
    OUTCOME_ATTRIBUTE,
    TOPIC,
    CallEvent,
    Kind,
    is_consulted,
    to_wire,
)
from vobiz_kit.outcomes import DialOutcome, Outcome, TransferOutcome

if TYPE_CHECKING:
    from livekit import rtc
    from livekit.agents import JobContext

_log = logging.getLogger(__name__)
_reports: WeakKeyDictionary[JobContext, CallReport] = WeakKeyDictionary()
_SEND_WITHIN_S = 1.0


class CallReport:
    """Sends one job's events into its room. Get it by `report_of`.

    Attributes:
        last_status: The phone's last ``sip.callStatus``, "" before there was one.
        was_active: Whether the phone has been answered.
        was_inbound: Whether somebody dialled in (LiveKit names the dispatch rule then).
    """

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self.last_status = ""
        self.was_active = False
        self.was_inbound = False
        self._sip_ids = ("", "")  # the audit log's: LiveKit's and the carrier's id of the call
        room.on("participant_connected", self._on_phone)
        room.on(
            "participant_attributes_changed", lambda _, participant: self._on_phone(participant)
        )

    def _on_phone(self, participant: rtc.Participant) -> None:
        status = participant.attributes.get("sip.callStatus", "")
        if not status or is_consulted(participant.identity):
            return
        if status != "hangup":
            self.last_status = status
        self.was_inbound = self.was_inbound or "sip.ruleID" in participant.attributes
        if not all(self._sip_ids):
            self._sip_ids = sip_ids([participant.attributes])
        if status == "active" and not self.was_active:
            self.was_active = True
            if not self.was_inbound:
                who = participant.attributes.get("sip.phoneNumber", participant.identity)
                record_outcome(
                    DialOutcome("completed", who), "call", self._room.name, *self._sip_ids
                )

    def look(self) -> None:
        """Take in the phones that were in the room before the agent."""
        for participant in self._room.remote_participants.values():
            self._on_phone(participant)

    async def tell(self, kind: Kind, text: str, **data: object) -> None:
        """Send one event to everybody who watches the call.

        Args:
            kind: As in `CallEvent`.
            text: What happened, in a few words.
            **data: Plain JSON data.
        """
        event = CallEvent(time.time(), kind, text, data)
        _log.info("%s", event)
        if not self._room.isconnected():
            return
        sending = self._room.local_participant.send_text(to_wire(event), topic=TOPIC)
        try:
            await asyncio.wait_for(sending, _SEND_WITHIN_S)
        except (RuntimeError, ConnectionError, TimeoutError) as error:
            _log.warning("nobody could be told: %s (%r)", event, error)

    async def conclude(self, outcome: Outcome) -> None:
        """Tell how the call, or its transfer, ended. Returns when LiveKit has taken it."""
        _log.info("%s", outcome)
        about = "transfer" if isinstance(outcome, TransferOutcome) else "call"
        try:
            await self._publish(outcome, about)
        finally:  # whoever watches comes first; written it is in any case
            record_outcome(outcome, about, self._room.name, *self._sip_ids)

    async def _publish(self, outcome: Outcome, about: str) -> None:
        if not self._room.isconnected():
            return
        text = json.dumps({"about": about, "time": time.time(), **outcome.to_json()})
        setting = self._room.local_participant.set_attributes({OUTCOME_ATTRIBUTE: text})
        try:
            await asyncio.wait_for(setting, _SEND_WITHIN_S)
        except (RuntimeError, ConnectionError, TimeoutError) as error:
            _log.warning("nobody could be told the outcome: %r", error)


def report_of(ctx: JobContext) -> CallReport:
    """The job's report; one per job."""
    report = _reports.get(ctx)
    if report is None:
        report = _reports[ctx] = CallReport(ctx.room)
    report.look()
    return report
