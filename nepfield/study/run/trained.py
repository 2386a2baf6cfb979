"""What a trained run hands on: its study, its mesh and its parameters, by their names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from nepfield.errors import InputError
from nepfield.files import STUDY_FILE
from nepfield.learning.origin import check_origin, file_digest, origin_of
from nepfield.learning.state import CHECKPOINT, TrainingState, saved_origin
from nepfield.mesh.geometry import has_mesh
from nepfield.study.systems.systems import load_study
from nepfield.study.text.study import Built, StudyConfig
from nepfield.systems.system import trained


def made_from(config: StudyConfig) -> dict[str, dict[str, str]]:
    """Digests of what else than a domain and a task a study is made from: a system's own file."""
    module = sys.modules[type(config).__module__]
    path = getattr(module, "__file__", None)
    if path is None or module.__name__.partition(".")[0] == __name__.partition(".")[0]:
        return {}
    return {"system": {Path(path).name: file_digest(Path(path))}}


def check_unchanged(study: Built, run: Path) -> None:
    """Refuse to go on with a run whose mesh, task or own system has changed; InputError says what.

    What the study itself names otherwise than the run may differ.
    """
    saved = saved_origin(run / CHECKPOINT)
    if saved is None:
        return
    config, domain = study.config, study.system.domain
    check_origin(
        saved,
        origin_of(domain, study.task) | made_from(config),
        run / CHECKPOINT,
        {"domain": domain.source, "task": str(config.task.file or "task")},
        _same_parts(load_run(run), config),
    )


def _same_parts(kept: StudyConfig, config: StudyConfig) -> list[str]:
    """The parts that two studies name alike, so that they should be the same."""
    seeded = bool(config.task.validation or config.task.test)
    alike = {
        "domain": kept.domain == config.domain,
        "task": kept.task == config.task and (kept.seed == config.seed or not seeded),
        "system": kept.physics.system == config.physics.system,
    }
    return [group for group, same in alike.items() if same]


def load_run(run: str | Path) -> Any:
    """The study of a run folder, of the class of its system.

    Raises
    ------
    InputError
        If the folder holds no study.
    """
    path = Path(run) / STUDY_FILE
    if not path.is_file():
        raise InputError(f"{run}: this is no run folder (it has no {STUDY_FILE}).")
    return load_study(path)


def trained_system(study: Built, run: str | Path | None, accept_changes: bool = False) -> Any:
    """The system of a study with the parameters of a run, if there is one.

    Parameters
    ----------
    study : Study
    run : path or None
    accept_changes : bool
        Take them although the content of the run's mesh or task has changed.

    Raises
    ------
    InputError
        If the run has no parameters that fit, or was made from something else. What the study
        itself names otherwise than the run may differ.
    """
    if run is None:
        return study.system
    checkpoint = Path(run) / CHECKPOINT
    if not checkpoint.exists():
        raise InputError(f"{run}: this run has no checkpoint yet; train it first.")
    if not accept_changes:
        check_unchanged(study, Path(run))
    saved = TrainingState.load(checkpoint).kept
    here = {name: p.values for name, p in trained(study.system).items()}
    if {name: (v.shape, v.dtype) for name, v in saved.items()} != {
        name: (v.shape, v.dtype) for name, v in here.items()
    }:
        raise InputError(
            f"{checkpoint}: its parameters (sizes "
            f"{', '.join(f'{name} {v.size}' for name, v in sorted(saved.items()))}) are not those "
            f"of the study; {', '.join(study.config.begins_with()[2:])} and what is trainable must "
            "be as they were trained."
        )
    return study.system.with_parameters(saved)


def meshes_of(
    run: str | Path, config: StudyConfig, meshes: str | Path | None = None
) -> Path | None:
    """Where a run keeps the mesh of its geometry: in its folder, or in that of its sweep.

    Parameters
    ----------
    run : path
        A trained run.
    config : StudyConfig
        A study that goes on with the run.
    meshes : path, optional
        Another folder where the mesh may be.

    Returns
    -------
    Path or None
        None where the study's mesh is no geometry or not that of the run.

    Raises
    ------
    InputError
        If the mesh is not kept there: today's geometry may be another shape.
    """
    domain, run = config.domain, Path(run)
    if domain.geometry is None or load_run(run).domain != domain:
        return None
    places = [run / "meshes"] if meshes is None else [Path(meshes), run / "meshes"]
    if (run.parent.parent / "cases.json").is_file():
        places.append(run.parent.parent / "meshes")
    for place in places:
        if has_mesh(domain.geometry, domain.parameters, place):
            return place
    raise InputError(
        f"{run}: the mesh that this run was trained on is not in {' or '.join(map(str, places))}: "
        f"it is missing, or {domain.geometry} (or Gmsh) has changed since. Put it back as it was, "
        "or train again into another folder."
    )
