"""Costs and outputs of a system on a set of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nepfield.keys import Keys
from nepfield.learning.costs import Cost
from nepfield.learning.gradients import checked_samples
from nepfield.reprs import Described, counted
from nepfield.steady.steady import Steady
from nepfield.systems.system import System


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
    steady = system.equilibrate(inputs, None, initial, keys, **options)
    good = steady.converged
    outputs = np.where(good[:, None], cost.readout.outputs(steady.state), np.nan)
    if not good.any():
        return Evaluation(np.nan, outputs, {}, steady)
    costs = cost.value(cost.readout.signals(steady.state[..., good]), targets[good].T)
    return Evaluation(
        float(costs.mean()), outputs, cost.metrics(outputs[good], targets[good]), steady
    )
