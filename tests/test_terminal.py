"""What the terminal says: bars, the report of a run, the table of gradients."""

from __future__ import annotations

import csv
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from nepfield.reports import report, tell
from nepfield.study.sweeps.cluster import SweepProgress
from nepfield.terminal import (
    SweepBar,
    TrainingBar,
    print_comparison,
    print_statistics,
)

XOR: dict[str, Any] = {
    "status": "finished",
    "epochs": 200,
    "name": "xor-billiard",
    "rule": "nep",
    "cost": 0.007187094870571243,
    "largest_error": 0.028669870000351618,
    "inputs": [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]],
    "targets": [[0.0], [1.0], [1.0], [0.0]],
    "outputs": [[0.0], [0.9754812377491014], [0.9736659475268761], [0.028669870000351618]],
    "weights": [-1.6771369935312825, 1.448026384709529],
    "units": {},
    "fraction_converged": 1.0,
    "warnings": [],
    "gradient_cosine": 0.9994324692851153,
    "gradient_cosine_epoch": 200,
    "samples_left_out": 0,
    "laboratory": {"states": 1600, "decay_times_a_state": 50.0, "decay_times": 80000.0},
    "notes": [],
}
UNITS = {
    "weight": {"unit": "meV/µm", "factor": 0.68},
    "density": {"unit": "1/µm^2", "factor": 2.0},
    "target": {"unit": "1/µm^2", "factor": 2.0},
    "cost": {"unit": "1/µm^4", "factor": 4.0},
}


def lines(**changes: Any) -> list[str]:
    return report(XOR | changes, Path("runs/x"))


def test_report_of_xor() -> None:
    assert report(XOR, Path("runs/xor-billiard")) == [
        "xor-billiard: finished",
        "  cost 0.007187 (mean over 4 samples)",
        "  gradient: cosine 0.9994 between nep and the adjoint, epoch 200",
        "  inputs 0, 0 -> 0.000 (target 0)",
        "  inputs 0, 1 -> 0.975 (target 1)",
        "  inputs 1, 0 -> 0.974 (target 1)",
        "  inputs 1, 1 -> 0.029 (target 0)",
        "  in a laboratory: 1600 steady states of 50/gamma each",
        "  wrote runs/xor-billiard/",
    ]


def test_report_of_what_went_wrong_in_units() -> None:
    assert lines(
        units=UNITS,
        status="interrupted",
        fraction_converged=0.75,
        samples_left_out=3,
        warnings=["a coarse mesh"],
        laboratory=XOR["laboratory"] | {"seconds": 1.05e-5},
    ) == [
        "xor-billiard: interrupted",
        "  cost 0.02875 1/µm^4 (mean over 4 samples)",
        "  gradient: cosine 0.9994 between nep and the adjoint, epoch 200",
        "  inputs 0, 0 -> 0.000 1/µm^2 (target 0)",
        "  inputs 0, 1 -> 1.951 1/µm^2 (target 2)",
        "  inputs 1, 0 -> 1.947 1/µm^2 (target 2)",
        "  inputs 1, 1 -> 0.057 1/µm^2 (target 0)",
        "  weights -1.14, 0.9847 meV/µm",
        "  in a laboratory: 1600 steady states of 50/gamma each, 10.5 µs",
        "  25.0% of the samples did not converge",
        "  left out while training, since they did not converge: 3 samples in 200 epochs",
        "  warning: a coarse mesh",
        "  wrote runs/x/",
        "  go on with --resume",
    ]


def test_report_of_a_classification() -> None:
    digits = {
        "inputs": np.zeros((64, 64)),
        "targets": np.zeros((64, 10)),
        "outputs": np.zeros((64, 10)),
        "samples": {"train": 1000, "validation": 100, "test": 700},
        "metrics": ["mean_distance", "accuracy"],
        "average_epochs": 100,
        "mean_distance": 0.91,
        "test_mean_distance": 1.02,
        "accuracy": 0.95,
        "validation_accuracy": 0.92,
        "test_accuracy": 0.9114,
        "best_test_accuracy": 0.9243,
        "gradient_cosine": None,
        "laboratory": None,
    }
    assert lines(**digits) == [
        "xor-billiard: finished",
        "  cost 0.007187 (mean over 1000 samples)",
        "  accuracy: train 95.00%, validation 92.00%, test 91.14% (mean of the last 100 epochs)",
        "  mean distance: train 0.91, test 1.02 (mean of the last 100 epochs)",
        "  best test accuracy of all epochs 92.43% (the papers' best of the curve)",
        "  wrote runs/x/",
    ]
    (accuracy,) = (line for line in lines(accuracy=0.5) if "accuracy" in line)
    assert accuracy == "  accuracy: train 50.00%"


def test_a_system_says_what_is_told() -> None:
    """Also instead of what is told without its word."""
    told = lines(
        units={"energy": {"unit": "meV", "factor": 2.0}},
        report=[
            {"label": "stiffness", "values": [1.5, 0.25], "unit": "energy"},
            {"label": "bias", "values": np.arange(12)},
            {"label": "gap", "values": 0.1, "unit": "angle"},
            {"label": "on a device", "text": "1600 readings"},
        ],
    )
    assert told[7:-1] == [
        "  stiffness 3, 0.5 meV",
        "  bias 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... (12 in all)",
        "  gap 0.1",
        "  on a device: 1600 readings",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": np.zeros((9, 2)), "targets": np.zeros((9, 1)), "outputs": np.zeros((9, 1))},
        {"inputs": np.zeros((2, 64)), "targets": np.zeros((2, 1)), "outputs": np.zeros((2, 1))},
    ],
    ids=["many samples", "long inputs"],
)
def test_long_tables_are_not_told(changes: dict[str, Any]) -> None:
    assert not any("inputs" in line for line in lines(**changes))


def test_quiet_says_only_why_there_are_no_pictures(capsys: pytest.CaptureFixture) -> None:
    tell(XOR | {"notes": ["no OpenGL"]}, Path("runs/x"), quiet=True)
    assert capsys.readouterr() == ("", "no pictures of fields: no OpenGL\n")
    tell(XOR, Path("runs/x"), quiet=False)
    assert capsys.readouterr().out.splitlines() == lines()


def test_lines_where_there_is_no_screen(capsys: pytest.CaptureFixture) -> None:
    with TrainingBar("[bold]digits", 40, quiet=False) as bar:
        for epoch in range(1, 10):
            row = {"cost": 1 / epoch, "accuracy": 0.1 * epoch, "test_accuracy": np.nan}
            bar.show(epoch, row | ({"test_accuracy": 0.5} if epoch == 5 else {}))
    assert capsys.readouterr().err.splitlines() == [
        "epoch 4/40  cost 0.25  accuracy 40.0%",
        "epoch 8/40  cost 0.125  accuracy 80.0%  test accuracy 50.0%",
    ]
    with TrainingBar("digits", 1, quiet=True) as bar:
        bar.show(1, {"cost": 1.0})
    assert capsys.readouterr() == ("", "")


def test_comparison_of_any_parameters(capsys: pytest.CaptureFixture) -> None:
    names = ["cosine", "norm_ratio", "cosine_bias_phase", "norm_ratio_bias_phase", "samples"]
    table = pd.DataFrame([[0.5, 1.0, 0.25, 2.0, 4]], columns=names, index=["ep"])
    table.index.name = "rule"
    print_comparison(table.astype({"samples": int}), "[x] xor")
    title, _, measures, parameters, _, row, *_ = capsys.readouterr().out.splitlines()
    assert title.strip() == "[x] xor: gradient rules against the adjoint"
    assert re.split(r"\s\s+", measures.strip()) == ["cosine", "norm ratio"] * 2
    assert re.split(r"\s\s+", parameters.strip()) == ["rule", "bias phase", "bias phase", "samples"]
    assert row.split() == ["ep", "0.50000", "1.00000", "0.25000", "2.00000", "4"]


NAMES = ["set{a,b}", "{}", "V0[eV]", "[bold]x[/bold]", "[/]", "a :smile: b", "%s {task}"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_text_and_no_markup(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = partial(Console, force_terminal=True, width=200, color_system=None)
    monkeypatch.setattr("nepfield.terminal.Console", screen)
    with TrainingBar(name, 4, quiet=False) as bar:
        bar.show(4, {"cost": 1.0})
    assert f"{name} " in capsys.readouterr().err
    with SweepBar(name, 4, quiet=False) as bar:
        bar.show(SweepProgress(4, 3, 1, 0, f"case {name} failed: {name}"))
    assert f"case {name} failed: {name}\n" in (told := capsys.readouterr().err)
    assert told.count(name) >= 3  # and on the bar
    table = pd.DataFrame([[0.5, "a"]], columns=["cosine", name], index=[name])
    table.index.name = "rule"
    print_comparison(table, name)
    assert capsys.readouterr().out.count(name) == 3
    path = tmp_path / "U1[eV]{a}" / "statistics.csv"
    path.parent.mkdir()
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["label", name, "rate"], [name, name, 0.5]])
    print_statistics(path)
    told = capsys.readouterr().out
    assert told.count(name) == 3
    assert "U1[eV]{a}: statistics" in told
