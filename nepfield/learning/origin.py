"""What a training was made from, by digests: nobody goes on with something else unawares."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

import nepfield
from nepfield.errors import InputError
from nepfield.learning.tasks import Task
from nepfield.mesh.domain import Domain
from nepfield.reading import read_bytes

Origin = Mapping[str, Mapping[str, str]]
"""Digests of the parts of what a training is made from: ``domain``, ``task``, ``nepfield``, ..."""

_DIGITS = 16


def origin_of(domain: Domain, task: Task) -> dict[str, dict[str, str]]:
    """Digests of a domain and a task, and the version of this package.

    They are of the content, not of files: points and cells, named sets and data of edges and
    vertices; the samples of all sets.
    """
    return {
        "domain": domain_digests(domain),
        "task": task_digests(task),
        **version(),
    }


def version() -> dict[str, dict[str, str]]:
    """The version of this package, as a part of what a training is made from."""
    return {"nepfield": {"version": nepfield.__version__}}


def domain_digests(domain: Domain) -> dict[str, str]:
    """The digests of a domain, by what a user calls its parts."""
    parts = {"points": domain.points, "cells": domain.cells}
    for word, arrays in (
        ("region", domain.regions),
        ("boundary", domain.boundaries),
        ("edge data", domain.edge_data),
        ("vertex data", domain.vertex_data),
    ):
        parts |= {f"{word} {name!r}": np.asarray(array) for name, array in arrays.items()}
    for seam in domain.seams:
        parts[f"periodic {seam.name}"] = np.concatenate([seam.near, seam.far])
    return {name: _digest(array) for name, array in parts.items()}


def task_digests(task: Task) -> dict[str, str]:
    """The digests of a task, by the names that its arrays have in a file."""
    digests: dict[str, str] = {}
    for name, (inputs, targets) in task.sets().items():
        prefix = "" if name == "train" else f"{name}_"
        digests |= {f"{prefix}inputs": _digest(inputs), f"{prefix}targets": _digest(targets)}
    return digests


def file_digest(path: Path) -> str:
    """The digest of a file."""
    return hashlib.sha256(read_bytes(path)).hexdigest()[:_DIGITS]


def _digest(array: np.ndarray) -> str:
    kind = "f" if array.dtype.kind == "f" else "i"
    plain = np.ascontiguousarray(array, dtype=f"<{kind}8")
    return hashlib.sha256(f"{array.shape}".encode() + plain.tobytes()).hexdigest()[:_DIGITS]


def check_origin(
    saved: Origin,
    now: Origin,
    where: str | Path,
    names: Mapping[str, str],
    groups: Iterable[str] | None = None,
) -> None:
    """Refuse to go on where something has changed; say so where the package has.

    Parameters
    ----------
    saved, now : dict of dict
        Digests. Where none were saved, as by version 0.1, that is told by a warning.
    where : path
        The checkpoint.
    names : dict of str
        What a user calls a group, such as its file.
    groups : iterable of str, optional
        Those that are compared; by default all that are there now.

    Raises
    ------
    InputError
        With what has changed.
    """
    if not saved:
        warnings.warn(
            f"{where}: this run keeps no digests of its mesh and its task, so nobody can tell "
            "whether they have changed since.",
            stacklevel=2,
        )
        return
    versions = [origin.get("nepfield", {}).get("version", "") for origin in (saved, now)]
    if versions[0] != versions[1]:
        warnings.warn(
            f"{where}: this run was made by nepfield {versions[0]}; this is {versions[1]}, and "
            "numbers may differ.",
            stacklevel=2,
        )
    told = []
    for group in now if groups is None else groups:
        was, is_now = saved.get(group, {}), now.get(group, {})
        parts = [name for name in {**was, **is_now} if was.get(name) != is_now.get(name)]
        if parts and group != "nepfield":
            more = f" and {len(parts) - 4} more" if len(parts) > 5 else ""
            listed = ", ".join(parts[: 4 if more else 5])
            told.append(f"{names.get(group, group)} ({listed}{more})")
    if told:
        raise InputError(
            f"{where}: what this run was made from has changed since: {'; '.join(told)}. Put it "
            "back as it was, begin again in another folder, or go on with --accept-changes "
            "(accept_changes=True)."
        )
