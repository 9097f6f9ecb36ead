"""The lab's configuration on disk, its ports, its folder, and what may be shown of it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from vobiz_kit.lab import folder, ports, server_configs, supervision
from vobiz_kit.lab.state import RTP_PORTS, SERVICE_PORTS, LabConfig, cache_dir, lab_home, lab_name

SECRETS = (
    "livekit_api_secret",
    "openai_api_key",
    "deepgram_api_key",
    "vobiz_password",
    "vobiz_auth_token",
    "softphone_password",
)


@pytest.fixture
def config() -> LabConfig:
    return LabConfig.new("unit")


def test_ports_are_one_block_without_doubles(config: LabConfig) -> None:
    services = [getattr(config, name) for name in SERVICE_PORTS]
    rtp = range(config.livekit_sip_rtp_first, config.livekit_sip_rtp_last + 1)
    assert len({*services, *rtp}) == len(services) + RTP_PORTS == len(config.ports)
    assert {*services, *rtp} == set(config.ports)


def test_ports_lie_below_those_of_outgoing_connections(config: LabConfig) -> None:
    assert config.ports.start >= 10_000 and config.ports.stop <= 32_768


def test_a_new_lab_takes_no_port_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "FIRST", 20_000)
    monkeypatch.setattr(ports, "LAST", 20_000 + 4 * len(LabConfig.new("size").ports))
    first = LabConfig.new("first")
    second = LabConfig.new("second", taken=[first.ports])
    assert not set(first.ports) & set(second.ports)


def test_no_free_ports_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ports.NoFreePortsError, match="lab down"):
        ports.free_block(10, taken=[range(1, 65_536)])


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_not_free(config: LabConfig, kind: socket.SocketKind) -> None:
    assert config.ports_are_free()
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", config.livekit_sip_rtp_first))
        if kind is socket.SOCK_STREAM:
            holder.listen()
        assert not ports.is_free(config.livekit_sip_rtp_first)
        assert not config.ports_are_free()
    assert config.ports_are_free()


def test_written_and_read_again(config: LabConfig, tmp_path: Path) -> None:
    config.programs = {"redis": ("/bin/redis-server", "7.0")}
    path = config.write(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = LabConfig.read(tmp_path)
    assert again.settings() == config.settings() and again.ports == config.ports
    assert [*tmp_path.iterdir()] == [path], "no temporary file is left"


def test_a_file_of_another_version_is_no_lab(config: LabConfig, tmp_path: Path) -> None:
    config.write(tmp_path)
    data = json.loads((tmp_path / "lab.json").read_text())
    (tmp_path / "lab.json").write_text(json.dumps(data | {"from_the_future": 1}))
    assert folder.read_config(tmp_path) == LabConfig.read(tmp_path)
    del data["speech_port"]
    (tmp_path / "lab.json").write_text(json.dumps(data))
    assert folder.read_config(tmp_path) is None
    (tmp_path / "lab.json").write_text("{")
    assert folder.read_config(tmp_path) is None


def test_lab_env_is_private_and_what_settings_says(config: LabConfig, tmp_path: Path) -> None:
    path = config.write_env(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    lines = dict(line.split("=", 1) for line in path.read_text().splitlines())
    assert lines == config.settings()


def test_secrets_are_random_and_not_shown(config: LabConfig) -> None:
    other = LabConfig.new("other")
    for name in SECRETS:
        assert getattr(config, name) != getattr(other, name)
        assert getattr(config, name) not in repr(config)
    assert len(config.livekit_api_secret) >= 32, "PyJWT warns below"


def test_names_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOBIZ_KIT_CACHE", str(tmp_path))
    monkeypatch.delenv("VOBIZ_KIT_LAB", raising=False)
    assert cache_dir() == tmp_path and lab_name() == "default"
    monkeypatch.setenv("VOBIZ_KIT_LAB", "amy")
    assert lab_home() == tmp_path / "labs" / "amy" and lab_home("bob").name == "bob"


def test_prepare_keeps_a_killed_labs_configuration(config: LabConfig, tmp_path: Path) -> None:
    config.write(tmp_path)
    config.write_env(tmp_path)
    assert folder.prepare(tmp_path, "unit").settings() == config.settings()
    assert not (tmp_path / "lab.env").exists(), "nobody finds a lab that is not up"
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_prepare_gives_new_ports_if_one_is_taken(
    config: LabConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOBIZ_KIT_CACHE", str(tmp_path))
    home = lab_home("unit")
    home.mkdir(parents=True)
    config.write(home)
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", config.speech_port))
        thief.listen()
        new = folder.prepare(home, "unit")
        assert not set(new.ports) & set(config.ports)


def test_remove_leaves_the_logs_if_asked(config: LabConfig, tmp_path: Path) -> None:
    home = tmp_path / "lab"
    (home / "logs").mkdir(parents=True)
    (home / "redis-data").mkdir()
    config.write(home)
    folder.remove(home, keep_logs=True)
    assert [path.name for path in home.iterdir()] == ["logs"]
    folder.remove(home, keep_logs=False)
    assert not home.exists()
    folder.remove(home, keep_logs=False)  # nothing there is no error


def test_a_deep_folder_gets_a_short_socket(config: LabConfig, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    path = supervision.socket_path(deep)
    assert len(os.fsencode(path)) <= 90 and path.parent.stat().st_mode & 0o777 == 0o700
    config.supervisor_socket = str(path)
    config.write(deep)
    path.touch()
    folder.remove(deep, keep_logs=False)
    assert not path.parent.exists(), "the short folder goes with the lab"


def test_servers_stay_on_loopback(config: LabConfig) -> None:
    server = server_configs.livekit_server(config)
    assert server["bind_addresses"] == ["127.0.0.1"]
    assert server["rtc"]["node_ip"] == "127.0.0.1" and server["rtc"]["use_external_ip"] is False
    assert server["rtc"]["tcp_port"] == 0
    assert server["rtc"]["stun_servers"] == ["127.0.0.1:3478"], "no public STUN server is asked"
    sip = server_configs.livekit_sip(config)
    assert sip["listen_ip"] == sip["nat_1_to_1_ip"] == "127.0.0.1"
    assert not {"health_port", "prometheus_port"} & set(sip), "they listen on every interface"
