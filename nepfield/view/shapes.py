"""What a run is drawn on: coloured faces, edges of graphs, and outlines of what is placed there.

PyVista is imported inside functions, because VTK is slow to load and only some commands need it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import KDTree

from nepfield.mesh.cells import quadratic_shapes
from nepfield.view.runs import CORNERS, QUADRATIC, Array, Drawn, RunFiles, mark_text

if TYPE_CHECKING:
    import pyvista

_SMALLEST = 0.02  # of the shape's size: a ring around a site


def cells_of(grid: Any) -> list[tuple[int, Array]]:
    """(VTK cell type, points (n, nodes)) for every type of cell in a grid."""
    return [(int(kind), np.asarray(cells)) for kind, cells in grid.cells_dict.items()]


# ---------------------------------------------------------------- geometry


@dataclass(frozen=True)
class Shape:
    """Flat faces to colour: cells of a mesh, or a tile for each site of a graph.

    Attributes
    ----------
    surface : PolyData with the fields as point and cell data (of a graph all as cell data);
        subdivided where curved
    corners : list of (faces (n,), ids (n, k), mids (n, k, 2)), one entry a cell type; edge j runs
        from corner j to corner j + 1, through mids where the cell is quadratic
    places : (ids, 2) coordinates of the corners
    links : (nlinks, 2, 2) lines between discs to draw, may be empty
    edges : (nedges, 2, 2) ends of all edges of a graph
    radius : of the disc of each vertex of a graph, or 0 where there are none
    reach : how far fields move points from their places
    """

    surface: pyvista.PolyData
    corners: list[tuple[Array, Array, Array | None]]
    places: Array
    links: Array
    edges: Array
    radius: float | Array = 0.0
    reach: float = 0.0

    @property
    def size(self) -> float:
        """Larger side of the box around the shape, mesh units."""
        return float(np.ptp(self.places, axis=0).max()) or 1.0

    @property
    def fineness(self) -> float:
        """By how much outlines are thinner than usual, for discs that are small."""
        smallest = float(np.min(self.radius, initial=np.inf))
        return min(1.0, smallest / (0.02 * self.size)) if smallest > 0 else 1.0

    def rim(self, chosen: Array | None = None) -> list[Array]:
        """Polylines around the chosen faces (mask; default all): the edges of one face alone."""
        edges, middles = [], []
        for faces, ids, mids in self.corners:
            keep = slice(None) if chosen is None else chosen[faces]
            ends = np.stack([ids, np.roll(ids, -1, axis=1)], axis=2)[keep].reshape(-1, 2)
            edges.append(ends)
            straight = self.places[ends].mean(axis=1)
            middles.append(straight if mids is None else mids[keep].reshape(-1, 2))
        ends, mid = np.concatenate(edges), np.concatenate(middles)
        if len(ends) == 0:
            return []
        _, first, times = np.unique(np.sort(ends, 1), axis=0, return_index=True, return_counts=True)
        alone = first[times == 1]
        shape = quadratic_shapes(np.linspace(0, 1, 9)[:, None])
        nodes = np.stack([*self.places[ends[alone]].transpose(1, 0, 2), mid[alone]])
        return _chained(ends[alone], np.einsum("ktl,knd->ntd", shape, nodes))


def _chained(ends: Array, curves: Array) -> list[Array]:
    """Edges (n, 2) with their curves (n, m, 2), joined end to end."""
    at: dict[int, list[int]] = {}
    for number, (a, b) in enumerate(ends.tolist()):
        at.setdefault(a, []).append(number)
        at.setdefault(b, []).append(number)
    left = set(range(len(ends)))
    lines: list[Array] = []
    while left:
        edge: int | None = next(iter(left))
        node = int(ends[edge, 0])
        parts = []
        while edge is not None:
            left.discard(edge)
            forward = node == ends[edge, 0]
            parts.append(curves[edge] if forward else curves[edge, ::-1])
            node = int(ends[edge, 1 if forward else 0])
            edge = next((other for other in at[node] if other in left), None)
        lines.append(np.concatenate(parts))
    return lines


def subdivided(grid: pyvista.UnstructuredGrid, finest: int = 3) -> pyvista.PolyData:
    """The flat cells of a grid as triangles fine enough to show curved edges and quadratic fields.

    Linear cells stay as they are. VTK evaluates the quadratic shape functions at the new points,
    so point data of a quadratic cell is exact there. An edge is halved at most `finest` times.
    """
    if not set(grid.celltypes.tolist()) & set(QUADRATIC):
        return grid.extract_surface(algorithm="dataset_surface")
    level = 3 if grid.n_cells < 4000 else 2 if grid.n_cells < 20000 else 1
    level = min(level, finest)
    return grid.extract_surface(nonlinear_subdivision=level, algorithm="dataset_surface")


def find_shape(files: RunFiles, finest: int = 3) -> Shape:
    """The faces of a run on a planar mesh or a graph; `finest` as in `subdivided`."""
    shape = (
        graph_shape(files.grid, files.has_edges) if files.graph else mesh_shape(files.grid, finest)
    )
    return replace(shape, reach=files.reach)


def moved_shape(files: RunFiles, shape: Shape, field: Drawn) -> Shape:
    """The faces of a run where a field of vectors has moved its points."""
    grid = files.grid.copy()
    grid.points = grid.points + files.displacement(field)
    return graph_shape(grid, True, shape.radius) if files.graph else mesh_shape(grid)


def mesh_shape(grid: pyvista.UnstructuredGrid, finest: int = 3) -> Shape:
    places = np.asarray(grid.points)[:, :2].astype(float)
    corners: list[tuple[Array, Array, Array | None]] = []
    for kind, cells in cells_of(grid):
        k = CORNERS[kind]
        mids = places[cells[:, k : 2 * k]] if kind in QUADRATIC else None
        corners.append((np.flatnonzero(grid.celltypes == kind), cells[:, :k], mids))
    none = np.empty((0, 2, 2))
    return Shape(subdivided(grid, finest), corners, places, none, none)


def graph_shape(
    grid: pyvista.UnstructuredGrid, edges: bool = False, radius: float | Array | None = None
) -> Shape:
    """A square for each site of a regular lattice; discs and links for any other graph.

    Parameters
    ----------
    grid : UnstructuredGrid
    edges : bool
        Whether edges are to be seen, which squares side by side would hide.
    radius : ndarray, shape (nvertices,), optional
        Of the discs; by default such that suit the edges.
    """
    import pyvista

    points = np.asarray(grid.points).astype(float)
    sites = points[:, :2]
    if np.ptp(points[:, 2]) > 0:  # 3-D: seen from a corner
        x, y, z = points.T
        sites = np.stack([(x - y) * np.sqrt(0.75), 0.5 * (x + y) + z], axis=1)
    pairs = dict(cells_of(grid)).get(3, np.empty((0, 2), int))
    lengths = np.linalg.norm(sites[pairs[:, 0]] - sites[pairs[:, 1]], axis=1)
    short = float(lengths[lengths > 0].min()) if (lengths > 0).any() else 1.0
    steps = (sites - sites.min(axis=0)) / short
    cell = np.rint(steps).astype(int)
    links = np.empty((0, 2, 2))
    regular = abs(steps - cell).max() < 1e-3 and len(np.unique(cell, axis=0)) == len(cell)
    if regular and not edges:
        radius = 0.0
        around = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        keys, ids = np.unique((cell[:, None] + around).reshape(-1, 2), axis=0, return_inverse=True)
        places = sites.min(axis=0) + short * (keys - 0.5)
        ids = ids.reshape(-1, 4)
    else:
        if radius is None:
            radius = _disc_radii(sites, lengths, short, edges)
        radii = np.broadcast_to(radius, len(sites))
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        places = (sites[:, None] + radii[:, None, None] * ring).reshape(-1, 2)
        ids = np.arange(len(places)).reshape(-1, 24)
        far = lengths > radii[pairs].sum(axis=1)  # links end at the discs, which would hide them
        links = sites[pairs[far]]
        along = (links[:, 1] - links[:, 0]) / lengths[far][:, None]
        near, end = radii[pairs[far]].T[:, :, None]
        links = np.stack([links[:, 0] + near * along, links[:, 1] - end * along], axis=1)
    faces = np.column_stack([np.full(len(ids), ids.shape[1]), ids]).ravel()
    surface = pyvista.PolyData(np.column_stack([places, np.zeros(len(places))]), faces=faces)
    for name, values in grid.point_data.items():
        surface.cell_data[name] = values
    corners: list[tuple[Array, Array, Array | None]] = [(np.arange(len(ids)), ids, None)]
    return Shape(surface, corners, places, links, sites[pairs], radius)


def _disc_radii(sites: Array, lengths: Array, short: float, edges: bool) -> Array:
    """Radii of the discs of a graph: a share of an edge, and less than what lets them touch; larger
    where there is room for what would be too small to see."""
    typical = float(np.median(lengths)) if len(lengths) else 1.0
    wanted = 0.22 * short if edges else max(0.25 * typical, 0.45 * short)
    if len(sites) < 2:
        return np.full(len(sites), wanted)
    apart = KDTree(sites).query(sites, k=2)[0][:, 1]
    nearest = float(np.median(apart[apart > 0])) if (apart > 0).any() else short
    usual = min(max(wanted, 0.22 * nearest), 0.45 * nearest)
    visible = 0.02 * float(np.ptp(sites, axis=0).max())
    apart = np.where(apart > 0, apart, nearest)
    return np.maximum(np.minimum(usual, 0.45 * apart), np.minimum(0.45 * apart, visible))


# ---------------------------------------------------------------- what is placed on the domain


@dataclass(frozen=True)
class Outline:
    """A mark as polylines to draw, with where its text goes, and its arrow."""

    lines: list[Array]
    place: Array
    label: str
    kind: str
    dashed: bool = False
    driver: int | None = None  # the input that drives it
    arrow: Array | None = None
    faces: Array | None = None  # those that it is the rim of, if it is

    def on(self, shape: Shape | None) -> Outline:
        """The same on a shape whose points were moved; as it is where none were."""
        if shape is None or self.faces is None:
            return self
        lines = shape.rim(self.faces)
        return replace(self, lines=lines, place=_top(lines))

    def around(self, shape: Shape) -> tuple[Outline, float]:
        """The same, where single sites of a large graph would be hidden by their outlines with
        rings around them instead; and how much thinner than usual the lines are to be."""
        alone = self.faces is not None and len(self.lines) == np.count_nonzero(self.faces)
        if not (alone and len(shape.edges)):
            return self, shape.fineness
        widest = max(float(np.ptp(line, axis=0).max()) for line in self.lines) or 1.0
        larger = max(1.0, _SMALLEST * shape.size / widest)
        middles = [(line.min(axis=0) + line.max(axis=0)) / 2 for line in self.lines]
        lines = [
            middle + larger * (line - middle)
            for line, middle in zip(self.lines, middles, strict=True)
        ]
        thin = min(1.0, larger * widest / (2 * _SMALLEST * shape.size))
        return replace(self, lines=lines, place=_top(lines)), thin


def _circle(center: Array, radius: float) -> Array:
    t = np.linspace(0, 2 * np.pi, 97)[:, None]
    return center + radius * np.concatenate([np.cos(t), np.sin(t)], axis=1)


def find_marks(run: RunFiles, shape: Shape) -> list[Outline]:
    """The marks of a run as things to draw; those of which nothing is known are left out."""
    outlines = []
    for mark in run.marks:
        arrow, mask = None, None
        circle = mark.shape.get("circle")
        if circle is not None and len(circle["center"]) == 2:
            center, radius = np.array(circle["center"]), float(circle["radius"])
            lines = [_circle(center, radius)]
            along = np.array(mark.shape.get("arrow", [0.0, 0.0]), dtype=float)
            if along.any():
                tip = center + 1.6 * radius * along / np.linalg.norm(along)
                arrow = np.array([center, tip])
        else:
            mask = run.chosen(mark)
            lines = [] if mask is None else shape.rim(mask)
            along = np.array(mark.shape.get("arrow", [0.0, 0.0]), dtype=float)
            if lines and along.shape == (2,) and along.any():
                points = np.concatenate(lines)
                low, high = points.min(axis=0), points.max(axis=0)
                reach = 0.4 * float((high - low).min()) * along / np.linalg.norm(along)
                arrow = np.array([(low + high) / 2, (low + high) / 2 + reach])
        if lines:
            text = mark_text(mark)
            outlines.append(
                Outline(lines, _top(lines), text, mark.kind, mark.dashed, mark.input, arrow, mask)
            )
    return outlines


def _top(lines: list[Array]) -> Array:
    """Where a label goes: middle of the upper rim."""
    points = np.concatenate(lines)
    return np.array([0.5 * (points[:, 0].min() + points[:, 0].max()), points[:, 1].max()])
