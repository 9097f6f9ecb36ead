"""Retransmissions, both ways, and messages that cross (RFC 3261 sections 13, 15, 17)."""

import asyncio
from typing import Any

import pytest
from aiosipua import parse_sdp

from tests.unit.carrier_rig import until
from tests.unit.raw_peer import SDP, RawPeer
from vobiz_kit.lab.sip import incoming, leg_table, transactions
from vobiz_kit.lab.sip.endpoint import SipEndpoint
from vobiz_kit.lab.sip.events import Ended, Event, Referred
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.legs import CallRefused

OFFER = parse_sdp(SDP)


class Callee:
    """A SipEndpoint under test that keeps its legs and their events."""

    def __init__(self) -> None:
        self.endpoint = SipEndpoint(user_agent="under test")
        self.endpoint.on_invite = self._invited
        self.legs: list[IncomingLeg] = []
        self.events: list[Event] = []

    def _invited(self, leg) -> None:
        self.legs.append(leg)
        leg.on_event = lambda _, event: self.events.append(event)
        leg.ring()


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch):
    """T1 of 15 ms instead of 500, so that 64*T1 are 1 s."""
    for module in (transactions, incoming):
        monkeypatch.setattr(module, "T1", 0.015)
        monkeypatch.setattr(module, "T2", 0.12)
    monkeypatch.setattr(incoming, "TIMER_H", 0.96)
    monkeypatch.setattr(transactions, "TIMEOUT", 0.96)
    monkeypatch.setattr(leg_table, "TIMEOUT", 0.96)


@pytest.fixture
async def callee():
    callee = Callee()
    await callee.endpoint.start()
    yield callee
    await callee.endpoint.aclose()


@pytest.fixture
async def peer(callee: Callee):
    peer = await RawPeer(callee.endpoint.address).start()
    yield peer
    peer.close()


@pytest.fixture
async def desk():
    """A raw callee for calls that the endpoint under test makes."""
    desk = await RawPeer().start()
    yield desk
    desk.close()


def call(callee: Callee, desk: RawPeer):
    host, port = desk.address
    leg = callee.endpoint.invite(
        f"sip:+1555@{host}:{port}", desk.address, from_uri="sip:+15550009999@lab", sdp=OFFER
    )
    leg.on_event = lambda _, event: callee.events.append(event)
    return leg


async def established(callee: Callee, peer: RawPeer):
    """A call that the peer began, answered and acknowledged; returns leg and To header."""
    peer.send(peer.request("INVITE"))
    await until(lambda: bool(callee.legs))
    callee.legs[0].answer(OFFER)
    await until(lambda: 200 in peer.statuses())
    to = next(m for m in peer.received if m.status_code == 200).get_header("To")
    peer.send(peer.request("ACK", branch="z9hG4bKack", To=to))
    await until(lambda: bool(callee.events))
    return callee.legs[0], to


async def test_an_invite_that_comes_three_times_is_one_call(callee: Callee, peer: RawPeer):
    for _ in range(3):
        peer.send(peer.request("INVITE"))
    await until(lambda: peer.statuses() == [180, 180, 180])
    assert len(callee.legs) == 1


async def test_the_same_call_by_another_way_is_a_loop(callee: Callee, peer: RawPeer):
    peer.send(peer.request("INVITE"))
    peer.send(peer.request("INVITE", branch="z9hG4bK2"))
    await until(lambda: 482 in peer.statuses())
    assert len(callee.legs) == 1


async def test_a_refusal_is_repeated_until_its_ack(callee: Callee, peer: RawPeer):
    peer.send(peer.request("INVITE"))
    await until(lambda: bool(callee.legs))
    callee.legs[0].reject(486)
    await until(lambda: peer.statuses().count(486) >= 3)
    to = peer.received[-1].get_header("To")
    peer.send(peer.request("ACK", To=to))
    peer.send(peer.request("OPTIONS", branch="z9hG4bKo"))  # comes after the ACK
    await until(lambda: 200 in peer.statuses())
    count = peer.statuses().count(486)
    await asyncio.sleep(0.15)
    assert peer.statuses().count(486) == count


async def test_a_200_is_repeated_until_its_ack(callee: Callee, peer: RawPeer):
    peer.send(peer.request("INVITE"))
    await until(lambda: bool(callee.legs))
    callee.legs[0].answer(OFFER)
    await until(lambda: peer.statuses().count(200) >= 3)
    to = peer.received[-1].get_header("To")
    peer.send(peer.request("ACK", branch="z9hG4bKack", To=to))
    await until(lambda: bool(callee.events))
    count = peer.statuses().count(200)
    await asyncio.sleep(0.15)
    assert peer.statuses().count(200) == count
    assert callee.legs[0].is_up


async def test_without_an_ack_the_call_ends_with_a_bye(callee: Callee, peer: RawPeer):
    peer.send(peer.request("INVITE"))
    await until(lambda: bool(callee.legs))
    callee.legs[0].answer(OFFER)
    ended = await callee.legs[0].wait_ended(4)
    assert ended.by == "timeout"
    await until(lambda: bool(peer.requests("BYE")))


async def test_no_bye_before_the_ack(callee: Callee, peer: RawPeer):
    peer.send(peer.request("INVITE"))
    await until(lambda: bool(callee.legs))
    callee.legs[0].answer(OFFER)
    callee.legs[0].hang_up()
    await until(lambda: 200 in peer.statuses())
    assert not peer.requests("BYE")
    peer.send(peer.request("ACK", branch="z9hG4bKack", To=peer.received[-1].get_header("To")))
    await until(lambda: bool(peer.requests("BYE")))


async def test_a_bye_that_comes_twice_ends_the_call_once(callee: Callee, peer: RawPeer):
    leg, to = await established(callee, peer)
    before = len(peer.statuses())
    for _ in range(2):
        peer.send(peer.request("BYE", branch="z9hG4bKbye", To=to, CSeq="2 BYE"))
    await until(lambda: peer.statuses()[before:] == [200, 200])
    assert sum(isinstance(e, Ended) for e in callee.events) == 1


async def test_a_refer_that_comes_twice_asks_once(callee: Callee, peer: RawPeer):
    leg, to = await established(callee, peer)
    refer = peer.request("REFER", branch="z9hG4bKr", To=to, CSeq="2 REFER", Refer_To="<sip:x@y>")
    peer.send(refer)
    await until(lambda: isinstance(callee.events[-1], Referred))
    (event,) = [e for e in callee.events if isinstance(e, Referred)]
    event.refer.reject(603)
    peer.send(refer)
    await until(lambda: peer.statuses().count(603) == 2)
    assert sum(isinstance(e, Referred) for e in callee.events) == 1


async def test_cancel_answers_both_and_comes_twice(callee: Callee, peer: RawPeer):
    peer.send(peer.request("INVITE"))
    await until(lambda: 180 in peer.statuses())
    for _ in range(2):
        peer.send(peer.request("CANCEL"))
    await until(lambda: peer.statuses().count(200) == 2 and 487 in peer.statuses())
    assert [e.status for e in callee.events if isinstance(e, Ended)] == [487]


async def test_cancel_of_nothing(callee: Callee, peer: RawPeer):
    peer.send(peer.request("CANCEL"))
    await until(lambda: peer.statuses() == [481])


async def test_a_cancel_after_the_answer_changes_nothing(callee: Callee, peer: RawPeer):
    leg, to = await established(callee, peer)
    before = len(peer.statuses())
    peer.send(peer.request("CANCEL"))
    await until(lambda: peer.statuses()[before:] == [200])
    assert leg.is_up


async def test_stale_and_foreign_requests_of_a_dialog(callee: Callee, peer: RawPeer):
    leg, to = await established(callee, peer)
    peer.send(peer.request("BYE", branch="z9hG4bKa", To=to, CSeq="1 BYE"))
    await until(lambda: 500 in peer.statuses())
    forged = "<sip:+15550009999@lab>;tag=other"
    peer.send(peer.request("BYE", branch="z9hG4bKb", To=to, CSeq="9 BYE", From=forged))
    await until(lambda: 481 in peer.statuses())
    assert leg.is_up


async def test_an_invite_is_repeated_until_something_answers(callee: Callee, desk: RawPeer):
    leg = call(callee, desk)
    await until(lambda: len(desk.requests("INVITE")) >= 3)
    assert len({m.via[0].branch for m in desk.requests("INVITE")}) == 1
    desk.send(desk.response(desk.requests("INVITE")[0], 100, "Trying"))
    await asyncio.sleep(0.1)
    count = len(desk.requests("INVITE"))
    await asyncio.sleep(0.15)
    assert len(desk.requests("INVITE")) == count
    leg.hang_up()


async def test_nobody_there(callee: Callee, desk: RawPeer):
    leg = call(callee, desk)
    with pytest.raises(CallRefused) as refused:
        await leg.wait_answered(4)
    assert refused.value.status == 408
    assert leg.ended.by == "timeout"


async def test_every_refusal_is_acknowledged_in_the_same_transaction(callee: Callee, desk: RawPeer):
    def refuse_twice(message: Any) -> None:
        if message.method == "INVITE":
            for _ in range(2):
                desk.send(desk.response(message, 486, "Busy Here"))

    desk.react = refuse_twice
    leg = call(callee, desk)
    with pytest.raises(CallRefused):
        await leg.wait_answered(2)
    await until(lambda: len(desk.requests("ACK")) == 2)
    (invite,) = desk.requests("INVITE")
    for ack in desk.requests("ACK"):
        assert ack.via[0].branch == invite.via[0].branch
        assert ack.get_header("To").endswith(";tag=raw")
        assert ack.get_header("CSeq") == "1 ACK"
    assert len(callee.events) == 1


async def test_every_200_is_acknowledged_and_the_call_is_where_its_contact_says(
    callee: Callee, desk: RawPeer
):
    leg = call(callee, desk)
    await until(lambda: bool(desk.requests("INVITE")))
    answer = desk.response(desk.requests("INVITE")[0], 200, "OK", body=SDP)
    desk.send(answer)
    desk.send(answer)
    await until(lambda: len(desk.requests("ACK")) == 2)
    assert leg.is_up
    leg.hang_up()
    await until(lambda: bool(desk.requests("BYE")))
    host, port = desk.address
    assert desk.requests("BYE")[0].uri == f"sip:desk@{host}:{port}"
    assert desk.requests("ACK")[0].uri == f"sip:desk@{host}:{port}"
    assert desk.requests("BYE")[0].cseq.seq == 2
    await until(lambda: len(desk.requests("BYE")) >= 2)  # nobody answers it: repeated
    assert len({m.via[0].branch for m in desk.requests("BYE")}) == 1


async def test_a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up(
    callee: Callee, desk: RawPeer
):
    leg = call(callee, desk)
    await until(lambda: bool(desk.requests("INVITE")))
    invite = desk.requests("INVITE")[0]
    desk.send(desk.response(invite, 180, "Ringing"))
    await until(lambda: bool(callee.events))
    leg.hang_up()
    await until(lambda: bool(desk.requests("CANCEL")))
    desk.send(desk.response(invite, 200, "OK", body=SDP))
    await until(lambda: bool(desk.requests("ACK")) and bool(desk.requests("BYE")))
    assert [type(e) for e in callee.events].count(Ended) == 1


async def test_no_cancel_before_a_provisional_response(callee: Callee, desk: RawPeer):
    leg = call(callee, desk)
    await until(lambda: bool(desk.requests("INVITE")))
    leg.hang_up()
    await asyncio.sleep(0.1)
    assert not desk.requests("CANCEL")
    desk.send(desk.response(desk.requests("INVITE")[0], 180, "Ringing"))
    await until(lambda: bool(desk.requests("CANCEL")))


async def test_a_second_phone_that_answers_the_same_call_is_sent_away(
    callee: Callee, desk: RawPeer
):
    leg = call(callee, desk)
    await until(lambda: bool(desk.requests("INVITE")))
    invite = desk.requests("INVITE")[0]
    desk.send(desk.response(invite, 200, "OK", body=SDP, tag="one"))
    desk.send(desk.response(invite, 200, "OK", body=SDP, tag="two"))
    await until(lambda: bool(desk.requests("BYE")))
    assert desk.requests("BYE")[0].to_addr.tag == "two"
    assert leg.is_up


async def test_hold_and_session_refresh_are_answered(callee: Callee, peer: RawPeer):
    leg, to = await established(callee, peer)
    before = len(peer.received)
    peer.send(peer.request("UPDATE", branch="z9hG4bKu", To=to, CSeq="2 UPDATE"))
    peer.send(peer.request("INVITE", branch="z9hG4bKi", To=to, CSeq="3 INVITE"))
    await until(lambda: len(peer.received) >= before + 2)
    update, reinvite = peer.received[before : before + 2]
    assert (update.status_code, update.text) == (200, "")
    assert (reinvite.status_code, "m=audio" in reinvite.text) == (200, True)


async def test_nothing_is_left_after_a_while(callee: Callee, peer: RawPeer, desk: RawPeer):
    leg, to = await established(callee, peer)
    peer.send(peer.request("BYE", branch="z9hG4bKbye", To=to, CSeq="2 BYE"))
    desk.react = lambda m: (
        desk.send(desk.response(m, 404, "Not Found")) if m.method == "INVITE" else None
    )
    call(callee, desk)
    peer.send(peer.request("OPTIONS", branch="z9hG4bKopt", Call_ID="other"))
    await leg.wait_ended(2)
    await until(lambda: len(callee.endpoint.transactions) == 0, 5)
    await until(lambda: not callee.endpoint._legs._legs, 5)
