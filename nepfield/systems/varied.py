"""One number of a system left open: which one is said by its name, or by a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter
from nepfield.steady.branches.family import Vary
from nepfield.systems.system import checked_inputs, device_of

Varied = str | Callable[[float], Any]
"""A name, or a function that gives for a value a system, or a system and its inputs."""


def vary(system: Any, parameter: Varied, inputs: np.ndarray) -> Vary:
    """The equations of a system whose number has other values.

    Parameters
    ----------
    system : System
        A wave.
    parameter : str or callable
        ``"drive"``, a factor of all pumps; ``"detuning"``, V less the value; ``"inputs.0"``, an
        input; an entry of a parameter, such as ``"weights.0"`` or ``"potential.12"`` (of a complex
        one the real part, bounds of training not heeded); a number of the system by its
        attributes, such as ``"loss"`` or ``"nonlinearity.g"``; or a function of the value, which
        returns a system on the same space, or a system and its inputs.
    inputs : ndarray, shape (1, ninputs)

    Raises
    ------
    InputError
        If the system has no such number.
    """
    if callable(parameter):
        return _by_function(parameter, inputs)
    system = device_of(system)
    drive = system.drive(inputs)
    if parameter == "drive":
        return lambda value: (system, value * drive)
    if parameter == "detuning" and hasattr(system, "background"):
        return lambda value: (detuned(system, value), drive)
    name, _, rest = parameter.partition(".")
    if name == "inputs":
        place = _place(parameter, rest, inputs.shape[1], "inputs")
        return lambda value: (system, system.drive(_put(inputs.T, place, value).T))
    if name in system.parameters:
        kept: Parameter = system.parameters[name]
        place = _place(parameter, rest, len(kept), f"values of {name}")

        def entry(value: float) -> tuple[Any, np.ndarray]:
            other = with_values(system, name, _put(kept.values, place, value))
            changed = other.drive(inputs)
            alone = np.array_equal(other.linear_part.field, system.linear_part.field)
            return (system if alone else other), changed

        return entry
    _number_at(system, parameter)
    return lambda value: (_with(system, parameter.split("."), value), drive)


def _by_function(parameter: Callable[[float], Any], inputs: np.ndarray) -> Vary:
    kept: list[Any] = []  # the equation, which stays where the drive alone changes

    def given(value: float) -> tuple[Any, np.ndarray]:
        found = parameter(value)
        other, rows = found if isinstance(found, tuple) else (found, inputs)
        other = device_of(other)
        check_wave(other)
        drive = other.drive(checked_inputs(other, np.atleast_2d(rows)))
        if not kept or not _same_equation(kept[0], other):
            kept[:] = [other]
        return kept[0], drive

    return given


def _same_equation(one: Any, other: Any) -> bool:
    """Whether two waves differ in their drives at most."""
    if type(one) is not type(other):
        return False
    names = [field.name for field in fields(one)] if is_dataclass(one) else ["?"]
    for name in set(names) - {"space", "pumps", "potential", "background"}:
        first, second = getattr(one, name, 0), getattr(other, name, 1)
        if isinstance(first, np.ndarray) or not (first is second or first == second):
            return False
    here, there = one.linear_part, other.linear_part
    same = here.space is there.space or np.array_equal(here.space.points, there.space.points)
    return same and np.array_equal(here.field, there.field)


def check_wave(system: Any) -> None:
    """InputError if a system has no branches that can be followed."""
    if not hasattr(system, "linearise") or not hasattr(system, "drive"):
        raise InputError(
            f"branches: {type(system).__name__} is no wave; steady states of waves (such as GPE) "
            "can be followed, minima of an energy cannot."
        )


def _put(values: np.ndarray, place: int, value: float) -> np.ndarray:
    """The values with another one in a place."""
    changed = np.array(values)
    changed[place] = value + 1j * changed[place].imag if np.iscomplexobj(changed) else value
    return changed


def _place(parameter: str, text: str, count: int, what: str) -> int:
    if not text.isdecimal() or int(text) >= count:
        raise InputError(
            f"{parameter}: the system has {count} {what}, counted "
            f"from 0; write the place of one after a dot, such as "
            f"{parameter.partition('.')[0]}.{max(count - 1, 0)}."
        )
    return int(text)


def detuned(system: Any, value: float) -> Any:
    """The system with V less a value everywhere."""
    before = system.background
    shift = np.full(system.space.w.shape, -value)
    return replace(system, background=shift if before is None else before - value)


def with_values(system: Any, name: str, values: np.ndarray) -> Any:
    """A system with other values of a parameter, bounds of training not heeded."""
    kept = system.parameters[name]
    return _exchanged(system, kept, replace(kept, values=values))


def _exchanged(holder: Any, old: Any, new: Any) -> Any:
    """A dataclass with one object in it exchanged, however deep it lies."""
    changed = {}
    for field in fields(holder):
        value = getattr(holder, field.name)
        if value is old:
            changed[field.name] = new
        elif is_dataclass(value) and not isinstance(value, type):
            inner = _exchanged(value, old, new)
            if inner is not value:
                changed[field.name] = inner
    return replace(holder, **changed) if changed else holder


def _number_at(system: Any, path: str) -> float:
    """A number of a system by its attributes."""
    found = system
    for name in path.split("."):
        known = [each.name for each in fields(found)] if is_dataclass(found) else []
        if name not in known:
            raise InputError(f"{path}: there is no such number; known are {told_names(system)}.")
        found = getattr(found, name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise InputError(f"{path}: this is no number; known are {told_names(system)}.")
    return float(found)


def told_names(system: Any) -> str:
    """The numbers of a system that can be varied, in words."""
    names = ["drive", "detuning"] if hasattr(system, "background") else ["drive"]
    names += [f"inputs.0 to .{system.ninputs - 1}"] if system.ninputs else []
    names += [f"{name}.0 to .{len(p) - 1}" for name, p in system.parameters.items() if len(p)]
    names += _paths(system)
    return ", ".join(names)


def _paths(holder: Any, prefix: str = "", depth: int = 2) -> list[str]:
    found = []
    for field in fields(holder):
        value = getattr(holder, field.name)
        if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
            found.append(prefix + field.name)
        elif depth > 1 and field.name == "nonlinearity" and is_dataclass(value):
            found += _paths(value, f"{prefix}{field.name}.", depth - 1)
    return found


def _with(holder: Any, path: list[str], value: float) -> Any:
    """A dataclass with another number at the end of a path of attributes."""
    name, *rest = path
    inner = _with(getattr(holder, name), rest, value) if rest else value
    return replace(holder, **{name: inner})
