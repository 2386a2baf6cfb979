"""The command line: check, solve, train, compare, sweep, plot, keys."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nepfield import __version__
from nepfield.endings import EXIT_INTERRUPTED, EXIT_NOT_CONVERGED, errors, told
from nepfield.errors import InputError
from nepfield.files import STUDY_FILE, unused
from nepfield.memory import keep_memory
from nepfield.mesh.geocommands import trust_geometries
from nepfield.terminal import SweepBar, TrainingBar, print_comparison, print_statistics, tell

if TYPE_CHECKING:
    from nepfield.study.text.study import StudyConfig

# What takes long to import (PyVista, Matplotlib, pandas) is imported inside the commands.

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich would take "[default: ...]" for markup
    help="Physical learning: train a system by nothing but the contrast of its equilibria.",
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="study file")]
StudyOrRun = Annotated[
    Path, typer.Argument(metavar="STUDY.toml|RUN", help="study file, or run folder (as trained)")
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="folder to write [default: runs/NAME]")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="replace section.key; repeatable"),
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="replace the study's seed")]
Accept = Annotated[
    bool,
    typer.Option("--accept-changes", help="go on although mesh or task have changed since"),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust-geometry",
        help="let .geo files run commands and write files",
        callback=lambda trusted: trust_geometries() if trusted else None,
        expose_value=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="print errors only")]


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


@app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="STUDY.toml|MESH")],
    overrides: Set = None,
    _trust: Trust = False,
    seed: Seed = None,
) -> None:
    """Say what is in a mesh or a study: regions, boundaries, quality, cells a wavelength.

    A geometry is a program: a .geo is run by Gmsh and may only draw (--trust-geometry lifts that),
    a Python function runs as any code of yours.
    """
    with errors():
        from nepfield.study.check import check as report

        text = report(path, tuple(overrides or ()), seed)
        typer.echo(text)


@app.command()
def train(
    study: StudyFile,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with the run in the folder, if there is one")
    ] = False,
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
        summary = _train(config, folder_of(config.name), resume, quiet, accept)
    _end_of(summary)


@app.command()
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


@app.command()
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

        config, run = _study_or_run(study, overrides, seed)
        name = f"{config.name}-solve" if run is None else f"{run.resolve().name}-solve-trained"
        folder = out or unused(Path("runs") / name)
        summary = solve_study(config, folder, run, accept)
        tell(summary, folder, quiet)
    if summary["not_converged"]:
        typer.echo(summary["not_converged"][0], err=True)
        raise typer.Exit(EXIT_NOT_CONVERGED)


@app.command()
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
        config, run = _study_or_run(study, overrides, seed)
        result = compare_study(config, run, accept)
        if not quiet:
            print_comparison(result, config.name)
        if out is not None:
            write_text(out, result.to_csv())


@app.command()
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


@app.command()
def plot(
    run: Annotated[
        Path, typer.Argument(metavar="RUN|SWEEP_FOLDER", help="folder of a run or of a sweep")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="write one file: .png, .pdf or .svg a picture, .gif the training "
            "(figures.frames), .html to turn and zoom in a browser; of a sweep a picture",
        ),
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="which picture: density, phase, potential, gradient, training, outputs; of a line "
            "fields [default: density or fields]; of a sweep a column of results.csv "
            "[default: cost], or density, phase, potential, gradient of its cases side by side",
        ),
    ] = None,
    samples: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="samples of a run to draw, such as 3 or 0,8-15"),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="logarithmic colours and axes for intensities")
    ] = False,
    _trust: Trust = False,
    interactive: Annotated[bool, typer.Option("--interactive", help="open a window")] = False,
) -> None:
    """Draw the pictures of a run anew, or open them in a window; of a sweep its results."""
    with errors():
        from nepfield.study.plot import draw, read_samples

        chosen = read_samples(samples)
        for path in draw(run, output, field, interactive, samples=chosen, log=log):
            typer.echo(str(path))


@app.command()
def keys(
    section: Annotated[
        str | None, typer.Argument(metavar="[SECTION]", help="such as pump or potential.imaginary")
    ] = None,
    system: Annotated[
        str | None,
        typer.Option("--system", metavar="NAME", help='as in physics.system [default: "gpe"]'),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="all keys of all systems as a page")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="a JSON schema, from which editors complete")
    ] = False,
) -> None:
    """Say which keys a study may have, what each takes, and what it is without."""
    with errors():
        from nepfield.study.systems import keys_page

        if (markdown or schema) and (section or system or (markdown and schema)):
            raise InputError("--markdown and --schema are of all systems, and go alone.")
        if markdown or schema:
            typer.echo(keys_page.page() if markdown else keys_page.schema(), nl=False)
            return
        typer.echo(keys_page.text(keys_page.named_system(system), section))


def _study_or_run(
    path: Path, overrides: list[str] | None, seed: int | None
) -> tuple[StudyConfig, Path | None]:
    """The study of a file or of a run folder, and the folder."""
    from nepfield.study.systems.systems import load_study

    run = path if path.is_dir() else None
    if run is not None and not (run / STUDY_FILE).is_file():
        raise InputError(f"{run}: this is no run folder (it has no {STUDY_FILE}).")
    file = path if run is None else run / STUDY_FILE
    return load_study(file, tuple(overrides or ()), seed), run


def _train(
    config: StudyConfig, folder: Path, resume: bool, quiet: bool, accept_changes: bool = False
) -> dict[str, Any]:
    """Train a study with a progress bar, and say how it went."""
    from nepfield.study.run.jobs import train_study

    with TrainingBar(config.name, config.training.epochs, quiet) as bar:
        summary = train_study(
            config,
            folder,
            resume=resume,
            accept_changes=accept_changes,
            on_epoch=lambda state: bar.show(state.epoch, state.history[-1]),
        )
    tell(summary, folder, quiet)
    return summary


def _end_of(summary: dict[str, Any]) -> None:
    if summary["status"] == "interrupted":
        raise typer.Exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
