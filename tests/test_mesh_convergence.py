"""studies/mesh-convergence at a tiny size, and that what its files say is what they say."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from nepfield.study.sweeps.design import load_sweep
from studies import __main__ as command
from studies.common import STUDIES

NAME = "mesh-convergence"
FOLDER = STUDIES / NAME
devices, scales, figures = (
    import_module(f"studies.{NAME}.{module}") for module in ("devices", "scales", "figures")
)


@pytest.mark.slow
def test_a_trial_run() -> None:
    pytest.importorskip("gmsh")
    files = [path for path in FOLDER.iterdir() if path.is_file()]
    before = {path.name: path.stat().st_mtime_ns for path in files}
    tables = command.main(["--quick", "--workers", "1", NAME])[NAME]
    assert {path.name: path.stat().st_mtime_ns for path in files} == before
    # the same device on a finer mesh and with the higher order has the smaller errors
    errors = tables["devices"].set_index(["device", "order", "size"])["outputs"]
    for device in devices.DEVICES:
        assert errors[device, 1, 0.68] < errors[device, 1, 0.96]
        assert errors[device, 2, 0.96] < 0.2 * errors[device, 1, 0.96]
    # and what was trained on a mesh does on a finer one what it did there
    moved = tables["trained"].set_index(["device", "basis", "order", "size"])["moved"]
    labels = {case.label for case in load_sweep(FOLDER / "sweep.toml").cases}
    assert len(moved) == 2 * len(labels)
    assert 0 < moved.min() <= moved["below"].max() < 0.01
    assert moved["propagating", "cells", 2, 0.68] < 0.2 * moved["propagating", "cells", 1, 0.68]


def test_cells_needed_are_read_off_a_straight_line() -> None:
    cells = np.array([1.0, 2, 4, 8])
    table = pd.DataFrame({"length": "x", "order": 1, "cells": cells, "error": 0.32 / cells**2})
    assert scales.cells_needed(table)["cells"].tolist() == pytest.approx([4.0])
    assert scales.cells_needed(table, 1e-9)["cells"].isna().all()
    assert scales.cells_needed(table, 1.0)["cells"].tolist() == [1.0]


def test_the_exact_hole_is_a_state() -> None:
    """Its error falls with the rates of the elements in L2."""
    for order, rate in ((1, 2), (2, 3)):
        errors = []
        for cells in (4, 8):
            space, state = scales.healing_length(cells, order)
            difference = space.evaluate(state)[:, 0] - np.tanh(space.points[:, 0] / np.sqrt(2))
            errors.append(np.sqrt(space.w @ np.abs(difference) ** 2))
        assert np.log2(errors[0] / errors[1]) == pytest.approx(rate, abs=0.1)


def test_the_tables_and_the_readme_agree() -> None:
    saved = {
        name: pd.read_csv(FOLDER / f"{name}.csv")
        for name in ("devices", "scales", "trained", "rates", "needed")
    }
    again = devices.rates(saved["devices"])
    assert np.allclose(again[list(devices.ERRORS)], saved["rates"][list(devices.ERRORS)], rtol=1e-3)
    needed = scales.cells_needed(saved["scales"])["cells"]
    assert np.allclose(needed, saved["needed"]["cells"], rtol=1e-3)
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for table in figures.shown(saved).values():
        assert table in readme
