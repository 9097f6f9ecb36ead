"""The lab that this notebook or program means, as plain functions.

On the cloud backend (the settings name a LiveKit of your own) there is nothing to start: these
functions say so, and `phone` takes your own phone instead of a simulated one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vobiz_kit.errors import SettingsError
from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.lab_status import LabStatus
from vobiz_kit.wire import WireMessage

if TYPE_CHECKING:
    from vobiz_kit.lab.handsets.phone import Phone


class CloudBackend:
    """What `up` and `status` return where there is no lab to run; prints one friendly line."""

    healthy = True  # no part runs here that could be ill

    def __init__(self, url: str) -> None:
        self.url = url

    def __str__(self) -> str:
        return (
            f"Cloud backend: your settings name {self.url}, so there is no lab to start. Calls go "
            "through your own LiveKit and Vobiz accounts, and the phone is yours."
        )

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON data."""
        return {"healthy": True, "backend": "cloud", "livekit_url": self.url}


async def up(*, progress: bool = True) -> LabStatus | CloudBackend:
    """Start the lab or join the one that runs; on the cloud backend there is nothing to start.

    Args:
        progress: Print what is being done.

    Returns:
        The state of every part, as a table in a notebook.

    Raises:
        BuildError: a LiveKit server could be neither found nor built.
        MissingPackagesError: the build needs system packages.
        PartFailedError: a part does not start.
    """
    return cloud_backend() or await Lab().up(progress=progress)


async def down() -> None:
    """Stop the lab and remove what it wrote; nothing happens if none runs, or on the cloud."""
    if cloud_backend() is None:
        await Lab().down()


async def status() -> LabStatus | CloudBackend:
    """The state of every part of the lab, as a table in a notebook."""
    return cloud_backend() or await Lab().status()


def logs(part: str, lines: int = 40) -> str:
    """The last lines of a part's log.

    Args:
        part: "livekit-sip", "carrier", … as in `status`.
        lines: How many.
    """
    return Lab().logs(part, lines)


def phone(number: str) -> Phone:
    """A phone of that number.

    Args:
        number: E.164, e.g. "+15550009999".

    Returns:
        In the lab a simulated phone that dials, speaks, hears and presses keys; on the cloud
        backend one that tells you what to do with your own.
    """
    if cloud_backend() is None:
        return Lab().phone(number)
    from vobiz_kit.lab.handsets.your_phone import YourPhone

    return YourPhone(number)


def trace(call: Any = None) -> list[WireMessage]:
    """The SIP messages that crossed the lab's carrier, in order; [] on the cloud backend.

    Args:
        call: Only those of this call; everything if None.
    """
    return Lab().trace(call) if cloud_backend() is None else []


def cdrs() -> list[Mapping[str, Any]]:
    """The lab carrier's call detail records, newest first; [] on the cloud backend."""
    return Lab().cdrs() if cloud_backend() is None else []


def cloud_backend() -> CloudBackend | None:
    """The cloud backend if the settings ask for it, None if it is the lab.

    Settings that are incomplete do not matter here: they are complained about where they are used.
    """
    from vobiz_kit.sources import collect

    try:
        found = collect(None, os.environ, {})
    except SettingsError:  # nothing is set and no lab runs yet
        return None
    if not found.cloud:
        return None
    url, _ = found.values.get("LIVEKIT_URL", ("a LiveKit server", ""))
    return CloudBackend(url)
