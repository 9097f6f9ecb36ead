"""What a lab is doing: every part with its state, version, ports and memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vobiz_kit.lab.state import LOOPBACK, PEOPLE, LabConfig
from vobiz_kit.tables import Mark, Table


@dataclass(frozen=True)
class PartStatus:
    """One part of a lab.

    Attributes:
        name: Which part.
        healthy: Whether it answers and says that it is well.
        state: In a word or two: "healthy", "starting", "stopped", "restarting", "does not answer".
        detail: What was seen when it is not healthy, else "".
        pid: Its process id, None if it does not run.
        ports: What listens where on loopback.
        version: Its version, "" if it has not been told.
        memory: Resident memory in bytes, its children's included; 0 if it does not run.
        uptime: Seconds since it was (re)started.
        restarts: How often it had to be started again since the lab's start.
    """

    name: str
    healthy: bool
    state: str
    detail: str = ""
    pid: int | None = None
    ports: dict[str, int] = field(default_factory=dict)
    version: str = ""
    memory: int = 0
    uptime: float = 0.0
    restarts: int = 0

    def to_json(self) -> dict[str, Any]:
        """The part as plain JSON data."""
        return {
            "name": self.name,
            "healthy": self.healthy,
            "state": self.state,
            "detail": self.detail,
            "pid": self.pid,
            "ports": self.ports,
            "version": self.version,
            "memory_bytes": self.memory,
            "uptime_seconds": round(self.uptime, 1),
            "restarts": self.restarts,
        }


@dataclass(frozen=True)
class LabStatus:
    """A lab's state; ``print`` it, or leave it as a cell's last line.

    Attributes:
        name: The lab's name.
        home: Its folder.
        parts: Its parts, () if it does not run.
        config: Its ports, numbers and credentials, None if there is no such lab.
        note: A sentence that explains what the parts do not say.
        supervisor: The supervisor's process id, None if it does not run.
    """

    name: str
    home: Path
    parts: tuple[PartStatus, ...] = ()
    config: LabConfig | None = None
    note: str = ""
    supervisor: int | None = None

    @property
    def healthy(self) -> bool:
        """Whether every part is."""
        return bool(self.parts) and all(part.healthy for part in self.parts)

    @property
    def memory(self) -> int:
        """Resident memory of all parts in bytes."""
        return sum(part.memory for part in self.parts)

    @property
    def sip_address(self) -> str:
        """Where the carrier takes SIP, "host:port"; "" if there is no lab."""
        return f"{LOOPBACK}:{self.config.carrier_sip_port}" if self.config else ""

    def part(self, name: str) -> PartStatus:
        """The part of that name.

        Raises:
            KeyError: there is none.
        """
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(f"no part {name!r}; there are {', '.join(p.name for p in self.parts)}")

    def table(self) -> Table:
        """The parts as a table, with the numbers to ring below."""
        word = "healthy" if self.healthy else "not healthy" if self.parts else "not running"
        rows = [
            (
                part.name,
                Mark("ok" if part.healthy else "fail", part.state)
                if not part.detail
                else f"{Mark('fail', part.state)}: {part.detail}",
                part.version,
                "\n".join(f"{name} {port}" for name, port in part.ports.items()),
                str(part.pid or ""),
                f"{part.memory / 2**20:.0f} MB" if part.memory else "",
                str(part.restarts),
            )
            for part in self.parts
        ]
        columns = ("Part", "State", "Version", "Ports", "PID", "Memory", "Restarts")
        return Table(f"Lab {self.name!r}: {word}", columns, rows, self._below())

    def _below(self) -> str:
        lines = [self.note] if self.note else []
        if self.parts and self.config:
            people = ", ".join(f"{alias} {number}" for alias, number in PEOPLE.items())
            lines.append(f"Memory in all: {self.memory / 2**20:.0f} MB.")
            lines.append(f"The agent's number is {self.config.did}. People: {people}.")
            lines.append(
                f"A softphone registers at {self.sip_address} (UDP) with a number of your choice "
                f"as user name and the password {self.config.softphone_password}."
            )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Everything that another program needs to use the lab, its credentials included."""
        data: dict[str, Any] = {
            "healthy": self.healthy,
            "name": self.name,
            "home": str(self.home),
            "note": self.note,
            "supervisor_pid": self.supervisor,
            "memory_bytes": self.memory,
            "parts": [part.to_json() for part in self.parts],
        }
        if self.config:
            data |= {
                "did": self.config.did,
                "people": PEOPLE,
                "carrier_sip_address": self.sip_address,
                "sip_domain": self.config.sip_domain,
                "softphone": {
                    "registrar": self.sip_address,
                    "transport": "udp",
                    "password": self.config.softphone_password,
                },
                "credentials": self.config.settings(),
            }
        return data

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()
