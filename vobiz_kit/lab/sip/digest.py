"""Digest authentication from the server's side (RFC 7616, RFC 8760, RFC 3261 section 22).

aiosipua answers challenges but makes none. What a client should have answered is computed by its
`build_credentials`, so both sides share one implementation of the hash.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from aiosipua import (
    AuthChallenge,
    AuthCredentials,
    SipDigestAuth,
    build_credentials,
    parse_auth,
    parse_uri,
    stringify_auth,
)

REMEMBERED_NONCES = 1024


@dataclass(frozen=True)
class Verdict:
    """What came of checking credentials.

    Attributes:
        result: "ok"; "stale" (right answer to an old nonce: ask again); "refused" (unknown user,
            wrong password, another realm, a replay); "unreadable".
        username: Who it says it is, "" if unreadable. Not proven unless `result` is "ok".
    """

    result: Literal["ok", "stale", "refused", "unreadable"]
    username: str = ""


class DigestRealm:
    """Makes challenges for one realm and checks the answers.

    Nonces carry their time and a MAC, so that none has to be kept; the last used ones are, with
    their counters, so that an answer that was overheard is worth nothing.

    Args:
        realm: The protection domain that the user sees.
        password_of: The password of a user, None if there is no such user.
        algorithms: What is offered, the preferred one first: "SHA-256", "MD5".
        lifetime: Seconds for which a nonce is good.
        clock: Seconds; for tests.
    """

    def __init__(
        self,
        realm: str,
        password_of: Callable[[str], str | None],
        *,
        algorithms: Sequence[str] = ("MD5",),
        lifetime: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.realm = realm
        self._password_of = password_of
        self._algorithms = tuple(algorithms)
        self._lifetime = lifetime
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._used: OrderedDict[str, int] = OrderedDict()

    def challenges(self, *, stale: bool = False) -> list[str]:
        """The values for WWW-Authenticate or Proxy-Authenticate, one header each."""
        nonce = self._new_nonce()
        values = []
        for algorithm in self._algorithms:
            params = {
                "realm": self.realm,
                "nonce": nonce,
                "algorithm": algorithm,
                "qop": "auth",
            }
            if stale:
                params["stale"] = "true"
            values.append(stringify_auth(AuthChallenge("Digest", params)))
        return values

    def check(self, method: str, request_uri: str, authorization: str) -> Verdict:
        """Check an Authorization or Proxy-Authorization header.

        Args:
            method: The request's method.
            request_uri: Its Request-URI; the one in the credentials must name the same user, or
                none, as SIPp's does.
            authorization: The header's value.
        """
        params = parse_auth(authorization, credentials=True).params
        try:
            count = int(params["nc"], 16)
            username, nonce, uri = params["username"], params["nonce"], params["uri"]
            answer, cnonce = params["response"], params["cnonce"]
        except (KeyError, ValueError):
            return Verdict("unreadable")
        algorithm = params.get("algorithm", "MD5")
        password = self._password_of(username)
        expected = self._expected(
            AuthChallenge("Digest", {"realm": self.realm, "nonce": nonce, "qop": "auth"}),
            algorithm,
            # A password is computed for unknown users too, so that both take the same time.
            SipDigestAuth(username, password if password is not None else secrets.token_hex()),
            (method, uri, count, cnonce),
        )
        right = (
            expected is not None
            and hmac.compare_digest(expected.params["response"].encode(), answer.lower().encode())
            and password is not None
            and params.get("realm") == self.realm
            and params.get("qop", "").lower() == "auth"
            and parse_uri(uri).user in (None, parse_uri(request_uri).user)
        )
        age = self._age(nonce)
        if not right or age is None:
            return Verdict("refused", username)
        if age > self._lifetime:
            return Verdict("stale", username)
        if count <= self._used.get(nonce, 0):
            return Verdict("refused", username)
        self._used[nonce] = count
        self._used.move_to_end(nonce)
        while len(self._used) > REMEMBERED_NONCES:
            self._used.popitem(last=False)
        return Verdict("ok", username)

    def _expected(
        self,
        challenge: AuthChallenge,
        algorithm: str,
        auth: SipDigestAuth,
        request: tuple[str, str, int, str],
    ) -> AuthCredentials | None:
        if algorithm.upper() not in self._algorithms:
            return None
        challenge.params["algorithm"] = algorithm
        method, uri, count, cnonce = request
        return build_credentials(auth, challenge, method, uri, nonce_count=count, cnonce=cnonce)

    def _new_nonce(self) -> str:
        stamp = f"{int(self._clock() * 1000):x}.{secrets.token_hex(8)}"
        return f"{stamp}.{self._mac(stamp)}"

    def _age(self, nonce: str) -> float | None:
        """Seconds since we made that nonce, None if we did not."""
        stamp, _, mac = nonce.rpartition(".")
        if not hmac.compare_digest(self._mac(stamp).encode(), mac.encode()):
            return None
        return self._clock() - int(stamp.partition(".")[0], 16) / 1000

    def _mac(self, stamp: str) -> str:
        return hmac.new(self._key, stamp.encode(), hashlib.sha256).hexdigest()[:32]
