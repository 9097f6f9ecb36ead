"""The command line: what is printed where, and with which exit code."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vobiz_kit import lab
from vobiz_kit.cli import app
from vobiz_kit.lab import current, supervision
from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.lab_status import LabStatus, PartStatus
from vobiz_kit.lab.state import LabConfig, lab_home

CLOUD = {
    "LIVEKIT_URL": "wss://example.livekit.cloud",
    "LIVEKIT_API_KEY": "APIsomething",
    "LIVEKIT_API_SECRET": "s" * 40,
    "VOBIZ_SIP_DOMAIN": "1a2b3c4d.sip.vobiz.ai",
}


@pytest.fixture(autouse=True)
def nobody_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a .env, and a cache without labs."""
    monkeypatch.setenv("VOBIZ_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VOBIZ_KIT_LAB", "unit")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CLOUD.items():
        monkeypatch.setenv(name, value)


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def status() -> LabStatus:
    config = LabConfig.new("unit")
    well = PartStatus("redis", True, "healthy", pid=1, ports={"redis": 12345}, version="7.0")
    ill = PartStatus("carrier", False, "does not answer", "GET <b>x</b>: ConnectError", pid=2)
    return LabStatus("unit", lab_home("unit"), (well, ill), config, supervisor=3)


def test_status_without_a_lab() -> None:
    code, out, _ = run("lab", "status")
    assert code == 3 and "not running" in out and "lab up" in out
    code, out, _ = run("lab", "status", "--json")
    assert code == 3 and json.loads(out)["healthy"] is False


def test_status_json_has_what_another_program_needs(status: LabStatus) -> None:
    assert status.config
    data = json.loads(json.dumps(status.to_json()))
    assert data["healthy"] is False
    assert {"name", "pid", "ports", "version", "memory_bytes"} <= set(data["parts"][0])
    assert data["did"] == status.config.did
    assert data["carrier_sip_address"] == f"127.0.0.1:{status.config.carrier_sip_port}"
    assert data["credentials"] == status.config.settings()


def test_status_says_words_and_signs_and_escapes(status: LabStatus) -> None:
    text = str(status)
    assert "✓ healthy" in text and "✗ does not answer" in text and "not healthy" in text
    html = status._repr_html_()
    assert "<b>x</b>" not in html and "&lt;b&gt;x" in html
    assert '<th scope="col"' in html and "<caption" in html


def test_status_shows_no_secret_but_the_softphones(status: LabStatus) -> None:
    assert status.config
    shown = f"{status}{status!r}{status._repr_html_()}"
    assert status.config.softphone_password in shown, "it is there to be typed"
    for secret in (
        status.config.livekit_api_secret,
        status.config.vobiz_password,
        status.config.vobiz_auth_token,
        status.config.openai_api_key,
        status.config.deepgram_api_key,
    ):
        assert secret not in shown


def test_env_and_logs_without_a_lab_say_what_to_do() -> None:
    for command in (("env",), ("logs", "carrier")):
        code, out, err = run("lab", *command)
        assert code == 1 and not out
        assert "not running" in err and "lab up" in err and "Traceback" not in err


def test_down_without_a_lab_is_no_error() -> None:
    code, out, _ = run("lab", "down", "--json")
    assert code == 0 and json.loads(out) == {"name": "unit", "running": False}


def test_a_name_that_cannot_be_a_folder() -> None:
    code, _, err = run("lab", "down", "--name", "../other")
    assert code == 1 and "cannot name a lab" in err


def test_logs_of_an_unknown_part_name_the_known() -> None:
    path = supervision.log_path(lab_home("unit"), "carrier")
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"line {i}\n" for i in range(100)))
    code, _, err = run("lab", "logs", "carier")
    assert code == 1 and "There are: carrier." in err
    code, out, _ = run("lab", "logs", "carrier", "-n", "2")
    assert code == 0 and out == "line 98\nline 99\n"


@pytest.mark.usefixtures("cloud")
def test_up_starts_nothing_on_the_cloud() -> None:
    code, out, _ = run("lab", "up")
    assert code == 0 and CLOUD["LIVEKIT_URL"] in out and "no lab to start" in out
    assert not lab_home("unit").exists()


@pytest.mark.usefixtures("cloud")
async def test_lab_functions_on_the_cloud(nobody_home: Path) -> None:
    for state in (await lab.up(), await lab.status()):
        assert state.healthy and "Cloud backend" in str(state)
        assert CLOUD["LIVEKIT_API_SECRET"] not in str(state)
    await lab.down()
    assert lab.trace() == [] and lab.cdrs() == []
    assert type(lab.phone("+15550009999")).__name__ == "YourPhone"
    assert not (nobody_home / "cache").exists()


def test_settings_that_point_at_the_lab_by_its_own_file_are_the_lab() -> None:
    home = lab_home("unit")
    home.mkdir(parents=True)
    LabConfig.new("unit").write_env(home)
    assert current.cloud_backend() is None


@pytest.mark.parametrize(
    "command",
    [
        ("trunks", "list"),
        ("trunks", "apply"),
        ("trunks", "destroy"),
        ("call", "+15550001234"),
        ("transfer", "room", "billing"),
        ("worker",),
        ("reset",),
    ],
)
def test_the_kits_commands_say_what_is_missing(command: tuple[str, ...]) -> None:
    code, out, err = run(*command)
    assert code == 1 and not out
    assert "no lab is running" in err and "make lab" in err and "Traceback" not in err


def test_wrong_usage_is_exit_code_2() -> None:
    assert run("lab", "fly")[0] == 2
    assert run("call")[0] == 2


def test_no_module_hides_a_function_of_the_lab() -> None:
    """Importing ``vobiz_kit.lab.x`` sets the package's attribute ``x``."""
    modules = {module.name for module in pkgutil.iter_modules(lab.__path__)}
    assert not modules & set(lab.__all__)
    assert all(getattr(lab, name) for name in lab.__all__)
    assert lab.Lab is Lab


def test_importing_the_lab_is_light() -> None:
    code = (
        "import sys; before = set(sys.modules); from vobiz_kit import lab;"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"livekit", "aiohttp", "httpx", "rich", "typer", "psutil", "ipywidgets", "asyncio"}
    assert "vobiz_kit" in run.stdout and not heavy & set(run.stdout.split())
