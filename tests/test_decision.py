"""Maps of outputs over inputs, and outputs of all samples: tables, pictures, keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_cli import CHAIN, invoke, write_study

import nepfield as nf
from nepfield.view.decision import decision_figure
from nepfield.view.samples import scatter_figure

SITE = nf.graph(nf.lattice(1))
DRAWN = CHAIN | {"figures": {"enabled": True}}


@pytest.fixture(autouse=True)
def fields_stay_undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of fields take seconds, and are for other tests."""
    monkeypatch.setattr("nepfield.view.render.render_run", lambda *_: [])
    monkeypatch.setattr("nepfield.view.curves.plot_training", lambda _, path: path)


def one_site(potential: float = 0.5, loss: float = 0.25) -> tuple[nf.GPE, nf.Readout]:
    """|Psi|^2 = (x0 - x1)^2 / ((1 + V)^2 + gamma^2)."""
    pumps = [nf.site_pump(0, 1.0), nf.site_pump(0, -1.0)]
    return nf.GPE(SITE, potential, pumps, None, loss), nf.readout(SITE, sites=[0])


def exact(inputs: np.ndarray) -> np.ndarray:
    return (inputs[:, 0] - inputs[:, 1]) ** 2 / (1.5**2 + 0.25**2)


# ---------------------------------------------------------------- maps


def test_a_map_is_the_output_at_every_point() -> None:
    system, readout = one_site()
    found = nf.output_map(system, readout, nf.xor().inputs)
    assert [len(axis) for axis in found.axes] == [33, 33]
    for axis in found.axes:  # a tenth beyond the samples
        np.testing.assert_allclose(axis, np.linspace(-0.1, 1.1, 33), atol=1e-12)
    np.testing.assert_allclose(found.outputs.ravel(), exact(found.inputs), atol=1e-12)
    same = nf.output_map(system, readout, nf.xor().inputs, 33)
    np.testing.assert_allclose(same.outputs, found.outputs, atol=1e-12)


def test_a_map_with_a_number_of_points_has_so_many() -> None:
    system, readout = one_site()
    found = nf.output_map(system, readout, np.array([[2.0, 5.0], [4.0, 5.0]]), 4)
    assert found.outputs.shape == (4, 4, 1)
    np.testing.assert_allclose(found.axes[0], np.linspace(1.8, 4.2, 4))
    np.testing.assert_allclose(
        found.axes[1], np.linspace(2.5, 7.5, 4)
    )  # an input that never varies
    np.testing.assert_allclose(found.outputs.ravel(), exact(found.inputs), atol=1e-12)


def test_one_input_has_a_curve() -> None:
    system = nf.GPE(SITE, 0.5, [nf.site_pump(0, 1.0)], None, 0.25)
    found = nf.output_map(system, nf.readout(SITE, sites=[0]), np.array([[0.0], [2.0]]))
    assert found.outputs.shape == (257, 1)
    np.testing.assert_allclose(found.outputs[:, 0], found.axes[0] ** 2 / (1.5**2 + 0.25**2))


def test_without_time_the_grid_is_coarser_and_at_last_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system, readout = one_site()
    ticks = iter(np.arange(0, 1000, 0.5))  # each grid takes half a second
    monkeypatch.setattr("nepfield.learning.maps.time.monotonic", lambda: next(ticks))
    coarse = nf.output_map(system, readout, nf.xor().inputs, seconds=7.0)
    assert [len(axis) for axis in coarse.axes] == [17, 17]  # 3, 5, 9, 17: the next would take 8
    np.testing.assert_allclose(coarse.outputs.ravel(), exact(coarse.inputs), atol=1e-12)
    assert nf.output_map(system, readout, nf.xor().inputs, seconds=1.0) is None


def test_points_without_an_equilibrium_are_nan() -> None:
    space = nf.graph(nf.lattice(9))
    wild = nf.GPE(
        space, -1.5, [nf.site_pump(2, 0.6), nf.site_pump(6, 0.6)], nf.Density(1.0), 0.1
    )  # it oscillates
    found = nf.output_map(
        wild, nf.readout(space, sites=[4]), np.array([[0.0, 0.0], [1.0, 1.0]]), 3,
        tolerance=1e-9, max_iterations=2,
    )  # fmt: skip
    assert np.isnan(found.outputs).any()
    assert np.isfinite(found.outputs).any()


@pytest.mark.parametrize(
    ("inputs", "points", "message"),
    [
        (np.zeros((2, 3)), None, "inputs: the 2 pumps need"),
        (np.zeros((2, 2)), 1, "points = 1"),
        (np.zeros((2, 2)), 2.5, "points = 2.5"),
    ],
)
def test_maps_refuse_what_makes_no_sense(inputs: np.ndarray, points: Any, message: str) -> None:
    system, readout = one_site()
    with pytest.raises(nf.InputError, match=message):
        nf.output_map(system, readout, inputs, points)
    three = nf.GPE(SITE, 0.5, [nf.site_pump(0), nf.site_pump(0), nf.site_pump(0)])
    with pytest.raises(nf.InputError, match="one input or two; this system has 3"):
        nf.output_map(three, readout, np.zeros((2, 3)))


# ---------------------------------------------------------------- runs


def trained(folder: Path, base: dict[str, Any] = DRAWN, **changes: Any) -> Path:
    study = write_study(folder, base, **changes)
    result = invoke("train", str(study), "--out", str(folder / "run"), "--quiet")
    assert result.exit_code == 0, result.output
    return folder / "run"


def test_a_run_keeps_all_outputs_and_its_map(tmp_path: Path) -> None:
    run = trained(tmp_path)
    opened = nf.open_run(run)
    table = pd.read_csv(run / "outputs.csv")
    np.testing.assert_array_equal(table[["input_0", "input_1"]], opened.task.inputs)
    np.testing.assert_array_equal(table["target_0"], opened.task.targets[:, 0])
    outputs = opened.cost.readout.outputs(opened.solve().state)
    np.testing.assert_allclose(table["output_0"], outputs[:, 0], rtol=1e-9)
    assert set(table["set"]) == {"train"}
    decision = pd.read_csv(run / "decision.csv")
    found = nf.output_map(opened.system, opened.cost.readout, opened.task.inputs, 33)
    np.testing.assert_allclose(decision["output_0"], found.outputs.ravel(), rtol=1e-7)
    assert opened.summary["decision"] == {"points": [33, 33], "classes": False}
    assert opened.summary["within"]["train"] == np.mean(
        np.abs(outputs - opened.task.targets) <= 0.1
    )
    assert "decision" in opened.pictures
    assert (run / "figures" / "decision.png").is_file()
    again = invoke("plot", str(run), "--field", "decision", "-o", str(tmp_path / "map.pdf"))
    assert again.exit_code == 0, again.output


def test_samples_of_all_sets_are_kept_and_drawn(tmp_path: Path) -> None:
    """More than 64, which is as many as summary.json lists, of three sets."""
    random = np.random.default_rng(0)
    inputs = random.random((110, 2))
    targets = np.abs(inputs[:, :1] - inputs[:, 1:])
    np.savez(tmp_path / "data.npz", inputs=inputs, targets=targets)
    task = {"file": "data.npz", "validation": 0.1, "test": 0.1}
    run = trained(tmp_path, task=task, training__epochs=1)
    table = pd.read_csv(run / "outputs.csv")
    assert table["set"].value_counts().to_dict() == {"train": 88, "validation": 11, "test": 11}
    assert sorted(table["target_0"]) == pytest.approx(sorted(targets[:, 0]))
    summary = json.loads((run / "summary.json").read_text())
    near = np.abs(table["output_0"] - table["target_0"]) <= summary["tolerance"][0]
    assert summary["within"]["test"] == pytest.approx(near[table["set"] == "test"].mean())
    assert (run / "figures" / "samples.png").is_file()
    figure = scatter_figure(table, summary)
    legend = " ".join(text.get_text() for text in figure.legends[0].get_texts())
    assert f"test: {summary['within']['test']:.1%} within the tolerance" in legend
    drawn = sum(len(collection.get_offsets()) for collection in figure.axes[0].collections[1:])
    assert drawn == 110


def test_classes_have_a_map_of_the_one_that_wins(tmp_path: Path) -> None:
    inputs = [[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.8, 0.1]]
    targets = [[1.0, 0.0], [0.0, 1.0]] * 2
    run = trained(
        tmp_path, task={"inputs": inputs, "targets": targets}, readout={"sites": [2, 4]},
        training__cost="cce", figures__decision_map=5,
    )  # fmt: skip
    table = pd.read_csv(run / "decision.csv")
    assert len(table) == 25
    np.testing.assert_array_equal(
        table["class"], table[["output_0", "output_1"]].to_numpy().argmax(axis=1)
    )
    summary = json.loads((run / "summary.json").read_text())
    assert summary["decision"]["classes"] is True
    assert "within" not in summary
    figure, _ = decision_figure(table, pd.read_csv(run / "outputs.csv"), summary)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:3] == ["class", "site 2", "site 4"]


def test_one_input_is_drawn_as_a_curve(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 9)[:, None]
    np.savez(tmp_path / "data.npz", inputs=x, targets=x**2)
    run = trained(tmp_path, pump=[{"site": 1}], task={"file": "data.npz"})
    table = pd.read_csv(run / "decision.csv")
    assert len(table) == 257
    summary = json.loads((run / "summary.json").read_text())
    figure, maps = decision_figure(table, pd.read_csv(run / "outputs.csv"), summary)
    assert maps == []
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.lines[0].get_xdata(), table["input_0"])
    np.testing.assert_allclose(axes.collections[0].get_offsets(), np.hstack([x, x**2]))


def test_every_system_has_maps(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "phases"\n[domain]\ngraph = "complete"\nvertices = 3\n[domain.sets]\n'
        'input = [0, 1]\noutput = [2]\n[physics]\nsystem = "oscillators"\nclamp = "input"\n'
        '[readout]\nsets = ["output"]\n[task]\ninputs = [[0.0, 1.0], [1.0, 0.0]]\n'
        "targets = [[0.5], [6.7]]\n[training]\nepochs = 1\n[figures]\ndecision_map = 3\n"
    )
    result = invoke("solve", str(study), "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert len(pd.read_csv(tmp_path / "run" / "decision.csv")) == 9
    table = pd.read_csv(tmp_path / "run" / "outputs.csv")
    around = np.abs(np.angle(np.exp(1j * (table["output_0"] - table["target_0"]))))
    assert (around < np.abs(table["output_0"] - table["target_0"]) - 1).any()
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["tolerance"] == pytest.approx([0.62])
    assert summary["within"]["train"] == np.mean(around <= 0.62)


@pytest.mark.parametrize("figures", [{"decision_map": 0}, {"enabled": False}])
def test_no_map_where_none_is_wanted(tmp_path: Path, figures: dict[str, Any]) -> None:
    run = trained(tmp_path, CHAIN, figures={"enabled": True} | figures)
    assert not (run / "decision.csv").exists()
    assert (run / "outputs.csv").exists()
    result = invoke("plot", str(run), "--field", "decision")
    assert result.exit_code == 2
    assert "figures.decision_map not 0" in result.output


def test_one_point_is_no_map(tmp_path: Path) -> None:
    result = invoke("check", str(write_study(tmp_path, DRAWN, figures__decision_map=1)))
    assert result.exit_code == 2
    assert "one point is no map" in result.output


def test_a_damaged_map_is_told(tmp_path: Path) -> None:
    run = trained(tmp_path, CHAIN, figures={"enabled": True, "decision_map": 3})
    (run / "outputs.csv").write_text("sample,target_0,output_0\n0,1,1\n")
    result = invoke("plot", str(run), "--field", "samples", "-o", str(tmp_path / "x.png"))
    assert result.exit_code == 2
    assert "outputs.csv: not a readable table" in result.output
    for text in ("", "input_0\n1\n", "input_0,output_0\nx,y\n", "\xff"):
        (run / "decision.csv").write_text(text, encoding="latin-1")
        result = invoke("plot", str(run), "--field", "decision", "-o", str(tmp_path / "x.png"))
        assert result.exit_code == 2
        assert "decision.csv: " in result.output
