"""The recording of one call as a phone hears it: both directions, on the time of the call.

A telephone line does not stop when nobody sends: where no packets came there is silence on the
tape, so that both sides stay aligned and a listener can tell that somebody has stopped speaking.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from vobiz_kit.lab.handsets.sound import LINE_RATE, wav

# A stream whose time leaps, and is then further off the clock's than this, is another sender's.
_JUMP_S = 0.5

# Packets may be late by that much before the tape runs on without them.
_LATE_S = 0.3

# Who looks at the tape less often than that was held up, and packets are still waiting.
_STALL_S = 0.25

_WRAP = 1 << 32


class Track:
    """One direction: 8 kHz 16-bit mono PCM from the begin of the call on."""

    def __init__(self) -> None:
        self.pcm = bytearray()
        # The RTP timestamp that belongs to sample 0 of the tape, once a stream is known.
        self._zero: int | None = None
        self._next = 0
        self._looked_at = 0.0

    def __len__(self) -> int:
        return len(self.pcm)

    def write_packet(self, pcm: bytes, timestamp: int, at: float) -> None:
        """Put a packet's sound where its RTP timestamp says.

        Args:
            pcm: 8 kHz 16-bit mono PCM.
            timestamp: The packet's RTP timestamp, in samples.
            at: When it came, in seconds since the begin of the call.
        """
        now = round(at * LINE_RATE)
        jump = _JUMP_S * LINE_RATE
        position = None if self._zero is None else (timestamp - self._zero) % _WRAP
        # A packet that follows on those before stands beside them, however late it came.
        follows = (timestamp - self._next + jump) % _WRAP <= 2 * jump
        if position is None or (abs(position - now) > jump and not follows):
            position = max(now, len(self.pcm) // 2)
            self._zero = (timestamp - position) % _WRAP
        self._next = (timestamp + len(pcm) // 2) % _WRAP
        self.write(pcm, position)

    def write(self, pcm: bytes, position: int) -> None:
        """Put sound at a sample's position; silence fills what is between it and what was."""
        start = 2 * position
        if start > len(self.pcm):
            self.pcm.extend(bytes(start - len(self.pcm)))
        self.pcm[start : start + len(pcm)] = pcm

    def run_on(self, at: float) -> None:
        """Let time pass: silence up to that moment, less the time that a packet may be late.

        Call it several times a second: after a longer while it leaves the packets that have come
        meanwhile the time to be read first.
        """
        stalled = at - self._looked_at > _STALL_S
        self._looked_at = at
        if stalled:
            return
        missing = 2 * int((at - _LATE_S) * LINE_RATE) - len(self.pcm)
        if missing > 0:
            self.pcm.extend(bytes(missing))


class Tape:
    """Both directions of a call.

    Attributes:
        heard: What reached this phone.
        said: What this phone sent.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begin = clock()
        self.heard = Track()
        self.said = Track()

    @property
    def now(self) -> float:
        """Seconds since the begin of the call."""
        return self._clock() - self._begin

    def hear(self, pcm: bytes, timestamp: int) -> None:
        """A packet came, with its RTP timestamp."""
        self.heard.write_packet(pcm, timestamp, self.now)

    def say(self, pcm: bytes) -> float:
        """Sound was queued for sending now; it follows on what still waits to be sent.

        Returns:
            When its last sample leaves the phone, in seconds since the begin of the call.
        """
        position = max(round(self.now * LINE_RATE), len(self.said) // 2)
        self.said.write(pcm, position)
        return len(self.said) / 2 / LINE_RATE

    def hush(self) -> None:
        """What was queued and has not left the phone by now never will."""
        del self.said.pcm[2 * round(self.now * LINE_RATE) :]

    def wav(self, side: str = "both") -> bytes:
        """A WAV file of "heard", "said", or "both" (stereo: heard left, said right).

        Raises:
            ValueError: there is no such side.
        """
        match side:
            case "heard":
                return wav(bytes(self.heard.pcm))
            case "said":
                return wav(bytes(self.said.pcm))
            case "both":
                return wav(bytes(self.heard.pcm), bytes(self.said.pcm))
        raise ValueError(f"a recording has the sides heard, said and both, not {side!r}")
