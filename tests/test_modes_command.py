"""`nepfield modes`: tables, pictures and messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_cli import CHAIN, LINE, changed, invoke, write_study

import nepfield as nf
from nepfield.study.run.build import build
from nepfield.study.systems.systems import load_study

UNITS: dict[str, Any] = {
    "units": {"length": "1 um", "mass": "3e-5 m_e", "energy": "meV", "time": "ps"}
}


def test_the_tables_are_what_the_library_gives(tmp_path: Path) -> None:
    study = write_study(tmp_path, LINE, physics__g=0.1)
    out = tmp_path / "found"
    result = invoke("modes", str(study), "--out", str(out), "--count", "5", "--sample", "1")
    assert result.exit_code == 0, result.output
    built = build(load_study(study))
    modes = nf.modes(built.system, 5, readout=built.cost.readout)
    table = pd.read_csv(out / "modes.csv")
    np.testing.assert_allclose(table["level"], modes.level)
    np.testing.assert_allclose(table["loss"], 0.1)
    np.testing.assert_allclose(table["detuning"], modes.level / 0.1)
    np.testing.assert_allclose(table[["pump_0", "pump_1"]].T, modes.pumps)
    np.testing.assert_allclose(table["output_output"], modes.readouts[0])
    steady = nf.solve_steady(built.system, built.task.inputs)
    spectrum = nf.bogoliubov_spectrum(built.system, steady, 1, 5)
    fluctuations = pd.read_csv(out / "spectrum.csv")
    np.testing.assert_allclose(fluctuations["frequency"], spectrum.frequency, atol=1e-9)
    np.testing.assert_allclose(fluctuations["growth"], spectrum.growth, atol=1e-9)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["lowest_level"] == pytest.approx(modes.level[0])
    assert summary["sample"] == 1
    assert f"{modes.level[0]:.4g}" in result.output
    assert "the drive is nearest to mode 0" in result.output
    assert load_study(out / "study.toml").name == "chain"


def test_pictures_name_level_and_loss(tmp_path: Path) -> None:
    study = write_study(tmp_path, LINE, figures__enabled=True)
    out = tmp_path / "found"
    assert invoke("modes", str(study), "--out", str(out), "--count", "3").exit_code == 0
    assert {path.name for path in (out / "figures").iterdir()} == {"fields.png", "spectrum.png"}
    entries = json.loads((out / "summary.json").read_text())["fields"]
    titles = [entry["panel"] for entry in entries if entry.get("picture") == "modes"]
    assert len(titles) == 3
    assert all("loss 0.1" in title for title in titles)
    figure = nf.plot(build(load_study(study)).system, nf.modes(build(load_study(study)).system, 3))
    assert any("loss 0.1" in text.get_text() for text in figure.findobj(match=_has_text))


def _has_text(artist: Any) -> bool:
    return hasattr(artist, "get_text")


def test_the_strongest_drive_is_the_usual_state_and_units_are_the_studys(tmp_path: Path) -> None:
    study = write_study(tmp_path, changed(LINE, UNITS), pump__0__weight=2.0)
    out = tmp_path / "found"
    result = invoke("modes", str(study), "--out", str(out), "--near", "0.2 meV", "--count", "2")
    assert result.exit_code == 0, result.output
    assert "level (meV)" in result.output
    assert json.loads((out / "summary.json").read_text())["sample"] == 3  # of XOR: both inputs
    energy = load_study(study).units.scales.factor(energy=1)
    built = build(load_study(study))
    near = nf.modes(built.system, 2, near=0.2 / energy)
    np.testing.assert_allclose(pd.read_csv(out / "modes.csv")["level"], near.level)
    assert f"{energy * near.level[0]:.4g}" in result.output


def test_a_trained_run_has_the_modes_of_what_was_trained(tmp_path: Path) -> None:
    study = write_study(tmp_path, CHAIN)
    assert invoke("train", str(study), "--out", str(tmp_path / "run"), "--quiet").exit_code == 0
    result = invoke("modes", str(tmp_path / "run"), "--out", str(tmp_path / "found"), "--quiet")
    assert result.exit_code == 0
    assert result.output == ""
    trained = nf.modes(nf.open_run(tmp_path / "run").system, 7)
    levels = pd.read_csv(tmp_path / "found" / "modes.csv")["level"]
    np.testing.assert_allclose(levels, trained.level, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "0"], "--count 0: give a whole number from 1"),
        (["--sample", "4"], "--sample 4: the study has samples 0 to 3"),
        (["--near", "low"], "--near low: give a number"),
        (["--near", "nan"], "--near nan: give a finite number"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, options: list[str], message: str) -> None:
    study = write_study(tmp_path, CHAIN)
    result = invoke("modes", str(study), "--out", str(tmp_path / "found"), *options)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "found").exists()


def test_no_wave_no_modes(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "phases"\n[domain]\ngraph = "complete"\nvertices = 3\n[domain.sets]\n'
        'input = [0, 1]\noutput = [2]\n[physics]\nsystem = "oscillators"\n'
        '[readout]\nsets = ["output"]\n[task]\ninputs = [[0.0, 1.0]]\ntargets = [[0.5]]\n'
    )
    result = invoke("modes", str(study), "--out", str(tmp_path / "found"))
    assert result.exit_code == 2
    assert "modes are of waves" in result.output
    assert not (tmp_path / "found").exists()


def test_without_a_state_there_are_modes_and_no_spectrum(tmp_path: Path) -> None:
    study = write_study(
        tmp_path, CHAIN, physics__g=3.0, potential__initial=-1.0, solver__max_iterations=1
    )
    result = invoke("modes", str(study), "--out", str(tmp_path / "found"))
    assert result.exit_code == 3
    assert "not converged" in result.output
    assert (tmp_path / "found" / "modes.csv").exists()
    assert not (tmp_path / "found" / "spectrum.csv").exists()
