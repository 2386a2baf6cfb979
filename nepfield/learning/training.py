"""The training loop: epochs (`nepfield.learning.passes`), and a checkpoint after each of them.

Everything that the next epoch depends on is a `TrainingState`, which is saved whole and atomically;
a run that is killed at any moment and resumed gives the bit-identical result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.keys import Keys
from nepfield.learning.classes import classes_of
from nepfield.learning.costs import Cost
from nepfield.learning.evaluation import Evaluation, evaluate
from nepfield.learning.gradients import checked_rule, checked_samples, estimate
from nepfield.learning.optimizers import Optimizer
from nepfield.learning.origin import Origin, check_origin, origin_of
from nepfield.learning.parts import Estimator
from nepfield.learning.passes import Pass
from nepfield.learning.record import EpochRecord
from nepfield.learning.resume import begins_warm, resumed_state, starting_state
from nepfield.learning.rules import EXACT
from nepfield.learning.schedules import AFTER, KEPT, Schedule, Stop, best_epoch
from nepfield.learning.state import History, HistoryRow, TrainingState, history_of
from nepfield.learning.tasks import Task
from nepfield.learning.warm import USUAL, WarmStarts
from nepfield.reprs import Described, counted, listed
from nepfield.systems.system import System, trained


@dataclass(frozen=True, eq=False)
class TrainingResult(Described):
    """What training leaves behind.

    Attributes
    ----------
    system : System
        With the trained parameters.
    history : list of dict
        A row an epoch: ``epoch``, ``cost`` (mean over the epoch, each batch before its step),
        metrics, what the system measures (`System.figures`), ``gradient_norm_*`` (L2),
        ``gradient_cosine`` to the exact gradient where there is one (nan where it was not
        compared), where a rule measures its own error ``gradient_error`` (`Gradient.error`, mean
        over the batches) and ``measurements`` (steady states a sample, beside the free one),
        ``unstable`` where the system certifies its states (the share of unstable ones
        among those of which it is known: all that are looked at closely in epochs that compare,
        else those that are proved stable for nothing), ``fraction_converged``, and where it was
        evaluated cost and metrics on the other
        samples, ``validation_*`` and ``test_*`` (after the epoch's last step).
    final : Evaluation
        Of the trained system on the training samples, after the last step.
    test : Evaluation or None
        On the test samples, if the task has any.
    """

    system: System
    history: list[HistoryRow]
    final: Evaluation
    test: Evaluation | None

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        rows = self.history
        fell = f", cost {rows[0]['cost']:.4g} in epoch 1" if rows else ""
        known = [c for row in rows if np.isfinite(c := row.get("gradient_cosine", np.nan))]
        head = f"TrainingResult: {counted(len(rows), 'epoch')}{fell}"
        return f"{head}, {self.final.cost:.4g} at the end", {
            "final": self.final,
            "test": self.test,
            "cosine to the exact gradient": known[-1] if known else None,
            "system": self.system,
            "history": listed(rows[0], 5) if rows else None,
        }


def train(
    system: System,
    cost: Cost,
    task: Task,
    *,
    optimizer: Optimizer,
    rule: str | None = None,
    epochs: int = 100,
    batch: int | None = None,
    per_class: int | None = None,
    starts: int = 1,
    beta: float = 0.01,
    corrections: int = 0,
    gradient_tolerance: float | None = None,
    seed: int = 0,
    shuffle: bool = True,
    compare_every: int = 0,
    evaluate_every: int = 0,
    schedule: Schedule | None = None,
    stop: Stop | None = None,
    keep: str = "last",
    warm_start: bool | None = None,
    warm_memory: float = USUAL,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    accept_changes: bool = False,
    made_from: Origin | None = None,
    on_epoch: Callable[[TrainingState], None] | None = None,
    estimator: Estimator | None = None,
    **options: Any,
) -> TrainingResult:
    """Train the parameters of a system by a learning rule.

    Parameters
    ----------
    system : System
        With the starting parameters.
    cost : Cost
    task : Task
    optimizer : SGD, Momentum or Adam
    rule, beta, corrections, gradient_tolerance
        As in `gradient`.
    epochs : int
        Passes through the training samples, those of a resumed run included.
    batch : int, optional
        Samples a step; by default all.
    per_class : int, optional
        An epoch is then so many samples of each class, drawn with replacement.
    starts : int
        Free states that are looked for from different starts for each sample, xy (9); the gradient
        is the mean over them.
    seed : int
        Of the order of the samples, and of random starts and noise.
    shuffle : bool
        Whether a new order is drawn for each epoch.
    compare_every : int
        Epochs between comparisons with the exact gradient, where the system has one; 0 compares
        only in the last epoch.
    evaluate_every : int
        Epochs between evaluations on the validation and test samples; 0 for none.
    schedule : Schedule, optional
        What all rates are multiplied by, an epoch at a time; the optimiser then needs to be one
        of nepfield's (or have a method `scaled`).
    stop : Stop, optional
        When to end before the last epoch.
    keep : {"last", "best"}
        Which parameters are given back: those after the last epoch, or those after the epoch of
        the lowest cost on the validation samples (those with a steady state), which
        `evaluate_every` looks at.
    warm_start : bool, optional
        Start from the states of the epoch before; by default as the system usually does.
    warm_memory : float
        MB of these states that are kept in memory; more of them lie in files beside the checkpoint.
    checkpoint : path, optional
        File written after each epoch; the history lies beside it (`history_of`).
    resume : bool
        Go on from the checkpoint if it exists.
    accept_changes : bool
        Go on although the domain, the task or what else the training was made from has changed.
    made_from : dict of dict of str, optional
        Digests of what else the training is made from (`nepfield.learning.origin`), kept in the
        checkpoint.
    on_epoch : callable, optional
        Called with the `TrainingState` after each epoch, when its checkpoint is on disk.
    estimator : callable, optional
        What estimates the gradients in place of `estimate`, such as one in parts
        (`nepfield.learning.parts`).
    **options
        Of the system's solver, as in `solve_steady`.

    Returns
    -------
    TrainingResult

    Raises
    ------
    InputError
        If the task does not fit the system, a number is out of range, or a training that is to go
        on was made from something else.
    NotConverged
        If in a whole epoch no sample has a steady state.
    """
    rule = checked_rule(system, rule, beta, corrections, gradient_tolerance)
    inputs, targets = checked_samples(system, cost, task.inputs, task.targets)
    others = {name: pair for name, pair in task.sets().items() if name != "train"}
    for pair in others.values():
        checked_samples(system, cost, *pair)
    classes = None if per_class is None else classes_of(targets)
    warm_start = begins_warm(system, warm_start, starts)
    _check_numbers(batch, epochs, starts, seed)
    _check_choices(per_class, classes, warm_start, starts)
    _check_parameters(system, optimizer)
    _check_kept(keep, evaluate_every, "validation" in others)

    path = None if checkpoint is None else Path(checkpoint)
    states = WarmStarts(len(inputs), warm_memory, path)
    origin = origin_of(system.domain, task) | {k: dict(v) for k, v in (made_from or {}).items()}
    state = starting_state(system, optimizer, seed, origin)
    if path is not None:
        if resume and path.exists():
            state = resumed_state(path, state, len(inputs), warm_start)
            if keep == "best" and not state.best and best_epoch(state.history) is not None:
                raise InputError(
                    f"{path}: this training has kept its last parameters alone; go on with keep = "
                    '"last", or train again into another folder.'
                )
            if not accept_changes:
                check_origin(state.origin, origin, path, {"domain": system.domain.source})
        History(history_of(path)).cut(state.history)
        if accept_changes and state.origin != origin:
            state = replace(state, origin=origin)
            state.save(path)
    system = system.with_parameters(state.parameters)
    random = np.random.default_rng(seed)
    random.bit_generator.state = state.random_state

    corrected = {"corrections": corrections, "gradient_tolerance": gradient_tolerance}
    one_pass = Pass(
        cost, inputs, targets, optimizer, estimator or estimate, rule, beta, seed, batch, shuffle,
        per_class, classes, starts, schedule, corrected | options,
    )  # fmt: skip
    exact = EXACT in system.rules
    for epoch in range(state.epoch + 1, epochs + 1):
        if stop is not None and stop.reached(state.history):
            break
        last = epoch == epochs
        compare = last or (compare_every > 0 and epoch % compare_every == 0)
        record = EpochRecord(cost, compare and exact, options)
        system, memory, warm = one_pass.take(
            system, epoch, state.memory, states.begin(state.warm), random, record,
            states.keep if warm_start else None,
        )  # fmt: skip
        row = record.row(epoch, exact)
        for name, (x, y) in others.items() if evaluate_every else ():
            figures = dict.fromkeys(("cost", *cost.metrics(y, y)), np.nan)
            if epoch % evaluate_every == 0 or last:
                found = evaluate(system, cost, x, y, keys=_keys(seed, epoch, name, x), **options)
                figures |= {"cost": found.cost, **found.metrics}
            row |= {f"{name}_{key}": value for key, value in figures.items()}
        if stop is not None and stop.wants(row):
            keys = _keys(seed, epoch, "after", inputs)
            found = evaluate(system, cost, inputs, targets, keys=keys, **options)
            row[AFTER] = found.cost if found.steady.converged.all() else np.nan
        state.history.append(row)  # one list for the whole training
        values = {name: p.values for name, p in trained(system).items()}
        improved = keep == "best" and best_epoch(state.history) == epoch
        state = TrainingState(
            epoch,
            values,
            memory,
            random.bit_generator.state,
            warm,
            state.history,
            origin,
            values if improved else state.best if keep == "best" else {},
        )
        if path is not None:
            state.save(path)
        if on_epoch is not None:
            on_epoch(state)

    test, warm = None, state.warm
    if keep == "best" and state.best:
        system, warm = system.with_parameters(state.best), None
    if "test" in others:
        x, y = others["test"]
        test = evaluate(system, cost, x, y, keys=_keys(seed, epochs, "test", x), **options)
    final = evaluate(
        system, cost, inputs, targets,
        initial=warm, keys=_keys(seed, epochs, "final", inputs), **options,
    )  # fmt: skip
    return TrainingResult(system, state.history, final, test)


def _check_numbers(batch: int | None, epochs: int, starts: int, seed: int) -> None:
    if (batch is not None and batch < 1) or epochs < 0 or starts < 1:
        raise InputError(
            f"batch = {batch}, epochs = {epochs}, starts = {starts}: batch and starts >= 1, "
            "epochs >= 0."
        )
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed = {seed!r}: it must be a whole number >= 0.")


def _check_choices(
    per_class: int | None, classes: np.ndarray | None, warm_start: bool, starts: int
) -> None:
    """Of samples, and of where their states begin."""
    if per_class is not None and (classes is None or per_class < 1):
        raise InputError(
            f"per_class = {per_class}: it needs to be at least 1, and targets that name a class."
        )
    if warm_start and starts > 1:
        raise InputError(
            f"starts = {starts}: a warm start is one start; give warm_start = False with several."
        )


def _check_parameters(system: System, optimizer: Optimizer) -> None:
    if not trained(system):
        raise InputError(f"nothing to train: none of {', '.join(system.parameters)} is trainable.")
    if unknown := set(getattr(optimizer, "rates", ())) - set(system.parameters):
        raise InputError(
            f"optimiser: a rate for {sorted(unknown)[0]!r}, but the parameters are "
            f"{', '.join(system.parameters)}."
        )


def _check_kept(keep: str, evaluate_every: int, validated: bool) -> None:
    if keep not in KEPT:
        raise InputError(f"keep = {keep!r}: choose {' or '.join(map(repr, KEPT))}.")
    if keep == "best" and not (evaluate_every and validated):
        raise InputError(
            'keep = "best": it is chosen on validation samples (task.validation, a share of the '
            "samples), every evaluate_every epochs; there are none."
        )


def _keys(seed: int, epoch: int, purpose: str, inputs: np.ndarray) -> Keys:
    return Keys(seed, epoch, np.arange(len(inputs))).fold(purpose)
