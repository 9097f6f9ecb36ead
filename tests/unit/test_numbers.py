"""Numbers, the directory, and what is refused before anything is sent."""

from __future__ import annotations

import re
import string

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vobiz_kit.directory import Destination, Directory, UnknownDestination
from vobiz_kit.errors import NumberRefused
from vobiz_kit.numbers import is_e164, mask_number, parse_host, parse_number, transfer_uri
from vobiz_kit.settings import Settings

BILLING = "+15550002222"
E164 = re.compile(r"\+[1-9][0-9]{6,14}")


@pytest.mark.parametrize(
    "text",
    [
        "+15550002222",
        "+1 555 000 2222",
        "+1-555-000-2222",
        "+1 (555) 000-2222",
        "+1.555.000.2222",
        "  +15550002222 ",
        "+1\u00a0555\u202f000\u20112222",  # no-break space, narrow no-break space and hyphen
        "+1 555\u2013000\u20132222",  # en dashes
        "tel:+15550002222",
        "tel:+1-555-000-2222",
        "TEL:+1(555)000-2222",
        "sip:+15550002222@1a2b3c4d.sip.vobiz.ai",
        "sips:+15550002222@example.com",
        "SIP:+1-555-000-2222@127.0.0.1:5060;user=phone",
    ],
)
def test_the_ways_in_which_people_write_a_number(text: str) -> None:
    assert parse_number(text) == BILLING


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("00442079460018", "IN", "+442079460018"),
        ("0044 20 7946 0018", "de", "+442079460018"),
        ("011 44 20 7946 0018", "US", "+442079460018"),
        ("(555) 000-2222", "US", BILLING),
        ("098765 43210", "IN", "+919876543210"),
        ("+44 (0)20 7946 0018", None, "+442079460018"),
        ("+39 06 698 12345", None, "+390669812345"),
        ("+80012345678", None, "+80012345678"),
    ],
)
def test_national_and_international_forms(text: str, region: str | None, number: str) -> None:
    assert parse_number(text, region) == number


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("+", "no digits"),
        ("+1", "too short"),
        ("+1555", "too short"),
        ("+1555000222233", "too long"),
        ("+1555000222233334444", "too long"),
        ("+" + "1" * 300, "301 characters"),
        ("+999123456789", "country code"),
        ("15550002222", "no country code"),
        ("0015550002222", "no country code"),
        ("555-000-2222", "no country code"),
        ("billing", "letters"),
        ("+1 800 FLOWERS", "letters"),
        ("+15550002222 ext. 5", "letters"),
        ("+15550002222#", "not part of a phone number"),
        ("*21*+15550002222", "not part of a phone number"),
        ("+15550002222\r\nX-Evil: 1", "control"),
        ("+15550002222\n", "control"),
        ("+1555000\x002222", "control"),
        ("+1555000\u200b2222", "invisible"),
        ("\u202d+15550002222\u202c", "invisible"),
        ("+1555000222\u0662", "looks like a digit"),  # Arabic-Indic two
        ("+1555000\uff12222", "looks like a digit"),  # fullwidth two
        ("+1555000222\u00b2", "not part of a phone number"),  # superscript two
        ("\uff0b15550002222", "not part of a phone number"),  # fullwidth plus
        ("+15550002222, +15550003333", "several numbers"),
        ("+15550002222 +15550003333", "several numbers"),
        ("+15550002222;+15550003333", "several numbers"),
        ("+15550002222/33", "several numbers"),
        ("1+5550002222", "the middle"),
        ("tel:", "empty"),
        ("tel:billing", "letters"),
        ("tel:+15550002222;ext=12", "parameters"),
        ("tel:5550002222;phone-context=+1", "parameters"),
        ("sip:+15550002222", "user@host"),
        ("sip:@", "host"),
        ("sip:billing@example.com", "letters"),
        ("sip:+15550002222@example.com?Replaces=a%40b", "headers"),
        ("sip:+15550002222@example.com;transport=tcp", "parameter"),
        ("sip:+15550002222@", "host"),
        ("sip:+15550002222@a@b", "'@'"),
        ("sip:+15550002222@example.com>", "host"),
        ("sip:%2B15550002222@example.com", "letters"),
        ("sip:+15550002222;phone-context=x@example.com", "several numbers"),
        ('"Billing" <sip:+15550002222@example.com>', "letters"),
        ("mailto:+15550002222", "letters"),
    ],
)
def test_what_cannot_be_a_number_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(NumberRefused) as caught:
        parse_number(text)
    assert re.search(reason, caught.value.evidence)
    assert caught.value.fix
    assert str(caught.value).isascii()  # what cannot be seen in the text is seen in the error
    assert "\r" not in str(caught.value)


def test_other_types_and_regions_are_refused() -> None:
    with pytest.raises(NumberRefused, match="int"):
        parse_number(15550002222)  # type: ignore[arg-type]
    with pytest.raises(NumberRefused, match="not a country"):
        parse_number("5550002222", "XX")


@given(st.text())
def test_any_text_is_e164_or_refused(text: str) -> None:
    try:
        number = parse_number(text)
    except NumberRefused as refusal:
        assert refusal.evidence
    else:
        assert E164.fullmatch(number)
        assert parse_number(number) == number


@given(st.text(alphabet="+0123456789 -.()\u00a0\u2011tel:sip@;,\r\n\u0662", max_size=30))
def test_what_passes_says_the_digits_that_were_written(text: str) -> None:
    try:
        number = parse_number(text)
    except NumberRefused:
        return
    written = iter(re.sub(r"[^0-9]", "", text.partition("@")[0]))
    # In this order; a trunk prefix as in +44 (0)20 may be left out, nothing is put in.
    assume(not number.startswith(("+52", "+54")))  # Mexico and Argentina rewrite mobile prefixes
    assert all(digit in written for digit in number[1:])


EXAMPLES = sorted(
    {
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for region in phonenumbers.SUPPORTED_REGIONS
        if (example := phonenumbers.example_number(region))
    }
)


@given(st.sampled_from(EXAMPLES), st.data())
def test_every_countrys_numbers_pass_in_any_grouping(number: str, data: st.DataObject) -> None:
    gaps = st.sampled_from(["", "", " ", "-", ".", "\u00a0", "\u2011"])
    spaced = number[:2] + "".join(data.draw(gaps) + digit for digit in number[2:])
    for text in (spaced, f"tel:{spaced}", f"sip:{spaced}@sip.example.com;user=phone"):
        assert parse_number(text) == number


class TestMask:
    def test_example(self) -> None:
        assert mask_number(BILLING) == "+1555•••2222"

    @given(st.text(alphabet=string.digits, min_size=7, max_size=15))
    def test_at_least_three_digits_are_hidden(self, digits: str) -> None:
        assume(digits[0] != "0")
        masked = mask_number(f"+{digits}")
        assert len(re.findall(r"[0-9]", masked)) <= len(digits) - 3
        assert masked.startswith(f"+{digits[0]}")
        assert masked.endswith(digits[-2:])

    @pytest.mark.parametrize("text", ["", "billing", "15550002222", "+1555000222x", "sip:+1@x"])
    def test_what_is_no_number_is_hidden_altogether(self, text: str) -> None:
        assert mask_number(text) == "•••"


class TestTransferUri:
    def test_example(self) -> None:
        uri = transfer_uri("+1 555 000 2222", "1a2b3c4d.sip.vobiz.ai")
        assert uri == "sip:+15550002222@1a2b3c4d.sip.vobiz.ai"
        assert transfer_uri(BILLING, "127.0.0.1:5080") == "sip:+15550002222@127.0.0.1:5080"

    @pytest.mark.parametrize(
        "domain",
        [
            "",
            "sip:a.b",
            "sips:a.b",
            "https://a.b",
            "a.b;transport=tcp",
            "a.b?X-Evil=1",
            "x@a.b",
            "a.b\r\nX-Evil: 1",
            "a.b\n",
            "a b",
            "a.b:",
            "a.b:0",
            "a.b:65536",
            "a.b:50 60",
            "a..b",
            "-a.b",
            "a.b>",
            "a,b",
            "ä.b",
            "a" * 64 + ".b",
            ".".join(["a" * 60] * 5),
        ],
    )
    def test_domains_that_cannot_stand_in_a_sip_uri(self, domain: str) -> None:
        with pytest.raises(NumberRefused, match="domain"):
            transfer_uri(BILLING, domain)

    @given(st.text(), st.text())
    def test_no_input_smuggles_anything_in(self, number: str, domain: str) -> None:
        try:
            uri = transfer_uri(number, domain)
        except NumberRefused:
            return
        assert re.fullmatch(r"sip:\+[1-9][0-9]{6,14}@[A-Za-z0-9.-]+(:[0-9]{1,5})?", uri)

    @given(st.text(alphabet=string.printable, max_size=40), st.booleans())
    def test_a_host_is_given_back_as_it_is_or_refused(self, text: str, port: bool) -> None:
        try:
            assert parse_host(text, port=port) == text
        except ValueError as error:
            assert str(error)
        else:
            assert re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", text)
            assert port or ":" not in text


DIRECTORY = Directory(
    {
        "billing": "+1 555 000 2222",
        "sales": "+15550001111",
        "tech support": "tel:+1-555-000-3333",
        "front desk": "+15550004444",
    },
    domain="1a2b3c4d.sip.vobiz.ai",
)


class TestDirectory:
    @pytest.mark.parametrize(
        ("text", "alias"),
        [
            ("billing", "billing"),
            ("Billing", "billing"),
            ("BILLING ", "billing"),
            ("Billing department", "billing"),
            ("the billing department", "billing"),
            ("The Billing Dept.", "billing"),
            ("our billing team", "billing"),
            ("bil-ling", "billing"),
            ("tech support", "tech support"),
            ("Tech-Support", "tech support"),
            ("techsupport", "tech support"),
            ("TECH_SUPPORT", "tech support"),
            ("the tech support line", "tech support"),
            ("front desk", "front desk"),
            ("the front desk", "front desk"),
            ("front", "front desk"),
        ],
    )
    def test_aliases_as_people_say_them(self, text: str, alias: str) -> None:
        assert DIRECTORY.resolve(text) == Destination(alias, DIRECTORY[alias])

    def test_numbers_and_uris_resolve_too(self) -> None:
        assert DIRECTORY.resolve("+1 555 000 2222") == Destination("billing", BILLING)
        assert DIRECTORY.resolve("tel:+15550009900") == Destination(None, "+15550009900")
        uri = "sip:+15550009900@1A2B3C4D.sip.vobiz.ai;user=phone"
        assert DIRECTORY.resolve(uri).number == "+15550009900"

    def test_a_near_miss_names_the_nearest_and_all(self) -> None:
        with pytest.raises(UnknownDestination) as caught:
            DIRECTORY.resolve("biling department")
        assert caught.value.nearest == "billing"
        assert caught.value.aliases == ("billing", "front desk", "sales", "tech support")
        for alias in DIRECTORY.aliases:
            assert alias in str(caught.value)

    def test_something_else_has_no_nearest(self) -> None:
        with pytest.raises(UnknownDestination) as caught:
            DIRECTORY.resolve("the moon")
        assert caught.value.nearest is None
        assert "Did you mean" not in str(caught.value)

    def test_an_empty_directory_says_so(self) -> None:
        with pytest.raises(UnknownDestination, match=r"\(none\)"):
            Directory({}).resolve("billing")

    @pytest.mark.parametrize("text", ["", "  ", "the", "?!", "department"])
    def test_nothing_said_is_refused(self, text: str) -> None:
        with pytest.raises(NumberRefused):
            DIRECTORY.resolve(text)

    @pytest.mark.parametrize(
        "text", ["sip:+15550002222@evil.example", "SIP:+15550002222@evil.example:5060"]
    )
    def test_a_sip_uri_of_another_host_is_refused(self, text: str) -> None:
        with pytest.raises(NumberRefused, match=r"evil\.example"):
            DIRECTORY.resolve(text)

    def test_ambiguous_names_are_refused(self) -> None:
        two = Directory({"billing team": "+15550001111", "billing desk": BILLING})
        assert two.resolve("billing desk").number == BILLING
        with pytest.raises(NumberRefused, match="billing desk and billing team"):
            two.resolve("the billing department")

    def test_aliases_that_sound_the_same_cannot_be(self) -> None:
        with pytest.raises(NumberRefused, match="heard as the same"):
            Directory({"tech support": BILLING, "TechSupport": "+15550001111"})
        with pytest.raises(NumberRefused, match="letter or a digit"):
            Directory({"--": BILLING})

    def test_it_is_a_mapping_with_a_table(self) -> None:
        assert dict(DIRECTORY)["billing"] == BILLING
        assert len(DIRECTORY) == 4
        assert re.search(
            r'<th scope="row"[^>]*>billing</th><td[^>]*>\+15550002222', DIRECTORY._repr_html_()
        )
        assert "billing=+15550002222" in repr(DIRECTORY)

    @given(st.text())
    def test_any_text_resolves_or_is_refused(self, text: str) -> None:
        try:
            destination = DIRECTORY.resolve(text)
        except NumberRefused:
            return
        assert is_e164(destination.number)
        assert destination.alias is None or destination.number == DIRECTORY[destination.alias]

    @given(
        st.sampled_from(DIRECTORY.aliases),
        st.sampled_from(["{}", "the {}", "{} department", "Our {} team", "  {}  ", "{}!"]),
        st.sampled_from([str.lower, str.upper, str.title]),
        st.sampled_from([" ", "-", "_", ""]),
    )
    def test_every_alias_in_every_dress(
        self, alias: str, frame: str, case: object, gap: str
    ) -> None:
        assert callable(case)
        text = frame.format(case(alias).replace(" ", gap))
        assert DIRECTORY.resolve(text).alias == alias


class TestHuntLists:
    DIRECTORY = Directory(
        {"billing": f"{BILLING}, +15550003333,{BILLING}", "sales": "+15550001111"},
        ringing_s={"billing": 15},
    )

    def test_the_numbers_are_tried_in_their_order_each_once(self) -> None:
        hunt = list(self.DIRECTORY.resolve("billing").hunt())
        assert [target.number for target in hunt] == [BILLING, "+15550003333"]
        assert {target.alias for target in hunt} == {"billing"}
        assert {target.ringing_s for target in hunt} == {15}

    def test_a_plain_destination_is_a_hunt_of_one(self) -> None:
        assert [target.number for target in self.DIRECTORY.resolve("sales").hunt()] == [
            "+15550001111"
        ]
        assert self.DIRECTORY.resolve("sales").ringing_s is None

    def test_every_number_belongs_to_its_alias(self) -> None:
        assert self.DIRECTORY["billing"] == BILLING
        assert str(self.DIRECTORY.resolve("+15550003333")) == "billing (+15550003333)"
        assert self.DIRECTORY.all_numbers == {BILLING, "+15550003333", "+15550001111"}
        assert "+15550002222, then +15550003333" in str(self.DIRECTORY.table())

    def test_a_wrong_number_anywhere_is_refused(self) -> None:
        for numbers in (f"{BILLING}, 12", f"{BILLING},,+15550003333", f"{BILLING},"):
            with pytest.raises(NumberRefused):
                Directory({"billing": numbers})

    def test_a_time_to_ring_needs_a_destination(self) -> None:
        with pytest.raises(NumberRefused, match="directory does not have"):
            Directory({"billing": BILLING}, ringing_s={"biling": 15})

    def test_settings_take_hunt_lists(self) -> None:
        settings = Settings.load(
            environ={"LIVEKIT_URL": "wss://x.livekit.cloud"},
            required=(),
            billing_number=f"tel:{BILLING} , +1 (555) 000-3333",
        )
        assert settings.numbers == {"billing": f"{BILLING},+15550003333"}
        resolved = Directory.from_settings(settings).resolve("billing")
        assert (resolved.number, resolved.then) == (BILLING, ("+15550003333",))
