"""Quantum oscillators: exact Gaussians, wave functions on meshes, their gradients and studies."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import observed_rates
from test_cli import invoke, write_study

import nepfield as nf
from nepfield.errors import InputError
from nepfield.study.run.build import build
from nepfield.study.run.jobs import train_study
from nepfield.study.systems.systems import load_study
from nepfield.systems.configuration_space import reach
from nepfield.systems.quantum_oscillator_field import EDGE

RULES = ("ep", "ep-symmetric", "adjoint")


def network(
    free: int = 4, inputs: int = 2, hbar: float = 1.0, seed: int = 0, **options: Any
) -> nf.QuantumOscillators:
    """All-to-all springs, particles of several masses; the clamped ones come first."""
    random = np.random.default_rng(seed)
    n = free + inputs
    springs = random.uniform(0.2, 1.0, n * (n - 1) // 2)
    given: dict[str, Any] = {"mass": random.uniform(0.5, 2.0, n), "pin": 0.2} | options
    return nf.QuantumOscillators(
        nf.complete_graph(n), springs, list(range(inputs)), hbar=hbar, **given
    )


def problem(system: nf.QuantumOscillators, count: int = 5) -> tuple[nf.MSE, np.ndarray, np.ndarray]:
    """y = 0.6 x1 + 0.2 x2, read at the last particle."""
    inputs = np.random.default_rng(1).uniform(-1, 1, (count, system.ninputs))
    targets = inputs @ np.linspace(0.6, 0.2, system.ninputs)[:, None]
    last = len(system.domain.points) - 1
    return nf.MSE(nf.mean_positions(system.domain, vertices=[last])), inputs, targets


def by_differences(
    system: Any, cost: nf.MSE, inputs: np.ndarray, targets: np.ndarray, step: float = 1e-5
) -> np.ndarray:
    """Derivatives of the reported cost by each spring, central differences."""
    springs = system.parameters["stiffness"].values

    def value(change: np.ndarray) -> float:
        moved = system.with_parameters({"stiffness": springs + change})
        return nf.evaluate(moved, cost, inputs, targets).cost

    unit = step * np.eye(len(springs))
    return np.array([(value(e) - value(-e)) / (2 * step) for e in unit])


# -- the Gaussian ---------------------------------------------------------------------


def test_one_particle_is_a_textbook_oscillator() -> None:
    mass, pin, k, hbar, x = 2.0, 0.3, 0.7, 0.8, 1.5
    chain = nf.lattice(2)
    system = nf.QuantumOscillators(chain, k, [0], mass=mass, pin=pin, hbar=hbar)
    steady = nf.solve_steady(system, np.array([[x], [-x]]))
    omega = np.sqrt((k + pin) / mass)
    mean, variance = k * x / (k + pin), hbar / (2 * mass * omega)
    state = steady.state
    assert state[:2, 0] == pytest.approx([x, mean], rel=1e-14)
    assert state[:2, 1] == pytest.approx([-x, -mean], rel=1e-14)
    assert np.abs(state[2:].T - [0, 0, 0, variance]).max() < 1e-14
    energy = 0.5 * hbar * omega + 0.5 * k * (x - mean) ** 2 + 0.5 * pin * mean**2
    figures = system.figures(steady, np.array([[x], [-x]]))
    assert figures["energy"] == pytest.approx([energy] * 2, rel=1e-13)
    assert figures["zero_point"] == pytest.approx([0.5 * hbar * omega] * 2, rel=1e-13)
    stretch = 0.5 * ((x - mean) ** 2 + variance)
    observed = system.observables(state, np.array([[x], [-x]]), state)["stiffness"]
    assert observed == pytest.approx(np.full((1, 2), stretch), rel=1e-13)


def test_two_equal_particles_have_a_common_and_a_relative_mode() -> None:
    pin, k = 0.4, 1.1
    system = nf.QuantumOscillators(nf.lattice(2), k, pin=pin)
    state = system.equilibrate(np.zeros((1, 0))).state[:, 0]
    common, relative = 1 / (2 * np.sqrt(pin)), 1 / (2 * np.sqrt(pin + 2 * k))
    own, shared = (common + relative) / 2, (common - relative) / 2
    assert state == pytest.approx([0, 0, own, shared, shared, own], abs=1e-14)


def test_the_energy_is_where_virial_and_springs_say() -> None:
    system = network()
    inputs = problem(system)[1]
    steady = system.equilibrate(inputs)
    _, covariance = system.moments(steady.state)
    free = system.free
    springs = system.springs[np.ix_(free, free)]
    # kinetic and potential zero-point energy are equal
    twice = np.einsum("ij,jis->s", springs, covariance[np.ix_(free, free)])
    assert steady.extra["zero_point"] == pytest.approx(twice, rel=1e-12)
    # Hellmann and Feynman: dE/dk is the observable
    k, step = system.stiffness.values, 1e-5
    for edge in (1, 7, 14):
        unit = step * np.eye(len(k))[edge]
        up, down = (
            system.with_parameters({"stiffness": k + s * unit}).equilibrate(inputs).extra["energy"]
            for s in (1, -1)
        )
        observed = system.observables(steady.state, inputs, steady.state)["stiffness"][edge]
        assert (up - down) / (2 * step) == pytest.approx(observed, rel=1e-7)


def test_without_hbar_it_is_the_elastic_equilibrium() -> None:
    system, still = network(), network(hbar=0.0)
    cost, inputs, targets = problem(system)
    matrix, free = system.springs, system.free
    linear = -np.linalg.solve(
        matrix[np.ix_(free, free)], matrix[np.ix_(free, system.clamped)] @ inputs.T
    )
    for one in (system, still):  # the means of a harmonic network do not know hbar
        assert one.equilibrate(inputs).state[free] == pytest.approx(linear, rel=1e-12)
    assert not still.equilibrate(inputs).state[len(matrix) :].any()
    means = nf.gradient(still, cost, inputs, targets, "adjoint")
    error = linear[-1] - targets[:, 0]
    assert means.cost == pytest.approx(0.5 * np.mean(error**2), rel=1e-12)
    # what hbar adds to cost and gradient is proportional to it and goes to 0 with it
    parts = []
    for hbar in (0.1, 0.01):
        found = nf.gradient(network(hbar=hbar), cost, inputs, targets, "adjoint")
        extra = found.params["stiffness"] - means.params["stiffness"]
        parts.append(np.append(extra, found.cost - means.cost) / hbar)
    assert parts[0] == pytest.approx(parts[1], rel=1e-9)
    assert np.abs(parts[0]).max() > 0.1


def test_the_mean_of_the_cost_is_not_the_cost_of_the_mean() -> None:
    system = network()
    cost, inputs, targets = problem(system)
    state = system.equilibrate(inputs).state
    readout, last, n = cost.readout, 5, 6
    assert readout.outputs(state)[:, 0] == pytest.approx(state[last], rel=1e-14)
    variance = state[n + last * (n + 1)]
    mean = 0.5 * (state[last] - targets[:, 0]) ** 2 + 0.5 * variance  # <(r - y)^2> / 2
    assert cost.value(readout.signals(state), targets.T) == pytest.approx(mean, rel=1e-13)
    slope = readout.pull_back(state, cost.slope(readout.signals(state), targets.T))
    assert slope[last] == pytest.approx(state[last] - targets[:, 0], rel=1e-12)
    assert slope[n + last * (n + 1)] == pytest.approx(0.5, rel=1e-12)
    assert np.count_nonzero(slope.any(axis=1)) == 2
    still = np.zeros_like(state)
    assert not readout.pull_back(still, cost.slope(readout.signals(still), targets.T))[n:].any()


@pytest.mark.parametrize("hbar", [0.0, 1.0])
def test_gradients_are_those_of_the_reported_cost(hbar: float) -> None:
    system = network(hbar=hbar)
    cost, inputs, targets = problem(system)
    differences = by_differences(system, cost, inputs, targets)
    size = np.abs(differences).max()
    exact = nf.gradient(system, cost, inputs, targets, "adjoint").params["stiffness"]
    assert np.abs(exact - differences).max() < 1e-8 * size
    physical = nf.gradient(system, cost, inputs, targets, "ep-symmetric", 1e-3)
    assert np.abs(physical.params["stiffness"] - differences).max() < 1e-6 * size
    assert exact[0] == 0  # between the clamped particles
    assert not system.stiffness.trainable[0]


def test_errors_in_beta_have_the_orders_of_the_rules() -> None:
    system = network()
    cost, inputs, targets = problem(system)
    exact = nf.gradient(system, cost, inputs, targets, "adjoint").params["stiffness"]
    betas = [0.08, 0.04, 0.02]
    for rule, order in (("ep", 1), ("ep-symmetric", 2)):
        errors = [
            np.abs(nf.gradient(system, cost, inputs, targets, rule, b).params["stiffness"] - exact)
            for b in betas
        ]
        rates = observed_rates(betas, [float(e.max()) for e in errors])
        assert rates == pytest.approx([order] * 2, abs=0.15)


def test_a_nudge_narrows_the_output_and_a_linearised_one_does_not() -> None:
    system = network()
    cost, inputs, targets = problem(system)
    free = system.equilibrate(inputs)
    signals = cost.readout.signals(free.state)
    last = 6 + 5 * 7
    for kind, narrower in (("full", True), ("linearised", False)):
        push = nf.Nudge(cost, targets.T, free.state, signals, kind, beta=0.5)
        nudged = nf.solve_steady(system, inputs, nudge=push)
        if narrower:
            assert np.all(nudged.state[last] < 0.95 * free.state[last])
        else:
            assert nudged.state[last] == pytest.approx(free.state[last], rel=1e-14)
    # the gradient of a linearised nudge is that of the cost of the means, as hbar = 0 has it
    linear = nf.gradient(system, cost, inputs, targets, "adjoint", nudge="linearised")
    still = nf.gradient(network(hbar=0.0), cost, inputs, targets, "adjoint")
    assert linear.params["stiffness"] == pytest.approx(still.params["stiffness"], rel=1e-10)


def test_samples_do_not_depend_on_their_batch() -> None:
    system = network()
    cost, inputs, targets = problem(system)
    whole = nf.gradient(system, cost, inputs, targets, "ep")
    first, rest = (
        nf.gradient(system, cost, inputs[part], targets[part], "ep")
        for part in (slice(2), slice(2, None))
    )
    both = (first + rest).params["stiffness"]
    assert whole.params["stiffness"] == pytest.approx(both, rel=1e-9, abs=1e-12)


# -- what fails -----------------------------------------------------------------------


def test_a_nudge_that_is_stronger_than_the_springs_is_told() -> None:
    system = network()
    cost, inputs, targets = problem(system)
    with pytest.raises(nf.NotConverged, match="nudged states"):
        nf.gradient(system, cost, inputs, targets, "ep-symmetric", beta=50.0)
    free = system.equilibrate(inputs)
    push = nf.Nudge(cost, targets.T, free.state, cost.readout.signals(free.state), beta=-50.0)
    with pytest.raises(nf.NotConverged, match="lower beta"):
        nf.solve_steady(system, inputs, nudge=push)
    loose = nf.QuantumOscillators(nf.lattice(3), [0.0, 1.0], [0], pin=0.0)
    with pytest.raises(nf.NotConverged, match="Pin the particles"):
        nf.solve_steady(loose, np.zeros((1, 1)))


def test_a_cost_that_is_not_quadratic_is_told() -> None:
    system = network()
    _, inputs, _ = problem(system)
    cost = nf.CCE(nf.mean_positions(system.domain, vertices=[4, 5]))
    targets = np.tile([1.0, 0.0], (len(inputs), 1))
    for rule in ("ep", "adjoint"):
        with pytest.raises(nf.NotConverged):
            nf.gradient(system, cost, inputs, targets, rule)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mass": 0.0}, "mass = 0.0: give a number > 0"),
        ({"mass": [1.0, 2.0]}, "one for each of the 6 vertices"),
        ({"pin": -1.0}, "pin = -1.0: give a number >= 0"),
        ({"hbar": -1.0}, "hbar = -1.0"),
        ({"hbar": np.nan}, "hbar = nan"),
        ({"stiffness": [1.0, 2.0]}, "one for each of the 15 edges"),
        ({"stiffness": np.inf}, "give a finite number"),
        ({"clamped": [0, 7]}, "whole numbers from 0 to 5"),
        ({"clamped": range(6)}, "leave at least one particle free"),
        ({"domain": nf.box_mesh([(0, 1)], 5)}, "is a mesh"),
    ],
)
def test_wrong_particles_are_refused(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"domain": nf.complete_graph(6), "stiffness": 1.0, "clamped": [0, 1]}
    with pytest.raises(InputError, match=message):
        nf.QuantumOscillators(**given | change)


def test_springs_stay_above_their_floor() -> None:
    springs = nf.Parameter(np.full(15, 0.5), "edge", bounds=(0.01, 2.0))
    system = nf.QuantumOscillators(nf.complete_graph(6), springs, [0, 1])
    moved = system.with_parameters({"stiffness": np.linspace(-1, 3, 15)})
    assert (moved.stiffness.values.min(), moved.stiffness.values.max()) == (0.01, 2.0)


# -- the field on a mesh --------------------------------------------------------------


def test_boxes_are_meshes_as_files_have_them() -> None:
    line, square = nf.box_mesh([(-1, 2)], 6), nf.box_mesh([(-1, 2), (0, 1)], 4)
    for domain in (line, square):
        report = nf.describe(domain)
        assert report.unnamed_facets == 0
        space = nf.finite_elements(domain)
        assert space.w.sum() == pytest.approx(3.0)
        outer, wall = (
            {tuple(sorted(facet)) for facet in facets.tolist()}
            for facets in (domain.outer_facets(), domain.boundary("wall"))
        )
        assert outer == wall
    for sides, cells in (([(1, 0)], 3), ([(0, 1)], 0), ([(0, 1)] * 3, 3), ([(0, np.inf)], 3)):
        with pytest.raises(InputError, match="give"):
            nf.box_mesh(sides, cells)


@pytest.fixture(scope="module")
def alone() -> tuple[nf.QuantumOscillatorField, nf.MSE, np.ndarray, np.ndarray]:
    """One free particle between two inputs, on an interval."""
    system = network(free=1, hbar=0.7)
    field = nf.QuantumOscillatorField(system, nf.configuration_space(system, (-4.5, 4.5), 96))
    return field, *problem(system, 3)


def test_one_particle_on_an_interval_is_the_gaussian(alone: Any) -> None:
    field, cost, inputs, targets = alone
    gaussian = field.network.equilibrate(inputs)
    steady = nf.solve_steady(field, inputs)
    assert steady.extra["energy"] == pytest.approx(gaussian.extra["energy"], abs=1e-6)
    assert np.all(steady.extra["energy"] > gaussian.extra["energy"])  # variational
    assert steady.state[:12] == pytest.approx(gaussian.state, abs=1e-6)
    psi, r = field.space.evaluate(steady.state[12:]), field.space.points
    mean, variance = gaussian.state[2], gaussian.state[11]
    exact = np.exp(-((r - mean) ** 2) / (4 * variance)) / (2 * np.pi * variance) ** 0.25
    assert np.abs(psi - exact).max() < 1e-4
    for rule in RULES:
        pair = [nf.gradient(s, cost, inputs, targets, rule, 1e-3) for s in (field, field.network)]
        mesh, known = (g.params["stiffness"] for g in pair)
        assert np.abs(mesh - known).max() < 1e-5 * np.abs(known).max()
        assert pair[0].cost == pytest.approx(pair[1].cost, abs=1e-6)


def test_the_exact_gradient_on_a_mesh_is_that_of_the_mesh() -> None:
    """Of the discrete problem, so also where its cells are too large."""
    system = network(free=1)
    cost, inputs, targets = problem(system, 3)
    field = nf.QuantumOscillatorField(system, nf.configuration_space(system, (-6, 6), 12))
    differences = by_differences(field, cost, inputs, targets)
    exact = nf.gradient(field, cost, inputs, targets, "adjoint").params["stiffness"]
    assert np.abs(exact - differences).max() < 1e-6 * np.abs(differences).max()
    gaussian = nf.gradient(system, cost, inputs, targets, "adjoint").params["stiffness"]
    assert np.abs(exact - gaussian).max() > 1e-3 * np.abs(differences).max()


def test_two_particles_in_the_plane_are_the_gaussian() -> None:
    random = np.random.default_rng(3)
    system = nf.QuantumOscillators(
        nf.complete_graph(4), random.uniform(0.2, 0.4, 6), [0, 1], mass=[1, 1, 0.8, 1.0]
    )
    cost, inputs, targets = problem(system, 1)
    field = nf.QuantumOscillatorField(system, nf.configuration_space(system, (-4.6, 4.6), 72))
    gaussian, steady = system.equilibrate(inputs), nf.solve_steady(field, inputs)
    assert steady.extra["energy"] == pytest.approx(gaussian.extra["energy"], abs=1e-6)
    assert steady.state[:20] == pytest.approx(gaussian.state, abs=1e-5)
    mesh, known = (
        nf.gradient(s, cost, inputs, targets, "adjoint", steady=found).params["stiffness"]
        for s, found in ((field, steady), (system, gaussian))
    )
    assert np.abs(mesh - known).max() < 1e-4 * np.abs(known).max()


def test_energies_on_the_mesh_converge_with_the_fourth_power() -> None:
    system = network(free=2)
    inputs = problem(system, 1)[1]
    exact = system.equilibrate(inputs).extra["energy"]
    cells, errors = [20, 40], []
    for count in cells:
        space = nf.configuration_space(system, (-6, 6), count)
        found = nf.QuantumOscillatorField(system, space).equilibrate(inputs).extra["energy"]
        errors.append(float((found - exact)[0]))
    assert np.all(observed_rates([1 / c for c in cells], errors) > 3.7)


def test_a_mesh_that_is_too_small_is_told() -> None:
    system = network(free=1)
    inputs = problem(system, 2)[1]
    small = nf.QuantumOscillatorField(system, nf.configuration_space(system, (-2, 2), 20))
    with pytest.raises(nf.NotConverged, match="leans on the walls"):
        nf.solve_steady(small, inputs)
    side = reach(system, inputs)
    wide = nf.QuantumOscillatorField(system, nf.configuration_space(system, (-side, side), 40))
    steady = nf.solve_steady(wide, inputs)
    density = wide.space.w[:, None] * wide.space.evaluate(steady.state[12:]) ** 2
    assert density[wide._outermost].sum(axis=0).max() < EDGE * 1e-3
    assert density.sum(axis=0) == pytest.approx(1.0, rel=1e-12)
    few = wide.equilibrate(inputs, max_iterations=1, tolerance=1e-15)
    assert not few.converged.all()


def test_wrong_meshes_are_refused() -> None:
    three = network(free=3)
    with pytest.raises(InputError, match="3 particles are free"):
        nf.configuration_space(three, (-3, 3))
    one, two = network(free=1), network(free=2)
    with pytest.raises(InputError, match="in 2 dimensions"):
        nf.QuantumOscillatorField(two, nf.configuration_space(one, (-3, 3), 4))
    with pytest.raises(InputError, match="set hbar > 0"):
        nf.QuantumOscillatorField(network(1, hbar=0.0), nf.configuration_space(one, (-3, 3), 4))
    with pytest.raises(InputError, match=r"give physics\.box"):
        reach(network(free=1, pin=0.0), np.zeros((1, 2)))


# -- studies --------------------------------------------------------------------------

STUDY: dict[str, Any] = {
    "name": "harmonic",
    "domain": {"graph": "complete", "vertices": 4, "sets": {"input": [0, 1], "output": [3]}},
    "physics": {"system": "quantum-oscillators", "hbar": 0.5},
    "task": {"inputs": [[-1, 1], [1, 0], [0.5, 0.5]], "targets": [[-0.4], [0.6], [0.4]]},
    "training": {"epochs": 4, "rate": 0.1, "compare_every": 2},
    "figures": {"enabled": False},
}


def study(folder: Path, **sections: Any) -> Path:
    """The study, with keys of sections replaced."""
    folder.mkdir(exist_ok=True)
    changed = {key: STUDY[key] | more for key, more in sections.items()}
    return write_study(folder, STUDY | changed)


def test_a_study_trains_and_tells_the_zero_point_part_apart(tmp_path: Path) -> None:
    config = load_study(study(tmp_path))
    summary = train_study(config, tmp_path / "run")
    with (tmp_path / "run" / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    costs = [float(row["cost"]) for row in rows] + [summary["cost"]]
    assert np.all(np.diff(costs) < 0)
    assert float(rows[-1]["gradient_cosine"]) > 0.999999
    assert float(rows[0]["zero_point"]) > 0.1
    assert summary["cost"] == pytest.approx(
        summary["cost_of_means"] + summary["cost_zero_point"], rel=1e-12
    )
    outputs, targets = (np.ravel(summary[key]) for key in ("outputs", "targets"))
    assert summary["cost_of_means"] == pytest.approx(0.5 * np.mean((outputs - targets) ** 2))
    assert summary["cost_zero_point"] > 0.01
    assert any("zero-point" in entry.get("text", "") for entry in summary["report"])
    assert summary["advice"] == []
    assert {field["on"] for field in summary["fields"]} >= {"vertex", "edge"}


def test_the_same_study_on_a_mesh(tmp_path: Path) -> None:
    physics = {"method": "mesh", "cells": 24}
    runs = {}
    for name, more in (("exact", {}), ("mesh", physics)):
        path = study(tmp_path / name, physics=more, training={"epochs": 2})
        runs[name] = train_study(load_study(path), tmp_path / name / "run")
    assert runs["mesh"]["cost"] == pytest.approx(runs["exact"]["cost"], abs=1e-2)
    assert runs["mesh"]["stiffness"] == pytest.approx(runs["exact"]["stiffness"], abs=1e-2)
    assert {field["picture"] for field in runs["mesh"]["fields"]} >= {"density", "potential"}
    assert runs["mesh"]["unknowns"] == 47**2
    lines = "\n".join(load_study(path).lines(build(load_study(path))))
    assert "cells a standard deviation are few" in lines
    assert not [mark for mark in runs["mesh"]["marks"] if mark["kind"] == "readout"]


def test_a_mesh_run_goes_on_where_it_was(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "domain": {"vertices": 3, "sets": {"input": [0, 1], "output": [2]}},
        "physics": {"method": "mesh", "cells": 30},
        "training": {"warm_start": True},
    }
    whole = train_study(load_study(study(tmp_path / "a", **sections)), tmp_path / "a" / "run")
    path = study(tmp_path / "b", **sections)
    train_study(load_study(path, ["training.epochs=2"]), tmp_path / "b" / "run")
    parts = train_study(load_study(path), tmp_path / "b" / "run", resume=True)
    assert np.array_equal(parts["stiffness"], whole["stiffness"])


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("physics", {"cells": 20}, 'cells goes with method = "mesh"'),
        ("physics", {"method": "mesh", "hbar": 0.0}, "needs hbar > 0"),
        ("physics", {"hbar": -1.0}, "physics.hbar"),
        ("physics", {"method": "exact"}, "physics.method"),
        ("training", {"cost": "cce"}, "training.cost"),
        ("domain", {"vertices": 5, "sets": {"input": [0], "output": [3]}}, None),
        ("domain", {"sets": {"input": [0, 1], "output": [1]}}, "vertex 1 is clamped"),
    ],
)
def test_wrong_studies_are_refused(
    tmp_path: Path, section: str, change: dict[str, Any], message: str | None
) -> None:
    if message is None:  # four particles on a mesh
        path = study(tmp_path, domain=change, physics={"method": "mesh"})
        message = "physics: method mesh: 4 particles are free"
    else:
        path = study(tmp_path, **{section: change})
    with pytest.raises(InputError, match=message):
        build(load_study(path))


def test_targets_that_no_springs_reach_are_told(tmp_path: Path) -> None:
    far = {"inputs": [[-1, 1], [0.5, 0.5]], "targets": [[0.3], [0.9]]}
    path = study(tmp_path, task=far)
    summary = train_study(load_study(path), tmp_path / "run")
    assert "1 of 2 samples have targets that no springs reach" in summary["advice"][0]


def test_commands_know_the_system(tmp_path: Path) -> None:
    path = study(tmp_path)
    checked, compared = invoke("check", str(path)), invoke("compare", str(path))
    assert (checked.exit_code, compared.exit_code) == (0, 0)
    assert "quantum-oscillators" in checked.output
    assert "ep-symmetric" in compared.output
