"""What only a lab's carrier has: its trace, its calls, its knobs. Loopback only, no account."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from aiohttp import web

from vobiz_kit.lab.carrier.bridge import Bridge
from vobiz_kit.lab.carrier.carrier import Carrier
from vobiz_kit.lab.carrier.number_plan import Behaviour, Refusal, normalise
from vobiz_kit.lab.carrier.refer_script import ReferScript

LONGEST_WAIT = 60.0
_SETTABLE = [b.value for b in Behaviour if b is not Behaviour.TRUNK]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LabApi:
    """The ``/lab`` routes and ``/health``.

    Args:
        carrier: The carrier to look at and to play with.
    """

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/health", self._health),
            web.get("/lab/trace", self._trace),
            web.get("/lab/calls", self._calls),
            web.get("/lab/phones", self._phones),
            web.post("/lab/reset", self._reset),
            web.get("/lab/limits", self._limits),
            web.put("/lab/limits", self._set_limits),
            web.get("/lab/numbers", self._numbers),
            web.put("/lab/numbers/{number}", self._set_number),
            web.delete("/lab/numbers/{number}", self._heal_number),
            web.put("/lab/refer/{number}", self._script_refer),
            web.delete("/lab/refer/{number}", self._heal_refer),
            web.get("/lab/voicemail", self._voicemail),
            web.get("/lab/voicemail/{index}.wav", self._message),
        ]

    async def _health(self, request: web.Request) -> web.Response:
        host, port = self._carrier.endpoint.address
        return web.json_response(
            {
                "healthy": True,
                "version": version("vobiz-kit"),
                "sip": f"{host}:{port}",
                "domain": self._carrier.config.sip_domain,
                "calls": len(self._carrier.exchange.bridges),
            }
        )

    async def _trace(self, request: web.Request) -> web.Response:
        query, trace = request.query, self._carrier.trace
        try:
            since, wait = int(query.get("since", "0")), float(query.get("wait", "0"))
        except ValueError as error:
            raise _bad("since is a whole number, wait a number of seconds") from error
        last = trace.last_seq
        found = await trace.wait(
            min(max(wait, 0.0), LONGEST_WAIT),
            since=since,
            bridge=query.get("bridge"),
            call_id=query.get("call_id"),
        )
        # Messages of other calls need not be looked at again.
        following = max([since, last, *(m.seq for m in found[-1:])])
        return web.json_response({"messages": [m.to_json() for m in found], "next": following})

    async def _calls(self, request: web.Request) -> web.Response:
        return web.json_response({"bridges": [_show(b) for b in self._carrier.exchange.bridges]})

    async def _phones(self, request: web.Request) -> web.Response:
        phones = [
            {
                "number": b.number,
                "party": b.number,
                "contact": b.contact,
                "user_agent": b.user_agent,
            }
            for b in self._carrier.registrar.bindings
        ]
        return web.json_response({"phones": phones})

    async def _reset(self, request: web.Request) -> web.Response:
        shown = [_show(b) for b in self._carrier.exchange.bridges]
        self._carrier.exchange.reset()
        return web.json_response({"ended": shown})

    async def _limits(self, request: web.Request) -> web.Response:
        limits = self._carrier.limits
        return web.json_response(
            {
                "cps": limits.cps,
                "concurrent": limits.concurrent,
                "ring_seconds": self._carrier.exchange.context.ring_seconds,
            }
        )

    async def _set_limits(self, request: web.Request) -> web.Response:
        wanted = await _json(request)
        unknown = set(wanted) - {"cps", "concurrent", "ring_seconds"}
        wrong = [v for v in wanted.values() if not isinstance(v, int | float) or v < 0]
        if unknown or wrong:
            raise _bad('limits are {"cps": n, "concurrent": n, "ring_seconds": s}, none below 0')
        limits = self._carrier.limits
        limits.cps = int(wanted.get("cps", limits.cps))
        limits.concurrent = int(wanted.get("concurrent", limits.concurrent))
        context = self._carrier.exchange.context
        context.ring_seconds = float(wanted.get("ring_seconds", context.ring_seconds))
        return await self._limits(request)

    async def _numbers(self, request: web.Request) -> web.Response:
        return web.json_response({"numbers": self._carrier.plan.table()})

    async def _set_number(self, request: web.Request) -> web.Response:
        number = self._number(request)
        behaviour = (await _json(request)).get("behaviour")
        if behaviour not in _SETTABLE:
            raise _bad(f"behaviour is one of {', '.join(_SETTABLE)}; not {behaviour!r}")
        self._carrier.plan.override(number, Behaviour(behaviour))
        return web.json_response({"number": number, "behaviour": behaviour})

    async def _heal_number(self, request: web.Request) -> web.Response:
        number = self._number(request)
        healed = self._carrier.plan.heal(number)
        behaviour = self._carrier.plan.behaviour(number).value
        return web.json_response({"number": number, "behaviour": behaviour, "healed": healed})

    async def _script_refer(self, request: web.Request) -> web.Response:
        number = self._number(request)
        try:
            script = ReferScript.from_json(await _json(request))
        except (ValueError, TypeError) as error:
            raise _bad(str(error)) from error
        self._carrier.exchange.context.refer_scripts[number] = script
        return web.json_response({"number": number, **asdict(script)})

    async def _heal_refer(self, request: web.Request) -> web.Response:
        number = self._number(request)
        script = self._carrier.exchange.context.refer_scripts.pop(number, None)
        return web.json_response({"number": number, "healed": script is not None})

    def _number(self, request: web.Request) -> str:
        number = normalise(request.match_info["number"])
        if isinstance(number, Refusal):
            raise _bad(f"{request.match_info['number']!r}: {number.reason}")
        return number

    async def _voicemail(self, request: web.Request) -> web.Response:
        messages = [
            {
                "number": m.number,
                "caller": m.caller,
                "time": m.time,
                "seconds": round(len(m.pcm) / 16000, 2),
                "wav": f"/lab/voicemail/{i}.wav",
            }
            for i, m in enumerate(self._carrier.equipment.messages)
        ]
        return web.json_response({"messages": messages})

    async def _message(self, request: web.Request) -> web.Response:
        messages, index = self._carrier.equipment.messages, request.match_info["index"]
        if not index.isdigit() or int(index) >= len(messages):
            raise web.HTTPNotFound(text=json.dumps({"error": "no such message"}))
        file = io.BytesIO()
        with wave.open(file, "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(2)
            wav.setframerate(8000)
            wav.writeframes(bytes(messages[int(index)].pcm))
        return web.Response(body=file.getvalue(), content_type="audio/wav")


def _show(bridge: Bridge) -> dict[str, Any]:
    return {
        "bridge": bridge.id,
        "direction": bridge.direction,
        "transferring": bridge.transfer is not None,
        "legs": [
            {
                "party": p.name,
                "number": p.number,
                "role": p.role.value,
                "call_id": p.leg.call_id,
                "state": "ended" if p.leg.ended else "up" if p.leg.is_up else "ringing",
                "talks_to": (peer.name if (peer := bridge.peer(p)) is not None else ""),
                "started": p.leg.started,
                "answered": p.leg.answered_at or None,
                "packets_in": p.rtp.received.packets if p.rtp is not None else 0,
                "packets_out": p.rtp.packets_sent if p.rtp is not None else 0,
            }
            for p in bridge.parties
        ],
    }


def _bad(message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": message}), content_type="application/json")


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise _bad("the body is JSON") from error
    if not isinstance(body, dict):
        raise _bad("the body is a JSON object")
    return body
