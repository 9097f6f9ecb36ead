"""Read from the lab's carrier: its SIP trace, and its CDRs by Vobiz's REST API."""

from __future__ import annotations

from collections.abc import Mapping
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

    def _get(self, path: str, query: dict[str, str], headers: dict[str, str] | None = None) -> Any:
        import httpx

        try:
            reply = httpx.get(
                self._base + path, params=query, headers=headers, timeout=5.0, trust_env=False
            )
            reply.raise_for_status()
        except httpx.HTTPError as error:
            raise VobizKitError(
                "The lab's carrier does not answer.",
                evidence=f"GET {path}: {error}",
                fix="vobiz-kit lab status shows what runs, vobiz-kit lab logs carrier why.",
            ) from error
        return reply.json()
