"""Read from the lab's carrier: its SIP trace, and its CDRs by Vobiz's REST API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from vobiz_kit.errors import VobizKitError
from vobiz_kit.lab.state import LOOPBACK, LabConfig
from vobiz_kit.wire import WireMessage


class CarrierClient:
    """The carrier of one lab, by HTTP on loopback.

    Args:
        config: The lab's configuration.
    """

    def __init__(self, config: LabConfig) -> None:
        self._base = f"http://{LOOPBACK}:{config.carrier_http_port}"
        self._config = config

    def trace(self, *, bridge: str = "") -> list[WireMessage]:
        """The SIP messages in the order in which they crossed the carrier.

        Args:
            bridge: Only those of the call with this Call-ID of its LiveKit leg.
        """
        reply = self._get("/lab/trace", {"bridge": bridge} if bridge else {})
        return [WireMessage.from_json(message) for message in reply["messages"]]

    def cdrs(self) -> list[Mapping[str, Any]]:
        """The most recent call detail records, newest first."""
        account = f"/api/v1/Account/{self._config.vobiz_auth_id}"
        reply = self._get(
            f"{account}/cdr/recent",
            {},
            {
                "X-Auth-ID": self._config.vobiz_auth_id,
                "X-Auth-Token": self._config.vobiz_auth_token,
            },
        )
        return list(reply["data"])

    @contextmanager
    def refer_script(self, number: str, **script: Any) -> Iterator[None]:
        """Have the carrier misbehave on REFERs to a number, until the end of the block.

        Args:
            number: The transfer target in E.164.
            **script: As in `vobiz_kit.lab.carrier.refer_script.ReferScript`: ``answer=405``,
                ``answer=None`` (no answer at all), ``notify=[100, 486]``.
        """
        self._send("PUT", f"/lab/refer/{number}", script)
        try:
            yield
        finally:
            self._send("DELETE", f"/lab/refer/{number}")

    def set_limits(self, **limits: float) -> None:
        """Change ``cps``, ``concurrent`` or ``ring_seconds`` of the carrier."""
        self._send("PUT", "/lab/limits", limits)

    def _get(self, path: str, query: dict[str, str], headers: dict[str, str] | None = None) -> Any:
        return self._request("GET", path, params=query, headers=headers)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self._request(method, path, json=body)

    def _request(self, method: str, path: str, **request: Any) -> Any:
        import httpx

        try:
            reply = httpx.request(
                method, self._base + path, timeout=5.0, trust_env=False, **request
            )
            reply.raise_for_status()
        except httpx.HTTPError as error:
            raise VobizKitError(
                "The lab's carrier does not answer.",
                evidence=f"{method} {path}: {error}",
                fix="vobiz-kit lab status shows what runs, vobiz-kit lab logs carrier why.",
            ) from error
        return reply.json()
