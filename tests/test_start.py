"""A run that began from another one: what it keeps of it, and what it refuses to take from it."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from test_cli import CHAIN, LINE, MESHES, contents, invoke, write_study
from test_run import trained

from nepfield.errors import InputError
from nepfield.learning.state import TrainingState
from nepfield.study.run.build import build
from nepfield.study.run.jobs import compare_study, solve_study, train_study
from nepfield.study.systems.systems import load_study

FROM_FIRST = {"potential__initial": "first", "pump__0__weight": "first", "figures__frames": 9}


def first(folder: Path, base: dict = LINE, **changes: object) -> Path:
    """A trained run `first`."""
    trained(folder, base, **changes)
    os.rename(folder / "run", folder / "first")
    return folder / "first"


def test_a_run_outlives_the_one_it_began_from(tmp_path: Path) -> None:
    """Resumed, solved, compared and handed on; with the frames of a run whose source stays."""
    source = first(tmp_path)
    path = write_study(tmp_path, LINE, **FROM_FIRST, training__epochs=4)
    whole, run = tmp_path / "whole", tmp_path / "second"
    train_study(load_study(path), whole)
    begin = ["train", str(path), "--out", str(run), "--set", "training.epochs=2"]
    assert invoke(*begin).exit_code == 0
    shutil.rmtree(source)
    (run / "frames" / "epoch-000000.vtu").unlink()  # made up for from the start that is kept

    go_on = invoke("train", str(path), "--out", str(run), "--resume")
    assert go_on.exit_code == 0, go_on.output
    for name in ("frames.pvd", *(f"frames/epoch-{k:06d}.vtu" for k in range(5))):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    ends = [TrainingState.load(out / "checkpoint.npz").parameters for out in (run, whole)]
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[1])
    for command in (["compare", str(run)], ["solve", str(run), "--out", str(tmp_path / "solved")]):
        result = invoke(*command)
        assert result.exit_code == 0, result.output
    third = write_study(tmp_path, LINE, potential__initial="second")
    found = build(load_study(third)).system.potential.values
    assert np.abs(found - ends[0]["potential"]).max() <= 1e-15

    # by its own study.toml as well; a new run needs the source
    more = ["--resume", "--set", "training.epochs=5"]
    own = str(tmp_path / "second" / "study.toml")
    assert invoke("train", own, "--out", str(run), *more).exit_code == 0
    result = invoke("train", own, "--out", str(tmp_path / "new"))
    assert (result.exit_code, (tmp_path / "new").exists()) == (2, False)
    assert "first: this is no run folder" in result.stderr


def test_the_default_folder_is_looked_at_on_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = first(tmp_path, CHAIN)
    path = write_study(tmp_path, CHAIN, potential__initial="first")
    assert invoke("train", str(path)).exit_code == 0
    assert (tmp_path / "runs" / "chain" / "start.npz").is_file()
    shutil.rmtree(source)
    more = ["--set", "training.epochs=3"]
    assert invoke("train", str(path), *more).exit_code == 2
    assert invoke("train", str(path), *more, "--resume").exit_code == 0


def test_another_start_is_not_the_one_that_is_kept(tmp_path: Path) -> None:
    """V is fixed here, so what the checkpoint holds says nothing of it."""
    first(tmp_path)
    fixed = {"potential__trainable": False, "pump__0__trainable": True}
    path = write_study(tmp_path, LINE, potential__initial="first", **fixed)
    run = tmp_path / "second"
    train_study(load_study(path), run)
    own = run / "study.toml"
    kept = build(load_study(own), None, run).system.potential.values
    assert kept.std() > 0
    other = build(load_study(own, ["potential.initial=0.2"]), None, run)
    assert np.array_equal(other.system.potential.values, np.full(64, 0.2))
    (run / "start.npz").write_bytes(b"half")
    with pytest.raises(InputError, match=r"start\.npz: this is no start of a run"):
        build(load_study(own), None, run)


def test_a_run_without_a_source_keeps_no_start(tmp_path: Path) -> None:
    run, _, _ = trained(tmp_path, CHAIN)
    assert not (run / "start.npz").exists()


# ---------------------------------------------------------------- geometries


@pytest.fixture
def line_of_geometry(tmp_path: Path) -> dict:
    pytest.importorskip("gmsh")
    shutil.copyfile(MESHES / "interval.geo", tmp_path / "interval.geo")
    return LINE | {"domain": {"geometry": "interval.geo", "parameters": {"size": 0.5}}}


def test_a_source_whose_geometry_has_changed_is_refused(
    tmp_path: Path, line_of_geometry: dict
) -> None:
    source = first(tmp_path, line_of_geometry)
    path = write_study(tmp_path, LINE, potential__initial="first")
    before = contents(source)
    assert invoke("check", str(path)).exit_code == 0
    with (tmp_path / "interval.geo").open("a") as file:
        file.write("// another shape\n")
    result = invoke("check", str(path))
    assert result.exit_code == 2
    assert "first: the mesh that this run was trained on is not in" in result.stderr
    assert "interval.geo (or Gmsh) has changed since" in result.stderr
    assert contents(source) == before


def test_a_source_without_its_mesh_is_refused(tmp_path: Path, line_of_geometry: dict) -> None:
    source = first(tmp_path, line_of_geometry)
    shutil.rmtree(source / "meshes")
    (tmp_path.parent / "meshes").mkdir(exist_ok=True)  # of no sweep
    with pytest.raises(InputError, match="it is missing"):
        build(load_study(write_study(tmp_path, LINE, potential__initial="first")))
    assert not (source / "meshes").exists()
    assert list((tmp_path.parent / "meshes").iterdir()) == []


def test_a_run_whose_geometry_has_changed_does_not_go_on(
    tmp_path: Path, line_of_geometry: dict
) -> None:
    run, _, _ = trained(tmp_path, line_of_geometry)
    path = write_study(tmp_path, line_of_geometry, training__epochs=3)
    with (tmp_path / "interval.geo").open("a") as file:
        file.write("// another shape\n")
    before = contents(run)
    for attempt in (
        lambda: train_study(load_study(path), run, resume=True),
        lambda: solve_study(load_study(run / "study.toml"), tmp_path / "solved", run),
        lambda: compare_study(load_study(run / "study.toml"), run),
    ):
        with pytest.raises(InputError, match="has changed since"):
            attempt()
    assert contents(run) == before
    assert not (tmp_path / "solved").exists()
    # without a checkpoint nothing was trained on the other shape
    (run / "checkpoint.npz").unlink()
    assert train_study(load_study(path), run, resume=True)["epochs"] == 3


# ---------------------------------------------------------------- what is taken


def test_weights_stay_in_their_dimension(tmp_path: Path) -> None:
    """Their unit is energy / length^(d/2)."""
    units = {"units": {"length": "1 um", "mass": "1e-4 m_e"}}
    first(tmp_path, CHAIN | units)
    path = write_study(tmp_path, LINE | units, pump__0__weight="first")
    result = invoke("check", str(path))
    assert result.exit_code == 2
    assert "pump.0.weight: " in result.stderr
    assert "of a lattice domain and the study of a 1-D one" in result.stderr
    plain = tmp_path / "plain"
    plain.mkdir()
    first(plain, CHAIN)
    build(load_study(write_study(plain, LINE, pump__0__weight="first")))  # numbers are numbers


def test_both_parts_of_a_potential_come_from_one_run(tmp_path: Path) -> None:
    """They are projected at once, and what is said of it is said once."""
    first(tmp_path, potential__imaginary={"initial": -0.05})
    shutil.copytree(tmp_path / "first", tmp_path / "other")
    both = {"potential__initial": "first", "potential__imaginary": {"initial": "other"}}
    with pytest.raises(InputError, match=r"potential\.imaginary\.initial: .* the same one"):
        build(load_study(write_study(tmp_path, LINE, **both)))
    both["potential__imaginary"] = {"initial": "first"}
    config = load_study(write_study(tmp_path, LINE, **both))
    from nepfield.study.systems import gpe_build as transfer

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        calls, project = [], transfer.transfer
        patch.setattr(transfer, "transfer", lambda *a: calls.append(a) or project(*a))
        build(config)
    assert len(calls) == 1
