"""Oscillators of which some are clamped: the energy of the free ones, and where it is lowest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nepfield.errors import InputError
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.steady.energy import Added
from nepfield.steady.flow import flow
from nepfield.steady.hessians import Bordered
from nepfield.steady.minimum import minimum
from nepfield.steady.steady import Steady

Index = slice | np.ndarray
_PART = 64  # edges that are worked on at once
_SHORT = 4  # runs of fewer edges are not worth the trouble


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
    runs : tuple of (slice, index, index)
        All edges in parts, and the vertices at their two ends; where many edges in a row lead from
        one vertex to consecutive ones, an index of one and a slice, so that nothing is copied.
    """

    edges: np.ndarray
    clamped: np.ndarray
    free: np.ndarray
    acts: np.ndarray
    groups: tuple[np.ndarray, ...]
    runs: tuple[tuple[slice, Index, Index], ...]

    @classmethod
    def of(
        cls, domain: Domain, clamped: Sequence[int] | np.ndarray, known: Wiring | None = None
    ) -> Wiring:
        """The wiring of a graph with these vertices clamped; `known` if it is just that.

        Raises
        ------
        InputError
            If one of them is not on the graph or named twice.
        """
        if known and known.edges is domain.cells and np.array_equal(known.clamped, clamped):
            return known
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
        edges = domain.cells
        groups = _independent_groups(edges, free)
        return cls(edges, index, free, acts, groups, _runs(edges))


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


def _runs(edges: np.ndarray) -> tuple[tuple[slice, Index, Index], ...]:
    """Edges in parts that can be worked on without copies, or that stay in cache."""
    near, far = edges.T
    breaks = np.flatnonzero((np.diff(near) != 0) | (np.diff(far) != 1)) + 1
    if len(breaks) + 1 > len(edges) / _SHORT:
        parts = [slice(k, k + _PART) for k in range(0, len(edges), _PART)]
        return tuple((part, near[part], far[part]) for part in parts)
    bounds = np.concatenate([[0], breaks, [len(edges)]]).tolist()
    return tuple(
        (slice(a, b), slice(near[a], near[a] + 1), slice(far[a], far[a] + b - a))
        for a, b in pairwise(bounds)
    )


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
        self.clamped, self.inputs = wiring.clamped, inputs
        self.groups = wiring.groups
        weights = weights[self.rows]
        self.weights = weights[:, self.rows]
        from_clamped = weights[:, wiring.clamped]
        bias, angle = bias[self.rows], bias_phase[self.rows]
        self.drive = from_clamped @ np.exp(1j * inputs.T) + (bias * np.exp(1j * angle))[:, None]
        self._last: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None = None
        self.inner, self.outer = self._split(None if nudge is None else nudge.rows)
        # where the graph has two halves, only what joins them is multiplied
        halves = [self._coupled(group) for group in self.groups] if len(self.groups) == 2 else []
        apart = all(weights.shape[1] < len(self.rows) for *_, weights in halves)
        self._between = halves if halves and apart else None

    def _split(self, rows: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray]:
        """Free oscillators that are not coupled to one another nor nudged, and the others."""
        every = np.arange(len(self.rows))
        touched = np.zeros(len(every), dtype=bool) if rows is None else np.isin(self.rows, rows)
        inner = max(self.groups, key=lambda group: np.count_nonzero(~touched[group]), default=every)
        inner = inner[~touched[inner]]
        if not 1 < len(inner) < len(every):
            return None, every
        return inner, np.setdiff1d(every, inner)

    def start(self, initial: np.ndarray | None, keys: Keys | None, sweeps: int = 0) -> np.ndarray:
        """Where each sample starts, (nvertices, nsamples); sweeps for those without an initial
        state, whose phases are drawn evenly from [-pi, pi), or without keys are those to which
        biases and clamped neighbours pull."""
        state = np.empty((len(self.free), len(self.inputs)))
        cold = np.arange(len(self.inputs))
        if initial is not None:
            state[:] = initial
            (cold,) = np.nonzero(np.any(np.isnan(state), axis=0))
        state[self.clamped] = self.inputs.T
        if len(cold):
            if keys is None:
                phases = np.angle(self.drive[:, cold])
            else:
                phases = np.pi * (2 * keys[cold].uniform(len(self.rows)) - 1)
            state[np.ix_(self.rows, cold)] = self.swept(phases, cold, sweeps)
        return state

    def swept(self, phases: np.ndarray, samples: np.ndarray, sweeps: int) -> np.ndarray:
        """Phases after each oscillator in turn went to the lowest energy with all others held: to
        the phase of its drive. Their number is fixed, so that samples do not depend on others."""
        drive = self.drive[:, samples]
        parts = np.stack([np.cos(phases), np.sin(phases)], axis=1)  # (nfree, 2, nsamples)
        pulls = np.stack([drive.real, drive.imag], axis=1)
        rows = [(*self._coupled(group), pulls[group]) for group in self.groups]
        every = parts.reshape(len(parts), 2 * len(samples))
        for _ in range(sweeps):
            for group, others, weights, own in rows:
                pull = (weights @ every[others]).reshape(own.shape)
                pull += own
                size = np.sqrt(np.square(pull[:, 0]) + np.square(pull[:, 1]))
                if np.count_nonzero(size) < size.size:  # an oscillator that nothing pulls stays
                    still = size == 0
                    size[still] = 1.0
                    pull += np.where(still[:, None], parts[group], 0.0)
                np.divide(pull, size[:, None], out=pull)
                parts[group] = pull
        return np.arctan2(parts[:, 1], parts[:, 0])

    def _coupled(self, group: np.ndarray) -> tuple[Index, Index, np.ndarray]:
        """A group, the oscillators that pull one of it, and their couplings."""
        weights = self.weights[group]
        others = np.flatnonzero(weights.any(axis=0))
        if 2 * len(others) > len(self.rows):  # a copy of them would cost what it saves
            return _as_slice(group), slice(None), weights
        return _as_slice(group), _as_slice(others), weights[:, others]

    def _pulled(self, state: np.ndarray, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """exp(i phi) and conj(exp(i phi)) times what pulls each free oscillator.

        Energy, force and Hessian of a state are asked for one after the other, so the last is kept.
        """
        last = self._last
        if last is not None and last[0] is state and last[1] is samples:
            return last[2], last[3]
        phases = state[self.rows]
        unit = np.empty(phases.shape, dtype=complex)
        np.cos(phases, out=unit.real)
        np.sin(phases, out=unit.imag)
        if self._between is None:
            pull = self.weights @ unit
        else:
            pull = np.empty_like(unit)
            for group, others, weights in self._between:
                pull[group] = (weights @ unit[others].view(float)).view(complex)
        pull += self.drive[:, samples]
        pulled = unit.conj() * pull
        self._last = (state, samples, unit, pulled)
        return unit, pulled

    def energy(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """E of the free oscillators, shape (nsamples,)."""
        unit, pulled = self._pulled(state, samples)
        alone = unit.conj() * self.drive[:, samples]
        return -0.5 * np.sum(pulled.real + alone.real, axis=0)

    def force(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """dE/dphi of the free oscillators."""
        return -self._pulled(state, samples)[1].imag

    def hessian(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray | Bordered:
        """Second derivative by the free phases."""
        unit, pulled = self._pulled(state, samples)
        own = pulled.real.T
        parts = unit.T.copy().view(float).reshape(*own.shape, 2)
        if self.inner is None:
            rest = self._block(parts, parts, self.weights)
            _set_diagonal(rest, own)
            return rest
        inner, outer = _as_slice(self.inner), _as_slice(self.outer)
        border = self._block(parts[:, inner], parts[:, outer], self.weights[inner][:, outer])
        between = self.weights[outer][:, outer]
        if between.any():
            rest = self._block(parts[:, outer], parts[:, outer], between)
        else:
            rest = np.zeros((len(own), *between.shape))
        _set_diagonal(rest, own[:, outer])
        return Bordered(self.inner, self.outer, own[:, inner], border, rest)

    @staticmethod
    def _block(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """-W_ij cos(phi_i - phi_j) of each sample."""
        block = rows @ np.ascontiguousarray(columns.transpose(0, 2, 1))
        block *= -weights
        return block


def _set_diagonal(matrices: np.ndarray, diagonal: np.ndarray) -> None:
    k = np.arange(matrices.shape[1])
    matrices[:, k, k] = diagonal


def _as_slice(index: np.ndarray) -> np.ndarray | slice:
    """The same index as a slice, if it is a range: a view costs nothing."""
    if not len(index):
        return index
    first, last = int(index[0]), int(index[-1])
    return slice(first, last + 1) if last - first + 1 == len(index) else index


def find_phases(
    held: HeldEnergy,
    nudge: Added | None,
    initial: np.ndarray | None,
    keys: Keys | None,
    *,
    method: str = "minimum",
    sweeps: int = 20,
    tolerance: float = 1e-10,
    max_iterations: int = 200,
    time: float = 1e4,
    accuracy: float = 1e-7,
    curvature: bool = True,
) -> Steady:
    """Minima of the energy of a batch.

    Parameters
    ----------
    held : HeldEnergy
    nudge, initial, keys
        As in `nepfield.systems.oscillators.Oscillators.equilibrate`.
    method : {"minimum", "flow"}
        "minimum" takes the shortest way down: sweeps in which each oscillator in turn goes to its
        best phase, then Newton's method. "flow" follows xy (2) and (6), five to twenty times
        slower, and then polishes by Newton's method. From the same start the two may reach
        different minima, so a census of basins needs the flow.
    sweeps : int
        Before Newton's method, with "minimum". They are fast in layers, of which each is moved at
        once, and slow where all are coupled to all.
    tolerance, max_iterations
        As `nepfield.steady.minimum.minimum` has them.
    time, accuracy
        Of the flow, as `nepfield.steady.flow.flow` has them.
    curvature : bool
        Whether to find the lowest curvature at free states.

    Returns
    -------
    Steady
        Phases of free oscillators at free states in [-pi, pi).
    """
    if method not in ("minimum", "flow"):
        raise InputError(f"method = {method!r}: choose 'minimum' or 'flow'.")
    state, flowed = held.start(initial, keys, sweeps if method == "minimum" else 0), None
    if method == "flow":
        flowed = flow(held, state, nudge, time=time, accuracy=accuracy)
        state = flowed.state
    steady = minimum(
        held,
        state,
        nudge,
        tolerance=tolerance,
        max_iterations=max_iterations,
        curvature=curvature and nudge is None,
    )
    if nudge is None:
        steady.state[held.rows] = wrapped(steady.state[held.rows])
    return steady if flowed is None else _polished(flowed, steady)


def _polished(flowed: Steady, steady: Steady) -> Steady:
    """States that the flow reached and Newton's method polished; others as the flow left them."""
    reached = flowed.converged
    reasons = zip(reached, flowed.reason, steady.reason, strict=True)
    return Steady(
        np.where(reached, steady.state, flowed.state),
        reached & steady.converged,
        np.where(reached, steady.residual, flowed.residual),
        flowed.iterations + np.where(reached, steady.iterations, 0),
        tuple(after if ok else before for ok, before, after in reasons),
        steady.extra | flowed.extra,
    )


def wrapped(phases: np.ndarray) -> np.ndarray:
    """The same phases in [-pi, pi)."""
    return (phases + np.pi) % (2 * np.pi) - np.pi
