"""A potential on one mesh becomes a potential on another, by L2 projection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.spatial import cKDTree

from nepfield.errors import InputError
from nepfield.fields.potentials import Potential, is_pixels, pixel_of, potential
from nepfield.mesh.cells import longest_edges, measures
from nepfield.mesh.locate import locate, map_cells, split_cell
from nepfield.mesh.seams import images
from nepfield.space.space import Space

Basis = str | Sequence[str] | Sequence[float]

_FINER = 2  # parts of a cell are half as large as what they meet of the source
_MOST = 64  # parts along the side of a cell, where pixels are much smaller than it
_CHUNK = 50_000  # points at a time


def transfer(
    source: Space, placed: Potential, basis: Basis, space: Space, wanted: Basis
) -> tuple[np.ndarray, float]:
    """Values of a potential in the basis of another space.

    Each value is the mean of the source's potential over its support: the L2 projection on a
    piecewise constant basis. For the mean a cell is cut into parts of at most half the size of the
    source's cells or pixels that it meets (and of the pixels of its own basis), up to 64 along a
    side; a cell that needs no cut is sampled at its quadrature points. So it is exact where each
    part lies in one cell of the source, as on nested meshes. On others the worst there is, values
    at random cell by cell, come with an error of about 0.3 times the deviation of their means, and
    smooth ones with a much smaller one. Where the source has no cell, as between a curved wall and
    its coarser mesh, a cell nearby counts; a periodic source goes on beyond its ends. On graphs the
    values go site by site.

    Parameters
    ----------
    source : Space
        Where `placed` lives.
    placed : Potential
    basis : "cells", "regions" or (dx, dy)
        Of `placed`.
    space : Space
        Where the values are wanted.
    wanted : "cells", "regions" or (dx, dy)
        The basis there.

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
    blank = potential(space, basis=wanted)
    if space.is_graph:
        return blank.integrate(placed.at_points()) / blank.measure, 0.0
    cell, distance = _locate(source, space.points)
    outside = float(space.w[distance > 1].sum() / space.w.sum())
    if outside > 0.5:
        raise InputError(
            f"{outside:.0%} of {space.domain.source} lies outside of {source.domain.source}, where "
            "the potential comes from; the two must be meshes of the same shape."
        )
    padded = np.append(placed.values, 0.0)
    parts = _parts(source, basis, space, wanted, cell)
    whole = parts[space.element_of_point] == 1
    kept = np.where(whole, space.w, 0.0)
    field = padded[_support(source, placed, basis, space.points, cell)]
    total, weight = blank.integrate(kept * field), blank.integrate(kept)
    for element, points, w in _pieces(space, parts):
        there = padded[_support(source, placed, basis, points, _locate(source, points)[0])]
        index = _support(space, blank, wanted, points, element)
        inside = index >= 0
        np.add.at(total, index[inside], (w * there)[inside])
        np.add.at(weight, index[inside], w[inside])
    missed = weight == 0  # a sliver of a pixel may hold a quadrature point and no part
    total[missed] = blank.integrate(space.w * field)[missed]
    weight[missed] = blank.measure[missed]
    return total / weight, outside


def _locate(space: Space, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cell that holds each point, or one of its copies where the mesh is periodic."""
    domain = space.domain
    cell, outside = locate(domain.points, domain.cells, domain.kind, points)
    beyond = np.flatnonzero(outside > 0)
    if domain.seams and len(beyond):
        for copy in images(domain.seams, points[beyond])[1:]:
            other, distance = locate(domain.points, domain.cells, domain.kind, copy)
            nearer = distance < outside[beyond]
            cell[beyond[nearer]] = other[nearer]
            outside[beyond[nearer]] = distance[nearer]
    return cell, outside


def _parts(
    source: Space, basis: Basis, space: Space, wanted: Basis, cell: np.ndarray
) -> np.ndarray:
    """Number of parts along a side that each element is to be cut into, (nelements,)."""
    domain = space.domain
    ratio = np.zeros(len(space.elements))
    if not is_pixels(basis):
        size, own = (
            measures(on.points, on.cells, on.kind) ** (1 / on.dim) for on in (source.domain, domain)
        )
        # the smallest cell that has its middle in the element, or a quadrature point of it
        corners = source.domain.points[source.domain.cells]
        middle = map_cells(corners, source.domain.kind, split_cell(source.domain.kind, 1))[0][:, 0]
        holder, distance = _locate(space, middle)
        met = np.full(len(own), np.inf)
        np.minimum.at(met, holder[distance == 0], size[distance == 0])
        np.minimum.at(met, space.element_of_point, size[cell])
        ratio = own / met
    for pitch in (basis, wanted):
        if is_pixels(pitch):
            edges = longest_edges(domain.points, domain.cells, domain.kind)
            ratio = np.maximum(ratio, edges / min(np.asarray(pitch, dtype=float)))
    # whole ratios stay whole in spite of rounding: nested cells are cut where the source is
    return np.clip(np.ceil(_FINER * ratio - 1e-6), 1, _MOST).astype(np.int64)


def _pieces(space: Space, parts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Element, middle and measure of the parts of all elements that are cut, a chunk at a time."""
    domain = space.domain
    for count in np.unique(parts[parts > 1]):
        place = split_cell(domain.kind, count)
        share = (1.0 if domain.kind in ("line", "quad") else 0.5) / len(place)
        cut = np.flatnonzero(parts == count)
        for elements in np.array_split(cut, -(-len(cut) * len(place) // _CHUNK)):
            points, stretch = map_cells(domain.points[domain.cells[elements]], domain.kind, place)
            flat = points.reshape(-1, points.shape[2])
            yield np.repeat(elements, len(place)), flat, share * stretch.ravel()


def _support(
    space: Space, placed: Potential, basis: Basis, points: np.ndarray, cell: np.ndarray
) -> np.ndarray:
    """Index of a space's value at each point, -1 where its potential is 0."""
    if not is_pixels(basis):  # the same value everywhere in a cell
        return placed.support.reshape(len(space.elements), -1)[cell, 0]
    pitch = np.broadcast_to(np.asarray(basis, dtype=float), points.shape[1])
    used, first = np.unique(pixel_of(space, pitch, space.points), axis=0, return_index=True)
    nearest = cKDTree(used * pitch).query(pixel_of(space, pitch, points) * pitch)[1]
    return placed.support[first][nearest]
