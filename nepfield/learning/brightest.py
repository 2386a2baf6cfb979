"""Potentials that make an output bright, each for one sample: the search behind the reach.

Uniform potentials between the bounds of V come first, among them those that bring a low mode to the
drive; from the best one a climb by the exact gradient of the logarithm of the intensity
(L-BFGS-B, as SciPy has it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from nepfield.errors import InputError
from nepfield.fields.readouts import Intensities
from nepfield.learning.costs import MSE
from nepfield.learning.gradients import estimate
from nepfield.space.linalg import Factorisation
from nepfield.steady.stability.pointwise import kinetic_floor
from nepfield.systems.gpe import GPE

_GRID, _MODES = 9, 6  # uniform potentials, and modes, that are tried
_CLIMB = 25  # states that a climb may take
_LEAST = 1e-300


@dataclass(frozen=True, eq=False)
class Darkness(MSE):
    """Minus the logarithm of the intensity in the outputs that targets mark by 1: a cost."""

    metric_labels: Mapping[str, str] = field(default_factory=dict)

    def value(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cost of each sample, shape (nsamples,)."""
        return -np.sum(targets * np.log(np.maximum(self.readout.means(signals), _LEAST)), axis=0)

    def slope(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Its derivative by each signal."""
        share = -targets / np.maximum(self.readout.means(signals), _LEAST)
        return self.readout.weight[:, None] * share[self.readout.output]

    def curvature(self, signals: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """A wave needs none."""
        raise TypeError("the logarithm of an intensity serves waves, which need no curvature")

    def branch(self, signals: np.ndarray, targets: np.ndarray) -> None:
        """None: its pole, the dark, is not crossed."""

    def checked_targets(self, targets: np.ndarray) -> np.ndarray:
        """Intensities as a float array of shape (nsamples, noutputs)."""
        array = np.asarray(targets, dtype=float)
        if array.ndim != 2 or array.shape[1] != self.readout.noutputs:
            raise InputError(
                f"wanted: an array of shape (nsamples, {self.readout.noutputs}) is needed; this "
                f"one has shape {array.shape}."
            )
        return array

    def metrics(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """None."""
        return {}


class Search:
    """The best potential so far, of each pair of a sample and an output.

    Parameters
    ----------
    system : GPE
    readout : Intensities
    inputs : ndarray, shape (nsamples, ninputs)
    pairs : ndarray of int, shape (npairs, 2)
        Sample and output.
    wanted : ndarray, shape (npairs,)
        The intensity at which the search of a pair ends.
    options : dict
        Of the solver.

    Attributes
    ----------
    best : ndarray, shape (npairs,)
        The brightest intensity that was found; nan before any.
    potential : ndarray, shape (npairs, nvalues)
        Where it was found.
    states : list of ndarray, shape (ndof,)
        And in which steady state; None before any.
    """

    def __init__(
        self, system: GPE, readout: Intensities, inputs: np.ndarray, pairs: np.ndarray,
        wanted: np.ndarray, options: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._system, self._cost, self._options = system, Darkness(readout), options
        self._inputs, self._pairs, self._wanted = inputs, pairs, wanted
        parameter = system.potential.parameter
        self._trained = np.broadcast_to(parameter.trainable, len(parameter))
        self.best = np.full(len(pairs), np.nan)
        self.potential = np.tile(system.potential.values, (len(pairs), 1))
        self.states: list[np.ndarray | None] = [None] * len(pairs)

    @property
    def dark(self) -> np.ndarray:
        """Pairs that nothing has made bright enough yet."""
        return np.flatnonzero(~(self.best >= self._wanted))

    def scan(
        self, potential: np.ndarray | None = None, initial: np.ndarray | None = None
    ) -> np.ndarray:
        """Read all samples with one potential; their states, nan where there are none."""
        system = self._system
        if potential is not None:
            system = system.with_parameters({"potential": potential})
        samples, place = np.unique(self._pairs[:, 0], return_inverse=True)
        steady = system.equilibrate(self._inputs[samples], None, initial, **self._options)
        found = np.where(steady.converged, steady.state, np.nan)
        intensity = self._cost.readout.outputs(found)[place, self._pairs[:, 1]]
        for row in np.flatnonzero(intensity > np.nan_to_num(self.best, nan=-1.0)).tolist():
            self._keep(row, float(intensity[row]), system, found[:, place[row]])
        return found

    def uniform(self) -> None:
        """Try uniform potentials, from the highest down, each from the states before."""
        values, initial = self._system.potential.values, None
        if not self._trained.any():
            return
        for level in _uniform_potentials(self._system):
            if len(self.dark):
                initial = self.scan(self._with(values, level), initial)

    def climb(self, row: int) -> None:
        """From the best potential of a pair upwards."""
        state = self.states[row]
        if state is None or row not in self.dark or not self._trained.any():
            return
        from scipy.optimize import minimize  # slow to import

        system, begin = self._system, self.potential[row].copy()
        sample, output = self._pairs[row]
        inputs, mark = self._inputs[[sample]], np.eye(self._cost.readout.noutputs)[[output]]
        measure = system.potential.measure[self._trained]
        low, high = limits = system.potential.bounds or (-np.inf, np.inf)
        width = high - low if np.isfinite(limits).all() else 1.0
        scale = np.sqrt(measure / measure.sum()) / width  # of what the method sees, by V
        last = (0.0, np.zeros(len(scale)))

        def darkness(x: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal last
            moved = system.with_parameters({"potential": self._with(begin, x / scale)})
            now = self.states[row]
            found = estimate(
                moved, self._cost, inputs, mark, "adjoint", 1.0,
                initial=None if now is None else now[:, None], **self._options,
            )  # fmt: skip
            if not found.used[0]:  # a step that loses the state is taken back
                return last[0] + 1.0, last[1]
            intensity = float(found.outputs[0, output])
            if intensity > self.best[row]:
                self._keep(row, intensity, moved, found.steady.state[:, 0])
            last = found.cost, found.params["potential"].real[self._trained] / scale
            return last

        def enough(_: np.ndarray) -> None:
            if row not in self.dark:
                raise StopIteration

        minimize(
            darkness, begin[self._trained].real * scale, jac=True, method="L-BFGS-B",
            bounds=np.column_stack([low * scale, high * scale]), callback=enough,
            options={"maxfun": _CLIMB},
        )  # fmt: skip

    def _keep(self, row: int, intensity: float, system: GPE, state: np.ndarray) -> None:
        self.best[row], self.potential[row] = intensity, system.potential.values
        self.states[row] = state

    def _with(self, values: np.ndarray, real: float | np.ndarray) -> np.ndarray:
        """Values whose real part is another one where it is trained."""
        changed = values.copy()
        changed.real[self._trained] = real
        return changed


def _uniform_potentials(system: GPE) -> list[float]:
    """Values between the bounds, and those at which a low mode meets the drive, falling."""
    low, high = system.potential.bounds or (-np.inf, np.inf)
    values = list(np.linspace(high, low, _GRID)) if np.isfinite([low, high]).all() else []
    return sorted({*values, *(v for v in -_low_levels(system) if low < v < high)}, reverse=True)


def _low_levels(system: GPE) -> np.ndarray:
    """Lowest levels at V = 0 and no density; none where the space has too few."""
    space = system.space
    field = np.zeros(len(space.w)) if system.background is None else system.background.real
    if system.nonlinearity is not None:
        field = field + np.real(system.nonlinearity.f(np.zeros(1)))
    operator = sp.csr_array(space.kinetic.real + space.assemble(field))
    below = min(0.0, kinetic_floor(space)) + min(0.0, float(field.min())) - 1e-3
    try:
        inverse = Factorisation(operator - below * space.mass)
        return spla.eigsh(
            operator, min(_MODES, space.ndof - 1), space.mass, sigma=below, tol=1e-6,
            v0=np.random.default_rng(0).normal(size=space.ndof), return_eigenvectors=False,
            OPinv=spla.LinearOperator(operator.shape, matvec=inverse.solve, dtype=float),
        )  # fmt: skip
    except (np.linalg.LinAlgError, spla.ArpackError, ValueError):
        return np.zeros(0)
