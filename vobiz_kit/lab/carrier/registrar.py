"""Who is reachable where: REGISTER (RFC 3261 section 10), for handsets and real softphones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from aiosipua import Address as NameAddr
from aiosipua import parse_uri, stringify_uri

from vobiz_kit.lab.carrier.number_plan import Refusal, normalise
from vobiz_kit.lab.sip.digest import DigestRealm
from vobiz_kit.lab.sip.endpoint import OutOfDialogRequest
from vobiz_kit.lab.sip.transport import Address
from vobiz_kit.lab.sip.validate import reason_phrase

log = logging.getLogger(__name__)

MAX_BINDINGS = 1000
DEFAULT_EXPIRES, SHORTEST, LONGEST = 300, 10, 3600


@dataclass(frozen=True)
class Binding:
    """One registered phone: its number, its Contact URI, and where its messages come from."""

    number: str
    contact: str
    source: Address
    user_agent: str
    expires_at: float


class Registrar:
    """The location service. A number has one phone; a new registration replaces the last.

    Args:
        realm: Checks the digest answers.
        clock: Seconds; for tests.
    """

    def __init__(self, realm: DigestRealm, clock: Callable[[], float] | None = None) -> None:
        self._realm = realm
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._bindings: dict[str, Binding] = {}

    def find(self, number: str) -> Binding | None:
        """The phone that is registered for a number."""
        binding = self._bindings.get(number)
        if binding is not None and binding.expires_at <= self._clock():
            del self._bindings[number]
            return None
        return binding

    def owner_of(self, source: Address, number: str) -> Binding | None:
        """The phone with that number if it is registered from exactly that address."""
        binding = self.find(number)
        return binding if binding is not None and binding.source == source else None

    def numbers_at(self, source: Address) -> list[str]:
        """The numbers registered from an address."""
        return [b.number for b in self._bindings.values() if b.source == source]

    @property
    def bindings(self) -> list[Binding]:
        """All phones that are registered now."""
        return [b for number in list(self._bindings) if (b := self.find(number)) is not None]

    def register(self, incoming: OutOfDialogRequest) -> None:
        """Answer a REGISTER: 401, or the binding made, renewed or removed."""
        request = incoming.request
        to = request.to_addr
        number = normalise((to.uri.user or "") if to else "")
        if isinstance(number, Refusal):
            incoming.respond(404, "Only phone numbers can register here", {})
            return
        if not self._authenticated(incoming, number):
            return
        try:
            refusal = self._update(incoming, number)
        except ValueError:
            incoming.respond(400, "Bad Contact or Expires", {})
            return
        if refusal:
            incoming.respond(423, reason_phrase(423), {"Min-Expires": str(SHORTEST)})
        else:
            self._answer(incoming, number)

    def _update(self, incoming: OutOfDialogRequest, number: str) -> bool:
        """Do what a REGISTER asks for; True if the time it asks for is too brief.

        Raises:
            ValueError: its Contact or Expires makes no sense.
        """
        contacts = incoming.request.contact
        expires = self._expires(incoming, contacts)
        if any(value.strip() == "*" for value in incoming.request.headers.get("contact")):
            if expires != 0:
                raise ValueError("a Contact of * removes, RFC 3261 section 10.3")
            self._bindings.pop(number, None)
        elif contacts and expires == 0:
            self._bindings.pop(number, None)
        elif contacts and expires < SHORTEST:
            return True
        elif contacts:
            self._bind(incoming, number, contacts[0], expires)
        return False

    def _authenticated(self, incoming: OutOfDialogRequest, number: str) -> bool:
        request = incoming.request
        authorization = request.get_header("authorization")
        stale = False
        if authorization:
            verdict = self._realm.check("REGISTER", request.uri, authorization)
            if verdict.result == "ok" and normalise(verdict.username) == number:
                return True
            if verdict.result == "ok":
                incoming.respond(403, "A phone registers its own number only", {})
                return False
            stale = verdict.result == "stale"
            if verdict.result == "refused":
                log.info("REGISTER of %s from %s:%d: wrong password", number, *incoming.source)
        challenge = self._realm.challenges(stale=stale)[0]
        incoming.respond(401, reason_phrase(401), {"WWW-Authenticate": challenge})
        return False

    def _expires(self, incoming: OutOfDialogRequest, contacts: list[NameAddr]) -> int:
        value = contacts[0].params.get("expires") if contacts else None
        value = value or incoming.request.get_header("expires") or str(DEFAULT_EXPIRES)
        return min(int(value), LONGEST)

    def _bind(
        self, incoming: OutOfDialogRequest, number: str, contact: NameAddr, expires: int
    ) -> None:
        if number not in self._bindings and len(self.bindings) >= MAX_BINDINGS:
            log.warning("registrar full: %s was not registered", number)
            return
        uri = stringify_uri(contact.uri)
        if not contact.uri.host or any(c.isspace() for c in uri):
            raise ValueError("a Contact that cannot be called")
        self._bindings[number] = Binding(
            number=number,
            contact=uri,
            source=incoming.source,
            user_agent=incoming.request.get_header("user-agent") or "",
            expires_at=self._clock() + expires,
        )

    def _answer(self, incoming: OutOfDialogRequest, number: str) -> None:
        binding = self.find(number)
        headers = {}
        if binding is not None:
            left = max(1, round(binding.expires_at - self._clock()))
            headers = {"Contact": f"<{binding.contact}>;expires={left}", "Expires": str(left)}
        incoming.respond(200, "OK", headers)


def contact_address(binding: Binding) -> Address:
    """Where a call to a registered phone is sent: its Contact if that is where it speaks from."""
    uri = parse_uri(binding.contact)
    if uri.host == binding.source[0] and uri.port:
        return (uri.host, uri.port)
    return binding.source
