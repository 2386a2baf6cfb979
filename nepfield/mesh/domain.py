"""A mesh file or a lattice becomes a `Domain`: points, cells, named regions and boundaries.

How names are found in a file is told in `nepfield.mesh.meshfile`. Whatever is read is checked here,
so that the rest of nepfield can rely on positively oriented cells, points that are all used and
distinct, regions that hold cells and boundaries that are facets of cells.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nepfield.errors import InputError
from nepfield.mesh import cells as cell_geometry
from nepfield.mesh import checks
from nepfield.mesh.cells import Floats, Ints
from nepfield.mesh.meshfile import MeshFile, read_mesh_file, write_mesh_file


@dataclass(frozen=True, eq=False)
class Domain:
    """Where a wave lives: a mesh of lines, triangles or quadrilaterals, or a graph.

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
        Sorted cell indices; of a graph, whose potential lives on the vertices, point indices.
    boundaries : dict of str to (nfacets, nodes) int array
        Points of each facet: (n, 1) for lines, (n, 2) for triangles and quads, (n, 3) for
        triangle6 (two ends, then the midpoint). Sorted by cell; each in the direction in which its
        (first) cell goes round. Of a graph (n, 1): one row a missing neighbour ("ghost"), so a
        corner of a 2-D lattice stands twice.
    coupling : (nedges,) float array or None
        Edge weights of a graph; None means 1.
    source : str
        File or description, for messages.
    """

    points: Floats
    cells: Ints
    kind: str
    regions: dict[str, Ints] = field(default_factory=dict)
    boundaries: dict[str, Ints] = field(default_factory=dict)
    coupling: Floats | None = None
    source: str = "domain"

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
    # block by block: a Gmsh surface whose outline runs clockwise has clockwise cells throughout
    cells = np.concatenate([cell_geometry.orient(points, block, kind) for block in raw.blocks])
    boundaries = raw.boundaries
    if kind != "graph":
        sides = cell_geometry.sides_of(cells, kind)
        boundaries = {
            name: sides[checks.side_indices(facets, cells, kind, len(points), name, where)]
            for name, facets in boundaries.items()
        }
    domain = Domain(points, cells, kind, raw.regions, boundaries, raw.coupling, where)
    check_domain(domain, allow_disconnected)
    return domain


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
        For another suffix, a path that cannot be written, or a boundary that is no facet.
    """
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
    if str(path).lower().endswith(".xdmf"):  # meshio cannot read vertices mixed with lines there
        blocks = edges or [("vertex", vertices)]
        point_data |= named
        if domain.coupling is not None and edges:
            cell_data["coupling"] = [domain.coupling]
    else:
        blocks = [("vertex", vertices), *edges]
        rest = [np.zeros(len(domain.cells), dtype=np.int64)] * len(edges)
        cell_data = {key: [values, *rest] for key, values in named.items()}
        if domain.coupling is not None and edges:
            cell_data["coupling"] = [np.zeros(n), domain.coupling]
    write_mesh_file(path, domain.points, blocks, point_data, cell_data)


def lattice(
    *shape: int, periodic: bool = False, sites: Mapping[str, ArrayLike] | None = None
) -> Domain:
    """A chain ``lattice(n)`` or a grid ``lattice(ny, nx)`` with edges between nearest neighbours.

    Parameters
    ----------
    *shape : int
        Number of sites, n or ny, nx. Site (iy, ix) has index ``iy * nx + ix`` and stands at the
        point (x, y) = (ix, iy).
    periodic : bool
        Join opposite ends (each direction then needs 3 sites or more). Otherwise every neighbour
        that is missing is a ghost in the boundary "wall": with a field of 0 there, the lattice has
        hard walls.
    sites : dict of str to site or sites, optional
        Named regions: an index, in a grid also a pair (iy, ix), or a list of indices (chain) or
        of pairs (grid).

    Raises
    ------
    InputError
        For a size below 1 (periodic: 3) or a site outside.

    Examples
    --------
    >>> domain = lattice(9, sites={"output": 4})
    >>> domain.boundaries["wall"].ravel()
    array([0, 8])
    """
    source = f"lattice({', '.join(map(str, shape))})"
    least = 3 if periodic else 1
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in shape)
    if len(shape) not in (1, 2) or not whole or any(n < least for n in shape):
        raise InputError(
            f"{source}: give one or two whole numbers of sites, n or ny, nx, each at least {least}"
            + (" since it is periodic" if periodic else "")
        )
    index = np.arange(int(np.prod(shape))).reshape(shape)
    edges, ghosts = [], []
    for axis in reversed(range(len(shape))):  # along x first
        near = np.moveaxis(index, axis, 0)
        ahead = np.roll(near, -1, axis=0) if periodic else near[1:]
        edges.append(np.column_stack([near[: len(ahead)].ravel(), ahead.ravel()]))
        ghosts += [] if periodic else [near[0].ravel(), near[-1].ravel()]
    points = np.indices(shape)[::-1].reshape(len(shape), -1).T.astype(float)
    boundaries = {"wall": np.sort(np.concatenate(ghosts))[:, None]} if ghosts else {}
    regions = {name: _sites(name, value, shape, source) for name, value in (sites or {}).items()}
    points, cells = np.ascontiguousarray(points), np.concatenate(edges)
    return Domain(points, cells, "graph", regions, boundaries, None, source)


def _sites(name: str, value: ArrayLike, shape: tuple[int, ...], where: str) -> Ints:
    """Sorted indices of the sites that a region names."""
    try:
        sites = np.asarray(value)
    except ValueError:
        sites = np.zeros(0)
    limits = np.array(shape)
    if sites.dtype.kind in "iu" and sites.size and sites.ndim <= 2:
        if sites.ndim == 0 or (len(shape) == 1 and sites.ndim == 1):  # indices
            index, inside = sites.ravel(), (sites >= 0) & (sites < limits.prod())
        elif len(shape) == 2 and sites.shape[-1] == 2:  # one pair, or rows of pairs
            pairs = sites.reshape(-1, 2)
            index, inside = pairs @ [shape[1], 1], (pairs >= 0) & (pairs < limits)
        else:
            index, inside = sites, np.array(False)
        if inside.all():
            return np.unique(index).astype(np.int64)
    right = "an index" if len(shape) == 1 else "an index or a pair [iy, ix]"
    raise InputError(
        f"{where}: site {value!r} of {name!r} is not on the lattice; give {right}, counted from 0 "
        f"(at most {' and '.join(str(n - 1) for n in shape)})"
    )


def check_domain(domain: Domain, allow_disconnected: bool = False) -> None:
    """Check a domain, for instance one made by hand; `read_domain` does so by itself.

    Raises
    ------
    InputError
        For non-finite, duplicate or unused points; inverted, folded or zero-area cells; edges of a
        graph that are loops or stand twice; empty names, regions or boundaries; boundaries that
        are no facets; several pieces unless ``allow_disconnected``.
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
        checks.check_edges(cells, domain.coupling, where)
    else:
        checks.check_cells(points, cells, kind, where)
    count = len(points) if kind == "graph" else len(cells)
    for name, index in domain.regions.items():
        checks.check_name(name, "region", index, count, where)
    for name, facets in domain.boundaries.items():
        checks.check_name(name, "boundary", facets, len(points), where)
        if kind != "graph":
            checks.side_indices(facets, cells, kind, len(points), name, where)
    pieces = cell_geometry.count_pieces(cells, kind, len(points))
    if pieces > 1 and not allow_disconnected:
        raise InputError(
            f"{where}: the mesh falls into {pieces} pieces that share no facet; if surfaces "
            "should touch, glue them in Gmsh (BooleanFragments or Coherence), or allow it "
            "with allow_disconnected = true"
        )


def cell_measures(domain: Domain) -> Floats:
    """Length or area of each cell, (ncells,); of a graph the distance of each edge's ends."""
    return cell_geometry.measures(domain.points, domain.cells, domain.kind)


def cell_quality(domain: Domain) -> Floats:
    """Shape of each cell, (ncells,), from 0 (degenerate) to 1 (best); see `cells.qualities`."""
    return cell_geometry.qualities(domain.points, domain.cells, domain.kind)


@dataclass(frozen=True)
class DomainSummary:
    """What `describe` found; ``str()`` gives it as lines of text.

    ``regions``: cells (graph: points) and measure of each; ``boundaries``: facets of each;
    ``cell_size``: smallest and median longest edge.
    """

    source: str
    kind: str
    dim: int
    npoints: int
    ncells: int
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    measure: float
    regions: dict[str, tuple[int, float]]
    boundaries: dict[str, int]
    outer_facets: int
    unnamed_facets: int
    cell_size: tuple[float, float]
    worst_quality: float
    pieces: int

    def __str__(self) -> str:
        what = "edges" if self.kind == "graph" else f"{self.kind} cells"
        box = " x ".join(f"[{a:.6g}, {b:.6g}]" for a, b in zip(self.lower, self.upper, strict=True))
        lines = [
            f"{self.source}: {self.dim}-D, {self.ncells} {what}, {self.npoints} points",
            f"  box {box}, {'length' if self.dim == 1 else 'area'} {self.measure:.6g}",
            f"  cell size min {self.cell_size[0]:.4g}, median {self.cell_size[1]:.4g}; "
            f"worst quality {self.worst_quality:.3f} (1 is best)",
        ]
        if self.kind == "graph":
            lines = [lines[0], f"  box {box}"]
        unit = "points" if self.kind == "graph" else "cells"
        for name, (count, size) in self.regions.items():
            lines.append(f"  region {name!r}: {count} {unit}, measure {size:.6g}")
        for name, count in self.boundaries.items():
            facets = "missing neighbours" if self.kind == "graph" else "facets"
            lines.append(f"  boundary {name!r}: {count} {facets}")
        if self.unnamed_facets:
            lines.append(
                f"  {self.unnamed_facets} of {self.outer_facets} outer facets have no name"
            )
        if self.pieces > 1:
            lines.append(f"  {self.pieces} pieces that share no facet")
        return "\n".join(lines)


def describe(domain: Domain) -> DomainSummary:
    """Counts, box, regions, boundaries, sizes and quality of a domain."""
    sizes = cell_measures(domain)
    graph = domain.kind == "graph"
    weights = np.ones(len(domain.points)) if graph else sizes
    edges = (
        sizes
        if graph or domain.kind == "line"
        else cell_geometry.longest_edges(domain.points, domain.cells, domain.kind)
    )
    outer = domain.outer_facets()
    named = np.concatenate([*domain.boundaries.values(), outer[:0]])
    unnamed = 0
    if not graph:
        groups = cell_geometry.side_groups(np.concatenate([outer, named]), len(domain.points))
        unnamed = int((~np.isin(groups[: len(outer)], groups[len(outer) :])).sum())
    return DomainSummary(
        source=domain.source,
        kind=domain.kind,
        dim=domain.dim,
        npoints=len(domain.points),
        ncells=len(domain.cells),
        lower=tuple(_snapped(domain.points.min(axis=0), domain)),
        upper=tuple(_snapped(domain.points.max(axis=0), domain)),
        measure=float(weights.sum()),
        regions={k: (len(v), float(weights[v].sum())) for k, v in domain.regions.items()},
        boundaries={k: len(v) for k, v in domain.boundaries.items()},
        outer_facets=len(outer),
        unnamed_facets=unnamed,
        cell_size=(float(edges.min()), float(np.median(edges))) if len(edges) else (0.0, 0.0),
        worst_quality=float(cell_quality(domain).min(initial=1.0)),
        pieces=cell_geometry.count_pieces(domain.cells, domain.kind, len(domain.points)),
    )


def _snapped(corner: Floats, domain: Domain) -> list[float]:
    """Coordinates of a corner of the box; what is zero but for rounding is zero."""
    size = np.ptp(domain.points, axis=0).max()
    return np.where(np.abs(corner) < 1e-12 * size, 0.0, corner).tolist()
