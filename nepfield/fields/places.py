"""Places on a space: sites, regions and points, checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nepfield.errors import InputError
from nepfield.space.space import Space

Site = int | Sequence[int]


def site_index(space: Space, site: Site) -> int:
    """Vertex of a graph, given as an index or as (iy, ix) of a lattice."""
    domain = space.domain
    if not space.is_graph:
        raise InputError(f"{domain.source}: sites belong to graphs; on a mesh name a region.")
    if isinstance(site, int | np.integer):
        if not 0 <= site < len(domain.points):
            raise InputError(
                f"site {site}: {domain.source} has sites 0 to {len(domain.points) - 1}."
            )
        return int(site)
    try:
        point = np.asarray(site, dtype=float)[::-1]
    except (TypeError, ValueError, IndexError):
        point = np.zeros(0)
    if point.shape != (domain.dim,):
        raise InputError(f"site {site!r}: give an index or, on a 2-D lattice, a pair (iy, ix).")
    found = np.flatnonzero(np.all(domain.points == point, axis=1))
    if len(found) != 1:
        raise InputError(f"site {list(site)}: {domain.source} has no such site (iy, ix).")
    return int(found[0])


def region_indicator(space: Space, region: str) -> np.ndarray:
    """Whether each quadrature point lies in a named region, shape (nq,)."""
    inside = np.zeros(len(space.elements), dtype=bool)
    inside[space.domain.region(region)] = True
    return inside[space.element_of_point]


def checked_point(space: Space, point: Sequence[float], what: str) -> np.ndarray:
    array = np.atleast_1d(np.asarray(point, dtype=float))
    dim = space.points.shape[1]
    if array.shape != (dim,) or not np.all(np.isfinite(array)):
        plural = "s" if dim > 1 else ""
        raise InputError(
            f"{what} = {point}: give {dim} finite coordinate{plural} for this {dim}-D domain."
        )
    return array


def extent(space: Space) -> str:
    low, high = space.domain.points.min(axis=0), space.domain.points.max(axis=0)
    span = np.ptp([low, high]) or 1.0
    rounded = np.round(np.array([low, high]) / span, 12) * span
    return " x ".join(f"[{a:.4g}, {b:.4g}]" for a, b in rounded.T + 0.0)  # no -0
