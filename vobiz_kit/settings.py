"""Settings: one typed, immutable, redacted object, from the environment, ``.env`` or the lab."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from vobiz_kit.catalogue import BY_FIELD, BY_NAME, DEFAULT_VOBIZ_API_URL, SETTINGS, numbers, swapped
from vobiz_kit.errors import SettingsError
from vobiz_kit.secret import Secret
from vobiz_kit.sources import DECIDING, Collected, Sourced, collect, is_alias
from vobiz_kit.tables import Table

CORE = tuple(setting.name for setting in SETTINGS if setting.core)


@dataclass(frozen=True, repr=False)
class Settings:
    """All settings of the kit. Make it by `Settings.load`; it does not change afterwards.

    A text that is not set is "", a secret that is not set is an empty, false `Secret`; the
    value of a secret is given by ``.reveal()`` only.

    Attributes:
        backend: "cloud" (LiveKit Cloud or your own LiveKit, and Vobiz) or "lab".
        vobiz_sip_address: Host or host:port that LiveKit dials; the SIP domain if not set.
        vobiz_outbound_number: Your DID in E.164, also the caller id of calls that you place.
        outbound_trunk_id: A trunk made elsewhere, used as it is, or "".
        prefix: What the names of rooms, trunks and agent begin with.
        may_dial: Numbers and prefixes (``+1555*``) that may be dialled besides the directory's and
            ordinary ones of the own country, separated by commas (`vobiz_kit.policy`).
        transfers_per_call: How many transfers may be tried in one call.
        calls_per_hour: How many real calls may be placed in an hour.
        transfers_per_hour: How many real transfers may be sent in an hour.
        directory_numbers: Pairs of alias and E.164 number, or several by commas, sorted; `numbers`
            is the same as dict.
        sources: Pairs of a setting's name and where it came from.
        ignored: What was set but does not count, and why, one phrase each.
    """

    backend: Literal["cloud", "lab"]
    livekit_url: str = ""
    livekit_api_key: str = ""
    livekit_api_secret: Secret = Secret()
    openai_api_key: Secret = Secret()
    openai_base_url: str = ""
    deepgram_api_key: Secret = Secret()
    deepgram_base_url: str = ""
    vobiz_sip_domain: str = ""
    vobiz_sip_address: str = ""
    vobiz_username: str = ""
    vobiz_password: Secret = Secret()
    vobiz_outbound_number: str = ""
    vobiz_auth_id: str = ""
    vobiz_auth_token: Secret = Secret()
    vobiz_api_url: str = DEFAULT_VOBIZ_API_URL
    outbound_trunk_id: str = ""
    prefix: str = "vobiz"
    may_dial: str = ""
    transfers_per_call: int = 5
    calls_per_hour: int = 20
    transfers_per_hour: int = 60
    directory_numbers: tuple[tuple[str, str], ...] = ()
    sources: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    ignored: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def load(
        cls,
        env_file: Path | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        required: Iterable[str] = CORE,
        **explicit: str,
    ) -> Settings:
        """Read the settings: argument, then process environment, then ``.env``, then the lab.

        If a person set any of LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET or
        VOBIZ_SIP_DOMAIN, the backend is the cloud and nothing of a lab is mixed in. With none of
        them set it is the lab; the directory and VOBIZ_KIT_PREFIX may still be a person's own.

        Args:
            env_file: The file to read instead of the ``.env`` in this folder or above it.
            environ: Read instead of ``os.environ``, which is never changed.
            required: Names that the cloud backend must have; ``()`` to load what there is.
            **explicit: Settings by their lower-case names: ``prefix="vobiz-amy"``,
                ``billing_number="+15550002222"``.

        Raises:
            SettingsError: something is missing (each is named, with what it is for and where to
                get it), or a value makes no sense, or it is the lab and no lab is running.
        """
        environ = os.environ if environ is None else environ
        found = collect(env_file, environ, _explicit_names(explicit))
        values = _checked(found.values)
        missing = _missing(required, values) if found.cloud else []
        if missing:
            raise _missing_error(missing, found)
        return cls(**_fields(values, found, environ))

    def require(self, *names: str) -> None:
        """Make sure that these settings are set.

        Args:
            *names: As in the environment (``"VOBIZ_AUTH_ID"``) or as attributes.

        Raises:
            SettingsError: names each that is missing, what it is for and where to get it.
        """
        wanted = [BY_FIELD[name].name if name in BY_FIELD else name for name in names]
        if missing := [name for name in wanted if not getattr(self, BY_NAME[name].field)]:
            raise _missing_error(missing)

    @property
    def numbers(self) -> dict[str, str]:
        """The directory: for each alias its number, or several by commas (a hunt list)."""
        return dict(self.directory_numbers)

    @property
    def agent_name(self) -> str:
        """The name under which the agent registers and is dispatched."""
        return f"{self.prefix}-agent"

    @property
    def inbound_trunk_name(self) -> str:
        """The name of the LiveKit trunk that takes calls."""
        return f"{self.prefix}-inbound"

    @property
    def outbound_trunk_name(self) -> str:
        """The name of the LiveKit trunk that places calls."""
        return f"{self.prefix}-outbound"

    @property
    def dispatch_rule_name(self) -> str:
        """The name of the dispatch rule."""
        return f"{self.prefix}-rule"

    @property
    def inbound_room_prefix(self) -> str:
        """What the names of inbound calls' rooms begin with."""
        return f"{self.prefix}-in-"

    @property
    def outbound_room_prefix(self) -> str:
        """What the names of outbound calls' rooms begin with."""
        return f"{self.prefix}-out-"

    def table(self) -> Table:
        """Every setting, its value (secrets masked) and where it came from."""
        came_from = dict(self.sources)
        rows = []
        for setting in SETTINGS:
            value = str(getattr(self, setting.field))
            origin = came_from.get(setting.name, "default" if value else "")
            rows.append((setting.name, value or "(not set)", origin))
        for alias, to in self.directory_numbers:
            name = _alias_name(alias)
            rows.append((name, to, came_from.get(name, "")))
        note = "Not used: " + "; ".join(self.ignored) + "." if self.ignored else ""
        caption = f"Settings: the {self.backend} backend"
        return Table(caption, ("Setting", "Value", "From"), rows, note)

    def __repr__(self) -> str:
        hidden = ("sources", "ignored")
        shown = ((f.name, getattr(self, f.name)) for f in fields(self) if f.name not in hidden)
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown if value)})"

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _explicit_names(explicit: Mapping[str, str]) -> dict[str, str]:
    names = {}
    for given, value in explicit.items():
        name = BY_FIELD[given].name if given in BY_FIELD else given.upper()
        if name not in BY_NAME and not is_alias(name):
            near = get_close_matches(given, BY_FIELD, n=1)
            raise SettingsError(
                f"There is no setting {given!r}.",
                fix=f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(BY_FIELD)}.",
            )
        names[name] = value.reveal() if isinstance(value, Secret) else value
    return names


def _checked(found: Sourced) -> Sourced:
    """The values as the kit keeps them; everything that is wrong goes into one error."""
    good: Sourced = {}
    wrong = []
    for name, (value, source) in found.items():
        setting = BY_NAME.get(name)
        if setting is None and not is_alias(name):
            continue  # a lab.env of a newer kit may say more than this one knows
        try:
            good[name] = ((setting.check if setting else numbers)(value), source)
        except ValueError as error:
            shown = "" if setting is None or setting.secret else f" = {ascii(value[:80])}"
            wrong.append(f"{name}{shown} ({source}): {error}")
    wrong += swapped({name: value for name, (value, _) in good.items()})
    if wrong:
        raise SettingsError(
            "A setting makes no sense." if len(wrong) == 1 else "Some settings make no sense.",
            evidence="\n    ".join(wrong),
            fix="Correct it where it comes from (in brackets), then load the settings again.",
        )
    return good


def _missing(required: Iterable[str], values: Sourced) -> list[str]:
    # A trunk that was made elsewhere has its own credentials.
    spare = {"VOBIZ_USERNAME", "VOBIZ_PASSWORD"} if "OUTBOUND_TRUNK_ID" in values else set()
    return [name for name in required if name not in values and name not in spare]


def _missing_error(missing: list[str], found: Collected | None = None) -> SettingsError:
    lines = []
    for name in missing:
        setting = BY_NAME[name]
        line = f"{name}: {setting.purpose}. Get it: {setting.where}."
        if found and (near := get_close_matches(name, found.unknown, n=1, cutoff=0.85)):
            line += f" (The .env has {near[0]}: misspelt?)"
        lines.append(line)
    decided = [name for name in DECIDING if found and name in found.values]
    lab = f"or leave {', '.join(decided)} out" if decided else "or set none of the connections"
    return SettingsError(
        "A setting is missing." if len(missing) == 1 else f"{len(missing)} settings are missing.",
        evidence="\n    ".join(lines),
        fix=f"Put it into .env (.env.example shows how) or export it; {lab} to use the lab, which"
        " needs no account (`make lab`).",
    )


def _fields(values: Sourced, found: Collected, environ: Mapping[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = {"backend": "cloud" if found.cloud else "lab", "ignored": found.ignored}
    for setting in SETTINGS:
        if setting.name in values:
            value = values[setting.name][0]
            out[setting.field] = setting.kept_as(value)
    out.setdefault("vobiz_sip_address", out.get("vobiz_sip_domain", ""))
    out.setdefault("prefix", default_prefix(environ))
    aliases = sorted((_alias(name), value) for name, (value, _) in values.items() if is_alias(name))
    out["directory_numbers"] = tuple(aliases)
    out["sources"] = tuple((name, source) for name, (_, source) in values.items())
    return out


def default_prefix(environ: Mapping[str, str]) -> str:
    """The prefix where none is set: "vobiz", on a JupyterHub "vobiz-<user>".

    A user name that cannot stand in a prefix as it is gets a mark of its own, so that two people
    never share one.
    """
    user = environ.get("JUPYTERHUB_USER", "")
    if not user:
        return "vobiz"
    slug = re.sub(r"[^a-z0-9]+", "-", user.lower()).strip("-")[:24].strip("-")
    if slug != user:
        mark = hashlib.sha256(user.encode()).hexdigest()[:6]
        slug = f"{slug}-{mark}" if slug else mark
    return f"vobiz-{slug}"


def _alias(name: str) -> str:
    return name.removesuffix("_NUMBER").lower().replace("_", " ")


def _alias_name(alias: str) -> str:
    return alias.upper().replace(" ", "_") + "_NUMBER"
