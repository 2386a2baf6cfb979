"""What every wave equation shares: equilibrating, the exact gradient, rules and advice.

With ``kappa' d = A d + B conj(d)`` at the free state, A = -i (H + a), B = -i b, c = dC/dPsibar::

    nep-linear   A d + B conj(d) = i c                      (H + a) d + b conj(d)    = -c
    reciprocal   A l + exp(-2 i chi) B conj(l) = conj(c)    (H + a) l + b' conj(l)   = i conj(c)
    adjoint      A^T l + conj(B)^T conj(l) = conj(c)        (H + a) l - conj(b l)    = i conj(c)

with ``b' = exp(-2 i chi) b``: the response read in the phase of its nudge
(`nepfield.systems.frames`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nepfield.steady.batches.choice import Reference, in_blocks, response_accuracy
from nepfield.steady.equation import Equation
from nepfield.steady.linear import ALONE, solve_linearised
from nepfield.steady.linearisation import Linearisation
from nepfield.steady.prefer import find_preferred
from nepfield.steady.stability.pointwise import growth_bound
from nepfield.steady.steady import Steady
from nepfield.systems.system import Push

RULES = ("nep", "nep-symmetric", "nep-linear", "reciprocal", "reciprocal-symmetric", "adjoint")
"""Learning rules for waves: contrasts of steady states, linear responses, the exact gradient."""

PUBLISHED = ("scattering-backpropagation", "asym-ep", "dyadic-ep", "holomorphic-ep")
"""Rules of others for waves with a local response (`nepfield.learning.published`)."""

FIGURE_LABELS = {
    "nonlinearity_ratio": r"mean $|f(n)-f(0)|/\gamma$",
    "loss_ratio": "loss ratio",
    "nudge_loss": "loss of nudge",
    "unstable": "",
}


def equilibrate(
    equation: Equation,
    drive: np.ndarray,
    nudge: Push | None = None,
    initial: np.ndarray | None = None,
    **options: Any,
) -> Steady:
    """Steady states of a wave equation; a nudge adds the drive ``-i beta dC/dPsibar``, nep (3).

    The force of a nudge is that at the free state: a laser of fixed amplitude, a quarter period out
    of phase with the pumps. Samples whose `initial` is nan start from the vacuum.
    """
    push = free = None
    if nudge is not None:
        free = nudge.free
        with np.errstate(invalid="ignore"):  # what is not finite is refused below
            push = -1j * nudge.force(drive if free is None else free)
    return find_preferred(equation, drive, push=push, free=free, initial=_known(initial), **options)


def _known(initial: np.ndarray | None) -> np.ndarray | None:
    """Starts in which those that are nan are the vacuum."""
    if initial is None or not np.count_nonzero(unknown := np.isnan(initial[0])):
        return initial
    return np.where(unknown, 0.0, initial)


def reference(
    equation: Equation, drive: np.ndarray, initial: np.ndarray | None, options: Mapping[str, Any]
) -> Reference | None:
    """What parts of a batch have to share so that splitting it changes nothing; None where it is
    too small to be split."""
    if options.get("method", "newton") != "newton" or not in_blocks(drive.shape):
        return None
    from nepfield.steady.batches.states import reference_of  # Numba takes half a second to load

    start = _known(initial)
    if start is None:
        start = np.zeros(drive.shape, complex)
    return reference_of(equation, drive.astype(complex), start)


def exact_multiplier(
    equation: Equation, free: np.ndarray, nudge: Push
) -> tuple[np.ndarray, np.ndarray]:
    """l of ``-2 Re int l dkappa/dtheta``, nep (8), for the exact gradient.

    Parameters
    ----------
    equation : Equation
    free : ndarray, shape (ndof, nsamples)
    nudge : Push
        Its force at the free state is c.

    Returns
    -------
    multiplier : ndarray, shape (ndof, nsamples)
    solved : ndarray of bool, shape (nsamples,)
    """
    error, linear = nudge.force(free), equation.linearise(free)
    tolerance = response_accuracy(error.shape, getattr(nudge, "solver", {}), ALONE)
    return solve_linearised(linear.transposed(), 1j * error.conj(), tolerance)


def unstable(linear: Linearisation, count: int) -> np.ndarray:
    """0 for states that their coefficients alone prove stable, nan for others, (nsamples,)."""
    said = np.where(growth_bound(linear) < 0, 0.0, np.nan)
    return said if len(said) == count else np.repeat(said, count)


def advice(history: Sequence[Mapping[str, float]], summary: Mapping[str, Any]) -> list[str]:
    """What to change where a training went wrong, by its verdict (`nepfield.learning.verdict`)."""
    verdict, rule = summary.get("verdict"), str(summary.get("rule"))
    if verdict == "gradient" and rule.startswith("reciprocal"):
        return [
            f"the gradient of {rule} is not to be trusted since epoch "
            f"{summary.get('untrusted_since')}: the nonlinearity is too strong for it. Set "
            'training.corrections = 1 or more, or training.rule = "adjoint", or take weaker pumps'
        ]
    if verdict == "gradient" and rule != "adjoint":
        return [
            f"the gradient of {rule} is not to be trusted since epoch "
            f"{summary.get('untrusted_since')}: loss is too strong for it. Set training.rule = "
            '"reciprocal" or "adjoint", training.corrections = 3 or more, lower physics.loss, or '
            "raise the lower bound of V (potential.bounds) until the drive stays below the lowest "
            "mode"
        ]
    if verdict == "dark":
        return _lighter(summary)
    if missing := len(summary.get("not_converged", ())) if verdict == "unstable" else 0:
        return [
            f"{missing} of the samples have no steady state that a device would keep, and so no "
            "gradient: begin where they have one, with smaller rates, more loss, weaker pumps, or "
            "a lower bound of V so high that the drive is below all modes"
        ]
    if verdict in ("unstable", "unreachable"):
        return [
            'set solver.prefer = "stable" and training.warm_start = false, so that training uses '
            "the states that a switch-on reaches; or take more loss, weaker pumps, or a lower "
            "bound of V so high that the drive is below all modes"
        ]
    return []


def _lighter(summary: Mapping[str, Any]) -> list[str]:
    """How to get light to a readout that stays dark."""
    outputs = np.abs(np.asarray(summary["outputs"], dtype=float))
    targets = np.abs(np.asarray(summary["targets"], dtype=float))
    largest = np.nanmax(outputs, axis=0, initial=0.0)
    wanted = targets.max(axis=0, initial=0.0)
    worst = int(np.argmin(largest / np.where(wanted > 0, wanted, np.inf)))
    factor = np.sqrt(wanted[worst] / max(largest[worst], 1e-300))
    stronger = f"pumps {factor:.2g} times as strong (intensity goes with the square)"
    return [
        f"output {worst} is dark, {largest[worst]:.2g} at most where {wanted[worst]:.3g} is "
        "wanted: let the wave travel, by bounds and starting values of V so low that a mode comes "
        "to the drive (nepfield check tells the lowest level), and train it by training.rule = "
        f'"reciprocal"; or take {stronger}'
    ]
