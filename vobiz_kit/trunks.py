"""LiveKit's side of the trunk: inbound trunk, outbound trunk, dispatch rule, made idempotently."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vobiz_kit.errors import TrunkError
from vobiz_kit.livekit_api import guard_livekit_api, open_sip_service
from vobiz_kit.trunk_table import Part, State, TrunkRow, TrunkTable

if TYPE_CHECKING:
    from livekit.api import ServerError
    from livekit.api.sip_service import SipService
    from livekit.protocol.sip import (
        SIPDispatchRuleInfo,
        SIPInboundTrunkInfo,
        SIPOutboundTrunkInfo,
    )

    from vobiz_kit.settings import Settings
    from vobiz_kit.trunk_plan import AnyItem, Item

__all__ = [
    "TrunkRow",
    "TrunkTable",
    "apply_trunks",
    "destroy_trunks",
    "find_outbound_trunk",
    "guard_livekit_api",
    "list_trunks",
]


@dataclass(frozen=True)
class _Found:
    """All trunks and rules of the LiveKit project."""

    inbound: list[SIPInboundTrunkInfo]
    outbound: list[SIPOutboundTrunkInfo]
    rules: list[SIPDispatchRuleInfo]

    def parts(self) -> Iterable[tuple[Part, list[Item]]]:
        yield "inbound trunk", [*self.inbound]
        yield "outbound trunk", [*self.outbound]
        yield "dispatch rule", [*self.rules]


async def apply_trunks(settings: Settings, *, rewrite_password: bool = False) -> TrunkTable:
    """Make the inbound trunk, the outbound trunk and the dispatch rule as they should be.

    Running it again changes nothing. A field that drifted is set right, and the ids stay. Only
    what the kit made for this prefix is touched; with OUTBOUND_TRUNK_ID set, that trunk is used
    as it is.

    Args:
        settings: LiveKit's address and credentials, the number, the trunk's SIP credentials.
        rewrite_password: Write the outbound trunk's password also where LiveKit does not give
            the old one back, so that it cannot be compared (after a change of VOBIZ_PASSWORD).

    Raises:
        SettingsError: a setting that is needed is missing.
        TrunkError: LiveKit refused (its message is quoted), or could not be reached.

    Source: docs.livekit.io/reference/telephony/sip-api.
    """
    settings.require("VOBIZ_OUTBOUND_NUMBER")
    if not settings.outbound_trunk_id:
        settings.require("VOBIZ_SIP_DOMAIN", "VOBIZ_USERNAME", "VOBIZ_PASSWORD")
    async with open_sip_service(settings) as sip:
        found = await _find(sip)
        inbound = await _apply_inbound(sip, settings, found)
        outbound = await _apply_outbound(sip, settings, found, rewrite_password)
        rule = await _apply_rule(sip, settings, found, inbound.id)
    return TrunkTable("Trunks at LiveKit", (inbound, outbound, rule))


async def list_trunks(settings: Settings) -> TrunkTable:
    """Every trunk and dispatch rule of the LiveKit project, the kit's own ones first.

    Raises:
        TrunkError: LiveKit could not be reached, or refused.
    """
    from vobiz_kit.trunk_plan import describe, item_id

    async with open_sip_service(settings) as sip:
        found = await _find(sip)
    rows = []
    for part, items in found.parts():
        states = [_state(item, settings) for item in items]
        rows += [
            TrunkRow(part, item.name, item_id(item), state, (describe(item),))
            for item, state in zip(items, states, strict=True)
        ]
        if all(state == "somebody else's" for state in states):
            rows.append(TrunkRow(part, _name(part, settings), "", "missing"))
    rows.sort(key=lambda row: row.state == "somebody else's")
    return TrunkTable("Trunks at LiveKit", tuple(rows))


async def destroy_trunks(settings: Settings) -> TrunkTable:
    """Remove what the kit made for this prefix, and nothing else.

    Raises:
        TrunkError: LiveKit could not be reached, or refused.
    """
    from livekit.protocol.sip import DeleteSIPDispatchRuleRequest, DeleteSIPTrunkRequest

    from vobiz_kit.trunk_plan import item_id

    rows = []
    async with open_sip_service(settings) as sip:
        found = await _find(sip)
        # The rules go first: none may point to a trunk that is gone.
        for part, items in reversed([*found.parts()]):
            for item in items:
                if _state(item, settings) != "in place":
                    continue
                id_ = item_id(item)
                if part == "dispatch rule":
                    request = DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=id_)
                    await sip.delete_dispatch_rule(request)
                else:
                    await sip.delete_trunk(DeleteSIPTrunkRequest(sip_trunk_id=id_))
                rows.append(TrunkRow(part, item.name, id_, "removed"))
    return TrunkTable("Removed at LiveKit", tuple(rows))


async def find_outbound_trunk(settings: Settings) -> str:
    """The id of the trunk that places calls: OUTBOUND_TRUNK_ID, or the one that the kit made.

    Raises:
        TrunkError: there is none yet, or LiveKit could not be reached.
    """
    if settings.outbound_trunk_id:
        return settings.outbound_trunk_id
    async with open_sip_service(settings) as sip:
        found = await _find(sip)
    for trunk in found.outbound:
        if _state(trunk, settings) == "in place":
            return trunk.sip_trunk_id
    raise TrunkError(
        "There is no outbound trunk yet, so no call can be placed.",
        evidence=f"LiveKit has no outbound trunk that vobiz-kit made for {settings.prefix!r}",
        fix="Run `await vk.apply_trunks(settings)`, or set OUTBOUND_TRUNK_ID.",
    )


async def _apply_inbound(sip: SipService, settings: Settings, found: _Found) -> TrunkRow:
    from livekit.api import ServerError
    from livekit.protocol.sip import CreateSIPInboundTrunkRequest as Create

    from vobiz_kit.trunk_plan import wanted_inbound

    wanted = wanted_inbound(settings)
    try:
        return await _make_so(
            "inbound trunk",
            _ours(found.inbound, settings),
            wanted,
            lambda: sip.create_inbound_trunk(Create(trunk=wanted)),
            sip.update_inbound_trunk,
        )
    except ServerError as error:
        if "Conflicting" in error.message:
            raise _conflict(error, found, settings) from None
        raise


async def _apply_outbound(
    sip: SipService, settings: Settings, found: _Found, rewrite_password: bool
) -> TrunkRow:
    from livekit.protocol.sip import CreateSIPOutboundTrunkRequest as Create

    from vobiz_kit.trunk_plan import describe, wanted_outbound

    if own := settings.outbound_trunk_id:
        for trunk in found.outbound:
            if trunk.sip_trunk_id == own:
                return TrunkRow("outbound trunk", trunk.name, own, "yours", (describe(trunk),))
        raise TrunkError(
            "The outbound trunk that OUTBOUND_TRUNK_ID names is not in this LiveKit project.",
            evidence=f"{own} is none of: {_list(t.sip_trunk_id for t in found.outbound)}",
            fix="Correct it (LiveKit console → Telephony → SIP trunks), or leave it out and the"
            " kit makes a trunk.",
        )
    wanted = wanted_outbound(settings)
    return await _make_so(
        "outbound trunk",
        _ours(found.outbound, settings),
        wanted,
        lambda: sip.create_outbound_trunk(Create(trunk=wanted)),
        sip.update_outbound_trunk,
        always=("auth_password",) if rewrite_password else (),
    )


async def _apply_rule(
    sip: SipService, settings: Settings, found: _Found, inbound_trunk_id: str
) -> TrunkRow:
    from livekit.protocol.sip import CreateSIPDispatchRuleRequest as Create

    from vobiz_kit.trunk_plan import wanted_rule

    wanted = wanted_rule(settings, inbound_trunk_id)
    return await _make_so(
        "dispatch rule",
        _ours(found.rules, settings),
        wanted,
        lambda: sip.create_dispatch_rule(Create(dispatch_rule=wanted)),
        sip.update_dispatch_rule,
    )


async def _make_so(
    part: Part,
    ours: list[AnyItem],
    wanted: AnyItem,
    create: Callable[[], Awaitable[AnyItem]],
    update: Callable[[str, AnyItem], Awaitable[AnyItem]],
    always: tuple[str, ...] = (),
) -> TrunkRow:
    """Create what is not there, set right what drifted, leave the rest alone."""
    from vobiz_kit.trunk_plan import describe, describe_change, differing, item_id, merged

    if not ours:
        new = await create()
        return TrunkRow(part, wanted.name, item_id(new), "made", (describe(new),))
    current: AnyItem = ours[0]
    id_ = item_id(current)
    drifted = list(dict.fromkeys([*differing(current, wanted), *always]))
    if not drifted:
        return TrunkRow(part, wanted.name, id_, "left as it is", (describe(current),))
    lines = tuple(describe_change(current, wanted, name) for name in drifted)
    await update(id_, merged(current, wanted))
    return TrunkRow(part, wanted.name, id_, "changed", lines)


def _ours(items: list[AnyItem], settings: Settings) -> list[AnyItem]:
    return [item for item in items if _state(item, settings) == "in place"]


def _state(item: Item, settings: Settings) -> State:
    from vobiz_kit.trunk_plan import item_id, made_for

    if made_for(item) == settings.prefix:
        return "in place"
    return "yours" if item_id(item) == settings.outbound_trunk_id else "somebody else's"


def _name(part: Part, settings: Settings) -> str:
    return {
        "inbound trunk": settings.inbound_trunk_name,
        "outbound trunk": settings.outbound_trunk_name,
        "dispatch rule": settings.dispatch_rule_name,
    }[part]


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "(none)"


async def _find(sip: SipService) -> _Found:
    from livekit.protocol.sip import (
        ListSIPDispatchRuleRequest,
        ListSIPInboundTrunkRequest,
        ListSIPOutboundTrunkRequest,
    )

    inbound = await sip.list_inbound_trunk(ListSIPInboundTrunkRequest())
    outbound = await sip.list_outbound_trunk(ListSIPOutboundTrunkRequest())
    rules = await sip.list_dispatch_rule(ListSIPDispatchRuleRequest())
    return _Found(list(inbound.items), list(outbound.items), list(rules.items))


def _conflict(error: ServerError, found: _Found, settings: Settings) -> TrunkError:
    """Another inbound trunk has the number: say which, whose, and what can be done."""
    from vobiz_kit.trunk_plan import made_for

    ids = set(re.findall(r"ST_\w+", error.message))
    others = [t for t in found.inbound if t.sip_trunk_id in ids and _state(t, settings) != "yours"]
    whose, fix = [], ""
    for trunk in others:
        whose.append(f"{trunk.sip_trunk_id} is named {trunk.name!r}")
        if prefix := made_for(trunk):
            whose[-1] += f", made by vobiz-kit for the prefix {prefix!r}"
            fix = (
                "If that prefix was yours: `await vk.destroy_trunks(vk.Settings.load("
                f"prefix={prefix!r}))`. Otherwise use a number of your own in"
                " VOBIZ_OUTBOUND_NUMBER."
            )
    return TrunkError(
        f"Another inbound trunk of this LiveKit project already takes"
        f" {settings.vobiz_outbound_number}.",
        evidence="; ".join([f"LiveKit: {error.message}", *whose]),
        fix=fix
        or "Delete that trunk if it is yours and no longer needed (LiveKit console → Telephony →"
        " SIP trunks), or use a number of your own in VOBIZ_OUTBOUND_NUMBER.",
    )
