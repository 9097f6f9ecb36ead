"""The HTTP side of the handsets: one JSON object in, one out.

``POST /phones/{e164}`` plugs a phone in; ``POST /phones/{e164}/ACTION`` does something with it
(and plugs it in if need be); ``GET /phones``, ``GET /phones/{e164}``,
``GET /phones/{e164}/recording.wav?side=``, ``POST /reset``, ``GET /health``. What goes wrong
comes back as ``{"error": {"type", "what", "evidence", "fix", ...}}``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from aiohttp import web

from vobiz_kit.errors import CallError, NumberRefused, VobizKitError
from vobiz_kit.lab.handsets.behaviour import BehaviourRefused
from vobiz_kit.lab.handsets.exchange import Exchange
from vobiz_kit.lab.handsets.phone import NotHeard
from vobiz_kit.lab.handsets.speech import SpeechUnavailableError
from vobiz_kit.lab.handsets.telephone import Telephone
from vobiz_kit.numbers import parse_number

log = logging.getLogger(__name__)

#: Nothing is waited for longer than this, in seconds.
LONGEST_WAIT_S = 600.0

#: A text to speak may have so many characters: about a minute.
LONGEST_TEXT = 1000

_EXCHANGE = web.AppKey("exchange", Exchange)

Action = Callable[[Telephone, "Arguments"], Awaitable[dict[str, Any]]]


class BadRequest(VobizKitError):  # noqa: N818 - as HTTP calls it
    """What was asked over HTTP cannot be read."""


class Arguments(dict[str, Any]):
    """The JSON object of a request (or its query), read field by field."""

    def text(self, name: str, default: str = "") -> str:
        """A text field."""
        value = self.get(name, default)
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            raise BadRequest(
                f"“{name}” is a text of at most {LONGEST_TEXT} characters.",
                evidence=f"{name} is a {type(value).__name__}",
            )
        return value

    def seconds(self, name: str, default: float) -> float:
        """A time, from 0 to `LONGEST_WAIT_S`."""
        value = self.get(name, default)
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = -1.0
        if not 0 <= seconds <= LONGEST_WAIT_S:
            raise BadRequest(
                f"“{name}” is a time from 0 to {LONGEST_WAIT_S:g} seconds.",
                evidence=f"{name}={value!r}",
            )
        return seconds

    def one_of(self, name: str, *choices: str) -> str:
        """One of these texts; the first if it is not given."""
        value = self.get(name, choices[0])
        if value not in choices:
            raise BadRequest(
                f"“{name}” is one of {', '.join(choices)}.", evidence=f"{name}={value!r}"
            )
        return str(value)


async def _dial(telephone: Telephone, asked: Arguments) -> dict[str, Any]:
    number = parse_number(asked.text("number"))
    within = asked.seconds("within", 20.0)
    until = asked.one_of("until", "answered", "ringing")
    return await telephone.dial(number, within, "ringing" if until == "ringing" else "answered")


async def _answer(telephone: Telephone, asked: Arguments) -> dict[str, Any]:
    return await telephone.answer(asked.seconds("within", 20.0))


async def _says(telephone: Telephone, asked: Arguments) -> dict[str, Any]:
    text = asked.text("text").strip()
    if not text:
        raise BadRequest("There is nothing to say.", fix='Give {"text": "..."}.')
    return await telephone.says(text)


async def _hears(telephone: Telephone, asked: Arguments) -> dict[str, Any]:
    since = asked.one_of("since", "last", "call")
    return await telephone.hears(asked.text("expect"), asked.seconds("within", 10.0), since)


async def _press(telephone: Telephone, asked: Arguments) -> dict[str, Any]:
    return await telephone.press(asked.text("digits"))


async def _hang_up(telephone: Telephone, asked: Arguments) -> dict[str, Any]:
    telephone.hang_up()
    return telephone.status()


async def _behave(telephone: Telephone, asked: Arguments) -> dict[str, Any]:
    telephone.behaviour = telephone.behaviour.changed(asked)
    return telephone.status()


ACTIONS: dict[str, Action] = {
    "dial": _dial,
    "answer": _answer,
    "says": _says,
    "hears": _hears,
    "press": _press,
    "hang_up": _hang_up,
    "behave": _behave,
}


def application(exchange: Exchange) -> web.Application:
    """The HTTP server's application."""
    app = web.Application(middlewares=[_errors_as_json])
    app[_EXCHANGE] = exchange
    app.add_routes(
        [
            web.get("/health", _health),
            web.get("/phones", _list),
            web.get("/phones/{number}", _status),
            web.post("/phones/{number}", _plug_in),
            web.post("/phones/{number}/{action}", _act),
            web.get("/phones/{number}/recording.wav", _recording),
            web.post("/reset", _reset),
        ]
    )
    return app


async def _health(request: web.Request) -> web.Response:
    telephones = request.app[_EXCHANGE].telephones
    return web.json_response(
        {
            "healthy": True,
            "version": version("vobiz-kit"),
            "phones": len(telephones),
            "calls": sum(telephone.live_calls for telephone in telephones),
        }
    )


async def _list(request: web.Request) -> web.Response:
    exchange = request.app[_EXCHANGE]
    return web.json_response(
        {"phones": [_described(exchange, telephone) for telephone in exchange.telephones]}
    )


async def _status(request: web.Request) -> web.Response:
    exchange = request.app[_EXCHANGE]
    telephone = await _telephone(request)
    asked = Arguments(request.query)
    if "until" in asked:
        state = asked.one_of("until", "talking", "ringing", "ended")
        await telephone.wait_until(state, asked.seconds("within", 20.0))  # type: ignore[arg-type]
    return web.json_response(_described(exchange, telephone))


async def _plug_in(request: web.Request) -> web.Response:
    exchange = request.app[_EXCHANGE]
    telephone = await exchange.plug_in(parse_number(request.match_info["number"]))
    return web.json_response(_described(exchange, telephone))


async def _act(request: web.Request) -> web.Response:
    action = ACTIONS.get(request.match_info["action"])
    if action is None:
        raise BadRequest(
            f"A phone cannot {request.match_info['action']}.", fix=f"It can {', '.join(ACTIONS)}."
        )
    try:
        asked = await request.json() if request.can_read_body else {}
    except json.JSONDecodeError as error:
        raise BadRequest("The body is not JSON.", evidence=str(error)) from error
    if not isinstance(asked, dict):
        raise BadRequest("The body is not a JSON object.")
    telephone = await _telephone(request)
    return web.json_response(await action(telephone, Arguments(asked)))


async def _recording(request: web.Request) -> web.Response:
    telephone = await _telephone(request)
    side = Arguments(request.query).one_of("side", "heard", "said", "both")
    return web.Response(body=telephone.recording(side), content_type="audio/wav")


async def _reset(request: web.Request) -> web.Response:
    return web.json_response(await request.app[_EXCHANGE].reset())


async def _telephone(request: web.Request) -> Telephone:
    exchange = request.app[_EXCHANGE]
    number = parse_number(request.match_info["number"])
    return exchange.known(number) or await exchange.plug_in(number)


def _described(exchange: Exchange, telephone: Telephone) -> dict[str, Any]:
    return telephone.status() | {"registered": exchange.registered(telephone)}


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except VobizKitError as error:
        return web.json_response({"error": _error(error)}, status=_http_status(error))


def _http_status(error: VobizKitError) -> int:
    match error:
        case NumberRefused() | BehaviourRefused() | BadRequest():
            return 422
        case SpeechUnavailableError():
            return 502
    return 409


def _error(error: VobizKitError) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": type(error).__name__,
        "what": error.what,
        "evidence": error.evidence,
        "fix": error.fix,
    }
    if isinstance(error, CallError):
        described["sip_status"] = error.sip_status
    if isinstance(error, NotHeard):
        described["transcript"] = error.transcript
    return described
