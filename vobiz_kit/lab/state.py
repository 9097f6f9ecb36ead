"""Where a lab lives on disk, and what its parts agree on: ports, numbers and credentials.

One folder per lab, ``<cache>/labs/<name>/``, holds ``lab.json`` (this module's `LabConfig`),
``lab.env`` (cloud-style settings that point at the lab), the servers' configuration and the logs.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from vobiz_kit.lab.ports import LOOPBACK, free_block, is_free

DID = "+15550001000"
PEOPLE = {"sales": "+15550001111", "billing": "+15550002222", "support": "+15550003333"}


# In the order in which they are taken from the block; RTP_PORTS ports for livekit-sip follow.
SERVICE_PORTS = (
    "redis_port",
    "livekit_port",
    "livekit_udp_port",
    "livekit_sip_port",
    "carrier_sip_port",
    "carrier_http_port",
    "handsets_sip_port",
    "handsets_http_port",
    "speech_port",
    "voice_port",
)
# A port for each call, and livekit-sip keeps a port for 30 s after its call: 400 serve 120 calls
# at once with room to spare.
RTP_PORTS = 400


def cache_dir() -> Path:
    """Where built servers and labs are kept: ``VOBIZ_KIT_CACHE`` or ``~/.cache/vobiz-kit``."""
    configured = os.environ.get("VOBIZ_KIT_CACHE")
    return Path(configured).expanduser() if configured else Path.home() / ".cache" / "vobiz-kit"


def lab_name() -> str:
    """The lab that this process means: ``VOBIZ_KIT_LAB`` or "default"."""
    return os.environ.get("VOBIZ_KIT_LAB") or "default"


def lab_home(name: str | None = None) -> Path:
    """The folder of the lab of that name (of `lab_name` if None). It need not exist."""
    return cache_dir() / "labs" / (name or lab_name())


def _token(prefix: str = "") -> str:
    return prefix + secrets.token_hex(20)


@dataclass
class LabConfig:
    """What the parts of one lab agree on. Ports are chosen free at start; secrets are random.

    Attributes are ports on loopback unless their name says otherwise. ``trunk_id`` is the Vobiz
    trunk's id; its first eight characters make the SIP domain, as at Vobiz.
    ``supervisor_socket`` is the path of the supervisor's Unix socket; ``owner_pid`` the process
    with which the lab goes down (0: it stays); ``programs`` the path and version of each server
    that was found or built.
    """

    name: str
    redis_port: int
    livekit_port: int
    livekit_udp_port: int
    livekit_sip_port: int
    livekit_sip_rtp_first: int
    livekit_sip_rtp_last: int
    carrier_sip_port: int
    carrier_http_port: int
    handsets_sip_port: int
    handsets_http_port: int
    speech_port: int
    voice_port: int
    did: str = DID
    trunk_id: str = field(default_factory=lambda: secrets.token_hex(16))
    livekit_api_key: str = field(default_factory=lambda: "API" + secrets.token_hex(6))
    livekit_api_secret: str = field(default_factory=_token, repr=False)
    openai_api_key: str = field(default_factory=lambda: _token("sk-lab-"), repr=False)
    deepgram_api_key: str = field(default_factory=_token, repr=False)
    vobiz_username: str = "lab-trunk"
    vobiz_password: str = field(default_factory=_token, repr=False)
    vobiz_auth_id: str = field(default_factory=lambda: "MA_" + secrets.token_hex(4).upper())
    vobiz_auth_token: str = field(default_factory=_token, repr=False)
    softphone_password: str = field(default_factory=lambda: secrets.token_hex(6), repr=False)
    cps: int = 2
    concurrent: int = 10
    supervisor_socket: str = ""
    owner_pid: int = 0
    programs: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def new(cls, name: str, taken: Iterable[range] = ()) -> LabConfig:
        """A new lab's configuration: a block of free ports and fresh credentials.

        Args:
            name: The lab's name.
            taken: Blocks of ports that belong to other labs.

        Raises:
            NoFreePortsError: no block of free ports was found.
        """
        block = free_block(len(SERVICE_PORTS) + RTP_PORTS, taken)
        ports: dict[str, Any] = dict(zip(SERVICE_PORTS, block, strict=False))
        return cls(
            name=name,
            livekit_sip_rtp_first=block[len(SERVICE_PORTS)],
            livekit_sip_rtp_last=block[-1],
            **ports,
        )

    @property
    def ports(self) -> range:
        """The block of ports that belongs to this lab."""
        return range(self.redis_port, self.livekit_sip_rtp_last + 1)

    def ports_are_free(self) -> bool:
        """Whether nothing listens on this lab's ports (so that it can be started again)."""
        return all(is_free(port) for port in self.ports)

    @property
    def sip_domain(self) -> str:
        """The trunk's SIP domain at Vobiz, e.g. ``1a2b3c4d.sip.vobiz.ai``."""
        return f"{self.trunk_id[:8]}.sip.vobiz.ai"

    def write(self, home: Path) -> Path:
        """Write ``lab.json`` into that folder (mode 0600, replaced at once)."""
        return _write_private(home / "lab.json", json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, home: Path) -> LabConfig:
        """Read ``lab.json`` from that folder.

        Raises:
            FileNotFoundError: there is no lab in that folder.
        """
        data: dict[str, Any] = json.loads((home / "lab.json").read_text())
        known = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in data.items() if k in known})

    def settings(self) -> dict[str, str]:
        """The cloud-style settings that point at this lab, as they stand in ``lab.env``."""
        speech = f"http://{LOOPBACK}:{self.speech_port}/v1"
        return {
            "LIVEKIT_URL": f"ws://{LOOPBACK}:{self.livekit_port}",
            "LIVEKIT_API_KEY": self.livekit_api_key,
            "LIVEKIT_API_SECRET": self.livekit_api_secret,
            "OPENAI_API_KEY": self.openai_api_key,
            "OPENAI_BASE_URL": speech,
            "DEEPGRAM_API_KEY": self.deepgram_api_key,
            "DEEPGRAM_BASE_URL": f"{speech}/listen",
            "VOBIZ_SIP_DOMAIN": self.sip_domain,
            "VOBIZ_SIP_ADDRESS": f"{LOOPBACK}:{self.carrier_sip_port}",
            "VOBIZ_USERNAME": self.vobiz_username,
            "VOBIZ_PASSWORD": self.vobiz_password,
            "VOBIZ_OUTBOUND_NUMBER": self.did,
            "VOBIZ_AUTH_ID": self.vobiz_auth_id,
            "VOBIZ_AUTH_TOKEN": self.vobiz_auth_token,
            "VOBIZ_API_URL": f"http://{LOOPBACK}:{self.carrier_http_port}/api/v1",
            **{f"{alias.upper()}_NUMBER": number for alias, number in PEOPLE.items()},
        }

    def write_env(self, home: Path) -> Path:
        """Write ``lab.env``, the file through which the kit learns of the lab (mode 0600)."""
        lines = [f"{name}={value}\n" for name, value in self.settings().items()]
        return _write_private(home / "lab.env", "".join(lines))


def _write_private(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w") as file:  # mkstemp makes it 0600
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
