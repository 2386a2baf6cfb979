"""Stability of steady states: three tiers against dense eigenvalues and closed forms."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
from helpers import interval, square, uniform_pump
from test_cli import CHAIN, invoke, write_study
from test_two_components import INPUTS, placed

import nepfield as nf
from nepfield.learning import record
from nepfield.space.linalg import Factorisation, one_thread
from nepfield.steady.equation import Equation
from nepfield.steady.stability import certificate, definite, eigenvalues, splines, trial
from nepfield.steady.stability.fluctuations import Fluctuations
from nepfield.steady.stability.pointwise import growth_bound, kinetic_floor, pointwise_bounds
from nepfield.study.run.build import build
from nepfield.study.systems.systems import load_study

ONE = np.ones((1, 1))


@pytest.fixture
def windowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small systems are treated as large ones are."""
    monkeypatch.setattr(certificate, "DIRECT", 0)


def dense_rates(system: Equation, steady: nf.Steady, sample: int = 0) -> np.ndarray:
    """All eigenvalues of the equation of fluctuations, from matrices that are made here."""
    images = system.linearise(steady.state[:, [sample]]).real_matrices()[0]
    n = len(images) // 2
    rates = np.empty_like(images)  # -i (x + i y) = y - i x
    rates[0::2], rates[1::2] = images[1::2], -images[0::2]
    mass = np.kron(system.space.mass.toarray(), np.eye(2))
    assert mass.shape == (2 * n, 2 * n)
    with one_thread():
        return np.linalg.eigvals(np.linalg.solve(mass, rates))


def reference(potential: float = -1.0) -> tuple[nf.GPE, nf.Steady]:
    """Nine sites on which the solver finds an unstable state."""
    system = nf.GPE(
        nf.graph(nf.lattice(9)), potential, [nf.site_pump(2, 0.6)], nf.Density(1.0), 0.1
    )
    return system, nf.solve_steady(system, ONE)


def random_system(rng: np.random.Generator, kind: str = "uniform", small: bool = True) -> nf.GPE:
    """A lattice, a network, an interval or a square with the drive somewhere in the band."""
    scale = 1 if small else 3
    robin = None if kind != "robin" else -1j * rng.uniform(0.3, 1.5)
    order = int(rng.integers(1, 3))
    shape = rng.integers(4)
    if shape == 0:
        space = nf.graph(nf.lattice(int(rng.integers(6, 40)) * scale))
    elif shape == 1:
        space = nf.graph(nf.lattice(int(rng.integers(2, 6)) * scale, int(rng.integers(3, 7))))
    elif shape == 2:
        domain = interval(int(rng.integers(10, 25)) * scale, 0, rng.uniform(4, 12))
        space = nf.finite_elements(domain, order, robin=robin and {"right": robin})
    else:
        domain = square(int(rng.integers(4, 6)) * scale, rng.uniform(3, 7))
        space = nf.finite_elements(domain, order, robin=robin and {"wall": robin})
    potential = rng.uniform(-2.5, 0.3) + 0.3 * rng.normal(size=len(space.elements))
    if kind == "complex":
        potential = potential - 1j * rng.uniform(0, 0.3, len(space.elements))
    weights = rng.uniform(0.2, 2, 2)
    if space.is_graph:
        pumps = [nf.site_pump(int(rng.integers(space.ndof)), w) for w in weights]
    else:
        middle = space.points.mean(axis=0)
        places = middle * rng.uniform(0.5, 1.5, (2, len(middle)))
        pumps = [nf.gaussian_pump(p, 1, w) for p, w in zip(places, weights, strict=True)]
    response = (
        nf.Density(rng.choice([1.0, 1.0, -1.0]))
        if rng.random() < 0.6
        else nf.Saturation(rng.uniform(0.5, 3))
    )
    return nf.GPE(space, potential, pumps, response, 10 ** rng.uniform(-1.5, -0.3))


def solved(rng: np.random.Generator, **options: Any) -> tuple[nf.GPE, nf.Steady]:
    """A random system of which a steady state is found."""
    while True:
        system = random_system(rng, **options)
        steady = nf.solve_steady(
            system, np.ones((1, system.ninputs)), on_failure="flag", max_iterations=6
        )
        if steady.converged.all():
            return system, steady


def agrees_with_dense(system: nf.GPE, steady: nf.Steady, exact: bool = True) -> str:
    """Assert that no tier says what the dense eigenvalues deny; what is said."""
    rates = dense_rates(system, steady)
    top = rates.real.max()
    bounds = pointwise_bounds(system.linearise(steady.state))
    assert top <= bounds.growth[0] + 1e-9
    growing = rates[rates.real > 1e-9]
    assert (np.abs(growing.imag) <= bounds.frequency[0] + 1e-9).all()
    found = nf.stability(system, steady)
    said = str(found.stability[0])
    if said == "proved":
        assert top < 0
        assert top <= found.growth[0] + 1e-9
    elif said == "stable":
        assert top < 0
    elif said == "unstable":
        assert top > 0
    if said == "unstable" or (said == "stable" and exact):
        assert found.growth[0] == pytest.approx(top, abs=1e-6)
        u, v = found.mode[..., 0]
        size = sum(np.vdot(part, system.space.mass @ part).real for part in (u, v))
        assert size == pytest.approx(1)
        here = Fluctuations.of_sample(system.linearise(steady.state), 0)
        moved, _ = here.rates(u[:, None], v[:, None])
        rate = found.growth[0] + 1j * found.frequency[0]
        left = moved[:, 0] - rate * (system.space.mass @ u)
        assert system.space.residual_norm(left[:, None])[0] < 1e-2
    return said


def agreement(count: int, seed: int, **options: Any) -> dict[str, int]:
    """How often each answer is given in random systems."""
    rng = np.random.default_rng(seed)
    exact = options.pop("exact", True)
    said = [agrees_with_dense(*solved(rng, **options), exact) for _ in range(count)]
    return {word: said.count(word) for word in set(said)}


# -- random systems ---------------------------------------------------------------------------


def test_the_tiers_agree_with_dense_eigenvalues() -> None:
    said = agreement(24, 0)
    assert min(said[word] for word in ("proved", "stable", "unstable")) >= 2
    assert "unknown" not in said


def test_the_window_agrees_with_dense_eigenvalues(windowed: None) -> None:
    said = agreement(20, 1)
    assert min(said[word] for word in ("proved", "stable", "unstable")) >= 2
    assert said.get("unknown", 0) <= 1


@pytest.mark.parametrize("kind", ["complex", "robin"])
def test_loss_that_is_not_uniform_is_no_reason_to_be_wrong(windowed: None, kind: str) -> None:
    said = agreement(8, 2, kind=kind, exact=False)
    assert said["unstable"] + said["stable"] >= 4


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("uniform", 250), ("complex", 60), ("robin", 60)])
def test_500_random_systems(monkeypatch: pytest.MonkeyPatch, kind: str, count: int) -> None:
    for seed, limit in ((3, 250), (4, 0)):
        monkeypatch.setattr(certificate, "DIRECT", limit)
        said = agreement(count, seed, kind=kind, exact=kind == "uniform" or limit > 0)
        assert said.get("unknown", 0) <= (0 if limit else 0.04 * count)


@pytest.mark.slow
def test_larger_random_systems(windowed: None) -> None:
    assert agreement(40, 5, small=False).get("unknown", 0) <= 2


# -- known cases --------------------------------------------------------------------------------


def test_the_reference_case_is_unstable() -> None:
    system, steady = reference()
    assert abs(steady.state[4, 0]) ** 2 == pytest.approx(0.1648, abs=1e-4)
    found = nf.stability(system, steady)
    assert found.stability[0] == "unstable"
    assert found.growth[0] / system.loss == pytest.approx(0.11, abs=0.005)
    assert "18 eigenvalues" in found.reason[0]
    assert repr(found).splitlines()[:2] == ["Stability: 1 unstable", "  growth: up to 0.011"]


@pytest.mark.parametrize("potential", [-1.0, -1.5])
def test_the_mode_grows_as_it_is_said_to(potential: float, request: Any) -> None:
    """A Hopf point is behind both: the device oscillates away from the state."""
    system, steady = reference(potential)
    found = nf.stability(system, steady)
    assert found.frequency[0] > 0.1
    u, v = found.mode[..., 0]
    rate, small = found.growth[0] + 1j * found.frequency[0], 1e-5
    time = 2 * np.pi / found.frequency[0]
    start = steady.state + small * (u + v.conj())[:, None]
    end = nf.evolve(system, ONE, time, initial=start, tolerance=1e-11).state - steady.state
    expected = small * (u * np.exp(rate * time) + (v * np.exp(rate * time)).conj())
    np.testing.assert_allclose(end[:, 0], expected, atol=2e-3 * np.abs(expected).max())


def bogoliubov(energy: np.ndarray, density: float, potential: float, loss: float) -> float:
    """Largest growth over the kinetic energies, EVIDENCE of Carusotto and Ciuti (2004)."""
    square_ = (energy + potential + 2 * density) ** 2 - density**2
    return float(np.sqrt(np.maximum(-square_, 0)).max() - loss)


@pytest.mark.parametrize(("potential", "unstable"), [(-0.5, False), (-1.6, True), (-2.3, True)])
@pytest.mark.parametrize("domain", ["chain", "interval", "square"])
@pytest.mark.parametrize("limit", [0, 250])
def test_homogeneous_states_follow_bogoliubov(
    monkeypatch: pytest.MonkeyPatch, domain: str, potential: float, unstable: bool, limit: int
) -> None:
    """d = n exactly, g = 1: omega = -i gamma + sqrt((e_k + V + 2n)^2 - n^2), k along the domain."""
    monkeypatch.setattr(certificate, "DIRECT", limit)
    loss, density, length = 0.1, 0.7, 7.0
    j = np.arange(12)
    if domain == "chain":
        space, energy = nf.graph(nf.lattice(12), dirichlet=[]), 1 - np.cos(np.pi * j / 12)
    else:
        mesh = interval(40, 0, length) if domain == "interval" else square(8, length)
        space = nf.finite_elements(mesh, order=2, dirichlet=[])
        energy = 0.5 * (np.pi * j / length) ** 2
        if domain == "square":
            energy = np.add.outer(energy, energy).ravel()
    weight = 1j * (potential + density - 1j * loss) * np.sqrt(density)  # i P = -(V + n - i g) Psi
    system = nf.GPE(space, potential, [uniform_pump(weight)], nf.Density(1.0), loss)
    state = np.full((space.ndof, 1), np.sqrt(density), complex)
    steady = nf.solve_steady(system, ONE, initial=state)
    np.testing.assert_allclose(steady.state, state, atol=1e-8)
    found = nf.stability(system, steady)
    exact = bogoliubov(energy, density, potential, loss)
    assert (exact > 0) == unstable
    assert (found.stability[0] == "unstable") == unstable
    accuracy = {"chain": 1e-8, "interval": 2e-6, "square": 2e-3}[domain]
    assert found.growth[0] == pytest.approx(exact, abs=accuracy)


def test_a_repulsive_wave_below_the_lowest_mode_is_proved_at_any_density() -> None:
    space = nf.finite_elements(square(6, 6.0), order=2)
    system = nf.GPE(space, 0.1, [nf.gaussian_pump([3, 3], 1, 20.0)], nf.Density(1.0), 0.01)
    steady = nf.solve_steady(system, ONE)
    found = nf.stability(system, steady)
    assert found.bound[0] > 100 * system.loss  # the pointwise bound says nothing
    assert found.stability[0] == "proved"
    assert found.growth[0] == -0.01
    assert "definite" in found.reason[0]


def test_weak_waves_are_proved_by_the_coefficients_alone() -> None:
    system, _ = reference()
    weak = replace(system, pumps=replace(system.pumps, parameter=replace(
        system.pumps.parameter, values=np.array([0.05]))))  # fmt: skip
    steady = nf.solve_steady(weak, np.array([[1.0], [0.5], [0.0]]))
    found = nf.stability(weak, steady, tier="pointwise")
    assert (found.stability == "proved").all()
    density = np.abs(steady.state) ** 2
    np.testing.assert_allclose(found.growth, density.max(axis=0) - 0.1)
    np.testing.assert_array_equal(found.bound, found.growth)
    assert not found.mode.any()


def test_definite_forms_are_those_with_positive_eigenvalues() -> None:
    rng = np.random.default_rng(7)
    seen = set()
    for _ in range(30):
        system = random_system(rng)
        phase = rng.uniform(0, 1, (system.space.ndof, 1))  # any state will do
        state = rng.uniform(0.2, 1) * np.exp(1j * phase)
        here = Fluctuations.of_sample(system.linearise(state), 0)
        form = system.linearise(state).real_matrices()[0]
        lowest = np.linalg.eigvalsh((form + form.T) / 2)[0]
        said = definite.is_definite(here, state[:, 0])
        assert said == (lowest > 0)
        vacuum = system.linear_part.vacuum_factorisation
        assert not (definite.is_indefinite(here, state[:, 0], vacuum) and lowest > 0)
        seen.add(said)
    assert seen == {True, False}


# -- other equations and boundaries -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "limit"), [("chain", 250), ("long chain", 0), ("interval", 0), ("square", 0)]
)
@pytest.mark.parametrize("loss", [(0.1, 0.1), (0.05, 0.2)])
def test_waves_of_two_components(
    monkeypatch: pytest.MonkeyPatch, name: str, limit: int, loss: tuple[float, float]
) -> None:
    monkeypatch.setattr(certificate, "DIRECT", limit)
    uniform = loss[0] == loss[1]
    turn = 0.2 + 0.1j
    back = np.conj(turn) if uniform else 0.15 - 0.05j
    said: list[str] = []
    for g, cross in ((0.3, -0.1), (-1.0, 3.0)):
        system, _ = placed(name, loss=loss, turn=turn, turn_back=back, g=g, cross=cross)
        steady = nf.solve_steady(system, 2 * INPUTS, on_failure="flag", max_iterations=8)
        found = nf.stability(system, steady)
        for k in np.flatnonzero(steady.converged):
            top = dense_rates(system, steady, k).real.max()
            assert top <= found.bound[k] + 1e-9
            if found.stability[k] == "proved":
                assert top <= found.growth[k] + 1e-9
            elif found.stability[k] != "unknown":
                assert (found.stability[k] == "unstable") == (top > 0)
                if uniform or top > 0:
                    assert found.growth[k] == pytest.approx(top, abs=1e-6)
        said += list(found.stability)
    assert said.count("unknown") <= 2


def test_a_wave_without_loss_is_neither_stable_nor_unstable() -> None:
    system = nf.GPE(nf.graph(nf.lattice(9)), 0.5, [nf.site_pump(2, 0.3)], nf.Density(1.0), 0.0)
    found = nf.stability(system, nf.solve_steady(system, ONE))
    assert found.stability[0] == "unknown"
    assert abs(found.growth[0]) < 1e-9


def test_linear_waves_are_judged_once_for_all_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    space = nf.graph(nf.lattice(9))
    system = nf.GPE(space, 0.2, [nf.site_pump(2, 1.0)], None, 0.1)
    found = nf.stability(system, nf.solve_steady(system, np.array([[1.0], [2.0]])))
    assert list(found.stability) == ["proved"] * 2
    np.testing.assert_allclose(found.growth, -0.1)
    # loss at one site alone: every mode that is seen from there decays
    background = np.zeros(9, complex)
    background[2] = -0.2j
    system = nf.GPE(space, 0.2, [nf.site_pump(2, 1.0)], None, 0.0, background)
    steady = nf.solve_steady(system, np.array([[1.0], [2.0]]))
    found = nf.stability(system, steady)
    assert list(found.stability) == ["stable"] * 2
    np.testing.assert_allclose(found.growth, dense_rates(system, steady).real.max(), atol=1e-10)


def test_gain_is_seen() -> None:
    space = nf.graph(nf.lattice(9))
    background = np.zeros(9, complex)
    background[4] = 0.5j
    system = nf.GPE(space, 0.0, [nf.site_pump(2, 0.1)], None, 0.02, background)
    found = nf.stability(system, nf.solve_steady(system, ONE))
    assert found.stability[0] == "unstable"
    domain = interval(20, 0, 5)
    gaining = nf.finite_elements(domain, order=1, robin={"right": 0.5j})
    system = nf.GPE(gaining, 0.0, [uniform_pump(0.1)], None, 0.001)
    steady = nf.solve_steady(system, ONE)
    found = nf.stability(system, steady)
    assert found.bound[0] == np.inf
    assert found.stability[0] == "unstable"
    assert found.growth[0] == pytest.approx(dense_rates(system, steady).real.max(), abs=1e-9)


def test_an_open_window_is_unknown(windowed: None) -> None:
    """No loss but that of an open end: nothing bounds the window, so nothing is claimed."""
    space = nf.finite_elements(interval(30, 0, 6), order=1, robin={"right": -0.5j})
    system = nf.GPE(space, -1.0, [uniform_pump(1.0)], nf.Density(1.0), 0.0)
    steady = nf.solve_steady(system, ONE, on_failure="flag")
    found = nf.stability(system, replace(steady, converged=np.array([True])))
    assert found.stability[0] == "unknown"
    assert "not bounded" in found.reason[0]


def test_attraction_at_a_wall_and_negative_couplings_lower_the_floor() -> None:
    attractive = nf.finite_elements(interval(40, 0, 5), order=2, robin={"right": -1.5})
    lowest = np.linalg.eigvals(
        np.linalg.solve(attractive.mass.toarray(), attractive.kinetic.toarray().real)
    ).real.min()
    assert lowest < -1
    assert 2 * lowest - 0.1 < kinetic_floor(attractive) <= lowest
    coupling = np.array([1.0, -0.5, -1.0, 1.0])
    frustrated = nf.graph(nf.lattice(5), coupling=coupling)
    lowest = np.linalg.eigvalsh(frustrated.kinetic.toarray().real)[0]
    assert lowest < 0
    assert 2 * lowest - 0.1 < kinetic_floor(frustrated) <= lowest
    assert kinetic_floor(nf.graph(nf.lattice(5))) == 0
    repulsive = nf.finite_elements(interval(40, 0, 5), order=2, robin={"right": 1.5 - 0.2j})
    assert kinetic_floor(repulsive) == 0


# -- large systems ----------------------------------------------------------------------------


@cache
def billiard() -> tuple[nf.GPE, nf.Steady]:
    space = nf.finite_elements(square(18, 9.0), order=2)
    background = -1.2 + 0.3 * np.cos(space.points).prod(axis=1)
    fixed = nf.potential(space, 0.0, trainable=False)
    pump = nf.gaussian_pump([4.0, 5.0], 1.5, 0.4, trainable=False)
    system = nf.GPE(space, fixed, [pump], nf.Density(1.0), 0.02, background)
    return system, nf.solve_steady(system, ONE)


def test_splines_and_the_space_itself_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    system, steady = billiard()
    assert certificate.DIRECT < system.space.ndof < eigenvalues._COARSE
    fine = nf.stability(system, steady)
    monkeypatch.setattr(eigenvalues, "_COARSE", 0)
    seen: list[int] = []

    def counted(*arguments: Any) -> Any:
        functions = splines.spline_functions(*arguments)
        seen.append(functions.shape[1])
        return functions

    monkeypatch.setattr(eigenvalues, "spline_functions", counted)
    coarse = nf.stability(system, steady)
    assert 0 < seen[0] < 0.35 * system.space.ndof
    assert list(fine.stability) == list(coarse.stability)
    np.testing.assert_allclose(fine.growth, coarse.growth, atol=1e-8)
    np.testing.assert_allclose(fine.frequency, coarse.frequency, atol=1e-7)
    assert fine.growth[0] > -0.0199  # the mode has been found, not the rate of the rest


def test_too_many_modes_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    system, steady = billiard()
    monkeypatch.setattr(trial, "MOST_MODES", 5)
    found = nf.stability(system, steady)
    assert found.stability[0] == "unknown"
    assert np.isnan(found.growth[0])
    assert "too many modes" in found.reason[0]


def test_modes_that_are_not_resolved_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    system, steady = billiard()
    polish = eigenvalues.polish

    def unresolved(*arguments: Any) -> Any:
        found = polish(*arguments)
        return replace(found, converged=np.zeros_like(found.converged))

    monkeypatch.setattr(eigenvalues, "polish", unresolved)
    assert nf.stability(system, steady).stability[0] == "unknown"


def test_splines_hold_smooth_functions_that_vanish_at_the_walls() -> None:
    space = nf.finite_elements(square(24, 6.0), order=2)
    functions = splines.spline_functions(space, 1.0, 1000)
    assert functions is not None
    x, y = space.nodes[space.dof < space.ndof].T
    wanted = np.sin(np.pi * x / 6) * np.sin(np.pi * y / 3)
    left = np.linalg.lstsq(functions.toarray(), wanted, rcond=None)[0]
    assert np.abs(functions @ left - wanted).max() < 3e-4
    assert splines.spline_functions(space, 1.0, 50) is None


# -- what is refused and what is not claimed --------------------------------------------------


def test_samples_without_a_state_are_unknown() -> None:
    system, steady = reference()
    both = nf.Steady(
        np.hstack([steady.state] * 2), np.array([False, True]), np.zeros(2), np.zeros(2, int),
        ("not", "yes"),
    )  # fmt: skip
    found = nf.stability(system, both)
    assert list(found.stability) == ["unknown", "unstable"]
    assert np.isnan(found.growth[0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s, at: nf.stability(s, at, tier="guess"), "choose one of 'pointwise'"),
        (lambda s, at: nf.stability(s, replace(at, state=at.state[:5])), "9 unknowns"),
        (lambda s, at: nf.stability(object(), at), "object is no wave"),
    ],
)
def test_bad_calls_end_in_words(call: Callable[..., Any], words: str) -> None:
    system, steady = reference()
    with pytest.raises(nf.InputError, match=words):
        call(system, steady)


def test_tiers_are_tried_up_to_the_one_asked_for() -> None:
    system, steady = reference()
    for tier in ("pointwise", "definite"):
        found = nf.stability(system, steady, tier=tier)
        assert found.stability[0] == "unknown"
        assert found.bound[0] == pytest.approx(0.5066, abs=1e-4)


def test_pivots_have_the_signs_of_eigenvalues() -> None:
    rng = np.random.default_rng(3)
    space = nf.finite_elements(square(5, 4.0), order=2)
    matrix = space.kinetic.real + space.assemble(rng.uniform(-6, 1, len(space.w)))
    negative = np.count_nonzero(np.linalg.eigvalsh(matrix.toarray()) < 0)
    assert negative > 2
    factors = Factorisation(matrix, pivoting=False)
    assert factors.negative_pivots() == negative
    right = rng.normal(size=(space.ndof, 2)) + 1j * rng.normal(size=(space.ndof, 2))
    np.testing.assert_allclose(matrix @ factors.solve(right), right, atol=1e-9)
    np.testing.assert_allclose(matrix @ factors.solve(right[:, 0]), right[:, 0], atol=1e-9)


# -- runs -------------------------------------------------------------------------------------


def unstable_study(folder: Path, **changes: Any) -> Path:
    """The reference case as a study: its second input is too weak to be unstable."""
    base = CHAIN | {
        "name": "real",
        "domain": {"lattice": [9]},
        "physics": {"nonlinearity": "density", "g": 1.0, "loss": 0.1},
        "potential": {"initial": -1.0},
        "pump": [{"site": 2, "weight": 0.6}],
        "readout": {"sites": [4]},
        "task": {"inputs": [[1.0], [0.05]], "targets": [[0.2], [0.0]]},
        "training": {"epochs": 3, "rate": 1e-9, "compare_every": 2, "rule": "reciprocal"},
    }
    return write_study(folder, base, **changes)


def test_solved_runs_end_with_a_certificate(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = invoke("solve", str(unstable_study(tmp_path)), "--out", str(run))
    assert done.exit_code == 0, done.output
    assert "steady states: 1 unstable, 1 proved" in done.output
    assert "warning: 1 of 2 steady states are unstable (samples 0; " in done.output
    summary = json.loads((run / "summary.json").read_text())
    assert summary["stability"] == ["unstable", "proved"]
    study = build(load_study(run / "study.toml"))
    steady = nf.solve_steady(study.system, study.task.inputs, **study.solver)
    assert summary["growth"][0] == pytest.approx(dense_rates(study.system, steady).real.max())
    assert summary["growth"][0] == pytest.approx(0.011, abs=5e-4)
    assert summary["growth"][1] < 0
    assert summary["unstable"] == 0.5
    mode = meshio.read(run / "fields.vtu").point_data
    u, v = (mode[f"mode_{part}_re_0"] + 1j * mode[f"mode_{part}_im_0"] for part in "uv")
    np.testing.assert_allclose(mode["mode_0"], np.abs(u) ** 2 + np.abs(v) ** 2)
    assert mode["mode_0"].sum() == pytest.approx(1)
    (drawn,) = [field for field in summary["fields"] if field["picture"] == "mode"]
    assert drawn["title"] == "fastest growing fluctuation"


def test_training_says_which_states_are_unstable(tmp_path: Path) -> None:
    """Each epoch what the coefficients prove; eigenvalues where gradients are compared."""
    run = tmp_path / "run"
    done = invoke("train", str(unstable_study(tmp_path)), "--out", str(run))
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader((run / "history.csv").open(newline="")))
    assert [float(row["unstable"]) for row in rows] == [0.0, 0.5, 0.5]
    assert json.loads((run / "summary.json").read_text())["unstable"] == 0.5
    assert "are unstable" in done.output


def test_an_epoch_looks_closely_at_few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    system, _ = reference()
    asked: list[int] = []
    certified = nf.GPE.certify

    def counted(self: nf.GPE, steady: nf.Steady, most: int | None = None) -> nf.Stability:
        asked.append(-1 if most is None else most)
        return certified(self, steady, most)

    monkeypatch.setattr(nf.GPE, "certify", counted)
    monkeypatch.setattr(record, "MOST_CERTIFIED", 3)
    inputs = np.linspace(0.01, 0.06, 8)[:, None]
    cost = nf.MSE(nf.readout(system.space, sites=[4]))
    nf.train(system, cost, nf.Task(inputs, 0 * inputs), optimizer=nf.SGD(1e-9), epochs=1, batch=2)
    assert asked == [3, 1]


def test_of_many_samples_the_first_are_looked_at_closely() -> None:
    system, _ = reference()
    steady = nf.solve_steady(system, np.array([[1.0], [0.05], [1.0]]))
    found = nf.stability(system, steady, most=2)
    assert list(found.stability) == ["unstable", "proved", "unknown"]
    np.testing.assert_array_equal(found.unstable, [1, 0, np.nan])


def test_states_are_judged_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    system, _ = reference()
    steady = nf.solve_steady(system, np.array([[1.0], [0.05], [1.0], [0.9], [0.02], [1.1]]))
    whole = nf.stability(system, steady, most=5)
    linearised: list[int] = []
    linearise = nf.GPE.linearise

    def counted(self: nf.GPE, state: np.ndarray) -> Any:
        linearised.append(state.shape[1])
        return linearise(self, state)

    monkeypatch.setattr(certificate, "_TOGETHER", 4)
    monkeypatch.setattr(nf.GPE, "linearise", counted)
    parts = nf.stability(system, steady, most=5)
    assert max(linearised) == 4
    assert whole.stability[5] == "unknown"
    assert parts.reason == whole.reason
    assert list(parts.stability) == list(whole.stability)
    for name in ("growth", "frequency", "bound", "mode"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_a_linear_wave_is_judged_once_however_many_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    space = nf.graph(nf.lattice(3, 3))
    loss = np.full(9, 0.2)
    loss[4] = -0.05  # gain, less than the others lose: only eigenvalues tell
    system = nf.GPE(space, 0.5 - 1j * (loss - 0.1), [nf.site_pump(0)], None, 0.1)
    steady = nf.solve_steady(system, np.linspace(0.1, 1, 10)[:, None])
    monkeypatch.setattr(certificate, "_TOGETHER", 4)
    found = nf.stability(system, steady, most=2)
    assert set(found.stability) == {"stable"}
    assert len(set(found.growth)) == 1


def test_the_quick_bound_is_the_bound() -> None:
    rng = np.random.default_rng(8)
    for kind in ("uniform", "complex", "robin"):
        system = random_system(rng, kind)
        linear = system.linearise(rng.normal(size=(system.space.ndof, 3)) + 0.5j)
        np.testing.assert_allclose(growth_bound(linear), pointwise_bounds(linear).growth)
    system, _ = placed("interval")
    linear = system.linearise(rng.normal(size=(system.space.ndof, 2)) + 0j)
    np.testing.assert_allclose(growth_bound(linear), pointwise_bounds(linear).growth)
