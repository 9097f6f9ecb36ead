"""The handsets over HTTP, through their client, with a carrier that only registers phones."""

from __future__ import annotations

import asyncio
import io
import wave
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from aiohttp.test_utils import TestServer

from tests.unit.handset_fakes import TonalSpeech, holds
from vobiz_kit.errors import CallError, NumberRefused, VobizKitError
from vobiz_kit.lab.handsets.client import Handset, reset
from vobiz_kit.lab.handsets.exchange import Exchange
from vobiz_kit.lab.handsets.phone import NotAnswered, NotHeard, Phone
from vobiz_kit.lab.handsets.routes import application
from vobiz_kit.lab.handsets.speech import SpeechClient
from vobiz_kit.lab.sip.endpoint import OutOfDialogRequest, SipEndpoint
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.media import RtpLeg
from vobiz_kit.lab.sip.transport import Address
from vobiz_kit.lab.state import SERVICE_PORTS, LabConfig

A, B = "+15550009999", "+15550008888"
BILLING, STRANGER = "+15550002222", "+15557654321"


class Registrar:
    """A carrier that registers phones and connects nobody, except as a test asks it to."""

    def __init__(self) -> None:
        self.endpoint = SipEndpoint("127.0.0.1", 0)
        self.endpoint.on_register = self._register
        self.registered: dict[str, Address] = {}
        self.refuses = False

    def _register(self, incoming: OutOfDialogRequest) -> None:
        to = incoming.request.to_addr
        number = (to.uri.user if to else "") or ""
        if self.refuses:
            incoming.respond(403, "Forbidden", {})
            return
        if incoming.request.get_header("expires") == "0":
            self.registered.pop(number, None)
        else:
            self.registered[number] = incoming.source
        incoming.respond(200, "OK", {"Expires": "60"})

    async def call(self, number: str, address: Address):
        rtp = await RtpLeg.open()
        leg = self.endpoint.invite(
            f"sip:{number}@lab", address, from_uri=f"sip:{B}@lab", sdp=rtp.offer()
        )
        return leg, rtp


@dataclass
class Lab:
    url: str
    exchange: Exchange
    carrier: Registrar
    speech: TonalSpeech

    def phone(self, number: str) -> Handset:
        return Handset(number, self.url)

    @property
    def switchboard(self) -> Address:
        return self.exchange._switchboard.address


@asynccontextmanager
async def lab():
    carrier = Registrar()
    await carrier.endpoint.start()
    ports = dict.fromkeys(SERVICE_PORTS, 0) | {"carrier_sip_port": carrier.endpoint.address[1]}
    config = LabConfig(name="unit", livekit_sip_rtp_first=0, livekit_sip_rtp_last=0, **ports)  # type: ignore[arg-type]
    speech = TonalSpeech()
    exchange = Exchange(config, speech)
    await exchange.start()
    server = TestServer(application(exchange))
    await server.start_server()
    try:
        yield Lab(str(server.make_url("/")), exchange, carrier, speech)
    finally:
        await exchange.aclose()
        await server.close()
        await carrier.endpoint.aclose()


async def test_a_phone_registers_when_it_is_made_and_is_forgotten_by_reset():
    async with lab() as here:
        phone: Phone = here.phone("+1 (555) 000-9999")
        assert phone.number == A
        assert isinstance(phone, Handset)
        assert await asyncio.to_thread(phone.plug_in) is phone
        assert list(here.carrier.registered) == [A]
        assert await phone.status() == {
            "number": A,
            "state": "idle",
            "calls": 0,
            "call": None,
            "registered": True,
        }
        assert repr(phone) == f"<Handset {A}: idle>"
        assert "role=" in phone._repr_html_()
        assert await reset(here.url) == {"calls": 0, "phones": [A]}
        assert here.carrier.registered == {}
        assert here.exchange.telephones == []


async def test_a_call_to_a_phone_is_answered_heard_recorded_and_hung_up():
    async with lab() as here:
        phone = here.phone(A)
        await phone.status()
        answering = asyncio.create_task(phone.answer(within=5))
        leg, rtp = await here.carrier.call(A, here.carrier.registered[A])
        await leg.wait_answered(3)
        rtp.accept_answer(leg.remote_sdp)
        assert (await answering)["state"] == "talking"
        keys: list[str] = []
        rtp.on_dtmf = keys.append
        rtp.say(here.speech.tone("good morning"))
        assert await phone.hears("good morning", within=3) == "good morning"
        await phone.says("hello")
        await phone.press("7")
        assert keys == ["7"]
        assert repr(phone) == f"<Handset {A}: talking, called by {B} (200 OK)>"
        assert type(await phone.recording("both")).__name__ == "Audio"
        with wave.open(io.BytesIO(phone.wav)) as file:
            assert (file.getnchannels(), file.getframerate()) == (2, 8000)
            assert file.getnframes() > 8000 // 2
        await phone.hang_up()
        assert (await leg.wait_ended(3)).by == "remote"
        assert (await phone.wait_until("ended", within=3))["call"]["ended_by"] == "local"
        await rtp.aclose()


async def test_the_person_of_a_department_answers_at_the_switchboard():
    async with lab() as here:
        billing = here.phone(BILLING)
        leg, rtp = await here.carrier.call(BILLING, here.switchboard)
        await leg.wait_answered(3)
        status = await billing.status()
        assert (status["state"], status["registered"]) == ("talking", False)
        assert await asyncio.to_thread(billing.plug_in) is billing
        assert BILLING not in here.carrier.registered
        await billing.behave(busy=True)
        other, other_rtp = await here.carrier.call(BILLING, here.switchboard)
        assert (await other.wait_ended(3)).status == 486
        await reset(here.url)
        assert (await leg.wait_ended(3)).by == "remote"
        await rtp.aclose()
        await other_rtp.aclose()


async def test_a_strangers_number_becomes_a_phone_once_somebody_asks_for_it():
    async with lab() as here:
        leg, rtp = await here.carrier.call(STRANGER, here.switchboard)
        rings = asyncio.Event()
        leg.on_event = lambda leg, event: rings.set()
        await asyncio.wait_for(rings.wait(), 2)
        phone = here.phone(STRANGER)
        await asyncio.to_thread(phone.plug_in)  # in a call: it stays where it is
        assert STRANGER not in here.carrier.registered
        leg.hang_up()
        await phone.wait_until("ended", within=3)
        await asyncio.to_thread(phone.plug_in)
        assert STRANGER in here.carrier.registered
        assert (await phone.status())["state"] == "idle"
        await rtp.aclose()


async def test_a_call_to_no_number_is_refused_at_the_switchboard():
    async with lab() as here:
        leg, rtp = await here.carrier.call("operator", here.switchboard)
        assert (await leg.wait_ended(3)).status == 404
        await rtp.aclose()


async def test_errors_arrive_as_what_they_were():
    async with lab() as here:
        phone = here.phone(A)
        here.carrier.endpoint.on_invite = lambda leg: leg.reject(486)
        with pytest.raises(NotAnswered, match="SIP 486 Busy Here") as refused:
            await phone.dial("+15550001000", within=3)
        assert refused.value.sip_status == 486
        with pytest.raises(CallError, match="cannot speak now"):
            await phone.says("hello")
        with pytest.raises(NotHeard, match="is in no call") as unheard:
            await phone.hears("hello", within=0.05)
        assert unheard.value.transcript == []
        with pytest.raises(VobizKitError, match="no behaviour 'polite'"):
            await phone.behave(polite=True)
        with pytest.raises(NumberRefused):
            await phone.dial("billing")
        with pytest.raises(NumberRefused):
            here.phone("911 or so")
        with pytest.raises(CallError, match="no recording"):
            await phone.recording()
        with pytest.raises(VobizKitError, match="“until” is one of"):
            await phone.wait_until("happy", within=1)


async def test_dialling_until_it_rings_and_silence_of_the_carrier():
    async with lab() as here:
        phone = here.phone(A)
        ringing: list[IncomingLeg] = []

        def ring(leg: IncomingLeg) -> None:
            leg.ring()
            ringing.append(leg)

        here.carrier.endpoint.on_invite = ring
        status = await phone.dial(B, within=3, until="ringing")
        assert status["call"]["rang"]
        assert ringing[0].called == B
        assert ringing[0].caller == A
        here.carrier.endpoint.on_invite = lambda leg: None
        with pytest.raises(NotAnswered, match="did not even ring"):
            await phone.dial(B, within=0.2)
        assert ringing[0].ended  # dialling again has given up the first call


@pytest.mark.parametrize("number", ["+15550001000", "+15550004486"])
async def test_numbers_that_no_phone_can_have(number):
    async with lab() as here:
        with pytest.raises(NumberRefused, match="no phone can have it"):
            await here.phone(number).status()


async def test_a_carrier_that_refuses_the_phone():
    async with lab() as here:
        here.carrier.refuses = True
        with pytest.raises(CallError, match="cannot register") as info:
            await here.phone(A).status()
        assert info.value.sip_status == 403
        assert here.exchange.telephones == []


async def test_a_carrier_that_was_restarted_learns_of_the_phone_again(monkeypatch):
    monkeypatch.setattr("vobiz_kit.lab.handsets.plug._REFRESH_S", 0.02)
    async with lab() as here:
        await here.phone(A).status()
        here.carrier.registered.clear()
        await holds(lambda: A in here.carrier.registered)


async def test_no_lab_at_all():
    phone = Handset(A, "http://127.0.0.1:9")
    with pytest.raises(CallError, match=r"cannot be reached[\s\S]*Is the lab running"):
        await phone.status()
    with pytest.raises(CallError, match="cannot be reached"):
        phone.plug_in()
    with pytest.raises(CallError, match="cannot be reached"):
        await reset("http://127.0.0.1:9")


async def test_health_and_the_list_of_phones():
    async with lab() as here, httpx.AsyncClient(base_url=here.url, trust_env=False) as client:
        health = (await client.get("/health")).json()
        assert (health["healthy"], health["phones"], health["calls"]) == (True, 0, 0)
        await client.post(f"/phones/{A}")
        [phone] = (await client.get("/phones")).json()["phones"]
        assert (phone["number"], phone["registered"]) == (A, True)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/phones/{A}/dance", b"{}"),
        (f"/phones/{A}/dial", b"not json"),
        (f"/phones/{A}/dial", b"[]"),
        (f"/phones/{A}/dial", b'{"number": 1}'),
        (f"/phones/{A}/dial", b'{"number": "+15550001000", "within": "soon"}'),
        (f"/phones/{A}/dial", b'{"number": "+15550001000", "within": 1e9}'),
        (f"/phones/{A}/dial", b'{"number": "+15550001000", "until": "hung up"}'),
        (f"/phones/{A}/says", b"{}"),
        (f"/phones/{A}/says", b'{"text": "' + b"a" * 1001 + b'"}'),
        (f"/phones/{A}/hears", b'{"since": "yesterday"}'),
        ("/phones/nobody", b""),
    ],
)
async def test_what_makes_no_sense_is_refused_with_the_reason(path, body):
    async with lab() as here, httpx.AsyncClient(base_url=here.url, trust_env=False) as client:
        answer = await client.post(path, content=body)
        assert answer.status_code == 422
        assert answer.json()["error"]["what"]


# The speech server's client


async def test_speech_is_asked_for_in_the_protocols_of_openai_and_deepgram():
    from aiohttp import web

    seen: list[dict[str, object]] = []

    async def speech(request: web.Request) -> web.Response:
        seen.append({"auth": request.headers["Authorization"], **(await request.json())})
        return web.Response(body=b"\0\0" * 24_000)

    async def listen(request: web.Request) -> web.Response:
        body = await request.read()
        seen.append(
            {
                "auth": request.headers["Authorization"],
                "type": request.headers["Content-Type"],
                "keyterms": request.query.getall("keyterm", []),
                "begin": body[:4],
            }
        )
        alternatives = [{"transcript": " hello there ", "confidence": 0.9}]
        return web.json_response({"results": {"channels": [{"alternatives": alternatives}]}})

    app = web.Application()
    app.add_routes([web.post("/v1/audio/speech", speech), web.post("/v1/listen", listen)])
    server = TestServer(app)
    await server.start_server()
    ports = dict.fromkeys(SERVICE_PORTS, 0) | {"speech_port": server.port}
    config = LabConfig(name="unit", livekit_sip_rtp_first=0, livekit_sip_rtp_last=0, **ports)  # type: ignore[arg-type]
    client = SpeechClient(config)
    assert len(await client.speak("hello")) == 16_000
    assert len(await client.speak("hello")) == 16_000  # from memory
    assert await client.recognise(b"\0\0" * 8000, ["hello"]) == "hello there"
    await client.aclose()
    await server.close()
    assert seen == [
        {
            "auth": f"Bearer {config.openai_api_key}",
            "model": "lab-voice",
            "input": "hello",
            "voice": "joe",
            "response_format": "pcm",
        },
        {
            "auth": f"Token {config.deepgram_api_key}",
            "type": "audio/wav",
            "keyterms": ["hello"],
            "begin": b"RIFF",
        },
    ]
