"""The command ``vobiz-kit``: the lab, trunks, calls and transfers from a terminal.

Exit codes: 0 done, 1 it could not be done (the reason is on standard error), 2 wrong usage,
3 ``lab status`` of a lab that is not healthy, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from vobiz_kit import commands
from vobiz_kit.errors import VobizKitError

# The one place of the kit that knows of the lab: it gives the command its name.
from vobiz_kit.lab import cli as lab_cli

INTERRUPTED = 130


class KitGroup(TyperGroup):
    """Prints the kit's errors as they are meant to be read, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except VobizKitError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            typer.echo("Interrupted.", err=True)
            raise typer.Exit(INTERRUPTED) from error


class KitApp(typer.Typer):
    """The program as it is called from a terminal."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Run it and end the process.

        Once LiveKit's native library has been used, the process ends without Python's clean-up:
        that takes the library down while its threads still work, which now and then ends in
        SIGABRT instead of the exit code (measured: 3 of 48 under load, 0 of 96 this way).
        """
        try:
            return super().__call__(*arguments, **options)
        except SystemExit as end:
            if "livekit.rtc" not in sys.modules or not isinstance(end.code, int):
                raise
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)


app = KitApp(
    cls=KitGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Voice agents on the phone network with LiveKit and Vobiz.",
)
app.add_typer(lab_cli.app, name="lab")
app.add_typer(commands.trunks, name="trunks")
for command in (commands.call, commands.transfer, commands.worker, commands.reset):
    app.command()(command)

if __name__ == "__main__":
    app()
