"""The part of Vobiz's REST API that the kit reads: CDRs, trunks, numbers.

Paths, names and the shape of answers and errors as in Vobiz's API documentation and its
Agent-Skills (2026-07). Path casing matters there and here: ``/api/v1/Account/{auth_id}/...``.
"""

from __future__ import annotations

import csv
import hmac
import io
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

from aiohttp import web

from vobiz_kit.lab.carrier.carrier import Carrier
from vobiz_kit.lab.carrier.cdr import Record, summary

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MOST_PER_PAGE = 100
_STARTED = "2026-01-01T00:00:00Z"


class ApiProblem(Exception):  # noqa: N818 - it becomes an answer, not a crash
    """An error answer: HTTP status, Vobiz's code, and a message."""

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details

    def answer(self) -> web.Response:
        """The JSON that Vobiz answers with."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = self.details
        body = {
            "status": "error",
            "error": error,
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "requestId": f"req_{uuid.uuid4().hex[:16]}",
        }
        return web.json_response(body, status=self.status)


class VobizApi:
    """The account's API.

    Args:
        carrier: Whose records, limits and numbers are shown.
    """

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._config = carrier.config

    def routes(self) -> list[web.RouteDef]:
        """The routes, each behind the account's credentials."""
        account = "/api/v1/Account/{auth_id}"
        handlers: dict[str, Handler] = {
            "/cdr": self._list,
            "/cdr/search": self._search,
            "/cdr/recent": self._recent,
            "/cdr/export": self._export,
            "/cdr/{call_id}": self._get_record,
            "/trunks": self._trunks,
            "/trunks/credentials": self._credentials,
            "/trunks/origination-uris": self._origination_uris,
            "/trunks/{trunk_id}": self._trunk,
            "/numbers": self._numbers,
        }
        return [web.get(account + path, self._guarded(h)) for path, h in handlers.items()]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._authenticate(request)
                return await handler(request)
            except ApiProblem as problem:
                return problem.answer()

        return guarded

    def _authenticate(self, request: web.Request) -> None:
        given = (request.headers.get("X-Auth-ID", ""), request.headers.get("X-Auth-Token", ""))
        wanted = (self._config.vobiz_auth_id, self._config.vobiz_auth_token)
        right = [
            hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(given, wanted, strict=True)
        ]
        if not all(right):
            raise ApiProblem(401, "INVALID_CREDENTIALS", "Invalid authentication credentials")
        if request.match_info["auth_id"] != self._config.vobiz_auth_id:
            raise ApiProblem(403, "FORBIDDEN", "That account is not yours")

    # Call detail records

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response(self._page(request))

    async def _search(self, request: web.Request) -> web.Response:
        echoed = ("call_direction", "from_number", "hangup_cause", "to_number")
        filters = {name: request.query.get(name, "") for name in echoed}
        return web.json_response({**self._page(request), "filters": filters})

    async def _recent(self, request: web.Request) -> web.Response:
        limit = _number(request, "limit", 20)
        found = self._carrier.records.select()[:limit]
        return web.json_response(
            {
                "account_id": self._config.vobiz_auth_id,
                "count": len(found),
                "data": found,
                "success": True,
            }
        )

    async def _export(self, request: web.Request) -> web.Response:
        found = self._filtered(request)
        text = io.StringIO()
        if found:
            writer = csv.DictWriter(text, fieldnames=list(found[0]))
            writer.writeheader()
            writer.writerows(found)
        return web.Response(text=text.getvalue(), content_type="text/csv")

    async def _get_record(self, request: web.Request) -> web.Response:
        record = self._carrier.records.find(request.match_info["call_id"])
        if record is None:
            raise ApiProblem(404, "CDR_NOT_FOUND", "No call with that uuid")
        return web.json_response({"data": record, "success": True})

    def _page(self, request: web.Request) -> dict[str, Any]:
        found = self._filtered(request)
        page, per_page = _number(request, "page", 1), _number(request, "per_page", 20)
        per_page = min(per_page, MOST_PER_PAGE)
        pages = -(-len(found) // per_page)
        data = found[(page - 1) * per_page : page * per_page]
        return {
            "account_id": self._config.vobiz_auth_id,
            "count": len(data),
            "data": data,
            "pagination": {
                "page": page,
                "per_page": per_page,
                "total": len(found),
                "pages": pages,
                "has_next": page < pages,
                "has_prev": page > 1,
            },
            "summary": summary(found),
            "success": True,
        }

    def _filtered(self, request: web.Request) -> list[Record]:
        query = request.query
        direction = query.get("call_direction", "")
        if direction not in ("", "inbound", "outbound"):
            raise ApiProblem(
                422, "VALIDATION_ERROR", "call_direction is inbound or outbound", direction
            )
        return self._carrier.records.select(
            from_number=query.get("from_number", ""),
            to_number=query.get("to_number", ""),
            start_date=_date(request, "start_date"),
            end_date=_date(request, "end_date"),
            call_direction=direction,
            min_duration=_number(request, "min_duration", 0),
        )

    # Trunks and numbers

    async def _trunks(self, request: web.Request) -> web.Response:
        return web.json_response(_items([self._trunk_object()]))

    async def _trunk(self, request: web.Request) -> web.Response:
        if request.match_info["trunk_id"] != self._config.trunk_id:
            raise ApiProblem(404, "TRUNK_NOT_FOUND", "No trunk with that id")
        return web.json_response(self._trunk_object())

    def _trunk_object(self) -> dict[str, Any]:
        config, limits = self._config, self._carrier.limits
        return {
            "trunk_id": config.trunk_id,
            "account_id": config.vobiz_auth_id,
            "name": "Lab trunk",
            "trunk_type": "BOTH",
            "trunk_direction": "both",
            "trunk_domain": config.sip_domain,
            "trunk_status": "enabled",
            "enabled": True,
            "secure": False,
            "transport": "udp",
            "concurrent_calls_limit": limits.concurrent,
            "cps_limit": limits.cps,
            "credential_uuid": _stable_id(config.trunk_id, "credential"),
            "ipacl_uuid": None,
            "primary_uri_uuid": _stable_id(config.trunk_id, "origination"),
            "fallback_uri_uuid": None,
            "inbound_destination": f"127.0.0.1:{config.livekit_sip_port}",
            "created_at": _STARTED,
            "updated_at": _STARTED,
        }

    async def _credentials(self, request: web.Request) -> web.Response:
        credential = {
            "id": _stable_id(self._config.trunk_id, "credential"),
            "username": self._config.vobiz_username,
            "password": "<redacted>",
            "realm": self._config.sip_domain,
            "enabled": True,
            "created_at": _STARTED,
        }
        return web.json_response(_items([credential]))

    async def _origination_uris(self, request: web.Request) -> web.Response:
        uri = {
            "id": _stable_id(self._config.trunk_id, "origination"),
            "name": "livekit-sip",
            "uri": f"sip:127.0.0.1:{self._config.livekit_sip_port}",
            "priority": 1,
            "weight": 10,
            "enabled": True,
            "created_at": _STARTED,
        }
        return web.json_response(_items([uri]))

    async def _numbers(self, request: web.Request) -> web.Response:
        number = {
            "id": _stable_id(self._config.trunk_id, self._config.did),
            "account_id": self._config.vobiz_auth_id,
            "e164": self._config.did,
            "country": "US",
            "region": "lab",
            "capabilities": {"voice": True, "sms": False, "mms": False, "fax": False},
            "status": "active",
            "provider": "lab",
            "setup_fee": 0,
            "monthly_fee": 0,
            "currency": "INR",
            "application_id": None,
            "voice_enabled": True,
            "is_blocked": False,
            "trunk_group_id": self._config.trunk_id,
            "purchased_at": _STARTED,
            "released_at": None,
        }
        return web.json_response(_items([number]))


def _items(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"items": items, "total": len(items), "page": 1, "per_page": MOST_PER_PAGE}


def _stable_id(trunk_id: str, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{trunk_id}/{name}"))


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or (int(text) == 0 and default > 0):
        raise ApiProblem(422, "VALIDATION_ERROR", f"{name} is a whole number", text)
    return int(text)


def _date(request: web.Request, name: str) -> date | None:
    """One of the paired dates; Vobiz ignores a lone one."""
    if not (request.query.get("start_date") and request.query.get("end_date")):
        return None
    text = request.query[name]
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ApiProblem(422, "VALIDATION_ERROR", f"{name} is YYYY-MM-DD", text) from error
