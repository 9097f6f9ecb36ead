"""The lab as an object: bring it up, look at it, take it down."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vobiz_kit.errors import VobizKitError
from vobiz_kit.lab import folder, supervision
from vobiz_kit.lab.build import Programs, find_or_build
from vobiz_kit.lab.carrier_client import CarrierClient
from vobiz_kit.lab.health import examine
from vobiz_kit.lab.lab_status import LabStatus
from vobiz_kit.lab.launch import launch
from vobiz_kit.lab.progress import Progress
from vobiz_kit.lab.stack import Part, parts, write_server_configs
from vobiz_kit.lab.state import LOOPBACK, LabConfig, lab_home, lab_name
from vobiz_kit.lab.supervision import Supervisor, SupervisorError
from vobiz_kit.wire import WireMessage

if TYPE_CHECKING:
    from vobiz_kit.lab.handsets.client import Handset

_T = TypeVar("_T")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
START_WITHIN = 90.0  # seconds for all parts; a machine's first start reads 150 MB of models


class LabNotRunningError(VobizKitError):
    """There is no running lab of that name."""


class Lab:
    """One lab: a real LiveKit stack, a stand-in carrier, phones and speech, all on loopback.

    Args:
        name: Its name; ``VOBIZ_KIT_LAB`` or "default" if None. Labs of different names share
            nothing but the built servers.
        owner_pid: The lab goes down when this process has ended; 0 keeps it until `down`; None
            takes it from ``VOBIZ_KIT_LAB_OWNER``, and is 0 if that is not set.

    Raises:
        VobizKitError: the name cannot name a folder.
    """

    def __init__(self, name: str | None = None, *, owner_pid: int | None = None) -> None:
        self.name = name or lab_name()
        if not _NAME.fullmatch(self.name):
            raise VobizKitError(
                f"{self.name!r} cannot name a lab.", fix="Use letters, digits, - and _."
            )
        self.home = lab_home(self.name)
        from_environment = os.environ.get("VOBIZ_KIT_LAB_OWNER", "0")
        self.owner_pid = int(from_environment) if owner_pid is None else owner_pid

    @property
    def config(self) -> LabConfig:
        """The lab's ports, numbers and credentials.

        Raises:
            LabNotRunningError: there is no such lab.
        """
        config = folder.read_config(self.home)
        if config is None:
            raise self._not_running("there is no such lab")
        return config

    async def up(self, *, progress: bool = False) -> LabStatus:
        """Start the lab, or join it if it runs. A lab whose supervisor was killed is taken over.

        Args:
            progress: Print what is being done.

        Returns:
            The lab's state, every part healthy.

        Raises:
            BuildError: a LiveKit server could be neither found nor built.
            MissingPackagesError: the build needs system packages.
            PartFailedError: a part does not start; the others have been stopped again.
        """
        programs = await find_or_build(Progress(progress))
        started = False
        try:
            async with folder.exclusive():
                running = await asyncio.to_thread(self._supervisor)
                if running and not await asyncio.to_thread(self._is_current, *running):
                    await _to_its_end(self._stop)
                    running = None
                if running is None:
                    started = True
                    running = await _to_its_end(self._start_supervisor, programs)
            supervisor, config = running
            report = Progress(progress and started)
            report.line(f"Starting the lab {self.name!r}:")
            await launch(self._parts(config), supervisor, report, within=START_WITHIN)
        except BaseException:
            if started:  # its logs stay for whoever wonders why
                await asyncio.shield(asyncio.to_thread(self._stop, keep_logs=True))
            raise
        config.write_env(self.home)
        return await self.status()

    async def attach(self) -> LabConfig:
        """The configuration of the running lab.

        Raises:
            LabNotRunningError: it does not run.
        """
        running = await asyncio.to_thread(self._supervisor)
        if running is None:
            raise self._not_running("its supervisor does not answer")
        return running[1]

    async def down(self) -> None:
        """Stop every part and remove the lab's folder. A lab that does not run is no error."""
        async with folder.exclusive():
            await asyncio.to_thread(self._stop)

    async def status(self) -> LabStatus:
        """What every part is doing; a lab that does not run has no parts."""
        running = await asyncio.to_thread(self._supervisor)
        if running is None:
            note = "Start it: await lab.up() in a notebook, vobiz-kit lab up in a terminal."
            if (self.home / "lab.json").is_file():
                note = f"Its supervisor is gone, and something of it is left. {note}"
            return LabStatus(self.name, self.home, note=note)
        supervisor, config = running
        pid = await asyncio.to_thread(supervisor.call, "getPID")
        states = await examine(self._parts(config), supervisor)
        return LabStatus(self.name, self.home, states, config, supervisor=pid)

    def logs(self, part: str, lines: int = 40) -> str:
        """The last lines of a part's log.

        Args:
            part: Its name, or "supervisor".
            lines: How many.

        Raises:
            LabNotRunningError: there is no such lab.
            VobizKitError: there is no such part.
        """
        path = supervision.log_path(self.home, part)
        if not path.is_file():
            if not path.parent.is_dir():
                raise self._not_running("there is no such lab")
            known = sorted(log.stem for log in path.parent.glob("*.log"))
            raise VobizKitError(
                f"No part of the lab is called {part!r}.",
                fix=f"There are: {', '.join(known)}.",
            )
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])

    def phone(self, number: str) -> Handset:
        """A phone of that number, connected and ready to be rung.

        Args:
            number: E.164, e.g. "+15550009999".

        Raises:
            NumberRefused: that cannot be a phone's number.
            LabNotRunningError: there is no such lab.
        """
        from vobiz_kit.lab.handsets.client import Handset

        return Handset(number, f"http://{LOOPBACK}:{self.config.handsets_http_port}").plug_in()

    def trace(self, call: Any = None) -> list[WireMessage]:
        """The SIP messages that crossed the carrier, in order.

        Args:
            call: Only those of this call (its ``sip_call_id``; where it has none, everything
                since ``call.started``); of a phone, those of its last call; everything if None.
        """
        carrier = CarrierClient(self.config)
        if number := getattr(call, "number", ""):
            return _last_call_of(number, carrier.trace())
        if bridge := getattr(call, "sip_call_id", ""):
            return carrier.trace(bridge=bridge)
        began = getattr(call, "started", None) or 0.0
        return [message for message in carrier.trace() if message.time >= began]

    def cdrs(self) -> list[Mapping[str, Any]]:
        """The carrier's call detail records, newest first, as Vobiz's REST API gives them."""
        return CarrierClient(self.config).cdrs()

    def _parts(self, config: LabConfig) -> list[Part]:
        return parts(config, self.home, Programs.from_json(config.programs))

    def _supervisor(self) -> tuple[Supervisor, LabConfig] | None:
        """The running supervisor with the lab's configuration, None if there is none."""
        config = folder.read_config(self.home)
        if config is None:
            return None
        supervisor = Supervisor(self.home, Path(config.supervisor_socket))
        return (supervisor, config) if supervisor.answers() else None

    def _is_current(self, supervisor: Supervisor, config: LabConfig) -> bool:
        """Whether it runs the parts that this version of the kit knows."""
        running = {info["name"] for info in supervisor.call("getAllProcessInfo")}
        return running == {part.name for part in self._parts(config)}

    def _start_supervisor(self, programs: Programs) -> tuple[Supervisor, LabConfig]:
        config = folder.prepare(self.home, self.name)
        config.programs = programs.to_json()
        config.owner_pid = self.owner_pid
        config.supervisor_socket = str(supervision.socket_path(self.home))
        config.write(self.home)
        write_server_configs(config, self.home)
        supervisor = Supervisor(self.home, Path(config.supervisor_socket))
        supervisor.start(self._parts(config))
        return supervisor, config

    def _stop(self, keep_logs: bool = False) -> None:
        (self.home / "lab.env").unlink(missing_ok=True)  # nobody finds the lab from here on
        if running := self._supervisor():
            with contextlib.suppress(SupervisorError):  # it has just ended by itself
                running[0].stop()
        supervision.end(supervision.processes(self.home))
        folder.remove(self.home, keep_logs=keep_logs)

    def _not_running(self, evidence: str) -> LabNotRunningError:
        return LabNotRunningError(
            f"The lab {self.name!r} is not running.",
            evidence=evidence,
            fix="Start it: await lab.up() in a notebook, vobiz-kit lab up in a terminal.",
        )


async def _to_its_end(work: Callable[..., _T], *arguments: object) -> _T:
    """Run it in a thread, and see it done even if the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _last_call_of(number: str, messages: list[WireMessage]) -> list[WireMessage]:
    """The messages of the last call that this phone took part in, all legs of it."""
    own = [message for message in messages if message.party == number and message.bridge]
    return [message for message in messages if own and message.bridge == own[-1].bridge]
