"""Quantum spins: strings against Kronecker products, ground states, gradients, shots, studies."""

from __future__ import annotations

import itertools
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w

import nepfield as nf
from nepfield.errors import InputError
from nepfield.fields.shots import Measurement
from nepfield.space.pauli import HypercubeOperator, PauliSum, Strings, joined
from nepfield.steady import ground
from nepfield.steady.ground import ground_response, ground_states
from nepfield.study.run.build import build
from nepfield.study.run.jobs import train_study
from nepfield.study.systems.systems import load_study
from studies.common import STUDIES

MATRICES = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def kronecker(letters: str) -> np.ndarray:
    """The matrix of a word such as "IXZ"; the first letter is of spin 0, the lowest bit."""
    return reduce(lambda whole, letter: np.kron(MATRICES[letter], whole), letters, np.eye(1))


def text_of(letters: str) -> str:
    return " ".join(f"{letter}{k}" for k, letter in enumerate(letters) if letter != "I")


def words(n: int, count: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list("IXYZ"), n)) for _ in range(count)]


def spins(n: int = 4, seed: int = 0, **options: Any) -> nf.QuantumSpins:
    """A transverse-field Ising model with two inputs and a bias spin."""
    random = np.random.default_rng(seed)
    domain = nf.complete_graph(n, sets={"input": [0, 1], "output": [n - 1]})
    couplings = random.uniform(-1, 1, len(domain.cells))
    bias = np.where(np.arange(n) == 2, 0.7, 0.0)
    return nf.transverse_field_ising(
        domain, couplings, random.uniform(0.5, 1, n), [0, 1], bias=bias, **options
    )


def samples(count: int = 3, noutputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(9)
    return random.uniform(-1, 1, (count, 2)), random.uniform(-1, 1, (count, noutputs))


def cost_of(system: nf.QuantumSpins, **options: Any) -> nf.MSE:
    return nf.MSE(nf.expectations(system.domain, ["output"], **options))


def largest(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(first[name] - second[name]).max()) for name in second)


# -- strings ------------------------------------------------------------------------------


def test_every_string_of_two_spins_is_its_kronecker_product() -> None:
    letters = ["".join(word) for word in itertools.product("IXYZ", repeat=2)]
    strings = Strings.parse([text_of(word) for word in letters], 2)
    for k, word in enumerate(letters):
        alone = PauliSum(strings[k : k + 1], np.ones(1))
        np.testing.assert_allclose(alone.apply(np.eye(4)), kronecker(word), atol=1e-15)
        assert Strings.parse([strings.texts[k]], 2).values == pytest.approx(alone.strings.values)


def test_operators_dense_and_sparse_are_sums_of_kronecker_products() -> None:
    letters, random = words(4, 12), np.random.default_rng(1)
    common, own = random.normal(size=12), random.normal(size=(12, 3))
    strings = Strings.parse([text_of(word) for word in letters], 4)
    operator = HypercubeOperator.of(strings, common, own)
    block = operator.sparse(np.arange(3)).toarray()
    for k in range(3):
        exact = sum(
            c * kronecker(word) for c, word in zip(common + own[:, k], letters, strict=True)
        )
        np.testing.assert_allclose(operator.dense()[k], exact, atol=1e-13)
        here = slice(16 * k, 16 * k + 16)
        np.testing.assert_allclose(block[here, here], exact, atol=1e-13)
    state = random.normal(size=(16, 2)) + 1j * random.normal(size=(16, 2))
    found = strings.expectations(state)
    for word, values in zip(letters, found, strict=True):
        exact = np.einsum("is,ij,js->s", state.conj(), kronecker(word), state).real
        np.testing.assert_allclose(values, exact, atol=1e-12)


def test_sums_are_read_as_they_are_written() -> None:
    found = PauliSum.parse("0.25 - 0.5 Z0 X1 + 2e-1*Y2 - Z1", 3)
    assert found.weights.tolist() == [0.25, -0.5, 0.2, -1.0]
    assert found.strings.texts == ("", "Z0 X1", "Y2", "Z1")
    for text in ("Z0 Z0", "Q1", "Z3", "Z0 2 X1", "0.5 +", "Z0 Z1 3"):
        with pytest.raises(InputError, match=r"Pauli string"):
            PauliSum.parse(text, 3)


def test_strings_that_are_measured_together_have_one_axis_a_spin() -> None:
    letters = words(5, 30, seed=2)
    measured = Measurement(Strings.parse([text_of(word) for word in letters], 5))
    assert sorted(np.concatenate([group.members for group in measured.groups])) == list(range(30))
    assert len(measured.groups) < 30
    for group in measured.groups:
        for member in group.members:
            for spin, letter in enumerate(letters[member]):
                assert letter in ("I", group.letters.get(spin, "I"))


# -- ground states --------------------------------------------------------------------------


def test_without_a_transverse_field_the_spins_are_classical() -> None:
    system = spins(5).with_parameters({"field": np.zeros(5)})
    inputs, _ = samples(6)
    steady = nf.solve_steady(system, inputs)
    configurations = 1 - 2 * (np.arange(32) >> np.arange(5)[:, None] & 1)
    near, far = system.domain.cells.T
    for k, x in enumerate(inputs):
        longitudinal = np.array([x[0], x[1], 0.7, 0, 0])
        energy = -longitudinal @ configurations - system.parameters["coupling"].values @ (
            configurations[near] * configurations[far]
        )
        lowest, second = np.sort(energy)[:2]
        assert steady.extra["energy"][k] == pytest.approx(lowest)
        assert steady.extra["gap"][k] == pytest.approx(second - lowest)
        chosen = configurations[:, energy.argmin()]
        np.testing.assert_allclose(system.magnetisation(steady.state)[:, k], chosen, atol=1e-12)


def test_one_spin_in_a_field_is_known() -> None:
    """H = -x Z - h X: E = -r, gap 2r, <Z> = x / r, r = sqrt(x^2 + h^2)."""
    system = nf.transverse_field_ising(nf.complete_graph(1), [], 0.8, [0])
    steady = nf.solve_steady(system, np.array([[0.6], [-0.6]]))
    np.testing.assert_allclose(steady.extra["energy"], -1.0)
    np.testing.assert_allclose(steady.extra["gap"], 2.0)
    np.testing.assert_allclose(system.magnetisation(steady.state), [[0.6, -0.6]])


@pytest.mark.parametrize("real", [True, False])
def test_sparse_is_dense(real: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """States, gaps and responses, of Hamiltonians with and without an imaginary part."""
    n, random = 6, np.random.default_rng(3)
    letters = [word for word in words(n, 60) if not real or word.count("Y") % 2 == 0]
    strings = Strings.parse([text_of(word) for word in letters], n)
    own = random.normal(size=(len(strings), 2))
    operator = HypercubeOperator.of(strings, np.zeros(len(strings)), own)
    assert np.iscomplexobj(operator.potential) != real
    pushed = random.normal(size=(64, 2))
    dense = ground_states(operator, 64, 2)
    exact, _ = ground_response(operator, dense.state, pushed)
    monkeypatch.setattr(ground, "DENSE", 8)
    for initial in (None, dense.state, np.full((64, 2), np.nan)):
        sparse = ground_states(operator, 64, 2, initial)
        assert sparse.converged.all()
        assert sparse.residual.max() < 1e-10
        for name in ("energy", "gap"):
            np.testing.assert_allclose(sparse.extra[name], dense.extra[name], atol=1e-9)
        overlap = np.abs(np.sum(sparse.state.conj() * dense.state, axis=0))
        np.testing.assert_allclose(overlap, 1, atol=1e-12)
    found, solved = ground_response(operator, dense.state, pushed)
    assert solved.all()
    np.testing.assert_allclose(found, exact, atol=1e-8)


def test_a_warm_start_takes_fewer_steps_and_keeps_the_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "DENSE", 8)
    system, (inputs, _) = spins(6), samples()
    cold = system.equilibrate(inputs, tolerance=1e-6, gap=False)
    warm = system.equilibrate(inputs, initial=-cold.state, tolerance=1e-6, gap=False)
    assert warm.iterations.sum() < cold.iterations.sum()
    assert "gap" not in warm.extra
    np.testing.assert_allclose(warm.state, -cold.state, atol=1e-4)


@pytest.mark.parametrize("limit", [128, 8])
def test_a_closed_gap_is_told(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain without a field has two ground states; a weak field splits them little."""
    monkeypatch.setattr(ground, "DENSE", limit)
    chain = nf.lattice(4)
    closed = nf.transverse_field_ising(chain, 1.0, 0.0, [0])
    steady = closed.equilibrate(np.zeros((1, 1)))
    assert not steady.converged.any()
    assert "no unique ground state" in steady.reason[0]
    with pytest.raises(nf.NotConverged, match="break the symmetry by a bias"):
        nf.solve_steady(closed, np.zeros((1, 1)))
    narrow = nf.transverse_field_ising(chain, 1.0, 0.1, [0])
    steady = nf.solve_steady(narrow, np.zeros((1, 1)))
    assert 0 < steady.extra["gap"][0] < 1e-3
    assert "the gap is only" in steady.reason[0]
    (advice,) = narrow.advice([], {"smallest_gap": steady.extra["gap"][0], "energy": -3.0})
    assert "keep the transverse fields away from 0" in advice
    assert not narrow.advice([], {"smallest_gap": 0.5, "energy": -3.0})


# -- gradients ------------------------------------------------------------------------------


@pytest.mark.parametrize("nudge", ["linearised", "full"])
@pytest.mark.parametrize("limit", [128, 8])
def test_the_exact_gradient_is_that_of_finite_differences(
    nudge: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To 1e-6; and theorem 1, qep (7), (8): symmetric nudges of 1e-3 to 1e-5."""
    monkeypatch.setattr(ground, "DENSE", limit)
    system, (inputs, targets) = spins(nudge=nudge), samples()
    cost = cost_of(system)
    exact = nf.gradient(system, cost, inputs, targets, "adjoint")
    contrast = nf.gradient(system, cost, inputs, targets, "ep-symmetric", 1e-3)
    assert largest(contrast.params, exact.params) < 1e-5
    for name, parameter in system.parameters.items():
        for k in range(len(parameter)):
            step = 1e-4 * (np.arange(len(parameter)) == k)
            costs = [
                nf.gradient(
                    system.with_parameters({name: parameter.values + sign * step}),
                    cost, inputs, targets, "adjoint",
                ).cost
                for sign in (1, -1)
            ]  # fmt: skip
            assert (costs[0] - costs[1]) / 2e-4 == pytest.approx(exact.params[name][k], abs=1e-6)


def test_one_sided_contrasts_have_an_error_of_first_order() -> None:
    system, (inputs, targets) = spins(), samples()
    cost = cost_of(system)
    exact = nf.gradient(system, cost, inputs, targets, "adjoint").params
    error = {
        (rule, beta): largest(nf.gradient(system, cost, inputs, targets, rule, beta).params, exact)
        for rule in ("ep", "ep-symmetric") for beta in (0.02, 0.01)
    }  # fmt: skip
    assert error["ep", 0.02] / error["ep", 0.01] == pytest.approx(2, rel=0.1)
    assert error["ep-symmetric", 0.02] / error["ep-symmetric", 0.01] == pytest.approx(4, rel=0.1)


def test_the_cost_of_a_full_nudge_is_the_mean_of_the_cost() -> None:
    """<(Z - y)^2> / 2 by the probabilities, where the cost of the mean is (<Z> - y)^2 / 2."""
    system, (inputs, targets) = spins(), samples()
    cost = cost_of(system)
    state = nf.solve_steady(system, inputs).state
    values = cost.readout.spectrum
    mean = np.sum(state**2 * cost.value(values[:, :, None], targets.T[:, None, :]), axis=0)
    full = nf.gradient(system, cost, inputs, targets, "ep", nudge="full")
    np.testing.assert_allclose(full.per_sample, mean, atol=1e-12)
    linear = nf.gradient(system, cost, inputs, targets, "ep", nudge="linearised")
    means = cost.value(cost.readout.signals(state), targets.T)
    np.testing.assert_allclose(linear.per_sample, means, atol=1e-12)
    assert nf.evaluate(system, cost, inputs, targets).cost == pytest.approx(means.mean())
    assert np.all(full.per_sample > linear.per_sample + 1e-3)


def test_strings_of_any_kind_are_trained_and_read() -> None:
    """A complex Hamiltonian, inputs as coefficients of sums, and observables that are no Z."""
    domain = nf.complete_graph(4)
    terms = {
        "sensor": (["X3", "Y0 Z3", "Y2 Y3", "Z1 X2"], np.array([0.4, -0.8, 0.3, 0.5])),
        "fields": (["X0", "X1", "X2", "Z3"], 0.7),
    }
    inputs = ["Z0 X1 Z2 - 0.5 Z1 Z2", "Z0 Z1 + X2"]
    system = nf.QuantumSpins(domain, terms, inputs=inputs, bias="0.3 Y1 + 0.2 Z0")
    readout = nf.expectations(domain, observables=["0.5 + 0.5 X3 Z0", "Y3"])
    cost = nf.MSE(readout)
    x, y = samples(3, 2)
    state = nf.solve_steady(system, x).state
    assert np.iscomplexobj(state)
    matrix = -0.4 * kronecker("IIIX") + 0.8 * kronecker("YIIZ") - 0.3 * kronecker("IIYY")
    matrix = matrix - 0.5 * kronecker("IZXI") - 0.3 * kronecker("IYII") - 0.2 * kronecker("ZIII")
    matrix = matrix - 0.7 * sum(map(kronecker, ("XIII", "IXII", "IIXI", "IIIZ")))
    matrix = matrix - x[0, 0] * (kronecker("ZXZI") - 0.5 * kronecker("IZZI"))
    matrix = matrix - x[0, 1] * (kronecker("ZZII") + kronecker("IIXI"))
    np.testing.assert_allclose(system.hamiltonian(x).dense()[0], matrix, atol=1e-14)
    exact = nf.gradient(system, cost, x, y, "adjoint")
    contrast = nf.gradient(system, cost, x, y, "ep-symmetric", 1e-3)
    assert largest(contrast.params, exact.params) < 1e-5
    for name, k in (("sensor", 1), ("fields", 3)):
        costs = []
        for sign in (1, -1):
            values = system.parameters[name].values.copy()
            values[k] += sign * 1e-4
            moved = system.with_parameters({name: values})
            costs.append(nf.evaluate(moved, cost, x, y).cost)
        assert (costs[0] - costs[1]) / 2e-4 == pytest.approx(exact.params[name][k], abs=1e-6)
    assert readout.variance(state)[0] == pytest.approx(
        0.25 * (1 - (2 * readout.signals(state)[0] - 1) ** 2)
    )


# -- shots ----------------------------------------------------------------------------------


def test_shots_are_unbiased_and_have_the_variance_of_the_observable() -> None:
    system, (inputs, _) = spins(shots=20), samples(1)
    state = nf.solve_steady(system, inputs).state
    many = 4000
    keys, copies = nf.Keys(1, 2, np.arange(many)), np.repeat(state, many, axis=1)
    exact = system.observables(state, inputs, state)
    drawn = system.observables(copies, inputs, copies, keys)
    for name, values in drawn.items():
        spread = np.sqrt((1 - exact[name] ** 2) / 20)  # of a mean of 20 measurements of +-1
        error = values.mean(axis=1, keepdims=True) - exact[name]
        assert np.abs(error / (spread / np.sqrt(many))).max() < 4.5
        deviation = values.std(axis=1, keepdims=True)
        np.testing.assert_allclose(deviation, spread, rtol=0.06)


def test_shots_of_y_and_of_products_are_unbiased() -> None:
    letters = words(3, 12, seed=5)
    strings = Strings.parse([text_of(word) for word in letters if word != "III"], 3)
    random = np.random.default_rng(6)
    state = random.normal(size=(8, 1)) + 1j * random.normal(size=(8, 1))
    state /= np.linalg.norm(state)
    many = 2000
    means = Measurement(strings, 50).read(
        np.repeat(state, many, axis=1), nf.Keys(0, 0, np.arange(many))
    )
    np.testing.assert_allclose(
        means.mean(axis=1), strings.expectations(state)[:, 0], atol=4.5 / np.sqrt(50 * many)
    )


@pytest.mark.parametrize("limit", [128, 8])
def test_neither_order_nor_splitting_changes_what_is_drawn(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "DENSE", limit)
    system, (inputs, targets) = spins(shots=30), samples(5)
    cost = cost_of(system, shots=30)
    keys = nf.Keys(3, 4, np.arange(5))

    def found(chosen: np.ndarray) -> nf.Gradient:
        return nf.gradient(
            system, cost, inputs[chosen], targets[chosen], "ep", 0.5, keys=keys[chosen]
        )

    whole = found(np.arange(5))
    parts = found(np.array([4, 1])) + found(np.array([0])) + found(np.array([2, 3]))
    assert largest(whole.params, parts.params) < 1e-12
    np.testing.assert_allclose(parts.outputs, whole.outputs[[4, 1, 0, 2, 3]], atol=1e-12)
    exact = nf.gradient(system, cost, inputs, targets, "ep", 0.5)
    assert largest(whole.params, exact.params) > 1e-2


# -- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda g: nf.QuantumSpins(g, {"a": (["Z0 Z9"], 1.0)}), "no Pauli string"),
        (lambda g: nf.QuantumSpins(g, {"a": ([""], 1.0)}), "the identity has no effect"),
        (lambda g: nf.QuantumSpins(g, {"a": (["Z0"], [1.0, 2.0])}), "one for each of the 1"),
        (lambda g: nf.QuantumSpins(g, {}), "at least one term"),
        (lambda g: nf.transverse_field_ising(g, 1.0, np.nan), "finite number"),
        (lambda g: nf.transverse_field_ising(g, 1.0, 1.0, [7]), "vertices from 0 to 2"),
        (lambda g: nf.transverse_field_ising(g, 1.0, 1.0, [0, 0]), "once each"),
        (lambda g: nf.transverse_field_ising(g, 1.0, 1.0, shots=-1), "shots = -1"),
        (lambda g: nf.transverse_field_ising(g, 1.0, 1.0, nudge="half"), "nudge = 'half'"),
        (lambda g: nf.transverse_field_ising(g, 1.0, 1.0, bias=[1.0]), "longitudinal field for"),
        (lambda g: nf.transverse_field_ising(nf.complete_graph(30), 1.0, 1.0), "2\\^30 amplitudes"),
        (lambda g: nf.expectations(g), "at least one set"),
        (lambda g: nf.expectations(g, vertices=[0], shots=-3), "shots = -3"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make(nf.complete_graph(3))


def test_nudges_that_the_spins_cannot_have_are_refused() -> None:
    system, (inputs, targets) = spins(), samples()
    sideways = nf.MSE(nf.expectations(system.domain, observables=["X3"]))
    with pytest.raises(InputError, match="full nudge needs observables"):
        nf.gradient(system, sideways, inputs, targets, "ep", nudge="full")
    entries = nf.MSE(nf.fields.coordinates.phases(system.domain, ["output"]))
    with pytest.raises(InputError, match="read by expectation values"):
        nf.gradient(system, entries, inputs, targets, "ep")
    with pytest.raises(InputError, match="rule = 'nep'"):
        nf.gradient(system, sideways, inputs, targets, "nep")
    tilted = nf.solve_steady(
        system, inputs, nudge=nf.FieldNudge(np.full((16, 3), 0.5)), on_failure="flag"
    )
    free = system.equilibrate(inputs)
    np.testing.assert_allclose(tilted.extra["energy"], free.extra["energy"] + 0.5)


# -- studies --------------------------------------------------------------------------------

STUDY: dict[str, Any] = {
    "name": "spins",
    "domain": {
        "graph": "complete",
        "vertices": 4,
        "sets": {"input": [0, 1], "bias": [2], "output": [3]},
    },
    "physics": {"system": "quantum-spins", "clamp": "input", "bias": {"bias": 1.0}, "shots": 50},
    "coupling": {},
    "field": {},
    "task": {"inputs": [[-1, -1], [-1, 1], [1, -1], [1, 1]], "targets": [[-1], [-1], [-1], [1]]},
    "training": {"epochs": 3},
    "figures": {"enabled": False},
}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "study.toml"
    path.write_text(tomli_w.dumps(STUDY | changes))
    return path


def test_a_study_is_trained_and_resumed(tmp_path: Path) -> None:
    path = written(tmp_path, training={"epochs": 30, "rate": 0.1})
    summary = train_study(load_study(path), tmp_path / "run")
    before = train_study(load_study(path, ["training.epochs=0"]), tmp_path / "before")
    assert summary["cost"] < 0.6 * before["cost"]
    outputs, targets = np.array(summary["outputs"]), np.array(summary["targets"])
    assert summary["cost"] == pytest.approx(np.mean((outputs - targets) ** 2) / 2)  # without shots
    assert summary["smallest_gap"] > 0.1
    assert len(summary["coefficients"]["coupling"]) == 6
    assert summary["coefficients"]["field"].keys() == {"X0", "X1", "X2", "X3"}
    half = load_study(path, ["training.epochs=15"])
    train_study(half, tmp_path / "again")
    again = train_study(load_study(path), tmp_path / "again", resume=True)
    assert again["cost"] == summary["cost"]


def test_terms_of_a_study_make_the_hamiltonian(tmp_path: Path) -> None:
    terms = [
        {"input": 0, "weight": -2.0, "strings": ["Z0 X1 Z2", "Z1"]},
        {"name": "touch", "products": [["X0", "Y1"], ["Z3"]], "initial": [0.5, 0.25], "rate": 0.1},
        {"name": "touch", "strings": ["X3"], "initial": 0.75, "rate": 0.1, "trainable": False},
    ]  # fmt: skip
    changes = {
        "physics": {"system": "quantum-spins"},
        "task": {"inputs": [[1.0], [3.0]], "targets": [[1.0], [0.0]]},
        "term": terms,
    }
    path = written(tmp_path, **changes)
    study = build(load_study(path, ["coupling.initial=0", "field.initial=0.5"]))
    matrix = study.system.hamiltonian(np.array([[3.0]])).dense()[0]
    exact = 6 * (kronecker("ZXZI") + kronecker("IZII")) - 0.5 * kronecker("XIIZ")
    exact = exact - 0.25 * kronecker("IYIZ") - 0.75 * kronecker("IIIX")
    exact = exact - 0.5 * sum(map(kronecker, ("XIII", "IXII", "IIXI", "IIIX")))
    np.testing.assert_allclose(matrix, exact, atol=1e-14)
    assert study.config.rates() == {"touch": 0.1}
    summary = train_study(study.config, tmp_path / "run")
    assert summary["coefficients"]["touch"]["X3"] == 0.75
    assert summary["coefficients"]["touch"]["X0 Z3"] != 0.5
    goes_on = [terms[0], *({**term, "initial": "run"} for term in terms[1:])]
    taken = build(load_study(written(tmp_path, **changes | {"term": goes_on}))).system.terms[
        "touch"
    ]
    told = summary["coefficients"]["touch"]
    assert dict(zip(taken.strings.texts, taken.parameter.values, strict=True)) == told


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"term": [{"strings": ["X0"]}]}, "exactly one of name"),
        ({"term": [{"name": "a"}]}, "needs strings or products"),
        ({"term": [{"name": "coupling", "strings": ["X0"]}]}, "is that of a section"),
        ({"term": [{"input": 1, "strings": ["X0"]}]}, "numbered from 0"),
        ({"term": [{"name": "a", "strings": ["X7"]}]}, "term 'a': 'X7' is no Pauli string"),
        ({"physics": {"system": "quantum-spins", "bias": {"nowhere": 1.0}}}, r"physics\.bias"),
        ({"readout": {"observables": ["Z0 +"]}}, "readout: 'Z0 \\+' is no sum"),
        ({"training": {"rule": "nep"}}, '"ep", "ep-symmetric" or "adjoint"'),
        ({"training": {"cost": "log-cosine"}}, '"mse" or "cce"'),
    ],
)  # fmt: skip
def test_studies_that_do_not_fit_are_refused(
    changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=says):
        build(load_study(written(tmp_path, **changes)))


def test_a_study_without_coefficients_is_refused(tmp_path: Path) -> None:
    bare = {name: value for name, value in STUDY.items() if name not in ("coupling", "field")}
    path = tmp_path / "study.toml"
    path.write_text(tomli_w.dumps(bare))
    with pytest.raises(InputError, match="nothing has a coefficient"):
        load_study(path)


@pytest.mark.parametrize("name", ["tfim-and", "tfim-regression"])
def test_the_studies_learn_from_their_first_epochs(name: str, tmp_path: Path) -> None:
    exact = ["physics.shots=0", "training.epochs=6", "training.compare_every=1"]
    config = load_study(STUDIES / name / "study.toml", [*exact, "figures.enabled=false"])
    train_study(config, tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "history.csv")
    assert np.all(np.diff(table["cost"]) < 0)
    assert table["gradient_cosine"].min() > 0.98


def test_the_tables_of_seeds_tell_what_was_reached() -> None:
    """Every <Z> within 0.3 in at least 8 of 10 seeds; costs of at most 0.01 with 100 shots."""
    errors = pd.read_csv(STUDIES / "tfim-and" / "seeds.csv")["largest_error"]
    assert len(errors) == 10
    assert np.count_nonzero(errors < 0.3) >= 8
    costs = pd.read_csv(STUDIES / "tfim-regression" / "seeds.csv")["cost"]
    assert len(costs) == 10
    assert costs.max() <= 0.01


def test_the_sensor_touches_a_cluster_ising_chain() -> None:
    """At the corners of its triangle the energies of the chain are known, and where phases meet."""
    study = build(load_study(STUDIES / "tfim-phases" / "study.toml"))
    system, data = study.system, study.task
    assert {name: len(p) for name, p in system.parameters.items()} == {"touch": 36, "sensor": 15}
    alone = system.with_parameters({"touch": np.zeros(36), "sensor": np.eye(15)[0]})
    corners = 4 * np.eye(3)
    steady = alone.equilibrate(corners, tolerance=1e-8)
    np.testing.assert_allclose(steady.extra["energy"], -8 * 4 - 1, atol=1e-6)
    np.testing.assert_allclose(data.inputs.sum(axis=1), 4)
    zxz, zz, x = data.inputs.T
    largest = np.where(zz >= 2, 1, np.where(x < zxz, 0, 2))  # 2 x < 4 - zz is x < zxz
    np.testing.assert_array_equal(data.targets.argmax(axis=1), largest)
    readout = study.cost.readout
    state = np.zeros((1024, 4))
    state[np.arange(4) << 8, np.arange(4)] = 1  # the four outcomes of the sensor's Z
    expected = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]  # up up, up down, down down
    np.testing.assert_allclose(readout.signals(state), expected, atol=1e-15)


def test_joined_strings_keep_their_order() -> None:
    first, second = Strings.parse(["X0", "Z1"], 2), Strings.parse(["Y0"], 2)
    assert joined([first, second]).texts == ("X0", "Z1", "Y0")
