"""The speech server's process: its web application, started and ended with its models."""

from __future__ import annotations

import asyncio
import logging
import signal
from importlib.metadata import version
from pathlib import Path

from aiohttp import web

from vobiz_kit.lab.speech import voice_activity
from vobiz_kit.lab.speech.faults import Faults
from vobiz_kit.lab.speech.listen_api import ListenApi
from vobiz_kit.lab.speech.openai_api import MODELS, OpenAiApi
from vobiz_kit.lab.speech.recogniser import Recogniser
from vobiz_kit.lab.speech.voice import Voice
from vobiz_kit.lab.state import LOOPBACK, LabConfig

log = logging.getLogger(__name__)

# A recording of ten minutes at 16 kHz, and a long conversation, are smaller.
_LARGEST_REQUEST = 24 * 2**20


class SpeechServer:
    """Serves a lab's speech on loopback. `start` returns at once ready; end it with `aclose`.

    Args:
        config: The lab's: ports and keys.
    """

    def __init__(self, config: LabConfig) -> None:
        self._config = config
        self._recogniser = Recogniser()
        self._voice = Voice(f"http://{LOOPBACK}:{config.voice_port}")
        self._healthy = False
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen, and load the models; ``/health`` says 503 until they are there."""
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        activity_model = voice_activity.load_model()
        faults = Faults()
        key = self._config.deepgram_api_key
        listen = ListenApi(key, self._recogniser, activity_model, faults)
        openai = OpenAiApi(self._config.openai_api_key, self._voice, faults)
        app.add_routes([web.get("/health", self._health), *faults.routes()])
        app.add_routes([*listen.routes(), *openai.routes()])
        # Handlers are cancelled when their client has gone: nobody waits for those words.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._config.speech_port).start()
        await self._recogniser.start()
        self._healthy = True
        log.info("ready on %s:%d", LOOPBACK, self._config.speech_port)

    async def aclose(self) -> None:
        """Hang up on everybody and let go of the models."""
        self._healthy = False
        if self._runner:
            await self._runner.cleanup()
        await self._voice.aclose()
        await self._recogniser.aclose()

    async def _health(self, request: web.Request) -> web.Response:
        about = {"healthy": self._healthy, "version": version("vobiz-kit"), "models": MODELS}
        return web.json_response(about, status=200 if self._healthy else 503)


async def serve(home: Path) -> None:
    """Run the server of the lab in that folder until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = SpeechServer(LabConfig.read(home))
    try:
        await server.start()
        await stop.wait()
    finally:
        await server.aclose()
