"""How well a stream of RTP arrived: loss, jitter, and the opinion score that follows from them."""

from __future__ import annotations

import time

from aiortp import RtpPacket
from aiortp.stats import StreamStatistics

CLOCK = 8000


class StreamReport:
    """Loss and jitter over all sources that sent to one leg (a transfer brings another source).

    Attributes:
        packets: Packets received.
        last_at: When the last one came, in Unix seconds; 0.0 if none did.
    """

    def __init__(self) -> None:
        self.packets = 0
        self.last_at = 0.0
        self._ssrc: int | None = None
        self._current: StreamStatistics | None = None
        self._expected_before = 0
        self._received_before = 0
        self._worst_jitter = 0

    def add(self, packet: RtpPacket) -> None:
        """Count one packet."""
        if packet.ssrc != self._ssrc or self._current is None:
            self._close_current()
            self._ssrc = packet.ssrc
            self._current = StreamStatistics(CLOCK)
        self._current.add(packet)
        self.packets += 1
        self.last_at = time.time()

    def _close_current(self) -> None:
        if self._current is not None:
            self._expected_before += self._current.packets_expected
            self._received_before += self._current.packets_received
            self._worst_jitter = max(self._worst_jitter, self._current.jitter)

    @property
    def loss(self) -> float:
        """The share of packets that never came, 0.0 to 1.0."""
        expected, received = self._expected_before, self._received_before
        if self._current is not None:
            expected += self._current.packets_expected
            received += self._current.packets_received
        return max(0.0, 1 - received / expected) if expected else 0.0

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter in milliseconds (RFC 3550 section 6.4.1), the worst source's."""
        now = self._current.jitter if self._current is not None else 0
        return max(self._worst_jitter, now) * 1000 / CLOCK

    @property
    def mos(self) -> float:
        """Mean opinion score, 1 to 4.4, by the E-model's short form (ITU-T G.107); 0 = no media.

        G.711 without loss concealment: R = 93.2 - delay impairment - loss impairment, with the
        jitter buffer taken as twice the jitter.
        """
        if not self.packets:
            return 0.0
        delay = 2 * self.jitter_ms + 20
        rating = 93.2 - 0.024 * delay - 95 * self.loss / (self.loss + 0.043)
        if rating <= 0:
            return 1.0
        score = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
        return round(min(score, 4.5), 2)
