"""Trunks and dispatch rule at the real livekit-server: made, left alone, set right, removed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from google.protobuf.duration_pb2 import Duration
from livekit.api import LiveKitAPI
from livekit.protocol.sip import (
    CreateSIPInboundTrunkRequest,
    CreateSIPOutboundTrunkRequest,
    DeleteSIPTrunkRequest,
    ListSIPDispatchRuleRequest,
    ListSIPInboundTrunkRequest,
    ListSIPOutboundTrunkRequest,
    SIPDispatchRule,
    SIPDispatchRuleDirect,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
)

from vobiz_kit.errors import SettingsError, TrunkError
from vobiz_kit.lab.lab import Lab
from vobiz_kit.livekit_api import open_livekit_api
from vobiz_kit.secret import Secret
from vobiz_kit.settings import Settings
from vobiz_kit.trunk_table import TrunkTable
from vobiz_kit.trunks import apply_trunks, destroy_trunks, find_outbound_trunk, list_trunks

pytestmark = pytest.mark.lab

NUMBER = "+15550001077"  # none of the number plan, so that no other test's trunk is in the way


@pytest.fixture
async def settings(lab: Lab) -> AsyncIterator[Settings]:
    """The lab's settings with a prefix and a number of these tests; nothing is left behind."""
    settings = Settings.load(prefix="trunk-tests", vobiz_outbound_number=NUMBER)
    yield settings
    await destroy_trunks(settings)


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[LiveKitAPI]:
    async with open_livekit_api(settings) as api:
        yield api


@pytest.fixture
async def foreign(api: LiveKitAPI) -> AsyncIterator[SIPInboundTrunkInfo]:
    """Somebody else's inbound trunk for the same number."""
    trunk = SIPInboundTrunkInfo(name="somebody's trunk", numbers=[NUMBER])
    made = await api.sip.create_inbound_trunk(CreateSIPInboundTrunkRequest(trunk=trunk))
    yield made
    await api.sip.delete_trunk(DeleteSIPTrunkRequest(sip_trunk_id=made.sip_trunk_id))


async def everything(api: LiveKitAPI) -> dict[str, bytes]:
    """All trunks and rules at LiveKit, byte for byte, by id."""
    inbound = (await api.sip.list_inbound_trunk(ListSIPInboundTrunkRequest())).items
    outbound = (await api.sip.list_outbound_trunk(ListSIPOutboundTrunkRequest())).items
    rules = (await api.sip.list_dispatch_rule(ListSIPDispatchRuleRequest())).items
    trunks = {t.sip_trunk_id: t.SerializeToString(deterministic=True) for t in inbound}
    trunks |= {t.sip_trunk_id: t.SerializeToString(deterministic=True) for t in outbound}
    return trunks | {r.sip_dispatch_rule_id: r.SerializeToString(deterministic=True) for r in rules}


def states(table: TrunkTable) -> list[str]:
    return [row.state for row in table.rows]


def ids(table: TrunkTable) -> list[str]:
    return [row.id for row in table.rows]


async def test_making_it_twice_changes_nothing(settings: Settings, api: LiveKitAPI) -> None:
    before = await everything(api)
    first = await apply_trunks(settings)
    assert states(first) == ["made", "made", "made"]
    there = await everything(api)
    assert there.keys() - before.keys() == set(ids(first))
    second = await apply_trunks(settings)
    assert states(second) == ["left as it is"] * 3
    assert ids(second) == ids(first)
    assert not second.changed
    assert await everything(api) == there


async def test_the_rule_names_its_trunk_and_its_agent(settings: Settings, api: LiveKitAPI) -> None:
    table = await apply_trunks(settings)
    rules = (await api.sip.list_dispatch_rule(ListSIPDispatchRuleRequest())).items
    (rule,) = [r for r in rules if r.sip_dispatch_rule_id == table.id_of("dispatch rule")]
    assert list(rule.trunk_ids) == [table.id_of("inbound trunk")]
    assert [agent.agent_name for agent in rule.room_config.agents] == ["trunk-tests-agent"]
    assert rule.rule.dispatch_rule_individual.room_prefix == "trunk-tests-in-"
    assert rule.rule.dispatch_rule_individual.pin == ""
    inbound = (await api.sip.list_inbound_trunk(ListSIPInboundTrunkRequest())).items
    (trunk,) = [t for t in inbound if t.sip_trunk_id == table.id_of("inbound trunk")]
    assert (list(trunk.numbers), trunk.ringing_timeout.seconds) == ([NUMBER], 30)


async def test_what_drifted_is_set_right_and_ids_stay(settings: Settings, api: LiveKitAPI) -> None:
    first = await apply_trunks(settings)
    trunks = (await api.sip.list_inbound_trunk(ListSIPInboundTrunkRequest())).items
    (inbound,) = [t for t in trunks if t.sip_trunk_id == first.id_of("inbound trunk")]
    inbound.numbers[:] = ["+15550001078"]
    inbound.ringing_timeout.CopyFrom(Duration(seconds=180))
    inbound.allowed_numbers.append("+15550009999")  # a person's own restriction
    await api.sip.update_inbound_trunk(inbound.sip_trunk_id, inbound)
    await api.sip.update_outbound_trunk_fields(
        first.id_of("outbound trunk"), address="127.0.0.1:9", auth_password="not the password"
    )
    rules = (await api.sip.list_dispatch_rule(ListSIPDispatchRuleRequest())).items
    (rule,) = [r for r in rules if r.sip_dispatch_rule_id == first.id_of("dispatch rule")]
    rule.trunk_ids[:] = []
    rule.rule.CopyFrom(
        SIPDispatchRule(dispatch_rule_direct=SIPDispatchRuleDirect(room_name="r", pin="1234"))
    )
    rule.room_config.agents[0].agent_name = "Trunk-Tests-Agent"
    await api.sip.update_dispatch_rule(rule.sip_dispatch_rule_id, rule)

    healed = await apply_trunks(settings)
    assert states(healed) == ["changed"] * 3
    assert ids(healed) == ids(first)
    text = str(healed)
    assert f"numbers: +15550001078 → {NUMBER}" in text
    assert "ringing_timeout: 180 s → 30 s" in text
    assert f"address: 127.0.0.1:9 → {settings.vobiz_sip_address}" in text
    assert "room_config: Trunk-Tests-Agent → trunk-tests-agent" in text
    assert f"trunk_ids: none → {first.id_of('inbound trunk')}" in text
    for password in ("not the password", settings.vobiz_password.reveal()):
        assert password not in text
        assert password not in healed._repr_html_()

    assert states(await apply_trunks(settings)) == ["left as it is"] * 3
    trunks = (await api.sip.list_inbound_trunk(ListSIPInboundTrunkRequest())).items
    (inbound,) = [t for t in trunks if t.sip_trunk_id == first.id_of("inbound trunk")]
    assert list(inbound.allowed_numbers) == ["+15550009999"]


async def test_new_credentials_reach_the_outbound_trunk(
    settings: Settings, api: LiveKitAPI
) -> None:
    first = await apply_trunks(settings)
    changed = await apply_trunks(
        replace(settings, vobiz_username="other", vobiz_password=Secret("another-password"))
    )
    assert states(changed) == ["left as it is", "changed", "left as it is"]
    assert ids(changed) == ids(first)
    trunks = (await api.sip.list_outbound_trunk(ListSIPOutboundTrunkRequest())).items
    (trunk,) = [t for t in trunks if t.sip_trunk_id == first.id_of("outbound trunk")]
    assert (trunk.auth_username, trunk.auth_password) == ("other", "another-password")
    again = await apply_trunks(settings, rewrite_password=True)
    assert states(again) == ["left as it is", "changed", "left as it is"]
    forced = await apply_trunks(settings, rewrite_password=True)
    assert states(forced) == ["left as it is", "changed", "left as it is"]


async def test_a_trunk_that_is_gone_is_made_anew_and_the_rule_follows(
    settings: Settings, api: LiveKitAPI
) -> None:
    first = await apply_trunks(settings)
    gone = DeleteSIPTrunkRequest(sip_trunk_id=first.id_of("inbound trunk"))
    await api.sip.delete_trunk(gone)
    second = await apply_trunks(settings)
    assert states(second) == ["made", "left as it is", "changed"]
    assert second.id_of("dispatch rule") == first.id_of("dispatch rule")
    assert second.id_of("inbound trunk") in str(second.rows[2])


async def test_somebody_elses_trunk_with_the_number_is_named_and_left_alone(
    settings: Settings, api: LiveKitAPI, foreign: SIPInboundTrunkInfo
) -> None:
    before = await everything(api)
    with pytest.raises(TrunkError) as caught:
        await apply_trunks(settings)
    text = str(caught.value)
    assert "Conflicting inbound SIP Trunks" in text  # LiveKit's own words
    assert foreign.sip_trunk_id in text
    assert "somebody's trunk" in text
    assert "VOBIZ_OUTBOUND_NUMBER" in text
    assert await everything(api) == before


async def test_ones_own_trunk_under_an_earlier_prefix_is_told_from_a_strangers(
    settings: Settings,
) -> None:
    earlier = replace(settings, prefix="trunk-tests-2")
    await apply_trunks(earlier)
    try:
        with pytest.raises(TrunkError, match=r"Settings\.load\(prefix='trunk-tests-2'\)"):
            await apply_trunks(settings)
    finally:
        await destroy_trunks(earlier)


async def test_only_ones_own_is_removed(settings: Settings, api: LiveKitAPI) -> None:
    neighbour = replace(settings, prefix="trunk-tests-2", vobiz_outbound_number="+15550001079")
    before = await everything(api)
    await apply_trunks(neighbour)
    theirs = await everything(api)
    mine = await apply_trunks(settings)
    removed = await destroy_trunks(settings)
    assert sorted(ids(removed)) == sorted(ids(mine))
    assert states(removed)[0] == "removed"
    assert removed.rows[0].part == "dispatch rule"  # before the trunk that it names
    assert await everything(api) == theirs
    assert "(none)" in str(await destroy_trunks(settings))
    await destroy_trunks(neighbour)
    assert await everything(api) == before


async def test_a_trunk_made_elsewhere_is_used_as_it_is(settings: Settings, api: LiveKitAPI) -> None:
    own = SIPOutboundTrunkInfo(name="my own", address="127.0.0.1:9", numbers=["+15550001080"])
    made = await api.sip.create_outbound_trunk(CreateSIPOutboundTrunkRequest(trunk=own))
    bare = replace(
        settings, outbound_trunk_id=made.sip_trunk_id, vobiz_username="", vobiz_password=Secret()
    )
    try:
        before = (await everything(api))[made.sip_trunk_id]
        table = await apply_trunks(bare)
        assert states(table) == ["made", "yours", "made"]
        assert table.id_of("outbound trunk") == made.sip_trunk_id
        assert await find_outbound_trunk(bare) == made.sip_trunk_id
        assert "yours" in states(await list_trunks(bare))
        await destroy_trunks(bare)
        assert (await everything(api))[made.sip_trunk_id] == before
    finally:
        await api.sip.delete_trunk(DeleteSIPTrunkRequest(sip_trunk_id=made.sip_trunk_id))
    with pytest.raises(TrunkError, match=made.sip_trunk_id):
        await apply_trunks(bare)


async def test_finding_and_listing(settings: Settings) -> None:
    with pytest.raises(TrunkError, match="apply_trunks"):
        await find_outbound_trunk(settings)
    listed = await list_trunks(settings)
    assert [row.state for row in listed if row.name.startswith("trunk-tests-")] == ["missing"] * 3
    made = await apply_trunks(settings)
    assert await find_outbound_trunk(settings) == made.id_of("outbound trunk")
    listed = await list_trunks(settings)
    assert states(listed)[:3] == ["in place"] * 3
    assert ids(listed)[:3] == ids(made)
    assert settings.vobiz_password.reveal() not in str(listed)


async def test_wrong_credentials_and_no_livekit_are_told_apart(settings: Settings) -> None:
    wrong = replace(settings, livekit_api_secret=Secret("w" * 40))
    with pytest.raises(TrunkError, match="did not accept your API key") as caught:
        await list_trunks(wrong)
    assert settings.livekit_api_key in str(caught.value)
    assert "w" * 5 not in str(caught.value)
    with pytest.raises(TrunkError, match="could not be reached") as caught:
        await list_trunks(replace(settings, livekit_url="ws://127.0.0.1:9"))
    assert "vobiz-kit lab status" in str(caught.value)


async def test_settings_that_are_missing_are_named_before_anything_is_sent(
    settings: Settings,
) -> None:
    with pytest.raises(SettingsError, match="VOBIZ_PASSWORD"):
        await apply_trunks(replace(settings, vobiz_password=Secret()))
    assert "missing" in states(await list_trunks(settings))
