"""What a search for minima needs to know of an energy: twin of a residual and its linearisation.

`nepfield.steady.minimum` finds where an energy is lowest, `nepfield.steady.flow` how a system
glides there; both know it by this Protocol only.
"""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np

from nepfield.steady.hessians import Bordered, Dense, Hessian


class Energy(Protocol):
    """An energy E of states, one a column.

    `samples` says which columns of the whole batch those of `state` are, for energies that differ
    from sample to sample in more than the state holds.

    Attributes
    ----------
    free : ndarray of bool, shape (n,)
        Rows of the state that move; the others are held.
    """

    @property
    def free(self) -> np.ndarray: ...

    def energy(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """E of each sample, shape (nsamples,)."""

    def force(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """dE/dstate, (n, nsamples), or its free rows alone; the system moves against it."""

    def hessian(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray | Bordered:
        """Second derivative of E, (nsamples, n, n), or its free rows and columns alone; where many
        free rows are not coupled to one another `Bordered` saves most of the work."""


class Added(Protocol):
    """An energy that is added to another one: a nudge.

    Attributes
    ----------
    rows : ndarray of int or None
        Rows of the state on which it acts; None where that may be any.
    free : ndarray or None
        The free state that is nudged, if it is known.
    """

    @property
    def rows(self) -> np.ndarray | None: ...
    @property
    def free(self) -> np.ndarray | None: ...

    def energy(self, state: np.ndarray) -> np.ndarray:
        """Energy that is added, shape (nsamples,)."""

    def force(self, state: np.ndarray) -> np.ndarray:
        """Its derivative by the state, like the state."""

    def stiffness(self, state: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Its second derivative by these rows of the state, (nsamples, nrows, nrows)."""

    def branch(self, state: np.ndarray) -> np.ndarray | None:
        """Between which of its poles the state lies, whole numbers of shape (..., nsamples); None
        where there is no pole. A state that moves never crosses one."""

    def samples(self, chosen: np.ndarray | slice) -> Self:
        """The same for some of the samples."""


class Landscape:
    """An energy and what is added to it, for some of the samples, on the free rows.

    Parameters
    ----------
    energy : Energy
    added : Added or None
    samples : ndarray of int
        The columns of the whole batch.
    rest : ndarray, shape (nfree, nsamples), optional
        A constant force that is taken off.
    """

    def __init__(
        self,
        energy: Energy,
        added: Added | None,
        samples: np.ndarray,
        rest: np.ndarray | None = None,
    ) -> None:
        self.base, self.added, self.columns, self.rest = energy, added, samples, rest
        self.rows = np.flatnonzero(energy.free)
        self._spared: tuple[np.ndarray, bool] | None = None

    def samples(self, kept: np.ndarray) -> Landscape:
        """For some of its samples, by their indices."""
        added = None if self.added is None else self.added.samples(kept)
        rest = None if self.rest is None else self.rest[:, kept]
        part = Landscape(self.base, added, self.columns[kept], rest)
        part._spared = self._spared
        return part

    def moved(self, state: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The state with a step of the free rows."""
        state = state.copy()
        state[self.rows] += step
        return state

    def energy(self, state: np.ndarray) -> np.ndarray:
        """The sum of both energies."""
        value = self.base.energy(state, self.columns)
        if self.rest is not None:
            value = value - np.sum(self.rest * state[self.rows], axis=0)
        return value if self.added is None else value + self.added.energy(state)

    def force(self, state: np.ndarray) -> np.ndarray:
        """Its derivative by the free rows, (nfree, nsamples)."""
        force = self.base.force(state, self.columns)
        if len(force) != len(self.rows):
            force = force[self.rows]
        if self.rest is not None:
            force = force - self.rest
        return force if self.added is None else force + self.added.force(state)[self.rows]

    def hessian(self, state: np.ndarray) -> Hessian:
        """Its second derivative by the free rows."""
        found = self.base.hessian(state, self.columns)
        hessian: Hessian
        if isinstance(found, Bordered):
            hessian = found if self._spares(found.inner) else Dense(found.dense())
        elif found.shape[-1] == len(self.rows):
            hessian = Dense(found)
        else:
            hessian = Dense(found[:, self.rows[:, None], self.rows])
        if self.added is None:
            return hessian
        return hessian.add(self.added.stiffness(state, self.rows[hessian.rows()]))

    def _spares(self, inner: np.ndarray) -> bool:
        """Whether what is added does not act on these free rows, so that they stay uncoupled."""
        if self.added is None:
            return True
        if self._spared is None or self._spared[0] is not inner:
            rows = self.added.rows
            spared = rows is not None and not np.isin(self.rows[inner], rows).any()
            self._spared = inner, spared
        return self._spared[1]

    def branch(self, state: np.ndarray) -> np.ndarray | None:
        """Between which poles the state lies."""
        return None if self.added is None else self.added.branch(state)
