"""Every setting: its name, what it is for, where to get it, and how a right value looks.

``.env.example`` documents the same names (a test keeps the two in agreement).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from vobiz_kit.errors import NumberRefused
from vobiz_kit.numbers import parse_host, parse_number
from vobiz_kit.secret import Secret

DEFAULT_VOBIZ_API_URL = "https://api.vobiz.ai/api/v1"

_LIVEKIT = "LiveKit Cloud console (cloud.livekit.io) → Settings → Keys"
_TRUNK = "Vobiz console → SIP trunks → your trunk"
_ACCOUNT = "Vobiz console → Account → API credentials"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: As in the environment and in ``.env``.
        purpose: What it is for.
        where: Where a person gets it.
        check: Gives the value as the kit keeps it, or raises ValueError with what is wrong.
        secret: Never shown.
        core: The cloud backend does not work without it.
        connection: Says where to connect or with which credentials; with the lab such a setting
            is the lab's own, never a mixture.
        count: A whole number; `Settings` holds it as one.
    """

    name: str
    purpose: str
    where: str
    check: Callable[[str], str]
    secret: bool = False
    core: bool = False
    connection: bool = True
    count: bool = False

    def kept_as(self, value: str) -> str | int | Secret:
        """A checked value as `Settings` holds it."""
        if self.secret:
            return Secret(value)
        return int(value) if self.count else value

    @property
    def field(self) -> str:
        """The attribute of `Settings` that holds it."""
        return self.name.removeprefix("VOBIZ_KIT_").lower()


def _text(value: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError("it contains a space or a character that is not plain ASCII")
    return value


def _dial_list(value: str) -> str:
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    for entry in entries:
        if not re.fullmatch(r"\+[1-9][0-9]{0,14}\*?", entry):
            raise ValueError(f"{ascii(entry)} is neither a number (+1555...) nor a prefix (+1555*)")
    return ",".join(entries)


def _count(value: str) -> str:
    if not re.fullmatch(r"[0-9]{1,4}", value):
        raise ValueError("it is not a whole number from 0 to 9999 (0 allows none at all)")
    return value


def _password(value: str) -> str:
    if not value.isprintable():
        raise ValueError("it contains a control character (copied with a line end?)")
    return value


def _url(*schemes: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        _text(value)
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"it is not a URL that starts with {' or '.join(schemes)}://")
        if "@" in parts.netloc:
            raise ValueError("it carries a user name or a password")
        try:
            parse_host(parts.netloc, port=True)
        except ValueError as error:
            raise ValueError(f"its host: {error}") from None
        return value.rstrip("/")

    return check


def _livekit_url(value: str) -> str:
    value = _url("wss", "ws", "https", "http")(value)
    host = urlsplit(value).hostname or ""
    if host == "cloud.livekit.io":
        raise ValueError(
            "it is the console's address; the project's looks like wss://<name>.livekit.cloud"
        )
    if host.endswith(".livekit.cloud") and not value.startswith(("wss://", "https://")):
        raise ValueError("LiveKit Cloud is reached by wss://, not ws:// or http://")
    return value


def _host(*, port: bool) -> Callable[[str], str]:
    def check(value: str) -> str:
        value = parse_host(value, port=port)
        if value.lower().partition(":")[0] == "sip.vobiz.ai":
            # Vobiz: the general name serves no trunk; each has a sub-domain of its own.
            raise ValueError(
                "it is Vobiz's general name; the trunk has its own, like 1a2b3c4d.sip.vobiz.ai"
            )
        return value

    return check


def _sip_domain(value: str) -> str:
    try:
        return _host(port=False)(value)
    except ValueError as error:
        if "has a port" in str(error):
            raise ValueError("it has a port; put host:port into VOBIZ_SIP_ADDRESS") from None
        raise


def _sip_username(value: str) -> str:
    if "@" in _text(value) or value.lower().startswith("sip:"):
        raise ValueError("it is a SIP address; only the user name of the trunk is wanted")
    return value


def number(value: str) -> str:
    """The check of every number among the settings: E.164, with + and country code."""
    try:
        return parse_number(value)
    except NumberRefused as refusal:
        raise ValueError(f"{refusal.evidence}. {refusal.fix}") from None


def numbers(value: str) -> str:
    """The check of a destination: a number as in `number`, or several by commas (a hunt list)."""
    return ",".join(number(part) for part in value.split(","))


def _trunk_id(value: str) -> str:
    if not re.fullmatch(r"ST_[A-Za-z0-9]+", value):
        raise ValueError("it is not LiveKit's trunk id, which starts with ST_ (not Vobiz's id)")
    return value


def _prefix(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", value):
        raise ValueError("use at most 40 lower-case letters, digits and hyphens, like vobiz-amy")
    return value


def _limit(name: str, what: str, default: int) -> Setting:
    purpose = f"{what} (optional; {default} if not set)"
    return Setting(name, purpose, "decide it yourself", _count, connection=False, count=True)


_http = _url("https", "http")

SETTINGS: tuple[Setting, ...] = (
    Setting("LIVEKIT_URL", "where your LiveKit server is", _LIVEKIT, _livekit_url, core=True),
    Setting("LIVEKIT_API_KEY", "names you to LiveKit", _LIVEKIT, _text, core=True),
    Setting("LIVEKIT_API_SECRET", "signs your LiveKit tokens", _LIVEKIT, _text, True, True),
    Setting(
        "OPENAI_API_KEY",
        "pays for the language model and the voice",
        "OpenAI platform (platform.openai.com) → API keys",
        _text,
        secret=True,
        core=True,
    ),
    Setting(
        "OPENAI_BASE_URL",
        "an OpenAI-compatible server to use instead of OpenAI (optional)",
        "that server's documentation",
        _http,
    ),
    Setting(
        "DEEPGRAM_API_KEY",
        "pays for speech recognition",
        "Deepgram console (console.deepgram.com) → API Keys",
        _text,
        secret=True,
        core=True,
    ),
    Setting(
        "DEEPGRAM_BASE_URL",
        "a Deepgram-compatible server to use instead of Deepgram (optional)",
        "that server's documentation",
        _url("https", "http", "wss", "ws"),
    ),
    Setting(
        "VOBIZ_SIP_DOMAIN",
        "your trunk's SIP domain, like 1a2b3c4d.sip.vobiz.ai",
        _TRUNK,
        _sip_domain,
        core=True,
    ),
    Setting(
        "VOBIZ_SIP_ADDRESS",
        "host or host:port that LiveKit dials (optional; VOBIZ_SIP_DOMAIN if not set)",
        _TRUNK,
        _host(port=True),
    ),
    Setting(
        "VOBIZ_USERNAME",
        "the trunk's SIP user name, for calls that you place",
        f"{_TRUNK} → Credentials",
        _sip_username,
        core=True,
    ),
    Setting(
        "VOBIZ_PASSWORD",
        "the trunk's SIP password",
        f"{_TRUNK} → Credentials (shown once, when it is made)",
        _password,
        secret=True,
        core=True,
    ),
    Setting(
        "VOBIZ_OUTBOUND_NUMBER",
        "your phone number at Vobiz: callers dial it, and it is the caller id of your calls",
        "Vobiz console → Phone numbers",
        number,
        core=True,
    ),
    Setting("VOBIZ_AUTH_ID", "names you to Vobiz's REST API (call records)", _ACCOUNT, _text),
    Setting("VOBIZ_AUTH_TOKEN", "opens Vobiz's REST API", _ACCOUNT, _text, secret=True),
    Setting(
        "VOBIZ_API_URL",
        f"Vobiz's REST API (optional; {DEFAULT_VOBIZ_API_URL} if not set)",
        "Vobiz's documentation",
        _http,
    ),
    Setting(
        "OUTBOUND_TRUNK_ID",
        "a LiveKit outbound trunk that you made yourself, to be used as it is (optional)",
        "LiveKit Cloud console → Telephony → SIP trunks",
        _trunk_id,
    ),
    Setting(
        "VOBIZ_KIT_PREFIX",
        "what the names of your rooms, trunks and agent begin with (optional)",
        "choose one of your own where several people share a project",
        _prefix,
        connection=False,
    ),
    Setting(
        "VOBIZ_KIT_MAY_DIAL",
        "numbers that may be dialled besides your directory and ordinary ones of your own country",
        "decide it yourself: +15550001234 is one number, +1555* all that begin so, by commas",
        _dial_list,
        connection=False,
    ),
    _limit("VOBIZ_KIT_TRANSFERS_PER_CALL", "how many transfers may be tried in one call", 5),
    _limit("VOBIZ_KIT_CALLS_PER_HOUR", "how many real calls may be placed in an hour", 20),
    _limit("VOBIZ_KIT_TRANSFERS_PER_HOUR", "how many real transfers may be sent in an hour", 60),
)
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
BY_FIELD: Mapping[str, Setting] = {setting.field: setting for setting in SETTINGS}


def swapped(values: Mapping[str, str]) -> list[str]:
    """What looks like two values in each other's places, one sentence each."""
    key, secret = values.get("LIVEKIT_API_KEY", ""), values.get("LIVEKIT_API_SECRET", "")
    found = []
    # LiveKit makes short keys that begin with API, and longer secrets.
    if secret.startswith("API") and len(secret) < len(key) and not key.startswith("API"):
        found.append(
            "LIVEKIT_API_KEY and LIVEKIT_API_SECRET look swapped: the secret has a key's form"
        )
    if values.get("VOBIZ_AUTH_TOKEN", "").startswith(("MA_", "SA_")):
        found.append("VOBIZ_AUTH_TOKEN looks like an auth id: swapped with VOBIZ_AUTH_ID?")
    if values.get("DEEPGRAM_API_KEY", "").startswith("sk-"):
        found.append("DEEPGRAM_API_KEY looks like an OpenAI key (sk-...)")
    return found
