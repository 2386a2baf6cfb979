"""What a wave's response says of the exact gradient: the frame in which the two are nearest.

A nudged device solves ``D d = (H + a) d + b conj(d) = s`` for any force -s. The multiplier l of the
exact gradient ``-2 Re int l dkappa/dtheta``, nep (8), solves
``T l = (H + a)^T l - conj(b)^T conj(l) = i conj(c)`` with ``c = dC/dPsibar``. Read in a frame, D
differs from T by known, local terms only:

    nep         z = d,                T z = (H + a)^* z + b conj(z) = -c,  l = -i conj(z)
                                      (T - D) z = [(H + a)^* - (H + a)] z: the loss, reversed
    reciprocal  z = exp(-i chi) d,    T z = i conj(c),                     l = z
                                      (T - D) z = -[conj(b) + exp(-2 i chi) b] conj(z)

``exp(2 i chi) = -S / |S|`` with ``S = int b^2`` makes the last difference as small as one phase
can; it turns with the pumps, so that a common phase of all of them changes nothing. Scattering
Backpropagation (Dal Cin, Marquardt and Wanjura, arXiv 2508.11750) rests on the same: the response
of a nonlinear wave is nearly reciprocal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from nepfield.space.arrays import half_phase
from nepfield.steady.batches.choice import response_accuracy
from nepfield.steady.equation import Equation
from nepfield.steady.linear import ALONE, SharedPreconditioner, solve_linearised
from nepfield.steady.linearisation import Linearisation, times


@dataclass(frozen=True, eq=False)
class WaveFrame:
    """A device D as it is read, and the operator T that the exact gradient needs.

    Attributes
    ----------
    kind : {"nep", "reciprocal"}
    linear, wanted : Linearisation
        D and T at the free state.
    phase : ndarray, shape (nsamples,) or (1,)
        ``exp(i chi)``, that of the nudge; what is read is turned back by it.
    norm_weight : ndarray, shape (ndof, 1)
        Makes the Euclidean norm of weak forms that of fields.
    """

    kind: str
    linear: Linearisation
    wanted: Linearisation
    phase: np.ndarray
    norm_weight: np.ndarray

    def right(self, error: np.ndarray) -> np.ndarray:
        """What T is to be solved for, of c in weak form, (ndof, nsamples)."""
        return -error if self.kind == "nep" else 1j * error.conj()

    def force(self, right: np.ndarray) -> np.ndarray:
        """The force of the nudge that makes the device solve for this right-hand side."""
        return -self.phase * right

    def read(self, response: np.ndarray) -> np.ndarray:
        """z, of the change of the state that this nudge makes."""
        return response / self.phase

    def solve(
        self, right: np.ndarray, preconditioner: SharedPreconditioner | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the device answers to a weak nudge: z, and for which samples it was found."""
        options = {} if preconditioner is None else preconditioner.options
        tolerance = response_accuracy(right.shape, options, ALONE)
        response, solved = solve_linearised(
            self.linear, self.phase * right, tolerance, preconditioner
        )
        return self.read(response), solved

    def multiplier(self, z: np.ndarray) -> np.ndarray:
        """l of z."""
        return -1j * z.conj() if self.kind == "nep" else z

    def difference(self, z: np.ndarray) -> np.ndarray:
        """(T - D) z in weak form: local, and known without any measurement."""
        image = np.zeros_like(z) if self._reversed is None else self._reversed @ z
        direct, conjugate = self._local
        if direct is None and conjugate is None:
            return image
        space = self.linear.space
        values = space.evaluate(z)
        local = np.zeros_like(values)
        if direct is not None:
            local += times(direct, values)
        if conjugate is not None:
            local += times(conjugate, values.conj())
        return image + space.integrate(local)

    @cached_property
    def _reversed(self) -> sp.csr_array | np.ndarray | None:
        """H^* - H, where the loss is reversed."""
        if self.kind != "nep":
            return None
        reversed_loss: sp.csr_array | np.ndarray = -2j * self.linear.linear_part.fastest.imag
        return reversed_loss

    @cached_property
    def _local(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The differences of a and of b at the quadrature points; None where they vanish."""
        if self.linear.direct is None or self.wanted.direct is None:
            return None, None
        assert self.linear.conjugate is not None
        assert self.wanted.conjugate is not None
        direct = self.wanted.direct - self.linear.direct
        conjugate = self.wanted.conjugate - self.linear.conjugate / self.phase**2
        return (direct if direct.any() else None), (conjugate if conjugate.any() else None)


def wave_frame(equation: Equation, kind: str, free: np.ndarray) -> WaveFrame:
    """The frame of a kind at a free state of shape (ndof, nsamples)."""
    linear, phase = equation.linearise(free), np.ones(1, dtype=complex)
    wanted = linear.with_reversed_loss() if kind == "nep" else linear.transposed()
    if kind == "reciprocal" and linear.conjugate is not None:
        phase = _matched(linear)
    return WaveFrame(kind, linear, wanted, phase, equation.space.norm_weight)


def _matched(linear: Linearisation) -> np.ndarray:
    """``exp(i chi)`` of the phase-matched nudge, (nsamples,); 1 where there is nothing to match."""
    b = linear.conjugate
    assert b is not None
    squared = b**2 if b.ndim == 2 else np.einsum("ijqs,jiqs->qs", b, b)
    return half_phase(-linear.space.w[: len(squared)] @ squared)  # components share their points
