"""How far a state is from the near-equilibrium conditions under which NEP is exact.

dkappa(r)/dPsibar(s) = dkappa(s)/dPsibar(r)                 nep (9), holds for every local f
dkappa(r)/dPsi(s)    = -conj(dkappa(s)/dPsi(r))             nep (9), (20): violated by loss
f + Psi df/dPsi real                                        nep (24)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nepfield.reprs import Described
from nepfield.space.arrays import squared_magnitude
from nepfield.steady.equation import Equation
from nepfield.steady.linearisation import Linearisation
from nepfield.systems.nonlinearity import Nonlinearity


class LocalWave(Equation, Protocol):
    """A wave with a local response to its density and uniform loss, such as `GPE`."""

    @property
    def nonlinearity(self) -> Nonlinearity | None: ...
    @property
    def loss(self) -> float: ...


@dataclass(frozen=True)
class NearEquilibrium(Described):
    """How near to equilibrium a state is; NEP is exact where `loss` and `response` vanish.

    Attributes
    ----------
    loss : ndarray, shape (nsamples,)
        Violation of conditions (9)/(20): norm of the anti-Hermitian part of ``H + a`` applied to
        Psi over the norm of ``(H + a) Psi``. 0 is a conservative response, 1 a resonant one, in
        which the drive balances nothing but loss. A statement about the state alone: where the
        nonlinear shift is several times the loss, `nudge_loss` foretells the bias of NEP better.
    response : ndarray, shape (nsamples,)
        Violation of condition (24): norm of ``Im(f + n f') Psi`` over that of ``(f + n f') Psi``.
    nonlinearity_ratio : ndarray, shape (nsamples,)
        Mean over the domain of ``|f(n) - f(0)| / gamma``; for density response <g n>/gamma.
    """

    loss: np.ndarray
    response: np.ndarray
    nonlinearity_ratio: np.ndarray


def near_equilibrium(
    system: LocalWave, state: np.ndarray, linear: Linearisation | None = None
) -> NearEquilibrium:
    """Measure the near-equilibrium conditions (9), (20) and (24) in a steady state.

    Parameters
    ----------
    system : GPE
    state : ndarray, shape (ndof, nsamples)
    linear : Linearisation, optional
        At this state, where the caller has it already.

    Returns
    -------
    NearEquilibrium
    """
    space = system.space
    zeros = np.zeros(state.shape[1])
    # H is complex symmetric, so its anti-Hermitian part is i times its imaginary part.
    operator = system.linear_part.fastest
    dissipative, response = operator.imag @ state, operator @ state
    if system.nonlinearity is None:
        loss = _ratio(space.residual_norm(dissipative), space.residual_norm(response))
        return NearEquilibrium(loss, zeros, zeros)
    local = system.local(state)
    values, _, shifted = local
    direct = (linear or system.linearise(state, local)).direct
    assert direct is not None
    reaction = direct * values
    response = response + space.integrate(reaction)
    violation = zeros
    if np.iscomplexobj(direct):
        dissipated = direct.imag * values
        dissipative = dissipative + space.integrate(dissipated)
        violation = _ratio(
            np.sqrt(space.w @ squared_magnitude(dissipated)),
            np.sqrt(space.w @ squared_magnitude(reaction)),
        )
    shift = shifted - system.nonlinearity.f(np.zeros(1))
    mean_shift = space.w @ np.abs(shift) / space.w.sum()
    return NearEquilibrium(
        loss=_ratio(space.residual_norm(dissipative), space.residual_norm(response)),
        response=violation,
        nonlinearity_ratio=_ratio(mean_shift, system.loss),
    )


def nudge_loss(system: Equation, state: np.ndarray, response: np.ndarray) -> float:
    """Share of the nudge that is balanced by loss: the best forecast of the bias of NEP.

    NEP is biased because its nudge meets loss where the exact gradient would need gain. This is the
    violation of conditions (9)/(20) in the response d to the nudge, over all samples of a batch,

        ||Im(H + a) d|| / ||(H + a) d + b conj(d)||

    0 without loss, about 1 where the nudge drives a resonance. It needs no exact gradient and, in
    an experiment, nothing but the two states that NEP compares, the loss and the strength of the
    nudge. In studies/near-equilibrium-atlas the cosine to the exact gradient is above 0.9 in 99 %
    of the cases in which it is below 0.05; below 0.1 in 98 % on a lattice and in 92 % on a mesh.

    Parameters
    ----------
    system : Equation
        A wave, such as `GPE`.
    state : ndarray, shape (ndof, nsamples)
        The free steady state.
    response : ndarray, shape (ndof, nsamples)
        Nudged minus free steady state of a weak nudge; its scale does not matter.

    Returns
    -------
    float
        At least 0, rarely above 1; nan if there is no response.
    """
    dissipated, nudge = _nudge_norms(system, state, response)
    total = np.linalg.norm(nudge)
    return float(np.linalg.norm(dissipated) / total) if total > 0 else np.nan


def nudge_losses(system: Equation, state: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The same for each sample alone, shape (nsamples,); nan where there is no response."""
    dissipated, nudge = _nudge_norms(system, state, response)
    return np.divide(dissipated, nudge, out=np.full(len(nudge), np.nan), where=nudge > 0)


def _nudge_norms(
    system: Equation, state: np.ndarray, response: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Norms of what loss takes of a response and of all that balances the nudge, (nsamples,)."""
    space, linear = system.space, system.linearise(state)
    dissipative = system.linear_part.fastest.imag @ response
    if linear.direct is not None and np.iscomplexobj(linear.direct):
        dissipative = dissipative + space.integrate(linear.direct.imag * space.evaluate(response))
    return space.residual_norm(dissipative), space.residual_norm(linear.apply(response))


def _ratio(numerator: np.ndarray, denominator: np.ndarray | float) -> np.ndarray:
    """Quotient that is 0 where the numerator is, and infinite where only the denominator is 0."""
    with np.errstate(divide="ignore"):
        return numerator / np.where(numerator > 0, denominator, 1.0)
