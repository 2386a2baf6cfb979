"""Low states of spins by simulated annealing: heat-bath updates at falling temperatures.

    P(s_k = +1) = 1 / (1 + exp(-2 f_k / T)),   f_k = b_k + sum_j J_kj s_j

Of a spin that is read f_k has half the difference between what the nudge adds to it down and up.
S. Kirkpatrick, C. D. Gelatt, M. P. Vecchi, Science 220, 671 (1983).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nepfield.keys import Keys
from nepfield.systems.spins import Found, Spins, slices

_COLUMNS = 2**10  # samples times reads that are annealed at a time


def anneal(
    spins: Spins,
    keys: Keys,
    initial: np.ndarray | None = None,
    *,
    sweeps: int,
    temperatures: tuple[float, float],
    reads: int,
    tolerance: float,
    max_iterations: int,
) -> Found:
    """Low states of each sample.

    Each of `reads` begins at random and ends where no flip of a single spin leads lower. The
    lowest is taken, of equals the first.

    Parameters
    ----------
    spins : Spins
    keys : Keys
        What is drawn belongs to a sample, so neither their order nor a split changes anything.
    initial : ndarray, shape (n, nsamples), optional
        States from which the way down competes too, before all reads; columns that hold a nan do
        not.
    sweeps : int
        Updates of each spin in a read, before the way down.
    temperatures : (hot, cold)
        They fall geometrically, in units of the root of the mean square of what pulls a spin.
    reads : int
    tolerance : float
        What counts as 0 among fields and differences of energies, relative to the largest energy
        there can be.
    max_iterations : int
        Sweeps of the way down before it is given up.
    """
    nsamples = spins.state.shape[1]
    state = spins.state.copy()
    work, settled = np.zeros(nsamples, dtype=np.int64), np.zeros(nsamples, dtype=bool)
    falling = np.geomspace(*temperatures, sweeps)
    for some in slices(nsamples, _COLUMNS // reads):
        part, slack = spins.samples(some), tolerance * spins.samples(some).scale()
        starts = _read(part, keys[some], falling, reads)
        drawn = len(part.free) * sweeps * reads
        if initial is not None:
            starts = [_given(part, initial[:, some], starts[0]), *starts]
        columns = np.tile(np.arange(part.state.shape[1]), len(starts))
        reached, steps = _descended(
            part.samples(columns), np.concatenate(starts, axis=1), slack[columns], max_iterations
        )
        energy = part.samples(columns).energy(reached).reshape(len(starts), -1)
        best = np.argmax(energy <= energy.min(axis=0) + slack, axis=0)
        chosen = best * part.state.shape[1] + np.arange(part.state.shape[1])
        state[:, some] = reached[:, chosen]
        work[some] = drawn + len(part.free) * steps.reshape(len(starts), -1).sum(axis=0)
        settled[some] = (steps < max_iterations)[chosen] & np.isfinite(energy.min(axis=0))
    return Found(state, work, None, settled)


def _read(spins: Spins, keys: Keys, falling: np.ndarray, reads: int) -> list[np.ndarray]:
    """States at the end of the annealing, one a read."""
    free, nsamples = spins.free, spins.state.shape[1]
    many = spins.samples(np.tile(np.arange(nsamples), reads))
    place = np.zeros(len(spins.state), dtype=np.int64)
    place[free] = np.arange(len(free))

    rounds = len(falling) + 1  # the first one for where to begin
    drawn = [keys.fold(f"read {k}").uniform(rounds * len(free)) for k in range(reads)]
    chances = np.concatenate(drawn, axis=1).reshape(rounds, len(free), -1)
    state = many.state.copy()
    state[free] = np.where(chances[0] < 0.5, 1.0, -1.0)
    unit = np.tile(_unit(spins), reads)
    turns = _Turns(many)
    for chance, temperature in zip(chances[1:], falling, strict=True):
        with np.errstate(divide="ignore"):  # a chance of 0 is -inf: up
            limit = temperature * unit / 2 * (np.log(chance) - np.log1p(-chance))
        for rows, pull in turns.pulls(state):
            state[rows] = np.where(pull > limit[place[rows]], 1.0, -1.0)
    return np.split(state, reads, axis=1)


def _unit(spins: Spins) -> np.ndarray:
    """Root of the mean square of what pulls a free spin, 1 where nothing does."""
    free, state = spins.free, spins.state.copy()
    state[free] = 0.0
    squares = spins.local(free, state) ** 2
    squares += np.sum(spins.couplings[np.ix_(free, free)] ** 2, axis=1)[:, None]
    unit = np.sqrt(squares.mean(axis=0)) if len(free) else np.zeros(state.shape[1])
    return np.where(unit > 0, unit, 1.0)


def _given(spins: Spins, initial: np.ndarray, instead: np.ndarray) -> np.ndarray:
    """Spins of the states to start from; those of others where there is none."""
    free, state = spins.free, instead.copy()
    usable = np.isfinite(initial[free]).all(axis=0)
    state[free] = np.where(usable, np.where(initial[free] < 0, -1.0, 1.0), instead[free])
    return state


class _Turns:
    """Spins that may be updated together, group after group."""

    def __init__(self, spins: Spins) -> None:
        self.spins, read = spins, spins.read
        self.groups: list[tuple[np.ndarray, np.ndarray, np.ndarray, bool]] = []
        for group in spins.groups:
            nudged = np.isin(group, read)
            # the nudge may couple the spins that are read
            together = [group[~nudged], *group[nudged][:, None]]
            for rows, own in zip(together, [False, *nudged[nudged]], strict=True):
                if len(rows):
                    self.groups.append((rows, spins.couplings[rows], spins.fields[rows], bool(own)))

    def pulls(self, state: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Which spins, and what pulls them, as the state is by then."""
        for rows, couplings, fields, nudged in self.groups:
            pull = couplings @ state
            pull += fields
            if nudged:
                pull -= _push(self.spins, state, rows[0])
            yield rows, pull


def _push(spins: Spins, state: np.ndarray, row: int) -> np.ndarray:
    """Half of what the nudge adds to a spin up beyond what it adds to it down."""
    assert spins.nudge is not None
    kept = state[row].copy()
    added = []
    for value in (1.0, -1.0):
        state[row] = value
        added.append(spins.nudge.energy(state))
    state[row] = kept
    return (added[0] - added[1]) / 2


def _descended(
    spins: Spins, state: np.ndarray, slack: np.ndarray, max_iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """States that no flip of a single spin lowers, and the sweeps that it took to know that."""
    state, steps = state.copy(), np.full(state.shape[1], max_iterations)
    going = np.arange(state.shape[1])
    for sweep in range(1, max_iterations):
        part, here = spins.samples(going), state[:, going]
        before = here.copy()
        for rows, pull in _Turns(part).pulls(here):
            still = np.abs(pull) <= slack[going]  # nothing is gained by a flip
            here[rows] = np.where(still, here[rows], np.where(pull > 0, 1.0, -1.0))
        state[:, going] = here
        resting = np.all(here == before, axis=0)
        steps[going[resting]] = sweep
        going = going[~resting]
        if not len(going):
            break
    return state, steps
