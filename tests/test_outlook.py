"""What `nepfield check` says of a wave before it is trained: resonances, reach, advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_cli import CHAIN, LINE, invoke, write_study

import nepfield as nf
from nepfield.study.run.build import build
from nepfield.study.systems import gpe_outlook
from nepfield.study.systems.systems import load_study

BAND = 1 - np.cos(np.pi / 8)  # the lowest level of seven sites


def said(folder: Path, base: dict[str, Any] = CHAIN, **changes: Any) -> str:
    result = invoke("check", str(write_study(folder, base, **changes)))
    assert result.exit_code == 0, result.output
    return result.output


def test_the_lowest_level_and_the_distance_of_the_drive_are_told(tmp_path: Path) -> None:
    text = said(tmp_path)
    level = 0.3 + BAND
    assert f"lowest level {level:.4g} (the drive is at 0)" in text
    assert f"nearest to the drive is {level:.4g}: {level / 0.1:.3g} times its loss" in text


def test_a_drive_in_resonance_is_advised_against_for_nep_alone(tmp_path: Path) -> None:
    text = said(tmp_path, potential__initial=-0.5)
    assert "advice: the drive is in resonance with a mode" in text
    assert 'training.rule = "reciprocal" or "adjoint"' in text
    assert "in resonance" not in said(tmp_path, potential__initial=-0.5, training__rule="adjoint")


def test_bounds_that_let_a_mode_down_to_the_drive_are_told(tmp_path: Path) -> None:
    text = said(tmp_path, potential__bounds=[-0.2, 1.0])
    assert f"brings a mode below the drive (to {BAND - 0.2:.4g})" in text
    assert f"A lower bound of V of {-BAND:.3g} or more" in text
    above = said(tmp_path, potential__bounds=[-0.05, 1.0])
    assert "brings a mode" not in above


def test_an_output_out_of_reach_is_told_with_what_the_pumps_need(tmp_path: Path) -> None:
    fixed = {"potential__bounds": [0.2, 1.0], "pump__0__trainable": False}
    text = said(tmp_path, **fixed, pump__1__weight=0.01)
    assert "advice: reach: site 3, sample" in text
    assert "is out of reach with the pumps as they are" in text
    assert "Training makes them" not in text  # one of them is fixed
    built = build(load_study(tmp_path / "study.toml"))
    found = nf.reach(
        built.system, built.cost.readout, built.task.inputs,
        nf.wanted_intensity(built.cost, built.task.targets), **built.solver,
    )  # fmt: skip
    assert f"pumps about {found.factor[0]:.3g} times stronger" in text


@pytest.mark.parametrize(("epochs", "word"), [(3, "advice: reach"), (3000, "which training can")])
def test_whether_training_can_make_the_pumps_strong_enough(
    tmp_path: Path, epochs: int, word: str
) -> None:
    changes = {f"pump__{k}__weight": 0.5 for k in (0, 1)}
    text = said(tmp_path, potential__bounds=[0.2, 1.0], training__epochs=epochs, **changes)
    assert word in text
    if epochs == 3:
        assert f"Training makes them up to {1 + 3 * 0.01 / 0.5:.3g} times stronger" in text


def test_what_is_within_reach_is_told_without_advice(tmp_path: Path) -> None:
    text = said(tmp_path, LINE, pump__0__weight=3.0, pump__1__weight=3.0)
    assert "  reach: output, sample" in text
    assert "is within reach" in text
    assert "advice" not in text


def test_large_meshes_say_what_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpe_outlook, "_REACH", 5)
    text = said(tmp_path)
    assert "left out, for 7 unknowns: reach (nepfield.reach in Python)" in text
    assert "lowest level" in text
    monkeypatch.setattr(gpe_outlook, "_LEVELS", 5)
    text = said(tmp_path)
    assert "left out, for 7 unknowns: levels and reach" in text
    assert "lowest level" not in text


def test_figures_have_the_units_of_the_study(tmp_path: Path) -> None:
    units = {"length": "1 um", "mass": "3e-5 m_e", "energy": "meV", "time": "ps"}
    text = said(
        tmp_path,
        LINE,
        units=units,
        pump__0__trainable=False,
        task={"inputs": [[1, 0]], "targets": [["9 /um"]]},
    )
    scales = load_study(tmp_path / "study.toml").units.scales
    level = nf.modes(build(load_study(tmp_path / "study.toml")).system, 1).level[0]
    assert f"lowest level {scales.factor(energy=1) * level:.4g} meV" in text
    assert "an intensity of 8.1 1/µm is within reach" in text
