"""A job, its room and LiveKit's SIP API as scripted stand-ins, for tests without a network."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from livekit import rtc
from livekit.api import ServerError, SipCallError, TransferSIPParticipantRequest

from vobiz_kit.settings import Settings

CALLER = "sip_+15550009999"

CLOUD = {
    "LIVEKIT_URL": "ws://127.0.0.1:1",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "a-secret-of-forty-characters-or-even-more",
    "OPENAI_API_KEY": "sk-not-a-real-key",
    "DEEPGRAM_API_KEY": "not-a-real-key",
    "VOBIZ_SIP_DOMAIN": "1a2b3c4d.sip.vobiz.ai",
    "VOBIZ_USERNAME": "user",
    "VOBIZ_PASSWORD": "password",
    "VOBIZ_OUTBOUND_NUMBER": "+15550001000",
    "BILLING_NUMBER": "+15550002222",
    "SALES_NUMBER": "+15550001111",
    "VOBIZ_KIT_MAY_DIAL": "+15550009900",
}


def cloud_settings(**changes: str) -> Settings:
    """Settings that point nowhere."""
    return Settings.load(environ=CLOUD | changes)


def sip_error(status: int, reason: str, *, refer: bool = False) -> SipCallError:
    """What LiveKit raises for a transfer that the target, or the carrier (`refer`), refused."""
    what = "" if refer else "call transfer failed: "
    return SipCallError(
        "some_code",
        f"twirp error unknown: {what}sip status: {status}: {reason}",
        status=400,
        metadata={"sip_status_code": str(status), "sip_status": reason},
    )


def server_error(code: str, message: str) -> ServerError:
    """An error of LiveKit without a SIP status."""
    return ServerError(code, f"twirp error unknown: {message}", status=400)


class FakePhone:
    """A SIP participant."""

    kind = rtc.ParticipantKind.PARTICIPANT_KIND_SIP

    def __init__(self, status: str = "active", identity: str = CALLER) -> None:
        self.identity = identity
        self.attributes = {"sip.callStatus": status, "sip.ruleID": "SDR_x"}
        self.disconnect_reason = rtc.DisconnectReason.CLIENT_INITIATED


_rooms = itertools.count()


class FakeRoom(rtc.EventEmitter[Any]):
    """A room with one phone in it, or none."""

    def __init__(self, phone: FakePhone | None = None) -> None:
        super().__init__()
        self.name = f"vobiz-in-test-{next(_rooms)}"  # one of its own, as at LiveKit
        self.sid_now = "RM_1"
        self.left = False
        self.remote_participants = {phone.identity: phone} if phone else {}

    async def connect(self, url: str, token: str) -> None:
        await asyncio.sleep(0.01)

    async def disconnect(self) -> None:
        self.left = True

    @property
    async def sid(self) -> str:
        return self.sid_now

    def isconnected(self) -> bool:
        return False  # so that nothing is sent to anybody

    def phone_leaves(self) -> None:
        for phone in [*self.remote_participants.values()]:
            del self.remote_participants[phone.identity]
            self.emit("participant_disconnected", phone)


class FakeSip:
    """``api.sip``: each transfer is answered by the next step of the script."""

    def __init__(self, *script: Callable[[], Awaitable[None]] | Exception | None) -> None:
        self.script = list(script)
        self.requests: list[TransferSIPParticipantRequest] = []

    async def transfer_sip_participant(self, request: TransferSIPParticipantRequest) -> None:
        self.requests.append(request)
        step = self.script.pop(0)
        await asyncio.sleep(0)
        if isinstance(step, Exception):
            raise step
        if step is not None:
            await step()


class FakeJob:
    """A `JobContext`: notes what is done with the room and the job."""

    def __init__(self, room: FakeRoom, sip: FakeSip | None = None, metadata: str = "") -> None:
        self.room = room
        self.api = SimpleNamespace(sip=sip)
        self.job = SimpleNamespace(
            metadata=metadata, id="AJ_test", room=SimpleNamespace(sid="RM_1")
        )
        self.done: list[str] = []
        self.callbacks: list[Any] = []

    @property
    def primary_session(self) -> Any:
        raise RuntimeError("No AgentSession was started for this job")

    async def delete_room(self) -> None:
        self.done.append("room deleted")

    def shutdown(self, reason: str = "") -> None:
        self.done.append(f"shut down: {reason}")

    def add_shutdown_callback(self, callback: Any) -> None:
        self.callbacks.append(callback)


class FakeRun:
    """A `RunContext`: notes what the agent says."""

    def __init__(self, tool: str = "transfer_call") -> None:
        self.said: list[str] = []
        self.interruptible = True
        self.session = SimpleNamespace(say=self._say)
        self.function_call = SimpleNamespace(name=tool)

    async def _say(self, text: str, **_: object) -> None:
        self.said.append(text)

    def disallow_interruptions(self) -> None:
        self.interruptible = False
