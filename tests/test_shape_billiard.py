"""The study of shapes: its geometries, the bound that explains it, and what its tables say."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import MESHES

import nepfield as nf
from nepfield.errors import InputError
from nepfield.mesh.geometry import mesh_geometry
from nepfield.study.run.build import build
from nepfield.study.sweeps.design import load_sweep
from studies import __main__ as command

pytest.importorskip("gmsh")
NAME = "shape-billiard"
shapes = import_module(f"studies.{NAME}.figures")
SWEEP = shapes.FOLDER / "sweep.toml"


@pytest.mark.parametrize(
    ("name", "parameters", "centres"),
    [
        ("stadium", {"length": 3, "radius": 1.5}, [[-2.25, 0.75], [-2.25, -0.75]]),
        ("chambers", {"length": 2, "height": 4}, [[1, 3], [1, 1]]),
        ("annulus", {"input_angle": 45, "output_x": 2.1, "output_y": 0},
         2.1 / np.sqrt(2) * np.array([[-1, 1], [-1, -1]])),
    ],
)  # fmt: skip
def test_input_discs_lie_where_they_should(
    name: str, parameters: dict[str, float], centres: list[list[float]], tmp_path: Path
) -> None:
    path = mesh_geometry(MESHES / f"{name}.geo", {"input_radius": 0.3, **parameters}, tmp_path)
    space = nf.finite_elements(nf.read_domain(path))
    discs = nf.readout(space, regions=["input-upper", "input-lower"])
    x, y = space.points.T
    for disc, centre in enumerate(centres):
        found = [discs.field_means(v[:, None] + 0j)[0, disc].real for v in (x, y)]
        assert found == pytest.approx(centre, abs=1e-3)
        square = discs.field_means(((x - centre[0]) ** 2 + (y - centre[1]) ** 2)[:, None])[0, disc]
        assert square == pytest.approx(0.3**2 / 2, rel=1e-3)  # of a disc of radius 0.3


def test_discs_that_overlap_are_refused(tmp_path: Path) -> None:
    wrong = {"input_radius": 0.4, "length": 0.0, "output_x": -1.0, "output_y": 1.0}
    with pytest.raises(InputError, match="must lie apart and inside the walls"):
        mesh_geometry(MESHES / "stadium.geo", wrong, tmp_path)


def test_the_sweep_is_what_the_readme_says() -> None:
    sweep = load_sweep(SWEEP)
    table = pd.DataFrame([case.values | {"seed": case.seed} for case in sweep.cases])
    assert len(table) == 200
    table["family"] = [Path(path).stem for path in table["domain.geometry"]]
    for family in shapes.FAMILIES:
        part = table[(table["family"] == family.name) & (table["training.rule"] == "nep")]
        values = part.groupby(f"domain.parameters.{family.parameter}")["seed"].apply(list)
        assert len(values) == 10
        assert all(seeds == [0, 1, 2, 3, 4] for seeds in values)
    config = sweep.config(sweep.cases[0])
    assert config.potential.bounds == (shapes.LOWEST, 1.0)


def test_the_lowest_level_of_a_disc(tmp_path: Path) -> None:
    disc = {"length": 0.0, "output_x": 0.0, "output_y": 0.0, "size": 0.5}
    path = mesh_geometry(MESHES / "stadium.geo", disc, tmp_path)
    space = nf.finite_elements(nf.read_domain(path), dirichlet=["wall"])
    assert shapes.lowest_level(space) == pytest.approx(2.404826**2 / 8, rel=1e-4)


def test_no_landscape_gives_more_than_the_reach(tmp_path: Path) -> None:
    """The bound holds without loss and nonlinearity, and all but holds with those of the study."""
    sweep = load_sweep(SWEEP, ["domain.parameters.size=0.9", "domain.parameters.size_output=0.4"])
    (case,) = [c for c in sweep.cases[:50:5] if c.values["domain.parameters.opening"] == 2.4]
    study = build(sweep.config(case), tmp_path)
    space, random = study.system.space, np.random.default_rng(0)
    assert shapes.lowest_level(space) > -shapes.LOWEST
    linear = replace(study.system, nonlinearity=nf.Density(0.0), loss=1e-9)
    for system, slack in ((linear, 1.0), (study.system, 1.02)):
        bound = shapes.reach(system, study.cost)
        for share in (0.05, 0.5, 1.0):
            values = np.full_like(system.potential.values, shapes.LOWEST)
            raised = random.random(len(values)) < share
            values[raised] = random.uniform(shapes.LOWEST, 1.0, raised.sum())
            state = nf.solve_steady(system.with_parameters({"potential": values}), np.eye(2)).state
            assert study.cost.readout.outputs(state).min() < slack * bound
    assert shapes.reach(study.system, study.cost) < shapes.reach(linear, study.cost)


@pytest.mark.slow
def test_a_trial_run_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [path for path in shapes.FOLDER.iterdir() if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    arguments = [NAME, "--quick", "--workers", "1", "--out", str(tmp_path)]
    table = command.main(arguments)[NAME]
    assert {path: path.read_bytes() for path in files} == before
    tmp_path = tmp_path / NAME
    assert set(table["family"]) == {family.name for family in shapes.FAMILIES}
    assert set(table["rule"]) == {"nep", "adjoint"}
    assert "of 2 solved" in capsys.readouterr().out
    saved = pd.read_csv(tmp_path / "results.csv")
    assert saved["cost"].to_numpy() == pytest.approx(table["cost"].to_numpy(), rel=1e-4)
    # the first steps open the landscape: each lowers V by the rate at most
    assert (saved["open"] == 0).all()
    for name in ("results", "mechanism"):
        assert 20_000 < (tmp_path / f"{name}.png").stat().st_size < 300_000


# --- what the committed tables say


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(shapes.FOLDER / "results.csv")


def test_every_verdict_follows_from_its_numbers(table: pd.DataFrame) -> None:
    assert len(table) == 200
    solved = (table["cost"] < 0.02) & (table["largest_error"] < 0.1) & (table["cosine"] > 0.9)
    assert table["solved"].tolist() == solved.tolist()
    saved = pd.read_csv(shapes.FOLDER / "statistics.csv")
    assert saved["solved"].tolist() == shapes.statistics(table)["solved"].tolist()


def test_what_the_readme_concludes(table: pd.DataFrame) -> None:
    nep = table[table["rule"] == "nep"]
    below = nep[nep["reach"].notna()]
    # too closed: nothing is learnt where the reach is short, nearly all where it is not
    assert not below.loc[below["reach"] < shapes.NEAREST, "solved"].any()
    assert below.loc[below["reach"] > 1.1, "solved"].mean() >= 0.9
    assert set(below.loc[(below["reach"] > 1.1) & ~below["solved"], "seed"]) == {3}
    assert (below.loc[below["reach"] > 1e-4, "lowest_cosine"] > 0.99).all()
    # too open: NEP loses its way, the exact gradient does not
    long = table[(table["family"] == "stadium") & (table["value"] >= 5)]
    solved = long.groupby("rule")["solved"].sum()
    assert solved["adjoint"] == 24
    assert solved["nep"] == 9
    assert (long.loc[long["rule"] == "nep", "lowest_cosine"] < 0).mean() > 0.3
