"""How bright a readout can get: bounds that nothing exceeds, and a search that attains them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nepfield as nf
from nepfield.systems.brightness import brightness_bounds

LOSS = 0.5
INTERVAL = nf.finite_elements(nf.box_mesh([(0, 8)], 40), order=2)


def two_sites(
    bounds: tuple[float, float] | None = (-2.0, 2.0), background: float = 0.0, loss: float = LOSS
) -> nf.GPE:
    """A pump at one site, a hopping of 1/2 to the other."""
    space = nf.graph(nf.lattice(2))
    return nf.GPE(
        space,
        nf.potential(space, 0.5, bounds=bounds),
        [nf.site_pump(0, 0.8, trainable=False)],
        loss=loss,
        background=np.array([0.0, background]) if background else None,
    )


def interval(
    low: float = -0.05, weight: float = 1.0, nonlinearity: object = None, loss: float = 0.02
) -> nf.GPE:
    """Pumps in the left half of a box whose lowest level is 0.077."""
    pumps = [nf.gaussian_pump([1.5], 0.4, weight), nf.gaussian_pump([3.0], 0.4, -weight)]
    potential = nf.potential(INTERVAL, 0.0, bounds=(low, 1.0))
    return nf.GPE(INTERVAL, potential, pumps, nonlinearity, loss)


def far_end() -> nf.Readout:
    return nf.readout(INTERVAL, discs=[([6.5], 0.5)])


def test_a_matched_load_attains_the_bound_of_the_power() -> None:
    system = two_sites()
    readout = nf.readout(system.space, sites=[1])
    most = 0.8**2 / (4 * LOSS**2)  # at resonance with a hopping that is the loss
    bounds = brightness_bounds(system, readout, np.ones((1, 1)))
    assert bounds.power[0, 0] == pytest.approx(most, rel=1e-12)
    assert np.isinf(bounds.evanescent).all()
    found = nf.reach(system, readout, np.ones((1, 1)), [[0.999 * most]])
    assert found.verdict == ("reached",)
    assert 0.999 * most <= found.attained[0] <= most * (1 + 1e-12)


def test_the_pumped_site_itself_is_lit_by_all_that_the_pump_gives() -> None:
    space = nf.graph(nf.lattice(2))
    alone = replace(two_sites(), potential=nf.potential(space, [0.0, 1e6], bounds=(-1, 1e7)))
    readout = nf.readout(space, sites=[0])
    bound = brightness_bounds(alone, readout, np.ones((1, 1))).power[0, 0]
    resonant = alone.with_parameters({"potential": np.array([-1.0, 1e7])})
    output = readout.outputs(nf.solve_steady(resonant, np.ones((1, 1))).state)[0, 0]
    assert bound == pytest.approx(0.8**2 / LOSS**2, rel=1e-12)
    assert output == pytest.approx(bound, rel=1e-6)


def test_below_every_mode_the_bound_is_the_wave_without_loss() -> None:
    system = two_sites(bounds=(0.1, 2.0), loss=1e-3)
    readout = nf.readout(system.space, sites=[1])
    bound = brightness_bounds(system, readout, np.ones((1, 1))).evanescent[0, 0]
    matrix = np.array([[1.1, -0.5], [-0.5, 1.1]])
    wave = np.linalg.solve(matrix, [0.8, 0.0])[1]
    assert bound == pytest.approx(wave**2, rel=1e-12)
    found = nf.reach(system, readout, np.ones((1, 1)), [[2 * bound]])
    assert found.verdict == ("out of reach",)
    assert found.attained[0] == pytest.approx(bound, rel=1e-3)


@pytest.mark.parametrize(
    "nonlinearity", [None, nf.Density(0.2), nf.Saturation(0.3), nf.Saturation(-0.02)]
)
@pytest.mark.parametrize("open_wall", [False, True])
def test_no_potential_within_the_bounds_exceeds_the_bounds(
    nonlinearity: object, open_wall: bool
) -> None:
    system, readout = interval(weight=2.0, nonlinearity=nonlinearity), far_end()
    if open_wall:
        space = nf.finite_elements(
            nf.box_mesh([(0, 8)], 40), order=2, dirichlet=[], robin={"wall": -0.5j}
        )
        potential = nf.potential(space, 0.03, bounds=(0.03, 1.0))
        absorber = nf.absorbing_layer(space, "wall", 1.0, 0.3)
        pumps = [nf.gaussian_pump([1.5], 0.4, 2.0), nf.gaussian_pump([3.0], 0.4, 2.0j)]
        system = nf.GPE(space, potential, pumps, nonlinearity, 0.02, absorber)
        readout = nf.readout(space, discs=[([6.5], 0.5)])
    inputs = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    bounds = brightness_bounds(system, readout, inputs)
    assert np.isfinite(bounds.evanescent).all()
    assert (bounds.least <= bounds.power).all()
    low, high = system.potential.bounds or (0, 0)
    random, brightest = np.random.default_rng(1), np.zeros(3)
    for k in range(12):
        raised = random.random(40) ** (1 + k) * (high - low)
        moved = system.with_parameters({"potential": low + raised})
        steady = nf.solve_steady(moved, inputs, on_failure="flag")
        outputs = readout.outputs(steady.state)[:, 0]
        brightest = np.maximum(brightest, np.where(steady.converged, outputs, 0))
    assert (brightest <= 1.001 * bounds.least[:, 0]).all()
    assert (brightest > 0).all()


def test_a_response_that_falls_with_the_density_sharpens_its_own_bound() -> None:
    system, readout = interval(low=-0.07, weight=0.3, nonlinearity=nf.Saturation(0.4)), far_end()
    inputs = np.eye(2)
    rough = brightness_bounds(system, readout, inputs, sharp=False).evanescent
    sharp = brightness_bounds(system, readout, inputs).evanescent
    assert (sharp < 0.2 * rough).all()
    lowest = system.with_parameters({"potential": np.full(40, -0.07)})
    bright = nf.solve_steady(lowest, 40 * inputs).state  # another branch, if there is one
    steady = nf.solve_steady(lowest, inputs, initial=bright, on_failure="flag")
    assert (
        readout.outputs(steady.state)[steady.converged] <= 1.001 * sharp[steady.converged]
    ).all()


def test_what_gains_energy_or_has_no_lower_bound_has_no_bound() -> None:
    readout = far_end()
    free = replace(interval(), potential=nf.potential(INTERVAL, 0.0))
    assert np.isinf(brightness_bounds(free, readout, np.eye(2)).evanescent).all()
    assert np.isfinite(brightness_bounds(free, readout, np.eye(2)).power).all()
    gain = nf.CustomNonlinearity(lambda n: 0.01j * n, lambda n: 0.01j)
    assert np.isinf(brightness_bounds(interval(nonlinearity=gain), readout, np.eye(2)).power).all()
    lossless = replace(interval(), loss=0.0)
    assert np.isinf(brightness_bounds(lossless, readout, np.eye(2)).power).all()


def test_a_complex_potential_may_give_up_its_loss() -> None:
    space = two_sites().space
    values = np.full(2, 0.3 - 0.2j)
    lossy = replace(
        two_sites(), potential=nf.potential(space, values, "cells", (-2, 2), (-1.0, -0.1))
    )
    readout = nf.readout(space, sites=[1])
    most = 0.8**2 / (4 * (LOSS + 0.1) ** 2)
    assert brightness_bounds(lossy, readout, np.ones((1, 1))).power[0, 0] == pytest.approx(most)
    found = nf.reach(lossy, readout, np.ones((1, 1)), [[0.9 * most]])
    assert found.verdict == ("reached",)
    np.testing.assert_allclose(found.potential[0].imag, -0.1)


def test_the_climb_finds_what_no_uniform_potential_gives() -> None:
    system = two_sites(background=1.5, loss=0.1)
    readout = nf.readout(system.space, sites=[1])
    uniform = max(
        readout.outputs(nf.solve_steady(moved, np.ones((1, 1))).state)[0, 0]
        for v in np.linspace(-2, 2, 401)
        if (moved := system.with_parameters({"potential": np.full(2, v)}))
    )
    found = nf.reach(system, readout, np.ones((1, 1)), [[2 * uniform]])
    assert found.verdict == ("reached",)
    assert found.attained[0] >= 2 * uniform
    moved = system.with_parameters({"potential": found.potential[0]})
    again = readout.outputs(nf.solve_steady(moved, np.ones((1, 1))).state)[0, 0]
    assert again == pytest.approx(found.attained[0], rel=1e-8)
    assert found.stable == ("proved",)


def test_out_of_reach_is_proved_and_stronger_pumps_help() -> None:
    system, readout = interval(weight=0.1), far_end()
    targets = np.array([[0.0], [1.0], [1.0], [0.0]])
    inputs = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    wanted = nf.wanted_intensity(nf.MSE(readout), targets)
    found = nf.reach(system, readout, inputs, wanted)
    assert found.verdict == ("out of reach",)
    assert set(found.sample) == {1, 2}  # a sample that is to be dark is not looked at
    assert found.sample[found.darkest[0]] == 2  # the pump that is farther away
    assert found.brightest[0] == found.attained[found.darkest[0]] < 0.9
    (said,) = found.sentences()
    assert "out of reach" in said
    assert "times stronger" in said
    assert "sample 2" in said
    factor = np.sqrt(0.9 / found.brightest[0]) * 1.001  # as the sentence has it
    stronger = system.with_parameters({"weights": factor * system.pumps.weights})
    assert nf.reach(stronger, readout, inputs, wanted).verdict == ("reached",)
    weaker = system.with_parameters({"weights": 0.99 * found.pumps[0] * system.pumps.weights})
    assert nf.reach(weaker, readout, inputs, wanted).verdict == ("out of reach",)


def test_between_attained_and_bound_nothing_is_claimed() -> None:
    system, readout = interval(nonlinearity=nf.Density(3.0)), far_end()
    bound = brightness_bounds(system, readout, np.eye(2)).least.min()
    found = nf.reach(system, readout, np.eye(2), np.full((2, 1), 0.9 * bound))
    assert found.verdict == ("not found",)
    assert "was not found" in found.sentences()[0]


def test_a_fixed_potential_is_taken_as_it_is() -> None:
    fixed = replace(interval(), potential=nf.potential(INTERVAL, 0.05, trainable=False))
    readout = far_end()
    found = nf.reach(fixed, readout, np.eye(2), np.full((2, 1), 1e-9))
    outputs = readout.outputs(nf.solve_steady(fixed, np.eye(2)).state)[:, 0]
    np.testing.assert_allclose(found.attained, outputs[found.sample])
    assert found.verdict == ("reached",)


def test_an_output_that_nobody_wants_bright_has_no_verdict() -> None:
    system = interval()
    readout = nf.readout(INTERVAL, discs=[([6.5], 0.5), ([2.0], 0.5)])
    found = nf.reach(system, readout, np.eye(2), [[0, 0.1], [0, 0.1]])
    assert found.verdict[0] == ""
    assert found.verdict[1] == "reached"
    assert np.isnan(found.brightest[0])
    assert len(found.sentences()) == 1
    nothing = nf.reach(system, readout, np.eye(2), np.zeros((2, 2)))
    assert nothing.verdict == ("", "")
    assert nothing.sentences() == []


def test_wanted_intensities_are_the_criterion_of_success() -> None:
    readout = nf.readout(INTERVAL, discs=[([6.5], 0.5), ([2.0], 0.5)])
    targets = np.array([[1.0, 0.0], [0.2, 1.0]])
    wanted = nf.wanted_intensity(nf.MSE(readout), targets)
    np.testing.assert_allclose(wanted, [[0.92, -0.1], [0.12, 0.9]])
    cost = nf.CCE(readout, gain=4.0)
    for_classes = nf.wanted_intensity(cost, np.eye(2))
    value = cost.value(
        np.where(readout.output == 0, for_classes[0, 0], 0.0)[:, None], np.eye(2)[:, [0]]
    )
    assert value[0] == pytest.approx(np.log(2) / 2)


def test_what_has_no_reach_is_refused() -> None:
    oscillators = nf.Oscillators(nf.complete_graph(3), coupling=1.0, clamped=[0])
    with pytest.raises(nf.InputError, match="no reach"):
        nf.reach(oscillators, far_end(), np.eye(1), np.eye(1))
    with pytest.raises(nf.InputError, match="wanted: an array of shape"):
        nf.reach(interval(), far_end(), np.eye(2), np.eye(2))
    with pytest.raises(nf.InputError, match="inputs"):
        nf.reach(interval(), far_end(), np.eye(3), np.ones((3, 1)))
