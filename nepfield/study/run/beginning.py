"""What a run began with, where that came from another run: start.npz in its folder.

So the run can be resumed, solved and compared when the other one has changed or is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nepfield.errors import InputError
from nepfield.files import START_FILE, STUDY_FILE, replacing
from nepfield.mesh.domain import Domain
from nepfield.reading import load_arrays
from nepfield.study.systems.systems import load_study
from nepfield.study.text.study import Begun, StudyConfig
from nepfield.systems.system import System


def write_start(run: Path, system: System) -> None:
    """Keep the starting values of all parameters in a run folder, by their names."""
    values = {name: parameter.values for name, parameter in system.parameters.items()}
    with replacing(run / START_FILE) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **values)


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
        values = load_arrays(run / START_FILE)
        for name, array in values.items():
            if array.ndim != 1 or array.dtype.kind not in "fc" or not np.isfinite(array).all():
                raise ValueError(f"{name} holds what are no finite numbers")
        return values
    except Exception as error:
        raise InputError(f"{run / START_FILE}: this is no start of a run ({error}).") from None


def begun_system(
    config: StudyConfig, domain: Domain, begun: Mapping[str, np.ndarray], run: Path
) -> System:
    """The system of a study with the values that a run began with.

    Raises
    ------
    InputError
        If these are not the values of the system's parameters.
    """
    try:
        system: System = config.build_system(domain, begun, {})
        wanted = {name: parameter.values.shape for name, parameter in system.parameters.items()}
        if wanted != (has := {name: array.shape for name, array in begun.items()}):
            raise ValueError(f"{has} for {wanted}")
    except InputError:
        raise
    except (LookupError, TypeError, ValueError):
        sizes = ", ".join(f"{name} {array.size}" for name, array in begun.items()) or "none"
        raise InputError(
            f"{run / START_FILE}: its values (sizes {sizes}) are not those of this study's "
            "parameters; put it back as it was, or train again into another folder."
        ) from None
    return system
