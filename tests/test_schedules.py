"""Rates that change, trainings that end early, and the epoch that is best on validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import values_of
from test_cli import CHAIN, write_study

import nepfield as nf
from nepfield.learning.schedules import best_epoch
from nepfield.learning.state import TrainingState
from nepfield.study.run.jobs import solve_study, train_study
from nepfield.study.systems.systems import load_study
from tests.cases import chain_cost, chain_system

XOR = nf.xor()
HELD = nf.Task(  # best on the way, not at its end
    XOR.inputs, XOR.targets, validation_inputs=XOR.inputs, validation_targets=0.3 * XOR.targets
)


def train(task: nf.Task = XOR, **options: Any) -> nf.TrainingResult:
    start = chain_system(np.random.default_rng(0))
    defaults = {"optimizer": nf.Adam(0.02), "epochs": 6}
    return nf.train(start, chain_cost(), task, **{**defaults, **options})


def costs(result: nf.TrainingResult) -> list[float]:
    return [row["cost"] for row in result.history]


@pytest.mark.parametrize("shape", ["cosine", "linear", "exponential"])
@pytest.mark.parametrize("warmup", [0, 3])
def test_a_schedule_rises_and_falls(shape: str, warmup: int) -> None:
    schedule = nf.Schedule(shape, over=20, final=0.1, warmup=warmup)
    factors = [schedule.factor(epoch) for epoch in range(1, 31)]
    assert max(factors) == factors[warmup] == 1.0
    assert np.all(np.diff(factors[: warmup + 1]) > 0)
    assert np.all(np.diff(factors[warmup:20]) < 0)
    assert factors[20:] == pytest.approx([0.1] * 10)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": "steps"},
        {"over": 0},
        {"over": 5, "warmup": 5},
        {"warmup": -1},
        {"final": 1.5},
        {"final": np.nan},
        {"shape": "exponential", "final": 0.0},
    ],
)
def test_no_schedule(wrong: dict[str, Any]) -> None:
    with pytest.raises(nf.InputError, match="schedule"):
        nf.Schedule(**wrong)


def test_rates_are_multiplied() -> None:
    """Half the rate by a schedule is half the rate."""
    half = nf.Schedule("linear", over=1, final=0.5)
    assert [half.factor(epoch) for epoch in (1, 2, 9)] == [1.0, 0.5, 0.5]
    first = train(optimizer=nf.SGD(0.05), epochs=1)
    by_hand = nf.train(
        first.system, chain_cost(), XOR, optimizer=nf.SGD(0.025), epochs=3, warm_start=False
    )
    by_schedule = train(optimizer=nf.SGD(0.05), epochs=4, schedule=half, warm_start=False)
    for name, values in values_of(by_schedule.system).items():
        np.testing.assert_allclose(values, values_of(by_hand.system)[name], rtol=1e-9)


def test_a_schedule_does_not_know_how_long_the_training_is(tmp_path: Path) -> None:
    how = {"schedule": nf.Schedule(over=8, warmup=2)}
    whole = train(epochs=6, **how)
    train(epochs=3, checkpoint=tmp_path / "checkpoint.npz", **how)
    resumed = train(epochs=6, checkpoint=tmp_path / "checkpoint.npz", resume=True, **how)
    assert costs(whole) == costs(resumed)


def test_enough_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    long = train(epochs=40)
    enough = costs(long)[9]
    short = train(epochs=40, stop=nf.Stop(cost=enough), checkpoint=path)
    assert costs(short) == costs(long)[: len(short.history)]
    assert short.history[-1]["cost_after"] <= enough
    assert not any(row.get("cost_after", np.inf) <= enough for row in short.history[:-1])
    assert nf.evaluate(short.system, chain_cost(), XOR.inputs, XOR.targets).cost <= enough
    again = train(epochs=40, stop=nf.Stop(cost=enough), checkpoint=path, resume=True)
    assert costs(again) == costs(short)


def test_patience() -> None:
    def history(*values: float) -> list[dict[str, float]]:
        return [{"epoch": k, "cost": value} for k, value in enumerate(values, 1)]

    stop = nf.Stop(patience=2)
    assert not stop.reached([])
    assert not stop.reached(history(1, 0.5, 0.6))
    assert stop.reached(history(1, 0.5, 0.6, 0.5))
    assert not stop.reached(history(1, 0.5, 0.6, 0.49))
    looked = [{"epoch": k, "cost": 1 / k, "validation_cost": v} for k, v in
              enumerate([3, np.nan, 1, np.nan, 2], 1)]  # fmt: skip
    assert stop.reached(looked)
    assert not stop.reached(looked[:4])
    rare = [{"epoch": k, "cost": 1.0, "validation_cost": v} for k, v in
            enumerate([3, *[np.nan] * 5, 4, np.nan], 1)]  # fmt: skip
    assert not stop.reached(rare[:6])  # nobody has looked again
    assert stop.reached(rare[:7])
    assert nf.Stop(cost=1).reached(looked[:3])
    assert not nf.Stop(cost=1).reached(looked)
    assert best_epoch(looked) == 3
    assert best_epoch(history(1.0)) is None
    with pytest.raises(nf.InputError, match="give cost"):
        nf.Stop()
    with pytest.raises(nf.InputError, match="patience = 0"):
        nf.Stop(patience=0)


def test_the_best_epoch_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    how = {"optimizer": nf.Adam(0.1), "epochs": 12, "evaluate_every": 1, "keep": "best"}
    result = train(HELD, checkpoint=path, **how)
    held = [row["validation_cost"] for row in result.history]
    best = int(np.argmin(held))
    assert 0 < best < 11
    found = nf.evaluate(
        result.system, chain_cost(), HELD.validation_inputs, HELD.validation_targets
    )
    assert found.cost == pytest.approx(held[best], rel=1e-6)
    state = TrainingState.load(path)
    assert state.kept is state.best
    train(HELD, checkpoint=tmp_path / "part.npz", **{**how, "epochs": best + 3})
    resumed = train(HELD, checkpoint=tmp_path / "part.npz", resume=True, **how)
    for name, values in values_of(result.system).items():
        assert values.tobytes() == values_of(resumed.system)[name].tobytes()


def test_what_is_kept_may_be_the_last_after_the_best_and_not_the_other_way(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    how = {"optimizer": nf.Adam(0.1), "evaluate_every": 1, "checkpoint": path}
    train(HELD, epochs=3, keep="best", **how)
    resumed = train(HELD, epochs=4, keep="last", resume=True, **how)
    plain = train(HELD, epochs=4, **{**how, "checkpoint": None})
    for name, values in values_of(plain.system).items():
        np.testing.assert_array_equal(values, values_of(resumed.system)[name])
    assert not TrainingState.load(path).best
    with pytest.raises(nf.InputError, match="kept its last parameters alone"):
        train(HELD, epochs=5, keep="best", resume=True, **how)


def test_the_best_needs_validation_samples(tmp_path: Path) -> None:
    with pytest.raises(nf.InputError, match="validation"):
        train(keep="best", evaluate_every=1)
    with pytest.raises(nf.InputError, match="evaluate_every"):
        train(HELD, keep="best")
    with pytest.raises(nf.InputError, match="'last' or 'best'"):
        train(keep="first")
    path = write_study(tmp_path, CHAIN | {"training": {"keep": "best", "evaluate_every": 1}})
    with pytest.raises(nf.InputError, match=r"task\.validation"):
        train_study(load_study(path), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("training", "told"),
    [
        ({"keep": "best"}, "goes with evaluate_every"),
        ({"keep": "first"}, '"last" or "best"'),
        ({"stop": {}}, "give cost, patience, or both"),
        ({"stop": {"patience": 0}}, "training.stop.patience"),
        ({"schedule": {"over": 5, "warmup": 7}}, "over is the number of epochs in all"),
        ({"schedule": {}}, "training.schedule.over"),
        ({"schedule": {"over": 5, "shape": "steps"}}, '"cosine"'),
    ],
)
def test_mistakes_in_a_study(tmp_path: Path, training: dict[str, Any], told: str) -> None:
    with pytest.raises(nf.InputError, match=told):
        load_study(write_study(tmp_path, CHAIN | {"training": training}))


def test_a_study_that_ends_early(tmp_path: Path) -> None:
    """It is finished, says so, compares its last gradient, and goes on if it is asked for less."""
    training = {"epochs": 50, "rate": 0.02, "stop": {"cost": 100.0}, "schedule": {"over": 50}}
    config = load_study(write_study(tmp_path, CHAIN | {"training": training}))
    summary = train_study(config, tmp_path / "run")
    assert (summary["status"], summary["epochs"], summary["stopped"]) == ("finished", 1, True)
    assert summary["gradient_cosine_epoch"] == 1
    assert summary["gradient_cosine"] > 0.5
    assert train_study(config, tmp_path / "run", resume=True)["epochs"] == 1
    training["stop"] = {"cost": 1e-9}
    training["epochs"] = 3
    config = load_study(write_study(tmp_path, CHAIN | {"training": training}))
    on = train_study(config, tmp_path / "run", resume=True)
    assert (on["epochs"], on["stopped"]) == (3, False)


def test_what_is_kept_is_what_is_solved(tmp_path: Path) -> None:
    training = {
        "epochs": 8, "rate": 1.5, "optimizer": "sgd", "evaluate_every": 1, "keep": "best",
    }  # fmt: skip
    task = {"name": "xor", "validation": 0.25}
    config = load_study(write_study(tmp_path, CHAIN | {"training": training, "task": task}))
    summary = train_study(config, tmp_path / "run")
    solved = solve_study(config, tmp_path / "solved", tmp_path / "run")
    np.testing.assert_allclose(solved["outputs"], summary["outputs"], rtol=1e-6)
    held = nf.open_run(tmp_path / "run").history["validation_cost"].to_list()
    assert summary["validation_cost"] == pytest.approx(min(held), rel=1e-6)
    assert summary["kept_epoch"] == int(np.argmin(held)) + 1
