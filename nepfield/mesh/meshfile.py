"""Mesh files made into plain arrays with names, and back.

How a name is found:

* ``.msh`` (Gmsh, format 4.1): physical groups. Those of the top dimension are regions, those one
  dimension lower are boundaries. A cell may belong to several groups.
* ``.vtu``, ``.xdmf``: cell arrays ``region:NAME`` (0 or 1) on the cells. Boundaries either on the
  file's own facet cells (vertices of a line mesh, lines of a planar one) as ``boundary:NAME`` (0 or
  1), or, which is how nepfield writes them, on the cells themselves as a sum of 2**side over the
  sides that lie on the boundary. Without such arrays the tag arrays ``gmsh:physical``,
  ``medit:ref`` or ``cell_tags`` name regions and boundaries by number ("1", "2"; 0 is no name);
  without these too, one region "domain" is the whole mesh.
* Points that are one (periodic boundaries) come in pairs: from ``$Periodic`` of a ``.msh``, or from
  point arrays ``periodic:NAME`` of two columns, k at the k-th point of the near boundary (first
  column) and at the point of the far one where it comes out (second column), 0 elsewhere.
* A graph is a ``.vtu`` of vertex cells, one for every point, and line cells. ``region:NAME`` (0 or
  1) and ``boundary:NAME`` (number of missing neighbours) are cell arrays and stand on the vertex
  cells. Every other cell array of floating-point numbers is edge data under its own name
  (``coupling``, ``stiffness``, ``rest_length``) and stands on the line cells; every such point
  array is vertex data. The ``.xdmf`` reader of meshio cannot mix vertices with lines, so there
  regions and boundaries are point arrays, and a point array ``graph`` (the number of coordinates)
  tells that the lines are a graph.

What nothing reads is named in a warning.

This module raises `InputError` whatever the bytes of a file; geometry is checked in
`nepfield.mesh.domain`.
"""

from __future__ import annotations

import codecs
import os
import warnings
from pathlib import Path
from xml.sax.saxutils import escape

import meshio
import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.files import replacing
from nepfield.mesh.cells import SIDES, Ints
from nepfield.mesh.graphfile import graph_of, is_graph, unread_of_graph
from nepfield.mesh.meshdata import (
    PASSED_OVER,
    TAG_ARRAYS,
    MeshFile,
    as_cells,
    as_points,
    joined,
    named_arrays,
    whole_values,
)
from nepfield.mesh.mshfile import Link, read_msh
from nepfield.mesh.seams import labelled_pairs
from nepfield.mesh.vtufile import read_vtu
from nepfield.mesh.xdmffile import read_xdmf
from nepfield.reading import LARGEST_MESH, read_bytes

SUFFIXES = (".msh", ".vtu", ".xdmf")
SIDE_TYPE = {"line": "vertex", "triangle": "line", "triangle6": "line3", "quad": "line"}
_UNSUPPORTED = {
    "line3": "1-D meshes need 2-node lines: set Mesh.ElementOrder = 1",
    "quad8": "nepfield reads 4-node quadrilaterals: set Mesh.ElementOrder = 1",
    "quad9": "nepfield reads 4-node quadrilaterals: set Mesh.ElementOrder = 1",
    "polygon": "split the polygons into triangles",
}


_NAMES_OF_GMSH = "names are physical groups of the cells and of their sides"
_NAMES_OF_ARRAYS = "names are cell arrays region:NAME and boundary:NAME"
_NAMES_OF_GRAPH = f"{_NAMES_OF_ARRAYS}, other data one floating-point number a vertex or edge"


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
        raw = read_bytes(path, LARGEST_MESH).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror})") from error
    links: list[Link] = []
    unread: list[str] = []
    if suffix == ".msh":
        mesh, links, unread = read_msh(raw, where)
    elif suffix == ".vtu":
        mesh, unread = read_vtu(raw, where)
    else:
        mesh, unread = read_xdmf(path, raw, where)
    points = as_points(mesh, where)
    blocks = [(block.type, block.data) for block in mesh.cells if len(block.data)]
    if not blocks:
        raise InputError(f"{where}: the file holds no cells")
    if suffix != ".msh" and is_graph(mesh, len(points)):
        result = graph_of(mesh, points, where)
        _tell_unread(unread + unread_of_graph(mesh, result), _NAMES_OF_GRAPH, where)
        return result
    kind = _only_kind(mesh, where)
    top = [i for i, b in enumerate(mesh.cells) if b.type == kind and len(b.data)]
    result = MeshFile(where, points, kind, [as_cells(mesh, i, kind, where) for i in top])
    if suffix == ".msh":
        _groups(mesh, result, top)
        result.periodic = {
            link.name: link.pairs for link in links if link.dim == mesh.cells[top[0]].dim - 1
        }
        unread += [
            f"physical group {name!r} of dimension {dim}"
            for name, (_, dim) in mesh.field_data.items()
            if name not in result.regions and name not in result.boundaries
        ]
        _tell_unread(unread, _NAMES_OF_GMSH, where)
    else:
        _arrays(mesh, result, top)
        _tell_unread(unread + _unread_arrays(mesh, result), _NAMES_OF_ARRAYS, where)
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
            result.regions[name] = joined(parts, name, where)
        elif group_dim == dim - 1:
            parts = []
            for i in np.flatnonzero(chosen).tolist():
                if mesh.cells[i].type != side:
                    raise InputError(
                        f"{where}: boundary {name!r} has cells of type {mesh.cells[i].type}, but "
                        f"the sides of {result.kind} cells are of type {side}"
                    )
                parts.append(as_cells(mesh, i, side, where))
            result.boundaries[name] = joined(parts, name, where)


def _arrays(mesh: meshio.Mesh, result: MeshFile, top: list[int]) -> None:
    """Named cell arrays, or tags, of a .vtu or .xdmf mesh become regions and boundaries."""
    where, local = result.source, SIDES[result.kind]
    side_type = SIDE_TYPE[result.kind]
    facets = [i for i, b in enumerate(mesh.cells) if b.type == side_type and len(b.data)]
    rows = {i: as_cells(mesh, i, side_type, where) for i in facets}
    cells = np.concatenate(result.blocks)
    every = 2 ** len(local) - 1
    for key, name in named_arrays(mesh.cell_data, "region:", where):
        values = np.concatenate([whole_values(mesh.cell_data[key][i], key, 1, where) for i in top])
        result.regions[name] = joined([np.flatnonzero(values)], name, where)
    for key, name in named_arrays(mesh.cell_data, "boundary:", where):
        data = mesh.cell_data[key]
        mask = np.concatenate([whole_values(data[i], key, every, where) for i in top])
        owner, side = np.nonzero(mask[:, None] >> np.arange(len(local)) & 1)
        parts = [cells[owner[:, None], local[side]]]
        parts += [rows[i][whole_values(data[i], key, 1, where) == 1] for i in facets]
        result.boundaries[name] = joined(parts, name, where)
    for key, name in named_arrays(mesh.point_data, "periodic:", where):
        result.periodic[name] = labelled_pairs(np.asarray(mesh.point_data[key]), key, where)
    tags = next((mesh.cell_data[key] for key in TAG_ARRAYS if key in mesh.cell_data), None)
    if tags is not None and not result.regions and not result.boundaries:
        largest = np.iinfo(np.int32).max
        values = np.concatenate([whole_values(tags[i], "tags", largest, where) for i in top])
        result.regions |= {str(t): np.flatnonzero(values == t) for t in np.unique(values) if t}
        if facets:
            values = np.concatenate([whole_values(tags[i], "tags", largest, where) for i in facets])
            sides = np.concatenate([rows[i] for i in facets])
            result.boundaries |= {str(t): sides[values == t] for t in np.unique(values) if t}
    if not result.regions:
        result.regions["domain"] = np.arange(len(cells))


def _tell_unread(unread: list[str], right: str, where: str) -> None:
    """Warn of what a file holds and nothing reads."""
    if not unread:
        return
    listed = ", ".join(unread[:8]) + (f" and {len(unread) - 8} more" if unread[8:] else "")
    warnings.warn(f"{where}: not used: {listed}; {right}", stacklevel=4)


def _unread_arrays(mesh: meshio.Mesh, result: MeshFile) -> list[str]:
    """Arrays of a mesh, and cells, that named nothing."""
    tags = [key for key in TAG_ARRAYS if key in mesh.cell_data]
    named = [key for key in mesh.cell_data if key.startswith(("region:", "boundary:"))]
    used = (*PASSED_OVER, *named, *(tags[:1] if not named else ()))
    dots = sum(
        len(b.data) for b in mesh.cells if b.type not in (result.kind, SIDE_TYPE[result.kind])
    )
    return [
        *(
            f"point array {key!r}"
            for key in mesh.point_data
            if key not in PASSED_OVER and not key.startswith("periodic:")
        ),
        *(f"cell array {key!r}" for key in mesh.cell_data if key not in used),
        *([f"{dots} cells that are neither {result.kind} cells nor their sides"] if dots else []),
    ]
