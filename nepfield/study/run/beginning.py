"""What a run began with, where that came from another run: start.npz in its folder.

So the run can be resumed, solved and compared when the other one has changed or is gone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nepfield.errors import InputError
from nepfield.files import START_FILE, STUDY_FILE, replacing
from nepfield.reading import load_arrays
from nepfield.study.systems.systems import load_study
from nepfield.study.text.study import Begun, StudyConfig
from nepfield.systems.system import System


def write_start(run: Path, system: System) -> None:
    """Keep the starting values of all parameters in a run folder, by their names."""
    values = {name: parameter.values for name, parameter in system.parameters.items()}
    with replacing(run / START_FILE) as part, part.open("wb") as file:
        np.savez(file, **values)  # type: ignore[arg-type]  # its keyword allow_pickle is a bool


def read_start(run: Path | None, config: StudyConfig) -> Begun:
    """What a run began with, if its folder keeps it and this study begins with the same.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    if run is None or not (run / START_FILE).is_file():
        return None
    kept = load_study(run / STUDY_FILE)
    if type(kept) is not type(config) or any(
        getattr(kept, name) != getattr(config, name) for name in config.begins_with()
    ):
        return None
    try:
        return load_arrays(run / START_FILE)
    except Exception as error:
        raise InputError(f"{run / START_FILE}: this is no start of a run ({error}).") from None
