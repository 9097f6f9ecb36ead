"""Break one of the speech server's services, as it breaks in life: ``/lab/faults``."""

from __future__ import annotations

import asyncio
import json
from typing import Literal, get_args

from aiohttp import web

Service = Literal["chat", "speech", "listen"]
Fault = Literal["refuse", "hang", "error500", "unauthorized"]

SERVICES: tuple[Service, ...] = get_args(Service)
FAULTS: tuple[Fault, ...] = get_args(Fault)


class Faults:
    """Which service is broken, and how. Live streams of a service end when it breaks."""

    def __init__(self) -> None:
        self._broken: dict[str, Fault] = {}
        self._changed = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        return [
            web.get("/lab/faults", self._show),
            web.post("/lab/faults", self._set),
            web.delete("/lab/faults", self._reset),
        ]

    async def strike(self, service: Service, request: web.Request) -> web.Response | None:
        """What a broken service does to a request; None if it is not broken.

        Args:
            service: Whose request it is.
            request: Its connection is cut, or kept waiting until the client or the fault goes.
        """
        fault = self._broken.get(service)
        if fault == "refuse":
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)  # which nobody gets
        if fault == "hang":
            await self.mended(service)
            return web.Response(status=503)
        if fault == "error500":
            return web.json_response({"error": {"message": "The lab broke this."}}, status=500)
        if fault == "unauthorized":
            return web.json_response({"error": {"message": "Not with this key."}}, status=401)
        return None

    async def breaks(self, service: Service) -> None:
        """Returns when a service that works is broken."""
        while service not in self._broken:
            await self._changed.wait()

    async def mended(self, service: Service) -> None:
        """Returns when a service is broken no more, or in another way than now."""
        before = self._broken.get(service)
        while before is not None and self._broken.get(service) == before:
            await self._changed.wait()

    def _change(self, broken: dict[str, Fault]) -> None:
        self._broken = broken
        self._changed.set()
        self._changed = asyncio.Event()  # who waits has the one before

    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response({name: self._broken.get(name) for name in SERVICES})

    async def _set(self, request: web.Request) -> web.Response:
        try:
            wanted = json.loads(await request.read())
            unknown = [
                n for n, f in wanted.items() if n not in SERVICES or f not in (None, *FAULTS)
            ]
        except (ValueError, AttributeError):
            unknown = ["the body"]
        if unknown:
            text = f"{unknown} makes no sense: {SERVICES} can be null or one of {FAULTS}"
            return web.json_response({"error": text}, status=400)
        both = {**self._broken, **wanted}
        self._change({name: fault for name, fault in both.items() if fault is not None})
        return await self._show(request)

    async def _reset(self, request: web.Request) -> web.Response:
        self._change({})
        return await self._show(request)
