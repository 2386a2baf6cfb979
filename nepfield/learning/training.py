"""The training loop: samples, batches, epochs, and a checkpoint after each epoch.

Everything that the next epoch depends on is a `TrainingState`, which is saved whole and atomically;
a run that is killed at any moment and resumed gives the bit-identical result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np

from nepfield.errors import InputError
from nepfield.learning.costs import Cost
from nepfield.learning.gradients import Gradient, Params, checked_samples, gradient, inner_product
from nepfield.learning.optimizers import Optimizer
from nepfield.learning.state import HistoryRow, TrainingState
from nepfield.learning.tasks import Task
from nepfield.space.arrays import columns_of
from nepfield.steady.newton import SolverOptions, solve_steady
from nepfield.steady.steady import NotConverged, Steady
from nepfield.systems.gpe import GPE
from nepfield.systems.near_equilibrium import near_equilibrium

_LARGEST_WARM_START = 64 * 2**20  # bytes of states that are kept from one epoch to the next


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Costs and outputs of a system on a set of samples.

    Attributes
    ----------
    cost : float
        Mean over the samples that converged; nan if none did.
    outputs : ndarray, shape (nsamples, noutputs)
        Mean intensities over the output regions; nan where the steady state was not found.
    metrics : dict of float
        As `Cost.metrics`.
    steady : Steady
    """

    cost: float
    outputs: np.ndarray
    metrics: dict[str, float]
    steady: Steady


def evaluate(
    system: GPE,
    cost: Cost,
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    initial: np.ndarray | None = None,
    **solver: Unpack[SolverOptions],
) -> Evaluation:
    """Cost and outputs of a system; samples that do not converge are left out and flagged.

    Parameters
    ----------
    system : GPE
    cost : MSE or CCE
    inputs : ndarray, shape (nsamples, ninputs)
    targets : ndarray, shape (nsamples, noutputs)
    initial, **solver
        As in `solve_steady`.
    """
    inputs, targets = checked_samples(system, cost, inputs, targets)
    steady = solve_steady(system, inputs, initial=initial, on_failure="flag", **solver)
    good = steady.converged
    outputs = np.where(good[:, None], cost.readout.outputs(steady.state), np.nan)
    if not good.any():
        return Evaluation(np.nan, outputs, {}, steady)
    costs = cost.per_sample(steady.state[:, good], targets[good])
    return Evaluation(
        float(costs.mean()), outputs, cost.metrics(outputs[good], targets[good]), steady
    )


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What training leaves behind.

    Attributes
    ----------
    system : GPE
        With the trained parameters.
    history : list of dict
        A row an epoch: ``epoch``, ``cost`` (mean over the epoch, each batch before its step),
        metrics, ``gradient_norm_*`` (L2), ``gradient_cosine`` to the adjoint (nan where it was not
        compared), ``fraction_converged``, ``nonlinearity_ratio`` and ``loss_ratio`` (means of
        `near_equilibrium`).
    final : Evaluation
        Of the trained system on the training samples, after the last step.
    test : Evaluation or None
        On the test samples, if the task has any.
    """

    system: GPE
    history: list[HistoryRow]
    final: Evaluation
    test: Evaluation | None


def train(
    system: GPE,
    cost: Cost,
    task: Task,
    *,
    optimizer: Optimizer,
    rule: str = "nep",
    epochs: int = 100,
    batch: int | None = None,
    beta: float = 0.01,
    seed: int = 0,
    shuffle: bool = True,
    compare_every: int = 0,
    warm_start: bool = True,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[TrainingState], None] | None = None,
    **solver: Unpack[SolverOptions],
) -> TrainingResult:
    """Train the parameters of a system by a learning rule.

    Parameters
    ----------
    system : GPE
        With the starting parameters.
    cost : MSE or CCE
    task : Task
    optimizer : SGD, Momentum or Adam
    rule, beta
        As in `gradient`.
    epochs : int
        Passes through the training samples, those of a resumed run included.
    batch : int, optional
        Samples a step; by default all.
    seed : int
        Of the order of the samples.
    shuffle : bool
        Whether a new order is drawn for each epoch.
    compare_every : int
        Epochs between comparisons with the adjoint gradient; 0 compares only in the last epoch.
    warm_start : bool
        Start Newton from the states of the last epoch instead of the vacuum.
    checkpoint : path, optional
        File written after each epoch.
    resume : bool
        Go on from the checkpoint if it exists.
    on_epoch : callable, optional
        Called with the `TrainingState` after each epoch, when its checkpoint is on disk.
    **solver
        As in `solve_steady`.

    Returns
    -------
    TrainingResult

    Raises
    ------
    InputError
        If the task does not fit the system, or a number is out of range.
    NotConverged
        If in a whole epoch no sample has a steady state.
    """
    inputs, targets = checked_samples(system, cost, task.inputs, task.targets)
    if task.test_inputs is not None and task.test_targets is not None:
        checked_samples(system, cost, task.test_inputs, task.test_targets)
    nsamples = len(inputs)
    batch = nsamples if batch is None else batch
    if batch < 1 or epochs < 0:
        raise InputError(f"batch = {batch}, epochs = {epochs}: batch >= 1 and epochs >= 0.")
    if not system.parameters:
        raise InputError("nothing to train: neither the potential nor a pump is trainable.")
    state = _starting_state(system, optimizer, seed, nsamples, warm_start)
    if resume and checkpoint is not None and Path(checkpoint).exists():
        state = _resumed_state(checkpoint, state)
    system = system.with_parameters(state.parameters)
    random = np.random.default_rng(seed)
    random.bit_generator.state = state.random_state

    last: Gradient | None = None
    for epoch in range(state.epoch + 1, epochs + 1):
        compare = epoch == epochs or (compare_every > 0 and epoch % compare_every == 0)
        order = random.permutation(nsamples) if shuffle else np.arange(nsamples)
        memory, warm = state.memory, None if state.warm is None else state.warm.copy()
        record = _EpochRecord(cost, compare)
        for chosen in (order[k : k + batch] for k in range(0, nsamples, batch)):
            last = gradient(
                system,
                cost,
                inputs[chosen],
                targets[chosen],
                rule,
                beta,
                initial=None if warm is None else warm[:, chosen],
                on_failure="flag",
                **solver,
            )
            record.add(system, last, inputs[chosen], targets[chosen], solver)
            if warm is not None:
                good = columns_of(last.steady.converged)
                warm[:, chosen[good]] = last.steady.state[:, good]
            if not np.count_nonzero(last.used):
                continue
            parameters, memory = optimizer.step(system.parameters, last.fields, memory)
            system = system.with_parameters(parameters)
        if record.used == 0 and last is not None:
            raise NotConverged(
                f"epoch {epoch}: not one sample has a steady state ({last.steady.reason[0]}) Bound "
                "the potential, lower the rates, start nearer to a working point, or raise "
                "solver.max_iterations.",
                last.steady,
            )
        state = TrainingState(
            epoch,
            system.parameters,
            memory,
            random.bit_generator.state,
            warm,
            [*state.history, record.row(epoch)],
        )
        if checkpoint is not None:
            state.save(checkpoint)
        if on_epoch is not None:
            on_epoch(state)

    test = None
    if task.test_inputs is not None and task.test_targets is not None:
        test = evaluate(system, cost, task.test_inputs, task.test_targets, **solver)
    return TrainingResult(
        system,
        state.history,
        evaluate(system, cost, inputs, targets, initial=state.warm, **solver),
        test,
    )


def _starting_state(
    system: GPE, optimizer: Optimizer, seed: int, nsamples: int, warm_start: bool
) -> TrainingState:
    shape = (system.space.ndof, nsamples)
    fits = 16 * shape[0] * shape[1] <= _LARGEST_WARM_START
    return TrainingState(
        epoch=0,
        parameters=system.parameters,
        memory=optimizer.start(system.parameters),
        random_state=np.random.default_rng(seed).bit_generator.state,
        warm=np.zeros(shape, dtype=complex) if warm_start and fits else None,
    )


def _resumed_state(checkpoint: str | Path, fresh: TrainingState) -> TrainingState:
    """The saved state, after a check that it belongs to this training."""
    saved = TrainingState.load(checkpoint)
    for what, have, want in (
        ("parameters", saved.parameters, fresh.parameters),
        ("memory of the optimiser", saved.memory, fresh.memory),
        ("warm starts", _warm(saved), _warm(fresh)),
    ):
        shapes = {name: (value.shape, value.dtype) for name, value in have.items()}
        if shapes != {name: (value.shape, value.dtype) for name, value in want.items()}:
            raise InputError(
                f"{checkpoint}: its {what} ({', '.join(sorted(have))}) are not those of this "
                "study; resume with the study that began the run, or choose another folder."
            )
    return saved


def _warm(state: TrainingState) -> Params:
    return {} if state.warm is None else {f"of {state.warm.shape[1]} samples": state.warm}


class _EpochRecord:
    """Collects the figures of one epoch, batch by batch."""

    def __init__(self, cost: Cost, compare: bool) -> None:
        self._cost, self._compare = cost, compare
        self._samples = self.used = 0
        self._sums: dict[str, float] = {}
        self._outputs: list[np.ndarray] = []
        self._targets: list[np.ndarray] = []
        self._products = np.zeros(3)  # estimate.adjoint, |estimate|^2, |adjoint|^2

    def add(
        self,
        system: GPE,
        estimate: Gradient,
        inputs: np.ndarray,
        targets: np.ndarray,
        solver: SolverOptions,
    ) -> None:
        """Take in one batch."""
        used = estimate.used
        count = int(np.count_nonzero(used))
        self._samples += len(used)
        self.used += count
        if not count:
            return
        chosen = columns_of(used)
        state, targets, inputs = estimate.steady.state[:, chosen], targets[chosen], inputs[chosen]
        self._outputs.append(self._cost.readout.outputs(state))
        self._targets.append(targets)
        near = near_equilibrium(system, state)
        figures = {
            "cost": estimate.cost,
            "nonlinearity_ratio": float(near.nonlinearity_ratio.sum()) / count,
            "loss_ratio": float(near.loss.sum()) / count,
        }
        for name, derivative in estimate.params.items():
            square = np.vdot(derivative, estimate.fields[name]).real
            figures[f"gradient_norm_{name}"] = float(np.sqrt(square))
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + count * value
        if self._compare:
            exact = gradient(
                system,
                self._cost,
                inputs,
                targets,
                "adjoint",
                steady=estimate.steady.samples(used),
                on_failure="flag",
                **solver,
            )
            self._products += count * np.array(
                [
                    inner_product(system, estimate.params, exact.params),
                    inner_product(system, estimate.params, estimate.params),
                    inner_product(system, exact.params, exact.params),
                ]
            )

    def row(self, epoch: int) -> HistoryRow:
        """The epoch's row of the history."""
        means = {name: value / self.used for name, value in self._sums.items()}
        product, first, second = self._products
        found = first > 0 and second > 0
        return {
            "epoch": epoch,
            "cost": means.pop("cost"),
            **self._cost.metrics(np.concatenate(self._outputs), np.concatenate(self._targets)),
            **means,
            "gradient_cosine": float(product / np.sqrt(first * second)) if found else np.nan,
            "fraction_converged": self.used / self._samples,
        }
