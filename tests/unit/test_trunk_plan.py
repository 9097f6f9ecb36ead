"""What the trunks should be, and how drift is found and set right."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf.duration_pb2 import Duration
from livekit.protocol.sip import (
    SIPDispatchRule,
    SIPDispatchRuleDirect,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
)

from vobiz_kit.secret import Secret
from vobiz_kit.settings import Settings
from vobiz_kit.trunk_plan import (
    describe,
    describe_change,
    differing,
    made_for,
    merged,
    wanted_inbound,
    wanted_outbound,
    wanted_rule,
)
from vobiz_kit.trunk_table import TrunkRow, TrunkTable

PASSWORD = "old password 0123456789"
SETTINGS = Settings(
    "cloud",
    vobiz_sip_domain="1a2b3c4d.sip.vobiz.ai",
    vobiz_sip_address="127.0.0.1:5080",
    vobiz_username="acme",
    vobiz_password=Secret(PASSWORD),
    vobiz_outbound_number="+15550001000",
    prefix="amy",
)
INBOUND = wanted_inbound(SETTINGS)
OUTBOUND = wanted_outbound(SETTINGS)
RULE = wanted_rule(SETTINGS, "ST_in")


def test_what_is_wanted() -> None:
    assert (INBOUND.name, list(INBOUND.numbers)) == ("amy-inbound", ["+15550001000"])
    assert INBOUND.ringing_timeout.seconds == 30
    assert not INBOUND.krisp_enabled
    assert (OUTBOUND.address, OUTBOUND.from_host) == ("127.0.0.1:5080", "1a2b3c4d.sip.vobiz.ai")
    assert (OUTBOUND.auth_username, OUTBOUND.auth_password) == ("acme", PASSWORD)
    assert list(RULE.trunk_ids) == ["ST_in"]
    assert [agent.agent_name for agent in RULE.room_config.agents] == ["amy-agent"]
    assert RULE.rule.dispatch_rule_individual.room_prefix == "amy-in-"
    assert {made_for(item) for item in (INBOUND, OUTBOUND, RULE)} == {"amy"}


def test_a_rule_without_a_trunk_is_never_made() -> None:
    with pytest.raises(ValueError, match="any caller"):
        wanted_rule(SETTINGS, "")


@pytest.mark.parametrize("metadata", ["", "{", "[]", '"x"', '{"made_by": "me", "prefix": "amy"}'])
def test_what_the_kit_did_not_make_has_no_prefix(metadata: str) -> None:
    assert made_for(SIPInboundTrunkInfo(metadata=metadata)) is None


def test_nothing_differs_from_itself_whatever_else_was_added() -> None:
    there = SIPInboundTrunkInfo()
    there.CopyFrom(INBOUND)
    there.sip_trunk_id = "ST_1"
    there.allowed_addresses.append("192.0.2.1")
    assert differing(there, INBOUND) == []
    assert differing(OUTBOUND, OUTBOUND) == []
    assert differing(RULE, RULE) == []


def test_drift_is_named_and_set_right_and_the_rest_is_kept() -> None:
    there = SIPInboundTrunkInfo(
        sip_trunk_id="ST_1",
        name="amy-inbound",
        metadata=INBOUND.metadata,
        numbers=["+15550007777", "+15550008888"],
        allowed_addresses=["192.0.2.1"],
        ringing_timeout=Duration(seconds=180),
    )
    assert differing(there, INBOUND) == ["numbers", "ringing_timeout"]
    lines = [describe_change(there, INBOUND, name) for name in differing(there, INBOUND)]
    assert lines == [
        "numbers: +15550007777, +15550008888 → +15550001000",
        "ringing_timeout: 180 s → 30 s",
    ]
    new = merged(there, INBOUND)
    assert differing(new, INBOUND) == []
    assert (new.sip_trunk_id, list(new.allowed_addresses)) == ("ST_1", ["192.0.2.1"])
    assert list(there.numbers) == ["+15550007777", "+15550008888"]  # not changed itself


def test_a_new_password_is_written_and_never_shown() -> None:
    wanted = wanted_outbound(replace(SETTINGS, vobiz_password=Secret("new password 9876543210")))
    assert differing(OUTBOUND, wanted) == ["auth_password"]
    line = describe_change(OUTBOUND, wanted, "auth_password")
    assert "password 0" not in line
    assert "password 9" not in line
    assert merged(OUTBOUND, wanted).auth_password == "new password 9876543210"


@pytest.mark.parametrize("shown", ["", "****", "••••••", "<redacted>", "xxxx"])
def test_a_redacted_password_counts_as_right_and_is_never_written_back(shown: str) -> None:
    there = SIPOutboundTrunkInfo()
    there.CopyFrom(OUTBOUND)
    there.auth_password = shown
    assert differing(there, OUTBOUND) == []
    there.address = "192.0.2.9"
    assert differing(there, OUTBOUND) == ["address"]
    assert merged(there, OUTBOUND).auth_password == PASSWORD


def test_a_rule_of_another_kind_is_replaced_and_keeps_the_rooms_other_settings() -> None:
    there = merged(RULE, RULE)
    there.rule.CopyFrom(
        SIPDispatchRule(dispatch_rule_direct=SIPDispatchRuleDirect(room_name="r", pin="1"))
    )
    there.trunk_ids[:] = []
    there.room_config.agents[0].agent_name = "Amy-Agent"
    there.room_config.empty_timeout = 77
    assert differing(there, RULE) == ["trunk_ids", "rule", "room_config"]
    assert "none → ST_in" in describe_change(there, RULE, "trunk_ids")
    assert "Amy-Agent → amy-agent" in describe_change(there, RULE, "room_config")
    new = merged(there, RULE)
    assert differing(new, RULE) == []
    assert new.room_config.empty_timeout == 77
    assert len(new.room_config.agents) == 1


def test_descriptions_say_what_a_person_needs() -> None:
    assert describe(INBOUND) == "takes calls to +15550001000"
    assert describe(OUTBOUND) == "dials 127.0.0.1:5080 as acme, caller id +15550001000"
    assert describe(RULE) == "calls on ST_in → amy-agent, rooms amy-in-..."
    open_rule = merged(RULE, RULE)
    open_rule.trunk_ids[:] = []
    assert "past its protection" in describe(open_rule)
    for item in (INBOUND, OUTBOUND, RULE):
        assert PASSWORD not in describe(item)


def test_the_table_has_ids_and_words() -> None:
    table = TrunkTable(
        "Trunks",
        (
            TrunkRow("inbound trunk", "amy-inbound", "ST_1", "left as it is"),
            TrunkRow("outbound trunk", "other", "ST_2", "somebody else's"),
            TrunkRow("dispatch rule", "amy-rule", "SDR_1", "changed", ("name: a → b", "c")),
        ),
    )
    assert table.changed
    assert (table.id_of("inbound trunk"), table.id_of("outbound trunk")) == ("ST_1", "")
    assert len(list(table)) == len(table) == 3
    assert "✓ left as it is" in repr(table)
    assert "name: a → b\n" in table._repr_html_()
