"""Sheets: a field of every case of a sweep in one picture, from the files of a sweep alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import meshio
import numpy as np
import pytest
from helpers import needs_opengl
from matplotlib.figure import Figure
from PIL import Image
from test_cli import CHAIN, invoke, write_study
from test_sweep import run_here

from nepfield.errors import InputError
from nepfield.study.sweeps.design import load_sweep
from nepfield.view import sheets
from nepfield.view.sheets import plot_sheet

LATTICE = {
    "domain": {"lattice": [3, 3]},
    "pump": [{"site": [0, 0]}, {"site": [2, 2]}],
    "readout": {"sites": [[1, 1]]},
    "potential": {"initial": 0.3},
    "training__epochs": 0,  # the potential is where the study puts it
}


def sweep(folder: Path, content: str, **changes: Any) -> Path:
    """Run a sweep over small lattices; its folder."""
    write_study(folder, CHAIN, **(LATTICE | changes))
    (folder / "sweep.toml").write_text('study = "study.toml"\n' + content)
    run_here(load_sweep(folder / "sweep.toml"), folder / "out")
    return folder / "out"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    figures: list[Figure] = []
    save = sheets.save_figure

    def keep(figure: Figure, *arguments: Any) -> Path:
        figures.append(figure)
        return save(figure, *arguments)

    monkeypatch.setattr(sheets, "save_figure", keep)
    return figures


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def panels(figure: Figure) -> list[tuple[float, float, float, float]]:
    """Left, bottom, width and height of each panel with a picture, inches."""
    width, height = figure.get_size_inches()
    boxes = [axes.get_position() for axes in figure.axes if axes.images]
    return [(b.x0 * width, b.y0 * height, b.width * width, b.height * height) for b in boxes]


def centre(axes: Any) -> np.ndarray:
    """The colour in the middle of a panel's picture."""
    pixels = np.asarray(axes.images[0].get_array()).astype(float)
    return pixels[pixels.shape[0] // 2, pixels.shape[1] // 4, :3] / 255


# ---------------------------------------------------------------- what is on a sheet


@needs_opengl
def test_potentials_sorted_labelled_and_in_common_colours(
    tmp_path: Path, seen: list[Figure]
) -> None:
    """Uniform potentials 1, 0.5 and 2 stand in order, and their colours are those of the scale."""
    out = sweep(
        tmp_path, 'seeds = [7, 8]\n[grid]\n"potential.initial" = [1.0, 0.5, 2.0]\n'
    )  # fmt: skip
    path = tmp_path / "sheet.png"
    result = invoke("plot", str(out), "--field", "potential", "-o", str(path))
    assert (result.exit_code, result.stdout.strip()) == (0, str(path)), result.output
    assert path.stat().st_size < 300_000
    with Image.open(path) as image:
        assert image.width > 700
    (figure,) = seen
    said = words(figure)
    assert said[0] == "out: potential after training (seed 7, the first of 2)"
    assert [text for text in said if text.startswith("initial")] == [
        "initial = 0.5", "initial = 1", "initial = 2",
    ]  # fmt: skip
    boxes = panels(figure)
    assert len(boxes) == 3  # one seed
    order = np.lexsort((np.array(boxes)[:, 0], -np.array(boxes)[:, 1].round(3)))
    assert order.tolist() == [0, 1, 2]
    bar = figure.axes[-1]
    assert bar.get_ylim() == pytest.approx((0.5, 2.0))
    drawn = [centre(axes) for axes in figure.axes[:3]]
    wanted = mpl.colormaps["viridis"]([0.0, (1 - 0.5) / 1.5, 1.0])[:, :3]
    assert np.array(drawn) == pytest.approx(wanted, abs=0.03)


@needs_opengl
def test_families_have_rows_and_labels_of_their_own(tmp_path: Path, seen: list[Figure]) -> None:
    """A key is named where it varies, keys in step once, and a rule begins a row."""
    out = sweep(
        tmp_path,
        '[[list]]\n"domain.lattice" = [3, 3]\n'
        '[list.zip]\n"potential.initial" = [1.0, 2.0]\n"physics.loss" = [0.1, 0.2]\n'
        '[[list]]\n"domain.lattice" = [3, 6]\n'
        '[list.grid]\n"physics.g" = [0.01, 0.02]\n"training.rule" = ["nep", "adjoint"]\n',
    )
    plot_sheet(out, tmp_path / "a.png", "potential")
    (figure,) = seen
    said = words(figure)
    assert [text for text in said if " = " in text] == [
        "initial = 1", "initial = 2",
        "rule = nep\ng = 0.01", "rule = nep\ng = 0.02",
        "rule = adjoint\ng = 0.01", "rule = adjoint\ng = 0.02",
    ]  # fmt: skip
    bottoms = np.array(panels(figure))[:, 1]
    assert len(set(bottoms.round(3))) == 3
    assert {"[3, 3]", "[3, 6]"} <= set(said)


@needs_opengl
def test_densities_of_every_input(tmp_path: Path, seen: list[Figure]) -> None:
    out = sweep(tmp_path, '[grid]\n"physics.loss" = [0.1, 0.3]\n')
    assert plot_sheet(out, None, "density") == out / "figures" / "density.png"
    (figure,) = seen
    boxes = panels(figure)
    assert len(boxes) == 2 * 4
    assert "inputs of a case: (0, 0), (0, 1) / (1, 0), (1, 1)" in words(figure)
    for first, second, third, fourth in (boxes[:4], boxes[4:]):  # read like a page
        assert first[1] == pytest.approx(second[1]) == third[1] + third[3]
        assert third[0] == pytest.approx(first[0]) == fourth[0] - fourth[2]
        assert first[2] == pytest.approx(first[3])  # a square lattice is a square
    top = max(values.max() for values in _densities(out))
    assert figure.axes[-1].get_ylim()[1] == pytest.approx(top)


def _densities(out: Path) -> list[np.ndarray]:
    runs = [meshio.read(path) for path in out.glob("cases/*/fields.vtu")]
    return [run.point_data[f"density_{k}"] for run in runs for k in range(4)]


@needs_opengl
def test_one_scale_for_shapes_that_are_alike(tmp_path: Path, seen: list[Figure]) -> None:
    """Lattices of 6, 3 and 4 columns: panels as wide as they are; a row for each value of loss."""
    grid = '"physics.loss" = [0.1, 0.2]\n"domain.lattice" = [[3, 6], [3, 3], [3, 4]]\n'
    out = sweep(tmp_path, f"[grid]\n{grid}")
    plot_sheet(out, tmp_path / "a.png", "potential")
    (figure,) = seen
    boxes = np.array(panels(figure))
    assert len(boxes) == 6
    # the room around a shape is a share of its size, so a panel is as wide as its lattice
    assert boxes[:3, 2] / boxes[0, 2] == pytest.approx([1, 1 / 2, 2 / 3])
    assert boxes[3:] == pytest.approx(boxes[:3] - [0, boxes[0, 1] - boxes[3, 1], 0, 0])
    assert boxes[0, 1] - boxes[3, 1] > boxes[0, 3]  # the next row
    said = words(figure)
    assert {"loss = 0.1", "loss = 0.2"} <= set(said)
    assert {"lattice = [3, 3]", "lattice = [3, 4]", "lattice = [3, 6]"} <= set(said)
    assert any(text.endswith(" sites") for text in said)  # the ruler


@needs_opengl
def test_shapes_of_very_different_sizes_fill_their_panels(
    tmp_path: Path, seen: list[Figure]
) -> None:
    out = sweep(tmp_path, '[grid]\n"domain.lattice" = [[3, 3], [12, 12]]\n')
    plot_sheet(out, tmp_path / "a.png", "potential")
    (figure,) = seen
    boxes = np.array(panels(figure))
    assert boxes[0, 2:] == pytest.approx(boxes[1, 2:])
    assert "not to one scale" in words(figure)[0]
    assert not any(text.endswith(" sites") for text in words(figure))


@needs_opengl
def test_a_failed_case_keeps_its_place(tmp_path: Path, seen: list[Figure]) -> None:
    """One pump of the three stands outside of the lattice."""
    out = sweep(tmp_path, '[grid]\n"pump.0.site" = [[0, 0], [9, 9], [0, 1]]\n')
    plot_sheet(out, tmp_path / "a.png", "gradient")
    (figure,) = seen
    said = words(figure)
    assert "1 not finished" in said[0]
    assert said.count("failed") == 1
    assert len(panels(figure)) == 2


@needs_opengl
def test_not_more_than_48_cases(tmp_path: Path, seen: list[Figure]) -> None:
    """Evenly spaced ones, the first and the last among them, and the picture says so."""
    out = sweep(tmp_path, '[grid]\n"potential.initial" = [0.5, 1.0]\n')
    case = out / "cases" / json.loads((out / "cases.json").read_text())["cases"][0]["folder"]
    entries, rows = [], ["case,seed,physics.loss,status,cost"]
    for k in range(60):
        entries.append({"case": k, "folder": case.name, "seed": 0, "values": {}})
        rows.append(f"{k},0,{k / 10},finished,1.0")
    (out / "cases.json").write_text(json.dumps({"keys": ["physics.loss"], "cases": entries}))
    (out / "results.csv").write_text("\n".join(rows) + "\n")
    plot_sheet(out, tmp_path / "a.png", "potential")
    (figure,) = seen
    assert "48 of 60 cases" in words(figure)[0]
    assert len(panels(figure)) == 48
    labels = [text for text in words(figure) if text.startswith("loss = ")]
    assert (labels[0], labels[-1]) == ("loss = 0", "loss = 5.9")
    boxes = np.array(panels(figure))
    size = figure.get_size_inches()
    assert boxes.min() > 0  # all on the paper
    assert np.all(boxes[:, :2] + boxes[:, 2:] < size)


@needs_opengl
def test_a_case_without_the_field_is_left_empty(tmp_path: Path, seen: list[Figure]) -> None:
    """A potential that is not trained has no gradient."""
    out = sweep(tmp_path, '[grid]\n"potential.trainable" = [true, false]\n')
    plot_sheet(out, tmp_path / "a.png", "gradient")
    (figure,) = seen
    assert words(figure).count("no gradient") == 1
    assert len(panels(figure)) == 1
    (tmp_path / "none").mkdir()
    out = sweep(tmp_path / "none", '[grid]\n"potential.trainable" = [false]\n')
    with pytest.raises(InputError, match="the cases have no such field"):
        plot_sheet(out, tmp_path / "b.png", "gradient")


@needs_opengl
def test_a_family_that_leaves_out_what_tells_the_others_apart(
    tmp_path: Path, seen: list[Figure]
) -> None:
    """Both vary g; one of them has the lattice of the study. Each has rows of its own."""
    out = sweep(
        tmp_path,
        '[grid]\n"potential.initial" = [1.0, 2.0]\n[[list]]\n"physics.g" = 0.01\n'
        '[[list]]\n"domain.lattice" = [3, 6]\n"physics.g" = 0.01\n',
    )
    plot_sheet(out, tmp_path / "a.png", "potential")
    (figure,) = seen
    said = words(figure)
    assert said.count("lattice as in the study") == said.count("[3, 6]") == 1
    boxes = np.array(panels(figure))
    assert boxes[:2, 1] == pytest.approx(boxes[0, 1])
    assert boxes[2:, 1] == pytest.approx(boxes[2, 1])
    assert boxes[2, 1] < boxes[0, 1]
    assert boxes[:, 2] / boxes[0, 2] == pytest.approx([1, 1, 2, 2])
    assert sheets._value("domain.geometry", np.nan, []) == "geometry as in the study"


PHASES = {
    "name": "phases",
    "domain": {"graph": "complete", "vertices": 5, "sets": {"input": [0, 1], "output": [4]}},
    "physics": {"system": "oscillators"},
    "readout": {"sets": ["output"]},
    "task": {"inputs": [[-1.0, -1.0], [1.0, -1.0]], "targets": [[-1.0], [1.0]]},
    "training": {"epochs": 1},
    "figures": {"enabled": False},
}


@needs_opengl
def test_fields_on_the_edges_of_a_graph(tmp_path: Path, seen: list[Figure]) -> None:
    """What a name means is found by looking: a column of the results, else a picture."""
    write_study(tmp_path, PHASES)
    (tmp_path / "sweep.toml").write_text(
        'study = "study.toml"\n[grid]\n"training.rate" = [0.1, 0.2]\n'
    )
    run_here(load_sweep(tmp_path / "sweep.toml"), tmp_path / "out")
    out = tmp_path / "out"
    assert sheets.sheet_names(out)[0] == "phase"
    for field, count, bars in (("phase", 4, 2), ("bias", 2, 1)):
        assert invoke("plot", str(out), "--field", field).exit_code == 0
        assert len(panels(seen[-1])) == count
        assert len(seen[-1].axes) == count + bars
    assert invoke("plot", str(out), "--field", "mean_distance").exit_code == 0
    assert len(seen) == 2
    result = invoke("plot", str(out), "--field", "nosuch")
    assert result.exit_code == 2
    for words in ("--field nosuch", "mean_distance", "its cases show phase, "):
        assert words in result.stderr


# ---------------------------------------------------------------- refused


def test_sheets_that_cannot_be_made(tmp_path: Path) -> None:
    line = {"domain": {"lattice": [9]}, "pump": [{"site": 1}, {"site": 5}]}
    out = sweep(tmp_path, '[grid]\n"physics.loss" = [0.1]\n', **line, readout={"sites": [3]})
    for arguments, said in (
        (["--field", "density"], ["lie on a line", "cases/"]),
        (["--field", "nosuch"], ["--field nosuch", "cost"]),
        (["--field", "density", "-o", str(tmp_path / "a.gif")], [".gif shows a run", "cases/"]),
        (["--field", "density", "-o", str(tmp_path / "a.html")], [".html shows a run"]),
        (["--field", "density", "-o", str(tmp_path / "a.jpg")], [".pdf and .svg files only"]),
        (["--interactive"], ["--interactive"]),
    ):
        result = invoke("plot", str(out), *arguments)
        assert (result.exit_code, result.stdout) == (2, ""), result.output
        assert all(word in result.stderr for word in said), result.stderr
    (out / "cases.json").write_text("{}")
    with pytest.raises(InputError, match=r"cases\.json"):
        plot_sheet(out)


def test_no_finished_case(tmp_path: Path) -> None:
    out = sweep(tmp_path, '[grid]\n"physics.loss" = [0.1]\n')
    for path in out.glob("cases/*/fields.vtu"):
        path.unlink()
    with pytest.raises(InputError, match="no finished case"):
        plot_sheet(out)


def test_without_opengl_there_is_no_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = "Pictures of fields need OpenGL. Install it (apt-get install libgl1)"
    monkeypatch.setattr("nepfield.view.sheets.opengl_problem", lambda: problem)
    out = sweep(tmp_path, '[grid]\n"physics.loss" = [0.1]\n')
    result = invoke("plot", str(out), "--field", "density")
    assert (result.exit_code, result.stderr) == (4, f"no pictures of fields: {problem}\n")
    assert not (out / "figures").exists()
