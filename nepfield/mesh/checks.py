"""What can be wrong with points, cells and names of a mesh, each with its own `InputError`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from nepfield.errors import InputError
from nepfield.mesh import cells as cell_geometry
from nepfield.mesh.cells import Floats, Ints
from nepfield.mesh.meshdata import is_data_name

# Lengths below this fraction of the mesh's size count as zero.
TINY = 1e-12
# A mesh is planar where it deviates by less: programs that compute in single precision leave that.
PLANAR = 1e-6


def some(indices: Ints, what: str) -> str:
    """Name the first few of many: "cells 3, 4, 9 and 20 more"."""
    listed = ", ".join(str(i) for i in indices[:5])
    rest = f" and {len(indices) - 5} more" if len(indices) > 5 else ""
    return f"{what}{'s' if len(indices) > 1 else ''} {listed}{rest}"


def _near(points: Floats) -> str:
    return "(" + ", ".join(f"{x:.6g}" for x in points) + ")"


def check_finite(points: Floats, where: str) -> None:
    """Refuse an empty list of points and coordinates that are infinite or not a number."""
    if len(points) == 0:
        raise InputError(f"{where}: the file holds no points")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise InputError(f"{where}: {some(bad, 'point')}: a coordinate is not a finite number")
    if np.abs(points).max() > 1e100 or 0 < np.ptp(points, axis=0).max() < 1e-100:
        raise InputError(f"{where}: the coordinates are too large or too small to compute with")


def check_points(points: Floats, cells: Ints, kind: str, where: str) -> None:
    """Refuse points that coincide or that no cell uses."""
    size = float(np.ptp(points, axis=0).max())
    if len(points) > 1:
        twins, first, other = _twins(points, TINY * size)
        if len(twins):
            raise InputError(
                f"{where}: points {first} and {other} coincide at {_near(points[first])} "
                f"({len(twins)} such points); merge them (Gmsh: Coherence, or Coherence Mesh; "
                "ParaView: Clean to Grid)"
            )
    unused = np.setdiff1d(np.arange(len(points)), cells)
    if len(unused) and kind != "graph":
        raise InputError(
            f"{where}: {some(unused, 'point')}, the first at {_near(points[unused[0]])}: used by "
            "no cell; leave points of construction out of the file (Gmsh: Mesh.SaveAll = 0, or "
            "Coherence Mesh)"
        )


def _twins(points: Floats, near: float) -> tuple[Ints, int, int]:
    """Points that coincide with another one, and the first of them and its partner."""
    order = np.lexsort(points.T)  # equal ones first: many of them would stall the tree
    same = (points[order[1:]] == points[order[:-1]]).all(axis=1)
    if same.any():
        twins = np.sort(order[np.concatenate([[False], same]) | np.concatenate([same, [False]])])
        first = int(twins[0])
        return twins, first, int(np.flatnonzero((points == points[first]).all(axis=1))[1])
    distance, partner = cKDTree(points).query(points, k=2)
    twins = np.flatnonzero(distance[:, 1] <= near)
    if not len(twins):
        return twins, -1, -1
    first = int(twins[0])
    return twins, first, int(partner[first][partner[first] != first][0])


def check_cells(points: Floats, cells: Ints, kind: str, where: str) -> None:
    """Refuse cells of no area, inverted ones, and ones that cover each other."""
    values = cell_geometry.determinants(points, cells, kind)
    edges = np.ptp(points[cells], axis=1).max(axis=1)
    word = "length" if kind == "line" else "area"
    size = np.abs(cell_geometry.measures(points, cells, kind))
    floor = TINY * (np.ptp(points) if kind == "line" else edges**2)
    flat = np.flatnonzero(size <= floor)
    if len(flat):
        at = _near(points[cells[flat[0]]].mean(axis=0))
        raise InputError(f"{where}: {some(flat, 'cell')}, the first at {at}: zero {word}")
    bad = np.flatnonzero(values.min(axis=1) <= 0)
    if len(bad):
        at = _near(points[cells[bad[0]]].mean(axis=0))
        why = {
            "triangle6": "inverted, or curved so much that it folds over; use smaller cells there "
            "or Mesh.HighOrderOptimize = 2",
            "quad": "inverted or not convex; its corners must run counter-clockwise",
        }.get(kind, "inverted; its nodes must run counter-clockwise like those of the other cells")
        raise InputError(f"{where}: {some(bad, 'cell')}, the first at {at}: {why}")
    folded = cell_geometry.folded_cells(cells, kind)
    if len(folded):
        at = _near(points[cells[folded[0]]].mean(axis=0))
        raise InputError(
            f"{where}: {some(folded, 'cell')}, the first at {at}: cells cover each other (a cell "
            "that stands twice, or overlapping surfaces); glue surfaces with BooleanFragments"
        )


def check_edges(cells: Ints, where: str) -> None:
    """Refuse loops and double edges of a graph."""
    loops = np.flatnonzero(cells[:, 0] == cells[:, 1])
    if len(loops):
        raise InputError(f"{where}: {some(loops, 'edge')}: joins a point with itself")
    _, index, counts = np.unique(
        np.sort(cells, axis=1), axis=0, return_index=True, return_counts=True
    )
    twice = index[counts > 1]
    if len(twice):
        raise InputError(f"{where}: {some(twice, 'edge')}: stands twice; add up the couplings")


def check_data(data: Mapping[str, NDArray], count: int, what: str, where: str) -> None:
    """Refuse data of edges or vertices that are not one finite real number each."""
    for name, values in data.items():
        if np.shape(values) != (count,) or np.asarray(values).dtype.kind not in "fiu":
            raise InputError(f"{where}: {name!r} must hold one real number for each {what}")
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise InputError(
                f"{where}: {what} {bad[0]}: {name!r} is not a finite number"
                + (f" ({len(bad)} such)" if len(bad) > 1 else "")
            )


def check_data_names(
    edge_data: Mapping[str, NDArray], vertex_data: Mapping[str, NDArray], where: str
) -> None:
    """Refuse names of data that are empty or that mean something else in a mesh file."""
    for what, data in (("edge", edge_data), ("vertex", vertex_data)):
        for name in data:
            if not isinstance(name, str) or not name.strip():
                raise InputError(f"{where}: an array of {what} data has an empty name; give it one")
            if not is_data_name(name):
                raise InputError(
                    f"{where}: {what} data cannot be called {name!r}, which means something else "
                    "in a mesh file; take another name"
                )


def check_name(name: str, what: str, members: NDArray, count: int, where: str) -> None:
    """Refuse an empty name, a name of nothing, and members outside 0 to ``count - 1``."""
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: a {what} has an empty name; give it one")
    if len(members) == 0:
        raise InputError(f"{where}: {what} {name!r} is empty; give it members or take it away")
    if members.min() < 0 or members.max() >= count:
        raise InputError(f"{where}: {what} {name!r} has members that do not exist")


def side_indices(facets: Ints, cells: Ints, kind: str, npoints: int, name: str, where: str) -> Ints:
    """Sorted flat indices of the cells' sides that the facets of a boundary are."""
    flat = cell_geometry.find_sides(cells, kind, np.asarray(facets, dtype=np.int64), npoints)
    bad = np.flatnonzero(flat < 0)
    if len(bad):
        raise InputError(
            f"{where}: boundary {name!r}: {some(bad, 'facet')}, the first of points "
            f"{facets[bad[0]].tolist()}, is no side of any cell; the mesh of the boundary must be "
            "part of the mesh of the surface"
        )
    return np.unique(flat)


def drop_constant(points: Floats, dim: int, kind: str, where: str) -> Floats:
    """The first ``dim`` of three coordinates; the others must not vary."""
    spread = np.ptp(points, axis=0)
    if (spread[dim:] > PLANAR * spread.max()).any():
        if dim == 1:
            raise InputError(
                f"{where}: line cells must lie along the x axis, but y or z varies; rotate the "
                "mesh, or write a network of curves as a graph (every point a vertex cell)"
            )
        raise InputError(
            f"{where}: {kind} cells must lie in a plane z = const, but z varies by "
            f"{spread[2]:.6g}; rotate or project the mesh"
        )
    return np.ascontiguousarray(points[:, :dim])
