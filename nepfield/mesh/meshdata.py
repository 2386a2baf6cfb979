"""What a mesh file holds, names resolved, and the arrays that it may be made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import meshio
import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.mesh.cells import NODES, Ints

TAG_ARRAYS = ("gmsh:physical", "medit:ref", "cell_tags")
PASSED_OVER = ("gmsh:geometrical", "gmsh:dim_tags", "vtkGhostType")
"""What programs keep beside the data of users."""


@dataclass
class MeshFile:
    """A file's content, names resolved, nothing about its geometry checked.

    ``points`` (npoints, 3); ``blocks`` the cells in the file's blocks, each (n, nodes); ``regions``
    cell indices over all blocks (graph: points); ``boundaries`` facets as rows of points (graph:
    points, one row a missing neighbour); ``periodic`` pairs of points that are one, by the name of
    their boundaries; ``edge_data`` and ``vertex_data`` of a graph; ``dim`` the number of
    coordinates if the file tells.
    """

    source: str
    points: NDArray[np.float64]
    kind: str
    blocks: list[Ints]
    regions: dict[str, Ints] = field(default_factory=dict)
    boundaries: dict[str, Ints] = field(default_factory=dict)
    periodic: dict[str, Ints] = field(default_factory=dict)
    edge_data: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    vertex_data: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    dim: int | None = None


def as_points(mesh: meshio.Mesh, where: str) -> NDArray[np.float64]:
    points = np.asarray(mesh.points)
    if points.ndim != 2 or points.shape[1] not in (1, 2, 3) or points.dtype.kind not in "fiu":
        raise InputError(f"{where}: the points are no table of 1 to 3 coordinates; file damaged?")
    space = np.zeros((len(points), 3))
    space[:, : points.shape[1]] = points
    return space


def as_cells(mesh: meshio.Mesh, block: int, kind: str, where: str) -> Ints:
    nodes = 1 if kind == "vertex" else 3 if kind == "line3" else NODES[kind]
    cells = np.asarray(mesh.cells[block].data)
    if cells.ndim != 2 or cells.shape[1] != nodes or cells.dtype.kind not in "iu":
        raise InputError(f"{where}: a block of {kind} cells is malformed; file damaged?")
    cells = cells.astype(np.int64)
    if cells.min(initial=0) < 0 or cells.max(initial=0) >= len(mesh.points):
        raise InputError(f"{where}: a cell names a point that the file does not have")
    return cells


def joined(parts: list[Ints], name: str, where: str) -> Ints:
    if not sum(len(part) for part in parts):
        raise InputError(f"{where}: {name!r} names no cells; give it some or take it away")
    return np.concatenate(parts)


def named_arrays(data: dict, prefix: str, where: str) -> Iterator[tuple[str, str]]:
    """Array names that begin with the prefix, and what follows it."""
    for key in data:
        if key.startswith(prefix):
            name = key[len(prefix) :]
            if not name.strip():
                raise InputError(f"{where}: the array {key!r} has no name after {prefix!r}")
            yield key, name


def whole_values(values: NDArray, key: str, top: int, where: str) -> Ints:
    """An array of whole numbers from 0 to ``top``."""
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    good = values.ndim == 1 and values.dtype.kind in "biuf"
    if not good or not np.all((values >= 0) & (values <= top) & (values == np.floor(values))):
        raise InputError(f"{where}: the array {key!r} must hold whole numbers from 0 to {top}")
    return values.astype(np.int64)


def is_data_name(key: str) -> bool:
    """Whether an array of this name is edge or vertex data of a graph."""
    return key not in (*TAG_ARRAYS, "graph") and not key.startswith(("region:", "boundary:"))
