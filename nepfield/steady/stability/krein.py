"""Which modes that only decay could grow after all, if the trial space is a little wrong.

At uniform loss modes carry an energy of a sign, that of ``int |u|^2 - |v|^2``, and grow only in
pairs of opposite sign whose frequencies meet (Krein). Two modes at a distance d that are coupled by
c have ``omega = m +- sqrt(d^2/4 - c^2)``. In the trial space one sees delta = 2 sqrt(d^2/4 - c^2)
and the sign, ``kappa = delta / d``; an error e of d and of c changes the square of their growth by
at most d e.
"""

from __future__ import annotations

import numpy as np

from nepfield.steady.stability.davidson import TrialModes
from nepfield.steady.stability.fluctuations import to_pair


def signs(modes: TrialModes) -> np.ndarray:
    """kappa of each mode, between -1 and 1; 0 for those that grow."""
    u, v = (np.sum(np.abs(part) ** 2, axis=0) for part in to_pair(modes.vectors))
    return (u - v) / (u + v)


def endangered(
    modes: TrialModes, loss: float, coupling: float, above: float, error: float
) -> np.ndarray:
    """Modes that decay at the loss in the trial space, but could grow faster than asked.

    Parameters
    ----------
    modes : TrialModes
    loss : float
        gamma.
    coupling : float
        Largest c.
    above : float
        Growth without loss that would matter.
    error : float
        e.

    Returns
    -------
    ndarray of bool, shape (2 nmodes,)
    """
    kappa, frequency = signs(modes), modes.rates.imag
    neutral = modes.rates.real + loss <= 1e-9 * (1 + np.abs(frequency).max())
    (plus,), (minus,) = (np.nonzero(neutral & (sign * kappa > 0)) for sign in (1, -1))
    seen = np.abs(frequency[plus][:, None] - frequency[minus])
    least = np.minimum(np.abs(kappa[plus])[:, None], np.abs(kappa[minus]))
    distance = np.minimum(seen / np.maximum(least, 1e-12), np.hypot(seen, 2 * coupling))
    danger = seen**2 / 4 + above**2 < distance * error
    found = np.zeros(len(frequency), dtype=bool)
    found[plus], found[minus] = danger.any(axis=1), danger.any(axis=0)
    return found
