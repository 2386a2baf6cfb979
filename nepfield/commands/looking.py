"""check, plot, keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nepfield.commands.options import (
    Seed,
    Set,
    Trust,
)
from nepfield.endings import errors
from nepfield.errors import InputError


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
            help="which picture: density, phase, potential, gradient, training, outputs, samples, "
            "decision; of a line fields [default: density or fields]; of a sweep a column of "
            "results.csv [default: cost], or density, phase, potential, gradient of its cases side "
            "by side",
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
