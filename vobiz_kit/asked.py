"""Who wants something dialled, and in which call: what the policy counts by, and the audit log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from livekit.agents import JobContext, RunContext

    from vobiz_kit.call_state import CallState


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants something dialled, and in which call.

    Attributes:
        by: What asks: the tool's name ("transfer_call"), or "place_call", "dial", "Call.transfer".
        kind: "call" for a new call, "transfer" for handing one over.
        room: The call's room at LiveKit, "" if there is none yet.
        sip_call_id: LiveKit's id of the call (``SCL_...``), "" before it is known.
        bridge_uuid: The SIP Call-ID of LiveKit's leg, by which the carrier's records and trace
            know the call; "" before it is known.
        said: What the caller said last, "" if nobody spoke.
        phone: The phone at the other end of the call, "" if there is none yet.
    """

    by: str
    kind: Literal["call", "transfer"]
    room: str = ""
    sip_call_id: str = ""
    bridge_uuid: str = ""
    said: str = ""
    phone: str = ""


def asked_by_tool(ctx: JobContext, context: RunContext) -> Asked:
    """What a tool asks for while its agent talks to a caller.

    Args:
        ctx: The job.
        context: The tool's run, as LiveKit gives it to the tool.
    """
    phones = [phone.attributes for phone in ctx.room.remote_participants.values()]
    sip_call_id, bridge_uuid = sip_ids(phones)
    numbers = [number for phone in phones if (number := phone.get("sip.phoneNumber", ""))]
    return Asked(
        context.function_call.name,
        "transfer",
        ctx.room.name,
        sip_call_id,
        bridge_uuid,
        _said_last(context),
        numbers[0] if numbers else "",
    )


def asked_by_call(call: CallState) -> Asked:
    """What a person asks for by ``call.transfer``, a button of the transfer panel included."""
    return Asked(
        "Call.transfer",
        "transfer",
        call.room,
        call.sip_tag,
        call.sip_call_id,
        phone=call.phone_number,
    )


def sip_ids(phones: Iterable[Mapping[str, str]]) -> tuple[str, str]:
    """LiveKit's id and the carrier's id of the first phone that has one; "" for what is unknown.

    Args:
        phones: The attributes of each participant.
    """
    for attributes in phones:
        if found := attributes.get("sip.callID", ""):
            return found, attributes.get("sip.callIDFull", "")
    return "", ""


def _said_last(context: RunContext) -> str:
    history = getattr(context.session, "history", None)
    for item in reversed(history.items if history is not None else []):
        if item.type == "message" and item.role == "user":
            return item.text_content or ""
    return ""
