"""A carrier on free ports, with a stand-in for LiveKit and one for the people, for unit tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from aiosipua import SipDigestAuth

from vobiz_kit.lab.carrier.carrier import Carrier
from vobiz_kit.lab.carrier.tones import tone
from vobiz_kit.lab.sip.endpoint import SipEndpoint
from vobiz_kit.lab.sip.events import Event, Referred
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.legs import Leg
from vobiz_kit.lab.sip.media import RtpLeg
from vobiz_kit.lab.sip.outgoing import OutgoingLeg
from vobiz_kit.lab.state import DID, LabConfig

CALLER = "+15550009999"
PERSON = "+15550007777"
BILLING = "+15550002222"


async def until(condition: Callable[[], bool], within: float = 3.0) -> None:
    """Return as soon as something is true; fail if it is not in time."""
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came true"
        await asyncio.sleep(0.005)


class Agent:
    """A user agent for tests: takes calls by a rule and keeps them, each with its own RTP."""

    def __init__(self, name: str) -> None:
        self.endpoint = SipEndpoint(user_agent=name)
        self.endpoint.on_invite = self._invited
        self.calls: list[IncomingLeg] = []
        self.events: list[Event] = []
        self.rtp: dict[Leg, RtpLeg] = {}
        self.heard: dict[Leg, list[bytes]] = {}
        self.take: Callable[[IncomingLeg], None] = self.answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self.endpoint.start()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for rtp in self.rtp.values():
            await rtp.aclose()
        await self.endpoint.aclose()

    def _invited(self, leg: IncomingLeg) -> None:
        self.calls.append(leg)
        leg.on_event = self._event
        self.take(leg)

    def _event(self, leg: Leg, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Referred):
            event.refer.reject(405)

    def answer(self, leg: IncomingLeg) -> None:
        """Ring, then answer and send media."""
        leg.ring()
        self._spawn(self.pick_up(leg))

    async def pick_up(self, leg: IncomingLeg) -> None:
        rtp = await self.open_rtp(leg)
        leg.answer(rtp.answer(leg.remote_sdp))
        rtp.start_sending()

    async def open_rtp(self, leg: Leg) -> RtpLeg:
        rtp = self.rtp[leg] = await RtpLeg.open()
        heard = self.heard[leg] = []
        rtp.on_audio = lambda pcm, _: heard.append(pcm)
        return rtp

    def _spawn(self, work) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def call(
        self,
        number: str,
        at: tuple[str, int],
        *,
        caller: str = CALLER,
        auth: SipDigestAuth | None = None,
        headers: dict[str, str] | None = None,
        payload_types: tuple[int, ...] = (0, 8),
    ) -> OutgoingLeg:
        rtp = await RtpLeg.open()
        leg = self.endpoint.invite(
            f"sip:{number}@{at[0]}:{at[1]}",
            at,
            from_uri=f"sip:{caller}@lab",
            sdp=rtp.offer(payload_types),
            auth=auth,
            headers=headers,
        )
        leg.on_event = self._event
        self.rtp[leg] = rtp
        heard = self.heard[leg] = []
        rtp.on_audio = lambda pcm, _: heard.append(pcm)
        return leg

    async def talk(self, leg: OutgoingLeg, within: float = 3.0) -> None:
        """Wait for the answer and send media."""
        await leg.wait_answered(within)
        self.rtp[leg].accept_answer(leg.remote_sdp)
        self.rtp[leg].start_sending()

    def say(self, leg: Leg, hertz: float) -> None:
        self.rtp[leg].say(tone(0.3, hertz))

    async def hears(self, leg: Leg, hertz: float, within: float = 3.0) -> None:
        """Wait until a tone of that frequency is heard on a leg."""
        await until(lambda: loudest(b"".join(self.heard[leg][-10:])) == hertz, within)


def loudest(pcm: bytes) -> float | None:
    """The frequency of a pure tone, to the nearest 100 Hz; None for silence."""
    import numpy as np

    samples = np.frombuffer(pcm, dtype="<i2").astype(float)
    if len(samples) < 800 or np.abs(samples).max() < 500:
        return None
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(round(spectrum.argmax() * 8000 / len(samples) / 100) * 100)


class Rig:
    """The carrier and everybody around it."""

    def __init__(self, **limits: int) -> None:
        self.livekit = Agent("livekit")
        self.people = Agent("people")
        self.limits = limits
        self.ring_seconds = 20.0
        self.media_seconds = 60.0

    async def start(self) -> None:
        await self.livekit.start()
        await self.people.start()
        self.config = LabConfig(
            name="unit",
            redis_port=0,
            livekit_port=0,
            livekit_udp_port=0,
            livekit_sip_port=self.livekit.endpoint.address[1],
            livekit_sip_rtp_first=0,
            livekit_sip_rtp_last=0,
            carrier_sip_port=0,
            carrier_http_port=0,
            handsets_sip_port=self.people.endpoint.address[1],
            handsets_http_port=0,
            speech_port=0,
            voice_port=0,
            cps=self.limits.get("cps", 100),
            concurrent=self.limits.get("concurrent", 100),
        )

        async def speak(text: str) -> bytes:
            return tone(0.3, 1400)

        self.carrier = Carrier(
            self.config,
            ring_seconds=self.ring_seconds,
            media_seconds=self.media_seconds,
            speak=speak,
        )
        await self.carrier.start()

    async def aclose(self) -> None:
        await self.carrier.aclose()
        await self.livekit.aclose()
        await self.people.aclose()

    @property
    def address(self) -> tuple[str, int]:
        return self.carrier.endpoint.address

    @property
    def trunk(self) -> SipDigestAuth:
        return SipDigestAuth(self.config.vobiz_username, self.config.vobiz_password)

    async def register(self, number: str = CALLER, agent: Agent | None = None):
        return await (agent or self.people).endpoint.register(
            f"sip:{number}@{self.config.sip_domain}",
            self.address,
            password=self.config.softphone_password,
        )

    async def inbound(self) -> tuple[OutgoingLeg, IncomingLeg]:
        """A phone calls the DID and LiveKit answers: the phone's leg and LiveKit's."""
        await self.register()
        phone = await self.people.call(DID, self.address)
        await self.people.talk(phone)
        livekit = self.livekit.calls[-1]
        await until(lambda: livekit.is_up)
        return phone, livekit

    async def outbound(self, number: str = PERSON, **more) -> OutgoingLeg:
        """LiveKit calls somebody."""
        return await self.livekit.call(number, self.address, caller=DID, auth=self.trunk, **more)

    def cdrs(self, bridge: str):
        return [r for r in self.carrier.records.select() if r["bridge_uuid"] == bridge]

    async def sees(self, leg: Leg, line: str) -> None:
        """Wait for a line of `first_lines` in the call of a LiveKit leg."""
        await until(lambda: line in self.first_lines(leg.call_id))

    def first_lines(self, bridge: str) -> list[str]:
        """The wire of one call: who, which way, what."""
        return [
            f"{m.party} {'>' if m.direction == 'received' else '<'} "
            + (f"{m.status} {m.method}" if m.status else m.method)
            for m in self.carrier.trace.select(bridge=bridge)
        ]


@contextlib.asynccontextmanager
async def carrier_rig(
    *, ring_seconds: float = 20.0, media_seconds: float = 60.0, **limits: int
) -> AsyncIterator[Rig]:
    rig = Rig(**limits)
    rig.ring_seconds = ring_seconds
    rig.media_seconds = media_seconds
    await rig.start()
    try:
        yield rig
    finally:
        await rig.aclose()
