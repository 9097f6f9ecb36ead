"""A ready-made phone agent, and the pieces that it is made of.

One entrypoint serves both directions: a ``phone_number`` in the job's metadata means "dial", none
means "somebody has called us". The notebooks build the same entrypoint step by step.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import aiohttp
from livekit import api, rtc
from livekit.agents import (
    Agent,
    AgentSession,
    JobContext,
    StopResponse,
    get_job_context,
    llm,
)
from livekit.agents.voice.room_io import RoomOptions

from vobiz_kit.asked import Asked
from vobiz_kit.call_reports import report_of
from vobiz_kit.errors import NumberRefused, TrunkError
from vobiz_kit.jobs import DialFailed, settings_of
from vobiz_kit.outcomes import DialOutcome, dial_outcome, refused
from vobiz_kit.phone_job import PhoneJob, parse_job
from vobiz_kit.policy import check_destination
from vobiz_kit.settings import Settings
from vobiz_kit.tools import TransferTools
from vobiz_kit.trunks import find_outbound_trunk
from vobiz_kit.voice_pipeline import voice_pipeline

__all__ = ["PhoneAgent", "PhoneJob", "dial", "entrypoint", "parse_job", "start_session"]

_log = logging.getLogger(__name__)

INSTRUCTIONS = """You are a friendly receptionist on the telephone.
Answer in one or two short sentences, in plain words without lists or symbols.
When the caller asks for a person or a department, transfer the call."""
GREETING = "Hello, thanks for calling. How can I help you?"
RESCUE_GREETING = "I am sorry, we were interrupted. How can I help you?"
OUTBOUND_GREETING = "Hello, this is the automatic assistant. How can I help you?"

CALLEE = "callee"
# Who talks for longer than that is no person who says hello; a recorded announcement may go on.
_LONGEST_HELLO_S = 8.0


async def entrypoint(ctx: JobContext) -> None:
    """Handle one call, inbound or outbound. `vobiz-kit worker` serves this one."""
    settings = settings_of(ctx)
    job = parse_job(ctx)
    agent = PhoneAgent(
        GREETING if job.direction == "inbound" else OUTBOUND_GREETING,
        tools=TransferTools(ctx, settings).flatten(),
    )
    await start_session(ctx, agent, settings)
    if job.phone_number is None:
        await agent.greet()
    else:
        await dial(ctx, settings, job.phone_number)
        await agent.greet_after_hello()


class PhoneAgent(Agent):
    """An agent that speaks first, and hands over callers if it has a tool for it.

    Args:
        greeting: Its first words.
        instructions: What it knows and how it behaves.
        tools: For example ``TransferTools(ctx, settings).flatten()``.
    """

    def __init__(
        self,
        greeting: str = GREETING,
        *,
        instructions: str = INSTRUCTIONS,
        tools: list[llm.Tool] | None = None,
    ) -> None:
        super().__init__(instructions=instructions, tools=[*(tools or [])])
        self._greeting = greeting
        self._greeted = asyncio.Event()

    async def greet(self) -> None:
        """Say the greeting, once, to its end. A caller who has lost an agent hears an apology."""
        if not self._greeted.is_set():
            self._greeted.set()
            job = get_job_context(required=False)
            rescued = job is not None and parse_job(job).rescue
            await self.session.say(RESCUE_GREETING if rescued else self._greeting)

    async def greet_after_hello(self, within: float = 1.0) -> None:
        """Greet somebody whom we have called: when they have said hello, or after a moment.

        Args:
            within: Seconds of silence after which we speak first.
        """
        stirred = asyncio.Event()  # they began or ceased to speak

        def stir(_: object) -> None:
            stirred.set()

        self.session.on("user_state_changed", stir)
        try:
            async with asyncio.timeout(_LONGEST_HELLO_S):
                while not self._greeted.is_set():
                    stirred.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stirred.wait(), within)
                    if not stirred.is_set() and self.session.user_state != "speaking":
                        break
        except TimeoutError:
            _log.info("greeting, although they are still talking")
        finally:
            self.session.off("user_state_changed", stir)
        await self.greet()  # which does nothing if their "hello" has been answered

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        """Answer a first "hello?" with the greeting instead of asking the model."""
        if not self._greeted.is_set():
            await self.greet()
            raise StopResponse


async def start_session(ctx: JobContext, agent: Agent, settings: Settings) -> AgentSession:
    """Join the call's room and start to listen; only phones are listened to.

    Args:
        ctx: The job.
        agent: Who talks.
        settings: For the voice pipeline.
    """
    session: AgentSession = AgentSession(**voice_pipeline(settings))
    await session.start(
        agent=agent,
        room=ctx.room,
        room_options=RoomOptions(
            participant_kinds=[rtc.ParticipantKind.PARTICIPANT_KIND_SIP], text_input=False
        ),
        session_host=False,  # LiveKit's own remote control; nobody here uses it
    )
    return session


async def dial(
    ctx: JobContext, settings: Settings, number: str, *, ringing_timeout_s: int = 30
) -> None:
    """Ring a phone and return when it has been answered. Start the session first.

    Args:
        ctx: The job; the phone joins its room.
        settings: Whose trunk, whose directory, and what may be dialled.
        number: A number, or an alias of the directory.
        ringing_timeout_s: Whole seconds that the phone may ring (LiveKit's own limit is 80).

    Raises:
        DialFailed: not answered, or refused by the policy; says why. Let it go through: the call
            is reported as failed, and the job ends.
    """
    report = report_of(ctx)
    try:
        asked = Asked("dial", "call", ctx.room.name)
        to = check_destination(number, settings, asked=asked)
        trunk_id = await find_outbound_trunk(settings)
    except NumberRefused as refusal:
        raise DialFailed(refused(refusal, number, DialOutcome)) from None
    except TrunkError as error:
        raise DialFailed(DialOutcome("no_trunk", number, evidence=error.what)) from None
    request = api.CreateSIPParticipantRequest(
        sip_trunk_id=trunk_id,
        sip_call_to=to.number,
        sip_number=settings.vobiz_outbound_number,
        room_name=ctx.room.name,
        participant_identity=CALLEE,
        participant_name=str(to),
        wait_until_answered=True,
    )
    request.ringing_timeout.seconds = ringing_timeout_s
    await report.tell("status", f"dialing {to}", to=to.number)
    try:
        await ctx.api.sip.create_sip_participant(request)
    except (api.ServerError, aiohttp.ClientError, TimeoutError) as error:
        raise DialFailed(dial_outcome(error, str(to), report.last_status)) from error
