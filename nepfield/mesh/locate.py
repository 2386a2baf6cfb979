"""Which cell of a mesh holds a point, and where the points of a cell lie.

Curved and bilinear cells are inverted by Newton's method.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from nepfield.mesh.cells import CORNERS, Floats, Ints

# Monomials r^i s^j that span the map from the reference cell, and the places of its nodes.
_POWERS = {
    "line": [[0], [1]],
    "triangle": [[0, 0], [1, 0], [0, 1]],
    "triangle6": [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]],
    "quad": [[0, 0], [1, 0], [0, 1], [1, 1]],
}
_NODES = {
    "line": [[0.0], [1.0]],
    "triangle": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]],
    "triangle6": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]],
    "quad": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
}
_REACH = 1.5  # a curved side bulges less than half as far again as the nodes lie from the middle
_STEPS = 12  # straight cells need two, curved ones in which the point lies rarely five


def locate(points: Floats, cells: Ints, kind: str, wanted: Floats) -> tuple[Ints, Floats]:
    """The cell that holds each point; where none does, one that is near.

    Of the cells that a point lies near to (within 1.5 radii of their middle) the one is taken whose
    reference cell it leaves least; of a point near to none, the cell with the nearest middle.
    Neither need be the cell at the smallest distance.

    Parameters
    ----------
    points : (npoints, dim) array
        Of the mesh.
    cells : (ncells, nodes) int array
    kind : {"line", "triangle", "triangle6", "quad"}
    wanted : (n, dim) array

    Returns
    -------
    cell : (n,) int array
    outside : (n,) array
        0 in a cell; otherwise how far the point lies beyond the circle around the cell's middle
        that holds its nodes, in radii of this circle (0 within it, as just outside a curved wall).
    """
    middle = points[cells[:, : CORNERS[kind]]].mean(axis=1)
    radius = np.linalg.norm(points[cells] - middle[:, None], axis=2).max(axis=1)
    near = cKDTree(wanted).query_ball_point(middle, _REACH * radius)
    cell = np.repeat(np.arange(len(cells)), [len(found) for found in near])
    point = np.concatenate([np.asarray(found, dtype=np.int64) for found in near])
    # relative to the middle, so that a mesh far from the origin loses no digits
    beyond = _overshoot(
        points[cells] - middle[:, None], kind, cell, wanted[point] - middle[cell], radius
    )
    order = np.lexsort((beyond, point))  # the best cell of each point comes first
    chosen, first = np.unique(point[order], return_index=True)
    best = order[first]
    nearest: Ints = np.asarray(cKDTree(middle).query(wanted)[1], dtype=np.int64)
    usable = np.isfinite(beyond[best])
    nearest[chosen[usable]] = cell[best][usable]
    distance = np.linalg.norm(wanted - middle[nearest], axis=1)
    outside = np.maximum(distance / radius[nearest] - 1, 0.0)
    outside[chosen[beyond[best] <= 1e-9]] = 0.0
    return nearest, outside


def split_cell(kind: str, parts: int) -> Floats:
    """Middles of the equal parts that a reference cell is cut into, `parts` along each side.

    Returns
    -------
    (n, dim) array
        n is `parts` for a line, its square for triangles and quadrilaterals.
    """
    steps = np.arange(parts)
    if kind == "line":
        return np.asarray((steps[:, None] + 0.5) / parts)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    if kind == "quad":
        return np.asarray((grid + 0.5) / parts)
    upright, turned = (grid[grid.sum(axis=1) < parts - k] for k in (0, 1))
    return np.concatenate([upright + 1 / 3, turned + 2 / 3]) / parts


def map_cells(corners: Floats, kind: str, place: Floats) -> tuple[Floats, Floats]:
    """Points of cells that lie at given places of the reference cell.

    Parameters
    ----------
    corners : (ncells, nodes, dim) array
    kind : {"line", "triangle", "triangle6", "quad"}
    place : (n, dim) array

    Returns
    -------
    points : (ncells, n, dim) array
    stretch : (ncells, n) array
        Length or area there over that in the reference cell.
    """
    powers = np.array(_POWERS[kind])
    coefficients = np.linalg.inv(_monomials(powers, np.array(_NODES[kind]))) @ corners
    jacobian = np.stack(
        [_slopes(powers, place, axis) @ coefficients for axis in range(place.shape[1])], axis=3
    )
    return _monomials(powers, place) @ coefficients, np.abs(np.linalg.det(jacobian))


def _overshoot(corners: Floats, kind: str, cell: Ints, wanted: Floats, radius: Floats) -> Floats:
    """How far each point leaves the reference cell of its cell; inf where it cannot be mapped."""
    powers, nodes = np.array(_POWERS[kind]), np.array(_NODES[kind])
    coefficients: Floats = np.linalg.inv(_monomials(powers, nodes)) @ corners
    place = np.tile(nodes[: CORNERS[kind]].mean(axis=0), (len(cell), 1))
    good = np.zeros(len(cell), dtype=bool)
    left = np.arange(len(cell))
    for _ in range(_STEPS):
        to_go, of_cell = place[left], coefficients[cell[left]]
        missing = wanted[left] - np.einsum("nm,nmd->nd", _monomials(powers, to_go), of_cell)
        near = np.linalg.norm(missing, axis=1) <= 1e-9 * radius[cell[left]]
        good[left[near]] = True
        left, to_go, of_cell, missing = (x[~near] for x in (left, to_go, of_cell, missing))
        jacobian = [
            np.einsum("nm,nmd->nd", _slopes(powers, to_go, axis), of_cell)
            for axis in range(wanted.shape[1])
        ]
        place[left] = np.clip(to_go + _solve(np.stack(jacobian, axis=2), missing), -3.0, 4.0)
    below = -place.min(axis=1)
    triangular = kind in ("triangle", "triangle6")
    above = place.sum(axis=1) - 1 if triangular else place.max(axis=1) - 1
    return np.where(good, np.maximum(below, above), np.inf)


def _monomials(powers: Ints, place: Floats) -> Floats:
    """(n, nmonomials)"""
    return np.asarray(np.prod(place[:, None, :] ** powers, axis=2))


def _slopes(powers: Ints, place: Floats, axis: int) -> Floats:
    """Derivatives of the monomials along one reference coordinate, (n, nmonomials)."""
    lowered = powers.copy()
    lowered[:, axis] = np.maximum(lowered[:, axis] - 1, 0)
    return powers[:, axis] * _monomials(lowered, place)


def _solve(matrix: Floats, right: Floats) -> Floats:
    """Solutions of many systems of one or two equations; not finite where singular."""
    if matrix.shape[1] == 1:
        return right / matrix[:, 0]
    (a, b), (c, d) = matrix[:, 0].T, matrix[:, 1].T
    x, y = right.T
    determinant = a * d - b * c
    with np.errstate(all="ignore"):
        return np.column_stack([d * x - b * y, a * y - c * x]) / determinant[:, None]
