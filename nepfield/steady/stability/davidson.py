"""Modes of fluctuations made exact, from what a trial space has found of them.

Davidson's method in a growing basis of **real** functions, the same for u and v: then the small
problem is one of fluctuations again, and without loss a Hamiltonian one. (A complex basis may show
growth that is not there.) A correction solves the residual on the modes of the trial space, with
the factors of H + a at the vacuum, and on the modes again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nepfield.space.linalg import real_times
from nepfield.space.pardiso import Factors
from nepfield.steady.stability.fluctuations import Fluctuations, from_pair, real_form, to_pair
from nepfield.steady.stability.trial import Trial

_GROUP = 4  # modes that are worked on side by side
_LARGEST = 72  # functions in the basis before it restarts
_NEW = 1e-12  # least square of the length of what counts as new


@dataclass(frozen=True, eq=False)
class TrialModes:
    """All modes of fluctuations in a trial space.

    Attributes
    ----------
    trial : Trial
    rates : ndarray, shape (2 nmodes,)
        lambda.
    vectors : ndarray, shape (2 nmodes, 2 nmodes)
        Eigenvectors of the real form.
    inverse : ndarray, shape (2 nmodes, 2 nmodes)
    """

    trial: Trial
    rates: np.ndarray
    vectors: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of(cls, trial: Trial) -> TrialModes:
        """Solve the small dense problem."""
        rates, vectors = np.linalg.eig(real_form(trial.direct, trial.conjugate))
        rates, vectors = rates.astype(complex), vectors.astype(complex)
        try:
            inverse = np.linalg.inv(vectors)
        except np.linalg.LinAlgError:  # two modes are exactly one
            inverse = np.linalg.pinv(vectors)
        return cls(trial, rates, vectors, inverse)

    def pairs(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """u and v of some modes as fields."""
        u, v = to_pair(self.vectors[:, chosen])
        return self.trial.lift(u), self.trial.lift(v)

    def solve(
        self, u: np.ndarray, v: np.ndarray, shifts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solve with (rates - shift M) in the trial space, leaving out what is at the shift."""
        first, second = from_pair(self.trial.restrict(u), self.trial.restrict(v))
        amplitudes = self.inverse @ np.vstack([first, second])
        distance = self.rates[:, None] - shifts
        near = np.abs(distance) < 1e-8 * np.abs(self.rates).max()
        amplitudes = np.where(near, 0.0, amplitudes / np.where(near, 1.0, distance))
        first, second = to_pair(self.vectors @ amplitudes)
        return self.trial.lift(first), self.trial.lift(second)


@dataclass(frozen=True, eq=False)
class Polished:
    """Modes of the whole space.

    Attributes
    ----------
    rates : ndarray, shape (n,)
        lambda.
    u, v : ndarray, shape (ndof, n)
    converged : ndarray of bool, shape (n,)
    """

    rates: np.ndarray
    u: np.ndarray
    v: np.ndarray
    converged: np.ndarray


def polish(
    fluctuations: Fluctuations,
    modes: TrialModes,
    chosen: np.ndarray,
    factors: Factors,
    tolerance: float,
    max_iterations: int = 30,
) -> Polished:
    """Make some of the trial modes exact.

    Parameters
    ----------
    fluctuations : Fluctuations
    modes : TrialModes
    chosen : ndarray of int
        Indices of the modes.
    factors : Factors
        Of ``H + a`` at the vacuum, or anything near.
    tolerance : float
        Error of lambda.
    max_iterations : int
    """
    parts = [
        _polish_group(
            fluctuations, modes, chosen[k : k + _GROUP], factors, tolerance, max_iterations
        )
        for k in range(0, len(chosen), _GROUP)
    ]
    return Polished(
        *(np.concatenate([getattr(p, name) for p in parts], axis=-1)
          for name in ("rates", "u", "v", "converged"))
    )  # fmt: skip


def _polish_group(
    fluctuations: Fluctuations,
    modes: TrialModes,
    chosen: np.ndarray,
    factors: Factors,
    tolerance: float,
    max_iterations: int,
) -> Polished:
    rates = modes.rates[chosen].copy()
    u, v = modes.pairs(chosen)
    basis = _Basis(fluctuations)
    basis.add(*from_pair(u, v))
    found = basis.nearest(rates, u, v)
    converged = np.zeros(len(chosen), dtype=bool)
    change = np.full(len(chosen), np.inf)
    for _ in range(max_iterations):
        change = np.abs(found.rates - rates)
        rates, u, v = found.rates, found.u, found.v
        residual_u, residual_v = _residual(fluctuations, rates, u, v)
        correction = _correction(fluctuations, modes, factors, rates, residual_u, residual_v)
        energy = np.abs(
            np.sum(residual_u.conj() * correction[0] + residual_v.conj() * correction[1], axis=0)
        )
        converged = (change < tolerance) & (energy < tolerance)
        going = ~converged
        if not going.any():
            break
        if basis.size > _LARGEST:
            basis.restart(found.coefficients)
        basis.add(*from_pair(correction[0][:, going], correction[1][:, going]))
        found = basis.nearest(rates, u, v)
    return Polished(rates, u, v, converged)


def _residual(
    fluctuations: Fluctuations, rates: np.ndarray, u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    moved_u, moved_v = fluctuations.rates(u, v)
    mass = fluctuations.mass
    return moved_u - rates * real_times(mass, u), moved_v - rates * real_times(mass, v)


def _correction(
    fluctuations: Fluctuations,
    modes: TrialModes,
    factors: Factors,
    rates: np.ndarray,
    residual_u: np.ndarray,
    residual_v: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Trial space, factors, trial space: each takes what the ones before have left."""
    u, v = modes.solve(residual_u, residual_v, rates)
    for step in ("factors", "modes"):
        left_u, left_v = _residual(fluctuations, rates, u, v)
        left_u, left_v = residual_u - left_u, residual_v - left_v
        if step == "factors":
            more_u = 1j * factors.solve(left_u)
            more_v = (1j * factors.solve(left_v.conj())).conj()
        else:
            more_u, more_v = modes.solve(left_u, left_v, rates)
        u, v = u + more_u, v + more_v
    return u, v


@dataclass(frozen=True, eq=False)
class _Found:
    rates: np.ndarray
    u: np.ndarray
    v: np.ndarray
    coefficients: np.ndarray  # of the real form


class _Basis:
    """Real functions, orthonormal in the mass, with K and B between them."""

    def __init__(self, fluctuations: Fluctuations) -> None:
        self._of = fluctuations
        self._functions = np.zeros((fluctuations.space.ndof, 0))
        self._direct = np.zeros((0, 0), dtype=complex)
        self._conjugate = np.zeros((0, 0), dtype=complex)

    @property
    def size(self) -> int:
        return self._functions.shape[1]

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """The real and imaginary parts of fields, as far as they are new."""
        fields = np.hstack([first.real, first.imag, second.real, second.imag])
        lengths = np.sqrt(np.sum(fields * (self._of.mass @ fields), axis=0))
        fields = fields[:, lengths > 0] / lengths[lengths > 0]
        for _ in range(2):  # Gram-Schmidt twice; the second time nothing is small any more
            if self.size:
                fields = fields - self._functions @ (self._functions.T @ (self._of.mass @ fields))
            sizes, turned = np.linalg.eigh(fields.T @ (self._of.mass @ fields))
            kept = sizes > _NEW
            fields = fields @ (turned[:, kept] / np.sqrt(sizes[kept]))
        new = fields
        old = self._functions
        for name, matrix in (("_direct", self._of.direct), ("_conjugate", self._of.conjugate)):
            image = matrix @ new
            back = image if self._of.space.single is None else matrix.T @ new
            blocks = [
                [getattr(self, name), old.T @ image],
                [(old.T @ back).T, new.T @ image],
            ]
            setattr(self, name, np.block(blocks))
        self._functions = np.column_stack([old, new])

    def nearest(self, rates: np.ndarray, u: np.ndarray, v: np.ndarray) -> _Found:
        """Of the modes in the basis those that are most like the given ones."""
        values, vectors = np.linalg.eig(real_form(self._direct, self._conjugate))
        values, vectors = values.astype(complex), vectors.astype(complex)
        weighted = self._functions.T @ real_times(self._of.mass, np.hstack(from_pair(u, v)))
        before = np.vstack(np.hsplit(weighted, 2))
        before = before / np.linalg.norm(before, axis=0)
        likeness = np.abs(vectors.conj().T @ before)
        chosen: list[int] = []
        for k in range(len(rates)):
            order = np.argsort(-likeness[:, k])
            chosen.append(next(int(j) for j in order if int(j) not in chosen))
        coefficients = vectors[:, chosen]
        first, second = to_pair(coefficients)
        return _Found(
            values[chosen], self._functions @ first, self._functions @ second, coefficients
        )

    def restart(self, coefficients: np.ndarray) -> None:
        """Keep what the modes found are made of."""
        halves = np.hstack(np.split(coefficients, 2))
        kept, sizes, _ = np.linalg.svd(np.hstack([halves.real, halves.imag]), full_matrices=False)
        kept = kept[:, sizes > 1e-10 * sizes[0]]
        self._functions = self._functions @ kept
        self._direct = kept.T @ self._direct @ kept
        self._conjugate = kept.T @ self._conjugate @ kept
