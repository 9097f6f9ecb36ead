"""One leg's RTP: G.711 at 8 kHz, telephone events, and the relay that a carrier needs.

    rtp = await RtpLeg.open("127.0.0.1")        # its own UDP port
    leg = endpoint.invite(..., sdp=rtp.offer())
    await leg.wait_answered()
    rtp.accept_answer(leg.remote_sdp)
    rtp.start_sending()                         # a steady stream: speech, or silence
    rtp.on_audio = recorder.write               # 20 ms of 16-bit mono PCM at a time
    rtp.say(pcm); await rtp.spoken()            # 16-bit mono PCM at 8 kHz, paced
    rtp.press("1")
    await rtp.aclose()

The callee's way is ``answer = rtp.answer(leg.remote_sdp)``. A carrier opens one leg per side and
connects them: ``a.forward_to = b; b.forward_to = a``. Packets, codecs and statistics are
aiortp's; its session needs the other end's address before it binds, keeps its port to itself and
sends nothing during silence, which livekit-sip takes for a dead call after 15 s.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from struct import pack
from typing import cast

from aiortp import RtpPacket
from aiortp.clock import MediaClock
from aiortp.codecs import get_codec
from aiortp.dtmf import DTMF_EVENTS, DtmfEvent, DtmfReceiver
from aiortp.packet import is_rtcp
from aiosipua import SdpMessage

from vobiz_kit.lab.sip.rtp_stats import StreamReport
from vobiz_kit.lab.sip.sdp import (
    CODEC_NAMES,
    EVENTS,
    PCMA,
    PCMU,
    SAMPLE_RATE,
    Agreed,
    NoCommonCodec,
    make_answer,
    make_offer,
    read_answer,
)
from vobiz_kit.lab.sip.transport import Address

__all__ = ["FRAME_BYTES", "FRAME_SECONDS", "PCMA", "PCMU", "SAMPLE_RATE", "NoCommonCodec", "RtpLeg"]

FRAME_SAMPLES = 160
FRAME_BYTES = 2 * FRAME_SAMPLES
FRAME_SECONDS = 0.02

_SILENCE = {PCMU: b"\xff" * FRAME_SAMPLES, PCMA: b"\xd5" * FRAME_SAMPLES}

AudioHook = Callable[[bytes, int], None]
"""Called with 16-bit mono PCM at 8 kHz (20 ms as a rule) and its RTP timestamp."""


@dataclass
class _Frame:
    """What one tick of the sender puts on the wire."""

    payload_type: int
    payload: bytes
    event: bool = False
    marker: bool = False


class RtpLeg(asyncio.DatagramProtocol):
    """One RTP socket and the stream in each direction.

    Attributes:
        payload_type: The negotiated audio payload type, 0 (PCMU) or 8 (PCMA).
        events_type: The payload type of telephone events that the other side takes, or None.
        remote: Where packets are sent, None until the other side's SDP is known.
        on_audio: See `AudioHook`. Not called while None: a relay decodes nothing.
        on_dtmf: Called with each key pressed ("0"-"9", "*", "#", "A"-"D").
        forward_to: Another leg that gets every packet that comes in here, undecoded.
        fill_silence: Whether silence is sent while there is nothing to say. A relay sends none.
        received: Packets, loss and jitter of what came in.
        packets_sent: Packets sent, forwarded ones included.
    """

    def __init__(self) -> None:
        self.payload_type = PCMU
        self.events_type: int | None = None
        self.remote: Address | None = None
        self.on_audio: AudioHook | None = None
        self.on_dtmf: Callable[[str], None] | None = None
        self.forward_to: RtpLeg | None = None
        self.fill_silence = True
        self.received = StreamReport()
        self.packets_sent = 0
        self.address: Address = ("", 0)
        self._udp: asyncio.DatagramTransport | None = None
        self._session = str(random.getrandbits(31))
        self._dtmf = DtmfReceiver(self._pressed)
        self._queue: deque[_Frame] = deque()
        self._spoken = asyncio.Event()
        self._spoken.set()
        self._clock: MediaClock | None = None
        self._sending_on = True
        self._ssrc = random.getrandbits(32)
        self._sequence = random.getrandbits(16)
        self._timestamp = random.getrandbits(32)
        self._event_start = 0

    @classmethod
    async def open(cls, host: str = "127.0.0.1") -> RtpLeg:
        """Bind a free UDP port.

        Raises:
            OSError: no socket can be had.
        """
        leg = cls()
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: leg, (host, 0))
        return leg

    @property
    def on_hold(self) -> bool:
        """Whether the other side asked for no audio; it may then send none either."""
        return not self._sending_on

    @property
    def codec(self) -> str:
        """The negotiated codec's name: "PCMU" or "PCMA"."""
        return CODEC_NAMES[self.payload_type]

    def offer(self, payload_types: tuple[int, ...] = (PCMU, PCMA)) -> SdpMessage:
        """An offer of G.711, the preferred law first, and telephone events."""
        return make_offer(self.address, self._session, payload_types)

    def answer(self, offer: SdpMessage | None) -> SdpMessage:
        """The answer to an offer; from now on this leg knows where to send.

        Raises:
            NoCommonCodec: no audio, no G.711, or no address to send to.
        """
        answer, agreed = make_answer(offer, self.address, self._session)
        self._agree(agreed)
        return answer

    def accept_answer(self, answer: SdpMessage | None) -> None:
        """Take the other side's answer to our offer; from now on this leg knows where to send.

        Raises:
            NoCommonCodec: no audio, no G.711, or no address to send to.
        """
        self._agree(read_answer(answer))

    def _agree(self, agreed: Agreed) -> None:
        self.remote = agreed.remote
        self.payload_type = agreed.payload_type
        self.events_type = agreed.events_type
        self._sending_on = agreed.wanted

    def start_sending(self) -> None:
        """Begin the steady stream: what was given to `say`, else silence, every 20 ms."""
        if self._clock is None:
            self._clock = MediaClock(FRAME_SECONDS, self._tick)
            self._clock.start()

    async def stop_sending(self) -> None:
        """End the steady stream; unsaid speech is dropped."""
        self._queue.clear()
        self._spoken.set()
        if self._clock is not None:
            clock, self._clock = self._clock, None
            await clock.stop()

    def say(self, pcm: bytes) -> None:
        """Queue speech: 16-bit mono PCM at 8 kHz. Starts sending if that has not begun."""
        codec = get_codec(self.payload_type)
        for start in range(0, len(pcm), FRAME_BYTES):
            frame = pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
            self._queue.append(_Frame(self.payload_type, codec.encode(frame)))
        if self._queue:
            self._spoken.clear()
        self.start_sending()

    def hush(self) -> None:
        """Drop what is queued and not said yet."""
        self._queue.clear()
        self._spoken.set()

    async def spoken(self) -> None:
        """Return when all that was queued is on the wire."""
        await self._spoken.wait()

    def press(self, digit: str, *, seconds: float = 0.16) -> None:
        """Queue a key press as a telephone event (RFC 4733).

        Raises:
            ValueError: no such key.
        """
        code = DTMF_EVENTS.get(digit.upper())
        if code is None:
            raise ValueError(f"no such key: {digit!r} (0-9, *, #, A-D)")
        events = self.events_type if self.events_type is not None else EVENTS
        samples = int(seconds * SAMPLE_RATE)
        steps = range(FRAME_SAMPLES, samples + FRAME_SAMPLES, FRAME_SAMPLES)
        frames = [DtmfEvent(code, False, 10, min(s, samples)).serialize() for s in steps]
        frames += [DtmfEvent(code, True, 10, samples).serialize()] * 3
        for i, payload in enumerate(frames):
            self._queue.append(_Frame(events, payload, event=True, marker=i == 0))
        self._spoken.clear()
        self.start_sending()

    def _tick(self) -> None:
        if self.remote is None or not self._sending_on:
            return
        if self._queue:
            frame = self._queue.popleft()
        elif not self.fill_silence:
            return
        else:
            frame = _Frame(self.payload_type, _SILENCE[self.payload_type])
        if frame.marker:
            self._event_start = self._timestamp
        # All packets of one event carry the timestamp of its begin (RFC 4733 section 2.5.1.2).
        stamp = self._event_start if frame.event else self._timestamp
        self._sequence = (self._sequence + 1) & 0xFFFF
        kind = frame.payload_type | (0x80 if frame.marker else 0)
        header = pack("!BBHLL", 0x80, kind, self._sequence, stamp, self._ssrc)
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        self._transmit(header + frame.payload)
        if not self._queue:
            self._spoken.set()

    def _transmit(self, packet: bytes) -> None:
        if self._udp is not None and self.remote is not None:
            self._udp.sendto(packet, self.remote)
            self.packets_sent += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket (asyncio calls this)."""
        self._udp = cast(asyncio.DatagramTransport, transport)
        self.address = self._udp.get_extra_info("sockname")[:2]

    def error_received(self, exc: Exception) -> None:
        """The other side's port is closed: it is gone or going (asyncio calls this)."""

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Count, forward and decode one packet (asyncio calls this)."""
        if self.remote is None or addr[0] != self.remote[0] or is_rtcp(data):
            return  # nobody else may speak into this call
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            return
        if addr[1] != self.remote[1]:
            self.remote = (addr[0], addr[1])  # symmetric RTP (RFC 4961), a phone behind NAT
        self.received.add(packet)
        if self.forward_to is not None:
            self.forward_to.forward(packet, data, self)
        if packet.payload_type == self.events_type:
            if len(packet.payload) >= 4:
                self._dtmf.handle_packet(packet)
        elif self.on_audio is not None and packet.payload_type in CODEC_NAMES:
            self.on_audio(get_codec(packet.payload_type).decode(packet.payload), packet.timestamp)

    def forward(self, packet: RtpPacket, data: bytes, origin: RtpLeg) -> None:
        """Send on a packet that `origin` received: as it is, or in this leg's law and numbers."""
        if not self._sending_on:
            return
        kind = packet.payload_type
        if kind == origin.events_type:
            if self.events_type is None:
                return  # this side did not ask for telephone events
            if kind != self.events_type:
                data = data[:1] + bytes([(data[1] & 0x80) | self.events_type]) + data[2:]
        elif kind != self.payload_type and kind in CODEC_NAMES:
            packet.payload = get_codec(self.payload_type).encode(
                get_codec(kind).decode(packet.payload)
            )
            packet.payload_type = self.payload_type
            data = packet.serialize()
        self._transmit(data)

    def _pressed(self, digit: str, duration: int) -> None:
        if self.on_dtmf is not None:
            self.on_dtmf(digit)

    async def aclose(self) -> None:
        """Stop sending and close the socket."""
        self.forward_to = None
        await self.stop_sending()
        if self._udp is not None:
            self._udp.close()
            self._udp = None
