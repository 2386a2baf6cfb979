"""Every study at a tiny size, and with `-m slow` the demo as its README tells it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nepfield.study.run.jobs import train_study
from nepfield.study.systems.systems import load_study
from studies import __main__ as command
from studies.common import STUDIES, Job

ALL = sorted(STUDIES.glob("*/study.toml"))
WAVES = [
    path
    for path in ALL
    if load_study(path).physics.system == "gpe" and not path.parent.name.startswith("mnist")
]
"""Without those of thousands of images, which tests/test_mnist_studies.py has."""
XOR = [STUDIES / name / "study.toml" for name in ("xor-billiard", "xor-interval")]
TINY = ["training.epochs=3", "training.compare_every=1", "figures.enabled=false"]


def name_of(path: Path) -> str:
    return path.parent.name


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_every_study_has_the_name_of_its_folder(path: Path) -> None:
    assert load_study(path).name == name_of(path)  # so that runs/NAME is easy to find


@pytest.mark.parametrize("path", WAVES, ids=name_of)
def test_every_study_learns_from_its_first_epochs(path: Path, tmp_path: Path) -> None:
    config = load_study(path, TINY)
    summary = train_study(config, tmp_path / "run")
    with (tmp_path / "run" / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    costs = [float(row["cost"]) for row in rows] + [summary["cost"]]
    assert np.all(np.diff(costs) < 0)
    assert summary["fraction_converged"] == 1
    assert float(rows[0]["gradient_cosine"]) > (0.99 if path in XOR else 0.9)


@pytest.mark.parametrize("path", XOR, ids=name_of)
def test_the_seed_draws_potential_and_weights(path: Path, tmp_path: Path) -> None:
    starts = []
    for seed in (0, 1):
        config = load_study(path, [*TINY, "training.epochs=0"], seed)
        starts.append(train_study(config, tmp_path / str(seed)))
    assert abs(starts[0]["cost"] - starts[1]["cost"]) > 1e-3
    assert np.abs(np.subtract(starts[0]["weights"], starts[1]["weights"])).min() > 1e-2


def test_many_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study, out = STUDIES / "xor-interval" / "study.toml", tmp_path / "xor-interval" / "seeds.csv"
    there = (study.parent / "seeds.csv").read_bytes()
    few = ["xor-interval", "--quick", "--workers", "1", "--out", str(tmp_path)]
    table = command.main(few)["xor-interval"]["seeds"]
    assert table["seed"].tolist() == [0, 1]
    assert table["cost"].nunique() == 2
    assert not table["success"].any()
    saved = pd.read_csv(out)
    assert saved["cost"].to_numpy() == pytest.approx(table["cost"].to_numpy(float), rel=1e-5)
    assert "xor-interval: " in capsys.readouterr().out
    assert (study.parent / "seeds.csv").read_bytes() == there


def test_a_study_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["xor-billiards"])
    told = capsys.readouterr().err
    assert "xor-billiards: known are " in told
    assert "lattice-xor" in told


@pytest.mark.parametrize("path", XOR, ids=name_of)
def test_the_table_of_seeds_tells_what_solved_means(path: Path) -> None:
    """At least 16 of 20 seeds; each row's verdict follows from its numbers."""
    table = pd.read_csv(path.parent / "seeds.csv")
    assert table["seed"].tolist() == list(range(20))
    outputs = table[[f"output_{k}" for k in range(4)]].to_numpy()
    error = np.abs(outputs - [0, 1, 1, 0]).max(axis=1)
    solved = (table["cost"] < 0.02) & (error < 0.1) & (table["gradient_cosine"] > 0.9)
    assert table["success"].tolist() == solved.tolist()
    assert solved.sum() >= 16


def test_the_microcavity_is_one_of_polaritons(tmp_path: Path) -> None:
    """Its scales, its time in a laboratory, and its table of seeds."""
    path = STUDIES / "polariton-microcavity" / "study.toml"
    config = load_study(path, TINY)
    assert config.units is not None
    assert config.units.scales.factor(energy=1) == pytest.approx(2.540, abs=1e-3)
    assert 2 * config.physics.loss * config.units.scales.factor(energy=1) == pytest.approx(0.1)
    summary = train_study(config, tmp_path / "run")
    assert np.ravel(summary["targets"]) == pytest.approx([0, 30, 30, 0])
    assert summary["laboratory"]["seconds"] == pytest.approx(24 * 50 * 13.164e-12, rel=1e-3)
    assert summary["gradient_cosine"] > 0.99
    table = pd.read_csv(path.with_name("seeds.csv"))
    assert len(table) >= 5
    assert table["success"].all()


@pytest.mark.slow
def test_the_demo(tmp_path: Path) -> None:
    summary = train_study(load_study(STUDIES / "xor-billiard" / "study.toml"), tmp_path / "run")
    assert summary["cost"] < 0.02
    outputs = np.ravel(summary["outputs"])
    assert outputs[[0, 3]].max() < 0.1
    assert outputs[[1, 2]].min() > 0.9
    assert summary["gradient_cosine"] > 0.9
    assert summary["gradient_cosine_epoch"] == summary["epochs"]


@pytest.mark.slow
@pytest.mark.parametrize("path", XOR, ids=name_of)
def test_sixteen_of_twenty_seeds(path: Path, tmp_path: Path) -> None:
    name = path.parent.name
    job = Job(name, tmp_path, tmp_path / "runs", lambda function, items: [*map(function, items)])
    table = command.make(job)["seeds"]
    assert len(table) == 20
    assert table["success"].sum() >= 16
    saved = pd.read_csv(path.parent / "seeds.csv")  # as the README tells it
    assert saved["success"].tolist() == table["success"].tolist()
