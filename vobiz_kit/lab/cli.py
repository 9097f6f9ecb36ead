"""``vobiz-kit lab``: the lab from a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
from typing import Annotated

import typer

from vobiz_kit.lab import current
from vobiz_kit.lab.build import find_or_build
from vobiz_kit.lab.lab import Lab
from vobiz_kit.lab.progress import Progress

NOT_HEALTHY = 3  # exit code of `status`

app = typer.Typer(no_args_is_help=True, help="A whole phone network on this machine.")

Name = Annotated[
    str | None,
    typer.Option(
        "--name", help="Which lab; VOBIZ_KIT_LAB or 'default' if not given.", metavar="NAME"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with the lab's credentials.")]


@app.command()
def up(
    name: Name = None,
    as_json: AsJson = False,
    owner_pid: Annotated[
        int | None,
        typer.Option(help="Take the lab down when this process has ended.", metavar="PID"),
    ] = None,
) -> None:
    """Start the lab, or join it if it runs; builds what is missing.

    Without --name nothing is started where the settings name a LiveKit of your own.
    """
    show = not as_json
    lab = Lab(name, owner_pid=owner_pid)
    cloud = None if name else current.cloud_backend()
    if cloud is not None:
        typer.echo(json.dumps(cloud.to_json(), indent=2) if as_json else str(cloud))
        return
    state = asyncio.run(lab.up(progress=show))
    typer.echo(json.dumps(state.to_json(), indent=2) if as_json else str(state))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def notebooks(context: typer.Context) -> None:
    """Open JupyterLab on the first notebook; the lab runs as long as it does.

    What follows is passed on to JupyterLab, e.g. --no-browser. A lab that ran before stays.
    """
    from vobiz_kit.lab.jupyter import run_jupyter

    lab = Lab(owner_pid=os.getpid())
    if (cloud := current.cloud_backend()) is not None:
        typer.echo(str(cloud))
        raise typer.Exit(run_jupyter(context.args))
    ran_before = bool(asyncio.run(lab.status()).parts)
    try:
        typer.echo(str(asyncio.run(lab.up(progress=True))))
        code = run_jupyter(context.args)
    finally:
        if not ran_before:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # one Ctrl-C too many is no harm
            asyncio.run(lab.down())
    raise typer.Exit(code)


@app.command()
def build() -> None:
    """Build what is missing without starting anything (for images and caches)."""
    programs = asyncio.run(find_or_build(Progress()))
    for name, (path, version) in programs.to_json().items():
        typer.echo(f"{name.replace('_', '-'):15} {version:10} {path}")


@app.command()
def status(name: Name = None, as_json: AsJson = False) -> None:
    """Show every part's health, ports, version and memory. Exit code 3 if not all are healthy."""
    state = asyncio.run(Lab(name).status())
    typer.echo(json.dumps(state.to_json(), indent=2) if as_json else str(state))
    if not state.healthy:
        raise typer.Exit(NOT_HEALTHY)


@app.command()
def logs(
    part: Annotated[str, typer.Argument(help="A part as `status` names it, or 'supervisor'.")],
    name: Name = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 40,
) -> None:
    """Print the last lines of a part's log."""
    typer.echo(Lab(name).logs(part, lines))


@app.command()
def down(name: Name = None, as_json: AsJson = False) -> None:
    """Stop the lab and remove what it wrote. A lab that does not run is no error."""
    lab = Lab(name)
    asyncio.run(lab.down())
    typer.echo(
        json.dumps({"name": lab.name, "running": False})
        if as_json
        else f"The lab {lab.name!r} is down."
    )


@app.command()
def env(name: Name = None, as_json: AsJson = False) -> None:
    """Print the settings that point at the lab, for other programs: eval "$(vobiz-kit lab env)"."""
    settings = asyncio.run(Lab(name).attach()).settings()
    if as_json:
        typer.echo(json.dumps(settings, indent=2))
        return
    for variable, value in settings.items():
        typer.echo(f"export {variable}={shlex.quote(value)}")
