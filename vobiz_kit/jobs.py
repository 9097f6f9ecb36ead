"""What the kit does around every job, whoever wrote its entrypoint.

A job is one call for the agent. It ends when the phone has gone, at once: left alone it would live
on for 20 seconds and more, and a caller whose agent has crashed would sit in silence for good (both
measured).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from vobiz_kit.call_reports import CallReport, report_of
from vobiz_kit.caller_care import CallerCare
from vobiz_kit.errors import CallError
from vobiz_kit.outcomes import DialOutcome, dial_outcome
from vobiz_kit.phone_job import parse_job
from vobiz_kit.room_connect import CallIsOver, check_same_room, finish_joining
from vobiz_kit.settings import Settings
from vobiz_kit.transfers import is_transferring, phone_in

if TYPE_CHECKING:
    from livekit import rtc
    from livekit.agents import JobContext

Entrypoint = Callable[["JobContext"], Awaitable[None]]

_log = logging.getLogger(__name__)
_settings: WeakKeyDictionary[JobContext, Settings] = WeakKeyDictionary()
_deleting: WeakKeyDictionary[JobContext, asyncio.Future[Any]] = WeakKeyDictionary()
_joining: WeakKeyDictionary[JobContext, asyncio.Future[None]] = WeakKeyDictionary()
# The entrypoint hears of a failed call by LiveKit's answer to its request to dial, a moment after
# the phone has left the room. It gets that long to say so itself.
_ENTRYPOINT_GRACE_S = 2.0
_LAST_STEPS_S = 0.2  # for an entrypoint to return by itself when its call is over
_JOINED_WITHIN_S = 3.0  # a twentieth of a second in the lab
GOODBYE = "I am sorry, I have to end this call now. Goodbye."
GOODBYE_WITHIN_S = 5.0


class DialFailed(CallError):  # noqa: N818 - a noun, as people say it
    """The call was not answered; ``outcome`` says why."""

    def __init__(self, outcome: DialOutcome) -> None:
        self.outcome = outcome
        super().__init__(
            outcome.happened,
            evidence="; ".join(part for part in (outcome.sip, outcome.evidence) if part),
            fix=outcome.advice,
            sip_status=outcome.sip_status,
        )


def settings_of(ctx: JobContext) -> Settings:
    """The settings that a job is served with; loaded if it is served by somebody else."""
    return _settings.get(ctx) or Settings.load()


async def run_job(ctx: JobContext, entrypoint: Entrypoint, settings: Settings) -> None:
    """Run an entrypoint, and see that its call ends decently whatever happens.

    - The phone leaves: the room is deleted and the job over, at once.
    - The entrypoint dials and the call fails: whoever watches is told, and the job is over.
    - The entrypoint raises anything else: who has been answered hears an apology, and is handed on
      or the call ends (`vobiz_kit.caller_care`); a call that still rings goes on ringing, so that
      another agent may take it.
    - Deepgram, the model or the voice is down: the same apology.

    Args:
        ctx: LiveKit's context of the job.
        entrypoint: The coroutine function that handles the call.
        settings: What the job is served with.

    Raises:
        Exception: what the entrypoint raised, but for a failed call.
    """
    from livekit.api import ServerError

    _settings[ctx] = settings
    give_api(ctx, settings)
    _guard_joining(ctx)
    report = report_of(ctx)
    watch = _PhoneWatch(ctx, report)
    ctx.add_shutdown_callback(watch.aclose)
    care = CallerCare(ctx, settings, end_call)
    ctx.add_shutdown_callback(care.aclose)
    try:
        await _run_while_connected(ctx, entrypoint)
    except CallIsOver as over:
        _log.info("%s", over)
        await end_call(ctx, "the call was over before the agent was there")
    except DialFailed as failure:
        await _end_failed_call(ctx, failure.outcome)
    except ServerError as error:
        if not _dials(ctx) or report.was_active:
            await _after_crash(ctx, report, care, error)
            raise
        await report_dial_failure(ctx, error)
    except Exception as error:
        await _after_crash(ctx, report, care, error)
        raise


async def end_call(ctx: JobContext, reason: str) -> None:
    """Hang up and end the job: the phone gets its BYE within milliseconds (measured).

    The room is deleted once, whoever asks and however often: of two requests at the same moment
    livekit-server 1.13.5 may keep an empty room (measured, 2 of 24).

    Args:
        ctx: The job.
        reason: For the log.
    """
    if (joining := _joining.get(ctx)) is not None:
        await asyncio.wait({joining}, timeout=_JOINED_WITHIN_S)
    if ctx not in _deleting:
        _deleting[ctx] = asyncio.ensure_future(ctx.delete_room())
    await asyncio.shield(_deleting[ctx])
    ctx.shutdown(reason)


async def say_goodbye(ctx: JobContext) -> None:
    """Last words if somebody is listening, then the end of the call. On the job's loop."""
    try:
        session = ctx.primary_session
    except RuntimeError:  # the agent has not come so far
        session = None
    if session is not None and report_of(ctx).last_status == "active":
        try:
            speech = session.say(GOODBYE, allow_interruptions=False)
            await asyncio.wait_for(speech.wait_for_playout(), GOODBYE_WITHIN_S)
        except (RuntimeError, TimeoutError) as error:
            _log.warning("no goodbye was said: %r", error)
    await end_call(ctx, "the agent is no longer served")


async def report_dial_failure(ctx: JobContext, error: Exception) -> DialOutcome:
    """Say why a call was not answered, and end the job.

    Use it where your own entrypoint asks LiveKit to dial: ``except api.SipCallError as error:``.
    An entrypoint that does not catch the error is served the same way.

    Args:
        ctx: The job.
        error: What ``create_sip_participant`` raised.

    Returns:
        What the error means. ``call.outcome`` is the same.
    """
    number = parse_job(ctx).phone_number or "the phone"
    outcome = dial_outcome(error, number, report_of(ctx).last_status)
    await _end_failed_call(ctx, outcome)
    return outcome


def give_api(ctx: JobContext, settings: Settings) -> None:
    """Make ``ctx.api`` use these settings; LiveKit's own takes whatever the environment says."""
    from livekit.agents.utils import http_context
    from livekit.api import LiveKitAPI

    ctx.api = LiveKitAPI(
        settings.livekit_url,
        settings.livekit_api_key,
        settings.livekit_api_secret.reveal(),
        session=http_context.http_session(),  # closed by LiveKit when the job is over
    )


async def _run_while_connected(ctx: JobContext, entrypoint: Entrypoint) -> None:
    """Run the entrypoint until it returns, or until the room is gone.

    LiveKit would wait for an entrypoint that is still busy, up to 15 s, and with it the end of the
    job: with a greeting, for one, that nobody hears any more.
    """
    gone = asyncio.Event()
    ctx.room.on("disconnected", lambda *_: gone.set())
    running = asyncio.ensure_future(entrypoint(ctx))
    leaving = asyncio.create_task(gone.wait(), name="the room ends")
    try:
        await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            with contextlib.suppress(RuntimeError):  # it has not come as far as a session
                ctx.primary_session.shutdown(drain=False)
            await asyncio.wait({running}, timeout=_LAST_STEPS_S)
        if running.done():
            running.result()
    finally:
        for task in (running, leaving):
            task.cancel()
        await asyncio.gather(running, leaving, return_exceptions=True)


def _guard_joining(ctx: JobContext) -> None:
    """Make ``ctx.connect()`` safe, however the entrypoint comes to call it."""
    connect = ctx.room.connect

    async def join(url: str, token: str, *options: Any, **more: Any) -> None:
        joining = asyncio.ensure_future(connect(url, token, *options, **more))
        _joining[ctx] = joining
        await finish_joining(ctx.room, joining)
        await check_same_room(ctx.room, ctx.job.room.sid)

    ctx.room.connect = join  # type: ignore[method-assign]


async def _end_failed_call(ctx: JobContext, outcome: DialOutcome) -> None:
    await report_of(ctx).conclude(outcome)
    await end_call(ctx, f"the call failed: {outcome.name}")


async def _after_crash(
    ctx: JobContext, report: CallReport, care: CallerCare, error: Exception
) -> None:
    evidence = f"{type(error).__name__}: {error}"
    if report.was_active:
        await care.give_up(evidence)
        return
    await report.tell("error", f"the agent's code raised {evidence}")
    if _dials(ctx):
        await report.conclude(DialOutcome("agent_failed", evidence=evidence))
        await end_call(ctx, "the agent's code raised an error")


def _dials(ctx: JobContext) -> bool:
    return parse_job(ctx).phone_number is not None


class _PhoneWatch:
    """Ends the job when the phone has left the room."""

    def __init__(self, ctx: JobContext, report: CallReport) -> None:
        self._ctx = ctx
        self._report = report
        self._ending: asyncio.Task[None] | None = None
        ctx.room.on("participant_disconnected", self._on_left)

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        from livekit.rtc import DisconnectReason, ParticipantKind

        if participant.kind != ParticipantKind.PARTICIPANT_KIND_SIP or self._ending:
            return
        if phone_in(self._ctx.room) is not None or is_transferring(self._ctx.room.name):
            return  # another phone is on the line; or the transfer's end decides
        reason = participant.disconnect_reason or DisconnectReason.UNKNOWN_REASON
        _log.info("the phone left the call (%s)", DisconnectReason.Name(reason))
        if reason == DisconnectReason.ROOM_DELETED:  # somebody else has ended the call
            self._ctx.shutdown("the call was ended")
            return
        self._ending = asyncio.create_task(self._end(), name="end the call")

    async def _end(self) -> None:
        if not (self._report.was_active or self._report.was_inbound):
            await asyncio.sleep(_ENTRYPOINT_GRACE_S)
        await end_call(self._ctx, "the phone left the call")

    async def aclose(self) -> None:
        self._ctx.room.off("participant_disconnected", self._on_left)
        if self._ending is not None and not self._ending.done():
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)
