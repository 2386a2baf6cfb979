"""What a learning rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from nepfield.fields.parameters import Values
from nepfield.keys import Keys
from nepfield.learning.nudge import Nudge
from nepfield.systems.system import System


class Estimate(NamedTuple):
    """What a rule finds.

    Attributes
    ----------
    columns : dict of str to ndarray, shape (n, nsamples)
        Derivatives of each sample's cost by each trained parameter.
    solved : ndarray of bool, shape (nsamples,)
        Samples whose nudged states or responses were found.
    response : ndarray or None
        Nudged minus free state, where the rule has one.
    error : ndarray, shape (nsamples,), or None
        What the rule itself says each sample's derivatives are wrong by, as an L2 norm; nan where
        it cannot tell.
    measurements : ndarray of int, shape (nsamples,), or None
        Steady states that it measured beside the free one, where that differs among samples.
    """

    columns: Values
    solved: np.ndarray
    response: np.ndarray | None = None
    error: np.ndarray | None = None
    measurements: np.ndarray | None = None


Rule = Callable[
    [System, np.ndarray, Nudge, np.ndarray, float, Keys | None, Mapping[str, Any]], Estimate
]
"""(system, free state, nudge of strength 1, inputs, beta, keys, options of the solver)."""
