"""Where the gradient of NEP can be trusted: over loss, detuning and nonlinearity, on two devices.

A case is a device with a random potential around a given mean (the detuning of the drive), random
pump weights, and g set so that the mean nonlinear shift is a given multiple of the loss. In each
the gradients of `nep-linear` (the limit of NEP for a weak nudge), of `reciprocal` and of the same
with one correction are held against the adjoint, for the XOR cost; and numbers are taken that might
foretell the cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import eigsh

import nepfield as nf
from nepfield.space.linalg import DENSE_LIMIT
from nepfield.steady.linear import solve_linearised
from studies.common import STUDIES

from .maps import RULES

ROUGHNESS = 0.5  # V is uniform in [mean - ROUGHNESS, mean + ROUGHNESS]
TASK = nf.Task(nf.xor().inputs[1:], nf.xor().targets[1:])  # 00 has no wave and no gradient


@dataclass(frozen=True)
class Grid:
    """The cases of one device."""

    device: str
    gammas: Sequence[float]
    means: Sequence[float]
    ratios: Sequence[float]
    draws: int


def grids(seeds: int) -> list[Grid]:
    """The two atlases; `seeds` = 100 is the full size."""
    gammas = np.logspace(-3, np.log10(3), 10)
    means = np.linspace(-2, 1, 13)
    few = max(1, round(seeds / 30))
    many = max(2, round(seeds / 12))
    if seeds < 20:
        gammas, means = gammas[::5], means[::6]
    return [
        Grid("lattice", gammas, means, (0.0, 0.3, 1.0, 3.0), many),
        Grid("billiard", gammas[1::2], means[::2], (0.0, 0.3, 3.0), few),
    ]


def device(name: str) -> tuple[nf.Space, nf.MSE, list[float] | str, list[nf.Pump]]:
    """Space, cost, basis of the potential, and pumps of weight 1."""
    if name == "lattice":
        space = nf.graph(nf.lattice(9))
        cost = nf.MSE(nf.readout(space, sites=[4]))
        return space, cost, "cells", [nf.site_pump(2), nf.site_pump(6)]
    domain = nf.read_domain(STUDIES.parent / "meshes" / "billiard.msh")
    space = nf.finite_elements(domain, order=2, dirichlet=["wall"])
    cost = nf.MSE(nf.readout(space, regions=["output"]))
    pumps = [nf.gaussian_pump([1.8, 2.4], 0.6, 5.0), nf.gaussian_pump([6.2, 2.2], 0.6, 5.0)]
    return space, cost, [1.0, 1.0], pumps


# -- one case -------------------------------------------------------------------------


def atlas_rows(item: tuple[str, float, float, Sequence[float], int]) -> list[dict]:
    """All draws and nonlinearities of one loss and one detuning."""
    name, gamma, mean, ratios, draws = item
    space, cost, basis, pumps = device(name)
    count = len(nf.potential(space, basis=basis).values)
    rows = []
    for draw in range(draws):
        # The same landscapes and pumps at all losses and detunings.
        random = np.random.default_rng((draw, 5))
        values = mean + random.uniform(-ROUGHNESS, ROUGHNESS, count)
        weights = random.uniform(-1, 1, 2)
        linear = nf.GPE(
            space,
            nf.potential(space, values, basis=basis),
            [replace(pump, weight=w * pump.weight) for pump, w in zip(pumps, weights, strict=True)],
            loss=gamma,
        )
        steady = nf.solve_steady(linear, TASK.inputs)
        for ratio in ratios:
            row = {"device": name, "gamma": gamma, "mean_V": mean, "ratio": ratio, "draw": draw}
            found = with_nonlinearity(linear, steady, ratio)
            rows.append(row | ({} if found is None else figures(*found, cost)))
    return rows


def with_nonlinearity(
    linear: nf.GPE, steady: nf.Steady, ratio: float
) -> tuple[nf.GPE, nf.Steady] | None:
    """The system with g set to give <g n>/gamma = ratio within 10 %, or None if that fails.

    g grows in steps from the linear state, each from the state before, so the branch is the one
    that a device reaches when its nonlinearity is switched on.
    """
    if ratio == 0:
        return linear, steady
    n = np.abs(linear.space.evaluate(steady.state)) ** 2
    mean = np.mean(linear.space.w @ n) / linear.space.w.sum()
    goal, start = np.log(ratio), np.log(0.1)
    log_g, log_ratio = start + np.log(linear.loss / mean), start  # to first order in g
    step, slope = 0.0, 1.0
    for _ in range(12):
        system = replace_nonlinearity(linear, float(np.exp(log_g + step)))
        trial = nf.solve_steady(
            system, TASK.inputs, initial=steady.state, on_failure="flag", max_iterations=15
        )
        if not trial.converged.all():
            step = step / 2 if step else -1.0
            continue
        got = np.log(nf.near_equilibrium(system, trial.state).nonlinearity_ratio.mean())
        if abs(got - goal) < 0.1:
            return system, trial
        if step:
            slope = np.clip((got - log_ratio) / step, 0.3, 2.0)
        log_g, log_ratio, steady = log_g + step, got, trial
        step = float(np.clip((goal - log_ratio) / slope, -1.2, 1.2))
    return None


def replace_nonlinearity(system: nf.GPE, g: float) -> nf.GPE:
    """The same system with density response g n."""
    return nf.GPE(system.space, system.potential, system.pumps, nf.Density(g), system.loss)


def figures(system: nf.GPE, steady: nf.Steady, cost: nf.MSE) -> dict[str, float]:
    """Cosines of the rules, and the numbers that might foretell them."""
    samples = (system, cost, TASK.inputs, TASK.targets)
    compared = nf.compare_gradients(
        *samples, ("nep-linear", "reciprocal"), corrections=1, steady=steady, on_failure="flag"
    )
    near = nf.near_equilibrium(system, steady.state)
    slope = cost.slope(cost.readout.signals(steady.state), TASK.targets.T)
    error = cost.readout.pull_back(steady.state, slope)
    linear = system.linearise(steady.state)
    response, _ = solve_linearised(linear, -error)
    exact, _ = solve_linearised(linear.with_reversed_loss(), -error)
    return {
        **{rule: float(compared.loc[rule, "cosine"]) for rule in RULES},
        "loss": near.loss.max(),
        "loss_mean": near.loss.mean(),
        "nudge_loss": nf.nudge_loss(system, steady.state, response),
        "nudge_bias": np.linalg.norm(response - exact) / np.linalg.norm(exact),
        "resonance": system.loss / nearest_level(system, linear),
    }


def nearest_level(system: nf.GPE, linear: object) -> float:
    """Distance of the drive to the nearest eigenvalue of the linearised operator without loss.

    Of the last sample, on a mesh; the smallest of all samples on a lattice.
    """
    if system.space.ndof <= DENSE_LIMIT:
        matrices = linear.real_matrices()
        lossless = (matrices + matrices.transpose(0, 2, 1)) / 2  # loss is the antisymmetric part
        return float(np.abs(np.linalg.eigvalsh(lossless)).min())
    space, operator = system.space, system.operator.real.tocsc()
    operator.data = np.ascontiguousarray(operator.data)  # a view of complex numbers has gaps
    if linear.direct is None:
        return float(np.abs(eigsh(operator, 1, space.mass, 0.0, return_eigenvectors=False))[0])
    a, b = linear.direct[:, -1].real, linear.conjugate[:, -1]
    blocks = [
        [operator + space.assemble(a + b.real), space.assemble(b.imag)],
        [space.assemble(b.imag), operator + space.assemble(a - b.real)],
    ]
    mass = sp.block_diag([space.mass, space.mass], format="csc")
    level = eigsh(sp.block_array(blocks, format="csc"), 1, mass, 0.0, return_eigenvectors=False)
    return float(np.abs(level)[0])
