"""The audit log: who wanted what dialled, what was decided and why, and what became of it.

One JSON object a line in ``logs/audit.jsonl``, beside the agent's log. It only ever grows: what it
says about a bill in three months must still be there. A decision and its outcome are two lines with
the same room and the same ids.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vobiz_kit.kit_log import log_folder
from vobiz_kit.numbers import is_e164, mask_number
from vobiz_kit.secret import Secret
from vobiz_kit.tables import Cell, Mark, Table

if TYPE_CHECKING:
    from vobiz_kit.asked import Asked
    from vobiz_kit.directory import Destination
    from vobiz_kit.outcomes import Outcome
    from vobiz_kit.settings import Settings

AUDIT_FILE = "audit.jsonl"
_log = logging.getLogger(__name__)
_SHORTEST_SECRET = 6  # characters; a shorter one is a word, as "lab" is
_LONGEST = 2000  # characters of one value; a caller may talk for long
# Ids stay as they are: they are what finds the call at LiveKit and at the carrier.
_IDS = frozenset({"time", "at", "sip_call_id", "bridge_uuid"})
# Seven digits and more, however they are grouped; \d takes in the digits of every script.
_DIGITS = re.compile(r"\+?\d(?:[\s().\-/_,\u00a0\u2010-\u2015]{0,3}\d){6,}")
_DIGIT = (
    "zero|oh|o|one|two|three|four|five|six|seven|eight|nine|ten|hundred|double|triple|plus|\\d+"
)
_SPOKEN = re.compile(rf"\b(?:{_DIGIT})\b(?:[\s,.\-]+(?:{_DIGIT})\b){{4,}}", re.IGNORECASE)


def audit_file() -> Path:
    """Where the audit log is: beside the agent's log. It is made with its first line."""
    return log_folder() / AUDIT_FILE


def record_decision(
    asked: Asked,
    destination: str,
    settings: Settings,
    *,
    rule: str,
    why: str,
    to: Destination | None = None,
) -> None:
    """Write down what was decided. `vobiz_kit.policy.check_destination` does, nobody else.

    Args:
        asked: Who asked, in which call.
        destination: What was asked for, as it came.
        settings: Whose secrets must not be in the log, whatever was said.
        rule: The rule that decided, in a word or two.
        why: The reason, in a sentence.
        to: Who may be dialled; None if it was refused.
    """
    facts = {
        "by": asked.by,
        "phone": asked.phone,
        "kind": asked.kind,
        "asked": destination,
        "said": asked.said,
        "decision": "refused" if to is None else "allowed",
        "rule": rule,
        "why": why,
        "to": str(to) if to else "",
        "room": asked.room,
        "sip_call_id": asked.sip_call_id,
        "bridge_uuid": asked.bridge_uuid,
    }
    secrets = [getattr(settings, field.name) for field in fields(settings)]
    hidden = [secret.reveal() for secret in secrets if isinstance(secret, Secret)]
    for secret in hidden:
        if len(secret) >= _SHORTEST_SECRET:
            facts = {name: value.replace(secret, "•••") for name, value in facts.items()}
    _append("decision", facts)


def record_outcome(
    outcome: Outcome, kind: str, room: str, sip_call_id: str = "", bridge_uuid: str = ""
) -> None:
    """Write down what became of a call or a transfer, with the SIP evidence.

    Args:
        outcome: How it ended, or that it was answered.
        kind: "call" or "transfer".
        room: The call's room at LiveKit.
        sip_call_id: LiveKit's id of the call, ``SCL_...``.
        bridge_uuid: The SIP Call-ID of LiveKit's leg.
    """
    if outcome.name == "refused_by_policy":
        return  # its decision is in the log
    facts = {
        "kind": kind,
        "outcome": outcome.name,
        "to": outcome.who,
        "sip_status": outcome.sip_status,
        "sip_reason": outcome.sip_reason,
        "evidence": outcome.evidence,
        "seconds": outcome.seconds,
        "room": room,
        "sip_call_id": sip_call_id,
        "bridge_uuid": bridge_uuid,
    }
    _append("outcome", facts)


def read_audit(path: Path | None = None, *, masked: bool = False) -> list[dict[str, Any]]:
    """The audit log's entries, oldest first. A line that cannot be read is left out.

    Args:
        path: The file; that of this process if None. [] if there is none.
        masked: Hide phone numbers, also inside what was said.
    """
    file = path or audit_file()
    entries = []
    for line in file.read_text("utf-8", "replace").splitlines() if file.is_file() else []:
        try:
            entry = json.loads(line)
        except ValueError:  # the disk was full, or somebody edited it
            _log.warning("a line of %s cannot be read and is left out", file)
            continue
        if isinstance(entry, dict):
            entries.append(_masked(entry) if masked else entry)
    return entries


def audit_log(path: Path | None = None, *, masked: bool = False) -> Table:
    """The audit log as a table: who asked for what, what was decided, what became of it.

    Args:
        path: The file; that of this process if None.
        masked: Hide phone numbers, also inside what was said.
    """
    columns = ("When (UTC)", "By", "Asked for", "Decision or outcome", "Why, or SIP", "Call")
    rows = [_row(entry) for entry in read_audit(path, masked=masked)]
    return Table("Audit log", columns, rows, f"In {(path or audit_file()).name}, one line each.")


def mask_numbers(text: str) -> str:
    """A text in which every phone number is masked, in digits or in words.

    ``"call +15550002222"`` becomes ``"call +1555•••2222"``; what is no E.164 number, and numbers
    that are spelled out ("one nine zero zero ..."), become ``•••`` altogether.
    """
    return _SPOKEN.sub("•••", _DIGITS.sub(_mask_found, text))


def _mask_found(found: re.Match[str]) -> str:
    plain = re.sub(r"[^+\d]", "", found[0])
    return mask_number(plain) if is_e164(plain) else "•••"


def _masked(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: mask_numbers(value) if isinstance(value, str) and name not in _IDS else value
        for name, value in entry.items()
    }


def _row(entry: Mapping[str, Any]) -> list[Cell]:
    shown = {name: "" if value is None else str(value) for name, value in entry.items()}
    decision, outcome = shown.get("decision", ""), shown.get("outcome", "")
    if decision:
        mark = Mark("ok" if decision == "allowed" else "fail", decision)
        why = f"{shown.get('rule', '')}: {shown.get('why', '')}"
    else:
        mark = Mark("ok" if outcome == "completed" else "warn", outcome)
        parts = (shown.get("sip_status"), shown.get("sip_reason"), shown.get("evidence"))
        why = " ".join(part for part in parts if part)
    ids = (shown.get("room"), shown.get("sip_call_id"), shown.get("bridge_uuid"))
    return [
        shown.get("at", "")[:19].replace("T", " "),
        "\n".join(part for part in (shown.get("by"), shown.get("phone")) if part),
        shown.get("asked") or shown.get("to", ""),
        mark,
        why,
        "\n".join(part for part in ids if part),
    ]


def _append(event: str, facts: Mapping[str, object]) -> None:
    """Add one line. The log must never cost a call: what goes wrong here is a warning."""
    now = time.time()
    entry: dict[str, object] = {
        "time": round(now, 3),
        "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        "event": event,
    }
    for name, value in facts.items():
        entry[name] = value[:_LONGEST] if isinstance(value, str) else value
    # ASCII: nothing that was said can forge a line, or the look of one in a terminal.
    line = json.dumps(entry).encode("ascii") + b"\n"
    try:
        file = audit_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        # O_APPEND and one write: lines of several threads and processes do not mix.
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            written = os.write(descriptor, line)
        finally:
            os.close(descriptor)
        if written < len(line):
            raise OSError(f"only {written} of {len(line)} bytes were written")
    except OSError as error:
        _log.warning("the audit log could not be written (%s): %s", error, mask_numbers(str(entry)))
