"""Vobiz's REST API: requests, retries, errors, and records under any of their field names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vobiz_kit import vobiz
from vobiz_kit.cdr import Cdr
from vobiz_kit.errors import CallError, SettingsError, VobizApiError
from vobiz_kit.secret import Secret
from vobiz_kit.settings import Settings
from vobiz_kit.vobiz import ATTEMPTS, LONGEST_PAUSE, VobizClient, cdrs

TOKEN = "token-0123456789-0123456789"
SETTINGS = Settings(
    "cloud",
    vobiz_auth_id="MA_1234",
    vobiz_auth_token=Secret(TOKEN),
    vobiz_api_url="https://api.example.com/api/v1",
)
Answer = Callable[[httpx.Request], httpx.Response]


class Server:
    """Answers one after the other (the last one again and again); keeps requests and pauses."""

    def __init__(self, *answers: httpx.Response | Exception | Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def client(self) -> VobizClient:
        return VobizClient(SETTINGS, transport=httpx.MockTransport(self._answer), sleep=self._sleep)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def ok(body: Any) -> httpx.Response:
    return httpx.Response(200, json=body)


def error(status: int, **body: Any) -> httpx.Response:
    return httpx.Response(status, json=body)


RECORD = {
    "uuid": "u-1",
    "call_direction": "inbound",
    "caller_id_number": "+15550009999",
    "destination_number": "+15550001000",
    "start_time": "2026-03-17T10:30:00Z",
    "answer_time": "2026-03-17T10:30:05.250Z",
    "end_time": "2026-03-17T10:32:05Z",
    "duration": 125,
    "billsec": "120",
    "hangup_cause": "NORMAL_CLEARING",
    "hangup_cause_code": 4000,
    "hangup_source": "Caller",
    "bridge_uuid": "call-1@host",
    "sip_call_id": "leg-1",
    "mos": 4.4,
    "codec": "PCMU",
    "something_new": [1],
}


class TestRequests:
    async def test_credentials_path_and_filters(self) -> None:
        server = Server(ok({"data": [RECORD]}))
        async with server.client() as client:
            found = await client.cdrs(
                from_number="+15550009999",
                direction="inbound",
                since=date(2026, 3, 1),
                until=date(2026, 3, 2),
                min_duration=0,
            )
        (request,) = server.requests
        assert request.url.path == "/api/v1/Account/MA_1234/cdr"
        assert request.headers["X-Auth-ID"] == "MA_1234"
        assert request.headers["X-Auth-Token"] == TOKEN
        assert dict(request.url.params) == {
            "from_number": "+15550009999",
            "call_direction": "inbound",
            "start_date": "2026-03-01",
            "end_date": "2026-03-02",
            "min_duration": "0",
            "page": "1",
            "per_page": "100",
        }
        assert [cdr.uuid for cdr in found] == ["u-1"]

    @pytest.mark.parametrize("given", ["since", "until"])
    async def test_dates_always_come_in_pairs(self, given: str) -> None:
        server = Server(ok({"data": []}))
        day = date(2026, 3, 1)
        async with server.client() as client:
            await (client.cdrs(since=day) if given == "since" else client.cdrs(until=day))
        params = server.requests[0].url.params
        assert params["start_date"] == "2026-03-01"
        assert params["end_date"] >= "2026-03-01"

    async def test_a_uuid_cannot_leave_its_place_in_the_path(self) -> None:
        server = Server(ok({"data": RECORD}))
        async with server.client() as client:
            assert (await client.cdr("../trunks?x=1")).uuid == "u-1"
        assert server.requests[0].url.raw_path == b"/api/v1/Account/MA_1234/cdr/..%2Ftrunks%3Fx%3D1"

    async def test_pages_until_the_limit_or_the_end(self) -> None:
        def page(request: httpx.Request) -> httpx.Response:
            number, size = int(request.url.params["page"]), int(request.url.params["per_page"])
            first = (number - 1) * size
            return ok({"data": [{"uuid": str(n)} for n in range(first, min(first + size, 250))]})

        server = Server(page)
        async with server.client() as client:
            assert [cdr.uuid for cdr in await client.cdrs(limit=1000)] == [
                str(n) for n in range(250)
            ]
            assert len(server.requests) == 3
            assert len(await client.cdrs(limit=120)) == 120

    @pytest.mark.parametrize("name", ["data", "objects", "items"])
    async def test_lists_under_any_name(self, name: str) -> None:
        server = Server(ok({"meta": {}, name: [{"trunk_id": "t", "e164": "+15550001000"}]}))
        async with server.client() as client:
            assert (await client.trunks())[0]["trunk_id"] == "t"
            assert (await client.numbers())[0]["e164"] == "+15550001000"
        paths = [request.url.path.rpartition("/")[2] for request in server.requests]
        assert paths == ["trunks", "numbers"]

    async def test_credentials_are_needed(self) -> None:
        with pytest.raises(SettingsError, match="VOBIZ_AUTH_TOKEN"):
            VobizClient(replace(SETTINGS, vobiz_auth_token=Secret()))


class TestRetries:
    @pytest.mark.parametrize(
        "trouble", [httpx.ConnectError("refused"), httpx.ReadTimeout(""), error(503), error(429)]
    )
    async def test_trouble_that_passes_is_waited_out(
        self, trouble: httpx.Response | Exception
    ) -> None:
        server = Server(trouble, trouble, ok({"data": []}))
        async with server.client() as client:
            assert await client.cdrs() == []
        assert len(server.requests) == 3
        assert server.pauses == sorted(server.pauses)
        assert server.pauses[0] > 0

    async def test_attempts_are_bounded_and_the_last_error_is_told(self) -> None:
        server = Server(error(503, error="maintenance"))
        async with server.client() as client:
            with pytest.raises(VobizApiError, match="maintenance") as caught:
                await client.cdrs()
        assert caught.value.status == 503
        assert len(server.requests) == ATTEMPTS
        assert sum(server.pauses) <= LONGEST_PAUSE * ATTEMPTS

    async def test_no_answer_at_all(self) -> None:
        server = Server(httpx.ConnectError("refused"))
        async with server.client() as client:
            with pytest.raises(VobizApiError, match=r"did not answer") as caught:
                await client.cdrs()
        assert caught.value.status == 0
        assert "api.example.com" in str(caught.value)
        assert "ConnectError" in str(caught.value)

    @pytest.mark.parametrize(
        ("asked", "waited"), [("3", 3.0), ("3600", LONGEST_PAUSE), ("soon", 0.5), ("-1", 0.5)]
    )
    async def test_retry_after_is_heeded_within_reason(self, asked: str, waited: float) -> None:
        busy = httpx.Response(429, headers={"Retry-After": asked})
        server = Server(busy, ok({"data": []}))
        async with server.client() as client:
            await client.cdrs()
        assert server.pauses == [waited]

    @pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422])
    async def test_refusals_are_not_repeated(self, status: int) -> None:
        server = Server(error(status, error="no"))
        async with server.client() as client:
            with pytest.raises(VobizApiError):
                await client.cdrs()
        assert len(server.requests) == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("body", "parts"),
        [
            (
                {
                    "status": "error",
                    "error": {"code": "INVALID_CREDENTIALS", "message": "Bad token"},
                    "requestId": "req_7",
                },
                ["INVALID_CREDENTIALS: Bad token", "request req_7", "VOBIZ_AUTH_ID"],
            ),
            ({"error": {"message": "m", "details": {"f": 1}}}, ["m ({'f': 1})"]),
            ({"error": "just words"}, ["just words"]),
            ({"message": "other words"}, ["other words"]),
            ({"detail": "more words"}, ["more words"]),
            ([1, 2], ["[1, 2]"]),
        ],
    )
    async def test_vobizs_own_words_are_quoted(self, body: Any, parts: list[str]) -> None:
        server = Server(httpx.Response(401, json=body))
        async with server.client() as client:
            with pytest.raises(VobizApiError) as caught:
                await client.cdrs()
        assert caught.value.status == 401
        for part in ["HTTP 401", *parts]:
            assert part in str(caught.value)
        assert TOKEN not in str(caught.value)

    @pytest.mark.parametrize(
        "answer",
        [
            httpx.Response(200, text="<html>Welcome</html>"),
            ok({"data": "none"}),
            ok(["a", "b"]),
            ok(7),
        ],
    )
    async def test_what_is_no_api_is_told(self, answer: httpx.Response) -> None:
        server = Server(answer)
        async with server.client() as client:
            with pytest.raises(VobizApiError, match="cannot be read"):
                await client.cdrs()

    async def test_an_html_error_page_is_cut_short(self) -> None:
        server = Server(httpx.Response(404, text="<html>" + "x" * 5000))
        async with server.client() as client:
            with pytest.raises(VobizApiError) as caught:
                await client.cdr("u")
        assert len(str(caught.value)) < 600


class TestCdr:
    def test_the_new_names(self) -> None:
        cdr = Cdr.from_json(RECORD)
        assert (cdr.direction, cdr.from_number, cdr.to_number) == (
            "inbound",
            "+15550009999",
            "+15550001000",
        )
        assert cdr.started == datetime(2026, 3, 17, 10, 30, tzinfo=UTC)
        assert cdr.answered == datetime(2026, 3, 17, 10, 30, 5, 250000, tzinfo=UTC)
        assert (cdr.seconds, cdr.billed_seconds) == (125, 120)
        assert (cdr.hangup_cause, cdr.hangup_cause_code) == ("NORMAL_CLEARING", 4000)
        assert (cdr.bridge_uuid, cdr.sip_call_id) == ("call-1@host", "leg-1")
        assert (cdr.mos, cdr.codec) == (4.4, "PCMU")
        assert cdr.raw["something_new"] == [1]

    def test_the_old_names(self) -> None:
        cdr = Cdr.from_json(
            {
                "call_id": "abc",
                "from_number": "+15550009999",
                "to_number": "+15550001000",
                "direction": "outbound",
                "status": "busy",
            }
        )
        assert (cdr.uuid, cdr.direction, cdr.hangup_cause) == ("abc", "outbound", "busy")
        assert (cdr.from_number, cdr.to_number) == ("+15550009999", "+15550001000")
        assert cdr.answered is None

    def test_a_year_that_no_clock_has_is_no_time(self) -> None:
        assert Cdr.from_json({"start_time": 2**56}).started is None

    @given(st.dictionaries(st.sampled_from(sorted(RECORD)), st.none() | st.text() | st.integers()))
    def test_no_field_makes_a_record_unreadable(self, record: dict[str, Any]) -> None:
        cdr = Cdr.from_json(record)
        assert isinstance(cdr.seconds, int)
        assert cdr.raw == record


class TestRecordsOfACall:
    @dataclass
    class Call:
        sip_call_id: str | None = "call-1@host"

    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vobiz, "BACKOFF", 0.01)

    async def test_waits_until_the_legs_are_written(self) -> None:
        other = RECORD | {"bridge_uuid": "call-2@host", "uuid": "other"}
        second = RECORD | {"uuid": "u-2", "sip_call_id": "leg-2"}
        server = Server(
            ok({"data": [other]}), ok({"data": [RECORD, other]}), ok({"data": [second, RECORD]})
        )
        async with server.client() as client:
            found = await cdrs(self.Call(), client=client, legs=2)
        assert [cdr.uuid for cdr in found] == ["u-2", "u-1"]
        assert {cdr.bridge_uuid for cdr in found} == {"call-1@host"}
        assert "call-1@host" in found._repr_html_()
        assert "NORMAL_CLEARING" in repr(found)

    async def test_the_wait_is_bounded(self) -> None:
        server = Server(ok({"data": [RECORD]}))
        async with server.client() as client:
            assert len(await cdrs("call-1@host", client=client, legs=3, within=0.05)) == 1
            with pytest.raises(CallError, match="call-9@host"):
                await cdrs("call-9@host", client=client, within=0.05)

    async def test_a_call_that_was_never_answered_has_no_call_id(self) -> None:
        with pytest.raises(CallError, match="no SIP Call-ID"):
            await cdrs(self.Call(None), SETTINGS)
