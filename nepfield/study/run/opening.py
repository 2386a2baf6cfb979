"""A study with its system, as it is or as a run has trained it, for work in a new folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nepfield.study.run.build import Study, build
from nepfield.study.run.claim import check_folder, mesh_folder
from nepfield.study.run.trained import meshes_of, trained_system
from nepfield.study.text.study import StudyConfig


@contextmanager
def built_for(
    config: StudyConfig, out: Path, run: str | Path | None, accept_changes: bool
) -> Iterator[tuple[Study, Any]]:
    """Build a study for a folder that is not there yet; what is wrong with it leaves none behind.

    The folder is to be claimed inside (`nepfield.study.run.claim.claimed`); a mesh that was made
    comes into it at the end.

    Parameters
    ----------
    config : StudyConfig
    out : Path
    run : path or None
        Run folder whose trained parameters the system gets.
    accept_changes : bool
        As in `trained_system`.

    Raises
    ------
    InputError
        If the folder is not free, the study cannot be built, or the run does not fit it.
    """
    check_folder(out, config, resume=None)
    if run is not None:
        meshes_of(run, config)  # refuses a geometry that has changed
    with mesh_folder(config, out) as kept:
        study = build(config, kept, None if run is None else Path(run))
        yield study, trained_system(study, run, accept_changes)
