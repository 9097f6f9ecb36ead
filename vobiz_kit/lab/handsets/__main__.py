"""The handsets' process: ``python -m vobiz_kit.lab.handsets --home DIR`` (DIR holds lab.json)."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from pathlib import Path

from aiohttp import web

from vobiz_kit.lab.handsets.exchange import Exchange
from vobiz_kit.lab.handsets.routes import application
from vobiz_kit.lab.handsets.speech import SpeechClient
from vobiz_kit.lab.state import LOOPBACK, LabConfig

log = logging.getLogger(__name__)

#: Requests that wait for something are given up so many seconds after the order to stop.
_PATIENCE_S = 0.3


async def serve(config: LabConfig, stop: asyncio.Event) -> None:
    """Run every handset of a lab until it is told to stop.

    Raises:
        OSError: a port is taken.
    """
    speech = SpeechClient(config)
    exchange = Exchange(config, speech)
    runner = web.AppRunner(
        application(exchange), access_log=None, shutdown_timeout=_PATIENCE_S, handle_signals=False
    )
    try:
        await exchange.start()
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, config.handsets_http_port).start()
        log.info("handsets are ready on HTTP port %d", config.handsets_http_port)
        await stop.wait()
    finally:
        await exchange.aclose()
        await runner.cleanup()
        await speech.aclose()
    log.info("handsets have ended")


async def main(home: Path) -> None:
    """Serve the lab in that folder until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(LabConfig.read(home), stop)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m vobiz_kit.lab.handsets", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the lab's folder")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # It tells of every registration, which is renewed three times a minute.
    logging.getLogger("aiosipua.registration").setLevel(logging.WARNING)
    asyncio.run(main(parser.parse_args().home))
