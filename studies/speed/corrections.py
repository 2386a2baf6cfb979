"""A gradient that corrects itself against a plain one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import nepfield as nf
from studies.speed.measure import Measurement, best_of

_NAME = "corrected gradient"
_RULES = ("reciprocal", "nep", "nep-symmetric")
_INPUTS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
_TARGETS = np.array([[1.0], [1.0], [0.0]])
_MESHES = Path(__file__).resolve().parents[2] / "meshes"


def compare_corrections(
    corrections: tuple[int, ...] = (1, 3), repeats: int = 15
) -> list[Measurement]:
    """Each rule with k more measurements over the same rule without, the free state in both."""
    rows = []
    for name, (system, cost) in {"lattice(6, 6)": _lattice(), "billiard": _billiard()}.items():
        for rule in _RULES:
            runs = [_run(system, cost, rule, count) for count in (0, *corrections)]
            runs[-1]()  # factors are made and kept
            plain, *times = best_of(repeats, *runs, clock=time.process_time)
            rows += [
                Measurement(
                    _NAME,
                    f"{name}, {system.space.ndof} unknowns, {rule}",
                    f"{count} corrections over none",
                    seconds / plain,
                    "",
                    f"<= {count + 1.2}",
                )
                for count, seconds in zip(corrections, times, strict=True)
            ]
    return rows


def _run(system: nf.GPE, cost: nf.MSE, rule: str, count: int) -> Callable[[], nf.Gradient]:
    return lambda: nf.gradient(
        system, cost, _INPUTS, _TARGETS, rule=rule, corrections=count, beta=1e-3
    )


def _lattice() -> tuple[nf.GPE, nf.MSE]:
    space = nf.graph(nf.lattice(6, 6))
    potential = np.random.default_rng(0).uniform(-0.5, 0.5, 36)
    pumps = [nf.site_pump(7, 0.6), nf.site_pump(28, -0.6)]
    system = nf.GPE(space, potential, pumps, nf.Density(1.0), 0.3)
    return system, nf.MSE(nf.readout(space, sites=[21]))


def _billiard() -> tuple[nf.GPE, nf.MSE]:
    space = nf.finite_elements(nf.read_domain(_MESHES / "billiard.msh"), order=2)
    potential = nf.potential(space, -0.5, basis=[1.0, 1.0])
    pumps = [nf.gaussian_pump([1.8, 2.4], 0.6, 3.0), nf.gaussian_pump([6.2, 2.2], 0.6, -3.0)]
    system = nf.GPE(space, potential, pumps, nf.Density(0.02), 0.3)
    return system, nf.MSE(nf.readout(space, regions=["output"]))
