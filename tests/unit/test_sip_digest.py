"""Digest challenges and their answers (RFC 7616)."""

import pytest
from aiosipua import SipDigestAuth, build_credentials, parse_auth, stringify_auth

from vobiz_kit.lab.sip.digest import REMEMBERED_NONCES, DigestRealm

URI = "sip:+15550002222@127.0.0.1:5060"
USERS = {"lab-trunk": "correct horse"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def realm(clock: Clock) -> DigestRealm:
    return DigestRealm("lab", USERS.get, algorithms=("SHA-256", "MD5"), lifetime=30, clock=clock)


def answer(challenge: str, *, user="lab-trunk", password="correct horse", uri=URI, count=1) -> str:
    credentials = build_credentials(
        SipDigestAuth(user, password), parse_auth(challenge), "INVITE", uri, nonce_count=count
    )
    assert credentials is not None
    return stringify_auth(credentials)


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_the_right_password(realm: DigestRealm, algorithm: str):
    challenge = next(c for c in realm.challenges() if f"algorithm={algorithm}" in c)
    verdict = realm.check("INVITE", URI, answer(challenge))
    assert (verdict.result, verdict.username) == ("ok", "lab-trunk")


def test_the_example_of_rfc_7616():
    """Section 3.9.1, the SHA-256 and MD5 responses, by way of the expected response."""
    for algorithm, expected in {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }.items():
        challenge = parse_auth(
            'Digest realm="http-auth@example.org", qop="auth, auth-int", '
            f"algorithm={algorithm}, "
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"'
        )
        credentials = build_credentials(
            SipDigestAuth("Mufasa", "Circle of Life"),
            challenge,
            "GET",
            "/dir/index.html",
            cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        )
        assert credentials is not None
        assert credentials.params["response"] == expected


def test_a_digest_uri_without_a_user_will_do(realm: DigestRealm):
    credentials = answer(realm.challenges()[0], uri="sip:127.0.0.1:5060")
    assert realm.check("INVITE", URI, credentials).result == "ok"


@pytest.mark.parametrize(
    "wrong", [{"password": "wrong"}, {"user": "nobody"}, {"uri": "sip:+1999@127.0.0.1"}]
)
def test_the_wrong_password_user_or_target(realm: DigestRealm, wrong):
    challenge = realm.challenges()[0]
    assert realm.check("INVITE", URI, answer(challenge, **wrong)).result == "refused"


def test_another_method(realm: DigestRealm):
    assert realm.check("BYE", URI, answer(realm.challenges()[0])).result == "refused"


def test_an_old_nonce_is_stale_and_the_next_challenge_says_so(realm: DigestRealm, clock: Clock):
    credentials = answer(realm.challenges()[0])
    clock.now += 31
    assert realm.check("INVITE", URI, credentials).result == "stale"
    assert "stale=true" in realm.challenges(stale=True)[0]


def test_a_replay_is_refused_and_a_higher_count_is_not(realm: DigestRealm):
    challenge = realm.challenges()[0]
    first = answer(challenge)
    assert realm.check("INVITE", URI, first).result == "ok"
    assert realm.check("INVITE", URI, first).result == "refused"
    assert realm.check("INVITE", URI, answer(challenge, count=2)).result == "ok"


def test_a_nonce_that_we_never_made(realm: DigestRealm):
    other = DigestRealm("lab", USERS.get)
    assert realm.check("INVITE", URI, answer(other.challenges()[0])).result == "refused"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Digest",
        "Basic bGFiOmxhYg==",
        'Digest username="x"',
        'Digest username="x", nonce="n", uri="u", response="r", cnonce="c", nc=zz',
    ],
)
def test_what_is_no_answer(realm: DigestRealm, header: str):
    assert realm.check("INVITE", URI, header).result == "unreadable"


def test_a_response_in_another_script_does_not_raise(realm: DigestRealm):
    header = answer(realm.challenges()[0])
    start = header.index('response="') + len('response="')
    forged = header[:start] + "\u0661\u0662" + header[start + 2 :]
    assert realm.check("INVITE", URI, forged).result == "refused"


def test_the_memory_is_bounded(realm: DigestRealm):
    for _ in range(REMEMBERED_NONCES + 10):
        realm.check("INVITE", URI, answer(realm.challenges()[0]))
    assert len(realm._used) == REMEMBERED_NONCES


def test_no_secret_in_the_open(realm: DigestRealm):
    assert "correct horse" not in repr(realm) + "".join(realm.challenges())
