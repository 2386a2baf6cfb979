"""Batches in parts, here and on workers: the same training."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from test_cli import invoke

import nepfield as nf
from nepfield.learning.gradients import Gradient, estimate
from nepfield.learning.parts import InParts, Part
from nepfield.learning.state import TrainingState
from nepfield.study.sweeps.training import train_on_workers
from nepfield.study.systems.systems import load_study

STUDY = """
name = "many"
seed = 3

[domain]
lattice = [6, 12]

[physics]
nonlinearity = "density"
g = 0.2
loss = 0.1

[potential]
initial = { uniform = [-0.5, 0.5] }

[[pump]]
site = 4

[[pump]]
site = 30

[[pump]]
site = 55

[readout]
sites = [20, 60]

[task]
file = "samples.npz"

[training]
rule = "RULE"
epochs = 10
batch = 70

[solver]
tolerance = 1e-6

[figures]
enabled = false
"""


def study(folder: Path, rule: str) -> Path:
    random = np.random.default_rng(0)
    inputs, targets = random.uniform(size=(140, 3)), random.uniform(0, 0.1, size=(140, 2))
    folder.mkdir(exist_ok=True)
    np.savez(folder / "samples.npz", inputs=inputs, targets=targets)
    (folder / "study.toml").write_text(STUDY.replace("RULE", rule))
    return folder / "study.toml"


def here(system: Any, cost: Any, parts: list[Part]) -> list[Gradient]:
    """As workers do it, what is sent being pickled."""
    sent = pickle.loads(pickle.dumps(system.with_parameters({})))
    return [pickle.loads(pickle.dumps(part)).estimate(sent, cost) for part in parts]


def training(estimator: Any, rule: str, batch: int = 70, response: Any = None) -> nf.TrainingResult:
    """Twenty updates."""
    random = np.random.default_rng(1)
    space = nf.graph(nf.lattice(6, 12))
    pumps = [nf.site_pump(site, 0.5) for site in (4, 30, 55)]
    potential = random.uniform(-0.5, 0.5, space.ndof)
    system = nf.GPE(space, potential, pumps, response or nf.Density(0.2), 0.1)
    task = nf.Task(random.uniform(size=(140, 3)), random.uniform(0, 0.1, (140, 2)))
    return nf.train(
        system, nf.MSE(nf.readout(space, sites=[20, 60])), task, optimizer=nf.Adam(0.01),
        rule=rule, batch=batch, epochs=10, tolerance=1e-6, estimator=estimator,
    )  # fmt: skip


@pytest.mark.parametrize("rule", ["adjoint", "nep"])
def test_parts_of_a_batch_train_to_the_same_parameters(rule: str) -> None:
    whole = training(estimate, rule)
    parts = training(InParts(here, 2), rule)
    assert np.array_equal(parts.system.potential.values, whole.system.potential.values)
    assert np.array_equal(parts.system.pumps.weights, whole.system.pumps.weights)
    assert whole.history[-1]["cost"] < 0.97 * whole.history[0]["cost"]
    for first, second in zip(parts.history, whole.history, strict=True):
        assert first["cost"] == second["cost"]


def test_what_would_be_solved_another_way_is_not_split() -> None:
    calls: list[int] = []

    def counting(system: Any, cost: Any, parts: list[Part]) -> list[Gradient]:
        calls.append(len(parts))
        return here(system, cost, parts)

    training(InParts(counting, 4), "adjoint", batch=40)
    assert not calls
    training(InParts(counting, 4), "adjoint", batch=70)
    assert set(calls) == {2}  # of 32 samples at least


def device(nsamples: int) -> tuple[nf.GPE, nf.MSE, np.ndarray, np.ndarray]:
    """A wave with two pumps, a cost, inputs and targets."""
    random = np.random.default_rng(4)
    space = nf.graph(nf.lattice(6, 12))
    system = nf.GPE(space, -0.5, [nf.site_pump(4), nf.site_pump(55)], nf.Density(0.3), 0.1)
    inputs, targets = random.uniform(size=(nsamples, 2)), random.uniform(0, 0.1, (nsamples, 1))
    return system, nf.MSE(nf.readout(space, sites=[20])), inputs, targets


def test_samples_from_the_vacuum_and_from_states_share_what_the_whole_batch_has() -> None:
    system, _, inputs, _ = device(80)
    random = np.random.default_rng(2)
    start = nf.solve_steady(system, 0.9 * inputs).state
    start[:, random.uniform(size=80) < 0.4] = np.nan
    shared = system.reference(inputs, start)
    whole = system.equilibrate(inputs, None, start, tolerance=1e-5)
    for chosen in (np.arange(35), np.arange(35, 80)):
        part = system.with_parameters({}).equilibrate(
            inputs[chosen], None, start[:, chosen], tolerance=1e-5, reference=shared
        )
        assert np.array_equal(part.state, whole.state[:, chosen])
    assert whole.converged.all()


def test_a_part_that_begins_from_the_vacuum_goes_on_as_the_others() -> None:
    system, cost, inputs, targets = device(70)
    start = nf.solve_steady(system, 0.9 * inputs).state
    start[:, :40] = np.nan
    for rule in ("adjoint", "nep"):
        whole, parts = (
            way(system.with_parameters({}), cost, inputs, targets, rule, 0.01,
                initial=start, tolerance=1e-5)
            for way in (estimate, InParts(here, 2))
        )  # fmt: skip
        for name, total in whole.sums.items():
            assert np.array_equal(parts.sums[name], total)


def test_parts_of_any_number_have_the_sums_of_the_whole() -> None:
    system, cost, inputs, targets = device(301)
    whole = estimate(system, cost, inputs, targets, "adjoint", 0.01, tolerance=1e-5)
    assert whole.portions["potential"].shape == (system.space.ndof, 76)  # of four samples each
    for most in (2, 3, 7):
        parts = InParts(here, most)(system, cost, inputs, targets, "adjoint", 0.01, tolerance=1e-5)
        assert np.array_equal(parts.sums["potential"], whole.sums["potential"])
        assert parts.cost == whole.cost


def test_workers_that_cannot_be_are_refused(tmp_path: Path) -> None:
    path = study(tmp_path, "nep")
    for words, said in (
        (("--workers", "0"), "at least 1"),
        (("--workers", "2", "--scheduler", "tcp://127.0.0.1:1"), "one of them"),
        (("--scheduler", "nowhere"), "--scheduler"),
    ):
        result = invoke("train", str(path), *words, "--out", str(tmp_path / "run"))
        assert result.exit_code == 2
        assert said in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_workers_train_to_the_same_parameters_though_one_is_killed(tmp_path: Path) -> None:
    path = study(tmp_path, "nep")
    assert invoke("train", str(path), "--out", str(tmp_path / "one")).exit_code == 0
    killed = []

    def kill(state: TrainingState) -> None:
        workers = [
            child.pid
            for child in psutil.Process().children(recursive=True)
            if any("spawn_main" in word for word in child.cmdline())
        ]
        if state.epoch in (3, 6) and workers:
            os.kill(workers[0], signal.SIGKILL)
            killed.append(workers[0])

    config = load_study(path, (), None, None)
    summary = train_on_workers(config, tmp_path / "two", workers=2, on_epoch=kill)
    assert summary["status"] == "finished"
    assert len(killed) == 2
    one, two = (TrainingState.load(tmp_path / run / "checkpoint.npz") for run in ("one", "two"))
    assert one.epoch == two.epoch == 10
    for name, values in one.parameters.items():
        assert np.array_equal(values, two.parameters[name])
