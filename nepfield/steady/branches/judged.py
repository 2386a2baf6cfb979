"""How stable a point of a branch is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nepfield.steady.branches.neutral import Singular
from nepfield.steady.equation import Equation
from nepfield.steady.stability.certificate import stability
from nepfield.steady.stability.eigenvalues import DIRECT
from nepfield.steady.stability.fluctuations import Fluctuations
from nepfield.steady.stability.pointwise import growth_bound
from nepfield.steady.steady import Steady

_ROUNDING = 1e-9
_TURNS = 1e-9  # of the largest rate: below it a mode does not turn


@dataclass(frozen=True, eq=False)
class Judged:
    """What becomes of small fluctuations around a point.

    Attributes
    ----------
    growth : float
        Of the fastest one, or a bound from above.
    frequency : float
        At which it turns; 0 where it leaves along a line.
    stability : str
        As `nepfield.steady.stability.certificate.Stability` has it.
    bound : bool
        Whether the growth is a bound: of large systems where their coefficients prove them stable.
    """

    growth: float = np.nan
    frequency: float = np.nan
    stability: str = "unknown"
    bound: bool = False

    @property
    def turns(self) -> bool:
        """Whether the fastest fluctuation oscillates."""
        return self.frequency > 0


def judge(equation: Equation, state: np.ndarray, neutral: Singular) -> Judged:
    """Judge one state.

    Up to 250 unknowns all eigenvalues are computed, and those of neutral modes left out; larger
    systems are judged by `nepfield.stability`.
    """
    column = state[:, None]
    if len(state) > DIRECT:
        one = np.ones(1)
        steady = Steady(column, one.astype(bool), 0 * one, one.astype(int), ("converged",))
        found = stability(equation, steady)
        growth, frequency = float(found.growth[0]), float(found.frequency[0])
        word = str(found.stability[0])
        bound = word == "proved" and growth == found.bound[0]
        return Judged(growth, 0.0 if np.isnan(frequency) else frequency, word, bound)
    linear = equation.linearise(column)
    rates = np.linalg.eigvals(Fluctuations.of_sample(linear, 0).dense())
    scale = float(np.abs(rates).max())
    rates = rates[np.argsort(np.abs(rates))][len(neutral) :]
    top = rates[np.argmax(rates.real)]
    coupling = 0.0 if linear.conjugate is None else float(np.abs(linear.conjugate).max())
    uncertain = _ROUNDING * max(abs(top), coupling)
    turning = abs(top.imag) if abs(top.imag) > _TURNS * scale else 0.0
    if growth_bound(linear)[0] < 0:
        word = "proved"
    elif top.real > uncertain:
        word = "unstable"
    else:
        word = "stable" if top.real < -uncertain else "unknown"
    return Judged(float(top.real), turning, word)
