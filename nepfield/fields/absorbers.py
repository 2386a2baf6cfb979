"""Absorbing regions and layers: a fixed Im V < 0."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from nepfield.errors import InputError
from nepfield.fields.places import region_indicator
from nepfield.mesh.seams import images
from nepfield.space.boundaries import check_open
from nepfield.space.space import Space


def absorbing_region(space: Space, region: str, strength: float) -> np.ndarray:
    """An absorber ``-i strength`` on a named region, complex array of shape (nq,)."""
    _check_strength(strength)
    return -1j * strength * region_indicator(space, region)


def absorbing_layer(space: Space, boundary: str, width: float, strength: float) -> np.ndarray:
    """An absorbing layer ``-i strength (1 - distance/width)^2`` in front of a named boundary.

    The quadratic ramp keeps reflections small; waves that cross it and return are absorbed twice.

    Parameters
    ----------
    space : Space
    boundary : str
    width : float
        Thickness of the layer in mesh units.
    strength : float
        Loss rate at the boundary.

    Returns
    -------
    ndarray, shape (nq,), complex
    """
    _check_strength(strength)
    if not width > 0 or not np.isfinite(width):
        raise InputError(f"absorber at boundary {boundary!r}: width = {width} must be positive.")
    check_open(space.domain, boundary, "absorber")
    facets = space.domain.points[space.domain.boundary(boundary)]
    copies = images(space.domain.seams, space.points)
    distance = np.min([_distance_to(facets, points) for points in copies], axis=0)
    depth = np.clip(1 - distance / width, 0, None)
    if not depth.any():
        raise InputError(
            f"absorber at boundary {boundary!r}: width = {width} is less than a cell; widen it."
        )
    return -1j * strength * depth**2


def _distance_to(facets: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of points to facets of shape (nfacets, nnodes, dim), curved ones as two chords."""
    if facets.shape[1] == 1:
        return cKDTree(facets[:, 0]).query(points)[0]
    if facets.shape[1] == 3:
        facets = np.concatenate([facets[:, [0, 2]], facets[:, [2, 1]]])
    start, along = facets[:, 0], facets[:, 1] - facets[:, 0]
    nearest = np.full(len(points), np.inf)
    for a, d in zip(start, along, strict=True):
        t = np.clip((points - a) @ d / (d @ d), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(points - a - t[:, None] * d, axis=1))
    return nearest


def _check_strength(strength: float) -> None:
    if not strength > 0 or not np.isfinite(strength):
        raise InputError(f"absorber: strength = {strength}; it must be positive and finite.")
