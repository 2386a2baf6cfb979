"""Trainable potentials: one value a cell, a region, or a pixel of a spatial light modulator."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from nepfield.errors import InputError
from nepfield.space.space import Space

Bounds = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Potential:
    """A piecewise constant potential V(r): one value for each cell, region or pixel.

    Attributes
    ----------
    values : ndarray, shape (nvalues,)
        Real, or complex where Im V is a parameter too (Im V <= 0 is loss).
    support : ndarray of int, shape (nq,)
        Index of the value that holds at each quadrature point; -1 where the potential is 0.
    measure : ndarray, shape (nvalues,)
        Length or area (number of vertices on a graph) over which each value holds.
    summation : csr_array, shape (nvalues, nq), or None
        Sums point values over each support; None where every point has a value of its own.
    bounds, imaginary_bounds : (low, high), optional
        Kept by `clipped`, which training calls after each step.
    trainable : bool
        Whether gradients with respect to it are wanted.
    """

    values: np.ndarray
    support: np.ndarray
    measure: np.ndarray
    summation: sp.csr_array | None = None
    bounds: Bounds | None = None
    imaginary_bounds: Bounds | None = None
    trainable: bool = True

    def at_points(self) -> np.ndarray:
        """V at the quadrature points, shape (nq,)."""
        return np.append(self.values, 0.0)[self.support]

    def integrate(self, values: np.ndarray) -> np.ndarray:
        """Sum of weighted point values over each support.

        Parameters
        ----------
        values : ndarray, shape (nq,) or (nq, nsamples)
            A field times the quadrature weights.

        Returns
        -------
        ndarray, shape (nvalues,) or (nvalues, nsamples)
        """
        return values if self.summation is None else self.summation @ values

    def clipped(self, values: np.ndarray) -> np.ndarray:
        """The values moved into the bounds."""
        if self.bounds is not None:
            real = np.clip(values.real, *self.bounds)
            values = real + 1j * values.imag if np.iscomplexobj(values) else real
        if self.imaginary_bounds is not None and np.iscomplexobj(values):
            values = values.real + 1j * np.clip(values.imag, *self.imaginary_bounds)
        return values


def potential(
    space: Space,
    initial: complex | np.ndarray = 0.0,
    basis: str | Sequence[float] = "cells",
    bounds: Bounds | None = None,
    imaginary_bounds: Bounds | None = None,
    trainable: bool = True,
) -> Potential:
    """A trainable potential on a space.

    Parameters
    ----------
    space : Space
    initial : number or array, shape (nvalues,)
        Starting values, in the energy unit of the study; complex values make Im V trainable.
    basis : "cells", "regions" or (dx, dy)
        One value a mesh cell (a vertex of a graph), one a named region (in the order of
        ``domain.regions``; 0 elsewhere), or one a pixel of a grid of that pitch laid over the
        domain from its lower left corner (a spatial light modulator).
    bounds, imaginary_bounds : (low, high), optional
    trainable : bool

    Returns
    -------
    Potential

    Raises
    ------
    InputError
        If the basis, the bounds or the values do not fit.
    """
    support, names = _supports(space, basis)
    nvalues = len(names)
    values = np.asarray(initial)
    if values.dtype.kind not in "iufc" or not np.all(np.isfinite(values)):
        raise InputError("potential: the initial values must be finite numbers.")
    if values.shape not in ((), (nvalues,)):
        raise InputError(
            f"potential: {values.size} initial values given in shape {values.shape}; the basis "
            f"{basis!r} has {nvalues}, so give one number or an array of shape ({nvalues},)."
        )
    complex_valued = np.iscomplexobj(values) or imaginary_bounds is not None
    values = np.array(np.broadcast_to(values, nvalues), dtype=complex if complex_valued else float)
    for label, limits, part in (
        ("bounds", bounds, values.real),
        ("imaginary bounds", imaginary_bounds, values.imag),
    ):
        if limits is None:
            continue
        low, high = limits
        if not low < high:
            raise InputError(f"potential: {label} = [{low}, {high}]: the first must be smaller.")
        if np.any(part < low) or np.any(part > high):
            raise InputError(
                f"potential: initial values from {part.min():.4g} to {part.max():.4g} lie outside "
                f"the {label} [{low:.4g}, {high:.4g}]."
            )
    inside = np.flatnonzero(support >= 0)
    measure = np.bincount(support[inside], space.w[inside], minlength=nvalues)
    summation = None
    if not np.array_equal(support, np.arange(nvalues)):
        entries = (np.ones(len(inside)), (support[inside], inside))
        summation = sp.coo_array(entries, shape=(nvalues, len(support))).tocsr()
    return Potential(values, support, measure, summation, bounds, imaginary_bounds, trainable)


def _supports(space: Space, basis: str | Sequence[float]) -> tuple[np.ndarray, Sized]:
    """Index of the parameter at each quadrature point, and the list of parameters."""
    element = space.element_of_point
    if isinstance(basis, str):
        if basis == "cells":
            return element, range(len(space.elements))
        if basis == "regions":
            regions = space.domain.regions
            if not regions:
                raise InputError(
                    f'{space.domain.source}: basis = "regions" needs named regions; there are none.'
                )
            of_element = np.full(len(space.elements), -1)
            for index, (name, cells) in enumerate(regions.items()):
                if np.any(of_element[cells] >= 0):
                    other = list(regions)[of_element[cells].max()]
                    raise InputError(
                        f"{space.domain.source}: regions {other!r} and {name!r} overlap; basis = "
                        '"regions" needs regions that do not.'
                    )
                of_element[cells] = index
            return of_element[element], list(regions)
        raise InputError(
            f'potential: basis = {basis!r} is unknown; use "cells", "regions" or pixels [dx, dy].'
        )
    dim = space.points.shape[1]
    pitch = np.asarray(basis, dtype=float).ravel()
    if len(pitch) not in (1, dim):
        raise InputError(
            f"potential: pixels = {pitch.tolist()}: give {dim} sizes for this {dim}-D domain, "
            "or one."
        )
    pitch = np.broadcast_to(pitch, dim)
    if not np.all(pitch > 0) or not np.all(np.isfinite(pitch)):
        raise InputError(f"potential: pixels = {pitch.tolist()}: sizes must be positive.")
    used, support = np.unique(pixel_of(space, pitch, space.points), axis=0, return_inverse=True)
    return support.ravel(), used


def pixel_of(space: Space, pitch: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixel of each point, counted from the lower left corner of the domain, (n, dim) integers."""
    corner = space.domain.points.min(axis=0)
    return np.floor((points - corner) / pitch + 1e-9).astype(np.int64)
