"""One key of a study left open: its system at any value of it, quickly.

The domain and the space are made once. What was trained, and what is drawn, stays as it is; only
what the key itself says changes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.study.run.build import Study
from nepfield.study.run.moved_mesh import moved_domain
from nepfield.study.systems.systems import validate_study
from nepfield.study.text.config import parse_override, put_key
from nepfield.study.text.units import UnitError, in_unit_of, is_quantity, unit_label
from nepfield.study.text.written import finite_number
from nepfield.systems.varied import check_wave, told_names, vary, with_values

GEOMETRY = "domain.parameters."
"""What keys begin with under which the mesh moves."""


@dataclass(frozen=True, eq=False)
class VariedKey:
    """What is varied, from where to where.

    Attributes
    ----------
    key : str
    start, stop : float
        Dimensionless.
    parameter : str or callable
        As `nepfield.follow` takes it.
    factor : float
        By which a value is multiplied to be in the unit in which the ends were given.
    unit : str
        That unit; "" where they were numbers.
    """

    key: str
    start: float
    stop: float
    parameter: str | Callable[[float], Any]
    factor: float = 1.0
    unit: str = ""

    @property
    def label(self) -> str:
        """The key with its unit."""
        return f"{self.key} ({self.unit})" if self.unit else self.key


@dataclass(frozen=True, eq=False)
class Content:
    """What is read of a study: its unchecked content, its file, and whether it keeps its start."""

    data: Mapping[str, Any]
    path: Path
    began: bool = False

    def with_key(self, key: str, value: Any, where: str) -> Any:
        """The study with another value, checked; InputError where the key cannot take it."""
        changed = copy.deepcopy(dict(self.data))
        put_key(changed, key, value, where)
        return validate_study(changed, self.path, [key], where, self.began)


def varied_key(
    content: Content, study: Study, system: Any, key: str, start: str, stop: str, sample: int = 0
) -> VariedKey:
    """Find out what a key varies.

    Parameters
    ----------
    content : Content
    study : Study
        Built from it.
    system : System
        Its system, as trained.
    key : str
        A key of the study, or a number of the system, as `nepfield.follow` has them.
    start, stop : str
        As they are written: numbers, or with units where the study has units.
    sample : int
        Which inputs of the task.

    Raises
    ------
    InputError
        If the key is unknown, holds no number, or does not change the equation; or if the values
        cannot be used.
    """
    check_wave(system)
    given = study.task.inputs
    if not 0 <= sample < len(given):
        raise InputError(f"--sample {sample}: the task has {len(given)} samples, counted from 0.")
    rows = given[[sample]]
    ends = [_written(text, name) for text, name in ((start, "--from"), (stop, "--to"))]
    if ends[0] == ends[1]:
        raise InputError(
            f"--from {start} --to {stop}: a branch needs a range; give two different values."
        )
    section, _, rest = key.partition(".")
    numbered = section in system.parameters and rest.partition(".")[0].isdecimal()
    if numbered or section not in type(study.config).model_fields:
        try:
            equations = vary(system, key, rows)
        except InputError:
            raise InputError(
                f"--key {key}: this is neither a key of the study (nepfield keys lists them, such "
                f"as pump.0.weight) nor a number of its system ({told_names(system)})."
            ) from None
        values = [finite_number(end) for end in ends]
        if values[0] is None or values[1] is None:
            wrong = start if values[0] is None else stop
            raise InputError(
                f"{wrong}: {key} is a number of the system, without dimension; give a number."
            )
        (first, before), (last, after) = equations(values[0]), equations(values[1])
        _check_changes(key, rows, first, before, last, after)
        return VariedKey(key, values[0], values[1], key)
    return _of_study(content, study, system, key, ends, rows)


def _written(text: str, name: str) -> Any:
    """A value as it is written on the command line."""
    _, value = parse_override(f"{name}={text}")
    number = finite_number(value)
    if number is None and not is_quantity(value):
        raise InputError(f'{name} {text}: give a finite number, or one with a unit, "0.1 meV".')
    return value if number is None else number


def _of_study(
    content: Content, study: Study, system: Any, key: str, ends: list[Any], rows: np.ndarray
) -> VariedKey:
    """A key of a study file."""
    configs = [content.with_key(key, end, f"--key {key}") for end in ends]
    values = [_number(config, key, end) for config, end in zip(configs, ends, strict=True)]
    build = _builder(content, study, system, key, values, configs)
    first, last = build(values[0]), build(values[1])
    if system.space.ndof != first.space.ndof or _shapes(first) != _shapes(last):
        raise InputError(f"{key}: it changes the number of unknowns; a branch cannot follow that.")
    _check_changes(key, rows, first, first.drive(rows), last, last.drive(rows))
    factor, unit = 1.0, ""
    if all(is_quantity(end) for end in ends):
        try:
            numbers = [in_unit_of(end, ends[0]) for end in ends]
        except UnitError as error:
            raise InputError(f"--to: {error}") from None
        factor, unit = (numbers[1] - numbers[0]) / (values[1] - values[0]), unit_label(ends[0])
    return VariedKey(key, values[0], values[1], build, factor, unit)


def _shapes(system: Any) -> dict[str, Any]:
    return {name: np.shape(parameter.values) for name, parameter in system.parameters.items()}


def _check_changes(
    key: str, rows: np.ndarray, first: Any, before: np.ndarray, last: Any, after: np.ndarray
) -> None:
    """InputError if a key changes nothing of what is followed."""
    rng = np.random.default_rng(0)
    state = rng.normal(size=(first.space.ndof, 1)) + 1j * rng.normal(size=(first.space.ndof, 1))
    if np.array_equal(first.residual(state, before), last.residual(state, after)):
        inputs = ", ".join(f"{value:g}" for value in rows[0])
        raise InputError(
            f"{key}: it does not change the equation of the wave for inputs ({inputs}), so that "
            "nothing can be followed. Choose other inputs by --sample, another key, or a number of "
            f"the system: {told_names(first)}."
        )


def _number(config: Any, key: str, end: Any) -> float:
    """The dimensionless number that a checked study has under a key."""
    found = config
    for part in key.split("."):
        if isinstance(found, tuple | list):
            found = found[int(part)]
        elif isinstance(found, Mapping):
            found = found[part]
        else:
            found = getattr(found, part, None)
    number = finite_number(found)
    if number is None or (isinstance(found, int) and not isinstance(end, float)):
        raise InputError(f"{key} = {end}: this key takes no number that can be varied.")
    return number


def _builder(
    content: Content,
    study: Study,
    system: Any,
    key: str,
    values: list[float],
    configs: list[Any],
) -> Callable[[float], Any]:
    """Gives the system at a value of a key."""
    domain_of: Callable[[float], Any] | None = None
    if key.startswith(GEOMETRY):
        domain_of = moved_domain(content, key, values, configs)
    elif key.startswith("domain."):
        raise InputError(
            f"{key}: it changes the mesh, and with it the unknowns, so that no branch can be "
            f"followed. Of [domain], parameters of a geometry can be varied: {GEOMETRY}NAME."
        )
    kept = {name: parameter.values for name, parameter in system.parameters.items()}
    # What a run was begun with, or took from other runs, is not made again.
    begun = kept if content.began or study.config.runs() else None
    on_space = getattr(study.config, "build_on", None)

    def made(value: float) -> Any:
        config = content.with_key(key, value, f"--key {key}")
        if domain_of is not None:
            return config.build_system(domain_of(value), begun, {})
        if on_space is None:
            return config.build_system(study.system.domain, begun, {})
        return config.build_on(study.system.space, begun, {})

    first, last = made(values[0]), made(values[1])
    if _shapes(first) != {name: np.shape(array) for name, array in kept.items()}:
        return made  # refused by who asks
    own = {name: first.parameters[name].values != last.parameters[name].values for name in kept}

    def system_at(value: float) -> Any:
        built = made(value)
        for name, values in kept.items():
            if not np.array_equal(built.parameters[name].values, values):
                mixed = np.where(own[name], built.parameters[name].values, values)
                built = with_values(built, name, mixed)
        return built

    return system_at
