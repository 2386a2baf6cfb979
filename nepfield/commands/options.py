"""What several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nepfield.errors import InputError
from nepfield.files import STUDY_FILE
from nepfield.mesh.geocommands import trust_geometries

if TYPE_CHECKING:
    from nepfield.study.text.study import StudyConfig

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


def study_or_run(
    path: Path, overrides: list[str] | None, seed: int | None
) -> tuple[StudyConfig, Path | None]:
    """The study of a file or of a run folder, and the folder."""
    from nepfield.study.systems.systems import load_study

    run = path if path.is_dir() else None
    if run is not None and not (run / STUDY_FILE).is_file():
        raise InputError(f"{run}: this is no run folder (it has no {STUDY_FILE}).")
    file = path if run is None else run / STUDY_FILE
    return load_study(file, tuple(overrides or ()), seed), run
