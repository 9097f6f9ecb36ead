"""What is known of one call: its status, what was said, what happened. No network in here."""

from __future__ import annotations

import time
from typing import Any, Literal, Self

from vobiz_kit.call_events import OVER, CallEvent, Line, Status, Transcript
from vobiz_kit.call_log import EventLog
from vobiz_kit.call_text import Explanation, as_html, as_text, explanation, fits
from vobiz_kit.errors import CallError
from vobiz_kit.outcomes import DialOutcome, Outcome, TransferOutcome, outcome_of_leaving

_PROGRESS: dict[Status, int] = {"dispatched": 0, "dialing": 1, "ringing": 2, "active": 3}
_OF_SIP: dict[str, Status] = {"dialing": "dialing", "ringing": "ringing", "active": "active"}


class CallState(EventLog):
    """A call as it is seen from outside; `vobiz_kit.calls.Call` adds what can be done with it.

    All of it belongs to one event loop. The methods in the second half are called by whoever
    watches the call (`vobiz_kit.call_watch.Sink`).

    Attributes:
        room: The name of the call's room at LiveKit.
        phone_number: The phone at the other end, in E.164, "" if it is not known.
        direction: "inbound", "outbound", or "" as long as it is not known.
        status: "dispatched", "dialing", "ringing", "active", "transferring", "transferred",
            "ended" or "failed".
        outcome: How it failed, or how its last transfer ended; None if there is nothing to say.
        started: When it was placed or first seen, in Unix seconds.
        job_started: When the agent's job began, in Unix seconds, or None.
        job_ended: When the agent's job was over, in Unix seconds, or None.
        error: What the agent's code raised, if it is served in this process, or None.
        error_seen: Whether somebody has been told of that error by an exception.
        served_here: Whether the agent of this call is served in this process.
    """

    def __init__(
        self,
        room: str,
        *,
        phone_number: str = "",
        direction: Literal["", "inbound", "outbound"] = "",
        status: Status = "dispatched",
    ) -> None:
        super().__init__()
        self.room = room
        self.phone_number = phone_number
        self.direction = direction
        self.status: Status = status
        self.outcome: Outcome | None = None
        self.started = time.time()
        self.job_started: float | None = None
        self.job_ended: float | None = None
        self.error: BaseException | None = None
        self.error_seen = False
        self.served_here = False
        self._attributes: dict[str, str] = {}
        self._agents: set[str] = set()
        self._reached: set[Status] = {status}
        self._last_sip_status = ""
        self._concluded_at: set[float] = set()
        self._lines: dict[str, Line] = {}

    @property
    def transcript(self) -> Transcript:
        """Everything said so far; the last line may still be growing."""
        return Transcript(sorted(self._lines.values(), key=lambda line: line.time))

    @property
    def sip_call_id(self) -> str:
        """The SIP Call-ID of LiveKit's leg, the carrier's ``bridge_uuid``; "" before the answer."""
        return self._attributes.get("sip.callIDFull", "")

    @property
    def sip_tag(self) -> str:
        """LiveKit's id of the call, ``SCL_...``: its tag in From (outbound) or To (inbound)."""
        return self._attributes.get("sip.callID", "")

    @property
    def over(self) -> bool:
        """Whether the call is over for the agent."""
        return self.status in OVER

    async def wait_for(self, status: Status, within: float = 20) -> Self:
        """Wait until the call has reached a status; at once if it has been there before.

        Args:
            status: As in `status`. A call that was transferred has "ended" for the agent, too.
            within: Seconds.

        Returns:
            The call.

        Raises:
            CallError: it went another way (with the explanation), or it took too long.
        """
        wanted = {status, "transferred"} if status == "ended" else {status}
        done = await self._until(lambda: self._reached & wanted or self.over or self.error, within)
        if self._reached & wanted:
            return self
        sip = self.outcome.sip_status if self.outcome else None
        self.error_seen = True
        if self.error is not None and not self.over:
            what = f"The agent's code raised an error before the call was {status!r}."
            raise CallError(what, evidence=str(self.explain()), sip_status=sip) from self.error
        if done:
            what = f"The call is {self.status!r}; it did not become {status!r}."
        else:
            what = f"The call was still {self.status!r} after {within:g} s, not {status!r}."
        raise CallError(what, evidence=str(self.explain()), sip_status=sip)

    async def wait_until_said(
        self, words: str, speaker: Literal["caller", "agent"] | None = None, within: float = 10
    ) -> Line:
        """Wait until somebody has said something; at once if it stands in the transcript.

        Args:
            words: What to look for. Three quarters of the words are enough, whatever their case:
                a recogniser mishears.
            speaker: Who has to say it; anybody if None.
            within: Seconds.

        Returns:
            The line.

        Raises:
            CallError: it was not said in time, or the call is over; with the transcript so far.
        """
        found: list[Line] = []

        def heard() -> bool:
            lines = (ln for ln in self.transcript if ln.final and speaker in (None, ln.speaker))
            found[:] = [line for line in lines if fits(words, line.text)][:1]
            return bool(found)

        await self._until(lambda: heard() or self.over, within)
        if found:
            return found[0]
        who = speaker or "Nobody"
        raise CallError(
            f"{who.capitalize()}{'' if speaker is None else ' has not'} said {words!r}"
            f"{' so far' if self.over else f' within {within:g} s'}.",
            evidence=f"the call is {self.status!r}; the transcript:\n{self.transcript!r}",
        )

    def explain(self) -> Explanation:
        """What became of the call and why, with the evidence and what to do next."""
        return explanation(self)

    @property
    def unserved_s(self) -> float:
        """Seconds for which the phone has been ringing without any agent; 0 if there is one."""
        waiting = self.status in ("dispatched", "ringing") and self.direction != "outbound"
        if not waiting or self._agents or self.job_started is not None:
            return 0.0
        return time.time() - self.started

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    # What the watcher tells

    def phone_seen(self, attributes: dict[str, str], identity: str) -> None:
        """The phone joined, or its attributes changed."""
        self._attributes |= attributes
        if not self.direction:
            self.direction = "inbound" if "sip.ruleID" in attributes else "outbound"
        self.phone_number = self.phone_number or attributes.get("sip.phoneNumber", "")
        said = attributes.get("sip.callStatus", "")
        if said == "hangup":
            self.phone_left("hangup")
        elif said in _OF_SIP:
            self._last_sip_status = said
            status = _OF_SIP[said]
            if _PROGRESS.get(self.status, 9) < _PROGRESS[status]:
                self._go(status, _words(status))

    def phone_left(self, reason: str) -> None:
        """The phone left the room."""
        if self.over or self.status == "transferring":
            return  # what the transfer led to is told by whoever asked for it
        if self.status == "active" or self.direction == "inbound":
            self._go("ended", "the phone hung up", reason=reason)
        elif self.outcome is None:
            # The agent knows why and says so in a moment; this is what is left if it does not.
            self.outcome = outcome_of_leaving(reason, self.phone_number, self._last_sip_status)

    def agent_seen(self, identity: str) -> None:
        """An agent is in the room."""
        if identity not in self._agents:
            self._agents.add(identity)
            if not self.served_here:
                self.job_began(time.time())

    def agent_left(self, identity: str) -> None:
        """An agent left the room."""
        if identity in self._agents:
            self._agents.discard(identity)
            if not self.served_here:
                self.job_over(time.time())

    def said(self, line: Line, segment: str) -> None:
        """Somebody said something; the same segment again replaces it."""
        known = self._lines.get(segment)
        if known is not None:
            if known.final or (known.text == line.text and not line.final):
                return
            line = Line(known.time, line.speaker, line.text, line.final)
        self._lines[segment] = line
        data = {"speaker": line.speaker, "final": line.final, "segment": segment}
        self._add(CallEvent(line.time, "transcript", line.text, data), keep=line.final)

    def told(self, event: CallEvent) -> None:
        """The agent's job reported an event."""
        self._add(event)
        # An event may arrive after the outcome that ended what it tells of (see `call_events`).
        overtaken = any(at > event.time for at in self._concluded_at)
        if event.kind == "transfer" and self.status == "active" and not overtaken:
            self._go("transferring", event.text)

    def concluded(self, outcome: Outcome, at: float) -> None:
        """The call failed, or a transfer of it ended. Telling it twice changes nothing."""
        if at in self._concluded_at:
            return
        self._concluded_at.add(at)
        self.outcome = outcome
        if isinstance(outcome, TransferOutcome):
            self._add(CallEvent(at, "transfer", outcome.happened, outcome.to_json()))
            if outcome.ok:
                self._go("transferred", outcome.happened)
            elif outcome.name == "caller_hung_up":
                self._go("ended", outcome.happened)
            elif self.status == "transferring":
                self._go("active", "the caller is with the agent again")
        elif not self.over:
            self._go("failed", outcome.happened, sip_status=outcome.sip_status)

    def room_ended(self, reason: str) -> None:
        """The room is gone."""
        for identity in [*self._agents]:
            self.agent_left(identity)
        if self.over:
            return
        if self.direction == "outbound" and not self._reached & {"active"}:
            self.outcome = self.outcome or DialOutcome("cancelled", self.phone_number)
            self._go("failed", self.outcome.happened, reason=reason)
        else:
            self._go("ended", "the call's room was closed", reason=reason)

    def job_began(self, at: float) -> None:
        """The agent's job began."""
        if self.job_started is None:
            self.job_started = at
            self._add(CallEvent(at, "job", "the agent's job began", {"state": "started"}))

    def job_over(self, at: float) -> None:
        """The agent's job is over."""
        if self.job_ended is None:
            self.job_ended = at
            self._add(CallEvent(at, "job", "the agent's job is over", {"state": "ended"}))

    def job_failed(self, error: BaseException) -> None:
        """The agent's code raised an error."""
        if self.error is None:
            self.error = error
        what = f"{type(error).__name__}: {error}"
        self._add(CallEvent(time.time(), "error", f"the agent's code raised {what}"))

    def _go(self, status: Status, text: str, **data: Any) -> None:
        self.status = status
        self._reached.add(status)
        self._add(CallEvent(time.time(), "status", text, {"status": status, **data}))


def _words(status: Status) -> str:
    return {"dialing": "dialing", "ringing": "ringing", "active": "answered"}.get(status, status)
