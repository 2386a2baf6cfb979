"""The files of a run folder.

    study.toml       the resolved study, which can be run again
    summary.json     the figures of the run
    history.csv      a row an epoch
    checkpoint.npz   parameters, optimiser and random state after the last epoch
    start.npz        V and pump weights that came from another run, before the first epoch
    fields.vtu       potential, gradient, and the wave for each input
                     (dimensionless, as all numbers here; summary.json has the factors of [units])
    frames.pvd       potential and densities while it was trained, for ParaView
    frames/          its files, epoch-000000.vtu, ...
    figures/         pictures
    meshes/          what Gmsh made of a geometry

Every file is written under another name and then moved, so what is there is always whole.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.parameters import Values
from nepfield.fields.readouts import Readout
from nepfield.files import replacing
from nepfield.learning.state import TrainingState
from nepfield.mesh.meshfile import write_mesh_file
from nepfield.space.space import Space
from nepfield.study.systems.systems import load_study
from nepfield.study.text.config import study_to_toml
from nepfield.study.text.study import StudyConfig
from nepfield.systems.gpe import GPE

FIELD_SAMPLES = 16
"""At most so many inputs have their wave written to fields.vtu."""


def open_folder(folder: Path, config: StudyConfig, resume: bool | None) -> None:
    """Make a run folder, or check that the one that is there belongs to this study.

    Parameters
    ----------
    folder : Path
    config : StudyConfig
    resume : bool or None
        Whether a run that is there may go on; None where that is no choice.

    Raises
    ------
    InputError
        If the folder exists and `resume` is not true, or holds another study or other files.
    """
    try:
        _open_folder(folder, config, resume)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}).") from None


def _open_folder(folder: Path, config: StudyConfig, resume: bool | None) -> None:
    study = folder / "study.toml"
    if folder.exists():
        if not folder.is_dir():
            raise InputError(f"{folder}: this is a file; choose another --out.")
        occupied = any(folder.iterdir())
        if occupied and not study.exists():
            raise InputError(
                f"{folder}: this folder holds other files and no study.toml; choose another --out."
            )
        if occupied and not resume:
            go_on = "" if resume is None else "go on with --resume, or "
            raise InputError(f"{folder}: a run is there already; {go_on}choose another --out.")
        if occupied:
            check_same_study(study, config)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(study, study_to_toml(config, folder))


def check_same_study(path: Path, config: StudyConfig) -> None:
    """Only what does not change the epochs already done may differ."""
    saved, wanted = (
        _flat(tomllib.loads(study_to_toml(study, path.parent)))
        for study in (load_study(path), config)
    )
    free = (
        "name",
        "figures.enabled",
        "figures.frames",
        "training.epochs",
        "units.energy",
        "units.time",
    )
    changed = [
        key for key in sorted(saved.keys() | wanted.keys())
        if saved.get(key) != wanted.get(key) and key not in free
    ]  # fmt: skip
    if changed:
        key = changed[0]
        raise InputError(
            f"{path.parent}: this run belongs to another study: {key} was "
            f"{saved.get(key, 'absent')!r} and is now {wanted.get(key, 'absent')!r}; choose "
            "another --out."
        )
    checkpoint = path.with_name("checkpoint.npz")
    if checkpoint.exists():
        done, epochs = TrainingState.load(checkpoint).epoch, config.training.epochs
        if done > epochs:
            raise InputError(
                f"{path.parent}: {done} epochs of this run are done; training.epochs = {epochs} "
                "cannot take them back: give as many or more, or choose another --out."
            )


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        items = [(f"{key}.{k}" if key else str(k), v) for k, v in value.items()]
    elif isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
        items = [(f"{key}.{k}", v) for k, v in enumerate(value)]
    else:
        return {key: value}
    return {k: v for name, part in items for k, v in _flat(part, name).items()}


@contextmanager
def mesh_folder(
    config: StudyConfig, out: Path, meshes: str | Path | None = None
) -> Iterator[Path | None]:
    """Where the mesh of a geometry is looked for and kept: `meshes`, or a folder of the run.

    What is new comes into the run's folder at the end, so that a study that turns out to be wrong
    leaves nothing behind.
    """
    if config.domain.geometry is None or meshes is not None:
        yield None if meshes is None else Path(meshes)
        return
    kept = out / "meshes"
    with TemporaryDirectory() as scratch:
        for mesh in kept.glob("[!.]*.msh"):
            shutil.copyfile(mesh, Path(scratch) / mesh.name)
        yield Path(scratch)
        kept.mkdir(exist_ok=True)
        for mesh in Path(scratch).glob("*.msh"):
            if not (kept / mesh.name).exists():
                with replacing(kept / mesh.name) as part:
                    shutil.copyfile(mesh, part)


def write_text(path: Path, text: str) -> None:
    """Write a file so that it appears whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write summary.json; numbers that are not finite become null."""
    write_text(path, json.dumps(_plain(summary), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write history.csv; values that are not given stay empty."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in history for name in row))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in history:
        values = (row.get(name, np.nan) for name in names)
        writer.writerow(["" if value != value else repr(value) for value in values])
    write_text(path, text.getvalue())


def write_fields(
    path: Path, system: GPE, readout: Readout, state: np.ndarray, gradient_fields: Values
) -> None:
    """Write fields.vtu.

    Parameters
    ----------
    path : Path
    system : GPE
    readout : Readout
    state : ndarray, shape (ndof, nsamples)
        Steady states; the first `FIELD_SAMPLES` are written.
    gradient_fields : dict of ndarray
        `Gradient.fields`; its potential becomes dC_dV.
    """
    space, domain = system.space, system.space.domain
    point_data: dict[str, np.ndarray] = {}
    for k, psi in enumerate(space.at_nodes(state).T[:FIELD_SAMPLES]):
        point_data |= {
            f"psi_re_{k}": psi.real.copy(),
            f"psi_im_{k}": psi.imag.copy(),
            f"density_{k}": np.abs(psi) ** 2,
            f"phase_{k}": np.angle(psi),
        }
    field = _potential(system)
    element_data = {"V_re": field.real.copy(), "V_im": np.imag(field).astype(float)}
    if "potential" in gradient_fields:
        slope = _per_element(
            space, np.append(gradient_fields["potential"], 0.0)[system.potential.support]
        )
        element_data["dC_dV"] = slope.real.copy()
        if np.iscomplexobj(slope):
            element_data["dC_dV_im"] = slope.imag.copy()
    for name, index in domain.regions.items():
        inside = np.zeros(len(space.elements), dtype=np.int64)
        inside[index] = 1
        element_data[f"region:{name}"] = inside
    for k, profile in enumerate(readout.profiles.toarray()):
        element_data[f"readout:{k}"] = (_per_element(space, profile) > 0).astype(np.int64)
    _write_space(path, space, point_data, element_data)


def write_frame(path: Path, system: GPE, state: np.ndarray) -> None:
    """Write what is looked at while a study is trained: potential and densities.

    Parameters
    ----------
    path : Path
        The .vtu file; its arrays are named as those of fields.vtu.
    system : GPE
    state : ndarray, shape (ndof, nsamples)
        Steady states; the first `FIELD_SAMPLES` are written.
    """
    waves = system.space.at_nodes(state).T[:FIELD_SAMPLES]
    point_data = {f"density_{k}": np.abs(psi) ** 2 for k, psi in enumerate(waves)}
    field = _potential(system)
    element_data = {"V_re": field.real.copy()}
    if np.iscomplexobj(field):
        element_data["V_im"] = field.imag.copy()
    _write_space(path, system.space, point_data, element_data)


def _per_element(space: Space, values: np.ndarray) -> np.ndarray:
    """Mean over each element of values at the quadrature points."""
    shape = (len(space.elements), -1)
    return (space.w * values).reshape(shape).sum(axis=1) / space.w.reshape(shape).sum(axis=1)


def _potential(system: GPE) -> np.ndarray:
    """Trained potential and background of each element."""
    background = 0.0 if system.background is None else system.background
    return _per_element(system.space, system.potential.at_points() + background)


def _write_space(
    path: Path, space: Space, point_data: dict[str, np.ndarray], element_data: dict[str, np.ndarray]
) -> None:
    """Values at the nodes of a space and on its elements, as a file for ParaView."""
    blocks = [(space.picture_cell, space.elements)]
    cell_data = {name: [values] for name, values in element_data.items()}
    if space.is_graph:
        # The elements of a graph are its vertices, so their data are point data as well.
        point_data |= element_data
        blocks.append(("line", space.domain.cells))
        edges = len(space.domain.cells)
        cell_data = {
            name: [values, np.zeros(edges, dtype=values.dtype)]
            for name, values in element_data.items()
            if values.dtype.kind == "i"
        }
    write_mesh_file(path, space.nodes, blocks, point_data, cell_data)
