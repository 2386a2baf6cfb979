"""The command line: what `nepfield` can do, and how it starts and ends."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from nepfield import __version__
from nepfield.commands import branching, evolving, looking, modes, runs, sweeps
from nepfield.endings import told
from nepfield.memory import keep_memory

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich would take "[default: ...]" for markup
    help="Physical learning: train a system by nothing but the contrast of its equilibria.",
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nepfield {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    told: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="tell the version"),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the command `nepfield`."""
    os.environ["MPLBACKEND"] = "agg"  # Jupyter's, which is inherited, need not be installed here
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # signs that the terminal lacks
    keep_memory()
    try:
        app()
    except OSError as error:  # before a command has begun
        sys.exit(f"error: {told(error)}")


for command in (
    runs.train,
    runs.demo,
    runs.solve,
    runs.compare,
    branching.branch,
    evolving.evolve,
    modes.modes,
    sweeps.sweep,
    looking.check,
    looking.plot,
    looking.keys,
):
    app.command()(command)


if __name__ == "__main__":
    main()
