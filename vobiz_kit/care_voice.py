"""A voice that needs no service: speech kept from when the agent's own still worked, and tones.

It has a track of its own beside the agent's session, so that it is heard whatever has become of
that. livekit-sip mixes all tracks of a room for the phone (read in its room.go, and heard).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from vobiz_kit.call_events import TRANSCRIPTION_FINAL, TRANSCRIPTION_SEGMENT, TRANSCRIPTION_TOPIC

if TYPE_CHECKING:
    from livekit import rtc

_log = logging.getLogger(__name__)

RATE = 24000
_FRAME = RATE // 50  # samples of 20 ms
_LEVEL = 0.12  # of full scale: about as loud as speech
_KEPT_WITHIN_S = 10.0
_LONGEST_S = 12.0
# The phone begins to hear a new track that much after it was published (measured: 0.1 s).
_TRACK_HEARD_S = 0.2

# (voice, words) -> sound at RATE; one process, all calls.
_kept: dict[tuple[str, str], bytes] = {}
_keeping: ContextVar[bool] = ContextVar("keeping", default=False)


def is_keeping() -> bool:
    """Whether the code that runs was started by `keep`: what fails there harms no caller."""
    return _keeping.get()


async def keep(tts: Any, *texts: str) -> None:
    """Have texts spoken and keep the sound, unless it is kept already.

    Args:
        tts: A session's text to speech.
        *texts: What may have to be said when it does not work any more.
    """
    from livekit import rtc
    from livekit.agents import APIConnectOptions, APIError

    _keeping.set(True)
    for text in texts:
        if (_voice_of(tts), text) in _kept:
            continue
        frames: list[rtc.AudioFrame] = []
        try:
            async with asyncio.timeout(_KEPT_WITHIN_S):
                options = APIConnectOptions(max_retry=0, timeout=_KEPT_WITHIN_S)
                async with tts.synthesize(text, conn_options=options) as stream:
                    frames = [event.frame async for event in stream]
        except (APIError, TimeoutError) as error:
            _log.warning("%r could not be kept for bad times: %r", text, error)
        if frames:
            _kept[_voice_of(tts), text] = _at_rate(rtc.combine_audio_frames(frames))


def forget() -> None:
    """Let go of all that was kept."""
    _kept.clear()


def kept(tts: Any, text: str) -> bytes | None:
    """The kept sound of a text in a voice (16-bit mono at `RATE`), or None."""
    return _kept.get((_voice_of(tts), text))


def trouble_tone() -> bytes:
    """Special information tone, twice: "your call cannot go on" (ITU-T E.180: 950/1400/1800 Hz)."""
    once = [_tone(0.33, hertz) for hertz in (950, 1400, 1800)]
    return b"".join([*once, _rest(1.0), *once])


def wait_tone() -> bytes:
    """Two short beeps: somebody is still there."""
    return b"".join([_tone(0.15, 440), _rest(0.15), _tone(0.15, 440)])


def ringing_tone() -> bytes:
    """One period of India's ringing tone, Vobiz's home (ITU-T E.180 Supplement 2)."""
    ring = _tone(0.4, 400, 425)
    return b"".join([ring, _rest(0.2), ring, _rest(2.0)])


class CareVoice:
    """Speaks into one room.

    Args:
        room: The call's room. Nothing is said while it is not connected.
    """

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._source: rtc.AudioSource | None = None
        self._playing: asyncio.Task[None] | None = None

    @property
    def is_heard(self) -> bool:
        """Whether it is speaking now."""
        return self._playing is not None and not self._playing.done()

    async def say(self, text: str, tts: Any, instead: bytes) -> None:
        """Say a text to its end in the session's voice, or play a tone if that was never kept.

        Args:
            text: The words; whoever watches the call reads them, too.
            tts: The session's text to speech, None if there is no session.
            instead: The tone.
        """
        sound = None if tts is None else kept(tts, text)
        if self._room.isconnected():
            await self._show(text if sound else f"(a tone) {text}")
        await self.play(sound or instead)

    async def play(self, pcm: bytes) -> bool:
        """Play sound until its end, or until `stop`; whether it was played to its end.

        Args:
            pcm: 16-bit mono at `RATE`.
        """
        if not self._room.isconnected():
            return False
        playing = self._playing = asyncio.create_task(self._play(pcm), name="the care voice")
        try:
            await asyncio.wait({playing}, timeout=_LONGEST_S)
        finally:
            self.stop()
        if not playing.done() or playing.cancelled():
            return False
        if (error := playing.exception()) is not None:
            _log.warning("the caller could not be told: %r", error)
        return error is None

    def stop(self) -> None:
        """Be silent at once."""
        if self._playing is not None:
            self._playing.cancel()
        if self._source is not None:
            self._source.clear_queue()

    async def aclose(self) -> None:
        """Let go of the track's source."""
        self.stop()
        if self._playing is not None:
            await asyncio.gather(self._playing, return_exceptions=True)
        if self._source is not None:
            source, self._source = self._source, None
            await source.aclose()

    async def _play(self, pcm: bytes) -> None:
        from livekit import rtc

        source = self._source or await self._publish()
        size = 2 * _FRAME
        for begin in range(0, len(pcm), size):
            piece = pcm[begin : begin + size].ljust(size, b"\0")
            await source.capture_frame(rtc.AudioFrame(piece, RATE, 1, _FRAME))
        await source.wait_for_playout()

    async def _publish(self) -> rtc.AudioSource:
        from livekit import rtc

        self._source = source = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("vobiz-care", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self._room.local_participant.publish_track(track, options)
        await asyncio.sleep(_TRACK_HEARD_S)
        return source

    async def _show(self, text: str) -> None:
        marks = {TRANSCRIPTION_FINAL: "true", TRANSCRIPTION_SEGMENT: f"care-{secrets.token_hex(4)}"}
        try:
            async with asyncio.timeout(1):
                await self._room.local_participant.send_text(
                    text, topic=TRANSCRIPTION_TOPIC, attributes=marks
                )
        except (RuntimeError, ConnectionError, TimeoutError) as error:
            _log.warning("nobody could be shown %r: %r", text, error)


def _voice_of(tts: Any) -> str:
    return f"{tts.label} {tts.model}"


def _at_rate(frame: rtc.AudioFrame) -> bytes:
    from livekit import rtc

    if frame.sample_rate == RATE and frame.num_channels == 1:
        return bytes(frame.data)
    resampler = rtc.AudioResampler(frame.sample_rate, RATE, num_channels=frame.num_channels)
    pieces = [*resampler.push(frame), *resampler.flush()]
    return b"".join(
        np.asarray(piece.data).reshape(-1, frame.num_channels)[:, 0].tobytes() for piece in pieces
    )


def _tone(seconds: float, *hertz: int) -> bytes:
    at = np.arange(int(seconds * RATE)) / RATE
    wave = np.mean([np.sin(2 * np.pi * each * at) for each in hertz], axis=0)
    return (wave * _LEVEL * 32767).astype("<i2").tobytes()


def _rest(seconds: float) -> bytes:
    return bytes(2 * int(seconds * RATE))
