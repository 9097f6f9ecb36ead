"""What the tests of calls share: settings with trunks, an agent, a phone, the carrier's word."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from vobiz_kit import lab as the_lab
from vobiz_kit.agent import entrypoint
from vobiz_kit.call_rooms import rooms_of
from vobiz_kit.call_state import CallState
from vobiz_kit.lab.handsets.client import Handset
from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.state import LOOPBACK
from vobiz_kit.reset import reset
from vobiz_kit.serving import ServedAgent, serve
from vobiz_kit.settings import Settings
from vobiz_kit.trunks import apply_trunks
from vobiz_kit.wire import WireMessage

CALLER = "+15550009999"
CALLEE = "+15550009998"


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The agent writes its log into the working directory."""
    before = os.getcwd()  # noqa: PTH109 - given back as it was
    os.chdir(tmp_path_factory.mktemp("calls"))
    yield
    os.chdir(before)


@pytest.fixture(scope="module")
async def settings(lab: Lab, own_folder: None) -> AsyncIterator[Settings]:
    """The lab's settings, with trunks and rule in place."""
    async with httpx.AsyncClient(trust_env=False) as client:
        limits = f"http://{LOOPBACK}:{lab.config.carrier_http_port}/lab/limits"
        (await client.put(limits, json={"cps": 20, "concurrent": 20})).raise_for_status()
        settings = Settings.load()
        await apply_trunks(settings)
        yield settings
        await reset(settings)
        assert await rooms_of(settings) == []
        config = lab.config
        (
            await client.put(limits, json={"cps": config.cps, "concurrent": config.concurrent})
        ).raise_for_status()


@pytest.fixture
async def agent(settings: Settings) -> AsyncIterator[ServedAgent]:
    """The kit's ready-made agent; an error of its code fails the test."""
    async with await serve(entrypoint, settings) as agent:
        yield agent


@pytest.fixture
async def caller(settings: Settings) -> AsyncIterator[Handset]:
    """A phone that nobody has used in this test yet."""
    phone = handset(CALLER)
    yield phone
    await phone.hang_up()


@pytest.fixture
async def callee(settings: Settings) -> AsyncIterator[Handset]:
    """Another phone."""
    phone = handset(CALLEE)
    yield phone
    await phone.hang_up()


def handset(number: str) -> Handset:
    """A phone of the lab, plugged in."""
    phone = the_lab.phone(number)
    assert isinstance(phone, Handset)
    return phone


def wire(call: CallState, method: str, status: int | None = None) -> list[WireMessage]:
    """Requests of a call's trace by method, or the responses to them with a status."""
    messages = the_lab.trace(call)
    return [m for m in messages if m.method == method and m.status == status]


def confirmed_at(call: CallState) -> float:
    """When the carrier sent the NOTIFY that confirms the transfer, in Unix seconds."""
    (confirmation,) = (m for m in wire(call, "NOTIFY") if m.body.startswith("SIP/2.0 200"))
    return confirmation.time
