"""Oscillators of which some are clamped: how they are wired, and the energy of the free ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nepfield.errors import InputError
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.steady.energy import Added
from nepfield.steady.hessians import Bordered


@dataclass(frozen=True, eq=False)
class Wiring:
    """Which oscillators are clamped and which of the free ones are coupled to one another.

    Attributes
    ----------
    edges : ndarray of int, shape (nedges, 2)
    clamped : ndarray of int, shape (ninputs,)
    free : ndarray of bool, shape (nvertices,)
    acts : ndarray of bool, shape (nedges,)
        Couplings with a free end.
    groups : tuple of ndarray of int
        Places among the free vertices, in groups within which none are coupled.
    """

    edges: np.ndarray
    clamped: np.ndarray
    free: np.ndarray
    acts: np.ndarray
    groups: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, domain: Domain, clamped: Sequence[int] | np.ndarray) -> Wiring:
        """The wiring of a graph with these vertices clamped.

        Raises
        ------
        InputError
            If one of them is not on the graph or named twice.
        """
        n = len(domain.points)
        index = np.asarray(clamped, dtype=float)
        whole = index.ndim == 1 and bool(np.all(index == np.floor(index)))
        if not whole or np.any((index < 0) | (index >= n)) or len(np.unique(index)) < len(index):
            raise InputError(
                f"clamped = {np.asarray(clamped).tolist()}: give vertices of {domain.source}, "
                f"whole numbers from 0 to {n - 1}, none twice."
            )
        index = index.astype(np.int64)
        free = np.ones(n, dtype=bool)
        free[index] = False
        acts = np.any(free[domain.cells], axis=1)
        return cls(domain.cells, index, free, acts, _independent_groups(domain.cells, free))


def _independent_groups(edges: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, ...]:
    """Groups of free vertices none of which are coupled: two where the graph allows it."""
    place = np.cumsum(free) - 1
    pairs = place[edges[free[edges].all(axis=1)]]
    neighbours: list[list[int]] = [[] for _ in range(np.count_nonzero(free))]
    for a, b in pairs.tolist():
        if a != b:
            neighbours[a].append(b)
            neighbours[b].append(a)
    colour = [-1] * len(neighbours)
    for first in range(len(colour)):  # outwards from a vertex: two colours alternate if they can
        waiting = [first] if colour[first] < 0 else []
        for vertex in waiting:
            if colour[vertex] >= 0:
                continue
            taken = {colour[other] for other in neighbours[vertex]}
            colour[vertex] = next(c for c in range(len(colour)) if c not in taken)
            waiting += [other for other in neighbours[vertex] if colour[other] < 0]
    groups = np.array(colour, dtype=int)
    return tuple(np.flatnonzero(groups == c) for c in range(max(colour, default=-1) + 1))


class HeldEnergy:
    """The energy of the free oscillators, the clamped ones folded into the drive of each.

        E = -1/2 sum_ij W_ij cos(phi_i - phi_j) - sum_i Re(conj(a_i) exp(i phi_i))
        a_i = h_i exp(i psi_i) + sum over clamped j of W_ij exp(i phi_j)

    up to what does not depend on the free phases. It is an `nepfield.steady.energy.Energy`.

    Parameters
    ----------
    wiring : Wiring
    weights : ndarray, shape (nvertices, nvertices)
        W, symmetric.
    bias, bias_phase : ndarray, shape (nvertices,)
    inputs : ndarray, shape (nsamples, ninputs)
        Phases of the clamped oscillators.
    nudge : Nudge or FieldNudge, optional
        That which will be added.
    """

    def __init__(
        self,
        wiring: Wiring,
        weights: np.ndarray,
        bias: np.ndarray,
        bias_phase: np.ndarray,
        inputs: np.ndarray,
        nudge: Added | None = None,
    ) -> None:
        self.free, self.rows = wiring.free, np.flatnonzero(wiring.free)
        self.groups = wiring.groups
        weights = weights[self.rows]
        self.weights = weights[:, self.rows]
        from_clamped = weights[:, wiring.clamped]
        bias, angle = bias[self.rows], bias_phase[self.rows]
        self.along = from_clamped @ np.cos(inputs.T) + (bias * np.cos(angle))[:, None]
        self.across = from_clamped @ np.sin(inputs.T) + (bias * np.sin(angle))[:, None]
        self.inner, self.outer = self._split(None if nudge is None else nudge.rows)

    def _split(self, rows: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray]:
        """Free oscillators that are not coupled to one another nor nudged, and the others."""
        every = np.arange(len(self.rows))
        touched = np.zeros(len(every), dtype=bool) if rows is None else np.isin(self.rows, rows)
        inner = max(self.groups, key=lambda group: np.count_nonzero(~touched[group]), default=every)
        inner = inner[~touched[inner]]
        if not 1 < len(inner) < len(every):
            return None, every
        return inner, np.setdiff1d(every, inner)

    def start(self, samples: np.ndarray, keys: Keys | None) -> np.ndarray:
        """Phases of the free oscillators to start from, (nfree, nsamples)."""
        if keys is None:
            return np.arctan2(self.across[:, samples], self.along[:, samples])
        return np.pi * (2 * keys[samples].uniform(len(self.rows)) - 1)

    def swept(self, phases: np.ndarray, samples: np.ndarray, sweeps: int) -> np.ndarray:
        """Phases after each oscillator in turn went to the lowest energy with all others held: to
        the phase of its drive. Their number is fixed, so that samples do not depend on others."""
        k = len(samples)
        both = np.concatenate([np.cos(phases), np.sin(phases)], axis=1)
        drive = np.concatenate([self.along[:, samples], self.across[:, samples]], axis=1)
        rows = [(group, self.weights[group], drive[group]) for group in self.groups]
        for _ in range(sweeps):
            for group, weights, own in rows:
                pull = weights @ both
                pull += own
                size = np.hypot(pull[:, :k], pull[:, k:])
                moved = size > 0  # an oscillator that nothing pulls stays
                size[~moved] = 1.0
                there = pull / np.tile(size, 2)
                both[group] = np.where(np.tile(moved, 2), there, both[group])
        return np.arctan2(both[:, k:], both[:, :k])

    def _pulled(self, state: np.ndarray, samples: np.ndarray) -> tuple[np.ndarray, ...]:
        phases = state[self.rows]
        cos, sin = np.cos(phases), np.sin(phases)
        return cos, sin, self.weights @ cos, self.weights @ sin

    def energy(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """E of the free oscillators, shape (nsamples,)."""
        cos, sin, along, across = self._pulled(state, samples)
        along = along / 2 + self.along[:, samples]
        across = across / 2 + self.across[:, samples]
        return -np.sum(cos * along + sin * across, axis=0)

    def force(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """dE/dphi of the free oscillators."""
        cos, sin, along, across = self._pulled(state, samples)
        return sin * (along + self.along[:, samples]) - cos * (across + self.across[:, samples])

    def hessian(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray | Bordered:
        """Second derivative by the free phases."""
        cos, sin, along, across = self._pulled(state, samples)
        own = cos * (along + self.along[:, samples]) + sin * (across + self.across[:, samples])
        unit = np.stack([cos.T, sin.T], axis=2)
        if self.inner is None:
            matrices = unit @ unit.transpose(0, 2, 1)
            matrices *= -self.weights
            n = np.arange(len(self.rows))
            matrices[:, n, n] = own.T
            return matrices
        border = self._between(unit, self.inner, self.outer)
        rest = self._between(unit, self.outer, self.outer)
        n = np.arange(len(self.outer))
        rest[:, n, n] = own[self.outer].T
        return Bordered(self.inner, self.outer, own[self.inner].T, border, rest)

    def _between(self, unit: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        block = unit[:, rows] @ unit[:, columns].transpose(0, 2, 1)
        block *= -self.weights[np.ix_(rows, columns)]
        return block
