"""Elastic networks: equilibria, gradients against finite differences, studies."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import needs_opengl
from numpy.typing import ArrayLike
from PIL import Image

import nepfield as nf
from nepfield.fields.coordinates import Coordinates
from nepfield.fields.distances import Distances, distances, positions
from nepfield.learning.nudge import Nudge
from nepfield.mesh.vertices import edge_lengths
from nepfield.study.run.jobs import train_study
from nepfield.study.systems.systems import load_study
from nepfield.systems.elastic import FLOOR
from nepfield.view.animation import animate, read_frames
from nepfield.view.panels import find_panels
from nepfield.view.render import interactive, render_run
from nepfield.view.runs import read_run
from nepfield.view.shapes import find_marks, find_shape
from studies.common import STUDIES

TIGHT = {"tolerance": 1e-13}
PATCH = nf.delaunay_patch(9, 618)
CLAMPED, FIXED = [0, 3], [5]
INPUTS = np.array([[0.0, 0.0, 0.0, 0.0], [0.1, -0.05, 0.0, 0.02], [-0.05, 0.1, 0.03, -0.06]])


def network(seed: int = 0, **changed: Any) -> nf.ElasticNetwork:
    """A patch of nine masses under tension and pressure."""
    random = np.random.default_rng(seed)
    lengths = edge_lengths(PATCH) * random.uniform(0.9, 1.1, len(PATCH.cells))
    stiffness = random.uniform(0.5, 2.0, len(PATCH.cells))
    given: dict[str, Any] = {"clamped": CLAMPED, "fixed": FIXED, **changed}
    return nf.ElasticNetwork(PATCH, stiffness, lengths, **given)


def readouts() -> dict[str, Coordinates | Distances]:
    return {
        "positions": positions(PATCH, vertices=[1, 7]),
        "distances": distances(PATCH, pairs=[(1, 7), (2, 0)]),  # vertex 0 is clamped
        "strains": distances(PATCH, pairs=[(1, 7), (2, 8)], strain=True),
    }


def targets(readout: Coordinates | Distances) -> np.ndarray:
    return 0.3 * np.random.default_rng(5).normal(size=(len(INPUTS), readout.noutputs))


def graph(points: ArrayLike, edges: ArrayLike, **sets: list[int]) -> nf.Domain:
    """A graph with named sets of vertices."""
    named = {name: np.array(chosen) for name, chosen in sets.items()}
    return nf.Domain(np.array(points, dtype=float), np.array(edges), "graph", named, source="graph")


# -- energy and equilibrium -----------------------------------------------------------------


def test_force_and_hessian_are_derivatives_of_the_energy() -> None:
    system, random = network(), np.random.default_rng(1)
    places = PATCH.points.reshape(-1, 1) + 0.1 * random.normal(size=(18, 4))
    way = random.normal(size=(18, 4))
    errors = []
    for step in (1e-4, 5e-5):
        ahead, behind = places + step * way, places - step * way
        slope = (system.energy(ahead) - system.energy(behind)) / (2 * step)
        turn = (system.force(ahead) - system.force(behind)) / (2 * step)
        errors.append([
            np.abs(np.sum(system.force(places) * way, axis=0) - slope).max(),
            np.abs(np.einsum("kij,jk->ik", system.hessian(places), way) - turn).max(),
        ])  # fmt: skip
    assert max(errors[1]) < 1e-5
    assert np.log2(np.divide(*errors)) == pytest.approx([2, 2], abs=0.05)


def test_a_motion_of_the_whole_network_costs_nothing() -> None:
    system, random = network(), np.random.default_rng(2)
    places = PATCH.points + 0.1 * random.normal(size=PATCH.points.shape)
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    there = places @ turn.T + [3.0, -2.0]
    first, second = (points.reshape(-1, 1) for points in (places, there))
    assert system.energy(second) == pytest.approx(system.energy(first), rel=1e-12)
    force = system.force(first).reshape(-1, 2)
    assert np.abs(force.sum(axis=0)).max() < 1e-13
    assert abs(np.sum(places[:, 0] * force[:, 1] - places[:, 1] * force[:, 0])) < 1e-13
    assert system.force(second).reshape(-1, 2) == pytest.approx(force @ turn.T, abs=1e-12)


def test_a_network_at_rest_has_the_three_motions_of_the_plane_and_no_other() -> None:
    rest = nf.ElasticNetwork(PATCH, 1.0, "mesh")
    curvatures = np.linalg.eigvalsh(rest.hessian(PATCH.points.reshape(-1, 1))[0])
    assert np.abs(curvatures[:3]).max() < 1e-12
    assert curvatures[3] > 1e-3
    steady = nf.solve_steady(rest, np.zeros((1, 0)))
    assert "free direction" in steady.reason[0]


def test_held_masses_that_move_alike_take_the_network_with_them() -> None:
    moved_alike = nf.ElasticNetwork(PATCH, 1.3, 0.9 * edge_lengths(PATCH), clamped=[0, 3, 5])
    steps = np.array([[0.0] * 6, [0.2, -0.1] * 3])
    state = nf.solve_steady(moved_alike, steps, **TIGHT).state.reshape(-1, 2, 2)
    assert state[:, :, 1] - state[:, :, 0] == pytest.approx(np.tile([0.2, -0.1], (9, 1)), abs=1e-9)


def test_two_springs_share_a_stretch() -> None:
    """Springs in a line, k_1 e_1 = k_2 e_2; the middle mass and its energy in closed form."""
    line = graph([[0, 0], [1, 0], [2, 0]], [[0, 1], [1, 2]])
    system = nf.ElasticNetwork(line, [1.0, 3.0], [0.8, 0.9], clamped=[2], fixed=[0])
    inputs = np.array([[0.5, 0.0], [0.3, 0.4]])
    steady = nf.solve_steady(system, inputs, **TIGHT)
    ends = np.array([[2.5, 0.0], [2.3, 0.4]])
    span = np.linalg.norm(ends, axis=1)
    stretch = span - 1.7
    share = (0.8 + 0.75 * stretch) / span  # the softer spring takes three quarters
    middle = steady.state.reshape(3, 2, 2)[1].T
    assert middle == pytest.approx(share[:, None] * ends, abs=1e-10)
    energy = 0.5 * 0.75 * stretch**2  # in series k_1 k_2 / (k_1 + k_2)
    assert system.figures(steady, inputs)["energy"] == pytest.approx(energy, rel=1e-10)
    # across it: tension / length on both sides
    tension = 0.75 * stretch
    lengths = np.array([0.8 + tension, 0.9 + tension / 3])
    lowest = (tension / lengths).sum(axis=0)
    assert steady.extra["lowest_curvature"] == pytest.approx(lowest, rel=1e-8)
    observed = system.observables(steady.state, inputs, steady.state)
    extension = np.array([tension, tension / 3])
    assert observed["stiffness"] == pytest.approx(0.5 * extension**2, abs=1e-10)
    assert observed["rest_length"] == pytest.approx(np.array([-tension, -tension]), abs=1e-10)


def test_a_spring_that_is_pressed_buckles() -> None:
    """Between walls too near, the middle mass leaves the line: its straight state is a saddle."""
    line = graph([[0, 0], [1, 0], [2, 0]], [[0, 1], [1, 2]])
    system = nf.ElasticNetwork(line, 1.0, 1.0, clamped=[2], fixed=[0])
    steady = nf.solve_steady(system, np.array([[-0.4, 0.0]]), **TIGHT)
    assert steady.state[2:4, 0] == pytest.approx([0.8, np.sign(steady.state[3, 0]) * 0.6])
    assert system.energy(steady.state)[0] < 1e-20


def test_springs_without_length_and_without_rest_length() -> None:
    line = graph([[0, 0], [1, 0], [2, 0]], [[0, 1], [1, 2]])
    system = nf.ElasticNetwork(line, [1.0, 3.0], 0.0, clamped=[2], fixed=[0])
    steady = nf.solve_steady(system, np.array([[0.0, 0.0], [-2.0, 0.0]]), **TIGHT)
    assert steady.state[2] == pytest.approx([1.5, 0.0], abs=1e-12)  # linear, though a length is 0
    assert np.isfinite(system.hessian(steady.state)).all()
    onto = nf.ElasticNetwork(line, 1.0, 0.5, clamped=[2], fixed=[0])
    apart = nf.solve_steady(onto, np.array([[-1.0, 0.0]]), **TIGHT)  # put upon the middle mass
    assert apart.converged.all()
    assert onto.energy(apart.state)[0] < 1e-12


def test_starts_and_what_is_held() -> None:
    system = network()
    cold = nf.solve_steady(system, INPUTS, **TIGHT)
    places = cold.state.reshape(-1, 2, 3)
    moved_by = places[CLAMPED] - PATCH.points[CLAMPED, :, None]
    assert np.abs(moved_by.reshape(4, 3).T - INPUTS).max() < 1e-15
    assert np.array_equal(places[FIXED], np.repeat(PATCH.points[FIXED, :, None], 3, axis=2))
    start = cold.state.copy()
    start[:, 1] = np.nan
    warm = system.equilibrate(INPUTS, initial=start, **TIGHT)
    assert warm.state == pytest.approx(cold.state, abs=1e-10)
    assert warm.iterations[0] == 0
    assert warm.iterations[1] == cold.iterations[1]
    alone = nf.solve_steady(system, INPUTS[1:2], **TIGHT)  # a sample does not know of the others
    assert alone.state[:, 0] == pytest.approx(cold.state[:, 1], abs=1e-13)


# -- readouts -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", readouts())
def test_readouts_carry_slopes_and_curvatures_back(name: str) -> None:
    readout, random = readouts()[name], np.random.default_rng(3)
    state = PATCH.points.reshape(-1, 1) + 0.1 * random.normal(size=(18, 3))
    push = Nudge(nf.MSE(readout), targets(readout).T, state, readout.signals(state), "full", 0.7)
    way, step = random.normal(size=state.shape), 1e-5
    ahead, behind = state + step * way, state - step * way
    slope = (push.energy(ahead) - push.energy(behind)) / (2 * step)
    assert np.sum(push.force(state) * way, axis=0) == pytest.approx(slope, rel=1e-6, abs=1e-8)
    turn = (push.force(ahead) - push.force(behind)) / (2 * step)
    stiffness = push.stiffness(state)
    assert np.einsum("kij,jk->ik", stiffness, way) == pytest.approx(turn, abs=1e-6)
    rows = np.array([2, 14, 15, 9])
    assert np.array_equal(push.stiffness(state, rows), stiffness[:, rows[:, None], rows])
    assert push.rows is not None
    others = np.setdiff1d(np.arange(18), push.rows)
    assert not push.force(state)[others].any()


def test_what_readouts_read() -> None:
    state = np.arange(18.0)[:, None] ** 1.5
    x, y = state[2::12, 0], state[3::12, 0]
    assert np.array_equal(readouts()["positions"].outputs(state)[0], [x[0], y[0], x[1], y[1]])
    apart = np.hypot(x[1] - x[0], y[1] - y[0])
    assert readouts()["distances"].outputs(state)[0, 0] == pytest.approx(apart)
    was = np.linalg.norm(PATCH.points[1] - PATCH.points[7])
    assert readouts()["strains"].outputs(state)[0, 0] == pytest.approx(apart / was - 1)
    assert readouts()["strains"].outputs(PATCH.points.reshape(-1, 1)) == pytest.approx(0, abs=1e-15)


# -- gradients ------------------------------------------------------------------------------


def cost_of(system: nf.ElasticNetwork, cost: nf.MSE) -> float:
    return nf.evaluate(system, cost, INPUTS, targets(cost.readout), **TIGHT).cost


@pytest.mark.parametrize("name", readouts())
def test_the_exact_gradient_is_that_of_finite_differences(name: str) -> None:
    """Of every stiffness and every rest length; springs between held masses have none."""
    system, cost, step = network(), nf.MSE(readouts()[name]), 3e-5
    found = nf.gradient(system, cost, INPUTS, targets(cost.readout), "adjoint", **TIGHT).params
    held = np.isin(PATCH.cells, [*CLAMPED, *FIXED]).all(axis=1)
    for parameter, values in found.items():
        expected = np.zeros(len(values))
        for k in range(len(values)):
            change = step * (np.arange(len(values)) == k)
            start = system.parameters[parameter].values
            costs = [
                cost_of(system.with_parameters({parameter: start + c}), cost)
                for c in (change, -change)
            ]
            expected[k] = (costs[0] - costs[1]) / (2 * step)
        assert np.abs(values - expected).max() < 1e-6 * np.abs(expected).max()
        assert not values[held].any()


@pytest.mark.parametrize("name", readouts())
@pytest.mark.parametrize(("rule", "order"), [("ep", 1), ("ep-symmetric", 2)])
def test_rules_approach_the_exact_gradient_with_their_order_in_beta(
    name: str, rule: str, order: int
) -> None:
    system, cost = network(), nf.MSE(readouts()[name])
    given = (system, cost, INPUTS, targets(cost.readout))
    exact = nf.gradient(*given, "adjoint", **TIGHT).params
    errors = []
    for beta in (0.002, 0.001):
        found = nf.gradient(*given, rule, beta, **TIGHT).params
        errors.append(max(np.abs(found[p] - exact[p]).max() for p in exact))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_a_nudge_is_a_spring_to_the_target() -> None:
    """Eq. (37): of stiffness beta (a cost without 1/2 would have 2 beta), and no rest length."""
    readout, beta = positions(PATCH, vertices=[7]), 0.3
    goal = np.array([[0.4, 0.6]])
    system = network(clamped=[0, 3, 5], fixed=[])
    free = nf.solve_steady(system, np.zeros((1, 6)), **TIGHT).state
    push = Nudge(nf.MSE(readout), goal.T, free, readout.signals(free), "full", beta)
    nudged = nf.solve_steady(system, np.zeros((1, 6)), nudge=push, **TIGHT).state
    with_goal = graph([*PATCH.points, goal[0]], [*PATCH.cells, [7, 9]])
    k = [*system.stiffness.values, beta]
    pulled = nf.ElasticNetwork(
        with_goal, k, [*system.rest_length.values, 0.0], clamped=[0, 3, 5], fixed=[9]
    )
    state = nf.solve_steady(pulled, np.zeros((1, 6)), **TIGHT).state
    assert state[:18] == pytest.approx(nudged, abs=1e-10)
    assert np.abs(nudged - free).max() > 1e-3


def test_no_gradient_where_a_motion_is_free() -> None:
    square = graph([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1], [1, 2], [2, 3], [3, 0]])
    system = nf.ElasticNetwork(square, 1.0, "mesh", fixed=[0, 1])
    cost = nf.MSE(positions(square, vertices=[2]))
    found = nf.gradient(
        system, cost, np.zeros((1, 0)), np.ones((1, 2)), "adjoint", on_failure="flag"
    )
    assert not found.used.any()
    figures = system.figures(found.steady, np.zeros((1, 0)))
    assert "a diagonal" in system.advice([], {k: float(v[0]) for k, v in figures.items()})[0]
    assert not network().advice([], {"lowest_curvature": 0.1})


# -- parameters and failing paths -----------------------------------------------------------


def test_springs_stay_above_their_floor() -> None:
    system = network()
    below = np.full(len(PATCH.cells), -1.0)
    pushed = system.with_parameters({"stiffness": below, "rest_length": below})
    assert (pushed.stiffness.values == FLOOR).all()
    assert (pushed.rest_length.values == 0).all()
    bounded = nf.Parameter(np.ones(len(PATCH.cells)), "edge", (0.2, 3.0))
    system = network()
    chosen = nf.ElasticNetwork(PATCH, bounded, clamped=CLAMPED, fixed=FIXED)
    assert (chosen.with_parameters({"stiffness": below}).stiffness.values == 0.2).all()
    assert (chosen.with_parameters({"stiffness": -9 * below}).stiffness.values == 3.0).all()
    held = np.isin(PATCH.cells, [*CLAMPED, *FIXED]).all(axis=1)
    assert np.array_equal(np.asarray(system.stiffness.trainable), ~held)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"clamped": [0, 9]}, r"clamped = \[0, 9\]: .* from 0 to 8, none twice"),
        ({"clamped": [0, 0]}, "none twice"),
        ({"clamped": [0.5]}, "whole numbers"),
        ({"fixed": [3]}, "vertex 3 is clamped and fixed"),
        ({"stiffness": -1.0}, "stiffness: -1, but springs have none below 0"),
        ({"stiffness": np.nan}, "stiffness: give a finite number"),
        ({"rest_length": [1.0, 2.0]}, r"one for each of the \d+ edges; the shape is \(2,\)"),
        ({"domain": nf.read_domain("meshes/disc.msh")}, "no graph in the plane"),
        ({"domain": nf.random_geometric_graph(8, 2.0, dim=3)}, "no graph in the plane"),
        ({"domain": nf.lattice(5)}, "no graph in the plane"),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"domain": PATCH, "clamped": CLAMPED, "fixed": FIXED, **changed}
    with pytest.raises(nf.InputError, match=message):
        nf.ElasticNetwork(**given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: distances(PATCH, pairs=[(1, 1)]), "vertex 1 is read twice"),
        (lambda: distances(PATCH, pairs=[(1, 2, 3)]), "no pair"),
        (lambda: distances(PATCH, pairs=[(1, 12)]), "from 0 to 8"),
        (lambda: distances(PATCH), "at least one"),
        (lambda: distances(PATCH, ["output"]), "no region called 'output'"),
        (lambda: distances(nf.read_domain("meshes/disc.msh"), pairs=[(1, 2)]), "no graph"),
        (lambda: positions(nf.lattice(5), vertices=[1]), "no graph in the plane"),
    ],
)
def test_readouts_that_do_not_fit_are_refused(make: Any, message: str) -> None:
    with pytest.raises(nf.InputError, match=message):
        make()
    with pytest.raises(nf.InputError, match="rule 'flow': elastic networks have ep"):
        network().respond("flow", np.zeros((18, 1)), None, INPUTS)


# -- studies --------------------------------------------------------------------------------

STUDY = """
name = "patch"
seed = 1

[domain]
graph = "delaunay"
vertices = 9
graph_seed = 618
[domain.sets]
input = [0, 3]
ground = [5]
output = [1]
pair = [1, 7]

[physics]
system = "elastic"
clamp = "input"
fixed = "ground"

[stiffness]
initial = { uniform = [0.5, 2.0] }
bounds = [0.05, 5.0]
rate = 0.5

[readout]
strains = ["pair"]

[task]
inputs = [[0, 0, 0, 0], [0.1, -0.05, 0, 0.02]]
targets = [[0.0], [0.1]]

[training]
rule = "ep-symmetric"
rate = 0.02
epochs = 12
compare_every = 6

[figures]
enabled = false
frames = 3
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "patch.toml"
    path.write_text(STUDY)
    return path


def test_a_study_is_trained(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = train_study(load_study(study), out)
    rows = np.genfromtxt(out / "history.csv", delimiter=",", names=True)
    assert summary["cost"] < 0.5 * rows["cost"][0]
    assert (np.diff(rows["cost"]) < 0).all()
    assert summary["gradient_cosine"] > 0.999999
    assert summary["energy"] > 0
    assert summary["lowest_curvature"] > 1e-3
    kept = np.load(out / "checkpoint.npz")
    assert len(kept.files) > 2


def test_what_a_run_shows(study: Path, tmp_path: Path) -> None:
    """Panels stand where the masses went, and so do the marks."""
    out = tmp_path / "run"
    train_study(load_study(study, ["training.epochs=1"]), out)
    files = read_run(out)
    shape = find_shape(files)
    pictures = find_panels(files, shape)
    assert list(pictures) == ["deformation", "strain", "rest_length"]
    assert [panel.title for panel in pictures["strain"]] == [
        "inputs (0, 0, 0, 0)", "inputs (0.1, -0.05, 0, 0.02)",
    ]  # fmt: skip
    second = pictures["deformation"][1]
    assert second.faces is None
    assert second.edges is not None
    assert second.moved is not None
    middles = [s.places.reshape(9, -1, 2).mean(axis=1) for s in (shape, second.moved)]
    assert middles[0] == pytest.approx(PATCH.points, abs=1e-6)
    moves = middles[1] - middles[0]
    assert moves[[0, 3, 5]] == pytest.approx(np.array([[0.1, -0.05], [0, 0.02], [0, 0]]), abs=1e-6)
    assert shape.reach >= np.linalg.norm(moves, axis=1).max() - 1e-6
    ends = middles[1][PATCH.cells]
    assert second.moved.edges == pytest.approx(ends, abs=1e-6)
    marks = find_marks(files, shape)
    assert [mark.kind for mark in marks] == ["clamped", "fixed", "readout"]
    rims = [np.concatenate(mark.on(second.moved).lines).mean(axis=0) for mark in marks[:2]]
    assert rims[1] == pytest.approx(PATCH.points[5], abs=1e-3)
    assert rims[0] == pytest.approx(middles[1][[0, 3]].mean(axis=0), abs=1e-3)
    assert marks[0].on(None) is marks[0]
    strain = pictures["strain"][0].edges
    assert strain is not None
    described = {entry["arrays"][0]: entry for entry in json.loads(
        (out / "summary.json").read_text())["fields"]}  # fmt: skip
    assert described["displacement_0"]["part"] == "displacement"
    assert read_run(out, "frames/epoch-000000.vtu").films == tuple(pictures)


def test_a_mesh_can_be_drawn_displaced_too(tmp_path: Path) -> None:
    """The part "displacement" is no matter of elastic networks."""
    from nepfield.study.run import folder

    disc = nf.read_domain("meshes/disc.msh")
    space = nf.finite_elements(disc)
    vectors = 0.1 * np.column_stack([-space.nodes[:, 1], space.nodes[:, 0]])
    field = nf.Field("turn", vectors, "node", "turn", part="displacement")
    out = tmp_path / "run"
    out.mkdir()
    said = folder.write_fields(out / "fields.vtu", space, [field])
    folder.write_summary(out / "summary.json", {"name": "turn", **said})
    (out / "study.toml").write_text('name = "turn"\n')
    files = read_run(out)
    shape = find_shape(files)
    (panel,) = find_panels(files, shape)["turn"]
    assert panel.moved is not None
    assert panel.faces is not None
    assert panel.moved.places[: len(vectors)] == pytest.approx(
        shape.places[: len(vectors)] + vectors, abs=1e-5
    )
    assert panel.faces.values.max() == pytest.approx(np.linalg.norm(vectors, axis=1).max(), 1e-5)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("physics.clamp='inlet'", "no region called 'inlet'"),
        ("physics.fixed='pair2'", "no region called 'pair2'"),
        ("physics.fixed='input'", "vertex 0 is clamped and fixed"),
        ("stiffness.bounds=[0.0, 5.0]", "need a stiffness above 0"),
        ("stiffness.bounds=[1.0, 5.0]", "leaves the bounds"),
        ("rest_length.bounds=[0.4, 0.5]", "outside the bounds"),
        ("rest_length.initial='meshes'", '"mesh" for the lengths in the domain'),
        ("readout.strains=['input', 'output']", "1 vertices; a distance is that of two"),
        ("readout.strains=['input']", "every mass that is read is held"),
        ("readout.distances=['pair']", "distances"),
        ("training.rule='nep'", 'must be "ep", "ep-symmetric" or "adjoint"'),
        ("training.cost='cce'", 'must be "mse"'),
        ("task.inputs=[[0, 0], [1, 1]]", "the x and y of 2 clamped vertices"),
        ("domain.graph='complete'", "graph_seed"),
    ],
)
def test_studies_that_are_wrong_are_refused(
    study: Path, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(nf.InputError) as caught:
        train_study(load_study(study, [override]), tmp_path / "run")
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_network_that_can_turn_is_refused(study: Path, tmp_path: Path) -> None:
    alone = ["domain.sets.input=[0]", "task.inputs=[[0, 0], [1, 1]]"]
    text = STUDY.replace('fixed = "ground"\n', "")
    study.write_text(text)
    with pytest.raises(nf.InputError, match="can turn as a whole"):
        train_study(load_study(study, alone), tmp_path / "run")


def test_readouts_of_studies(study: Path) -> None:
    from nepfield.study.run.build import build

    read = build(load_study(study)).cost.readout
    assert isinstance(read, Distances)
    assert read.reference is not None
    text = STUDY.replace('strains = ["pair"]', 'sets = ["output"]')
    study.write_text(text.replace("[[0.0], [0.1]]", "[[0.0, 0.1], [0.1, 0.3]]"))
    built = build(load_study(study))
    assert isinstance(built.cost.readout, Coordinates)
    assert built.cost.readout.rows.tolist() == [2, 3]
    assert np.array_equal(built.system.rest_length.values, edge_lengths(PATCH))
    study.write_text(STUDY.replace("strains", "distances"))
    plain = build(load_study(study)).cost.readout
    assert isinstance(plain, Distances)
    assert plain.reference is None
    assert replace(plain, reference=read.reference).label == "strain of a pair"


def test_springs_are_taken_over_from_a_run(study: Path, tmp_path: Path) -> None:
    from nepfield.study.run.build import build

    train_study(load_study(study), tmp_path / "run")
    again = load_study(study, ["stiffness.initial='run'", "rest_length.initial='run'"])
    state = np.load(tmp_path / "run" / "checkpoint.npz")
    system = build(again).system
    found = [state[key] for key in state.files if state[key].shape == system.stiffness.values.shape]
    for parameter in system.parameters.values():
        assert any(np.array_equal(parameter.values, values) for values in found)


def test_a_run_that_is_killed_ends_as_one_that_was_not(study: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train_study(load_study(study), whole)
    command = [
        sys.executable, "-m", "nepfield.cli", "train", str(study), "--out", str(killed), "--quiet"
    ]  # fmt: skip
    process = subprocess.Popen(command)
    history = killed / "history.csv"
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if history.exists() and len(history.read_text().splitlines()) > 3:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    process.wait()
    subprocess.run([*command, "--resume"], check=True)
    for name in ("history.csv", "fields.vtu", "frames.pvd"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
    first, second = (np.load(run / "checkpoint.npz") for run in (whole, killed))
    for key in first.files:
        assert np.array_equal(first[key], second[key])


@needs_opengl
def test_films_pictures_and_windows_of_what_moves(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_study(load_study(study, ["training.epochs=4", "figures.frames=3"]), out)
    names = [path.stem for path in render_run(out, tmp_path / "figures")]
    assert names == ["deformation", "strain", "rest_length"]
    film = Image.open(animate(out, tmp_path / "film.gif"))
    assert film.n_frames == len(read_frames(out))
    first = np.asarray(film.convert("RGB"), dtype=int)
    film.seek(film.n_frames - 1)
    last = np.asarray(film.convert("RGB"), dtype=int)
    assert first.shape == last.shape
    assert np.mean(np.abs(first - last) > 30) > 1e-3  # not the title and the cost alone
    window = interactive(out, off_screen=True)
    try:
        files = read_run(out)
        shape = find_shape(files)
        here = find_panels(files, shape)["deformation"][0].moved
        assert here is not None
        drawn = np.asarray(window.actors["field"].mapper.dataset.points)
        assert drawn == pytest.approx(np.asarray(here.surface.points), abs=1e-6)
    finally:
        window.close()


# -- what the READMEs of the studies say ----------------------------------------------------


def table_of(name: str) -> pd.DataFrame:
    return pd.read_csv(STUDIES / name / "results.csv")


def test_the_table_of_allostery() -> None:
    """Each of 4 patches with 5 seeds: a fall by 1e8 with rest lengths, by 1e2 without."""
    table = table_of("elastic-allostery")
    ratio = table["train_end"] / table["train_start"]
    assert ratio.to_numpy() == pytest.approx(table["train_ratio"].to_numpy(), rel=1e-3)
    for trained, limit in (("stiffnesses and rest lengths", 1e-8), ("stiffnesses alone", 1e-2)):
        part = table[table["trained"] == trained]
        assert len(part) == 20
        assert part["patch"].nunique() == 4
        assert part["train_ratio"].max() < limit
    assert table.loc[table["trained"] == "stiffnesses alone", "strain_at_rest"].abs().max() < 1e-9
    assert table["cosine"].min() > 0.999


def test_the_table_of_teachers() -> None:
    table = table_of("elastic-teacher")
    both = table[table["trained"] == "stiffnesses and rest lengths"]
    assert both["teacher"].nunique() == 5
    assert both["train_ratio"].max() < 0.1
    assert both["test_ratio"].max() < 0.2


def test_the_data_of_teachers_are_what_their_script_makes() -> None:
    spec = importlib.util.spec_from_file_location("data", STUDIES / "elastic-teacher" / "data.py")
    assert spec is not None
    assert spec.loader is not None
    data = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(data)
    domain = data.braced_lattice()
    kept = nf.read_domain(STUDIES / "elastic-teacher" / "lattice.vtu")
    assert np.array_equal(domain.points, kept.points)
    assert np.array_equal(domain.cells, kept.cells)
    assert {k: v.tolist() for k, v in domain.regions.items()} == {
        k: v.tolist() for k, v in kept.regions.items()
    }
    task = nf.load_task(STUDIES / "elastic-teacher" / "teacher-0.npz")
    state = nf.solve_steady(data.teacher(domain, 0), task.inputs, tolerance=1e-12).state
    outputs = positions(domain, ["output"]).outputs(state)
    assert outputs == pytest.approx(task.targets, abs=1e-9)
