"""Nobody can talk the agent into dialling what it must not: every attempt, every backend."""

from __future__ import annotations

import re
import string
from collections import Counter

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attempts import attempts
from vobiz_kit.asked import Asked
from vobiz_kit.audit import read_audit
from vobiz_kit.directory import Directory
from vobiz_kit.emergency_numbers import emergency_country
from vobiz_kit.errors import NumberRefused
from vobiz_kit.number_ranges import number_kind, region_of
from vobiz_kit.numbers import parse_number, transfer_uri
from vobiz_kit.policy import check_destination
from vobiz_kit.settings import Settings

DOMAIN = "1a2b3c4d.sip.vobiz.ai"
NUMBERS = (("billing", "+15550002222"), ("sales", "+15550001111"), ("support", "+15550003333"))


def account(backend: str, own: str, may_dial: str = "") -> Settings:
    return Settings(
        backend,  # type: ignore[arg-type]
        vobiz_sip_domain=DOMAIN,
        vobiz_outbound_number=own,
        may_dial=may_dial,
        directory_numbers=NUMBERS,
    )


ACCOUNTS = {
    "lab": account("lab", "+15550001000"),
    "cloud, United States": account("cloud", "+12025550123"),
    "cloud, India": account("cloud", "+918012345678"),
    "cloud, Germany": account("cloud", "+493012345678"),
    "cloud, no number": account("cloud", "+15550001000"),
}


@pytest.mark.parametrize("name", ACCOUNTS)
def test_no_attempt_passes(name: str) -> None:
    settings = ACCOUNTS[name]
    tried = attempts(settings)
    passed = []
    for attempt in tried:
        try:
            to = check_destination(attempt.text, settings)
        except NumberRefused as refusal:
            assert refusal.what
            assert str(refusal).isascii() or "\u2022" in str(refusal)
        else:
            passed.append((attempt, to))
    assert passed == []


def test_there_are_hundreds_of_attempts_of_every_kind() -> None:
    tried = attempts(ACCOUNTS["lab"])
    assert len({attempt.text for attempt in tried}) == len(tried) >= 300
    groups = Counter(attempt.group for attempt in tried)
    assert len(groups) == 15
    assert min(groups.values()) >= 10, groups
    premium = {
        phonenumbers.parse(attempt.text).country_code
        for attempt in tried
        if attempt.group == "premium numbers"
    }
    assert len(premium) >= 40


@pytest.mark.parametrize("name", ACCOUNTS)
def test_what_is_meant_to_pass_passes(name: str) -> None:
    """The guard is no wall: the directory's people and one's own country are reached."""
    settings = ACCOUNTS[name]
    for text in (
        "billing",
        "the Sales department",
        "+1 555 000 3333",
        f"sip:+15550002222@{DOMAIN}",
    ):
        assert check_destination(text, settings).number in dict(NUMBERS).values()
    own = region_of(settings.vobiz_outbound_number)
    if own:
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
            example = phonenumbers.example_number_for_type(own, kind)
            assert example is not None
            number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            assert check_destination(number, settings).number == number


def test_a_prefix_opens_no_dear_number() -> None:
    """Even whoever allows all the world by prefixes pays for no premium and no satellite call."""
    world = account("cloud", "+12025550123", ",".join(f"+{digit}*" for digit in range(1, 10)))
    dear = {"premium numbers", "satellite numbers", "revenue-share ranges", "emergency numbers"}
    passed = []
    for attempt in attempts(world):
        try:
            to = check_destination(attempt.text, world)
        except NumberRefused:
            continue
        if attempt.group in dear | {"own number"}:
            passed.append((attempt, to))
        assert not number_kind(to.number).whole_only
    assert passed == []


# What holds for any text whatever

TRICKY = st.text(alphabet="+0123456789 -.()\u00a0\u2011tel:sip@;?=%,\r\n\u0662abgilno" + DOMAIN)
EVERY_NUMBER = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
SETTINGS = st.sampled_from([*ACCOUNTS.values(), account("cloud", "+12025550123", "+1*,+4*,+9*")])


@given(st.one_of(st.text(), TRICKY, EVERY_NUMBER), SETTINGS)
def test_any_text_is_a_number_for_the_wire_or_refused(text: str, settings: Settings) -> None:
    asked = Asked("transfer_call", "transfer", text[:5], said=text)
    try:
        to = check_destination(text, settings, asked=asked)
    except NumberRefused as refusal:
        assert refusal.what
        assert read_audit_tail()["decision"] == "refused"
        return
    assert read_audit_tail()["decision"] == "allowed"
    assert re.fullmatch(r"\+[1-9][0-9]{6,14}", to.number)
    assert to.number != settings.vobiz_outbound_number
    assert emergency_country(to.number) == ""
    uri = transfer_uri(to.number, settings.vobiz_sip_domain)
    assert re.fullmatch(rf"sip:\+[1-9][0-9]{{6,14}}@{re.escape(DOMAIN)}", uri)
    assert check_destination(to.number, settings).number == to.number


def read_audit_tail() -> dict[str, object]:
    entry: dict[str, object] = read_audit()[-1]
    return entry


@given(EVERY_NUMBER)
def test_every_number_has_one_kind(number: str) -> None:
    try:
        number = parse_number(number)
    except NumberRefused:
        return
    kind = number_kind(number)
    assert kind.words
    assert not (kind.name == "ordinary" and not kind.line)
    assert not kind.ordinary_in("")
    assert not (kind.name in ("premium", "satellite") and kind.ordinary_in(kind.region))


SPELLINGS = [
    lambda n: n,
    lambda n: f" {n} ",
    lambda n: f"tel:{n}",
    lambda n: f"sip:{n}@{DOMAIN}",
    lambda n: f"SIPS:{n}@{DOMAIN.upper()};user=phone",
    lambda n: f"{n[:2]} ({n[2:5]}) {n[5:8]}-{n[8:]}",
    lambda n: f"{n[:2]}\u00a0{n[2:5]}\u2011{n[5:8]}\u2013{n[8:]}",
    lambda n: " ".join(n),
]


@given(st.sampled_from(SPELLINGS), st.from_regex(r"\+1555[0-9]{7}", fullmatch=True))
def test_an_honest_spelling_is_dialled_as_it_was_meant(spell: object, number: str) -> None:
    assert callable(spell)
    if number == ACCOUNTS["lab"].vobiz_outbound_number:
        return
    assert check_destination(spell(number), ACCOUNTS["lab"]).number == number


@given(st.text(alphabet=string.printable), st.text(alphabet=string.ascii_letters, min_size=1))
def test_no_directory_makes_a_text_pass_that_is_neither_its_alias_nor_a_number(
    text: str, alias: str
) -> None:
    directory = Directory({alias: "+15550002222"})
    try:
        to = check_destination(text, ACCOUNTS["cloud, no number"], directory)
    except NumberRefused:
        return
    assert to.number == "+15550002222"
