"""As in the laboratory: what is written, waited for and read, against the formulas of its noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases import case
from helpers import interval, square, values_of
from scipy.stats import poisson

import nepfield as nf
from nepfield.fields.camera import Camera, photon_counts
from nepfield.fields.modulator import Modulator
from nepfield.study.check import check
from nepfield.study.run.jobs import compare_study, train_study
from nepfield.study.systems.systems import load_study

GAMMA = 0.1
CHAIN = nf.graph(nf.lattice(9))
READOUT = nf.readout(CHAIN, sites=[4])
MANY = 4000


def wave(nonlinearity: nf.Density | None = None, loss: float = GAMMA) -> nf.GPE:
    """Nine sites, the drive below the band, bright at all of them."""
    values = 0.1 * np.cos(np.arange(9))
    placed = nf.potential(CHAIN, values, bounds=(-0.5, 1.0))
    pumps = [nf.site_pump(2, 0.6), nf.site_pump(6, -0.4)]
    return nf.GPE(CHAIN, placed, pumps, nonlinearity, loss)


def keys(count: int, epoch: int = 1) -> nf.Keys:
    return nf.Keys(3, epoch, np.arange(count))


def gradient(
    lab: nf.MeasuredWave, count: int, rule: str, beta: float, **options: object
) -> np.ndarray:
    """Derivatives by V of `count` samples that differ in their noise alone, (9, count)."""
    cost, columns = nf.MSE(lab.reads(READOUT)), []
    inputs, targets = np.tile([[0.7, 1.0]], (count, 1)), np.full((count, 1), 0.3)
    steady = lab.equilibrate(inputs, None, None, keys(count))
    free = steady.state
    every = keys(count)
    signals = cost.readout.signals(free)  # read without noise: the nudge is the same for all
    push = nf.Nudge(cost, targets.T, free, signals, "linearised")
    find = nf.learning.rules.RULES[rule]
    columns = find(lab, free, push, inputs, beta, every, options).columns
    found: np.ndarray = columns["potential"]
    return found


# -- the camera ---------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0.02, 3.0, 400.0, 5e3, 1e7])
def test_photons_have_the_mean_the_variance_and_the_skewness_of_poisson(mean: float) -> None:
    counts = photon_counts(np.full((1, 40_000), mean), keys(40_000))[0]
    assert np.array_equal(counts, np.rint(counts))
    assert counts.min() >= 0
    assert counts.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / 40_000))
    assert counts.var() == pytest.approx(mean, rel=0.05 + 0.05 / mean)
    third = np.mean((counts - mean) ** 3) / mean**1.5
    assert third == pytest.approx(mean**-0.5, abs=0.08 + 0.15 * mean**-0.5)


def test_few_photons_are_poisson_exactly() -> None:
    counts = photon_counts(np.full((1, 40_000), 3.0), keys(40_000))[0].astype(int)
    seen = np.bincount(counts, minlength=8)[:8] / 40_000
    assert seen == pytest.approx(poisson.pmf(np.arange(8), 3.0), abs=0.008)
    assert photon_counts(np.zeros((2, 3)), keys(3)).max() == 0


def test_an_image_has_the_noise_of_its_photons_and_of_its_pixels() -> None:
    camera = Camera(CHAIN, photons=200.0, full=0.5, noise=0.03)
    density = np.linspace(0, 1, 9)[:, None] * np.ones(MANY)
    image = camera.image(density, keys(MANY))
    variance = density[:, 0] * 0.5 / 200 + (0.03 * 0.5) ** 2
    error = np.sqrt(variance / MANY)
    assert np.all(np.abs(image.mean(axis=1) - density[:, 0]) < 4 * error)
    assert image.var(axis=1) == pytest.approx(variance, rel=0.12)
    together = np.corrcoef(image[1:])
    assert np.abs(together - np.eye(8)).max() < 0.08  # pixels are independent


def test_a_field_has_half_a_photon_of_noise_in_each_quadrature() -> None:
    camera = Camera(CHAIN, photons=50.0, full=2.0, field_noise=0.1)
    state = np.exp(1j * np.arange(9))[:, None] * np.ones(MANY)
    off = camera.field(state, keys(MANY)) - state
    variance = 2.0 / (2 * 50.0) + 0.1**2 * 2.0
    assert off.real.var() == pytest.approx(variance, rel=0.04)
    assert off.imag.var() == pytest.approx(variance, rel=0.04)
    assert np.abs(np.mean(off.real * off.imag)) < 0.03 * variance
    assert np.abs(off.mean()) < 5 * np.sqrt(variance / (9 * MANY))


def test_the_phase_of_an_exposure_is_common_to_its_pixels() -> None:
    state = np.exp(1j * np.arange(9))[:, None] * np.ones(MANY)
    turned = Camera(CHAIN, phase_noise=0.2).field(state, keys(MANY)) / state
    assert np.ptp(turned, axis=0).max() < 1e-12
    assert np.angle(turned[0]).std() == pytest.approx(0.2, rel=0.05)
    assert np.abs(turned) == pytest.approx(1.0)


@pytest.mark.parametrize("order", [1, 2])
def test_pixels_show_means_and_keep_the_whole(order: int) -> None:
    space = nf.finite_elements(square(6), order=order, dirichlet=["wall"])
    camera = Camera(space, pixels=[0.5, 0.5])
    assert camera.npixels == 4
    density = np.exp(space.points @ [1.0, 2.0])[:, None]
    image = camera.image(density, keys(1))
    assert len(np.unique(image.round(12))) == 4
    assert space.w @ image[:, 0] == pytest.approx(space.w @ density[:, 0])
    corner = (space.points < 0.5).all(axis=1)
    mean = (space.w * density[:, 0])[corner].sum() / space.w[corner].sum()
    assert image[corner] == pytest.approx(mean)


def test_a_camera_without_pixels_resolves_the_mesh_and_has_noise_in_its_cells() -> None:
    space = nf.finite_elements(square(3), order=2, dirichlet=["wall"])
    density = np.tile(np.exp(space.points @ [1.0, 2.0])[:, None], 600)
    assert Camera(space).image(density, keys(600)) is density
    off = Camera(space, photons=30.0).image(density, keys(600)) - density
    cell = np.arange(len(space.w)) // (len(space.w) // len(space.elements))
    assert np.ptp(off[cell == 4], axis=0).max() < 1e-12
    mean = (space.w @ (density[:, 0] * (cell == 4))) / space.w[cell == 4].sum()
    assert off[cell == 4][0].var() == pytest.approx(mean / 30, rel=0.2)


def test_a_field_on_a_mesh_is_read_without_bias() -> None:
    space = nf.finite_elements(interval(12), order=2, dirichlet=["left", "right"])
    state = np.random.default_rng(1).normal(size=(space.ndof, 2)) @ [[1], [1j]]
    many = np.tile(state, 500)
    seen = Camera(space, photons=100.0).field(many, keys(500))
    assert np.abs(seen.mean(axis=1) - state[:, 0]).max() < 0.03
    assert seen[:, 0] == pytest.approx(state[:, 0], abs=1.0)
    assert seen.std(axis=1).min() > 0.05
    fine = Camera(space, pixels=[1 / 12]).field(many[:, :1], keys(1))
    coarse = Camera(space, pixels=[0.5]).field(many[:, :1], keys(1))
    assert np.linalg.norm(fine - state) < 0.8 * np.linalg.norm(coarse - state)


# -- the modulator ------------------------------------------------------------------------


def test_levels_are_shown_exactly_and_others_are_moved_to_the_nearest() -> None:
    placed = nf.potential(CHAIN, 0.0, bounds=(-0.3, 0.7))
    shows = Modulator(CHAIN, placed, levels=11)
    levels = np.array([-0.3, 0.7, *(-0.3 + 0.1 * np.arange(1, 8))])
    shown = shows.shown(levels)
    assert np.abs(shown - levels).max() < 1e-15
    assert shown.max() == 0.7
    assert shown.min() == -0.3
    assert np.array_equal(shows.shown(shown), shown)
    off = np.array([-0.26, -0.24, 0.049, 0.051, 0.66, 0.64, 0.0, 0.7, -0.3])
    assert shows.shown(off) == pytest.approx([-0.3, -0.2, 0.0, 0.1, 0.7, 0.6, 0.0, 0.7, -0.3])


def test_crosstalk_is_a_gaussian_that_keeps_what_is_even() -> None:
    placed = nf.potential(CHAIN, 0.0)
    shows = Modulator(CHAIN, placed, crosstalk=0.8)
    assert shows.shown(np.full(9, 0.4)) == pytest.approx(np.full(9, 0.4))
    dot = shows.shown(np.eye(9)[4])
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 0.8**2))
    assert dot[1:8] == pytest.approx(weights / weights.sum(), abs=2e-5)
    assert Modulator(CHAIN, placed, crosstalk=1e-3).shown(np.eye(9)[4]) == pytest.approx(
        np.eye(9)[4]
    )


def test_pixels_of_the_modulator_have_the_mean_of_what_is_written() -> None:
    space = nf.finite_elements(interval(8), order=1, dirichlet=["left", "right"])
    values = np.arange(8.0) + 1j
    complex_v = nf.potential(space, values, imaginary_bounds=(0, 2))
    shown = Modulator(space, complex_v, pixels=[0.25]).shown(values)
    assert shown.real == pytest.approx([0.5, 0.5, 2.5, 2.5, 4.5, 4.5, 6.5, 6.5])
    assert np.array_equal(shown.imag, np.ones(8))
    fixed = np.arange(8) >= 2
    partly = nf.potential(space, np.arange(8.0), trainable=~fixed)
    assert Modulator(space, partly, pixels=[0.5]).shown(np.arange(8.0)) == pytest.approx(
        [0.5, 0.5, 2, 3, 4, 5, 6, 7]
    )


def test_v_as_it_is_written_is_kept_and_the_device_has_what_is_shown() -> None:
    lab = nf.measured(wave(), slm_levels=4)
    small = lab.with_parameters({"potential": lab.potential.values + 1e-3})
    assert small.parameters["potential"].values == pytest.approx(wave().potential.values + 1e-3)
    assert np.array_equal(small.device.potential.values, lab.device.potential.values)
    assert set(lab.device.potential.values.round(12)) <= {-0.5, 0.0, 0.5, 1.0}
    inputs = np.ones((1, 2))
    there = nf.solve_steady(nf.GPE(
        CHAIN, lab.device.potential.values, wave().pumps, None, GAMMA
    ), inputs)  # fmt: skip
    assert nf.solve_steady(lab, inputs).state == pytest.approx(there.state)


# -- keys ---------------------------------------------------------------------------------


EVERYTHING = {
    "photons": 1e4, "noise": 1e-3, "field_noise": 1e-3, "phase_noise": 1e-2, "drift": 1e-3,
    "pump_drift": 1e-3, "slm_levels": 64, "slm_crosstalk": 0.3, "slm_pixels": [1.0],
    "camera_pixels": [2.0], "loss_error": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("waiting", [None, 2.0])
def test_neither_order_nor_splitting_of_a_batch_changes_what_is_measured(
    waiting: float | None,
) -> None:
    lab = nf.measured(wave(nf.Density(0.3)), waiting=waiting, **EVERYTHING)
    cost, task = nf.MSE(lab.reads(READOUT)), nf.xor()
    rules = ("nep", "reciprocal-symmetric")

    def found(chosen: list[int], rule: str) -> nf.Gradient:
        part = keys(4)[np.array(chosen)]
        return nf.gradient(
            lab, cost, task.inputs[chosen], task.targets[chosen], rule, 0.1, keys=part
        )

    for rule in rules:
        whole = found([0, 1, 2, 3], rule)
        parts = found([3, 1], rule) + found([2, 0], rule)
        for name, total in whole.sums.items():
            assert parts.sums[name] == pytest.approx(total, rel=1e-6, abs=1e-9)
        assert parts.outputs[[3, 1, 2, 0]] == pytest.approx(whole.outputs, rel=1e-8)
    again = found([0, 1, 2, 3], "nep").sums["potential"]
    assert np.array_equal(found([0, 1, 2, 3], "nep").sums["potential"], again)
    other = nf.gradient(lab, cost, *task.sets()["train"], "nep", 0.1, keys=keys(4, 2))
    assert np.abs(other.sums["potential"] - again).max() > 1e-3


def test_without_keys_everything_is_exact() -> None:
    system = wave(nf.Density(0.3))
    lab = nf.measured(
        system, **(EVERYTHING | {"slm_levels": None, "slm_crosstalk": 0.0}), waiting=1.0
    )
    samples = (nf.MSE(lab.reads(READOUT)), *nf.xor().sets()["train"])
    for rule in ("nep", "nep-symmetric", "adjoint"):
        found, exact = nf.gradient(lab, *samples, rule), nf.gradient(system, *samples, rule)
        assert found.params["potential"] == pytest.approx(exact.params["potential"], abs=1e-12)
        assert found.params["weights"] == pytest.approx(exact.params["weights"], abs=1e-12)


def test_the_exact_gradient_stays_that_of_the_device() -> None:
    lab = nf.measured(wave(nf.Density(0.3)), waiting=15.0, **EVERYTHING)
    task, cost = nf.xor(), nf.MSE(READOUT)
    exact = nf.gradient(lab.device, cost, task.inputs, task.targets, "adjoint")
    seen = nf.MSE(lab.reads(READOUT))
    found = nf.gradient(lab, seen, task.inputs, task.targets, "adjoint", keys=keys(4))
    for name, value in exact.params.items():
        assert found.params[name] == pytest.approx(value, abs=1e-8)
    assert np.abs(found.outputs - exact.outputs).max() > 1e-3  # what is read is noisy


# -- noise of gradients -------------------------------------------------------------------


@pytest.mark.parametrize(("photons", "beta"), [(1e4, 0.1), (4e4, 0.1), (1e4, 0.4)])
def test_noise_of_a_gradient_goes_with_one_over_beta_and_the_root_of_photons(
    photons: float, beta: float
) -> None:
    lab = nf.measured(wave(), photons=photons)
    found = gradient(lab, 600, "nep", beta)
    free = nf.solve_steady(wave(), [[0.7, 1.0]]).state
    expected = np.sqrt(2 * np.abs(free[:, 0]) ** 2 / photons) / beta  # nudged as bright, nearly
    assert found.std(axis=1) == pytest.approx(expected, rel=0.25)
    assert np.mean(found.std(axis=1) / expected) == pytest.approx(1, abs=0.06)
    exact = gradient(nf.measured(wave()), 1, "nep", beta)[:, 0]
    assert np.all(np.abs(found.mean(axis=1) - exact) < 4.5 * expected / np.sqrt(600))


def test_noise_of_a_symmetric_contrast_is_half_as_large() -> None:
    lab = nf.measured(wave(), photons=1e4)
    one, both = (gradient(lab, 600, rule, 0.1).std(axis=1) for rule in ("nep", "nep-symmetric"))
    assert np.mean(both / one) == pytest.approx(0.5, abs=0.04)


def test_drift_enters_by_what_it_does_to_the_density() -> None:
    beta, drift = 0.1, 1e-4
    found = gradient(nf.measured(wave(), drift=drift), 150, "nep", beta)

    def density(shift: float) -> np.ndarray:
        moved = nf.GPE(CHAIN, wave().potential.values + shift, wave().pumps, None, GAMMA)
        return np.abs(nf.solve_steady(moved, [[0.7, 1.0]]).state[:, 0]) ** 2

    slope = (density(1e-5) - density(-1e-5)) / 2e-5
    off = found - gradient(nf.measured(wave()), 1, "nep", beta)
    assert off.std(axis=1) == pytest.approx(drift * np.abs(slope) / beta, rel=0.25)
    assert abs(np.corrcoef(off[0] * slope[0], off[5] * slope[5])[0, 1]) > 0.99  # all sites at once


def test_pumps_that_drift_scale_a_linear_wave() -> None:
    lab = nf.measured(wave(), pump_drift=0.02)
    inputs = np.tile([[0.7, 1.0]], (200, 1))
    free = lab.equilibrate(inputs, None, None, keys(200)).state
    assert np.ptp(free, axis=1).max() < 1e-12
    push = nf.FieldNudge(1e-3 * np.ones_like(free))
    nudged = lab.equilibrate(inputs, push, free, keys(200)).state
    answer = nf.solve_steady(wave(), inputs[:1], nudge=push.samples([0])).state - free[:, :1]
    factor = (nudged - answer) / free
    assert np.ptp(factor, axis=0).max() < 1e-9
    assert factor[0].imag == pytest.approx(np.zeros(200), abs=1e-9)
    assert factor[0].real.std() == pytest.approx(0.02, rel=0.2)


# -- waiting ------------------------------------------------------------------------------


def test_a_linear_wave_is_wrong_by_exactly_exp_minus_gamma_t() -> None:
    steady = nf.solve_steady(wave(), [[0.7, 1.0]]).state
    for time in (0.5 / GAMMA, 2 / GAMMA, 4 / GAMMA):
        lab = nf.measured(wave(), waiting=time)
        state = lab.equilibrate(np.array([[0.7, 1.0]]), None, None, keys(1)).state
        error = np.linalg.norm(state - steady) / np.linalg.norm(steady)
        assert error == pytest.approx(np.exp(-GAMMA * time), rel=1e-3)


def test_a_wave_on_a_mesh_is_waited_for_too() -> None:
    space = nf.finite_elements(interval(10, 0, 5), order=2, dirichlet=["left", "right"])
    system = nf.GPE(space, 0.2, [nf.gaussian_pump([2.0], 0.6)], None, loss=0.4)
    inputs = np.ones((1, 1))
    steady = nf.solve_steady(system, inputs).state
    state = nf.measured(system, waiting=8.0).equilibrate(inputs, None, None, keys(1)).state
    norm = space.population
    assert norm(state - steady) == pytest.approx(np.exp(-2 * 0.4 * 8) * norm(steady), rel=1e-2)


def test_a_one_sided_contrast_holds_the_transient_over_beta_and_a_symmetric_one_does_not() -> None:
    system = wave(nf.Density(0.3))
    beta, errors = 0.05, {"nep": [], "nep-symmetric": []}
    for rule, found in errors.items():
        exact = gradient(nf.measured(system), 1, rule, beta)
        for time in (2 / GAMMA, 5 / GAMMA):
            waited = gradient(nf.measured(system, waiting=time), 1, rule, beta)
            found.append(np.linalg.norm(waited - exact) / np.linalg.norm(exact))
    assert errors["nep"][1] / errors["nep"][0] == pytest.approx(np.exp(-3), rel=0.9)
    assert errors["nep"][1] < 0.2 * errors["nep"][0]
    assert errors["nep-symmetric"][0] < 0.1 * errors["nep"][0]


def test_a_sample_that_grows_without_bound_is_not_found() -> None:
    gain = nf.CustomNonlinearity(lambda n: 2j + n * (1 + 1j), lambda n: np.full_like(n, 1 + 1j))
    lab = nf.measured(replace(wave(), nonlinearity=gain), waiting=50.0)
    steady = lab.equilibrate(np.ones((1, 2)), None, None, keys(1))
    assert not steady.converged.any()
    assert "grow" in steady.reason[0]


# -- rules --------------------------------------------------------------------------------


def test_limits_are_refused_with_a_word_on_what_to_write_instead() -> None:
    lab = nf.measured(wave(), photons=1e4)
    samples = (nf.MSE(lab.reads(READOUT)), *nf.xor().sets()["train"])
    for rule in ("nep-linear", "reciprocal"):
        with pytest.raises(nf.InputError, match=f"'{rule}' is a limit.*write \"nep\""):
            nf.gradient(lab, *samples, rule)
    with pytest.raises(nf.InputError, match="'asym-ep' asks for states of another device"):
        nf.gradient(lab, *samples, "asym-ep")
    many = nf.measured(wave(), photons=1e14)
    other = [
        nf.gradient(of, *samples, "scattering-backpropagation", 0.01, keys=keys(4))
        for of in (wave(), many, lab)
    ]
    exact = other[0].params["potential"]
    assert other[1].params["potential"] == pytest.approx(exact, abs=1e-2 * np.abs(exact).max())
    assert np.abs(other[2].params["potential"] - exact).max() > np.abs(exact).max()
    assert lab.rules == ("nep", "nep-symmetric", "reciprocal-symmetric", "adjoint")
    table = nf.compare_gradients(lab, *samples, keys=keys(4))
    assert list(table.index) == list(lab.rules)


def test_the_assumed_loss_enters_corrections_alone() -> None:
    system = wave(nf.Density(0.3), loss=0.3)
    task = nf.xor()
    sides = {error: nf.measured(system, loss_error=error) for error in (0.0, 0.1)}
    assert sides[0.1].assumed_loss == pytest.approx(0.33)

    def cosine(error: float, rule: str, corrections: int) -> tuple[np.ndarray, float]:
        lab = sides[error]
        samples = (nf.MSE(lab.reads(READOUT)), task.inputs, task.targets)
        how = {"corrections": corrections, "keys": keys(4)}
        found = nf.gradient(lab, *samples, rule, 1e-3, **how).params["potential"]
        exact = nf.gradient(system, *samples, "adjoint").params["potential"]
        off = np.linalg.norm(found - exact) / np.linalg.norm(exact)
        return found, off

    for rule in ("nep-symmetric", "reciprocal-symmetric"):
        assert cosine(0.1, rule, 0)[0] == pytest.approx(cosine(0.0, rule, 0)[0], rel=1e-6)
    assert cosine(0.0, "nep-symmetric", 12)[1] < 1e-3
    assert 0.01 < cosine(0.1, "nep-symmetric", 12)[1] < 0.5
    assert cosine(0.1, "reciprocal-symmetric", 4)[1] < 1e-3  # which never asks for the loss


def test_a_phase_that_fluctuates_spares_intensities_and_ruins_fields() -> None:
    task = nf.xor()
    lab = nf.measured(wave(nf.Density(0.3)), phase_noise=0.1)
    samples = (nf.MSE(lab.reads(READOUT)), task.inputs, task.targets)
    table = nf.compare_gradients(lab, *samples, beta=0.02, keys=keys(4))
    assert table.loc["nep", "cosine_potential"] == pytest.approx(
        nf.compare_gradients(lab, *samples, beta=0.02).loc["nep", "cosine_potential"], abs=1e-9
    )
    assert table.loc["reciprocal-symmetric", "cosine_potential"] < 0.9


@pytest.mark.parametrize("name", ["triangles-2", "interval-open"])
def test_a_mesh_is_measured_with_many_photons_as_it_is(name: str) -> None:
    this = case(name, "density")
    readout = this.cost.readout
    lab = nf.measured(this.system, photons=1e14)
    cost = replace(this.cost, readout=lab.reads(readout))
    options = {"beta": 0.1, "keys": keys(len(this.inputs))}
    for rule in ("nep-symmetric", "reciprocal-symmetric"):
        exact = nf.gradient(this.system, *this.samples, rule, 0.1)
        found = nf.gradient(lab, cost, this.inputs, this.targets, rule, **options)
        for parameter, value in exact.params.items():
            assert found.params[parameter] == pytest.approx(value, abs=1e-3 * np.abs(value).max())


# -- the rest of the package --------------------------------------------------------------


def test_what_looks_into_a_wave_looks_into_the_device() -> None:
    system = wave(nf.Density(0.3))
    lab = nf.measured(system, photons=1e4, waiting=5.0)
    inputs = np.array([[1.0, 1.0]])
    along = nf.follow(lab, "loss", 0.1, 0.12, inputs=inputs)
    same = nf.follow(system, "loss", 0.1, 0.12, inputs=inputs)
    assert along.values == pytest.approx(same.values)
    steady = lab.equilibrate(inputs, None, None, keys(1))
    assert set(lab.switch_on(inputs, steady).outcome) <= {"proved", "reached"}
    assert nf.stability(lab, nf.solve_steady(lab, inputs)).stability[0] in ("proved", "stable")
    assert nf.reach(lab, lab.reads(READOUT), inputs, np.array([[0.1]])).verdict[0]
    assert "MeasuredWave: GPE on lattice(9)" in repr(lab)
    with pytest.raises(AttributeError):
        _ = lab.nothing


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"photons": 0.0}, "photons = 0.0"),
        ({"photons": np.inf}, "photons = inf"),
        ({"full_density": 0.0}, "full_density"),
        ({"noise": -1.0}, "noise = -1.0"),
        ({"phase_noise": np.nan}, "phase_noise = nan"),
        ({"camera_pixels": [0.0]}, "camera_pixels"),
        ({"camera_pixels": [1.0, 1.0]}, "camera_pixels"),
        ({"slm_pixels": [-1.0]}, "slm_pixels"),
        ({"slm_levels": 1}, "slm_levels = 1"),
        ({"slm_crosstalk": -0.1}, "slm_crosstalk"),
        ({"drift": -1e-3}, "drift = -0.001"),
        ({"pump_drift": np.nan}, "pump_drift"),
        ({"waiting": 0.0}, "waiting = 0.0"),
        ({"loss_error": -2.0}, "loss_error"),
    ],
)
def test_numbers_out_of_range_are_refused(numbers: dict, message: str) -> None:
    with pytest.raises(nf.InputError, match=message):
        nf.measured(wave(), **numbers)


def test_what_cannot_be_measured_is_refused() -> None:
    unbound = nf.GPE(CHAIN, 0.0, wave().pumps)
    with pytest.raises(nf.InputError, match=r"slm_levels.*bounds"):
        nf.measured(unbound, slm_levels=8)
    with pytest.raises(nf.InputError, match="no GPE"):
        nf.measured(CHAIN)
    other = nf.graph(nf.lattice(9))
    with pytest.raises(nf.InputError, match="another space"):
        nf.measured(wave()).reads(nf.readout(other, sites=[4]))


# -- studies ------------------------------------------------------------------------------

STUDY = """
name = "measured"
seed = 2
[domain]
lattice = [9]
[physics]
g = 0.3
loss = 0.1
[potential]
initial = { uniform = [-0.1, 0.1] }
bounds = [-0.5, 1.0]
[[pump]]
site = 2
weight = 0.6
[[pump]]
site = 6
weight = -0.4
[readout]
sites = [4]
[task]
name = "xor"
[training]
rule = "nep-symmetric"
beta = 0.3
rate = 0.02
epochs = 4
compare_every = 2
switch_on = false
[figures]
enabled = false
"""
SECTION = """
[measurement]
photons = 1e5
noise = 0.001
phase_noise = 0.001
pump_drift = 1e-4
waiting = 2.0
slm_levels = 256
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY + SECTION)
    return path


def test_a_study_without_the_section_is_not_measured(study: Path) -> None:
    study.write_text(STUDY)
    config = load_study(study)
    assert type(config.build_system(config.build_domain(), None, {})) is nf.GPE
    measured = load_study(study, ["measurement.photons=1e5"])
    assert type(measured.build_system(measured.build_domain(), None, {})) is nf.MeasuredWave
    assert "laboratory" not in check(study)


def test_check_tells_what_is_measured(study: Path) -> None:
    told = check(study)
    assert (
        "as in a laboratory: 100000 photons a pixel at density 1, states read after 0.2/gamma"
        in (told)
    )
    assert "slm_levels 256" in told
    assert "reciprocal" not in told.partition("as in a laboratory")[2]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.rule=reciprocal", 'training.rule = "reciprocal" is a limit.*write "nep"'),
        ("training.rule=nep-linear", 'training.rule = "nep-linear" is a limit'),
        ("training.rule=dyadic-ep", '"dyadic-ep" asks for states of another device'),
        ("potential.bounds=", "measurement.slm_levels.*set potential.bounds"),
        ("measurement.photons=-1", "photons"),
        ("measurement.waiting=soon", "waiting"),
        ("measurement.colour=1", "colour"),
    ],
)
def test_a_study_that_cannot_be_measured_is_refused(
    study: Path, override: str, message: str
) -> None:
    with pytest.raises(nf.InputError, match=message):
        load_study(study, [override])


def test_pixels_are_refused_before_any_work(study: Path) -> None:
    with pytest.raises(nf.InputError, match="measurement: camera_pixels"):
        check(study, ("measurement.camera_pixels=[1, 1]",))


def test_quantities_of_the_section_have_units(study: Path) -> None:
    study.write_text(
        STUDY.replace("loss = 0.1", 'loss = "0.1 meV"')
        + '[units]\nlength = "1 um"\nmass = "1e-4 m_e"\n'
        + '[measurement]\nwaiting = "20 ps"\ndrift = "1 ueV"\nslm_crosstalk = "0.5 um"\n'
    )
    config = load_study(study)
    scales = config.units.scales
    assert config.measurement.waiting == pytest.approx(20 / scales.factor(time=1))
    assert config.measurement.drift == pytest.approx(1e-3 / scales.factor(energy=1))
    assert config.measurement.slm_crosstalk == pytest.approx(0.5)


def test_a_training_resumes_to_the_identical_run(study: Path, tmp_path: Path) -> None:
    config = load_study(study)
    whole = train_study(config, tmp_path / "whole")
    train_study(load_study(study, ["training.epochs=2"]), tmp_path / "parts")
    parts = train_study(config, tmp_path / "parts", resume=True)
    one, other = (np.load(tmp_path / name / "checkpoint.npz") for name in ("whole", "parts"))
    for name in one.files:
        assert np.array_equal(one[name], other[name]), name
    assert whole["cost"] == parts["cost"]
    history = (tmp_path / "whole" / "history.csv").read_text()
    assert history == (tmp_path / "parts" / "history.csv").read_text()
    assert whole["laboratory"]["decay_times_a_state"] == pytest.approx(0.2)
    noisy = compare_study(config, tmp_path / "whole")
    assert list(noisy.index) == ["nep", "nep-symmetric", "reciprocal-symmetric", "adjoint"]
    assert np.abs(noisy["cosine"]["nep"] - noisy["cosine"]["nep-symmetric"]) > 1e-3
    assert noisy.loc["adjoint", "cosine"] == pytest.approx(1)
    run = nf.open_run(tmp_path / "whole")
    assert run.system.parameters["potential"].values.tolist() == one["parameter/potential"].tolist()


@pytest.mark.slow
def test_a_training_learns_at_a_stated_number_of_photons() -> None:
    lab = nf.measured(wave(nf.Density(0.3)), photons=1e6)
    task = nf.Task(nf.xor().inputs[1:3], np.array([[0.2], [0.05]]))
    before = nf.evaluate(lab, nf.MSE(lab.reads(READOUT)), task.inputs, task.targets).cost
    result = nf.train(
        lab, nf.MSE(lab.reads(READOUT)), task, optimizer=nf.Adam(0.02), rule="nep-symmetric",
        beta=1.0, epochs=300, seed=5,
    )  # fmt: skip
    assert result.final.cost < 0.1 * before
    assert values_of(result.system)["potential"].shape == (9,)
