"""``make test-matrix``: every failure of a transfer, inbound and outbound, by tool and by button.

Each of them has to end with the caller bridged, or talking with the agent, heard by the recogniser
in both directions. It runs on the real stack in a lab of its own, some calls at a time, prints a
table, writes docs/transfer-matrix.md, and fails if any caller was lost. About 15 minutes on two
cores; ``--only busy`` runs the rows with that word.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_page import machine
from matrix_cases import FAILURES, Failure

from vobiz_kit.errors import NumberRefused, VobizKitError
from vobiz_kit.lab.carrier_client import CarrierClient
from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.progress import Progress
from vobiz_kit.lab.state import DID
from vobiz_kit.settings import Settings

if TYPE_CHECKING:
    from livekit.agents import JobContext

    from vobiz_kit.calls import Call
    from vobiz_kit.lab.handsets.client import Handset
    from vobiz_kit.serving import ServedAgent

PAGE = Path(__file__).parents[1] / "docs" / "transfer-matrix.md"
DIRECTIONS, WAYS = ("inbound", "outbound"), ("tool", "button")
AT_ONCE = 3
RING_SECONDS = 7.0
_OUTCOME_WITHIN_S = 45.0


@dataclass
class Result:
    """How one call of the matrix ended: where the caller was then, or what went wrong."""

    end: str
    well: bool


class Matrix:
    """The calls of the matrix, on one lab with one agent.

    Args:
        lab: The lab, up.
        settings: Its settings.
    """

    def __init__(self, lab: Lab, settings: Settings) -> None:
        self._lab = lab
        self._settings = settings
        self._directories: dict[str, Any] = {}  # by the phone's number
        self.agent: ServedAgent

    async def entrypoint(self, ctx: JobContext) -> None:
        """The kit's agent, with the directory that belongs to the phone of this call."""
        from vobiz_kit.agent import GREETING, PhoneAgent, dial, parse_job, start_session
        from vobiz_kit.tools import TransferTools
        from vobiz_kit.transfers import phone_in

        await ctx.connect()
        job = parse_job(ctx)
        number = job.phone_number
        if number is None:
            caller = phone_in(ctx.room) or await ctx.wait_for_participant()
            number = caller.attributes["sip.phoneNumber"]
        tools = TransferTools(ctx, self._settings, directory=self._directories[number]).flatten()
        agent = PhoneAgent(GREETING, tools=tools)
        await start_session(ctx, agent, self._settings)
        if job.phone_number is not None:
            await dial(ctx, self._settings, number)
        await agent.greet()

    async def run(self, failure: Failure, index: int, direction: str, way: str) -> Result:
        """Place one call, have the transfer fail, and see where the caller ends up."""
        from vobiz_kit.directory import Directory

        variant = DIRECTIONS.index(direction) * 2 + WAYS.index(way)
        own = own_number(index, variant if failure.script is None else 0)
        phone = self._lab.phone(f"+1555002{index:02d}{variant:02d}")
        billing = failure.numbers.format(own=own) or own
        directory = Directory({"billing": billing}, ringing_s={"billing": failure.ringing_s})
        self._directories[phone.number] = directory
        target = self._lab.phone(own) if failure.bridged else None
        if target is not None:
            await target.behave(answer_after=failure.answers_after, says="", silence=None)
        try:
            call = await self._connect(phone, direction)
            if way == "tool":
                await phone.says(failure.said)
            else:
                await _press(
                    call, "marketing" if "marketing" in failure.said else "billing", directory
                )
            if target is not None:
                await self._bridged(call, phone, target)
                return Result("bridged", True)
            await self._with_agent(call, phone, failure, way)
            return Result(f"with the agent: {failure.outcome}", True)
        except VobizKitError as error:
            return Result(f"LOST: {error}", False)
        finally:
            await phone.hang_up()

    async def _connect(self, phone: Handset, direction: str) -> Call:
        from vobiz_kit.calls import place_call

        if direction == "inbound":
            await phone.dial(self._settings.vobiz_outbound_number, within=30)
            call = next(c for c in self.agent.calls if c.phone_number == phone.number)
        else:
            await phone.behave(answer_after=0.2, says="")
            call = await place_call(phone.number, self._settings)
        await call.wait_for("active", within=30)
        await phone.hears("how can I help you", within=30)
        return call

    async def _with_agent(self, call: Call, phone: Handset, failure: Failure, way: str) -> None:
        await _concluded(call, failure.outcome)
        if way == "tool":
            words = "I can connect you to" if failure.outcome == "refused_by_policy" else ""
            if failure.numbers == DID:
                words = "I cannot connect you"
            await phone.hears(words or "I could not connect you to billing", within=30)
        await phone.says("What are your opening hours?")
        await call.wait_until_said("opening hours", "caller", within=30)
        await phone.hears(within=30)
        if call.status != "active":
            raise VobizKitError(f"The call is {call.status}.", evidence=str(call.explain()))

    async def _bridged(self, call: Call, phone: Handset, target: Handset) -> None:
        await target.wait_until("talking", within=40)
        await _status(call, "transferred")
        await phone.says("Good morning, my invoice is wrong")
        await target.hears("my invoice is wrong", within=30)
        await target.says("Let me look at your account")
        await phone.hears("let me look at your account", within=30)


def own_number(index: int, variant: int) -> str:
    """The number that a row's target has, in the lab's number plan."""
    return f"+1555007{index:02d}{variant:02d}"


async def _press(call: Call, destination: str, directory: Any) -> None:
    """What a person does with the panel's button; a refusal is shown there."""
    try:
        await call.transfer(destination, directory=directory)
    except NumberRefused as refusal:
        from vobiz_kit.outcomes import TransferOutcome, refused

        call.concluded(refused(refusal, destination, TransferOutcome), time.time())


async def _concluded(call: Call, outcome: str) -> None:
    deadline = time.monotonic() + _OUTCOME_WITHIN_S
    while call.outcome is None or call.outcome.name != outcome:
        if call.over or time.monotonic() > deadline:
            raise VobizKitError(
                f"The outcome is not {outcome!r}.", evidence=f"{call.status}: {call.outcome}"
            )
        await asyncio.sleep(0.05)


async def _status(call: Call, status: str) -> None:
    deadline = time.monotonic() + _OUTCOME_WITHIN_S
    while call.status != status:
        if time.monotonic() > deadline:
            raise VobizKitError(f"The call did not become {status}.", evidence=repr(call))
        await asyncio.sleep(0.05)


async def run_all(lab: Lab, failures: list[tuple[int, Failure]], progress: Progress) -> Table:
    """Every call of the matrix, `AT_ONCE` at a time."""
    from vobiz_kit.serving import serve
    from vobiz_kit.trunks import apply_trunks

    settings = Settings.load()
    await apply_trunks(settings)
    matrix = Matrix(lab, settings)
    matrix.agent = await serve(matrix.entrypoint, settings)
    carrier = CarrierClient(lab.config)
    carrier.set_limits(cps=100, concurrent=100, ring_seconds=RING_SECONDS)
    places, results = asyncio.Semaphore(AT_ONCE), {}

    async def one(index: int, failure: Failure, direction: str, way: str) -> None:
        async with places:
            result = await matrix.run(failure, index, direction, way)
        results[index, direction, way] = result
        sign = "✓" if result.well else "✗"
        progress.line(f"{len(results):4} {sign} {failure.what}, {direction}, {way}: {result.end}")

    with ExitStack() as scripts:
        for index, failure in failures:
            if failure.script is not None:
                number = own_number(index, 0)
                scripts.enter_context(carrier.refer_script(number, **failure.script))
        await asyncio.gather(
            *(one(i, f, d, w) for (i, f), d, w in product(failures, DIRECTIONS, WAYS))
        )
    await matrix.agent.aclose()
    return results


Table = dict[tuple[int, str, str], Result]


def page(failures: list[tuple[int, Failure]], results: Table) -> str:
    """The page with the whole matrix."""
    columns = [*product(DIRECTIONS, WAYS)]
    well = sum(result.well for result in results.values())
    lines = [
        "# What becomes of the caller when a transfer fails",
        "",
        "Made by `make test-matrix`: each cell is one real call on the lab's stack, in which both",
        "directions of speech were heard by the recogniser after the transfer had failed.",
        "",
        f"{well} of {len(results)} callers were with somebody in the end. Measured on"
        f" {date.today().isoformat()} on {machine()}.",
        "",
        f"| what goes wrong | {' | '.join(f'{d}, {w}' for d, w in columns)} |",
        f"| --- | {' | '.join('---' for _ in columns)} |",
    ]
    for index, failure in failures:
        cells = [results[index, d, w].end.splitlines()[0] for d, w in columns]
        lines.append(f"| {failure.what} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


async def main() -> int:
    """Run the matrix, print it and write it down; 1 if a caller was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="run the rows that have these words")
    arguments = parser.parse_args()
    failures = [(i, f) for i, f in enumerate(FAILURES) if arguments.only in f.what]
    lab, progress = Lab(f"matrix-{os.getpid()}", owner_pid=os.getpid()), Progress()
    os.environ["VOBIZ_KIT_LAB"] = lab.name
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # the agent writes its log into the working directory
        await lab.up(progress=True)
        try:
            results = await run_all(lab, failures, progress)
        finally:
            await lab.down()
    text = page(failures, results)
    print(text)
    if not arguments.only:
        PAGE.write_text(text)
    return 0 if all(result.well for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
