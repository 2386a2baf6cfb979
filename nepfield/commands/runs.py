"""train, demo, solve, compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nepfield.commands.options import (
    Accept,
    Out,
    Quiet,
    Seed,
    Set,
    StudyFile,
    StudyOrRun,
    Trust,
    study_or_run,
)
from nepfield.endings import EXIT_INTERRUPTED, EXIT_NOT_CONVERGED, errors
from nepfield.files import unused
from nepfield.reports import tell
from nepfield.terminal import TrainingBar, print_comparison

if TYPE_CHECKING:
    from nepfield.study.text.study import StudyConfig

# What takes long to import (PyVista, Matplotlib, pandas) is imported inside the commands.


def train(
    study: StudyFile,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with the run in the folder, if there is one")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="processes on this machine that share each batch"),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Dask scheduler to use instead, tcp://host:port"),
    ] = None,
    accept: Accept = False,
    out: Out = None,
    overrides: Set = None,
    _trust: Trust = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Train a study; writes a run folder with pictures and fields for ParaView."""
    with errors(quiet):
        from nepfield.study.systems.systems import load_study

        def folder_of(name: str) -> Path:
            return out or Path("runs") / name

        config = load_study(study, tuple(overrides or ()), seed, folder_of if resume else None)
        where = {"workers": workers, "scheduler": scheduler}
        summary = _train(config, folder_of(config.name), resume, quiet, accept, where)
    _end_of(summary)


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="folder to write, or to go on with")
    ] = Path("nepfield-demo"),
    run: Annotated[
        bool, typer.Option("--run/--no-run", help="train it, or write the files only")
    ] = True,
    quiet: Quiet = False,
) -> None:
    """Write the demo study and its mesh to a folder, and train it there: XOR in a billiard."""
    with errors(quiet):
        from nepfield.study.demo import write_demo
        from nepfield.study.systems.systems import load_study

        study = write_demo(folder)
        if not run:
            typer.echo(f"{study}: nepfield train runs it")
            return
        summary = _train(load_study(study), folder / "run", True, quiet)
    _end_of(summary)


def solve(
    study: StudyOrRun,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="folder to write [default: runs/NAME-solve, of a run runs/NAME-solve-trained; "
            "with -2, -3, ... where there is one]",
        ),
    ] = None,
    accept: Accept = False,
    overrides: Set = None,
    _trust: Trust = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Find the steady states of a study's inputs, with its starting or its trained parameters."""
    with errors(quiet):
        from nepfield.study.run.jobs import solve_study

        config, run = study_or_run(study, overrides, seed)
        name = f"{config.name}-solve" if run is None else f"{run.resolve().name}-solve-trained"
        folder = out or unused(Path("runs") / name)
        summary = solve_study(config, folder, run, accept)
        tell(summary, folder, quiet)
    if summary["not_converged"]:
        typer.echo(summary["not_converged"][0], err=True)
        raise typer.Exit(EXIT_NOT_CONVERGED)


def compare(
    study: StudyOrRun,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.csv", help="also write the table")
    ] = None,
    accept: Accept = False,
    overrides: Set = None,
    _trust: Trust = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Hold every gradient rule against the exact gradient (the adjoint)."""
    with errors(quiet):
        from nepfield.study.plot import check_new_file
        from nepfield.study.run.folder import write_text
        from nepfield.study.run.jobs import compare_study

        check_new_file(out, (".csv",), "--out")
        config, run = study_or_run(study, overrides, seed)
        result = compare_study(config, run, accept)
        if not quiet:
            print_comparison(result, config.name)
        if out is not None:
            write_text(out, result.to_csv())


def _train(
    config: StudyConfig,
    folder: Path,
    resume: bool,
    quiet: bool,
    accept_changes: bool = False,
    where: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train a study with a progress bar, and say how it went."""
    if where is not None and any(place is not None for place in where.values()):
        from nepfield.study.sweeps.training import train_on_workers

        begin: Callable[..., dict[str, Any]] = partial(train_on_workers, **where)
    else:
        from nepfield.study.run.jobs import train_study

        begin = train_study
    with TrainingBar(config.name, config.training.epochs, quiet) as bar:
        summary = begin(
            config,
            folder,
            resume=resume,
            accept_changes=accept_changes,
            on_epoch=lambda state: bar.show(state.epoch, state.history[-1]),
            on_switch=bar.say,
        )
    tell(summary, folder, quiet)
    return summary


def _end_of(summary: dict[str, Any]) -> None:
    if summary["status"] == "interrupted":
        raise typer.Exit(EXIT_INTERRUPTED)
