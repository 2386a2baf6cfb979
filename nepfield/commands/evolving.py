"""evolve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nepfield.commands.options import Accept, Quiet, Seed, Set, StudyOrRun, Trust, study_or_run
from nepfield.endings import EXIT_INTERRUPTED, errors
from nepfield.files import unused
from nepfield.reports import tell_evolution
from nepfield.terminal import EvolutionBar


def evolve(
    study: StudyOrRun,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="folder to write [default: runs/NAME-evolve, of a run runs/NAME-evolve-trained; "
            "with -2, -3, ... where there is one]",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="START",
            help='"vacuum" or "steady": where the wave is at t = 0 [default: evolve.start]',
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            "--time",
            metavar="T",
            help='such as 200, with [units] also "200 ps" [default: evolve.time, or 20/gamma]',
        ),
    ] = None,
    ramp: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="let all pumps rise to their weights in this time, instead of evolve.envelope",
        ),
    ] = None,
    samples: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="samples, such as 3 or 0,8-15 [default: the first four]"),
    ] = None,
    accept: Accept = False,
    overrides: Set = None,
    _trust: Trust = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Follow a wave in time, from the vacuum or its steady states, as [evolve] of the study says.

    Pumps may be ramped, switched or pulsed ([[evolve.envelope]]). Writes what is read against time
    as table and picture, frames for ParaView and a film; from the vacuum it says whether the wave
    reaches its steady states. Ctrl-C ends it, and keeps what is there.
    """
    with errors(quiet):
        from nepfield.study.plot import read_samples
        from nepfield.study.run.evolving import evolve_study

        chosen = read_samples(samples)
        given = {"evolve.start": start, "evolve.time": time}
        if ramp is not None:
            given["evolve.envelope"] = f"[{{ ramp = {_written(ramp)} }}]"
        sets = [f"{key}={value}" for key, value in given.items() if value is not None]
        config, run = study_or_run(study, [*(overrides or ()), *sets], seed)
        name = f"{config.name}-evolve" if run is None else f"{run.resolve().name}-evolve-trained"
        folder = out or unused(Path("runs") / name)
        with EvolutionBar(config.name, quiet) as bar:
            summary = evolve_study(
                config, folder, run, samples=chosen, accept_changes=accept, on_frame=bar.show
            )
        tell_evolution(summary, folder, quiet)
    if summary["status"] == "interrupted":
        raise typer.Exit(EXIT_INTERRUPTED)


def _written(text: str) -> str:
    """A number as it is, and any other text in quotes, as TOML has them."""
    try:
        return repr(float(text))
    except ValueError:
        return json.dumps(text)
