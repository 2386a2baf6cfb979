"""Texts that may be a quantity, a path or a name; and the units of costs, targets and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from matplotlib.figure import Figure
from test_cli import invoke
from test_sweep import run_here
from test_units import ENERGY, billiard, lattice, write

from nepfield.errors import InputError
from nepfield.study.check import check
from nepfield.study.run.jobs import train_study
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.sweeps.sweep import open_sweep
from nepfield.study.systems.gpe import GPEStudy
from nepfield.study.systems.systems import load_study
from nepfield.study.text.units import UnitError, parse, scales
from nepfield.view import animation, curves, outputs, page, sweeps
from nepfield.view.panels import find_panels
from nepfield.view.runs import read_run
from nepfield.view.shapes import find_shape
from nepfield.view.shown import shown
from nepfield.view.sweeps import plot_sweep

EITHER = {
    "potential.initial": lambda config: config.potential.initial,
    "potential.imaginary.initial": lambda config: config.potential.imaginary.initial,
    "pump.0.weight": lambda config: config.pump[0].weight,
}


def sweep_file(folder: Path, content: dict[str, Any], **sections: Any) -> Path:
    write(folder, lattice() | sections)
    path = folder / "sweep.toml"
    path.write_text(tomli_w.dumps({"study": "study.toml"} | content), encoding="utf-8")
    return path


def run_folder(folder: Path) -> Path:
    """What a study takes for a trained run."""
    folder.mkdir(parents=True)
    for name in ("study.toml", "checkpoint.npz"):
        (folder / name).touch()
    return folder


# ---------------------------------------------------------------- paths, names and quantities


@pytest.mark.parametrize("key", EITHER)
@pytest.mark.parametrize("where", ["grid", "zip", "set", "list"])
def test_a_sweep_over_what_may_be_a_path(key: str, where: str, tmp_path: Path) -> None:
    texts = ["0.05 meV", "100 ueV"]
    content: dict[str, Any] = {
        "grid": {"grid": {key: texts}},
        "zip": {"zip": {key: texts}},
        "set": {"set": {key: texts[0]}},
        "list": {"list": [{key: text} for text in texts]},
    }[where]
    sweep = load_sweep(sweep_file(tmp_path / "here", content))
    wanted = [0.05 / ENERGY, 0.1 / ENERGY][: len(sweep.cases)]
    assert [EITHER[key](sweep.config(c)) for c in sweep.cases] == pytest.approx(wanted)
    out = tmp_path / "deep" / "out"
    open_sweep(sweep, out, resume=False)
    again = load_sweep(out / "sweep.toml")
    assert [again.config(c) for c in again.cases] == [sweep.config(c) for c in sweep.cases]


@pytest.mark.parametrize("key", EITHER)
@pytest.mark.parametrize("name", ["2024-run", "0-g", "3", "2 meV", "run"])
@pytest.mark.parametrize("units", [True, False])
def test_run_folders_that_begin_with_a_digit(
    key: str, name: str, units: bool, tmp_path: Path
) -> None:
    """A folder that is there is a path, even if its name is a quantity."""
    run = run_folder(tmp_path / "here" / name)
    data = lattice()
    if not units:
        data = {
            "name": "plain", "domain": {"lattice": [9]}, "physics": {"loss": 0.1},
            "pump": data["pump"], "readout": data["readout"], "task": data["task"],
        }  # fmt: skip
        data["pump"] = [{"site": 2}, {"site": 6}]
    path = write(tmp_path / "here", data)
    assert EITHER[key](load_study(path, [f'{key}="{name}"'])) == run
    (tmp_path / "here" / "sweep.toml").write_text(
        tomli_w.dumps({"study": "study.toml", "grid": {key: [name]}}), encoding="utf-8"
    )
    if units and name == "2 meV":
        return  # in a sweep its results would be in meV
    sweep = load_sweep(tmp_path / "here" / "sweep.toml")
    assert EITHER[key](sweep.config(sweep.cases[0])) == run
    open_sweep(sweep, tmp_path / "out", resume=False)
    again = load_sweep(tmp_path / "out" / "sweep.toml")
    assert EITHER[key](again.config(again.cases[0])) == run


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2024-run", "is no run folder"),
        ("0.3", "has no unit: write 0.3 without quotes"),
        ("1 um", "is a length, but needs an energy"),
    ],
)
def test_what_is_neither(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_study(write(tmp_path, lattice()), [f'potential.initial="{text}"'])
    assert says in str(caught.value)


def test_names_in_a_geometry_that_begin_with_a_digit(tmp_path: Path) -> None:
    geometry = tmp_path / "star.py"
    geometry.write_text("def star(kind, size):\n    pass\n", encoding="utf-8")
    data = billiard()
    data["domain"] = {"geometry": f"{geometry}:star", "parameters": {"kind": "3-fold"}}
    data["domain"]["parameters"]["size"] = "5 um"
    path = write(tmp_path, data)
    assert load_study(path).domain.parameters == {"kind": "3-fold", "size": 2.0}
    with pytest.raises(InputError, match="is an energy, but needs a length"):
        load_study(path, ["domain.parameters.kind=3 meV"])
    (tmp_path / "sweep.toml").write_text(
        'study = "study.toml"\n[grid]\n"domain.parameters.kind" = ["3-fold", "round"]\n'
        '"domain.parameters.size" = ["5 um", "7500 nm"]\n'
    )
    sweep = load_sweep(tmp_path / "sweep.toml")
    found = [sweep.config(case).domain.parameters for case in sweep.cases]
    assert [p["kind"] for p in found] == ["3-fold", "3-fold", "round", "round"]
    assert [p["size"] for p in found] == pytest.approx([2.0, 3.0] * 2)
    assert list(sweep.units) == ["domain.parameters.size"]


@pytest.mark.parametrize("text", ["1 1 meV", "1 2 meV", "3 4/um", "1 -meV", "1 .5 um"])
def test_a_second_number_is_no_unit(text: str) -> None:
    with pytest.raises(UnitError, match="is no unit"):
        parse(text)
    assert parse("2 1/ps") == parse("2 /ps")


@pytest.mark.parametrize("length", ["1e-170 m", "1e200 m", "1e-60 m", "1e160 m"])
@pytest.mark.parametrize("quantities", [True, False])
def test_units_without_a_finite_size(length: str, quantities: bool, tmp_path: Path) -> None:
    data = lattice()
    if not quantities:
        data |= {"physics": {"loss": 0.1}, "pump": [{"site": 2}], "potential": {}, "training": {}}
    data["units"] = {"length": length, "mass": "1e-4 m_e"}
    with pytest.raises(InputError) as caught:
        load_study(write(tmp_path, data))
    assert "finite" in str(caught.value)
    assert f'"{length}"' in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_number_that_is_too_large_for_the_units() -> None:
    with pytest.raises(UnitError, match="no finite number in units"):
        scales("1e-9 m", "1 kg", "meV", "ps").number("1e300 meV", 1, (0,))


# ---------------------------------------------------------------- targets, beta and g


def classes() -> dict[str, Any]:
    """Two classes on a mesh."""
    data = billiard()
    disc = data["readout"]["disc"][0]
    data["readout"] = {"disc": [disc, disc | {"center": ["1 um", "1 um"]}]}
    data["task"] = {"inputs": [[0, 1], [1, 0]], "targets": [[0, 1], [1, 0]]}
    data["training"] |= {"cost": "cce", "epochs": 1}
    return data


def test_classes_have_no_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, classes())
    with pytest.raises(InputError, match="a target is the probability of a class"):
        load_study(path, ['task.targets=[["0 /um^2", "1 /um^2"], [1, 0]]'])
    result = invoke("train", str(path), "--out", str(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert "(target 0, 1)" in result.output
    assert "1/µm² (target" in result.output  # outputs are densities
    figures: list[Figure] = []
    monkeypatch.setattr(outputs, "save_figure", lambda figure, path: figures.append(figure))
    outputs.plot_outputs(tmp_path / "run", tmp_path / "a.png")
    axes = figures[0].axes[0]
    lines = np.concatenate([line.get_segments() for line in axes.collections])
    assert sorted(set(lines[:, :, 1].ravel())) == [0, 1]
    assert "target class" in axes.get_legend_handles_labels()[1]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    heights = [bar.get_height() for bar in axes.patches]
    found = np.transpose(summary["outputs"]) * summary["units"]["density"]["factor"]
    assert heights == pytest.approx(np.ravel(found))


def test_what_is_said_of_beta() -> None:
    said = GPEStudy.model_fields["training"].annotation.model_fields["beta"].description
    assert "always a plain number" in said
    assert "energy length^(2d) (mse) or energy (cce)" in said


@pytest.mark.parametrize(("response", "told"), [("density", "0.1 meV"), ("none", None)])
def test_check_tells_g(response: str, told: str | None, tmp_path: Path) -> None:
    said = check(write(tmp_path, lattice()), (f"physics.nonlinearity={response}",))
    assert (f"  g {told} ({response})" in said) == (told is not None)
    assert "  g 0.008 meV µm² (density)" in check(write(tmp_path / "mesh", billiard()))


# ---------------------------------------------------------------- pictures


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("units")
    train_study(load_study(write(folder, billiard())), folder / "run")
    return folder / "run"


def test_the_cost_of_a_film_has_a_unit(run: Path) -> None:
    axes = curves.new_figure(3.0).add_subplot()
    animation._draw_cost(run, axes)
    history = curves.read_history(run)["cost"]
    summary = curves.read_summary(run)
    assert axes.get_title() == "cost C (1/µm⁴)"
    drawn = np.asarray(axes.lines[0].get_ydata())
    assert drawn == pytest.approx(history * summary["units"]["cost"]["factor"])
    assert abs(drawn / history - 1).min() > 0.5


def test_a_page_names_units(run: Path) -> None:
    files = read_run(run)
    shape = find_shape(files)
    panels = [panel for panels in find_panels(files, shape).values() for panel in panels]
    text = page._overlay("run", panels, [])
    for words in ("density |Ψ|² (1/µm²)", "potential V (meV)", "imaginary part of V (meV)"):
        assert words in text


def test_figures_and_their_unit(run: Path) -> None:
    summary = curves.read_summary(run)
    values, unit = shown(summary, "energy", [1.0, 2.0])
    assert (values.tolist(), unit) == (pytest.approx([ENERGY, 2 * ENERGY]), " meV")
    assert shown({}, "energy", 1.0) == (1.0, "")


def test_the_cost_of_a_sweep_has_a_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []

    def kept(figure: Figure, path: Path, *_: object) -> Path:
        figures.append(figure)
        return path

    monkeypatch.setattr(sweeps, "save_figure", kept)
    data = billiard()
    data["training"] |= {"epochs": 0, "compare_every": 0}
    write(tmp_path, data)
    path = tmp_path / "sweep.toml"
    text = 'study = "study.toml"\n[grid]\n"physics.loss" = ["0.05 meV", "0.1 meV"]\n'
    path.write_text(text, encoding="utf-8")
    table = run_here(load_sweep(path), tmp_path / "out")
    factor = load_study(tmp_path / "study.toml").units.scales.factor(length=-4)
    written = {
        "cost": ("cost (1/µm⁴)", factor),
        "largest_error": ("largest error (1/µm²)", factor**0.5),
        "unknowns": ("unknowns", 1.0),
    }
    for field, (label, size) in written.items():
        assert plot_sweep(tmp_path / "out", field=field).name == f"{field}.png"
        axes = figures[-1].axes[0]
        assert axes.get_ylabel() == label
        drawn = np.asarray(axes.lines[0].get_ydata(), dtype=float)
        assert drawn == pytest.approx(np.array(table[field], dtype=float) * size)
    # units that differ from case to case are left out
    path.write_text('study = "study.toml"\n[grid]\n"units.length" = ["2 um", "3 um"]\n')
    run_here(load_sweep(path), tmp_path / "both")
    plot_sweep(tmp_path / "both")
    assert figures[-1].axes[0].get_ylabel() == "cost"
