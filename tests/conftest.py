"""Fixtures for all tests. The run's own lab and its environment come from `tests.lab_session`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.lab_session import foreign, replace_foreign, what_is_left
from vobiz_kit.lab.lab import Lab


@pytest.fixture(autouse=True)
def environment_of_the_run() -> Iterator[None]:
    """No test leaves settings to the next one (an AgentServer exports its credentials)."""
    before = foreign()
    yield
    replace_foreign(before)


@pytest.fixture(scope="session")
async def lab() -> AsyncIterator[Lab]:
    """The run's lab, healthy; nothing of it is left when the run ends."""
    lab = Lab()
    await lab.up()
    ports = lab.config.ports
    yield lab
    await lab.down()
    assert what_is_left(lab, ports) == []
