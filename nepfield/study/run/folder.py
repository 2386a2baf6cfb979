"""The files of a run folder.

    study.toml       the resolved study, which can be run again
    summary.json     the figures of the run, and what is said of its fields, marks and columns
    history.csv      a row an epoch
    outputs.csv      a row a sample of all sets: inputs, targets, outputs
    decision.csv     outputs over a grid of one input or two, where there are so few
    checkpoint.npz   parameters, optimiser and random state after the last epoch
    start.npz        values that came from another run, before the first epoch
    fields.vtu       what the system shows for each input, and of itself
                     (dimensionless, as all numbers here; summary.json has the factors of [units])
    frames.pvd       what changes while it is trained, for ParaView
    frames/          its files, epoch-000000.vtu, ...
    frames.json      what is said of them, until there is a summary
    figures/         pictures
    meshes/          what Gmsh made of a geometry

Every file is written under another name and then moved, so what is there is always whole.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.layout import describe, laid_out, masks_of
from nepfield.fields.pictures import Field, Mark
from nepfield.files import replacing
from nepfield.learning.state import CHECKPOINT, TrainingState
from nepfield.mesh.domain import Domain
from nepfield.mesh.meshfile import write_mesh_file
from nepfield.space.space import Space
from nepfield.study.systems.systems import load_study
from nepfield.study.text.config import study_to_toml
from nepfield.study.text.study import StudyConfig

FIELD_SAMPLES = 16
"""At most so many inputs have their states written to fields.vtu."""

SUMMARY, FRAMES = "summary.json", "frames.json"
OUTPUTS, DECISION = "outputs.csv", "decision.csv"


def check_same_study(path: Path, config: StudyConfig) -> None:
    """Only what does not change the epochs already done may differ."""
    saved, wanted = (
        _flat(tomllib.loads(study_to_toml(study, path.parent)))
        for study in (load_study(path), config)
    )
    free = (
        "name",
        "evolve.",
        "figures.enabled",
        "figures.frames",
        "figures.decision_map",
        "success.",
        "training.average",
        "training.epochs",
        "training.stop.",
        "training.switch_on",
        "units.energy",
        "units.time",
    )
    changed = [
        key for key in sorted(saved.keys() | wanted.keys())
        if saved.get(key) != wanted.get(key) and not key.startswith(free)
    ]  # fmt: skip
    if changed:
        key = changed[0]
        raise InputError(
            f"{path.parent}: this run belongs to another study: {key} was "
            f"{saved.get(key, 'absent')!r} and is now {wanted.get(key, 'absent')!r}; choose "
            "another --out."
        )
    checkpoint = path.with_name(CHECKPOINT)
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


def write_text(path: Path, text: str) -> None:
    """Write a file so that it appears whole or not at all."""
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError as error:
        bad = text[max(0, text.rfind("\n", 0, error.start) + 1) : error.end]
        raise InputError(
            f"{path}: {bad!r} cannot be written in UTF-8; give that file or folder another name."
        ) from None
    with replacing(path) as part:
        part.write_bytes(content)


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write summary.json; numbers that are not finite become null."""
    lines = [f"  {_json(str(key))}: {_block(_plain(value))}" for key, value in summary.items()]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def _block(value: Any) -> str:
    """JSON with a line for each list or table in a list or table."""
    inner = list(value.values() if isinstance(value, dict) else value if _nested(value) else ())
    if not inner or not all(_nested(part) for part in inner):
        return _json(value)
    if isinstance(value, dict):
        lines = [f"{_json(name)}: {_json(part)}" for name, part in value.items()]
    else:
        lines = [_json(part) for part in value]
    brackets = "{}" if isinstance(value, dict) else "[]"
    return f"{brackets[0]}\n    " + ",\n    ".join(lines) + f"\n  {brackets[1]}"


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


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


# ---------------------------------------------------------------- fields


def write_fields(
    path: Path, place: Space | Domain, fields: Sequence[Field], marks: Sequence[Mark] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Write fields.vtu.

    Parameters
    ----------
    path : Path
    place : Space or Domain
        What the fields are on: the nodes and elements of a space, or the points and cells of a
        domain; of a graph its vertices and edges.
    fields : sequence of Field
    marks : sequence of Mark
        The cells of readouts, and those of others where they are many, are kept as well, as all
        named regions are: arrays that are 1 there.

    Returns
    -------
    dict
        As `describe`.

    Raises
    ------
    InputError
        If a field does not fit what it is on, or its picture has a name that cannot be used.
    """
    domain = place.domain if isinstance(place, Space) else place
    masks, _ = masks_of(domain, marks)
    write_arrays(path, place, [*fields, *masks])
    return describe(domain, fields, marks)


def write_arrays(path: Path, place: Space | Domain, fields: Sequence[Field]) -> None:
    """Write fields alone as a .vtu file."""
    write_mesh_file(path, *laid_out(place, fields))
