"""LiveKit's logs and the kit's go to a file; a notebook shows what matters and links the rest."""

from __future__ import annotations

import logging
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG_FILE = Path("logs") / "agent.log"
_LOGGERS = ("livekit", "vobiz_kit")
_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"
_MOST_BYTES = 5_000_000

_lock = threading.Lock()
_handler: RotatingFileHandler | None = None


def log_to_file(path: Path | None = None) -> Path:
    """Send LiveKit's and the kit's log records to a file instead of the notebook.

    Running it again with the same file changes nothing; with another file it moves there. Ask
    before anything of LiveKit runs: its native part logs to stderr until somebody listens.

    Args:
        path: The file; ``logs/agent.log`` in the working directory if None. It is begun anew at
            5 MB, and one older file is kept.

    Returns:
        The file's absolute path. It is made with the first record.
    """
    global _handler
    wanted = (path or LOG_FILE).absolute()
    with _lock:
        if _handler is not None and Path(_handler.baseFilename) == wanted:
            return wanted
        wanted.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(
            wanted, maxBytes=_MOST_BYTES, backupCount=1, encoding="utf-8", delay=True
        )
        handler.setFormatter(logging.Formatter(_FORMAT, datefmt="%Y-%m-%d %H:%M:%S"))
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            if _handler is not None:
                logger.removeHandler(_handler)
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
            logger.propagate = False
        if _handler is not None:
            _handler.close()
        _handler = handler
    return wanted


def log_folder() -> Path:
    """The folder of the log file in use; of the one that would be used if there is none yet."""
    with _lock:
        file = Path(_handler.baseFilename) if _handler is not None else LOG_FILE.absolute()
    return file.parent
