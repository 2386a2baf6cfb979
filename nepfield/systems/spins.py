"""Spins of which some are held, and their energy, of which the lowest is looked for.

    E(s) = -1/2 sum_ij J_ij s_i s_j - sum_i b_i s_i + N(s_R),   s_i = +1 or -1

J is symmetric, without a diagonal; the field b may differ from sample to sample, as the nudge N
does, which sees the spins R that are read. `enumeration` and `annealing` look for ground states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from nepfield.errors import InputError


class Pull(Protocol):
    """What a search needs to know of a nudge."""

    @property
    def rows(self) -> np.ndarray | None:
        """Spins that are read; None for a force of fixed amplitude on all of them."""

    def energy(self, state: np.ndarray) -> np.ndarray:
        """Energy that is added, shape (nsamples,)."""

    def force(self, state: np.ndarray) -> np.ndarray:
        """Its derivative by the state."""

    def table(self, spectrum: np.ndarray) -> np.ndarray:
        """Energies of configurations, of which only what is read is given, (nread,
        nconfigurations), as (nconfigurations, nsamples)."""

    def samples(self, chosen: np.ndarray | slice) -> Self:
        """The same for some of the samples."""


@dataclass(frozen=True, eq=False)
class Spins:
    """Spins of which some are held, and the energy of each sample.

    Attributes
    ----------
    couplings : ndarray, shape (n, n)
        J, symmetric.
    fields : ndarray, shape (n, nsamples)
        b.
    state : ndarray, shape (n, nsamples)
        In the rows of spins that are held, their values.
    groups : sequence of ndarray of int
        The free spins, in groups within which none are coupled.
    nudge : Pull, optional
        It acts on free spins that are named by its `rows`.
    """

    couplings: np.ndarray
    fields: np.ndarray
    state: np.ndarray
    groups: Sequence[np.ndarray]
    nudge: Pull | None = None

    @classmethod
    def of(
        cls,
        couplings: np.ndarray,
        fields: np.ndarray,
        state: np.ndarray,
        groups: Sequence[np.ndarray],
        nudge: Pull | None = None,
    ) -> Spins:
        """The spins under a nudge; one of fixed amplitude is a field.

        Raises
        ------
        InputError
            If a spin that is held is read.
        """
        fields = np.broadcast_to(fields, state.shape)
        if nudge is not None and nudge.rows is None:
            fields, nudge = fields - nudge.force(state), None
        spins = cls(couplings, fields, state, groups, nudge)
        if held := np.setdiff1d(spins.read, spins.free).tolist():
            raise InputError(f"readout: spin {held[0]} is clamped; read free spins.")
        return spins

    @property
    def free(self) -> np.ndarray:
        """The spins that are not held."""
        return np.sort(np.concatenate([*self.groups, np.zeros(0, dtype=np.int64)]))

    @property
    def read(self) -> np.ndarray:
        """The spins on which the nudge acts."""
        rows = None if self.nudge is None else self.nudge.rows
        return np.zeros(0, dtype=np.int64) if rows is None else rows

    def samples(self, chosen: np.ndarray | slice) -> Spins:
        """For some of the samples."""
        nudge = self.nudge and self.nudge.samples(chosen)
        return Spins(
            self.couplings, self.fields[:, chosen], self.state[:, chosen], self.groups, nudge
        )

    def local(self, rows: np.ndarray, state: np.ndarray) -> np.ndarray:
        """The local field of some spins, without the nudge."""
        return self.couplings[rows] @ state + self.fields[rows]

    def energy(self, state: np.ndarray) -> np.ndarray:
        """E of states (n, nsamples), shape (nsamples,)."""
        pairs = self.couplings @ state
        energy = -np.sum(state * (pairs / 2 + self.fields), axis=0)
        return energy if self.nudge is None else energy + self.nudge.energy(state)

    def scale(self) -> np.ndarray:
        """How large the energy of the free spins can be without a nudge, shape (nsamples,)."""
        held = np.ones(len(self.state), dtype=bool)
        held[self.free] = False
        size = np.abs(self.couplings[self.free])
        drive = np.abs(self.fields[self.free]).sum(axis=0)
        drive += size[:, held].sum(axis=0) @ np.abs(self.state[held])
        return size[:, ~held].sum() / 2 + drive


@dataclass(frozen=True, eq=False)
class Found:
    """States, and what is known of them.

    Attributes
    ----------
    state : ndarray, shape (n, nsamples)
    work : ndarray of int, shape (nsamples,)
        Configurations that were compared, or spins that were updated.
    gap : ndarray or None, shape (nsamples,)
        Energy of the next configuration above it; of an enumeration.
    settled : ndarray of bool, shape (nsamples,)
        Whether no flip of a single spin leads lower.
    """

    state: np.ndarray
    work: np.ndarray
    gap: np.ndarray | None
    settled: np.ndarray


def slices(count: int, size: int) -> Iterator[slice]:
    """Pieces of a range, none larger than a size."""
    size = max(size, 1)
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))
