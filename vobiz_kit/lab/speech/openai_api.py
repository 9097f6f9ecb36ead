"""``/v1/models``, ``/v1/chat/completions`` and ``/v1/audio/speech`` in OpenAI's forms.

Source: platform.openai.com/docs/api-reference, and what openai-python and livekit-plugins-openai
1.8.9 read of it.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import struct
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
from aiohttp import web

from vobiz_kit.lab.speech import chat, sound
from vobiz_kit.lab.speech.chat import BadRequest
from vobiz_kit.lab.speech.faults import Faults, Service
from vobiz_kit.lab.speech.sound import SPEECH_HZ, Samples
from vobiz_kit.lab.speech.voice import Voice, VoiceUnavailableError
from vobiz_kit.lab.speech.words import words_of

log = logging.getLogger(__name__)

MODELS = {
    "lab-keyword-model": "A keyword matcher, not a language model: it reads the tools' schemas and"
    " the instructions, matches words, and understands nothing.",
    "lab-voice": "Piper with the voice en_US-joe (CC0), for /v1/audio/speech.",
    "lab-ears": "Whisper tiny.en (MIT), for Deepgram's /v1/listen.",
}
_CONTENT_TYPES = {
    "pcm": "audio/pcm",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
}
_LONGEST_INPUT = 4096
_A_MOMENT = np.zeros(SPEECH_HZ // 20, np.int16)


class OpenAiApi:
    """The handlers.

    Args:
        key: Who may ask: ``Authorization: Bearer <key>``.
        voice: Speaks.
        faults: What is broken.
    """

    def __init__(self, key: str, voice: Voice, faults: Faults | None = None) -> None:
        self._key = key
        self._voice = voice
        self._faults = faults or Faults()
        self._seen: set[str] = set(MODELS)

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        return [
            web.get("/v1/models", self._answered(self.models)),
            web.get("/v1/models/{model}", self._answered(self.model)),
            web.post("/v1/chat/completions", self._answered(self.chat_completions, "chat")),
            web.post("/v1/audio/speech", self._answered(self.speech, "speech")),
        ]

    def _answered(
        self,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        service: Service | None = None,
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler, behind the key, with OpenAI's errors."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if service and (struck := await self._faults.strike(service, request)) is not None:
                return struck
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(
                key.strip().encode(), self._key.encode()
            ):
                return _error(
                    401,
                    "Incorrect API key provided. The lab's key is OPENAI_API_KEY in its lab.env.",
                    code="invalid_api_key",
                )
            try:
                return await handler(request)
            except BadRequest as error:
                return _error(400, str(error), param=error.param)
            except VoiceUnavailableError as error:
                return _error(503, str(error), kind="server_error", code="voice_unavailable")

        return handle

    async def models(self, request: web.Request) -> web.Response:
        """What there is, and what it is."""
        return web.json_response({"object": "list", "data": [_model(name) for name in MODELS]})

    async def model(self, request: web.Request) -> web.Response:
        """One of them."""
        name = request.match_info["model"]
        if name not in MODELS:
            return _error(404, f"The model {name!r} does not exist here.", code="model_not_found")
        return web.json_response(_model(name))

    async def chat_completions(self, request: web.Request) -> web.StreamResponse:
        """Answer with the keyword model, at once or as a stream of events."""
        body = await _json_body(request)
        completion = chat.complete(body)
        self._note_model(completion.model, "lab-keyword-model")
        if not body.get("stream"):
            return web.json_response(completion.document(), headers=_request_id())
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", **_request_id()}
        )
        await response.prepare(request)
        usage = bool((body.get("stream_options") or {}).get("include_usage"))
        for chunk in completion.chunks(include_usage=usage):
            await response.write(_event(chunk))
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def speech(self, request: web.Request) -> web.StreamResponse:
        """Speak a text; what can be streamed is, sentence by sentence."""
        body = await _json_body(request)
        text, form, speed = _speech_request(body)
        self._note_model(str(body["model"]), "lab-voice")
        pieces = _with_something(self._voice.speak(text, speed))
        first = await anext(pieces)  # what goes wrong now can still be said by the status
        if form not in ("pcm", "wav"):
            everything = [first, *[piece async for piece in pieces]]
            return web.Response(
                body=sound.encode(everything, form), content_type=_CONTENT_TYPES[form]
            )
        events = body.get("stream_format") == "sse"
        content_type = "text/event-stream" if events else _CONTENT_TYPES[form]
        response = web.StreamResponse(headers={"Content-Type": content_type, **_request_id()})
        await response.prepare(request)
        data = (_wav_header() if form == "wav" else b"") + first.tobytes()
        await response.write(_audio_event(data) if events else data)
        async for piece in pieces:
            data = piece.tobytes()
            await response.write(_audio_event(data) if events else data)
        if events:
            count = len(words_of(text))
            usage = {"input_tokens": count, "output_tokens": 0, "total_tokens": count}
            await response.write(_event({"type": "speech.audio.done", "usage": usage}))
        await response.write_eof()
        return response

    def _note_model(self, asked: str, used: str) -> None:
        if asked not in self._seen:
            self._seen.add(asked)
            log.info("model %.60r was asked for: %s answers", asked, used)


async def _with_something(pieces: AsyncIterator[Samples]) -> AsyncIterator[Samples]:
    """The pieces, or a moment of silence if there is nothing that could be spoken."""
    nothing = True
    async for piece in pieces:
        nothing = False
        yield piece
    if nothing:
        yield _A_MOMENT


async def _json_body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise BadRequest(f"The body of your request is not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise BadRequest("The body of your request is not a JSON object.")
    return body


def _speech_request(body: dict[str, Any]) -> tuple[str, str, float]:
    for name in ("model", "input"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise BadRequest(f"{name!r} must be a non-empty string.", name)
    if len(body["input"]) > _LONGEST_INPUT:
        raise BadRequest(f"'input' is longer than {_LONGEST_INPUT} characters.", "input")
    form = body.get("response_format", "mp3")
    if form not in _CONTENT_TYPES:
        raise BadRequest(
            f"'response_format' must be one of {', '.join(_CONTENT_TYPES)}.", "response_format"
        )
    speed = body.get("speed", 1.0)
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.25 <= speed <= 4:
        raise BadRequest("'speed' must be a number from 0.25 to 4.", "speed")
    return body["input"], form, float(speed)


def _model(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "vobiz-kit lab",
        "description": MODELS[name],
    }


def _error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
) -> web.Response:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return web.json_response({"error": error}, status=status, headers=_request_id())


def _request_id() -> dict[str, str]:
    return {"x-request-id": f"req_{uuid.uuid4().hex}"}


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def _audio_event(data: bytes) -> bytes:
    return _event({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})


def _wav_header() -> bytes:
    frame, unknown = 2, 0xFFFFFFFF  # bytes; sound that streams is "as long as can be"
    return struct.pack(
        "<4sI8sIHHIIHH4sI",
        *(b"RIFF", unknown, b"WAVEfmt ", 16, 1, 1),  # 16 bytes of format: PCM, one channel
        *(SPEECH_HZ, SPEECH_HZ * frame, frame, 8 * frame, b"data", unknown),
    )
