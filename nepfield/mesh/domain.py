"""A `Domain`: points, cells, named regions and boundaries, read from mesh files and written.

How names are found in a file is told in `nepfield.mesh.meshfile`. Whatever is read is checked here,
so that the rest of nepfield can rely on positively oriented cells, points that are all used and
distinct, regions that hold cells and boundaries that are facets of cells. Graphs are also made by
`nepfield.mesh.lattice` and `nepfield.mesh.graphs`.
"""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nepfield.errors import InputError
from nepfield.mesh import cells as cell_geometry
from nepfield.mesh import checks
from nepfield.mesh.cells import Floats, Ints
from nepfield.mesh.meshdata import MeshFile
from nepfield.mesh.meshfile import read_mesh_file, write_mesh_file
from nepfield.mesh.seams import Seam, check_once, point_labels, sew
from nepfield.reprs import Described, counted, listed

Sets = Mapping[str, ArrayLike]
"""Named sets of vertices: a name and an index or indices."""


@dataclass(frozen=True, eq=False)
class Domain(Described):
    """A mesh of lines, triangles or quadrilaterals, or a graph, with named sets.

    Attributes
    ----------
    points : (npoints, dim) float array
        dim is 1 for lines, 2 for planar meshes, 1 to 3 for graphs. Lengths in mesh units.
    cells : (ncells, nodes) int array
        Points of each cell: 2 (line; graph: an edge), 3 (triangle), 6 (triangle6: corners, then
        midpoints of the edges 01, 12, 20), 4 (quad); positively oriented.
    kind : str
        "line", "triangle", "triangle6", "quad" or "graph".
    regions : dict of str to int array
        Sorted cell indices; of a graph, whose named sets are of vertices, point indices.
    boundaries : dict of str to (nfacets, nodes) int array
        Points of each facet: (n, 1) for lines, (n, 2) for triangles and quads, (n, 3) for
        triangle6 (two ends, then the midpoint). Sorted by cell; each in the direction in which its
        (first) cell goes round. Of a graph (n, 1): one row a missing neighbour ("ghost"), so a
        corner of a 2-D lattice stands twice.
    edge_data : dict of str to (nedges,) float array
        What the file of a graph says of its edges: ``coupling`` (their weights in a `Space`),
        ``stiffness``, ``rest_length`` or any other name.
    vertex_data : dict of str to (npoints,) float array
        The same of the vertices of a graph.
    seams : tuple of Seam
        Pairs of boundaries that are one, where a mesh closes on itself (periodic boundaries).
    source : str
        File or description, for messages.
    """

    points: Floats
    cells: Ints
    kind: str
    regions: dict[str, Ints] = field(default_factory=dict)
    boundaries: dict[str, Ints] = field(default_factory=dict)
    edge_data: dict[str, Floats] = field(default_factory=dict)
    vertex_data: dict[str, Floats] = field(default_factory=dict)
    source: str = "domain"
    seams: tuple[Seam, ...] = ()

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return int(self.points.shape[1])

    def region(self, name: str) -> Ints:
        """Cells (graph: points) of a named region; InputError lists the names that exist."""
        return _lookup(self.regions, name, "region", self.source)

    def boundary(self, name: str) -> Ints:
        """Facets of a named boundary; InputError lists the names that exist."""
        return _lookup(self.boundaries, name, "boundary", self.source)

    def outer_facets(self) -> Ints:
        """Facets of exactly one cell, in the shape of ``boundaries``; of a graph all its ghosts."""
        if self.kind == "graph":
            ghosts = [*self.boundaries.values(), np.zeros((0, 1), dtype=np.int64)]
            return np.sort(np.concatenate(ghosts), axis=0)
        sides = cell_geometry.sides_of(self.cells, self.kind)
        return sides[cell_geometry.outer_sides(self.cells, self.kind, len(self.points))]

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        graph = self.kind == "graph"
        cells = counted(len(self.cells), "edge" if graph else f"{self.kind} cell")
        head = f"Domain {self.source}: {self.dim}-D, {cells}, {counted(len(self.points), 'point')}"
        unit = "point" if graph else "cell"
        return head, {
            "regions": listed(f"{k} ({counted(len(v), unit)})" for k, v in self.regions.items())
            or "none",
            "boundaries": listed(f"{k} ({len(v)})" for k, v in self.boundaries.items()) or "none",
            "data": listed([*self.edge_data, *self.vertex_data]) or None,
        }


def _lookup(names: Mapping[str, Ints], name: str, what: str, where: str) -> Ints:
    if name in names:
        return names[name]
    near = difflib.get_close_matches(str(name), list(names), n=len(names) or 1, cutoff=0.0)
    listed = ", ".join(repr(n) for n in near) if near else "none"
    raise InputError(f"{where}: no {what} called {name!r}; there is {listed}")


def read_domain(path: str | os.PathLike[str], allow_disconnected: bool = False) -> Domain:
    """Read a mesh or a graph from a .msh (format 4.1), .vtu or .xdmf file.

    Parameters
    ----------
    path : path
        The file; `nepfield.mesh.meshfile` tells how it names regions and boundaries.
    allow_disconnected : bool
        Accept a mesh of several pieces.

    Raises
    ------
    InputError
        If the file cannot be read or `check_domain` finds something wrong with it.
    """
    raw = read_mesh_file(path)
    where, kind = raw.source, raw.kind
    checks.check_finite(raw.points, where)
    if kind == "graph":
        points = np.ascontiguousarray(raw.points[:, : _graph_dimension(raw)])
    else:
        points = checks.drop_constant(raw.points, cell_geometry.DIMENSION[kind], kind, where)
    cells = cell_geometry.orient(points, np.concatenate(raw.blocks), kind)
    boundaries = raw.boundaries
    if kind != "graph":
        sides = cell_geometry.sides_of(cells, kind)
        boundaries = {
            name: sides[checks.side_indices(facets, cells, kind, len(points), name, where)]
            for name, facets in boundaries.items()
        }
    domain = Domain(
        points, cells, kind, raw.regions, boundaries, raw.edge_data, raw.vertex_data, where
    )
    check_domain(domain, allow_disconnected)
    return replace(domain, seams=_seams(points, cells, raw))


def _seams(points: Floats, cells: Ints, raw: MeshFile) -> tuple[Seam, ...]:
    """The periodic boundaries of a file; a warning for those that close nothing."""
    seams = []
    for name, pairs in raw.periodic.items():
        seam = sew(points, cells, raw.kind, name, pairs, raw.source)
        if isinstance(seam, Seam):
            seams.append(seam)
        else:
            warnings.warn(
                f"{raw.source}: {name} are periodic in the file, but {seam}; they are passed over",
                stacklevel=3,
            )
    check_once(seams, len(points), raw.source)
    return tuple(seams)


def _graph_dimension(raw: MeshFile) -> int:
    """Coordinates of a graph: as the file says, else without the last ones that are constant."""
    if raw.dim:
        return raw.dim
    varies = np.flatnonzero(np.ptp(raw.points, axis=0) > 0)
    return int(varies.max(initial=0)) + 1


def write_domain(domain: Domain, path: str | os.PathLike[str]) -> None:
    """Write a domain as .vtu or .xdmf; `read_domain` gives the same arrays back, bit by bit.

    Raises
    ------
    InputError
        For another suffix, a path that cannot be written, a boundary that is no facet, or edge or
        vertex data under a name that means something else in a file.
    """
    checks.check_data_names(domain.edge_data, domain.vertex_data, domain.source)
    n = len(domain.points)
    point_data: dict[str, NDArray] = {}
    cell_data: dict[str, list[NDArray]] = {}
    if domain.kind != "graph":
        for name, index in domain.regions.items():
            count = np.bincount(np.unique(index), minlength=len(domain.cells))
            cell_data[f"region:{name}"] = [count]
        nsides = len(cell_geometry.SIDES[domain.kind])
        for name, facets in domain.boundaries.items():
            flat = checks.side_indices(facets, domain.cells, domain.kind, n, name, domain.source)
            mask = np.zeros((len(domain.cells), nsides), dtype=np.int64)
            mask.ravel()[flat] = 1
            cell_data[f"boundary:{name}"] = [mask @ (1 << np.arange(nsides))]
        for seam in domain.seams:
            point_data[f"periodic:{seam.name}"] = point_labels(seam, n)
        write_mesh_file(path, domain.points, [(domain.kind, domain.cells)], point_data, cell_data)
        return
    vertices = np.arange(n)[:, None]
    edges = [("line", domain.cells)] if len(domain.cells) else []
    point_data["graph"] = np.full(n, domain.dim)
    named = {
        f"region:{name}": np.bincount(np.unique(index), minlength=n)
        for name, index in domain.regions.items()
    }
    named |= {
        f"boundary:{name}": np.bincount(rows[:, 0], minlength=n)
        for name, rows in domain.boundaries.items()
    }
    of_edges = {key: np.asarray(values, float) for key, values in domain.edge_data.items()}
    if str(path).lower().endswith(".xdmf"):  # meshio cannot read vertices mixed with lines there
        blocks = edges or [("vertex", vertices)]
        point_data |= named
        # without edges there is nothing to say of them, but the names are kept
        cell_data = {key: [values if edges else np.zeros(n)] for key, values in of_edges.items()}
    else:
        blocks = [("vertex", vertices), *edges]
        rest = [np.zeros(len(domain.cells), dtype=np.int64)] * len(edges)
        cell_data = {key: [values, *rest] for key, values in named.items()}
        for key, values in of_edges.items():
            cell_data[key] = [np.zeros(n), values] if edges else [np.zeros(n)]
    point_data |= {key: np.asarray(values, float) for key, values in domain.vertex_data.items()}
    write_mesh_file(path, domain.points, blocks, point_data, cell_data)


def add_sets(domain: Domain, sets: Sets) -> Domain:
    """A graph with further named sets of vertices; a name that is there already is replaced.

    Parameters
    ----------
    domain : Domain
        A graph.
    sets : dict of str to index or indices
        Vertices counted from 0; kept sorted, each once.

    Raises
    ------
    InputError
        If the domain is no graph, or a set is empty, has an empty name or names other vertices.
    """
    if domain.kind != "graph":
        raise InputError(f"{domain.source}: only a graph takes sets of vertices, not a mesh")
    if not isinstance(sets, Mapping):
        raise InputError(f"{domain.source}: sets maps names to vertices, not {sets!r}")
    count = len(domain.points)
    named = {name: _indices(name, value, count, domain.source) for name, value in sets.items()}
    return replace(domain, regions=domain.regions | named)


def _indices(name: str, value: ArrayLike, count: int, where: str) -> Ints:
    """Sorted indices of the vertices of a set."""
    try:
        index = np.asarray(value)
    except ValueError:
        index = np.zeros(0)
    if index.dtype.kind not in "iu" or index.ndim > 1 or not index.size:
        raise InputError(
            f"{where}: set {name!r} must be the index of a vertex or a list of indices, not "
            f"{value!r}"
        )
    if index.min() < 0 or index.max() >= count:
        raise InputError(
            f"{where}: set {name!r} names vertices that do not exist; they are counted from 0 to "
            f"{count - 1}"
        )
    members = np.unique(index).astype(np.int64)
    checks.check_name(name, "set", members, count, where)
    return members


def check_domain(domain: Domain, allow_disconnected: bool = False) -> None:
    """Check a domain, for instance one made by hand; `read_domain` does so by itself.

    Raises
    ------
    InputError
        For non-finite, duplicate or unused points; inverted, folded or zero-area cells; edges of a
        graph that are loops or stand twice; empty names, regions or boundaries; boundaries that
        are no facets; edge or vertex data that are not one finite number each; several pieces
        unless ``allow_disconnected``.
    """
    where, kind, points, cells = domain.source, domain.kind, domain.points, domain.cells
    if kind not in cell_geometry.NODES:
        raise InputError(
            f"{where}: unknown kind {kind!r}; there is {', '.join(cell_geometry.NODES)}"
        )
    if cells.ndim != 2 or cells.shape[1] != cell_geometry.NODES[kind]:
        raise InputError(f"{where}: {kind} cells must have {cell_geometry.NODES[kind]} nodes each")
    if points.ndim != 2 or points.shape[1] not in (
        (1, 2, 3) if kind == "graph" else (cell_geometry.DIMENSION[kind],)
    ):
        raise InputError(f"{where}: points of shape {points.shape} do not fit {kind} cells")
    checks.check_finite(points, where)
    if cells.size and (cells.min() < 0 or cells.max() >= len(points)):
        raise InputError(f"{where}: a cell names a point that does not exist")
    checks.check_points(points, cells, kind, where)
    if kind == "graph":
        checks.check_edges(cells, where)
    else:
        checks.check_cells(points, cells, kind, where)
    count = len(points) if kind == "graph" else len(cells)
    for name, index in domain.regions.items():
        checks.check_name(name, "region", index, count, where)
    for name, facets in domain.boundaries.items():
        checks.check_name(name, "boundary", facets, len(points), where)
        if kind != "graph":
            checks.side_indices(facets, cells, kind, len(points), name, where)
    checks.check_data_names(domain.edge_data, domain.vertex_data, where)
    if kind != "graph" and (domain.edge_data or domain.vertex_data):
        raise InputError(f"{where}: only a graph has edge and vertex data, not {kind} cells")
    checks.check_data(domain.edge_data, len(cells), "edge", where)
    checks.check_data(domain.vertex_data, len(points), "vertex", where)
    pieces = cell_geometry.count_pieces(cells, kind, len(points))
    if pieces > 1 and not allow_disconnected:
        raise InputError(
            f"{where}: the mesh falls into {pieces} pieces that share no facet; if surfaces "
            "should touch, glue them in Gmsh (BooleanFragments or Coherence), or allow it "
            "with allow_disconnected = true"
        )
