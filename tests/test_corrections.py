"""Rules of waves that correct themselves by measurement, and what they say of their own error."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import MESHES, NONLINEARITIES, PLACES, TIGHT, Case, case, distance
from helpers import values_of
from test_cli import CHAIN, invoke, write_study

import nepfield as nf
from nepfield.learning.corrections import READINGS
from nepfield.learning.gradients import cosine
from nepfield.learning.state import History
from nepfield.learning.verdict import untrusted_since
from nepfield.systems.frames import wave_frame

LIMITS = ("nep-linear", "reciprocal")
NONLINEAR = [name for name in NONLINEARITIES if name != "none"]


def gradient(this: Case, rule: str, **options: Any) -> nf.Gradient:
    return nf.gradient(this.system, *this.samples, rule=rule, **TIGHT, **options)


def free(this: Case) -> Any:
    return nf.solve_steady(this.system, this.inputs, **TIGHT)


def true_error(found: nf.Gradient, exact: nf.Gradient) -> float:
    """Of the mean gradient, over its norm, as fields."""
    wrong = right = 0.0
    for name, value in found.params.items():
        measure = np.asarray(found.measures[name])
        wrong += np.sum(np.abs(value - exact.params[name]) ** 2 / measure)
        right += np.sum(np.abs(value) ** 2 / measure)
    return float(np.sqrt(wrong / right))


def random_lattice(seed: int, g: float, loss: float) -> Case:
    """6 x 6 sites, V of U(-0.5, 0.5), two pumps of opposite sign, three outputs, one sample."""
    rng = np.random.default_rng(seed)
    sites = rng.permutation(36)
    on = nf.graph(nf.lattice(6, 6))
    system = nf.GPE(
        on,
        rng.uniform(-0.5, 0.5, 36),
        [nf.site_pump(int(sites[0]), 0.6), nf.site_pump(int(sites[1]), -0.6)],
        nf.Density(g),
        loss,
    )
    cost = nf.MSE(nf.readout(on, sites=[int(site) for site in sites[2:5]]))
    return Case(system, cost, np.ones((1, 2)), rng.uniform(0, 0.3, (1, 3)))


def cosines(g: float, loss: float, count: int, **options: Any) -> np.ndarray:
    """Of one rule to the exact gradient, over random lattices that have a steady state."""
    found = []
    for seed in range(count):
        this = random_lattice(seed, g, loss)
        steady = nf.solve_steady(this.system, this.inputs, on_failure="flag")
        if not steady.converged.all():
            continue
        exact = nf.gradient(this.system, *this.samples, rule="adjoint", steady=steady)
        estimate = nf.gradient(this.system, *this.samples, steady=steady, **options)
        found.append(cosine(this.system, estimate.params, exact.params))
    assert len(found) > 0.9 * count
    return np.array(found)


# -- the phase of the pumps ---------------------------------------------------------------


@pytest.mark.parametrize("nonlinearity", ["density", "saturation"])
@pytest.mark.parametrize("name", ["lattice", "triangles-1"])
def test_a_common_phase_of_all_pumps_changes_no_gradient_of_v(name: str, nonlinearity: str) -> None:
    this = case(name, nonlinearity)
    weights = values_of(this.system)["weights"]
    rules = [(rule, {}) for rule in this.system.rules]
    rules += [(rule, {"corrections": 2}) for rule in READINGS]
    for rule, how in rules:
        limit = 1e-10 if READINGS.get(rule, ("", ()))[1] == () else 1e-6
        if rule == "nep":
            limit = 1e-6
        reference = gradient(this, rule, **how).params["potential"]
        for phase in (0.4, 0.9, 2.0):
            turned = this.system.with_parameters({"weights": weights * np.exp(1j * phase)})
            assert np.iscomplexobj(turned.pumps.weights)
            found = gradient(replace(this, system=turned), rule, **how).params["potential"]
            difference = np.linalg.norm(found - reference) / np.linalg.norm(reference)
            assert difference < limit, (rule, how, phase)


@pytest.mark.parametrize("name", ["lattice", "interval-open"])
def test_no_other_common_phase_brings_the_device_nearer_to_what_is_wanted(name: str) -> None:
    this = case(name, "density")
    frame = wave_frame(this.system, "reciprocal", free(this).state)
    assert frame.linear.conjugate is not None
    assert frame.wanted.conjugate is not None

    def far(phase: np.ndarray) -> np.ndarray:
        turned = frame.linear.conjugate / phase**2
        return np.asarray(this.system.space.w @ np.abs(frame.wanted.conjugate - turned) ** 2)

    best = far(frame.phase)
    for angle in np.linspace(0.02, np.pi - 0.02, 25):
        assert (far(frame.phase * np.exp(1j * angle)) > best).all()


@pytest.mark.parametrize("kind", ["nep", "reciprocal"])
@pytest.mark.parametrize("name", PLACES)
def test_the_difference_of_the_operators_is_what_is_said(name: str, kind: str) -> None:
    """(T - D) z, with D in the frame, and T z = right solved by the exact multiplier."""
    this = case(name, "custom")
    state = free(this).state
    frame = wave_frame(this.system, kind, state)
    rng = np.random.default_rng(1)
    z = rng.normal(size=state.shape) + 1j * rng.normal(size=state.shape)
    device = frame.linear.apply(frame.phase * z) / frame.phase
    np.testing.assert_allclose(frame.wanted.apply(z), device + frame.difference(z), atol=1e-10)
    solved, converged = frame.solve(device)
    assert converged.all()
    np.testing.assert_allclose(solved, z, atol=1e-8)


# -- exactness ----------------------------------------------------------------------------


@pytest.mark.parametrize("rule", LIMITS)
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("name", PLACES)
def test_corrected_rules_become_exact(name: str, nonlinearity: str, rule: str) -> None:
    """Complex potentials, open boundaries and lossy responses among them."""
    this = case(name, nonlinearity)
    steady = free(this)
    exact = gradient(this, "adjoint", steady=steady)
    found = gradient(this, rule, gradient_tolerance=1e-9, steady=steady)
    assert distance(found.params, exact.params) < 1e-6
    assert found.error < 1e-6
    assert found.measurements is not None
    assert (found.measurements < 40).all()
    plain = gradient(this, rule, steady=steady)
    if nonlinearity != "none" or rule == "nep-linear":
        assert distance(plain.params, exact.params) > 1e-4


def test_each_correction_helps_and_is_counted() -> None:
    this = case("lattice", "density")
    steady = free(this)
    exact = gradient(this, "adjoint", steady=steady)
    found = [gradient(this, "reciprocal", corrections=k, steady=steady) for k in range(5)]
    errors = [true_error(each, exact) for each in found]
    assert np.all(np.array(errors[1:]) < 0.7 * np.array(errors[:-1])), errors
    assert [each.measurements.tolist() for each in found] == [[k + 1] * 3 for k in range(5)]
    for rule, states in (("nep", 4), ("nep-symmetric", 6), ("reciprocal-symmetric", 6)):
        each = gradient(this, rule, corrections=2, steady=steady)
        assert each.measurements is not None
        assert each.measurements.tolist() == [states] * 3, rule


@pytest.mark.parametrize(
    ("rule", "order"), [("nep", 1), ("nep-symmetric", 2), ("reciprocal-symmetric", 2)]
)
@pytest.mark.parametrize("name", ["chain", "interval"])
def test_finite_nudges_leave_a_floor_of_their_order(name: str, rule: str, order: int) -> None:
    this = case(name, "density")
    steady = free(this)
    exact = gradient(this, "adjoint", steady=steady)
    errors, told = [], []
    for beta in (0.04, 0.02, 0.01):
        found = gradient(this, rule, beta=beta, gradient_tolerance=1e-7, steady=steady)
        errors.append(true_error(found, exact))
        told.append(found.error)
    for values in (errors, told):
        orders = np.log2(np.array(values[:-1]) / values[1:])
        assert orders.min() > order - 0.15, (values, orders)
        assert orders.max() < order + 0.15, (values, orders)
    assert np.all(np.array(errors) < 3 * np.array(told)), (errors, told)


def test_without_corrections_the_first_answer_is_taken_as_it_is() -> None:
    this = case("chain", "density")
    linear, found = (
        gradient(this, rule, beta=1e-4) for rule in ("reciprocal", "reciprocal-symmetric")
    )
    assert distance(found.params, linear.params) < 1e-6
    assert found.error == pytest.approx(linear.error, rel=1e-3)


@pytest.mark.parametrize("rule", LIMITS)
def test_the_error_that_is_told_bounds_the_true_one(rule: str) -> None:
    told = []
    for seed in range(12):
        for g, loss in ((1.0, 0.1), (5.0, 0.3)):
            this = random_lattice(seed, g, loss)
            steady = nf.solve_steady(this.system, this.inputs, on_failure="flag")
            if not steady.converged.all():
                continue
            exact = nf.gradient(this.system, *this.samples, rule="adjoint", steady=steady)
            for k in (1, 2, 4):
                found = nf.gradient(
                    this.system, *this.samples, rule=rule, corrections=k, steady=steady
                )
                told.append(true_error(found, exact) / found.error)
    assert max(told) < 3
    assert np.median(told) > 0.05  # and it is no empty warning


def check_random_lattices(count: int) -> None:
    for g, loss in ((1.0, 0.1), (1.0, 0.3), (1.0, 1.0), (5.0, 0.3)):
        plain = cosines(g, loss, count, rule="reciprocal")
        assert np.median(plain) > 0.998
        assert np.quantile(plain, 0.1) > 0.99
        once = cosines(g, loss, count, rule="reciprocal", corrections=1)
        assert np.median(once) > 0.9999
        assert np.quantile(once, 0.1) > 0.999
    corrected = cosines(1.0, 0.1, count, rule="nep", corrections=3, beta=1e-3)
    assert np.median(corrected) > 0.999


def test_one_correction_is_enough_on_random_lattices() -> None:
    check_random_lattices(8)


@pytest.mark.slow
def test_one_correction_is_enough_on_sixty_random_lattices() -> None:
    check_random_lattices(60)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "g", "loss", "most"),
    [
        ("reciprocal", 1.0, 0.1, 7),
        ("reciprocal", 1.0, 1.0, 7),
        ("reciprocal", 5.0, 0.3, 7),
        ("nep-linear", 1.0, 0.1, 26),
        ("nep-linear", 5.0, 0.3, 26),
    ],
)
def test_as_many_corrections_as_needed_give_the_exact_gradient(
    rule: str, g: float, loss: float, most: int
) -> None:
    for seed in range(60):
        this = random_lattice(seed, g, loss)
        steady = nf.solve_steady(this.system, this.inputs)
        exact = nf.gradient(this.system, *this.samples, rule="adjoint", steady=steady)
        found = nf.gradient(
            this.system, *this.samples, rule=rule, gradient_tolerance=1e-8, steady=steady
        )
        assert found.measurements is not None
        assert found.measurements[0] <= most
        assert true_error(found, exact) < 1e-6


def billiard(seed: int, nonlinearity: Any, loss: float, mean: float) -> Case:
    """1,716 unknowns, a random potential by pixels, two pumps of random strength."""
    on = billiard_space()
    rng = np.random.default_rng(seed)
    count = len(nf.potential(on, basis=[1.0, 1.0]).values)
    potential = nf.potential(on, mean + rng.uniform(-0.5, 0.5, count), basis=[1.0, 1.0])
    first, second = rng.uniform(-1, 1, 2)
    pumps = [
        nf.gaussian_pump([1.8, 2.4], 0.6, 5 * first),
        nf.gaussian_pump([6.2, 2.2], 0.6, 5 * second),
    ]
    system = nf.GPE(on, potential, pumps, nonlinearity, loss)
    cost = nf.MSE(nf.readout(on, regions=["output"]))
    return Case(system, cost, np.ones((1, 2)), np.ones((1, 1)))


@cache
def billiard_space() -> nf.Space:
    domain = nf.read_domain(MESHES / "billiard.msh")
    return nf.finite_elements(domain, order=2, dirichlet=["wall"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("nonlinearity", "loss", "mean", "corrections", "bound"),
    [
        (nf.Saturation(0.1), 0.1, -0.5, 1, 0.9999),  # |b| is a quarter of the loss
        (nf.Density(0.016), 0.3, -1.0, 1, 0.9999),  # half of it
        (nf.Density(0.01), 0.1, -0.5, 2, 0.999),  # about four times the loss
    ],
)
def test_one_or_two_corrections_are_enough_on_a_billiard(
    nonlinearity: Any, loss: float, mean: float, corrections: int, bound: float
) -> None:
    found, ratios = [], []
    for seed in range(12):
        this = billiard(seed, nonlinearity, loss, mean)
        steady = nf.solve_steady(this.system, this.inputs)
        conjugate = this.system.linearise(steady.state).conjugate
        assert conjugate is not None
        ratios.append(np.abs(conjugate).max() / loss)
        exact, estimate = (
            nf.gradient(this.system, *this.samples, rule=rule, corrections=k, steady=steady)
            for rule, k in (("adjoint", 0), ("reciprocal", corrections))
        )
        found.append(cosine(this.system, estimate.params, exact.params))
    assert (np.median(ratios) < 1) == (corrections == 1)
    assert np.median(found) > bound


# -- what can go wrong --------------------------------------------------------------------


def test_parts_of_a_batch_add_up() -> None:
    this = case("chain", "density")
    whole = gradient(this, "reciprocal", corrections=2)
    parts = [
        gradient(replace(this, inputs=this.inputs[k], targets=this.targets[k]), "reciprocal",
                 corrections=2)
        for k in (slice(0, 1), slice(1, 3))
    ]  # fmt: skip
    both = parts[0] + parts[1]
    assert distance(both.params, whole.params) < 1e-9
    assert both.errors is not None
    assert whole.errors is not None
    np.testing.assert_allclose(both.errors, whole.errors, rtol=1e-6)
    assert both.error == pytest.approx(whole.error, rel=1e-6)


def test_a_sample_that_is_right_already_needs_no_nudge() -> None:
    this = case("chain", "density")
    steady = free(this)
    targets = this.targets.copy()
    targets[1] = this.cost.readout.outputs(steady.state)[1]
    this = replace(this, targets=targets)
    for rule in READINGS:
        found = gradient(this, rule, corrections=2, steady=steady)
        assert found.errors is not None
        assert np.isfinite(found.errors).all()
        assert found.errors[1] < 1e-9 * found.errors[0]
        assert found.used.all()
        alone = replace(this, inputs=this.inputs[1:2], targets=targets[1:2])
        found = gradient(alone, rule, corrections=2, steady=steady.samples(np.array([1])))
        assert found.used.all()
        assert np.abs(found.params["potential"]).max() < 1e-9


def test_a_sample_that_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    this = case("chain", "density")
    steady = free(this)
    kept = replace(this, inputs=this.inputs[:2], targets=this.targets[:2])
    reference = gradient(kept, "reciprocal", steady=steady.samples(np.array([0, 1])), corrections=1)
    solve = type(wave_frame(this.system, "reciprocal", steady.state)).solve

    def failing(self: Any, *arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        z, _ = solve(self, *arguments)
        z[:, 2] = np.nan
        return z, np.array([True, True, False])

    monkeypatch.setattr("nepfield.systems.frames.WaveFrame.solve", failing)
    with pytest.raises(nf.NotConverged, match="reciprocal"):
        gradient(this, "reciprocal", steady=steady, corrections=1)
    found = gradient(this, "reciprocal", steady=steady, corrections=1, on_failure="flag")
    assert distance(found.params, reference.params) < 1e-12
    assert np.isfinite(found.error)
    np.testing.assert_array_equal(found.used, [True, True, False])


def test_where_the_other_sign_has_no_state_the_error_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    this = case("chain", "density")
    steady = free(this)
    signs: list[int] = []
    system = type(this.system)
    equilibrate = system.equilibrate

    def failing(self: Any, inputs: Any, nudge: Any = None, *rest: Any, **options: Any) -> Any:
        found = equilibrate(self, inputs, nudge, *rest, **options)
        signs.append(0)
        return replace(found, converged=np.full(3, len(signs) != 2))

    monkeypatch.setattr(system, "equilibrate", failing)
    found = gradient(this, "nep", steady=steady, corrections=1)
    assert len(signs) == 3
    assert found.used.all()
    assert np.isnan(found.error)
    assert np.isfinite(found.params["potential"]).all()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rule": "adjoint", "corrections": 1}, "adjoint is exact without them"),
        ({"rule": "nep", "corrections": -1}, "whole number from 0 to 39"),
        ({"rule": "nep", "corrections": 1.5}, "whole number from 0 to 39"),
        ({"rule": "nep", "corrections": 40}, "whole number from 0 to 39"),
        ({"rule": "nep", "gradient_tolerance": 0.0}, "above 0 and below 1"),
        ({"rule": "nep", "gradient_tolerance": np.nan}, "above 0 and below 1"),
        ({"rule": "nep", "gradient_tolerance": 1e-3, "corrections": 2}, "give one of them"),
    ],
)
def test_what_cannot_be_corrected_is_refused(how: dict[str, Any], message: str) -> None:
    this = case("chain", "density")
    with pytest.raises(nf.InputError, match=message):
        nf.gradient(this.system, *this.samples, **how)


# -- studies ------------------------------------------------------------------------------


def test_a_training_by_a_corrected_rule_tells_its_error(tmp_path: Path) -> None:
    more = {"rule": "nep", "corrections": 2, "compare_every": 1, "epochs": 3, "beta": 1e-3}
    path = write_study(tmp_path, CHAIN, training=CHAIN["training"] | more)
    run = tmp_path / "run"
    done = invoke("train", str(path), "--out", str(run))
    assert done.exit_code == 0, done.output
    summary = json.loads((run / "summary.json").read_text())
    rows = History(run / "history.csv").rows()
    # three nudges, and the other sign of the first; one and the other where all is right already
    assert [row["measurements"] for row in rows] == [(3 * 4 + 2) / 4] * 3
    assert all(0 < row["gradient_error"] < 0.5 for row in rows)
    assert all(row["gradient_cosine"] > 0.99 for row in rows)
    assert summary["laboratory"]["states"] == 3 * (4 + 3 * 4 + 2)
    told = f"wrong by {summary['gradient_error']:.2g} of its norm, as nep itself measures"
    assert told in done.output
    assert "gradient_error" in summary["columns"]


def test_plain_rules_count_as_they_did(tmp_path: Path) -> None:
    for rule, states in (("nep", 24), ("reciprocal", 24), ("reciprocal-symmetric", 36)):
        path = write_study(tmp_path, CHAIN, training=CHAIN["training"] | {"rule": rule})
        run = tmp_path / rule
        assert invoke("train", str(path), "--out", str(run)).exit_code == 0
        more = ["--resume", "--set", "training.epochs=3"]
        assert invoke("train", str(path), "--out", str(run), *more).exit_code == 0
        summary = json.loads((run / "summary.json").read_text())
        assert summary["laboratory"]["states"] == states
        rows = History(run / "history.csv").rows()
        assert ("gradient_error" in rows[0]) == (rule != "nep")


def test_rules_are_compared_with_and_without_corrections(tmp_path: Path) -> None:
    this = case("chain", "density")
    table = nf.compare_gradients(this.system, *this.samples, corrections=2, **TIGHT)
    assert [f"{rule} corrected" in table.index for rule in nf.RULES] == [
        rule in READINGS for rule in nf.RULES
    ]
    for rule in ("nep-linear", "reciprocal"):
        assert table.loc[f"{rule} corrected", "cosine"] > table.loc[rule, "cosine"]
    assert table.loc["reciprocal corrected", "error"] < table.loc["reciprocal", "error"]
    path = write_study(tmp_path, CHAIN, training=CHAIN["training"] | {"corrections": 1})
    done = invoke("compare", str(path))
    assert done.exit_code == 0, done.output
    assert "nep corrected" in done.output
    assert "error" in done.output


def test_the_verdict_goes_by_the_error_that_was_measured() -> None:
    rows = [{"epoch": k, "cost": 1.0, "gradient_error": 0.2 * k} for k in range(1, 9)]
    assert untrusted_since(rows) == 5
    assert untrusted_since([row | {"gradient_cosine": 0.9} for row in rows]) is None
    assert untrusted_since([row | {"nudge_loss": 1.0} for row in rows[:3]]) is None


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"rule": "adjoint", "corrections": 1}, "adjoint is exact without them"),
        ({"corrections": 1, "gradient_tolerance": 0.1}, "give one of them"),
        ({"corrections": 40}, "corrections"),
        ({"gradient_tolerance": 1.0}, "gradient_tolerance"),
    ],
)
def test_studies_refuse_what_cannot_be_corrected(
    tmp_path: Path, training: dict[str, Any], message: str
) -> None:
    path = write_study(tmp_path, CHAIN, training=CHAIN["training"] | training)
    done = invoke("train", str(path), "--out", str(tmp_path / "run"))
    assert done.exit_code != 0
    assert message in done.output
    assert not (tmp_path / "run").exists()
