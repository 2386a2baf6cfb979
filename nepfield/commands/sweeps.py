"""sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nepfield.commands.options import (
    Accept,
    Quiet,
    Set,
    Trust,
)
from nepfield.endings import errors
from nepfield.terminal import SweepBar, print_statistics


def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="sweep file")],
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="processes on this machine [default: one a processor]"),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Dask scheduler to use instead, tcp://host:port"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="do what is not finished, and what failed")
    ] = False,
    accept: Accept = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="folder to write [default: runs/NAME-sweep]"),
    ] = None,
    overrides: Set = None,
    _trust: Trust = False,
    yes: Annotated[bool, typer.Option("--yes", help="run more than 100000 cases")] = False,
    quiet: Quiet = False,
) -> None:
    """Train many cases of a study on several processors or a cluster; writes results.csv.

    A case that fails is recorded there and does not stop the others: the exit status is 0 unless
    all of them failed, then it is 1.
    """
    with errors(quiet):
        from nepfield.study.sweeps.cluster import run_sweep
        from nepfield.study.sweeps.design import load_sweep

        plan = load_sweep(file, tuple(overrides or ()), many=yes)
        folder = out or Path("runs") / plan.name
        with SweepBar(plan.name, len(plan.cases), quiet) as bar:
            table = run_sweep(
                plan,
                folder,
                workers=workers,
                scheduler=scheduler,
                resume=resume,
                accept_changes=accept,
                on_progress=bar.show,
            )
        finished = int((table["status"] == "finished").sum())
        if not quiet:
            print_statistics(folder / "statistics.csv")
            typer.echo(f"{plan.name}: {finished} of {len(table)} cases finished")
            typer.echo(f"  wrote {folder}/results.csv")
    if not finished:
        raise typer.Exit(1)
