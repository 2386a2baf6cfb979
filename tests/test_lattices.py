"""The paper's lattice: Eq. (13), its time evolution, files, and the studies made of it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import values_of

import nepfield as nf
from nepfield.study.run.build import build
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.systems.systems import load_study
from studies import __main__ as command
from studies.common import STUDIES, Job, fill_readme, part_of, run_here
from studies.xor_lattices import lattice_table, statistics

atlas_maps = import_module("studies.near-equilibrium-atlas.maps")
judge, trust_table = atlas_maps.judge, atlas_maps.trust_table
beta_study = import_module("studies.lattice-xor-beta.figures")
SLOW = pytest.mark.slow
LATTICES = sorted(path.parent.name for path in STUDIES.glob("lattice-*/sweep.toml"))

TASK = nf.xor()


def chain(rng: np.random.Generator, loss: float, domain: nf.Domain | None = None) -> nf.GPE:
    """The paper's system with random V in and out of the band, and random weights."""
    space = nf.graph(nf.lattice(9) if domain is None else domain)
    nonlinearity = [nf.Saturation(0.1), nf.Density(0.05), None][rng.integers(3)]
    pumps = [nf.site_pump(k, w) for k, w in zip((2, 6), rng.uniform(-1, 1, 2), strict=True)]
    return nf.GPE(space, rng.uniform(-1.5, 0.5, 9), pumps, nonlinearity, loss)


def dense_operator(potential: np.ndarray, loss: float, n: int) -> np.ndarray:
    """Eq. (13) without f and P, as a matrix of -1/2 (Psi_i+1 - 2 Psi_i + Psi_i-1) + ..."""
    matrix = np.zeros((n, n), dtype=complex)
    for i in range(n):
        matrix[i, i] = 1.0 + potential[i] - 1j * loss
        if i > 0:
            matrix[i, i - 1] = -0.5
        if i < n - 1:
            matrix[i, i + 1] = -0.5
    return matrix


# --- equation (13)


def test_the_operator_is_equation_13() -> None:
    rng = np.random.default_rng(1)
    system = chain(rng, 0.1)
    expected = dense_operator(system.potential.values, 0.1, 9)
    assert np.abs(system.operator.toarray() - expected).max() <= 1e-14
    assert np.abs(system.linear_part.dense - expected).max() <= 1e-14


def test_two_dimensions_and_rings() -> None:
    """Each direction adds its own second difference; walls are missing neighbours with Psi = 0."""
    ny, nx = 3, 4
    potential = np.random.default_rng(2).uniform(-1, 1, ny * nx)
    system = nf.GPE(nf.graph(nf.lattice(ny, nx)), potential, loss=0.2)
    zero = np.zeros(nx)
    expected = np.kron(np.eye(ny), dense_operator(zero, 0.0, nx))
    expected = expected + np.kron(dense_operator(np.zeros(ny), 0.0, ny), np.eye(nx))
    expected += np.diag(potential - 0.2j)
    assert np.abs(system.operator.toarray() - expected).max() <= 1e-14
    ring = nf.GPE(nf.graph(nf.lattice(5, periodic=True)), 0.0, loss=0.2)
    closed = dense_operator(np.zeros(5), 0.2, 5)
    closed[0, 4] = closed[4, 0] = -0.5
    assert np.abs(ring.operator.toarray() - closed).max() <= 1e-14


@pytest.mark.parametrize("seed", range(20))
def test_steady_states_are_those_of_an_independent_runge_kutta(seed: int) -> None:
    """The paper's scheme, dt = 0.1, written out with arrays alone, until gamma T = 25."""
    rng = np.random.default_rng((20, seed))
    loss = float(rng.choice([0.1, 0.2, 0.5]))
    system = chain(rng, loss)
    steady = nf.solve_steady(system, TASK.inputs, tolerance=1e-12)
    potential = system.potential.values[:, None]
    pump = np.zeros((9, 4))
    pump[2] = system.pumps.weights[0] * TASK.inputs[:, 0]
    pump[6] = system.pumps.weights[1] * TASK.inputs[:, 1]
    response = system.nonlinearity

    def rate(psi: np.ndarray) -> np.ndarray:
        padded = np.vstack([np.zeros(4), psi, np.zeros(4)])
        n = np.abs(psi) ** 2
        shift = 0.0
        if isinstance(response, nf.Saturation):
            shift = response.g / (1 + n)
        elif isinstance(response, nf.Density):
            shift = response.g * n
        hopping = 0.5j * (padded[2:] - 2 * psi + padded[:-2])
        return hopping - 1j * (potential + shift - 1j * loss) * psi + pump

    psi, dt = np.zeros((9, 4), dtype=complex), 0.1
    for _ in range(int(25 / loss / dt)):
        k1 = rate(psi)
        k2 = rate(psi + dt / 2 * k1)
        k3 = rate(psi + dt / 2 * k2)
        k4 = rate(psi + dt * k3)
        psi = psi + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    assert np.abs(psi - steady.state).max() < 1e-8


# --- files


def test_a_lattice_from_a_file_is_the_same_to_the_last_digit(tmp_path: Path) -> None:
    domain = nf.lattice(9, sites={"output": 4, "inputs": 2})
    nf.write_domain(domain, tmp_path / "chain.vtu")
    results = []
    for on in (domain, nf.read_domain(tmp_path / "chain.vtu")):
        system = chain(np.random.default_rng(3), 0.1, on)
        cost = nf.MSE(nf.readout(system.space, regions=["output"]))
        steady = nf.solve_steady(system, TASK.inputs)
        gradients = [
            nf.gradient(system, cost, TASK.inputs, TASK.targets, rule) for rule in nf.RULES
        ]
        results.append((steady.state, [g.params for g in gradients]))
    (first, of_first), (second, of_second) = results
    assert np.array_equal(first, second)
    for one, other in zip(of_first, of_second, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_lattice_mesh_trains_like_the_built_in_one(tmp_path: Path) -> None:
    """The same study with `mesh = "chain.vtu"` in the place of `lattice = [9]`."""
    nf.write_domain(nf.lattice(9), tmp_path / "chain.vtu")
    text = (
        (STUDIES / "lattice-xor" / "study.toml").read_text().replace("epochs = 200", "epochs = 4")
    )
    (tmp_path / "built-in.toml").write_text(text)
    (tmp_path / "file.toml").write_text(text.replace("lattice = [9]", 'mesh = "chain.vtu"'))
    trained = []
    for name in ("built-in.toml", "file.toml"):
        study = build(load_study(tmp_path / name))
        result = nf.train(study.system, study.cost, study.task, optimizer=study.optimizer, epochs=4)
        trained.append(values_of(result.system))
    assert all(np.array_equal(trained[0][name], trained[1][name]) for name in trained[0])


def test_disorder_is_fixed_drawn_by_the_seed_and_felt() -> None:
    path = STUDIES / "lattice-xor-disorder" / "study.toml"
    first, again, other = (build(load_study(path, (), seed)).system for seed in (0, 0, 1))
    assert np.array_equal(first.background, again.background)
    assert not np.array_equal(first.background, other.background)
    assert 0 < np.abs(first.background).max() <= 0.1
    operator = dense_operator(first.potential.values + first.background, 0.1, 9)
    assert np.abs(first.operator.toarray() - operator).max() <= 1e-14
    with pytest.raises(nf.InputError, match=r"potential\.disorder: 2 values for 9"):
        build(load_study(path, ("potential.disorder=[0.1, 0.2]",)))


# --- the studies


def trained(out: Path, labels: tuple[str, ...], rules: tuple[str, ...], seeds: int) -> pd.DataFrame:
    """A part of lattice-xor's sweep, a row a training."""

    def chosen(case):
        return case.label in labels and case.values["training.rule"] in rules and case.seed < seeds

    sweep = part_of(load_sweep(STUDIES / "lattice-xor" / "sweep.toml"), chosen)
    return lattice_table(run_here(sweep, out))


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("lattice-xor", "lattice-xor-batch") else pytest.param(name, marks=SLOW)
        for name in LATTICES
    ],
)
def test_every_study_runs_small(name: str, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (STUDIES / name).iterdir() if path.is_file()}
    arguments = ["--quick", "--workers", "1", name]
    assert len(command.main(arguments)[name]) > 2
    assert before == {
        path: path.read_bytes() for path in (STUDIES / name).iterdir() if path.is_file()
    }


def test_study_of_fig_3_solves_xor_with_nep(tmp_path: Path) -> None:
    (row,) = trained(tmp_path / "out", ("study",), ("nep",), 1).to_dict("records")
    assert row["solved"]
    assert row["largest_error"] < 0.1
    assert row["lowest_cosine"] > 0.9


def test_success_is_decided_after_the_last_epoch(tmp_path: Path) -> None:
    """NEP at the paper's rate reaches the goal and leaves it again from some starts."""
    table = trained(tmp_path / "out", ("sgd-band",), ("nep",), 6)
    assert (table["reached"] & ~table["solved"]).any()
    assert (table["solved"] == (table["cost"] < 0.01)).all()
    reached = table[table["reached"]]
    assert reached["epochs_to_success"].notna().all()
    assert table.loc[~table["reached"], "epochs_to_success"].isna().all()


def _here(function, items):
    return [function(item) for item in items]


def test_statistics_and_readme_tables(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "case": ["a", "a", "a", "b"],
            "rule": "nep",
            "solved": [True, False, True, False],
            "reached": [True, True, True, False],
            "epochs_to_success": pd.array([10, 30, 20, pd.NA], dtype="Int64"),
            "cosine": [1.0, 0.0, 0.5, np.nan],
            "output_0": [0.2, 9.0, 0.4, 9.0],
        }
    )
    first, second = statistics(table).to_dict("records")
    assert first["solved"] == pytest.approx(200 / 3)
    assert first["reached"] == 100
    assert first["epochs_median"] == 20
    assert first["output_0"] == pytest.approx(0.3)  # over the solved ones
    assert np.isnan(second["epochs_median"])
    readme = tmp_path / "README.md"
    readme.write_text("x\n<!-- one -->\nold\n<!-- end -->\n<!-- two -->\nkept\n<!-- end -->\n")
    fill_readme(tmp_path, one="new")
    assert readme.read_text() == (
        "x\n<!-- one -->\n\nnew\n\n<!-- end -->\n<!-- two -->\nkept\n<!-- end -->\n"
    )
    with pytest.raises(ValueError, match="three"):
        fill_readme(tmp_path, three="")


def test_a_predictor_is_judged_by_its_order() -> None:
    number = np.linspace(0, 1, 100)
    columns = ("loss", "loss_mean", "nudge_loss", "nudge_bias", "resonance", "gamma")
    atlas = pd.DataFrame({name: number for name in columns})
    atlas["device"], atlas["ratio"] = "lattice", 0.0
    atlas["nep-linear"] = np.where(number < 0.5, 0.99, -0.5) - 0.01 * number
    row = judge(atlas).iloc[0]
    assert row["rank_correlation"] == pytest.approx(1.0)
    assert row["limit"] == pytest.approx(0.5, abs=0.05)
    assert row["kept"] == 100
    bins = trust_table(atlas, (0, 0.5, 1.1))
    assert bins["trusted"].tolist() == [1.0, 0.0]


def test_orders_of_the_nudge() -> None:
    errors = pd.concat([beta_study.error_rows(seed) for seed in range(3)])
    text = beta_study.beta_orders(errors).set_index(["start", "rule"]).iloc[:, 0].str.split().str[0]
    order = text.astype(float)
    for start in ("`study`", "`adam-random`"):
        assert order[start, "`nep`"] == pytest.approx(1, abs=0.1)
        assert order[start, "`nep-symmetric`"] == pytest.approx(2, abs=0.1)


@pytest.mark.slow
def test_success_rates(tmp_path: Path) -> None:
    """At least 90 % at gamma = 0.1 by some rule, at least 95 % by `nep` at 0.03; here of 20."""
    labels = ("study", "adam-random", "adam-0.03")
    table = trained(tmp_path / "out", labels, ("nep", "adjoint"), 20)
    solved = table.groupby(["case", "rule"])["solved"].mean()
    assert solved["study", "nep"] >= 0.9
    assert solved["adam-random", "adjoint"] >= 0.9
    assert solved["adam-0.03", "nep"] >= 0.95
    assert solved["adam-random", "nep"] < solved["adam-random", "adjoint"]


@pytest.mark.slow
def test_the_atlas_runs_small(tmp_path: Path) -> None:
    name = "near-equilibrium-atlas"
    atlas = command.make(Job(name, tmp_path / name, tmp_path / "runs", _here, quick=True))
    assert atlas.dropna()["reciprocal"][atlas["ratio"] == 0].to_numpy() == pytest.approx(1)
    written = {path.name for path in (tmp_path / "near-equilibrium-atlas").iterdir()}
    assert {"lattice.png", "billiard.png", "predictor.png", "cases.csv", "maps.csv"} <= written
