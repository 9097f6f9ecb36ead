"""Phone numbers: what may be written as one, and what is sent for it.

A number is read once, at the edge, and is an E.164 string (``+15550002222``) from then on. What
cannot be a number is refused with the reason before anything is sent: LiveKit and SIP would pass
nearly every string on (measured: ``tel:billing``, and a CR/LF that injects SIP headers).
"""

from __future__ import annotations

import re
import unicodedata

from vobiz_kit.errors import NumberRefused

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164: at most 15 digits
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST = 100  # characters; the longest honest spelling of a number is far shorter
_EXAMPLE = "Write it with + and the country code, like +15550002222."


def parse_number(text: str, region: str | None = None) -> str:
    """Read a phone number as people and programs write it; give it as E.164.

    ``parse_number("+1 (555) 000-2222")``, ``parse_number("tel:+1-555-000-2222")`` and
    ``parse_number("sip:+15550002222@example.com;user=phone")`` are all ``"+15550002222"``. Of a
    SIP URI only the user part is used; whether its host is the right one is for
    `vobiz_kit.policy.check_destination` to say.

    Args:
        text: The number, with ``+`` and country code, or a ``tel:`` or ``sip:`` URI.
        region: Two-letter country (``"IN"``) in which a number without ``+`` is dialled, so that
            national and ``00...`` forms can be read. Without it such forms are refused.

    Raises:
        NumberRefused: it cannot be a number; says why. The test is whether the number is
            *possible* (length and country code), not whether it is in use: the lab's 555 numbers
            are in no list of assigned ranges.

    Source: ITU-T E.164, RFC 3966 (``tel:``), RFC 3261 section 19.1 (``sip:``).
    """
    if not isinstance(text, str):
        raise NumberRefused(
            "A phone number is text.", evidence=f"got {type(text).__name__}", fix=_EXAMPLE
        )
    plain = _plain(text)
    scheme = plain.partition(":")[0].lower() if ":" in plain else ""
    if scheme == "tel":
        plain = _tel_subscriber(plain)
    elif scheme in ("sip", "sips"):
        plain = sip_user_and_host(plain)[0]
    _refuse_what_is_no_number(plain, text)
    return _to_e164(plain, text, region)


def parse_numbers(text: str) -> tuple[str, ...]:
    """Read one number, or several with commas between them, each once and in their order.

    Args:
        text: As in `parse_number`: ``"+15550002222, +15550003333"``.

    Raises:
        NumberRefused: one of them cannot be a number, or there is none.
    """
    if not isinstance(text, str):
        return (parse_number(text),)  # which says what is wrong with it
    return tuple(dict.fromkeys(parse_number(part) for part in text.split(",")))


def is_e164(text: str) -> bool:
    """Whether this is a number as the kit keeps it: ``+``, 7 to 15 ASCII digits, nothing else."""
    return _E164.fullmatch(text) is not None


def mask_number(number: str) -> str:
    """A number for logs: ``+15550002222`` becomes ``+1555•••2222``.

    At least three digits are hidden; what is no E.164 number becomes ``•••`` altogether.
    """
    if not is_e164(number):
        return "•••"
    digits = number[1:]
    shown = max(1, min(4, len(digits) - 7))
    tail = 4 if len(digits) > 7 else 2
    return f"+{digits[:shown]}•••{digits[-tail:]}"


def transfer_uri(number: str, domain: str) -> str:
    """The SIP URI that a cold transfer names: ``sip:+15550002222@<domain>``.

    LiveKit writes it into the REFER's Refer-To header and accepts no bare number; it checks the
    scheme only (measured), so that everything else is checked here.

    Args:
        number: The transfer target, in any form that `parse_number` reads.
        domain: The trunk's SIP domain, ``host`` or ``host:port``.

    Raises:
        NumberRefused: the number or the domain cannot stand in a SIP URI.
    """
    try:
        host = parse_host(domain, port=True)
    except ValueError as error:
        raise NumberRefused(
            "The transfer's SIP domain cannot stand in a SIP URI.",
            evidence=f"{_shown(domain)}: {error}",
            fix="Use the trunk's SIP domain as Vobiz shows it, like 1a2b3c4d.sip.vobiz.ai.",
        ) from None
    return f"sip:{parse_number(number)}@{host}"


def parse_host(text: str, *, port: bool) -> str:
    """Check a host name or IPv4 address, with ``:port`` if `port` allows one; give it back.

    Raises:
        ValueError: what is wrong, in a few words (the caller knows whose setting it is).
    """
    if not text:
        raise ValueError("it is empty")
    if re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError("it contains a space or a control character")
    if text.lower().startswith(("sip:", "sips:")):
        raise ValueError("it is a SIP URI; only the host is wanted, without 'sip:'")
    if "://" in text:
        raise ValueError("it is a URL; only the host is wanted")
    if ";" in text or "?" in text:
        raise ValueError("it carries URI parameters; only the host is wanted")
    if "@" in text:
        raise ValueError("it contains '@'; only the host is wanted")
    host, colon, number = text.partition(":")
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise ValueError("it is not a host name or an IPv4 address")
    if colon and not port:
        raise ValueError("it has a port; only the host is wanted")
    if colon and not (re.fullmatch(r"[0-9]{1,5}", number) and 0 < int(number) < 65536):
        raise ValueError("its port is not a number from 1 to 65535")
    return text


def sip_user_and_host(uri: str) -> tuple[str, str]:
    """Split ``sip:user@host[:port][;user=phone]`` into user and host (the host in lower case).

    Raises:
        NumberRefused: it is no such URI, or carries anything else (headers, other parameters).
    """
    rest = uri.partition(":")[2]
    if "?" in rest:
        raise _refusal(uri, "the SIP URI carries headers ('?...'), which would be sent on")
    user, at, target = rest.partition("@")
    if not at:
        raise _refusal(uri, "the SIP URI has no user@host")
    host, *parameters = target.split(";")
    if foreign := [p for p in parameters if p.lower() != "user=phone"]:
        raise _refusal(uri, f"the SIP URI carries a parameter other than user=phone: {foreign[0]}")
    try:
        return user, parse_host(host, port=True).lower()
    except ValueError as error:
        raise _refusal(uri, f"the SIP URI's host: {error}") from None


def _plain(text: str) -> str:
    """The text with typographic spaces and hyphens made plain; nothing invisible passes."""
    if len(text) > _LONGEST:
        raise _refusal(text, f"it is {len(text)} characters long")
    out = []
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cc", "Cf", "Zl", "Zp"):
            raise _refusal(text, f"it contains a control or invisible character ({character!a})")
        if category == "Nd" and not character.isascii():
            raise _refusal(text, f"{character!a} looks like a digit but is none of 0 to 9")
        # People paste, and language models write, non-breaking spaces and hyphens.
        out.append({"Zs": " ", "Pd": "-"}.get(category, character))
    return "".join(out).strip()


def _tel_subscriber(uri: str) -> str:
    subscriber, semicolon, parameters = uri.partition(":")[2].partition(";")
    if semicolon:
        raise _refusal(
            uri, f"the tel: URI carries parameters (;{parameters}), which cannot be dialled"
        )
    return subscriber


def _refuse_what_is_no_number(plain: str, text: str) -> None:
    if not plain:
        raise _refusal(text, "it is empty")
    if plain.count("+") > 1 or (re.search(r"[,;|/&]", plain) and re.search(r"[0-9]", plain)):
        raise _refusal(text, "it looks like several numbers", fix="Give one number at a time.")
    if any(character.isalpha() for character in plain):
        raise _refusal(text, "it contains letters")
    if foreign := re.search(r"[^0-9+ ().-]", plain):
        raise _refusal(text, f"it contains {foreign[0]!a}, which is not part of a phone number")
    if "+" in plain[1:]:
        raise _refusal(text, "the + stands in the middle")
    if not (digits := re.findall(r"[0-9]", plain)):
        raise _refusal(text, "it has no digits")
    if len(digits) < 3:  # fewer are no number to phonenumbers at all
        raise _refusal(text, "it is too short")


def _to_e164(plain: str, text: str, region: str | None) -> str:
    import phonenumbers
    from phonenumbers import ValidationResult

    if region is not None and region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise NumberRefused(
            "The region is not a country that has phone numbers.",
            evidence=f"region {_shown(region)}",
            fix="Use the two letters of the country, like IN, US or DE.",
        )
    if not plain.startswith("+") and region is None:
        raise _refusal(text, "it has no country code")
    try:
        number = phonenumbers.parse(plain, region.upper() if region else None)
    except phonenumbers.NumberParseException as error:
        reasons = {
            error.INVALID_COUNTRY_CODE: "no country has that country code",
            error.TOO_SHORT_NSN: "it is too short",
            error.TOO_SHORT_AFTER_IDD: "it is too short",
            error.TOO_LONG: "it is too long",
        }
        reason = reasons.get(error.error_type, "it cannot be read as a number")
        raise _refusal(text, reason) from None
    reason = {
        ValidationResult.IS_POSSIBLE: "",
        ValidationResult.TOO_SHORT: "it is too short for its country",
        ValidationResult.TOO_LONG: "it is too long for its country",
        ValidationResult.INVALID_COUNTRY_CODE: "no country has that country code",
        ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "it is a local number without its area code",
    }.get(phonenumbers.is_possible_number_with_reason(number), "its length fits no number")
    e164: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if reason or not is_e164(e164):
        raise _refusal(text, reason or "it does not fit E.164 (7 to 15 digits)")
    return e164


def _shown(text: str) -> str:
    """A foreign text for an error message: ASCII, quoted, escaped, not too long."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def _refusal(text: str, reason: str, *, fix: str = _EXAMPLE) -> NumberRefused:
    return NumberRefused(
        "That cannot be dialled as a phone number; nothing was sent.",
        evidence=f"{_shown(text)}: {reason}",
        fix=fix,
    )
