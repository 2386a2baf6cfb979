"""What summary.json says of how a training went: its gradient at the end, a verdict, advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nepfield.keys import Keys
from nepfield.learning.costs import Cost
from nepfield.learning.evaluation import Evaluation
from nepfield.learning.gradients import Gradient, cosine, gradient
from nepfield.learning.record import MOST_FIGURED
from nepfield.learning.rules import EXACT
from nepfield.learning.verdict import TRUSTED_COSINE, advice, judge
from nepfield.study.run.build import Study
from nepfield.study.text.success import learnt, read_success
from nepfield.systems.system import System

_AHEAD = 16  # samples
_UNEVEN = 0.5  # share of the cost
_LOST = 0.5  # of the cost that is found without warm starts

History = Sequence[Mapping[str, float]]


def last_cosine(
    study: Study, system: System, found: Gradient, history: History, epochs: int
) -> dict[str, Any]:
    """The cosine to the exact gradient that was measured last, and after how many epochs.

    It is measured now where the last epoch did not, because a training was broken off or ended
    before its time.

    Parameters
    ----------
    study : Study
    system : System
        As trained.
    found : Gradient
        At the end, by the study's rule.
    history : sequence of dict
    epochs : int
    """
    known = [row for row in history if np.isfinite(row.get("gradient_cosine", np.nan))]
    said = {
        "gradient_cosine": known[-1]["gradient_cosine"] if known else np.nan,
        "gradient_cosine_epoch": known[-1]["epoch"] if known else None,
    }
    if not history or EXACT not in system.rules or (known and known[-1]["epoch"] == epochs):
        return said
    chosen = np.flatnonzero(found.used)
    if not len(chosen):
        return said
    exact = gradient(
        system, study.cost, study.task.inputs[chosen], study.task.targets[chosen], EXACT,
        steady=found.steady.samples(chosen), on_failure="flag", **study.solver,
    )  # fmt: skip
    if not exact.used.all():
        return said
    now = cosine(system, found.params, exact.params)
    return {"gradient_cosine": now, "gradient_cosine_epoch": epochs} if np.isfinite(now) else said


def judged(
    study: Study,
    system: System,
    result: Evaluation,
    history: History,
    summary: Mapping[str, Any],
    epochs: int,
    trained_cost: float = np.nan,
) -> dict[str, Any]:
    """The verdict on a training, since when its gradient was not to be trusted, and advice.

    Parameters
    ----------
    study : Study
    system : System
        As trained.
    result : Evaluation
        On the training samples, at the end.
    history : sequence of dict
    summary : dict
        What else the summary says.
    epochs : int
        That were done.
    trained_cost : float
        Of the states in which the training ended, each found from the one before.
    """
    summary = {**summary, "epochs": epochs}
    cost, targets, good = study.cost, study.task.targets, result.steady.converged
    limits = read_success(study.config.success, "success") if study.config.success else ()
    fits = bool(good.all()) and (
        learnt(limits, summary) if limits else cost.learnt(result.outputs, targets)
    )
    light = cost.readout.unit == "density"
    end = {"epoch": epochs, "cost": result.cost}
    if summary["gradient_cosine_epoch"] == epochs:
        end["gradient_cosine"] = summary["gradient_cosine"]
    verdict = judge(
        [*history, end],
        fits=fits,
        faint=light and bool(good.any()) and cost.faint(result.outputs[good], targets[good]),
        missing=bool(good.any() and not good.all())
        and cost.learnt(result.outputs[good], targets[good]),
        lost=trained_cost < _LOST * result.cost,
        stability=list(summary.get("stability", ())),
        switch_on=list(summary.get("switch_on", ())),
    )
    said = {"verdict": verdict.word, "untrusted_since": verdict.untrusted_since}
    known = {**summary, **said}
    told = [*system.advice(history, known), *advice(verdict, known)]
    if verdict.word == "dark":
        told += study.config.reach(study, system)
    elif light and not fits and bool(good.any()):
        told += _uneven(cost, result, targets)
    return said | {"advice": told}


def _uneven(cost: Cost, result: Evaluation, targets: np.ndarray) -> list[str]:
    """Advice where the wave varies so much within the readouts that no scale of it would do."""
    good = np.flatnonzero(result.steady.converged)[:MOST_FIGURED]
    signals = cost.readout.signals(result.steady.state[..., good])
    floor = float(cost.floor(signals, targets[good].T).mean())
    if floor < _UNEVEN * result.cost:
        return []
    return [
        f"{floor:.3g} of the cost {result.cost:.3g} is there because the density varies within the "
        "readouts, of which every point is to meet the target (nep 4): choose smaller ones, well "
        "below half a wavelength, or discs where the wave is even"
    ]


def gradient_ahead(study: Study) -> list[str]:
    """Whether the study's rule estimates the gradient well at the start: lines of `check`.

    Parameters
    ----------
    study : Study
    """
    system, task, training = study.system, study.task, study.config.training
    if EXACT not in system.rules or training.rule == EXACT:
        return []
    inputs, targets = task.inputs[:_AHEAD], task.targets[:_AHEAD]
    how: dict[str, Any] = {
        "on_failure": "flag",
        "keys": Keys(study.config.seed, 0, np.arange(len(inputs))),
        **study.solver,
    }
    exact = gradient(system, study.cost, inputs, targets, EXACT, **how)
    if not exact.used.any():
        return []
    found = gradient(
        system, study.cost, inputs, targets, **training.estimator, steady=exact.steady, **how
    )  # fmt: skip
    now = cosine(system, found.params, exact.params)
    if not (np.isfinite(now) and np.array_equal(found.used, exact.used)):
        return []
    lines = [f"  gradient at the start: cosine {now:.4f} of {training.rule} to the exact one"]
    if now < TRUSTED_COSINE:
        known = {"verdict": "gradient", "rule": training.rule, "untrusted_since": 0}
        lines += [f"  warning: {text}" for text in system.advice([], known)]
    return lines
