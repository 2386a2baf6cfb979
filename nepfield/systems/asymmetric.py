"""The nudged motion of asymmetric equilibrium propagation (AsymEP), for a wave.

Scurria, Vanden Abeele, Mognetti and Massar, arXiv 2602.03670: a device dx/dt = kappa(x) with the
Jacobian J at its free state x_0 is nudged together with a term that makes its Jacobian there the
transposed one,

    dx/dt = kappa(x) - (J - J^T) (x - x_0) - beta dC/dx

so that (x - x_0)/beta tends to the multiplier of the exact gradient. Of a wave x is (Re Psi,
Im Psi), and J^T d = A^+ d + B^T conj(d) with the Hermitian conjugate A^+. Where H is symmetric the
term is ``2 i Re(H + a) (Psi - Psi_0)``: it turns round all motion that conserves energy, so it
holds the kinetic energy and couples neighbours. Loss stays loss, and the nudged state decays
whenever the free one does.

Written for m = conj(Psi), in which the equation has the form of every wave (`Equation`),

    F(m) = T mu + conj(L conj(mu)) - conj(F_0(conj(m))) + i (conj(P) - beta conj(c)),
    mu = m - conj(Psi_0),

with the linearisation L = (H + a) + b conj of the device, its transposed one T = (H + a) - conj(b)
conj, and F_0 the device without its drive. So mu answers by the device's own H + a; what differs
from the device is local there, -conj(b) in place of b.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nepfield.space.space import Space
from nepfield.steady.equation import Equation, Local
from nepfield.steady.linearisation import Linearisation, LinearPart
from nepfield.steady.prefer import find_preferred


@dataclass(frozen=True, eq=False)
class AsymmetricMotion:
    """A nudged device that has the transposed Jacobian at its free state: a wave equation for m.

    Attributes
    ----------
    device : Equation
    free : ndarray, shape (ndof, 1)
        The free state Psi_0 of one sample.
    """

    device: Equation
    free: np.ndarray

    @property
    def space(self) -> Space:
        """That of the device."""
        return self.device.space

    @property
    def linear_part(self) -> LinearPart:
        """H of the device."""
        return self.device.linear_part

    @cached_property
    def _linear(self) -> Linearisation:
        return self.device.linearise(self.free)

    @cached_property
    def _transposed(self) -> Linearisation:
        return self._linear.transposed()

    def drive(self, inputs: np.ndarray) -> np.ndarray:
        """conj(P) in weak form, (ndof, nsamples)."""
        return self.device.drive(inputs).conj()

    def local(self, state: np.ndarray) -> Local:
        """What the device works out of conj(m)."""
        return self.device.local(state.conj())

    def residual(
        self, state: np.ndarray, drive: np.ndarray, local: Local | None = None
    ) -> np.ndarray:
        """F(m) in weak form, (ndof, nsamples)."""
        own = self.device.residual(state.conj(), np.zeros_like(drive), local)
        change = state - self.free.conj()
        image = self._transposed.apply(change) + self._linear.apply(change.conj()).conj()
        return image - own.conj() + 1j * drive

    def linearise(self, state: np.ndarray, local: Local | None = None) -> Linearisation:
        """Linearisation of F at m: T where m is conj(Psi_0)."""
        wanted, before = self._transposed, self._linear
        if wanted.direct is None or before.direct is None:
            return Linearisation(self.linear_part, None, None)
        now = self.device.linearise(state.conj(), local)
        assert wanted.conjugate is not None
        assert before.conjugate is not None
        assert now.direct is not None
        assert now.conjugate is not None
        return Linearisation(
            self.linear_part,
            wanted.direct + (before.direct - now.direct).conj(),
            wanted.conjugate + (before.conjugate - now.conjugate).conj(),
        )


def asymmetric_states(
    device: Equation, drive: np.ndarray, free: np.ndarray, slope: np.ndarray, **options: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Where the nudged motion ends: a search a sample, for each has a motion of its own.

    Parameters
    ----------
    device : Equation
    drive, free : ndarray, shape (ndof, nsamples)
        P and Psi_0.
    slope : ndarray, shape (ndof, nsamples)
        beta dC/dPsibar, of either sign.
    **options
        As in `nepfield.steady.prefer.find_preferred`.

    Returns
    -------
    state : ndarray, shape (ndof, nsamples)
        Psi; ``conj(Psi - Psi_0)/beta`` tends to the multiplier of the exact gradient.
    converged : ndarray of bool, shape (nsamples,)
    """
    state, converged = np.zeros_like(free), np.zeros(free.shape[1], dtype=bool)
    for k in range(free.shape[1]):
        one = np.array([k])
        before = free[:, one].conj()
        found = find_preferred(
            AsymmetricMotion(device, free[:, one]), drive[:, one].conj(),
            push=-slope[:, one].conj(), free=before, initial=before, **options,
        )  # fmt: skip
        state[:, one], converged[one] = found.state.conj(), found.converged
    return state, converged
