"""Mesh files: what meshio reads, made into plain arrays with names, and back.

How a name is found:

* ``.msh`` (Gmsh, format 4.1): physical groups. Those of the top dimension are regions, those one
  dimension lower are boundaries. A cell may belong to several groups.
* ``.vtu``, ``.xdmf``: cell arrays ``region:NAME`` (0 or 1) on the cells. Boundaries either on the
  file's own facet cells (vertices of a line mesh, lines of a planar one) as ``boundary:NAME`` (0 or
  1), or, which is how nepfield writes them, on the cells themselves as a sum of 2**side over the
  sides that lie on the boundary. Without such arrays the tag arrays ``gmsh:physical``,
  ``medit:ref`` or ``cell_tags`` name regions and boundaries by number ("1", "2"; 0 is no name);
  without these too, one region "domain" is the whole mesh.
* A graph is a ``.vtu`` of vertex cells, one for every point, and line cells. ``region:NAME`` (0 or
  1) and ``boundary:NAME`` (number of missing neighbours) are cell arrays and stand on the vertex
  cells. Every other cell array of floating-point numbers is edge data under its own name
  (``coupling``, ``stiffness``, ``rest_length``) and stands on the line cells; every such point
  array is vertex data. Arrays of vectors, and the tags above, are passed over. The ``.xdmf`` reader
  of meshio cannot mix vertices with lines, so there regions and boundaries are point arrays, and a
  point array ``graph`` (the number of coordinates) tells that the lines are a graph.

This module raises `InputError` whatever the bytes of a file; geometry is checked in
`nepfield.mesh.domain`.
"""

from __future__ import annotations

import codecs
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import meshio
import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.files import read_regular, replacing
from nepfield.mesh.cells import NODES, SIDES, Ints
from nepfield.mesh.mshfile import read_msh
from nepfield.mesh.vtufile import read_vtu
from nepfield.mesh.xdmffile import read_xdmf

SUFFIXES = (".msh", ".vtu", ".xdmf")
TAG_ARRAYS = ("gmsh:physical", "medit:ref", "cell_tags")
SIDE_TYPE = {"line": "vertex", "triangle": "line", "triangle6": "line3", "quad": "line"}
_UNSUPPORTED = {
    "line3": "1-D meshes need 2-node lines: set Mesh.ElementOrder = 1",
    "quad8": "nepfield reads 4-node quadrilaterals: set Mesh.ElementOrder = 1",
    "quad9": "nepfield reads 4-node quadrilaterals: set Mesh.ElementOrder = 1",
    "polygon": "split the polygons into triangles",
}


@dataclass
class MeshFile:
    """A file's content, names resolved, nothing about its geometry checked.

    ``points`` (npoints, 3); ``blocks`` the cells in the file's blocks, each (n, nodes); ``regions``
    cell indices over all blocks (graph: points); ``boundaries`` facets as rows of points (graph:
    points, one row a missing neighbour); ``edge_data`` and ``vertex_data`` of a graph; ``dim`` the
    number of coordinates if the file tells.
    """

    source: str
    points: NDArray[np.float64]
    kind: str
    blocks: list[Ints]
    regions: dict[str, Ints] = field(default_factory=dict)
    boundaries: dict[str, Ints] = field(default_factory=dict)
    edge_data: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    vertex_data: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    dim: int | None = None


def read_mesh_file(path: str | os.PathLike[str]) -> MeshFile:
    """Read a .msh (4.1), .vtu or .xdmf file.

    Raises
    ------
    InputError
        If the file is missing, unreadable, of an unknown format, without cells or names, or holds
        cells that nepfield has no use for.
    """
    path = Path(path)
    where = str(path)
    suffix = path.suffix.lower()
    if path.is_dir():
        raise InputError(
            f"{where}: this is a folder; give a mesh file ({', '.join(SUFFIXES)}), or the "
            "study.toml in it if it is a run"
        )
    if not path.exists():
        raise InputError(f"{where}: no such mesh file")
    if suffix not in SUFFIXES:
        raise InputError(
            f"{where}: unknown mesh format {suffix or '(no suffix)'!r}; nepfield reads "
            f"{', '.join(SUFFIXES)} (`meshio convert` turns most others into .vtu)"
        )
    try:
        raw = read_regular(path).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror})") from error
    unread: list[str] = []
    if suffix == ".msh":
        mesh, unread = read_msh(raw, where)
    elif suffix == ".vtu":
        mesh, unread = read_vtu(raw, where)
    else:
        mesh = read_xdmf(path, raw, where)
    points = _as_points(mesh, where)
    blocks = [(block.type, block.data) for block in mesh.cells if len(block.data)]
    if not blocks:
        raise InputError(f"{where}: the file holds no cells")
    if suffix != ".msh" and _is_graph(mesh, len(points)):
        return _graph(mesh, points, where)
    kind = _only_kind(mesh, where)
    top = [i for i, b in enumerate(mesh.cells) if b.type == kind and len(b.data)]
    result = MeshFile(where, points, kind, [_as_cells(mesh, i, kind, where) for i in top])
    if suffix == ".msh":
        _groups(mesh, result, top)
    else:
        _arrays(mesh, result, top)
    return result


def write_mesh_file(
    path: str | os.PathLike[str],
    points: NDArray[np.float64],
    blocks: list[tuple[str, Ints]],
    point_data: dict[str, NDArray],
    cell_data: dict[str, list[NDArray]],
) -> None:
    """Write .vtu or .xdmf (self-contained, exact); the file appears whole or not at all.

    Raises
    ------
    InputError
        For another suffix or a folder that cannot be written to.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".vtu", ".xdmf"):
        raise InputError(f"{path}: a domain is written as .vtu or .xdmf, not {suffix!r}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist")
    if suffix == ".vtu":  # meshio writes names into the XML as they are
        quotes = {'"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
        point_data = {escape(name, quotes): data for name, data in point_data.items()}
        cell_data = {escape(name, quotes): data for name, data in cell_data.items()}
    space = np.zeros((len(points), 3))
    space[:, : points.shape[1]] = points
    mesh = meshio.Mesh(space, blocks, point_data=point_data, cell_data=cell_data)
    options = {"data_format": "XML"} if suffix == ".xdmf" else {}
    try:
        with replacing(path) as part:
            mesh.write(part, **options)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def _as_points(mesh: meshio.Mesh, where: str) -> NDArray[np.float64]:
    points = np.asarray(mesh.points)
    if points.ndim != 2 or points.shape[1] not in (1, 2, 3) or points.dtype.kind not in "fiu":
        raise InputError(f"{where}: the points are no table of 1 to 3 coordinates; file damaged?")
    space = np.zeros((len(points), 3))
    space[:, : points.shape[1]] = points
    return space


def _as_cells(mesh: meshio.Mesh, block: int, kind: str, where: str) -> Ints:
    nodes = 1 if kind == "vertex" else 3 if kind == "line3" else NODES[kind]
    cells = np.asarray(mesh.cells[block].data)
    if cells.ndim != 2 or cells.shape[1] != nodes or cells.dtype.kind not in "iu":
        raise InputError(f"{where}: a block of {kind} cells is malformed; file damaged?")
    cells = cells.astype(np.int64)
    if cells.min(initial=0) < 0 or cells.max(initial=0) >= len(mesh.points):
        raise InputError(f"{where}: a cell names a point that the file does not have")
    return cells


def _only_kind(mesh: meshio.Mesh, where: str) -> str:
    """The one cell type of the highest dimension."""
    blocks = [b for b in mesh.cells if len(b.data)]
    dim = max(b.dim for b in blocks)
    kinds = sorted({b.type for b in blocks if b.dim == dim})
    if dim == 3:
        raise InputError(
            f"{where}: has 3-D cells ({', '.join(kinds)}); nepfield works on lines and planar "
            "meshes: mesh surfaces only (`gmsh -2`) and save no volume"
        )
    if dim == 0:
        raise InputError(f"{where}: holds vertices only, no lines, triangles or quadrilaterals")
    for kind in kinds:
        if kind not in SIDES:
            why = _UNSUPPORTED.get(kind, "set Mesh.ElementOrder to 1 or 2")
            raise InputError(f"{where}: cells of type {kind} are not supported; {why}")
    if len(kinds) > 1:
        raise InputError(
            f"{where}: mixes cells of types {' and '.join(kinds)}; use one type (in Gmsh, "
            "Recombine Surface on all surfaces or on none)"
        )
    return kinds[0]


def _groups(mesh: meshio.Mesh, result: MeshFile, top: list[int]) -> None:
    """Gmsh physical groups become regions and boundaries."""
    where, side = result.source, SIDE_TYPE[result.kind]
    dim = mesh.cells[top[0]].dim
    shape = {1: "Curve", 2: "Surface"}[dim]
    tags = mesh.cell_data.get("gmsh:physical")
    known = {int(tag) for tag, group_dim in mesh.field_data.values() if group_dim == dim}
    if tags is not None:
        for tag in sorted({int(t) for i in top for t in np.unique(tags[i])} - known):
            raise InputError(
                f"{where}: physical group {tag} has no name; write "
                f'Physical {shape}("domain", {tag}) in the .geo file'
            )
    if not known:
        raise InputError(
            f"{where}: no named region: add a physical group, for instance "
            f'Physical {shape}("domain") = {{1}}; to the .geo file'
        )
    starts = np.cumsum([0] + [len(block) for block in result.blocks])
    for name, (_, group_dim) in mesh.field_data.items():
        chosen = [len(part) > 0 for part in mesh.cell_sets[name]]
        if group_dim == dim:
            parts = [np.arange(starts[k], starts[k + 1]) for k, i in enumerate(top) if chosen[i]]
            result.regions[name] = _joined(parts, name, where)
        elif group_dim == dim - 1:
            parts = []
            for i in np.flatnonzero(chosen).tolist():
                if mesh.cells[i].type != side:
                    raise InputError(
                        f"{where}: boundary {name!r} has cells of type {mesh.cells[i].type}, but "
                        f"the sides of {result.kind} cells are of type {side}"
                    )
                parts.append(_as_cells(mesh, i, side, where))
            result.boundaries[name] = _joined(parts, name, where)


def _joined(parts: list[Ints], name: str, where: str) -> Ints:
    if not sum(len(part) for part in parts):
        raise InputError(f"{where}: {name!r} names no cells; give it some or take it away")
    return np.concatenate(parts)


def _named(data: dict, prefix: str, where: str) -> Iterator[tuple[str, str]]:
    """Array names that begin with the prefix, and what follows it."""
    for key in data:
        if key.startswith(prefix):
            name = key[len(prefix) :]
            if not name.strip():
                raise InputError(f"{where}: the array {key!r} has no name after {prefix!r}")
            yield key, name


def _whole(values: NDArray, key: str, top: int, where: str) -> Ints:
    """An array of whole numbers from 0 to ``top``."""
    values = np.asarray(values)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    good = values.ndim == 1 and values.dtype.kind in "biuf"
    if not good or not np.all((values >= 0) & (values <= top) & (values == np.floor(values))):
        raise InputError(f"{where}: the array {key!r} must hold whole numbers from 0 to {top}")
    return values.astype(np.int64)


def _arrays(mesh: meshio.Mesh, result: MeshFile, top: list[int]) -> None:
    """Named cell arrays, or tags, of a .vtu or .xdmf mesh become regions and boundaries."""
    where, local = result.source, SIDES[result.kind]
    side_type = SIDE_TYPE[result.kind]
    facets = [i for i, b in enumerate(mesh.cells) if b.type == side_type and len(b.data)]
    rows = {i: _as_cells(mesh, i, side_type, where) for i in facets}
    cells = np.concatenate(result.blocks)
    every = 2 ** len(local) - 1
    for key, name in _named(mesh.cell_data, "region:", where):
        values = np.concatenate([_whole(mesh.cell_data[key][i], key, 1, where) for i in top])
        result.regions[name] = _joined([np.flatnonzero(values)], name, where)
    for key, name in _named(mesh.cell_data, "boundary:", where):
        data = mesh.cell_data[key]
        mask = np.concatenate([_whole(data[i], key, every, where) for i in top])
        owner, side = np.nonzero(mask[:, None] >> np.arange(len(local)) & 1)
        parts = [cells[owner[:, None], local[side]]]
        parts += [rows[i][_whole(data[i], key, 1, where) == 1] for i in facets]
        result.boundaries[name] = _joined(parts, name, where)
    tags = next((mesh.cell_data[key] for key in TAG_ARRAYS if key in mesh.cell_data), None)
    if tags is not None and not result.regions and not result.boundaries:
        largest = np.iinfo(np.int32).max
        values = np.concatenate([_whole(tags[i], "tags", largest, where) for i in top])
        result.regions |= {str(t): np.flatnonzero(values == t) for t in np.unique(values) if t}
        if facets:
            values = np.concatenate([_whole(tags[i], "tags", largest, where) for i in facets])
            sides = np.concatenate([rows[i] for i in facets])
            result.boundaries |= {str(t): sides[values == t] for t in np.unique(values) if t}
    if not result.regions:
        result.regions["domain"] = np.arange(len(cells))


def _is_graph(mesh: meshio.Mesh, npoints: int) -> bool:
    if max(b.dim for b in mesh.cells) > 1:
        return False
    vertices = [b.data.ravel() for b in mesh.cells if b.type == "vertex"]
    all_points = bool(vertices) and len(np.unique(np.concatenate(vertices))) == npoints
    return "graph" in mesh.point_data or (all_points and any(b.type == "line" for b in mesh.cells))


def _graph(mesh: meshio.Mesh, points: NDArray[np.float64], where: str) -> MeshFile:
    lines = [i for i, b in enumerate(mesh.cells) if b.type == "line"]
    dots = [i for i, b in enumerate(mesh.cells) if b.type == "vertex"]
    if len(lines) + len(dots) < len(mesh.cells):
        raise InputError(f"{where}: a graph is made of vertex and 2-node line cells alone")
    blocks = [_as_cells(mesh, i, "graph", where) for i in lines]
    result = MeshFile(where, points, "graph", blocks or [np.zeros((0, 2), dtype=np.int64)])
    vertices = [_as_cells(mesh, i, "vertex", where)[:, 0] for i in dots]
    at = np.concatenate(vertices) if vertices else np.zeros(0, dtype=np.int64)
    if len(np.unique(at)) < len(at):
        raise InputError(f"{where}: a point of the graph stands as a vertex cell twice")
    if "graph" in mesh.point_data:
        result.dim = int(_whole(mesh.point_data["graph"], "graph", 3, where).max(initial=1))
    for prefix, names, top in (
        ("region:", result.regions, 1),
        ("boundary:", result.boundaries, 1000),
    ):
        found = {name: mesh.point_data[k] for k, name in _named(mesh.point_data, prefix, where)}
        for key, name in _named(mesh.cell_data, prefix, where):
            found[name] = np.zeros(len(points))
            for i, vertex in zip(dots, vertices, strict=True):
                found[name][vertex] = _whole(mesh.cell_data[key][i], key, top, where)
        for name, values in found.items():
            counts = _whole(values, prefix + name, top, where)
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


def is_data_name(key: str) -> bool:
    """Whether an array of this name is edge or vertex data of a graph."""
    return key not in (*TAG_ARRAYS, "graph") and not key.startswith(("region:", "boundary:"))


def _are_numbers(parts: list[NDArray]) -> bool:
    """Whether an array, given in parts, holds one floating-point number for each of its places."""
    return all(np.ndim(part) == 1 and np.asarray(part).dtype.kind == "f" for part in parts)
