"""Modes of cavities and fluctuations around states, against exact values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import MESHES, interval
from scipy.special import jn_zeros

import nepfield as nf
from nepfield.mesh.geometry import mesh_geometry
from nepfield.steady.modes import bogoliubov, cavity

LOSS = 0.1


def empty(space: nf.Space, **more: object) -> nf.GPE:
    return nf.GPE(space, 0.0, [], None, LOSS, **more)


def box_levels(sides: tuple[float, float]) -> np.ndarray:
    """pi^2/2 (a^2/Lx^2 + b^2/Ly^2), rising."""
    a, b = np.meshgrid(np.arange(1, 12), np.arange(1, 12))
    return np.sort(np.pi**2 / 2 * ((a / sides[0]) ** 2 + (b / sides[1]) ** 2).ravel())


def disc_levels(count: int) -> np.ndarray:
    """Zeros of Bessel functions squared over 2, those of m > 0 twice."""
    found = [np.repeat(jn_zeros(m, 4), 1 if m == 0 else 2) for m in range(6)]
    return np.sort(np.concatenate(found))[:count] ** 2 / 2


# ---------------------------------------------------------------- modes of cavities


def test_levels_of_a_box_are_exact_to_a_millionth() -> None:
    """64 x 64 quadrilaterals of order 2; equal levels come as often as there are modes."""
    space = nf.finite_elements(nf.box_mesh([(0, 1), (0, 1)], 64), order=2)
    found = nf.modes(empty(space), 6)
    exact = box_levels((1, 1))[:6]
    np.testing.assert_allclose(found.level[:4], exact[:4], rtol=1e-6)
    np.testing.assert_allclose(found.level, exact, rtol=2e-6)
    np.testing.assert_array_equal(found.loss, LOSS)
    assert found.residual.max() < 1e-9
    overlap = found.function.T @ (space.mass @ found.function)
    np.testing.assert_allclose(overlap, np.eye(6), atol=1e-9)


@pytest.mark.parametrize(("name", "count", "error"), [("disc-1", 3, 5e-5), ("disc-2", 3, 3e-6)])
def test_levels_of_a_disc_are_zeros_of_bessel_functions(
    name: str, count: int, error: float
) -> None:
    """Curved triangles of order 2; the error falls by 16 where the cells are halved."""
    space = nf.finite_elements(nf.read_domain(MESHES / f"{name}.msh"), order=2)
    found = nf.modes(empty(space), count)
    np.testing.assert_allclose(found.level, disc_levels(count), rtol=error)
    assert np.abs(found.level / disc_levels(count) - 1).max() > error / 16


def test_levels_of_a_fine_disc_are_exact_to_a_millionth(tmp_path: Path) -> None:
    """The same at level 3, of 13,000 unknowns."""
    mesh = mesh_geometry(MESHES / "disc.geo", {"level": 3}, tmp_path)
    space = nf.finite_elements(nf.read_domain(mesh), order=2)
    found = nf.modes(empty(space), 6)
    np.testing.assert_allclose(found.level, disc_levels(6), rtol=1e-6)


@pytest.mark.parametrize("shape", [(30,), (6, 7), (22, 23)])
def test_levels_of_a_lattice_are_cosines(shape: tuple[int, ...]) -> None:
    system = empty(nf.graph(nf.lattice(*shape)))
    bands = [1 - np.cos(np.pi * np.arange(1, n + 1) / (n + 1)) for n in shape]
    exact = bands[0] if len(shape) == 1 else np.add.outer(*bands)
    found = nf.modes(system, 12)
    np.testing.assert_allclose(found.level, np.sort(exact.ravel())[:12], rtol=0, atol=1e-12)


def test_modes_near_a_level_are_the_nearest_and_none_is_missing() -> None:
    space = nf.finite_elements(nf.box_mesh([(0, 1), (0, 1)], 24), order=2)
    found = nf.modes(empty(space), 7, near=60.0).level
    every = nf.modes(empty(space), 40).level
    nearest = np.sort(every[np.argsort(np.abs(every - 60), kind="stable")[:7]])
    np.testing.assert_allclose(found, nearest, rtol=1e-9)
    assert len(found) == 7


def test_the_potential_shifts_and_the_response_of_the_vacuum_counts() -> None:
    space = nf.finite_elements(interval(40))
    one = nf.modes(empty(space), 4).level
    shifted = nf.GPE(space, -3.0, [], nf.Saturation(0.4), LOSS)
    np.testing.assert_allclose(nf.modes(shifted, 4).level, one - 3.0 + 0.4, atol=1e-9)


def open_cavity() -> nf.GPE:
    space = nf.finite_elements(
        interval(120, 0, 6.0), order=2, dirichlet=["left"], robin={"right": -0.8j}
    )
    absorber = nf.absorbing_layer(space, "right", 1.0, 0.4)
    pumps = [nf.gaussian_pump([2.0], 0.3)]
    return nf.GPE(space, -0.2 - 0.01j, pumps, nf.Saturation(0.3), 0.05, absorber)


def test_open_walls_and_absorbers_widen_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    system = open_cavity()
    dense = nf.modes(system, 6)
    monkeypatch.setattr(cavity, "DENSE", 10)
    sparse = nf.modes(system, 6)
    np.testing.assert_allclose(sparse.level, dense.level, atol=1e-9)
    np.testing.assert_allclose(sparse.loss, dense.loss, atol=1e-9)
    assert (dense.loss > 0.06).all()
    assert sparse.residual.max() < 1e-9


def test_a_mode_that_leaves_through_an_impedance_wall_has_a_known_loss() -> None:
    """sin(q x) between a wall and one with dPsi/dx = i k Psi: q cot(q L) = i k."""
    k, length = 1.3, 2.0
    space = nf.finite_elements(
        interval(60, 0, length), order=2, dirichlet=["left"], robin={"right": -1j * k}
    )
    found = nf.modes(empty(space), 3)
    q = np.sqrt(2 * (found.level - 1j * (found.loss - LOSS)))
    np.testing.assert_allclose(q / np.tan(q * length), 1j * k, atol=2e-5)


def test_overlaps_are_shares_of_pumps_and_of_modes() -> None:
    space = nf.finite_elements(interval(30, 0, np.pi), order=2)
    bump = nf.field_pump(lambda points: np.sin(2 * points[:, 0]) + 0j, 0.3)
    system = nf.GPE(space, 0.0, [bump, nf.gaussian_pump([1.0], 0.3, 2.0)], None, LOSS)
    found = nf.modes(system, space.ndof, readout=nf.readout(space, regions=["first", "all"]))
    assert found.pumps.shape == (2, space.ndof)
    np.testing.assert_allclose(found.pumps[0, :3], [0, 1, 0], atol=1e-4)
    np.testing.assert_allclose(found.pumps.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(found.readouts[0, :4], 0.5, atol=1e-4)  # half the box
    np.testing.assert_allclose(found.readouts[1], 1, atol=1e-9)


def test_near_a_resonance_a_mode_and_its_overlap_are_the_response() -> None:
    """-i int phi P / (E - i l) is all of the wave where one mode is near."""
    space = nf.finite_elements(interval(60, 0, np.pi), order=2)
    pump = nf.gaussian_pump([1.0], 0.2, 0.7)
    system = nf.GPE(space, -0.5 + 1e-3, [pump], None, 1e-3)  # the lowest level of the box is 1/2
    found = nf.modes(system, 3)
    assert found.detuning.argmin() == 0
    assert found.detuning[0] == pytest.approx(1, rel=1e-3)
    state = nf.solve_steady(system, np.ones((1, 1))).state[:, 0]
    phi = found.function[:, 0]
    amplitude = -1j * (phi @ system.drive(np.ones((1, 1)))[:, 0])
    amplitude /= found.level[0] - 1j * found.loss[0]
    rest = state - amplitude * phi
    assert space.population(rest) < 1e-4 * space.population(state)


def test_modes_are_kept_as_fields_and_say_what_they_are() -> None:
    found = nf.modes(empty(nf.graph(nf.lattice(5))), 3)
    assert [field.sample for field in found.fields] == [0, 1, 2]
    assert "3 modes" in repr(found)
    assert found.density.shape == (5, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: nf.modes(s, 0), "count = 0"),
        (lambda s: nf.modes(s, 2.5), "count = 2.5"),
        (lambda s: nf.modes(s, near=np.nan), "near = nan"),
        (lambda s: nf.modes(nf.Oscillators(nf.complete_graph(3), 1.0, clamped=[0])), "is no wave"),
        (lambda s: nf.modes(s, readout="x"), "reads no intensities"),
    ],
)
def test_modes_refuse_what_makes_no_sense(call: object, message: str) -> None:
    with pytest.raises(nf.InputError, match=message):
        call(empty(nf.graph(nf.lattice(5))))


# ---------------------------------------------------------------- fluctuations


def fluid(
    ncells: int, length: float, interaction: float = 0.5, loss: float = 0.02
) -> tuple[nf.GPE, nf.Steady]:
    """A homogeneous wave of density 1 on a ring, with the drive at its blue-shifted level: there
    the spectrum has no gap, as that of a superfluid at rest."""
    ring = nf.periodic(interval(ncells, 0.0, length), [("left", "right")])
    space = nf.finite_elements(ring, order=2)
    system = nf.GPE(
        space, -interaction, [nf.region_pump("all", loss)], nf.Density(interaction), loss
    )
    steady = nf.solve_steady(system, np.ones((1, 1)), initial=np.ones((space.ndof, 1)) + 0j)
    np.testing.assert_allclose(steady.state, 1, atol=1e-8)
    return system, steady


def test_sound_has_the_velocity_of_bogoliubov_to_a_thousandth() -> None:
    """c = sqrt(g n) from the slope of the lowest two frequencies, each of two directions."""
    interaction, length = 0.5, 200.0
    system, steady = fluid(200, length, interaction)
    found = nf.bogoliubov_spectrum(system, steady, count=6)
    k = 2 * np.pi / length * np.array([0, 0, 1, 1, 2, 2])
    # (omega/k)^2 = c^2 + k^2/4
    velocity = np.sqrt((found.frequency[2:] / k[2:]) ** 2 - k[2:] ** 2 / 4)
    np.testing.assert_allclose(velocity, np.sqrt(interaction), rtol=1e-3)
    assert found.frequency[2] / k[2] == pytest.approx(np.sqrt(interaction), rel=1e-3)
    np.testing.assert_allclose(found.growth[2:], -0.02, atol=1e-6)


@pytest.mark.parametrize("large", [False, True])
def test_the_spectrum_of_a_homogeneous_wave_is_that_of_bogoliubov(
    large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """-gamma +- i sqrt((k^2/2 + V + 2 g n)^2 - (g n)^2), directly and by Arnoldi's method."""
    if large:
        monkeypatch.setattr(bogoliubov, "DIRECT", 10)
    g, potential, loss, length = 0.4, 0.1, 0.05, 12.0
    ring = nf.periodic(interval(60, 0.0, length), [("left", "right")])
    space = nf.finite_elements(ring, order=2)
    drive = abs(potential + g - 1j * loss)
    system = nf.GPE(space, potential, [nf.region_pump("all", drive)], nf.Density(g), loss)
    steady = nf.solve_steady(system, np.ones((1, 1)))
    np.testing.assert_allclose(np.abs(steady.state), 1, atol=1e-8)
    found = nf.bogoliubov_spectrum(system, steady, count=9)
    k = 2 * np.pi / length * np.array([0, 1, 1, 2, 2, 3, 3, 4, 4])
    exact = np.sqrt((k**2 / 2 + potential + 2 * g) ** 2 - g**2)
    np.testing.assert_allclose(found.frequency, exact, rtol=5e-5)
    np.testing.assert_allclose(found.growth, -loss, atol=1e-9)
    # u^2 - v^2 over u^2 + v^2 of a Bogoliubov mode
    np.testing.assert_allclose(found.norm, exact / (k**2 / 2 + potential + 2 * g), rtol=1e-4)
    assert found.sample == 0
    assert found.density.shape == (len(space.nodes), 9)


def test_the_spectrum_has_the_growth_that_the_certificate_has() -> None:
    space = nf.graph(nf.lattice(9))
    system = nf.GPE(space, -1.0, [nf.site_pump(2, 0.6)], nf.Density(1.0), 0.1)
    steady = nf.solve_steady(system, np.ones((1, 1)))
    found = nf.bogoliubov_spectrum(system, steady, count=50)
    certificate = nf.stability(system, steady)
    assert found.growth.max() == pytest.approx(certificate.growth[0], rel=1e-9)
    assert found.growth.max() > 0
    assert (np.diff(found.frequency) >= 0).all()


def test_without_interaction_fluctuations_are_modes_of_the_cavity() -> None:
    system = open_cavity()
    linear = nf.GPE(
        system.space, -0.2, system.pumps, None, 0.05, system.background
    )  # fmt: skip
    steady = nf.solve_steady(linear, np.ones((1, 1)))
    found = nf.bogoliubov_spectrum(linear, steady, count=5)
    levels = nf.modes(linear, 5)
    order = np.argsort(np.abs(levels.level))
    np.testing.assert_allclose(found.frequency, np.abs(levels.level)[order], atol=1e-7)
    np.testing.assert_allclose(found.growth, -levels.loss[order], atol=1e-7)


def test_spectra_refuse_what_has_none() -> None:
    system, steady = fluid(12, 6.0)
    oscillators = nf.Oscillators(nf.complete_graph(3), 1.0, clamped=[0])
    for call, message in (
        (lambda: nf.bogoliubov_spectrum(oscillators, steady), "is no wave"),
        (lambda: nf.bogoliubov_spectrum(system, steady, 1), "samples 0 to 0"),
        (lambda: nf.bogoliubov_spectrum(system, steady, count=0), "count = 0"),
        (lambda: nf.bogoliubov_spectrum(system, steady, near=-1.0), "near = -1"),
    ):
        with pytest.raises(nf.InputError, match=message):
            call()
    lost = nf.Steady(
        steady.state, np.zeros(1, bool), steady.residual, steady.iterations, ("it oscillates",)
    )
    with pytest.raises(nf.InputError, match="no steady state: it oscillates"):
        nf.bogoliubov_spectrum(system, lost)
