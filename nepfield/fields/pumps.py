"""Coherent pumps P(r) = sum_k w_k X_k G_k(r), nep (10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter
from nepfield.fields.places import Site, checked_point, extent, region_indicator, site_index
from nepfield.fields.pump_images import PumpImage
from nepfield.mesh.seams import nearest_images
from nepfield.reprs import Described, counted, numbers
from nepfield.space.arrays import as_parameter
from nepfield.space.linalg import fastest, real_times
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
    ninputs = 1

    def count(self, space: Space) -> int:
        """Number of pumps: 1."""
        return 1

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
    entry : ndarray of int, shape (npumps,), optional
        The place of each pump in the list that they were made from, where an image of pumps is one
        entry; by default each is an entry.
    image : csr_array, shape (nq, npumps), optional
        Profiles of the pumps of images at the quadrature points (nothing of others); they are drawn
        as a field.
    """

    load: sp.csr_array | np.ndarray
    input: np.ndarray
    parameter: Parameter
    ninputs: int
    shapes: tuple[dict[str, Any] | None, ...] = ()
    entry: np.ndarray | None = None
    image: sp.csr_array | None = None

    @property
    def entries(self) -> np.ndarray:
        """The place of each pump in the list that they were made from, shape (npumps,)."""
        return np.arange(len(self.weights)) if self.entry is None else self.entry

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
        return self.weights[:, None] * self.driven(inputs)

    def driven(self, inputs: np.ndarray) -> np.ndarray:
        """X_k of each pump, shape (npumps, nsamples); 1 of those that are always on."""
        rows = np.ascontiguousarray(inputs.T)
        if np.count_nonzero(self.input < 0):
            rows = np.vstack([rows, np.ones(len(inputs))])  # the last for -1
        return rows[self.input]

    def drive(self, inputs: np.ndarray) -> np.ndarray:
        """P in weak form, shape (ndof, nsamples)."""
        return self.load @ self.amplitudes(inputs)

    def strengths(self, space: Space) -> np.ndarray:
        """Norm of the drive of each pump at X = 1, as `Space.residual_norm`, (npumps,)."""
        load = sp.csr_array(self.load)
        squares = load.multiply(load.conj()).real.T @ (1 / space.mass_diagonal)
        return np.abs(self.weights) * np.sqrt(squares)

    @cached_property
    def _transposed(self) -> sp.csr_array | np.ndarray:
        load = self.load
        return load.T if isinstance(load, np.ndarray) else load.T.tocsr()

    def overlaps(self, state: np.ndarray) -> np.ndarray:
        """``int G_k Psi``, shape (npumps, nsamples)."""
        load = self._transposed
        if isinstance(load, np.ndarray) or np.iscomplexobj(load.data):
            return load @ state
        return real_times(load, state)

    def observable(self, state: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """``2 X_k Im int conj(G_k) Psi``, nep (12), shape (npumps, nsamples)."""
        overlap, driven = self.overlaps(state.conj()).conj(), self.driven(inputs)
        if np.iscomplexobj(self.weights):
            return as_parameter(self.weights, -2j * driven * overlap)
        return 2 * driven * overlap.imag

    def derivative(self, multiplier: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """``-2 Re int l dkappa/dw_k``, shape (npumps, nsamples)."""
        overlap, driven = self.overlaps(multiplier), self.driven(inputs)
        if np.iscomplexobj(self.weights):
            return as_parameter(self.weights, -2 * (driven * overlap).conj())
        return -2 * driven * overlap.real

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        n = len(self.weights)
        return f"{counted(n, 'pump')}: w = {numbers(self.weights)}", {"inputs": self.ninputs}


def pump_inputs(pumps: Sequence[Pump | PumpImage | Any]) -> list[int]:
    """The (first) input that drives each entry of a list of pumps, -1 where none does.

    Parameters
    ----------
    pumps : sequence
        Each with ``input``, None for its place among the inputs of those before; ``constant``; and
        ``ninputs``.
    """
    found, place = [], 0
    for pump in pumps:
        found.append(-1 if pump.constant else place if pump.input is None else pump.input)
        place += 0 if pump.constant else pump.ninputs
    return found


def place_pumps(space: Space, pumps: Sequence[Pump | PumpImage]) -> PumpArray:
    """Evaluate pumps on a space.

    Raises
    ------
    InputError
        If a pump lies outside the domain or its numbers are not finite.
    """
    loads, images, weights, drivers, entry = [], [], [], [], []
    firsts = pump_inputs(pumps)
    for k, (pump, first) in enumerate(zip(pumps, firsts, strict=True)):
        if isinstance(pump, PumpImage):
            profiles, pixel = pump.place(space)
            load = profiles if space.is_graph else space.B.T @ (space.w[:, None] * profiles)
            drivers.append(np.full(len(pixel), -1) if pump.constant else first + pixel)
            images.append(profiles)
        else:
            load = space.integrate(_checked_profile(space, pump, k))[:, None]
            drivers.append(np.array([first]))
            images.append(sp.csr_array((len(space.w), 1)))
        count = load.shape[1]
        weight = np.asarray(pump.weight)
        if not np.isfinite(weight).all() or weight.shape not in ((), (count,)):
            told = (
                f"weight = {pump.weight} is not finite"
                if weight.ndim == 0
                else (f"give one finite weight, or one for each of the {count} pumps")
            )
            raise InputError(f"pump {k}: {told}.")
        if pump.input is not None and pump.input < 0:
            raise InputError(f"pump {k}: input = {pump.input}; inputs are counted from 0.")
        if pump.input is not None and pump.constant:
            raise InputError(f"pump {k}: it is constant; leave input = {pump.input} out.")
        loads.append(sp.csc_array(load))
        weights.append(np.broadcast_to(weight, count))
        entry.append(np.full(count, k))
    counts = [len(part) for part in entry]
    load = sp.hstack(loads).tocsr() if loads else sp.csr_array((space.ndof, 0))
    drawn = any(isinstance(pump, PumpImage) for pump in pumps)
    driver = np.concatenate([np.zeros(0, dtype=np.int64), *drivers])
    return PumpArray(
        load=fastest(sp.csr_array(load)),
        input=driver,
        parameter=Parameter(
            # never integers: they are trained
            np.concatenate([np.zeros(0), *weights]) * 1.0,
            on="pump",
            trainable=np.repeat(np.array([p.trainable for p in pumps], dtype=bool), counts),
            symbol="w",
            label="pump weights w",
            unit="weight",
        ),
        ninputs=int(driver.max(initial=-1)) + 1,
        shapes=tuple(
            shape
            for pump, count in zip(pumps, counts, strict=True)
            for shape in [_shape(space, pump)] * count
        ),
        entry=np.concatenate([np.zeros(0, dtype=np.int64), *entry]) if drawn else None,
        image=sp.hstack(images).tocsr() if drawn else None,
    )


def _checked_profile(space: Space, pump: Pump, k: int) -> np.ndarray:
    values = np.asarray(pump.profile(space))
    if values.shape != space.w.shape or not np.all(np.isfinite(values)):
        raise InputError(
            f"pump {k}: its profile must give one finite value for each of the {len(space.w)} "
            f"points; it gave shape {values.shape}."
        )
    return values


def _shape(space: Space, pump: Pump | PumpImage) -> dict[str, Any] | None:
    return None if isinstance(pump, PumpImage) or pump.shape is None else pump.shape(space)
