"""What can be known of a wave's training before it begins: resonances, and the reach.

Bounded in size, so that a check stays quick: what is left out is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nepfield.learning.reach import Reach, reach, wanted_intensity
from nepfield.steady.modes.cavity import Modes, modes
from nepfield.study.text.study import Built, Shown
from nepfield.systems.brightness import lowest_potential
from nepfield.systems.gpe import GPE

_LEVELS, _REACH = 30_000, 6_000  # unknowns up to which both are looked for
_EASY = 2.0  # times as much as needed: what training can surely do
_NEAR = 3.0  # losses from a resonance below which the drive is said to be near it


def outlook(study: Built, units: Shown) -> list[str]:
    """Lines for `nepfield check`, those with a doubt beginning with "advice".

    Parameters
    ----------
    study : Study
        Of a wave.
    units : dict
        As `shown_units` gives them.
    """
    system: GPE = study.system
    size = system.space.ndof
    lines: list[str] = []
    if size <= _LEVELS:
        try:
            lines += _resonances(study, _in_unit(units, "energy"))
        except np.linalg.LinAlgError as problem:
            lines.append(f"levels: not found ({problem})")
    if size <= _REACH:
        lines += _reached(study, _in_unit(units, "density"))
    left_out = [word for word, most in (("levels", _LEVELS), ("reach", _REACH)) if size > most]
    if left_out:
        calls = {"levels": "nepfield.modes", "reach": "nepfield.reach"}
        lines.append(
            f"left out, for {size:,} unknowns: {' and '.join(left_out)} "
            f"({', '.join(calls[word] for word in left_out)} in Python)"
        )
    return lines


def darkness(study: Built, system: GPE, units: Shown) -> list[str]:
    """Of outputs that stayed dark whether V and the pumps, as trained, can make them bright."""
    if system.space.ndof > _REACH:
        return []
    found = _reach(study, system)
    asked = [k for k, word in enumerate(found.verdict) if word]
    return [
        text
        for k, text in zip(asked, found.sentences(*_in_unit(units, "density")), strict=True)
        if found.verdict[k] != "reached"
    ]


def _reach(study: Built, system: GPE) -> Reach:
    task, cost = study.task, study.cost
    wanted = wanted_intensity(cost, task.targets)
    return reach(system, cost.readout, task.inputs, wanted, **study.solver)


def _in_unit(units: Mapping[str, Any], kind: str) -> tuple[float, str]:
    """What figures of a kind are multiplied by, and their unit after a space."""
    shown = units.get(kind, {"factor": 1.0, "unit": ""})
    return float(shown["factor"]), f" {shown['unit']}".rstrip()


def _resonances(study: Built, energy: tuple[float, str]) -> Iterator[str]:
    """The lowest level, the mode nearest to the drive, and what V may do to them."""
    system: GPE = study.system
    factor, unit = energy
    lowest, nearest = modes(system, 1), modes(system, 1, near=0.0)
    level, loss = nearest.level[0], nearest.loss[0]
    away = f"{nearest.detuning[0]:.3g} times its loss" if loss > 0 else "it has no loss"
    yield (
        f"lowest level {factor * lowest.level[0]:.4g}{unit} (the drive is at 0); nearest to the "
        f"drive is {factor * level:.4g}{unit}: {away}"
    )
    floor = _lowest_of_all(system)
    rule = study.config.training.rule
    if rule.startswith("nep") and nearest.detuning[0] < _NEAR:
        others = [f'"{other}"' for other in ("reciprocal", "adjoint") if other in system.rules]
        yield (
            f"advice: the drive is in resonance with a mode ({away} away), where {rule} is not to "
            f"be trusted: set training.rule = {' or '.join(others)}, less loss, or a higher V"
        )
    elif rule.startswith("nep") and floor is not None and floor < 0 < lowest.level[0]:
        highest = system.potential.bounds[0] - floor if system.potential.bounds else 0.0
        yield (
            "advice: V at its lower bound brings a mode below the drive (to "
            f"{factor * floor:.4g}{unit}): training can pull one into resonance, where {rule} is "
            f"not to be trusted. A lower bound of V of {factor * highest:.3g}{unit} or more keeps "
            "the drive below all modes"
        )


def _lowest_of_all(system: GPE) -> float | None:
    """The lowest level with V at its lower bounds; None where it has none, or is not trained."""
    parameter = system.potential.parameter
    if not parameter.is_trained or not np.isfinite(lowest_potential(system).real).all():
        return None
    assert parameter.bounds is not None
    values = np.array(parameter.values)
    values.real[np.broadcast_to(parameter.trainable, values.shape)] = parameter.bounds[0]
    opened: Modes = modes(system.with_parameters({"potential": values}), 1)
    return float(opened.level[0])


def _reached(study: Built, density: tuple[float, str]) -> Iterator[str]:
    """Whether each output can get as bright as its targets ask."""
    found = _reach(study, study.system)
    growth = _growth(study)
    asked = [k for k, word in enumerate(found.verdict) if word]
    for k, text in zip(asked, found.sentences(*density), strict=True):
        factor = found.factor[k]
        if found.verdict[k] == "reached":
            yield f"reach: {text}"
        elif growth is not None and growth > _EASY * factor:
            yield (
                f"reach: {found.names[k]}: the pumps have to become about {factor:.3g} times "
                f"stronger, which training can do (up to {growth:.3g} times in its steps)"
            )
        else:
            most = f". Training makes them up to {growth:.3g} times stronger" if growth else ""
            yield f"advice: reach: {text}{most}"


def _growth(study: Built) -> float | None:
    """By how much training can make the pumps stronger, by the number of steps (Adam, whose steps
    are about as long as the rate); None where one is fixed or where that is not known."""
    pumps, training = study.system.pumps, study.config.training
    if not pumps.trainable.all() or training.optimizer != "adam":
        return None
    batch = training.batch or len(study.task.inputs)
    steps = training.epochs * -(-len(study.task.inputs) // batch)
    size = float(np.sqrt(np.mean(np.abs(pumps.weights) ** 2)))
    rate = study.config.rates().get("weights", training.rate)
    return 1 + rate * steps / size if size > 0 else np.inf
