"""Emergency numbers of all countries, in any spelling that a language model may come up with."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_WORDS = {
    word: str(digit)
    for digit, words in enumerate(
        ["zero oh o", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    )
    for word in words.split()
}
_LONGEST = 100  # characters; the longest spelling of an emergency number is far shorter


def emergency_country(text: str) -> str:
    """The country in which this text is an emergency number, "" if it is in none.

    ``911``, ``9-1-1``, ``nine one one``, ``tel:112``, ``sip:112@example.com``, ``+44 999`` and
    digits of other scripts are all recognised. Short numbers have no E.164 form, so that it is
    the text that is looked at, before it is read as a number.

    Args:
        text: What somebody wants to be connected to.

    Source: phonenumbers' short number metadata (`shortnumberinfo`).
    """
    if len(text) > _LONGEST:
        return ""
    plain = "".join(_ascii_digit(character) for character in unicodedata.normalize("NFKC", text))
    plain = re.sub(r"^\s*(tel|sips?):|[;?@].*$", "", plain, flags=re.IGNORECASE | re.DOTALL)
    words = re.findall(r"[a-z]+", plain.lower())
    if words and all(word in _WORDS for word in words):
        plain = re.sub(r"[a-z]+", lambda word: _WORDS[word[0]], plain.lower())
    digits = re.sub(r"[\W_]", "", plain)
    if not re.fullmatch(r"[0-9]{2,9}", digits):
        return ""
    bare = digits.removeprefix("00")
    return _country(digits) or _country(bare) or _country_after_code(bare)


def _ascii_digit(character: str) -> str:
    digit = unicodedata.digit(character, None)
    return character if digit is None else str(digit)


def _country_after_code(digits: str) -> str:
    """The country if it is an emergency number behind that country's code: 49 112."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    for length in (1, 2, 3):
        for region in COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length] or 0), ()):
            if _is_emergency(digits[length:], region):
                return region
    return ""


@lru_cache(maxsize=1024)
def _country(digits: str) -> str:
    from phonenumbers import shortnumberinfo

    if len(digits) > 6:
        return ""
    # Large countries first: 911 is known from the United States and not from Ascension Island.
    regions = ("US", "GB", "IN", "DE", *sorted(shortnumberinfo.SUPPORTED_SHORT_REGIONS))
    return next((region for region in regions if _is_emergency(digits, region)), "")


def _is_emergency(digits: str, region: str) -> bool:
    from phonenumbers import shortnumberinfo

    if not 2 <= len(digits) <= 6 or region not in shortnumberinfo.SUPPORTED_SHORT_REGIONS:
        return False
    return bool(shortnumberinfo.is_emergency_number(digits, region))
