"""The carrier's HTTP port: Vobiz's REST API and the lab's routes."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.unit.carrier_rig import CALLER, PERSON, Rig, carrier_rig, until
from vobiz_kit.lab.carrier import magic_numbers
from vobiz_kit.lab.carrier.http_api import serve
from vobiz_kit.lab.sip.legs import CallRefused
from vobiz_kit.lab.state import DID
from vobiz_kit.wire import WireMessage


@pytest.fixture
async def rig():
    async with carrier_rig() as rig:
        yield rig


@pytest.fixture
async def http(rig: Rig):
    runner = await serve(rig.carrier, "127.0.0.1", 0)
    port = runner.addresses[0][1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    await runner.cleanup()


@pytest.fixture
def account(rig: Rig) -> str:
    return f"/api/v1/Account/{rig.config.vobiz_auth_id}"


@pytest.fixture
def keys(rig: Rig) -> dict[str, str]:
    return {"X-Auth-ID": rig.config.vobiz_auth_id, "X-Auth-Token": rig.config.vobiz_auth_token}


async def a_call(rig: Rig) -> str:
    """One outbound call, over; returns its Call-ID."""
    leg = await rig.outbound()
    await leg.wait_answered(2)
    leg.hang_up()
    await until(lambda: not rig.carrier.exchange.bridges)
    return leg.call_id


async def test_health(rig: Rig, http: httpx.AsyncClient):
    health = (await http.get("/health")).json()
    assert health["healthy"] is True
    assert health["version"]
    assert health["sip"] == f"127.0.0.1:{rig.address[1]}"


async def test_cdrs_in_vobizs_shape(rig: Rig, http, account, keys):
    bridge = await a_call(rig)
    listed = (await http.get(f"{account}/cdr", headers=keys)).json()
    assert listed["success"] is True
    assert listed["pagination"]["total"] == 2
    assert listed["summary"]["totalCalls"] == 2
    record = listed["data"][0]
    assert record["bridge_uuid"] == bridge
    assert len(record) == 43
    recent = (await http.get(f"{account}/cdr/recent", params={"limit": 1}, headers=keys)).json()
    assert [r["uuid"] for r in recent["data"]] == [record["uuid"]]
    assert set(recent) == {"account_id", "count", "data", "success"}
    one = (await http.get(f"{account}/cdr/{record['uuid']}", headers=keys)).json()
    assert one == {"data": record, "success": True}


async def test_cdr_filters(rig: Rig, http, account, keys):
    await a_call(rig)

    async def count(**filters) -> int:
        reply = await http.get(f"{account}/cdr/search", params=filters, headers=keys)
        return reply.json()["pagination"]["total"]

    today = datetime.now(UTC).date().isoformat()
    assert await count(from_number=DID.lstrip("+"), to_number=PERSON) == 2
    assert await count(from_number=CALLER) == 0
    assert await count(call_direction="outbound") == 2
    assert await count(call_direction="inbound") == 0
    assert await count(start_date=today, end_date=today) == 2
    assert await count(start_date="2000-01-01", end_date="2000-01-02") == 0
    assert await count(start_date="2000-01-01") == 2  # a lone date is ignored, as at Vobiz
    assert await count(min_duration=60) == 0
    paged = await http.get(f"{account}/cdr", params={"per_page": 1, "page": 2}, headers=keys)
    assert paged.json()["pagination"] == {
        "page": 2,
        "per_page": 1,
        "total": 2,
        "pages": 2,
        "has_next": False,
        "has_prev": True,
    }
    table = await http.get(f"{account}/cdr/export", headers=keys)
    assert table.headers["content-type"].startswith("text/csv")
    assert len(table.text.strip().splitlines()) == 3


async def test_trunk_and_numbers(rig: Rig, http, account, keys):
    (trunk,) = (await http.get(f"{account}/trunks", headers=keys)).json()["items"]
    assert trunk["trunk_domain"] == rig.config.sip_domain
    assert trunk["cps_limit"] == rig.carrier.limits.cps
    one = await http.get(f"{account}/trunks/{trunk['trunk_id']}", headers=keys)
    assert one.json() == trunk
    (number,) = (await http.get(f"{account}/numbers", headers=keys)).json()["items"]
    assert (number["e164"], number["trunk_group_id"]) == (DID, trunk["trunk_id"])
    (credential,) = (await http.get(f"{account}/trunks/credentials", headers=keys)).json()["items"]
    assert credential["password"] == "<redacted>"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/cdr/no-such-uuid", 404, "CDR_NOT_FOUND"),
        ("/trunks/no-such-trunk", 404, "TRUNK_NOT_FOUND"),
        ("/cdr?call_direction=sideways", 422, "VALIDATION_ERROR"),
        ("/cdr?per_page=many", 422, "VALIDATION_ERROR"),
        ("/cdr?page=0", 422, "VALIDATION_ERROR"),
        ("/cdr?start_date=1&end_date=2", 422, "VALIDATION_ERROR"),
        ("/nothing", 404, "NOT_FOUND"),
    ],
)
async def test_errors_in_vobizs_shape(http, account, keys, path, status, code):
    reply = await http.get(account + path, headers=keys)
    assert reply.status_code == status
    body = reply.json()
    assert (body["status"], body["error"]["code"]) == ("error", code)
    assert set(body) == {"status", "error", "timestamp", "requestId"}


async def test_the_account_is_guarded(rig: Rig, http, account, keys):
    for wrong in ({}, {**keys, "X-Auth-Token": "wrong"}, {**keys, "X-Auth-ID": "MA_OTHER"}):
        reply = await http.get(f"{account}/cdr", headers=wrong)
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "INVALID_CREDENTIALS")
    assert (await http.get("/api/v1/Account/MA_OTHER/cdr", headers=keys)).status_code == 403
    wrong_case = account.replace("Account", "account")
    assert (await http.get(f"{wrong_case}/cdr", headers=keys)).status_code == 404


async def test_the_trace_is_read_on_from_where_it_was_left(rig: Rig, http):
    first = await a_call(rig)
    second = await a_call(rig)
    reply = (await http.get("/lab/trace", params={"bridge": first})).json()
    messages = [WireMessage.from_json(m) for m in reply["messages"]]
    assert {m.bridge for m in messages} == {first}
    rest = (await http.get("/lab/trace", params={"since": messages[-1].seq})).json()
    assert {m["bridge"] for m in rest["messages"]} == {second}
    assert (await http.get("/lab/trace", params={"since": rest["next"]})).json()["messages"] == []
    assert (await http.get("/lab/trace", params={"since": "x"})).status_code == 400


async def test_the_trace_can_be_waited_for(rig: Rig, http):
    waiting = asyncio.create_task(http.get("/lab/trace", params={"since": 0, "wait": 5}))
    await rig.register()
    reply = (await waiting).json()
    assert reply["messages"]
    assert reply["next"] >= 1


async def test_calls_in_progress_and_a_reset(rig: Rig, http):
    phone, livekit = await rig.inbound()
    (bridge,) = (await http.get("/lab/calls")).json()["bridges"]
    assert bridge["bridge"] == livekit.call_id
    assert [(leg["party"], leg["state"], leg["talks_to"]) for leg in bridge["legs"]] == [
        (CALLER, "up", "livekit-sip"),
        ("livekit-sip", "up", CALLER),
    ]
    ended = (await http.post("/lab/reset")).json()["ended"]
    assert [b["bridge"] for b in ended] == [livekit.call_id]
    assert (await phone.wait_ended(2)).by == "remote"
    assert (await http.get("/lab/calls")).json() == {"bridges": []}
    (phones,) = (await http.get("/lab/phones")).json().values()
    assert [p["number"] for p in phones] == [CALLER]


async def test_limits_can_be_set(rig: Rig, http):
    reply = await http.put("/lab/limits", json={"cps": 1, "ring_seconds": 5})
    assert reply.json() == {"cps": 1, "concurrent": 100, "ring_seconds": 5.0}
    legs = [await rig.outbound() for _ in range(2)]
    results = await asyncio.gather(*(x.wait_answered(3) for x in legs), return_exceptions=True)
    assert [type(r) for r in results if r] == [CallRefused]
    wrong: list[Any] = [{"cps": -1}, {"cps": "many"}, {"speed": 1}, []]
    for bad in wrong:
        assert (await http.put("/lab/limits", json=bad)).status_code == 400


async def test_numbers_can_be_broken_and_healed(rig: Rig, http):
    assert (await http.put(f"/lab/numbers/{PERSON}", json={"behaviour": "busy"})).json() == {
        "number": PERSON,
        "behaviour": "busy",
    }
    with pytest.raises(CallRefused) as refused:
        await (await rig.outbound()).wait_answered(2)
    assert refused.value.status == 486
    rows = (await http.get("/lab/numbers")).json()["numbers"]
    assert next(r for r in rows if r["number"] == PERSON)["overridden"]
    healed = (await http.delete(f"/lab/numbers/{PERSON}")).json()
    assert healed == {"number": PERSON, "behaviour": "answer", "healed": True}
    for number, behaviour in ((PERSON, "trunk"), (PERSON, "sleepy"), ("billing", "busy")):
        reply = await http.put(f"/lab/numbers/{number}", json={"behaviour": behaviour})
        assert reply.status_code == 400
        assert "error" in reply.json()


async def test_refers_to_a_number_can_be_scripted_and_healed(rig: Rig, http):
    path = "/lab/refer/%2B15550007405"
    assert (await http.put(path, json={"answer": 405})).json()["answer"] == 405
    assert rig.carrier.exchange.context.refer_scripts["+15550007405"].answer == 405
    for bad in ({"answer": 99}, {"answer": "405"}, {"answer": 405, "notify": [200]}, {"x": 1}):
        assert (await http.put(path, json=bad)).status_code == 400
    assert (await http.delete(path)).json()["healed"] is True
    assert (await http.delete(path)).json()["healed"] is False


async def test_voicemail_can_be_listened_to(rig: Rig, http, monkeypatch):
    monkeypatch.setattr(magic_numbers, "RINGS", 0.05)
    leg = await rig.outbound("+15550005199")
    await rig.livekit.talk(leg)
    messages = rig.carrier.equipment.messages
    await until(lambda: bool(messages) and len(messages[0].pcm) > 1600, 5)
    leg.hang_up()
    (message,) = (await http.get("/lab/voicemail")).json()["messages"]
    assert message["caller"] == DID
    wav = await http.get(message["wav"])
    assert wav.content[:4] == b"RIFF"
    assert (await http.get("/lab/voicemail/9.wav")).status_code == 404
