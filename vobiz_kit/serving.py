"""Serve an agent in the notebook's kernel: ``agent = await serve(entrypoint, settings)``.

Running the cell again replaces the agent. Calls that arrive are `Call` objects, also those that
came while no cell was looking.
"""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vobiz_kit import rivals
from vobiz_kit.agent_server import ServerThread, check_livekit, make_server, preload
from vobiz_kit.calls import Call
from vobiz_kit.errors import CallError, ServingError
from vobiz_kit.exit_guard import at_process_end
from vobiz_kit.jobs import GOODBYE_WITHIN_S, Entrypoint, end_call, run_job, say_goodbye
from vobiz_kit.kit_log import log_to_file
from vobiz_kit.settings import Settings

if TYPE_CHECKING:
    from livekit.agents import JobContext, JobRequest

_log = logging.getLogger(__name__)

# Seconds for the kernel to join a call's room before the job goes on, and for calls to end.
_WATCHED_WITHIN_S = 1.0
_CALLS_END_WITHIN_S = 10.0
# Seconds after which a call that was offered here has surely gone to another worker.
_OFFER_LASTS_S = 15.0

_serving: dict[tuple[str, str], ServedAgent] = {}


class AnotherAgentWarning(UserWarning):
    """Another process serves the same agent name, so that calls may land there."""


async def serve(entrypoint: Entrypoint, settings: Settings | None = None) -> ServedAgent:
    """Serve an agent from here on, in place of the one that was served before.

    Args:
        entrypoint: ``async def entrypoint(ctx: JobContext)``, called once for each call.
        settings: Where LiveKit is and what the agent is called; loaded if None.

    Returns:
        The agent, registered at LiveKit and waiting for calls.

    Raises:
        ServingError: LiveKit is not there, refused the key, or did not register the agent.
        SettingsError: LiveKit's address or key is missing.
    """
    settings = settings or Settings.load()
    settings.require("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
    serving = ServedAgent(entrypoint, settings)
    await check_livekit(settings)
    preload()
    others = rivals.announce(settings)
    await serving._start()
    before = _serving.get(serving._key)
    _serving[serving._key] = serving
    if before is not None:  # the new one takes calls already, so that none is lost in between
        await before.aclose()
        rivals.announce(settings)
    if others:
        serving.warning = (
            f"Another process on this machine serves {settings.agent_name!r} too, so calls may"
            f" land there: {'; '.join(map(str, others))}. Stop it, or set VOBIZ_KIT_PREFIX."
        )
        warnings.warn(serving.warning, AnotherAgentWarning, stacklevel=2)
    return serving


class ServedAgent:
    """An agent that is served in this process. Made by `serve`.

    Attributes:
        settings: What it is served with.
        log_path: The file that has LiveKit's log.
        calls: Every call that arrived, oldest first.
        warning: What may be wrong, or "".
    """

    def __init__(self, entrypoint: Entrypoint, settings: Settings) -> None:
        self.settings = settings
        self.log_path: Path = log_to_file()
        self.calls: list[Call] = []
        self.warning = ""
        self._entrypoint = entrypoint
        self._key = (settings.livekit_url, settings.agent_name)
        self._kernel = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[Call | None] = asyncio.Queue()
        self._jobs: dict[str, tuple[JobContext, asyncio.AbstractEventLoop]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._thread = ServerThread(
            make_server(settings, self._on_job, self._on_request),
            name=f"agent {settings.agent_name}",
        )

    @property
    def agent_name(self) -> str:
        """The name under which LiveKit knows the agent."""
        return self.settings.agent_name

    async def next_call(self, within: float = 20) -> Call:
        """The next call that arrives, inbound or outbound; calls that nobody asked for wait.

        Args:
            within: Seconds.

        Raises:
            ServingError: none arrived in time; says what to look at.
            Exception: what the agent's code raised in an earlier call, if nobody has seen it yet.
        """
        try:
            return await asyncio.wait_for(self._next(), within)
        except TimeoutError:
            raise ServingError(
                f"No call reached the agent within {within:g} s.",
                evidence=f"{self.agent_name} is registered at {self.settings.livekit_url}",
                fix="Was the right number rung? Do trunk and dispatch rule exist, and does the"
                " rule name this agent (await vk.list_trunks(settings))? " + self.warning,
            ) from None

    async def _next(self) -> Call:
        while True:
            self._raise_unseen()
            if (call := await self._arrived.get()) is not None:
                return call

    async def aclose(self) -> None:
        """Take no more calls. Calls in progress hear a goodbye, and end.

        Raises:
            Exception: what the agent's code raised in a call, if nobody has seen it yet.
        """
        if self._closing is None:
            self._closing = self._kernel.create_task(self._close(), name="close the agent")
        await asyncio.shield(self._closing)
        self._raise_unseen()

    async def __aenter__(self) -> ServedAgent:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _raise_unseen(self) -> None:
        unseen = [call for call in self.calls if call.error is not None and not call.error_seen]
        errors = [call.error for call in unseen if call.error is not None]
        for call in unseen:
            call.error_seen = True
        if errors:
            for other in errors[1:]:
                errors[0].add_note(f"Another call ended with {type(other).__name__}: {other}")
            raise errors[0]

    async def _start(self) -> None:
        try:
            await self._thread.start()
        except ServingError:
            rivals.withdraw(self.settings)
            raise
        at_process_end(_end_at_exit)

    async def _close(self) -> None:
        if _serving.get(self._key) is self:
            del _serving[self._key]
            rivals.withdraw(self.settings)
        draining = asyncio.create_task(self._thread.drain(_CALLS_END_WITHIN_S), name="drain")
        # A copy: jobs end by themselves meanwhile, on their own threads.
        await asyncio.gather(*(self._end_job(*job) for job in [*self._jobs.values()]))
        await draining
        await self._thread.stop()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _end_job(self, ctx: JobContext, loop: asyncio.AbstractEventLoop) -> None:
        try:
            saying = asyncio.run_coroutine_threadsafe(say_goodbye(ctx), loop)
        except RuntimeError:  # the job's loop is closed: it has ended meanwhile
            return
        # Waited for and not awaited: the end of the job's thread cancels what still runs there.
        await asyncio.wait({asyncio.wrap_future(saying)}, timeout=GOODBYE_WITHIN_S + 2)

    # On the server's and the jobs' threads

    async def _on_request(self, request: JobRequest) -> None:
        # LiveKit needs a while (0.2 s measured) from the offer to the job: time to join the room.
        self._tell(self._expect, request.room.name)
        await request.accept()

    async def _on_job(self, ctx: JobContext) -> None:
        loop = asyncio.get_running_loop()
        self._jobs[ctx.job.id] = ctx, loop
        room, began = ctx.job.room.name, time.time()

        async def over() -> None:
            self._jobs.pop(ctx.job.id, None)
            self._tell(self._job_over, room, time.time())

        ctx.add_shutdown_callback(over)
        watched: asyncio.Future[None] = loop.create_future()

        def set_watched() -> None:
            if not watched.done():
                watched.set_result(None)

        def is_watched() -> None:
            loop.call_soon_threadsafe(set_watched)

        if self._tell(self._take_job, room, began, is_watched):
            await asyncio.wait({watched}, timeout=_WATCHED_WITHIN_S)
        try:
            await run_job(ctx, self._entrypoint, self.settings)
        except Exception as error:
            self._tell(self._job_failed, room, error)
            raise

    def _tell(self, function: Callable[..., None], *args: object) -> bool:
        """Have something done on the kernel's loop; whether there still is one."""
        try:
            self._kernel.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is closed: a script has ended
            return False
        return True

    # On the kernel's loop

    def _expect(self, room: str) -> None:
        self._own(self._watch_offer(Call.known(room, self.settings)), f"offer {room}")

    async def _watch_offer(self, call: Call) -> None:
        await self._join(call)
        await asyncio.sleep(_OFFER_LASTS_S)
        if not call.served_here and call.job_started is None and call not in self.calls:
            await call.aclose()

    def _take_job(self, room: str, began: float, is_watched: Callable[[], None]) -> None:
        call = Call.known(room, self.settings)
        call.served_here = True
        self.calls.append(call)
        call.job_began(began)
        self._arrived.put_nowait(call)
        joining = self._own(self._join(call), f"join {room}")
        joining.add_done_callback(lambda _: is_watched())

    async def _join(self, call: Call) -> None:
        try:
            await call.join()
        except CallError as error:  # the call goes on; nobody sees it
            _log.warning("%s", error)

    def _job_over(self, room: str, at: float) -> None:
        Call.known(room, self.settings).job_over(at)

    def _job_failed(self, room: str, error: BaseException) -> None:
        Call.known(room, self.settings).job_failed(error)
        self._arrived.put_nowait(None)  # wake whoever waits for a call

    def _own(self, doing: Any, name: str) -> asyncio.Task[Any]:
        task = self._kernel.create_task(doing, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _state(self) -> str:
        if self._closing is not None:
            return "closed"
        going_on = sum(not call.over for call in self.calls)
        calls = {0: "waiting for calls", 1: "1 call in progress"}
        return calls.get(going_on, f"{going_on} calls in progress")

    def __repr__(self) -> str:
        text = f"Agent {self.agent_name} at {self.settings.livekit_url}: {self._state()}"
        return f"{text}\n! {self.warning}" if self.warning else text

    def _repr_html_(self) -> str:
        here = Path.cwd()
        log = self.log_path.relative_to(here) if self.log_path.is_relative_to(here) else None
        link = f'<a href="{escape(log.as_posix())}">log</a>' if log else escape(str(self.log_path))
        warning = f"<br>! {escape(self.warning)}" if self.warning else ""
        return (
            f"<div>Agent <b>{escape(self.agent_name)}</b> at {escape(self.settings.livekit_url)}: "
            f"{self._state()} ({link}){warning}</div>"
        )


def served_agents() -> list[ServedAgent]:
    """The agents that are served in this process."""
    return [*_serving.values()]


def _end_at_exit() -> None:
    """The process ends without `aclose`: its calls end too, nobody is left alone in silence."""
    for serving in served_agents():
        rivals.withdraw(serving.settings)
        endings = [
            (end_call(ctx, "the process ends"), loop) for ctx, loop in [*serving._jobs.values()]
        ]
        for ending, loop in endings:
            asyncio.run_coroutine_threadsafe(ending, loop).result(GOODBYE_WITHIN_S)
        serving._thread.stop_at_exit()
