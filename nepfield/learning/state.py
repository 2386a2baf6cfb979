"""The state of a training between two epochs, and its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.files import replacing
from nepfield.learning.gradients import Params

HistoryRow = dict[str, float]


@dataclass(frozen=True, eq=False)
class TrainingState:
    """All that the next epoch depends on.

    Attributes
    ----------
    epoch : int
        Number of epochs done.
    parameters : dict of ndarray
        By name, as `GPE.parameters`.
    memory : dict of ndarray
        Of the optimiser.
    random_state : dict
        Of the generator that shuffles.
    warm : ndarray, shape (ndof, nsamples), or None
        The last free steady states, from which the next epoch starts its Newton iterations.
    history : list of dict
        One row an epoch.
    """

    epoch: int
    parameters: Params
    memory: dict[str, np.ndarray]
    random_state: Mapping[str, Any]
    warm: np.ndarray | None
    history: list[HistoryRow] = field(default_factory=list)

    def save(self, path: str | Path) -> None:
        """Write an .npz file atomically: the file is always whole, old or new."""
        arrays = {f"parameter/{name}": value for name, value in self.parameters.items()}
        arrays |= {f"memory/{name}": value for name, value in self.memory.items()}
        if self.warm is not None:
            arrays["warm"] = self.warm
        arrays["epoch"] = np.array(self.epoch)
        arrays["random_state"] = np.array(json.dumps(self.random_state))
        arrays["history"] = np.array(json.dumps(self.history))
        with replacing(Path(path)) as part, part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # its keyword allow_pickle is a bool

    @staticmethod
    def load(path: str | Path) -> TrainingState:
        """Read what `save` has written.

        Raises
        ------
        InputError
            If the file is not a checkpoint.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
            return TrainingState(
                epoch=int(arrays["epoch"]),
                parameters=_group(arrays, "parameter/"),
                memory=_group(arrays, "memory/"),
                random_state=json.loads(str(arrays["random_state"])),
                warm=arrays.get("warm"),
                history=json.loads(str(arrays["history"])),
            )
        except Exception as error:
            raise InputError(f"{path}: this is no checkpoint of nepfield ({error}).") from None


def _group(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
