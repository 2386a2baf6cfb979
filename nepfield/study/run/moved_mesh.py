"""A geometry as one of its parameters varies, where its mesh can be kept.

The mesh is made at both ends and in the middle. Where all three have the same cells, and the nodes
in the middle lie half way, the nodes at any value lie on straight lines between the ends: the mesh
moves with the shape, and a state keeps its unknowns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from nepfield.errors import InputError
from nepfield.mesh.domain import Domain

_ROUNDING = 1e-9  # of the size of the domain


class Changeable(Protocol):
    """The content of a study in which a key can be replaced."""

    def with_key(self, key: str, value: Any, where: str) -> Any: ...


def moved_domain(
    content: Changeable, key: str, values: list[float], configs: list[Any]
) -> Callable[[float], Domain]:
    """Gives the domain at a value of a parameter of its geometry.

    Parameters
    ----------
    content : Content
    key : str
    values : list of float
        Both ends of the range.
    configs : list of StudyConfig
        The studies there.

    Raises
    ------
    InputError
        If the mesh cannot be kept.
    """
    middle = content.with_key(key, 0.5 * (values[0] + values[1]), f"--key {key}")
    with TemporaryDirectory() as scratch:
        first, last, half = (
            config.build_domain(Path(scratch)) for config in (configs[0], configs[1], middle)
        )
    same = all(
        np.array_equal(first.cells, other.cells) and first.points.shape == other.points.shape
        for other in (last, half)
    )
    size = float(np.ptp(first.points, axis=0).max())
    if first.seams:
        raise InputError(f"{key}: a mesh with periodic boundaries cannot be moved; sweep over it.")
    if not same or np.abs(first.points + last.points - 2 * half.points).max() > _ROUNDING * size:
        raise InputError(
            f"{key}: the mesh of the geometry does not move in proportion to it (the cells, or "
            "the places of nodes between, are others), so that states cannot be followed from one "
            "mesh to the next. Make the mesh transfinite (in a .geo: Transfinite Curve, Surface), "
            "vary the parameter over a smaller range, or sweep over it: nepfield sweep."
        )

    def at(value: float) -> Domain:
        share = (value - values[0]) / (values[1] - values[0])
        return replace(first, points=(1 - share) * first.points + share * last.points)

    return at
