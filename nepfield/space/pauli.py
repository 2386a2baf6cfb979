"""Products of Pauli matrices, as Schroedinger operators on the hypercube graph, qep (12) to (15).

A configuration of N spins is a vertex b of the hypercube: bit k of b is 0 where spin k is up. A
string P is a product of X, Y and Z on some spins; a product of X goes along edges, a product of Z
is a local potential, and with f the bits that X and Y flip, s those that Y and Z look at:

    (P psi)(b) = i^|f & s| (-1)^|s & (b ^ f)| psi(b ^ f)

so a sum of strings that flip the same bits is one potential on the edges b, b ^ f. States have the
shape (2^N, nsamples).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from nepfield.errors import InputError

MOST_SPINS = 20
_FACTOR = re.compile(r"([XYZ])(\d+)")
_TERM = re.compile(
    r"\s*(?P<sign>[+-]?)\s*(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)?\s*\*?\s*"
    r"(?P<string>(?:[XYZ]\d+[\s*]*)*)"
)


@dataclass(frozen=True, eq=False)
class Strings:
    """Pauli strings on N spins.

    Attributes
    ----------
    flips, signs : ndarray of int, shape (n,)
        The bits f and s of each string: X has its bit in `flips`, Z in `signs`, Y in both.
    nspins : int
    """

    flips: np.ndarray
    signs: np.ndarray
    nspins: int

    @classmethod
    def parse(cls, texts: Sequence[str], nspins: int) -> Strings:
        """Strings as they are written, "Z0 X1 Z2"; "" is the identity.

        Raises
        ------
        InputError
            If a text is no string, or names a spin twice or one that does not exist.
        """
        masks = [_masks(text, nspins) for text in texts]
        flips, signs = np.array(masks, dtype=np.int64).reshape(-1, 2).T
        return cls(flips, signs, nspins)

    def __len__(self) -> int:
        return len(self.flips)

    def __getitem__(self, chosen: np.ndarray | slice) -> Strings:
        return Strings(self.flips[chosen], self.signs[chosen], self.nspins)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Each as `parse` reads it."""
        return tuple(_written(int(f), int(s)) for f, s in zip(self.flips, self.signs, strict=True))

    @cached_property
    def is_real(self) -> bool:
        """Whether none has an odd number of Y, so that real states stay real."""
        return not np.any(np.bitwise_count(self.flips & self.signs) % 2)

    @cached_property
    def values(self) -> np.ndarray:
        """What each string has in row b and column b ^ f, shape (n, 2^N)."""
        vertex = np.arange(2**self.nspins)
        odd = np.bitwise_count((vertex ^ self.flips[:, None]) & self.signs[:, None]) % 2
        turns = 1j ** (np.bitwise_count(self.flips & self.signs) % 4)
        factor = turns.real if self.is_real else turns
        return factor[:, None] * (1.0 - 2.0 * odd)

    @cached_property
    def by_flips(self) -> list[tuple[int, np.ndarray]]:
        """For each set of bits that is flipped the strings that do so, by their indices."""
        masks, group = np.unique(self.flips, return_inverse=True)
        return [(int(mask), np.flatnonzero(group == k)) for k, mask in enumerate(masks)]

    def between(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """``Re <left| P |right>`` of each string, shape (n, nsamples)."""
        found = np.empty((len(self), right.shape[1]))
        vertex = np.arange(2**self.nspins)
        for mask, members in self.by_flips:
            product = left.conj() * (right if mask == 0 else right[vertex ^ mask])
            found[members] = (self.values[members] @ product).real
        return found

    def expectations(self, state: np.ndarray) -> np.ndarray:
        """``<P>`` of each string, shape (n, nsamples)."""
        return self.between(state, state)


@dataclass(frozen=True, eq=False)
class PauliSum:
    """A real weighted sum of strings.

    Attributes
    ----------
    strings : Strings
    weights : ndarray, shape (nstrings,)
    """

    strings: Strings
    weights: np.ndarray

    @classmethod
    def parse(cls, text: str, nspins: int) -> PauliSum:
        """A sum as it is written, "0.25 + 0.25 Z0 - 0.5 Z0 X1".

        Raises
        ------
        InputError
            If the text is no such sum.
        """
        weights, texts, place = [], [], 0
        text = text.strip()
        while place < len(text):
            term = _TERM.match(text, place)
            signed = term and (term["sign"] or place == 0)
            if not term or not signed or not (term["number"] or term["string"]):
                raise InputError(
                    f'{text!r} is no sum of Pauli strings; write it as "0.5 Z0 Z1 - X2".'
                )
            weight = float(term["number"] or 1.0)
            weights.append(-weight if term["sign"] == "-" else weight)
            texts.append(term["string"])
            place = term.end()
        return cls(Strings.parse(texts, nspins), np.array(weights, dtype=float))

    def apply(self, state: np.ndarray) -> np.ndarray:
        """The sum applied to states (2^N, nsamples)."""
        vertex = np.arange(len(state))
        total = np.zeros(state.shape, np.result_type(state, self.strings.values))
        for mask, members in self.strings.by_flips:
            potential = self.weights[members] @ self.strings.values[members]
            total += potential[:, None] * state[vertex ^ mask]
        return total

    @property
    def is_diagonal(self) -> bool:
        """Whether nothing is flipped: a potential."""
        return not self.strings.flips.any()


@dataclass(frozen=True, eq=False)
class HypercubeOperator:
    """An operator on the hypercube a sample: ``(H psi)(b) = sum_g V_g(b) psi(b ^ f_g)``.

    Attributes
    ----------
    flips : ndarray of int, shape (ngroups,)
        The bits that each group of strings flips.
    potential : ndarray, shape (nsamples, 2^N, ngroups)
        V; real where that is enough.
    """

    flips: np.ndarray
    potential: np.ndarray

    @classmethod
    def of(cls, strings: Strings, common: np.ndarray, own: np.ndarray) -> HypercubeOperator:
        """The sum of strings with coefficients, (nstrings,) of all samples, and (nstrings,
        nsamples) that are added for each."""
        groups = strings.by_flips
        shape = (own.shape[1], 2**strings.nspins, len(groups))
        potential = np.empty(shape, strings.values.dtype)
        for k, (_, members) in enumerate(groups):
            potential[:, :, k] = common[members] @ strings.values[members]
            if len(differing := members[own[members].any(axis=1)]):
                potential[:, :, k] += own[differing].T @ strings.values[differing]
        return cls(np.array([mask for mask, _ in groups], dtype=np.int64), potential)

    @cached_property
    def _columns(self) -> np.ndarray:
        return np.arange(self.potential.shape[1])[:, None] ^ self.flips

    def with_potential(self, added: np.ndarray) -> HypercubeOperator:
        """With a local potential that is added, (2^N, nsamples)."""
        (here,) = np.nonzero(self.flips == 0)
        if not len(here):
            flips = np.concatenate([self.flips, [0]])
            return HypercubeOperator(
                flips, np.concatenate([self.potential, added.T[:, :, None]], axis=2)
            )
        potential = self.potential.copy()
        potential[:, :, here[0]] += added.T
        return HypercubeOperator(self.flips, potential)

    def dense(self) -> np.ndarray:
        """A matrix a sample, (nsamples, 2^N, 2^N)."""
        nsamples, n, _ = self.potential.shape
        matrix = np.zeros((nsamples, n, n), self.potential.dtype)
        matrix[:, np.arange(n)[:, None], self._columns] = self.potential
        return matrix

    def sparse(self, samples: np.ndarray) -> sp.csr_array:
        """The matrices of some samples as the blocks of one, sample by sample."""
        n, ngroups = self._columns.shape
        rows = n * len(samples)
        first = n * np.arange(len(samples), dtype=np.int32)
        columns = (self._columns.astype(np.int32) + first[:, None, None]).ravel()
        pointers = np.arange(0, rows * ngroups + 1, ngroups, dtype=np.int32)
        return sp.csr_array((self.potential[samples].ravel(), columns, pointers), (rows, rows))


def joined(parts: Sequence[Strings]) -> Strings:
    """Strings one after the other."""
    return Strings(
        np.concatenate([part.flips for part in parts]),
        np.concatenate([part.signs for part in parts]),
        parts[0].nspins,
    )


def longitudinal(vertices: Sequence[int] | np.ndarray, nspins: int) -> Strings:
    """Z of each of these spins."""
    bits = 1 << np.asarray(vertices, dtype=np.int64)
    return Strings(np.zeros_like(bits), bits, nspins)


def transverse(vertices: Sequence[int] | np.ndarray, nspins: int) -> Strings:
    """X of each of these spins."""
    bits = 1 << np.asarray(vertices, dtype=np.int64)
    return Strings(bits, np.zeros_like(bits), nspins)


def bonds(edges: np.ndarray, nspins: int) -> Strings:
    """Z Z of each edge, (nedges, 2)."""
    bits = np.sum(1 << np.asarray(edges, dtype=np.int64), axis=1)
    return Strings(np.zeros_like(bits), bits, nspins)


def _masks(text: str, nspins: int) -> tuple[int, int]:
    """Bits that a string flips, and bits that it looks at."""
    rest = _FACTOR.sub("", text).replace("*", "").strip()
    factors = [(letter, int(spin)) for letter, spin in _FACTOR.findall(text)]
    spins = [spin for _, spin in factors]
    if rest or len(set(spins)) < len(spins) or any(spin >= nspins for spin in spins):
        raise InputError(
            f'{text!r} is no Pauli string; write it as "Z0 X1 Z2", each spin at most once, counted '
            f"from 0 to {nspins - 1}."
        )
    flips = sum(1 << spin for letter, spin in factors if letter in "XY")
    signs = sum(1 << spin for letter, spin in factors if letter in "YZ")
    return flips, signs


def _written(flips: int, signs: int) -> str:
    letters = []
    for spin in range((flips | signs).bit_length()):
        kind = (flips >> spin & 1) + 2 * (signs >> spin & 1)
        if kind:
            letters.append(f"{' XZY'[kind]}{spin}")
    return " ".join(letters)
