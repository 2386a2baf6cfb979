"""Run folders: what is in them, that it is right, and that a broken-off run goes on exactly."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
import pyvista
from test_cli import CHAIN, LINE, MESHES, ROOT, contents, invoke, write_study

import nepfield as nf
from nepfield.learning.state import History, TrainingState
from nepfield.study.run.build import Study, build
from nepfield.study.run.jobs import solve_study, train_study, trained_system
from nepfield.study.systems.systems import load_study

DISC = {"disc": [{"center": [1.4, 0.5], "radius": 0.3}]}
ELL = CHAIN | {  # an L of three unit squares, straight triangles
    "name": "ell",
    "domain": {"mesh": str(MESHES / "polygon.msh"), "dirichlet": ["wall"]},
    "pump": [{"center": [0.4, 0.5], "width": 0.3}, {"center": [0.5, 1.5], "width": 0.3}],
    "readout": DISC,
    "task": {"inputs": [[1.0, 0.5], [0.0, 2.0]], "targets": [[0.2], [0.4]]},
    "training": {"epochs": 1, "rate": 0.01},
}


def read_json(path: Path) -> dict[str, Any]:
    """JSON as the standard has it: NaN and Infinity are no numbers."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} in {path}")

    return json.loads(path.read_text(), parse_constant=refuse)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def trained(folder: Path, base: dict[str, Any], **changes: Any) -> tuple[Path, Study, nf.GPE]:
    """Train a study; its run folder, the study that lies there, and the trained system."""
    run = folder / "run"
    train_study(load_study(write_study(folder, base, **changes)), run)
    study = build(load_study(run / "study.toml"))
    return run, study, trained_system(study, run)


# ---------------------------------------------------------------- what is in the folder


def test_a_run_folder_holds_everything(tmp_path: Path) -> None:
    path = write_study(
        tmp_path, LINE, training__epochs=4, training__compare_every=3, figures__enabled=True
    )
    run = tmp_path / "runs" / "first"
    result = invoke("train", str(path), "--out", str(run))
    assert result.exit_code == 0, result.output
    assert sorted(str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()) == [
        "checkpoint.npz", "decision.csv", "fields.vtu", "figures/decision.png",
        "figures/fields.png", "figures/outputs.png", "figures/training.png", "history.csv",
        "outputs.csv", "study.toml", "summary.json",
    ]  # fmt: skip

    summary = read_json(run / "summary.json")
    assert summary["status"] == "finished"
    assert (summary["name"], summary["seed"], summary["rule"]) == ("chain", 0, "nep")
    assert (summary["epochs"], summary["gradient_cosine_epoch"]) == (4, 4)
    assert summary["inputs"] == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert summary["targets"] == [[0], [1], [1], [0]]
    assert np.shape(summary["outputs"]) == (4, 1)
    errors = np.abs(np.array(summary["outputs"]) - summary["targets"])
    assert summary["largest_error"] == errors.max()
    assert summary["cost"] > 0
    assert summary["unknowns"] == 127  # 64 quadratic cells, both ends held
    assert len(summary["weights"]) == 2
    assert (summary["fraction_converged"], summary["samples_left_out"]) == (1, 0)
    assert summary["not_converged"] == []
    assert summary["largest_residual"] < 1e-10
    assert summary["seconds"] > 0
    assert summary["nonlinearity_ratio"] > 0
    assert summary["loss_ratio"] > 0
    assert summary["versions"]["nepfield"] == nf.__version__

    rows = read_csv(run / "history.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert {
        "cost", "gradient_norm_potential", "gradient_norm_weights", "gradient_cosine",
        "fraction_converged", "nonlinearity_ratio", "loss_ratio", "largest_error",
    } <= set(rows[0])  # fmt: skip
    assert [bool(row["gradient_cosine"]) for row in rows] == [False, False, True, True]
    assert float(rows[3]["gradient_cosine"]) == summary["gradient_cosine"] > 0.9
    assert summary["cost"] < float(rows[3]["cost"]) < float(rows[0]["cost"])

    state = TrainingState.load(run / "checkpoint.npz")
    assert state.epoch == 4
    assert {name: len(value) for name, value in state.parameters.items()} == {
        "potential": 64,
        "weights": 2,
    }
    assert state.parameters["weights"].tolist() == summary["weights"]
    assert state.warm is not None
    assert state.warm.shape == (127, 4)

    for words in ("chain: finished", "inputs 0, 1 -> ", "(target 1)", f"wrote {run}/", "cosine"):
        assert words in result.stdout
    assert "epoch 4/4" in result.stderr


def test_costs_of_the_summary_are_those_of_the_trained_system(tmp_path: Path) -> None:
    """The history's cost is the mean before each step, the summary's is after the last one."""
    run, study, system = trained(tmp_path, LINE)
    result = nf.evaluate(system, study.cost, study.task.inputs, study.task.targets)
    summary = read_json(run / "summary.json")
    assert summary["cost"] == pytest.approx(result.cost, rel=1e-8)
    assert np.array(summary["outputs"]) == pytest.approx(result.outputs, abs=1e-8)


def test_the_study_of_a_run_gives_the_same_run(tmp_path: Path) -> None:
    path = write_study(tmp_path, LINE, potential__initial={"uniform": [0.1, 0.3]}, seed=4)
    first, again = tmp_path / "a" / "run", tmp_path / "elsewhere"
    options = ["--set", "training.epochs=3", "--set", "physics.loss=0.05"]
    assert invoke("train", str(path), "--out", str(first), *options).exit_code == 0
    saved = tomllib.loads((first / "study.toml").read_text())
    assert saved["training"]["epochs"] == 3
    assert saved["training"]["beta"] == 0.01  # a default, spelled out
    assert invoke("train", str(first / "study.toml"), "--out", str(again)).exit_code == 0
    for name in ("checkpoint.npz", "history.csv"):
        assert (first / name).read_bytes() == (again / name).read_bytes()


def test_test_samples_of_a_data_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    inputs = rng.uniform(0, 1, (3, 2))
    np.savez(
        tmp_path / "samples.npz", inputs=inputs, targets=inputs[:, :1],
        test_inputs=inputs[:1], test_targets=inputs[:1, 1:],
    )  # fmt: skip
    run, study, system = trained(tmp_path, CHAIN, task={"file": "samples.npz"})
    summary = read_json(run / "summary.json")
    output = nf.evaluate(system, study.cost, inputs[:1], inputs[:1, 1:]).outputs.item()
    assert summary["test_cost"] == pytest.approx((output - inputs[0, 1]) ** 2 / 2)
    assert summary["test_largest_error"] == pytest.approx(abs(output - inputs[0, 1]))


def test_no_epochs(tmp_path: Path) -> None:
    path = write_study(tmp_path, LINE, training__epochs=0, figures__enabled=True)
    result = invoke("train", str(path), "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    summary = read_json(tmp_path / "run" / "summary.json")
    assert (summary["epochs"], summary["gradient_cosine"]) == (0, None)


# ---------------------------------------------------------------- fields.vtu


def network(folder: Path) -> str:
    """An irregular graph in three dimensions, with couplings, a wall and a region."""
    points = np.array([[0, 0, 0], [1, 0.2, 0], [2, 0, 0.5], [0.3, 1, 0], [1.4, 1.1, -0.4]])
    edges = np.array([[0, 1], [1, 2], [0, 3], [3, 4], [4, 2]])
    domain = nf.Domain(
        points, edges, "graph", {"end": np.array([2])}, {"wall": np.array([[0], [0]])},
        {"coupling": np.array([0.5, 1.3, 0.8, 1.1, 0.6])},
    )  # fmt: skip
    nf.write_domain(domain, folder / "network.vtu")
    return "network.vtu"


def field_study(kind: str, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A study on a kind of cell: base and changes."""
    inline = {"inputs": [[1.0, 0.5], [0.0, 2.0]], "targets": [[0.2], [0.4]]}
    shape, _, order = kind.partition(" ")
    if shape == "line":
        return LINE, {"domain__order": int(order), "task": inline}
    if shape == "ell":
        return ELL, {"domain__order": int(order)}
    if shape == "quads":
        mesh = {"mesh": str(MESHES / "square-quads.msh"), "order": int(order)}
        pumps = [{"center": [0.4, 0.2], "width": 0.2}, {"center": [0.5, 0.7], "width": 0.2}]
        return ELL, {"domain": mesh, "pump": pumps, "readout": {"regions": ["lower"]}}
    if shape == "disc":
        mesh = {"mesh": str(MESHES / "disc.msh"), "order": int(order), "robin": {"rim": [0, -1]}}
        pumps = [{"center": [0.4, 0.2], "width": 0.3}, {"region": "disc"}]
        outputs = {"disc": [{"center": [0.5, -0.5], "radius": 0.4}], "regions": ["disc"]}
        task = inline | {"targets": [[0.1, 0.2], [0.2, 0.3]]}
        return ELL, {"domain": mesh, "pump": pumps, "readout": outputs, "task": task}
    if shape == "lattice":
        lattice = {"lattice": [3, 4], "sites": {"middle": [1, 2]}}
        pumps = [{"site": [0, 1]}, {"site": 9}]
        return CHAIN, {
            "domain": lattice, "pump": pumps, "readout": {"regions": ["middle"]}, "task": inline
        }  # fmt: skip
    if shape == "network":
        pumps = [{"site": 1}, {"site": 4}]
        outputs = {"regions": ["end"], "sites": [3]}
        task = inline | {"targets": [[0.1, 0.2], [0.2, 0.3]]}
        return CHAIN, {
            "domain": {"mesh": network(folder)}, "pump": pumps, "readout": outputs, "task": task
        }  # fmt: skip
    assert kind == "chain"
    return CHAIN, {"task": inline}


CELLS = {  # kind: (VTK's number of the cell, meshio's name)
    "line 1": (3, "line"),
    "line 2": (21, "line3"),
    "ell 1": (5, "triangle"),
    "ell 2": (22, "triangle6"),
    "disc 2": (22, "triangle6"),
    "quads 1": (9, "quad"),
    "quads 2": (28, "quad9"),
    "chain": (1, "vertex"),
    "lattice": (1, "vertex"),
    "network": (1, "vertex"),
}


@pytest.mark.parametrize("kind", CELLS)
def test_fields_in_pyvista_and_meshio(kind: str, tmp_path: Path) -> None:
    base, changes = field_study(kind, tmp_path)
    changes |= {"potential__initial": {"uniform": [0.1, 0.4]}, "training__rule": "adjoint"}
    run, study, system = trained(tmp_path, base, **changes)
    grid, mesh = pyvista.read(run / "fields.vtu"), meshio.read(run / "fields.vtu")
    space, domain = system.space, system.space.domain
    count = len(space.elements)
    number, name = CELLS[kind]
    assert mesh.cells[0].type == name
    assert set(grid.celltypes[:count].tolist()) == {number}
    assert np.array_equal(mesh.cells[0].data, space.elements)
    padded = np.zeros((len(space.nodes), 3))
    padded[:, : domain.dim] = space.nodes
    assert np.array_equal(grid.points, padded)
    assert np.array_equal(mesh.points, padded)

    # the wave of each input, solved anew
    assert len(study.task.inputs) == 2
    psi = space.at_nodes(nf.solve_steady(system, study.task.inputs).state)
    assert not any(key.endswith("_2") for key in grid.point_data)
    for sample in (0, 1):
        for data in (grid.point_data, mesh.point_data):
            wave = data[f"psi_re_{sample}"] + 1j * data[f"psi_im_{sample}"]
            assert wave == pytest.approx(psi[:, sample], abs=1e-8)
            assert data[f"density_{sample}"] == pytest.approx(np.abs(wave) ** 2, rel=1e-12)
            assert data[f"phase_{sample}"] == pytest.approx(np.angle(wave), abs=1e-12)

    # potential, gradient, names
    slope = nf.gradient(
        system, study.cost, study.task.inputs, study.task.targets, "adjoint"
    ).fields["potential"]  # fmt: skip
    named = {f"region:{key}": np.isin(np.arange(count), i) for key, i in domain.regions.items()}
    profiles = study.cost.readout.profiles.toarray().reshape(study.cost.readout.noutputs, count, -1)
    named |= {f"readout:{k}": (part > 0).any(axis=1) for k, part in enumerate(profiles)}
    assert named
    places = [(grid.point_data, mesh.point_data)] if space.is_graph else []
    cell_data = {key: values[0] for key, values in mesh.cell_data.items()}
    if not space.is_graph:
        places = [(grid.cell_data, cell_data)]
    for data in places[0]:
        assert data["V_re"] == pytest.approx(system.potential.values, rel=1e-12)
        assert np.ptp(data["V_re"]) > 0.05
        assert not np.any(data["V_im"])
        assert data["dC_dV"] == pytest.approx(slope, rel=1e-6, abs=1e-9)
        assert np.any(data["dC_dV"])
    for key, inside in named.items():
        assert inside.any()
        for data in (*places[0], cell_data, {key: grid.cell_data[key][:count]}):
            assert np.array_equal(data[key], inside.astype(int)), key
    if space.is_graph:
        assert [block.type for block in mesh.cells] == ["vertex", "line"]
        assert np.array_equal(mesh.cells[1].data, domain.cells)
        assert not any(np.any(values[1]) for values in mesh.cell_data.values())


def test_fields_of_a_chain_by_hand(tmp_path: Path) -> None:
    """Eq. (13) without interaction, written down with NumPy from the numbers in the files alone."""
    run, _, _ = trained(
        tmp_path, CHAIN, physics__g=0.0, training__rule="adjoint",
        potential__initial={"uniform": [0.1, 0.4]}, training__epochs=5,
    )  # fmt: skip
    data = meshio.read(run / "fields.vtu").point_data
    summary = read_json(run / "summary.json")
    inputs, targets = np.array(summary["inputs"]), np.array(summary["targets"])

    def waves(potential: np.ndarray) -> np.ndarray:
        """psi = -i H^-1 P on sites 0 to 6 with walls at -1 and 7."""
        operator = np.diag(potential + 1 - 0.1j) - 0.5 * (np.eye(7, k=1) + np.eye(7, k=-1))
        drive = np.zeros((7, len(inputs)))
        drive[[1, 5]] = (np.array(summary["weights"]) * inputs).T
        return -1j * np.linalg.solve(operator, drive)

    def cost(potential: np.ndarray) -> float:
        return float(np.mean((targets[:, 0] - np.abs(waves(potential)[3]) ** 2) ** 2) / 2)

    exact = waves(data["V_re"])
    for sample in range(4):
        wave = data[f"psi_re_{sample}"] + 1j * data[f"psi_im_{sample}"]
        assert wave == pytest.approx(exact[:, sample], abs=1e-9)
    assert np.array(summary["outputs"])[:, 0] == pytest.approx(np.abs(exact[3]) ** 2, abs=1e-9)
    assert summary["cost"] == pytest.approx(cost(data["V_re"]), rel=1e-8)
    steps = 1e-5 * np.eye(7)
    slope = [(cost(data["V_re"] + h) - cost(data["V_re"] - h)) / 2e-5 for h in steps]
    assert data["dC_dV"] == pytest.approx(np.array(slope), abs=1e-9)


def test_outputs_are_means_of_the_wave_in_the_file(tmp_path: Path) -> None:
    """Curved 6-node triangles: nodes, cells and values of the file integrate to the summary's."""
    base, changes = field_study("disc 2", tmp_path)
    run, _, _ = trained(tmp_path, base, **changes)
    mesh = meshio.read(run / "fields.vtu")
    ticks, weights = np.polynomial.legendre.leggauss(5)
    a, b = np.meshgrid((ticks + 1) / 2, (ticks + 1) / 2)
    r, s = (a * (1 - b)).ravel(), b.ravel()  # the square is folded into a triangle
    weight = (np.outer(weights, weights) * (1 - b) / 4).ravel()
    t = 1 - r - s
    corner = [t * (2 * t - 1), r * (2 * r - 1), s * (2 * s - 1)]
    shapes = np.array([*corner, 4 * r * t, 4 * r * s, 4 * s * t])
    zero = np.zeros_like(r)
    along_r = np.array([1 - 4 * t, 4 * r - 1, zero, 4 * (t - r), 4 * s, -4 * s])
    along_s = np.array([1 - 4 * t, zero, 4 * s - 1, -4 * r, 4 * r, 4 * (t - s)])
    corners = mesh.points[mesh.cells[0].data][:, :, :2]
    dr = np.einsum("cnd,nq->cqd", corners, along_r)
    ds = np.einsum("cnd,nq->cqd", corners, along_s)
    area = (dr[..., 0] * ds[..., 1] - dr[..., 1] * ds[..., 0]) * weight
    assert area.sum() == pytest.approx(np.pi, rel=1e-3)
    outputs = np.array(read_json(run / "summary.json")["outputs"])
    for sample in (0, 1):
        wave = mesh.point_data[f"psi_re_{sample}"] + 1j * mesh.point_data[f"psi_im_{sample}"]
        inside = np.abs(wave[mesh.cells[0].data] @ shapes) ** 2
        mean = np.sum(inside * area) / area.sum()
        assert outputs[sample, 0] == pytest.approx(mean, rel=1e-4)  # region "disc": everything


def test_fields_of_a_complex_potential_with_an_absorber(tmp_path: Path) -> None:
    run, _, system = trained(
        tmp_path, LINE, potential__imaginary={"initial": -0.01, "bounds": [-0.1, 0.0]},
        absorber=[{"region": "output", "strength": 0.5}],
    )  # fmt: skip
    data = {key: values[0] for key, values in meshio.read(run / "fields.vtu").cell_data.items()}
    absorber = -0.5 * data["region:output"]
    assert absorber.any()
    assert data["V_im"] == pytest.approx(system.potential.values.imag + absorber, abs=1e-12)
    assert data["V_re"] == pytest.approx(system.potential.values.real, abs=1e-12)
    assert np.any(data["dC_dV_im"])


def test_at_most_sixteen_waves_are_written(tmp_path: Path) -> None:
    inputs = np.linspace(0, 1, 40).reshape(20, 2)
    np.savez(tmp_path / "samples.npz", inputs=inputs, targets=inputs[:, :1])
    run, _, _ = trained(tmp_path, CHAIN, task={"file": "samples.npz"}, training__epochs=1)
    data = meshio.read(run / "fields.vtu").point_data
    assert sum(key.startswith("density_") for key in data) == 16
    assert len(read_json(run / "summary.json")["outputs"]) == 20


# ---------------------------------------------------------------- broken off and resumed

LONG = LINE | {
    "training": {"epochs": 80, "rate": 0.01, "batch": 2, "compare_every": 40},
    "potential": {"initial": {"uniform": [0.1, 0.3]}},
}


def start(path: Path, run: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nepfield.cli", "train", str(path), "--out", str(run), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def wait_for(process: subprocess.Popen[str], run: Path, epoch: int) -> None:
    """Return when the run's checkpoint shows an epoch."""
    checkpoint = run / "checkpoint.npz"
    while process.poll() is None:
        if checkpoint.exists() and TrainingState.load(checkpoint).epoch >= epoch:
            return
        time.sleep(0.002)
    pytest.fail(f"the run has ended before epoch {epoch}: {process.communicate()}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The study LONG and its run without a break."""
    folder = tmp_path_factory.mktemp("long")
    path = write_study(folder, LONG)
    train_study(load_study(path), folder / "whole")
    return path, folder / "whole"


def same_result(run: Path, whole: Path) -> None:
    for name in ("checkpoint.npz", "history.csv", "study.toml"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = (read_json(folder / "summary.json") for folder in (run, whole))
    assert ours | {"seconds": 0} == theirs | {"seconds": 0}


def test_killed_in_the_middle_and_resumed(whole: tuple[Path, Path]) -> None:
    path, uninterrupted = whole
    run = uninterrupted.parent / "killed"
    for epoch, arguments in ((3, ()), (20, ("--resume",))):
        process = start(path, run, *arguments)
        wait_for(process, run, epoch)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
        process.communicate()
        assert epoch <= TrainingState.load(run / "checkpoint.npz").epoch < 80
        assert not (run / "summary.json").exists()
    assert invoke("train", str(path), "--out", str(run), "--resume").exit_code == 0
    same_result(run, uninterrupted)


def test_interrupted_and_resumed(whole: tuple[Path, Path]) -> None:
    path, uninterrupted = whole
    run = uninterrupted.parent / "interrupted"
    process = start(path, run)
    wait_for(process, run, 3)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "chain: interrupted" in stdout
    assert "go on with --resume" in stdout
    summary = read_json(run / "summary.json")
    assert summary["status"] == "interrupted"
    assert 3 <= summary["epochs"] < 80
    assert len(read_csv(run / "history.csv")) == summary["epochs"]
    assert "density_3" in pyvista.read(run / "fields.vtu").point_data
    assert invoke("train", str(path), "--out", str(run), "--resume").exit_code == 0
    same_result(run, uninterrupted)


def test_interrupted_between_checkpoint_and_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint counts: summary and history tell the same number of epochs."""
    write = History.complete

    def interrupt(self: History, history: list[dict[str, float]]) -> None:
        write(self, history)  # a row comes before its checkpoint
        if len(history) == 4 and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt

    interrupted: list[bool] = []
    monkeypatch.setattr(History, "complete", interrupt)
    path, run = write_study(tmp_path, CHAIN, training__epochs=5), tmp_path / "run"
    assert invoke("train", str(path), "--out", str(run)).exit_code == 130
    assert TrainingState.load(run / "checkpoint.npz").epoch == 3
    assert read_json(run / "summary.json")["epochs"] == len(read_csv(run / "history.csv")) == 3


def test_interrupted_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first epoch is done there is a folder all the same, and it can be resumed."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    path = write_study(tmp_path, CHAIN)
    with monkeypatch.context() as patch:
        patch.setattr("nepfield.study.run.build.train", interrupt)
        result = invoke("train", str(path), "--out", str(tmp_path / "run"))
    assert result.exit_code == 130
    assert read_json(tmp_path / "run" / "summary.json")["epochs"] == 0
    assert invoke("train", str(path), "--out", str(tmp_path / "run"), "--resume").exit_code == 0
    assert read_json(tmp_path / "run" / "summary.json")["epochs"] == 2


def test_interrupted_while_the_results_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nepfield.study.run.folder.write_fields", interrupt)
    result = invoke("train", str(write_study(tmp_path, CHAIN)), "--out", str(tmp_path / "run"))
    assert result.exit_code == 130
    assert result.stderr.endswith("interrupted\n")
    assert TrainingState.load(tmp_path / "run" / "checkpoint.npz").epoch == 2


def test_resume_without_a_run_starts_one(tmp_path: Path) -> None:
    path = write_study(tmp_path, CHAIN)
    (tmp_path / "empty").mkdir()
    for name, options in (("plain", []), ("new", ["--resume"]), ("empty", ["--resume"])):
        result = invoke("train", str(path), "--out", str(tmp_path / name), *options)
        assert result.exit_code == 0, result.output
        same_result(tmp_path / name, tmp_path / "plain")


def test_resume_of_a_finished_run_changes_no_result(tmp_path: Path) -> None:
    path, run = write_study(tmp_path, CHAIN), tmp_path / "run"
    assert invoke("train", str(path), "--out", str(run)).exit_code == 0
    before = contents(run)
    result = invoke("train", str(path), "--out", str(run), "--resume")
    assert result.exit_code == 0
    assert "cosine" in result.stdout
    after = contents(run)
    assert after["checkpoint.npz"] == before["checkpoint.npz"]  # not even written anew
    for name in ("history.csv", "fields.vtu", "study.toml"):
        assert after[name][0] == before[name][0]


def test_more_epochs_on_resume(tmp_path: Path) -> None:
    path = write_study(tmp_path, LINE, training__batch=2, training__compare_every=3)
    more = ["--set", "training.epochs=6"]
    for name, options in (("whole", more), ("run", ["--set", "training.epochs=3"])):
        assert invoke("train", str(path), "--out", str(tmp_path / name), *options).exit_code == 0
    options = ["--out", str(tmp_path / "run"), "--resume"]
    assert invoke("train", str(path), *options, *more).exit_code == 0
    same_result(tmp_path / "run", tmp_path / "whole")

    before = contents(tmp_path / "run")
    result = invoke("train", str(path), *options, "--set", "training.epochs=4")
    assert result.exit_code == 2
    assert "6 epochs of this run are done" in result.stderr
    assert "training.epochs = 4" in result.stderr
    assert contents(tmp_path / "run") == before


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The study CHAIN and its run."""
    folder = tmp_path_factory.mktemp("chain")
    path = write_study(folder, CHAIN, pump__0__weight={"uniform": [-1.0, 1.0]})
    assert invoke("train", str(path), "--out", str(folder / "run")).exit_code == 0
    return path, folder / "run"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "physics.loss=0.2"], ["physics.loss", "0.1", "0.2"]),
        (["--set", "training.rate=0.5"], ["training.rate"]),
        (["--set", "training.weight_rate=0.5"], ["training.weight_rate was 'absent'"]),
        (["--set", "pump.1.site=4"], ["pump.1.site was 5 and is now 4"]),
        (["--set", "domain.lattice=[8]"], ["domain.lattice was [7] and is now [8]"]),
        (["--seed", "3"], ["seed was 0 and is now 3"]),
    ],
)
def test_resume_with_another_study(
    chain: tuple[Path, Path], options: list[str], words: list[str]
) -> None:
    path, run = chain
    before = contents(run)
    result = invoke("train", str(path), "--out", str(run), "--resume", *options)
    assert result.exit_code == 2
    assert "belongs to another study" in result.stderr
    assert all(word in result.stderr for word in words)
    assert contents(run) == before


def test_a_run_that_is_there_is_left_alone(chain: tuple[Path, Path]) -> None:
    path, run = chain
    before = contents(run)
    for command in ("train", "solve"):
        result = invoke(command, str(path), "--out", str(run))
        assert result.exit_code == 2
        assert "a run is there already" in result.stderr
        assert ("--resume" in result.stderr) == (command == "train")  # solve has no such option
        assert contents(run) == before


def test_the_states_before_and_after_training_go_to_folders_of_their_own(
    chain: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, run = chain
    monkeypatch.chdir(tmp_path)
    for given in (path, run):
        assert invoke("solve", str(given), "--quiet").exit_code == 0
    solved = sorted(folder.name.split("-solve")[1] for folder in (tmp_path / "runs").iterdir())
    assert solved == ["", "-trained"]


def test_plot_refuses_a_picture_that_the_run_does_not_have(chain: tuple[Path, Path]) -> None:
    result = invoke("plot", str(chain[1]), "--field", "nosuch")
    assert result.exit_code == 2
    assert "nosuch" in result.stderr
    assert "training" in result.stderr


# ---------------------------------------------------------------- seeds and silence


def test_the_seed_draws_the_start(tmp_path: Path) -> None:
    path = write_study(
        tmp_path, CHAIN, potential__initial={"uniform": [0.1, 0.3]},
        pump__0__weight={"normal": [0.0, 1.0]}, training__batch=1,
    )  # fmt: skip
    runs = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        runs[name] = tmp_path / name
        result = invoke("train", str(path), "--out", str(runs[name]), "--seed", str(seed))
        assert result.exit_code == 0
        assert read_json(runs[name] / "summary.json")["seed"] == seed
    a, b, c = (TrainingState.load(run / "checkpoint.npz").parameters for run in runs.values())
    assert (runs["a"] / "checkpoint.npz").read_bytes() == (
        runs["b"] / "checkpoint.npz"
    ).read_bytes()
    assert np.array_equal(a["potential"], b["potential"])
    assert np.all(a["potential"] != c["potential"])
    assert a["weights"][0] != c["weights"][0]


def test_the_seed_shuffles_the_samples(tmp_path: Path) -> None:
    """Nothing of this start is drawn, so only the order of the samples differs."""
    path = write_study(tmp_path, CHAIN, training__batch=1, potential__initial=0.2)
    ends = []
    for seed, shuffle in ((0, "true"), (1, "true"), (0, "false"), (1, "false")):
        run = tmp_path / f"{seed}-{shuffle}"
        options = ["--seed", str(seed), "--set", f"training.shuffle={shuffle}"]
        assert invoke("train", str(path), "--out", str(run), *options).exit_code == 0
        ends.append(read_json(run / "summary.json")["weights"])
    assert ends[0] != ends[1]
    assert ends[2] == ends[3]


def test_quiet(tmp_path: Path) -> None:
    path = write_study(tmp_path, CHAIN)
    run = str(tmp_path / "run")
    for arguments in (
        ["train", str(path), "--out", run],
        ["solve", run, "--out", str(tmp_path / "solved")],
        ["compare", run, "--out", str(tmp_path / "table.csv")],
    ):
        result = invoke(*arguments, "--quiet")
        assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "table.csv").exists()


def test_progress_is_told_each_tenth(tmp_path: Path) -> None:
    path = write_study(tmp_path, CHAIN, training__epochs=30)
    said = invoke("train", str(path), "--out", str(tmp_path / "run")).stderr.splitlines()
    assert [line.split()[1] for line in said] == [f"{k}/30" for k in range(3, 31, 3)]


# ---------------------------------------------------------------- solve, compare, plot


def test_solve_with_the_starting_and_the_trained_parameters(
    chain: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, run = chain
    monkeypatch.chdir(tmp_path)
    result = invoke("solve", str(path))
    assert result.exit_code == 0, result.output
    assert "chain: solved" in result.stdout
    start = read_json(tmp_path / "runs" / "chain-solve" / "summary.json")
    assert start["status"] == "solved"
    assert not (tmp_path / "runs" / "chain-solve" / "history.csv").exists()
    assert invoke("solve", str(run), "--out", "end").exit_code == 0
    end, last = read_json(tmp_path / "end" / "summary.json"), read_json(run / "summary.json")
    assert end["weights"] == last["weights"] != start["weights"]
    assert end["cost"] == pytest.approx(last["cost"], rel=1e-8)
    assert end["cost"] < start["cost"]
    wave = [meshio.read(f / "fields.vtu").point_data["psi_re_1"] for f in (tmp_path / "end", run)]
    assert wave[0] == pytest.approx(wave[1], abs=1e-9)


def test_solve_a_run_for_other_inputs(chain: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "solved"
    task = "task={ inputs = [[2, 0]], targets = [[1]] }"
    assert invoke("solve", str(chain[1]), "--out", str(out), "--set", task).exit_code == 0
    assert read_json(out / "summary.json")["inputs"] == [[2, 0]]


def test_parameters_that_do_not_fit(chain: tuple[Path, Path], tmp_path: Path) -> None:
    for change in ("domain.lattice=[9]", "potential.trainable=false", "pump.0.weight=[1, 1]"):
        result = invoke("solve", str(chain[1]), "--out", str(tmp_path / "o"), "--set", change)
        assert result.exit_code == 2
        assert "checkpoint.npz: its parameters (sizes potential 7, weights 2)" in result.stderr
    assert not (tmp_path / "o").exists()


def test_compare(chain: tuple[Path, Path], tmp_path: Path) -> None:
    path, run = chain
    tables = []
    for source, name in ((path, "start.csv"), (run, "end.csv")):
        result = invoke("compare", str(source), "--out", str(tmp_path / name))
        assert result.exit_code == 0, result.output
        tables.append({row["rule"]: row for row in read_csv(tmp_path / name)})
        assert set(tables[-1]) == set(nf.RULES)
        assert float(tables[-1]["adjoint"]["cosine"]) == pytest.approx(1)
        assert float(tables[-1]["adjoint"]["norm_ratio"]) == pytest.approx(1)
        assert all(rule in result.stdout for rule in nf.RULES)
    assert tables[0]["nep"]["cosine"] != tables[1]["nep"]["cosine"]  # trained, not starting
    study = build(load_study(run / "study.toml"))
    table = nf.compare_gradients(
        trained_system(study, run), study.cost, study.task.inputs, study.task.targets
    )
    assert float(tables[1]["nep"]["cosine"]) == pytest.approx(table.loc["nep", "cosine"], abs=1e-6)


def test_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _, _ = trained(tmp_path, LINE)
    monkeypatch.chdir(tmp_path)
    assert not (run / "figures").exists()
    result = invoke("plot", "run")
    assert result.exit_code == 0, result.output
    pictures = ["fields", "outputs", "training"]
    assert sorted(result.stdout.split()) == [f"run/figures/{name}.png" for name in pictures]
    assert sorted(path.stem for path in (run / "figures").iterdir()) == pictures

    assert invoke("plot", "run", "-o", "mine.png").exit_code == 0
    fields = (run / "figures" / "fields.png").read_bytes()
    assert (tmp_path / "mine.png").read_bytes() == fields
    assert fields[:4] == b"\x89PNG"
    assert invoke("plot", "run", "-o", "cost.png", "--field", "training").exit_code == 0
    curves = (run / "figures" / "training.png").read_bytes()
    assert (tmp_path / "cost.png").read_bytes() == curves

    (tmp_path / "thesis.png").write_bytes(b"precious")
    for arguments, words in (
        (["-o", "new.png", "--field", "phases"], ["--field phases", "training, outputs, fields"]),
        (["-o", "thesis.png"], ["thesis.png", "exists already"]),
        (["-o", "page.jpg"], ["page.jpg", ".gif and .html files only"]),
        (["-o", "nowhere/new.png"], ["there is no folder nowhere"]),
    ):
        result = invoke("plot", "run", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert all(word in result.stderr for word in words), result.stderr
    assert (tmp_path / "thesis.png").read_bytes() == b"precious"
    assert not {"new.png", "page.svg"} & set(os.listdir(tmp_path))


def test_a_run_that_was_only_solved_is_plotted(tmp_path: Path) -> None:
    solve_study(load_study(write_study(tmp_path, LINE)), tmp_path / "run")
    result = invoke("plot", str(tmp_path / "run"))
    assert result.exit_code == 0
    assert "training.png" not in result.stdout
    assert "fields.png" in result.stdout


def test_without_opengl_a_run_finishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = "Pictures of fields need OpenGL. Install it (apt-get install libgl1)"
    monkeypatch.setattr("nepfield.view.render.opengl_problem", lambda: problem)
    run = tmp_path / "run"
    path = write_study(tmp_path, ELL, figures__enabled=True)
    result = invoke("train", str(path), "--out", str(run), "--quiet")
    assert result.exit_code == 0
    assert result.output == f"no pictures of fields: {problem}\n"
    assert read_json(run / "summary.json")["status"] == "finished"
    assert sorted(path.name for path in (run / "figures").iterdir()) == [
        "decision.png",
        "outputs.png",
        "training.png",
    ]
    result = invoke("plot", str(run))
    assert result.exit_code == 4
    assert result.stderr == f"no pictures of fields: {problem}\n"


def test_no_window_for_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nepfield.view.render.opengl_problem", lambda: None)
    monkeypatch.setenv("DISPLAY", ":99")
    run, _, _ = trained(tmp_path, LINE, training__epochs=1)
    result = invoke("plot", str(run), "--interactive")
    assert result.exit_code == 4
    assert "Fields on a line have no interactive view" in result.stderr


# ---------------------------------------------------------------- samples without a steady state

HARD = {  # the second input is too strong for so few Newton steps
    "physics": {"g": 1.0, "loss": 0.02},
    "solver": {"max_iterations": 2},
    "task": {"inputs": [[0.01, 0.0], [5.0, 5.0]], "targets": [[1.0], [0.0]]},
    "training__epochs": 3,
}


def test_samples_that_do_not_converge_are_reported(tmp_path: Path) -> None:
    path = write_study(tmp_path, CHAIN, **HARD)
    run = tmp_path / "run"
    result = invoke("train", str(path), "--out", str(run))
    assert result.exit_code == 0, result.output
    assert "50.0% of the samples did not converge" in result.stdout
    assert "left out while training, since they did not converge: 3 samples" in result.stdout
    summary = read_json(run / "summary.json")
    assert (summary["fraction_converged"], summary["samples_left_out"]) == (0.5, 3)
    assert summary["outputs"][1] == [None]
    assert summary["outputs"][0][0] < 0.01
    assert summary["cost"] == pytest.approx((1 - summary["outputs"][0][0]) ** 2 / 2)
    assert len(summary["not_converged"]) == 1
    assert "residual" in summary["not_converged"][0]
    assert summary["largest_residual"] > 1e-10
    assert {row["fraction_converged"] for row in read_csv(run / "history.csv")} == {"0.5"}

    result = invoke("solve", str(path), "--out", str(tmp_path / "solved"))
    assert result.exit_code == 3
    assert result.stderr.startswith("not converged: residual ")
    assert "chain: not converged" in result.stdout
    assert read_json(tmp_path / "solved" / "summary.json")["status"] == "not converged"
    result = invoke("plot", str(run))  # pictures of such a run are drawn too
    assert result.exit_code == 0


def test_other_samples_that_do_not_converge_are_told(tmp_path: Path) -> None:
    weak, strong = [[0.01, 0.0]] * 3, [[5.0, 5.0]]
    np.savez(
        tmp_path / "data.npz", inputs=weak, targets=np.ones((3, 1)),
        test_inputs=weak + strong, test_targets=np.ones((4, 1)),
    )  # fmt: skip
    path = write_study(tmp_path, CHAIN, **HARD | {"task": {"file": "data.npz"}})
    result = invoke("train", str(path), "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert "warning: 1 of 4 test samples have no steady state" in result.stdout
    summary = read_json(tmp_path / "run" / "summary.json")
    assert (summary["fraction_converged"], summary["test_fraction_converged"]) == (1, 0.75)


def test_nothing_converges(tmp_path: Path) -> None:
    changes = HARD | {"task": {"inputs": [[5.0, 5.0]], "targets": [[0.0]]}}
    path = write_study(tmp_path, CHAIN, **changes)
    result = invoke("train", str(path), "--out", str(tmp_path / "run"))
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.startswith("not converged: epoch 1: not one sample has a steady state")
    assert result.stderr.count("\n") == 1
    result = invoke("solve", str(path), "--out", str(tmp_path / "solved"))
    assert result.exit_code == 3
    summary = read_json(tmp_path / "solved" / "summary.json")
    assert (summary["cost"], summary["fraction_converged"]) == (None, 0)
    assert summary["loss_ratio"] is None
    more = ["--set", "solver.max_iterations=50"]
    run = ["--out", str(tmp_path / "run"), "--resume"]
    assert invoke("train", str(path), *run, *more).exit_code == 2
    assert invoke("train", str(path), "--out", str(tmp_path / "new"), *more).exit_code == 0


# ---------------------------------------------------------------- what the summary says


def test_every_array_is_described(tmp_path: Path) -> None:
    run, _, system = trained(tmp_path, CHAIN)
    summary = read_json(run / "summary.json")
    mesh = meshio.read(run / "fields.vtu")
    named = {name for entry in summary["fields"] for name in entry["arrays"]}
    assert named == {*mesh.point_data, *mesh.cell_data}
    drawn = {entry["picture"]: entry for entry in summary["fields"] if entry["picture"]}
    assert list(drawn) == ["density", "phase", "potential", "gradient"]
    assert drawn["potential"]["unit"] == "energy"
    assert drawn["gradient"]["scale"] == "diverging"
    assert [mark["kind"] for mark in summary["marks"]] == ["pump", "pump", "readout"]
    assert [mark.get("value") for mark in summary["marks"][:2]] == system.pumps.weights.tolist()
    assert summary["lengths"] == "sites"
    assert {"cost", "gradient_norm_potential", "gradient_norm_weights"} <= set(summary["columns"])


CLASSES = CHAIN | {"readout": {"sites": [2, 4]}, "pump": [{"site": 1}, {"site": 5}]}


def test_sets_of_samples_in_the_summary(tmp_path: Path) -> None:
    """Metrics are means over the last epochs that have them; the best of the curve; classes."""
    inputs = np.array([[1.0, 0.2], [0.3, 1.0], [0.9, 0.1], [0.2, 0.8], [1.0, 0.0], [0.1, 1.0]])
    targets = np.eye(2)[[0, 1, 0, 1, 0, 1]]
    np.savez(
        tmp_path / "samples.npz", inputs=inputs[:4], targets=targets[:4],
        test_inputs=inputs[4:], test_targets=targets[4:],
        validation_inputs=inputs[3:], validation_targets=targets[3:],
    )  # fmt: skip
    run, study, system = trained(
        tmp_path, CLASSES, task={"file": "samples.npz"}, training__cost="cce", training__epochs=6,
        training__evaluate_every=2, training__average=3, training__rate=0.5,
        pump=[{"site": 1, "weight": 0.4}, {"site": 5, "weight": 0.3}],
    )  # fmt: skip
    summary, rows = read_json(run / "summary.json"), read_csv(run / "history.csv")
    assert summary["samples"] == {"train": 4, "validation": 3, "test": 2}
    assert summary["accuracy"] == np.mean([float(row["accuracy"]) for row in rows[3:]])
    known = [float(row["test_accuracy"]) for row in rows if row["test_accuracy"]]
    assert len(known) == 3
    assert summary["test_accuracy"] == np.mean(known[1:])  # epochs 4 and 6 of 4, 5, 6
    assert summary["best_test_accuracy"] == max(known)
    assert summary["metrics"] == ["accuracy"]
    assert summary["average_epochs"] == 3
    assert summary["validation_cost"] > 0
    read = nf.evaluate(system, study.cost, inputs[:4], targets[:4]).outputs.argmax(axis=1)
    wanted = np.zeros((2, 2))
    np.add.at(wanted, (targets[:4].argmax(axis=1), read), 1)
    assert summary["confusion"]["train"] == wanted.tolist()
    assert np.sum(summary["confusion"]["validation"]) == 3
    result = invoke("plot", str(run), "--field", "confusion")
    assert (result.exit_code, result.stdout.strip()) == (0, f"{run}/figures/confusion.png")


# ---------------------------------------------------------------- folders of version 0.1


def as_of_old(run: Path) -> dict[str, bytes]:
    """Take away what version 0.1 did not write, and the pictures, which are returned."""
    summary = read_json(run / "summary.json")
    for key in ("fields", "marks", "columns", "readout", "lengths"):
        del summary[key]
    (run / "summary.json").write_text(json.dumps(summary))
    pictures = {path.name: path.read_bytes() for path in (run / "figures").iterdir()}
    for path in (run / "figures").iterdir():
        path.unlink()
    return pictures


@pytest.mark.parametrize(
    "kind",
    ["chain", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("line 2", "network"))],
)
def test_a_folder_of_version_0_1_is_plotted(kind: str, tmp_path: Path) -> None:
    """The same pictures but for columns that were not there; also where its mesh is gone."""
    base, changes = field_study(kind, tmp_path)
    run, _, _ = trained(tmp_path, base, figures__enabled=True, **changes)
    wanted = as_of_old(run)
    study = tomllib.loads((run / "study.toml").read_text())
    if "mesh" in study["domain"]:
        text = (run / "study.toml").read_text()
        (run / "study.toml").write_text(text.replace(study["domain"]["mesh"], "nowhere.msh"))
    result = invoke("plot", str(run))
    assert result.exit_code == 0, result.output
    found = {path.name: path.read_bytes() for path in (run / "figures").iterdir()}
    assert found.keys() == wanted.keys()
    assert {name for name in found if found[name] != wanted[name]} <= {"training.png"}
    assert read_json(run / "summary.json")["status"] == "finished"
    before = contents(run)
    assert invoke("plot", str(run), "--field", "outputs").exit_code == 0
    assert contents(run)["summary.json"] == before["summary.json"]  # completed once


def test_a_broken_off_run_of_version_0_1_has_a_film(tmp_path: Path) -> None:
    run, _, _ = trained(tmp_path, CHAIN, figures__frames=3)
    assert not (run / "frames.json").exists()  # the summary says it all
    for name in ("summary.json", "fields.vtu"):
        (run / name).unlink()
    assert invoke("plot", str(run), "-o", str(tmp_path / "film.gif")).exit_code == 0
    said = read_json(run / "frames.json")
    assert {"fields", "marks", "columns", "inputs", "name"} <= set(said)
    assert not (run / "summary.json").exists()
