"""Stability of states whose quadratic form is definite, at uniform loss.

    Q(d) = <d, A0 d> + Re <d, b conj(d)>,    A0 the Hermitian part of H + a

Without loss the equation of fluctuations is Hamiltonian, with Q for its energy. Where Q is
definite the energy bounds every fluctuation, and uniform loss makes all of them decay at gamma
exactly. Q is positive exactly where A0 is and mu < 1 for the largest eigenvalue mu of
``d -> A0^-1 b conj(d)``, which is symmetric in the inner product of A0; Lanczos' method finds it in
12 to 25 steps.
"""

from __future__ import annotations

import numpy as np

from nepfield.space.linalg import Factorisation, real_product, real_times
from nepfield.space.pardiso import Factors
from nepfield.steady.stability.fluctuations import Fluctuations

_MOST_STEPS = 80
_LOOKED = 4  # steps between two looks at what has been found
_INVERSE = 3  # steps of inverse iteration
_STIR = 0.3  # of noise in the start: a little of everything


def is_indefinite(fluctuations: Fluctuations, start: np.ndarray, vacuum: Factors) -> bool:
    """Whether A0 is seen to be negative for some function, which a few solves often show.

    The smallest Ritz value of A0 in a few steps of inverse iteration from the state; that A0 is not
    positive definite is certain where this is True, and saves its factorisation.
    """
    mass, fields = fluctuations.mass, [start[:, None]]
    for _ in range(_INVERSE):
        turned = vacuum.solve(real_times(mass, fields[-1]))
        fields.append(turned / max(float(np.abs(turned).max()), 1e-300))
    basis = np.hstack([part for field in fields[1:] for part in (field.real, field.imag)])
    sizes, turned = np.linalg.eigh(basis.T @ (mass @ basis))
    if sizes[-1] <= 0:
        return False
    kept = sizes > 1e-10 * sizes[-1]
    basis = basis @ (turned[:, kept] / np.sqrt(sizes[kept]))
    energies = np.linalg.eigvalsh((basis.T @ (fluctuations.hermitian @ basis)).real)
    return bool(energies[0] < 0)


def is_definite(fluctuations: Fluctuations, start: np.ndarray) -> bool:
    """Whether Q is positive definite, by one factorisation of A0 and Lanczos' method.

    Parameters
    ----------
    fluctuations : Fluctuations
    start : ndarray, shape (ndof,)
        Where to start: the state, whose turning in phase costs little energy.

    Returns
    -------
    bool
        True only where the largest eigenvalue mu has converged below 1.
    """
    try:
        factors = Factorisation(fluctuations.hermitian, pivoting=False)
        if factors.negative_pivots():
            return False
    except np.linalg.LinAlgError:
        return False
    if not fluctuations.conjugate.count_nonzero():
        return True
    return _largest_is_below_one(fluctuations, factors, start)


def _largest_is_below_one(
    fluctuations: Fluctuations, factors: Factorisation, start: np.ndarray
) -> bool:
    """Lanczos' method in the inner product of A0; mu comes from below, with a residual."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, len(start)))
    size = np.linalg.norm(start)
    vector = 1j * start / size if size > 0 else np.zeros(len(start), dtype=complex)
    vector = vector + _STIR * (noise[0] + 1j * noise[1]) / np.sqrt(2 * len(start))
    image = fluctuations.hermitian @ vector  # A0 times the vector
    basis: list[np.ndarray] = []
    images: list[np.ndarray] = []
    diagonal: list[float] = []
    beside: list[float] = []
    for step in range(_MOST_STEPS):
        length = float(np.sqrt(max(real_product(vector, image).item(), 0.0)))
        if step:
            beside.append(length)
        if step and (step % _LOOKED == 0 or length < 1e-12):
            matrix = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
            values, vectors = np.linalg.eigh(matrix)
            # the spectrum is symmetric, since i d turns the sign of the map
            largest = int(np.argmax(np.abs(values)))
            mu, residual = abs(values[largest]), length * abs(vectors[-1, largest])
            if mu >= 1:
                return False
            if residual < 0.1 * (1 - mu):
                return True
        if length < 1e-12:
            return False
        vector, image = vector / length, image / length
        basis.append(vector)
        images.append(image)
        image = fluctuations.conjugate @ vector.conj()
        vector = factors.solve(image)
        for k in range(2 * len(basis)):  # Gram-Schmidt twice
            other, other_image = basis[k % len(basis)], images[k % len(basis)]
            overlap = real_product(other_image, vector).item()
            if k == len(basis) - 1:
                diagonal.append(overlap)
            vector = vector - overlap * other
            image = image - overlap * other_image
    return False
