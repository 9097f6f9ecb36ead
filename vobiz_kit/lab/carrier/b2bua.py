"""Who may call whom: admission, limits, routing. What comes of it is a `Bridge`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from aiosipua import generate_call_id

from vobiz_kit.lab.carrier.bridge import Bridge
from vobiz_kit.lab.carrier.causes import NORMAL, TOO_MANY_CALLS, Cause
from vobiz_kit.lab.carrier.context import CallContext
from vobiz_kit.lab.carrier.limits import CallLimits
from vobiz_kit.lab.carrier.number_plan import Refusal, normalise
from vobiz_kit.lab.carrier.party import LIVEKIT, Party, Role
from vobiz_kit.lab.carrier.registrar import Registrar
from vobiz_kit.lab.sip.digest import DigestRealm
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.validate import reason_phrase

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """Who a caller proved to be: its E.164 number and its name in the trace."""

    number: str
    name: str

    @property
    def is_livekit(self) -> bool:
        """Whether it came with the trunk's credentials."""
        return self.name == LIVEKIT


class Exchange:
    """Takes INVITEs and makes calls of them.

    Args:
        context: What calls need; its ``spawn`` is this object's.
        registrar: The phones that registered, whose calls need no challenge.
        realm: Checks digest answers, of the trunk and of phones.
        limits: The trunk's limits.
        trunk_username: The trunk's digest username.
    """

    def __init__(
        self,
        context: CallContext,
        registrar: Registrar,
        realm: DigestRealm,
        limits: CallLimits,
        trunk_username: str,
    ) -> None:
        self.context = context
        self.limits = limits
        self._registrar = registrar
        self._realm = realm
        self._trunk_username = trunk_username
        self._bridges: dict[Bridge, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        context.spawn = self.spawn

    @property
    def bridges(self) -> list[Bridge]:
        """The calls in progress, oldest first."""
        return list(self._bridges)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a coroutine in the background; a failure is logged."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())

    async def aclose(self) -> None:
        """End every call and wait for what runs in the background."""
        self.reset()
        for task in self._tasks:
            if not task.get_name().startswith("close"):
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset(self, cause: Cause = NORMAL) -> list[Bridge]:
        """End every call; returns those that were ended."""
        ended = self.bridges
        for bridge in ended:
            bridge.end(cause)
        return ended

    async def watch_media(self) -> None:
        """End calls in which somebody has sent no audio for too long; runs until cancelled."""
        while True:
            await asyncio.sleep(self.context.media_seconds / 4)
            for bridge in self.bridges:
                bridge.end_if_silent(time.time() - self.context.media_seconds)

    def invited(self, leg: IncomingLeg) -> None:
        """A new INVITE (the endpoint calls this)."""
        identity = self._identify(leg)
        if identity is None:
            return
        number = normalise(leg.called)
        caller = Party(identity.name, identity.number, Role.CALLER, leg)
        caller.other_number = number if isinstance(number, str) else leg.called
        refusal = number if isinstance(number, Refusal) else self._over_limit(identity)
        if refusal is None and isinstance(number, str):
            destination = self.context.routing.resolve(number)
            if not isinstance(destination, Refusal):
                inbound = destination.is_livekit and not identity.is_livekit
                bridge_id = (
                    generate_call_id(self.context.endpoint.address[0]) if inbound else leg.call_id
                )
                self.context.trace.assign(leg.call_id, identity.name, bridge_id)
                direction = "inbound" if inbound else "outbound"
                bridge = Bridge(self.context, bridge_id, direction, caller, self._finished)
                self._bridges[bridge] = None
                self.spawn(self._connect(bridge, bridge.connect(destination)), f"call to {number}")
                return
            refusal = destination
        assert refusal is not None
        self._refuse(caller, refusal)

    async def _connect(self, bridge: Bridge, connecting: Coroutine[Any, Any, None]) -> None:
        try:
            await connecting
        except OSError:
            log.exception("no media socket for %s", bridge.id)
            for party in bridge.live:
                party.leg.hang_up()

    def _identify(self, leg: IncomingLeg) -> Identity | None:
        """Who calls; None if a challenge or a refusal was sent."""
        caller = normalise(leg.caller)
        if isinstance(caller, str) and self._registrar.owner_of(leg.source, caller):
            return Identity(caller, caller)
        authorization = leg.invite.get_header("proxy-authorization") or leg.invite.get_header(
            "authorization"
        )
        stale = False
        if authorization:
            verdict = self._realm.check("INVITE", leg.invite.uri, authorization)
            stale = verdict.result == "stale"
            if verdict.result == "ok":
                return self._authenticated(leg, verdict.username, caller)
            if verdict.result == "refused":
                log.info("INVITE from %s:%d: wrong username or password", *leg.source)
        challenge = self._realm.challenges(stale=stale)[0]
        leg.reject(407, reason_phrase(407), headers={"Proxy-Authenticate": challenge})
        return None

    def _authenticated(
        self, leg: IncomingLeg, username: str, caller: str | Refusal
    ) -> Identity | None:
        if username == self._trunk_username:
            return Identity(caller if isinstance(caller, str) else leg.caller, LIVEKIT)
        number = normalise(username)
        if isinstance(number, Refusal) or number != caller:
            leg.reject(403, "The caller's number is not yours")
            return None
        return Identity(number, number)

    def _over_limit(self, identity: Identity) -> Refusal | None:
        if not identity.is_livekit:
            return None
        active = sum(1 for bridge in self._bridges if bridge.caller.is_livekit)
        reason = self.limits.admit(active)
        return Refusal(503, reason) if reason else None

    def _refuse(self, caller: Party, refusal: Refusal) -> None:
        """A call that never was: the answer, and a CDR all the same."""
        self.context.trace.assign(caller.leg.call_id, caller.name, caller.leg.call_id)
        caller.hangup_source = "Vobiz"
        if "limit exceeded" in refusal.reason:
            caller.cause = TOO_MANY_CALLS
        leg = caller.leg
        assert isinstance(leg, IncomingLeg)
        leg.reject(refusal.status, refusal.reason)
        self.context.records.write(caller, leg.call_id, "outbound")

    def _finished(self, bridge: Bridge) -> None:
        self._bridges.pop(bridge, None)
