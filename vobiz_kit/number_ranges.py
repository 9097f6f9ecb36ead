"""What kind a number is: a person's line, or a range in which somebody earns by being called.

`phonenumbers` knows the numbering plans of all countries. It does not know what a range costs: the
tables here add the ranges in which toll fraud earns its money. No such table is ever complete.
What protects is that only ordinary numbers of one's own country may be dialled unasked
(`vobiz_kit.policy`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

KindName = Literal[
    "ordinary",
    "fiction",
    "special",
    "premium",
    "satellite",
    "global_service",
    "revenue_share",
    "unassigned",
]

# Country codes of no country.
# Source: ITU-T E.164, list of assigned country codes (ITU Operational Bulletin 1114, 15.12.2016).
_GLOBAL: dict[str, tuple[KindName, str]] = {
    "+800": ("special", "an international freephone number"),
    "+808": ("premium", "an international shared-cost number"),
    "+870": ("satellite", "an Inmarsat satellite phone"),
    "+871": ("satellite", "an Inmarsat satellite phone (a code withdrawn in 2008)"),
    "+872": ("satellite", "an Inmarsat satellite phone (a code withdrawn in 2008)"),
    "+873": ("satellite", "an Inmarsat satellite phone (a code withdrawn in 2008)"),
    "+874": ("satellite", "an Inmarsat satellite phone (a code withdrawn in 2008)"),
    "+878": ("global_service", "a universal personal number"),
    "+881": ("satellite", "a satellite phone (+881)"),
    "+8816": ("satellite", "an Iridium satellite phone"),
    "+8817": ("satellite", "an Iridium satellite phone"),
    "+8818": ("satellite", "a Globalstar satellite phone"),
    "+8819": ("satellite", "a Globalstar satellite phone"),
    "+882": ("global_service", "an international network without a country (+882)"),
    "+88213": ("satellite", "an EMSAT satellite phone"),
    "+88216": ("satellite", "a Thuraya satellite phone"),
    "+883": ("global_service", "an international network without a country (+883)"),
    "+888": ("global_service", "a disaster relief service (+888)"),
    "+979": ("premium", "an international premium-rate number"),
    "+991": ("global_service", "an international trial service (+991)"),
}

# +1 is not one country. These area codes look domestic and are charged as calls abroad, which is
# what one-ring callback fraud and revenue sharing live on.
# Source: FCC and FTC on one-ring scams (268 284 473 649 664 767 809 829 849 876); FBI, February
# 2014, on revenue-share fraud (Anguilla, Antigua, Barbados, British Virgin Islands, Dominica,
# Grenada, Montserrat, Turks and Caicos); the rest of the Caribbean and Bermuda by NANPA's list.
# The United States' own islands (340 670 671 684 787 939) are billed as domestic and not in it.
_ISLANDS = {
    "242": "Bahamas",
    "246": "Barbados",
    "264": "Anguilla",
    "268": "Antigua and Barbuda",
    "284": "British Virgin Islands",
    "345": "Cayman Islands",
    "441": "Bermuda",
    "473": "Grenada",
    "649": "Turks and Caicos Islands",
    "658": "Jamaica",
    "664": "Montserrat",
    "721": "Sint Maarten",
    "758": "Saint Lucia",
    "767": "Dominica",
    "784": "Saint Vincent and the Grenadines",
    "809": "Dominican Republic",
    "829": "Dominican Republic",
    "849": "Dominican Republic",
    "868": "Trinidad and Tobago",
    "869": "Saint Kitts and Nevis",
    "876": "Jamaica",
}

# Countries in which revenue-share fraud was at the top for years, so that a whole country must not
# be opened by a prefix. Source: commsrisk.com, "What Is New with IRSF Fraud?" and "New IRSF Data
# Shows There Are No 'Low Risk' Destinations Any More": since 2018 it is nearly everywhere.
_REVENUE_SHARE = {"+53": "Cuba", "+252": "Somalia", "+370": "Lithuania", "+371": "Latvia"}

# Pay-per-call inside +1. Source: NANPA: area code 900; exchange 976 in any area; 555-1212 is
# directory assistance, which is charged by the call.
_PAY_PER_CALL = (
    (re.compile(r"\+1900[0-9]{7}"), "a premium-rate number (+1 900)"),
    (re.compile(r"\+1[0-9]{3}976[0-9]{4}"), "a pay-per-call number (exchange 976)"),
    (re.compile(r"\+1[0-9]{3}5551212"), "directory assistance, charged by the call"),
)
# 555 is no area code of any place: it is for fiction, and the lab's number plan.
_FICTION = re.compile(r"\+1555[0-9]{7}")


@dataclass(frozen=True, slots=True)
class NumberKind:
    """What kind a number is.

    Attributes:
        name: "ordinary" (a valid fixed line or mobile), "fiction" (+1 555), "special" (freephone,
            internet telephony, company numbers: nobody earns by the minute), "premium" (also
            shared cost, and numbers that follow a person around), "satellite", "global_service"
            (a code of no country), "revenue_share" (a range known for such fraud), or
            "unassigned" (in no numbering plan that is known here).
        region: Two letters of the country, "" if it has none.
        words: What it is, as words that fit after "it is".
        line: Whether it is a valid fixed line or mobile of its region, whatever its name.
    """

    name: KindName
    region: str
    words: str
    line: bool = False

    @property
    def whole_only(self) -> bool:
        """Whether only its whole number may allow it, never a prefix.

        Unassigned numbers are among them: carriers that share revenue "answer" ranges that
        nobody has been given.
        """
        return self.name not in ("ordinary", "fiction", "special")

    def ordinary_in(self, region: str) -> bool:
        """Whether people in that country would call it an ordinary number of their own."""
        domestic = self.name in ("ordinary", "revenue_share")
        return domestic and self.line and bool(region) and self.region == region


def number_kind(number: str) -> NumberKind:
    """Say what kind a number is.

    Args:
        number: In E.164, as `vobiz_kit.numbers.parse_number` gives it.
    """
    import phonenumbers

    if _FICTION.fullmatch(number):
        return NumberKind("fiction", "", "a number for fiction (+1 555)")
    parsed = phonenumbers.parse(number)
    region = region_of(number)
    if hit := _longest(_GLOBAL, number):
        return NumberKind(*_with_region(_GLOBAL[hit], region))
    for pattern, words in _PAY_PER_CALL:
        if pattern.fullmatch(number):
            return NumberKind("premium", region, words)
    if words := _costly_types().get(phonenumbers.number_type(parsed), ""):
        return NumberKind("premium", region, f"{words} ({region})")
    types = phonenumbers.PhoneNumberType
    line = phonenumbers.number_type(parsed) in (
        types.FIXED_LINE,
        types.MOBILE,
        types.FIXED_LINE_OR_MOBILE,
    )
    if number.startswith("+1") and (place := _ISLANDS.get(number[2:5])):
        words = f"a number in {place}, which only looks like one in the United States"
        return NumberKind("revenue_share", region, words, line)
    if hit := _longest(_REVENUE_SHARE, number):
        words = f"a number in {_REVENUE_SHARE[hit]}, where revenue-share fraud is common"
        return NumberKind("revenue_share", region, words, line)
    if not phonenumbers.is_valid_number(parsed):
        return NumberKind("unassigned", region, "in no country's numbering plan that is known here")
    if line:
        return NumberKind("ordinary", region, f"a fixed line or mobile ({region})", line)
    return NumberKind("special", region, f"neither a fixed line nor a mobile ({region})")


def region_of(number: str) -> str:
    """The country of a number by two letters; "" if it is valid in none (as +1 555 is not).

    Args:
        number: In E.164.
    """
    import phonenumbers

    region = phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    return "" if region == "001" else region  # which is phonenumbers' word for no country


def _with_region(entry: tuple[KindName, str], region: str) -> tuple[KindName, str, str]:
    name, words = entry
    return name, region, words


def _longest(table: dict[str, str] | dict[str, tuple[KindName, str]], number: str) -> str:
    """The longest prefix of the table that the number begins with, or ""."""
    return max((prefix for prefix in table if number.startswith(prefix)), key=len, default="")


def _costly_types() -> dict[int, str]:
    from phonenumbers import PhoneNumberType

    return {
        PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
        PhoneNumberType.SHARED_COST: "a shared-cost number",
        # UK 070 and US 500: they ring wherever the person is, at the caller's expense.
        PhoneNumberType.PERSONAL_NUMBER: "a personal number, charged at a special rate",
    }
