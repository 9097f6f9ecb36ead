"""Every SIP message that crosses the carrier, in order, kept for those who want to look."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace

from vobiz_kit.lab.sip.transport import Address, Direction
from vobiz_kit.wire import WireMessage, mask_secrets

CAPACITY = 20_000
REMEMBERED_CALLS = 5_000
_OUTSIDE_CALLS = ("REGISTER", "OPTIONS")


class Trace:
    """A bounded record of the wire.

    Args:
        local: The carrier's address.
        party_at: Names whoever is at an address, "" if unknown; asked for messages whose call
            has not been assigned (yet).
        capacity: Messages kept; the oldest go first.
    """

    def __init__(
        self, local: Address, party_at: Callable[[Address], str], capacity: int = CAPACITY
    ) -> None:
        self._local = f"{local[0]}:{local[1]}"
        self._party_at = party_at
        self._messages: deque[WireMessage] = deque(maxlen=capacity)
        self._seq = 0
        self._calls: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._news = asyncio.Event()

    @property
    def last_seq(self) -> int:
        """The number of the newest message, 0 if there is none."""
        return self._seq

    def record(self, time: float, direction: Direction, text: str, remote: Address) -> None:
        """Keep one message (the transport calls this)."""
        self._seq += 1
        message = WireMessage(
            seq=self._seq,
            time=time,
            direction=direction,
            party="",
            local=self._local,
            remote=f"{remote[0]}:{remote[1]}",
            call_id="",
            bridge="",
            text=mask_secrets(text),
        )
        call_id = message.header("Call-ID") or message.header("i")
        party, bridge = self._calls.get(call_id, ("", call_id))
        if message.method in _OUTSIDE_CALLS:
            bridge = ""
        party = party or self._party_at(remote) or "unknown"
        self._messages.append(replace(message, call_id=call_id, party=party, bridge=bridge))
        self._news.set()

    def assign(self, call_id: str, party: str, bridge: str) -> None:
        """Say to which party and which call a Call-ID belongs, for past messages and new ones.

        Until then a Call-ID is its own bridge, which is right for LiveKit's legs: their Call-ID is
        what names the call.
        """
        self._calls[call_id] = (party, bridge)
        while len(self._calls) > REMEMBERED_CALLS:
            self._calls.popitem(last=False)
        # A call is assigned while its INVITE is handled, so its messages are the newest ones.
        for i in range(len(self._messages) - 1, max(-1, len(self._messages) - 200), -1):
            message = self._messages[i]
            if message.call_id == call_id:
                self._messages[i] = replace(message, party=party, bridge=bridge)

    def select(
        self, *, since: int = 0, bridge: str | None = None, call_id: str | None = None
    ) -> list[WireMessage]:
        """The messages after that number, of one call or one leg if asked.

        Args:
            since: Only messages with a greater `seq`.
            bridge: Only this call's; None means all, "" means those outside calls.
            call_id: Only this leg's.
        """
        found: list[WireMessage] = []
        for message in reversed(self._messages):
            if message.seq <= since:
                break
            if (bridge is None or message.bridge == bridge) and (
                call_id is None or message.call_id == call_id
            ):
                found.append(message)
        found.reverse()
        return found

    async def wait(
        self,
        seconds: float,
        *,
        since: int = 0,
        bridge: str | None = None,
        call_id: str | None = None,
    ) -> list[WireMessage]:
        """Like `select`, but wait up to so many seconds until there is at least one."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            self._news.clear()
            found = self.select(since=since, bridge=bridge, call_id=call_id)
            left = deadline - loop.time()
            if found or left <= 0:
                return found
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                return []
