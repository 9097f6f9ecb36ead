"""What the trunks and the dispatch rule should be, and how what is there differs from it.

No network here: LiveKit's messages in, LiveKit's messages out. ``trunks.py`` carries it out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.duration_pb2 import Duration
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from livekit.protocol.sip import (
    SIP_TRANSPORT_UDP,
    SIPDispatchRule,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
)

if TYPE_CHECKING:
    from vobiz_kit.settings import Settings

MADE_BY = "vobiz-kit"

# LiveKit's default is 180 s (measured): that long a caller would hear ringing with no agent there.
RINGING_TIMEOUT = 30  # seconds

Item = SIPInboundTrunkInfo | SIPOutboundTrunkInfo | SIPDispatchRuleInfo
AnyItem = TypeVar("AnyItem", SIPInboundTrunkInfo, SIPOutboundTrunkInfo, SIPDispatchRuleInfo)

_PASSWORD = "auth_password"
_OURS: dict[type[Item], tuple[str, ...]] = {
    SIPInboundTrunkInfo: ("name", "numbers", "ringing_timeout", "krisp_enabled"),
    SIPOutboundTrunkInfo: (
        "name",
        "address",
        "transport",
        "numbers",
        "auth_username",
        _PASSWORD,
        "from_host",
    ),
    SIPDispatchRuleInfo: ("name", "trunk_ids", "rule", "room_config"),
}


def tag(settings: Settings) -> str:
    """The metadata that marks what the kit made for this prefix, as JSON."""
    return json.dumps({"made_by": MADE_BY, "prefix": settings.prefix})


def made_for(item: Item) -> str | None:
    """The prefix for which the kit made this trunk or rule; None if the kit did not make it."""
    try:
        data = json.loads(item.metadata)
    except ValueError:
        return None
    if not isinstance(data, dict) or data.get("made_by") != MADE_BY:
        return None
    return str(data.get("prefix", ""))


def item_id(item: Item) -> str:
    """LiveKit's id: ``ST_...`` of a trunk, ``SDR_...`` of a dispatch rule."""
    if isinstance(item, SIPDispatchRuleInfo):
        return item.sip_dispatch_rule_id
    return item.sip_trunk_id


def wanted_inbound(settings: Settings) -> SIPInboundTrunkInfo:
    """The trunk that takes the calls to your number."""
    return SIPInboundTrunkInfo(
        name=settings.inbound_trunk_name,
        metadata=tag(settings),
        numbers=[settings.vobiz_outbound_number],
        ringing_timeout=Duration(seconds=RINGING_TIMEOUT),
        krisp_enabled=False,  # noise cancellation of LiveKit Cloud; a server of one's own has none
    )


def wanted_outbound(settings: Settings) -> SIPOutboundTrunkInfo:
    """The trunk that places calls through Vobiz."""
    return SIPOutboundTrunkInfo(
        name=settings.outbound_trunk_name,
        metadata=tag(settings),
        address=settings.vobiz_sip_address,
        transport=SIP_TRANSPORT_UDP,
        numbers=[settings.vobiz_outbound_number],
        auth_username=settings.vobiz_username,
        auth_password=settings.vobiz_password.reveal(),
        # The trunk is known at Vobiz by its domain, also where another address is dialled.
        from_host=settings.vobiz_sip_domain,
    )


def wanted_rule(settings: Settings, inbound_trunk_id: str) -> SIPDispatchRuleInfo:
    """The rule that puts every caller into a room of their own and calls the agent.

    It always names its trunk: a rule without ``trunk_ids`` accepts callers that the trunk's
    numbers, addresses or password would have refused (measured).
    """
    if not inbound_trunk_id:
        raise ValueError("a dispatch rule without a trunk would accept any caller")
    return SIPDispatchRuleInfo(
        name=settings.dispatch_rule_name,
        metadata=tag(settings),
        trunk_ids=[inbound_trunk_id],
        rule=SIPDispatchRule(
            dispatch_rule_individual=SIPDispatchRuleIndividual(
                room_prefix=settings.inbound_room_prefix
            )
        ),
        room_config=RoomConfiguration(agents=[RoomAgentDispatch(agent_name=settings.agent_name)]),
    )


def differing(current: AnyItem, wanted: AnyItem) -> list[str]:
    """The fields that the kit sets and that are not as wanted.

    Fields that the kit does not set (an allow-list that a person added) are left alone. A
    password that LiveKit does not give back in clear cannot be compared and counts as right.
    """
    out = []
    for name in _OURS[type(current)]:
        if name == _PASSWORD and _is_redacted(getattr(current, name)):
            continue
        if _comparable(current, name) != _comparable(wanted, name):
            out.append(name)
    return out


def merged(current: AnyItem, wanted: AnyItem) -> AnyItem:
    """What is there, with every field that the kit sets as wanted, to replace it whole.

    The password is always among them: a redacted one must not be written back.
    """
    new = type(current)()
    new.CopyFrom(current)
    for name in _OURS[type(current)]:
        if name == "room_config" and isinstance(new, SIPDispatchRuleInfo):
            new.room_config.ClearField("agents")  # the rest of the room's configuration stays
        else:
            new.ClearField(name)
    ours = type(wanted)()
    ours.CopyFrom(wanted)
    for descriptor, _ in wanted.ListFields():
        if descriptor.name not in _OURS[type(current)]:
            ours.ClearField(descriptor.name)
    new.MergeFrom(ours)
    return new


def describe_change(current: AnyItem, wanted: AnyItem, name: str) -> str:
    """One line for a person: ``numbers: +1555... → +1555...``; a password is never shown."""
    if name == _PASSWORD:
        return "auth_password: another one (not shown)"
    return f"{name}: {_shown(current, name)} → {_shown(wanted, name)}"


def _is_redacted(password: str) -> bool:
    return not password or not password.strip("*•x") or "redacted" in password.lower()


def _comparable(item: Item, name: str) -> object:
    if name == "room_config" and isinstance(item, SIPDispatchRuleInfo):
        return [agent.agent_name for agent in item.room_config.agents]
    value = getattr(item, name)
    return list(value) if name in ("numbers", "trunk_ids") else value


def _shown(item: Item, name: str) -> str:
    value = _comparable(item, name)
    if isinstance(value, Duration):
        return f"{value.seconds} s" if value.seconds else "LiveKit's default"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return " ".join(str(value).split()) or "none"


def describe(item: Item) -> str:
    """What a trunk or a rule does, in one line."""
    if isinstance(item, SIPInboundTrunkInfo):
        return f"takes calls to {', '.join(item.numbers) or 'any number'}"
    if isinstance(item, SIPOutboundTrunkInfo):
        user = f" as {item.auth_username}" if item.auth_username else ""
        return f"dials {item.address}{user}, caller id {', '.join(item.numbers)}"
    agents = ", ".join(agent.agent_name for agent in item.room_config.agents) or "no agent"
    trunks = ", ".join(item.trunk_ids) or "any trunk (and past its protection)"
    return f"calls on {trunks} → {agents}, {_rooms(item.rule)}"


def _rooms(rule: SIPDispatchRule) -> str:
    if rule.HasField("dispatch_rule_individual"):
        return f"rooms {rule.dispatch_rule_individual.room_prefix}..."
    if rule.HasField("dispatch_rule_direct"):
        return f"room {rule.dispatch_rule_direct.room_name}"
    return f"rooms {rule.dispatch_rule_callee.room_prefix}..."
