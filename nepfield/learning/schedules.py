"""Rates that change while a training goes on, and when it has done enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nepfield.errors import InputError

SHAPES = ("cosine", "linear", "exponential")
KEPT = ("last", "best")
"""Which parameters a training gives back."""
AFTER = "cost_after"
"""Column of the cost after an epoch's last step, where a training might end by it."""
_VALIDATION = "validation_cost"


@dataclass(frozen=True)
class Schedule:
    """What all rates are multiplied by, an epoch at a time.

    It depends on the number of the epoch alone, so a training that goes on for longer is that
    which was broken off. ``t = (epoch - 1 - warmup) / (over - warmup)`` runs from 0 to 1; the
    factor falls from 1 to `final`::

        cosine        final + (1 - final) (1 + cos(pi t)) / 2
        linear        1 - (1 - final) t
        exponential   final^t

    Parameters
    ----------
    shape : {"cosine", "linear", "exponential"}
    over : int
        Epochs after which it stays at `final`.
    final : float
        From 0 (exponential: above 0) to 1.
    warmup : int
        Epochs before in which the factor rises evenly to 1.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    shape: str = "cosine"
    over: int = 100
    final: float = 0.01
    warmup: int = 0

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise InputError(f"schedule: shape = {self.shape!r}: choose {', '.join(SHAPES)}.")
        if not 0 <= self.warmup < self.over:
            raise InputError(
                f"schedule: over = {self.over}, warmup = {self.warmup}: over is the number of "
                "epochs in all, and more than those of warmup (>= 0)."
            )
        if not 0 <= self.final <= 1 or (self.shape == "exponential" and self.final == 0):
            raise InputError(
                f"schedule: final = {self.final}: from 0 to 1, and above 0 for exponential."
            )

    def factor(self, epoch: int) -> float:
        """The factor in an epoch, counted from 1."""
        if epoch <= self.warmup:
            return epoch / (self.warmup + 1)
        t = min(1.0, (epoch - 1 - self.warmup) / (self.over - self.warmup))
        if self.shape == "cosine":
            return self.final + (1 - self.final) * (1 + math.cos(math.pi * t)) / 2
        if self.shape == "linear":
            return 1 - (1 - self.final) * t
        return self.final**t


@dataclass(frozen=True)
class Stop:
    """When a training ends before its last epoch.

    It is judged on the validation samples in the epochs that evaluate them, and without such
    samples on the costs of the epochs themselves; never on test samples. The cost of an epoch is
    that before its step: where it is low enough, it is measured again after the step, from cold
    starts (``cost_after`` in the history), and is enough if every sample has a steady state.

    Parameters
    ----------
    cost : float, optional
        Enough: a cost at or below it.
    patience : int, optional
        Epochs in which the lowest cost so far has not become lower, counted up to the last one
        that was looked at.

    Raises
    ------
    InputError
        If neither is given, or a number is out of range.
    """

    cost: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.cost is None and self.patience is None:
            raise InputError("stop: give cost, patience, or both.")
        if self.patience is not None and self.patience < 1:
            raise InputError(f"stop: patience = {self.patience}: at least 1 epoch.")

    def wants(self, row: Mapping[str, float]) -> bool:
        """Whether the cost is to be measured after the step of an epoch with this row."""
        return _VALIDATION not in row and self.cost is not None and row["cost"] <= self.cost

    def reached(self, history: Sequence[Mapping[str, float]]) -> bool:
        """Whether the training with this history is to end."""
        if not history:
            return False
        held = _VALIDATION in history[-1]
        costs = np.array([row.get(_VALIDATION if held else "cost", np.nan) for row in history])
        known = np.flatnonzero(np.isfinite(costs))
        if not len(known):
            return False
        now = costs[known[-1]] if held else history[-1].get(AFTER, np.nan)
        if self.cost is not None and now <= self.cost:
            return True
        best = known[np.argmin(costs[known])]
        return self.patience is not None and known[-1] - best >= self.patience


def best_epoch(history: Sequence[Mapping[str, float]]) -> int | None:
    """The first epoch of the lowest cost on the validation samples; None where none was looked
    at."""
    costs = np.array([row.get(_VALIDATION, np.nan) for row in history])
    if not np.isfinite(costs).any():
        return None
    return int(history[int(np.nanargmin(costs))]["epoch"])
