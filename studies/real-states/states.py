"""Which steady states are real: over loss, detuning and nonlinearity, on two devices.

A case is a device with a random potential around a given mean, random pump weights, a loss and a
nonlinearity, and three inputs. Of each steady state that Newton's method or the continuation finds
from the vacuum it is asked whether it is stable, and whether a sudden switch-on comes to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

import nepfield as nf
from nepfield.space.linalg import one_thread
from studies.common import STUDIES

ROUGHNESS = 0.5  # V is uniform in [mean - ROUGHNESS, mean + ROUGHNESS]
INPUTS = nf.xor().inputs[1:]


@dataclass(frozen=True)
class Grid:
    """The cases of one device with one response."""

    device: str
    response: str
    losses: Sequence[float]
    means: Sequence[float]
    strengths: Sequence[float]
    draws: int

    def items(self) -> list[tuple]:
        """One a system."""
        return [
            (self.device, self.response, *numbers, draw)
            for *numbers, draw in itertools.product(
                self.losses, self.means, self.strengths, range(self.draws)
            )
        ]


def grids(quick: bool) -> list[Grid]:
    """The maps of nine sites and of the billiard, for both responses."""
    losses, means = np.array([0.03, 0.1, 0.3, 1.0]), np.linspace(-2, 0.5, 6)
    strengths, draws = (0.3, 1.0, 5.0), 3
    few = (np.array([0.05, 0.15]), np.array([-1.0, -0.5, 0.0]), (0.3, 3.0), 2)
    if quick:
        losses, means, strengths, draws = losses[::3], means[2:4], strengths[1:3], 1
        few = (few[0][1:], few[1][:1], few[2][:1], 1)
    return [
        grid
        for response in ("density", "saturation")
        for grid in (
            Grid("nine sites", response, losses, means, strengths, draws),
            Grid("billiard", response, *few),
        )
    ]


def device(name: str) -> tuple[nf.Space, list[nf.Pump], str | list[float]]:
    """Space, pumps of weight 1, and basis of the potential."""
    if name == "nine sites":
        return nf.graph(nf.lattice(9)), [nf.site_pump(2), nf.site_pump(6)], "cells"
    domain = nf.read_domain(STUDIES.parent / "meshes" / "billiard.msh")
    space = nf.finite_elements(domain, order=1, dirichlet=["wall"])
    pumps = [nf.gaussian_pump([1.8, 2.4], 0.6), nf.gaussian_pump([6.2, 2.2], 0.6)]
    return space, pumps, [1.0, 1.0]


def state_rows(item: tuple) -> list[dict]:
    """All samples of one system."""
    name, response, loss, mean, strength, draw = item
    space, pumps, basis = device(name)
    random = np.random.default_rng((draw, 7))  # the same landscapes for all losses and responses
    values = random.uniform(-ROUGHNESS, ROUGHNESS, len(nf.potential(space, basis=basis).values))
    weights = random.uniform(0.2, 1.0, 2) * random.choice([-1, 1], 2)
    made = nf.Density(strength) if response == "density" else nf.Saturation(strength)
    system = nf.GPE(
        space,
        nf.potential(space, mean + values, basis=basis),
        [replace(pump, weight=w) for pump, w in zip(pumps, weights, strict=True)],
        made,
        loss,
    )
    with one_thread():
        steady = nf.solve_steady(system, INPUTS, on_failure="flag")
        found = nf.stability(system, steady)
        arrived = nf.switch_on(system, INPUTS, steady, stability=found.stability)
        lowest = float(nf.modes(system, 1).level[0])
        nearest = nf.modes(system, 1, near=0.0)
    ratio = np.full(len(INPUTS), np.nan)
    if (good := steady.converged).any():
        near = nf.near_equilibrium(system, steady.state[:, good])
        ratio[good] = near.nonlinearity_ratio
    shared = {
        "device": name, "response": response, "loss": loss, "mean_V": mean, "g": strength,
        "draw": draw, "lowest_level": lowest,
        "detuning_over_loss": float(abs(nearest.level[0]) / loss),
    }  # fmt: skip
    return [
        shared
        | {
            "sample": k,
            "converged": bool(good[k]),
            "shift_over_loss": ratio[k],
            "stability": str(found.stability[k]) if good[k] else "",
            "growth": found.growth[k],
            "frequency": found.frequency[k],
            "switch_on": str(arrived.outcome[k]) if good[k] else "",
            "contracts": bool(found.bound[k] < 0) if good[k] else False,
        }
        for k in range(len(INPUTS))
    ]
