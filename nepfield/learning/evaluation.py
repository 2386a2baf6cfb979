"""Costs and outputs of a system on a set of samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nepfield.keys import Keys
from nepfield.learning.costs import Cost
from nepfield.learning.gradients import checked_samples
from nepfield.learning.warm import room
from nepfield.reprs import Described, counted
from nepfield.steady.steady import Steady, joined
from nepfield.systems.system import System

TOGETHER = 1024
"""Samples whose states are found at a time."""


@dataclass(frozen=True, eq=False)
class Evaluation(Described):
    """Costs and outputs of a system on a set of samples.

    Attributes
    ----------
    cost : float
        Mean over the samples that converged; nan if none did.
    outputs : ndarray, shape (nsamples, noutputs)
        What is read; nan where the steady state was not found.
    metrics : dict of float
        As `Cost.metrics`.
    steady : Steady
        Of many samples on a large domain the states lie in a temporary file, mapped to memory.
    """

    cost: float
    outputs: np.ndarray
    metrics: dict[str, float]
    steady: Steady

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return f"Evaluation: cost {self.cost:.6g} of {counted(len(self.outputs), 'sample')}", {
            **self.metrics,
            "outputs": self.outputs,
            "steady": self.steady,
        }


def evaluate(
    system: System,
    cost: Cost,
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    initial: np.ndarray | None = None,
    keys: Keys | None = None,
    **options: Any,
) -> Evaluation:
    """Cost and outputs of a system; samples that do not converge are left out and flagged.

    Parameters
    ----------
    system : System
    cost : Cost
    inputs : ndarray, shape (nsamples, ninputs)
    targets : ndarray, shape (nsamples, noutputs)
    initial, keys, **options
        As in `solve_steady`.
    """
    inputs, targets = checked_samples(system, cost, inputs, targets)
    steady = _equilibrated(system, inputs, initial, keys, options)
    good = steady.converged
    outputs = np.full((len(inputs), cost.readout.noutputs), np.nan)
    costs = np.full(len(inputs), np.nan)
    for piece in _pieces(len(inputs)):
        state = np.asarray(steady.state[..., piece])
        outputs[piece] = cost.readout.outputs(state)
        costs[piece] = cost.value(cost.readout.signals(state), targets[piece].T)
    outputs[~good] = np.nan
    if not good.any():
        return Evaluation(np.nan, outputs, {}, steady)
    return Evaluation(
        float(costs[good].mean()), outputs, cost.metrics(outputs[good], targets[good]), steady
    )


def _pieces(count: int) -> list[slice]:
    return [slice(first, first + TOGETHER) for first in range(0, count, TOGETHER)]


def _equilibrated(
    system: System,
    inputs: np.ndarray,
    initial: np.ndarray | None,
    keys: Keys | None,
    options: Mapping[str, Any],
) -> Steady:
    """Steady states of all samples, some at a time."""
    count = len(inputs)
    if count <= TOGETHER:
        return system.equilibrate(inputs, None, initial, keys, **options)
    found: list[Steady] = []
    states: np.ndarray | None = None
    for piece in _pieces(count):
        begin = None if initial is None else np.asarray(initial[..., piece])
        steady = system.equilibrate(inputs[piece], None, begin, keys and keys[piece], **options)
        if states is None:
            states = room((count, *steady.state.shape[:-1]), steady.state.dtype)
        states[..., piece] = steady.state
        found.append(replace(steady, state=states[..., :0]))
    assert states is not None
    return replace(joined(found), state=states)
