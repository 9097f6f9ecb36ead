"""The rooms of this learner's calls at LiveKit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vobiz_kit.livekit_api import open_livekit_api

if TYPE_CHECKING:
    from vobiz_kit.settings import Settings


async def rooms_of(settings: Settings) -> list[str]:
    """The names of the rooms of this learner's calls, oldest first."""
    from livekit.api import ListRoomsRequest

    ours = (settings.inbound_room_prefix, settings.outbound_room_prefix)
    async with open_livekit_api(settings) as api:
        found = (await api.room.list_rooms(ListRoomsRequest())).rooms
    mine = sorted(
        (room.creation_time_ms, room.name) for room in found if room.name.startswith(ours)
    )
    return [name for _, name in mine]
