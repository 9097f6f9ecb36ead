"""LiveKit's server API, opened with the kit's settings and no other credentials."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from vobiz_kit.errors import TrunkError, VobizKitError

if TYPE_CHECKING:
    from livekit.api import LiveKitAPI, ServerError
    from livekit.api.sip_service import SipService

    from vobiz_kit.settings import Settings

# livekit-api 1.2.0 reads the answer to a successful transfer as another message and raises
# DecodeError (livekit/python-sdks pull request 786; reproduced).
OLDEST = (1, 2, 1)


def guard_livekit_api() -> None:
    """Refuse a livekit-api that cannot parse the answer to a successful transfer.

    Raises:
        VobizKitError: the installed version is older than 1.2.1.
    """
    installed = version("livekit-api")
    if tuple(int(part) for part in re.findall(r"\d+", installed)[:3]) < OLDEST:
        raise VobizKitError(
            "This livekit-api is too old: a transfer that succeeds would look like a failure.",
            evidence=f"livekit-api {installed} is installed; its answer to a successful transfer"
            " ends in google.protobuf.message.DecodeError",
            fix="Run `pip install 'livekit-api>=1.2.1'` and restart the kernel.",
        )


@asynccontextmanager
async def open_livekit_api(settings: Settings, *, within: float = 10) -> AsyncIterator[LiveKitAPI]:
    """LiveKit's server API for these settings, closed at the end of the block.

    Args:
        settings: Where LiveKit is, and the key and secret.
        within: Seconds that one request may take.

    Raises:
        SettingsError: LIVEKIT_URL, LIVEKIT_API_KEY or LIVEKIT_API_SECRET is missing.
        VobizKitError: livekit-api is too old.
    """
    settings.require("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
    guard_livekit_api()
    import aiohttp
    from livekit.api import LiveKitAPI

    api = LiveKitAPI(
        settings.livekit_url,
        settings.livekit_api_key,
        settings.livekit_api_secret.reveal(),
        timeout=aiohttp.ClientTimeout(total=within),
    )
    try:
        yield api
    finally:
        await api.aclose()


@asynccontextmanager
async def open_sip_service(settings: Settings) -> AsyncIterator[SipService]:
    """LiveKit's SIP service (trunks and dispatch rules), closed at the end of the block.

    Raises:
        SettingsError: LIVEKIT_URL, LIVEKIT_API_KEY or LIVEKIT_API_SECRET is missing.
        TrunkError: in the block LiveKit refused something (its message is quoted), or could not
            be reached.
    """
    async with open_livekit_api(settings) as api:
        import aiohttp
        from livekit.api import ServerError

        try:
            yield api.sip
        except ServerError as error:
            raise _refused(error, settings) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            fix = "Check LIVEKIT_URL and your connection."
            if settings.backend == "lab":
                fix = "See whether the lab runs: `vobiz-kit lab status`."
            raise TrunkError(
                "LiveKit could not be reached.",
                evidence=f"{settings.livekit_url}: {error or type(error).__name__}",
                fix=fix,
            ) from None


def _refused(error: ServerError, settings: Settings) -> TrunkError:
    said = f"LiveKit: {error.message or '(no message)'} ({error.code}, HTTP {error.status})"
    if error.status == 401 or error.code == "unauthenticated":
        return TrunkError(
            "LiveKit did not accept your API key and secret.",
            evidence=f"{said}; key {settings.livekit_api_key} at {settings.livekit_url}",
            fix="Copy key and secret once more, both from the project that LIVEKIT_URL names; and"
            " check this machine's clock.",
        )
    return TrunkError(
        "LiveKit refused the trunk or the dispatch rule.",
        evidence=said,
        fix="`await vk.list_trunks(settings)` shows what is there.",
    )
