"""How far a state is from the near-equilibrium conditions under which NEP is exact.

dkappa(r)/dPsibar(s) = dkappa(s)/dPsibar(r)                 nep (9), holds for every local f
dkappa(r)/dPsi(s)    = -conj(dkappa(s)/dPsi(r))             nep (9), (20): violated by loss
f + Psi df/dPsi real                                        nep (24)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nepfield.systems.gpe import GPE, density


@dataclass(frozen=True)
class NearEquilibrium:
    """How near to equilibrium a state is; NEP is exact where `loss` and `response` vanish.

    Attributes
    ----------
    loss : ndarray, shape (nsamples,)
        Violation of conditions (9)/(20): norm of the anti-Hermitian part of ``H + a`` applied to
        Psi over the norm of ``(H + a) Psi``. 0 is a conservative response, 1 a resonant one, in
        which the drive balances nothing but loss.
    response : ndarray, shape (nsamples,)
        Violation of condition (24): norm of ``Im(f + n f') Psi`` over that of ``(f + n f') Psi``.
    nonlinearity_ratio : ndarray, shape (nsamples,)
        Mean over the domain of ``|f(n) - f(0)| / gamma``; for density response <g n>/gamma.
    """

    loss: np.ndarray
    response: np.ndarray
    nonlinearity_ratio: np.ndarray


def near_equilibrium(system: GPE, state: np.ndarray) -> NearEquilibrium:
    """Measure the near-equilibrium conditions (9), (20) and (24) in a steady state.

    Parameters
    ----------
    system : GPE
    state : ndarray, shape (ndof, nsamples)

    Returns
    -------
    NearEquilibrium
    """
    space = system.space
    zeros = np.zeros(state.shape[1])
    linear = system.linearise(state)
    direct = np.zeros((1, 1)) if linear.direct is None else linear.direct
    values = space.evaluate(state)
    # H is complex symmetric, so its anti-Hermitian part is i times its imaginary part.
    operator = system.fastest_operator
    dissipative = operator.imag @ state + space.integrate(direct.imag * values)
    response = operator @ state + space.integrate(direct * values)
    loss = _ratio(space.norm(dissipative), space.norm(response))
    if system.nonlinearity is None:
        return NearEquilibrium(loss, zeros, zeros)
    weight = space.w[:, None]

    def l2(field: np.ndarray) -> np.ndarray:
        return np.sqrt(np.sum(weight * np.abs(field) ** 2, axis=0))

    n = density(values)
    shift = system.nonlinearity.f(n) - system.nonlinearity.f(np.zeros_like(n))
    mean_shift = np.sum(weight * np.abs(shift), axis=0) / space.w.sum()
    return NearEquilibrium(
        loss=loss,
        response=_ratio(l2(direct.imag * values), l2(direct * values)),
        nonlinearity_ratio=_ratio(mean_shift, np.full(len(zeros), system.loss)),
    )


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient that is 0 where the numerator is."""
    safe = np.where(numerator == 0, 1.0, denominator)
    with np.errstate(divide="ignore"):
        return numerator / safe
