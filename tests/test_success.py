"""[success] of a sweep: what is refused, how trainings are judged, counted and drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w
from scipy.stats import binomtest
from typer.testing import CliRunner

from nepfield.cli import app
from nepfield.errors import InputError
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.sweeps.results import write_results
from nepfield.study.sweeps.sweep import check_cases, open_sweep
from nepfield.study.text.success import Outcome, outcome_of, read_success
from nepfield.terminal import print_statistics
from nepfield.view import sweeps
from nepfield.view.sweeps import plot_sweep, wilson
from tests.test_sweep import STUDY

LABELLED = {
    "seeds": {"count": 3},
    "grid": {"training.rule": ["nep", "adjoint"]},
    "list": [
        {"label": "study"},
        {"label": "far", "potential.initial": 0.2, "training.epochs": 4},
    ],
    "success": {"cost": 0.01},
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Write a sweep file beside a study."""
    (tmp_path / "study.toml").write_text(STUDY)

    def to(content: dict[str, Any]) -> Path:
        (tmp_path / "sweep.toml").write_text(tomli_w.dumps({"study": "study.toml"} | content))
        return tmp_path / "sweep.toml"

    return to


def run_folder(folder: Path, summary: dict[str, Any], **history: list[float]) -> Path:
    """What a training leaves, as far as results are made of it."""
    folder.mkdir(parents=True)
    content = {"status": "finished", "epochs": 3, "unknowns": 9, "cells": 9} | summary
    (folder / "summary.json").write_text(json.dumps(content))
    if history:
        table = pd.DataFrame({"epoch": range(1, 4), **history})
        table.to_csv(folder / "history.csv", index=False)
    return folder / "history.csv"


# --- what is said


def test_a_number_alone_is_a_most_or_a_least() -> None:
    limits = read_success(
        {
            "cost": 0.01, "largest_error": 1, "mean_distance": 0.1, "largest_residual": 1e-6,
            "accuracy": 0.9, "best_test_accuracy": 0.9, "gradient_cosine": 0.9,
            "fraction_converged": 1,
        },
        "",
    )  # fmt: skip
    assert [limit.below for limit in limits] == [True] * 4 + [False] * 4
    assert [limit.value for limit in limits][:2] == [0.01, 1.0]
    for limit in limits:
        assert limit.met(limit.value)  # the limit itself included
        assert limit.met(limit.value - 1e-3) is limit.below
        assert limit.met(limit.value + 1e-3) is not limit.below
        assert not any(limit.met(figure) for figure in (None, np.nan, "0", True))


def test_both_sides_may_be_given() -> None:
    low, high = read_success({"loss_ratio": {"above": 0.1, "below": 0.2}}, "")
    assert (low.below, low.value, high.below, high.value) == (False, 0.1, True, 0.2)


@pytest.mark.parametrize(
    ("success", "says"),
    [
        ({}, ["[success]", "cost = 0.01"]),
        (0.01, ["[success]", "cost = 0.01"]),
        ({"loss_ratio": 0.1}, ["loss_ratio = 0.1", "{ below = 0.1 } or { above = 0.1 }"]),
        ({"cost": "0.1"}, ["cost = '0.1'", "finite number"]),
        ({"cost": float("nan")}, ["cost = nan", "finite number"]),
        ({"cost": True}, ["cost = True", "finite number"]),
        ({"cost": [0.1]}, ["cost = [0.1]", "finite number"]),
        ({"cost": {"under": 0.1}}, ["cost = { under = 0.1 }", "{ below = x }"]),
        ({"cost": {}}, ["cost", "{ below = x }"]),
        ({"cost": {"below": "low"}}, ["cost = { below = 'low' }", "finite number"]),
        ({"larges_error": 0.1}, ["larges_error", "did you mean largest_error?", "cost, largest"]),
        ({"accuracy": 0.9}, ["accuracy: the study has no such figure", "{ below = x }"]),
        ({"test_cost": 0.1}, ["test_cost: the study has no such figure"]),
        ({"gradient_cosine": 0.9}, ["gradient_cosine: the study has no such figure"]),
    ],
)
def test_refusals(write: Callable[[dict[str, Any]], Path], success: Any, says: list[str]) -> None:
    path = write({"success": success})
    out = path.parent / "out"
    result = CliRunner().invoke(app, ["sweep", str(path), "--out", str(out)])
    assert result.exit_code == 2
    assert not out.exists()
    for words in (*says, "sweep.toml: [success]"):
        assert words in result.stderr


def test_what_a_study_has_is_known(write: Callable[[dict[str, Any]], Path]) -> None:
    success = {"largest_error": 0.1, "gradient_cosine": 0.9, "loss_ratio": {"below": 0.1}}
    plan = write({"success": success, "set": {"training.compare_every": 1}})
    check_cases(load_sweep(plan))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"seeds": {"count": 0}}, "{ count = 100 }"),
        ({"seeds": {"count": 2, "last": 3}}, "{ first = 0, count = 100 }"),
        ({"seeds": {"first": -1, "count": 3}}, "seeds = {'first': -1"),
        ({"seeds": {}}, "{ count = 100 }"),
        ({"seeds": {"count": 10**9}}, "1000000000 cases"),
        ({"list": [{"label": "a"}, {"physics.g": 0.1}]}, "[[list]] 1: label has none"),
        ({"list": [{"label": "a"}, {"label": "a"}]}, "label 'a' stands twice"),
        ({"list": [{"label": 3}]}, "label = 3 is no text"),
        ({"grid": {"label": ["a", "b"]}}, "grid.label: a label names an entry of [[list]]"),
    ],
)
def test_seeds_and_labels_are_checked(
    write: Callable[[dict[str, Any]], Path], content: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError) as error:
        load_sweep(write(content))
    assert says in str(error.value)


def test_labels_name_the_cases(write: Callable[[dict[str, Any]], Path], tmp_path: Path) -> None:
    sweep = load_sweep(write(LABELLED))
    assert [(c.values["training.rule"], c.label, c.seed) for c in sweep.cases] == [
        (rule, label, seed)
        for rule in ("nep", "adjoint")
        for label in ("study", "far")
        for seed in (0, 1, 2)
    ]
    assert sweep.keys == ("training.rule", "potential.initial", "training.epochs")
    assert sweep.cases[4].folder == "04-far-rule-nep-seed-1"
    assert sweep.config(sweep.cases[4]).training.epochs == 4
    open_sweep(sweep, tmp_path / "out", resume=False)
    again = load_sweep(tmp_path / "out" / "sweep.toml")
    assert again.cases == sweep.cases
    assert again.success == sweep.success
    assert load_sweep(write({"seeds": {"first": 5, "count": 2}})).cases[1].seed == 6


# --- how a training is judged


@pytest.mark.parametrize(
    ("cost", "costs", "expected"),
    [
        (0.01, [0.2, 0.1, 0.02], Outcome(True, 3, True)),  # by the last step
        (0.005, [0.2, 0.009, 0.02], Outcome(True, 1, True)),
        (0.02, [0.2, 0.009, 0.01], Outcome(False, 1, True)),  # and away again
        (0.02, [0.001, 0.1, 0.1], Outcome(False, 0, True)),  # so it began
        (0.02, [0.2, np.nan, 0.1], Outcome(False, None, False)),
        (None, [0.2, np.nan, 0.1], Outcome(False, None, False)),  # no steady state at the end
    ],
)
def test_the_end_decides(
    tmp_path: Path, cost: float | None, costs: list[float], expected: Outcome
) -> None:
    history = run_folder(tmp_path / "run", {}, cost=costs)
    limits = read_success({"cost": 0.01}, "")
    assert outcome_of(limits, {"cost": cost, "epochs": 3}, history) == expected


def test_all_limits_must_be_met_at_once(tmp_path: Path) -> None:
    limits = read_success({"cost": 0.01, "gradient_cosine": 0.9}, "")
    history = run_folder(
        tmp_path / "run",
        {},
        cost=[0.001, 0.001, 0.001],
        gradient_cosine=[0.8, np.nan, 0.95],
    )
    found = outcome_of(limits, {"cost": 0.001, "gradient_cosine": 0.8, "epochs": 3}, history)
    assert found == Outcome(False, 2, True)


def test_figures_that_the_history_has_not(tmp_path: Path) -> None:
    limits = read_success({"mean_distance": 0.01}, "")
    history = run_folder(tmp_path / "run", {}, cost=[1, 1, 1])
    for path in (history, tmp_path / "nothing.csv"):
        assert outcome_of(limits, {"mean_distance": 0.1}, path) == Outcome(False, None, False)
        assert outcome_of(limits, {"mean_distance": 0.0}, path) == Outcome(True, None, True)
        assert outcome_of(limits, {"cost": 0.0}, path) == Outcome()


# --- tables


@pytest.fixture
def swept(write: Callable[[dict[str, Any]], Path], tmp_path: Path) -> Path:
    """A sweep of twelve cases with hand-made run folders: ten finished, one failed, one not run."""
    sweep, out = load_sweep(write(LABELLED)), tmp_path / "out"
    open_sweep(sweep, out, resume=False)
    for case in sweep.cases[:10]:
        cost = 0.1 if case.seed == 0 else 0.001 * (case.number + 1)
        costs = [1.0, 0.005 if case.label == "far" else 0.5, 0.05]
        run_folder(out / "cases" / case.folder, {"cost": cost}, cost=costs)
    failed = out / "cases" / sweep.cases[10].folder
    failed.mkdir()
    (failed / "error.json").write_text(json.dumps({"error": "MemoryError", "message": "no room"}))
    write_results(out)
    return out


def test_results_have_the_verdict(swept: Path) -> None:
    table = pd.read_csv(swept / "results.csv")
    assert list(table.columns[:10]) == [
        "case", "seed", "label", "training.rule", "potential.initial", "training.epochs",
        "status", "success", "epochs_to_success", "ever",
    ]  # fmt: skip
    assert table["label"].tolist() == (["study"] * 3 + ["far"] * 3) * 2
    assert table["success"].fillna("nan").astype(str).tolist() == [
        "False", "True", "True", "False", "True", "True",
        "False", "True", "True", "False", "False", "nan",
    ]  # fmt: skip
    epochs = [np.nan, 3, 3, 1, 1, 1, np.nan, 3, 3, 1, np.nan, np.nan]
    assert np.array_equal(table["epochs_to_success"], epochs, equal_nan=True)
    assert table["ever"].fillna("nan").astype(str).tolist()[3:] == [
        "True", "True", "True", "False", "True", "True", "True", "False", "nan",
    ]  # fmt: skip


def test_statistics_over_the_seeds(swept: Path) -> None:
    table = pd.read_csv(swept / "statistics.csv")
    assert list(table.columns) == [
        "label", "training.rule", "potential.initial", "training.epochs", "seeds", "failed",
        "successes", "rate", "ever", "epochs_to_success", "cost_median", "cost_min", "cost_max",
    ]  # fmt: skip
    assert table["label"].tolist() == ["study", "far"] * 2
    assert table["training.rule"].tolist() == ["nep", "nep", "adjoint", "adjoint"]
    assert table["seeds"].tolist() == [3, 3, 3, 2]
    assert table["failed"].tolist() == [0, 0, 0, 1]
    assert table["successes"].tolist() == [2, 2, 2, 0]
    assert table["rate"].tolist() == pytest.approx([2 / 3] * 3 + [0])
    assert table["ever"].tolist() == [2, 3, 2, 1]
    assert table["epochs_to_success"].tolist() == [3, 1, 3, 1]
    assert table["cost_median"].tolist() == pytest.approx([0.003, 0.006, 0.009, 0.1])
    assert table["cost_min"].tolist() == pytest.approx([0.002, 0.005, 0.008, 0.1])
    assert (table["cost_max"] == 0.1).all()


def test_tables_are_rebuilt_from_the_folders(
    swept: Path, write: Callable[[dict[str, Any]], Path]
) -> None:
    names = ("results.csv", "statistics.csv")
    before = [(swept / name).read_bytes() for name in names]
    for name in names:
        (swept / name).unlink()
    write_results(swept)
    assert [(swept / name).read_bytes() for name in names] == before
    # another limit is no other sweep, and without one there is nothing to count
    sweep = load_sweep(write(LABELLED | {"success": {"cost": 0.004}}))
    open_sweep(sweep, swept, resume=True)
    assert write_results(swept)["success"].eq(True).sum() == 2
    content = {key: value for key, value in LABELLED.items() if key != "success"}
    open_sweep(load_sweep(write(content)), swept, resume=True)
    assert "success" not in write_results(swept)
    assert not (swept / "statistics.csv").exists()


def test_a_sweep_of_seeds_alone(write: Callable[[dict[str, Any]], Path], tmp_path: Path) -> None:
    sweep = load_sweep(write({"seeds": [0, 1], "success": {"cost": 0.01}}))
    out = tmp_path / "out"
    open_sweep(sweep, out, resume=False)
    write_results(out)
    (row,) = pd.read_csv(out / "statistics.csv").to_dict("records")
    assert (row["seeds"], row["successes"]) == (0, 0)
    assert np.isnan(row["rate"])
    for case in sweep.cases:
        run_folder(out / "cases" / case.folder, {"cost": 0.02 * case.seed}, cost=[1, 1, 1])
    write_results(out)
    (row,) = pd.read_csv(out / "statistics.csv").to_dict("records")
    assert (row["seeds"], row["successes"], row["rate"]) == (2, 1, 0.5)


def test_what_is_printed(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_statistics(swept / "statistics.csv")
    said = capsys.readouterr().out
    head, rows = said.split("─" * 20, 1)
    for name in ("label", "rule", "seeds", "failed", "successes", "rate", "ever"):
        assert name in head.split()
    assert "initial" not in said  # follows from the label
    rows = [line.split() for line in rows.splitlines()[1:] if line.strip()]
    assert rows[0][:7] == ["study", "nep", "3", "0", "2", "66.7%", "2"]
    assert len(rows) == 4
    long = pd.concat([pd.read_csv(swept / "statistics.csv")] * 20)
    long.to_csv(swept / "long.csv", index=False)
    print_statistics(swept / "long.csv")
    assert "... and 40 more rows in" in capsys.readouterr().out
    print_statistics(swept / "nothing.csv")
    assert not capsys.readouterr().out


# --- pictures


@pytest.mark.parametrize(("successes", "runs"), [(0, 5), (3, 10), (20, 20), (97, 100)])
def test_the_interval_is_wilsons(successes: int, runs: int) -> None:
    expected = binomtest(successes, runs).proportion_ci(0.95, "wilson")
    assert wilson(successes, runs) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_shares_are_drawn(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, str | None, list[float]]] = []
    shares = sweeps._shares

    def noted(figure: Any, table: pd.DataFrame, key: str, field: str, family: Any = None) -> None:
        drawn.append((key, family, table.groupby("label", sort=False)[field].mean().tolist()))
        shares(figure, table, key, field, family)

    monkeypatch.setattr(sweeps, "_shares", noted)
    assert plot_sweep(swept, field="success").stat().st_size > 5_000
    assert plot_sweep(swept, field="ever") == swept / "figures" / "ever.png"
    # keys that follow from the label make no axis; a case that failed is no success
    (key, family, shown), _ = drawn
    assert (key, family) == ("label", "training.rule")
    assert shown == pytest.approx([4 / 6, 2 / 5])


@pytest.mark.parametrize(
    "columns",
    [
        {"seed": [0, 1, 2, 3]},
        {"physics.g": [0.1, 0.1, 10.0, 10.0]},
        {"physics.g": [0.1, 0.2] * 2, "physics.loss": [1, 1, 2, 2]},
        {"physics.g": [0.1, 0.2] * 2, "training.rule": ["nep", "nep", "adjoint", "adjoint"]},
        {"domain.mesh": ["a.msh", "b.msh"] * 2},
    ],
)
def test_pictures_of_shares(tmp_path: Path, columns: dict[str, Any]) -> None:
    columns = {"seed": 0} | columns
    table = pd.DataFrame({**columns, "status": ["finished"] * 3 + ["failed"]})
    table.insert(0, "case", range(4))
    table["success"] = [True, False, True, False]
    table.to_csv(tmp_path / "results.csv", index=False)
    assert 5_000 < plot_sweep(tmp_path, field="success").stat().st_size < 300_000


def test_without_success_the_message_says_where_it_comes_from(tmp_path: Path) -> None:
    table = pd.DataFrame({"case": [0], "seed": 0, "status": "finished", "cost": 1.0})
    table.to_csv(tmp_path / "results.csv", index=False)
    with pytest.raises(InputError, match=r"has cost \(it comes with \[success\]"):
        plot_sweep(tmp_path, field="success")
