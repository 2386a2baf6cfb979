"""The studies of MNIST with few images: what they are made of, and that they learn."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import square
from matplotlib.colors import to_rgb
from PIL import Image

import nepfield as nf
from nepfield.study.run.build import build
from nepfield.study.run.jobs import train_study
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.sweeps.sweep import check_cases
from nepfield.study.systems.systems import load_study
from studies import __main__ as command
from studies.common import STUDIES, part_of, run_here
from studies.mnist import STRENGTHS, linear_classifier, summary
from studies.mnist_pictures import draw, finely

NAMES = sorted(path.parent.name for path in STUDIES.glob("mnist-*/study.toml"))
FEW = ["task.train_per_class=10", "figures.enabled=false"]
# unknowns, inputs, pumps, outputs, places that are read
SIZES = {
    "mnist-15x150": (2250, 225, 2250, 10, 10),
    "mnist-5x50": (250, 25, 250, 10, 10),
    "mnist-5x50-v-only": (250, 25, 250, 10, 10),
    "mnist-5digit": (125, 25, 125, 5, 5),
    "mnist-beyond": (4000, 100, 4000, 10, 40),
    "mnist-cavity": (None, 100, 1000, 10, None),
    "mnist-full": (2250, 225, 2250, 10, 10),
    "mnist-nonlinearity": (2250, 225, 2250, 10, 10),
    "mnist-open-cavity": (None, 100, 100, 10, None),
    "mnist-start-and-rule": (2250, 225, 2250, 10, 10),
}


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as those of MNIST, of few images."""
    folder = tmp_path_factory.mktemp("mnist")
    import_module("studies.mnist-full.figures").write_stand_ins(folder, 2, per_class=12)
    return folder


def few_of(name: str, stand_ins: Path) -> list[str]:
    """What makes a study small."""
    return [*FEW, *([f"task.source={stand_ins}"] if name == "mnist-full" else [])]


def test_every_study_is_here() -> None:
    assert set(NAMES) == set(SIZES)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_study_is_made_of(name: str, stand_ins: Path) -> None:
    if name.endswith("cavity"):
        pytest.importorskip("gmsh")
    study = build(load_study(STUDIES / name / "study.toml", few_of(name, stand_ins)))
    unknowns, inputs, pumps, outputs, places = SIZES[name]
    system, readout = study.system, study.cost.readout
    if unknowns is None:
        assert system.space.ndof >= (5000 if name == "mnist-cavity" else 3000)
    else:
        assert system.space.ndof == unknowns
        assert len(readout.output) == places
    assert (system.ninputs, len(system.pumps.weights), readout.noutputs) == (inputs, pumps, outputs)
    sets = study.task.sets()
    if name == "mnist-start-and-rule":
        assert list(sets) == ["train", "validation", "test"]
    else:
        assert list(sets) == ["train", "test"]  # what was chosen by is trained on
    assert sets["test"][0].shape == ((12 if name == "mnist-full" else 2) * outputs, inputs)
    assert system.pumps.parameter.is_trained == (name != "mnist-5x50-v-only")
    # every place that is read is in the middle of a cell, one cell a place
    if places is not None:
        ny, nx = (int(v) for v in study.config.pump[0].cell)
        points = system.space.points[readout.profiles.indices].astype(int)
        assert {tuple(p) for p in points % [nx, ny]} == {(nx // 2, ny // 2)}
        assert len({tuple(p) for p in points // [nx, ny]}) == places == pumps // (nx * ny)
        # and a class has neighbouring cells: those of one column
        column = points[:, 0] // nx
        rows = np.repeat(np.arange(outputs), np.diff(readout.profiles.indptr))
        np.testing.assert_array_equal(column, rows)


@pytest.mark.parametrize("name", NAMES)
def test_sweeps_are_valid_and_choices_are_made_on_validation(name: str) -> None:
    for file in sorted((STUDIES / name).glob("*.toml")):
        if file.stem == "study":
            continue
        sweep = load_sweep(file)
        for case in sweep.cases:
            task = sweep.config(case).task
            assert task.validation == 0.1
            told_by_test = file.stem == "rules" or name == "mnist-nonlinearity"
            assert bool(task.train_with_validation) == told_by_test
        if file.stem in ("rules", "sweep"):
            assert {case.seed for case in sweep.cases} == {0, 1, 2}
    if name == "mnist-5x50":
        check_cases(sweep)


def test_a_training_on_stand_ins_for_all_of_mnist(stand_ins: Path, tmp_path: Path) -> None:
    """Of each image two copies, and states in files beside the checkpoint."""
    task = nf.mnist(stand_ins)
    shipped = nf.mnist(train_per_class=12)
    np.testing.assert_array_equal(task.inputs, np.tile(shipped.inputs, (2, 1)))
    np.testing.assert_array_equal(task.test_inputs, shipped.inputs)
    np.testing.assert_array_equal(task.test_targets, shipped.targets)
    overrides = ["training.epochs=1", "training.warm_memory=0"]
    path = STUDIES / "mnist-full" / "study.toml"
    config = load_study(path, [*few_of("mnist-full", stand_ins), *overrides])
    found = train_study(config, tmp_path / "run")
    assert found["samples"] == {"train": 100, "test": 120}
    assert list((tmp_path / "run").glob("*-warm-*.npy"))


def test_signs_of_the_gradient_by_the_distance_from_the_readout(tmp_path: Path) -> None:
    """Before any training NEP is right at the readout, and its response turns further away."""
    figures = import_module("studies.mnist-start-and-rule.figures")
    sweep = load_sweep(STUDIES / "mnist-start-and-rule" / "sweep.toml")
    base = part_of(sweep, lambda case: case.label == figures.BASE and case.seed == 0, epochs=1)
    few = {"task.train_per_class": 8}
    swept = run_here(replace(base, fixed={**base.fixed, **few}), tmp_path / "runs")
    signs = figures.signs_by_distance(swept, figures.BASE)
    assert list(signs["distance"]) == list(range(11))
    assert signs["potential"].iloc[0] == signs["weights"].iloc[0] == 1
    assert (np.diff(signs["strength"]) < 0).all()
    assert (np.diff(signs["phase"].iloc[:8]) > 0).all()


def test_digits_are_learnt_in_hard_cells(tmp_path: Path) -> None:
    overrides = ["task.train_per_class=25", "training.epochs=4", "training.batch=32"]
    path = STUDIES / "mnist-5x50" / "study.toml"
    found = train_study(load_study(path, [*FEW, *overrides]), tmp_path / "run")
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert (np.diff(history["cost"]) < 0).all()
    assert found["accuracy"] > 0.3
    assert found["fraction_converged"] == 1
    assert found["gradient_cosine"] > 0.95
    assert found["test_accuracy"] > 0.15


def test_the_linear_classifier_and_the_table() -> None:
    task = nf.prepared(nf.mnist(train_per_class=60).split(0.1, 0.2), (8, 8), standardise="all")
    assert linear_classifier(task, STRENGTHS[0]) > 0.7
    rows = [
        {"rule": rule, "seed": seed, "test_accuracy": 0.9 + 0.01 * seed, "linear": 0.917,
         "gradient_cosine": 0.99, "nonlinearity_ratio": 0.8}
        for rule in ("nep", "adjoint") for seed in range(3)
    ]  # fmt: skip
    told = summary(pd.DataFrame(rows)).splitlines()
    assert len(told) == 5
    # 1.96 sqrt(0.91 0.09 / 6000)
    assert told[2] == "| nep | 90.0 % | 91.0 % | 92.0 % | 91.0 ± 0.7 % | 0.990 | 0.80 |"
    assert told[4].startswith("| linear classifier | 91.7 %")


def test_the_accuracy_against_the_cells_of_a_class(tmp_path: Path) -> None:
    rows = [
        {"label": f"{cells} cells a class", "rule": rule, "seed": seed, "linear": 0.91,
         "test_accuracy": 0.9 + 0.01 * cells}
        for cells in (1, 2, 4) for rule in ("reciprocal", "nep")[: cells // 2 + 1]
        for seed in range(2)
    ]  # fmt: skip
    figures = import_module("studies.mnist-beyond.figures")
    figures.draw_ranks(pd.DataFrame(rows), 2000, tmp_path / "ranks.png")
    pixels = np.asarray(Image.open(tmp_path / "ranks.png").convert("RGB")).reshape(-1, 3)
    for color in ("tab:blue", "tab:orange"):  # a curve a rule
        assert (pixels == np.rint(255 * np.array(to_rgb(color)))).all(axis=1).sum() > 50


def test_a_quadratic_field_is_drawn_as_it_is_on_finer_triangles() -> None:
    space = nf.finite_elements(square(3, 2.0, -1.0), order=2)
    x, y = space.nodes.T
    fine, values = finely(space, 1 + x - 2 * x * y + y**2, 3)
    np.testing.assert_allclose(values, 1 + fine.x - 2 * fine.x * fine.y + fine.y**2, atol=1e-12)
    assert len(fine.triangles) == 9 * len(space.elements)
    (ax, bx, cx), (ay, by, cy) = fine.x[fine.triangles].T, fine.y[fine.triangles].T
    areas = np.abs((bx - ax) * (cy - ay) - (cx - ax) * (by - ay)) / 2
    assert areas.sum() == pytest.approx(space.w.sum())
    np.testing.assert_allclose(np.bincount(np.arange(len(areas)) // 9, areas), 9 * areas[::9])


@pytest.mark.parametrize("name", ["mnist-5x50", "mnist-cavity"])
def test_pictures_of_what_was_learnt(name: str, tmp_path: Path) -> None:
    """In the colours of V, of the weights and of waves, and one wave alone."""
    if name == "mnist-cavity":
        pytest.importorskip("gmsh")
    study = build(load_study(STUDIES / name / "study.toml", FEW))
    draw(study, study.system, tmp_path / "result.png")
    assert {"red", "blue", "dark"} <= hues(tmp_path / "result.png")
    if name == "mnist-cavity":
        import_module("studies.mnist-cavity.figures").draw_wave(
            study, study.system, tmp_path / "wave.png"
        )
        assert {"red", "blue", "dark"} <= hues(tmp_path / "wave.png")


def hues(path: Path) -> set[str]:
    """Which colours cover a hundredth of a picture at least."""
    red, green, blue = np.asarray(Image.open(path).convert("RGB")).astype(int).reshape(-1, 3).T
    masks = {"red": red > blue + 40, "blue": blue > red + 40, "dark": red + green + blue < 150}
    return {name for name, mask in masks.items() if mask.mean() > 0.01}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_study_learns(name: str, stand_ins: Path, tmp_path: Path) -> None:
    overrides = ["task.train_per_class=20", "training.epochs=3", "training.batch=48"]
    path = STUDIES / name / "study.toml"
    few = few_of(name, stand_ins)
    found = train_study(load_study(path, [*few, *overrides]), tmp_path / "run")
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert history["cost"].iloc[-1] < history["cost"].iloc[0]
    assert found["cost"] < history["cost"].iloc[0]
    assert found["fraction_converged"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_trial_run(name: str, tmp_path: Path) -> None:
    table = command.main([name, "--quick", "--workers", "1", "--out", str(tmp_path)])[name]
    if name == "mnist-full":
        assert (tmp_path / name / "forecast.csv").exists()
        return
    assert {0, 1} <= set(table["seed"])
    assert any((tmp_path / name / file).exists() for file in ("rules.csv", "sweep.csv"))
    assert (tmp_path / name / "result.png").stat().st_size < 300_000
