"""A warm transfer: the caller waits on hold while the agent briefs the target, then joins the two.

The caller waits with music, the target's phone is rung into the same room and kept apart
(`vobiz_kit.consultation`), a second agent session tells whoever answers what it is about and asks
whether they take the call (`vobiz_kit.briefing`). A yes joins the two phones and ends everything
that listens, thinks or speaks; anything else gives the caller back to the agent.

What was measured in the lab (livekit-agents 1.8.9, livekit-server 1.13.5, livekit-sip 1.8.0):

- LiveKit's own `livekit.agents.beta.workflows.WarmTransferTask` is not used. It moves the target
  out of a room of its own by ``MoveParticipant``, which only LiveKit Cloud has: a livekit-server
  that you run answers "not implemented" (tried). Besides (read in its source), a target that is
  busy, declines or does not answer is one and the same error to it, nothing in it notices a caller
  who hangs up on hold, and it takes LiveKit's key from the environment. Its hold music and its way
  to close the agent's ears are used here.
- Caller and target hear each other 0.1 s after the target has been told "connecting you now".
  The caller hears the agent again 0.1 s after the carrier's "busy".
- The call stays at LiveKit: two phones in a room, which LiveKit does not end when one hangs up.
  So the job lives on without a session, and waits: 2 % of a core, against 10 % with a listening
  agent. It ends the call within 0.1 s after either has hung up. Nobody else does: if the process
  of the job is killed, whoever is left has to hang up by themselves (not tried).
- An agent that is taken down (``await agent.aclose()``) ends its calls, those after a warm
  transfer, too.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from livekit import rtc
from livekit.rtc.participant import UnpublishTrackError

from vobiz_kit.asked import Asked, sip_ids
from vobiz_kit.briefing import BriefingAgent
from vobiz_kit.call_reports import report_of
from vobiz_kit.consultation import API_ERRORS, Consultation
from vobiz_kit.errors import NumberRefused, TrunkError
from vobiz_kit.hold import Hold
from vobiz_kit.jobs import end_call
from vobiz_kit.outcomes import TransferOutcome, dial_outcome, refused
from vobiz_kit.policy import check_destination
from vobiz_kit.transfers import caller_to_transfer, claim_transfer, leaving
from vobiz_kit.trunks import find_outbound_trunk
from vobiz_kit.voice_pipeline import TURN_TAKING, patience

if TYPE_CHECKING:
    from livekit.agents import AgentSession, JobContext

    from vobiz_kit.directory import Destination, Directory
    from vobiz_kit.settings import Settings

# A person decides within seconds. An answering machine never does, and the caller waits.
DECIDES_WITHIN_S = 60.0

_watching: set[asyncio.Task[None]] = set()


async def warm_transfer(
    ctx: JobContext,
    session: AgentSession,
    settings: Settings,
    to: Destination | str,
    *,
    directory: Directory | None = None,
    briefing: str = "",
    ringing_timeout_s: int = 30,
) -> TransferOutcome:
    """Ask the target first, then connect the caller, and wait for how that ends.

    After "completed" caller and target talk to each other, the session is closed, and the job only
    waits for one of them to hang up: then it ends the call. After anything else but
    "caller_hung_up" the caller is with the agent again.

    Args:
        ctx: The job; its room is the caller's.
        session: The agent that talks with the caller.
        settings: Whose trunk, whose directory, and what may be dialled.
        to: An alias of the directory, or a number; a `Destination` has passed
            `vobiz_kit.policy.check_destination` already. Only its first number is rung.
        directory: The aliases that count; those of the settings if None.
        briefing: What the target should know, in sentences that can be spoken. What the caller
            said if "".
        ringing_timeout_s: Whole seconds that the target may take to answer, at least 1.

    Returns:
        The outcome; never raises for what the policy, the carrier or LiveKit did.
    """
    report = report_of(ctx)
    try:
        if isinstance(to, str):
            ids = sip_ids(phone.attributes for phone in ctx.room.remote_participants.values())
            asked = Asked("warm_transfer", "transfer", ctx.room.name, *ids)
            to = check_destination(to, settings, directory, asked)
    except NumberRefused as refusal:
        outcome = refused(refusal, str(to), TransferOutcome)
    else:
        told = f"the caller waits on hold while {to} is asked"
        await report.tell("transfer", told, to=to.number)
        transfer = _WarmTransfer(ctx, session, settings, to)
        outcome = await transfer.run(briefing, ringing_timeout_s)
    await report.conclude(outcome)
    return outcome


class _WarmTransfer:
    """One warm transfer, from putting the caller on hold to its end."""

    def __init__(
        self, ctx: JobContext, session: AgentSession, settings: Settings, to: Destination
    ) -> None:
        self._ctx = ctx
        self._session = session
        self._settings = settings
        self._to = to
        self._who = str(to)

    async def run(self, briefing: str, ringing_timeout_s: int) -> TransferOutcome:
        try:
            trunk_id = await find_outbound_trunk(self._settings)
        except TrunkError as error:
            return TransferOutcome("no_trunk", self._who, evidence=error.what)
        caller = caller_to_transfer(self._ctx.room, self._who)
        if isinstance(caller, TransferOutcome):
            return caller
        with claim_transfer(self._ctx.room.name) as claimed:
            if not claimed:
                return TransferOutcome("transfer_in_progress", self._who)
            started = time.monotonic()
            self._caller = caller
            self._hold = Hold(self._ctx.room, self._session, caller.identity)
            self._target = Consultation(self._ctx, self._settings, caller, self._to)
            outcome = await self._consult(trunk_id, briefing, ringing_timeout_s)
            return outcome.took(time.monotonic() - started)

    async def _consult(
        self, trunk_id: str, briefing: str, ringing_timeout_s: int
    ) -> TransferOutcome:
        """Put the caller on hold, ask the target, and give the caller back if it said no."""
        outcome: TransferOutcome | None = None
        with leaving(self._ctx.room, self._caller.identity) as left:
            asking = asyncio.create_task(
                self._ask(trunk_id, briefing, ringing_timeout_s), name=f"consult {self._who}"
            )
            gone = asyncio.create_task(left.wait(), name="the caller leaves")
            try:
                await self._hold.begin()
                await asyncio.wait({asking, gone}, return_when=asyncio.FIRST_COMPLETED)
                if left.is_set():
                    evidence = "the caller left while on hold"
                    outcome = TransferOutcome("caller_hung_up", self._who, evidence=evidence)
                else:
                    outcome = asking.result()
                return outcome
            finally:
                joined = outcome is not None and outcome.ok
                if not joined and not left.is_set():
                    await self._hold.back_to_agent()  # before anything else
                for task in (asking, gone):
                    task.cancel()
                await asyncio.gather(asking, gone, return_exceptions=True)
                await self._hold.stop_music()
                await self._target.aclose(keep_leg=joined)

    async def _ask(self, trunk_id: str, briefing: str, ringing_s: int) -> TransferOutcome:
        """Ring, brief, and join the two if the target takes the call."""
        number = self._caller.attributes.get("sip.phoneNumber", "")
        agent = BriefingAgent(self._session.history, briefing=briefing, caller_number=number)
        with leaving(self._ctx.room, self._target.identity) as left:
            try:
                # First, so that whoever answers is not met by silence.
                await self._target.start_briefing(agent, pipeline_of(self._session))
                await self._target.ring(trunk_id, ringing_s)
                told = f"{self._who} answered and is briefed"
                await report_of(self._ctx).tell("transfer", told)
                await self._target.confirm_apart()
            except (*API_ERRORS, rtc.ConnectError) as error:
                return self._not_reached(error)
            decision = await self._decision(agent, left)
            if not decision.ok:
                return decision
            try:
                await asyncio.gather(self._target.join(), self._hold.stop_music())
            except API_ERRORS as error:
                return self._not_reached(error)
            if left.is_set():
                return TransferOutcome("hung_up", self._who, evidence="just as they were joined")
            await self._leave()
        return decision

    async def _decision(self, agent: BriefingAgent, left: asyncio.Event) -> TransferOutcome:
        greeting = asyncio.create_task(agent.greet_after_hello(), name="brief the target")
        leaves = asyncio.create_task(left.wait(), name="the target leaves")
        try:
            ends: set[asyncio.Future[Any]] = {agent.taken, leaves}
            await asyncio.wait(ends, timeout=DECIDES_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (greeting, leaves):
                task.cancel()
            await asyncio.gather(greeting, leaves, return_exceptions=True)
        if left.is_set():
            return TransferOutcome("hung_up", self._who, evidence="they left the briefing")
        if not agent.taken.done():
            evidence = f"neither yes nor no within {DECIDES_WITHIN_S:g} s"
            return TransferOutcome("not_taken", self._who, evidence=evidence)
        if not agent.taken.result():
            return TransferOutcome("not_taken", self._who, evidence="they said no")
        return TransferOutcome("completed", self._who)

    def _not_reached(self, error: Exception) -> TransferOutcome:
        dialled = dial_outcome(error, self._who, self._target.last_status)
        # The table means the phone that was dialled, which is the target here.
        name = "hung_up" if dialled.name == "caller_hung_up" else dialled.name
        return TransferOutcome(
            name, self._who, dialled.sip_status, dialled.sip_reason, dialled.evidence
        )

    async def _leave(self) -> None:
        """No more ears, mind and voice: the job stays as somebody who waits for the end."""
        watching = asyncio.create_task(
            _end_with_either(self._ctx, self._caller.identity, self._target.identity),
            name="wait for caller or target to hang up",
        )
        _watching.add(watching)
        watching.add_done_callback(_watching.discard)
        room = self._ctx.room
        for participant in room.remote_participants.values():
            for publication in participant.track_publications.values():
                publication.set_subscribed(False)
        self._session.shutdown(drain=False)
        for sid in [*room.local_participant.track_publications]:
            with suppress(UnpublishTrackError):  # the room has just ended
                await room.local_participant.unpublish_track(sid)


async def _end_with_either(ctx: JobContext, *phones: str) -> None:
    """End the call when one of its phones has left: LiveKit would leave the other in silence."""
    with ExitStack() as stack:
        events = [stack.enter_context(leaving(ctx.room, identity)) for identity in phones]
        waiting = [asyncio.create_task(event.wait(), name="a phone leaves") for event in events]
        try:
            if all(identity in ctx.room.remote_participants for identity in phones):
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
    if ctx.room.isconnected():
        await end_call(ctx, "caller or target hung up after the transfer")


def pipeline_of(session: AgentSession) -> dict[str, Any]:
    """Ears, mind and voice of a session, for another one beside it."""
    services = {
        "stt": session.stt,
        "llm": session.llm,
        "tts": session.tts,
        "vad": session.vad,
    }
    found = {name: service for name, service in services.items() if service}
    return {**found, **TURN_TAKING, "conn_options": patience()}
