"""Begin anew: end this learner's calls and agents, remove what the kit made at LiveKit."""

from __future__ import annotations

from vobiz_kit.call_rooms import rooms_of
from vobiz_kit.calls import Call, watched_calls
from vobiz_kit.serving import served_agents
from vobiz_kit.settings import Settings
from vobiz_kit.tables import Table
from vobiz_kit.trunks import destroy_trunks


async def reset(settings: Settings | None = None) -> Table:
    """End calls, stop agents, remove trunks and the dispatch rule: of this learner only.

    What belongs to another prefix, or was not made by the kit, is left alone. An error that the
    agent's code raised in an earlier call does not get in the way; it stands in the table.

    Args:
        settings: Whose; loaded if None.

    Returns:
        What was ended and removed.

    Raises:
        TrunkError: LiveKit refused.
        SettingsError: LiveKit's address or key is missing.
    """
    settings = settings or Settings.load()
    rows: list[tuple[str, str, str]] = []
    for agent in served_agents():
        if agent.settings.livekit_url == settings.livekit_url:
            try:
                await agent.aclose()
                rows.append(("agent", agent.agent_name, "stopped"))
            except Exception as error:  # noqa: BLE001 - shown; a reset has to go through
                rows.append(("agent", agent.agent_name, f"stopped; its code had raised {error!r}"))
    for room in await rooms_of(settings):
        await Call.known(room, settings).hang_up()
        rows.append(("call", room, "ended"))
    for call in watched_calls():
        await call.aclose()
    removed = await destroy_trunks(settings)
    rows += [(row.part, row.name or row.id, row.state) for row in removed.rows]
    note = "" if rows else "There was nothing to reset."
    return Table("Reset", ("What", "Name", "Done"), rows, note)
