"""Trainable potentials: one value a cell, a region, or a pixel of a spatial light modulator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from nepfield.errors import InputError
from nepfield.fields.parameters import Bounds, Parameter
from nepfield.reprs import Described
from nepfield.space.arrays import squared_magnitude
from nepfield.space.space import Space

_MOST_PIXELS = 1e9  # along a side: their numbers are exact, and a point more or less is no matter


@dataclass(frozen=True, eq=False)
class Potential(Described):
    """A piecewise constant potential V(r): one value for each cell, region or pixel.

    Attributes
    ----------
    parameter : Parameter
        Its values, real, or complex where Im V is a parameter too (Im V <= 0 is loss); its measure
        is the length or area (number of vertices on a graph) over which each value holds.
    support : ndarray of int, shape (nq,)
        Index of the value that holds at each quadrature point; -1 where the potential is 0.
    summation : csr_array, shape (nvalues, nq), or None
        Sums point values over each support; None where every point has a value of its own.
    """

    parameter: Parameter
    support: np.ndarray
    summation: sp.csr_array | None = None

    @property
    def values(self) -> np.ndarray:
        """V of each support, shape (nvalues,)."""
        return self.parameter.values

    @property
    def measure(self) -> np.ndarray:
        """Length, area or number of vertices of each support, shape (nvalues,)."""
        return np.asarray(self.parameter.measure)

    @property
    def bounds(self) -> Bounds | None:
        """Limits of Re V in training."""
        return self.parameter.bounds

    @property
    def imaginary_bounds(self) -> Bounds | None:
        """Limits of Im V in training."""
        return self.parameter.imaginary_bounds

    @property
    def trainable(self) -> bool:
        """Whether gradients with respect to it are wanted."""
        return self.parameter.is_trained

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

    def observable(
        self, space: Space, values: np.ndarray, free: np.ndarray | None = None
    ) -> np.ndarray:
        """Integral of ``|Psi|^2`` over each support, nep (11), shape (nvalues, nsamples).

        Parameters
        ----------
        space : Space
        values, free : ndarray, shape (nq, nsamples)
            A state and the free state at the quadrature points. The intensity does without the
            free state; the contrast conjugate to Im V is an interference with it,
            ``-2 Im(conj(Psi) Psi_0)``, and is there where it is given.
        """
        contrast = squared_magnitude(values)
        if free is not None:
            contrast = contrast - 2j * (values.conj() * free).imag
        return self.integrate(space.w[:, None] * contrast)

    def derivative(self, space: Space, product: np.ndarray) -> np.ndarray:
        """``-2 Re int l dkappa/dV`` of l Psi at the points (nq, nsamples), (nvalues, nsamples)."""
        if not np.iscomplexobj(self.values):
            return -2 * self.integrate(space.w[:, None] * product.imag)
        return -2 * (-1j * self.integrate(space.w[:, None] * product)).conj()

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        head, rows = self.parameter.about()
        return head.replace(f"Parameter {self.parameter.label}", "Potential", 1), rows


def potential(
    space: Space,
    initial: complex | np.ndarray = 0.0,
    basis: str | Sequence[str] | Sequence[float] = "cells",
    bounds: Bounds | None = None,
    imaginary_bounds: Bounds | None = None,
    trainable: bool | np.ndarray = True,
) -> Potential:
    """A trainable potential on a space.

    Parameters
    ----------
    space : Space
    initial : number or array, shape (nvalues,)
        Starting values, in the energy unit of the study; complex values make Im V trainable.
    basis : "cells", "regions", names of regions, or (dx, dy)
        One value a mesh cell (a vertex of a graph); one a named region (in the order of
        ``domain.regions``, or of the names: the first one counts where they overlap; 0 elsewhere);
        or one a pixel of a grid of that pitch laid over the domain from its lower left corner (a
        spatial light modulator).
    bounds, imaginary_bounds : (low, high), optional
    trainable : bool or ndarray of bool, shape (nvalues,)
        Which values are trained.

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
    if np.shape(trainable) not in ((), (nvalues,)):
        raise InputError(
            f"potential: trainable has shape {np.shape(trainable)}; give true, false, or one of "
            f"both for each of the {nvalues} values."
        )
    where = basis if isinstance(basis, str) else "pixels" if is_pixels(basis) else "regions"
    on = "vertex" if space.is_graph and where == "cells" else where.removesuffix("s")
    parameter = Parameter(
        values, on, bounds, imaginary_bounds, measure, trainable, "V", "potential V", "energy"
    )
    return Potential(parameter, support, summation)


def _supports(
    space: Space, basis: str | Sequence[str] | Sequence[float]
) -> tuple[np.ndarray, Sized]:
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
                        '"regions" needs regions that do not. Name those that have a value, of '
                        f"which the first counts where they overlap: basis = {_listed(regions)}"
                    )
                of_element[cells] = index
            return of_element[element], list(regions)
        raise InputError(
            f'potential: basis = {basis!r} is unknown; use "cells", "regions" or pixels [dx, dy].'
        )
    if not is_pixels(basis):
        return _of_regions(space, [str(name) for name in basis])[element], basis
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
    size = np.ptp(space.domain.points, axis=0)
    if np.any(size > _MOST_PIXELS * pitch):
        sides = " x ".join(f"{side:.6g}" for side in size)
        raise InputError(
            f"potential: pixels = {pitch.tolist()}: more than {_MOST_PIXELS:.0e} of them lie along "
            f"the domain, whose box is {sides}; choose larger ones."
        )
    used, support = np.unique(pixel_of(space, pitch, space.points), axis=0, return_inverse=True)
    return support.ravel(), used


def is_pixels(basis: str | Sequence[str] | Sequence[float]) -> bool:
    """Whether a basis is a grid of pixels; else its values belong to whole cells."""
    return not isinstance(basis, str) and not any(isinstance(part, str) for part in basis)


def _listed(regions: Mapping[str, np.ndarray]) -> str:
    """Regions as a study names them in a basis, smaller ones first."""
    names = sorted(regions, key=lambda name: len(regions[name]))
    return f"{{ regions = {json.dumps(names, ensure_ascii=False)} }}"


def _of_regions(space: Space, names: Sequence[str]) -> np.ndarray:
    """Which of some regions each element lies in, the first that holds it; -1 for none."""
    found = np.full(len(space.elements), -1)
    for index in reversed(range(len(names))):
        found[space.domain.region(names[index])] = index
    for index, name in enumerate(names):
        if not np.any(found == index):
            raise InputError(
                f"potential: region {name!r} lies within those that are named before it, so "
                "nothing is left of it; name it before them."
            )
    return found


def pixel_of(space: Space, pitch: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixel of each point, counted from the lower left corner of the domain, (n, dim) integers."""
    corner = space.domain.points.min(axis=0)
    return np.floor((points - corner) / pitch + 1e-9).astype(np.int64)
