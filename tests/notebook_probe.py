"""What the notebook guard runs inside the kernel: it writes down every exception nobody handled.

`tests.notebook_guard` loads this file as an IPython startup file, in a kernel of a test run only.
It changes nothing that a notebook can see: each hook notes what passes and hands it on. One line of
JSON a finding goes to the report file, so that nothing is lost when the kernel dies.

A finding has ``kind``, ``cell`` (how many cells had begun by then), ``summary`` (the exception in
one line) and ``trace``. The kinds, and what catches them:

=============  ==================================================================================
group          an ExceptionGroup that IPython printed; it makes no error output for one
callback       an exception shown outside the cell's own code: widget callbacks, ``Output.capture``
thread         `threading.excepthook`
loop           an event loop's exception handler: callbacks, timers, tasks that were collected
task           a finished task or future whose exception nobody asked for, still referenced
future         the same for `concurrent.futures`: executors, ``run_coroutine_threadsafe``
unraisable     `sys.unraisablehook`: ``__del__`` and weakref callbacks
never awaited  a coroutine that was made and dropped
logged         an exception that went to a log, at ERROR or above, and nowhere else
=============  ==================================================================================

``installed`` and ``finished`` mark that the probe was there from the first cell to the last.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import json
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def has_group(error: BaseException | None) -> bool:
    """Whether IPython prints this error natively: it or an error it came from is a group."""
    while error is not None:
        if isinstance(error, BaseExceptionGroup):
            return True
        error = error.__context__
    return False


class Probe:
    """Notes unhandled exceptions of this kernel in a file, one JSON object a line."""

    def __init__(self, report: Path) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._cell = 0
        self._done = False
        self._unread: dict[int, concurrent.futures.Future[Any]] = {}

    def note(self, kind: str, error: BaseException | None = None, summary: str = "") -> None:
        """Write one finding down; with an error, its text and traceback are added."""
        if self._done:  # what breaks while the interpreter goes down is not the notebook's doing
            return
        if error is not None:
            text = "".join(traceback.format_exception_only(error)).strip().split("\n")[0]
            summary = f"{summary}: {text}" if summary else text
        trace = "".join(traceback.format_exception(error)) if error is not None else ""
        line = json.dumps({"kind": kind, "cell": self._cell, "summary": summary, "trace": trace})
        with self._lock, self._report.open("a") as file:
            file.write(line + "\n")

    def install(self, shell: Any) -> None:
        """Hook into this kernel's shell, threads, event loops, futures, warnings and logs."""
        # ipykernel 7.4 reads this name after an error, IPython sets it after the first one that is
        # no group: without it, a group in the very first cell leaves the cell hanging.
        shell._last_traceback = getattr(shell, "_last_traceback", [])
        shell.events.register("pre_run_cell", self._entered)
        shell.showtraceback = self._showing(shell.showtraceback)
        self._watch_threads()
        self._watch_loops()
        self._watch_futures()
        self._watch_warnings()
        self._watch_logs()
        self.note("installed")

    async def finish(self) -> None:
        """Look for what failed without a sound; called once, after the last cell."""
        for _ in range(3):
            await asyncio.sleep(0)  # what is ready to fail fails now
        gc.collect()  # tasks in reference cycles report to their loop as they are collected
        for thing in gc.get_objects():
            # type(), since isinstance() would run the __class__ of proxies
            if issubclass(type(thing), (asyncio.Future, asyncio.Task)) and _unretrieved(thing):
                name = thing.get_name() if isinstance(thing, asyncio.Task) else "a future"
                self.note("task", thing._exception, name)
        for future in list(self._unread.values()):
            self.note("future", future._exception)
        self.note("finished")
        self._done = True

    def _entered(self, info: Any) -> None:
        self._cell += 1

    def _showing(self, show: Callable[..., Any]) -> Callable[..., Any]:
        def showtraceback(exc_tuple: Any = None, *args: Any, **options: Any) -> Any:
            error = (exc_tuple or sys.exc_info())[1]
            if has_group(error):
                self.note("group", error)
            elif not options.get("running_compiled_code"):  # the cell's own code says so
                self.note("callback", error)
            return show(exc_tuple, *args, **options)

        return showtraceback

    def _watch_threads(self) -> None:
        thread_hook, unraisable_hook = threading.excepthook, sys.unraisablehook

        def excepthook(args: threading.ExceptHookArgs) -> None:
            if args.exc_type is not SystemExit:
                self.note("thread", args.exc_value, args.thread.name if args.thread else "")
            thread_hook(args)

        def unraisablehook(args: Any) -> None:
            self.note("unraisable", args.exc_value, f"{args.err_msg or 'in'} {args.object!r}"[:200])
            unraisable_hook(args)

        threading.excepthook = excepthook
        sys.unraisablehook = unraisablehook

    def _watch_loops(self) -> None:
        handle = asyncio.BaseEventLoop.call_exception_handler

        def call_exception_handler(loop: asyncio.BaseEventLoop, context: dict[str, Any]) -> None:
            message = str(context.get("message", ""))
            if context.get("exception") is not None or message.startswith("Task was destroyed"):
                self.note("loop", context.get("exception"), message)
            handle(loop, context)

        asyncio.BaseEventLoop.call_exception_handler = call_exception_handler  # type: ignore[method-assign, assignment]

    def _watch_futures(self) -> None:
        future_class, unread = concurrent.futures.Future, self._unread
        set_exception = future_class.set_exception
        result, exception = future_class.result, future_class.exception

        def noted(self: Any, error: BaseException | None) -> None:
            if error is not None and not isinstance(error, concurrent.futures.CancelledError):
                unread[id(self)] = self  # kept, or a dropped future would take its error along
            set_exception(self, error)

        def read(inner: Callable[..., Any]) -> Callable[..., Any]:
            def reading(self: Any, timeout: float | None = None) -> Any:
                try:
                    return inner(self, timeout)
                finally:
                    if self.done():
                        unread.pop(id(self), None)

            return reading

        future_class.set_exception = noted  # type: ignore[method-assign, assignment]
        future_class.result = read(result)  # type: ignore[method-assign]
        future_class.exception = read(exception)  # type: ignore[method-assign]

    def _watch_warnings(self) -> None:
        show = warnings.showwarning

        def showwarning(message: Any, *args: Any, **options: Any) -> None:
            if "was never awaited" in str(message):
                self.note("never awaited", summary=str(message).split("\n")[0])
            show(message, *args, **options)

        warnings.showwarning = showwarning

    def _watch_logs(self) -> None:
        make = logging.getLogRecordFactory()

        def factory(name: str, level: int, *args: Any, **options: Any) -> logging.LogRecord:
            record = make(name, level, *args, **options)
            error = record.exc_info[1] if record.exc_info else None
            if level >= logging.ERROR and error is not None and name != "asyncio":
                self.note("logged", error, f"{name} ({record.msg})")
            return record

        logging.setLogRecordFactory(factory)


def _unretrieved(future: Any) -> bool:
    if not future.done() or future.cancelled() or not future._log_traceback:
        return False
    # a gather that was cancelled ends with CancelledError, but not as cancelled
    return not isinstance(future._exception, asyncio.CancelledError | None)


probe: Probe | None = None


def install(report: str) -> None:
    """Install the probe into the running kernel's shell; its findings go to that file."""
    global probe
    from IPython import get_ipython

    probe = Probe(Path(report))
    probe.install(get_ipython())


async def finish() -> None:
    """End the watch: see `Probe.finish`."""
    if probe is None:
        raise RuntimeError("the probe was never installed")
    await probe.finish()
