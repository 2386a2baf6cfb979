"""Collects the figures of one epoch, batch by batch: a row of the history."""

from __future__ import annotations

from typing import Any

import numpy as np

from nepfield.learning.costs import Cost
from nepfield.learning.gradients import Gradient, estimate, inner_product
from nepfield.learning.rules import EXACT
from nepfield.learning.state import HistoryRow
from nepfield.space.arrays import columns_of
from nepfield.systems.system import MOST_CERTIFIED, Figures, System, certify

MOST_FIGURED = 1000
"""Samples of an epoch, about, that `System.figures` looks at: those of the first batches."""


class EpochRecord:
    """Sums of what is written about an epoch.

    Parameters
    ----------
    cost : Cost
    compare : bool
        Whether each estimate is held against the exact gradient.
    options : dict
        Of the solver.
    """

    def __init__(self, cost: Cost, compare: bool, options: dict[str, Any]) -> None:
        self._cost, self._compare, self._options = cost, compare, options
        self._samples = self.used = self._certified = 0
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._outputs: list[np.ndarray] = []
        self._targets: list[np.ndarray] = []
        self._products = np.zeros(3)  # estimate.exact, |estimate|^2, |exact|^2

    def add(self, system: System, found: Gradient, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Take in one batch."""
        used, count = found.used, found.count
        self._samples += len(used)
        self.used += count
        if not count:
            return
        chosen = columns_of(used)
        self._outputs.append(found.outputs[chosen])
        self._targets.append(targets[chosen])
        self._take("cost", count * found.cost, count)
        steady, response = found.steady, found.response
        if count < len(used):
            steady = steady.samples(used)
            if response is not None:
                response = response[..., used[found.steady.converged]]
        figures: Figures = {}
        if self.used - count < MOST_FIGURED:
            figures = system.figures(steady, inputs[chosen], response)
        if self._compare and self._certified < MOST_CERTIFIED:
            certificate = certify(system, steady, MOST_CERTIFIED - self._certified)
            self._certified += count
            figures |= {} if certificate is None else {"unstable": certificate.unstable}
        for name, values in figures.items():
            known = np.isfinite(values)
            self._take(name, float(values[known].sum()), int(np.count_nonzero(known)))
        if found.errors is not None and np.isfinite(error := found.error):
            self._take("gradient_error", count * error, count)
        if found.measurements is not None:
            self._take("measurements", float(found.measurements[chosen].sum()), count)
        for name, derivative in found.params.items():
            square = np.vdot(derivative, found.fields[name]).real
            self._take(f"gradient_norm_{name}", count * float(np.sqrt(square)), count)
        if self._compare:
            exact = estimate(
                system, self._cost, inputs[chosen], targets[chosen], EXACT, 1.0,
                steady=steady, **self._options,
            )  # fmt: skip
            if exact.count < count:  # nothing to hold these samples against
                return
            self._products += count * np.array(
                [
                    inner_product(system, found.params, exact.params),
                    inner_product(system, found.params, found.params),
                    inner_product(system, exact.params, exact.params),
                ]
            )

    def _take(self, name: str, total: float, count: int) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + total
        self._counts[name] = self._counts.get(name, 0) + count

    def row(self, epoch: int, exact: bool) -> HistoryRow:
        """The epoch's row of the history; with a cosine where there is an exact gradient."""
        means = {
            name: total / self._counts[name] if self._counts[name] else np.nan
            for name, total in self._sums.items()
        }
        row: HistoryRow = {
            "epoch": epoch,
            "cost": means.pop("cost"),
            **self._cost.metrics(np.concatenate(self._outputs), np.concatenate(self._targets)),
            **means,
        }
        if exact:
            product, first, second = self._products
            known = first > 0 and second > 0
            row["gradient_cosine"] = float(product / np.sqrt(first * second)) if known else np.nan
        row["fraction_converged"] = self.used / self._samples
        return row
