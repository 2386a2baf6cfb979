"""Seams: pairs of boundaries of a mesh that are one and the same, so that it closes on itself.

What leaves the mesh through one of the two comes in through the other. A motion, a shift or a
rotation, takes the near boundary to the far one; it also takes the mesh to its next copy, which is
how distances across a seam are found (the minimum image convention).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError
from nepfield.mesh.cells import Floats, Ints, outer_sides, sides_of

NEAR = 1e-3
"""Points that belong together may lie this far apart, in lengths of the shortest facet there."""


@dataclass(frozen=True, eq=False)
class Seam:
    """Two boundaries of a mesh that are one.

    Attributes
    ----------
    name : str
        Such as "left and right".
    near, far : (nfacets, nodes) int array
        Points of the facets; each of ``far`` is, point by point, what the one in ``near`` is.
    turn : (dim, dim) float array
    shift : (dim,) float array
        ``turn @ r + shift`` is where the point r of the near boundary lies on the far one.
    """

    name: str
    near: Ints
    far: Ints
    turn: Floats
    shift: Floats

    @property
    def pairs(self) -> Ints:
        """Points that are one, corners of facets only, (npairs, 2)."""
        both = np.stack([self.near[:, :2].ravel(), self.far[:, :2].ravel()], axis=1)
        return np.unique(both, axis=0)

    def __str__(self) -> str:
        facets = f"{len(self.near)} facet{'s' if len(self.near) > 1 else ''} each"
        if np.array_equal(self.turn, np.eye(len(self.turn))):
            return f"{self.name}, {facets}, a shift by ({written(self.shift)})"
        angle = np.degrees(np.arctan2(self.turn[1, 0], self.turn[0, 0]))
        return f"{self.name}, {facets}, a rotation by {angle:.6g} degrees"


def written(shift: Floats) -> str:
    """A shift in a message; what is zero but for rounding is zero."""
    whole = np.where(np.abs(shift) < 1e-12 * np.abs(shift).max(), 0.0, shift)
    return ", ".join(f"{x:.6g}" for x in whole)


def sew(
    points: Floats,
    cells: Ints,
    kind: str,
    name: str,
    pairs: Ints,
    where: str,
    allowed: Ints | None = None,
) -> Seam | str:
    """The seam along which points are joined in pairs.

    Parameters
    ----------
    points, cells, kind
        The mesh.
    name : str
        Of the two boundaries.
    pairs : (npairs, 2) int array
        Points of the near boundary, and where they are on the far one; corners of cells suffice.
    where : str
        Name of the mesh, for messages.
    allowed : int array, optional
        Flat indices of the cells' sides that may be joined, all of them on the outside; by default
        these are all that are there.

    Returns
    -------
    Seam or str
        Or why the mesh cannot be closed there.

    Raises
    ------
    InputError
        If neither a shift nor a rotation takes the points to their partners.
    """
    flat = outer_sides(cells, kind, len(points)) if allowed is None else allowed
    sides = sides_of(cells, kind)[flat]
    partner = np.full(len(points), -1, dtype=np.int64)
    partner[pairs[:, 0]] = pairs[:, 1]
    image = partner[sides[:, :2]]
    keys, wanted = _keys(sides[:, :2], len(points)), _keys(image, len(points))
    order = np.argsort(keys)
    place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    found = np.flatnonzero((image >= 0).all(axis=1) & (keys[place] == wanted))
    if not len(found):
        return "they are not on the outside of the mesh"
    near, far = sides[found], sides[place[found]]
    if kind == "line":
        turned = flat[found] % 2 == flat[place[found]] % 2
    else:  # each side runs as its cell goes round, so the two run against each other
        turned = far[:, 0] == image[found, 0]
        far = far[:, [1, 0, *range(2, far.shape[1])]]
    if turned.any():
        return "the mesh lies on the same side of both, or they run in opposite directions"
    limit = tolerance(points, near)
    turn, shift, miss = _motion(points[near.ravel()], points[far.ravel()], limit)
    if miss > limit:
        raise InputError(
            f"{where}: {name} are periodic, but neither a shift nor a rotation takes one to the "
            f"other: its points would lie up to {miss:.3g} from their partners; a periodic mesh "
            "needs boundaries of the same shape"
        )
    return Seam(name, near, far, turn, shift)


def point_labels(seam: Seam, npoints: int) -> Ints:
    """A seam as mesh files keep it, (npoints, 2): the k-th near point, the k-th far point, or 0."""
    labels = np.zeros((npoints, 2), dtype=np.int64)
    for column in (0, 1):
        labels[seam.pairs[:, column], column] = 1 + np.arange(len(seam.pairs))
    return labels


def labelled_pairs(labels: NDArray, key: str, where: str) -> Ints:
    """The pairs (npairs, 2) of what `point_labels` made; InputError for any other array."""
    if (
        labels.ndim == 2
        and labels.shape[1] == 2
        and labels.dtype.kind in "biuf"
        and np.all(labels == np.floor(labels))
    ):
        points = [np.flatnonzero(column) for column in labels.T]
        orders = [np.argsort(labels[index, k]) for k, index in enumerate(points)]
        near, far = (index[order] for index, order in zip(points, orders, strict=True))
        values = labels[near, 0]
        if np.array_equal(values, labels[far, 1]) and np.array_equal(
            values, 1 + np.arange(len(values))
        ):
            return np.column_stack([near, far])
    raise InputError(
        f"{where}: the array {key!r} must have two columns, in each of them every number from 1 to "
        "that of the pairs once, and 0 elsewhere"
    )


def check_once(seams: Sequence[Seam], npoints: int, where: str) -> None:
    """InputError if a facet belongs to two seams."""
    names = np.repeat([seam.name for seam in seams], [2 * len(seam.near) for seam in seams])
    facets = [rows[:, :2] for seam in seams for rows in (seam.near, seam.far)]
    if not facets:
        return
    _, first, inverse = np.unique(
        _keys(np.concatenate(facets), npoints), return_index=True, return_inverse=True
    )
    twice = np.flatnonzero(first[inverse] != np.arange(len(inverse)))
    if len(twice):
        raise InputError(
            f"{where}: {names[first[inverse[twice[0]]]]}, and {names[twice[0]]}, are periodic, but "
            "they share facets; a boundary can be joined to one other only"
        )


def _keys(ends: Ints, npoints: int) -> Ints:
    """A number for each facet, whatever its direction, from its one or two ends."""
    ends = np.sort(ends, axis=1)
    return np.asarray(ends[:, 0] * npoints + ends[:, -1])


def tolerance(points: Floats, facets: Ints) -> float:
    """How far points that belong together may lie apart."""
    ends = points[facets[:, :2]]
    length = np.linalg.norm(ends[:, -1] - ends[:, 0], axis=1).min()
    return float(NEAR * (length or np.ptp(points)))  # in one dimension a facet is a point


def _motion(near: Floats, far: Floats, limit: float) -> tuple[Floats, Floats, float]:
    """Turn and shift that take points to others, and by how much they fail to.

    Only where a shift alone fails by more than the limit there is a turn.
    """
    dim = near.shape[1]
    turn, shift = np.eye(dim), (far - near).mean(axis=0)
    miss = float(np.linalg.norm(near + shift - far, axis=1).max())
    if dim == 1 or miss <= limit:
        return turn, shift, miss
    a, b = ((p - p.mean(axis=0)) @ [1, 1j] for p in (near, far))
    angle = np.angle(np.vdot(a, b))  # the best one in the sense of least squares
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    shift = far.mean(axis=0) - turn @ near.mean(axis=0)
    return turn, shift, float(np.linalg.norm(near @ turn.T + shift - far, axis=1).max())


def images(seams: Sequence[Seam], points: Floats) -> Floats:
    """Points, and where they are in the copies of a mesh all around it.

    Returns
    -------
    (ncopies, n, dim) array
        The points themselves come first.
    """
    dim = points.shape[1]
    motions, used = [(np.eye(dim), np.zeros(dim))], list[tuple[Floats, Floats]]()
    for seam in seams:
        ahead = (seam.turn, seam.shift)
        if _among(ahead, used):
            continue
        behind = (seam.turn.T, -seam.turn.T @ seam.shift)
        used += [ahead, behind]
        for turn, shift in [*motions]:
            for other, step in (ahead, behind):
                new = (other @ turn, other @ shift + step)
                if not _among(new, motions):
                    motions.append(new)
    return np.stack([points, *(points @ turn.T + shift for turn, shift in motions[1:])])


def _among(motion: tuple[Floats, Floats], others: Sequence[tuple[Floats, Floats]]) -> bool:
    turn, shift = motion
    size = NEAR * (np.linalg.norm(shift) or 1.0)
    return any(
        np.abs(turn - other).max() < NEAR and np.abs(shift - step).max() < size
        for other, step in others
    )


def nearest_images(seams: Sequence[Seam], points: Floats, center: Floats) -> Floats:
    """Each point, or its copy across the seams that lies nearest to a center, (n, dim)."""
    if not seams:
        return points
    copies = images(seams, points)
    nearest = np.sum((copies - center) ** 2, axis=2).argmin(axis=0)
    return np.asarray(copies[nearest, np.arange(len(points))])
