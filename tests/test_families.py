"""Families in a sweep: entries of [[list]] with a grid or zip of their own, and different keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomli_w
from typer.testing import CliRunner

from nepfield.cli import app
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.sweeps.results import write_results
from nepfield.study.sweeps.sweep import check_cases, open_sweep, run_case
from nepfield.view import sweeps
from nepfield.view.sweeps import plot_sweep
from tests.test_sweep import STUDY

BOX = """\
SetFactory("OpenCASCADE");
DefineConstant[ width = {3, Name "Parameters/width"}, size = {1, Name "Parameters/size"} ];
Rectangle(1) = {0, 0, 0, width, 1, 0};
Physical Surface("cavity") = {1};
Physical Curve("wall") = {1:4};
Mesh.MeshSizeMax = size;
Mesh.MshFileVersion = 4.1;
"""
FAMILIES = {
    "seeds": [0, 1],
    "grid": {"physics.loss": [0.1, 0.2]},
    "list": [
        {"training.rule": "nep", "grid": {"physics.g": [0.0, 0.1, 0.2]}},
        {"zip": {"training.rate": [0.01, 0.02], "training.beta": [0.1, 0.2]}},
        {"potential": {"initial": 0.2}},
    ],
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Write a sweep file beside a study."""
    (tmp_path / "study.toml").write_text(STUDY)

    def to(content: dict[str, Any]) -> Path:
        (tmp_path / "sweep.toml").write_text(tomli_w.dumps({"study": "study.toml"} | content))
        return tmp_path / "sweep.toml"

    return to


def test_families_follow_one_another_and_the_rest_multiplies(
    write: Callable[[dict[str, Any]], Path],
) -> None:
    sweep = load_sweep(write(FAMILIES))
    families = [
        *({"physics.g": g, "training.rule": "nep"} for g in (0.0, 0.1, 0.2)),
        *({"training.rate": r, "training.beta": b} for r, b in ((0.01, 0.1), (0.02, 0.2))),
        {"potential.initial": 0.2},
    ]
    expected = [{"physics.loss": loss, **f} for loss in (0.1, 0.2) for f in families for _ in "ab"]
    assert [case.values for case in sweep.cases] == expected
    assert set(sweep.keys) == {key for values in expected for key in values}
    # what a family leaves out is there as in the study
    assert {sweep.config(case).physics.g for case in sweep.cases[6:12]} == {0.1}
    assert sweep.config(sweep.cases[10]).potential.initial == 0.2


def test_results_and_the_copy_of_the_sweep_keepfamilies_of(
    write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    path = write(FAMILIES)
    (tmp_path / "box.geo").write_text(BOX)
    out = tmp_path / "deep" / "er"
    sweep = load_sweep(path, ["training.epochs=1"])
    check_cases(sweep)
    open_sweep(sweep, out, resume=False)
    again = load_sweep(out / "sweep.toml")
    assert [c.values for c in again.cases] == [c.values for c in sweep.cases]
    for case in sweep.cases[::4]:
        run_case(sweep.config(case), str(out / "cases" / case.folder), str(out / "meshes"))
    table = write_results(out)
    columns = list(table.columns)
    assert columns[2 : columns.index("status")] == list(sweep.keys)
    saved = pd.read_csv(out / "results.csv")
    assert saved["physics.g"].isna().tolist() == ([False] * 6 + [True] * 6) * 2
    assert saved["training.rate"].notna().sum() == 8


def test_paths_in_a_familys_own_grid_count_from_the_sweep_file(
    write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    study = STUDY.replace("lattice = [9]", 'geometry = "box.geo"').replace("[9]", "")
    study = study.replace("site = 2", "center = [0.5, 0.5]\nwidth = 0.5")
    study = study.replace("site = 6", "center = [1.5, 0.5]\nwidth = 0.5")
    study = study.replace("sites = [4]", "[[readout.disc]]\ncenter = [1.0, 0.5]\nradius = 0.3")
    (tmp_path / "study.toml").write_text(study)
    for name in ("box", "other"):
        (tmp_path / f"{name}.geo").write_text(BOX)
    sweep = load_sweep(
        write(
            {
                "list": [
                    {"grid": {"domain.geometry": ["box.geo", "other.geo"]}},
                    {"zip": {"domain": {"geometry": ["other.geo"], "parameters": {"width": [4]}}}},
                ]
            }
        )
    )
    check_cases(sweep)
    out = tmp_path / "deep" / "er"
    open_sweep(sweep, out, resume=False)
    again = load_sweep(out / "sweep.toml")
    assert [again.config(c) for c in again.cases] == [sweep.config(c) for c in sweep.cases]
    assert [sweep.config(c).domain.geometry.name for c in sweep.cases] == [
        "box.geo", "other.geo", "other.geo",
    ]  # fmt: skip
    assert sweep.config(sweep.cases[2]).domain.parameters == {"width": 4}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"list": [{"physics.g": 1.0}, {}]}, ["[[list]] 1", "nothing in it"]),
        ({"list": [{"grid": {"physics.g": 1.0}}]}, ["[[list]] 0: grid.physics.g", "list of"]),
        ({"list": [{"grid": 3}]}, ["[[list]] 0: [grid]", "must be a section"]),
        ({"list": [{"physics.g": 1.0, "grid": {"physics.g": [2.0]}}]}, ["physics.g", "two ways"]),
        ({"list": [{"zip": {"physics.g": [1.0], "physics.loss": [1.0, 2.0]}}]},
         ["[[list]] 0: [zip]", "loss has 2"]),
        ({"list": [{"physics.g": 1.0}, {"grid": {"physics.los": [1]}}]},
         ["case 1", 'did you mean "loss"']),
        ({"list": [{"grid": {"physics.g": list(range(400)), "physics.loss": list(range(1, 400))}}]},
         ["159600 cases", "--yes"]),
        ({"grid": {"potential.initial": [{"uniform": [0, 1]}, {"uniform": [0, 1]}]}},
         ["stands twice"]),
        ({"study": "sweep.toml"}, ["this is a sweep file itself"]),
    ],
)  # fmt: skip
def test_refusals(
    write: Callable[[dict[str, Any]], Path], content: dict[str, Any], says: list[str]
) -> None:
    path = write(content)
    out = path.parent / "out"
    result = CliRunner().invoke(app, ["sweep", str(path), "--out", str(out)])
    assert result.exit_code == 2
    assert not out.exists()
    for words in says:
        assert words in result.stderr


def test_a_long_grid_is_refused_at_once(write: Callable[[dict[str, Any]], Path]) -> None:
    """Looking for values that stand twice takes no time that grows as the square."""
    path = write({"grid": {"physics.g": [k / 7 for k in range(120_000)]}})
    result = CliRunner().invoke(app, ["sweep", str(path)])
    assert result.exit_code == 2
    assert "120000 cases" in result.stderr


def test_a_study_is_no_sweep(write: Callable[[dict[str, Any]], Path], tmp_path: Path) -> None:
    sweep, study = write({}), tmp_path / "study.toml"
    result = CliRunner().invoke(app, ["sweep", str(study), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "this is a study file; run it by: nepfield train" in result.stderr
    for command in ("train", "solve", "compare", "check"):
        result = CliRunner().invoke(app, [command, str(sweep)])
        assert result.exit_code == 2
        assert "this is a sweep file; run it by: nepfield sweep" in result.stderr


def test_what_plot_refuses(write: Callable[[dict[str, Any]], Path], tmp_path: Path) -> None:
    sweep = load_sweep(write({"seeds": [0]}))
    open_sweep(sweep, tmp_path / "swept", resume=False)
    (tmp_path / "swept" / "cases").mkdir()
    (tmp_path / "empty").mkdir()
    for name, says in {
        "nowhere": "there is nothing of that name",
        "study.toml": "this is a file",
        "empty": "no run folder with fields",
        "swept": "no results.csv yet",
        "swept/cases": f"give {tmp_path / 'swept'}",
    }.items():
        picture = tmp_path / "picture.png"
        result = CliRunner().invoke(app, ["plot", str(tmp_path / name), "-o", str(picture)])
        assert result.exit_code == 2
        assert says in result.stderr
        assert not picture.exists()


# --- pictures


def results(folder: Path, **columns: list[Any]) -> Path:
    folder.mkdir()
    table = pd.DataFrame({"seed": 0, **columns, "status": "finished"})
    table.insert(0, "case", range(len(table)))
    table["cost"] = [1.0 + k for k in range(len(table))]
    table.to_csv(folder / "results.csv", index=False)
    return folder


def test_a_picture_for_each_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[list[str], int]] = []
    draw = sweeps._draw
    monkeypatch.setattr(
        sweeps,
        "_draw",
        lambda f, table, varied, field: (
            drawn.append((varied, len(table))),
            draw(f, table, varied, field),
        ),
    )
    folder = results(
        tmp_path / "out",
        **{
            "domain.geometry": ["a.geo"] * 3 + ["b.geo"] * 4,
            "domain.parameters.width": [1, 2, 3, *[None] * 4],
            "domain.parameters.height": [None] * 3 + [1, 1, 2, 2],
            "physics.loss": [None] * 3 + [1, 2, 1, 2],
        },
    )
    path = plot_sweep(folder)
    assert drawn == [
        (["domain.parameters.width"], 3),
        (["domain.parameters.height", "physics.loss"], 4),
    ]
    assert 5_000 < path.stat().st_size < 300_000


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ({"domain.geometry": [None, None, "a.geo", "a.geo"], "physics.g": [1, 2, 1, 2]},
         ["geometry as in the study", "a.geo"]),
        ({"training.rule": ["nep", "nep", None, None], "physics.g": [None, None, 1, 2]},
         ["nep", "rule as in the study"]),
        ({"training.rule": ["nep", None, None], "physics.g": [None, 1, None],
          "physics.loss": [None, None, 1]},
         ["nep", "rule as in the study, g", "rule as in the study, loss"]),
        ({"physics.g": [None, 1, 2]}, ["as in the study", "g"]),
        ({"physics.g": [1, 2]}, [""]),
    ],
)  # fmt: skip
def test_names_of_families(columns: dict[str, list[Any]], names: list[str]) -> None:
    found = sweeps.families_of(pd.DataFrame(columns), list(columns))
    assert [name for name, _ in found] == names
    assert sum(len(part) for _, part in found) == len(next(iter(columns.values())))


@pytest.mark.parametrize(
    ("first", "second", "varied"),
    [
        ([1.0, 2.0, 4.0], [3.0, 5.0, 6.0], 1),  # as in a [zip]
        ([1.0, 2.0, 4.0], [6.0, 5.0, 3.0], 1),
        ([1.0, 2.0, 4.0], [6.0, 3.0, 5.0], 2),  # as in a random design
        ([1.0, 1.0, 2.0, 2.0], [1.0, 2.0, 1.0, 2.0], 2),
    ],
)
def test_keys_in_step_are_one_axis(first: list[float], second: list[float], varied: int) -> None:
    table = pd.DataFrame({"a": first * 2, "b": second * 2})
    assert sweeps.independent_keys(table, ["a", "b"]) == ["a", "b"][:varied]
