"""branch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nepfield.commands.options import Accept, Quiet, Seed, Set, StudyOrRun, Trust
from nepfield.endings import EXIT_INTERRUPTED, errors
from nepfield.errors import InputError
from nepfield.files import STUDY_FILE, unused

_TOLD = 6  # special points of a kind that are told


def branch(
    study: StudyOrRun,
    key: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            help="what is varied: a key of the study, such as pump.0.weight or physics.loss, or a "
            "number of its system: drive (a factor of all pumps), detuning (V less the value), "
            "weights.0, potential.12, inputs.0",
        ),
    ],
    start: Annotated[str, typer.Option("--from", metavar="VALUE", help="where it begins")],
    stop: Annotated[str, typer.Option("--to", metavar="VALUE", help="the other end")],
    sample: Annotated[
        int, typer.Option(metavar="K", min=0, help="which inputs of the task, from 0")
    ] = 0,
    deflate: Annotated[
        bool, typer.Option("--deflate", help="look for branches that are not connected as well")
    ] = False,
    both_ways: Annotated[
        bool, typer.Option("--both-ways", help="begin at the other end as well")
    ] = False,
    points: Annotated[
        int, typer.Option(metavar="N", min=2, help="points of a branch at most")
    ] = 400,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="folder to write [default: runs/NAME-branch; with -2, -3, ... where there is one]",
        ),
    ] = None,
    accept: Accept = False,
    overrides: Set = None,
    _trust: Trust = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Follow steady states of a wave as one number varies, around folds and onto other branches.

    Writes branch.csv (outputs, norm, growth and stability), pictures of the branches and of the
    fields along them, and fields.vtu. A run is followed as it was trained: its hysteresis, for
    instance. Ctrl-C keeps what was found.
    """
    with errors(quiet):
        from nepfield.study.run.branching import BranchOptions, branch_study

        if study.is_dir() and not (study / STUDY_FILE).is_file():
            raise InputError(f"{study}: this is no run folder (it has no {STUDY_FILE}).")
        name = study.resolve().name if study.is_dir() else _name_of(study)
        folder = out or unused(Path("runs") / f"{name}-branch")
        options = BranchOptions(key, start, stop, sample, deflate, both_ways, points)
        console = Console(stderr=True)
        with console.status(f"{name}: starting") as status:
            if quiet or not console.is_terminal:
                status.stop()

            def tell(count: int, value: float) -> None:
                status.update(f"{name}: branch {count}, {key} = {value:.5g}")

            summary = branch_study(
                study, folder, options, overrides=tuple(overrides or ()), seed=seed,
                accept_changes=accept, tell=tell,
            )  # fmt: skip
        for note in summary["notes"]:
            typer.echo(f"no pictures of fields: {note}", err=True)
        if not quiet:
            for line in _report(summary, folder):
                typer.echo(line)
    if summary["status"] == "interrupted":
        raise typer.Exit(EXIT_INTERRUPTED)


def _name_of(study: Path) -> str:
    from nepfield.study.text.config import read_toml

    return str(read_toml(study).get("name") or study.stem)


def _report(summary: dict, folder: Path) -> list[str]:
    """What is told of the branches."""
    branches, unit = summary["branches"], f" {summary['unit']}".rstrip()
    count = f"{len(branches)} branch{'es' if len(branches) > 1 else ''}"
    lines = [f"{summary['name']}: {summary['status']}, {count}"]
    for each in branches:
        words = ", ".join(f"{n} {word}" for word, n in each["stability"].items())
        lines.append(
            f"  branch {each['branch']} (from {each['origin']}): {each['points']} points, {words}; "
            f"{each['ending']}"
        )
        for kind, plural in (
            ("fold", "folds"),
            ("Hopf", "Hopf"),
            ("branch point", "branch points"),
        ):
            values = each[kind]
            if len(values):
                more = f", ... ({len(values)})" if len(values) > _TOLD else ""
                listed = ", ".join(f"{value:.8g}" for value in values[:_TOLD])
                lines.append(f"    {plural}: {listed}{more}{unit}")
    return [*lines, f"  wrote {folder}/"]
