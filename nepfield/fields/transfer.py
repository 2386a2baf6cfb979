"""A potential on one mesh becomes a potential on another, by L2 projection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from nepfield.errors import InputError
from nepfield.fields.potentials import Potential, pixel_of
from nepfield.locate import locate
from nepfield.space import Space


def transfer(
    source: Space, placed: Potential, basis: str | Sequence[float], space: Space, blank: Potential
) -> tuple[np.ndarray, float]:
    """Values of a potential in the basis of another space.

    Each value is the mean of the source's potential over its support, weighted by the quadrature:
    the L2 projection on a piecewise constant basis. Where the source has no cell, as between a
    curved wall and its coarser mesh, its nearest cell counts. On graphs the values go site by site.

    Parameters
    ----------
    source : Space
        Where `placed` lives.
    placed : Potential
    basis : "cells", "regions" or (dx, dy)
        Of `placed`.
    space : Space
        Where the values are wanted.
    blank : Potential
        The wanted basis; its values are not looked at.

    Returns
    -------
    values : ndarray, shape (nvalues,)
        Complex where the source is.
    outside : float
        Share of the space (by length or area) that lies farther than a cell size from the source.

    Raises
    ------
    InputError
        If one is a graph and the other is not, dimensions or numbers of sites differ, or most of
        the space lies outside of the source.
    """
    kinds = [
        f"a graph of {on.ndof} sites" if on.is_graph else f"a {on.domain.dim}-D mesh"
        for on in (source, space)
    ]
    if kinds[0] != kinds[1]:
        raise InputError(f"the potential of {kinds[0]} cannot become one of {kinds[1]}.")
    if space.is_graph:
        field, outside = placed.at_points(), 0.0
    else:
        domain = source.domain
        cell, distance = locate(domain.points, domain.cells, domain.kind, space.points)
        outside = float(space.w[distance > 1].sum() / space.w.sum())
        if outside > 0.5:
            raise InputError(
                f"{outside:.0%} of {space.domain.source} lies outside of {domain.source}, where "
                "the potential comes from; the two must be meshes of the same shape."
            )
        field = np.append(placed.values, 0.0)[_support(source, placed, basis, space.points, cell)]
    return blank.integrate(space.w * field) / blank.measure, outside


def _support(
    source: Space,
    placed: Potential,
    basis: str | Sequence[float],
    points: np.ndarray,
    cell: np.ndarray,
) -> np.ndarray:
    """Index of the source's value at each point, -1 where its potential is 0."""
    if isinstance(basis, str):  # the same value everywhere in a cell
        return placed.support.reshape(len(source.elements), -1)[cell, 0]
    pitch = np.broadcast_to(np.asarray(basis, dtype=float), points.shape[1])
    used, first = np.unique(pixel_of(source, pitch, source.points), axis=0, return_index=True)
    nearest = cKDTree(used).query(pixel_of(source, pitch, points))[1]
    return placed.support[first][nearest]
