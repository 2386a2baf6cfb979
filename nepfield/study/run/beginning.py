"""What a run began with, where that came from another run: start.npz in its folder.

So the run can be resumed, solved and compared when the other one has changed or is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nepfield.errors import InputError
from nepfield.files import replacing
from nepfield.study.text.config import START, StudyConfig, load_study
from nepfield.systems.gpe import GPE


@dataclass(frozen=True, eq=False)
class Start:
    """Starting values of a study.

    Attributes
    ----------
    potential : ndarray, shape (nvalues,)
    weights : ndarray, shape (npumps,)
    """

    potential: np.ndarray
    weights: np.ndarray


def write_start(run: Path, system: GPE) -> None:
    """Keep the starting values in a run folder."""
    with replacing(run / START) as part, part.open("wb") as file:
        np.savez(file, potential=system.potential.values, weights=system.pumps.weights)


def read_start(run: Path | None, config: StudyConfig) -> Start | None:
    """What a run began with, if its folder keeps it and this study begins with the same.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    if run is None or not (run / START).is_file():
        return None
    kept = load_study(run / "study.toml")
    if any(getattr(kept, name) != getattr(config, name) for name in _BEGINS_WITH):
        return None
    try:
        with np.load(run / START, allow_pickle=False) as data:
            return Start(data["potential"], data["weights"])
    except Exception as error:
        raise InputError(f"{run / START}: this is no start of a run ({error}).") from None


_BEGINS_WITH = ("seed", "units", "domain", "potential", "pump")
