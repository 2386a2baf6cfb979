"""Random numbers that belong to a sample, not to the order in which samples are looked at.

A key is hashed from ``(seed, epoch, index, start)`` and a path of purposes, so neither resuming nor
the order of samples nor the splitting of a batch can change what is drawn.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from nepfield.reprs import Described

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Keys(Described):
    """One key a sample; nothing is computed before numbers are asked for.

    Attributes
    ----------
    seed, epoch : int
    index : ndarray of int, shape (nsamples,)
        Number of each sample in its task.
    start : int or ndarray of int, shape (nsamples,)
        Number of its start, where a sample is begun several times.
    purposes : tuple of str
        What the numbers are for; each purpose has numbers of its own.
    """

    seed: int
    epoch: int
    index: np.ndarray
    start: np.ndarray | int = 0
    purposes: tuple[str, ...] = ()

    def fold(self, purpose: str) -> Keys:
        """Other keys of the same samples, for a purpose of their own."""
        return Keys(self.seed, self.epoch, self.index, self.start, (*self.purposes, purpose))

    def __getitem__(self, chosen: np.ndarray | slice) -> Keys:
        """The keys of some of the samples."""
        start = self.start if isinstance(self.start, int) else self.start[chosen]
        return Keys(self.seed, self.epoch, self.index[chosen], start, self.purposes)

    def words(self) -> np.ndarray:
        """The keys as 64-bit words, shape (nsamples,)."""
        word = np.zeros(self.index.shape, np.uint64)
        seed = self.seed % 2**64  # of a seed that is longer, the last 64 bits
        for part in (seed, self.epoch, self.index, self.start):
            word = _mixed(
                word * np.uint64(3) + _mixed(np.atleast_1d(np.asarray(part)).astype(np.uint64))
            )
        for purpose in self.purposes:
            tag = np.array([zlib.crc32(purpose.encode())], np.uint64)  # arrays wrap silently
            word = _mixed(word * np.uint64(3) + _mixed(tag))
        return word

    def uniform(self, n: int) -> np.ndarray:
        """`n` numbers a sample, evenly from [0, 1), shape (n, nsamples)."""
        counter = np.arange(1, n + 1, dtype=np.uint64)[:, None] * _GOLDEN
        return (_mixed(_mixed(self.words()[None] + counter)) >> np.uint64(11)) * 2.0**-53

    def normal(self, n: int) -> np.ndarray:
        """`n` numbers a sample from the standard normal distribution, shape (n, nsamples)."""
        radius = np.sqrt(-2 * np.log1p(-self.fold("radius").uniform(n)))
        return radius * np.cos(2 * np.pi * self.fold("angle").uniform(n))


def _mixed(word: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), which spreads every bit."""
    word = (word + _GOLDEN).astype(np.uint64)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))
