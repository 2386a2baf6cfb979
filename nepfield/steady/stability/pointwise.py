"""What the coefficients at the points of a space say of the growth of fluctuations.

With the loss l = -Im(U + a) and the strength |b| at every point,

    growth <= max over points of (|b| - l)                                               (tier 1)

for d/dt int |delta|^2 = 2 int (Im(b conj(delta)^2) - l |delta|^2) at most. Fluctuations that grow
also have a bounded frequency. Let K = A0 - i L, A0 >= -m; u and v of a growing mode satisfy

    |Re omega| |v|^2 <= m |v|^2 + int |b| |u| |v|,    int l |u|^2 <= int |b| |u| |v|

(or with u and v exchanged), so that

    |Im lambda| <= m + min( max|b| sqrt(max l / min l),  max(|b|^2 / l) )
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nepfield.space.linalg import is_positive_definite, may_be_positive
from nepfield.space.space import Space
from nepfield.steady.linearisation import Linearisation

_ROUNDING = 1e-12
_DOUBLINGS = 60


@dataclass(frozen=True, eq=False)
class Bounds:
    """Rigorous bounds on what fluctuations do, one a sample.

    Attributes
    ----------
    growth : ndarray, shape (nsamples,)
        No fluctuation grows faster; infinite where nothing can be said.
    frequency : ndarray, shape (nsamples,)
        Those that grow turn no faster than this; infinite where nothing can be said.
    lowest : ndarray, shape (nsamples,)
        A bound from below on the Hermitian part of ``H + a``.
    coupling : ndarray, shape (nsamples,)
        Largest ``|b|``.
    uniform_loss : ndarray, shape (nsamples,)
        gamma where nothing else loses or gains; nan where loss is not uniform.
    """

    growth: np.ndarray
    frequency: np.ndarray
    lowest: np.ndarray
    coupling: np.ndarray
    uniform_loss: np.ndarray


def pointwise_bounds(linear: Linearisation) -> Bounds:
    """Bounds from the coefficients at the points, for a batch of samples.

    Parameters
    ----------
    linear : Linearisation

    Returns
    -------
    Bounds
        Of one sample where the equation is linear: all of them are alike.
    """
    space = linear.space
    low, least, most, coupling = _extremes(linear)
    floor = kinetic_floor(space)
    largest = coupling.max(axis=0)
    scale = np.abs(low).max(axis=0) + np.abs(least).max(axis=0) + largest
    uniform = (most - least).max(axis=0) + np.ptp(least, axis=0) <= _ROUNDING * scale
    if space.boundary_matrix.imag.count_nonzero():
        uniform[:] = False
        most = np.full_like(most, np.inf)
    lowest = low.min(axis=0) + floor
    rates = (coupling - least).max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(most.max(axis=0) / least.min(axis=0))
        across = np.where(least.min(axis=0) > 0, largest * ratio, np.inf)
        silent = (least == 0) & (coupling == 0)
        local = np.where(least > 0, coupling**2 / least, np.where(silent, 0.0, np.inf))
        width = np.fmin(across, local.max(axis=0))
    width = np.where(uniform, largest, width)
    frequency = np.maximum(0.0, -lowest) + width
    if space.boundary_gains:
        rates, frequency = np.full_like(rates, np.inf), np.full_like(frequency, np.inf)
    return Bounds(
        growth=rates,
        frequency=frequency,
        lowest=lowest,
        coupling=largest,
        uniform_loss=np.where(uniform, least.min(axis=0), np.nan),
    )


def growth_bound(linear: Linearisation) -> np.ndarray:
    """The growth of `pointwise_bounds` alone, shape (nsamples,): quick enough for every epoch."""
    if linear.direct is None or linear.conjugate is None:
        return pointwise_bounds(linear).growth
    if linear.space.boundary_gains or linear.direct.ndim > 2:
        return pointwise_bounds(linear).growth
    rates = np.abs(linear.conjugate) + linear.linear_part.field.imag[:, None]
    return (rates + linear.direct.imag if np.iscomplexobj(linear.direct) else rates).max(axis=0)


def _extremes(linear: Linearisation) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """At each point and sample: lowest Re(U + a), least and most loss, |b|; (npoints, nsamples).

    Of blocks, the extreme eigenvalues of the Hermitian and the anti-Hermitian part, and the
    largest singular value of b.
    """
    field = linear.linear_part.field
    if linear.direct is None or linear.conjugate is None:
        field, zeros = field[:, None], np.zeros((len(field), 1))
        return field.real, -field.imag, -field.imag, zeros
    if linear.direct.ndim == 2:
        total = field[:, None] + linear.direct
        return total.real, -total.imag, -total.imag, np.abs(linear.conjugate)
    count = len(linear.direct)
    total = np.moveaxis(linear.direct, (0, 1), (2, 3)).astype(complex)  # (nq, nsamples, c, c)
    for i, part in enumerate(field.reshape(count, -1)):
        total[:, :, i, i] += part[:, None]
    turned = total.conj().swapaxes(2, 3)
    energies = np.linalg.eigvalsh((total + turned) / 2)
    losses = -np.linalg.eigvalsh((total - turned) / 2j)
    coupling = np.linalg.norm(np.moveaxis(linear.conjugate, (0, 1), (2, 3)), 2, axis=(2, 3))
    return energies[..., 0], losses[..., -1], losses[..., 0], coupling


def kinetic_floor(space: Space) -> float:
    """A bound from below on -1/2 Laplacian with its boundaries; 0 for all but odd ones.

    Attractive Robin boundaries and couplings below zero may bind a wave. What they bind is found
    within a factor of two, by the signs of pivots.
    """
    real = space.boundary_matrix.real.tocsr()
    if space.wg.min(initial=0.0) >= 0 and not may_be_positive(-real):
        return 0.0
    kinetic, mass = space.kinetic.real.tocsr(), space.mass
    floor = _ROUNDING + 1e-3 * float(np.max(kinetic.diagonal() / space.mass_diagonal))
    for _ in range(_DOUBLINGS):
        if is_positive_definite(kinetic + floor * mass):
            return -floor
        floor *= 2
    return -np.inf
