"""What an endpoint does with messages that are wrong: the RFC's answer, or nothing; never an end.

Many are RFC 4475's torture tests, rebuilt on this suite's addresses.
"""

import random
from typing import Any

import pytest

from tests.unit.carrier_rig import Rig, carrier_rig, until
from tests.unit.raw_peer import RawPeer
from vobiz_kit.lab.carrier.registrar import Registrar
from vobiz_kit.lab.sip.digest import DigestRealm, Verdict
from vobiz_kit.lab.sip.endpoint import SipEndpoint
from vobiz_kit.lab.state import DID


@pytest.fixture
async def rig():
    async with carrier_rig() as rig:
        yield rig


@pytest.fixture
async def peer(rig: Rig):
    peer = await RawPeer(rig.address).start()
    yield peer
    peer.close()


async def still_there(peer: RawPeer) -> list[int]:
    """Ping the endpoint; returns the statuses that came before the ping's answer."""
    ping = f"ping-{random.random()}"
    peer.send(peer.request("OPTIONS", branch=f"z9hG4bK{ping}", Call_ID=ping))
    await until(lambda: any(m.call_id == ping for m in peer.received))
    return [m.status_code for m in peer.received if not m.call_id.startswith("ping")]


REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "no From": ({"From": None}, 400),
    "no To": ({"To": None}, 400),
    "no Call-ID": ({"Call_ID": None}, 400),
    "no CSeq": ({"CSeq": None}, 400),
    "no From tag": ({"From": "<sip:a@b>"}, 400),
    "CSeq of another method": ({"CSeq": "1 BYE"}, 400),
    "CSeq without a number": ({"CSeq": "INVITE"}, 400),
    "CSeq too large": ({"CSeq": "36893488147419103232 INVITE"}, 400),
    "CSeq negative": ({"CSeq": "-1 INVITE"}, 400),
    "Content-Length negative": ({"Content_Length": "-999"}, 400),
    "Content-Length beyond the body": ({"Content_Length": "9999"}, 400),
    "Content-Length in other digits": ({"Content_Length": "\u0661"}, 400),
    "Max-Forwards zero": ({"Max_Forwards": "0"}, 483),
    "Max-Forwards too large": ({"Max_Forwards": "300"}, 400),
    "Max-Forwards no number": ({"Max_Forwards": "seventy"}, 400),
    "unknown Require": ({"Require": "nothingSupportsThis"}, 420),
    "unknown scheme": ({"uri": "nobodyKnowsThisScheme:totallyopaque"}, 416),
    "unknown body": ({"Content_Type": "application/unknownformat"}, 415),
    "broken SDP": ({"body": "v=0\r\nm=audio nine RTP/AVP 0\r\n"}, 400),
    "unknown dialog": ({"To": "<sip:a@b>;tag=unknown"}, 481),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refused(peer: RawPeer, name):
    headers, status = REFUSED[name]
    peer.send(peer.request("INVITE", **headers))
    assert [s for s in await still_there(peer) if s >= 200] == [status]


async def test_what_is_not_understood_is_named(peer: RawPeer):
    peer.send(peer.request("INVITE", Require="foo, bar"))
    await until(lambda: peer.statuses() == [420])
    assert peer.received[0].headers.get("unsupported") == ["foo", "bar"]


@pytest.mark.parametrize("name", ["From", "Call-ID", "CSeq", "Max-Forwards"])
async def test_two_of_what_there_is_one_of(peer: RawPeer, name):
    message = peer.request("INVITE")
    line = next(x for x in message.split("\r\n") if x.startswith(name + ":"))
    peer.send(message.replace(line, f"{line}\r\n{line}"))
    assert await still_there(peer) == [400]


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("MESSAGE", 405),
        ("SUBSCRIBE", 405),
        ("PUBLISH", 405),
        ("REFER", 405),
        ("!interesting-Method0123456789_*+`.%indeed'~", 405),
        ("BYE", 481),
        ("NOTIFY", 481),
        ("INFO", 481),
        ("UPDATE", 481),
        ("PRACK", 481),
        ("CANCEL", 481),
        ("REGISTER", 404),
    ],
)
async def test_methods_outside_a_dialog(peer: RawPeer, method, status):
    peer.send(peer.request(method, To="<sip:a@b>"))
    assert await still_there(peer) == [status]


async def test_an_ack_is_never_answered(peer: RawPeer):
    peer.send(peer.request("ACK"))
    peer.send(peer.request("ACK", From=None))
    peer.send(peer.request("ACK", To="<sip:a@b>;tag=x"))
    assert await still_there(peer) == []


DROPPED = {
    "nothing": b"",
    "a keepalive": b"\r\n\r\n",
    "a keepalive of zeros": b"\0\0\0\0",
    "noise": bytes(range(256)) * 4,
    "no SIP": b"GET / HTTP/1.1\r\n\r\n",
    "another version": b"INVITE sip:a@b SIP/7.0\r\nVia: SIP/7.0/UDP x\r\n\r\n",
    "an empty message": b"INVITE sip:a@b SIP/2.0\r\n\r\n",
    "no Via": b"OPTIONS sip:a@b SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\r\n",
    "space before the first line": b"  OPTIONS sip:a@b SIP/2.0\r\n\r\n",
    "a stray response": (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\nCSeq: 1 INVITE\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\n\r\n"
    ),
    "a response without a number": b"SIP/2.0 OK\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n\r\n",
    "a response with a number too large": (
        b"SIP/2.0 4294967301 better not break\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n\r\n"
    ),
    "a response with a broken CSeq": (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\nCSeq: x y\r\n\r\n"
    ),
    "thousands of headers": b"OPTIONS sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
    "a Via that points to no port": (
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:999999;branch=z9hG4bKv\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: v\r\nCSeq: 1 OPTIONS\r\n\r\n"
    ),
    "a Via that points to port zero": (
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:0;branch=z9hG4bKw\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: w\r\nCSeq: 1 OPTIONS\r\n\r\n"
    ),
    "a broken Via": (
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: ;;;\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n"
        b"Call-ID: y\r\nCSeq: 1 OPTIONS\r\n\r\n"
    ),
}


@pytest.mark.parametrize("name", DROPPED)
async def test_dropped(peer: RawPeer, name):
    peer.send(DROPPED[name])
    assert await still_there(peer) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"From": '"\u4eba \u2603" <sip:+15550009999@lab>;tag=f1'},
        {"From": '"quote\\" , ; here" <sip:+15550009999@lab>;tag=f1'},
        {"uri": "sip:%2B15550001000@127.0.0.1;transport=udp?X=y"},
        {"uri": "sip:null-%00-null@127.0.0.1"},
        {"uri": "tel:+15550001000"},
        {"Contact": "*"},
        {"Contact": "<sip:@@@:x>"},
        {"Contact": None},
        {"Record_Route": "<sip:proxy;lr>, <sip:other;lr>"},
        {"X_Long": "x" * 20000},
        {"Proxy_Authorization": "Digest"},
        {"Proxy_Authorization": 'Digest username="lab-trunk", response="", nc=zz'},
        {"Proxy_Authorization": "Basic bGFiOmxhYg=="},
        {
            "Proxy_Authorization": 'Digest username="lab-trunk", realm="x", nonce="a.b.c", '
            'uri="sip:x", response="00", qop=auth, nc=00000001, cnonce="x", algorithm=SHA-512'
        },
    ],
)
async def test_strange_but_not_wrong_is_challenged(rig: Rig, peer: RawPeer, headers):
    peer.send(peer.request("INVITE", **headers))
    assert await still_there(peer) == [407]
    assert not rig.carrier.exchange.bridges


async def test_a_flood_of_broken_messages_leaves_no_leg_and_the_carrier_works(
    rig: Rig, peer: RawPeer
):
    dice = random.Random(4475)
    good = peer.request("INVITE").encode()
    for i in range(400):
        broken = bytearray(good.replace(b"z9hG4bK1", f"z9hG4bK{i}".encode()))
        for _ in range(dice.randint(1, 8)):
            at = dice.randrange(len(broken))
            match dice.randrange(3):
                case 0:
                    broken[at] = dice.randrange(256)
                case 1:
                    del broken[at : at + dice.randrange(20)]
                case 2:
                    broken[at:at] = dice.randbytes(dice.randrange(20))
        peer.send(bytes(broken))
        if i % 40 == 39:
            await still_there(peer)  # do not overflow the socket's buffer
    assert not rig.carrier.exchange.bridges
    assert not rig.carrier.endpoint.legs
    phone, livekit = await rig.inbound()
    assert livekit.called == DID


async def test_too_many_calls_at_once_are_refused(monkeypatch: pytest.MonkeyPatch):
    from vobiz_kit.lab.sip import leg_table

    monkeypatch.setattr(leg_table, "MAX_LEGS", 3)
    endpoint = SipEndpoint()
    endpoint.on_invite = lambda leg: leg.ring()
    await endpoint.start()
    peer = await RawPeer(endpoint.address).start()
    for i in range(4):
        peer.send(peer.request("INVITE", branch=f"z9hG4bK{i}", Call_ID=f"call-{i}"))
    await until(lambda: peer.statuses() == [180, 180, 180, 503])
    peer.close()
    await endpoint.aclose()


async def test_a_handler_that_fails_is_a_500_and_no_more():
    def fails(leg):
        raise RuntimeError("a bug of the owner's")

    endpoint = SipEndpoint()
    endpoint.on_invite = fails
    await endpoint.start()
    peer = await RawPeer(endpoint.address).start()
    peer.send(peer.request("INVITE"))
    assert await still_there(peer) == [500]
    assert not endpoint.legs
    peer.close()
    await endpoint.aclose()


async def test_registrations_with_nonsense(peer: RawPeer, rig: Rig):
    registrar: Registrar = rig.carrier.registrar
    accepting = DigestRealm("r", lambda user: "x")
    accepting.check = lambda *_: Verdict("ok", "+15550009999")  # type: ignore[method-assign]
    registrar._realm = accepting
    aor = "<sip:+15550009999@lab>"
    odd: dict[str, tuple[dict[str, Any], int]] = {
        "Expires: soon": ({"Expires": "soon"}, 400),
        "too brief": ({"Expires": "1"}, 423),
        "not mine": ({"To": "<sip:+15550001111@lab>"}, 403),
        "no number": ({"To": "<sip:alice@lab>"}, 404),
        "a Contact with spaces": ({"Contact": "<sip:a b@127.0.0.1:1>"}, 400),
        "a query": ({"Contact": None}, 200),
        "remove all": ({"Contact": "*", "Expires": "0"}, 200),
    }
    answered: list[int] = []
    for i, (headers, status) in enumerate(odd.values()):
        fields = {"To": aor, "Authorization": "Digest x", "Call_ID": f"reg-{i}", **headers}
        peer.send(peer.request("REGISTER", branch=f"z9hG4bKr{i}", **fields))
        await until(lambda: len(peer.received) == len(answered) + 1)
        answered.append(peer.received[-1].status_code)
        assert peer.received[-1].status_code == status, headers
    assert not registrar.bindings
