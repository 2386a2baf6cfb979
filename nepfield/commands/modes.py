"""modes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nepfield.commands.options import (
    Accept,
    Quiet,
    Seed,
    Set,
    StudyOrRun,
    Trust,
    study_or_run,
)
from nepfield.endings import EXIT_NOT_CONVERGED, errors
from nepfield.files import unused
from nepfield.terminal import print_rows


def modes(
    study: StudyOrRun,
    count: Annotated[
        int, typer.Option("--count", metavar="N", help="so many modes and fluctuations")
    ] = 8,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="K",
            help="fluctuations around the state of input K [default: that of the strongest drive]",
        ),
    ] = None,
    near: Annotated[
        str | None,
        typer.Option(
            "--near", metavar="LEVEL", help="modes nearest to a level, such as 0 [default: lowest]"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="folder to write [default: runs/NAME-modes; with -2, -3, ... where there is one]",
        ),
    ] = None,
    accept: Accept = False,
    overrides: Set = None,
    _trust: Trust = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Find the modes of a wave's cavity, and the fluctuations around one of its states."""
    with errors(quiet):
        from nepfield.study.run.modes import modes_study, told

        config, run = study_or_run(study, overrides, seed)
        name = config.name if run is None else run.resolve().name
        folder = out or unused(Path("runs") / f"{name}-modes")
        summary = modes_study(
            config, folder, run, count=count, sample=sample, near=near, accept_changes=accept
        )
        for note in summary["notes"]:
            typer.echo(f"no pictures of fields: {note}", err=True)
        if not quiet:
            tables, lines = told(summary)
            for title, table in tables:
                print_rows(title, table)
            for line in [*lines, f"wrote {folder}/"]:
                typer.echo(f"  {line}")
    if summary["not_converged"]:
        typer.echo(f"sample {summary['sample']}: {summary['not_converged'][0]}", err=True)
        raise typer.Exit(EXIT_NOT_CONVERGED)
