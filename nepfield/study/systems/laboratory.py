"""A wave in the units of a laboratory: its scales and factors, and the time that training takes.

Steady states are found here by Newton's method; in a laboratory each one is waited for. The main
paper counts two states a sample, of 5000 steps of 0.1 each at gamma = 0.1, which is 50 / gamma for
a state; its 0.1 ms for 1 / gamma = 1 ps (20 epochs of 5,000 samples) takes 500 / gamma. A wave is
within 1e-9 of its steady state after 21 / gamma. 50 / gamma is what is counted here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nepfield.learning.rules import EXACT
from nepfield.mesh.domain import Domain
from nepfield.study.systems.gpe_sections import WaveStudy
from nepfield.study.text.study import Shown

RELAXATION = 50.0
"""Time that a steady state is waited for, in 1 / gamma, where [measurement] says nothing."""


def states_of(rule: str) -> int | None:
    """Steady states a sample that a rule measures; None for the exact gradient.

    They are the free one, of which the nudge is made, and one for each nudge. The limit of a weak
    nudge takes what a weak nudge takes; no experiment has the exact gradient. Corrections are more
    nudges: `laboratory_time` counts those that were made.
    """
    if rule == EXACT:
        return None
    return 3 if rule.endswith("-symmetric") else 2


def density_dimension(domain: Domain) -> int:
    """d of a density 1 / length^d; 0 on a graph, where density is counted by site."""
    return 0 if domain.kind == "graph" else domain.dim


def shown_units(config: WaveStudy, dimension: int) -> Shown:
    """For each kind of figure the unit that it is shown in, and what a figure is multiplied by.

    Parameters
    ----------
    config : GPEStudy
    dimension : int
        Of the domain; 0 for a graph, where density is counted by site.

    Returns
    -------
    dict
        Empty without [units]. ``unit`` is "" for a pure number.
    """
    if config.units is None:
        return {}
    scales = config.units.scales
    d, squared = dimension, 2 if config.training.cost == "mse" else 0
    of_g = d if config.physics.nonlinearity == "density" else 0
    powers: dict[str, tuple[int, float]] = {
        "length": (0, 1),
        "energy": (1, 0),
        "density": (0, -d),
        "target": (0, -d if squared else 0),  # a density, or the probability of a class
        "interaction": (1, of_g),
        "weight": (1, -d / 2),
        "cost": (0, -d * squared),
        "gradient": (-1, -d * (squared + 1)),  # of the cost by V, over the measure
    }
    units: Shown = {
        name: {"unit": scales.text(*power), "factor": scales.factor(*power)}
        for name, power in powers.items()
    }
    units["time"] = {"unit": scales.shown["time"].text, "factor": scales.factor(time=1)}
    return units


def laboratory_time(
    config: WaveStudy, epochs: int, samples: int, history: Sequence[Mapping[str, float]] = ()
) -> dict[str, Any] | None:
    """What a training would take in a laboratory, or None where none could do it (the adjoint).

    Parameters
    ----------
    config : GPEStudy
    epochs, samples : int
    history : sequence of dict
        Where its rows say how many states were measured (``measurements``), that is counted.

    Returns
    -------
    dict
        ``states``: steady states in all; ``decay_times``: their time in 1 / gamma; ``seconds``,
        with [units].
    """
    measured = states_of(config.training.rule)
    if measured is None:
        return None
    nudged = sum(row.get("measurements", measured - 1) for row in history)
    nudged += (measured - 1) * (epochs - len(history))
    states = round((epochs + nudged) * samples)
    waited = RELAXATION
    if config.measurement.waiting is not None:
        waited = config.measurement.waiting * config.physics.loss
    found: dict[str, Any] = {
        "states": states,
        "decay_times_a_state": waited,
        "decay_times": states * waited,
    }
    if config.units is not None:
        found["seconds"] = states * waited / config.physics.loss * config.units.scales.time
    return found


def laboratory_line(time: Mapping[str, Any]) -> dict[str, str]:
    """What is told of that time at the end of a run."""
    took = f", {duration(time['seconds'])}" if "seconds" in time else ""
    text = f"{time['states']} steady states of {time['decay_times_a_state']:g}/gamma each{took}"
    return {"label": "in a laboratory", "text": text}


def scale_lines(config: WaveStudy, dimension: int) -> list[str]:
    """What `nepfield check` says of a study's units."""
    units = shown_units(config, dimension)
    if not units:
        return []

    def told(name: str, value: float = 1.0) -> str:
        return f"{value * units[name]['factor']:.4g} {units[name]['unit']}"

    loss, g = config.physics.loss, config.physics.g
    response = config.physics.nonlinearity
    strength = [f"  g {told('interaction', g)} ({response})"] if response != "none" else []
    return [
        f"  what is 1 here: length {told('length')}, energy {told('energy')}, time {told('time')}, "
        f"weight {told('weight')}",
        *strength,
        f"  loss {told('energy', loss)} (1/gamma {told('time', 1 / loss)}): "
        f"linewidth {told('energy', 2 * loss)} (FWHM, 2 hbar gamma)",
    ]


def duration(seconds: float) -> str:
    """A time in words of the laboratory, such as "10.5 µs"."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-12:.3g} ps"
