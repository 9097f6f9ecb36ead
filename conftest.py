"""What every test run of this project loads; fixtures are in ``tests/conftest.py``."""

from __future__ import annotations

import asyncio

import pytest
from nbmake.pytest_items import NotebookItem

from vobiz_kit.lab.lab import Lab

pytest_plugins = ["tests.lab_session", "tests.notebook_guard"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have the run's lab up before a notebook starts, whose own time then begins."""
    if isinstance(item, NotebookItem):
        asyncio.run(Lab().up())
