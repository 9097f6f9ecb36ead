"""LiveKit's AgentServer on an event loop of its own, in a thread beside the notebook's kernel.

A call's job runs in a further thread with its own loop (LiveKit's thread executor), so that a cell
that computes for a while disturbs nobody who is on the phone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vobiz_kit.errors import ServingError
from vobiz_kit.livekit_api import open_livekit_api

if TYPE_CHECKING:
    from livekit.agents import AgentServer, JobContext, JobRequest, NotGivenOr

    from vobiz_kit.settings import Settings

_log = logging.getLogger(__name__)

_PRELOAD_MODELS = "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE"
_EXPORTED = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
_REGISTERED_WITHIN_S = 10.0
_CLOSED_WITHIN_S = 20.0


def make_server(
    settings: Settings,
    entrypoint: Callable[[JobContext], Awaitable[None]],
    on_request: Callable[[JobRequest], Awaitable[None]] | None = None,
    *,
    threads: bool = True,
) -> AgentServer:
    """An AgentServer for these settings, not running yet.

    Args:
        settings: Where LiveKit is, and the agent's name.
        entrypoint: Called for each job.
        on_request: Called for each job that is offered; it has to accept it.
        threads: Run jobs as threads of this process, else as processes of their own.
    """
    from livekit.agents import AgentServer, JobExecutorType

    server = AgentServer(
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.reveal(),
        host="127.0.0.1",
        port=0,
        job_executor_type=JobExecutorType.THREAD if threads else JobExecutorType.PROCESS,
        # Idle threads save 4 ms a call (measured) and would keep a kernel from ending.
        num_idle_processes=0 if threads else 1,
        load_fnc=_load if threads else None,
        # With the default, 0.7, a first call would mark the server as full for 2.5 s (measured).
        load_threshold=float("inf"),
        http_proxy=_proxy(settings),
    )
    server.rtc_session(entrypoint, agent_name=settings.agent_name, on_request=on_request)
    return server


async def check_livekit(settings: Settings) -> None:
    """Fail early and clearly: AgentServer itself would retry for minutes, in its log only.

    Raises:
        ServingError: LiveKit is not there, or refused the key.
    """
    import aiohttp
    from livekit.api import ListRoomsRequest, ServerError

    try:
        async with open_livekit_api(settings, within=5) as api:
            await api.room.list_rooms(ListRoomsRequest(names=["-"]))
    except ServerError as error:
        raise ServingError(
            "LiveKit refused the agent.",
            evidence=f"{settings.livekit_url}: {error.message}",
            fix="LIVEKIT_API_KEY and LIVEKIT_API_SECRET have to belong to LIVEKIT_URL's project.",
        ) from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ServingError(
            "LiveKit is not there.",
            evidence=f"{settings.livekit_url}: {error or type(error).__name__}",
            fix="In the lab: await lab.up(). On the cloud: check LIVEKIT_URL and the network.",
        ) from None


def preload() -> None:
    """Load what would make the first caller wait, and nothing that no caller needs.

    LiveKit loads the weights of its own turn detector too, 244 MB (measured) that nobody here
    uses: the transcript says when a turn ends. Call it on the main thread: plugins register there.
    """
    for module in ("livekit.plugins.deepgram", "livekit.plugins.openai", "vobiz_kit.tools"):
        import_module(module)
    before = os.environ.get(_PRELOAD_MODELS)
    os.environ[_PRELOAD_MODELS] = "0"
    try:
        import_module("livekit.agents.ipc._preload")
    finally:
        _restore({_PRELOAD_MODELS: before})
    import_module("livekit.local_inference").init_vad()


def _load(server: AgentServer) -> float:
    """How busy the agent is, by its calls.

    By default it is the machine's CPU, and from 0.7 on LiveKit sends no more calls (read in
    livekit-server's agentservice.go, and measured): while a cell computes, the caller would hear
    ringing, and nobody would say why.
    """
    return min(0.01 * len(server.active_jobs), 0.6)


def _proxy(settings: Settings) -> NotGivenOr[str | None]:
    """None for a server on this machine, which is never asked through HTTP_PROXY."""
    from livekit.agents import NOT_GIVEN

    host = urlsplit(settings.livekit_url).hostname or ""
    return None if host in ("127.0.0.1", "localhost", "::1") else NOT_GIVEN


class ServerThread:
    """Runs one AgentServer; `start` returns when LiveKit has registered it.

    Args:
        server: Made by `make_server`.
        name: The thread's name.
        beside: Runs on the server's loop for as long as that does.
    """

    def __init__(
        self, server: AgentServer, name: str, beside: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        self.server = server
        self._beside = beside
        self.loop: asyncio.AbstractEventLoop | None = None
        self._registered: Future[str] = Future()
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    async def start(self) -> None:
        """Start it, and leave the process's environment as it was.

        Raises:
            ServingError: LiveKit did not register it in time.
        """
        before = {name: os.environ.get(name) for name in _EXPORTED}
        # By then the server has exported its credentials, and reads them no more.
        self.server.on("worker_started", lambda: _restore(before))
        self.server.on("worker_registered", lambda worker_id, _: self._tell(worker_id))
        self._thread.start()
        registered, ended = (asyncio.wrap_future(f) for f in (self._registered, self._ended))
        await asyncio.wait(
            {registered, ended}, timeout=_REGISTERED_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
        )
        if registered.done():
            return
        error = ended.exception() if ended.done() else None
        await self.stop()
        raise ServingError(
            "LiveKit did not register the agent.",
            evidence=repr(error) if error else f"no answer within {_REGISTERED_WITHIN_S:g} s",
            fix="Is LiveKit running, and is LIVEKIT_URL right? logs/agent.log has the details.",
        )

    async def drain(self, within: float) -> None:
        """Take no new calls, and wait for those in progress.

        Args:
            within: Seconds to wait for them.
        """

        async def drain() -> None:
            try:
                await self.server.drain(timeout=max(1, int(within)))
            except TimeoutError:
                _log.warning("calls were still in progress after %g s", within)

        await self._there(drain(), within + 1)

    async def stop(self) -> None:
        """Close the server and end the thread."""
        await self._there(self.server.aclose(), _CLOSED_WITHIN_S)
        await asyncio.to_thread(self._thread.join, _CLOSED_WITHIN_S)

    def stop_at_exit(self) -> None:
        """Close the server and wait for it; for the end of the process, without an event loop."""
        if self.loop is not None and self._thread.is_alive():
            closing = asyncio.run_coroutine_threadsafe(self.server.aclose(), self.loop)
            closing.result(_CLOSED_WITHIN_S)

    async def _there(self, doing: Coroutine[Any, Any, None], within: float) -> None:
        """Run something on the server's loop; whatever becomes of it stands in the log."""
        if self.loop is None or not self._thread.is_alive():
            doing.close()
            return
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(doing, self.loop))
        await asyncio.wait({future}, timeout=within)
        if not future.done():
            _log.error("the agent's server did not finish within %g s", within)
        elif not future.cancelled() and (error := future.exception()) is not None:
            _log.error("the agent's server ended with an error", exc_info=error)

    def _tell(self, worker_id: str) -> None:
        if not self._registered.done():  # LiveKit registers it again when it comes back
            self._registered.set_result(worker_id)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:  # noqa: BLE001 - whoever waits in `start` or `stop` is told
            _log.exception("the agent's server ended with an error")
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        beside = self.loop.create_task(self._beside(), name="beside the agent's server")
        try:
            await self.server.run()
        finally:
            beside.cancel()
            (ended,) = await asyncio.gather(beside, return_exceptions=True)
            if isinstance(ended, Exception):
                _log.error("what ran beside the agent's server failed", exc_info=ended)


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
