"""SDP offers and answers, RTP legs and the relay."""

import numpy as np
import pytest
from aiortp import RtpPacket
from aiosipua import parse_sdp, serialize_sdp

from tests.unit.carrier_rig import loudest, until
from vobiz_kit.lab.carrier.tones import tone
from vobiz_kit.lab.sip.media import NoCommonCodec, RtpLeg
from vobiz_kit.lab.sip.rtp_stats import StreamReport


def sdp(media: str = "m=audio 4000 RTP/AVP 0 8 101", *more: str, host: str = "127.0.0.1") -> str:
    return "\r\n".join(
        ["v=0", f"o=- 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", media, *more, ""]
    )


@pytest.fixture
async def legs():
    pair = await RtpLeg.open(), await RtpLeg.open()
    yield pair
    for leg in pair:
        await leg.aclose()


def connect(one: RtpLeg, two: RtpLeg, payload_types=(0, 8)) -> None:
    offer = parse_sdp(serialize_sdp(one.offer(payload_types)))
    one.accept_answer(parse_sdp(serialize_sdp(two.answer(offer))))


def test_an_offer_names_both_laws_and_telephone_events():
    leg = RtpLeg()
    text = serialize_sdp(leg.offer((8, 0)))
    assert "RTP/AVP 8 0 101" in text
    for line in ("8 PCMA/8000", "0 PCMU/8000", "101 telephone-event/8000"):
        assert f"a=rtpmap:{line}" in text


async def test_the_first_law_that_the_offer_names_is_taken(legs):
    answer = legs[0].answer(parse_sdp(sdp("m=audio 4000 RTP/AVP 18 8 0")))
    assert legs[0].codec == "PCMA"
    assert answer.audio.formats == ["8"]


async def test_telephone_events_keep_the_offers_number(legs):
    lines = ("a=rtpmap:96 telephone-event/8000", "a=rtpmap:97 telephone-event/48000")
    answer = legs[0].answer(parse_sdp(sdp("m=audio 4000 RTP/AVP 0 97 96", *lines)))
    assert answer.audio.formats == ["0", "96"]
    assert legs[0].events_type == 96


@pytest.mark.parametrize(
    "offer",
    [
        sdp("m=audio 4000 RTP/AVP 18"),
        sdp("m=video 4000 RTP/AVP 96"),
        sdp("m=audio 0 RTP/AVP 0"),
        sdp("m=audio 4000 RTP/SAVP 0"),
        sdp("m=audio 70000 RTP/AVP 0"),
        sdp(host="somewhere.example"),
        sdp(host="::1"),
    ],
)
async def test_offers_that_cannot_be_served(legs, offer):
    with pytest.raises(NoCommonCodec):
        legs[0].answer(parse_sdp(offer))


async def test_no_offer_and_no_answer(legs):
    with pytest.raises(NoCommonCodec):
        legs[0].answer(None)
    with pytest.raises(NoCommonCodec):
        legs[0].accept_answer(None)


async def test_nothing_is_sent_to_a_side_that_holds(legs):
    one, two = legs
    connect(one, two)
    one.start_sending()
    await until(lambda: two.received.packets > 2)
    one.answer(parse_sdp(sdp(f"m=audio {two.address[1]} RTP/AVP 0", "a=inactive")))
    sent = one.packets_sent
    two.start_sending()
    await until(lambda: one.received.packets > 5)
    assert one.packets_sent == sent


@pytest.mark.parametrize("law", [0, 8])
async def test_speech_arrives_and_silence_follows(legs, law: int):
    one, two = legs
    connect(one, two, (law,))
    heard: list[bytes] = []
    two.on_audio = lambda pcm, _: heard.append(pcm)
    one.say(tone(0.3, 800))
    await one.spoken()
    await until(lambda: len(heard) > 20)
    assert loudest(b"".join(heard[:15])) == 800
    assert np.abs(np.frombuffer(heard[-1], dtype="<i2")).max() < 16
    assert two.received.loss == 0
    assert two.received.mos > 4


async def test_hush_ends_what_is_being_said(legs):
    one, two = legs
    connect(one, two)
    one.say(tone(5, 800))
    one.hush()
    await one.spoken()


async def test_keys(legs):
    one, two = legs
    connect(one, two)
    pressed: list[str] = []
    two.on_dtmf = pressed.append
    for key in "1#d":
        one.press(key)
    await until(lambda: pressed == ["1", "#", "D"])
    with pytest.raises(ValueError, match="no such key"):
        one.press("x")


async def test_packets_of_strangers_are_not_heard(legs):
    one, two = legs
    connect(one, two)
    two.datagram_received(RtpPacket(payload_type=0, payload=b"x").serialize(), ("10.0.0.1", 1))
    two.datagram_received(b"\x80", (one.address))
    two.datagram_received(b"", (one.address))
    assert two.received.packets == 0


@pytest.fixture
async def relay():
    """far_a <-> a == b <-> far_b: two legs of a carrier between two phones."""
    far_a, a, b, far_b = [await RtpLeg.open() for _ in range(4)]
    a.fill_silence = b.fill_silence = False
    a.forward_to, b.forward_to = b, a
    yield far_a, a, b, far_b
    for leg in (far_a, a, b, far_b):
        await leg.aclose()


async def test_a_relay_passes_packets_as_they_are(relay):
    far_a, a, b, far_b = relay
    connect(far_a, a)
    connect(b, far_b)
    seen: list[bytes] = []
    original = far_b.datagram_received

    def receive(data: bytes, addr: tuple[str, int]) -> None:
        seen.append(data)
        original(data, addr)

    far_b.datagram_received = receive
    sent: list[bytes] = []
    transmit = far_a._transmit

    def send(packet: bytes) -> None:
        sent.append(packet)
        transmit(packet)

    far_a._transmit = send
    far_a.start_sending()
    await until(lambda: len(seen) >= 3)
    assert seen[:3] == sent[:3]


async def test_a_relay_transcodes_when_the_laws_differ(relay):
    far_a, a, b, far_b = relay
    connect(far_a, a, (0,))
    connect(b, far_b, (8,))
    heard: list[bytes] = []
    far_b.on_audio = lambda pcm, _: heard.append(pcm)
    far_a.say(tone(0.4, 1200))
    await until(lambda: len(heard) > 12)
    assert loudest(b"".join(heard[:12])) == 1200


async def test_a_relay_renumbers_telephone_events(relay):
    far_a, a, b, far_b = relay
    connect(far_a, a)
    offer = sdp(f"m=audio {far_b.address[1]} RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000")
    b.answer(parse_sdp(offer))
    far_b.accept_answer(b.answer(parse_sdp(offer)))
    pressed: list[str] = []
    far_b.on_dtmf = pressed.append
    far_a.press("7")
    await until(lambda: pressed == ["7"])
    assert (a.events_type, far_b.events_type) == (101, 96)


def packets(sequence, ssrc=1):
    for number in sequence:
        yield RtpPacket(sequence_number=number & 0xFFFF, timestamp=160 * number, ssrc=ssrc)


def test_loss_is_counted_over_all_sources():
    report = StreamReport()
    assert (report.loss, report.mos) == (0, 0)
    for packet in packets(n for n in range(65500, 65600) if n % 10):
        report.add(packet)
    assert report.loss == pytest.approx(0.1, abs=0.01)
    for packet in packets(range(100), ssrc=2):
        report.add(packet)
    assert report.loss == pytest.approx(0.05, abs=0.01)


def test_loss_lowers_the_opinion_score():
    scores = []
    for every in (1000, 50, 10, 3):
        report = StreamReport()
        for packet in packets(n for n in range(500) if n % every):
            report.add(packet)
        assert report._current is not None
        report._current._jitter_q4 = 0  # packets of a test come all at once
        scores.append(report.mos)
    assert scores == sorted(scores, reverse=True)
    assert 4.2 < scores[0] <= 4.5
    assert 1 <= scores[-1] < 2.5
