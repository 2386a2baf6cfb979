"""Geometry of the cells that a mesh may have: sides, orientation, sizes, quality.

Plain functions on arrays. A *side* of a cell is a facet: an end point of a line cell, an edge of a
triangle or quadrilateral (of a 6-node triangle with its midpoint). Sides are numbered cell by cell:
side ``s`` of cell ``c`` has the flat index ``c * nsides + s``.

Node order is that of Gmsh and VTK: corners counter-clockwise, then the midpoints of the edges 01,
12, 20.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Nodes of each side; the nodes of a cell seen in a mirror.
SIDES: dict[str, Ints] = {
    "line": np.array([[0], [1]]),
    "triangle": np.array([[0, 1], [1, 2], [2, 0]]),
    "triangle6": np.array([[0, 1, 3], [1, 2, 4], [2, 0, 5]]),
    "quad": np.array([[0, 1], [1, 2], [2, 3], [3, 0]]),
}
MIRROR: dict[str, list[int]] = {
    "line": [1, 0],
    "triangle": [0, 2, 1],
    "triangle6": [0, 2, 1, 5, 4, 3],
    "quad": [0, 3, 2, 1],
}
CORNERS = {"line": 2, "triangle": 3, "triangle6": 3, "quad": 4, "graph": 2}
NODES = {"line": 2, "triangle": 3, "triangle6": 6, "quad": 4, "graph": 2}
DIMENSION = {"line": 1, "triangle": 2, "triangle6": 2, "quad": 2}

# Where the Jacobian of a curved triangle is looked at: the nodes, then the centroid and the points
# of a rule of degree 4. The midpoints of the edges (rows 3 to 5) are an exact rule for the
# area, since the determinant is quadratic.
_A, _B = 0.445948490915965, 0.091576213509771
_NODE_PLACES = [[0, 0], [1, 0], [0, 1], [0.5, 0], [0.5, 0.5], [0, 0.5]]
_RULE = [[p, q] for m in (1 / 3, _A, _B) for p, q in ((m, m), (1 - 2 * m, m), (m, 1 - 2 * m))]
_SAMPLES = np.array([*_NODE_PLACES, *_RULE])


def sides_of(cells: Ints, kind: str) -> Ints:
    """All sides, (ncells * nsides, nodes of a side); each runs as its cell goes round."""
    local = SIDES[kind]
    return cells[:, local].reshape(-1, local.shape[1])


def side_groups(sides: Ints, npoints: int) -> Ints:
    """Number the sides so that equal ones, whatever their direction, share a number.

    Parameters
    ----------
    sides : (n, nodes) int array
    npoints : int
        Number of points of the mesh.

    Returns
    -------
    (n,) int array
    """
    if sides.shape[1] == 1:
        return np.asarray(sides[:, 0], dtype=np.int64)
    ends = np.sort(sides[:, :2], axis=1)
    key = ends[:, 0] * npoints + ends[:, 1]
    if sides.shape[1] == 3:  # two curved edges may join the same ends
        key = np.unique(key, return_inverse=True)[1] * npoints + sides[:, 2]
    return np.asarray(np.unique(key, return_inverse=True)[1], dtype=np.int64)


def find_sides(cells: Ints, kind: str, wanted: Ints, npoints: int) -> Ints:
    """Flat index of the first side that equals each wanted facet, -1 where there is none."""
    mine = sides_of(cells, kind)
    groups = side_groups(np.concatenate([mine, wanted]), npoints)
    first = np.full(groups.max(initial=-1) + 1, -1, dtype=np.int64)
    # written backwards, so that the lowest index stays
    first[groups[: len(mine)][::-1]] = np.arange(len(mine))[::-1]
    return first[groups[len(mine) :]]


def outer_sides(cells: Ints, kind: str, npoints: int) -> Ints:
    """Flat indices of the sides that belong to exactly one cell."""
    groups = side_groups(sides_of(cells, kind), npoints)
    return np.flatnonzero(np.bincount(groups)[groups] == 1)


def folded_cells(cells: Ints, kind: str) -> Ints:
    """Positively oriented cells that lie on the same side of a facet as another cell.

    Two neighbours run along their common edge in opposite directions (and a line cell ends where
    the next begins), so an edge that is run along twice in one direction means cells that cover
    each other.
    """
    sides = sides_of(cells, kind)
    if kind == "line":
        sides = np.column_stack([sides, np.tile([0, 1], len(cells))])
    _, inverse, counts = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
    return np.unique(np.flatnonzero(counts[inverse.ravel()] > 1) // len(SIDES[kind]))


def count_pieces(cells: Ints, kind: str, npoints: int) -> int:
    """Number of parts that no facet (in a graph: no edge) joins."""
    if kind == "graph":
        size, rows, cols = npoints, cells[:, 0], cells[:, 1]
    else:
        size = len(cells)
        groups = side_groups(sides_of(cells, kind), npoints)
        order = np.argsort(groups, kind="stable")
        same = groups[order][1:] == groups[order][:-1]
        owner = order // len(SIDES[kind])
        rows, cols = owner[:-1][same], owner[1:][same]
    links = coo_array((np.ones(len(rows)), (rows, cols)), shape=(size, size))
    return int(connected_components(links, directed=False, return_labels=False))


def _cross(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def determinants(points: Floats, cells: Ints, kind: str) -> Floats:
    """Jacobian determinant at sample points of each cell, (ncells, nsamples).

    A line has its signed length, a triangle twice its signed area, a quadrilateral the four values
    at the corners (all positive if and only if it is convex and counter-clockwise), a 6-node
    triangle the values at 15 points.
    """
    if kind == "line":
        return points[cells[:, 1]] - points[cells[:, 0]]
    corners = points[cells]
    if kind == "triangle":
        return _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, None]
    if kind == "quad":
        ahead = np.roll(corners, -1, axis=1) - corners
        return _cross(np.roll(ahead, 1, axis=1), ahead)
    r, s = _SAMPLES[:, 0], _SAMPLES[:, 1]
    zero = np.zeros_like(r)
    dr = np.stack([4 * (r + s) - 3, 4 * r - 1, zero, 4 * (1 - 2 * r - s), 4 * s, -4 * s], axis=1)
    ds = np.stack([4 * (r + s) - 3, zero, 4 * s - 1, -4 * r, 4 * r, 4 * (1 - r - 2 * s)], axis=1)
    return _cross(np.einsum("qn,cnd->cqd", dr, corners), np.einsum("qn,cnd->cqd", ds, corners))


def quadratic_shapes(t: ArrayLike) -> Floats:
    """Quadratic shape functions on an edge: of its two ends, then of its middle.

    Parameters
    ----------
    t : array-like
        Places on the edge: 0 and 1 its ends, 1/2 its middle.

    Returns
    -------
    (3, *t.shape) float array
    """
    t = np.asarray(t, dtype=float)
    return np.stack([(1 - t) * (1 - 2 * t), t * (2 * t - 1), 4 * t * (1 - t)])


def longest_edges(points: Floats, cells: Ints, kind: str) -> Floats:
    """Longest straight edge of each cell, (ncells,)."""
    corners = points[cells[:, : CORNERS[kind]]]
    return np.asarray(np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1))


def orient(points: Floats, cells: Ints, kind: str) -> Ints:
    """The cells, each that runs clockwise turned over; line cells from left to right.

    Whether a cell was drawn the other way or the mesh folds over there is told by its neighbours:
    `folded_cells` finds turned cells that lie on top of others.
    """
    if kind == "graph" or len(cells) == 0:
        return cells
    turn = determinants(points, cells, kind).mean(axis=1) < 0
    return np.where(turn[:, None], cells[:, MIRROR[kind]], cells)


def measures(points: Floats, cells: Ints, kind: str) -> Floats:
    """Length (line, graph edge) or area of each cell, (ncells,); exact for curved triangles."""
    if kind == "graph":
        return np.asarray(np.linalg.norm(points[cells[:, 1]] - points[cells[:, 0]], axis=1))
    values = determinants(points, cells, kind)
    if kind == "line":
        return values[:, 0]
    if kind == "triangle":
        return values[:, 0] / 2
    if kind == "quad":  # opposite corners: two triangles
        return (values[:, 1] + values[:, 3]) / 2
    return values[:, 3:6].sum(axis=1) / 6


def qualities(points: Floats, cells: Ints, kind: str) -> Floats:
    """Shape of each cell from 0 (degenerate) to 1 (best), (ncells,).

    Triangles: 4 sqrt(3) area / sum of squared edges; for curved ones times the smallest over the
    largest Jacobian. Quadrilaterals: the smallest sine of a corner times the shortest over the
    longest edge. Lines: 1.
    """
    if kind in ("line", "graph"):
        return np.ones(len(cells))
    corners = points[cells[:, : CORNERS[kind]]]
    edges = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    values = determinants(points, cells, kind)
    if kind == "quad":
        sines = values / (edges * np.roll(edges, 1, axis=1))
        return np.asarray(sines.min(axis=1) * edges.min(axis=1) / edges.max(axis=1))
    straight = determinants(points, cells[:, :3], "triangle")[:, 0]
    shape = 2 * np.sqrt(3) * straight / (edges**2).sum(axis=1)
    return np.asarray(shape * values.min(axis=1) / values.max(axis=1))
