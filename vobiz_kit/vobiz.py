"""Vobiz's REST API: call detail records, trunks and numbers of your account (read only)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import quote, urlsplit

from vobiz_kit.cdr import Cdr, CdrList
from vobiz_kit.errors import CallError, VobizApiError
from vobiz_kit.settings import Settings
from vobiz_kit.vobiz_answers import items, refused, unreadable

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 4  # of one request: the first, and three more after 429, 5xx or no answer
BACKOFF = 0.5  # seconds before the second attempt; doubled before each further one
LONGEST_PAUSE = 8.0  # seconds, also where the server's Retry-After asks for more
_PAGE = 100  # records; the most that Vobiz gives at once
_RETRIED = frozenset({429, 500, 502, 503, 504})


class VobizClient:
    """Reads your account at Vobiz. An async context manager::

        async with VobizClient(settings) as vobiz:
            recent = await vobiz.cdrs(limit=20)

    Requests only read, so they are repeated (at most `ATTEMPTS` times, with growing pauses) after
    429, 5xx or no answer.

    Args:
        settings: VOBIZ_AUTH_ID, VOBIZ_AUTH_TOKEN and VOBIZ_API_URL count.
        within: Seconds that one attempt may take.
        transport: Replaces the network, for tests.
        sleep: Replaces the pause between attempts, for tests; takes seconds.

    Raises:
        SettingsError: VOBIZ_AUTH_ID or VOBIZ_AUTH_TOKEN is missing.

    Source: vobiz.ai/docs, "CDR", "Trunks", "Account phone numbers".
    """

    def __init__(
        self,
        settings: Settings,
        *,
        within: float = 10,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        settings.require("VOBIZ_AUTH_ID", "VOBIZ_AUTH_TOKEN")
        import httpx

        self._sleep = sleep
        self._http = httpx.AsyncClient(
            base_url=f"{settings.vobiz_api_url}/Account/{quote(settings.vobiz_auth_id, safe='')}/",
            headers={
                "X-Auth-ID": settings.vobiz_auth_id,
                "X-Auth-Token": settings.vobiz_auth_token.reveal(),
                "Accept": "application/json",
            },
            timeout=within,
            transport=transport,
            trust_env=not _is_loopback(settings.vobiz_api_url),  # no proxy on the way to the lab
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def cdrs(
        self,
        *,
        from_number: str = "",
        to_number: str = "",
        direction: str = "",
        since: date | None = None,
        until: date | None = None,
        min_duration: int | None = None,
        limit: int = 100,
    ) -> CdrList:
        """Call detail records, the newest first; those that fit all filters.

        Args:
            from_number: The caller, E.164 or a part of it.
            to_number: The called number, E.164 or a part of it.
            direction: "inbound" or "outbound".
            since: First day (UTC).
            until: Last day (UTC). Vobiz wants both days: the other one is filled in.
            min_duration: Seconds that a call lasted at least.
            limit: The most records to give back.

        Raises:
            VobizApiError: Vobiz refused (quoted), or did not answer.
        """
        if since or until:
            # A day more at the end: "today" here can be tomorrow in UTC.
            until = until or date.today() + timedelta(days=1)
            since = since or until
        filters = {
            "from_number": from_number,
            "to_number": to_number,
            "call_direction": direction,
            "start_date": since.isoformat() if since else "",
            "end_date": until.isoformat() if until else "",
            "min_duration": "" if min_duration is None else str(min_duration),
        }
        filters = {name: value for name, value in filters.items() if value}
        records = await self._paged("cdr", filters, limit, by_page=True)
        return CdrList(Cdr.from_json(record) for record in records)

    async def recent_cdrs(self, limit: int = 20) -> CdrList:
        """The newest call detail records, without any filter.

        Raises:
            VobizApiError: Vobiz refused (quoted), or did not answer.
        """
        answer = await self._get("cdr/recent", {"limit": str(limit)})
        return CdrList(Cdr.from_json(record) for record in items(answer))

    async def cdr(self, uuid: str) -> Cdr:
        """One call detail record by its uuid.

        Raises:
            VobizApiError: there is none (status 404), or Vobiz refused or did not answer.
        """
        answer = await self._get(f"cdr/{quote(uuid, safe='')}")
        data = answer.get("data", answer) if isinstance(answer, Mapping) else answer
        if isinstance(data, list):
            data = data[0] if data else {}
        if not isinstance(data, Mapping):
            raise unreadable(200, str(answer))
        return Cdr.from_json(data)

    async def trunks(self, limit: int = 100) -> list[dict[str, Any]]:
        """The account's trunks, as Vobiz describes them (``trunk_id``, ``trunk_domain``, ...).

        Raises:
            VobizApiError: Vobiz refused (quoted), or did not answer.
        """
        return await self._paged("trunks", {}, limit, by_page=False)

    async def numbers(self, limit: int = 100) -> list[dict[str, Any]]:
        """The account's numbers, as Vobiz describes them (``e164``, ``trunk_group_id``, ...).

        Raises:
            VobizApiError: Vobiz refused (quoted), or did not answer.
        """
        return await self._paged("numbers", {}, limit, by_page=True)

    async def _paged(
        self, path: str, filters: Mapping[str, str], limit: int, *, by_page: bool
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        size = max(1, min(_PAGE, limit))
        while len(found) < limit:
            page = (
                {"page": str(len(found) // size + 1), "per_page": str(size)}
                if by_page
                else {"limit": str(size), "offset": str(len(found))}
            )
            got = items(await self._get(path, {**filters, **page}))
            found += got
            if len(got) < size:  # the documents disagree on the totals' names; this holds
                break
        return found[:limit]

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The JSON answer to a GET, after as many attempts as it takes and is allowed."""
        import httpx

        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = await self._http.get(path, params=dict(query or {}))
            except httpx.TransportError as error:
                if attempt == ATTEMPTS:
                    raise VobizApiError(
                        "Vobiz's REST API did not answer.",
                        status=0,
                        evidence=f"{urlsplit(str(self._http.base_url)).netloc}, {ATTEMPTS}"
                        f" attempts: {type(error).__name__} {error}".rstrip(),
                        fix="Check VOBIZ_API_URL and your connection.",
                    ) from None
                await self._sleep(_pause(attempt))
                continue
            if response.status_code not in _RETRIED or attempt == ATTEMPTS:
                break
            await self._sleep(_pause(attempt, response.headers.get("Retry-After", "")))
        if not response.is_success:
            raise refused(response)
        try:
            return response.json()
        except ValueError:
            raise unreadable(response.status_code, response.text) from None


class HasSipCallId(Protocol):
    """Anything with the SIP Call-ID of LiveKit's leg, such as a `Call`."""

    @property
    def sip_call_id(self) -> str | None:
        """LiveKit's ``sip.callIDFull``."""


async def cdrs(
    call: HasSipCallId | str,
    settings: Settings | None = None,
    *,
    within: float = 15,
    legs: int = 1,
    client: VobizClient | None = None,
) -> CdrList:
    """The call detail records of one call: those whose ``bridge_uuid`` is its SIP Call-ID.

    Records are written after a call, so this waits for them: until at least `legs` are there and
    no further one has come for half a second.

    Args:
        call: A `Call`, or the SIP Call-ID of its LiveKit leg (``sip.callIDFull``).
        settings: Whose account; `Settings.load` if None.
        within: Seconds to wait at most. After that fewer than `legs` are given back as they are.
        legs: How many records there must be.
        client: Used instead of a client of its own.

    Raises:
        CallError: no record came in time, or the call has no SIP Call-ID (it was never answered).
        VobizApiError: Vobiz refused (quoted), or did not answer.
    """
    call_id = call if isinstance(call, str) else call.sip_call_id
    if not call_id:
        raise CallError(
            "This call has no SIP Call-ID, so its records cannot be found.",
            evidence="LiveKit gives an outbound call its sip.callIDFull when it is answered",
            fix="Look through `await VobizClient(settings).recent_cdrs()` by number and time.",
        )
    if client is None:
        settings = settings or Settings.load(required=("VOBIZ_AUTH_ID", "VOBIZ_AUTH_TOKEN"))
        async with VobizClient(settings) as own:
            return await cdrs(call_id, within=within, legs=legs, client=own)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    before = -1
    while True:
        recent = await client.recent_cdrs(_PAGE)
        found = CdrList(cdr for cdr in recent if call_id in (cdr.bridge_uuid, cdr.sip_call_id))
        if len(found) >= legs and len(found) == before:
            return found
        if loop.time() >= deadline:
            break
        before = len(found)
        await asyncio.sleep(min(BACKOFF, max(0.0, deadline - loop.time())))
    if found:
        return found
    raise CallError(
        "Vobiz has no record of this call yet.",
        evidence=f"none of the last {len(recent)} records has bridge_uuid {call_id}",
        fix="Records are written when a call has ended: hang up, then ask again.",
    )


def _pause(attempt: int, retry_after: str = "") -> float:
    asked = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    return min(LONGEST_PAUSE, max(asked, BACKOFF * 2 ** (attempt - 1)))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
