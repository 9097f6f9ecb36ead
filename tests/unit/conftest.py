"""Unit tests leave nothing in the working directory, and nothing that counts for the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from vobiz_kit import audit, policy
from vobiz_kit.dial_limits import DialLimits


@pytest.fixture(scope="session")
def audit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the audit log of all unit tests goes that look at none of their own."""
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(autouse=True)
def audit_elsewhere(monkeypatch: pytest.MonkeyPatch, audit_folder: Path) -> None:
    """Decisions of unit tests are not written beside somebody's real log."""
    monkeypatch.setattr(audit, "log_folder", lambda: audit_folder)


@pytest.fixture(autouse=True)
def nothing_dialled_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test uses up the limits of the next one: their calls all have the same room."""
    monkeypatch.setattr(policy, "dial_limits", DialLimits())
