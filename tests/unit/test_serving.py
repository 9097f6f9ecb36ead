"""Serving an agent in the kernel: what can be said without LiveKit. The rest is in tests/lab."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.unit.call_fakes import CLOUD, cloud_settings
from vobiz_kit import kit_log, rivals
from vobiz_kit.agent_server import preload
from vobiz_kit.errors import ServingError, SettingsError
from vobiz_kit.serving import ServedAgent, serve
from vobiz_kit.settings import Settings
from vobiz_kit.voice_pipeline import voice_pipeline


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOBIZ_KIT_CACHE", str(tmp_path / "cache"))
    yield


async def entrypoint(ctx: object) -> None:
    raise AssertionError("no call comes in this test")


async def test_livekit_not_there_is_an_error_at_once() -> None:
    with pytest.raises(ServingError, match="LiveKit is not there") as error:
        await serve(entrypoint, cloud_settings())
    assert "ws://127.0.0.1:1" in error.value.evidence
    assert CLOUD["LIVEKIT_API_SECRET"] not in str(error.value)


async def test_a_missing_key_is_named() -> None:
    with pytest.raises(SettingsError, match="LIVEKIT_API_SECRET"):
        await serve(
            entrypoint, Settings.load(environ=CLOUD | {"LIVEKIT_API_SECRET": ""}, required=())
        )


async def test_a_call_that_never_comes_is_an_error_that_says_what_to_look_at() -> None:
    agent = ServedAgent(entrypoint, cloud_settings())
    with pytest.raises(ServingError, match="No call reached the agent within") as error:
        await agent.next_call(within=0.01)
    assert "dispatch rule" in error.value.fix


async def test_the_agent_shows_itself_in_one_line_with_a_link_to_its_log() -> None:
    agent = ServedAgent(entrypoint, cloud_settings(VOBIZ_KIT_PREFIX="amy"))
    assert repr(agent) == "Agent amy-agent at ws://127.0.0.1:1: waiting for calls"
    assert '<a href="logs/agent.log">log</a>' in agent._repr_html_()
    assert agent.log_path == Path.cwd() / "logs" / "agent.log"


def test_another_process_with_the_same_agent_is_found_and_a_dead_one_is_not() -> None:
    settings = cloud_settings()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        try:
            created = psutil.Process(other.pid).create_time()
            assert rivals.announce(settings) == []
            (own,) = Path(os.environ["VOBIZ_KIT_CACHE"]).glob("agents/*/*.json")
            note = json.loads(own.read_text())
            for pid, since in ((other.pid, created), (999_999_999, 1.0), (other.pid, created - 60)):
                path = own.with_name(f"{pid}-{since}.json")
                path.write_text(json.dumps(note | {"pid": pid, "created": since}))
            (found,) = rivals.announce(settings)
            assert found.pid == other.pid
            assert f"process {other.pid}" in str(found)
            assert rivals.announce(cloud_settings(VOBIZ_KIT_PREFIX="other")) == []
        finally:
            other.communicate(b"\n")
    assert rivals.announce(settings) == []
    rivals.withdraw(settings)
    assert not own.exists()


def test_logs_go_to_a_file_and_not_to_the_notebook(capfd: pytest.CaptureFixture[str]) -> None:
    path = kit_log.log_to_file()
    assert kit_log.log_to_file() == path
    logging.getLogger("livekit.agents").warning("something about a call")
    logging.getLogger("vobiz_kit.jobs").info("something of ours")
    moved = kit_log.log_to_file(Path("elsewhere.log"))
    logging.getLogger("livekit").warning("later")
    assert "something about a call" in path.read_text()
    assert "something of ours" in path.read_text()
    assert "later" not in path.read_text()
    assert "later" in moved.read_text()
    assert capfd.readouterr() == ("", "")


def test_preloading_leaves_the_environment_and_livekits_turn_detector_alone() -> None:
    # 244 MB of weights that nobody here uses; they would stay in memory for good.
    code = """
import os
before = dict(os.environ)
from vobiz_kit.agent_server import preload
preload()
import psutil
memory = psutil.Process().memory_info().rss >> 20
assert dict(os.environ) == before, set(os.environ) ^ set(before)
assert memory < 250, f"{memory} MB"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_pipeline_needs_its_keys() -> None:
    settings = Settings.load(environ=CLOUD | {"DEEPGRAM_API_KEY": ""}, required=())
    with pytest.raises(SettingsError, match="DEEPGRAM_API_KEY"):
        voice_pipeline(settings)


async def test_the_pipeline_is_what_a_session_takes_and_asks_nothing_of_livekit_cloud() -> None:
    from livekit.agents import AgentSession

    preload()
    base = "http://127.0.0.1:1/v1"
    pipeline = voice_pipeline(
        cloud_settings(OPENAI_BASE_URL=base, DEEPGRAM_BASE_URL=f"{base}/listen")
    )
    assert {type(pipeline[part]).__module__ for part in ("stt", "llm", "tts")} == {
        "livekit.plugins.deepgram.stt",
        "livekit.plugins.openai.llm",
        "livekit.plugins.openai.tts",
    }
    session: AgentSession = AgentSession(**pipeline)
    assert session.turn_detection == "stt"
    assert session.interruption_detection == "vad"
    await asyncio.gather(*(pipeline[part].aclose() for part in ("stt", "llm", "tts")))


def test_serving_nothing_leaves_no_thread() -> None:
    names = {thread.name for thread in threading.enumerate()}
    assert not [name for name in names if name.startswith("agent ")]
