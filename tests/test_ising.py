"""Classical Ising networks against brute force; annealing against enumeration; their studies."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w
from test_cli import invoke

import nepfield as nf
from nepfield.errors import InputError
from nepfield.fields.coordinates import Coordinates
from nepfield.learning.classes import one_hot
from nepfield.learning.nudge import Nudge
from nepfield.mesh.domain import Domain
from nepfield.study.run.build import build
from nepfield.study.run.jobs import train_study
from nepfield.study.systems.systems import load_study
from nepfield.systems import enumeration
from nepfield.systems.spins import Spins
from studies.common import STUDIES

PATTERNS = {
    "complete": nf.complete_graph(7),
    "layered": nf.layered_graph(3, 6, 2),
    "deep": nf.layered_graph(2, 4, 3, 2),
    "sparse": nf.delaunay_patch(9, seed=1),
}


def read(*rows: int) -> Coordinates:
    return Coordinates(np.array(rows), np.arange(len(rows)), np.ones(len(rows)))


def network(domain: Domain, seed: int = 0, clamped: Any = (0, 1), **options: Any) -> nf.Ising:
    random = np.random.default_rng(seed)
    coupling = random.normal(size=len(domain.cells))
    field = random.normal(size=len(domain.points)) / 2
    return nf.Ising(domain, coupling, field, clamped, **options)


def every_state(system: nf.Ising, inputs: np.ndarray) -> np.ndarray:
    """All states of one sample, a column each."""
    free = np.flatnonzero(system.wiring.free)
    spins = np.array(list(itertools.product((1.0, -1.0), repeat=len(free)))).T
    states = np.zeros((len(system.domain.points), spins.shape[1]))
    states[free], states[system.clamped] = spins, inputs[:, None]
    return states


def by_definition(system: nf.Ising, states: np.ndarray) -> np.ndarray:
    """qep (34), term by term."""
    energy = np.zeros(states.shape[1])
    for (j, k), coupling in zip(system.domain.cells, system.coupling.values, strict=True):
        energy -= coupling * states[j] * states[k]
    for k, field in enumerate(system.field.values):
        energy -= field * states[k]
    return energy


def lowest(system: nf.Ising, inputs: np.ndarray, push: Nudge | None = None) -> tuple[Any, Any]:
    """Ground state and gap of each sample by brute force."""
    found, gaps = [], []
    for k, row in enumerate(inputs):
        states = every_state(system, row)
        energy = by_definition(system, states)
        if push is not None:
            signals = push.cost.readout.signals(states)
            energy += push.beta * push.cost.value(signals, push.targets[:, [k]])
        order = np.argsort(energy)
        found.append(states[:, order[0]])
        gaps.append(energy[order[1]] - energy[order[0]])
    return np.array(found).T, np.array(gaps)


def nudge(system: nf.Ising, cost: Any, inputs: np.ndarray, targets: Any, beta: float) -> Nudge:
    free = nf.solve_steady(system, inputs).state
    return Nudge(cost, targets.T, free, cost.readout.signals(free), "full", beta)


# -- ground states --------------------------------------------------------------------


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("ground_state", ["exact", "annealing"])
def test_the_ground_state_is_the_lowest_of_all(name: str, ground_state: str) -> None:
    inputs = np.random.default_rng(1).normal(size=(12, 2))
    for seed in range(4):
        system = network(PATTERNS[name], seed, ground_state=ground_state)
        steady = nf.solve_steady(system, inputs)
        state, gap = lowest(system, inputs)
        np.testing.assert_array_equal(steady.state, state)
        np.testing.assert_allclose(system.energy(state), by_definition(system, state), atol=1e-12)
        if ground_state == "exact":
            np.testing.assert_allclose(steady.extra["gap"], gap, atol=1e-12)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("ground_state", ["exact", "annealing"])
def test_a_nudged_ground_state_is_the_lowest_of_all(name: str, ground_state: str) -> None:
    random = np.random.default_rng(2)
    inputs, targets = random.normal(size=(12, 2)), np.sign(random.normal(size=(12, 2)))
    readout = read(len(PATTERNS[name].points) - 1, len(PATTERNS[name].points) - 3)
    for seed, beta in itertools.product(range(2), (2.0, -2.0)):
        system = network(PATTERNS[name], seed, ground_state=ground_state)
        for cost, wanted in ((nf.MSE(readout), targets), (nf.CCE(readout), np.eye(2)[:1])):
            push = nudge(system, cost, inputs, np.broadcast_to(wanted, (12, 2)), beta)
            steady = nf.solve_steady(system, inputs, nudge=push, initial=push.free)
            state, _ = lowest(system, inputs, push)
            np.testing.assert_array_equal(steady.state, state)
    assert np.any(steady.state != push.free)


def test_what_is_eliminated_does_not_change_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    system = network(PATTERNS["layered"], 3, clamped=(0, 1, 2))
    inputs = np.random.default_rng(4).normal(size=(20, 3))
    push = nudge(system, nf.MSE(read(9, 10)), inputs, np.ones((20, 2)), 1.0)
    few = [nf.solve_steady(system, inputs, nudge=n) for n in (None, push)]
    assert set(few[0].iterations) == {2**2}  # the six hidden spins follow the two outputs
    monkeypatch.setattr(enumeration, "spared", lambda groups, read: np.zeros(0, dtype=np.int64))
    monkeypatch.setattr(enumeration, "_CONFIGURATIONS", 7)
    all_of = [nf.solve_steady(system, inputs, nudge=n) for n in (None, push)]
    assert set(all_of[0].iterations) == {2**8}
    for some, every in zip(few, all_of, strict=True):
        np.testing.assert_array_equal(some.state, every.state)
        np.testing.assert_allclose(some.extra["gap"], every.extra["gap"], atol=1e-12)


def test_a_spin_alone_follows_its_field() -> None:
    chain = nf.layered_graph(1, 1)
    system = nf.Ising(chain, 2.0, [0.0, -0.5], clamped=[0])
    steady = nf.solve_steady(system, np.array([[1.0], [0.2], [0.25 + 1e-6], [-3.0]]))
    np.testing.assert_array_equal(steady.state[1], [1, -1, 1, -1])
    np.testing.assert_allclose(steady.extra["gap"], [3.0, 0.2, 4e-6, 13.0], atol=1e-9)
    np.testing.assert_array_equal(steady.state[0], [1.0, 0.2, 0.25 + 1e-6, -3.0])


def test_equal_energies_are_decided_the_same_way() -> None:
    nothing = nf.Ising(PATTERNS["complete"], 0.0, 0.0, (0, 1))
    assert np.all(nf.solve_steady(nothing, np.ones((3, 2))).state == 1)
    pair = nf.Ising(nf.complete_graph(4), [0.1, 0.2, 0.3, 0.3, 0.2, 0.1], 0.0)
    steady = nf.solve_steady(pair, np.zeros((5, 0)))  # all up and all down are equal
    np.testing.assert_array_equal(steady.state, 1.0)
    np.testing.assert_array_equal(steady.extra["gap"], 0.0)
    # rounding must not decide: an energy of 0.1 + 0.2 - 0.3 is none
    system = nf.Ising(nf.layered_graph(3, 1), [0.1, 0.2, -0.3], 0.0, clamped=[0, 1, 2])
    orders = np.ones((1, 3))
    assert nf.solve_steady(system, orders).state[3] == 1
    assert nf.solve_steady(system, -orders).state[3] == 1


@pytest.mark.parametrize("ground_state", ["exact", "annealing"])
def test_order_and_splitting_of_a_batch_change_nothing(ground_state: str) -> None:
    system = network(PATTERNS["deep"], 5, ground_state=ground_state)
    random = np.random.default_rng(6)
    inputs, targets = random.normal(size=(90, 2)), np.sign(random.normal(size=(90, 2)))
    few: dict[str, Any] = {"sweeps": 2, "reads": 1}  # so that it is missed now and then
    cost, keys = nf.MSE(read(9, 10)), nf.Keys(1, 2, np.arange(90))
    push = nudge(system, cost, inputs, targets, 2.0)

    def solve(chosen: np.ndarray) -> np.ndarray:
        steady = nf.solve_steady(
            system, inputs[chosen], nudge=push.samples(chosen), keys=keys[chosen], **few
        )
        return steady.state

    whole, order = solve(np.arange(90)), random.permutation(90)
    np.testing.assert_array_equal(solve(order), whole[:, order])
    parts = [solve(part) for part in np.split(np.arange(90), [1, 17, 50])]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    other = nf.solve_steady(system, inputs, nudge=push, keys=nf.Keys(2, 2, np.arange(90)), **few)
    assert np.any(other.state != whole) == (ground_state == "annealing")


def test_annealing_without_keys_is_always_the_same_and_better_with_more_reads() -> None:
    system = network(nf.complete_graph(14), 7, clamped=range(4), ground_state="annealing")
    inputs = np.sign(np.random.default_rng(8).normal(size=(60, 4)))
    exact = nf.solve_steady(network(system.domain, 7, clamped=range(4)), inputs)
    once = [nf.solve_steady(system, inputs, sweeps=1, reads=1) for _ in range(2)]
    np.testing.assert_array_equal(once[0].state, once[1].state)
    excess = system.energy(once[0].state) - system.energy(exact.state)
    assert excess.min() > -1e-12
    assert excess.max() > 0.1
    np.testing.assert_array_equal(nf.solve_steady(system, inputs).state, exact.state)
    # a flip of a single spin never leads lower
    local = system.couplings @ once[0].state + system.field.values[:, None]
    assert np.all((once[0].state * local)[4:] >= 0)


def test_spin_updates_are_counted() -> None:
    system = network(PATTERNS["complete"], 1, ground_state="annealing")
    inputs = np.ones((3, 2))
    steady = nf.solve_steady(system, inputs, sweeps=6, reads=4)
    assert np.all(steady.iterations >= 5 * 6 * 4 + 5 * 4)  # each read ends with a sweep at least
    assert np.all(steady.iterations % 5 == 0)
    figures = system.figures(steady, inputs)
    np.testing.assert_array_equal(figures["spin_updates"], steady.iterations)
    assert set(figures) == set(system.figure_labels)
    exact = network(PATTERNS["complete"], 1)
    figures = exact.figures(nf.solve_steady(exact, inputs), inputs)
    assert set(figures) == set(exact.figure_labels) == {"energy", "gap"}


def test_a_nudged_state_is_never_above_the_free_one_it_starts_from() -> None:
    system = network(nf.complete_graph(14), 9, ground_state="annealing")
    inputs = np.random.default_rng(10).normal(size=(40, 2))
    free = nf.solve_steady(system, inputs).state
    cost = nf.MSE(read(12, 13))
    push = Nudge(cost, np.ones((2, 40)), free, free[[12, 13]], "full", 0.5)
    bad: dict[str, Any] = {"sweeps": 1, "reads": 1, "temperatures": (50.0, 50.0)}

    def energy(state: np.ndarray) -> np.ndarray:
        return system.energy(state) + push.energy(state)

    warm = nf.solve_steady(system, inputs, nudge=push, initial=free, **bad).state
    assert np.all(energy(warm) <= energy(free) + 1e-12)
    cold = nf.solve_steady(system, inputs, nudge=push, **bad).state
    assert np.any(energy(cold) > energy(free) + 0.1)
    holes = np.where(np.arange(40) % 2, free, np.nan)
    mixed = system.equilibrate(inputs, push, holes, **bad).state
    np.testing.assert_array_equal(mixed, np.where(np.arange(40) % 2, warm, cold))


def test_annealing_finds_the_enumerated_ground_state_of_16_spins() -> None:
    """At least 99 % of 200 random networks, each spin coupled to every other."""
    found, domain = 0, nf.complete_graph(16)
    for seed in range(200):
        exact = network(domain, seed, clamped=())
        annealed = network(domain, seed, clamped=(), ground_state="annealing")
        states = [nf.solve_steady(s, np.zeros((1, 0))).state for s in (exact, annealed)]
        found += bool(np.isclose(*map(exact.energy, states), rtol=0, atol=1e-9)[0])
    assert found >= 198


# -- learning -------------------------------------------------------------------------


@pytest.mark.parametrize("ground_state", ["exact", "annealing"])
@pytest.mark.parametrize(("rule", "signs"), [("ep", (0, 1)), ("ep-symmetric", (-1, 1))])
def test_the_gradient_is_the_contrast_of_brute_force(
    rule: str, signs: tuple[int, int], ground_state: str
) -> None:
    """qep (35), per sample the difference of -s_j s_k and -s_k between the two ground states."""
    system = network(PATTERNS["complete"], 11, ground_state=ground_state)
    random = np.random.default_rng(12)
    inputs, targets = random.normal(size=(9, 2)), np.sign(random.normal(size=(9, 2)))
    cost, beta = nf.MSE(read(4, 6)), 3.0
    found = nf.gradient(system, cost, inputs, targets, rule, beta)
    states = [
        lowest(system, inputs, nudge(system, cost, inputs, targets, sign * beta) if sign else None)
        for sign in signs
    ]
    (first, _), (second, _) = states
    j, k = system.domain.cells.T
    span = (signs[1] - signs[0]) * beta
    coupling = (first[j] * first[k] - second[j] * second[k]).mean(axis=1) / span
    field = (first - second).mean(axis=1) / span
    np.testing.assert_allclose(found.params["coupling"], coupling, atol=1e-14)
    np.testing.assert_allclose(found.params["field"], field * system.wiring.free, atol=1e-14)
    assert np.abs(coupling).max() > 0
    assert found.params["coupling"][0] == 0  # between the two inputs


def test_a_nudge_below_the_gap_moves_nothing_and_one_above_it_does() -> None:
    chain = nf.layered_graph(1, 1)
    system = nf.Ising(chain, 1.0, 0.0, clamped=[0])
    cost, inputs, targets = nf.MSE(read(1)), np.array([[1.0]]), np.array([[-1.0]])
    gap = nf.solve_steady(system, inputs).extra["gap"][0]
    assert gap == 2.0
    # the cost is 2 with the spin up and 0 with it down: it flips at 2 beta = gap
    below, above = (nf.gradient(system, cost, inputs, targets, "ep", b) for b in (0.99, 1.01))
    assert below.params["coupling"] == 0
    assert above.params["coupling"][0] == pytest.approx((1 + 1) / 1.01)
    assert below.cost == above.cost == 2.0


def test_a_force_of_fixed_amplitude_is_a_field() -> None:
    inputs = np.random.default_rng(13).normal(size=(6, 2))
    force = np.random.default_rng(14).normal(size=(7, 6))
    for ground_state in ("exact", "annealing"):
        system = network(PATTERNS["complete"], 15, ground_state=ground_state)
        pushed = nf.solve_steady(system, inputs, nudge=nf.FieldNudge(force)).state
        for k in range(6):
            moved = system.with_parameters({"field": system.field.values - force[:, k]})
            alone = nf.solve_steady(moved, inputs[[k]]).state
            np.testing.assert_array_equal(pushed[:, [k]], alone)


def test_accuracy_is_told_of_one_hot_targets() -> None:
    cost = nf.MSE(read(0, 1, 2))
    targets = 2.0 * np.eye(3) - 1
    outputs = np.array([[1, -1, -1], [1, 1, -1], [-1, -1, -1]], dtype=float)
    assert cost.metrics(outputs, targets)["accuracy"] == pytest.approx(1 / 3)  # ties: the first
    assert "accuracy" not in cost.metrics(outputs, outputs + 0.1)
    assert one_hot(targets[:1])
    assert not one_hot(np.ones((2, 3)))
    assert not one_hot(np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.5]]))
    assert not one_hot(np.array([[1.0], [-1.0]]))


# -- what is refused ------------------------------------------------------------------


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="live on a graph"):
        nf.Ising(nf.read_domain("meshes/interval.msh"), 0.0)
    with pytest.raises(InputError, match="choose 'exact' or 'annealing'"):
        network(PATTERNS["complete"], ground_state="annealed")
    with pytest.raises(InputError, match="coupling: give a finite number, or one for each of"):
        nf.Ising(PATTERNS["complete"], np.ones(3))
    with pytest.raises(InputError, match="none twice"):
        network(PATTERNS["complete"], clamped=[1, 1])
    with pytest.raises(InputError, match=r"23 spins would have to be enumerated.*'annealing'"):
        network(nf.complete_graph(26))
    nf.Ising(nf.layered_graph(4, 100, 10), 0.1, 0.0, range(4))  # 100 hidden spins are left out
    system = network(PATTERNS["complete"])
    with pytest.raises(InputError, match="vertex 1 is clamped"):
        system.check_read([1])
    push = nudge(system, nf.MSE(read(1)), np.ones((1, 2)), np.ones((1, 1)), 1.0)
    with pytest.raises(InputError, match="spin 1 is clamped"):
        system.equilibrate(np.ones((1, 2)), push)
    with pytest.raises(InputError, match="the hotter one first"):
        nf.solve_steady(system, np.ones((1, 2)), temperatures=(0.1, 2.0))
    with pytest.raises(InputError, match="unknown to Ising; choose one of ep, ep-symmetric"):
        nf.gradient(system, nf.MSE(read(4)), np.ones((1, 2)), np.ones((1, 1)), "adjoint")
    with pytest.raises(InputError, match="no linear response"):
        system.respond("adjoint", np.ones((7, 1)), push, np.ones((1, 2)))
    with pytest.raises(InputError, match="no exact gradient"):
        nf.compare_gradients(system, nf.MSE(read(4)), np.ones((1, 2)), np.ones((1, 1)))


def test_a_descent_that_is_cut_short_is_no_ground_state() -> None:
    system = network(nf.complete_graph(14), 9, ground_state="annealing")
    inputs = np.ones((3, 2))
    few: dict[str, Any] = {"sweeps": 1, "reads": 1, "temperatures": (50.0, 50.0)}
    steady = system.equilibrate(inputs, max_iterations=1, **few)
    assert not steady.converged.any()
    assert "raise max_iterations" in steady.reason[0]
    assert system.equilibrate(inputs, **few).converged.all()


def test_energies_that_overflow_are_no_ground_state() -> None:
    system = nf.Ising(PATTERNS["complete"], 1e308, 0.0, (0, 1))
    with np.errstate(all="ignore"):
        steady = system.equilibrate(np.ones((2, 2)))
    assert not steady.converged.any()
    assert "not finite" in steady.reason[0]


def test_the_parts_of_a_search_agree_on_energy() -> None:
    system = network(PATTERNS["deep"], 16)
    inputs = np.random.default_rng(17).normal(size=(5, 2))
    push = nudge(system, nf.MSE(read(9, 10)), inputs, np.ones((5, 2)), 1.5)
    state = push.free
    fields = system.field.values[:, None]
    spins = Spins.of(system.couplings, fields, state, system.groups, push)
    np.testing.assert_allclose(spins.energy(state), system.energy(state) + push.energy(state))
    np.testing.assert_array_equal(spins.free, np.flatnonzero(system.wiring.free))
    everywhere = np.array([by_definition(system, every_state(system, x)) for x in inputs])
    spread = everywhere.max(axis=1) - everywhere.min(axis=1)
    assert np.all(2 * spins.scale() >= spread - 1e-12)


# -- studies --------------------------------------------------------------------------

STUDY: dict[str, Any] = {
    "name": "spins",
    "domain": {"graph": "complete", "vertices": 6, "sets": {"input": [0, 1], "output": [2]}},
    "physics": {"system": "ising"},
    "task": {"name": "xor", "input_levels": [-1.0, 1.0], "target_levels": [-1.0, 1.0]},
    "training": {"epochs": 60},
    "figures": {"enabled": False},
}


def written(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "study.toml"
    path.write_text(tomli_w.dumps(content))
    return path


def changed(**sections: dict[str, Any]) -> dict[str, Any]:
    return {**STUDY, **{name: STUDY.get(name, {}) | part for name, part in sections.items()}}


@pytest.mark.parametrize("ground_state", ["exact", "annealing"])
def test_a_study_learns_xor(tmp_path: Path, ground_state: str) -> None:
    content = changed(physics={"ground_state": ground_state})
    path = written(tmp_path, content | {"solver": {"sweeps": 5, "reads": 4}})
    costs = []
    for seed in range(4):
        summary = train_study(load_study(path, seed=seed), tmp_path / f"run{seed}")
        costs.append(summary["cost"])
        assert summary["fraction_converged"] == 1
    assert min(costs) == 0  # every output is its target
    with (tmp_path / "run0" / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure = "gap" if ground_state == "exact" else "spin_updates"
    assert {"energy", figure, "gradient_norm_coupling"} <= set(rows[0])
    assert "gradient_cosine" not in rows[0]
    assert float(rows[0][figure]) > 0


def test_a_study_from_the_command_line(tmp_path: Path) -> None:
    path = str(written(tmp_path, changed(figures={"enabled": True}, training={"epochs": 4})))
    told = invoke("check", path)
    assert told.exit_code == 0
    assert "15 values of coupling (trained)" in told.output
    out, again = tmp_path / "run", tmp_path / "again"
    assert invoke("train", path, "--out", str(out)).exit_code == 0
    assert any((out / "figures").iterdir())
    plain = ["train", path, "--out", str(again), "--set", "figures.enabled=false"]
    assert invoke(*plain, "--set", "training.epochs=2").exit_code == 0
    assert invoke(*plain, "--resume").exit_code == 0
    assert (again / "history.csv").read_bytes() == (out / "history.csv").read_bytes()
    told = invoke("compare", str(out))
    assert told.exit_code != 0
    assert "no exact gradient" in told.output


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"training": {"rule": "adjoint"}}, 'must be "ep" or "ep-symmetric"'),
        ({"training": {"cost": "cce"}}, 'must be "mse"'),
        ({"readout": {"sets": ["input"]}}, "vertex 0 is clamped"),
        ({"physics": {"ground_state": "guess"}}, "ground_state"),
        ({"solver": {"temperatures": [0.1, 2.0]}}, "the hotter one first"),
        ({"domain": {"vertices": 30}}, "use ground_state = 'annealing'"),
        ({"physics": {"clamp": "inputs"}}, "inputs"),
    ],
)
def test_a_study_is_refused_before_any_work(
    tmp_path: Path, sections: dict[str, Any], message: str
) -> None:
    path = written(tmp_path, changed(**sections))
    with pytest.raises(InputError, match=message):
        build(load_study(path))


def test_the_studies_learn_from_their_first_epochs(tmp_path: Path) -> None:
    few = ["training.epochs=12", "figures.enabled=false"]
    config = load_study(STUDIES / "ising-xor" / "study.toml", few)
    assert train_study(config, tmp_path / "xor")["cost"] == 0
    few = ["training.epochs=3", "training.evaluate_every=1", "domain.layers=[64,12,10]"]
    summary = train_study(
        load_study(STUDIES / "ising-digits" / "study.toml", few), tmp_path / "digits"
    )
    assert summary["accuracy"] > 0.3
    assert summary["test_accuracy"] > 0.3
    assert np.shape(summary["confusion"]["test"]) == (10, 10)


def test_the_tables_tell_what_learning_means() -> None:
    """At least 80 % of 40 seeds with 8 spins; 85 % of the test digits by every seed."""
    table = pd.read_csv(STUDIES / "ising-xor" / "results.csv")
    assert (table["success"] == (table["cost"] < 0.01)).all()
    own = table[(table["label"] == "ep") & (table["domain.vertices"] == 8) & (table["seed"] < 40)]
    assert len(own) == 40
    assert own["success"].mean() >= 0.8
    digits = pd.read_csv(STUDIES / "ising-digits" / "seeds.csv")
    assert len(digits) == 5
    assert digits["test_accuracy"].min() >= 0.85


def test_a_nudge_that_moves_nothing_is_told() -> None:
    system = network(PATTERNS["complete"])
    still = [{"gradient_norm_coupling": 0.0}] * 10
    assert "raise training.beta" in system.advice(still, {"cost": 0.5})[0]
    assert not system.advice(still, {"cost": 0.0})
    assert not system.advice([*still[1:], {"gradient_norm_coupling": 0.1}], {"cost": 0.5})
