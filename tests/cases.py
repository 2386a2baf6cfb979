"""Small systems and reference computations that several tests share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from helpers import per_sample

import nepfield as nf

MESHES = Path(__file__).parents[1] / "meshes"
TIGHT = {"tolerance": 1e-13}

NONLINEARITIES = {
    "none": None,
    "density": nf.Density(0.3),
    "saturation": nf.Saturation(0.4),
    "custom": nf.CustomNonlinearity(
        lambda n: (0.5 - 0.2j) * n / (1 + n), lambda n: (0.5 - 0.2j) / (1 + n) ** 2
    ),
}


@dataclass(frozen=True)
class Case:
    """A system with a cost and samples to take gradients of."""

    system: nf.GPE
    cost: nf.MSE | nf.CCE
    inputs: np.ndarray
    targets: np.ndarray

    @property
    def samples(self) -> tuple[nf.MSE | nf.CCE, np.ndarray, np.ndarray]:
        return self.cost, self.inputs, self.targets


# name: (pump centers or sites, pump width, pump strength, readout centers or sites and radius)
PLACES = {
    "triangles-1": (([0.5, 0.5], [1.5, 0.5]), 0.3, 12.0, ([0.5, 1.4], [0.6, 0.6]), 0.4),
    "triangles-2": (([0.5, 0.5], [1.5, 0.5]), 0.3, 12.0, ([0.5, 1.4], [0.6, 0.6]), 0.4),
    "disc": (([-0.4, 0.1], [0.3, 0.4]), 0.4, 6.0, ([0.0, -0.4], [0.2, 0.2]), 0.4),
    "disc-open": (([-0.4, 0.1], [0.3, 0.4]), 0.4, 2.0, ([0.0, -0.4], [0.2, 0.2]), 0.4),
    "interval": (([2.0], [5.5]), 0.7, 0.8, ([4.0], [6.5]), 0.5),
    "interval-open": (([2.0], [5.5]), 0.7, 0.8, ([4.0], [6.0]), 0.5),
    "chain": ((2, 6), None, 0.8, (4, 7), None),
    "lattice": (([0, 1], [2, 2]), None, 2.0, ([1, 1], [2, 3]), None),
    "network": ((0, 4), None, 0.8, (3, 6), None),
}


@cache
def space(name: str) -> nf.Space:
    if name == "chain":
        return nf.graph(nf.lattice(9))
    if name == "lattice":
        return nf.graph(nf.lattice(3, 4))
    if name == "network":
        return nf.graph(network())
    mesh = {"triangles-1": "polygon", "triangles-2": "polygon"}.get(name, name.split("-")[0])
    domain = nf.read_domain(MESHES / f"{mesh}.msh")
    robin = {"disc-open": {"rim": 0.4 - 0.9j}, "interval-open": {"right": -0.6j}}.get(name)
    return nf.finite_elements(domain, order=1 if name == "triangles-1" else 2, robin=robin)


def network() -> nf.Domain:
    """An irregular graph of 7 points with couplings and walls at two of them."""
    points = np.array([[0.0, 0], [1, 0.2], [2, 0], [0.3, 1], [1.4, 1.1], [2.2, 1.3], [1, 2]])
    edges = np.array([[0, 1], [1, 2], [0, 3], [1, 4], [3, 4], [4, 5], [2, 5], [3, 6], [4, 6]])
    coupling = np.array([0.5, 1.3, 0.8, 1.1, 0.6, 0.9, 1.7, 0.4, 1.2])
    return nf.Domain(
        points, edges, "graph", {}, {"wall": np.array([[2], [6], [6]])}, {"coupling": coupling}
    )


def ell(n: int) -> nf.Domain:
    """Three unit squares around (1, 1), of n x n small squares each, cut into two triangles."""
    ticks = np.arange(2 * n + 1)
    index = ticks[:, None] * (2 * n + 1) + ticks  # [iy, ix]
    corner = index[:-1, :-1]
    keep = ~((ticks[:-1, None] >= n) & (ticks[None, :-1] >= n))
    a = corner[keep]
    b, c, d = a + 1, a + 2 * n + 2, a + 2 * n + 1
    cells = np.concatenate([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    used, cells = np.unique(cells, return_inverse=True)
    points = np.column_stack([used % (2 * n + 1), used // (2 * n + 1)]) / n
    cells = cells.reshape(-1, 3)
    middle = points[cells].mean(axis=1)
    right, upper = middle[:, 0] > 1, middle[:, 1] > 1
    regions = {
        "corner": np.flatnonzero(~right & ~upper),
        "right": np.flatnonzero(right),
        "upper": np.flatnonzero(upper),
    }
    return nf.Domain(points, cells, "triangle", regions, source=f"ell({n})")


def random_potential(space: nf.Space, rng: np.random.Generator) -> np.ndarray:
    """Complex values, one a cell: Re V in [-0.2, 0.8], Im V in [-0.1, 0]."""
    size = len(space.elements)
    return rng.uniform(-0.2, 0.8, size) - 1j * rng.uniform(0, 0.1, size)


@cache
def case(name: str, nonlinearity: str = "density", cost: str = "mse", loss: float = 0.2) -> Case:
    """Complex V, complex weights, a pump with a wave vector on meshes; three samples."""
    rng = np.random.default_rng(sum(map(ord, name + nonlinearity + cost)))
    centers, width, strength, outputs, radius = PLACES[name]
    weights = strength * np.array([0.9 + 0.3j, -0.6 + 0.5j])
    on = space(name)
    if on.is_graph:
        pumps = [nf.site_pump(s, w) for s, w in zip(centers, weights, strict=True)]
        readout = nf.readout(on, sites=outputs)
    else:
        k = [0.8] if on.domain.dim == 1 else [0.8, -1.3]
        pumps = [
            nf.gaussian_pump(centers[0], width, weights[0]),
            nf.gaussian_pump(centers[1], width, weights[1], wavevector=k),
        ]
        readout = nf.readout(on, discs=[(c, radius) for c in outputs])
    background = {
        "disc-open": lambda: nf.absorbing_region(on, "disc", 0.15),
        "interval-open": lambda: nf.absorbing_layer(on, "right", 2.0, 0.5),
    }.get(name, lambda: None)()
    system = nf.GPE(
        on, random_potential(on, rng), pumps, NONLINEARITIES[nonlinearity], loss, background
    )
    inputs = np.array([[1.0, 0.0], [0.7, 1.1], [-0.4, 0.9]])
    if cost == "cce":
        return Case(system, nf.CCE(readout), inputs, np.array([[1.0, 0], [0.3, 0.7], [0, 1]]))
    return Case(system, nf.MSE(readout), inputs, np.array([[0.0, 0.4], [0.8, 0.1], [0.5, 0.6]]))


def mean_cost(this: Case, parameters: Mapping[str, np.ndarray], initial: np.ndarray) -> float:
    system = this.system.with_parameters(parameters)
    steady = nf.solve_steady(system, this.inputs, initial=initial, **TIGHT)
    return float(per_sample(this.cost, steady.state, this.targets).mean())


def slope_along(derivative: Mapping[str, np.ndarray], direction: Mapping[str, np.ndarray]) -> float:
    """<dC, d>, where a complex derivative is dC/dRe + i dC/dIm."""
    return sum(float(np.sum((derivative[k].conj() * direction[k]).real)) for k in direction)


def taylor_rate(
    cost_along: Callable[[float], float], slope: float, first: float, halvings: int = 4
) -> np.ndarray:
    """Observed orders in h of ``|C(h) - C(0) - h slope|``; 2 if the slope is right, else 1."""
    steps = first * 0.5 ** np.arange(halvings + 1)
    start = cost_along(0.0)
    remainder = np.array([abs(cost_along(h) - start - h * slope) for h in steps])
    return np.log2(remainder[:-1] / remainder[1:])


def random_direction(
    parameters: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Random, complex where the parameter is, of the size of the parameter itself."""
    direction = {}
    for name, value in parameters.items():
        d = rng.normal(size=value.shape)
        if np.iscomplexobj(value):
            d = d + 1j * rng.normal(size=value.shape)
        direction[name] = d * np.abs(value).mean()
    return direction


def distance(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> float:
    """Largest relative distance of the arrays of two dicts, by name."""
    assert first.keys() == second.keys()
    return max(np.linalg.norm(first[k] - second[k]) / np.linalg.norm(second[k]) for k in first)


def chain_system(
    rng: np.random.Generator, loss: float = 0.03, complex_valued: bool = False, **options: object
) -> nf.GPE:
    """The XOR chain of the paper: pumps at sites 2 and 6 of 9, saturation response."""
    on = space("chain")
    start, weights = rng.uniform(0, 0.5, 9), rng.uniform(-1, 1, 2)
    if complex_valued:
        start, weights = start - 0.01j, weights + 0.1j
    return nf.GPE(
        on,
        nf.potential(on, start, **options),
        [nf.site_pump(2, weights[0]), nf.site_pump(6, weights[1])],
        nf.Saturation(0.1),
        loss,
    )


def chain_cost() -> nf.MSE:
    return nf.MSE(nf.readout(space("chain"), sites=[4]))


def with_loss(this: Case, loss: float) -> Case:
    return replace(this, system=replace(this.system, loss=loss))
