"""Break the lab's ears, mind or voice for a while, to see what becomes of a caller.

async with speech_fault(lab.config, chat="hang"):
    await caller.hears("one moment", within=10)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx

from vobiz_kit.lab.state import LOOPBACK, LabConfig

if TYPE_CHECKING:
    from vobiz_kit.lab.speech.faults import Fault


@asynccontextmanager
async def speech_fault(
    config: LabConfig,
    *,
    chat: Fault | None = None,
    speech: Fault | None = None,
    listen: Fault | None = None,
) -> AsyncIterator[None]:
    """Services of the speech server are broken inside the block, and all are whole after it.

    Args:
        config: The lab's.
        chat: What is wrong with the model (OpenAI's chat completions): "refuse" (the connection is
            cut), "hang" (no answer), "error500" or "unauthorized".
        speech: The same for the voice (OpenAI's speech).
        listen: The same for the agents' ears (Deepgram, live). Streams are cut when it begins. The
            phones go on hearing.
    """
    url = f"http://{LOOPBACK}:{config.speech_port}/lab/faults"
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            wanted = {"chat": chat, "speech": speech, "listen": listen}
            (await client.post(url, json=wanted)).raise_for_status()
            yield
        finally:
            (await client.delete(url)).raise_for_status()
