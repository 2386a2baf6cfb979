"""`nepfield branch`: any number of a study or a run, the folder it leaves, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_cli import CHAIN, contents, invoke, write_study
from test_units import SCALES

import nepfield as nf
from nepfield.study.run.build import build
from nepfield.study.systems import gpe
from nepfield.study.systems.systems import load_study
from nepfield.study.text.study import StudyConfig
from nepfield.systems import branches as systems_branches
from nepfield.view.branches import plot_branches

BISTABLE = CHAIN | {
    "physics": {"g": 1.0, "loss": 0.1},
    "potential": {"initial": -1.0},
    "task": {"inputs": [[1.0, 0.0], [0.0, 1.0]], "targets": [[0.1], [0.2]]},
    "training": {"epochs": 1, "rate": 0.01},
}


def table_of(folder: Path) -> dict[str, np.ndarray]:
    """branch.csv by its columns."""
    with (folder / "branch.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def summary_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def branch(path: Path, out: Path, key: str, *more: str, ends: tuple[str, str] = ("0", "1")) -> str:
    result = invoke(
        "branch", str(path), "--key", key, "--from", ends[0], "--to", ends[1], "--out", str(out),
        *more,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return result.output


def test_a_study_leaves_a_table_a_picture_and_the_fields(tmp_path: Path) -> None:
    study = write_study(tmp_path, BISTABLE, figures__enabled=True)
    out = tmp_path / "out"
    told = branch(study, out, "pump.0.weight", ends=("0", "0.6"))
    assert "finished, 1 branch" in told
    assert "folds: " in told
    names = {path.name for path in out.iterdir()}
    assert {"branch.csv", "fields.vtu", "summary.json", "study.toml", "figures"} <= names
    pictures = {path.name: path.stat().st_size for path in (out / "figures").iterdir()}
    assert set(pictures) == {"branch.png", "fields.png"}
    assert max(pictures.values()) < 300_000
    drawn = tmp_path / "again.svg"
    assert invoke("plot", str(out), "--field", "branch", "-o", str(drawn)).exit_code == 0
    assert drawn.stat().st_size > 10_000
    assert invoke("plot", str(out)).exit_code == 0
    assert {path.name for path in (out / "figures").iterdir()} == set(pictures)
    system = build(load_study(study)).system
    readout = nf.readout(system.space, sites=[3])
    expected = nf.diagram(
        system, "weights.0", 0.0, 0.6, inputs=[1.0, 0.0], readout=readout
    ).branches  # fmt: skip
    table = table_of(out)
    assert list(table) == [
        "branch", "pump.0.weight", "output site 3", "norm", "growth", "frequency", "stability",
        "special",
    ]  # fmt: skip
    main = expected[0]
    first = table["branch"] == "0"
    assert np.allclose(table["pump.0.weight"][first].astype(float), main.values, atol=1e-9)
    assert np.allclose(table["output site 3"][first].astype(float), main.readouts[0], atol=1e-7)
    assert list(table["special"][first]) == list(main.special)
    summary = summary_of(out)
    assert summary["status"] == "finished"
    assert np.allclose(summary["branches"][0]["fold"], main.folds)
    assert len(main.folds) >= 2
    assert summary["label"] == "pump.0.weight"
    assert len(summary["titles"]) == len(summary["inputs"]) == 8
    assert any("fold" in title for title in summary["titles"])


def test_a_run_is_followed_with_what_it_has_learnt(tmp_path: Path) -> None:
    study = write_study(tmp_path, BISTABLE, pump__0__weight=0.2, training__rate=0.2)
    run = tmp_path / "run"
    assert invoke("train", str(study), "--out", str(run), "--quiet").exit_code == 0
    trained = nf.open_run(run).system
    start = build(load_study(study)).system
    assert np.abs(trained.potential.values - start.potential.values).max() > 0.05
    assert abs(trained.pumps.weights[0] - 0.2) > 1e-3
    for key, name in (("pump.0.weight", "weights.0"), ("physics.loss", "loss")):
        out = tmp_path / key
        branch(run, out, key, "--sample", "0", ends=("0.05", "0.15"))
        expected = nf.follow(trained, name, 0.05, 0.15, inputs=[1.0, 0.0])
        table = table_of(out)
        first = table["branch"] == "0"
        assert np.allclose(table[key][first].astype(float), expected.values, atol=1e-8)
        assert np.allclose(table["norm"][first].astype(float), expected.norm, atol=1e-8)


def test_numbers_of_the_system_have_names_of_their_own(tmp_path: Path) -> None:
    study = write_study(tmp_path, BISTABLE, pump__0__weight=0.1)
    system = build(load_study(study)).system
    for key, ends in (("detuning", ("-1", "-0.8")), ("potential.3", ("-1", "-0.5"))):
        out = tmp_path / key
        branch(study, out, key, ends=ends)
        expected = nf.follow(system, key, float(ends[0]), float(ends[1]), inputs=[1.0, 0.0])
        table = table_of(out)
        assert np.allclose(table[key].astype(float)[:5], expected.values[:5], atol=1e-8)
        assert np.allclose(table["norm"].astype(float)[:5], expected.norm[:5], atol=1e-8)


def test_a_range_with_units_is_told_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    energy = SCALES.factor(energy=1)  # meV
    units = {"length": "1 um", "mass": "1e-4 m_e"}
    study = write_study(tmp_path, BISTABLE, units=units, pump__0__weight=0.1)
    out = tmp_path / "out"
    told = branch(study, out, "physics.loss", ends=("0.1 meV", "60 ueV"))
    assert "finished" in told
    table, summary = table_of(out), summary_of(out)
    values = table["physics.loss"].astype(float)
    assert values[0] == pytest.approx(0.1)
    assert values[-1] == pytest.approx(0.06)
    assert summary["label"] == "physics.loss (meV)"
    system = build(load_study(study)).system
    expected = nf.follow(system, "loss", 0.1 / energy, 0.06 / energy, inputs=[1.0, 0.0])
    assert np.allclose(values, energy * expected.values)
    assert np.allclose(table["norm"].astype(float), expected.norm)
    drawn: list[Any] = []
    monkeypatch.setattr(
        "nepfield.view.branches.save_figure", lambda figure, path: drawn.append(figure)
    )
    plot_branches(out, out / "branch.pdf")
    output, growth = drawn[0].axes
    assert growth.get_xlabel() == "physics.loss (meV)"
    assert growth.get_ylabel() == "growth, times ħ (meV)"
    curve = growth.get_lines()[0]
    assert curve.get_ydata()[0] == pytest.approx(energy * expected.growth[0])
    assert output.get_lines()[0].get_ydata()[0] == pytest.approx(
        float(table["output site 3"][0])
    )  # by site


def test_the_domain_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = write_study(tmp_path, BISTABLE, pump__0__weight=0.1)
    calls: list[str] = []
    domain, space = StudyConfig.build_domain, gpe.build_space
    monkeypatch.setattr(
        StudyConfig, "build_domain", lambda *a, **k: (calls.append("domain"), domain(*a, **k))[1]
    )
    monkeypatch.setattr(gpe, "build_space", lambda *a: (calls.append("space"), space(*a))[1])
    branch(study, tmp_path / "out", "physics.g", ends=("0.5", "0.6"))
    assert calls == ["domain", "space"]


@pytest.mark.slow
def test_both_ways_and_deflation_are_passed_on(tmp_path: Path) -> None:
    study = write_study(tmp_path, BISTABLE, domain__lattice=[1], pump=[{"site": 0, "weight": 1.0}],
                        readout__sites=[0], potential__initial=-2.0,
                        task__inputs=[[1.0]], task__targets=[[0.1]])  # fmt: skip
    ends = ("0.22", "0.25")  # between the folds, so that no branch leads to the others
    branch(study, tmp_path / "one", "pump.0.weight", ends=ends)
    assert len(summary_of(tmp_path / "one")["branches"]) == 1
    branch(study, tmp_path / "all", "pump.0.weight", "--deflate", "--both-ways", ends=ends)
    assert len(summary_of(tmp_path / "all")["branches"]) == 3


def test_ctrl_c_leaves_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = write_study(tmp_path, BISTABLE)
    explorer_of = systems_branches.explorer_of

    def interrupted(*arguments: Any) -> Any:
        *first, tell, most, tolerance = arguments

        def stop(count: int, point: Any) -> None:
            tell(count, point)
            if point.value > 0.1:
                raise KeyboardInterrupt

        assert tolerance == 1e-10
        return explorer_of(*first, stop, most, tolerance)

    monkeypatch.setattr("nepfield.study.run.branching.explorer_of", interrupted)
    out = tmp_path / "out"
    result = invoke(
        "branch", str(study), "--key", "pump.0.weight", "--from", "0", "--to", "1", "--out",
        str(out),
    )  # fmt: skip
    assert result.exit_code == 130
    summary, values = summary_of(out), table_of(out)["pump.0.weight"].astype(float)
    assert summary["status"] == "interrupted"
    assert summary["branches"][0]["ending"] == "interrupted"
    assert len(values) > 3
    assert 0.1 < values[-1] < 0.2


REFUSED = {
    "unknown": (["nonsense"], "neither a key of the study"),
    "misspelt": (["pump.0.wieght"], 'did you mean "weight"'),
    "no pump": (["pump.7.weight"], "has 2 entries"),
    "no number": (["training.rule"], "training.rule = 0.0: must be"),
    "whole": (["domain.order"], "domain.order"),
    "mesh": (["domain.periodic"], "domain.periodic"),
    "no effect": (["training.beta", "0.1"], "does not change the equation"),
    "other pump": (["pump.1.weight"], "inputs (1, 0)"),
    "equal": (["pump.0.weight", "1", "1.0"], "two different values"),
    "nan": (["pump.0.weight", "nan"], "give a finite number"),
    "word": (["pump.0.weight", "much"], "give a finite number"),
    "sign": (["physics.loss", "-1"], "physics.loss = -1.0: must be greater than 0"),
    "units": (["pump.0.weight", "0.1 meV/um"], "units"),
    "system unit": (["detuning", "0.1 meV"], "without dimension"),
    "value": (["potential.99"], "neither a key"),
    "sample": (["pump.0.weight", "0", "1", "--sample", "5"], "--sample 5: the task has 2 samples"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_followed_is_said_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    study = write_study(tmp_path, BISTABLE)
    before = contents(tmp_path)
    (key, *rest), words = REFUSED[name]
    start, stop, *more = [*rest, *["0", "1"][len(rest) :]]
    result = invoke(
        "branch", str(study), f"--key={key}", f"--from={start}", f"--to={stop}",
        f"--out={tmp_path / 'out'}", *more,
    )  # fmt: skip
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.output.split())
    assert contents(tmp_path) == before


def test_other_systems_and_folders_that_are_there_are_refused(tmp_path: Path) -> None:
    oscillators = {
        "name": "phases", "domain": {"graph": "complete", "vertices": 4,
                                     "sets": {"input": [0, 1], "output": [3]}},
        "physics": {"system": "oscillators", "clamp": "input"},
        "coupling": {"initial": {"normal": [0, 1]}}, "readout": {"sets": ["output"]},
        "task": {"name": "xor"}, "training": {"epochs": 1},
    }  # fmt: skip
    study = write_study(tmp_path, oscillators)
    result = invoke("branch", str(study), "--key=seed", "--from=0", "--to=1")
    assert result.exit_code == 2
    assert "no wave" in result.output
    wave = write_study(tmp_path, BISTABLE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    result = invoke(
        "branch", str(wave), "--key=drive", "--from=0", "--to=1", f"--out={tmp_path / 'out'}"
    )
    assert result.exit_code == 2
    assert "holds other files" in result.output


GEOMETRY = """\
DefineConstant[ length = {4, Name "Parameters/length"}, cells = 12 ];
Point(1) = {0, 0, 0};
Point(2) = {length / 2, 0, 0};
Point(3) = {length, 0, 0};
Line(1) = {1, 2};
Line(2) = {2, 3};
Transfinite Curve {1, 2} = CELLS;
Physical Curve("all") = {1, 2};
Physical Curve("output") = {1};
Physical Point("wall") = {1, 3};
Mesh.MshFileVersion = 4.1;
"""


@pytest.mark.slow
def test_a_parameter_of_a_geometry_is_followed_where_its_mesh_moves_along(tmp_path: Path) -> None:
    pytest.importorskip("gmsh", exc_type=ImportError)
    (tmp_path / "line.geo").write_text(GEOMETRY.replace("CELLS", "cells + 1"))
    pump = {"region": "all", "wavevector": [0.0]}
    base = BISTABLE | {
        "domain": {"geometry": "line.geo", "parameters": {"length": 4.0}, "dirichlet": ["wall"]},
        "pump": [pump | {"weight": 0.1}],
        "readout": {"regions": ["output"]},
        "task": {"inputs": [[1.0]], "targets": [[0.1]]},
    }
    study = write_study(tmp_path, base)
    out = tmp_path / "out"
    branch(study, out, "domain.parameters.length", ends=("4", "5"))
    values = table_of(out)["domain.parameters.length"].astype(float)
    assert values.min() == 4.0
    length = float(values[4])
    assert 4 < length < 5
    there = build(load_study(study, [f"domain.parameters.length={length}"])).system
    steady = nf.solve_steady(there, np.ones((1, 1)), method="pseudotime")
    norm = float(table_of(out)["norm"][4])
    assert np.sqrt(there.space.population(steady.state[:, 0])) == pytest.approx(norm, abs=1e-8)
    (tmp_path / "line.geo").write_text(GEOMETRY.replace("CELLS", "Round(10 * length) + 1"))
    result = invoke(
        "branch", str(study), "--key=domain.parameters.length", "--from=4", "--to=5",
        f"--out={tmp_path / 'other'}",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "Transfinite" in result.output
    assert not (tmp_path / "other").exists()


def test_values_that_a_run_took_from_another_stay(tmp_path: Path) -> None:
    study = write_study(tmp_path, BISTABLE, pump__0__weight=0.1)
    first = tmp_path / "first"
    assert invoke("train", str(study), "--out", str(first), "--quiet").exit_code == 0
    changes = ("--set", f"potential.initial={first}", "--set", "name=second")
    branch(study, tmp_path / "out", "physics.loss", *changes, ends=("0.1", "0.2"))
    trained = nf.open_run(first).system.potential.values
    started = build(load_study(study)).system
    assert np.abs(trained - started.potential.values).max() > 1e-3
    system = started.with_parameters({"potential": trained})
    expected = nf.follow(system, "loss", 0.1, 0.2, inputs=[1.0, 0.0])
    table = table_of(tmp_path / "out")
    assert np.allclose(table["norm"].astype(float), expected.norm)
