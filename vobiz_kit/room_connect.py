"""Join a LiveKit room without the two dangers of being stopped halfway.

Both were met with livekit (rtc) 1.1.21 and livekit-server 1.13.5:

- When a task is cancelled while it joins, the native library waits 15 s for it and then ends the
  whole process, the notebook's kernel with it ("FFI Panic ... ReadyForRoomEventRequest").
- When the room is deleted while somebody joins, the join hangs for 15 s, succeeds all the same, and
  makes the room anew: the agent would sit in it alone, or ring somebody who is not to be rung.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from vobiz_kit.errors import CallError

if TYPE_CHECKING:
    from livekit import rtc

_SID_WITHIN_S = 2.0


class CallIsOver(CallError):  # noqa: N818 - named as what has happened
    """The call's room was deleted while the agent was on its way into it."""


async def finish_joining(room: rtc.Room, joining: Awaitable[None]) -> None:
    """Wait for a join; if we are cancelled meanwhile, let it come to its end and leave again.

    Args:
        room: The room that is joined.
        joining: ``room.connect(...)``.

    Raises:
        livekit.rtc.ConnectError: it could not be joined.
    """
    task = asyncio.ensure_future(joining)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                continue  # however often it is asked: there is no safe way to stop it
        if not task.cancelled() and task.exception() is None:
            await room.disconnect()
        raise


async def check_same_room(room: rtc.Room, sid: str) -> None:
    """Make sure that this is the room that was meant, and not a new one of the same name.

    Args:
        room: The room, joined.
        sid: LiveKit's id of the room that was meant; "" if it is not known.

    Raises:
        CallIsOver: it is another one: the first was deleted in the meantime.
    """
    if not sid:
        return
    found = await asyncio.wait_for(room.sid, _SID_WITHIN_S)
    if found != sid:
        raise CallIsOver(
            "The call was over before the agent was there.",
            evidence=f"the room was {sid} and is {found} now",
        )
