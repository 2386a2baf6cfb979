"""The paper's lattice (nep 13) as a graph: chains and grids with walls or periodic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from nepfield.errors import InputError
from nepfield.mesh.cells import Ints
from nepfield.mesh.domain import Domain

MOST_SITES = 2_000_000
"""Of one lattice; a steady state on more would not fit into a few gigabytes."""


def lattice(
    *shape: int,
    periodic: bool = False,
    sites: Mapping[str, ArrayLike] | None = None,
    cells: tuple[int, ...] | None = None,
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
    cells : (n,) or (ny, nx), optional
        Sites of a cell; between cells there is no edge but a ghost on either side, a hard wall.

    Raises
    ------
    InputError
        For a size below 1 (periodic: 3), too many sites, a site outside, or cells that do not fill
        the lattice.

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
    if math.prod(shape) > MOST_SITES:
        raise InputError(f"{source}: these are too many sites; {MOST_SITES:,} is the limit")
    index = np.arange(math.prod(shape)).reshape(shape)
    edges, ghosts = [], []
    for axis in reversed(range(len(shape))):  # along x first
        near = np.moveaxis(index, axis, 0)
        ahead = np.roll(near, -1, axis=0) if periodic else near[1:]
        edges.append(np.column_stack([near[: len(ahead)].ravel(), ahead.ravel()]))
        ghosts += [] if periodic else [near[0].ravel(), near[-1].ravel()]
    points = np.indices(shape)[::-1].reshape(len(shape), -1).T.astype(float)
    boundaries = {"wall": np.sort(np.concatenate(ghosts))[:, None]} if ghosts else {}
    regions = {name: _sites(name, value, shape, source) for name, value in (sites or {}).items()}
    points, joined = np.ascontiguousarray(points), np.concatenate(edges)
    domain = Domain(points, joined, "graph", regions, boundaries, source=source)
    return domain if cells is None else _walled(domain, cells, periodic)


def _walled(domain: Domain, cells: tuple[int, ...], periodic: bool) -> Domain:
    """The lattice without the edges between cells."""
    if periodic:
        raise InputError(f"{domain.source}: cells have hard walls; they exclude periodic.")
    size = (1, *cells) if domain.dim == 1 else cells
    if len(cells) != domain.dim:
        raise InputError(f"{domain.source}: cells = {list(cells)}: give {domain.dim} numbers.")
    cell_places(domain, (size[0], size[1]))  # refuses what does not fill the lattice
    x, y = domain.points[:, 0], domain.points[:, -1] if domain.dim == 2 else 0 * domain.points[:, 0]
    number = (y // size[0]) * len(x) + x // size[1]  # of the cell
    first, second = domain.cells.T
    inside = number[first] == number[second]
    ghosts = [*domain.boundaries["wall"].ravel(), *first[~inside], *second[~inside]]
    wall = np.sort(np.array(ghosts, dtype=np.int64))[:, None]
    source = f"{domain.source} in cells of {' x '.join(map(str, cells))}"
    return replace(domain, cells=domain.cells[inside], boundaries={"wall": wall}, source=source)


def cell_places(domain: Domain, cell: tuple[int, int]) -> tuple[Ints, Ints]:
    """The place of each site of a lattice in its cell, counted from 0 along y and along x.

    Parameters
    ----------
    domain : Domain
    cell : (rows, columns)
        Sites of a cell; of a chain (1, n).

    Raises
    ------
    InputError
        If the domain is no lattice, or cells do not fill it.
    """
    points = domain.points
    sites = np.rint(points).astype(np.int64)
    if domain.kind != "graph" or domain.dim > 2 or not np.array_equal(points, sites):
        raise InputError(f"{domain.source}: this is no lattice, and only lattices have cells.")
    x = sites[:, 0]
    y = sites[:, 1] if domain.dim == 2 else np.zeros_like(x)
    whole = (y.max() + 1, x.max() + 1)
    if min(cell) < 1 or whole[0] % cell[0] or whole[1] % cell[1] or whole[0] * whole[1] != len(x):
        raise InputError(
            f"{domain.source}: {whole[0]} x {whole[1]} sites do not divide into cells of {cell[0]} "
            f"x {cell[1]}."
        )
    return y % cell[0], x % cell[1]


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
