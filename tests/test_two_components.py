"""A second wave equation in a few lines gets every solver, every rule and the exact gradient.

Two polarisations that repel themselves and each other, turn into one another, and have losses of
their own:

    F_1 = (-1/2 Laplacian + V - i gamma) u + (g |u|^2 + c |v|^2) u + J v + i P
    F_2 = the same with u and v exchanged, without pump, and J* and another loss
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from cases import distance, taylor_rate
from helpers import interval, square

import nepfield as nf
from nepfield.fields.pumps import PumpArray, place_pumps
from nepfield.fields.readouts import Intensities, readout
from nepfield.learning.gradients import cosine
from nepfield.space.arrays import squared_magnitude
from nepfield.space.components import components
from nepfield.steady.linear import solve_linearised
from nepfield.steady.linearisation import Linearisation, LinearPart
from nepfield.systems import wave
from nepfield.systems.frames import wave_frame

TIGHT = {"tolerance": 1e-12}


# -- the equation and the system: all that a second wave needs ------------------------------


@dataclass(frozen=True, eq=False)
class TwoComponents:
    space: nf.Space  # of both components
    potential: nf.Potential  # on both of them together
    pumps: PumpArray
    g: float = 0.3
    cross: float = -0.1
    turn: complex = 0.2 + 0.1j  # J; J and J* would conserve energy
    turn_back: complex = 0.15 - 0.05j
    loss: tuple[float, float] = (0.1, 0.2)

    rules, nudge, warm_start, figure_labels = wave.RULES, "linearised", True, {}
    ninputs, driven = 2, "the 2 pumps"

    @cached_property
    def linear_part(self) -> LinearPart:
        field = self.potential.at_points() - 1j * np.repeat(self.loss, len(self.space.w) // 2)
        vacuum = np.zeros((2, 2, len(self.space.w) // 2), complex)
        vacuum[0, 1], vacuum[1, 0] = self.turn, self.turn_back
        return LinearPart(self.space, field, vacuum)

    def drive(self, inputs: np.ndarray) -> np.ndarray:
        return self.pumps.drive(np.asarray(inputs))

    def local(self, state: np.ndarray) -> tuple[np.ndarray, ...]:
        values = self.space.evaluate(state)
        return values, squared_magnitude(values)

    def residual(self, state: np.ndarray, drive: np.ndarray, local: Any = None) -> np.ndarray:
        (u, v), (n, m) = (np.split(part, 2) for part in local or self.local(state))
        first = (self.g * n + self.cross * m) * u + self.turn * v
        second = (self.g * m + self.cross * n) * v + self.turn_back * u
        force = self.linear_part.fastest @ state + 1j * drive
        return force + self.space.integrate(np.concatenate([first, second]))

    def linearise(self, state: np.ndarray, local: Any = None) -> Linearisation:
        (u, v), (n, m) = (np.split(part, 2) for part in local or self.local(state))
        g, c = self.g, self.cross
        direct = [
            [2 * g * n + c * m, c * u * v.conj() + self.turn],
            [c * v * u.conj() + self.turn_back, 2 * g * m + c * n],
        ]
        conjugate = [[g * u**2, c * u * v], [c * u * v, g * v**2]]
        return Linearisation(self.linear_part, np.array(direct), np.array(conjugate))

    @property
    def domain(self) -> nf.Domain:
        return self.space.domain

    @property
    def parameters(self) -> dict[str, nf.Parameter]:
        return {"V": self.potential.parameter, "w": self.pumps.parameter}

    def with_parameters(self, values: Mapping[str, np.ndarray]) -> TwoComponents:
        placed = replace(self.potential, parameter=self.potential.parameter.moved(values["V"]))
        pumps = replace(self.pumps, parameter=self.pumps.parameter.moved(values["w"]))
        return replace(self, potential=placed, pumps=pumps)

    def equilibrate(self, inputs, nudge=None, initial=None, keys=None, **options):
        return wave.equilibrate(self, self.drive(inputs), nudge, initial, **options)

    def observables(self, state, inputs, free, keys=None):
        values = self.potential.observable(self.space, self.space.evaluate(state))
        return {"V": values, "w": self.pumps.observable(state, inputs)}

    def respond(self, kind, free, nudge, inputs):
        multiplier, solved = wave.exact_multiplier(self, free, nudge)
        return self.parameter_derivative(free, multiplier, inputs), solved

    def frame(self, kind, free):
        return wave_frame(self, kind, free)

    def parameter_derivative(self, state, multiplier, inputs):
        product = self.space.evaluate(multiplier) * self.space.evaluate(state)
        derivative = self.potential.derivative(self.space, product)
        return {"V": derivative, "w": self.pumps.derivative(multiplier, inputs)}

    def figures(self, steady, inputs, response=None):
        return {}


# -------------------------------------------------------------------------------------------


def placed(name: str, **options: Any) -> tuple[TwoComponents, nf.MSE]:
    single = {
        "chain": lambda: nf.graph(nf.lattice(7)),
        "long chain": lambda: nf.graph(nf.lattice(40)),
        "interval": lambda: nf.finite_elements(interval(24, 0, 6), order=2),
        "square": lambda: nf.finite_elements(square(4, 3.0), order=2),
    }[name]()
    space = components(single, 2)
    rng = np.random.default_rng(0)
    # one value an element: both components see it, so its supports are joined
    both = nf.potential(single, rng.uniform(0.1, 0.4, len(single.elements)))
    count = len(single.w)
    support = np.tile(both.support, 2)
    summation = sp.csr_array(
        sp.coo_array(
            (np.ones(2 * count), (support, np.arange(2 * count))),
            shape=(len(both.values), 2 * count),
        )
    )
    potential = nf.Potential(both.parameter, support, summation)
    middle = single.points.mean(axis=0)
    if single.is_graph:
        pumps = [nf.site_pump(1, 0.9), nf.site_pump(len(single.w) - 2, -0.7)]
        read = readout(single, sites=[len(single.w) // 2])
    else:
        pumps = [nf.gaussian_pump(0.6 * middle, 0.5, 1.2), nf.gaussian_pump(1.3 * middle, 0.5, -1)]
        read = readout(single, discs=[(middle.tolist(), 0.7)])
    load = place_pumps(single, pumps)
    dense = load.load if isinstance(load.load, np.ndarray) else load.load.toarray()
    load = replace(load, load=np.vstack([dense, 0 * dense]))  # the first component is pumped
    second = sp.hstack([0 * read.profiles, read.profiles]).tocsr()  # the second one is read
    system = TwoComponents(space, potential, load, **options)
    return system, nf.MSE(Intensities(space, sp.csr_array(second)))


INPUTS, TARGETS = np.array([[1.0, 0.0], [0.6, 1.0]]), np.array([[0.1], [0.3]])
NAMES = ["chain", "long chain", "interval", "square"]


@pytest.mark.parametrize("name", NAMES)
def test_newton_and_continuation_agree(name: str) -> None:
    system, _ = placed(name)
    newton, slow = (
        nf.solve_steady(system, INPUTS, method=method, **TIGHT)
        for method in ("newton", "pseudotime")
    )
    assert np.abs(newton.state).max() > 0.1
    assert np.abs(np.split(newton.state, 2)[1]).max() > 0.01  # the second component is fed
    np.testing.assert_allclose(newton.state, slow.state, atol=1e-8)


def test_evolution_ends_in_the_steady_state() -> None:
    system, _ = placed("chain")
    steady = nf.solve_steady(system, INPUTS, **TIGHT)
    evolved = nf.evolve(system, INPUTS, 250.0, dt=0.05)
    np.testing.assert_allclose(evolved.state, steady.state, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_the_linearisation_is_the_derivative_of_the_residual(name: str) -> None:
    system, _ = placed(name)
    rng = np.random.default_rng(1)
    state, d = (
        rng.normal(size=(system.space.ndof, 2)) + 1j * rng.normal(size=(system.space.ndof, 2))
        for _ in range(2)
    )
    h, drive = 1e-6, system.drive(INPUTS)
    ends = [system.residual(state + sign * h * d, drive) for sign in (1, -1)]
    linear = system.linearise(state)
    image = linear.apply(d)
    np.testing.assert_allclose(image, (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-7)
    if system.space.ndof <= 48:  # dense
        pairs = np.ascontiguousarray(d.T).view(float)[:, :, None]
        by_matrix = np.ascontiguousarray((linear.real_matrices() @ pairs)[:, :, 0]).view(complex).T
        np.testing.assert_allclose(by_matrix, image, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_exact_gradient_passes_the_taylor_test(name: str) -> None:
    system, cost = placed(name)
    steady = nf.solve_steady(system, INPUTS, **TIGHT)
    exact = nf.gradient(system, cost, INPUTS, TARGETS, "adjoint", steady=steady)
    rng = np.random.default_rng(2)
    start = {key: p.values for key, p in system.parameters.items()}
    direction = {key: rng.normal(size=v.shape) * np.abs(v).mean() for key, v in start.items()}

    def cost_along(h: float) -> float:
        moved = system.with_parameters({k: start[k] + h * d for k, d in direction.items()})
        found = nf.gradient(moved, cost, INPUTS, TARGETS, "adjoint", initial=steady.state, **TIGHT)
        return found.cost

    slope = sum(float(np.sum(exact.params[k] * d)) for k, d in direction.items())
    rates = taylor_rate(cost_along, slope, 1e-2)
    assert rates.min() > 1.9, rates


@pytest.mark.parametrize("name", ["chain", "interval"])
def test_the_rules_are_what_they_are_for_one_component(name: str) -> None:
    system, cost = placed(name, turn=0.2, turn_back=0.2)
    steady = nf.solve_steady(system, INPUTS, **TIGHT)
    found = {
        rule: nf.gradient(
            system, cost, INPUTS, TARGETS, rule, beta=1e-4, steady=steady, **TIGHT
        ).params
        for rule in nf.RULES
    }
    assert distance(found["nep-symmetric"], found["nep-linear"]) < 1e-5
    assert distance(found["nep"], found["nep-linear"]) < 1e-2
    # with the loss reversed in the response the limit of NEP is the exact gradient
    free = steady.state
    signals = cost.readout.signals(free)
    force = cost.readout.pull_back(free, cost.slope(signals, TARGETS.T))
    response, solved = solve_linearised(system.linearise(free).with_reversed_loss(), -force)
    assert solved.all()
    product = system.space.evaluate(-1j * response.conj()) * system.space.evaluate(free)
    reversed_ = system.potential.derivative(system.space, product).mean(axis=1)
    np.testing.assert_allclose(reversed_, found["adjoint"]["V"], rtol=1e-7, atol=1e-10)


def test_the_table_of_rules_and_a_training() -> None:
    system, cost = placed("chain", loss=(0.02, 0.02), turn=0.2, turn_back=0.2)
    table = nf.compare_gradients(system, cost, INPUTS, TARGETS, beta=1e-4, **TIGHT)
    assert list(table.index) == list(nf.RULES)
    assert table.loc["adjoint", "cosine"] == pytest.approx(1)
    result = nf.train(
        system, cost, nf.Task(INPUTS, TARGETS), optimizer=nf.Adam(0.01), rule="adjoint", epochs=60
    )
    assert result.final.cost < 0.5 * result.history[0]["cost"]
    assert result.history[-1]["gradient_cosine"] == pytest.approx(1)


def test_without_coupling_it_is_the_wave_of_one_component() -> None:
    system, _ = placed("interval", cross=0.0, turn=0.0, turn_back=0.0)
    single = system.space.single
    potential = nf.potential(single, system.potential.values)
    dense = system.pumps.load[: single.ndof]
    alone = nf.GPE(single, potential, replace(system.pumps, load=dense), nf.Density(0.3), 0.1)
    both, one = (nf.solve_steady(on, INPUTS, **TIGHT).state for on in (system, alone))
    np.testing.assert_allclose(both[: single.ndof], one, atol=1e-10)
    assert not both[single.ndof :].any()


def test_cosine_takes_parameters_by_name() -> None:
    system, _ = placed("chain")
    first = {key: p.values for key, p in system.parameters.items()}
    assert cosine(system, first, first) == pytest.approx(1)
