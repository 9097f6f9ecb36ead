"""The client of Vobiz's REST API against the lab's carrier, and records of real calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.lab.call_rig import CALLER, agent, caller, own_folder, settings
from vobiz_kit.errors import VobizApiError
from vobiz_kit.lab.handsets.client import Handset
from vobiz_kit.secret import Secret
from vobiz_kit.serving import ServedAgent
from vobiz_kit.settings import Settings
from vobiz_kit.vobiz import VobizClient, cdrs

__all__ = ["agent", "caller", "own_folder", "settings"]  # fixtures

pytestmark = pytest.mark.lab


async def test_trunks_and_numbers(settings: Settings) -> None:
    async with VobizClient(settings) as vobiz:
        (trunk,) = await vobiz.trunks()
        (number,) = await vobiz.numbers()
    assert trunk["trunk_domain"] == settings.vobiz_sip_domain
    assert number["e164"] == settings.vobiz_outbound_number
    assert number["trunk_group_id"] == trunk["trunk_id"]


async def test_both_legs_of_a_call_carry_livekits_call_id(
    settings: Settings, agent: ServedAgent, caller: Handset
) -> None:
    await caller.dial(settings.vobiz_outbound_number)
    call = await agent.next_call()
    await call.wait_for("active", within=20)
    await caller.hang_up()
    found = await cdrs(call, settings, legs=2)
    assert {cdr.bridge_uuid for cdr in found} == {call.sip_call_id}
    assert call.sip_call_id in {cdr.sip_call_id for cdr in found}
    assert len({cdr.sip_call_id for cdr in found}) == 2
    for cdr in found:
        assert (cdr.from_number, cdr.to_number) == (CALLER, settings.vobiz_outbound_number)
        assert cdr.direction == "inbound"
        assert cdr.hangup_cause == "NORMAL_CLEARING"
        assert cdr.started is not None
        assert cdr.answered is not None
        assert cdr.ended is not None
        assert cdr.started <= cdr.answered <= cdr.ended <= datetime.now(UTC)

    async with VobizClient(settings) as vobiz:
        assert await vobiz.cdr(found[0].uuid) == found[0]
        today = datetime.now(UTC).date()
        listed = await vobiz.cdrs(
            from_number=CALLER,
            direction="inbound",
            since=min(c.started.date() for c in found if c.started),
            until=today,
        )
        assert {cdr.uuid for cdr in found} <= {cdr.uuid for cdr in listed}
        assert await vobiz.cdrs(from_number=CALLER, direction="outbound", min_duration=86400) == []
        assert len(await vobiz.recent_cdrs(1)) == 1


async def test_vobizs_errors_are_quoted(settings: Settings) -> None:
    async with VobizClient(settings) as vobiz:
        with pytest.raises(VobizApiError, match="CDR_NOT_FOUND") as caught:
            await vobiz.cdr("no-such-record")
    assert caught.value.status == 404
    assert "request req_" in str(caught.value)
    wrong = Secret("wrong-token-0123456789")
    async with VobizClient(replace(settings, vobiz_auth_token=wrong)) as vobiz:
        with pytest.raises(VobizApiError, match="INVALID_CREDENTIALS") as caught:
            await vobiz.numbers()
    assert caught.value.status == 401
    assert "VOBIZ_AUTH_TOKEN" in str(caught.value)
    assert wrong.reveal() not in str(caught.value)
