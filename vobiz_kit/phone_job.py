"""What a job asks for: the number to dial, or nothing, which means that somebody has called us."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from livekit.agents import JobContext

_log = logging.getLogger(__name__)
_RESCUE = "rescue"


@dataclass(frozen=True)
class PhoneJob:
    """What a job asks for.

    Attributes:
        direction: "outbound" if the metadata names a number to dial, else "inbound".
        phone_number: The number as it stands in the metadata, or None.
        metadata: The whole metadata, as a dict.
        rescue: Whether the caller is there already, and has just lost their agent.
    """

    direction: Literal["inbound", "outbound"]
    phone_number: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def rescue(self) -> bool:  # noqa: D102 - among the attributes above
        return self.metadata.get(_RESCUE) is True


def parse_job(ctx: JobContext) -> PhoneJob:
    """Read the job's metadata. Metadata that cannot be read never loses a caller: it is inbound.

    Args:
        ctx: The job; its metadata is JSON such as ``{"phone_number": "+15550001234"}``, or "".
    """
    text = ctx.job.metadata
    metadata = _read(text)
    if metadata is None:
        _log.warning("the job's metadata is no JSON object; treated as an inbound call: %r", text)
        return PhoneJob("inbound")
    number = metadata.get("phone_number")
    if number is None:
        return PhoneJob("inbound", None, metadata)
    return PhoneJob("outbound", str(number), metadata)


def rescue_metadata(before: str) -> str:
    """Metadata for an agent that takes over a caller: what the first one knew, nobody to dial.

    Args:
        before: The first agent's metadata.
    """
    known = _read(before) or {}
    known.pop("phone_number", None)
    return json.dumps({**known, _RESCUE: True})


def is_rescue(metadata: str) -> bool:
    """Whether that is metadata of `rescue_metadata`."""
    return (_read(metadata) or {}).get(_RESCUE) is True


def _read(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if text.strip() else {}
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
