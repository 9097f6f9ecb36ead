"""Find out what became of a transfer of which the carrier did not say in time how it ended.

Nothing is guessed. As long as the caller is there, nobody has taken the call over; 35 seconds
after the request no REFER acts any more. If the caller has left, the carrier's records tell whether
to the transfer target or for good.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vobiz_kit.outcomes import TransferOutcome
from vobiz_kit.transfers import MAY_ACT_S, stays

if TYPE_CHECKING:
    from livekit import rtc

    from vobiz_kit.cdr import Cdr


async def outlasted(
    room: rtc.Room, undecided: TransferOutcome, seconds: float = MAY_ACT_S
) -> TransferOutcome | None:
    """Wait until the transfer can act no more, as long as the caller stays.

    Args:
        room: The call's room, connected.
        undecided: What the transfer's end was called so far.
        seconds: After that it acts no more.

    Returns:
        That nobody answered, if the caller is still there at the end; None if the caller left.
    """
    if not await stays(room, seconds):
        return None
    evidence = f"{seconds:g} s after the request was given up the caller is still here"
    return TransferOutcome("no_answer", undecided.who, evidence=evidence)


def settled_by_records(
    undecided: TransferOutcome, records: Iterable[Cdr], bridge: str, target: str
) -> TransferOutcome:
    """What the carrier's records say of a caller who left while a transfer was not decided.

    A leg's record is written when the leg has ended. So if LiveKit's leg has one, and the caller's
    has none, the caller is talking to somebody else.

    Args:
        undecided: What the transfer's end was called so far.
        records: The call's records, those of other calls are ignored.
        bridge: The SIP Call-ID of LiveKit's leg, the records' ``bridge_uuid``.
        target: The number of the transfer target in E.164.

    Returns:
        "completed", "caller_hung_up", or `undecided` if the records do not say.
    """
    legs = [record for record in records if bridge in (record.bridge_uuid, record.sip_call_id)]
    own = [leg for leg in legs if leg.sip_call_id == bridge]
    at_target = [leg for leg in legs if leg.to_number == target and leg not in own]
    callers = [leg for leg in legs if leg not in own and leg not in at_target]
    who = undecided.who
    if any(leg.answered for leg in at_target):
        evidence = f"the carrier's records have an answered leg to {target}"
        return TransferOutcome("completed", who, evidence=evidence)
    if not own:
        return undecided
    if callers:
        evidence = (
            f"the caller's leg ended ({callers[0].hangup_cause}), and {target} had not answered"
        )
        return TransferOutcome("caller_hung_up", who, evidence=evidence)
    evidence = "LiveKit's leg has ended and the caller's has not: the caller is talking to them"
    return TransferOutcome("completed", who, evidence=evidence)
