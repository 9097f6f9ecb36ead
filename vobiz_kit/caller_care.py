"""What becomes of a caller whose agent cannot serve them: they are told, and handed on.

It works for every entrypoint, since it sits around the job and not in the learner's code:

- A service (Deepgram, the language model, the voice) fails and livekit-agents tries again: after a
  moment of silence the caller hears that it takes a moment.
- It stays down, the session closes itself, or the entrypoint raises: the caller hears an apology
  and is transferred to the alias "fallback" of the directory, if there is one; else the call ends.

None of it needs the service that is down: see `vobiz_kit.care_voice`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from vobiz_kit import care_voice
from vobiz_kit.asked import Asked
from vobiz_kit.call_reports import report_of
from vobiz_kit.care_voice import CareVoice
from vobiz_kit.dial_limits import DialLimits
from vobiz_kit.errors import NumberRefused
from vobiz_kit.hunting import transfer_to
from vobiz_kit.outcomes import DialOutcome, TransferOutcome, refused
from vobiz_kit.policy import check_destination
from vobiz_kit.process_mark import PROCESS_ATTRIBUTE, own_mark
from vobiz_kit.transfers import is_transferring, phone_in

if TYPE_CHECKING:
    from livekit.agents import AgentSession, JobContext

    from vobiz_kit.settings import Settings

_log = logging.getLogger(__name__)

FALLBACK = "fallback"  # the alias: FALLBACK_NUMBER in the settings
MOMENT = "I am sorry, one moment please."
HANDING_ON = "I am sorry, something is wrong on our side. I am connecting you to a colleague."
SORRY_GOODBYE = "I am sorry, something is wrong on our side. Please call again later. Goodbye."

# Seconds of silence that are still taken for thinking. The recogniser takes one before, so that
# the caller waits for less than five.
_SILENT_FOR_S = 3.0
# A model or a voice that has failed and is being asked again has so long to be heard.
_PATIENCE_S = 4.5
_LOOK_EVERY_S = 0.1
_SENTENCE_ENDS_WITHIN_S = 4.0
_WORDS_WITHIN_S = 3.0
_FALLBACK_RINGS_S = 25
_DECIDED_WITHIN_S = 60.0
_EVIDENCE = 300  # characters

_cares: WeakKeyDictionary[JobContext, CallerCare] = WeakKeyDictionary()


def care_of(ctx: JobContext) -> CallerCare | None:
    """Who looks after this job's caller; None if the job is not run by the kit."""
    return _cares.get(ctx)


class CallerCare:
    """Looks after one job's caller, from its making until `aclose`. On the job's loop.

    Args:
        ctx: The job.
        settings: Whose directory and trunk.
        end: Ends the call and the job, as `vobiz_kit.jobs.end_call`.
    """

    def __init__(
        self,
        ctx: JobContext,
        settings: Settings,
        end: Callable[[JobContext, str], Awaitable[None]],
    ) -> None:
        self._ctx = ctx
        self._settings = settings
        self._end = end
        self._report = report_of(ctx)
        self._voice = CareVoice(ctx.room)
        self._loop = asyncio.get_running_loop()
        self._services: tuple[Any, ...] = ()
        self._session: AgentSession | None = None
        self._heard_at = 0.0  # when the phone heard or said something last
        self._failing_since: float | None = None
        self._lost = ""  # what is down for good
        self._giving_up: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._watching = self._loop.create_task(self._watch(), name="caller care")
        _cares[ctx] = self

    def watch_services(self, *services: Any) -> None:
        """Take note of the errors of a session's services, from the first one on.

        Args:
            *services: Its stt, llm and tts.
        """
        self._services += services
        for service in services:
            service.on("error", self._on_error)

    async def give_up(self, why: str) -> None:
        """The agent's code has failed: apologise, hand the caller on, end the call. Done once.

        Args:
            why: The error, for whoever watches the call.
        """
        if self._giving_up is None:
            outcome = DialOutcome("agent_failed", evidence=why)
            self._giving_up = self._loop.create_task(self._give_up(outcome), name="give up")
        # A caller who hangs up meanwhile ends it; what was raised is still the entrypoint's error.
        await asyncio.wait({self._giving_up})

    async def aclose(self) -> None:
        """The job is over."""
        tasks = [task for task in (self._watching, self._keeping, self._giving_up) if task]
        tasks = [task for task in tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._voice.aclose()

    def _on_session_error(self, event: Any) -> None:
        if not any(event.source is service for service in self._services):
            self._on_error(event.error)

    def _on_error(self, error: Any) -> None:
        """A service failed; ``error`` is livekit-agents' own."""
        if care_voice.is_keeping():
            return
        cause = error.error
        why = f"{error.label}: {type(cause).__name__}: {getattr(cause, 'message', cause)}"[
            :_EVIDENCE
        ]
        _log.warning("%s (%s)", why, "it is tried again" if error.recoverable else "for good")
        if not error.recoverable:
            self._lost = self._lost or why
        elif error.type != "stt_error" and self._failing_since is None:
            # Deepgram is deaf for a moment only, and its coming back is told by nobody.
            self._failing_since = self._loop.time()

    def _on_closed(self, event: Any) -> None:
        if event.error is not None:
            self._lost = self._lost or f"the session closed itself: {event.error}"

    def _on_agent_state(self, event: Any) -> None:
        if event.new_state == "speaking":
            self._failing_since = None
            if self._giving_up is None:
                self._voice.stop()
        elif event.old_state == "speaking":
            self._keep_words()  # the voice works, and nobody waits for it just now

    def _keep_words(self, *first: str) -> None:
        if self._keeping is None and self._tts is not None:
            words = (MOMENT, *((HANDING_ON,) if self._has_fallback else ()), SORRY_GOODBYE)
            keeping = care_voice.keep(self._tts, *dict.fromkeys((*first, *words)))
            self._keeping = self._loop.create_task(keeping, name="keep words for bad times")

    def _has_or_lacks(self, words: str) -> bool:
        """Whether the words are kept, or nobody is about to keep them."""
        keeping = self._keeping is not None and not self._keeping.done()
        return not keeping or care_voice.kept(self._tts, words) is not None

    @property
    def _has_fallback(self) -> bool:
        return FALLBACK in self._settings.numbers

    @property
    def _tts(self) -> Any:
        return None if self._session is None else self._session.tts

    async def _watch(self) -> None:
        await self._until(self._ctx.room.isconnected, float("inf"))
        await self._ctx.room.local_participant.set_attributes({PROCESS_ATTRIBUTE: own_mark()})
        while self._giving_up is None:
            await asyncio.sleep(_LOOK_EVERY_S)
            self._find_session()
            if not self._is_answered or is_transferring(self._ctx.room.name):
                self._heard_at = self._loop.time()
            elif self._lost or self._is_out_of_patience:
                why = self._lost or "it did not answer in time, again and again"
                outcome = DialOutcome("service_failed", evidence=why)
                self._giving_up = self._loop.create_task(self._give_up(outcome), name="give up")
            elif self._is_silent and not self._voice.is_heard:
                await self._voice.say(MOMENT, self._tts, care_voice.wait_tone())
                self._heard_at = self._loop.time()

    def _find_session(self) -> None:
        if self._session is not None:
            return
        try:
            self._session = self._ctx.primary_session
        except RuntimeError:  # none has been started yet
            return
        self._session.on("error", self._on_session_error)
        self._session.on("close", self._on_closed)
        self._session.on("agent_state_changed", self._on_agent_state)

    @property
    def _is_answered(self) -> bool:
        phone = phone_in(self._ctx.room)
        return phone is not None and phone.attributes.get("sip.callStatus") == "active"

    @property
    def _is_out_of_patience(self) -> bool:
        since = self._failing_since
        return since is not None and self._loop.time() - since > _PATIENCE_S

    @property
    def _is_silent(self) -> bool:
        """Whether the agent owes the caller a sound, and for too long."""
        now, session = self._loop.time(), self._session
        if session is None or "speaking" in (session.agent_state, session.user_state):
            self._heard_at = now
            return False
        owes = session.agent_state == "thinking" or self._failing_since is not None
        return owes and now - self._heard_at > _SILENT_FOR_S

    async def _give_up(self, outcome: DialOutcome | TransferOutcome) -> None:
        text = f"{outcome.happened.rstrip('.')}: {outcome.evidence}"
        _log.error("the caller is given up: %s", text)
        await self._report.tell("error", text)
        try:
            # The agent must not leave before: a busy target would leave the caller alone.
            room = self._ctx.room
            await self._until(lambda: not is_transferring(room.name), _DECIDED_WITHIN_S)
            if phone_in(room) is not None:
                await self._until(lambda: not self._is_speaking, _SENTENCE_ENDS_WITHIN_S)
                needed = HANDING_ON if self._has_fallback else SORRY_GOODBYE
                if outcome.name == "agent_failed":  # its voice may well work
                    self._keep_words(needed)
                await self._until(lambda: self._has_or_lacks(needed), _WORDS_WITHIN_S)
                if self._session is not None:
                    self._session.shutdown(drain=False)
                if (handed := await self._hand_on()) is not None:
                    outcome = handed
                else:
                    await self._voice.say(SORRY_GOODBYE, self._tts, care_voice.trouble_tone())
        except Exception:  # noqa: BLE001 - the call has to end, whatever became of our words
            _log.exception("the caller could not be told")
        await self._report.conclude(outcome)
        await self._end(self._ctx, "the agent could not go on")

    async def _hand_on(self) -> TransferOutcome | None:
        """Transfer the caller to the fallback; None if they are still here afterwards."""
        if not self._has_fallback:
            return None
        try:
            # Not counted with the caller's own tries, which may be used up.
            asked = Asked("caller care", "transfer", self._ctx.room.name)
            to = check_destination(FALLBACK, self._settings, asked=asked, limits=DialLimits())
        except NumberRefused as refusal:
            await self._report.conclude(refused(refusal, FALLBACK, TransferOutcome))
            return None
        await self._voice.say(HANDING_ON, self._tts, care_voice.trouble_tone())
        await self._report.tell("transfer", f"asking the carrier to connect {to}", to=to.number)
        ringing = self._loop.create_task(self._ring(), name="ringing tone")
        try:
            outcome = await transfer_to(
                *(self._ctx.api, self._ctx.room, to, self._settings),
                ringing_timeout_s=_FALLBACK_RINGS_S,
            )
        finally:
            ringing.cancel()
            await asyncio.gather(ringing, return_exceptions=True)
        if outcome.ok or outcome.name == "caller_hung_up":
            return outcome
        await self._report.conclude(outcome)
        return None

    async def _ring(self) -> None:
        """The carrier's own ringing does not reach a caller who waits for a transfer."""
        while await self._voice.play(care_voice.ringing_tone()):
            continue

    @property
    def _is_speaking(self) -> bool:
        return self._session is not None and self._session.agent_state == "speaking"

    async def _until(self, met: Callable[[], bool], within: float) -> None:
        late = self._loop.time() + within
        while True:
            if met() or self._loop.time() > late:
                return
            await asyncio.sleep(_LOOK_EVERY_S)
