"""The systems that a study may name, and the door to all studies: `load_study`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nepfield.errors import InputError
from nepfield.files import START_FILE
from nepfield.study.systems.elastic import ElasticStudy
from nepfield.study.systems.gpe import GPEStudy
from nepfield.study.systems.ising import IsingStudy
from nepfield.study.systems.oscillators import OscillatorStudy
from nepfield.study.systems.quantum_oscillators import QuantumOscillatorStudy
from nepfield.study.systems.quantum_spins import SpinStudy
from nepfield.study.text.config import checked_study, parse_override, put_key, read_toml
from nepfield.study.text.messages import shown_value
from nepfield.study.text.outside import load_class
from nepfield.study.text.paths import names_class_in_file
from nepfield.study.text.study import StudyConfig

SYSTEMS: dict[str, type[StudyConfig]] = {
    "gpe": GPEStudy,
    "oscillators": OscillatorStudy,
    "elastic": ElasticStudy,
    "quantum-oscillators": QuantumOscillatorStudy,
    "ising": IsingStudy,
    "quantum-spins": SpinStudy,
}
"""Study classes by the name that ``physics.system`` has for them; the first is the default."""


def load_study(
    path: str | Path,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    resumed: Callable[[str], Path] | None = None,
) -> Any:
    """Read and check a study file.

    Parameters
    ----------
    path : str or Path
        The study, a TOML file. Paths in it count from its folder.
    overrides : sequence of str
        Values that replace or add to the file's, ``"section.key=value"``. The value is read as
        TOML, and as plain text where it is no TOML; a number in the key picks an entry of a list,
        from 0 (``"pump.0.weight=0.5"``). Nothing after the sign takes the key away.
    seed : int, optional
        Replaces the study's seed.
    resumed : callable, optional
        Gives for a study's name the run folder that goes on. The runs that a run took its values
        from need not be there any more where its folder keeps them, be it this one or the
        file's own.

    Returns
    -------
    StudyConfig
        Of the class of its system. Every default filled in, file paths absolute.

    Raises
    ------
    InputError
        The file cannot be read, or something in it cannot be used; one line per mistake.
    """
    path = Path(path)
    data, set_keys = read_study(path, overrides, seed)
    runs = [path.parent]
    if resumed is not None and isinstance(data.get("name"), str):
        runs.append(resumed(data["name"]))
    began = any((run / START_FILE).is_file() for run in runs)
    return validate_study(data, path, set_keys, began=began)


def read_study(
    path: Path, overrides: Sequence[str] = (), seed: int | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The content of a study file with values replaced, unchecked; and their keys.

    Parameters and errors as of `load_study`.
    """
    data = read_toml(path)
    if isinstance(data.get("study"), str):
        raise InputError(f"{path}: this is a sweep file; run it by: nepfield sweep {path}")
    set_keys = []
    for override in overrides:
        key, value = parse_override(override)
        put_key(data, key, value, f"--set {override}")
        set_keys.append(key)
    if seed is not None:
        data["seed"] = seed
    return data, set_keys


def validate_study(
    data: Mapping[str, Any],
    path: Path,
    set_keys: Sequence[str] = (),
    origin: str = "--set",
    began: bool = False,
) -> Any:
    """Check what was read from a study file, by the rules of its system.

    Parameters
    ----------
    data : dict
        The content of the file, and values that replace some of it.
    path : Path
        The file; paths count from its folder.
    set_keys, origin, began
        As in `checked_study`.

    Returns
    -------
    StudyConfig
        Of the class of its system.

    Raises
    ------
    InputError
        One line per mistake.
    """
    kind = study_class(data, path, origin if "physics.system" in set_keys else "")
    return checked_study(kind, data, path, set_keys, origin, began)


def study_class(data: Mapping[str, Any], path: Path, origin: str = "") -> type[StudyConfig]:
    """The class of the system that the content of a study file names.

    Parameters
    ----------
    data : dict
    path : Path
        The file; a class in a file of the user counts from its folder.
    origin : str
        Where the name comes from, if not from the file.

    Raises
    ------
    InputError
        If there is no such system.
    """
    try:
        return _study_class(data, path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}{f' (from {origin})' if origin else ''}") from None


def _study_class(data: Mapping[str, Any], folder: Path) -> type[StudyConfig]:
    physics = data.get("physics")
    default = next(iter(SYSTEMS))
    name = physics.get("system", default) if isinstance(physics, Mapping) else default
    if isinstance(name, str) and name in SYSTEMS:
        return SYSTEMS[name]
    if not isinstance(name, str) or ":" not in name:
        known = ", ".join(f'"{system}"' for system in SYSTEMS)
        raise InputError(
            f"physics.system = {shown_value(name)}: must be {known}, or a study class of your own,"
            ' "file.py:Name" or "package.module:Name"'
        )
    try:
        found = load_class(folder.resolve() / name if names_class_in_file(name) else name)
    except InputError as error:
        raise InputError(f'physics.system = "{name}": {error}') from None
    if not (isinstance(found, type) and issubclass(found, StudyConfig)):
        raise InputError(f'physics.system = "{name}": is no class of studies (StudyConfig)')
    return found
