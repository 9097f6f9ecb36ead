"""Registering at a registrar: aiosipua's registration, over our transactions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiosipua import (
    Registration,
    SipDigestAuth,
    SipRequest,
    SipResponse,
    SipTransport,
    SipUAC,
    parse_uri,
)

from vobiz_kit.lab.sip.transport import Address

if TYPE_CHECKING:
    from vobiz_kit.lab.sip.transactions import TransactionLayer


class RegistrationRefused(Exception):  # noqa: N818 - named as the field names it
    """The registrar did not accept the registration: ``status`` and ``reason``."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class ThroughTransactions(SipTransport):
    """Gives aiosipua's user agent client our transaction layer: its REGISTERs are repeated."""

    def __init__(self, transactions: TransactionLayer) -> None:
        super().__init__()
        self._transactions = transactions
        self.uac = SipUAC(self)

    def send(self, message: SipRequest | SipResponse, addr: Address) -> None:
        """Send a request of the client and bring it the responses."""
        if isinstance(message, SipRequest):
            self._transactions.send(message, addr, self.uac.handle_response)


async def register(
    uac: SipUAC,
    aor: str,
    registrar: Address,
    *,
    password: str,
    expires: int,
    user_agent: str,
    within: float,
) -> Registration:
    """Register and stay registered, see `SipEndpoint.register`."""
    user = parse_uri(aor).user or ""
    registration = Registration(
        uac,
        aor,
        registrar,
        expires=expires,
        auth=SipDigestAuth(user, password),
        user_agent=user_agent,
    )
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def registered(_: Registration) -> None:
        if not done.done():
            done.set_result(None)

    def failed(_: Registration, status: int, reason: str) -> None:
        if not done.done():
            done.set_exception(RegistrationRefused(status, reason))

    registration.on_registered, registration.on_failed = registered, failed
    registration.register()
    await asyncio.wait_for(done, within)
    return registration
