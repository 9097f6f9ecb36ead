"""``vobiz-kit worker``, ``call`` and ``transfer`` on the real stack, as a person would run them."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.state import LOOPBACK

pytestmark = pytest.mark.lab

WITHIN = 60.0  # seconds; everything here takes two on a quiet machine


@pytest.fixture(autouse=True)
async def calls_end(lab: Lab) -> AsyncIterator[None]:
    """A transferred call goes on without LiveKit, and would keep its phones busy."""
    yield
    url = f"http://{LOOPBACK}:{lab.config.carrier_http_port}/lab/reset"
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.post(url)).raise_for_status()


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[Process]:
    """A running ``vobiz-kit``, which is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vobiz_kit.cli", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def read_until(process: Process, words: str) -> list[str]:
    """Its lines up to the first that has these words."""
    assert process.stdout
    lines: list[str] = []
    async with asyncio.timeout(WITHIN):
        async for raw in process.stdout:
            lines.append(raw.decode().rstrip())
            if words in lines[-1]:
                return lines
    raise AssertionError(f"it ended without {words!r}:\n" + "\n".join(lines))


async def run(*arguments: str) -> tuple[int | None, str]:
    """Exit code and everything printed."""
    async with command(*arguments) as process, asyncio.timeout(WITHIN):
        out, _ = await process.communicate()
        return process.returncode, out.decode()


async def test_a_call_from_the_terminal_is_transferred() -> None:
    code, out = await run("trunks", "apply")
    assert code == 0 and "vobiz-outbound" in out
    async with command("worker") as worker:
        await read_until(worker, "waits for calls")
        async with command("call", "+15550001234") as call:
            lines = await read_until(call, "answered")
            room = lines[0]

            code, out = await run("transfer", room, "nobody")
            assert code == 1 and "'nobody'" in out and "billing" in out

            code, out = await run("transfer", room, "billing")
            assert code == 0 and "+15550002222" in out, out
            await asyncio.wait_for(call.wait(), WITHIN)
            assert call.returncode == 0

        code, out = await run("transfer", room, "billing")
        assert code == 1 and "no call in a room" in out

        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), WITHIN) == 130
    code, out = await run("reset")
    assert code == 0 and "removed" in out


async def test_ctrl_c_hangs_up_and_a_busy_phone_is_a_failure() -> None:
    assert (await run("trunks", "apply"))[0] == 0
    async with command("worker") as worker:
        await read_until(worker, "waits for calls")
        code, out = await run("call", "+15550004486")
        assert code == 1 and "busy" in out and "486" in out, out
        async with command("call", "+15550001234") as call:
            await read_until(call, "answered")
            call.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(call.wait(), WITHIN) == 130
        await read_until(worker, "the agent's job is over")
