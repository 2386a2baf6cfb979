"""Pictures of a run: from a made-up run folder to PNG files, with and without OpenGL."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import meshio
import numpy as np
import pytest
import pyvista
from helpers import needs_opengl
from matplotlib.figure import Figure
from PIL import Image

from nepfield.errors import InputError
from nepfield.study.systems.gpe_old import describe
from nepfield.view import opengl, shapes
from nepfield.view import render as fields
from nepfield.view.curves import plot_training
from nepfield.view.outputs import plot_outputs
from nepfield.view.painting import outline
from nepfield.view.panels import Panel
from nepfield.view.records import read_history
from nepfield.view.render import (
    PicturesUnavailable,
    interactive,
    opengl_problem,
    read_grid,
    render_run,
    subdivided,
)
from nepfield.view.runs import read_run

INPUTS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]


def disc(rings: int = 2, segments: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Unit disc of curved six-node triangles: points (n, 3) and cells (m, 6)."""
    points: list[np.ndarray] = []
    index: dict[tuple[float, float], int] = {}

    def node(radius: float, angle: float) -> int:
        place = radius * np.array([np.cos(angle), np.sin(angle), 0.0])
        key = (round(float(place[0]), 9) + 0.0, round(float(place[1]), 9) + 0.0)
        if key not in index:
            index[key] = len(points)
            points.append(place)
        return index[key]

    step, cells = 2 * np.pi / segments, []
    for k in range(segments):
        a, b, m = k * step, (k + 1) * step, (k + 0.5) * step
        r = 1 / rings
        cells.append(
            [node(0, 0), node(r, a), node(r, b), node(r / 2, a), node(r, m), node(r / 2, b)]
        )
        for ring in range(1, rings):
            r, s = ring / rings, (ring + 1) / rings
            h = (r + s) / 2
            low = [node(r, a), node(s, a), node(s, b), node(h, a), node(s, m), node(h, m)]
            cells.append(low)
            cells.append([node(r, a), node(s, b), node(r, b), node(h, m), node(h, b), node(r, m)])
    return np.array(points), np.array(cells)


def wave_data(points: np.ndarray) -> dict[str, np.ndarray]:
    data: dict[str, np.ndarray] = {}
    x, y = points[:, 0], points[:, 1]
    for i, (left, right) in enumerate(INPUTS):
        psi = left * np.exp(-((x + 0.5) ** 2) - y**2 + 3j * x)
        psi = psi + right * np.exp(-((x - 0.5) ** 2) - y**2 - 2j * y)
        data |= {f"psi_re_{i}": psi.real, f"psi_im_{i}": psi.imag}
        data |= {f"density_{i}": abs(psi) ** 2, f"phase_{i}": np.angle(psi)}
    return data


def write_run(run: Path, mesh: meshio.Mesh, study: str) -> Path:
    run.mkdir(parents=True)
    meshio.write(run / "fields.vtu", mesh)
    (run / "study.toml").write_text('name = "fake"\n' + study)
    summary = {
        "inputs": INPUTS,
        "targets": [[0.0], [1.0], [1.0], [0.0]],
        "outputs": [[0.0], [0.93], [0.95], [0.07]],
    }
    arrays = {**mesh.point_data, **{name: values[0] for name, values in mesh.cell_data.items()}}
    summary |= describe(tomllib.loads(study), arrays, summary)
    (run / "summary.json").write_text(json.dumps(summary))
    rows = ["epoch,cost,gradient_norm_potential,gradient_norm_weights,gradient_cosine,"
            "fraction_converged,nonlinearity_ratio"]  # fmt: skip
    for k in range(20):
        cosine = 0.97 if k % 5 == 0 else ""
        rows.append(
            f"{k},{0.3 * 0.8**k},{0.1 * 0.9**k},{0.2 * 0.9**k},{cosine},{1 - 0.25 * (k == 3)},0.02"
        )
    (run / "history.csv").write_text("\n".join(rows) + "\n")
    return run


@pytest.fixture
def disc_run(tmp_path: Path) -> Path:
    points, cells = disc()
    x, y = points[cells[:, :3]].mean(axis=1)[:, :2].T
    cell_data = {
        "V_re": [0.3 + 0.2 * x],
        "V_im": [-0.1 * (y > 0)],
        "dC_dV": [x * y],
        "readout:0": [(x > 0.3).astype(float)],
    }
    mesh = meshio.Mesh(
        points, [("triangle6", cells)], point_data=wave_data(points), cell_data=cell_data
    )
    study = (
        "[[pump]]\ncenter = [-0.5, 0.0]\nwidth = 0.2\nweight = [0.5, -0.25]\n"
        "[[pump]]\ncenter = [0.5, 0.0]\nwidth = 0.2\nwavevector = [0.0, -2.0]\n"
        '[readout]\nregions = ["output"]\n'
    )
    return write_run(tmp_path / "disc", mesh, study)


@pytest.fixture
def line_run(tmp_path: Path) -> Path:
    x = np.linspace(-1, 1, 21)
    points = np.column_stack([x, 0 * x, 0 * x])
    k = np.arange(0, 20, 2)
    middle = x[1::2]
    mesh = meshio.Mesh(
        points,
        [("line3", np.column_stack([k, k + 2, k + 1]))],
        point_data=wave_data(points),
        cell_data={"V_re": [middle], "V_im": [0 * middle], "dC_dV": [middle**2]},
    )
    study = (
        "[[pump]]\ncenter = [-0.5]\nwidth = 0.2\n[readout]\n[[readout.disc]]\n"
        "center = [0.5]\nradius = 0.1\n"
    )
    return write_run(tmp_path / "line", mesh, study)


def lattice_mesh(rows: int, columns: int, shift: float = 0.0) -> meshio.Mesh:
    iy, ix = np.divmod(np.arange(rows * columns), columns)
    points = np.column_stack([ix + shift * np.sin(7.0 * iy), iy, 0 * ix]).astype(float)
    right = np.flatnonzero(ix < columns - 1)
    up = np.flatnonzero(iy < rows - 1)
    edges = np.concatenate(
        [np.column_stack([right, right + 1]), np.column_stack([up, up + columns])]
    )
    data = wave_data(points / max(columns, rows))
    data |= {"V_re": np.sin(ix + 2.0 * iy), "V_im": 0.0 * ix, "dC_dV": np.cos(1.0 * ix)}
    vertices = np.arange(len(points))[:, None]
    return meshio.Mesh(points, [("vertex", vertices), ("line", edges)], point_data=data)


LATTICE = "[domain]\nlattice = [4, 6]\n[[pump]]\nsite = [1, 1]\n[readout]\nsites = [[2, 4], 0]\n"


def assert_picture(path: Path, colors: int = 60) -> None:
    assert path.stat().st_size < 300_000
    with Image.open(path) as image:
        assert image.width >= 700
        pixels = np.asarray(image.convert("RGB")).astype(np.int32)
    assert len(np.unique(pixels @ np.array([1, 256, 65536]))) > colors


def has_color(path: Path, color: tuple[float, float, float]) -> bool:
    """Whether more than a thousandth of the pixels come close to a colour (0 to 1)."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(float) / 255
    near = abs(pixels - np.array(color)).max(axis=-1) < 0.06
    return bool(near.mean() > 1e-3)


# ---------------------------------------------------------------- curves


def test_training_curves(disc_run: Path, tmp_path: Path) -> None:
    assert_picture(plot_training(disc_run, tmp_path / "new" / "training.png"))


def test_training_curves_need_only_epoch_and_cost(disc_run: Path, tmp_path: Path) -> None:
    (disc_run / "history.csv").write_text("epoch,cost,gradient_cosine\n0,-0.1,\n")
    assert_picture(plot_training(disc_run, tmp_path / "training.png"), colors=10)


def test_history_has_gaps(disc_run: Path) -> None:
    history = read_history(disc_run)
    assert np.isfinite(history["gradient_cosine"]).sum() == 4
    assert history["cost"][2] == pytest.approx(0.3 * 0.64)


@pytest.mark.parametrize("text", ["", "epoch,cost\n", "a,b\n1,2\n", "epoch,cost\n0,much\n"])
def test_broken_history(disc_run: Path, tmp_path: Path, text: str) -> None:
    (disc_run / "history.csv").write_text(text)
    with pytest.raises(InputError, match=r"history\.csv"):
        plot_training(disc_run, tmp_path / "training.png")
    assert not (tmp_path / "training.png").exists()


def test_missing_run_and_files(disc_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run folder"):
        plot_training(tmp_path / "nowhere", tmp_path / "training.png")
    with pytest.raises(InputError, match="no such run folder"):
        render_run(tmp_path / "nowhere", tmp_path)
    (disc_run / "history.csv").unlink()
    with pytest.raises(InputError, match="nepfield train"):
        plot_training(disc_run, tmp_path / "training.png")
    (disc_run / "fields.vtu").unlink()
    with pytest.raises(InputError, match=r"fields\.vtu"):
        render_run(disc_run, tmp_path)


def test_outputs(disc_run: Path, tmp_path: Path) -> None:
    output = plot_outputs(disc_run, tmp_path / "outputs.png")
    assert output is not None
    assert_picture(output, colors=20)


def test_outputs_of_many_samples_are_not_drawn(disc_run: Path, tmp_path: Path) -> None:
    summary = {"inputs": [[0.0]] * 17, "targets": [[1.0]] * 17, "outputs": [[1.0]] * 17}
    (disc_run / "summary.json").write_text(json.dumps(summary))
    assert plot_outputs(disc_run, tmp_path / "outputs.png") is None
    (disc_run / "summary.json").write_text(json.dumps({"cost": 1.0}))
    assert plot_outputs(disc_run, tmp_path / "outputs.png") is None


def test_outputs_that_do_not_fit(disc_run: Path, tmp_path: Path) -> None:
    summary = {"inputs": INPUTS, "targets": [[0.0]], "outputs": [[0.0]] * 4}
    (disc_run / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(InputError, match="do not fit together"):
        plot_outputs(disc_run, tmp_path / "outputs.png")


# ---------------------------------------------------------------- fields


def test_quadratic_cells_are_subdivided_exactly() -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=float)
    middles = (corners + np.roll(corners, -1, axis=0)) / 2
    points = np.concatenate([corners, middles])
    points[4, :2] = [0.6, 0.6]  # the long side is curved
    xi = np.array([0, 1, 0, 0.5, 0.5, 0])
    grid = pyvista.UnstructuredGrid([6, *range(6)], [22], points)
    grid["xi"], grid["square"] = xi, xi**2
    surface = subdivided(grid)
    assert surface.n_cells >= 16
    np.testing.assert_allclose(surface["square"], surface["xi"] ** 2, atol=1e-12)
    assert surface.points[:, :2].sum(axis=1).max() == pytest.approx(1.2, abs=1e-6)
    assert surface.area == pytest.approx(0.5 + 2 / 3 * 0.2, rel=5e-3)  # parabola on the long side


def test_rim_is_one_closed_curve_through_the_midpoints() -> None:
    points, cells = disc(rings=2)
    grid = pyvista.UnstructuredGrid({22: cells}, points)
    shape = shapes.mesh_shape(grid)
    (rim,) = shape.rim()
    radius = np.linalg.norm(rim, axis=1)
    assert radius.min() > 0.999
    assert radius.max() < 1.001
    np.testing.assert_allclose(rim[0], rim[-1])
    inner = shape.rim(np.arange(len(cells)) % 3 == 0)  # the first ring of triangles
    assert len(inner) == 1
    np.testing.assert_allclose(np.linalg.norm(inner[0], axis=1), 0.5, atol=1e-3)


@needs_opengl
def test_planar_mesh(disc_run: Path, tmp_path: Path) -> None:
    paths = render_run(disc_run, tmp_path / "figures")
    names = [path.name for path in paths]
    assert names == ["density.png", "phase.png", "potential.png", "gradient.png"]
    for path in paths:
        assert_picture(path)
    # Each picture shows its own field: low V is dark violet, high dC/dV is dark red.
    assert has_color(tmp_path / "figures" / "potential.png", (0.27, 0.0, 0.33))
    assert has_color(tmp_path / "figures" / "gradient.png", (0.40, 0.0, 0.12))
    assert not has_color(tmp_path / "figures" / "gradient.png", (0.27, 0.0, 0.33))
    assert not has_color(tmp_path / "figures" / "density.png", (0.40, 0.0, 0.12))


@needs_opengl
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_planar_lattice_and_graph(tmp_path: Path, shift: float) -> None:
    run = write_run(tmp_path / "run", lattice_mesh(4, 6, shift), LATTICE)
    paths = render_run(run, tmp_path / "figures")
    assert len(paths) == 4
    for path in paths:
        assert_picture(path, colors=30)


@needs_opengl
def test_interactive_view_is_built(disc_run: Path) -> None:
    plotter = interactive(disc_run, off_screen=True)
    try:
        assert np.std(np.asarray(plotter.screenshot(None, return_img=True))) > 1
        assert len(plotter.widgets.slider_widgets) == 2
    finally:
        plotter.close()


def test_sites_of_a_lattice_are_outlined(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", lattice_mesh(4, 6), LATTICE))
    assert run.graph
    assert not run.line
    assert run.count == 4
    marks = shapes.find_marks(run, shapes.graph_shape(run.grid))
    assert [mark.driver for mark in marks] == [0, None, None]
    centers = [(m.lines[0].min(axis=0) + m.lines[0].max(axis=0)) / 2 for m in marks]
    np.testing.assert_allclose(centers, [[1, 1], [4, 2], [0, 0]], atol=1e-6)
    assert marks[0].label == "w = 1"


def test_an_outline_leaves_in_sight_what_it_is_around(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", lattice_mesh(4, 300), LATTICE))
    shape = shapes.graph_shape(run.grid)
    mark = next(m for m in shapes.find_marks(run, shape) if m.kind == "readout")
    axes = Figure().subplots()
    outline(axes, shape, [mark], Panel("", None), named=True)
    ring, site = np.array(axes.lines[0].get_data()).T, mark.lines[0]
    assert np.ptp(site, axis=0) == pytest.approx(1.0)
    assert np.ptp(ring, axis=0) == pytest.approx(0.02 * shape.size)
    middles = [(line.min(axis=0) + line.max(axis=0)) / 2 for line in (ring, site)]
    np.testing.assert_allclose(middles[0], middles[1], atol=1e-9)
    assert axes.lines[0].get_linewidth() == pytest.approx(0.7)
    # what is no single site is drawn as it is
    both = np.isin(np.arange(len(mark.faces)), [0, 1])
    pair = replace(mark, lines=shape.rim(both), faces=both)
    assert pair.around(shape)[0] is pair


def test_marks_of_a_mesh(disc_run: Path) -> None:
    run = read_run(disc_run)
    marks = shapes.find_marks(run, shapes.mesh_shape(run.grid))
    assert [mark.label for mark in marks] == ["w = 0.5 - 0.25i", "w = 1", "readout"]
    radius = np.linalg.norm(marks[0].lines[0] - [-0.5, 0.0], axis=1)
    np.testing.assert_allclose(radius, 0.2)
    assert marks[1].arrow is not None
    assert marks[1].arrow[1, 1] < marks[1].arrow[0, 1]
    assert [run.sample(1), run.drives(1, 0), run.drives(1, 1)] == ["inputs (0, 1)", False, True]


def test_line_needs_no_opengl(
    line_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "opengl_problem", lambda: "no OpenGL")
    (path,) = render_run(line_run, tmp_path / "figures")
    assert path.name == "fields.png"
    assert_picture(path)


def test_lattice_on_a_line(tmp_path: Path) -> None:
    study = "[domain]\nlattice = [9]\n[[pump]]\nsite = 0\n[readout]\nsites = [4]\n"
    run = write_run(tmp_path / "run", lattice_mesh(1, 9), study)
    (path,) = render_run(run, tmp_path / "figures")
    assert_picture(path)


def test_without_summary_and_study(line_run: Path, tmp_path: Path) -> None:
    (line_run / "summary.json").unlink()
    (line_run / "study.toml").unlink()
    (path,) = render_run(line_run, tmp_path / "figures")
    assert_picture(path)


@pytest.mark.parametrize("content", [b"", b"<VTKFile type='UnstructuredGrid'>", b"\x00\x01"])
def test_broken_fields(disc_run: Path, tmp_path: Path, content: bytes) -> None:
    (disc_run / "fields.vtu").write_bytes(content)
    with pytest.raises(InputError, match=r"fields\.vtu"):
        read_grid(disc_run)
    with pytest.raises(InputError, match=r"fields\.vtu"):
        render_run(disc_run, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_truncated_fields(disc_run: Path) -> None:
    path = disc_run / "fields.vtu"
    content = path.read_bytes()
    path.write_bytes(content[: 2 * len(content) // 3])
    with pytest.raises(InputError, match="not a readable VTU file"):
        read_grid(disc_run)


def test_broken_study_and_summary(disc_run: Path, tmp_path: Path) -> None:
    (disc_run / "summary.json").write_text("[1, 2")
    with pytest.raises(InputError, match=r"summary\.json"):
        render_run(disc_run, tmp_path)
    (disc_run / "study.toml").write_text("name = ")
    with pytest.raises(InputError, match=r"study\.toml"):
        render_run(disc_run, tmp_path)


# ---------------------------------------------------------------- OpenGL


def test_missing_opengl_says_what_to_install(
    disc_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial that kills its process, as VTK does without OpenGL, becomes a sentence."""
    monkeypatch.setattr(opengl, "_PROBE", "import os; os.kill(os.getpid(), 11)")
    opengl.probe.cache_clear()
    try:
        problem = opengl_problem()
        assert problem is not None
        for words in ("OpenGL", "exit status -11", "apt-get install libgl1 libegl1", "mesalib"):
            assert words in problem
        with pytest.raises(PicturesUnavailable, match="apt-get install"):
            render_run(disc_run, tmp_path / "figures")
        assert not (tmp_path / "figures").exists()
    finally:
        opengl.probe.cache_clear()


def test_missing_pyvista_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opengl, "_PROBE", "import no_such_pyvista")
    opengl.probe.cache_clear()
    try:
        problem = opengl_problem()
        assert problem is not None
        assert "pip install pyvista" in problem
    finally:
        opengl.probe.cache_clear()


def test_render_window_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "VTK_DEFAULT_OPENGL_WINDOW"
    monkeypatch.delenv(name, raising=False)
    with opengl.render_window("vtkEGLRenderWindow"):
        assert opengl.os.environ[name] == "vtkEGLRenderWindow"
    assert name not in opengl.os.environ


def test_no_display_is_said(disc_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "opengl_problem", lambda: None)
    monkeypatch.setattr(fields.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PicturesUnavailable, match="DISPLAY"):
        interactive(disc_run)
