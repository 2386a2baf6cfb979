"""Second derivatives of energies, a matrix a sample, factorised for all samples at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, Self

import numpy as np

_LANCZOS_STEPS = 8
_BISECTIONS = 10  # of 14 decades: to 3 per cent
_FEW_ROWS = 32
_ROUNDING = 1e-14


class Hessian(Protocol):
    """A symmetric matrix a sample, on the free rows of a state."""

    def samples(self, chosen: np.ndarray) -> Self:
        """The matrices of some of the samples, by their indices."""

    def rows(self) -> np.ndarray | slice:
        """The free rows on which `add` adds, by their places among them."""

    def add(self, stiffness: np.ndarray) -> Self:
        """With symmetric matrices on `rows` added, shape (nsamples, nrows, nrows)."""

    def scale(self) -> np.ndarray:
        """The largest entry of each diagonal by its size, shape (nsamples,)."""

    def definite(self) -> np.ndarray:
        """Which of them are positive definite, (nsamples,)."""

    def solve(
        self, right: np.ndarray, shift: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solutions of (H + shift) x = right, (nfree, nsamples), and which H + shift are positive
        definite, (nsamples,); for the others the solution means nothing."""

    def lowest(self) -> np.ndarray:
        """The lowest eigenvalue of each, shape (nsamples,)."""

    def dense(self) -> np.ndarray:
        """The matrices, shape (nsamples, nfree, nfree)."""


@dataclass(frozen=True, eq=False)
class Dense:
    """Matrices without a structure.

    Attributes
    ----------
    values : ndarray, shape (nsamples, nfree, nfree)
    """

    values: np.ndarray

    def samples(self, chosen: np.ndarray) -> Dense:
        """The matrices of some of the samples, by their indices."""
        part = Dense(self.values[chosen])
        if "_definite" in vars(self):  # what was tested once is not tested again
            vars(part)["_definite"] = self._definite[chosen]
        return part

    def rows(self) -> np.ndarray | slice:
        """All free rows."""
        return slice(None)

    def add(self, stiffness: np.ndarray) -> Dense:
        """With symmetric matrices added."""
        return Dense(self.values + stiffness)

    def scale(self) -> np.ndarray:
        """The largest entry of each diagonal by its size, shape (nsamples,)."""
        return _largest_diagonal(self.values)

    @cached_property
    def _definite(self) -> np.ndarray:
        return positive_definite(self.values)

    def definite(self) -> np.ndarray:
        """Which of them are positive definite, (nsamples,)."""
        return self._definite

    def solve(
        self, right: np.ndarray, shift: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solutions of (H + shift) x = right, and which H + shift are positive definite."""
        if shift is not None:
            return Dense(_shifted(self.values, shift)).solve(right)
        return _columns(_solved(self.values, self._definite, right.T)), self._definite

    def lowest(self) -> np.ndarray:
        """The lowest eigenvalue of each, shape (nsamples,)."""
        if not self.values.size:
            return np.full(len(self.values), np.inf)
        return np.linalg.eigvalsh(self.values)[:, 0]

    def dense(self) -> np.ndarray:
        """The matrices, shape (nsamples, nfree, nfree)."""
        return self.values


@dataclass(frozen=True, eq=False)
class Bordered:
    """Matrices of which a large block is diagonal: rows that are not coupled to one another.

    Those are eliminated, so that only the complement is factorised: of a layered network with 20
    hidden and 10 output units 10 rows instead of 30.

    Attributes
    ----------
    inner, outer : ndarray of int
        Places of the rows with the diagonal block, and of the others, among the free rows.
    diagonal : ndarray, shape (nsamples, ninner)
    border : ndarray, shape (nsamples, ninner, nouter)
    rest : ndarray, shape (nsamples, nouter, nouter)
    """

    inner: np.ndarray
    outer: np.ndarray
    diagonal: np.ndarray
    border: np.ndarray
    rest: np.ndarray

    def samples(self, chosen: np.ndarray) -> Bordered:
        """The matrices of some of the samples, by their indices."""
        diagonal, border = self.diagonal[chosen], self.border[chosen]
        part = replace(self, diagonal=diagonal, border=border, rest=self.rest[chosen])
        if "_eliminated" in vars(self):  # what was eliminated once is not eliminated again
            vars(part)["_eliminated"] = tuple(array[chosen] for array in self._eliminated)
        return part

    def rows(self) -> np.ndarray | slice:
        """The rows outside the diagonal block."""
        return self.outer

    def add(self, stiffness: np.ndarray) -> Bordered:
        """With symmetric matrices added to the rows outside the diagonal block."""
        return replace(self, rest=self.rest + stiffness)

    def scale(self) -> np.ndarray:
        """The largest entry of each diagonal by its size, shape (nsamples,)."""
        inner = np.abs(self.diagonal).max(axis=1, initial=0.0)
        return np.maximum(inner, _largest_diagonal(self.rest))

    @cached_property
    def _eliminated(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The pivots, ``(border / pivots)^T``, what is left after the elimination, and which H are
        positive definite."""
        positive = self.diagonal > 0
        pivots = np.where(positive, self.diagonal, 1.0)
        across = (self.border / pivots[:, :, None]).transpose(0, 2, 1)
        left = self.rest - across @ self.border
        return pivots, across, left, positive.all(axis=1) & positive_definite(left)

    def definite(self) -> np.ndarray:
        """Which of them are positive definite, (nsamples,)."""
        return self._eliminated[3]

    def solve(
        self, right: np.ndarray, shift: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solutions of (H + shift) x = right, and which H + shift are positive definite."""
        if shift is not None:
            return self._raised(shift).solve(right)
        pivots, across, left, definite = self._eliminated
        inner = right[self.inner].T
        outer = _solved(left, definite, right[self.outer].T - _times(across, inner))
        solution = np.empty(right.shape)
        solution[self.outer] = outer.T
        solution[self.inner] = ((inner - _times(self.border, outer)) / pivots).T
        return solution, definite

    def lowest(self) -> np.ndarray:
        """The lowest eigenvalue of each, shape (nsamples,).

        Of larger ones an estimate: if positive by Lanczos steps with the inverse, from above and
        usually to a per cent; if negative by the shift that makes the matrix definite, from below
        and to 3 per cent.
        """
        if len(self.inner) + len(self.outer) <= 2 * _LANCZOS_STEPS:
            return Dense(self.dense()).lowest()
        definite = self._eliminated[3]
        if definite.all():
            return self._lanczos()
        found = np.empty(len(definite))
        found[definite] = self.samples(np.flatnonzero(definite))._lanczos()
        found[~definite] = -self.samples(np.flatnonzero(~definite))._smallest_shift()
        return found

    def _raised(self, shift: np.ndarray) -> Bordered:
        """H + shift."""
        diagonal, rest = self.diagonal + shift[:, None], _shifted(self.rest, shift)
        return replace(self, diagonal=diagonal, rest=rest)

    def _smallest_shift(self) -> np.ndarray:
        """The shift that makes each positive definite, from above."""
        rows = np.abs(self.diagonal) + np.abs(self.border).sum(axis=2)
        columns = np.abs(self.rest).sum(axis=2) + np.abs(self.border).sum(axis=1)
        high = np.maximum(rows.max(axis=1), columns.max(axis=1))  # Gershgorin's bound
        low = _ROUNDING * high
        for _ in range(_BISECTIONS):  # of the logarithm
            middle = np.sqrt(low * high)
            definite = self._raised(middle).definite()
            low, high = np.where(definite, low, middle), np.where(definite, middle, high)
        return high

    def _lanczos(self) -> np.ndarray:
        pivots, across, left, _ = self._eliminated
        inverse = np.linalg.inv(left)
        nsamples, a = pivots.shape
        n = a + len(self.outer)
        # a fixed start that prefers no sign and no row, so that all eigenvectors have a part in it
        start = np.cos(1.0 + 2.4 * np.arange(n) ** 2)
        vector = np.tile(start / np.linalg.norm(start), (nsamples, 1))
        basis = np.empty((nsamples, _LANCZOS_STEPS, n))
        projected = np.zeros((nsamples, _LANCZOS_STEPS, _LANCZOS_STEPS))
        for k in range(_LANCZOS_STEPS):
            basis[:, k] = vector
            outer = _times(inverse, vector[:, a:] - _times(across, vector[:, :a]))
            inner = (vector[:, :a] - _times(self.border, outer)) / pivots
            vector = np.concatenate([inner, outer], axis=1)
            overlap = _times(basis[:, : k + 1], vector)
            projected[:, : k + 1, k] = projected[:, k, : k + 1] = overlap
            vector = vector - _times(basis[:, : k + 1].transpose(0, 2, 1), overlap)
            vector /= np.maximum(np.linalg.norm(vector, axis=1, keepdims=True), 1e-300)
        return 1 / np.linalg.eigvalsh(projected)[:, -1]

    def dense(self) -> np.ndarray:
        """The matrices, shape (nsamples, nfree, nfree)."""
        n = len(self.inner) + len(self.outer)
        values = np.zeros((len(self.diagonal), n, n))
        values[:, self.inner, self.inner] = self.diagonal
        values[:, self.inner[:, None], self.outer] = self.border
        values[:, self.outer[:, None], self.inner] = self.border.transpose(0, 2, 1)
        values[:, self.outer[:, None], self.outer] = self.rest
        return values


def positive_definite(matrices: np.ndarray) -> np.ndarray:
    """Which matrices of a stack are positive definite."""
    try:
        np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:  # one of them is not; NumPy does not say which
        n = matrices.shape[1]
        if n <= _FEW_ROWS and n < len(matrices):
            return _positive_pivots(matrices)
        return np.array([_has_factor(matrix) for matrix in matrices])
    return np.ones(len(matrices), dtype=bool)


def _has_factor(matrix: np.ndarray) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def _positive_pivots(matrices: np.ndarray) -> np.ndarray:
    """Which matrices have positive pivots only, by an elimination of all at once."""
    left = np.ascontiguousarray(matrices.transpose(1, 2, 0))
    positive = np.ones(len(matrices), dtype=bool)
    for k in range(len(left)):
        positive &= left[k, k] > 0
        row = np.where(positive, left[k, k + 1 :] / np.where(positive, left[k, k], 1.0), 0.0)
        left[k + 1 :, k + 1 :] -= left[k + 1 :, k, None] * row
    return positive


def _shifted(matrices: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return matrices + shift[:, None, None] * np.eye(matrices.shape[1])


def _largest_diagonal(matrices: np.ndarray) -> np.ndarray:
    return np.abs(np.einsum("kii->ki", matrices)).max(axis=1, initial=0.0)


def _times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """A matrix times a vector for each sample, (nsamples, n)."""
    return np.matmul(matrices, vectors[:, :, None])[:, :, 0]


def _solved(matrices: np.ndarray, definite: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions for the definite ones of the matrices, (nsamples, n); anything for the others."""
    if np.count_nonzero(definite) < len(definite):
        matrices = np.where(definite[:, None, None], matrices, np.eye(matrices.shape[1]))
    try:
        return np.linalg.solve(matrices, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # one with a free direction, singular to the last digit
        matrices = _shifted(matrices, _ROUNDING * _largest_diagonal(matrices))
        return np.linalg.solve(matrices, right[:, :, None])[:, :, 0]


def _columns(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows.T)
