"""``python -m vobiz_kit.lab.carrier --home DIR``: the carrier of the lab in that folder."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from vobiz_kit.lab.carrier.carrier import Carrier
from vobiz_kit.lab.carrier.http_api import serve
from vobiz_kit.lab.state import LOOPBACK, LabConfig

log = logging.getLogger("vobiz_kit.lab.carrier")


async def run(config: LabConfig) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    carrier = Carrier(config)
    await carrier.start()
    try:
        runner = await serve(carrier, LOOPBACK, config.carrier_http_port)
        log.info("carrier at sip:%s:%d, domain %s", *carrier.endpoint.address, config.sip_domain)
        await stop.wait()
    finally:
        await carrier.aclose()
    await runner.cleanup()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m vobiz_kit.lab.carrier", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the lab's folder")
    arguments = parser.parse_args()
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    # It warns of every datagram whose length is wrong, which anybody can send as often as he likes.
    logging.getLogger("aiosipua").setLevel(logging.ERROR)
    asyncio.run(run(LabConfig.read(arguments.home)))


if __name__ == "__main__":
    main()
