"""Looking at things from Python: what objects say of themselves, grids, figures, opened folders."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import textwrap
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import MESHES, interval, needs_opengl
from typer.testing import CliRunner

import nepfield as nf
from nepfield.cli import app
from nepfield.study.plot import read_samples
from nepfield.study.run.opened import Run
from nepfield.study.text.study import StudyConfig
from nepfield.view.curves import save_figure
from nepfield.view.lines import MAX_CURVES

STUDY = """
name = "two"
[domain]
lattice = [9]
[domain.sites]
through = 3
ringtop = 5
[physics]
g = 0.1
loss = 0.1
[[pump]]
site = 1
[[pump]]
site = 7
[readout]
regions = ["through", "ringtop"]
[task]
inputs = {inputs}
targets = {targets}
[training]
epochs = 2
rate = 0.05
"""


def write_study(folder: Path, samples: int = 4, name: str = "study.toml", **replaced: str) -> Path:
    rows = [[k / samples, 1.0] for k in range(samples)]
    text = STUDY.format(inputs=rows, targets=[[0.0, 0.1 * k] for k in range(samples)])
    for old, new in replaced.items():
        text = text.replace(old, new)
    (folder / name).write_text(text)
    return folder / name


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run of two named outputs and twenty samples."""
    folder = tmp_path_factory.mktemp("looking")
    study = write_study(folder, samples=20)
    result = invoke("train", str(study), "--out", str(folder / "run"), "--quiet")
    assert result.exit_code == 0, result.output
    return folder / "run"


@pytest.fixture(scope="module")
def wave() -> nf.GPE:
    domain = interval(16, 0.0, 4.0)
    space = nf.finite_elements(domain, order=2, dirichlet=["left"])
    pumps = [nf.gaussian_pump([1.0], 0.4, 0.5), nf.gaussian_pump([3.0], 0.4, -0.3)]
    return nf.GPE(space, np.linspace(-0.1, 0.1, 16), pumps, nf.Density(0.1), 0.1)


# ---------------------------------------------------------------- what objects say of themselves


def public_objects(wave: nf.GPE) -> dict[str, Any]:
    """One of every kind of object that the front door leads to."""
    many = np.random.default_rng(0).uniform(0, 1, (300, 2))
    steady = nf.solve_steady(wave, many)
    readout = nf.readout(wave.space, regions=["first"])
    cost, task = nf.MSE(readout), nf.Task(many, many[:, :1])
    gradient = nf.gradient(wave, cost, many, many[:, :1], steady=steady)
    result = nf.train(wave, cost, task, optimizer=nf.Adam(0.01), epochs=1)
    graph = nf.random_geometric_graph(40, 0.4)
    from nepfield.mesh.graphs import add_sets

    graph = add_sets(graph, {"input": [0, 1], "output": list(range(10, 30))})
    plane = nf.delaunay_patch(16)
    chain = add_sets(nf.lattice(9), {"output": [4]})
    signals = readout.signals(steady.state)
    nudge = nf.Nudge(cost, many[:, :1].T, steady.state, signals, "linearised", 0.01)
    springs = nf.QuantumOscillators(nf.complete_graph(3), 1.0, [0], pin=0.2)
    return {
        "Domain": graph,
        "mesh": nf.read_domain(MESHES / "billiard.msh"),
        "Space": wave.space,
        "Parameter": wave.parameters["potential"],
        "Potential": wave.potential,
        "Pump": nf.gaussian_pump([1.0], 0.4),
        "pumps": wave.pumps,
        "GPE": wave,
        "Oscillators": nf.Oscillators(graph, 1.0, 0.0, 0.0, [0, 1]),
        "Ising": nf.Ising(graph, 1.0, 0.0, [0, 1], ground_state="annealing"),
        "ElasticNetwork": nf.ElasticNetwork(plane, 1.0, "mesh", [0], [3]),
        "QuantumSpins": nf.transverse_field_ising(nf.complete_graph(4), 1.0, 1.0, [0]),
        "QuantumOscillators": springs,
        "Steady": steady,
        "Gradient": gradient,
        "Evaluation": result.final,
        "TrainingResult": result,
        "Task": task,
        "readout": readout,
        "phases": nf.phases(graph, ["output"]),
        "expectations": nf.expectations(chain, ["output"]),
        "MSE": cost,
        "CCE": nf.CCE(readout),
        "LogCosine": nf.LogCosine(nf.phases(graph, ["output"])),
        "Nudge": nudge,
        "FieldNudge": nf.FieldNudge(steady.state),
        "NearEquilibrium": nf.near_equilibrium(wave, steady.state),
        "Field": wave.fields(steady.state[:, :1], many[:1])[0],
        "Mark": readout.marks()[0],
        "Keys": nf.Keys(0, 1, np.arange(300)),
        "Adam": nf.Adam(0.1),
        "summary": nf.describe(nf.read_domain(MESHES / "billiard.msh")),
        "evolution": nf.evolve(wave, many[:2], 1.0),
    }


def test_every_object_says_what_it_is_in_a_few_lines(wave: nf.GPE) -> None:
    for name, thing in public_objects(wave).items():
        text = repr(thing)
        lines = text.splitlines()
        assert 1 <= len(lines) <= 6, (name, text)
        assert max(map(len, lines)) <= 100, (name, text)
        assert "array(" not in text, (name, text)
        if hasattr(thing, "about"):
            html = thing._repr_html_()
            assert html.startswith("<b>"), name
            assert len(html) < 3000, name


def test_reprs_tell_the_numbers(wave: nf.GPE) -> None:
    assert "16 line cells" in repr(wave.domain)
    assert "first (8 cells)" in repr(wave.domain)
    steady = nf.solve_steady(wave, np.eye(2))
    assert repr(steady).startswith("Steady: 2 of 2 samples converged")
    failed = nf.solve_steady(wave, np.eye(2), max_iterations=1, tolerance=1e-15, on_failure="flag")
    assert "0 of 2 samples" in repr(failed)
    assert failed.reason[0][:30] in repr(failed)
    assert "2 pumps" in repr(wave)
    assert "1 pump:" in repr(nf.GPE(wave.space, 0.0, [nf.gaussian_pump([1.0], 0.4)]).pumps)
    assert "Gaussian spot at [1.0] of width 0.4" in repr(nf.gaussian_pump([1.0], 0.4))


def test_a_subclass_that_is_a_dataclass_keeps_the_short_form(wave: nf.GPE) -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True, eq=False)
    class Huber(nf.MSE):
        width: float = 0.5

    text = repr(Huber(nf.readout(wave.space, regions=["first"])))
    assert text.startswith("Huber")
    assert len(text.splitlines()) == 3


def test_names_are_text_in_notebooks() -> None:
    domain = nf.Domain(np.zeros((1, 1)), np.zeros((0, 2), int), "graph", source="<b>{x}</b>")
    assert "<b>{x}" not in domain._repr_html_()


def test_importing_the_package_loads_no_pictures() -> None:
    code = "import sys, nepfield; print({'pyvista', 'matplotlib', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert set(nf.__all__) <= set(dir(nf))
    assert all(hasattr(nf, name) for name in nf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'plott'"):
        attrgetter("plott")(nf)


# ---------------------------------------------------------------- grids


def test_curved_quadratic_cells_are_kept() -> None:
    domain = nf.read_domain(MESHES / "disc.msh")
    space = nf.finite_elements(domain, order=2)
    assert set(nf.to_pyvista(domain).celltypes) == {22}
    state = np.exp(1j * space.nodes[space.dof < space.ndof, 0])
    grid = nf.to_pyvista(space, state)
    assert set(grid.celltypes) == {22}  # VTK's quadratic triangle
    found = grid.point_data["psi_re_0"] + 1j * grid.point_data["psi_im_0"]
    assert found == pytest.approx(space.at_nodes(state[:, None])[:, 0])
    # VTK's areas of quadratic cells are those of the chords between all nodes
    assert grid.points[:, :2] == pytest.approx(space.nodes)


def test_a_grid_has_states_potential_gradient_and_regions(wave: nf.GPE) -> None:
    readout = nf.readout(wave.space, regions=["first"])
    inputs, targets = np.eye(2), np.ones((2, 1))
    gradient = nf.gradient(wave, nf.MSE(readout), inputs, targets)
    grid = nf.to_pyvista(wave, gradient, readout=readout)
    assert grid.cell_data["V_re"] == pytest.approx(wave.potential.values)
    assert grid.cell_data["dC_dV"] == pytest.approx(gradient.fields["potential"])
    density = np.abs(wave.space.at_nodes(gradient.steady.state)) ** 2
    assert grid.point_data["density_1"] == pytest.approx(density[:, 1])
    assert grid.cell_data["region:first"].tolist() == [1] * 8 + [0] * 8
    assert grid.cell_data["readout:0"].tolist() == [1] * 8 + [0] * 8


def test_numbers_on_cells_and_points() -> None:
    domain = nf.read_domain(MESHES / "polygon.msh")
    values = np.arange(len(domain.cells), dtype=float)
    assert nf.to_pyvista(domain, values).cell_data["values"] == pytest.approx(values)
    heights = domain.points[:, 0]
    assert nf.to_pyvista(domain, heights).point_data["values"] == pytest.approx(heights)
    space = nf.finite_elements(domain, order=2)
    assert nf.to_pyvista(space, values).cell_data["values"] == pytest.approx(values)
    placed = nf.potential(space, values)
    assert nf.to_pyvista(space, placed).cell_data["V_re"] == pytest.approx(values)


def test_what_cannot_be_shown_is_refused(wave: nf.GPE) -> None:
    for what, shown, says in (
        (wave.potential, None, "a Potential stands nowhere"),
        (wave, np.ones(3), "no state here"),
        (wave, "words", "cannot be shown here"),
        (wave.space, np.ones(5), "no state here"),
    ):
        with pytest.raises(nf.InputError, match=says):
            nf.to_pyvista(what, shown)
    with pytest.raises(nf.InputError, match="inputs"):
        nf.plot(wave, nf.solve_steady(wave, np.eye(2)), inputs=np.ones((3, 2)))
    with pytest.raises(nf.InputError, match=r"no picture 'dens'.*density"):
        nf.plot(wave, nf.solve_steady(wave, np.eye(2)), "dens")
    ising = nf.Ising(nf.complete_graph(3), 1.0, 0.0, [0])
    with pytest.raises(nf.InputError, match="give the states"):
        nf.plot(ising)


# ---------------------------------------------------------------- figures in one line


def test_states_on_a_line(wave: nf.GPE) -> None:
    inputs = np.eye(2)
    steady = nf.solve_steady(wave, inputs)
    figure = nf.plot(wave, steady, inputs=inputs)
    assert figure.axes[0].get_ylabel() == r"$|\Psi|^2$"
    assert len(figure.axes) == 3  # density, phase, V
    assert [line.get_label() for line in figure.axes[0].lines[-2:]] == [
        "inputs (1, 0)", "inputs (0, 1)"
    ]  # fmt: skip
    assert figure._repr_png_().startswith(b"\x89PNG")
    (axes,) = nf.plot(wave, steady, "density").axes
    assert axes.get_yscale() == "linear"
    (axes,) = nf.plot(wave, steady, "density", log=True).axes
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert 0 < low < 1e-4 * high


def test_many_samples_are_not_cut_without_a_word(wave: nf.GPE) -> None:
    steady = nf.solve_steady(wave, np.linspace(0, 1, 24).reshape(12, 2))
    figure = nf.plot(wave, steady, "density", title="name")
    assert figure.get_suptitle() == "name (8 of 12 samples)"
    assert len(figure.axes[0].get_legend().get_texts()) == MAX_CURVES
    figure = nf.plot(wave, steady, "density", samples=[9, 11], title="name")
    words = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert words == ["sample 9", "sample 11"]
    figure = nf.plot(wave, steady, "density", samples=range(12), title="name")
    assert figure.get_suptitle() == "name"
    assert len(figure.axes[0].get_legend().get_texts()) == 12
    with pytest.raises(nf.InputError, match="sample 12: there are fields of samples 0 to 11"):
        nf.plot(wave, steady, samples=12)


def test_results_and_histories(wave: nf.GPE) -> None:
    cost = nf.MSE(nf.readout(wave.space, regions=["first"]))
    task = nf.Task(np.eye(2), np.ones((2, 1)))
    result = nf.train(wave, cost, task, optimizer=nf.Adam(0.01), epochs=3, compare_every=1)
    figure = nf.plot(result, title="curves")
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels[0] == "cost C"
    assert any("|f(n)-f(0)|" in label for label in labels)
    assert not any(r"g\,n" in label for label in labels)
    costs = [row["cost"] for row in result.history]
    for history in (result.history, {"cost": costs}):
        line = nf.plot(history).axes[0].lines[0]
        assert line.get_ydata() == pytest.approx(costs)
        assert line.get_xdata() == pytest.approx([1, 2, 3])
    with pytest.raises(nf.InputError, match="its curves"):
        nf.plot(result, "density")


def test_vector_files_are_the_same_whenever_they_are_drawn(wave: nf.GPE, tmp_path: Path) -> None:
    for suffix, begins in ((".pdf", b"%PDF"), (".svg", b"<?xml")):
        files = [tmp_path / f"{k}{suffix}" for k in (0, 1)]
        for file in files:
            save_figure(nf.plot(wave), file)
        assert files[0].read_bytes().startswith(begins)
        assert files[0].read_bytes() == files[1].read_bytes()


@needs_opengl
def test_planar_pictures_in_memory() -> None:
    domain = nf.read_domain(MESHES / "disc.msh")
    space = nf.finite_elements(domain)
    system = nf.GPE(space, 0.5, [nf.gaussian_pump([0.0, 0.0], 0.4)], nf.Density(0.1), 0.1)
    steady = nf.solve_steady(system, np.ones((1, 1)))
    figure = nf.plot(system, steady, inputs=[[1.0]], log=True)
    main, bar = figure.axes
    assert main.get_title() == "inputs (1)"
    assert bar.get_yscale() == "log"
    assert np.std(main.images[0].get_array()) > 10
    figure = nf.plot(domain)  # mesh lines, and boundaries by name
    assert figure.get_suptitle() == "disc"
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == list(
        domain.boundaries
    )
    assert nf.plot(nf.complete_graph(4)).axes


# ---------------------------------------------------------------- folders


def test_a_run_is_opened(run: Path) -> None:
    opened = nf.open_run(run)
    assert isinstance(opened, Run)
    assert opened.name == "two"
    assert opened.summary["epochs"] == 2
    assert opened.history["epoch"].tolist() == [1, 2]
    assert isinstance(opened.config, StudyConfig)
    assert len(repr(opened.config)) < 100
    saved = np.load(run / "checkpoint.npz")["parameter/potential"]
    assert opened.system.parameters["potential"].values == pytest.approx(saved)
    steady = opened.solve()
    outputs = opened.cost.readout.outputs(steady.state)
    assert outputs == pytest.approx(np.array(opened.summary["outputs"]), rel=1e-6)
    assert opened.solve(np.ones((1, 2))).state.shape == (9, 1)
    assert opened.pictures == ["fields", "training", "outputs", "samples", "decision"]
    assert "two (finished, 2 epochs)" in repr(opened)
    assert len(repr(opened).splitlines()) <= 6
    assert opened.to_pyvista().n_points == 9
    assert nf.plot(opened, "training").axes[0].get_ylabel() == "cost C"
    named = nf.plot(opened, "density", samples=0, title="the first")
    assert named.get_suptitle() == "the first"
    assert len(named.axes) == 1
    assert len(named.axes[0].get_legend().get_texts()) == 1
    with pytest.raises(nf.InputError, match="open it first"):
        nf.plot(run)
    assert "(8 of 20 samples)" in opened.plot().get_suptitle()
    for folder, says in ((run.parent, "no run folder"), (run.parent / "none", "no run folder")):
        with pytest.raises(nf.InputError, match=says):
            nf.open_run(folder)
    with pytest.raises(nf.InputError, match="no folder of a sweep"):
        nf.open_sweep(run)


@pytest.mark.slow
def test_a_sweep_is_opened(tmp_path: Path) -> None:
    write_study(tmp_path)
    text = 'study = "study.toml"\n[grid]\n"physics.loss" = [0.1, 0.2]\n'
    (tmp_path / "sweep.toml").write_text(text)
    done = invoke("sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "s"), "--quiet",
                  "--workers", "1")  # fmt: skip
    assert done.exit_code == 0, done.output
    opened = nf.open_sweep(tmp_path / "s")
    assert opened.results["physics.loss"].tolist() == [0.1, 0.2]
    assert opened.varied == ["physics.loss"]
    assert opened.statistics is None or len(opened.statistics) == 2
    assert list(opened.cases) == opened.results["case"].tolist()
    last = opened.run(list(opened.cases)[-1])
    assert last.config.physics.loss == 0.2
    assert nf.plot(opened).axes
    assert "2 of 2 cases" in repr(opened)
    with pytest.raises(nf.InputError, match="samples and log are of a run"):
        nf.plot(opened, log=True)
    with pytest.raises(nf.InputError, match="case 99"):
        opened.run(99)
    with pytest.raises(nf.InputError, match="open_sweep"):
        nf.open_run(tmp_path / "s")


def test_pictures_of_a_run_as_the_command_draws_them(run: Path, tmp_path: Path) -> None:
    for name, begins in (("a.pdf", b"%PDF"), ("a.svg", b"<?xml"), ("a.png", b"\x89PNG")):
        done = invoke("plot", str(run), "-o", str(tmp_path / name), "--log", "--samples", "0,8-9")
        assert done.exit_code == 0, done.output
        assert (tmp_path / name).read_bytes().startswith(begins)
    done = invoke("plot", str(run), "--samples", "16", "-o", str(tmp_path / "b.png"))
    assert done.exit_code == 2
    assert "sample 16: there are fields of samples 0 to 15" in done.output
    done = invoke("plot", str(run), "--field", "outputs")
    assert done.exit_code == 2
    assert "outputs are drawn for up to 16 inputs" in done.output
    assert read_samples("3, 5-7") == [3, 5, 6, 7]
    for text in ("", "a", "3-1", "-1", "0-99999999", "1,"):
        with pytest.raises(nf.InputError, match="--samples"):
            read_samples(text)


# ---------------------------------------------------------------- words


def test_outputs_keep_their_names(run: Path, tmp_path: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    assert summary["readout"]["names"] == ["through", "ringtop"]
    marks = [mark for mark in summary["marks"] if mark["kind"] == "readout"]
    assert [mark["label"] for mark in marks] == ["through", "ringtop"]
    grid = nf.open_run(run).to_pyvista()
    assert grid.point_data["readout:ringtop"].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0]
    study = write_study(tmp_path)
    done = invoke("solve", str(study), "--out", str(tmp_path / "out"))
    assert "outputs: through, ringtop" in done.output
    figure = nf.open_run(tmp_path / "out").plot("outputs")
    words = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert words == ["target", "through", "ringtop"] or words[-2:] == ["through", "ringtop"]
    done = invoke("check", str(study))
    assert "2 outputs (through, ringtop)" in done.output


def test_names_of_other_readouts() -> None:
    from nepfield.fields.distances import distances, positions
    from nepfield.fields.names import output_names
    from nepfield.mesh.graphs import add_sets

    graph = add_sets(nf.delaunay_patch(12), {"a": [1], "pair": [2, 3]})
    assert nf.phases(graph, ["a", "pair"], [5]).names == ("a", "pair 0", "pair 1", "vertex 5")
    assert nf.expectations(graph, ["a"], observables=["Z0 X1"]).names == ("a", "Z0 X1")
    assert nf.mean_positions(graph, ["a"]).names == ("a",)
    assert distances(graph, ["pair"], [[4, 5]]).names == ("pair", "4-5")
    assert positions(graph, ["a"]).names == ("a x", "a y")
    space = nf.graph(nf.lattice(3, 3))
    read = nf.readout(space, sites=[[1, 1]], discs=[([0.0, 0.0], 0.5)])
    assert read.names == ("site [1, 1]", "disc")

    class Unnamed:
        noutputs = 2

    assert output_names(Unnamed()) == ("output 0", "output 1")


def test_one_of_a_thing_is_told_as_one(tmp_path: Path) -> None:
    study = write_study(tmp_path, samples=1, **{"[[pump]]\nsite = 7\n": ""})
    text = study.read_text().replace("[[0.0, 1.0]]", "[[1.0]]")
    study.write_text(text.replace('"ringtop"]', "]").replace("[[0.0, 0.0]]", "[[0.0]]"))
    done = invoke("check", str(study))
    assert done.exit_code == 0, done.output
    assert "1 pump (1 trained), 1 input, 1 output (through), 1 sample" in done.output


def test_check_warns_of_a_pump_that_lies_half_outside(tmp_path: Path) -> None:
    line = f'mesh = "{MESHES / "interval.msh"}"'
    for center, warned in ((0.0, True), (4.0, False)):
        study = write_study(
            tmp_path,
            **{
                "lattice = [9]\n[domain.sites]\nthrough = 3\nringtop = 5": line,
                '"through", "ringtop"': '"output", "output"',
                "site = 1": f"center = [{center}]\nwidth = 0.5",
                "site = 7": "center = [5.0]\nwidth = 0.5",
            },
        )
        said = invoke("check", str(study)).output
        assert ("warning: pump.0: 50% of its power falls outside" in said) == warned, said
        assert "pump.1: " not in said


def test_the_mean_is_told_over_all_samples_that_it_is_of(tmp_path: Path) -> None:
    study = write_study(tmp_path, samples=70)
    done = invoke("solve", str(study), "--out", str(tmp_path / "out"))
    assert "(mean over 70 samples)" in done.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert len(summary["outputs"]) == 64
    assert summary["samples"]["train"] == 70


def test_tiny_pixels_are_refused_and_never_merge() -> None:
    space = nf.graph(nf.lattice(4, 4))
    for pitch in (1e-19, 1e-300, 1e-12):
        with pytest.raises(nf.InputError, match=r"pixels = .*choose larger"):
            nf.potential(space, basis=[pitch, pitch])
    assert len(nf.potential(space, basis=[1e-3, 1e-3]).values) == 16


def test_population_of_a_state(wave: nf.GPE) -> None:
    space = wave.space
    state = np.ones((space.ndof, 2)) * [1.0, 2j]
    exact = space.w @ np.abs(space.evaluate(state)) ** 2
    assert space.population(state) == pytest.approx(exact)
    assert space.population(state)[1] == pytest.approx(4 * space.population(state)[0])
    assert nf.graph(nf.lattice(5)).population(np.full((5, 1), 2.0)) == pytest.approx([20.0])
    assert not hasattr(space, "norm")


# ---------------------------------------------------------------- the command


def test_version_and_module_and_completion() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nepfield", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"nepfield {nf.__version__}"
    assert "--install-completion" in invoke("--help").output
    assert (Path(nf.__file__).parent / "py.typed").is_file()


def test_a_second_solve_finds_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = write_study(tmp_path)
    for _ in range(3):
        done = invoke("solve", str(study), "--set", "figures.enabled=false")
        assert done.exit_code == 0, done.output
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["two-solve", "two-solve-2", "two-solve-3"]
    first = (tmp_path / "runs" / "two-solve" / "summary.json").read_bytes()
    done = invoke("solve", str(study), "--out", "runs/two-solve")  # a name that is given stands
    assert done.exit_code == 2
    assert (tmp_path / "runs" / "two-solve" / "summary.json").read_bytes() == first


@pytest.mark.slow
@needs_opengl
def test_the_readme_in_its_own_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its study and its commands, one after the other, as a new user would."""
    pytest.importorskip("trame_pyvista")
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    first = text.index("**2. A study.**")
    last = text.index("The same in Python")
    study, commands, wanted = [], [], text[first:last]
    for line in wanted[: wanted.index("**3. Run it.**")].splitlines():
        study += [line.removeprefix("    ")] if line.startswith("    ") else []
    joined = wanted.replace("\\\n", " ")
    for line in joined.splitlines():
        if line.startswith("    nepfield "):
            commands.append(line.split("#")[0].split()[1:])
    assert len(commands) >= 8
    monkeypatch.chdir(tmp_path)
    for name in ("device.msh", "device-fine.msh"):
        (tmp_path / name).write_bytes((MESHES / "billiard.msh").read_bytes())
    written = "\n".join(study).replace("epochs = 200", "epochs = 4")
    assert "epochs = 4" in written
    (tmp_path / "device.toml").write_text(written + "\n[figures]\nframes = 3\n")
    for command in commands:
        done = invoke(*command)
        assert done.exit_code == 0, (command, done.output)
    assert {"wave.png", "run.html", "film.gif"} <= {path.name for path in tmp_path.iterdir()}
    block = text[last:].split("```python\n")
    space: dict[str, Any] = {}
    for part in block[1:3]:
        code = part.split("```")[0].replace("epochs=200", "epochs=2")
        code = code.replace('sweep = nf.open_sweep("runs/device-sweep")', "")
        exec(compile(code, "README.md", "exec"), space)
    assert space["run"].summary["epochs"] == 4


def test_discs_of_a_graph_do_not_overlap() -> None:
    from nepfield.view.grids import Seen, memory_files
    from nepfield.view.shapes import graph_shape

    for graph in (nf.layered_graph(8, 5, 3), nf.random_geometric_graph(30, 0.4)):
        shape = graph_shape(memory_files(Seen(graph, [], [])).grid, edges=True)
        radii = np.broadcast_to(shape.radius, len(graph.points))
        apart = np.linalg.norm(graph.points[:, None] - graph.points, axis=2)
        np.fill_diagonal(apart, np.inf)
        assert np.all(radii[:, None] + radii <= apart)


def test_an_optimizer_of_ones_own_as_its_documentation_has_it(wave: nf.GPE, tmp_path: Path) -> None:
    text = inspect.getdoc(nf.Optimizer) or ""
    code = text[text.index("    class Signs") : text.index("    nf.train(")]
    space: dict[str, Any] = {"np": np}
    exec(textwrap.dedent(code), space)
    cost = nf.MSE(nf.readout(wave.space, regions=["first"]))
    task = nf.Task(np.eye(2), np.full((2, 1), 0.05))
    options: dict[str, Any] = {"optimizer": space["Signs"](), "seed": 1}
    whole = nf.train(wave, cost, task, epochs=4, **options)
    assert whole.history[-1]["cost"] < whole.history[0]["cost"]
    kept = tmp_path / "checkpoint.npz"
    nf.train(wave, cost, task, epochs=2, checkpoint=kept, **options)
    again = nf.train(wave, cost, task, epochs=4, checkpoint=kept, resume=True, **options)
    assert again.final.cost == whole.final.cost
    for protocol in (nf.Cost, nf.Optimizer):
        for name in ("value", "slope", "start", "step"):
            method = getattr(protocol, name, None)
            assert method is None or inspect.getdoc(method)
