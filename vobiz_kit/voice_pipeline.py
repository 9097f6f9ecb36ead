"""Ears, mind and voice of an agent: Deepgram, OpenAI and its voice, set up for the telephone."""

from __future__ import annotations

import ssl
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vobiz_kit.caller_care import care_of
from vobiz_kit.directory import Directory

if TYPE_CHECKING:
    from httpx import Request
    from livekit.agents.voice.agent_session import SessionConnectOptions
    from openai import AsyncClient

    from vobiz_kit.settings import Settings

# Models that the services offer. The lab's stand-ins take these names, too.
STT_MODEL = "nova-3"
LLM_MODEL = "gpt-4.1-mini"
TTS_MODEL = "gpt-4o-mini-tts"
VOICE = "alloy"

OPENAI_URL = "https://api.openai.com/v1"
DEEPGRAM_URL = "https://api.deepgram.com/v1/listen"

# Milliseconds of silence after which Deepgram calls a sentence finished. The plugin's 25 would cut
# people off between two words, since no turn detector (a model of LiveKit Cloud) looks after it.
ENDPOINTING_MS = 300
# Seconds from Deepgram's word that the sentence is finished to the agent's turn: it counts from
# there and not from the last word (measured), so every bit of it is heard as a pause.
MIN_DELAY_S = 0.1
# How turns are taken on the telephone, by whatever services: arguments of an `AgentSession`.
TURN_TAKING: dict[str, Any] = {
    "turn_handling": {
        "turn_detection": "stt",
        "endpointing": {"min_delay": MIN_DELAY_S},
        # "adaptive", the other mode, asks a model of LiveKit Cloud.
        "interruption": {"mode": "vad"},
    },
    # The telephone network cancels echo. Warming up a canceller would make the agent deaf for
    # the first three seconds of its greeting.
    "aec_warmup_duration": None,
    # The session would wait 2 s for a last transcript when the caller is gone, and the job
    # would live on for as long.
    "session_close_transcript_timeout": 0.0,
}

# How long a service that does not answer is waited for: the plugins' own 10 s for the model and
# 30 s for the voice, three times over, would be silence on the phone. The first try again comes
# after 0.1 s, the others after another pause each.
ANSWER_WITHIN_S, ANSWER_RETRY_S = 3.5, 1.5
HEARING_WITHIN_S, HEARING_RETRY_S = 2.5, 1.0


def voice_pipeline(settings: Settings) -> dict[str, Any]:
    """What an `AgentSession` needs to talk on the phone: ``AgentSession(**voice_pipeline(s))``.

    Everything runs without LiveKit Cloud: turns end when the transcript says so, interruptions are
    noticed by the voice activity detector that comes with livekit-agents. Called in a job, the
    three services are closed with it; make a pipeline for each call.

    Args:
        settings: OPENAI_API_KEY and DEEPGRAM_API_KEY, and their base URLs if they are not the
            services' own.

    Returns:
        ``stt``, ``llm``, ``tts``, how turns are taken (``turn_handling``,
        ``aec_warmup_duration`` and ``session_close_transcript_timeout``), and for how long a
        service that is down is tried again: ``conn_options``.

    Raises:
        SettingsError: a key is missing.
    """
    settings.require("OPENAI_API_KEY", "DEEPGRAM_API_KEY")
    from livekit.agents import get_job_context
    from livekit.plugins import deepgram, openai

    client = _openai_client(settings)
    stt = deepgram.STT(
        model=STT_MODEL,
        api_key=settings.deepgram_api_key.reveal(),
        base_url=settings.deepgram_base_url or DEEPGRAM_URL,
        endpointing_ms=ENDPOINTING_MS,
        # Names that have to be heard right, since a transfer hangs on them.
        keyterm=list(Directory.from_settings(settings).aliases),
    )
    llm = openai.LLM(model=LLM_MODEL, client=client)
    tts = openai.TTS(model=TTS_MODEL, voice=VOICE, client=client, response_format="pcm")
    if (job := get_job_context(required=False)) is not None:

        async def close_services() -> None:
            for service in (stt, llm, tts):
                await service.aclose()
            await client.close()

        job.add_shutdown_callback(close_services)
        if (care := care_of(job)) is not None:
            care.watch_services(stt, llm, tts)
    return {
        "stt": stt,
        "llm": llm,
        "tts": tts,
        **TURN_TAKING,
        "conn_options": patience(),
    }


def patience() -> SessionConnectOptions:
    """For how long a session tries again what a service does not answer."""
    from livekit.agents import APIConnectOptions
    from livekit.agents.voice.agent_session import SessionConnectOptions

    answering = APIConnectOptions(
        max_retry=3, retry_interval=ANSWER_RETRY_S, timeout=ANSWER_WITHIN_S
    )
    hearing = APIConnectOptions(
        max_retry=3, retry_interval=HEARING_RETRY_S, timeout=HEARING_WITHIN_S
    )
    return SessionConnectOptions(
        stt_conn_options=hearing, llm_conn_options=answering, tts_conn_options=answering
    )


def _openai_client(settings: Settings) -> AsyncClient:
    """One connection pool for mind and voice, made without stalling the call's event loop.

    Each plugin would make a client of its own, and each reads all certificates: 60 ms in all in
    which nothing else happens in the job (measured).
    """
    from openai import AsyncClient, DefaultAsyncHttpxClient

    url = settings.openai_base_url or OPENAI_URL
    here = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    return AsyncClient(
        api_key=settings.openai_api_key.reveal(),
        base_url=url,
        max_retries=0,  # the session retries
        timeout=ANSWER_WITHIN_S,
        http_client=DefaultAsyncHttpxClient(
            verify=_certificates(),
            trust_env=not here,  # HTTP_PROXY is not asked for a server on this machine
            event_hooks={"request": [_limit_waiting]},
        ),
    )


async def _limit_waiting(request: Request) -> None:
    """The voice's plugin asks for 30 s of patience with each request, whatever the session says."""
    waits = request.extensions["timeout"]
    waits.update(
        {kind: min(seconds or ANSWER_WITHIN_S, ANSWER_WITHIN_S) for kind, seconds in waits.items()}
    )


@cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()
