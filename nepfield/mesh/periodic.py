"""Boundaries of a mesh, given by name, become one: the mesh closes to a ring or a torus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from nepfield.errors import InputError
from nepfield.mesh.cells import find_sides, outer_sides
from nepfield.mesh.domain import Domain
from nepfield.mesh.seams import Seam, check_once, sew, tolerance, written


def periodic(domain: Domain, pairs: Sequence[Sequence[str]]) -> Domain:
    """A mesh that is closed along pairs of boundaries, each the other one shifted.

    Parameters
    ----------
    domain : Domain
        A mesh; its points on the two boundaries of a pair must match.
    pairs : sequence of (name, name)
        Boundaries that become one. They replace what the mesh file says of periodic boundaries: an
        empty list opens the mesh.

    Returns
    -------
    Domain
        The same points and cells, with ``seams``. Functions on it (`finite_elements`) have equal
        values on both sides of a seam, and Gaussian pumps, discs and absorbing layers reach across.

    Raises
    ------
    InputError
        If the domain is a graph, a boundary does not exist, is given twice or lies inside, or
        no shift takes one to the other, point by point.

    Examples
    --------
    >>> box = Domain(np.array([[0.0], [1], [2]]), np.array([[0, 1], [1, 2]]), "line",
    ...              boundaries={"left": np.array([[0]]), "right": np.array([[2]])})
    >>> print(*periodic(box, [("left", "right")]).seams)
    left and right, 1 facet each, a shift by (2)
    """
    if domain.kind == "graph":
        raise InputError(
            f"{domain.source}: a graph is closed by its edges, as a periodic lattice is; pairs of "
            "boundaries belong to a mesh."
        )
    given = [name for pair in pairs for name in pair]
    if any(len(pair) != 2 or isinstance(pair, str) for pair in pairs):
        raise InputError(f'periodic = {pairs!r}: give pairs of names, such as ("left", "right").')
    for name in given:
        domain.boundary(name)
        if given.count(name) > 1:
            raise InputError(
                f"{domain.source}: boundary {name!r} is given twice in {list(map(list, pairs))}; "
                "each can be joined to one other only."
            )
    seams = tuple(_shifted(domain, *pair) for pair in pairs)
    check_once(seams, len(domain.points), domain.source)
    return replace(domain, seams=seams)


def _shifted(domain: Domain, near: str, far: str) -> Seam:
    where, points = domain.source, domain.points
    facets = [domain.boundary(name) for name in (near, far)]
    outer = outer_sides(domain.cells, domain.kind, len(points))
    sides = [find_sides(domain.cells, domain.kind, rows, len(points)) for rows in facets]
    for name, rows, flat in zip((near, far), facets, sides, strict=True):
        inside = ~np.isin(flat, outer)
        if inside.any():
            raise InputError(
                f"{where}: boundary {name!r} cannot be periodic: {inside.sum()} of its "
                f"{len(rows)} facets lie inside the mesh, with cells on both sides."
            )
    nodes = [np.unique(rows[:, :2]) for rows in facets]
    # the middles of the boxes around them, which do not depend on where between the ends nodes lie
    middles = [(points[index].min(axis=0) + points[index].max(axis=0)) / 2 for index in nodes]
    shift = middles[1] - middles[0]
    ahead, back = points[nodes[0]] + shift, points[nodes[1]] - shift
    distance, partner = cKDTree(points[nodes[1]]).query(ahead)
    apart = max(distance.max(), cKDTree(points[nodes[0]]).query(back)[0].max())
    words = f"boundaries {near!r} and {far!r}"
    if apart > tolerance(points, facets[0]) or len(np.unique(partner)) < len(nodes[1]):
        counts = " and ".join(str(len(index)) for index in nodes)
        told = written(shift)
        hint = f"; Gmsh makes them with Periodic Curve {{far}} = {{near}} Translate {{{told}, 0}};"
        raise InputError(
            f"{where}: {words} cannot be periodic: they have {counts} points, and after a shift by "
            f"({told}) these lie up to {apart:.3g} apart. Both need the same points"
            f"{hint if domain.dim == 2 else '.'}"
        )
    pairs = np.stack([nodes[0], nodes[1][partner]], axis=1)
    name = f"{near} and {far}"
    seam = sew(
        points, domain.cells, domain.kind, name, pairs, where, np.sort(np.concatenate(sides))
    )
    if isinstance(seam, Seam) and {len(seam.near)} == {len(rows) for rows in facets}:
        return seam
    why = seam if isinstance(seam, str) else "facets of one are missing on the other"
    raise InputError(f"{where}: {words} cannot be periodic: {why}.")
