"""One pass through the training samples: a gradient a batch, and a step of the optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nepfield.fields.parameters import Values
from nepfield.keys import Keys
from nepfield.learning.costs import Cost
from nepfield.learning.gradients import Gradient
from nepfield.learning.optimizers import Optimizer
from nepfield.learning.parts import Estimator
from nepfield.learning.record import EpochRecord
from nepfield.learning.sampling import batches, class_batches, occurrences
from nepfield.learning.schedules import Schedule
from nepfield.steady.steady import NotConverged, Steady
from nepfield.systems.system import System, trained

Keep = Callable[[np.ndarray | None, Steady, np.ndarray], np.ndarray | None]
"""``keep(warm, steady, samples)``: where the next epoch starts, as `WarmStarts.keep` has it."""


@dataclass(frozen=True, eq=False)
class Pass:
    """What all epochs of a training have in common; see `nepfield.learning.training.train`.

    Attributes
    ----------
    inputs, targets : ndarray, shape (nsamples, ...)
    classes : ndarray of int, shape (nsamples,), or None
        Of the samples, where an epoch takes `per_class` of each.
    options : dict
        Of `estimate`: corrections, and those of the solver.
    """

    cost: Cost
    inputs: np.ndarray
    targets: np.ndarray
    optimizer: Optimizer
    estimate: Estimator
    rule: str
    beta: float
    seed: int
    batch: int | None
    shuffle: bool
    per_class: int | None
    classes: np.ndarray | None
    starts: int
    schedule: Schedule | None
    options: Mapping[str, Any]

    def take(
        self,
        system: System,
        epoch: int,
        memory: Values,
        warm: np.ndarray | None,
        random: np.random.Generator,
        record: EpochRecord,
        keep: Keep | None,
    ) -> tuple[System, Values, np.ndarray | None]:
        """Take every batch of an epoch.

        Parameters
        ----------
        system : System
            With the parameters before it.
        epoch : int
            Its number, from 1.
        memory : dict of ndarray
            Of the optimiser.
        warm : ndarray, shape (..., nsamples), or None
            Where the states begin.
        random : Generator
            Draws the order of the samples.
        record : EpochRecord
            Takes in what is found.
        keep : callable or None
            Keeps states as warm starts.

        Returns
        -------
        system, memory, warm
            After it.

        Raises
        ------
        NotConverged
            If not one sample has a steady state.
        """
        found: Gradient | None = None
        for samples, keys in self._batches(epoch, random):
            inputs, targets = self.inputs[samples], self.targets[samples]
            found = self.estimate(
                system,
                self.cost,
                inputs,
                targets,
                self.rule,
                self.beta,
                keys=keys,
                initial=None if warm is None else np.asarray(warm[..., samples]),
                **self.options,
            )
            record.add(system, found, inputs, targets)
            if keep is not None:
                warm = keep(warm, found.steady, samples)
            if found.count:
                system, memory = self._step(system, epoch, found, memory)
        if record.used == 0 and found is not None:
            free = found.steady.converged
            if free.any():
                raise NotConverged(
                    f"epoch {epoch}: the free states are there, but not one sample has the nudged "
                    f"states or the response that {self.rule} asks for: nudge by less "
                    "(training.beta), or try more loss or weaker pumps.",
                    found.steady,
                )
            raise NotConverged(
                f"epoch {epoch}: not one sample has a steady state ({found.steady.reason[0]}) "
                "Bound what is trained, lower the rates, start nearer to a working point, or raise "
                "solver.max_iterations.",
                found.steady,
            )
        return system, memory, warm

    def _batches(
        self, epoch: int, random: np.random.Generator
    ) -> Iterator[tuple[np.ndarray, Keys]]:
        """Samples of each batch, each as often as it has starts, with their random numbers."""
        if self.classes is None or self.per_class is None:
            count = len(self.inputs)
            drawn = batches(random, count, self.batch or count, self.shuffle)
            again: list[Any] = [0] * len(drawn)
        else:
            drawn = class_batches(random, self.classes, self.per_class, self.batch)
            again = occurrences(drawn)  # a sample that is drawn again starts somewhere else
        for chosen, before in zip(drawn, again, strict=True):
            if self.starts == 1:
                yield chosen, Keys(self.seed, epoch, chosen, before)
                continue
            many = np.tile(chosen, self.starts)
            start = np.arange(self.starts)[:, None]
            start = start + self.starts * np.broadcast_to(before, chosen.shape)
            yield many, Keys(self.seed, epoch, many, start.ravel())

    def _step(
        self, system: System, epoch: int, found: Gradient, memory: Values
    ) -> tuple[System, Values]:
        """A step of the optimiser, times what the schedule says."""
        values = {name: p.values for name, p in trained(system).items()}
        moved, memory = self.optimizer.step(values, found.fields, memory)
        if self.schedule is not None:
            factor = self.schedule.factor(epoch)
            moved = {name: v + factor * (moved[name] - v) for name, v in values.items()}
        return system.with_parameters(moved), memory
