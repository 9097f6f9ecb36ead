"""The call flow: every SIP message of a call and what the agent did meanwhile, as a ladder.

ladder = vk.callflow(call, await lab.trace(call))
ladder                      # in a notebook: the picture; click a row to read the message
print(ladder)               # in a terminal: the same as text
ladder.only("REFER", "NOTIFY")
ladder.first("REFER").header("Refer-To")
ladder.save("flow.svg")
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vobiz_kit.ladder_events import Event, event_rows, shown_events
from vobiz_kit.ladder_html import ladder_html
from vobiz_kit.ladder_rows import (
    Column,
    Row,
    calls_only,
    columns,
    is_sip,
    message_rows,
)
from vobiz_kit.ladder_summary import summary_of, title_of
from vobiz_kit.ladder_svg import ladder_svg
from vobiz_kit.ladder_text import ladder_text
from vobiz_kit.sip_reading import CARRIER
from vobiz_kit.wire import WireMessage, mask_secrets

if TYPE_CHECKING:
    from vobiz_kit.settings import Settings


class CallLike(Protocol):
    """What is read of a `vobiz_kit.calls.Call`."""

    @property
    def events(self) -> Sequence[Event]: ...  # noqa: D102
    @property
    def phone_number(self) -> str: ...  # noqa: D102
    @property
    def settings(self) -> Settings | None: ...  # noqa: D102


@dataclass(frozen=True)
class Ladder:
    """A call-flow diagram; it draws itself in a notebook, and prints as text.

    Attributes:
        title: Who called whom.
        summary: What happened, in words; also the picture's text alternative.
        columns: The parties, from left to right.
        rows: Arrows and events, in order of time.
        messages: The SIP messages, unfolded, in order; REGISTER and OPTIONS left out.
    """

    title: str
    summary: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    messages: tuple[WireMessage, ...]

    def find(
        self, what: str | int, *, party: str | None = None, sender: str | None = None
    ) -> list[WireMessage]:
        """The messages of one kind, each retransmission by itself.

        Args:
            what: A method ("REFER": the requests) or a status ("180", 180: the responses).
            party: Only messages between the carrier and this party ("livekit-sip", a number).
            sender: Only messages that this party sent; may be "carrier".
        """
        wanted = str(what).strip().upper()
        return [
            m
            for m in self.messages
            if _is(m, wanted) and party in (None, m.party) and sender in (None, _sender(m))
        ]

    def first(
        self, what: str | int, *, party: str | None = None, sender: str | None = None
    ) -> WireMessage | None:
        """The first message that `find` finds, None if there is none."""
        return next(iter(self.find(what, party=party, sender=sender)), None)

    def __getitem__(self, what: str) -> list[WireMessage]:
        return self.find(what)

    def only(self, *what: str | int) -> Ladder:
        """The same ladder with fewer rows: ``ladder.only("REFER", "NOTIFY")``.

        Args:
            what: Methods (the requests and their answers) and statuses.
        """
        wanted = {str(w).strip().upper() for w in what}
        rows = tuple(
            r
            for r in self.rows
            if r.messages
            and (str(r.messages[0].status) in wanted or r.messages[0].method.upper() in wanted)
        )
        kept = [m for row in rows for m in row.messages]
        title = f"{self.title} (only {', '.join(sorted(wanted))})"
        messages = tuple(sorted(kept, key=lambda m: m.seq))
        return replace(self, title=title, rows=rows, messages=messages)

    def text(self, width: int | None = None) -> str:
        """The ladder as fixed-width text.

        Args:
            width: Characters per line; the terminal's by default (140 if there is none).
        """
        width = width or shutil.get_terminal_size((140, 24)).columns
        return ladder_text(self.title, self.summary, self.columns, self.rows, width=width)

    def svg(self) -> str:
        """The ladder as one SVG image, with its words as real text."""
        return ladder_svg(self.title, self.summary, self.columns, self.rows)

    def html(self) -> str:
        """The ladder as HTML: a list whose rows open to show the message. Needs no JavaScript."""
        return ladder_html(self.title, self.summary, self.columns, self.rows)

    def save(self, path: str | Path) -> Path:
        """Write it to a file; the name's ending says how: .svg, .html or .txt.

        Raises:
            ValueError: another ending.
            OSError: the file cannot be written.
        """
        path = Path(path)
        match path.suffix.lower():
            case ".svg":
                content = self.svg()
            case ".html":
                heading = "<!doctype html><html lang='en'><meta charset='utf-8'>"
                content = f"{heading}<title>Call flow</title>{self.html()}</html>"
            case ".txt":
                content = self.text(140) + "\n"
            case other:
                raise ValueError(f"A ladder can be saved as .svg, .html or .txt, not {other!r}.")
        path.write_text(content, encoding="utf-8")
        return path

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Ladder of {len(self.messages)} messages: {self.title}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}


def callflow(
    call: CallLike | None,
    messages: Sequence[WireMessage] = (),
    *,
    names: Mapping[str, str] | None = None,
) -> Ladder:
    """Draw a call: its SIP messages, and between them what the agent heard, said and did.

    Args:
        call: The call whose events are shown; None draws the messages alone.
        messages: The carrier's trace of the call (`lab.trace`). Without it, as on the cloud where
            the carrier's wire is not ours, the ladder is drawn from the call's events alone and
            says so.
        names: What to call numbers, ``{"+15550002222": "billing"}``; the directory of the call's
            settings by default.
    """
    masked = [replace(m, text=mask_secrets(m.text)) for m in messages]
    traced = calls_only(masked)
    events = shown_events(call.events if call else (), with_status=not traced)
    start = min([m.time for m in traced] + [e.time for e in events], default=0.0)
    aliases = _aliases(call) if names is None else dict(names)
    asked = [str(e.data["to"]) for e in events if e.kind == "transfer" and "to" in e.data]
    found = columns(
        traced,
        aliases,
        agent=call is not None,
        phone=call.phone_number if call is not None else "",
        target=asked[-1] if asked else "",
    )
    known = {**{c.key: c.spoken for c in found}, **aliases}
    rows = message_rows(traced, known, start)
    rows += event_rows(events, start)
    rows.sort(key=lambda row: row.time)
    return Ladder(
        title=title_of(traced),
        summary=summary_of(traced, rows, start, known, sum(not is_sip(m) for m in messages)),
        columns=found,
        rows=tuple(rows),
        messages=traced,
    )


def _aliases(call: CallLike | None) -> dict[str, str]:
    settings = call.settings if call is not None else None
    if settings is None:
        return {}
    return {n: alias for alias, numbers in settings.numbers.items() for n in numbers.split(",")}


def _sender(message: WireMessage) -> str:
    return message.party if message.direction == "received" else CARRIER


def _is(message: WireMessage, wanted: str) -> bool:
    if message.status is not None:
        return str(message.status) == wanted
    return message.method.upper() == wanted
