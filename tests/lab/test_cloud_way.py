"""The cloud way: notebooks 02 to 04 with cloud-style settings, and a person who follows them.

The settings name a LiveKit, a Vobiz, an OpenAI and a Deepgram by address and key, as a `.env` for
the cloud does; that they belong to a lab which another process started, nothing in the kernel can
know (`VOBIZ_KIT_LAB` names none). What a notebook prints for its reader ("Take your phone and
dial …") is read here, and done on a phone of the lab.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from vobiz_kit.lab.handsets.phone import NotHeard
from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.state import PEOPLE

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
pytestmark = pytest.mark.lab


# What people are asked to do with their phones, and what does it on a phone of the lab.
BEHAVIOURS: dict[str, dict[str, Any]] = {
    "be in another call, so that the line is busy": {"busy": True},
    "hang up the other call": {"busy": False},
    "decline the next call": {"declines": True},
    "answer calls again": {"declines": False},
}


class Person:
    """Somebody in front of the notebook, with a phone in the hand.

    Attributes:
        done: What the notebook asked for and this person did, in order.
        heard: What reached the phones when the notebook said what to listen for.
    """

    def __init__(self, lab: Lab) -> None:
        self._phone = lab.phone("+15550009999")
        self._others = [lab.phone(number) for number in PEOPLE.values()]
        self._asked: asyncio.Queue[str] = asyncio.Queue()
        self.done: list[str] = []
        self.heard: list[str] = []

    def read(self, text: str) -> None:
        """Read what the notebook shows; frames are drawn around what is to be done."""
        for line in text.splitlines():
            if framed := re.fullmatch(r"│\s*(.*?)\s*│", line):
                self._asked.put_nowait(framed[1])

    async def follow(self) -> None:
        """Do what is asked, one thing after the other, until cancelled."""
        while True:
            asked = await self._asked.get()
            await self._do(asked)
            self.done.append(asked)
            self._asked.task_done()

    async def has_done_all(self) -> None:
        """Wait until nothing that was asked is left to do: a person is slower than a kernel."""
        await self._asked.join()

    async def _do(self, asked: str) -> None:
        if number := re.search(r"dial (\+\d+)", asked):
            await self._phone.dial(number[1], within=30)
        elif words := re.fullmatch(r"Say: “(.*)”", asked):
            await self._phone.says(words[1])
        elif words := re.fullmatch(r"Listen for: “(.*)”", asked):
            self.heard.append(await self._hear(words[1]))
        elif "answer it" in asked:
            await self._phone.answer(within=30)
        elif behaviour := re.fullmatch(r"At (\+\d+): (.*)", asked):
            (other,) = (phone for phone in self._others if phone.number == behaviour[1])
            await other.behave(**BEHAVIOURS[behaviour[2]])
        elif "Hang up" in asked:
            await self._phone.hang_up()
        else:
            raise AssertionError(f"the notebook asks for something that nobody can do: {asked}")

    async def _hear(self, words: str) -> str:
        with suppress(NotHeard):
            return await self._phone.hears(words, within=12)
        for other in self._others:  # it was meant for the person at the other end
            with suppress(NotHeard):
                return await other.hears(words, within=2)
        raise AssertionError(f"nobody heard {words!r}")


class ReadingClient(NotebookClient):
    """Runs a notebook and shows what it displays to a person, at once."""

    person: Person

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Show the message's text to the person, then go on as usual."""
        content = msg["content"]
        if msg["msg_type"] in ("display_data", "execute_result"):
            self.person.read(content["data"].get("text/plain", ""))
        elif msg["msg_type"] == "stream":
            self.person.read(content["text"])
        return super().process_message(msg, cell, cell_index)


async def run_as_on_the_cloud(notebook: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Execute a notebook with explicit settings and no lab of its own, a person beside it."""
    for name, value in lab.config.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VOBIZ_KIT_LAB", "none-there-is")
    monkeypatch.setenv("VOBIZ_KIT_MAY_DIAL", "+1555*")
    person = Person(lab)
    client = ReadingClient(
        nbformat.read(notebook, as_version=4),
        timeout=60,
        kernel_name="python3",
        resources={"metadata": {"path": str(notebook.parent)}},
    )
    client.person = person
    running = asyncio.create_task(client.async_execute(env=dict(os.environ)), name=notebook.stem)
    following = asyncio.create_task(person.follow(), name="a person follows the notebook")
    try:
        await asyncio.wait({running, following}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
            done = asyncio.create_task(person.has_done_all(), name="the rest of what was asked")
            await asyncio.wait({done, following}, return_when=asyncio.FIRST_COMPLETED, timeout=40)
            done.cancel()
        if following.done():  # the person could not do what the notebook asked for: say so
            following.result()
    finally:
        for task in (running, following):
            task.cancel()
        await asyncio.wait({running, following})
    return person


@pytest.mark.parametrize(
    ("name", "heard"),
    [
        ("02_inbound_agent", ["help", "bicycles"]),
        ("03_outbound_call", ["ready"]),
        ("04_cold_transfer", ["help", "billing", "invoice", "support"]),
    ],
)
async def test_notebooks_run_with_nothing_but_settings(
    name: str, heard: list[str], lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await run_as_on_the_cloud(NOTEBOOKS / f"{name}.ipynb", lab, monkeypatch)
    everything = " ".join(person.heard).lower()
    assert [word for word in heard if word not in everything] == []
