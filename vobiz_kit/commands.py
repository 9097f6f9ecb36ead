"""``vobiz-kit trunks|call|transfer|worker|reset``: what the notebooks do, from a terminal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from vobiz_kit.errors import CallError
from vobiz_kit.settings import Settings

if TYPE_CHECKING:
    from vobiz_kit.call_events import CallEvent

_T = TypeVar("_T")
FAILED = 1
_JOIN_WITHIN_S = 5.0
_ANSWER_WITHIN_S = 120.0  # longer than any carrier lets a phone ring
_A_DAY_S = 24 * 3600.0

trunks = typer.Typer(no_args_is_help=True, help="Both sides of the trunk at LiveKit.")


@trunks.command("list")
def list_() -> None:
    """Show the inbound trunk, the outbound trunk and the dispatch rule."""
    from vobiz_kit.trunks import list_trunks

    typer.echo(str(_run(list_trunks(Settings.load()))))


@trunks.command()
def apply() -> None:
    """Make trunks and rule as the settings say; running it again changes nothing."""
    from vobiz_kit.trunks import apply_trunks

    typer.echo(str(_run(apply_trunks(Settings.load()))))


@trunks.command()
def destroy() -> None:
    """Remove the trunks and the rule that this kit made under your prefix."""
    from vobiz_kit.trunks import destroy_trunks

    typer.echo(str(_run(destroy_trunks(Settings.load()))))


def call(
    number: Annotated[str, typer.Argument(help="E.164, or an alias of your directory.")],
) -> None:
    """Have the agent ring a phone and follow the call; Ctrl-C hangs up.

    An agent must be running: `vobiz-kit worker`, or a notebook. Exit code 1 if nobody answered.
    """
    _run(_follow_call(number))


def transfer(
    room: Annotated[str, typer.Argument(help="The call's room at LiveKit.")],
    destination: Annotated[str, typer.Argument(help="E.164, or an alias of your directory.")],
) -> None:
    """Hand the caller of a running call over by SIP REFER. Exit code 1 if that did not work."""
    outcome = _run(_transfer(room, destination))
    typer.echo(str(outcome))
    if not outcome.ok:
        raise typer.Exit(FAILED)


def worker() -> None:
    """Serve the phone agent of `vobiz_kit.agent` until Ctrl-C; shows the calls that arrive."""
    _run(_serve())


def reset() -> None:
    """End your calls, and remove the trunks and the rule that this kit made under your prefix."""
    from vobiz_kit.reset import reset

    typer.echo(str(_run(reset(Settings.load()))))


async def _follow_call(number: str) -> None:
    settings = Settings.load()  # first: what is missing is said before LiveKit is imported
    from vobiz_kit.calls import place_call

    call = await place_call(number, settings)
    typer.echo(f"{call.room}")
    try:
        for event in call.events:
            _print(event)
        call.subscribe(_print)
        await call.wait_for("active", within=_ANSWER_WITHIN_S)
        await call.wait_for("ended", within=_A_DAY_S)
    finally:
        if not call.over:
            await asyncio.shield(call.hang_up())
        await call.aclose()


async def _transfer(room: str, destination: str) -> Any:
    settings = Settings.load()
    from vobiz_kit.calls import Call, rooms_of

    rooms = await rooms_of(settings)
    if room not in rooms:
        raise CallError(
            f"There is no call in a room {room!r}.",
            evidence=f"your calls: {', '.join(rooms) or 'none'}",
        )
    async with await Call.in_room(room, settings) as call:
        await call.wait_for("active", within=_JOIN_WITHIN_S)
        return await call.transfer(destination)


async def _serve() -> None:
    settings = Settings.load()
    from vobiz_kit.agent import entrypoint
    from vobiz_kit.serving import serve

    async with await serve(entrypoint, settings) as agent:
        typer.echo(f"{agent.agent_name} waits for calls; Ctrl-C ends it. Log: {agent.log_path}")
        while True:
            call = await agent.next_call(within=_A_DAY_S)
            typer.echo(f"{call.room}")
            call.subscribe(_print)


def _print(event: CallEvent) -> None:
    if event.data.get("final", True):  # a sentence comes again and again while it is spoken
        typer.echo(str(event))


def _run(doing: Coroutine[Any, Any, _T]) -> _T:
    """Run it to its end, or until Ctrl-C or SIGTERM, which end it in good order alike."""
    try:
        return asyncio.run(_until_told(doing))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _until_told(doing: Coroutine[Any, Any, _T]) -> _T:
    task = asyncio.ensure_future(doing)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as in `nohup vobiz-kit worker &`
        loop.add_signal_handler(signal.SIGINT, task.cancel)
    return await task
