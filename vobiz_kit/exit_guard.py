"""Do something when the process ends, while threads may still work.

``atexit`` is too late for that: it comes when all threads that are no daemons have ended, and the
threads of a call's job last as long as the call.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_callbacks: list[Callable[[], None]] = []


def at_process_end(callback: Callable[[], None]) -> None:
    """Have a function called once when the main thread is through. Asking twice changes nothing.

    Args:
        callback: Runs in a thread of its own. Its errors go to the log: nobody else is left.
    """
    with _lock:
        if callback in _callbacks:
            return
        _callbacks.append(callback)
        if len(_callbacks) == 1:
            threading.Thread(target=_wait, name="vobiz-kit exit", daemon=False).start()


def _wait() -> None:
    threading.main_thread().join()
    for callback in _callbacks:
        try:
            callback()
        except Exception:  # noqa: BLE001 - logged; the others still have their turn
            _log.exception("%r failed at the end of the process", callback)
