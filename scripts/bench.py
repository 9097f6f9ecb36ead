"""``make bench``: how fast the lab and the kit are on this machine, on loopback, in bounded time.

Prints a table and writes docs/benchmarks.md. It starts a lab of its own, places about fifteen calls
one after the other, and takes about four minutes on two cores. ``--quick`` makes fewer calls and
writes nothing. What is heard is measured in the phone's own recording, sample by sample, not by
when a program was told of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from bench_page import Row, machine, megabytes, page, seconds
from bench_sound import gaps, percentile, spans, tracks

from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.lab_status import LabStatus
from vobiz_kit.settings import Settings

if TYPE_CHECKING:
    from livekit.agents import JobContext

    from vobiz_kit.calls import Call
    from vobiz_kit.lab.handsets.client import Handset
    from vobiz_kit.serving import ServedAgent

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
GREETING = "Hello, this is Bluebird Bikes. How can I help you?"
INSTRUCTIONS = "You answer the telephone.\nWe repair bicycles."
QUESTION, ANSWER = "Do you repair bicycles?", "we repair bicycles"
HEAVY = ("livekit", "ipywidgets", "aiohttp", "httpx", "phonenumbers", "numpy")


def measure_import(runs: int) -> Row:
    """``import vobiz_kit`` over an empty interpreter, and what it pulled in."""

    def run(code: str) -> tuple[float, str]:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return time.perf_counter() - began, done.stdout

    kit = "import vobiz_kit"
    run(kit)  # compiles
    empty, full = zip(*((run("pass")[0], run(kit)[0]) for _ in range(runs)), strict=True)
    over = statistics.median(full) - statistics.median(empty)
    code = f"import sys, {kit.split()[1]}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    pulled = run(code)[1].strip()
    heavy = pulled or f"none of {', '.join(HEAVY)}"
    text = f"{over:.3f} s over an empty interpreter (median of {runs}); pulls in {heavy}"
    return Row(
        "`import vobiz_kit`", text, "under 0.15 s, nothing heavy", over < 0.15 and not pulled
    )


async def measure_start(lab: Lab) -> tuple[list[Row], LabStatus]:
    """From nothing running to everything healthy, and joining what runs."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        status = await lab.up()
        times.append(time.perf_counter() - began)
    cold, warm = times
    return [
        Row("start of the lab, servers built", f"{cold:.1f} s", "under 10 s", cold < 10),
        Row("joining a lab that runs", f"{warm:.2f} s"),
    ], status


def measure_memory(started: LabStatus, used: LabStatus) -> list[Row]:
    """Resident memory of every part of the idle lab, after its start and after all calls."""

    def parts(status: LabStatus) -> dict[str, int]:
        supervisor = psutil.Process(status.supervisor).memory_info().rss
        return {**{part.name: part.memory for part in status.parts}, "supervisor": supervisor}

    before, after = parts(started), parts(used)
    totals = sum(before.values()), sum(after.values())
    rows = [
        Row(f"memory of {name}", f"{megabytes(count)}, {megabytes(after[name])} after the calls")
        for name, count in before.items()
    ]
    text = f"{megabytes(totals[0])}, {megabytes(totals[1])} after the calls"
    holds = max(totals) < 900 * 2**20
    return [*rows, Row("memory of the idle lab in all", text, "under 900 MB", holds)]


async def entrypoint(ctx: JobContext) -> None:
    """The agent that is measured: it greets, answers from its instructions, transfers."""
    from vobiz_kit.agent import PhoneAgent, start_session
    from vobiz_kit.jobs import settings_of
    from vobiz_kit.tools import TransferTools

    settings = settings_of(ctx)
    tools = TransferTools(ctx, settings).flatten()
    agent = PhoneAgent(GREETING, instructions=INSTRUCTIONS, tools=tools)
    await start_session(ctx, agent, settings)
    await agent.greet()


async def ring(caller: Handset, agent: ServedAgent, settings: Settings) -> tuple[Call, float]:
    """Dial the agent; gives the call, and the seconds from INVITE to 200 OK at the phone."""
    status = await caller.dial(settings.vobiz_outbound_number)
    call = await agent.next_call()
    await caller.hears("how can I help you", within=15)
    return call, float(status["call"]["answered_after"])


async def measure_talk(
    caller: Handset, agent: ServedAgent, settings: Settings, calls: int, turns: int
) -> list[Row]:
    """INVITE → greeting heard, and the caller's last word → the agent's first sound."""
    greetings, answers = [], []
    for _ in range(calls):
        _, answered = await ring(caller, agent, settings)
        for _ in range(turns):
            await caller.says(QUESTION)
            await caller.hears(ANSWER, within=15)
        await caller.hang_up()
        await caller.recording("both")
        heard, said = tracks(caller.wav)
        greetings.append(answered + spans(heard)[0][0])
        answers += gaps(heard, said)
    median = percentile(answers, 50)
    return [
        Row("INVITE → greeting heard at the phone", seconds(greetings)),
        Row(
            "caller's last word → agent's first sound at the phone",
            seconds(answers),
            "p50 under 1.5 s",
            median < 1.5,
        ),
    ]


async def job_end(call: Call) -> float:
    """When the agent's job was over, in Unix seconds; waits for it."""
    changed = asyncio.Event()
    unsubscribe = call.subscribe(lambda event: changed.set())
    try:
        while call.job_ended is None:
            await asyncio.wait_for(changed.wait(), 10)
            changed.clear()
    finally:
        unsubscribe()
    return call.job_ended


async def transfer_bare(call: Call, settings: Settings, uri: str) -> float:
    """The same transfer by the bare API call; gives when that was made, in Unix seconds."""
    from livekit import api

    secret = settings.livekit_api_secret.reveal()
    async with api.LiveKitAPI(settings.livekit_url, settings.livekit_api_key, secret) as livekit:
        listed = await livekit.room.list_participants(api.ListParticipantsRequest(room=call.room))
        sip = api.ParticipantInfo.Kind.Value("SIP")
        phone = next(one.identity for one in listed.participants if one.kind == sip)
        began = time.time()
        await livekit.sip.transfer_sip_participant(
            api.TransferSIPParticipantRequest(
                room_name=call.room, participant_identity=phone, transfer_to=uri
            )
        )
    return began


async def measure_transfers(
    lab: Lab, caller: Handset, agent: ServedAgent, settings: Settings, runs: int
) -> list[Row]:
    """API call → REFER on the wire, by the kit and bare; NOTIFY 200 → job over."""
    from vobiz_kit.callflow import callflow
    from vobiz_kit.numbers import transfer_uri

    kit: list[float] = []
    bare: list[float] = []
    job_over: list[float] = []
    uri = transfer_uri(settings.numbers["billing"], settings.vobiz_sip_domain)
    for run in range(2 * runs):
        call, _ = await ring(caller, agent, settings)
        if run % 2:
            began = await transfer_bare(call, settings, uri)
        else:
            began = time.time()
            await call.transfer("billing")
        flow = callflow(call, await asyncio.to_thread(lab.trace, call))
        refer, confirmed = flow["REFER"][0], flow["NOTIFY"][-1]
        (bare if run % 2 else kit).append(refer.time - began)
        if not run % 2:
            job_over.append(await job_end(call) - confirmed.time)
        await caller.hang_up()
    worst = max(job_over)
    return [
        Row("NOTIFY 200 → agent's job over", seconds(job_over), "within 0.1 s", worst < 0.1),
        Row("API call → REFER on the wire, `call.transfer()`", seconds(kit)),
        Row("API call → REFER on the wire, bare API call", seconds(bare)),
    ]


async def measure(quick: bool) -> list[Row]:
    """Everything, on a lab of its own that is gone afterwards."""
    from vobiz_kit.serving import serve
    from vobiz_kit.trunks import apply_trunks

    rows = [measure_import(5 if quick else 15)]
    lab = Lab(f"bench-{os.getpid()}", owner_pid=os.getpid())
    try:
        started, status = await measure_start(lab)
        rows += started
        # Said outright, so that no .env of somebody's account can be meant.
        own = {name.lower(): value for name, value in lab.config.settings().items()}
        settings = Settings.load(None, {}, **own)
        await apply_trunks(settings)
        agent = await serve(entrypoint, settings)
        caller = lab.phone("+15550009999")
        try:
            await ring(caller, agent, settings)  # loads what the first call loads
            await caller.hang_up()
            rows += await measure_talk(caller, agent, settings, *((1, 3) if quick else (4, 6)))
            rows += await measure_transfers(lab, caller, agent, settings, 1 if quick else 5)
        finally:
            await agent.aclose()
        rows += measure_memory(status, await lab.status())
        own_memory = megabytes(psutil.Process().memory_info().rss)
        rows.append(Row("memory of this program: kit, agent, and what it served", own_memory))
    finally:
        await lab.down()
    return rows


def main() -> int:
    """Measure, print, and write the page; 1 if a target was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="few calls, and no page")
    quick = parser.parse_args().quick
    rows = asyncio.run(measure(quick))
    width = max(len(row.what) for row in rows)
    for row in rows:
        what, measured, target = row.cells()
        print(f"{what:{width}}  {measured}{'  [' + target + ']' if target else ''}")
    if not quick:
        PAGE.write_text(page(rows, machine(), date.today()))
        print(f"Written: {PAGE.relative_to(PAGE.parents[1])}")
    return 1 if any(row.holds is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
