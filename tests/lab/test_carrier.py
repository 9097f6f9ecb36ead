"""The carrier with the real livekit-sip: calls and transfers in both directions."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from aiosipua import Registration, RegistrationState
from livekit import api, rtc
from livekit.protocol.sip import SIPOutboundTrunkInfo

from tests.unit.carrier_rig import BILLING, CALLER, PERSON, Agent, until
from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.outgoing import OutgoingLeg
from vobiz_kit.lab.state import DID, LOOPBACK, LabConfig
from vobiz_kit.wire import WireMessage

pytestmark = pytest.mark.lab

RATE = 48000


class RoomParticipant:
    """Somebody in a LiveKit room who sends a tone and listens to whoever is there."""

    def __init__(self, config: LabConfig, room: str) -> None:
        self._config = config
        self.name = room
        self.room = rtc.Room()
        self.heard: list[np.ndarray] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._source = rtc.AudioSource(RATE, 1)
        self.room.on("track_subscribed", self._subscribed)

    async def join(self) -> None:
        token = (
            api.AccessToken(self._config.livekit_api_key, self._config.livekit_api_secret)
            .with_identity("agent")
            .with_grants(api.VideoGrants(room_join=True, room=self.name))
            .to_jwt()
        )
        await self.room.connect(f"ws://{LOOPBACK}:{self._config.livekit_port}", token)
        track = rtc.LocalAudioTrack.create_audio_track("voice", self._source)
        await self.room.local_participant.publish_track(track)
        self._spawn(self._sing())

    def _spawn(self, work) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sing(self) -> None:
        position = 0
        while True:
            time = (position + np.arange(RATE // 50)) / RATE
            pcm = (8000 * np.sin(2 * np.pi * 600 * time)).astype("<i2")
            await self._source.capture_frame(rtc.AudioFrame(pcm.tobytes(), RATE, 1, RATE // 50))
            position += RATE // 50

    def _subscribed(self, track, publication, participant) -> None:
        self._spawn(self._listen(rtc.AudioStream(track, sample_rate=8000, num_channels=1)))

    async def _listen(self, stream: rtc.AudioStream) -> None:
        async for event in stream:
            self.heard.append(np.frombuffer(bytes(event.frame.data), dtype="<i2"))
            del self.heard[:-100]

    def hears(self, hertz: float) -> bool:
        from tests.unit.carrier_rig import loudest

        return bool(self.heard) and loudest(np.concatenate(self.heard[-20:]).tobytes()) == hertz

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()
        await self._source.aclose()


@dataclass
class Stand:
    """A lab with trunks, a phone outside of it, and a participant in a room."""

    config: LabConfig
    livekit: api.LiveKitAPI
    phones: Agent
    http: httpx.AsyncClient
    participant: RoomParticipant
    trunk_id: str

    @property
    def carrier(self) -> tuple[str, int]:
        return (LOOPBACK, self.config.carrier_sip_port)

    async def wire(self, bridge: str) -> list[str]:
        """A call's messages: who, which way, what."""
        return (await self._trace(bridge))[0]

    async def sees(self, bridge: str, line: str, times: int) -> None:
        """Wait until a line stands in `wire` so many times."""
        lines: list[str] = []
        since = 0
        while lines.count(line) < times:
            news, since = await self._trace(bridge, since=since, wait=5)
            assert news, f"{line} came {lines.count(line)} times, not {times}"
            lines += news

    async def _trace(self, bridge: str, **more: float) -> tuple[list[str], int]:
        params: dict[str, str | float] = {"bridge": bridge, **more}
        reply = (await self.http.get("/lab/trace", params=params, timeout=10)).json()
        messages = [WireMessage.from_json(m) for m in reply["messages"]]
        lines = [
            f"{m.party} {'>' if m.direction == 'received' else '<'} "
            + (f"{m.status} {m.method}" if m.status else m.method)
            for m in messages
        ]
        return lines, reply["next"]

    async def cdrs(self, bridge: str, expected: int) -> list[dict]:
        account = f"/api/v1/Account/{self.config.vobiz_auth_id}"
        keys = {
            "X-Auth-ID": self.config.vobiz_auth_id,
            "X-Auth-Token": self.config.vobiz_auth_token,
        }
        for _ in range(100):
            reply = await self.http.get(f"{account}/cdr/recent", headers=keys)
            found = [r for r in reply.json()["data"] if r["bridge_uuid"] == bridge]
            if len(found) >= expected:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"{len(found)} CDRs, not {expected}")

    async def sip_participant(self) -> rtc.RemoteParticipant:
        """The caller or callee as LiveKit shows it, active."""

        def find() -> rtc.RemoteParticipant | None:
            for p in self.participant.room.remote_participants.values():
                if p.attributes.get("sip.callStatus") == "active":
                    return p
            return None

        await until(lambda: find() is not None, 5)
        found = find()
        assert found is not None
        return found

    async def inbound(self) -> tuple[OutgoingLeg, str]:
        """A phone calls the DID; returns its leg and the bridge's id."""
        leg = await self.phones.call(DID, self.carrier)
        await self.phones.talk(leg, 10)
        return leg, (await self.sip_participant()).attributes["sip.callIDFull"]

    async def outbound(self, number: str, **more) -> api.SIPParticipantInfo:
        return await self.livekit.sip.create_sip_participant(
            api.CreateSIPParticipantRequest(
                sip_trunk_id=self.trunk_id,
                sip_call_to=number,
                room_name=self.participant.name,
                participant_identity="callee",
                wait_until_answered=True,
                **more,
            )
        )

    async def transfer(self, identity: str, number: str = BILLING) -> None:
        await self.livekit.sip.transfer_sip_participant(
            api.TransferSIPParticipantRequest(
                room_name=self.participant.name,
                participant_identity=identity,
                transfer_to=f"sip:{number}@{self.config.sip_domain}",
                play_dialtone=False,
            )
        )


@pytest.fixture
async def stand(lab: Lab) -> AsyncIterator[Stand]:
    config = lab.config
    room = f"carrier-{uuid.uuid4().hex[:8]}"
    livekit = api.LiveKitAPI(
        f"http://{LOOPBACK}:{config.livekit_port}",
        config.livekit_api_key,
        config.livekit_api_secret,
    )
    phones = Agent("phones outside")
    participant = RoomParticipant(config, room)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(livekit.aclose)
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://{LOOPBACK}:{config.carrier_http_port}", trust_env=False
            )
        )
        before = (await http.get("/lab/limits")).json()
        await http.put("/lab/limits", json={"cps": 100, "concurrent": 100})
        stack.push_async_callback(http.put, "/lab/limits", json=before)
        await clear_inbound(livekit)  # another test's trunk may hold the DID
        inbound = await livekit.sip.create_inbound_trunk(
            api.CreateSIPInboundTrunkRequest(
                trunk=api.SIPInboundTrunkInfo(name=f"{room}-in", numbers=[DID])
            )
        )
        stack.push_async_callback(clear_inbound, livekit)
        await livekit.sip.create_dispatch_rule(
            api.CreateSIPDispatchRuleRequest(
                dispatch_rule=api.SIPDispatchRuleInfo(
                    name=f"{room}-rule",
                    trunk_ids=[inbound.sip_trunk_id],
                    rule=api.SIPDispatchRule(
                        dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name=room)
                    ),
                )
            )
        )
        outbound = await livekit.sip.create_outbound_trunk(
            api.CreateSIPOutboundTrunkRequest(
                trunk=SIPOutboundTrunkInfo(
                    name=f"{room}-out",
                    address=f"{LOOPBACK}:{config.carrier_sip_port}",
                    numbers=[DID],
                    auth_username=config.vobiz_username,
                    auth_password=config.vobiz_password,
                )
            )
        )
        stack.push_async_callback(
            livekit.sip.delete_trunk,
            api.DeleteSIPTrunkRequest(sip_trunk_id=outbound.sip_trunk_id),
        )
        await phones.start()
        stack.push_async_callback(phones.aclose)
        await participant.join()
        stack.push_async_callback(livekit.room.delete_room, api.DeleteRoomRequest(room=room))
        stack.push_async_callback(participant.leave)
        for number in (CALLER, PERSON, BILLING):
            registration = await phones.endpoint.register(
                f"sip:{number}@{config.sip_domain}",
                (LOOPBACK, config.carrier_sip_port),
                password=config.softphone_password,
            )
            stack.push_async_callback(put_away, registration)
        yield Stand(config, livekit, phones, http, participant, outbound.sip_trunk_id)


async def put_away(registration: Registration) -> None:
    """Unregister a phone, and see it done: the carrier asks for the password first.

    Otherwise the number would be rung where nobody is, for as long as the registration lasts.
    """
    registration.unregister()
    await until(lambda: registration.state is RegistrationState.UNREGISTERED)


async def clear_inbound(livekit: api.LiveKitAPI) -> None:
    """Remove the dispatch rules and inbound trunks."""
    rules = await livekit.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())
    for rule in rules.items:
        await livekit.sip.delete_dispatch_rule(
            api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule.sip_dispatch_rule_id)
        )
    trunks = await livekit.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
    for trunk in trunks.items:
        await livekit.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk.sip_trunk_id))


async def test_an_inbound_call_has_audio_both_ways_and_one_bridge(stand: Stand):
    phone, bridge = await stand.inbound()
    participant = await stand.sip_participant()
    assert participant.attributes["sip.phoneNumber"] == CALLER
    assert participant.attributes["sip.trunkPhoneNumber"] == DID
    await stand.phones.hears(phone, 600, 5)
    stand.phones.rtp[phone].say(_long_tone(1000))
    await until(lambda: stand.participant.hears(1000), 5)
    phone.hang_up()
    cdrs = await stand.cdrs(bridge, 2)
    assert {r["sip_call_id"] for r in cdrs} == {phone.call_id, bridge}
    assert all(r["mos"] > 3 for r in cdrs)
    wire = await stand.wire(bridge)
    assert "livekit-sip < INVITE" in wire
    assert "livekit-sip > 200 INVITE" in wire
    assert f"{CALLER} > INVITE" in wire


async def test_an_outbound_call_is_authenticated_and_answered(stand: Stand):
    await stand.outbound(PERSON)
    person = stand.phones.calls[-1]
    assert (person.caller, person.called) == (DID, PERSON)
    bridge = (await stand.sip_participant()).attributes["sip.callIDFull"]
    await stand.phones.hears(person, 600, 5)
    wire = await stand.wire(bridge)
    assert wire[:4] == [
        "livekit-sip > INVITE",
        "livekit-sip < 407 INVITE",
        "livekit-sip > ACK",
        "livekit-sip > INVITE",
    ]
    person.hang_up()
    assert len(await stand.cdrs(bridge, 2)) == 2


@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("+15550004404", 404),
        ("+15550004486", 486),
        ("+15550004603", 603),
        ("+15550004503", 503),
    ],
)
async def test_livekit_is_told_why_a_call_failed(stand: Stand, number, status):
    with pytest.raises(api.SipCallError) as failed:
        await stand.outbound(number)
    assert failed.value.sip_status_code == status


async def test_an_inbound_caller_is_transferred_by_refer(stand: Stand):
    phone, bridge = await stand.inbound()
    await stand.transfer((await stand.sip_participant()).identity)
    target = stand.phones.calls[-1]
    await _both_talk(stand, phone, target, CALLER, BILLING)
    await until(lambda: not stand.participant.room.remote_participants, 5)
    assert phone.is_up and target.is_up
    target.hang_up()
    assert (await phone.wait_ended(3)).by == "remote"
    cdrs = await stand.cdrs(bridge, 3)
    assert {r["terminated_to"] for r in cdrs} == {
        f"{CALLER}",
        "livekit-sip",
        f"{BILLING}",
    }
    transfer = [line for line in await stand.wire(bridge) if "NOTIFY" in line or "REFER" in line]
    assert transfer[:3] == [
        "livekit-sip > REFER",
        "livekit-sip < 202 REFER",
        "livekit-sip < NOTIFY",
    ]
    assert "livekit-sip > 200 NOTIFY" in transfer


async def test_the_callee_of_an_outbound_call_is_transferred_by_refer(stand: Stand):
    await stand.outbound(PERSON)
    person = stand.phones.calls[-1]
    bridge = (await stand.sip_participant()).attributes["sip.callIDFull"]
    await stand.transfer("callee")
    target = stand.phones.calls[-1]
    assert target.called == BILLING
    await _both_talk(stand, person, target, PERSON, BILLING)
    await until(lambda: not stand.participant.room.remote_participants, 5)
    person.hang_up()
    await target.wait_ended(3)
    assert len(await stand.cdrs(bridge, 3)) == 3


@pytest.mark.parametrize(("number", "status"), [("+15550004486", 486), ("+15550004603", 603)])
async def test_a_refused_transfer_leaves_the_call(stand: Stand, number, status):
    phone, _ = await stand.inbound()
    identity = (await stand.sip_participant()).identity
    with pytest.raises(api.SipCallError) as failed:
        await stand.transfer(identity, number)
    assert failed.value.sip_status_code == status
    assert "call transfer failed" in failed.value.message
    stand.phones.heard[phone].clear()
    await stand.phones.hears(phone, 600, 5)
    await stand.transfer(identity)
    assert phone.is_up
    phone.hang_up()


async def test_a_caller_who_gives_up_during_the_transfer_is_no_success(stand: Stand):
    """LiveKit takes any end of the leg for a success unless the NOTIFY came first."""
    phone, bridge = await stand.inbound()
    stand.phones.take = lambda leg: leg.ring()
    transferring = asyncio.create_task(stand.transfer((await stand.sip_participant()).identity))
    await until(lambda: bool(stand.phones.calls), 5)
    target = stand.phones.calls[-1]
    await stand.sees(bridge, "livekit-sip > 200 NOTIFY", times=2)  # LiveKit knows that it rings
    phone.hang_up()
    with pytest.raises(api.SipCallError) as failed:
        await transferring
    assert failed.value.sip_status_code == 487
    assert (await target.wait_ended(3)).status == 487
    assert len(await stand.cdrs(bridge, 3)) == 3


async def test_a_caller_without_an_agent_hears_ringing_until_he_gives_up(stand: Stand):
    await stand.participant.leave()
    phone = await stand.phones.call(DID, stand.carrier)
    rings: list[int] = []
    phone.on_event = lambda leg, event: rings.append(getattr(event, "status", 0))
    await until(lambda: 180 in rings, 5)
    phone.hang_up()
    assert phone.ended is not None


async def _both_talk(
    stand: Stand, one: OutgoingLeg | IncomingLeg, two: IncomingLeg, *numbers: str
) -> None:
    """Each hears the other, through the carrier's repointed relay."""
    await until(lambda: two.is_up, 5)
    stand.phones.heard[one].clear()
    stand.phones.rtp[two].say(_long_tone(1300))
    await stand.phones.hears(one, 1300, 5)
    stand.phones.rtp[one].say(_long_tone(900))
    await stand.phones.hears(two, 900, 5)


def _long_tone(hertz: float) -> bytes:
    from vobiz_kit.lab.carrier.tones import tone

    return tone(1.5, hertz)
