"""How the carrier treats REFERs to a number when it is told to misbehave, for tests of transfers.

Carriers refuse a REFER, accept it and never report, or do not answer at all. A script acts that out
for one target number, on the wire; other transfers go on as usual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vobiz_kit.lab.sip.refer import IncomingRefer

_BETWEEN_NOTIFIES_S = 0.1


@dataclass(frozen=True)
class ReferScript:
    """What the carrier does with a REFER.

    Attributes:
        answer: The status with which the REFER is answered; None for no answer at all.
        notify: The statuses that are reported after a 202, in order; may be none.
    """

    answer: int | None = 202
    notify: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ReferScript:
        """Read ``{"answer": 405}`` or ``{"answer": 202, "notify": [100, 486]}``.

        Raises:
            ValueError: it is no such script.
        """
        answer, notify = data.get("answer", 202), data.get("notify", [])
        statuses = [*([] if answer is None else [answer]), *notify]
        if set(data) - {"answer", "notify"} or not all(map(_is_status, statuses)):
            raise ValueError('a script is {"answer": 202 to 699 or null, "notify": [statuses]}')
        if notify and answer != 202:
            raise ValueError("only a REFER that is accepted with 202 is reported on")
        return cls(answer, tuple(notify))

    async def play(self, refer: IncomingRefer) -> None:
        """Do it."""
        if self.answer is None:
            return
        if self.answer != 202:
            refer.reject(self.answer)
            return
        refer.accept(report=False)
        for status in self.notify:
            await asyncio.sleep(_BETWEEN_NOTIFIES_S)
            refer.notify(status)


def _is_status(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 699
