"""Call detail records, as Vobiz's API shows them: one for each leg, written when it has ended."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

from vobiz_kit.lab.carrier.causes import cause_of
from vobiz_kit.lab.carrier.party import Party, Role

CAPACITY = 5_000

Record = dict[str, Any]


class CallRecords:
    """The account's CDRs, newest first.

    Args:
        account_id: Vobiz's auth id.
        trunk_id: The trunk's id.
    """

    def __init__(self, account_id: str, trunk_id: str) -> None:
        self._account_id = account_id
        self._trunk_id = trunk_id
        self._records: deque[Record] = deque(maxlen=CAPACITY)
        self._count = 0

    def write(self, party: Party, bridge: str, direction: str) -> Record:
        """Write the record of a leg that has ended.

        Args:
            party: The end of the call whose leg it is.
            bridge: The Call-ID of the call's LiveKit leg (``bridge_uuid``).
            direction: "inbound" or "outbound", seen from the account.
        """
        self._count += 1
        record = _record(party, bridge, direction)
        record.update(id=self._count, account_id=self._account_id)
        record["trunk_id"] = self._trunk_id if party.is_livekit else None
        self._records.appendleft(record)
        return record

    def find(self, record_uuid: str) -> Record | None:
        """The record with that uuid."""
        return next((r for r in self._records if r["uuid"] == record_uuid), None)

    def select(
        self,
        *,
        from_number: str = "",
        to_number: str = "",
        start_date: date | None = None,
        end_date: date | None = None,
        call_direction: str = "",
        min_duration: int = 0,
    ) -> list[Record]:
        """The records that pass all filters, newest first. Numbers match as substrings."""
        tests: list[Callable[[Record], bool]] = []
        if from_number:
            tests.append(lambda r: from_number in r["caller_id_number"])
        if to_number:
            tests.append(lambda r: to_number in r["destination_number"])
        if start_date is not None and end_date is not None:
            first, last = start_date.isoformat(), end_date.isoformat()
            tests.append(lambda r: first <= r["start_time"][:10] <= last)
        if call_direction:
            tests.append(lambda r: r["call_direction"] == call_direction)
        if min_duration:
            tests.append(lambda r: r["duration"] >= min_duration)
        return [r for r in self._records if all(test(r) for test in tests)]


def summary(records: Iterable[Record]) -> dict[str, Any]:
    """The summary that Vobiz adds to a list of records (``avgCallDuration`` is a string there)."""
    found = list(records)
    answered = [r for r in found if r["answer_time"]]
    seconds = sum(r["duration"] for r in found)
    return {
        "totalCalls": len(found),
        "answeredCalls": len(answered),
        "answerRate": round(100 * len(answered) / len(found), 2) if found else 0,
        "avgCallDuration": f"{round(seconds / len(found)) if found else 0}s",
        "total_duration_seconds": seconds,
        "total_billable_seconds": sum(r["billsec"] for r in found),
        "total_cost": 0,
        "last_call_at": found[0]["start_time"] if found else None,
    }


def _record(party: Party, bridge: str, direction: str) -> Record:
    leg, rtp = party.leg, party.rtp
    cause = party.cause or cause_of(leg.ended.status if leg.ended else 0)
    talked = leg.ended_at - leg.answered_at if leg.answered_at else 0.0
    failed = not leg.answered_at
    caller = party.number if party.role is Role.CALLER else party.other_number
    called = party.other_number if party.role is Role.CALLER else party.number
    packets = rtp.received.packets if rtp is not None else 0
    return {
        "uuid": str(uuid.uuid4()),
        "call_direction": direction,
        "caller_id_name": "",
        "caller_id_number": caller,
        "destination_number": called,
        "context": "public",
        "region": "lab",
        "origination_region": "lab",
        "campaign_id": None,
        "customer_endpoint": None,
        "terminated_to": party.name,
        "start_time": _iso(leg.started),
        "progress_time": _iso(party.progress_at) if party.progress_at else None,
        "answer_time": _iso(leg.answered_at) if leg.answered_at else None,
        "end_time": _iso(leg.ended_at),
        "created_at": _iso(leg.ended_at),
        "updated_at": _iso(leg.ended_at),
        "duration": round(leg.ended_at - leg.started),
        "billsec": round(talked),
        "ring_time": round((leg.answered_at or leg.ended_at) - leg.started),
        "cost": 0,
        "total_cost": 0,
        "streaming_cost": 0,
        "currency": "INR",
        "mos": rtp.received.mos if rtp is not None else 0,
        "jitter": round(rtp.received.jitter_ms, 1) if rtp is not None and packets else 0,
        "packet_loss": round(100 * rtp.received.loss, 2) if rtp is not None else 0,
        "codec": rtp.codec if rtp is not None and packets else None,
        "hangup_cause": cause.text,
        "hangup_cause_code": cause.code,
        "hangup_cause_name": cause.name,
        "hangup_disposition": _disposition(party),
        "hangup_source": party.hangup_source or "Vobiz",
        "failure_code": str(leg.ended.status) if failed and leg.ended else None,
        "failure_reason": leg.ended.reason if failed and leg.ended else None,
        "bridge_uuid": bridge,
        "sip_call_id": leg.call_id,
        "sip_user_agent": leg.invite.get_header("user-agent") if leg.incoming else None,
        "network_addr": leg.remote[0],
        "carrier_ip": "127.0.0.1",
    }


def _disposition(party: Party) -> str:
    leg = party.leg
    received = leg.ended is not None and leg.ended.by == "remote"
    if leg.answered_at:
        return "recv_bye" if received else "send_bye"
    if leg.incoming:
        return "recv_cancel" if received else "send_refuse"
    return "recv_refuse" if received else "send_cancel"


def _iso(seconds: float) -> str:
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
