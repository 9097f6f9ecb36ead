"""What a ladder shows, in a sentence or two: its heading and its text alternative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from vobiz_kit.ladder_rows import Row, refer_targets
from vobiz_kit.sip_reading import header, sipfrag_status
from vobiz_kit.sip_words import clip, status_words, uri_user
from vobiz_kit.wire import WireMessage

ONLY_EVENTS = (
    "Drawn from the call's own events, without SIP messages: "
    "the wire between carrier and LiveKit is not ours to read."
)


def title_of(messages: Sequence[WireMessage]) -> str:
    """Who called whom, by the first INVITE."""
    invite = next((m for m in messages if m.status is None and m.method == "INVITE"), None)
    if invite is None:
        return "Call flow"
    caller = uri_user(header(invite, "From"))
    called = uri_user(invite.start_line.partition(" ")[2])
    return f"Call flow: {caller} calls {called}"


def summary_of(
    messages: Sequence[WireMessage],
    rows: Sequence[Row],
    start: float,
    names: Mapping[str, str],
    noise: int = 0,
) -> str:
    """How much there is, how the transfer went, what was refused.

    Args:
        messages: The SIP messages, in order.
        rows: All rows of the ladder, in order.
        start: Unix time of the ladder's start.
        names: What to call each party in a sentence.
        noise: How many datagrams of the trace were no SIP messages.
    """
    return " ".join([_what_happened(messages, rows, start, names), *_left_out(noise)])


def _left_out(noise: int) -> list[str]:
    if not noise:
        return []
    what = (
        "1 datagram that is no SIP message is"
        if noise == 1
        else (f"{noise} datagrams that are no SIP messages are")
    )
    return [f"{what} left out."]


def _what_happened(
    messages: Sequence[WireMessage], rows: Sequence[Row], start: float, names: Mapping[str, str]
) -> str:
    if not messages:
        return ONLY_EVENTS if rows else "No message and no event: there is nothing to draw."
    legs = len({m.call_id for m in messages})
    began = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    said = [
        f"{len(messages)} SIP messages on {legs} {'leg' if legs == 1 else 'legs'} "
        f"in {rows[-1].time:.1f} s, from {began}."
    ]
    transfer = _transfer(messages, names)
    said += transfer
    refused = next((row for row in rows if row.failed and not row.transfer), None)
    given_up = next((row for row in rows if row.label == "CANCEL"), None)
    if given_up and not transfer:
        said.append(f"Given up after {given_up.time:.3f} s, before there was an answer.")
    elif refused and not transfer:
        said.append(f"Refused after {refused.time:.3f} s: {refused.label} ({refused.words}).")
    return " ".join(said)


def _transfer(messages: Sequence[WireMessage], names: Mapping[str, str]) -> list[str]:
    targets = [names.get(target, target) for target in refer_targets(messages)]
    if not targets:
        return []
    asked = f"A REFER asks for a transfer to {', then to '.join(targets)}."
    reports = [r for m in messages if m.method == "NOTIFY" and (r := sipfrag_status(m))]
    answers = [m for m in messages if m.method == "REFER" and m.status and m.status >= 200]
    if reports:
        status, reason = reports[-1]
        said = "it succeeded" if 200 <= status < 300 else status_words(status)
        return [asked, f"The last report on it (NOTIFY) is {status} {clip(reason, 40)}: {said}."]
    if answers and answers[-1].status is not None:
        status = answers[-1].status
        said = "no report came" if status < 300 else status_words(status)
        return [asked, f"It was answered {status}: {said}."]
    return [asked, "Nobody answered it."]
