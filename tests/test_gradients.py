"""The gradient rules: each against what it must equal, on meshes and graphs alike."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from helpers import cost_slope, values_of, with_parameter

import nepfield as nf
from nepfield.learning import gradients
from nepfield.steady.linear import solve_linearised
from nepfield.systems import wave
from tests.cases import (
    NONLINEARITIES,
    PLACES,
    TIGHT,
    Case,
    case,
    chain_cost,
    chain_system,
    distance,
    ell,
    mean_cost,
    random_direction,
    slope_along,
    space,
    taylor_rate,
    with_loss,
)

NONLINEAR = [name for name, f in NONLINEARITIES.items() if f is not None]
FEW = ["triangles-2", "disc-open", "interval", "chain", "network"]


def free_states(this: Case) -> nf.Steady:
    return nf.solve_steady(this.system, this.inputs, **TIGHT)


def gradient(this: Case, rule: str, **options: object) -> nf.Gradient:
    return nf.gradient(this.system, *this.samples, rule, **{**TIGHT, **options})


# -- the adjoint is exact ----------------------------------------------------------------


@pytest.mark.parametrize("cost", ["mse", "cce"])
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("name", PLACES)
def test_adjoint_passes_the_taylor_test(name: str, nonlinearity: str, cost: str) -> None:
    this = case(name, nonlinearity, cost)
    steady = free_states(this)
    exact = gradient(this, "adjoint", steady=steady)
    start = values_of(this.system)
    assert all(np.iscomplexobj(value) for value in start.values())
    rng = np.random.default_rng(0)
    direction = random_direction(start, rng)
    for chosen in (direction, {"potential": direction["potential"]}):

        def cost_along(h: float, chosen: dict = chosen) -> float:
            moved = {k: start[k] + h * d for k, d in chosen.items()}
            return mean_cost(this, start | moved, steady.state)

        rates = taylor_rate(cost_along, slope_along(exact.params, chosen), 2e-3)
        assert rates.min() > 1.9, rates
        assert rates.max() < 2.1, rates


def test_taylor_test_notices_a_gradient_that_is_one_percent_off() -> None:
    this = case("chain")
    exact, start = gradient(this, "adjoint"), values_of(this.system)
    direction = random_direction(start, np.random.default_rng(0))
    steady = exact.steady.state

    def cost_along(h: float) -> float:
        return mean_cost(this, {k: start[k] + h * direction[k] for k in start}, steady)

    rates = taylor_rate(cost_along, 1.01 * slope_along(exact.params, direction), 2e-3)
    assert rates.max() < 1.9


@pytest.mark.parametrize("name", ["interval", "network"])
def test_each_derivative_equals_a_difference_quotient(name: str) -> None:
    """Real and imaginary parts, one parameter at a time: dC/dRe + i dC/dIm."""
    this = case(name)
    exact, start, h = gradient(this, "adjoint"), values_of(this.system), 1e-5
    for key, index in (("potential", 0), ("potential", 5), ("weights", 0), ("weights", 1)):
        quotient = 0j
        for unit in (1, 1j):
            ends = []
            for sign in (1, -1):
                moved = start[key].copy()
                moved[index] += sign * h * unit
                ends.append(mean_cost(this, start | {key: moved}, exact.steady.state))
            quotient += unit * (ends[0] - ends[1]) / (2 * h)
        assert exact.params[key][index] == pytest.approx(quotient, rel=1e-5, abs=1e-9)


def test_real_parameters_get_the_real_part_of_the_complex_derivative() -> None:
    this = case("chain")
    real = {k: v.real for k, v in values_of(this.system).items()}
    complex_ = {k: v.astype(complex) for k, v in real.items()}
    for rule in nf.RULES:
        first = gradient(replace(this, system=this.system.with_parameters(real)), rule)
        second = gradient(replace(this, system=this.system.with_parameters(complex_)), rule)
        for name, value in first.params.items():
            assert value.dtype == float
            np.testing.assert_allclose(value, second.params[name].real, rtol=1e-10, atol=1e-14)


def test_the_batch_gradient_is_the_mean_over_samples() -> None:
    this = case("interval", "saturation", "cce")
    for rule in nf.RULES:
        whole = gradient(this, rule)
        single = [
            gradient(replace(this, inputs=this.inputs[[k]], targets=this.targets[[k]]), rule)
            for k in range(3)
        ]
        mean = {k: np.mean([g.params[k] for g in single], axis=0) for k in whole.params}
        assert distance(whole.params, mean) < 1e-7
        assert whole.cost == pytest.approx(np.mean([g.cost for g in single]))
        np.testing.assert_allclose(whole.per_sample, [g.cost for g in single])


@pytest.mark.parametrize("beta", [0.01, 1e-4])
@pytest.mark.parametrize("rule", ["nep", "nep-symmetric"])
@pytest.mark.parametrize("name", FEW)
def test_a_contrast_does_not_hold_the_tolerance_over_beta(
    name: str, rule: str, beta: float
) -> None:
    this = case(name, "density")
    loose = gradient(this, rule, beta=beta, tolerance=1e-4)
    tight = gradient(this, rule, beta=beta)
    assert distance(loose.params, tight.params) < 1e-3
    single = [
        gradient(
            replace(this, inputs=this.inputs[[k]], targets=this.targets[[k]]),
            rule, beta=beta, tolerance=1e-4,
        )
        for k in range(len(this.inputs))
    ]  # fmt: skip
    mean = {k: np.mean([g.params[k] for g in single], axis=0) for k in loose.params}
    assert distance(loose.params, mean) < 1e-3


# -- identities between the rules --------------------------------------------------------


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("name", PLACES)
def test_nep_linear_with_reversed_loss_equals_adjoint(name: str, nonlinearity: str) -> None:
    this = case(name, nonlinearity)
    steady = free_states(this)
    exact = gradient(this, "adjoint", steady=steady)
    force = cost_slope(this.cost, steady.state, this.targets)
    linear = this.system.linearise(steady.state)

    def estimate(linear: object) -> dict[str, np.ndarray]:
        response, solved = solve_linearised(linear, -force, 1e-13)
        assert solved.all()
        columns = this.system.parameter_derivative(steady.state, -1j * response.conj(), this.inputs)
        return {k: v.mean(axis=1) for k, v in columns.items()}

    assert distance(estimate(linear.with_reversed_loss()), exact.params) < 1e-9
    # with the true loss it is the rule of that name, which is biased
    biased = gradient(this, "nep-linear", steady=steady)
    assert distance(estimate(linear), biased.params) < 1e-9
    assert distance(biased.params, exact.params) > 1e-2


@pytest.mark.parametrize("nonlinearity", ["none", "density", "saturation"])
def test_nep_linear_is_exact_without_loss(nonlinearity: str) -> None:
    this = with_loss(case("chain", nonlinearity), 0.0)
    real = {**values_of(this.system), "potential": np.linspace(0.1, 0.6, 9)}
    this = replace(this, system=this.system.with_parameters(real))
    steady = free_states(this)
    exact, linear = (gradient(this, rule, steady=steady) for rule in ("adjoint", "nep-linear"))
    assert distance(linear.params, exact.params) < 1e-9


@pytest.mark.parametrize("loss", [0.01, 0.3, 3.0])
@pytest.mark.parametrize("name", PLACES)
def test_reciprocal_equals_adjoint_in_a_linear_system(name: str, loss: float) -> None:
    for nonlinearity in (None, nf.Density(0.0)):
        this = with_loss(case(name, "none"), loss)
        this = replace(this, system=replace(this.system, nonlinearity=nonlinearity))
        steady = free_states(this)
        exact, reciprocal = (
            gradient(this, rule, steady=steady) for rule in ("adjoint", "reciprocal")
        )
        assert distance(reciprocal.params, exact.params) < 1e-9


@pytest.mark.parametrize("nonlinearity", NONLINEAR)
@pytest.mark.parametrize("name", FEW)
def test_reciprocal_differs_from_adjoint_in_a_nonlinear_one(name: str, nonlinearity: str) -> None:
    this = case(name, nonlinearity)
    steady = free_states(this)
    exact, reciprocal = (gradient(this, rule, steady=steady) for rule in ("adjoint", "reciprocal"))
    assert distance(reciprocal.params, exact.params) > 1e-4


@pytest.mark.parametrize(("rule", "order"), [("nep", 1), ("nep-symmetric", 2)])
@pytest.mark.parametrize("nonlinearity", NONLINEAR)
@pytest.mark.parametrize("name", FEW)
def test_nep_converges_to_nep_linear(name: str, nonlinearity: str, rule: str, order: int) -> None:
    this = case(name, nonlinearity)
    steady = free_states(this)
    limit = gradient(this, "nep-linear", steady=steady)
    for parameter in limit.params:
        errors = [
            np.linalg.norm(estimate.params[parameter] - limit.params[parameter])
            for estimate in (
                gradient(this, rule, beta=beta, steady=steady) for beta in (0.04, 0.02, 0.01)
            )
        ]
        orders = np.log2(np.array(errors[:-1]) / errors[1:])
        assert orders.min() > order - 0.1, (parameter, orders)
        assert orders.max() < order + 0.1, (parameter, orders)


def test_negative_beta_has_the_same_limit() -> None:
    this = case("chain")
    limit = gradient(this, "nep-linear")
    for beta in (1e-4, -1e-4):
        assert distance(gradient(this, "nep", beta=beta).params, limit.params) < 1e-2
    symmetric = [gradient(this, "nep-symmetric", beta=beta).params for beta in (0.05, -0.05)]
    assert distance(*symmetric) < 1e-9


@pytest.mark.parametrize("name", ["triangles-2", "interval", "lattice"])
def test_nep_gradient_is_the_contrast_of_observables(name: str) -> None:
    """nep (11): the density per cell; nep (12): 2 X Im of the overlap with the pump."""
    this, beta = case(name, "density"), 0.03
    real = {k: v.real for k, v in values_of(this.system).items()}
    system = this.system.with_parameters(real)
    this = replace(this, system=system)
    on = system.space
    free = free_states(this)
    force = cost_slope(this.cost, free.state, this.targets)
    nudged = nf.solve_steady(
        system, this.inputs, nudge=nf.FieldNudge(beta * force), initial=free.state, **TIGHT
    )
    psi, psi_nudged = on.evaluate(free.state), on.evaluate(nudged.state)
    estimate = gradient(this, "nep", beta=beta, steady=free)

    contrast = on.w[:, None] * (np.abs(psi_nudged) ** 2 - np.abs(psi) ** 2) / beta
    cells = contrast.reshape(len(on.elements), -1, 3).sum(axis=1)
    np.testing.assert_allclose(estimate.params["potential"], cells.mean(axis=1), rtol=1e-6)

    centers, width, _, _, _ = PLACES[name]
    for k, center in enumerate(centers):
        if on.is_graph:
            profile = np.all(on.points == np.array(center)[::-1], axis=1).astype(complex)
        else:
            profile = np.exp(-np.sum((on.points - center) ** 2, axis=1) / (2 * width**2)) + 0j
            if k == 1:  # the oblique one of cases.py
                profile *= np.exp(1j * on.points @ [0.8, -1.3][: on.domain.dim])
        overlap = np.sum((on.w * profile.conj())[:, None] * (psi_nudged - psi) / beta, axis=0)
        by_hand = np.mean(2 * this.inputs[:, k] * overlap.imag)
        assert estimate.params["weights"][k] == pytest.approx(by_hand, rel=1e-6)


# -- gradients are fields ----------------------------------------------------------------


def in_basis(
    n: int, basis: object, order: int = 2, rule: str = "adjoint"
) -> tuple[nf.Gradient, nf.GPE]:
    """One and the same wave on an L of unit squares, cut into squares of size 1/n."""
    on = nf.finite_elements(ell(n), order=order)
    pumps = [nf.gaussian_pump([0.5, 0.5], 0.3, 10 + 3j), nf.gaussian_pump([1.5, 0.5], 0.3, -6)]
    system = nf.GPE(
        on, nf.potential(on, 0.4 - 0.05j, basis=basis), pumps, nf.Density(0.3), loss=0.3
    )
    cost = nf.MSE(nf.readout(on, regions=["upper"]))
    return nf.gradient(system, cost, [[1.0, 0.5]], [[0.3]], rule, **TIGHT), system


@pytest.mark.parametrize("rule", nf.RULES)
def test_regions_and_pixels_are_sums_of_cells(rule: str) -> None:
    cells, system = in_basis(4, "cells", rule=rule)
    domain = system.space.domain
    regions, _ = in_basis(4, "regions", rule=rule)
    for k, members in enumerate(domain.regions.values()):
        total = cells.params["potential"][members].sum()
        assert regions.params["potential"][k] == pytest.approx(total, rel=1e-8)
        # the squares have area 1, so the field is the derivative; on cells it is 32 times that
        assert regions.fields["potential"][k] == pytest.approx(total, rel=1e-8)
    np.testing.assert_allclose(cells.fields["potential"], cells.params["potential"] * 32)

    pixels, fine = in_basis(4, (0.5, 0.25), rule=rule)
    assert len(fine.potential.values) == 24
    middle = domain.points[domain.cells].mean(axis=1)
    tile = np.floor(middle / [0.5, 0.25]).astype(int)
    _, owner = np.unique(tile, axis=0, return_inverse=True)
    total = np.zeros(24, dtype=complex)
    np.add.at(total, owner.ravel(), cells.params["potential"])
    np.testing.assert_allclose(pixels.params["potential"], total, rtol=1e-8)
    np.testing.assert_allclose(pixels.fields["potential"], total * 8, rtol=1e-8)


def test_pixels_of_a_graph_are_sums_of_vertices() -> None:
    this = case("chain")
    on = this.system.space
    uniform = replace(this, system=replace(this.system, potential=nf.potential(on, 0.3 - 0.1j)))
    pixels = replace(
        this, system=replace(this.system, potential=nf.potential(on, 0.3 - 0.1j, basis=[2.0]))
    )
    one, two = (gradient(c, "adjoint") for c in (uniform, pixels))
    sums = [one.params["potential"][k : k + 2].sum() for k in (0, 2, 4, 6, 8)]
    np.testing.assert_allclose(two.params["potential"], sums, rtol=1e-9)
    np.testing.assert_allclose(two.fields["potential"], np.array(sums) / [2, 2, 2, 2, 1], rtol=1e-9)


@pytest.mark.parametrize("rule", ["adjoint", "nep"])
def test_fields_do_not_depend_on_the_mesh(rule: str) -> None:
    coarse, medium, fine = (in_basis(n, "cells", rule=rule) for n in (3, 6, 12))

    def on_coarse_squares(result: tuple[nf.Gradient, nf.GPE]) -> np.ndarray:
        estimate, system = result
        domain = system.space.domain
        middle = domain.points[domain.cells].mean(axis=1)
        _, owner = np.unique(np.floor(middle * 3).astype(int), axis=0, return_inverse=True)
        owner = owner.ravel()
        field = estimate.fields["potential"]
        mean = np.bincount(owner, field.real) + 1j * np.bincount(owner, field.imag)
        return mean / np.bincount(owner)

    fields = [on_coarse_squares(result) for result in (coarse, medium, fine)]
    change = [np.linalg.norm(f - fields[2]) / np.linalg.norm(fields[2]) for f in fields[:2]]
    assert change[0] < 0.05
    assert change[1] < change[0] / 2
    # while the derivatives shrink with the cells
    size = [
        np.abs(r[0].params["potential"]).sum() / len(r[0].params["potential"])
        for r in (coarse, medium)
    ]
    assert size[0] / size[1] == pytest.approx(4, rel=0.1)


def test_derivatives_by_region_converge() -> None:
    values = [in_basis(n, "regions")[0] for n in (2, 4, 8, 16)]
    change = [distance(a.params, b.params) for a, b in pairwise(values)]
    assert change[0] < 0.2
    assert change[1] < change[0] / 2
    assert change[2] < change[1] / 2


def test_weights_are_their_own_fields() -> None:
    estimate = gradient(case("disc"), "nep")
    np.testing.assert_array_equal(estimate.fields["weights"], estimate.params["weights"])


# -- what is not trained -----------------------------------------------------------------


@pytest.mark.parametrize("rule", nf.RULES)
def test_what_is_not_trained_stays_out(rule: str) -> None:
    this = case("chain", "density")
    whole, pumps = gradient(this, rule), this.system.pumps

    def part(system: nf.GPE) -> nf.Gradient:
        return gradient(replace(this, system=system), rule)

    fixed = with_parameter(this.system.potential, trainable=False)
    only_weights = part(replace(this.system, potential=fixed))
    assert set(only_weights.params) == set(only_weights.fields) == {"weights"}
    np.testing.assert_allclose(only_weights.params["weights"], whole.params["weights"])

    one = part(replace(this.system, pumps=with_parameter(pumps, trainable=np.array([False, True]))))
    assert one.params["weights"][0] == 0
    assert one.params["weights"][1] == whole.params["weights"][1] != 0

    none = part(
        replace(this.system, pumps=with_parameter(pumps, trainable=np.array([False, False])))
    )
    assert set(none.params) == {"potential"}
    np.testing.assert_allclose(none.params["potential"], whole.params["potential"])
    assert none.cost == whole.cost


def test_pumps_may_share_an_input_and_have_whole_numbers_as_weights() -> None:
    on = space("chain")
    pumps = [nf.site_pump(1, 1, input=0), nf.site_pump(7, -2, input=0), nf.site_pump(4, 1, input=1)]
    system = nf.GPE(on, 0.3, pumps, nf.Density(0.2), loss=0.2)
    assert values_of(system)["weights"].dtype == float
    this = Case(system, nf.MSE(nf.readout(on, sites=[5])), np.array([[1, 2]]), np.array([[0.5]]))
    exact = gradient(this, "adjoint")
    start = values_of(system)
    direction = {"weights": np.array([0.3, -1.0, 0.7])}

    def cost_along(h: float) -> float:
        moved = {"weights": start["weights"] + h * direction["weights"]}
        return mean_cost(this, start | moved, exact.steady.state)

    rates = taylor_rate(cost_along, slope_along(exact.params, direction), 1e-2)
    assert rates.min() > 1.9, rates


# -- samples without a steady state ------------------------------------------------------


@pytest.mark.parametrize("rule", nf.RULES)
def test_a_sample_without_a_free_state_never_enters(rule: str) -> None:
    this = case("interval", "density")
    steady = free_states(this)
    state = steady.state.copy()
    state[:, 1] = np.nan
    broken = replace(steady, state=state, converged=np.array([True, False, True]))
    estimate = gradient(this, rule, steady=broken, on_failure="flag")
    kept = replace(this, inputs=this.inputs[[0, 2]], targets=this.targets[[0, 2]])
    reference = gradient(kept, rule, steady=steady.samples(np.array([0, 2])))
    assert distance(estimate.params, reference.params) < 1e-9
    assert distance(estimate.fields, reference.fields) < 1e-9
    assert estimate.cost == pytest.approx(reference.cost, rel=1e-13)
    np.testing.assert_array_equal(estimate.used, [True, False, True])
    np.testing.assert_array_equal(np.isnan(estimate.per_sample), [False, True, False])


def test_too_few_iterations_are_noticed() -> None:
    this = case("chain", "density")
    inputs = np.vstack([np.zeros(2), this.inputs])  # without a drive the vacuum is steady
    targets = np.vstack([[0.4, 0.2], this.targets])
    with pytest.raises(nf.NotConverged) as error:
        nf.gradient(this.system, this.cost, inputs, targets, "adjoint", max_iterations=0)
    np.testing.assert_array_equal(error.value.steady.converged, [True, False, False, False])
    estimate = nf.gradient(
        this.system, this.cost, inputs, targets, "nep", on_failure="flag", max_iterations=0
    )
    np.testing.assert_array_equal(estimate.used, [True, False, False, False])
    assert estimate.cost == pytest.approx(0.5 * (0.4**2 + 0.2**2))


def test_a_sample_whose_nudged_state_is_not_found_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    this = case("chain", "density")
    steady = free_states(this)
    solve = nf.GPE.equilibrate

    def failing(system: nf.GPE, inputs: np.ndarray, *args: object, **options: object) -> nf.Steady:
        found = solve(system, inputs, *args, **options)
        state = found.state.copy()
        state[:, 0] = np.nan
        return replace(found, state=state, converged=np.array([False, True, True]))

    monkeypatch.setattr(nf.GPE, "equilibrate", failing)
    for rule in ("nep", "nep-symmetric"):
        with pytest.raises(nf.NotConverged):
            gradient(this, rule, steady=steady)
        estimate = gradient(this, rule, steady=steady, on_failure="flag")
        np.testing.assert_array_equal(estimate.used, [False, True, True])
        limit = gradient(
            replace(this, inputs=this.inputs[1:], targets=this.targets[1:]),
            "nep-linear",
            steady=steady.samples(np.array([1, 2])),
        )
        assert distance(estimate.params, limit.params) < 0.1
        assert estimate.cost == pytest.approx(limit.cost)


def test_a_sample_whose_linear_response_is_not_found_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    this = case("chain", "density")
    steady = free_states(this)
    kept = replace(this, inputs=this.inputs[:2], targets=this.targets[:2])
    reference = gradient(kept, "adjoint", steady=steady.samples(np.array([0, 1])))
    solve = wave.solve_linearised

    def failing(*arguments: object) -> tuple[np.ndarray, np.ndarray]:
        solution, _ = solve(*arguments)
        solution[:, 2] = np.nan
        return solution, np.array([True, True, False])

    monkeypatch.setattr(wave, "solve_linearised", failing)
    with pytest.raises(nf.NotConverged, match="adjoint"):
        gradient(this, "adjoint", steady=steady)
    estimate = gradient(this, "adjoint", steady=steady, on_failure="flag")
    assert distance(estimate.params, reference.params) < 1e-12
    np.testing.assert_array_equal(estimate.used, [True, True, False])


def test_without_any_steady_state_the_gradient_is_zero_and_the_cost_unknown() -> None:
    estimate = gradient(case("chain"), "nep", on_failure="flag", max_iterations=0)
    assert not estimate.used.any()
    assert np.isnan(estimate.cost)
    for name, value in estimate.params.items():
        assert value.shape == values_of(case("chain").system)[name].shape
        assert not value.any()


# -- comparison --------------------------------------------------------------------------


def test_compare_gradients() -> None:
    this = case("interval", "density")
    table = nf.compare_gradients(this.system, *this.samples, beta=1e-3, **TIGHT)
    figures = ["cosine", "norm_ratio"]
    assert list(table.index) == list(nf.RULES)
    assert list(table.columns) == [
        *figures,
        *[f"{figure}_{name}" for name in ("potential", "weights") for figure in figures],
        "samples",
    ]
    assert (table.loc["adjoint"].drop("samples") == 1.0).all()
    assert (table["samples"] == 3).all()
    assert (table["cosine"] <= 1).all()
    # by hand: in L2, a derivative stands for a field times the measure of its cell
    exact, estimate = (gradient(this, rule).fields for rule in ("adjoint", "reciprocal"))
    measure = this.system.potential.measure

    def product(a: dict, b: dict) -> float:
        return np.sum(measure * (a["potential"].conj() * b["potential"]).real)

    size, exact_size = product(estimate, estimate), product(exact, exact)
    by_hand = product(estimate, exact) / np.sqrt(size * exact_size)
    row = table.loc["reciprocal"]
    assert row["cosine_potential"] == pytest.approx(by_hand, rel=1e-8)
    assert row["norm_ratio_potential"] == pytest.approx(np.sqrt(size / exact_size), rel=1e-8)
    assert row["cosine_potential"] < 1 - 1e-6
    for figure in ("cosine", "norm_ratio"):
        assert table.loc["nep-symmetric", figure] == pytest.approx(
            table.loc["nep-linear", figure], abs=1e-4
        )


def test_compare_gradients_holds_the_same_samples_against_the_adjoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    this = case("chain", "density")
    fewer = nf.compare_gradients(
        this.system, this.cost, this.inputs[1:], this.targets[1:], ("nep",), **TIGHT
    )
    solve = nf.GPE.equilibrate

    def failing(
        system: nf.GPE, inputs: np.ndarray, nudge: object = None, *args: object, **options: object
    ) -> nf.Steady:
        found = solve(system, inputs, nudge, *args, **options)
        if nudge is None:
            return found
        return replace(found, converged=np.array([False, True, True]))

    monkeypatch.setattr(nf.GPE, "equilibrate", failing)
    table = nf.compare_gradients(
        this.system, *this.samples, ("nep", "adjoint"), on_failure="flag", **TIGHT
    )
    np.testing.assert_allclose(
        table.loc["nep"].to_numpy(float), fewer.loc["nep"].to_numpy(float), rtol=1e-6
    )
    assert table.loc["adjoint", "samples"] == 3


def test_compare_gradients_weighs_fields_not_parameters() -> None:
    """The cosine in L2 is the same on a mesh with cells of two sizes as on a uniform one."""
    on = nf.finite_elements(ell(4))
    system = nf.GPE(on, nf.potential(on, basis="regions"), loss=0.1)
    uneven = with_parameter(system.potential, measure=np.array([1.0, 4.0, 0.25]))
    system = replace(system, potential=uneven)
    first, second = {"potential": np.ones(3)}, {"potential": np.array([1.0, -4.0, 0.0])}
    assert gradients.inner_product(system, first, second) == pytest.approx(1 - 4 / 4)
    assert gradients.inner_product(system, first, first) == pytest.approx(1 + 0.25 + 4)


def test_compare_gradients_of_one_parameter_and_of_chosen_rules() -> None:
    this = case("chain", "density")
    system = replace(this.system, potential=with_parameter(this.system.potential, trainable=False))
    table = nf.compare_gradients(system, *this.samples, rules=("nep", "adjoint"))
    assert list(table.index) == ["nep", "adjoint"]
    assert list(table.columns) == ["cosine", "norm_ratio", "samples"]
    broken = nf.compare_gradients(
        this.system,
        this.cost,
        np.vstack([np.zeros(2), this.inputs]),
        np.vstack([[0.4, 0.2], this.targets]),
        on_failure="flag",
        max_iterations=0,
    )
    assert (broken["samples"] == 1).all()
    # the only sample left is the vacuum, where every gradient vanishes
    assert broken["cosine"].isna().all()
    assert broken["norm_ratio"].isna().all()


def test_nep_gets_better_as_loss_gets_smaller() -> None:
    cosines = []
    for loss in (0.3, 0.1, 0.01):
        system = chain_system(np.random.default_rng(3), loss)
        task = nf.xor()
        table = nf.compare_gradients(
            system, chain_cost(), task.inputs, task.targets, ("nep-linear",), **TIGHT
        )
        cosines.append(table.loc["nep-linear", "cosine"])
    assert cosines[0] < cosines[1] < cosines[2]
    assert cosines[2] > 0.99


# -- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "nepp"}, "nepp.*choose one of nep, nep-symmetric"),
        ({"beta": 0.0}, "beta = 0"),
        ({"beta": np.nan}, "beta = nan"),
        ({"inputs": np.zeros((3, 1))}, r"inputs: the 2 pumps need .*\(nsamples, 2\).*\(3, 1\)"),
        ({"inputs": np.zeros(2)}, "inputs"),
        ({"inputs": np.full((3, 2), np.inf)}, "inputs: all values must be finite"),
        ({"inputs": np.zeros((2, 2))}, "2 inputs but 3 targets"),
        ({"targets": np.zeros((3, 1))}, r"targets: 2 output regions .*\(3, 1\)"),
        ({"targets": np.full((3, 2), np.nan)}, "targets: all values must be finite"),
        ({"initial": np.zeros((9, 2))}, r"initial: .*\(9, 3\).*\(9, 2\)"),
        ({"on_failure": "ignore"}, "on_failure = 'ignore'"),
        ({"tolerance": 0.0}, "tolerance = 0"),
    ],
)
def test_bad_arguments_are_refused(change: dict, message: str) -> None:
    this = case("chain", "density")
    arguments = {"inputs": this.inputs, "targets": this.targets, **change}
    with pytest.raises(nf.InputError, match=message):
        nf.gradient(this.system, this.cost, **arguments)
