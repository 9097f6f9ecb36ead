"""A ready-made phone agent, and the pieces that it is made of.

One entrypoint serves both directions: a ``phone_number`` in the job's metadata means "dial", none
means "somebody has called us". The notebooks build the same entrypoint step by step.
"""

from __future__ import annotations

import aiohttp
from livekit import api, rtc
from livekit.agents import Agent, AgentSession, JobContext
from livekit.agents.voice.room_io import RoomOptions

from vobiz_kit.asked import Asked
from vobiz_kit.call_reports import report_of
from vobiz_kit.errors import NumberRefused, TrunkError
from vobiz_kit.jobs import DialFailed, settings_of
from vobiz_kit.outcomes import DialOutcome, dial_outcome, refused
from vobiz_kit.phone_agent import GREETING, PhoneAgent
from vobiz_kit.phone_job import PhoneJob, parse_job
from vobiz_kit.policy import check_destination
from vobiz_kit.settings import Settings
from vobiz_kit.tools import TransferTools
from vobiz_kit.trunks import find_outbound_trunk
from vobiz_kit.voice_pipeline import voice_pipeline

__all__ = ["PhoneAgent", "PhoneJob", "dial", "entrypoint", "parse_job", "start_session"]

OUTBOUND_GREETING = "Hello, this is the automatic assistant. How can I help you?"

CALLEE = "callee"


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
