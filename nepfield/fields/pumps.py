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
from nepfield.reprs import Described, counted, numbers
from nepfield.space.arrays import as_parameter
from nepfield.space.linalg import fastest
from nepfield.space.space import Space


@dataclass(frozen=True)
class Pump(Described):
    """A coherent drive w_k X_k G_k(r) (nep 10).

    Attributes
    ----------
    profile : callable
        Maps a Space to the values of G_k at its quadrature points, shape (nq,).
    weight : complex
        Weight w_k. A complex weight makes its imaginary part a parameter too.
    input : int, optional
        Which input X drives it; by default its position among the pumps that inputs drive.
    trainable : bool
    shape : callable, optional
        Maps a Space to where the pump is, as `Mark.shape` has it, for pictures.
    words : str
        What it is, for people.
    constant : bool
        Nothing drives it: it is always on, X = 1 (a bias).
    """

    profile: Callable[[Space], np.ndarray]
    weight: complex = 1.0
    input: int | None = None
    trainable: bool = True
    shape: Callable[[Space], dict[str, Any]] | None = None
    words: str = ""
    constant: bool = False

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        where = f": {self.words}" if self.words else ""
        trained = "trained" if self.trainable else "fixed"
        driver = "the one of its place in the list" if self.input is None else str(self.input)
        driver = "none, it is always on" if self.constant else driver
        return f"Pump{where}, weight {self.weight:.4g}, {trained}", {"input": driver}


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
        `input`, `trainable` and `constant` of `Pump`.
    """

    def profile(space: Space) -> np.ndarray:
        middle = checked_point(space, center, "pump center")
        points = nearest_images(space.domain.seams, space.points, middle)
        offset = points - middle
        if not 1e-100 < width < 1e100:  # its square is a number too
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
    words = f"Gaussian spot at {circle['center']} of width {width:g}"
    return Pump(profile, weight, shape=lambda _: shape, words=words, **options)


def site_pump(site: Site, weight: complex = 1.0, **options: Any) -> Pump:
    """A pump on one vertex of a graph: ``G = 1`` there (nep 13)."""

    def profile(space: Space) -> np.ndarray:
        values = np.zeros(len(space.w))
        values[site_index(space, site)] = 1.0
        return values

    def shape(space: Space) -> dict[str, Any]:
        return {"cells": [site_index(space, site)]}

    return Pump(profile, weight, shape=shape, words=f"vertex {site}", **options)


def region_pump(
    region: str,
    weight: complex = 1.0,
    wavevector: Sequence[float] | None = None,
    **options: Any,
) -> Pump:
    """A top-hat pump: ``G = 1`` on a named region, or a plane wave there, ``G = exp(i k . r)``.

    Parameters
    ----------
    region : str
    weight : complex
    wavevector : sequence of float, optional
        k, in inverse mesh units.
    **options
        `input`, `trainable` and `constant` of `Pump`.
    """

    def profile(space: Space) -> np.ndarray:
        values = region_indicator(space, region).astype(float)
        if wavevector is None:
            return values
        k = checked_point(space, wavevector, "pump wavevector")
        return values * np.exp(1j * (space.points @ k))

    def shape(space: Space) -> dict[str, Any]:
        arrow = {} if wavevector is None or not np.any(wavevector) else {"arrow": list(wavevector)}
        return {"cells": space.domain.region(region).tolist(), **arrow}

    return Pump(profile, weight, shape=shape, words=f"region {region}", **options)


def field_pump(
    field: Callable[[np.ndarray], np.ndarray], weight: complex = 1.0, **options: Any
) -> Pump:
    """A pump of any shape: `field` maps points (nq, dim) to the values of G, shape (nq,)."""
    return Pump(lambda space: np.asarray(field(space.points)), weight, words="any shape", **options)


@dataclass(frozen=True, eq=False)
class PumpArray(Described):
    """The pumps of a system, placed on its space.

    Attributes
    ----------
    load : csr_array or (where it is small) ndarray, shape (ndof, npumps)
        Integral of G_k against every shape function.
    input : ndarray of int, shape (npumps,)
        Input that drives each pump; -1 for one that is always on.
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
        return self.weights[:, None] * self._driven(inputs).T

    def _driven(self, inputs: np.ndarray) -> np.ndarray:
        """X_k of each pump, shape (nsamples, npumps); 1 of those that are always on."""
        if not np.count_nonzero(self.input < 0):
            return inputs[:, self.input]
        return np.column_stack([inputs, np.ones(len(inputs))])[:, self.input]  # the last for -1

    def drive(self, inputs: np.ndarray) -> np.ndarray:
        """P in weak form, shape (ndof, nsamples)."""
        return self.load @ self.amplitudes(inputs)

    def observable(self, state: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """``2 X_k Im int conj(G_k) Psi``, nep (12), shape (npumps, nsamples)."""
        overlap = (self.load.T @ state.conj()).conj()
        return as_parameter(self.weights, -2j * self._driven(inputs).T * overlap)

    def derivative(self, multiplier: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """``-2 Re int l dkappa/dw_k``, shape (npumps, nsamples)."""
        overlap = self._driven(inputs).T * (self.load.T @ multiplier)
        return as_parameter(self.weights, -2 * overlap.conj())

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        n = len(self.weights)
        return f"{counted(n, 'pump')}: w = {numbers(self.weights)}", {"inputs": self.ninputs}


def pump_inputs(inputs: Sequence[int | None], constant: Sequence[bool]) -> list[int]:
    """The input that drives each pump, -1 where none does.

    Parameters
    ----------
    inputs : sequence of int or None
        None for the place of a pump among those that inputs drive.
    constant : sequence of bool
    """
    found, place = [], 0
    for given, always in zip(inputs, constant, strict=True):
        found.append(-1 if always else place if given is None else given)
        place += not always
    return found


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
        if pump.input is not None and pump.constant:
            raise InputError(f"pump {k}: it is constant; leave input = {pump.input} out.")
        columns.append(sp.csc_array(space.integrate(values)[:, None]))
    load = sp.hstack(columns).tocsr() if columns else sp.csr_array((space.ndof, 0))
    inputs = pump_inputs([pump.input for pump in pumps], [pump.constant for pump in pumps])
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
