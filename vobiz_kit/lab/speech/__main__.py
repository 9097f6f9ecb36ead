"""``python -m vobiz_kit.lab.speech --home DIR``: the speech server of the lab in that folder."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path


def main() -> None:
    """Serve until SIGTERM; the log goes to standard output."""
    parser = argparse.ArgumentParser(prog="python -m vobiz_kit.lab.speech", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the lab's folder")
    home = parser.parse_args().home
    # Whisper's weights are on this disk; no library of it shall ask a network for anything.
    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    from vobiz_kit.lab.speech.server import serve  # after the environment is set

    asyncio.run(serve(home))


if __name__ == "__main__":
    main()
