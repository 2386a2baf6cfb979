"""The study of which states are real: one device anew, and what its tables say."""

from __future__ import annotations

from importlib import import_module

import pandas as pd
import pytest
from helpers import MESHES

STUDY = MESHES.parent / "studies" / "real-states"
states = import_module("studies.real-states.states")
figures = import_module("studies.real-states.figures")


@pytest.fixture(scope="module")
def trainings() -> pd.DataFrame:
    return pd.read_csv(STUDY / "trainings.csv")


def test_no_training_that_fails_when_switched_on_is_called_learnt(trainings: pd.DataFrame) -> None:
    assert len(trainings) == 48
    learnt = trainings[trainings["verdict"] == "learnt"]
    assert len(learnt) > 30
    assert learnt["switched_on_fits"].all()
    alone = trainings[trainings["prefer"] == "any"]
    assert (alone["fits"] & ~alone["switched_on_fits"]).sum() >= 3  # what cost alone would pass


def test_states_that_contract_are_reached() -> None:
    table = pd.read_csv(STUDY / "states.csv")
    assert table["contracting"].sum() > 500
    assert table["contracting and missed"].sum() == 0
    assert table["unstable and reached"].sum() == 0
    low = table[(table["device"] == "nine sites") & (table["shift"] == "0 to 1")]
    high = table[(table["device"] == "nine sites") & (table["shift"] == "10 to 30")]
    assert low["unstable"].sum() < 0.02 * low["states"].sum()
    assert high["unstable"].sum() > 0.3 * high["states"].sum()


def test_a_device_anew() -> None:
    rows = pd.DataFrame(states.state_rows(("nine sites", "density", 0.3, -1.0, 1.0, 0)))
    assert rows["converged"].all()
    assert set(rows["stability"]) <= {"proved", "stable", "unstable"}
    binned = figures.bins(rows)
    assert binned["states"].sum() == 3
    assert (binned["reached"] + binned["other state"] + binned["does not settle"]).sum() == 3


def test_each_device_that_went_wrong_is_told_why_and_its_advice_followed() -> None:
    table = pd.read_csv(STUDY.parent / "verdicts" / "results.csv")
    first = table.groupby("device", sort=False)["verdict"].first().to_dict()
    assert first == {
        "double well": "gradient", "plane wave": "gradient", "ring": "gradient",
        "majority": "dark", "moons": "learning",
    }  # fmt: skip
    last = table.groupby("device", sort=False).last()
    assert (last["verdict"] == "learnt").sum() == 4
    assert (last["reached"] == 1).all()
    assert last.loc["majority", "largest_error"] < 0.15
