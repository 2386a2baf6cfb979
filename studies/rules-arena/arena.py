"""One device, one wave, every rule: the cases of the arena.

A case is a device with a random potential around a given mean (the detuning of the drive), random
pump weights, one sample and random targets; g is such that in the wave without nonlinearity the
largest ``|b| = |f'| n`` would be a given multiple of the loss. Every rule's gradient for V and w
together is held against the adjoint, and what rules say of their own error against the true one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import nepfield as nf
from nepfield.learning.gradients import cosine, inner_product
from studies.common import STUDIES

BETA = 0.01
SOLVER: dict[str, Any] = {"tolerance": 1e-11}
ROUGHNESS = 0.5  # V is uniform in [mean - ROUGHNESS, mean + ROUGHNESS]
RING, LEAD = 24, 6  # sites
CORRECTED = ("nep", "nep-linear", "reciprocal", "reciprocal-symmetric")
OTHERS = ("scattering-backpropagation", "asym-ep", "dyadic-ep", "holomorphic-ep")
RULES = [(rule, k) for rule in CORRECTED for k in range(3)] + [(rule, 0) for rule in OTHERS]


@dataclass(frozen=True)
class Grid:
    """The cases of one device."""

    device: str
    gammas: Sequence[float]
    means: Sequence[float]
    ratios: Sequence[float]
    draws: int

    def items(self) -> Iterator[tuple[str, float, float, Sequence[float], int]]:
        """Pieces of work: one loss and one detuning each."""
        for gamma in self.gammas:
            for mean in self.means:
                yield self.device, gamma, mean, self.ratios, self.draws


def grids(quick: bool) -> list[Grid]:
    """The three devices; a trial run takes one loss and detuning of each."""
    if quick:
        return [
            Grid("lattice", (0.1,), (0.0,), (0.0, 1.0), 2),
            Grid("ring", (0.1,), (-1.0,), (1.0,), 2),
            Grid("billiard", (0.3,), (0.5,), (1.0,), 1),
        ]
    gammas = (0.03, 0.1, 0.3, 1.0)
    return [
        Grid("lattice", gammas, (-1.0, 0.0, 0.5), (0.0, 0.3, 1.0, 3.0, 10.0), 8),
        Grid("ring", gammas, (-1.0, -0.5, 0.25), (0.0, 0.3, 1.0, 3.0, 10.0), 8),
        Grid("billiard", (0.1, 0.3), (-1.0, -0.5, 0.5), (0.0, 1.0, 3.0), 2),
    ]


def ring() -> nf.Space:
    """A ring of sites with two leads, whose ends let a wave in the middle of the band out.

    Beyond the last site a wave goes on as exp(i k), so that ``rho = 1 - exp(i k)`` with k = pi/2.
    """
    angle = 2 * np.pi * np.arange(RING) / RING
    radius = RING / (2 * np.pi)
    leads = radius + 1.0 + np.arange(LEAD)
    points = np.concatenate(
        [
            radius * np.column_stack([np.cos(angle), np.sin(angle)]),
            np.column_stack([-leads, np.zeros(LEAD)]),
            np.column_stack([leads, np.zeros(LEAD)]),
        ]
    )
    around = np.column_stack([np.arange(RING), (np.arange(RING) + 1) % RING])
    left = np.concatenate([[RING // 2], RING + np.arange(LEAD)])
    right = np.concatenate([[0], RING + LEAD + np.arange(LEAD)])
    edges = np.concatenate(
        [around, np.column_stack([left[:-1], left[1:]]), np.column_stack([right[:-1], right[1:]])]
    )
    ends = {"left": np.array([[left[-1]]]), "right": np.array([[right[-1]]])}
    domain = nf.Domain(points, edges, "graph", {}, ends, source="ring")
    return nf.graph(domain, robin={"left": 1 - 1j, "right": 1 - 1j})


def device(name: str, random: np.random.Generator) -> tuple[nf.Space, nf.MSE, Any, list[nf.Pump]]:
    """Space, cost, basis of the potential, and two pumps of random weights."""
    weights = random.uniform(0.3, 1.0, 2) * random.choice([-1.0, 1.0], 2)
    if name == "billiard":
        domain = nf.read_domain(STUDIES.parent / "meshes" / "billiard.msh")
        space = nf.finite_elements(domain, order=2, dirichlet=["wall"])
        read = nf.readout(space, regions=["output"])
        centers = ([1.8, 2.4], [6.2, 2.2])
        pumps = [nf.gaussian_pump(c, 0.6, 5 * w) for c, w in zip(centers, weights, strict=True)]
        return space, nf.MSE(read), [1.0, 1.0], pumps
    if name == "ring":
        space = ring()
        sites = [RING + LEAD - 2, RING // 4]  # in the left lead, in one arm
        outputs = [RING + 2 * LEAD - 2, 3 * RING // 4, RING // 8]
    else:
        space = nf.graph(nf.lattice(6, 6))
        sites, outputs = np.split(random.permutation(36)[:5], [2])
    pumps = [nf.site_pump(int(s), float(w)) for s, w in zip(sites, weights, strict=True)]
    return space, nf.MSE(nf.readout(space, sites=[int(s) for s in outputs])), "cells", pumps


def arena_rows(item: tuple[str, float, float, Sequence[float], int]) -> list[dict[str, Any]]:
    """All draws, responses and nonlinearities of one loss and one detuning; a row a rule."""
    name, gamma, mean, ratios, draws = item
    rows = []
    for draw in range(draws):
        # The same landscapes and pumps at all losses and detunings.
        random = np.random.default_rng((draw, 13))
        space, cost, basis, pumps = device(name, random)
        count = len(nf.potential(space, basis=basis).values)
        values = mean + random.uniform(-ROUGHNESS, ROUGHNESS, count)
        wanted = random.uniform(0.0, 2.0, (1, cost.readout.noutputs))
        linear = nf.GPE(space, nf.potential(space, values, basis=basis), pumps, None, gamma)
        steady = nf.solve_steady(linear, np.ones((1, 2)), **SOLVER)
        for ratio in ratios:
            for response in ("density", "saturation") if ratio else ("linear",):
                row = {
                    "device": name, "response": response, "gamma": gamma, "mean_V": mean,
                    "ratio": ratio, "draw": draw,
                }  # fmt: skip
                system = with_response(linear, steady, response, ratio)
                rows += [row | found for found in held_against(system, steady, cost, wanted)]
    return rows


def with_response(linear: nf.GPE, steady: nf.Steady, response: str, ratio: float) -> nf.GPE:
    """The system with a nonlinearity that would make ``max |f'| n`` of its wave `ratio` times loss.

    The response to saturation is g where there is no wave: V is lowered by as much.
    """
    if response == "linear":
        return linear
    space, n = linear.space, np.abs(linear.space.evaluate(steady.state[:, 0])) ** 2
    slope = n if response == "density" else n / (1 + n) ** 2
    g = float(ratio * linear.loss / slope.max())
    if response == "density":
        return nf.GPE(space, linear.potential, linear.pumps, nf.Density(g), linear.loss)
    background = np.full(len(space.w), -g)
    return nf.GPE(space, linear.potential, linear.pumps, nf.Saturation(g), linear.loss, background)


def held_against(
    system: nf.GPE, start: nf.Steady, cost: nf.MSE, wanted: np.ndarray
) -> list[dict[str, Any]]:
    """A row a rule: cosine and norm ratio to the adjoint, steady states, error told and true."""
    inputs = np.ones((1, 2))
    steady = nf.solve_steady(system, inputs, initial=start.state, on_failure="flag", **SOLVER)
    if not steady.converged.all():
        return [{"state": "not found"}]
    conjugate = system.linearise(steady.state).conjugate
    strength = 0.0 if conjugate is None else float(np.abs(conjugate).max()) / system.loss
    about = {
        "state": str(nf.stability(system, steady).stability[0]),
        "b_over_loss": strength,
    }
    targets = wanted * cost.readout.outputs(steady.state)
    samples = system, cost, inputs, targets
    exact = nf.gradient(*samples, "adjoint", steady=steady, **SOLVER).params
    size = inner_product(system, exact, exact)
    rows = []
    how: dict[str, Any] = {"steady": steady, "on_failure": "flag", **SOLVER}
    for rule, corrections in RULES:
        found = nf.gradient(*samples, rule, BETA, corrections=corrections, **how)
        row = about | {"rule": rule, "corrections": corrections}
        if found.used.all():
            own = inner_product(system, found.params, found.params)
            wrong = {name: value - exact[name] for name, value in found.params.items()}
            states = 1 if found.measurements is None else int(found.measurements[0])
            row |= {
                "cosine": cosine(system, found.params, exact),
                "norm_ratio": np.sqrt(own / size),
                "states": 1 + states,
                "told": found.error,
                "true": np.sqrt(inner_product(system, wrong, wrong) / own),
            }
        rows.append(row)
    return rows
