"""Rules of others: what each of them publishes, on lattices and meshes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from cases import Case, case, chain_cost, chain_system, distance, space, with_loss

import nepfield as nf
from nepfield.learning.estimates import Rule
from nepfield.learning.gradients import checked_rule
from nepfield.learning.nudge import Nudge
from nepfield.learning.published import (
    PUBLISHED,
    asymmetric,
    dyadic,
    holomorphic,
    scattering_backpropagation,
)
from nepfield.learning.rules import RULES
from nepfield.systems.asymmetric import AsymmetricMotion
from nepfield.systems.holomorphic import ConjugatePair, complex_nudges
from nepfield.systems.system import admitted
from nepfield.systems.wave import PUBLISHED as NAMES

XOR = nf.xor()
TIGHT = {"tolerance": 1e-12}
FEW = ["triangles-2", "interval-open", "chain", "network"]


def estimated(this: Case, rule: Rule, beta: float, steady: nf.Steady) -> dict[str, np.ndarray]:
    """Sums over the samples of the derivatives that a rule finds."""
    signals = this.cost.readout.signals(steady.state)
    nudge = Nudge(this.cost, this.targets.T, steady.state, signals, "linearised")
    found = rule(this.system, steady.state, nudge, this.inputs, beta, None, TIGHT)
    assert found.solved.all()
    return {name: column.mean(axis=1) for name, column in found.columns.items()}


def orders(
    this: Case, rule: Rule, steady: nf.Steady, exact: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, float]:
    """Orders in beta, and the error at the weakest nudge."""
    errors = [distance(estimated(this, rule, beta, steady), exact) for beta in (0.4, 0.2, 0.1)]
    return np.log2(np.divide(errors[:-1], errors[1:])), errors[-1]


def free_states(this: Case) -> nf.Steady:
    return nf.solve_steady(this.system, this.inputs, tolerance=1e-13)


def held_against(this: Case, rule: str, steady: nf.Steady) -> dict[str, np.ndarray]:
    return nf.gradient(this.system, *this.samples, rule, steady=steady, tolerance=1e-13).params


# -- what each publishes --------------------------------------------------------------------


@pytest.mark.parametrize("nonlinearity", ["density", "saturation"])
@pytest.mark.parametrize("name", FEW)
def test_asymep_is_exact_for_weak_nudges(name: str, nonlinearity: str) -> None:
    this = case(name, nonlinearity)
    steady = free_states(this)
    exact = held_against(this, "adjoint", steady)
    for signs, order in (((0, 1), 1), ((-1, 1), 2)):
        found, error = orders(this, asymmetric(*signs), steady, exact)
        assert found == pytest.approx(order, abs=0.15), signs
        assert error < 0.03


@pytest.mark.parametrize(
    ("name", "nonlinearity"),
    [("triangles-2", "custom"), *((n, f) for n in FEW[1:] for f in ("density", "saturation"))],
)
def test_holomorphic_ep_errs_by_the_nth_power_of_the_nudge(name: str, nonlinearity: str) -> None:
    this = case(name, nonlinearity)
    steady = free_states(this)
    limit = held_against(this, "nep-linear", steady)
    for count in (2, 3, 4):
        found, error = orders(this, holomorphic(count), steady, limit)
        assert found == pytest.approx(count, abs=0.15), count
        assert error < 3 * 0.1**count
    # a nudge that is not small makes no bias, but loss does
    exact = held_against(this, "adjoint", steady)
    assert distance(estimated(this, holomorphic(8), 0.1, steady), limit) < 1e-8
    assert distance(limit, exact) > 0.01


@pytest.mark.parametrize("name", FEW)
def test_two_nudges_of_holomorphic_ep_are_nep_symmetric(name: str) -> None:
    this = case(name, "density", "cce")
    steady = free_states(this)
    both = nf.gradient(
        this.system, *this.samples, "nep-symmetric", 0.1, steady=steady, **TIGHT
    ).params
    assert distance(estimated(this, holomorphic(2), 0.1, steady), both) < 1e-9


@pytest.mark.parametrize("beta", [1e-3, 0.5])
@pytest.mark.parametrize("name", FEW)
def test_dyadic_ep_is_exact_at_any_nudge(name: str, beta: float) -> None:
    this = case(name, "saturation")
    steady = free_states(this)
    exact = held_against(this, "adjoint", steady)
    assert distance(estimated(this, dyadic, beta, steady), exact) < 1e-9


@pytest.mark.parametrize("name", FEW)
def test_the_copies_of_dyadic_ep_share_one_action(name: str) -> None:
    """S = Re int l kappa(m) has the slopes kappa by l and ``-i T l`` by m, at any l and m."""
    system = case(name, "custom").system
    rng = np.random.default_rng(0)
    m, multiplier, h = (
        rng.normal(size=(system.space.ndof, 1)) + 1j * rng.normal(size=(system.space.ndof, 1))
        for _ in range(3)
    )
    drive = system.drive(np.array([[1.0, 0.5]]))

    def action(state: np.ndarray) -> float:
        return float(np.sum(multiplier * -1j * system.residual(state, drive)).real)

    step = 1e-5
    quotient = (action(m + step * h) - action(m - step * h)) / (2 * step)
    slope = -1j * system.linearise(m).transposed().apply(multiplier)
    assert quotient == pytest.approx(np.sum(slope * h).real, rel=1e-7)


@pytest.mark.parametrize("loss", [0.05, 1.0])
@pytest.mark.parametrize("name", FEW)
def test_in_a_linear_wave_all_but_holomorphic_ep_are_exact(name: str, loss: float) -> None:
    this = with_loss(case(name, "none"), loss)
    steady = free_states(this)
    exact = held_against(this, "adjoint", steady)
    for rule in ("scattering-backpropagation", "asym-ep", "dyadic-ep"):
        assert distance(estimated(this, PUBLISHED[rule], 0.5, steady), exact) < 1e-8, rule
    limit = held_against(this, "nep-linear", steady)
    assert distance(estimated(this, PUBLISHED["holomorphic-ep"], 0.5, steady), limit) < 1e-8


def reciprocal_device(name: str, loss: float, g: float = 0.3) -> Case:
    """Real V above the drive, real weights: without loss the wave has one phase everywhere."""
    this = case(name)
    system = this.system
    return replace(
        this,
        system=nf.GPE(
            system.space,
            nf.potential(system.space, system.potential.values.real + 0.3),
            replace(
                system.pumps,
                parameter=replace(system.pumps.parameter, values=np.abs(system.pumps.weights) + 0j),
            ),
            nf.Density(g),
            loss,
        ),
    )


@pytest.mark.parametrize("name", ["network", "chain"])
def test_scattering_backpropagation_is_exact_in_a_reciprocal_device(name: str) -> None:
    errors = []
    for loss in (0.02, 0.01, 1e-6):
        this = reciprocal_device(name, loss)
        steady = free_states(this)
        exact = held_against(this, "adjoint", steady)
        rule = scattering_backpropagation
        errors.append(distance(estimated(this, rule, 1e-5, steady), exact))
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)
    assert errors[2] < 1e-4


@pytest.mark.parametrize("name", ["network", "chain", "triangles-2"])
def test_scattering_backpropagation_errs_as_the_response_is_not_reciprocal(name: str) -> None:
    errors = []
    for g in (1e-3, 2e-3):
        this = case(name)
        this = replace(this, system=replace(this.system, nonlinearity=nf.Density(g)))
        steady = free_states(this)
        exact = held_against(this, "adjoint", steady)
        rule = scattering_backpropagation
        errors.append(distance(estimated(this, rule, 1e-5, steady), exact))
    assert errors[1] / errors[0] == pytest.approx(2, rel=0.1)


# -- the motions ----------------------------------------------------------------------------


def test_the_nudged_motion_of_asymep_decays_as_the_free_state_does() -> None:
    this = case("chain", "density")
    free = free_states(this).state[:, [1]]
    motion = AsymmetricMotion(this.system, free)
    drive = motion.drive(this.inputs[[1]])
    assert np.abs(motion.residual(free.conj(), drive)).max() < 1e-10

    def rates(linear) -> np.ndarray:
        columns = linear.real_matrices()[0].T.copy().view(complex)  # of the map to F
        matrix = (-1j * columns).view(float).T
        return np.sort_complex(np.round(np.linalg.eigvals(matrix), 8))

    found = rates(motion.linearise(free.conj()))
    np.testing.assert_allclose(found, rates(this.system.linearise(free)), atol=1e-7)


@pytest.mark.parametrize("name", ["triangles-2", "chain", "long"])
def test_the_motions_are_linearised_rightly(name: str) -> None:
    system = (
        case(name, "custom").system
        if name != "long"
        else nf.GPE(nf.graph(nf.lattice(40)), 0.3, [nf.site_pump(3)], nf.Saturation(2.0), 0.1)
    )
    rng = np.random.default_rng(1)

    def any_state(n: int) -> np.ndarray:
        return rng.normal(size=(n, 1)) + 1j * rng.normal(size=(n, 1))

    ndof, step = system.space.ndof, 1e-6
    pair, motion = ConjugatePair(system), AsymmetricMotion(system, any_state(ndof))
    for equation, n in ((pair, 2 * ndof), (motion, ndof)):
        state, h = any_state(n), any_state(n)
        drive = equation.drive(np.ones((1, system.ninputs)))
        plus, minus = (equation.residual(state + sign * step * h, drive) for sign in (1, -1))
        found = equation.linearise(state).apply(h)
        np.testing.assert_allclose((plus - minus) / (2 * step), found, atol=1e-7 * abs(found).max())


@pytest.mark.parametrize("name", ["interval-open", "network"])
def test_the_state_at_a_complex_nudge_is_holomorphic(name: str) -> None:
    this = case(name, "saturation")
    steady = free_states(this)
    signals = this.cost.readout.signals(steady.state)
    nudge = Nudge(this.cost, this.targets.T, steady.state, signals, "linearised")
    slope, drive = nudge.force(steady.state), this.system.drive(this.inputs)
    betas = 0.2 * np.exp(2j * np.pi * np.arange(8) / 8)
    u, w, solved = complex_nudges(this.system, drive, steady.state, slope, betas, **TIGHT)
    assert solved.all()
    u, w = (field.reshape(len(u), 8, -1) for field in (u, w))
    change = np.abs(u[:, 0] - steady.state).max()
    np.testing.assert_allclose(u.mean(axis=1), steady.state, atol=1e-6 * change)
    np.testing.assert_allclose(w[:, 1:], u[:, :0:-1], atol=1e-8 * change)  # w(beta) = u(conj(beta))
    assert np.abs(w - u)[:, 2].max() > 0.1 * change
    nudged = this.system.equilibrate(
        this.inputs, replace(nudge, beta=0.2), steady.state, **TIGHT
    ).state
    np.testing.assert_allclose(u[:, 0], nudged, atol=1e-8 * change)
    np.testing.assert_allclose(w[:, 0], nudged, atol=1e-8 * change)


# -- as rules -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nonlinearity"),
    [("network", "density"), ("network", "saturation"), ("triangles-2", "density")],
)
def test_a_common_phase_of_all_pumps_changes_no_gradient_for_the_potential(
    name: str, nonlinearity: str
) -> None:
    this = case(name, nonlinearity)

    def turned(angle: float) -> Case:
        pumps = this.system.pumps
        weights = replace(pumps.parameter, values=np.exp(1j * angle) * pumps.weights)
        system = replace(this.system, pumps=replace(pumps, parameter=weights))
        return replace(this, system=system)

    steady = free_states(this)
    for rule in NAMES:
        before = estimated(this, PUBLISHED[rule], 0.02, steady)["potential"]
        for angle in (0.4, 0.9, 2.0):
            other = turned(angle)
            state = replace(steady, state=np.exp(1j * angle) * steady.state)
            after = estimated(other, PUBLISHED[rule], 0.02, state)["potential"]
            assert distance({"V": after}, {"V": before}) < 1e-7, rule


@pytest.mark.parametrize("rule", NAMES)
def test_parts_of_a_batch_add_up(rule: str) -> None:
    this = case("network", "density", "cce")
    steady = free_states(this)
    parts = [
        nf.gradient(
            this.system, this.cost, this.inputs[k], this.targets[k], rule, 0.05,
            steady=steady.samples(k), **TIGHT,
        )
        for k in (np.array([2]), np.array([0, 1]))
    ]  # fmt: skip
    whole = nf.gradient(this.system, *this.samples, rule, 0.05, steady=steady, **TIGHT)
    assert distance((parts[0] + parts[1]).params, whole.params) < 1e-9


@pytest.mark.parametrize("rule", ["asym-ep", "holomorphic-ep", "scattering-backpropagation"])
def test_a_sample_whose_nudged_state_is_not_found_is_left_out(rule: str) -> None:
    this = case("chain", "density")
    steady = free_states(this)
    found = nf.gradient(
        this.system, *this.samples, rule, steady=steady, on_failure="flag", max_iterations=0
    )
    assert not found.used.any()
    assert np.isnan(found.cost)


def test_a_wave_admits_them_but_compares_them_only_when_asked() -> None:
    system = chain_system(np.random.default_rng(0))
    assert tuple(PUBLISHED) == NAMES == nf.GPE.published
    assert set(NAMES) <= set(RULES)
    assert admitted(system) == nf.RULES + NAMES
    table = nf.compare_gradients(system, chain_cost(), XOR.inputs[1:], XOR.targets[1:])
    assert not set(table.index) & set(NAMES)
    table = nf.compare_gradients(system, chain_cost(), XOR.inputs[1:], XOR.targets[1:], NAMES)
    assert tuple(table.index) == NAMES
    assert table.loc["dyadic-ep", "cosine"] == pytest.approx(1)
    assert table.loc["asym-ep", "cosine"] > 0.9999


def test_a_system_that_knows_nothing_of_them_refuses_them() -> None:
    system = nf.Oscillators(nf.complete_graph(3), 1.0)
    assert admitted(system) == system.rules
    with pytest.raises(nf.InputError, match="'asym-ep' is unknown to Oscillators"):
        checked_rule(system, "asym-ep", 0.01)


def test_holomorphic_ep_needs_two_nudges() -> None:
    with pytest.raises(nf.InputError, match="at least 2 nudges"):
        holomorphic(1)


@pytest.mark.parametrize("rule", NAMES)
def test_they_train(rule: str) -> None:
    on = space("chain")
    system = nf.GPE(on, 1.0, [nf.site_pump(2, 0.5), nf.site_pump(6, 0.5)], nf.Density(0.1), 0.02)
    cost = nf.MSE(nf.readout(on, sites=[4]))
    task = nf.Task(XOR.inputs[1:2], np.array([[0.05]]))
    result = nf.train(system, cost, task, rule=rule, optimizer=nf.Adam(0.05), epochs=4)
    costs = [row["cost"] for row in result.history]
    assert costs[-1] < 0.98 * costs[0]
