"""The guard against a livekit-api that misreads successful transfers."""

from __future__ import annotations

import pytest

from vobiz_kit import livekit_api
from vobiz_kit.errors import SettingsError, VobizKitError
from vobiz_kit.livekit_api import guard_livekit_api, open_livekit_api
from vobiz_kit.secret import Secret
from vobiz_kit.settings import Settings


@pytest.mark.parametrize("version", ["1.2.0", "1.1.9", "0.8.2", "1.2", "1.2.0.post1", "1.2.0rc2"])
def test_versions_that_misread_a_transfer_are_refused(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(livekit_api, "version", {"livekit-api": version}.__getitem__)
    with pytest.raises(VobizKitError) as caught:
        guard_livekit_api()
    assert f"livekit-api {version} is installed" in str(caught.value)
    assert "livekit-api>=1.2.1" in str(caught.value)


@pytest.mark.parametrize("version", ["1.2.1", "1.2.2", "1.3.0", "2.0", "1.10.0"])
def test_later_versions_pass(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(livekit_api, "version", {"livekit-api": version}.__getitem__)
    guard_livekit_api()


def test_the_installed_version_passes() -> None:
    guard_livekit_api()


async def test_no_api_is_opened_with_an_old_version_or_without_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings("cloud", "ws://127.0.0.1:1", "APIkey", Secret("x" * 40))
    monkeypatch.setattr(livekit_api, "version", {"livekit-api": "1.2.0"}.__getitem__)
    with pytest.raises(VobizKitError, match="too old"):
        async with open_livekit_api(settings):
            pass
    with pytest.raises(SettingsError, match="LIVEKIT_API_SECRET"):
        async with open_livekit_api(Settings("cloud", "ws://127.0.0.1:1", "APIkey")):
            pass
