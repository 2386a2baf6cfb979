"""Minima of a batch of trained phase oscillators against the motion xy (2) by Runge-Kutta."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import nepfield as nf
from nepfield.space.linalg import one_thread
from nepfield.steady.energy import Landscape
from nepfield.study.run.build import build
from nepfield.study.systems.systems import load_study
from nepfield.systems.clamped_phases import HeldEnergy
from studies.speed.measure import Measurement, best_of

_NAME = "oscillators against Runge-Kutta"
_STUDY = Path(__file__).parents[1] / "xy-digits-100" / "study.toml"
_DT, _TOLERANCE, _REPEATS = 0.1, 1e-6, 3


def compare_phases(
    hidden: int = 100, epochs: int = 60, nsamples: int = 300, turns: int = 2, longest: float = 3e3
) -> list[Measurement]:
    """Digits by a layered network that was trained for some steps, each from a random start.

    Both sides stop a sample where its largest force is below the same bound; Runge-Kutta goes on
    with the others alone, up to the time `longest`. What is told is processor time on one thread.
    """
    few = [f"training.epochs={epochs}", f"domain.layers=[64, {hidden}, 10]"]
    study = build(load_study(_STUDY, [*few, "training.evaluate_every=0"]))
    system = study.train().system
    inputs = study.task.sets()["test"][0]
    inputs = inputs[np.random.default_rng(0).permutation(len(inputs))[:nsamples]]
    keys = nf.Keys(0, 0, np.arange(nsamples)).fold("free")
    options = {"tolerance": _TOLERANCE, "curvature": False}
    found: dict[str, np.ndarray] = {}

    def newton() -> None:
        found["newton"] = system.equilibrate(inputs, None, None, keys, **options).state

    def stepping() -> None:
        found["stepped"], found["time"] = runge_kutta(system, inputs, keys, longest)

    best: dict[str, float] = {}
    with one_thread():
        for _ in range(turns):  # minima before and after, since the weather changes
            for name, count, function in (
                ("newton", _REPEATS, newton),
                ("stepping", 1, stepping),
                ("newton", _REPEATS, newton),
            ):
                (seconds,) = best_of(count, function, clock=time.process_time)
                best[name] = min(best.get(name, np.inf), seconds)
    fast, slow = best["newton"], best["stepping"]
    stepped = found["stepped"]
    ended = found["time"]
    rests = np.isfinite(ended)
    polished = system.equilibrate(inputs, None, stepped, None, curvature=False).state
    near = np.abs(np.angle(np.exp(1j * (polished - stepped))))[:, rests].max()
    same = np.abs(np.angle(np.exp(1j * (found["newton"] - stepped)))).max(axis=0) < 1e-2
    case = f"64-{hidden}-10, {nsamples} images"
    note = (
        f"dt {_DT}, forces below {_TOLERANCE:g} of the largest curvature; "
        f"{np.count_nonzero(rests)} of {nsamples} samples rest before t = {longest:g}, the median "
        f"one at {np.median(ended[rests]):.3g}, the last at {ended[rests].max():.3g}"
    )
    return [
        Measurement(_NAME, case, "nepfield, random phases to minima", fast, "s"),
        Measurement(_NAME, case, "Runge-Kutta, the same", slow, "s", "", note),
        Measurement(_NAME, case, "ratio", slow / fast, "", ">= 100", note),
        Measurement(_NAME, case, "from its end to the minimum, rad", float(near), "", "<= 1e-3"),
        Measurement(
            _NAME, case, "samples that end in the same minimum", float(same.mean()), "", "",
            "from the same start the two may reach different minima",
        ),
    ]  # fmt: skip


def runge_kutta(
    system: nf.Oscillators, inputs: np.ndarray, keys: nf.Keys, longest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Phases where the motion ends, and when it did, nan where it has not."""
    bias, angle = system.bias.values, system.bias_phase.values
    held = HeldEnergy(system.wiring, system.weights, bias, angle, inputs)
    state = held.start(None, keys)
    going, ended = np.arange(len(inputs)), np.full(len(inputs), np.nan)
    for unit in range(round(longest)):
        land = Landscape(held, None, going)
        here = state[:, going]
        for _ in range(round(1 / _DT)):
            first = land.force(here)
            second = land.force(land.moved(here, -_DT / 2 * first))
            third = land.force(land.moved(here, -_DT / 2 * second))
            last = land.force(land.moved(here, -_DT * third))
            here = land.moved(here, -_DT / 6 * (first + 2 * second + 2 * third + last))
        state[:, going] = here
        hessian = land.hessian(here)
        size = np.abs(land.force(here)).max(axis=0) / hessian.scale()
        rests = (size <= _TOLERANCE) & hessian.definite()
        ended[going[rests]] = unit + 1
        going = going[~rests]
        if not len(going):
            break
    return state, ended
