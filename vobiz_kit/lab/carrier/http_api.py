"""The carrier's HTTP port: Vobiz's REST API and the lab's own routes, on loopback."""

from __future__ import annotations

from aiohttp import web

from vobiz_kit.lab.carrier.carrier import Carrier
from vobiz_kit.lab.carrier.lab_api import LabApi
from vobiz_kit.lab.carrier.vobiz_api import ApiProblem, VobizApi


async def serve(carrier: Carrier, host: str, port: int) -> web.AppRunner:
    """Serve HTTP for a carrier; ``cleanup()`` of what is returned ends it.

    Args:
        carrier: A started carrier.
        host: Address to bind.
        port: Port to bind.

    Raises:
        OSError: the port is taken.
    """
    app = web.Application()
    app.add_routes(LabApi(carrier).routes())
    app.add_routes(VobizApi(carrier).routes())
    app.router.add_route("*", "/api/{rest:.*}", _nowhere)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


async def _nowhere(request: web.Request) -> web.Response:
    return ApiProblem(
        404, "NOT_FOUND", "No such resource", "Casing counts: /api/v1/Account/{auth_id}/..."
    ).answer()
