"""Measurements of Pauli strings: which can be measured together, and what T shots of each give.

Strings that have the same letter on every spin they share are measured together, spin by spin, as
qep (6) has its groups: a shot turns each spin to its axis and reads all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nepfield.keys import Keys
from nepfield.space.pauli import Strings


@dataclass(frozen=True, eq=False)
class Group:
    """Strings that are read in the same shots.

    Attributes
    ----------
    members : ndarray of int
        Which strings.
    letters : dict of int to str
        For each spin that is read its axis.
    strings : Strings
        They themselves.
    """

    members: np.ndarray
    letters: dict[int, str]
    strings: Strings

    @cached_property
    def spins(self) -> np.ndarray:
        """The spins that are read, in order."""
        return np.array(sorted(self.letters), dtype=np.int64)

    @cached_property
    def order(self) -> np.ndarray:
        """Configurations, those of one outcome of the spins that are read after those of another;
        bit i of an outcome is that of the i-th spin."""
        vertex = np.arange(2**self.strings.nspins)
        bits = (vertex >> self.spins[:, None] & 1) << np.arange(len(self.spins))[:, None]
        return np.argsort(bits.sum(axis=0), kind="stable")

    @cached_property
    def signs(self) -> np.ndarray:
        """What each string has in each outcome, (nmembers, noutcomes)."""
        support = (self.strings.flips | self.strings.signs)[:, None]
        places = np.arange(len(self.spins))
        looked = np.sum((support >> self.spins & 1) << places, axis=1)
        outcome = np.arange(1 << len(self.spins))
        return 1.0 - 2.0 * (np.bitwise_count(outcome & looked[:, None]) % 2)


@dataclass(frozen=True, eq=False)
class Measurement:
    """How strings are measured.

    Attributes
    ----------
    strings : Strings
    shots : int
        Of each group; 0 gives expectation values without noise.
    """

    strings: Strings
    shots: int = 0

    @cached_property
    def groups(self) -> list[Group]:
        """Strings that go into the first group they fit, those on most spins first."""
        support = np.bitwise_count(self.strings.flips | self.strings.signs)
        found: list[tuple[list[int], dict[int, str]]] = []
        for k in np.argsort(-support.astype(int), kind="stable"):
            letters = _letters(int(self.strings.flips[k]), int(self.strings.signs[k]))
            for members, axes in found:
                if all(axes.get(spin, letter) == letter for spin, letter in letters.items()):
                    members.append(int(k))
                    axes.update(letters)
                    break
            else:
                found.append(([int(k)], dict(letters)))
        return [
            Group(np.sort(members), axes, self.strings[np.sort(members)]) for members, axes in found
        ]

    def read(self, state: np.ndarray, keys: Keys | None = None) -> np.ndarray:
        """Means over the shots of each string, (nstrings, nsamples); exact without keys or shots.

        What is drawn belongs to a sample's key and to a group, not to its place in the batch.
        """
        if keys is None or not self.shots:
            return self.strings.expectations(state)
        means = np.empty((len(self.strings), state.shape[1]))
        every = keys.fold("shots").uniform(self.shots * len(self.groups))
        for number, group in enumerate(self.groups):
            drawn = every[number * self.shots : (number + 1) * self.shots]
            frequency = _frequencies(_probabilities(state, group), drawn)
            means[group.members] = group.signs @ frequency
        return means


def _letters(flips: int, signs: int) -> dict[int, str]:
    both = flips | signs
    spins = [spin for spin in range(both.bit_length()) if both >> spin & 1]
    return {s: " XZY"[(flips >> s & 1) + 2 * (signs >> s & 1)] for s in spins}


def _probabilities(state: np.ndarray, group: Group) -> np.ndarray:
    """Of each outcome of the spins that are read, bit i for the i-th of them."""
    size, nsamples = state.shape
    for spin, letter in group.letters.items():
        if letter != "Z":  # turn the axis of the spin to Z
            halves = state.reshape(-1, 2, 2**spin, nsamples)
            up, down = halves[:, 0], (-1j if letter == "Y" else 1) * halves[:, 1]
            state = np.stack([up + down, up - down], axis=1).reshape(size, nsamples)
            state *= np.sqrt(0.5)
    weight = np.square(state.real) + np.square(state.imag)
    outcomes = 1 << len(group.letters)
    return weight[group.order].reshape(outcomes, -1, nsamples).sum(axis=1)


def _frequencies(probability: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """How often each outcome is among the draws, evenly from [0, 1), (nshots, nsamples)."""
    bound = np.cumsum(probability, axis=0)
    frequency = np.empty_like(bound)
    for k in range(drawn.shape[1]):
        place = np.searchsorted(bound[:, k], drawn[:, k] * bound[-1, k], side="right")
        place = np.minimum(place, len(bound) - 1)  # where rounding leads beyond the last
        frequency[:, k] = np.bincount(place, minlength=len(bound))
    return frequency / len(drawn)
