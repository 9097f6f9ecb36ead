"""Call detail records (CDRs) as Vobiz writes them after a call, one for each leg."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from vobiz_kit.tables import Table

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cdr:
    """One leg of a call.

    Attributes:
        uuid: Vobiz's id of the record.
        direction: "inbound" (to your number) or "outbound".
        from_number: Who called.
        to_number: Who was called.
        started: When the leg began, None if the record does not say.
        answered: When it was answered, None if it was not.
        ended: When it ended.
        seconds: From start to end, ringing included.
        billed_seconds: From answer to end (talking).
        hangup_cause: E.g. NORMAL_CLEARING, USER_BUSY.
        hangup_cause_code: Vobiz's number for it, e.g. 4000 for a normal end; None if not given.
        hangup_source: Who ended it, e.g. Caller, Callee, Carrier.
        bridge_uuid: The same for all legs of a call; equals LiveKit's ``sip.callIDFull``.
        sip_call_id: The SIP Call-ID of this leg.
        trunk_id: Vobiz's id of the trunk.
        mos: Estimated speech quality from 1 to 5; 0 if there was no media, None if not given.
        codec: E.g. PCMU.
        raw: The record as it was read.
    """

    uuid: str = ""
    direction: str = ""
    from_number: str = ""
    to_number: str = ""
    started: datetime | None = None
    answered: datetime | None = None
    ended: datetime | None = None
    seconds: int = 0
    billed_seconds: int = 0
    hangup_cause: str = ""
    hangup_cause_code: int | None = None
    hangup_source: str = ""
    bridge_uuid: str = ""
    sip_call_id: str = ""
    trunk_id: str = ""
    mos: float | None = None
    codec: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Cdr:
        """Read a record; of a field with several names in Vobiz's documents any will do.

        What is missing or cannot be read is empty: a record is never refused for one field.
        """

        def text(*names: str) -> str:
            return _first(record, str, names) or ""

        def when(*names: str) -> datetime | None:
            return _first(record, _instant, names)

        return cls(
            uuid=text("uuid", "call_id", "call_uuid", "id"),
            direction=text("call_direction", "direction"),
            from_number=text("caller_id_number", "from_number", "caller_id"),
            to_number=text("destination_number", "to_number"),
            started=when("start_time"),
            answered=when("answer_time"),
            ended=when("end_time"),
            seconds=_first(record, _whole, ("duration",)) or 0,
            billed_seconds=_first(record, _whole, ("billsec", "bill_duration")) or 0,
            hangup_cause=text("hangup_cause", "status"),
            hangup_cause_code=_first(record, _whole, ("hangup_cause_code",)),
            hangup_source=text("hangup_source"),
            bridge_uuid=text("bridge_uuid"),
            sip_call_id=text("sip_call_id"),
            trunk_id=text("trunk_id"),
            mos=_first(record, float, ("mos",)),
            codec=text("codec"),
            raw=dict(record),
        )


class CdrList(list[Cdr]):
    """Records in the order in which Vobiz gave them; shown as a table."""

    def table(self) -> Table:
        """Who called whom, for how long, and how it ended."""
        columns = ("Direction", "From", "To", "Answered", "Seconds", "Ended by", "Bridge")
        rows = [
            (
                cdr.direction,
                cdr.from_number,
                cdr.to_number,
                cdr.answered.strftime("%H:%M:%S") if cdr.answered else "no",
                str(cdr.seconds),
                " ".join(filter(None, (cdr.hangup_cause, cdr.hangup_source))),
                cdr.bridge_uuid,
            )
            for cdr in self
        ]
        return Table("Call detail records", columns, rows)

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _first(record: Mapping[str, Any], read: Callable[[Any], T], names: tuple[str, ...]) -> T | None:
    """The first of these fields that is there and can be read."""
    for name in names:
        value = record.get(name)
        if value is None or value == "":
            continue
        try:
            return read(value)
        except (ValueError, TypeError, OverflowError, OSError):  # OSError: a year no clock has
            continue  # another name may hold a value that can be read
    return None


def _instant(value: Any) -> datetime:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return datetime.fromtimestamp(float(value)).astimezone()


def _whole(value: Any) -> int:
    return int(float(value))
