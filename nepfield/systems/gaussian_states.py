"""Gaussian ground states: functions of the springs A and masses M of particles.

    (M^-1/2 A M^-1/2) u = omega^2 u         normal modes u
    Cov r = hbar/2 M^-1/2 (M^-1/2 A M^-1/2)^-1/2 M^-1/2

Matrices have the shape (1 or nsamples, n, n): one for all samples, or one each.
"""

from __future__ import annotations

import numpy as np

from nepfield.space.linalg import one_thread


def normal_modes(matrix: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """omega^2, (1 or nsamples, n), in ascending order; and M^-1/2 u, one a column."""
    root = 1 / np.sqrt(mass)
    with one_thread():
        squares, modes = np.linalg.eigh(root[:, None] * matrix * root)
    return squares, root[:, None] * modes


def covariance_of(squares: np.ndarray, modes: np.ndarray, hbar: float) -> np.ndarray:
    """Cov r, from what `normal_modes` gives."""
    return 0.5 * hbar * (modes / np.sqrt(squares)[:, None]) @ modes.mT


def covariance_change(
    squares: np.ndarray, modes: np.ndarray, stiffness: np.ndarray, hbar: float
) -> np.ndarray:
    """How Cov r moves as A moves along a matrix: the formula of Daleckii and Krein, in which the
    divided differences of omega^-1 stand for its derivative."""
    inverse = 1 / np.sqrt(squares)
    rows, columns = inverse[:, :, None], inverse[:, None]
    # (1/a - 1/b) / (a^2 - b^2), without the cancellation
    divided = -((rows * columns) ** 2) / (rows + columns)
    return 0.5 * hbar * modes @ (divided * (modes.mT @ stiffness @ modes)) @ modes.mT


def applied(left: np.ndarray, right: np.ndarray | None, columns: np.ndarray) -> np.ndarray:
    """left right^T columns, with columns (n, nsamples); right None stands for 1."""
    if len(left) == 1:
        return left[0] @ (columns if right is None else right[0].T @ columns)
    vectors = columns.T[:, :, None]
    return (left @ (vectors if right is None else right.mT @ vectors))[:, :, 0].T
