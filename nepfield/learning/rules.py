"""Learning rules: how the gradient of a cost is estimated, as plain functions in one dict.

    nep, ep                         contrast of the observables between equilibria at 0 and beta
    nep-symmetric, ep-symmetric     the same between -beta and +beta
    nep-linear                      the limit of both for beta -> 0, by one linear response
    reciprocal                      the response to a phase-conjugated nudge, in its limit
    reciprocal-symmetric            the same between -beta and +beta
    adjoint                         the exact gradient

nep (8), (11), (12); xy (7), (8); qep (16), (35), (38). Rules of waves can be corrected by more
measurements until they are exact (`nepfield.learning.corrections`). What the exact gradient is, a
system knows (`nepfield.systems.wave` for waves). Rules of others, for waves, are in
`nepfield.learning.published`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nepfield.keys import Keys
from nepfield.learning.corrections import READINGS, corrected
from nepfield.learning.estimates import Estimate, Rule
from nepfield.learning.nudge import Nudge
from nepfield.learning.published import PUBLISHED
from nepfield.systems.system import System


def contrast(*signs: int) -> Rule:
    """The rule that subtracts the observables at two nudges, ``signs`` times beta."""

    def rule(
        system: System,
        free: np.ndarray,
        nudge: Nudge,
        inputs: np.ndarray,
        beta: float,
        keys: Keys | None,
        options: Mapping[str, Any],
    ) -> Estimate:
        observed, solved, state = [], np.full(free.shape[-1], True), free
        betas = [np.full(free.shape[-1], sign * beta) for sign in signs]
        for k, sign in enumerate(signs):
            state = free
            if sign:
                push = replace(nudge, beta=sign * beta)
                nudged = system.equilibrate(
                    inputs, push, free, keys and keys.fold(f"nudged {sign}"), **options
                )
                state, found = nudged.state, nudged.converged
                if push.beta < 0 and push.branch(free) is not None:
                    # away from the target there may be no state at all: one side alone is measured
                    state, betas[k] = np.where(found, state, free), np.where(found, betas[k], 0.0)
                else:
                    solved &= found
            observed.append(
                system.observables(state, inputs, free, keys and keys.fold(f"observed {sign}"))
            )
        span = betas[1] - betas[0]
        first, second = observed
        columns = {name: second[name] - first[name] for name in first}
        for column in columns.values():
            column /= span  # in place: of many samples and parameters these arrays are large
        return Estimate(columns, solved, state - free)

    return rule


def response(kind: str) -> Rule:
    """The rule that asks a system for its response of a kind."""

    def rule(
        system: System,
        free: np.ndarray,
        nudge: Nudge,
        inputs: np.ndarray,
        beta: float,
        keys: Keys | None,
        options: Mapping[str, Any],
    ) -> Estimate:
        return Estimate(*system.respond(kind, free, nudge, inputs))

    return rule


RULES: dict[str, Rule] = {
    "nep": contrast(0, 1),
    "nep-symmetric": contrast(-1, 1),
    "ep": contrast(0, 1),
    "ep-symmetric": contrast(-1, 1),
    "nep-linear": corrected(READINGS["nep-linear"]),
    "reciprocal": corrected(READINGS["reciprocal"]),
    "reciprocal-symmetric": corrected(READINGS["reciprocal-symmetric"]),
    "adjoint": response("adjoint"),
    **PUBLISHED,
}
"""Every rule by its name; `nepfield.systems.system.admitted` says which of them a system admits."""

EXACT = "adjoint"
"""The rule that others are held against."""


def rule_of(name: str, corrections: int = 0, tolerance: float | None = None) -> Rule:
    """A rule by its name, corrected by more measurements where that is wanted
    (`nepfield.learning.corrections`)."""
    if corrections or tolerance is not None:
        return corrected(READINGS[name], corrections, tolerance)
    return RULES[name]
