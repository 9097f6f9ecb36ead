"""From SIP messages to the rows and columns of a ladder diagram.

Nothing is drawn here; ``ladder_text``, ``ladder_html`` and ``ladder_svg`` draw the same rows. The
rows of a call's events come from ``ladder_events``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vobiz_kit.sip_reading import (
    CARRIER,
    LIVEKIT,
    WRONG_PASSWORD,
    Reader,
    codecs,
    header,
    is_refer_notify,
    sipfrag_status,
)
from vobiz_kit.sip_words import clip, status_words, uri_user
from vobiz_kit.wire import WireMessage

AGENT = "agent"
# They keep the trunk alive; no call is made of them.
LEFT_OUT = frozenset({"REGISTER", "OPTIONS"})

Line = Literal["request", "response", "speech", "event"]


@dataclass(frozen=True, slots=True)
class Column:
    """One party of the ladder.

    Attributes:
        key: The party as the messages name it, "carrier", "livekit-sip" or "agent".
        name: What stands above its line: "caller", "carrier", "billing".
        note: The second line of the heading: a number, or "".
        spoken: What it is called in a sentence: "the caller", "LiveKit", "billing".
    """

    key: str
    name: str
    note: str
    spoken: str


@dataclass(frozen=True, slots=True)
class Row:
    """One arrow, or one thing that happens at one party.

    Attributes:
        time: Seconds since the ladder's start.
        source: Key of the column where the arrow starts.
        target: Key of the column where it ends; the same as `source` for an event.
        label: What it is: ``INVITE``, ``180 Ringing``, ``agent says``.
        words: What it means, in plain words.
        line: How it is drawn.
        transfer: Part of a transfer: the REFER, its NOTIFYs and their answers.
        failed: A refusal or an error.
        codecs: Audio codecs in its SDP.
        messages: The message and its retransmissions; empty for an event.
    """

    time: float
    source: str
    target: str
    label: str
    words: str
    line: Line
    transfer: bool = False
    failed: bool = False
    codecs: tuple[str, ...] = ()
    messages: tuple[WireMessage, ...] = ()

    @property
    def repeats(self) -> int:
        """How often the message was sent (1: once), 0 for an event."""
        return len(self.messages)

    @property
    def meaning(self) -> str:
        """The words with codecs and retransmissions."""
        parts = [self.words]
        if self.codecs:
            verb = "speaks" if self.line == "response" else "offers"
            parts.append(f"{verb} {', '.join(self.codecs)}")
        if self.repeats > 1:
            last = self.time + self.messages[-1].time - self.messages[0].time
            parts.append(f"sent {self.repeats} times, last at {last:.3f} s")
        return "; ".join(part for part in parts if part)


# RFC 3261 sections 7.1 and 7.2, in ASCII: what else comes in a datagram (keep-alives, noise) is no
# SIP message, and its status or method must not even be asked for.
_START_LINE = re.compile(
    r"(SIP/[0-9.]{1,8} [1-6][0-9]{2}( |$)|(?!SIP/)[A-Z0-9.!%*_+`'~-]{1,40} )",
    re.ASCII | re.IGNORECASE,
)


def is_sip(message: WireMessage) -> bool:
    """Whether this begins as a SIP request or response does."""
    return _START_LINE.match(message.start_line) is not None


def calls_only(messages: Iterable[WireMessage]) -> tuple[WireMessage, ...]:
    """The SIP messages that belong to calls, in order."""
    of_calls = (m for m in messages if is_sip(m) and m.method not in LEFT_OUT)
    return tuple(sorted(of_calls, key=lambda m: m.seq))


def refer_targets(messages: Iterable[WireMessage]) -> tuple[str, ...]:
    """The numbers that REFERs asked for, in order, each once."""
    refers = (m for m in messages if m.status is None and m.method == "REFER")
    return tuple(dict.fromkeys(uri_user(header(m, "Refer-To")) for m in refers))


def columns(
    messages: Sequence[WireMessage],
    names: Mapping[str, str],
    *,
    agent: bool,
    phone: str = "",
    target: str = "",
) -> tuple[Column, ...]:
    """The parties from left to right: the phone, the carrier, LiveKit, the agent, the others.

    Args:
        messages: The messages of the call.
        names: Alias of a number, for the heading.
        agent: Whether there is an agent to be shown.
        phone: The number at the other end, where no message tells.
        target: The transfer target, where no message tells.
    """
    parties = dict.fromkeys(m.party for m in messages)
    phones = [party for party in parties if party != LIVEKIT]
    targets = refer_targets(messages)
    if not messages:
        phones, targets = [phone] * bool(phone), (target,) * bool(target)
    first, others = phones[:1], phones[1:]
    # A target that was never reached still has its place: the REFER names it.
    others += [target for target in targets if target not in phones]
    found = [_phone(p, "", messages, names) for p in first]
    found.append(Column(CARRIER, "carrier", "", "the carrier"))
    if agent or LIVEKIT in parties:
        found.append(Column(LIVEKIT, "livekit-sip", "", "LiveKit"))
    if agent:
        found.append(Column(AGENT, "agent", "", "the agent"))
    for party in others:
        role = "transfer target" if party in targets else ""
        found.append(_phone(party, role, messages, names))
    # A REFER may name anything, a party that has its place already too: one line for each key.
    unique: dict[str, Column] = {}
    for column in found:
        unique.setdefault(column.key, column)
    return tuple(unique.values())


def _phone(
    party: str, role: str, messages: Sequence[WireMessage], names: Mapping[str, str]
) -> Column:
    number = clip(party, 24)
    if alias := names.get(party):
        return Column(party, clip(alias, 24), number, clip(alias, 24))
    if not role:
        invites = (m for m in messages if m.party == party and m.method == "INVITE")
        first = next(invites, None)
        role = "phone"
        if first is not None:
            calls = (first.status is None) == (first.direction == "received")
            role = "caller" if calls else "called"
    spoken = {"caller": "the caller", "called": "the person called"}.get(role, number)
    return Column(party, role, number, spoken)


def message_rows(
    messages: Sequence[WireMessage], names: Mapping[str, str], start: float
) -> list[Row]:
    """One row per message, retransmissions folded into the first.

    Args:
        messages: In order, without those of `LEFT_OUT`.
        names: What to call each party in a sentence.
        start: Unix time that counts as 0.
    """
    reader = Reader(names)
    rows: dict[tuple[str, ...], Row] = {}
    for message in messages:
        key = _transaction_key(message)
        if first := rows.get(key):
            rows[key] = replace(first, messages=(*first.messages, message))
        else:
            rows[key] = _message_row(message, reader.words(message), start)
    return list(rows.values())


def _transaction_key(message: WireMessage) -> tuple[str, ...]:
    """Equal for a message and its retransmissions (RFC 3261 section 17: same Via branch)."""
    return (
        message.direction,
        message.party,
        message.call_id,
        message.start_line,
        message.header("CSeq"),
        header(message, "Via"),
        message.body,
    )


def _message_row(message: WireMessage, words: str, start: float) -> Row:
    received = message.direction == "received"
    status = message.status
    label, failed = _label(message)
    return Row(
        time=message.time - start,
        source=message.party if received else CARRIER,
        target=CARRIER if received else message.party,
        label=label,
        words=words,
        line="request" if status is None else "response",
        transfer=message.method == "REFER" or is_refer_notify(message),
        failed=failed or words == WRONG_PASSWORD,
        codecs=codecs(message),
        messages=(message,),
    )


def _label(message: WireMessage) -> tuple[str, bool]:
    """What is written on the arrow, and whether it is a refusal."""
    if message.status is not None:
        reason = message.start_line.split(" ", 2)[2:]
        # A challenge is no refusal yet (the words tell when it is one); 487 follows a CANCEL.
        failed = message.status >= 400 and message.status not in (401, 407, 487)
        return f"{message.status} {clip(reason[0] if reason else '', 40)}".strip(), failed
    method = clip(message.method, 20)
    report = sipfrag_status(message) if message.method == "NOTIFY" else None
    if report is None:
        return method, False
    status, reason_phrase = report
    shown = clip(reason_phrase, 30) or status_words(status)
    return f"{method}: {status} {shown}", status >= 300
