"""Transfer a caller to a destination: to the first of its numbers at which somebody answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from vobiz_kit.errors import NumberRefused
from vobiz_kit.meanings import NEXT_NUMBER_MAY_DO
from vobiz_kit.numbers import transfer_uri
from vobiz_kit.policy import check_destination
from vobiz_kit.transfers import cold_transfer

if TYPE_CHECKING:
    from livekit import rtc
    from livekit.api import LiveKitAPI

    from vobiz_kit.asked import Asked
    from vobiz_kit.directory import Destination, Directory
    from vobiz_kit.outcomes import TransferOutcome
    from vobiz_kit.settings import Settings

_log = logging.getLogger(__name__)

OnNext = Callable[["Destination", "TransferOutcome"], Awaitable[None]]


async def transfer_to(
    api: LiveKitAPI,
    room: rtc.Room,
    to: Destination,
    settings: Settings,
    directory: Directory | None = None,
    asked: Asked | None = None,
    *,
    ringing_timeout_s: int = 30,
    on_next: OnNext | None = None,
) -> TransferOutcome:
    """Hand the caller to a destination, number after number of its hunt list.

    The next number is tried only where another one may do: after a busy line, not after a carrier
    that permits no transfers, and never as long as an earlier REFER may still act. Each further
    number passes the policy, and counts as a try of its own.

    Args:
        api: LiveKit's server API.
        room: The call's room, connected.
        to: The destination, as `check_destination` gave it.
        settings: Whose trunk it is.
        directory: The aliases that count; those of the settings if None.
        asked: Who asks, in which call; the first number has been counted already.
        ringing_timeout_s: Whole seconds that a number may ring, where the destination has no limit
            of its own.
        on_next: Is awaited before each further number, with the destination and how the one
            before it ended: to tell the caller.

    Returns:
        How it ended at the last number that was tried.
    """
    outcome: TransferOutcome | None = None
    for target in to.hunt():
        if outcome is not None:
            try:
                check_destination(target.number, settings, directory, asked)
            except NumberRefused as refusal:  # too many were tried: the caller is with the agent
                _log.warning("the next number is not tried: %s", refusal.what)
                break
            if on_next is not None:
                await on_next(target, outcome)
        uri = transfer_uri(target.number, settings.vobiz_sip_domain)
        limit = target.ringing_s or ringing_timeout_s
        outcome = await cold_transfer(api, room, uri, str(target), ringing_timeout_s=limit)
        if outcome.name not in NEXT_NUMBER_MAY_DO:
            break
    assert outcome is not None  # a destination has at least one number
    return outcome
