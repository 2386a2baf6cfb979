"""A graph in a mesh file: which files hold one, and what it is made of (`meshfile` tells how)."""

from __future__ import annotations

import meshio
import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.mesh.meshdata import (
    PASSED_OVER,
    TAG_ARRAYS,
    MeshFile,
    as_cells,
    is_data_name,
    named_arrays,
    whole_values,
)


def is_graph(mesh: meshio.Mesh, npoints: int) -> bool:
    if max(b.dim for b in mesh.cells) > 1:
        return False
    vertices = [b.data.ravel() for b in mesh.cells if b.type == "vertex"]
    all_points = bool(vertices) and len(np.unique(np.concatenate(vertices))) == npoints
    return "graph" in mesh.point_data or (all_points and any(b.type == "line" for b in mesh.cells))


def graph_of(mesh: meshio.Mesh, points: NDArray[np.float64], where: str) -> MeshFile:
    lines = [i for i, b in enumerate(mesh.cells) if b.type == "line"]
    dots = [i for i, b in enumerate(mesh.cells) if b.type == "vertex"]
    if len(lines) + len(dots) < len(mesh.cells):
        raise InputError(f"{where}: a graph is made of vertex and 2-node line cells alone")
    blocks = [as_cells(mesh, i, "graph", where) for i in lines]
    result = MeshFile(where, points, "graph", blocks or [np.zeros((0, 2), dtype=np.int64)])
    vertices = [as_cells(mesh, i, "vertex", where)[:, 0] for i in dots]
    at = np.concatenate(vertices) if vertices else np.zeros(0, dtype=np.int64)
    if len(np.unique(at)) < len(at):
        raise InputError(f"{where}: a point of the graph stands as a vertex cell twice")
    if "graph" in mesh.point_data:
        result.dim = int(whole_values(mesh.point_data["graph"], "graph", 3, where).max(initial=1))
    for prefix, names, top in (
        ("region:", result.regions, 1),
        ("boundary:", result.boundaries, 1000),
    ):
        found = {
            name: mesh.point_data[k] for k, name in named_arrays(mesh.point_data, prefix, where)
        }
        for key, name in named_arrays(mesh.cell_data, prefix, where):
            found[name] = np.zeros(len(points))
            for i, vertex in zip(dots, vertices, strict=True):
                found[name][vertex] = whole_values(mesh.cell_data[key][i], key, top, where)
        for name, values in found.items():
            counts = whole_values(values, prefix + name, top, where)
            if not counts.any():
                raise InputError(f"{where}: {name!r} names no points; give it some")
            index = np.repeat(np.arange(len(points)), counts)
            names[name] = index if prefix == "region:" else index[:, None]
    for key, parts in mesh.cell_data.items():
        on_lines = [np.asarray(parts[i]) for i in lines]
        sample = on_lines or parts  # without lines the vertex cells tell what the array would be
        if key == "coupling" and not all(a.ndim == 1 and a.dtype.kind in "fiu" for a in sample):
            raise InputError(f"{where}: the array 'coupling' must hold one number an edge")
        if key == "coupling" or (is_data_name(key) and _are_numbers(sample)):
            result.edge_data[key] = np.concatenate([np.zeros(0), *on_lines]).astype(float)
    for key, values in mesh.point_data.items():
        if is_data_name(key) and _are_numbers([values]):
            result.vertex_data[key] = np.asarray(values, dtype=float)
    return result


def unread_of_graph(mesh: meshio.Mesh, result: MeshFile) -> list[str]:
    known = {"point": ("graph", *result.vertex_data), "cell": (*result.edge_data,)}
    return [
        f"{what} array {key!r}"
        for what, data in (("point", mesh.point_data), ("cell", mesh.cell_data))
        for key in data
        if key not in (*PASSED_OVER, *known[what]) and (is_data_name(key) or key in TAG_ARRAYS)
    ]


def _are_numbers(parts: list[NDArray]) -> bool:
    """Whether an array, given in parts, holds one floating-point number for each of its places."""
    return all(np.ndim(part) == 1 and np.asarray(part).dtype.kind == "f" for part in parts)
