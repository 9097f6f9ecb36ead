"""``/v1/listen``: Deepgram's speech to text, live by WebSocket and pre-recorded by POST."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import onnxruntime  # type: ignore[import-untyped]
from aiohttp import WSCloseCode, WSMsgType, web

from vobiz_kit.lab.speech import deepgram
from vobiz_kit.lab.speech.deepgram import BadQuery, listen_options
from vobiz_kit.lab.speech.endpointing import Change, Endpointer
from vobiz_kit.lab.speech.faults import Faults
from vobiz_kit.lab.speech.live import LiveStream
from vobiz_kit.lab.speech.recogniser import LONGEST_S, Recogniser
from vobiz_kit.lab.speech.sound import EARS_HZ, Samples, UndecodableError, decode
from vobiz_kit.lab.speech.voice_activity import VoiceActivity

log = logging.getLogger(__name__)

# Deepgram closes a stream on which neither sound nor KeepAlive came for 10 s (its NET-0001).
_SILENT_FOR_S = 12
# A word's soft begin and end lie outside of what the detector takes for speech.
_MARGIN = int(0.25 * EARS_HZ)


class ListenApi:
    """The handlers.

    Args:
        key: Who may listen: ``Authorization: Token <key>``.
        recogniser: Started or being started.
        activity_model: What `voice_activity.load_model` gave.
        faults: What is broken.
    """

    def __init__(
        self,
        key: str,
        recogniser: Recogniser,
        activity_model: onnxruntime.InferenceSession,
        faults: Faults | None = None,
    ) -> None:
        self._faults = faults or Faults()
        self._key = key
        self._recogniser = recogniser
        self._activity_model = activity_model

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        return [
            web.get("/v1/listen", self._answered(self.live)),
            web.post("/v1/listen", self._answered(self.prerecorded)),
        ]

    def _answered(
        self, handler: Callable[[web.Request, str], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler, behind the key, with Deepgram's errors and request id."""

        async def handle(request: web.Request) -> web.StreamResponse:
            request_id = str(uuid.uuid4())
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "token" or not hmac.compare_digest(
                key.strip().encode(), self._key.encode()
            ):
                return _refused(401, "INVALID_AUTH", "Invalid credentials.", request_id)
            try:
                return await handler(request, request_id)
            except (BadQuery, UndecodableError) as error:
                return _refused(400, "Bad Request", f"Bad Request: {error}", request_id)

        return handle

    async def prerecorded(self, request: web.Request, request_id: str) -> web.Response:
        """Recognise a whole recording: a WAV file, or raw audio that the query describes."""
        options = listen_options(request.query, live=False)
        body = await request.read()
        if request.content_type == "application/json":
            raise BadQuery("the lab's ears fetch nothing by URL: send the audio itself")
        samples = await asyncio.to_thread(
            decode, body, options.encoding or None, options.sample_rate or None
        )
        stretches = await asyncio.to_thread(self._speech_in, samples)
        found = []
        for begin, end in stretches:
            recognition = await self._recogniser.recognise(samples[begin:end], options.hot_words)
            times = (begin / EARS_HZ, end / EARS_HZ)
            found.append(deepgram.alternative(recognition, *times, options))
        answer = deepgram.prerecorded(request_id, body, samples.size / EARS_HZ, found)
        return web.json_response(answer, headers={"dg-request-id": request_id})

    def _speech_in(self, samples: Samples) -> list[tuple[int, int]]:
        """The stretches with speech in them; a recording that is short enough is one."""
        endpointer = Endpointer(0)
        events = endpointer.feed(VoiceActivity(self._activity_model).feed(samples))
        events += endpointer.end()
        begins = [e.at for e in events if e.change in (Change.BEGINS, Change.IS_CUT)]
        ends = [e.at for e in events if e.change in (Change.ENDS, Change.IS_CUT)]
        if begins and samples.size <= LONGEST_S * EARS_HZ:
            return [(0, samples.size)]
        return [
            (max(0, begin - _MARGIN), min(samples.size, end + _MARGIN))
            for begin, end in zip(begins, ends, strict=True)
        ]

    async def live(self, request: web.Request, request_id: str) -> web.StreamResponse:
        """Recognise sound as it comes; see `live.LiveStream`."""
        # The phones' own ears, which use `prerecorded`, are never broken.
        if (struck := await self._faults.strike("listen", request)) is not None:
            return struck
        options = listen_options(request.query, live=True)
        ws = web.WebSocketResponse(heartbeat=None)
        ws.headers["dg-request-id"] = request_id
        await ws.prepare(request)

        async def send(message: dict[str, Any]) -> None:
            await ws.send_str(json.dumps(message))

        activity = VoiceActivity(self._activity_model)
        stream = LiveStream(options, request_id, self._recogniser, activity, send)
        receiver = asyncio.create_task(_receive(ws, stream), name=f"sound of {request_id}")
        breaking = asyncio.create_task(self._faults.breaks("listen"), name="the lab breaks it")
        try:
            await asyncio.wait(
                {receiver, stream.sender, breaking}, return_when=asyncio.FIRST_COMPLETED
            )
            if breaking.done() and request.transport is not None:
                request.transport.abort()
            await ws.close(code=_close_code(receiver, stream.sender, request_id))
        finally:
            for task in (receiver, breaking):
                task.cancel()
            await asyncio.gather(receiver, breaking, return_exceptions=True)
            await stream.aclose()
        return ws


async def _receive(ws: web.WebSocketResponse, stream: LiveStream) -> None:
    """Feed the stream until the client closes it, or is silent for too long (TimeoutError)."""
    while True:
        message = await ws.receive(timeout=_SILENT_FOR_S)
        if message.type is WSMsgType.BINARY:
            if not message.data:  # an empty message is an old form of CloseStream
                return await stream.close()
            stream.hear(message.data)
        elif message.type is WSMsgType.TEXT:
            match _type_of(message.data):
                case "CloseStream":
                    return await stream.close()
                case "Finalize":
                    stream.finalize()
                case "KeepAlive":
                    pass
                case other:
                    log.warning("ignored a live message of unknown type %.40r", other)
        else:
            return None


def _type_of(text: str) -> object:
    try:
        message = json.loads(text)
    except ValueError:
        return text
    return message.get("type") if isinstance(message, dict) else message


def _close_code(
    receiver: asyncio.Task[None], sender: asyncio.Task[None], request_id: str
) -> WSCloseCode:
    for task in (receiver, sender):
        if task.done() and not task.cancelled() and (error := task.exception()):
            if isinstance(error, TimeoutError):
                log.info("stream %s: neither sound nor KeepAlive for a while", request_id)
            elif not isinstance(error, ConnectionError):
                log.error("stream %s failed", request_id, exc_info=error)
            return WSCloseCode.INTERNAL_ERROR
    return WSCloseCode.OK


def _refused(status: int, code: str, message: str, request_id: str) -> web.Response:
    headers = {"dg-request-id": request_id, "dg-error": message.splitlines()[0][:200]}
    body = deepgram.refusal(code, message, request_id)
    return web.json_response(body, status=status, headers=headers)
