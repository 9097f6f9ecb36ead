"""A caller on hold: music instead of the agent, and the agent's ears closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit import rtc
from livekit.agents import AudioConfig, BackgroundAudioPlayer, BuiltinAudioClip

if TYPE_CHECKING:
    from livekit.agents import AgentSession

# Music that comes with livekit-agents. It is played to the same phone as the agent's voice, which
# is louder; LiveKit's own warm transfer plays it at this volume, too.
_MUSIC = AudioConfig(BuiltinAudioClip.HOLD_MUSIC, volume=0.8)


class Hold:
    """Puts one caller on hold, and takes them off again.

    As long as it lasts nobody but the caller can hear what this agent publishes: LiveKit itself
    refuses everybody else, also who joins meanwhile.

    Args:
        room: The call's room, as the agent is in it.
        session: The agent that was talking with the caller.
        caller: The identity of the caller's phone.
    """

    def __init__(self, room: rtc.Room, session: AgentSession, caller: str) -> None:
        self._room = room
        self._session = session
        self._caller = caller
        self._player: BackgroundAudioPlayer | None = None

    async def begin(self) -> None:
        """Close the agent's ears and mouth, and start the music."""
        allow_only(self._room, self._caller)
        self._set_audio(False)
        self._player = BackgroundAudioPlayer()
        await self._player.start(room=self._room)
        self._player.play(_MUSIC, loop=True)

    async def back_to_agent(self) -> None:
        """Caller and agent hear each other again, at once; then the music ends."""
        self._set_audio(True)
        await self.stop_music()
        self._room.local_participant.set_track_subscription_permissions(allow_all_participants=True)

    async def stop_music(self) -> None:
        """End the music, and nothing else. Once is enough; more does no harm."""
        player, self._player = self._player, None
        if player is not None:
            await player.aclose()

    def _set_audio(self, enabled: bool) -> None:
        # Asked first: there is none when the session was started without it, or is closed.
        if self._session.input.audio is not None:
            self._session.input.set_audio_enabled(enabled)
        if self._session.output.audio is not None:
            self._session.output.set_audio_enabled(enabled)


def allow_only(room: rtc.Room, identity: str) -> None:
    """Let that participant, and nobody else, hear what we publish in the room, now and later."""
    room.local_participant.set_track_subscription_permissions(
        allow_all_participants=False,
        participant_permissions=[
            rtc.ParticipantTrackPermission(participant_identity=identity, allow_all=True)
        ],
    )
