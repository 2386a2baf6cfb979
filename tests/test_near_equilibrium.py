"""The numbers that foretell the bias of NEP."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from helpers import cost_slope

import nepfield as nf
from nepfield.steady.linear import solve_linearised
from tests import cases

atlas_rows = import_module("studies.near-equilibrium-atlas.atlas").atlas_rows


def one_site(potential: complex, loss: float, background: complex | None = None) -> nf.GPE:
    space = nf.graph(nf.lattice(1))
    fixed = None if background is None else np.array([background])
    return nf.GPE(space, potential, [nf.site_pump(0)], loss=loss, background=fixed)


@pytest.mark.parametrize(("potential", "loss"), [(-1.0, 0.3), (-0.6, 0.3), (2.0, 0.1)])
def test_one_oscillator(potential: float, loss: float) -> None:
    """H = 1 + V - i gamma on one site between two walls."""
    system = one_site(potential, loss)
    state = nf.solve_steady(system, [[1.0]]).state
    exact = loss / abs(1 + potential - 1j * loss)
    assert nf.nudge_loss(system, state, np.array([[0.3 - 2j]])) == pytest.approx(exact)
    assert nf.near_equilibrium(system, state).loss[0] == pytest.approx(exact)


def test_absorbers_and_lossy_responses_count_as_loss() -> None:
    system = one_site(0.5, 0.1, -0.2j)
    state = nf.solve_steady(system, [[1.0]]).state
    assert nf.nudge_loss(system, state, state) == pytest.approx(0.3 / abs(1.5 - 0.3j))
    lossy = nf.CustomNonlinearity(lambda n: -0.1j * n, lambda n: -0.1j * np.ones_like(n))
    system = nf.GPE(system.space, 0.5, [nf.site_pump(0)], lossy, loss=0.1)
    state = nf.solve_steady(system, [[1.0]]).state
    n = abs(state[0, 0]) ** 2
    # Along Psi itself f' Psi^2 conj(d) acts as another n f' d.
    expected = (0.1 + 0.2 * n) / abs(1.5 - 0.1j - 0.3j * n)
    assert nf.nudge_loss(system, state, state) == pytest.approx(expected)


def test_no_response_is_nan_and_no_loss_is_zero() -> None:
    case = cases.with_loss(cases.case("chain"), 0.0)
    system = nf.GPE(case.system.space, 0.7, case.system.pumps, nf.Density(0.1), loss=0.0)
    state = nf.solve_steady(system, case.inputs).state
    assert nf.nudge_loss(system, state, 1j * state + 1) == 0.0
    assert np.isnan(nf.nudge_loss(system, state, np.zeros_like(state)))


@pytest.mark.parametrize("name", ["chain", "triangles-2"])
def test_the_two_states_of_nep_suffice(name: str) -> None:
    case = cases.case(name)
    steady = nf.solve_steady(case.system, case.inputs, tolerance=1e-13)
    error = cost_slope(case.cost, steady.state, case.targets)
    limit, _ = solve_linearised(case.system.linearise(steady.state), -error)
    beta = 1e-6
    nudged = nf.solve_steady(
        case.system,
        case.inputs,
        nudge=nf.FieldNudge(beta * error),
        initial=steady.state,
        tolerance=1e-13,
    )
    measured = nf.nudge_loss(case.system, steady.state, nudged.state - steady.state)
    assert measured == pytest.approx(nf.nudge_loss(case.system, steady.state, limit), rel=1e-4)
    assert measured == nf.nudge_loss(case.system, steady.state, 4 * (nudged.state - steady.state))


def test_the_rule_of_thumb() -> None:
    """Below 0.1 the gradient can be trusted; well above it cannot be."""
    rows = [
        row
        for gamma in (0.01, 0.1, 1.0)
        for mean in (-1.0, -0.25, 0.5)
        for row in atlas_rows(("lattice", gamma, mean, (0.0, 0.3), 3))
        if "nep-linear" in row
    ]
    number = np.array([row["nudge_loss"] for row in rows])
    cosine = np.array([row["nep-linear"] for row in rows])
    low, high = number < 0.1, number > 0.4
    assert low.sum() >= 10
    assert high.sum() >= 10
    assert np.mean(cosine[low] > 0.9) > 0.95
    assert np.mean(cosine[high] > 0.9) < 0.5


def test_it_sees_what_the_state_alone_does_not() -> None:
    """Strong nonlinearity under the pumps hides the loss that the nudge meets elsewhere."""
    for row in atlas_rows(("lattice", 1.0, 0.5, (3.0,), 4)):
        assert row["nep-linear"] < 0
        assert row["loss"] < 0.1
        assert row["nudge_loss"] > 0.4
