"""SIP in plain words, for reading only: what a status code says, and safe text for display.

The words follow the definitions of RFC 3261 section 21 (and RFC 3515, 3892, 6086, 8197, 8688 for
the few codes that came later). What a failed transfer means for the caller and the operator is
for ``outcomes.py`` to say.
"""

from __future__ import annotations

import re
import unicodedata

STATUS_WORDS: dict[int, str] = {
    100: "got it, working on it",
    180: "the phone is ringing",
    181: "the call is being forwarded",
    182: "the call is waiting in a queue",
    183: "on its way; an announcement may be heard before the answer",
    199: "one of several phones has given up",
    200: "done",
    202: "accepted; how it went comes later",
    204: "done, nothing to report",
    300: "several addresses to choose from",
    301: "moved to another address for good",
    302: "try another address for now",
    305: "must go through a proxy",
    380: "try another service",
    400: "the request could not be understood",
    401: "say who you are: username and password wanted",
    402: "payment wanted",
    403: "not allowed",
    404: "no such number",
    405: "this kind of request is not allowed",
    406: "no acceptable answer possible",
    407: "say who you are: username and password wanted",
    408: "no answer in time",
    409: "conflict with another request",
    410: "the number has gone for good",
    413: "the message is too large",
    414: "the address is too long",
    415: "this kind of content is not understood",
    416: "this kind of address is not understood",
    420: "an extension is demanded that is not known here",
    421: "an extension is missing that is demanded here",
    422: "the session timer is too short",
    423: "the interval is too short",
    428: "a signed caller identity is wanted",
    429: "too many requests, or the referrer's identity is missing",
    433: "anonymous callers are not taken",
    436: "the caller identity's certificate cannot be fetched",
    437: "the caller identity's certificate is not trusted",
    438: "the caller identity's signature is wrong",
    469: "this INFO package is not understood",
    480: "not to be reached at the moment: nobody picks up, or the phone is off",
    481: "there is no such call (any more)",
    482: "the request came round in a circle",
    483: "too many servers on the way",
    484: "the number is incomplete",
    485: "the address is ambiguous",
    486: "busy",
    487: "given up before there was an answer",
    488: "no codec or medium in common",
    489: "this kind of event is not known",
    491: "two changes crossed each other; try again",
    493: "the content cannot be decrypted",
    494: "a security agreement is wanted",
    500: "the server failed",
    501: "the server cannot do that",
    502: "the next server gave a broken answer",
    503: "overloaded or out of service",
    504: "the next server did not answer in time",
    505: "this SIP version is not spoken",
    513: "the message is too large for the server",
    555: "push notification service not supported",
    580: "preconditions for the call could not be met",
    600: "busy on every phone",
    603: "declined",
    604: "exists nowhere",
    606: "no codec or medium acceptable on any phone",
    607: "the person does not want this call",
    608: "rejected by a call filter on the way",
}

_CLASS_WORDS = {
    1: "in progress",
    2: "done",
    3: "try elsewhere",
    4: "refused: something is wrong with the request",
    5: "the server failed",
    6: "refused everywhere",
}


def status_words(status: int) -> str:
    """A status code in plain words: ``status_words(486)`` is "busy".

    Args:
        status: 100 to 699; a code that is in no table is described by its class.
    """
    return STATUS_WORDS.get(status) or _CLASS_WORDS.get(status // 100, "not a SIP status")


# Control characters, format characters such as the bidirectional overrides that make text read
# otherwise than it is, halves of surrogate pairs, and line separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    r"""Text from the wire made harmless to show: what is invisible or invalid becomes ``\x..``.

    CRLF becomes a plain line feed. Markup is not escaped here; that is for whoever writes HTML.
    """
    return "".join(map(_shown, text.replace("\r\n", "\n")))


def _shown(c: str) -> str:
    if c in "\t\n" or unicodedata.category(c) not in _UNSAFE:
        return c
    return ascii(c)[1:-1]


def clip(text: str, most: int) -> str:
    """One line of at most that many characters, printable."""
    line = printable(text.replace("\n", " ").replace("\r", " ")).strip()
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


_URI_USER = re.compile(r"(?:sips?:([^@;>?\s]*)@|tel:([^;>?\s]*)|sips?:([^;>?\s]*))", re.IGNORECASE)


def uri_user(text: str) -> str:
    """Whom a SIP or tel URI names: ``<sip:+15550002222@example.com>`` gives ``+15550002222``.

    Args:
        text: A Request-URI, or the value of a To, From or Refer-To header. Without a user part it
            is the host; without any URI the text itself, clipped.
    """
    match = _URI_USER.search(text[:500])
    user = next((g for g in match.groups() if g), "") if match else ""
    return clip(user or text, 40)
