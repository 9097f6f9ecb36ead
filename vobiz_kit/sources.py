"""Where settings come from: arguments, the process environment, ``.env``, and a running lab.

Nothing here changes ``os.environ``: a notebook that is run again reads what a person wrote, not
what an earlier cell left behind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vobiz_kit.catalogue import BY_NAME
from vobiz_kit.errors import SettingsError

# One of these, set by a person, means: the cloud. With none of them it is the lab.
DECIDING = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "VOBIZ_SIP_DOMAIN")
_EXPORTED = DECIDING[:3]
OWN_NUMBER = "VOBIZ_OUTBOUND_NUMBER"

# An AgentServer exports LIVEKIT_URL, _API_KEY and _API_SECRET into the kernel's environment. What
# this process has ever read from a lab.env is therefore no sign of a person's will.
_lab_values_seen: dict[str, set[str]] = {name: set() for name in _EXPORTED}

Sourced = dict[str, tuple[str, str]]  # name -> (value, source)


@dataclass(frozen=True)
class Collected:
    """What was found: raw values by name with their source, before any check.

    Attributes:
        cloud: Whether a person's settings ask for the cloud.
        values: Value and source of every setting and ``<ALIAS>_NUMBER`` that counts.
        env_file: The ``.env`` that was read, or None.
        lab_file: The ``lab.env`` of the lab that is meant; it need not exist.
        ignored: What was set but does not count, and why, one phrase each.
    """

    cloud: bool
    values: Sourced
    env_file: Path | None
    lab_file: Path
    ignored: tuple[str, ...]
    unknown: tuple[str, ...]


def collect(
    env_file: Path | None, environ: Mapping[str, str], explicit: Mapping[str, str]
) -> Collected:
    """Read all sources and decide between cloud and lab.

    Args:
        env_file: The ``.env`` to read; None finds one in the working directory or above it.
        environ: The process environment.
        explicit: Settings given as arguments, by their names in the environment.

    Raises:
        SettingsError: `env_file` does not exist, or it is the lab and there is no ``lab.env``.
    """
    lab_file = lab_env_path(environ)
    lab = _read(lab_file) if lab_file.is_file() else {}
    for name in _EXPORTED:
        if lab.get(name):
            _lab_values_seen[name].add(lab[name])
    found = _find(env_file)
    written = _read(found) if found else {}
    own = {**explicit, **written}
    environment = _without_exported(_filled(environ), own)

    person: Sourced = {}
    layers = ((".env", written), ("environment", environment), ("argument", explicit))
    for source, layer in layers:  # the later layer wins
        person |= {name: (value, source) for name, value in layer.items() if value}
    numbers, ignored = _directory(person)
    cloud = any(name in person for name in DECIDING)
    settings = {name: person[name] for name in BY_NAME if name in person}
    if not cloud:
        if not lab:
            raise _no_lab(lab_file)
        foreign = {n for n in settings if BY_NAME[n].connection and settings[n][1] != "argument"}
        ignored += [f"{n} ({settings[n][1]}): the lab has its own" for n in sorted(foreign)]
        from_lab: Sourced = {name: (value, "lab") for name, value in lab.items()}
        settings = from_lab | {n: v for n, v in settings.items() if n not in foreign}
    unknown = tuple(n for n in written if n not in BY_NAME and n not in numbers)
    return Collected(cloud, settings | numbers, found, lab_file, tuple(ignored), unknown)


def lab_env_path(environ: Mapping[str, str]) -> Path:
    """The ``lab.env`` of the lab that ``VOBIZ_KIT_LAB`` and ``VOBIZ_KIT_CACHE`` name."""
    configured = environ.get("VOBIZ_KIT_CACHE")
    cache = Path(configured).expanduser() if configured else Path.home() / ".cache" / "vobiz-kit"
    return cache / "labs" / (environ.get("VOBIZ_KIT_LAB") or "default") / "lab.env"


def is_alias(name: str) -> bool:
    """Whether a variable of that name is an entry of the directory (``BILLING_NUMBER``)."""
    return re.fullmatch(r"[A-Z][A-Z0-9_]*_NUMBER", name) is not None and name != OWN_NUMBER


def _directory(person: Sourced) -> tuple[Sourced, list[str]]:
    """The entries of the directory, and what only looks like one (``BUILD_NUMBER=42``)."""
    numbers: Sourced = {}
    ignored = []
    for name, (value, source) in person.items():
        if not is_alias(name):
            continue
        if source == "environment" and not value.lower().startswith(("+", "tel:", "sip:")):
            ignored.append(f"{name} (environment): no phone number, which begins with +")
        else:
            numbers[name] = (value, source)
    return numbers, ignored


def _without_exported(environment: dict[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The environment without LiveKit credentials that a worker of the lab put there."""
    present = {name: environment[name] for name in DECIDING if name in environment}
    if not present or any(v not in _lab_values_seen.get(n, ()) for n, v in present.items()):
        return environment
    chosen = {name for name in DECIDING if own.get(name)}
    # With a person's own choice beside it only what that choice replaces is dropped.
    drop = {name for name in present if name in chosen} if chosen else set(present)
    return {name: value for name, value in environment.items() if name not in drop}


def _find(env_file: Path | None) -> Path | None:
    from dotenv import find_dotenv

    if env_file is None:
        found = find_dotenv(usecwd=True)
        return Path(found) if found else None
    if not Path(env_file).is_file():
        raise SettingsError(
            "The settings file that you named is not there.",
            evidence=str(env_file),
            fix="Copy .env.example to .env and fill it in, or leave env_file out.",
        )
    return Path(env_file)


def _read(path: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    # Without interpolation: a password may contain ${.
    return _filled(dotenv_values(path, interpolate=False, encoding="utf-8-sig"))


def _filled(values: Mapping[str, str | None]) -> dict[str, str]:
    """Names with a value: the empty lines of a copied ``.env.example`` set nothing."""
    return {name: value.strip() for name, value in values.items() if value and value.strip()}


def _no_lab(lab_file: Path) -> SettingsError:
    return SettingsError(
        "No settings are set, so it is the lab, and no lab is running.",
        evidence=f"none of {', '.join(DECIDING)} is set, and there is no lab"
        f" {lab_file.parent.name!r}",
        fix="Start the lab with `make lab` in a terminal or `await lab.up()` in a notebook; for the"
        " cloud copy .env.example to .env and fill it in.",
    )
