"""A system that nepfield does not know is drawn by what it says of its fields and marks."""

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
from test_view import INPUTS, assert_picture, has_color

import nepfield as nf
from nepfield.errors import InputError
from nepfield.fields.pictures import Field, Mark
from nepfield.study.run import folder as files
from nepfield.view import curves, outputs, panels
from nepfield.view import render as rendering
from nepfield.view.curves import plot_training
from nepfield.view.lines import line_fields
from nepfield.view.outputs import plot_confusion, plot_outputs
from nepfield.view.page import write_page
from nepfield.view.render import interactive, picture_names, render_run
from nepfield.view.runs import mark_text, read_run
from nepfield.view.shapes import find_marks, find_shape


def write_run(
    run: Path, place: Any, fields: list[Field], marks: list[Mark] | None = None, **more: Any
) -> Path:
    run.mkdir(parents=True)
    said = files.write_fields(run / "fields.vtu", place, fields, marks or [])
    files.write_summary(run / "summary.json", {"inputs": INPUTS} | said | more)
    return run


def ring(n: int = 6) -> nf.Domain:
    """A ring of vertices, whose edges cross nothing."""
    turns = 2 * np.pi * np.arange(n) / n
    points = np.column_stack([np.cos(turns), np.sin(turns)])
    index = np.arange(n)
    return nf.Domain(points, np.column_stack([index, (index + 1) % n]), "graph", source="ring")


def oscillators(domain: nf.Domain) -> list[Field]:
    """Phases of two samples on the vertices, couplings on the edges."""
    n, m = len(domain.points), len(domain.cells)
    shown = [
        Field(f"angle_{k}", np.linspace(-3 + k, 3, n), "vertex", "state", "angle", "angle",
              scale="cyclic", sample=k, film=True)
        for k in (0, 1)
    ]  # fmt: skip
    coupling = np.linspace(-2.0, 1.0, m)
    return [*shown, Field("J", coupling, "edge", "state", "J", "couplings", scale="diverging")]


MARKS = [Mark("clamped", "", {"vertices": [0, 1]}, input=0), Mark("readout", "Y0", {"cells": [3]})]


# ---------------------------------------------------------------- what is said of fields and marks


def test_a_complex_field_is_kept_as_two_arrays() -> None:
    field = Field("psi_12", np.array([1 + 2j]), "node", part="intensity", sample=12)
    assert {k: v.tolist() for k, v in field.arrays.items()} == {
        "psi_re_12": [1.0],
        "psi_im_12": [2.0],
    }
    assert list(Field("V", np.array([1j]), "cell").arrays) == ["V_re", "V_im"]
    assert field.description["arrays"] == ["psi_re_12", "psi_im_12"]
    assert field.description["part"] == "intensity"
    assert "values" not in field.description


def test_nothing_that_counts_is_left_out_of_a_description() -> None:
    said = Mark("pump", "w", {"cells": [0]}, input=0, dashed=True, value=0.0).description
    assert (said["input"], said["value"], said["dashed"]) == (0, 0.0, True)
    assert "unit" not in said
    said = Field("u", np.zeros(3), "node", "u", sample=0).description
    assert said["sample"] == 0
    assert {"label", "unit", "scale", "picture", "part"} <= set(said)
    assert not {"film", "natural"} & set(said)


def test_fields_of_a_graph_lie_on_its_vertices_and_edges(tmp_path: Path) -> None:
    domain = ring()
    said = files.write_fields(tmp_path / "fields.vtu", domain, oscillators(domain), MARKS)
    mesh = meshio.read(tmp_path / "fields.vtu")
    assert [block.type for block in mesh.cells] == ["vertex", "line"]
    vertices, edges = mesh.cell_data["J"]
    assert np.isnan(vertices).all()
    assert edges == pytest.approx(np.linspace(-2, 1, 6))
    assert mesh.point_data["angle_1"] == pytest.approx(np.linspace(-2, 3, 6))
    assert mesh.point_data["readout:0"].tolist() == [0, 0, 0, 1, 0, 0]
    named = [name for entry in said["fields"] for name in entry["arrays"]]
    assert set(named) == {*mesh.point_data, *mesh.cell_data}  # all that is there is described
    assert said["marks"][0] == {"kind": "clamped", "shape": {"vertices": [0, 1]}, "input": 0}


def test_a_mark_on_many_cells_names_an_array(tmp_path: Path) -> None:
    domain = ring(200)
    mark = Mark("clamped", "", {"vertices": list(range(100))})
    run = write_run(tmp_path / "run", domain, oscillators(domain), [mark])
    summary = json.loads((run / "summary.json").read_text())
    assert summary["marks"][0]["shape"] == {"vertices": "clamped:0"}
    shown = read_run(run)
    assert shown.chosen(shown.marks[0]).nonzero()[0].tolist() == list(range(100))


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (Field("u", np.zeros(5), "vertex", "u"), "5 values on 6"),
        (Field("u", np.zeros(6), "facet", "u"), "on = 'facet'"),
        (Field("u", np.zeros(6), "vertex", "a/b"), "picture = 'a/b'"),
        (Field("u", np.zeros(6), "vertex", "training"), "none of training"),
    ],
)
def test_fields_that_do_not_fit(field: Field, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        files.write_fields(tmp_path / "fields.vtu", ring(), [field])
    assert not (tmp_path / "fields.vtu").exists()


def test_summaries_are_read_by_people(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    content = {"a": [[1.0, np.nan], [2, 3]], "b": {"c": {"d": 1 + 2j}}, "e": np.arange(3), "f": []}
    files.write_summary(path, content)
    assert json.loads(path.read_text()) == {
        "a": [[1.0, None], [2, 3]], "b": {"c": {"d": [1.0, 2.0]}}, "e": [0, 1, 2], "f": [],
    }  # fmt: skip
    assert path.read_text().splitlines()[1:5] == [
        '  "a": [', "    [1.0, null],", "    [2, 3]", "  ],",
    ]  # fmt: skip


# ---------------------------------------------------------------- pictures


@needs_opengl
def test_a_graph_with_coloured_vertices_and_edges(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ring(), oscillators(ring()), MARKS)
    assert picture_names(run) == ["state"]
    (path,) = render_run(run, tmp_path / "figures")
    assert path.name == "state.png"
    assert_picture(path)
    assert has_color(path, mpl.colormaps["RdBu_r"](0.0)[:3])  # the coupling -2 of -2 to 2
    assert has_color(path, mpl.colormaps["twilight"](0.5 - 3 / (2 * np.pi))[:3])
    shown = read_run(run)
    marks = find_marks(shown, find_shape(shown))
    assert [(m.kind, m.driver) for m in marks] == [("clamped", 0), ("readout", None)]
    found = panels.find_panels(shown, find_shape(shown))["state"]
    assert [panel.title for panel in found] == ["inputs (0, 0)", "inputs (0, 1)"]
    assert [panel.off for panel in found] == [{0, 1}, {0}]
    assert all(panel.edges is not None for panel in found)


@needs_opengl
def test_edges_alone_and_two_fields_in_one_picture(tmp_path: Path) -> None:
    domain = ring()
    fields = [
        Field("R", np.linspace(1, 2, 6), "edge", "resistance", "R", "resistance", natural="Ω"),
        Field("U", np.linspace(0, 1, 6), "vertex", "voltage", "U", "voltage", "voltage"),
        Field("I", np.linspace(-1, 1, 6), "vertex", "voltage", "I", "current", scale="auto"),
    ]
    units = {"units": {"voltage": {"unit": "mV", "factor": 1000.0}}}
    run = write_run(tmp_path / "run", domain, fields, **units)
    for path in render_run(run, tmp_path / "figures"):
        assert_picture(path)
    shown = read_run(run)
    pages = panels.find_panels(shown, find_shape(shown))
    assert list(pages) == ["resistance", "voltage"]
    (resistance,) = pages["resistance"]
    assert resistance.faces is None
    assert resistance.edges.label == "R (Ω)"
    voltage, current = pages["voltage"]
    assert (voltage.title, current.title) == ("voltage", "current")
    assert voltage.faces.label == "U (mV)"
    assert voltage.faces.scale.limits == pytest.approx((0, 1000))
    assert current.faces.scale == panels.ColorScale("RdBu_r", (-1, 1))


@needs_opengl
def test_window_and_page_of_a_graph(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ring(), oscillators(ring()), MARKS)
    plotter = interactive(run, off_screen=True)
    assert np.std(np.asarray(plotter.screenshot(None, return_img=True))) > 1
    plotter.close()
    pytest.importorskip("trame_pyvista", reason="pip install 'nepfield[html]'")
    text = write_page(run, tmp_path / "page.html").read_text(encoding="utf-8")
    for words in ("couplings", "angle", "outlined: clamped, readout"):
        assert words in text


def test_a_chain_with_edges_needs_no_opengl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "opengl_problem", lambda: "no OpenGL")
    domain = nf.lattice(7)
    run = write_run(tmp_path / "run", domain, oscillators(domain), MARKS)
    (path,) = render_run(run, tmp_path / "figures")
    assert path.name == "fields.png"
    assert_picture(path, colors=30)
    angles, couplings = line_fields(read_run(run)).panels
    assert [curve.label for curve in angles.curves] == ["inputs (0, 0)", "inputs (0, 1)"]
    assert couplings.curves[0].x == pytest.approx(np.arange(6) + 0.5)


def test_the_first_field_whose_arrays_are_there_is_drawn(tmp_path: Path) -> None:
    domain = nf.lattice(4)
    wave = Field("z_0", np.array([1, 2j, 0, 1]), "vertex", "n", "n", "n", scale="intensity",
                 sample=0, part="intensity")  # fmt: skip
    same = Field("n_0", np.array([1.0, 4, 0, 1]), "vertex", "n", "n", "n", sample=0)
    run = write_run(tmp_path / "run", domain, [wave, same])
    (drawn,) = read_run(run).fields
    assert drawn.arrays == ("z_re_0", "z_im_0")
    assert read_run(run).values(drawn) == pytest.approx([1, 4, 0, 1])
    files.write_arrays(run / "frame.vtu", domain, [same])
    (drawn,) = read_run(run, "frame.vtu").fields
    assert drawn.arrays == ("n_0",)


def test_what_nothing_is_said_of_is_drawn_under_its_own_name(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", nf.lattice(5), oscillators(nf.lattice(5)))
    (run / "summary.json").unlink()
    assert [(f.picture, f.sample) for f in read_run(run).fields] == [("angle", 0), ("angle", 1),
                                                                   ("J", None)]  # fmt: skip
    assert_picture(render_run(run, tmp_path / "figures")[0], colors=20)


def test_a_broken_description_is_said(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", nf.lattice(5), oscillators(nf.lattice(5)))
    for broken in ({"fields": [{"on": "node"}]}, {"fields": [], "marks": [{"label": "x"}]}):
        (run / "summary.json").write_text(json.dumps(broken))
        with pytest.raises(InputError, match=r"summary\.json: its fields and marks"):
            read_run(run)


def test_colours_of_angles() -> None:
    twilight = mpl.colormaps["twilight"]
    angles = np.array([0.0, 1.0, -3.0, 1.0 + 2 * np.pi, np.nan])
    found = panels.phase_colors(angles) / 255
    wanted = [twilight(a / (2 * np.pi) + 0.5)[:3] for a in (0.0, 1.0, -3.0, 1.0)]
    assert found[:4] == pytest.approx(np.array(wanted), abs=0.01)
    assert found[4] == pytest.approx(mpl.colors.to_rgb("lightgrey"), abs=0.01)
    # complex numbers fade where they are dark beside the brightest
    faint = panels.phase_colors(np.array([1.0, 1e-4, 1.0j]), 1.0) / 255
    assert faint[0] == pytest.approx(wanted[0], abs=0.01)
    assert faint[1] == pytest.approx([1, 1, 1])
    assert panels.phase_colors(np.full(2, 1e-9 + 0j), 1.0).min() == 255


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.93, "meV", "w = 0.93 meV"), (1 - 0.25j, "", "w = 1 - 0.25i"), (0.0, "", "w = 0"),
     (None, "", "w")],
)  # fmt: skip
def test_what_is_written_beside_a_mark(value: complex | None, unit: str, text: str) -> None:
    assert mark_text(Mark("pump", "w", {}, value=value, unit=unit)) == text


# ---------------------------------------------------------------- curves and outputs


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    figures: list[Figure] = []
    for module in (curves, outputs):
        monkeypatch.setattr(
            module, "save_figure", lambda figure, path, *_: (figures.append(figure), path)[1]
        )
    return figures


def test_columns_are_drawn_as_they_are_described(tmp_path: Path, seen: list[Figure]) -> None:
    rows = ["epoch,cost,test_cost,accuracy,test_accuracy,hidden,same,energy"]
    rows += [f"{k},{2.0**-k},{'' if k % 2 else 1},0.5,{'' if k % 2 else 0.4},1,1,-{k}"
             for k in range(1, 9)]  # fmt: skip
    (tmp_path / "history.csv").write_text("\n".join(rows) + "\n")
    share = {"panel": "accuracy", "scale": "linear", "limits": [0, 1]}
    columns = {
        "cost": {"panel": "cost C", "unit": "cost", "label": "training"},
        "test_cost": {"panel": "cost C", "unit": "cost", "label": "test", "dots": True},
        "accuracy": share | {"label": "training"},
        "test_accuracy": share | {"label": "test"},
        "same": {"panel": "same", "usual": 1.0},
        "energy": {"panel": "energy $E$", "scale": "linear"},
        "absent": {"panel": "absent"},
    }
    units = {"cost": {"unit": "J", "factor": 10.0}}
    files.write_summary(tmp_path / "summary.json", {"columns": columns, "units": units})
    plot_training(tmp_path, tmp_path / "training.png")
    cost, accuracy, energy = seen[0].axes
    assert [axes.get_ylabel() for axes in seen[0].axes] == ["cost C (J)", "accuracy", "energy $E$"]
    assert cost.get_yscale() == "log"
    assert cost.lines[0].get_ydata() == pytest.approx(10 * 0.5 ** np.arange(1, 9))
    assert len(cost.lines[1].get_xdata()) == 4  # where it was evaluated
    words = [text.get_text() for text in accuracy.get_legend().get_texts()]
    assert words == ["training", "test"]
    assert accuracy.get_ylim() == pytest.approx((-0.04, 1.04))
    assert energy.get_yscale() == "linear"


def test_confusion(tmp_path: Path, seen: list[Figure]) -> None:
    assert plot_confusion(tmp_path, tmp_path / "a.png") is None
    matrices = {"train": [[8, 2], [0, 10]], "test": [[1, 1], [0, 0]]}
    files.write_summary(tmp_path / "summary.json", {"confusion": matrices})
    assert plot_confusion(tmp_path, tmp_path / "a.png") == tmp_path / "a.png"
    train, test = seen[0].axes[:2]
    assert (train.get_title(), test.get_title()) == ("train: 90.0% of 20", "test: 50.0% of 2")
    assert np.asarray(train.images[0].get_array()) == pytest.approx(
        np.array([[0.8, 0.2], [0, 1.0]])
    )
    assert [text.get_text() for text in train.texts] == ["8", "2", "10"]
    files.write_summary(tmp_path / "summary.json", {"confusion": {"train": [[1, 2]]}})
    with pytest.raises(InputError, match="not square"):
        plot_confusion(tmp_path, tmp_path / "a.png")


def test_many_outputs_and_what_they_are(tmp_path: Path, seen: list[Figure]) -> None:
    summary = {
        "inputs": [[0.0], [1.0]], "targets": np.eye(2, 10), "outputs": 0.9 * np.eye(2, 10),
        "readout": {"label": "phase", "unit": "", "target_unit": "target"},
    }  # fmt: skip
    files.write_summary(tmp_path / "summary.json", summary)
    plot_outputs(tmp_path, tmp_path / "a.png")
    above, below = (axes for axes in seen[0].axes if axes.images)
    assert np.asarray(above.images[0].get_array()).shape == (10, 2)
    assert above.images[0].get_clim() == below.images[0].get_clim() == (0, 1)
    labels = [axes.get_ylabel() for axes in seen[0].axes]
    assert {"output (phase)", "target"} <= set(labels)
