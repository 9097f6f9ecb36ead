"""The lab's life on the real stack: side by side, killed, interrupted, and gone without a trace."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from tests.lab_session import what_is_left
from vobiz_kit.lab.handsets.speech import SpeechClient
from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.lab_status import LabStatus
from vobiz_kit.lab.launch import PartFailedError
from vobiz_kit.lab.supervision import processes

pytestmark = pytest.mark.lab

WITHIN = 60.0  # seconds; everything here takes two on a quiet machine
SMALL = 900 * 2**20  # bytes: with kernel and agent it has to fit into the 2 GB of Binder
PARTS = ("redis", "livekit-server", "livekit-sip", "carrier", "handsets", "speech", "voice")


def kill(pid: int | None) -> None:
    """Kill it the hard way, and see it gone."""
    assert pid
    process = psutil.Process(pid)
    process.kill()
    process.wait(WITHIN)


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask until it holds; fail if it does not in time."""
    deadline = time.monotonic() + WITHIN
    while not await condition():
        assert time.monotonic() < deadline, f"not within {WITHIN} s: {what}"
        await asyncio.sleep(0.1)


@pytest.fixture
async def other() -> AsyncIterator[Lab]:
    """A second lab, not started yet; nothing of it is left after the test."""
    lab = Lab(f"test-{os.getpid()}-other")
    yield lab
    ports = lab.config.ports if (lab.home / "lab.json").is_file() else range(0)
    await lab.down()
    assert what_is_left(lab, ports) == []


async def test_status_says_what_other_programs_need(lab: Lab) -> None:
    status = await lab.status()
    assert status.healthy, status
    assert {part.name for part in status.parts} >= set(PARTS)
    for part in status.parts:
        assert part.pid and psutil.pid_exists(part.pid)
        assert re.match(r"\d+\.\d+", part.version), part
        assert part.memory > 2**20
    data = json.loads(json.dumps(status.to_json()))
    assert data["healthy"] is True
    assert data["did"] == "+15550001000"
    assert data["carrier_sip_address"] == f"127.0.0.1:{lab.config.carrier_sip_port}"
    assert data["credentials"]["LIVEKIT_API_SECRET"] == lab.config.livekit_api_secret
    assert data["softphone"]["password"] == lab.config.softphone_password


async def test_status_shows_no_secrets(lab: Lab) -> None:
    status = await lab.status()
    shown = f"{status}{status!r}{status._repr_html_()}{lab.config!r}"
    for name, value in lab.config.settings().items():
        if name.endswith(("SECRET", "TOKEN", "PASSWORD")) or name.startswith(
            ("OPENAI_API", "DEEP")
        ):
            assert value.startswith("http") or value not in shown, name


async def test_nothing_listens_beyond_loopback(lab: Lab) -> None:
    listening = [
        (process.name(), connection.laddr)
        for process in processes(lab.home)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN or not connection.raddr
    ]
    assert len(listening) >= len(PARTS)
    assert [at for at in listening if not at[1].ip.startswith("127.")] == []


async def test_up_joins_a_running_lab(lab: Lab) -> None:
    before = await lab.status()
    joined = await Lab(lab.name).up()
    assert [part.pid for part in joined.parts] == [part.pid for part in before.parts]


async def test_lab_env_points_at_the_lab(lab: Lab) -> None:
    env = lab.home / "lab.env"
    assert env.stat().st_mode & 0o777 == 0o600
    assert f"LIVEKIT_URL=ws://127.0.0.1:{lab.config.livekit_port}\n" in env.read_text()


async def test_logs(lab: Lab) -> None:
    assert "starting LiveKit server" in lab.logs("livekit-server", lines=100_000)


@pytest.mark.parametrize("name", PARTS)
async def test_a_killed_part_is_restarted(lab: Lab, name: str) -> None:
    before = (await lab.status()).part(name)
    kill(before.pid)

    async def well_again() -> bool:
        status = await lab.status()
        return status.healthy and status.part(name).pid != before.pid

    await eventually(well_again, f"{name} restarted and every part healthy")
    assert (await lab.status()).part(name).restarts == before.restarts + 1


async def test_trunks_survive_the_end_of_redis(lab: Lab) -> None:
    from livekit import api

    settings = lab.config.settings()
    async with api.LiveKitAPI(
        settings["LIVEKIT_URL"], settings["LIVEKIT_API_KEY"], settings["LIVEKIT_API_SECRET"]
    ) as livekit:
        info = api.SIPInboundTrunkInfo(name="test-survivor", numbers=["+15550007777"])
        trunk = await livekit.sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=info))
        before = (await lab.status()).part("redis")
        kill(before.pid)

        async def there() -> bool:
            if (await lab.status()).part("redis").pid in (None, before.pid):
                return False
            try:
                found = await livekit.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
            except api.TwirpError:  # livekit-server has not reconnected yet
                return False
            return trunk.sip_trunk_id in [item.sip_trunk_id for item in found.items]

        await eventually(there, "the trunk is found in the restarted Redis")
        await livekit.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk.sip_trunk_id))


async def test_a_lab_is_small_also_when_ten_people_speak_at_once(other: Lab) -> None:
    idle = await other.up()
    assert idle.memory < SMALL, idle
    speech = SpeechClient(other.config)
    words = [f"This is person number {i}, and my invoice is wrong again." for i in range(10)]
    await asyncio.gather(*map(speech.speak, words))
    await speech.aclose()
    busy = await other.status()
    assert busy.memory < SMALL, busy


async def test_two_labs_side_by_side(lab: Lab, other: Lab) -> None:
    status = await other.up()
    assert status.healthy, status
    assert not set(other.config.ports) & set(lab.config.ports)
    assert other.config.livekit_api_secret != lab.config.livekit_api_secret
    ports = other.config.ports
    await other.down()
    assert what_is_left(other, ports) == []
    assert (await lab.status()).healthy


async def test_a_lab_whose_supervisor_was_killed_is_taken_over_or_cleared(other: Lab) -> None:
    before = await other.up()
    settings, ports = other.config.settings(), other.config.ports
    kill(before.supervisor)
    orphans = [process.pid for process in processes(other.home)]
    assert len(orphans) >= len(PARTS), "the parts outlive their supervisor"
    gone = await other.status()
    assert not gone.healthy and "supervisor is gone" in str(gone)

    after = await Lab(other.name).up()
    assert after.healthy, after
    assert other.config.settings() == settings, "loaded settings stay true"
    assert not {part.pid for part in after.parts} & set(orphans)
    assert not [pid for pid in orphans if _alive(pid)]

    kill(after.supervisor)
    await other.down()
    assert what_is_left(other, ports) == []


async def test_interrupted_start_leaves_nothing_running(other: Lab) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vobiz_kit.cli", "lab", "up", "--name", other.name),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )

    async def begun() -> bool:
        return (other.home / "supervisord.pid").is_file()

    await eventually(begun, "the supervisor runs")
    process.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(process.communicate(), WITHIN)
    assert process.returncode == 130, errors
    assert processes(other.home) == []
    assert not (other.home / "lab.env").exists()


async def test_lab_goes_with_its_owner(other: Lab) -> None:
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=-1)
    owned = Lab(other.name, owner_pid=owner.pid)
    await owned.up()
    ports = owned.config.ports
    owner.kill()
    await owner.wait()

    async def gone() -> bool:
        return what_is_left(owned, ports) == []

    await eventually(gone, "the lab goes down when its owner is killed")


async def test_a_lab_of_an_older_kit_is_replaced(
    other: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        known = other._parts
        older.setattr(other, "_parts", lambda config: known(config)[:3])
        await other.up()
    assert len((await other.up()).parts) >= len(PARTS)


async def test_a_part_that_cannot_start_says_why(
    other: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "livekit-server"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "livekit-server version 1.99.0" && exit\n'
        'echo "no such thing as a lunch" >&2\nexit 7\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(PartFailedError, match="livekit-server did not start") as caught:
        await other.up()
    assert "no such thing as a lunch" in str(caught.value)
    assert processes(other.home) == []
    assert [path.name for path in other.home.iterdir()] == ["logs"]


async def test_status_without_a_lab(other: Lab) -> None:
    status = await other.status()
    assert isinstance(status, LabStatus) and not status.healthy
    assert "not running" in str(status) and "lab.up()" in str(status)


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
