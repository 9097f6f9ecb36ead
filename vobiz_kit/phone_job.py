"""What a job asks for: the number to dial, or nothing, which means that somebody has called us."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from livekit.agents import JobContext

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PhoneJob:
    """What a job asks for.

    Attributes:
        direction: "outbound" if the metadata names a number to dial, else "inbound".
        phone_number: The number as it stands in the metadata, or None.
        metadata: The whole metadata, as a dict.
    """

    direction: Literal["inbound", "outbound"]
    phone_number: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def parse_job(ctx: JobContext) -> PhoneJob:
    """Read the job's metadata. Metadata that cannot be read never loses a caller: it is inbound.

    Args:
        ctx: The job; its metadata is JSON such as ``{"phone_number": "+15550001234"}``, or "".
    """
    text = ctx.job.metadata
    try:
        metadata = json.loads(text) if text.strip() else {}
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        _log.warning("the job's metadata is no JSON object; treated as an inbound call: %r", text)
        return PhoneJob("inbound")
    number = metadata.get("phone_number")
    if number is None:
        return PhoneJob("inbound", None, metadata)
    return PhoneJob("outbound", str(number), metadata)
