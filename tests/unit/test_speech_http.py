"""The speech server's HTTP: OpenAI's and Deepgram's forms, keys and errors. No model is loaded."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.unit.speech_fakes import LoudnessModel, ScriptedRecogniser, loud, quiet
from vobiz_kit.lab.speech.faults import Faults
from vobiz_kit.lab.speech.listen_api import ListenApi
from vobiz_kit.lab.speech.openai_api import MODELS, OpenAiApi
from vobiz_kit.lab.speech.voice import Voice

OPENAI, DEEPGRAM = "sk-lab-1", "dg-1"
BEARER = {"Authorization": f"Bearer {OPENAI}"}
TOKEN = {"Authorization": f"Token {DEEPGRAM}"}
PIPER_HZ = 22_050
Client = TestClient[web.Request, web.Application]


class Piper:
    """``piper.http_server``'s one request: a tone of 0.1 s for each word."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status = 200

    async def synthesize(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        seconds = 0.1 * len(self.asked[-1]["text"].split()) * self.asked[-1]["length_scale"]
        times = np.arange(round(seconds * PIPER_HZ)) / PIPER_HZ
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(PIPER_HZ)
            out.writeframes((np.sin(2 * np.pi * 440 * times) * 9000).astype("<i2").tobytes())
        return web.Response(body=file.getvalue(), status=self.status)


@asynccontextmanager
async def served(
    recogniser: ScriptedRecogniser | None = None, piper: Piper | None = None
) -> AsyncIterator[Client]:
    """The server's application, with a voice behind it (none answers if ``piper`` is None)."""
    behind = web.Application()
    if piper:
        behind.add_routes([web.post("/synthesize", piper.synthesize)])
    async with TestServer(behind) as voice_server:
        voice = Voice(str(voice_server.make_url("")).rstrip("/"))
        recogniser = recogniser or ScriptedRecogniser()
        app = web.Application(client_max_size=2**24)
        faults = Faults()
        listen = ListenApi(DEEPGRAM, recogniser.as_recogniser, LoudnessModel(), faults)
        openai = OpenAiApi(OPENAI, voice, faults)
        app.add_routes([*openai.routes(), *listen.routes(), *faults.routes()])
        try:
            async with TestClient(TestServer(app)) as client:
                yield client
        finally:
            await voice.aclose()


def chat(**changed: Any) -> dict[str, Any]:
    return {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}], **changed}


TRANSFER = {
    "type": "function",
    "function": {
        "name": "transfer_call",
        "parameters": {
            "type": "object",
            "properties": {"destination": {"type": "string", "enum": ["billing", "sales"]}},
            "required": ["destination"],
        },
    },
}
ASKED = [{"role": "user", "content": "Please transfer me to billing"}]


# ------------------------------------------------------------------------------ OpenAI: chat


async def test_models_say_what_they_are() -> None:
    async with served() as client:
        body = await (await client.get("/v1/models", headers=BEARER)).json()
        assert [model["id"] for model in body["data"]] == list(MODELS)
        assert "not a language model" in body["data"][0]["description"]
        one = await client.get("/v1/models/lab-voice", headers=BEARER)
        assert (await one.json())["id"] == "lab-voice"
        other = await client.get("/v1/models/gpt-9", headers=BEARER)
        assert (other.status, (await other.json())["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, TOKEN, {"Authorization": OPENAI}]
)
async def test_a_wrong_key_is_refused_as_openai_does(headers: dict[str, str]) -> None:
    async with served() as client:
        for request in (
            client.get("/v1/models", headers=headers),
            client.post("/v1/chat/completions", json=chat(), headers=headers),
            client.post("/v1/audio/speech", json={}, headers=headers),
        ):
            response = await request
            error = (await response.json())["error"]
            assert response.status == 401
            assert error["code"] == "invalid_api_key"
            assert OPENAI not in error["message"]


async def test_a_completion() -> None:
    async with served() as client:
        response = await client.post("/v1/chat/completions", json=chat(), headers=BEARER)
        body = await response.json()
    assert (body["object"], body["model"]) == ("chat.completion", "gpt-4.1-mini")
    (choice,) = body["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hello, how can I help you?"}
    assert choice["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + 6
    assert response.headers["x-request-id"].startswith("req_")


async def test_a_completion_that_calls_a_tool() -> None:
    async with served() as client:
        request = chat(messages=ASKED, tools=[TRANSFER])
        response = await client.post("/v1/chat/completions", json=request, headers=BEARER)
        (choice,) = (await response.json())["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert call["function"]["name"] == "transfer_call"
    assert json.loads(call["function"]["arguments"]) == {"destination": "billing"}


async def events(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    assert response.content_type == "text/event-stream"
    lines = [line for line in (await response.text()).split("\n\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    done = lines[-1] == "data: [DONE]"
    return [json.loads(line[6:]) for line in (lines[:-1] if done else lines)]


async def test_a_streamed_completion() -> None:
    async with served() as client:
        request = chat(stream=True, stream_options={"include_usage": True})
        response = await client.post("/v1/chat/completions", json=request, headers=BEARER)
        chunks = await events(response)
        plain = await client.post("/v1/chat/completions", json=chat(stream=True), headers=BEARER)
        assert all("usage" not in chunk for chunk in await events(plain))
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    *deltas, usage = chunks
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 6)
    content = [chunk["choices"][0]["delta"].get("content", "") for chunk in deltas]
    assert "".join(content) == "Hello, how can I help you?"
    assert deltas[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [c["choices"][0]["finish_reason"] for c in deltas[-2:]] == [None, "stop"]


async def test_a_streamed_tool_call() -> None:
    async with served() as client:
        request = chat(messages=ASKED, tools=[TRANSFER], stream=True)
        response = await client.post("/v1/chat/completions", json=request, headers=BEARER)
        chunks = await events(response)
    calls = [call for c in chunks for call in c["choices"][0]["delta"].get("tool_calls", [])]
    assert calls[0]["id"].startswith("call_")
    assert calls[0]["function"] == {"name": "transfer_call", "arguments": ""}
    assert all("id" not in call for call in calls[1:])
    arguments = "".join(call["function"]["arguments"] for call in calls)
    assert json.loads(arguments) == {"destination": "billing"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        ({"messages": ASKED}, "model"),
        (chat(messages=[]), "messages"),
        (chat(messages="hello"), "messages"),
        (chat(messages=[{"role": "wizard", "content": "x"}]), "messages[0].role"),
        (chat(messages=[{"role": "user", "content": 5}]), "messages[0].content"),
        (chat(messages=[{"role": "tool", "content": "x"}]), "messages[0].tool_call_id"),
        (chat(messages=[{"role": "assistant", "tool_calls": [1]}]), "messages[0].tool_calls"),
        (chat(tools=[5]), "tools[0]"),
        (chat(tools=[{"type": "function", "function": {"name": "a b"}}]), "tools[0].function.name"),
        (chat(tools={"x": 1}), "tools"),
        (chat(tool_choice="required"), "tool_choice"),
        (chat(tools=[TRANSFER], tool_choice={"function": {"name": "x"}}), "tool_choice"),
        (
            chat(tools=[{"type": "function", "function": {"name": "a", "parameters": []}}]),
            "tools[0].function.parameters",
        ),
    ],
)
async def test_a_bad_chat_request_is_refused(body: Any, param: str | None) -> None:
    async with served() as client:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = await client.post("/v1/chat/completions", data=data, headers=BEARER)
        error = (await response.json())["error"]
    assert (response.status, error["type"]) == (400, "invalid_request_error")
    assert error["param"] == param


# ------------------------------------------------------------------------------ OpenAI: speech


def speech(**changed: Any) -> dict[str, Any]:
    usual = {"model": "gpt-4o-mini-tts", "voice": "alloy", "response_format": "pcm"}
    return {**usual, "input": "One two three. Four five.", **changed}


async def test_speech_is_24_khz_pcm_made_sentence_by_sentence() -> None:
    piper = Piper()
    async with served(piper=piper) as client:
        response = await client.post("/v1/audio/speech", json=speech(), headers=BEARER)
        pcm = await response.read()
        assert response.content_type == "audio/pcm"
        again = await client.post("/v1/audio/speech", json=speech(), headers=BEARER)
        assert await again.read() == pcm
    assert [asked["text"] for asked in piper.asked] == ["One two three.", "Four five."]
    # 0.3 s, a breath of 0.15 s, 0.2 s.
    assert len(pcm) == pytest.approx(2 * 24_000 * 0.65, abs=8)


async def test_speed_is_passed_on() -> None:
    piper = Piper()
    async with served(piper=piper) as client:
        await client.post("/v1/audio/speech", json=speech(speed=2), headers=BEARER)
    assert {asked["length_scale"] for asked in piper.asked} == {0.5}


async def test_speech_as_events_as_the_plugin_asks_for_it() -> None:
    async with served(piper=Piper()) as client:
        request = speech(stream_format="sse")
        response = await client.post("/v1/audio/speech", json=request, headers=BEARER)
        found = await events(response)
    *deltas, done = found
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert done == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 5, "output_tokens": 0, "total_tokens": 5},
    }
    pcm = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    assert len(pcm) == pytest.approx(2 * 24_000 * 0.65, abs=8)


@pytest.mark.parametrize(
    ("form", "content_type", "magic"),
    [
        ("wav", "audio/wav", b"RIFF"),
        ("mp3", "audio/mpeg", b"ID3"),
        ("opus", "audio/ogg", b"OggS"),
        ("flac", "audio/flac", b"fLaC"),
    ],
)
async def test_speech_as_a_file(form: str, content_type: str, magic: bytes) -> None:
    async with served(piper=Piper()) as client:
        request = speech(response_format=form)
        response = await client.post("/v1/audio/speech", json=request, headers=BEARER)
        data = await response.read()
    assert (response.status, response.content_type) == (200, content_type)
    assert data.startswith(magic)
    if form == "wav":
        with wave.open(io.BytesIO(data)) as file:
            assert (file.getframerate(), file.getnchannels()) == (24_000, 1)


async def test_what_cannot_be_spoken_is_a_moment_of_silence() -> None:
    piper = Piper()
    async with served(piper=piper) as client:
        response = await client.post("/v1/audio/speech", json=speech(input="…"), headers=BEARER)
        pcm = await response.read()
    assert response.status == 200
    assert pcm == bytes(len(pcm)) != b""
    assert piper.asked == []


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": "x" * 4097}, "input"),
        ({"model": None}, "model"),
        ({"response_format": "midi"}, "response_format"),
        ({"speed": 9}, "speed"),
        ({"speed": True}, "speed"),
    ],
)
async def test_a_bad_speech_request_is_refused(changed: dict[str, Any], param: str) -> None:
    async with served(piper=Piper()) as client:
        response = await client.post("/v1/audio/speech", json=speech(**changed), headers=BEARER)
        assert (response.status, (await response.json())["error"]["param"]) == (400, param)


async def test_no_voice_is_a_503_that_says_where_to_look() -> None:
    broken = Piper()
    broken.status = 500
    for piper in (None, broken):
        async with served(piper=piper) as client:
            response = await client.post("/v1/audio/speech", json=speech(), headers=BEARER)
            error = (await response.json())["error"]
        assert (response.status, error["code"]) == (503, "voice_unavailable")
        assert "lab logs voice" in error["message"]


# ------------------------------------------------------------------------------ Deepgram


def wav(pcm: bytes, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)
    return file.getvalue()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Token wrong"}, BEARER])
async def test_a_wrong_key_is_refused_as_deepgram_does(headers: dict[str, str]) -> None:
    async with served() as client:
        response = await client.post("/v1/listen", data=wav(loud(1)), headers=headers)
        body = await response.json()
        assert (response.status, body["err_code"]) == (401, "INVALID_AUTH")
        assert body["request_id"] == response.headers["dg-request-id"]
        with pytest.raises(aiohttp.WSServerHandshakeError) as info:
            await client.ws_connect(
                "/v1/listen?encoding=linear16&sample_rate=16000", headers=headers
            )
        assert info.value.status == 401


async def test_a_recording_is_recognised() -> None:
    recogniser = ScriptedRecogniser("Plus one five, please.")
    async with served(recogniser) as client:
        query = "punctuate=true&numerals=true&keyterm=Vobiz&keyterm=billing&language=en-US"
        sound = wav(quiet(0.5) + loud(1) + quiet(0.5) + loud(1) + quiet(0.5))
        response = await client.post(f"/v1/listen?{query}", data=sound, headers=TOKEN)
        body = await response.json()
    (found,) = body["results"]["channels"][0]["alternatives"]
    assert found["transcript"] == "+15, please."
    assert [word["punctuated_word"] for word in found["words"]] == ["+15,", "please."]
    assert body["metadata"]["duration"] == pytest.approx(3.5, abs=0.01)
    assert body["metadata"]["request_id"] == response.headers["dg-request-id"]
    ((seconds, hot_words, _),) = recogniser.heard  # one sentence, in spite of the pause
    assert seconds == pytest.approx(3.5, abs=0.01)
    assert hot_words == ("Vobiz", "billing")


async def test_a_long_recording_is_recognised_in_parts() -> None:
    recogniser = ScriptedRecogniser("One.", "Two.", "Three.")
    async with served(recogniser) as client:
        sound = wav((loud(10) + quiet(1)) * 3)
        response = await client.post("/v1/listen?punctuate=true", data=sound, headers=TOKEN)
        (found,) = (await response.json())["results"]["channels"][0]["alternatives"]
    assert found["transcript"] == "One. Two. Three."
    starts = [word["start"] for word in found["words"]]
    assert starts == pytest.approx([0, 10.75, 21.75], abs=0.1)


async def test_raw_audio_is_recognised_and_silence_is_not() -> None:
    recogniser = ScriptedRecogniser("Hello.")
    async with served(recogniser) as client:
        url = "/v1/listen?encoding=linear16&sample_rate=8000"
        response = await client.post(url, data=loud(1, 8000), headers=TOKEN)
        (found,) = (await response.json())["results"]["channels"][0]["alternatives"]
        assert found["transcript"] == "hello"  # Deepgram's default has no punctuation
        silence = await client.post(url, data=quiet(1, 8000), headers=TOKEN)
        (found,) = (await silence.json())["results"]["channels"][0]["alternatives"]
        assert found == {"transcript": "", "confidence": 0.0, "words": []}
    assert len(recogniser.heard) == 1


@pytest.mark.parametrize(
    ("query", "data"),
    [
        ("", b"no sound"),
        ("", b""),
        ("encoding=opus", b"x"),
        ("encoding=linear16", b"x"),
        ("encoding=linear16&sample_rate=7", b"x"),
        ("encoding=linear16&sample_rate=many", b"x"),
        ("language=de", wav(loud(0.1))),
        ("channels=2", wav(loud(0.1))),
        ("utterance_end_ms=soon", wav(loud(0.1))),
    ],
)
async def test_a_bad_listen_request_is_refused(query: str, data: bytes) -> None:
    async with served() as client:
        response = await client.post(f"/v1/listen?{query}", data=data, headers=TOKEN)
        body = await response.json()
    assert (response.status, body["err_code"]) == (400, "Bad Request")
    assert response.headers["dg-error"] == body["err_msg"][:200]


LIVE = "/v1/listen?encoding=linear16&sample_rate=16000&vad_events=true&endpointing=25"


async def test_a_live_stream_to_its_end() -> None:
    async with served(ScriptedRecogniser("Hello.")) as client:
        async with client.ws_connect(LIVE, headers=TOKEN) as ws:
            await ws.send_json({"type": "KeepAlive"})
            await ws.send_bytes(loud(1))
            await ws.send_json({"type": "SomethingNew"})  # ignored
            await ws.send_bytes(quiet(0.6))
            assert (await ws.receive_json(timeout=2))["type"] == "SpeechStarted"
            result = await ws.receive_json(timeout=2)
            assert result["channel"]["alternatives"][0]["transcript"] == "hello"
            await ws.send_json({"type": "CloseStream"})
            assert (await ws.receive_json(timeout=2))["type"] == "Metadata"
            assert (await ws.receive(timeout=2)).type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 1000


async def test_a_failing_recogniser_closes_the_stream_and_leaves_the_server_well() -> None:
    async with served(ScriptedRecogniser(RuntimeError("boom"), "Fine.")) as client:
        async with client.ws_connect(LIVE, headers=TOKEN) as ws:
            await ws.send_bytes(loud(1) + quiet(0.6))
            assert (await ws.receive_json(timeout=2))["type"] == "SpeechStarted"
            assert (await ws.receive(timeout=2)).type is aiohttp.WSMsgType.CLOSE
            assert ws.close_code == 1011
        async with client.ws_connect(LIVE, headers=TOKEN) as ws:
            await ws.send_bytes(loud(1) + quiet(0.6))
            await ws.receive_json(timeout=2)
            assert "Results" in (await ws.receive(timeout=2)).data


async def test_a_client_that_vanishes_leaves_nothing_behind() -> None:
    recogniser = ScriptedRecogniser("late")
    recogniser.go.clear()
    before = asyncio.all_tasks()
    async with served(recogniser) as client:
        ws = await client.ws_connect(LIVE, headers=TOKEN)
        await ws.send_bytes(loud(1) + quiet(0.6))
        await ws.receive_json(timeout=2)
        await ws.close()
    assert asyncio.all_tasks() - before == set()


@pytest.mark.parametrize(
    "query", ["encoding=opus&sample_rate=16000", "encoding=linear16", "sample_rate=16000"]
)
async def test_a_live_stream_of_another_kind_is_refused(query: str) -> None:
    async with served() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as info:
            await client.ws_connect(f"/v1/listen?{query}", headers=TOKEN)
        assert info.value.status == 400


@asynccontextmanager
async def broken(**services: str) -> AsyncIterator[Client]:
    """The server with some services broken from the start."""
    async with served() as client:
        assert (await client.post("/lab/faults", json=services)).status == 200
        yield client


@pytest.mark.parametrize(("fault", "status"), [("error500", 500), ("unauthorized", 401)])
async def test_a_broken_model_answers_as_it_was_told_until_it_is_reset(
    fault: str, status: int
) -> None:
    async with broken(chat=fault) as client:
        ask: dict[str, Any] = {"path": "/v1/chat/completions", "json": chat(), "headers": BEARER}
        assert (await client.post(**ask)).status == status
        assert (await client.get("/v1/models", headers=BEARER)).status == 200
        await client.delete("/lab/faults")
        assert (await client.post(**ask)).status == 200


async def test_a_service_that_refuses_cuts_the_connection() -> None:
    async with broken(speech="refuse") as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.post("/v1/audio/speech", json={}, headers=BEARER)


async def test_a_service_that_hangs_answers_nobody_until_it_is_mended() -> None:
    async with broken(chat="hang") as client:
        ask = client.post("/v1/chat/completions", json=chat(), headers=BEARER)
        asking = asyncio.ensure_future(ask)
        assert (await asyncio.wait({asking}, timeout=0.1))[0] == set()
        await client.delete("/lab/faults")
        assert (await asyncio.wait_for(asking, 5)).status == 503


async def test_live_streams_are_cut_when_the_ears_break_and_the_phones_go_on_hearing() -> None:
    async with served() as client:
        live = "/v1/listen?encoding=linear16&sample_rate=16000"
        async with client.ws_connect(live, headers=TOKEN) as ws:
            await client.post("/lab/faults", json={"listen": "error500"})
            assert (await ws.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSED
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(live, headers=TOKEN)
        answer = await client.post(
            "/v1/listen?encoding=linear16&sample_rate=16000", data=bytes(3200), headers=TOKEN
        )
        assert answer.status == 200


@pytest.mark.parametrize("body", [{"mind": "hang"}, {"chat": "asleep"}, []])
async def test_faults_that_make_no_sense_are_refused(body: Any) -> None:
    async with served() as client:
        assert (await client.post("/lab/faults", json=body)).status == 400
        assert set((await (await client.get("/lab/faults")).json()).values()) == {None}
