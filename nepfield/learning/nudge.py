"""Nudges: what a learning rule adds to a system, beta times the cost of its readout, nep (3).

A *full* nudge is an energy that moves with the state (qep, xy). A *linearised* one is made once, at
the free state: a force of fixed amplitude, as a laser on the output region would give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from nepfield.fields.readouts import Readout
from nepfield.learning.costs import Cost
from nepfield.reprs import Described


@dataclass(frozen=True, eq=False)
class Nudge(Described):
    """beta x cost x readout.

    Attributes
    ----------
    cost : Cost
    targets : ndarray, shape (noutputs, nsamples)
    free : ndarray
        The free state.
    measured : ndarray, shape (nsignals, nsamples)
        The signals as they were measured there.
    kind : {"full", "linearised"}
    beta : float
    solver : mapping
        Options of the solver that found the free state, for the linear responses to the nudge.
    """

    cost: Cost
    targets: np.ndarray
    free: np.ndarray
    measured: np.ndarray
    kind: str = "full"
    beta: float = 1.0
    solver: Mapping[str, Any] = field(default_factory=dict)

    def _signals(self, state: np.ndarray) -> np.ndarray:
        """Where the slope of the cost is taken: a linearised nudge keeps that of the free state."""
        return self.measured if self.kind == "linearised" else self.cost.readout.signals(state)

    def energy(self, state: np.ndarray) -> np.ndarray:
        """Energy that is added, shape (nsamples,)."""
        signals = self.cost.readout.signals(state)
        if (slopes := self.slopes) is not None:
            return np.sum(slopes * signals, axis=0)
        return self.beta * self.cost.value(signals, self.targets)

    @property
    def readout(self) -> Readout:
        """What it acts through."""
        return self.cost.readout

    @property
    def slopes(self) -> np.ndarray | None:
        """beta dC/dsignal of a linearised nudge, (nsignals, nsamples); None of one that moves."""
        if self.kind != "linearised":
            return None
        return self.beta * self.cost.slope(self.measured, self.targets)

    def costs(self) -> np.ndarray:
        """Cost of each sample at the free state, (nsamples,).

        A full nudge of signals that fluctuate in that state acts through the mean of their cost,
        which is not the cost of their means: <C(s)> = C(<s>) + C'' var(s) / 2, exact for a
        quadratic cost.
        """
        cost = self.cost.value(self.measured, self.targets)
        variance = getattr(self.readout, "variance", None)
        if self.kind == "full" and variance is not None:
            curvature = self.cost.curvature(self.measured, self.targets)
            cost = cost + 0.5 * np.sum(curvature * variance(self.free), axis=0)
        return cost

    def force(self, state: np.ndarray) -> np.ndarray:
        """beta dC/dstate (by the conjugate of a complex state, in weak form), like the state."""
        slope = self.cost.slope(self._signals(state), self.targets)
        return self.beta * self.cost.readout.pull_back(state, slope)

    @property
    def rows(self) -> np.ndarray | None:
        """Rows of the state that the readout reads; None where that may be any."""
        return self.cost.readout.rows

    def branch(self, state: np.ndarray) -> np.ndarray | None:
        """Between which poles of the cost each signal lies; None where there is none."""
        if self.kind == "linearised":
            return None
        return self.cost.branch(self.cost.readout.signals(state), self.targets)

    def stiffness(self, state: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """beta times the second derivative of C by these rows of the state (None: all), shape
        (nsamples, nrows, nrows)."""
        signals = self._signals(state)
        slope, curvature = self.cost.slope(signals, self.targets), np.zeros_like(signals)
        if self.kind == "full":
            curvature = self.cost.curvature(signals, self.targets)
        return self.beta * self.cost.readout.stiffness(state, slope, curvature, rows)

    def table(self, spectrum: np.ndarray) -> np.ndarray:
        """Energies of configurations by their signals, (nsignals, nconfigurations), as
        (nconfigurations, nsamples)."""
        if (slopes := self.slopes) is not None:
            return spectrum.T @ slopes
        return self.beta * self.cost.value(spectrum[:, :, None], self.targets[:, None, :])

    def samples(self, chosen: np.ndarray | slice) -> Self:
        """The same for some of the samples."""
        return replace(
            self,
            targets=self.targets[:, chosen],
            free=self.free[..., chosen],
            measured=self.measured[:, chosen],
        )

    def at(self, free: np.ndarray) -> Self:
        """The same as it is made at another free state, whose signals are read without noise."""
        return replace(self, free=free, measured=self.cost.readout.signals(free))


@dataclass(frozen=True, eq=False)
class FieldNudge(Described):
    """Any force of fixed amplitude, everywhere if it must be.

    Attributes
    ----------
    field : ndarray, like the state
        In weak form where the state is a field.
    free : ndarray, optional
        The free state that it is to be held against; its residual is then given to the nudged one
        too, so that it does not enter the contrast.
    """

    field: np.ndarray
    free: np.ndarray | None = None
    rows = readout = slopes = None
    solver: ClassVar[Mapping[str, Any]] = {}

    def energy(self, state: np.ndarray) -> np.ndarray:
        """Re <field, state>, shape (nsamples,); twice that for complex states."""
        axes = tuple(range(state.ndim - 1))
        weight = 2.0 if np.iscomplexobj(state) else 1.0
        return weight * np.sum((np.conj(self.field) * state).real, axis=axes)

    def force(self, state: np.ndarray) -> np.ndarray:
        """The field."""
        return self.field

    def branch(self, state: np.ndarray) -> np.ndarray | None:
        """None: a force of fixed amplitude has no pole."""
        return None

    def stiffness(self, state: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """None: it does not change with the state."""
        n, nsamples = state.reshape(-1, state.shape[-1]).shape
        n = n if rows is None else len(rows)
        return np.zeros((nsamples, n, n))

    def table(self, spectrum: np.ndarray) -> np.ndarray:
        """Of discrete systems each configuration has its own number in the field."""
        return self.field

    def samples(self, chosen: np.ndarray | slice) -> Self:
        """The same for some of the samples."""
        free = None if self.free is None else self.free[..., chosen]
        return replace(self, field=self.field[..., chosen], free=free)

    def at(self, free: np.ndarray) -> Self:
        """The same force, held against another free state."""
        return self if self.free is None else replace(self, free=free)
