"""Ground states of spins by enumeration, exact.

A group H of free spins that are neither coupled to one another nor read is left out: each of them
goes along with its local field, so for every configuration of the others

    min over s_H of E = E(others) - sum_{k in H} |b_k + sum_j J_kj s_j|
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nepfield.errors import InputError
from nepfield.systems.spins import Found, Spins, slices

LARGEST = 20
"""At most so many spins are enumerated: a million configurations."""
_CONFIGURATIONS = 2**12  # that are compared at a time
_BLOCK = 2**16  # energies that are computed at a time, so that they stay in cache


def spared(groups: Sequence[np.ndarray], read: np.ndarray) -> np.ndarray:
    """The free spins that need not be enumerated: the largest group without those that are read."""
    unread = [group[~np.isin(group, read)] for group in groups]
    return max(unread, key=len, default=np.zeros(0, dtype=np.int64))


def enumerated(groups: Sequence[np.ndarray], read: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The free spins that are left out, and those of which all configurations are compared.

    Raises
    ------
    InputError
        If there are too many of them.
    """
    inner = spared(groups, read)
    outer = np.setdiff1d(np.concatenate([*groups, inner]), inner)
    if len(outer) > LARGEST:
        raise InputError(
            f"ground_state = 'exact': {len(outer)} spins would have to be enumerated and "
            f"{LARGEST} is the limit (spins that are not read nor coupled to one another are left "
            "out); use ground_state = 'annealing'."
        )
    return inner, outer


def exact(spins: Spins, tolerance: float) -> Found:
    """The lowest of all configurations.

    Of several whose energies differ by less than `tolerance`, relative to the largest energy there
    can be, the first is taken: in the order of binary numbers, +1 before -1.

    Parameters
    ----------
    spins : Spins
    tolerance : float

    Raises
    ------
    InputError
        If there are too many.
    """
    inner, outer = enumerated(spins.groups, spins.read)
    nsamples, count = spins.state.shape[1], 2 ** len(outer)
    slack, state = tolerance * spins.scale(), spins.state.copy()
    state[spins.free] = 0.0  # so that local fields are those of what is held
    pull_inner, pull_outer = spins.local(inner, state), spins.local(outer, state)
    among = np.searchsorted(outer, spins.read)
    lowest, second = np.full((2, nsamples), np.inf)
    chosen = np.zeros(nsamples, dtype=np.int64)
    for first in range(0, count, _CONFIGURATIONS):
        patterns = configurations(np.arange(first, min(first + _CONFIGURATIONS, count)), len(outer))
        between = spins.couplings[np.ix_(outer, outer)] @ patterns
        own = -np.sum(patterns * between, axis=0) / 2
        inside = spins.couplings[np.ix_(inner, outer)] @ patterns
        for some in slices(nsamples, _BLOCK // patterns.shape[1]):
            energy = own[:, None] - patterns.T @ pull_outer[:, some]
            part = np.empty_like(energy)
            for row, pull in zip(inside, pull_inner[:, some], strict=True):
                np.add(row[:, None], pull, out=part)
                energy -= np.abs(part, out=part)
            if spins.nudge is not None:
                energy += spins.nudge.samples(some).table(patterns[among])
            here, next_here, index = _two_lowest(energy, slack[some])
            better = here < lowest[some] - slack[some]
            loser = np.where(better, lowest[some], here)
            second[some] = np.minimum(np.minimum(second[some], next_here), loser)
            chosen[some] = np.where(better, first + index, chosen[some])
            lowest[some] = np.where(better, here, lowest[some])
    state[outer] = configurations(chosen, len(outer))
    pull = pull_inner + spins.couplings[np.ix_(inner, outer)] @ state[outer]
    state[inner] = np.where(pull < -slack, -1.0, 1.0)
    flip = 2 * np.abs(pull).min(axis=0, initial=np.inf)
    gap = np.minimum(second - lowest, flip)
    return Found(state, np.full(nsamples, count), np.maximum(gap, 0.0), np.isfinite(lowest))


def configurations(numbers: np.ndarray, nspins: int) -> np.ndarray:
    """Spins by the bits of a number, shape (nspins, nnumbers); a bit that is set means -1."""
    return 1.0 - 2.0 * ((numbers >> np.arange(nspins)[:, None]) & 1)


def _two_lowest(energy: np.ndarray, slack: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each column the lowest value, the next one, and where the first is that is so low."""
    lowest = energy.min(axis=0)
    index = np.argmax(energy <= lowest + slack, axis=0)
    energy[index, np.arange(energy.shape[1])] = np.inf
    return lowest, energy.min(axis=0), index
