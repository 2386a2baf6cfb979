"""A batch in parts, each estimated somewhere else, and added up.

Splitting a batch changes nothing: what samples share is made of the whole batch before
(`System.reference`, where a system has it), random numbers belong to samples, and sums are made of
the same portions. Of waves whose samples all have their states not a bit changes, of all else no
more than rounding and the solver's tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from nepfield.fields.parameters import Values
from nepfield.keys import Keys
from nepfield.learning.costs import Cost
from nepfield.learning.gradients import Gradient, estimate, portion_of
from nepfield.steady.batches.choice import LEAST
from nepfield.systems.system import System, trained

Estimator = Callable[..., Gradient]
"""`nepfield.learning.gradients.estimate`, or what does the same elsewhere."""


class Part(NamedTuple):
    """What `estimate` is given for some of the samples of a batch, beside system and cost."""

    values: Values
    inputs: np.ndarray
    targets: np.ndarray
    rule: str
    beta: float
    options: Mapping[str, Any]

    def estimate(self, system: System, cost: Cost) -> Gradient:
        """The gradient of these samples; the system may have other values of its parameters."""
        return estimate(
            system.with_parameters(self.values),
            cost,
            self.inputs,
            self.targets,
            self.rule,
            self.beta,
            **self.options,
        )


class InParts:
    """`estimate` in parts.

    Parameters
    ----------
    run : callable
        ``run(system, cost, parts)`` gives the gradient of each part (`Part.estimate`).
    most : int
        Parts of a batch.
    """

    def __init__(
        self, run: Callable[[System, Cost, list[Part]], list[Gradient]], most: int
    ) -> None:
        self._run, self._most = run, most

    def __call__(
        self,
        system: System,
        cost: Cost,
        inputs: np.ndarray,
        targets: np.ndarray,
        rule: str,
        beta: float,
        *,
        keys: Keys | None = None,
        initial: np.ndarray | None = None,
        **options: Any,
    ) -> Gradient:
        """As `estimate`."""
        count, portion = len(inputs), portion_of(len(inputs))
        firsts = np.arange(0, count, portion)
        most, ask = min(self._most, len(firsts)), getattr(system, "reference", None)
        shared: dict[str, Any] = {"portion": portion}
        if ask is not None:
            # in smaller parts they would be solved another way
            while most > 1 and count - np.array_split(firsts, most)[-1][0] < LEAST:
                most -= 1
            if most > 1:
                shared["reference"] = ask(inputs, initial, **options)
                most = most if shared["reference"] is not None else 1
        if most < 2:
            return estimate(
                system, cost, inputs, targets, rule, beta, keys=keys, initial=initial, **options
            )
        values = {name: parameter.values for name, parameter in trained(system).items()}
        ends = [*(share[0] for share in np.array_split(firsts, most)), count]
        parts = [
            Part(
                values,
                inputs[chosen],
                targets[chosen],
                rule,
                beta,
                options
                | shared
                | {
                    "keys": keys and keys[chosen],
                    "initial": None if initial is None else initial[..., chosen],
                },
            )
            for chosen in (slice(first, end) for first, end in pairwise(ends))
        ]
        return reduce(lambda first, second: first + second, self._run(system, cost, parts))
