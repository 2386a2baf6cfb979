"""Coherent pumps P(r) = sum_k w_k X_k G_k(r), nep (10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter
from nepfield.fields.places import Site, checked_point, extent, region_indicator, site_index
from nepfield.mesh.seams import nearest_images
from nepfield.space.arrays import as_parameter
from nepfield.space.linalg import fastest
from nepfield.space.space import Space


@dataclass(frozen=True)
class Pump:
    """A coherent drive w_k X_k G_k(r) (nep 10).

    Attributes
    ----------
    profile : callable
        Maps a Space to the values of G_k at its quadrature points, shape (nq,).
    weight : complex
        Weight w_k. A complex weight makes its imaginary part a parameter too.
    input : int, optional
        Which input X drives it; by default its position in the list of pumps.
    trainable : bool
    shape : callable, optional
        Maps a Space to where the pump is, as `Mark.shape` has it, for pictures.
    """

    profile: Callable[[Space], np.ndarray]
    weight: complex = 1.0
    input: int | None = None
    trainable: bool = True
    shape: Callable[[Space], dict[str, Any]] | None = None


def gaussian_pump(
    center: Sequence[float],
    width: float,
    weight: complex = 1.0,
    wavevector: Sequence[float] | None = None,
    **options: Any,
) -> Pump:
    """A Gaussian beam ``exp(-|r - center|^2 / (2 width^2) + i k . r)`` (nep 10).

    On a periodic mesh r is the copy of a point that is nearest to the center, so that the beam
    reaches across; half a period away, where two copies are as near, its slope jumps.

    Parameters
    ----------
    center : sequence of float, shape (dim,)
    width : float
        Standard deviation of the amplitude, in mesh units.
    weight : complex
    wavevector : sequence of float, optional
        k of an oblique beam, in inverse mesh units.
    **options
        `input` and `trainable` of `Pump`.
    """

    def profile(space: Space) -> np.ndarray:
        middle = checked_point(space, center, "pump center")
        points = nearest_images(space.domain.seams, space.points, middle)
        offset = points - middle
        if not width > 0 or not np.isfinite(width):
            raise InputError(f"pump at {middle.tolist()}: width = {width}; it must be positive.")
        values = np.exp(-np.sum(offset**2, axis=1) / (2 * width**2))
        if values.max() < 0.1:
            nearest = np.sqrt(np.sum(offset**2, axis=1).min())
            raise InputError(
                f"pump at {middle.tolist()} with width {width:g} lies outside the domain, which "
                f"reaches {extent(space)}, or between its quadrature points: the nearest is "
                f"{nearest:.3g} away. Move the pump, widen it, or refine the mesh there."
            )
        if wavevector is None:
            return values
        k = checked_point(space, wavevector, "pump wavevector")
        return values * np.exp(1j * (points @ k))

    circle = {"center": np.atleast_1d(center).tolist(), "radius": width}
    shape: dict[str, Any] = {"circle": circle}
    if wavevector is not None and np.any(wavevector):
        shape["arrow"] = np.atleast_1d(wavevector).tolist()
    return Pump(profile, weight, shape=lambda _: shape, **options)


def site_pump(site: Site, weight: complex = 1.0, **options: Any) -> Pump:
    """A pump on one vertex of a graph: ``G = 1`` there (nep 13)."""

    def profile(space: Space) -> np.ndarray:
        values = np.zeros(len(space.w))
        values[site_index(space, site)] = 1.0
        return values

    def shape(space: Space) -> dict[str, Any]:
        return {"cells": [site_index(space, site)]}

    return Pump(profile, weight, shape=shape, **options)


def region_pump(region: str, weight: complex = 1.0, **options: Any) -> Pump:
    """A top-hat pump: ``G = 1`` on a named region."""

    def profile(space: Space) -> np.ndarray:
        return region_indicator(space, region).astype(float)

    def shape(space: Space) -> dict[str, Any]:
        return {"cells": space.domain.region(region).tolist()}

    return Pump(profile, weight, shape=shape, **options)


def field_pump(
    field: Callable[[np.ndarray], np.ndarray], weight: complex = 1.0, **options: Any
) -> Pump:
    """A pump of any shape: `field` maps points (nq, dim) to the values of G, shape (nq,)."""
    return Pump(lambda space: np.asarray(field(space.points)), weight, **options)


@dataclass(frozen=True, eq=False)
class PumpArray:
    """The pumps of a system, placed on its space.

    Attributes
    ----------
    load : csr_array or (where it is small) ndarray, shape (ndof, npumps)
        Integral of G_k against every shape function.
    input : ndarray of int, shape (npumps,)
        Input that drives each pump.
    parameter : Parameter
        The weights w_k, real, or complex if any is.
    ninputs : int
        Number of inputs that the pumps need.
    shapes : tuple of dict or None
        Where each pump is, as `Mark.shape` has it.
    """

    load: sp.csr_array | np.ndarray
    input: np.ndarray
    parameter: Parameter
    ninputs: int
    shapes: tuple[dict[str, Any] | None, ...] = ()

    @property
    def weights(self) -> np.ndarray:
        """w_k, shape (npumps,)."""
        return self.parameter.values

    @property
    def trainable(self) -> np.ndarray:
        """Which weights are trained, shape (npumps,)."""
        return np.asarray(self.parameter.trainable)

    def amplitudes(self, inputs: np.ndarray) -> np.ndarray:
        """w_k X_k, shape (npumps, nsamples), of `inputs` of shape (nsamples, ninputs)."""
        return self.weights[:, None] * inputs[:, self.input].T

    def drive(self, inputs: np.ndarray) -> np.ndarray:
        """P in weak form, shape (ndof, nsamples)."""
        return self.load @ self.amplitudes(inputs)

    def observable(self, state: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """``2 X_k Im int conj(G_k) Psi``, nep (12), shape (npumps, nsamples)."""
        overlap = (self.load.T @ state.conj()).conj()
        return as_parameter(self.weights, -2j * inputs[:, self.input].T * overlap)

    def derivative(self, multiplier: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """``-2 Re int l dkappa/dw_k``, shape (npumps, nsamples)."""
        overlap = inputs[:, self.input].T * (self.load.T @ multiplier)
        return as_parameter(self.weights, -2 * overlap.conj())


def place_pumps(space: Space, pumps: Sequence[Pump]) -> PumpArray:
    """Evaluate pumps on a space.

    Raises
    ------
    InputError
        If a pump lies outside the domain or its numbers are not finite.
    """
    columns = []
    for k, pump in enumerate(pumps):
        values = np.asarray(pump.profile(space))
        if values.shape != space.w.shape or not np.all(np.isfinite(values)):
            raise InputError(
                f"pump {k}: its profile must give one finite value for each of the {len(space.w)} "
                f"points; it gave shape {values.shape}."
            )
        if not np.isfinite(pump.weight):
            raise InputError(f"pump {k}: weight = {pump.weight} is not finite.")
        if pump.input is not None and pump.input < 0:
            raise InputError(f"pump {k}: input = {pump.input}; inputs are counted from 0.")
        columns.append(sp.csc_array(space.integrate(values)[:, None]))
    load = sp.hstack(columns).tocsr() if columns else sp.csr_array((space.ndof, 0))
    inputs = [k if pump.input is None else pump.input for k, pump in enumerate(pumps)]
    return PumpArray(
        load=fastest(sp.csr_array(load)),
        input=np.array(inputs, dtype=np.int64),
        parameter=Parameter(
            np.array([p.weight for p in pumps]) * 1.0,  # never integers: they are trained
            on="pump",
            trainable=np.array([p.trainable for p in pumps], dtype=bool),
            symbol="w",
            label="pump weights w",
            unit="weight",
        ),
        ninputs=int(max(inputs, default=-1)) + 1,
        shapes=tuple(None if p.shape is None else p.shape(space) for p in pumps),
    )
