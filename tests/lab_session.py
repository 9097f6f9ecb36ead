"""A pytest plugin: one lab for the whole run, tests and notebooks alike, and no trace after it.

The run gets a lab's name (``VOBIZ_KIT_LAB``) that no other run has, and an environment without
anybody's accounts. Whoever needs the lab starts it or joins it: the fixture ``lab``, or a notebook
by ``await lab.up()``. When the run ends, also by Ctrl-C, it is taken down; when the run is killed,
the lab notices by itself (``VOBIZ_KIT_LAB_OWNER``).

On a fresh machine the LiveKit servers are built before the first test, with progress: inside a
fixture the build would count towards that test's timeout, and outlast it.
"""

from __future__ import annotations

import asyncio
import os

import pytest
from _pytest.capture import CaptureManager
from nbmake.pytest_items import NotebookItem

from vobiz_kit.errors import SettingsError, VobizKitError
from vobiz_kit.lab.build import find_or_build
from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.ports import is_free
from vobiz_kit.lab.progress import Progress
from vobiz_kit.lab.supervision import processes
from vobiz_kit.sources import collect, is_alias

_ACCOUNTS = ("LIVEKIT_", "OPENAI_", "DEEPGRAM_", "VOBIZ_", "OUTBOUND_TRUNK_ID", "JUPYTERHUB_")
_KEPT = ("VOBIZ_KIT_CACHE",)
_before = pytest.StashKey[dict[str, str]]()


def is_foreign(name: str) -> bool:
    """Whether an environment variable would point tests at something else than their lab."""
    return (name.startswith(_ACCOUNTS) and name not in _KEPT) or is_alias(name)


def foreign() -> dict[str, str]:
    """Those variables as they are now."""
    return {name: value for name, value in os.environ.items() if is_foreign(name)}


def replace_foreign(wanted: dict[str, str]) -> None:
    """Make those variables what is given."""
    for name in foreign():
        del os.environ[name]
    os.environ.update(wanted)


def what_is_left(lab: Lab, ports: range) -> list[str]:
    """Everything of a lab that is still there after `Lab.down`, in words; [] if it is all gone."""
    left = [f"process {process.pid}" for process in processes(lab.home)]
    left += [f"port {port}" for port in ports if not is_free(port)]
    if lab.home.exists():
        left.append(f"folder {lab.home}")
    return left


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[_before] = foreign()
    owner = str(os.getpid())
    replace_foreign({"VOBIZ_KIT_LAB": f"test-{owner}", "VOBIZ_KIT_LAB_OWNER": owner})
    if _env_file_means_cloud():
        raise pytest.UsageError(
            "The .env in this folder names a LiveKit of your own, and the notebooks would ring "
            "real phones with it. Move it away for the tests: mv .env .env.mine"
        )


def needs_lab(item: pytest.Item) -> bool:
    """Whether a test starts the lab: a notebook, or whoever uses the fixture ``lab``."""
    return isinstance(item, NotebookItem) or "lab" in getattr(item, "fixturenames", ())


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the servers that are missing, if anything that was collected needs them."""
    if session.config.option.collectonly or not any(map(needs_lab, session.items)):
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    assert isinstance(capture, CaptureManager)
    with capture.global_and_fixture_disabled():
        try:
            asyncio.run(find_or_build(Progress()))
        except VobizKitError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    before = config.stash.get(_before, None)
    if before is None:
        return
    try:
        asyncio.run(Lab(f"test-{os.getpid()}").down())
    finally:
        replace_foreign(before)


def _env_file_means_cloud() -> bool:
    try:
        return collect(None, os.environ, {}).cloud
    except SettingsError:  # nothing asks for the cloud, and the lab does not run yet
        return False
