"""Lengths of the wave against the cells of the mesh: analytic values, and who is warned."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import interval, uniform_pump
from test_cli import CHAIN, LINE, ROOT, invoke, write_study

import nepfield as nf
from nepfield.space.arrays import squared_magnitude as density
from nepfield.study.run.build import build
from nepfield.study.run.jobs import train_study
from nepfield.study.systems.resolution import (
    NEEDED,
    Length,
    healing_lengths,
    resolution,
    wavelengths,
)
from nepfield.study.systems.systems import load_study

EDGE = 0.128  # of most cells of interval.msh


def found(folder: Path, base: dict[str, Any] = LINE, **changes: Any) -> dict[str, Length]:
    study = build(load_study(write_study(folder, base, **changes)))
    return {length.name: length for length in resolution(study, study.system, training=True)}


# --- lengths


def test_the_wavelength_of_a_constant_potential() -> None:
    """V + f = -k^2 / 2 has the wavelength 2 pi / k, and above 0 there is none."""
    space = nf.finite_elements(interval(10), 2)
    dark = np.zeros((len(space.w), 1))
    k = 3.0
    system = nf.GPE(space, -(k**2) / 2)
    assert wavelengths(system, dark) == pytest.approx(2 * np.pi / k, rel=1e-12)
    # a density raises the potential by g n, a background by itself
    n = np.full_like(dark, 5.0)
    raised = nf.GPE(space, -(k**2) / 2 - 1.5, (), nf.Density(0.2), background=0.5 + 0 * space.w)
    assert wavelengths(raised, n) == pytest.approx(2 * np.pi / k, rel=1e-12)
    assert np.all(np.isinf(wavelengths(nf.GPE(space, 0.1), dark)))


def test_training_may_sink_the_potential_to_its_bound_and_dim_the_wave() -> None:
    space = nf.finite_elements(interval(10), 2)
    k, n = 3.0, np.full((len(space.w), 1), 5.0)
    placed = nf.potential(space, 0.3, bounds=(-(k**2) / 2, 1.0))
    system = nf.GPE(space, placed, (), nf.Density(0.2))
    assert np.all(np.isinf(wavelengths(system, n)))
    assert wavelengths(system, n, training=True) == pytest.approx(2 * np.pi / k)
    fixed = nf.potential(space, 0.3, bounds=(-(k**2) / 2, 1.0), trainable=False)
    held = replace(system, potential=fixed)
    assert np.all(np.isinf(wavelengths(held, n, training=True)))


def test_the_healing_length_of_an_even_density() -> None:
    """Open ends and an even drive: n is even, xi = 1 / sqrt(2 g n), or with f' of saturation."""
    space = nf.finite_elements(interval(10), 2, dirichlet=[])
    for nonlinearity, slope in (
        (nf.Density(0.4), lambda n: 0.4),
        (nf.Saturation(0.4), lambda n: 0.4 / (1 + n) ** 2),
    ):
        system = nf.GPE(space, 0.1, [uniform_pump(0.7)], nonlinearity, 0.2)
        n = density(space.evaluate(nf.solve_steady(system, np.ones((1, 1))).state))
        assert np.ptp(n) < 1e-8
        expected = 1 / np.sqrt(2 * slope(n[0, 0]) * n[0, 0])
        assert healing_lengths(system, n) == pytest.approx(expected, rel=1e-6)
    assert np.all(np.isinf(healing_lengths(system, 0 * n)))
    assert np.all(np.isinf(healing_lengths(nf.GPE(space), n)))


def test_where_the_wave_is_decides() -> None:
    """Deep V in the dark half does not count, in the lit half it does."""
    study = build(load_study(ROOT / "studies" / "xor-interval" / "study.toml"))
    space = study.system.space
    right = space.points[:, 0] > 4
    deep = np.where(right, -50.0, 0.5)
    system = replace(study.system, background=deep)
    for lit, expected in ((right, 2 * np.pi / np.sqrt(2 * (50.0 - 0.1))), (~right, None)):
        light = nf.GPE(space, 0.0, [nf.field_pump(lambda p, lit=lit: 1.0 * lit)], None, 0.1)
        drive = np.linalg.solve(space.mass.toarray(), light.drive(np.ones((1, 1))))
        names = {x.name: x for x in resolution(study, system, drive.astype(complex))}
        length = names.get("shortest wavelength")
        assert (length is None) == (expected is None)
        if expected is not None and length is not None:
            assert length.length == pytest.approx(expected, rel=2e-3)  # V of the cells: +-0.03


# --- cells


def test_cells_a_length_on_a_known_mesh(tmp_path: Path) -> None:
    changes = dict(potential__bounds=[-50.0, 1.0], pump__1__wavevector=[20.0])
    lengths = found(tmp_path, **changes, physics__g=0.0)
    assert lengths["pump width"].cells == pytest.approx(0.6 / EDGE, rel=0.02)
    assert lengths["shortest wavelength"].length == pytest.approx(2 * np.pi / 10)
    assert lengths["shortest wavelength"].cells == pytest.approx(2 * np.pi / 10 / EDGE, rel=0.02)
    assert lengths["pump wavelength"].cells == pytest.approx(2 * np.pi / 20 / EDGE, rel=0.02)
    assert "healing length" not in lengths
    warned = {name for name, length in lengths.items() if length.warning}
    assert warned == {"pump wavelength"}
    linear = found(tmp_path, **changes, domain__order=1)
    assert {name for name, length in linear.items() if length.warning} == {
        "shortest wavelength", "pump wavelength",
    }  # fmt: skip
    assert "or set domain.order = 2" in str(linear["shortest wavelength"].warning)
    assert str(linear["pump wavelength"].warning).endswith("or of 0.07 with domain.order = 2")


def test_a_warning_names_all_numbers() -> None:
    length = Length("healing length", 0.3, 0.9, 2)
    assert length.warning == (
        "0.33 cells for the healing length of 0.3, and elements of order 2 need 0.5: "
        "refine the mesh there to edges of 0.6"
    )
    assert str(length) == "healing length 0.3: 0.3 cells (of edge 0.9), 0.5 needed"
    assert Length("healing length", 0.45, 0.9, 2).warning is None


def test_the_thresholds_are_those_that_were_measured() -> None:
    """needed.csv of the study, rounded up by at most a half."""
    import pandas as pd

    table = pd.read_csv(ROOT / "studies" / "mesh-convergence" / "needed.csv")
    table["length"] = table["length"].replace("wavelength", "shortest wavelength")
    assert len(table) == 6
    for row in table.itertuples():
        assert row.cells <= NEEDED[row.length][row.order] <= 1.5 * row.cells
    assert NEEDED["pump wavelength"] == NEEDED["shortest wavelength"]


# --- what a user reads


def test_check_solves_for_the_density(tmp_path: Path) -> None:
    """A pump that makes the wave strongly nonlinear is warned of, one that does not is not."""
    strong = {"physics__g": 40.0, "pump__0__weight": 30.0, "pump__1__weight": 30.0}
    result = invoke("check", str(write_study(tmp_path, LINE, **strong, domain__order=1)))
    assert result.exit_code == 0
    assert "  warning: 0." in result.stdout
    assert "cells for the healing length of" in result.stdout
    weak = invoke("check", str(write_study(tmp_path, LINE)))
    assert "healing length" in weak.stdout
    assert "warning" not in weak.output


def test_check_says_when_no_state_is_found(tmp_path: Path) -> None:
    path = write_study(tmp_path, LINE, solver__max_iterations=1, physics__g=5.0)
    result = invoke("check", str(path), "--set", "solver.tolerance=1e-30")
    assert result.exit_code == 0
    assert "warning: the steady states of" in result.stdout
    assert "healing length" not in result.stdout


def test_a_pump_that_is_lost_beside_a_stronger_one_is_warned_of(tmp_path: Path) -> None:
    study = str(write_study(tmp_path, LINE, pump__1__weight=1e9))
    said = invoke("check", study, "--set", "physics.g=0.0")
    assert "warning: pump 0 is " in said.stdout
    assert "or make pump 1 weaker" in said.stdout
    tight = invoke("check", study, "--set", "physics.g=0.0", "--set", "solver.tolerance=1e-12")
    assert "whole drive" not in tight.stdout


def test_a_graph_has_no_cells(tmp_path: Path) -> None:
    assert found(tmp_path, CHAIN) == {}
    assert "needed" not in invoke("check", str(write_study(tmp_path, CHAIN))).stdout


def test_a_run_tells_of_cells_too_large_for_what_was_trained(tmp_path: Path) -> None:
    path = write_study(tmp_path, LINE, potential__initial=-200.0, physics__loss=5.0)
    result = invoke("train", str(path), "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert "warning: 2.5 cells for the shortest wavelength of 0.314" in result.stdout
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["resolution"]["shortest wavelength"]["cells"] == pytest.approx(2.46, abs=0.05)
    assert len(summary["warnings"]) == 1
    fine = train_study(load_study(write_study(tmp_path, LINE)), tmp_path / "fine")
    assert fine["warnings"] == []
    assert set(fine["resolution"]) == {"healing length", "pump width"}
