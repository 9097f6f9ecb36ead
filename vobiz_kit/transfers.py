"""The one place that asks LiveKit to transfer a caller (SIP REFER, RFC 3515)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vobiz_kit.call_events import is_consulted
from vobiz_kit.outcomes import TransferOutcome, transfer_outcome

if TYPE_CHECKING:
    from livekit import rtc
    from livekit.api import LiveKitAPI, TransferSIPParticipantRequest

# Once the phone has left, LiveKit's answer comes within milliseconds, or only when the ringing
# timeout is over (measured, T11).
_ANSWER_GRACE_S = 0.5
# The phone's leaving is known 4 to 33 ms after its BYE (measured, n = 40).
_LEAVING_GRACE_S = 0.1
# A carrier that has given up ringing, because the caller has gone, takes its time to say that, too.
_GIVEN_UP_GRACE_S = 1.0

# Seconds after a request was given up in which the carrier may still act on its REFER, and in which
# LiveKit sends no other one for the call (measured, T5).
MAY_ACT_S = 35.0

_transferring: set[str] = set()
_acting_until: dict[str, float] = {}  # room -> monotonic time, of transfers that were not decided
_lock = threading.Lock()


def phone_in(room: rtc.Room) -> rtc.RemoteParticipant | None:
    """The phone on the line: the room's SIP participant, None if there is none (any more).

    The phone of a warm transfer's target is not meant: it is there for the caller's sake.
    """
    from livekit.rtc import ParticipantKind

    for participant in room.remote_participants.values():
        is_phone = participant.kind == ParticipantKind.PARTICIPANT_KIND_SIP
        if is_phone and not is_consulted(participant.identity):
            return participant
    return None


def caller_to_transfer(room: rtc.Room, who: str) -> rtc.RemoteParticipant | TransferOutcome:
    """The caller's phone, or why there is nobody to transfer: only an answered call can be.

    Args:
        room: The call's room, connected.
        who: The target's name for messages.
    """
    phone = phone_in(room)
    if phone is None:
        return TransferOutcome("caller_hung_up", who, evidence="no phone is in the room")
    status = phone.attributes.get("sip.callStatus", "")
    if status == "active":
        return phone
    name = "caller_hung_up" if status == "hangup" else "not_answered_yet"
    return TransferOutcome(name, who, evidence=f"sip.callStatus is {status!r}")


def is_transferring(room_name: str) -> bool:
    """Whether a transfer out of that room was started in this process and is not decided yet."""
    return room_name in _transferring


async def cold_transfer(
    api: LiveKitAPI, room: rtc.Room, uri: str, who: str, *, ringing_timeout_s: int = 30
) -> TransferOutcome:
    """Ask the carrier to connect the caller to somebody else, and wait for how that ends.

    The caller stays with the agent until the carrier confirms, so a failure costs nothing. A call
    is transferred only when it has been answered, and never twice at once: LiveKit would send a
    REFER that waited for the answer long after its request was given up (measured, T7, T9).

    Args:
        api: LiveKit's server API.
        room: The call's room, connected: an end of the call looks like success to LiveKit (T1), so
            the phone itself is watched.
        uri: The transfer target, made by `vobiz_kit.numbers.transfer_uri` and nothing else.
        who: The target's name for messages.
        ringing_timeout_s: Whole seconds for the target to answer, at least 1.

    Returns:
        The outcome; never raises for what the carrier or LiveKit did.
    """
    phone = caller_to_transfer(room, who)
    if isinstance(phone, TransferOutcome):
        return phone
    with claim_transfer(room.name) as claimed:
        if not claimed:
            return TransferOutcome("transfer_in_progress", who)
        if (left_s := _acting_until.get(room.name, 0.0) - time.monotonic()) > 0:
            evidence = f"an earlier REFER of this call may still act for {left_s:.0f} s"
            return TransferOutcome("transfer_in_progress", who, evidence=evidence)
        request = _request(room.name, phone.identity, uri, ringing_timeout_s)
        started = time.monotonic()
        with leaving(room, phone.identity) as left:
            outcome = await _send(api, request, left, who)
        if outcome.name == "undecided":
            _remember(room.name)
        return outcome.took(time.monotonic() - started)


async def stays(room: rtc.Room, seconds: float) -> bool:
    """Watch the phone after a transfer that was not decided.

    Args:
        room: The call's room, connected.
        seconds: For how long.

    Returns:
        True if the phone is still in the call then, False as soon as it has left.
    """
    phone = phone_in(room)
    if phone is None:
        return False
    with leaving(room, phone.identity) as left:
        try:
            await asyncio.wait_for(left.wait(), seconds)
        except TimeoutError:
            return True
    return False


def _remember(room_name: str) -> None:
    now = time.monotonic()
    for name in [name for name, until in _acting_until.items() if until < now]:
        _acting_until.pop(name, None)
    _acting_until[room_name] = now + MAY_ACT_S


def _request(room: str, identity: str, uri: str, ringing_s: int) -> TransferSIPParticipantRequest:
    from livekit.api import TransferSIPParticipantRequest

    request = TransferSIPParticipantRequest(
        room_name=room,
        participant_identity=identity,
        transfer_to=uri,
        # With a dial tone a REFER that is never answered leaves the caller without any sound for
        # 33 seconds (measured, T4).
        play_dialtone=False,
    )
    request.ringing_timeout.seconds = max(1, ringing_s)
    return request


async def _send(
    api: LiveKitAPI, request: TransferSIPParticipantRequest, left: asyncio.Event, who: str
) -> TransferOutcome:
    import aiohttp
    from livekit.api import ServerError

    # Cancelling this task would not stop the transfer (T8): whoever awaits us has to shield it.
    answer = asyncio.create_task(api.sip.transfer_sip_participant(request), name="SIP transfer")
    leaving = asyncio.create_task(left.wait(), name="the phone leaves")
    try:
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        gone_first = leaving.done()
        if not answer.done():
            await asyncio.wait({answer}, timeout=_ANSWER_GRACE_S)
        if not answer.done():
            return TransferOutcome(
                "caller_hung_up", who, evidence="the phone left before the carrier said anything"
            )
        try:
            answer.result()
        except (ServerError, aiohttp.ClientError, TimeoutError) as error:
            outcome = transfer_outcome(error, who)
            # A caller who hangs up makes the carrier give up ringing: that is told first.
            grace = _GIVEN_UP_GRACE_S if outcome.name == "cancelled" else _LEAVING_GRACE_S
            await asyncio.wait({leaving}, timeout=grace)
            if left.is_set():
                return TransferOutcome(
                    "caller_hung_up", who, outcome.sip_status, outcome.sip_reason, outcome.evidence
                )
            return outcome
        # LiveKit reports success for any end of the call (T1). After a transfer that worked its
        # answer comes first: the carrier ends LiveKit's leg only when the target has answered.
        name = "caller_hung_up" if gone_first else "completed"
        evidence = "the phone left while the carrier was at it" if gone_first else ""
        return TransferOutcome(name, who, evidence=evidence)
    finally:
        for task in (answer, leaving):
            task.cancel()
        await asyncio.gather(answer, leaving, return_exceptions=True)


@contextmanager
def claim_transfer(room_name: str) -> Iterator[bool]:
    """True if no other transfer of this call is going on in this process; holds the place."""
    with _lock:
        claimed = room_name not in _transferring
        _transferring.add(room_name)
    try:
        yield claimed
    finally:
        if claimed:
            _transferring.discard(room_name)


@contextmanager
def leaving(room: rtc.Room, identity: str) -> Iterator[asyncio.Event]:
    """An event that is set when that phone has left the call, by whatever way."""
    left = asyncio.Event()

    def on_disconnected(participant: rtc.RemoteParticipant) -> None:
        if participant.identity == identity:
            left.set()

    def on_attributes(changed: dict[str, str], participant: rtc.Participant) -> None:
        if participant.identity == identity and changed.get("sip.callStatus") == "hangup":
            left.set()

    def on_room_end(*_: object) -> None:
        left.set()

    handlers = {
        "participant_disconnected": on_disconnected,
        "participant_attributes_changed": on_attributes,
        "disconnected": on_room_end,
    }
    for event, handler in handlers.items():
        room.on(event, handler)  # type: ignore[arg-type]
    try:
        yield left
    finally:
        for event, handler in handlers.items():
            room.off(event, handler)  # type: ignore[arg-type]
