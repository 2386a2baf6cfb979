"""The state that a training begins with, or goes on from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.parameters import Values
from nepfield.learning.optimizers import Optimizer
from nepfield.learning.origin import Origin
from nepfield.learning.state import TrainingState, history_of
from nepfield.systems.system import System, trained


def begins_warm(system: System, warm_start: bool | None, starts: int) -> bool:
    """Whether an epoch starts from the states of the one before, by default as is usual."""
    return system.warm_start and starts == 1 if warm_start is None else warm_start


def starting_state(
    system: System, optimizer: Optimizer, seed: int, origin: Origin
) -> TrainingState:
    """The state before the first epoch."""
    values = {name: p.values for name, p in trained(system).items()}
    return TrainingState(
        epoch=0,
        parameters=values,
        memory=optimizer.start(values),
        random_state=np.random.default_rng(seed).bit_generator.state,
        warm=None,
        origin=origin,
    )


def resumed_state(
    checkpoint: str | Path, fresh: TrainingState, nsamples: int, warm_start: bool
) -> TrainingState:
    """The saved state, after a check that it belongs to this training.

    Parameters
    ----------
    checkpoint : path
    fresh : TrainingState
        As `starting_state` gives it for this training.
    nsamples : int
    warm_start : bool

    Raises
    ------
    InputError
        If it does not, or cannot be read.
    """
    saved = TrainingState.load(checkpoint)
    fits = saved.warm is None or (warm_start and saved.warm.shape[-1] == nsamples)
    for what, have, want in (
        ("parameters", saved.parameters, fresh.parameters),
        ("memory of the optimiser", saved.memory, fresh.memory),
    ):
        if _shapes(have) != _shapes(want):
            raise InputError(_not_of_this_study(checkpoint, f"{what} ({', '.join(sorted(have))})"))
    if [row["epoch"] for row in saved.history] != list(range(1, saved.epoch + 1)):
        raise InputError(
            f"{history_of(Path(checkpoint))}: it does not hold the {saved.epoch} epochs of "
            f"{Path(checkpoint).name}; put it back as it was, or train again into another folder."
        )
    if not fits:
        count = 0 if saved.warm is None else saved.warm.shape[-1]
        raise InputError(_not_of_this_study(checkpoint, f"warm starts (of {count} samples)"))
    return saved


def _shapes(values: Values) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in values.items()}


def _not_of_this_study(checkpoint: str | Path, what: str) -> str:
    return (
        f"{checkpoint}: its {what} are not those of this study; resume with the study that began "
        "the run, or choose another folder."
    )
