"""Sweeps: how a file becomes cases, what is refused, and that no kill changes the results."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from nepfield.cli import app
from nepfield.errors import InputError
from nepfield.study.sweeps import cluster
from nepfield.study.sweeps.cluster import SweepProgress, run_sweep
from nepfield.study.sweeps.design import Sweep, load_sweep
from nepfield.study.sweeps.points import design_points
from nepfield.study.sweeps.results import write_results
from nepfield.study.sweeps.sweep import (
    case_folder,
    check_cases,
    is_done,
    locked,
    open_sweep,
    run_case,
)
from nepfield.study.systems.systems import load_study
from nepfield.view.sweeps import plot_sweep

STUDY = """\
name = "chain"
[domain]
lattice = [9]
[physics]
g = 0.1
loss = 0.1
[potential]
initial = { uniform = [0.1, 0.3] }
bounds = [0.0, 2.0]
[[pump]]
site = 2
[[pump]]
site = 6
[readout]
sites = [4]
[task]
name = "xor"
[training]
epochs = 3
"""
LOSSES = [0.05, 0.1, 0.2]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a sweep file beside the study."""
    (tmp_path / "study.toml").write_text(STUDY)

    def to(content: str | dict[str, Any], name: str = "sweep.toml") -> Path:
        if isinstance(content, dict):
            content = tomli_w.dumps({"study": "study.toml"} | content)
        (tmp_path / name).write_text(content)
        return tmp_path / name

    return to


def values(sweep: Sweep) -> list[dict[str, Any]]:
    return [case.values for case in sweep.cases]


def run_here(sweep: Sweep, out: Path) -> pd.DataFrame:
    """Without Dask."""
    check_cases(sweep)
    open_sweep(sweep, out, resume=False)
    for case in sweep.cases:
        run_case(sweep.config(case), str(case_folder(out, case)), str(out / "meshes"))
    return write_results(out)


# --- cases


def test_everything_is_multiplied(write: Callable[..., Path]) -> None:
    sweep = load_sweep(
        write(
            {
                "seeds": [3, 5],
                "set": {"training": {"epochs": 1}, "potential.initial": {"uniform": [0.0, 0.1]}},
                "grid": {"physics.loss": LOSSES},
                "zip": {"physics.g": [0.1, 0.2], "training.rule": ["nep", "adjoint"]},
                "list": [{"pump.0.weight": 1.0}, {"pump": {"0": {"weight": [0.5, 0.5]}}}],
            }
        )
    )
    assert sweep.keys == ("physics.loss", "physics.g", "training.rule", "pump.0.weight")
    expected = [
        (loss, g, rule, weight, seed)
        for loss in LOSSES
        for g, rule in ((0.1, "nep"), (0.2, "adjoint"))
        for weight in (1.0, [0.5, 0.5])
        for seed in (3, 5)
    ]
    assert [(*case.values.values(), case.seed) for case in sweep.cases] == expected
    assert [case.number for case in sweep.cases] == list(range(24))
    config = sweep.config(sweep.cases[-1])
    assert (config.seed, config.physics.loss, config.physics.g) == (5, 0.2, 0.2)
    assert (config.training.rule, config.training.epochs) == ("adjoint", 1)
    assert config.pump[0].weight == 0.5 + 0.5j
    assert config.pump[1].weight == 1.0
    assert config.potential.initial.uniform == (0.0, 0.1)
    assert sweep.cases[7].folder == "07-loss-0.05-g-0.2-rule-adjoint-weight-0.5_0.5-seed-5"
    check_cases(sweep)


def test_a_sweep_of_nothing_is_the_study(write: Callable[..., Path]) -> None:
    sweep = load_sweep(write({"seeds": [1, 2]}), ["training.epochs=7", "physics.g = 0.5"])
    assert [sweep.config(case).seed for case in sweep.cases] == [1, 2]
    assert sweep.config(sweep.cases[0]).training.epochs == 7
    assert sweep.name == "chain-sweep"
    assert len(load_sweep(write({})).cases) == 1
    assert not sweep.config(sweep.cases[0]).figures.enabled


names = st.sampled_from(["physics.g", "physics.loss", "training.rate", "training.beta"])
number = st.floats(0.01, 1.0)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    grid=st.dictionaries(names, st.lists(number, min_size=1, max_size=3, unique=True), max_size=3),
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
)
def test_any_grid_is_the_product(
    write: Callable[..., Path], grid: dict[str, list[float]], seeds: list[int]
) -> None:
    sweep = load_sweep(write({"grid": grid, "seeds": seeds} if grid else {"seeds": seeds}))
    expected = [(*row, seed) for row in itertools.product(*grid.values()) for seed in seeds]
    assert [(*case.values.values(), case.seed) for case in sweep.cases] == expected
    assert len({case.folder for case in sweep.cases}) == len(expected)
    for case in sweep.cases:
        config = sweep.config(case)
        found = {**config.physics.model_dump(), **config.training.model_dump()}
        assert {key: found[key.split(".")[1]] for key in grid} == case.values


@settings(max_examples=40)
@given(
    kind=st.sampled_from(["sobol", "latin-hypercube", "random"]),
    cases=st.integers(1, 40),
    seed=st.integers(0, 9),
    low=st.floats(-5, 5),
    width=st.floats(0.1, 5),
)
def test_any_design_fills_its_box(
    kind: str, cases: int, seed: int, low: float, width: float
) -> None:
    ranges = {"physics.g": [low, low + width], "training.batch": [2, 4]}
    points = design_points(kind, cases, seed, ranges, ["training.batch"])
    assert points == design_points(kind, cases, seed, ranges, ["training.batch"])
    assert len(points) == cases
    g = np.array([point["physics.g"] for point in points])
    assert ((g >= low) & (g <= low + width)).all()
    assert {type(point["training.batch"]) for point in points} == {int}
    assert {point["training.batch"] for point in points} <= {2, 3, 4}
    if kind == "latin-hypercube":  # one point in each slice
        slices = np.minimum((g - low) / width * cases, cases - 1e-9).astype(int)
        assert sorted(slices) == list(range(cases))
    if kind == "sobol" and cases == 32:
        assert len(set(((g - low) / width * 32).astype(int))) == 32


def test_designs_differ_by_seed(write: Callable[..., Path]) -> None:
    design = {"kind": "sobol", "cases": 6, "ranges": {"physics": {"loss": [0.1, 0.2]}}}
    first = values(load_sweep(write({"design": design})))
    assert first != values(load_sweep(write({"design": design | {"seed": 1}})))
    assert len(first) == 6


def test_paths_count_from_the_sweep_file(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.msh").touch()
    (tmp_path / "data.npz").touch()
    text = STUDY.replace("lattice = [9]", "").replace('name = "xor"', 'file = "data.npz"')
    (tmp_path / "study.toml").write_text(text)
    path = write({"study": "../study.toml", "grid": {"domain.mesh": ["a.msh"]}}, "sub/sweep.toml")
    sweep = load_sweep(path)
    config = sweep.config(sweep.cases[0])
    assert config.domain.mesh == tmp_path / "sub" / "a.msh"
    assert config.task.file == tmp_path / "data.npz"
    # and the copy in the sweep's folder means the same
    out = tmp_path / "deep" / "er"
    open_sweep(sweep, out, resume=False)
    again = load_sweep(out / "sweep.toml")
    assert again.config(again.cases[0]) == config


# --- what is refused


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"grid": {"physics.los": [1]}}, ["case 0 (physics.los = 1)", 'did you mean "loss"']),
        ({"grid": {"fysics.loss": [1]}}, ["fysics: unknown key"]),
        ({"grid": {"physics.loss": 1}}, ["grid.physics.loss = 1", "list of values"]),
        ({"grid": {"physics.loss": []}}, ["list of values, at least one"]),
        ({"grid": {"physics.loss": [1, 2, 1]}}, ["grid.physics.loss: 1 stands twice"]),
        ({"grid": {"physics.loss": [0.1, -1]}}, ["case 1", "must be greater than 0", "the sweep"]),
        ({"grid": {"training.rule": ["nep", "nap"]}}, ["case 1", '"nap"', '"adjoint"']),
        ({"grid": {"pump.7.weight": [1.0]}}, ["pump has 2 entries", "'7' is none"]),
        ({"grid": {"domain.parameters.width": [1.0]}}, ["parameters goes with geometry"]),
        ({"grid": {"seed": [1]}}, ["give seeds = [0, 1, 2]"]),
        ({"grid": {"readout.sites": [[44]]}}, ["site 44", "0 to 8"]),
        ({"zip": {"physics.g": [1.0], "physics.loss": [1.0, 2.0]}}, ["g has 1", "loss has 2"]),
        ({"zip": {"physics.g": [1.0]}, "set": {"physics.g": 1.0}}, ["physics.g", "in [set]"]),
        ({"zip": {"physics.g": [1.0]}, "grid": {"physics.g": [1.0]}}, ["swept in two ways"]),
        ({"list": {"physics.g": 1.0}}, ["write [[list]]"]),
        ({"list": [{"physics.g": 1.0}, {}]}, ["[[list]] 1", "nothing in it"]),
        ({"seeds": 3}, ["seeds = 3", "[0, 1, 2]"]),
        ({"seeds": [0, 0]}, ["each seed once"]),
        ({"seeds": [-1]}, ["seeds = [-1]"]),
        ({"seed": [1]}, ["seed: unknown key, did you mean seeds?"]),
        ({"study": "none.toml"}, ["none.toml", "there is no such file"]),
        ({"study": 3}, ["study must name the study"]),
        ({"name": "a/b"}, ["name", "'a/b'"]),
        ({"design": {"kind": "grid"}}, ["design.kind = 'grid'", '"latin-hypercube"']),
        ({"design": {"kind": "sobol"}}, ["design.cases"]),
        ({"design": {"kind": "sobol", "cases": 2}}, ["[design.ranges] is missing"]),
        ({"design": {"kind": "random", "cases": 2, "range": {}}}, ["design.range: unknown"]),
        ({"grid": {"physics.g": list(range(400))}, "seeds": list(range(400))},
         ["160000 cases", "--yes"]),
    ],
)  # fmt: skip
def test_refusals(write: Callable[..., Path], content: dict[str, Any], says: list[str]) -> None:
    path = write(content)
    out = path.parent / "out"
    result = CliRunner().invoke(app, ["sweep", str(path), "--out", str(out)])
    assert result.exit_code == 2
    assert not out.exists()
    for words in says:
        assert words in result.stderr


@pytest.mark.parametrize("limits", [[2.0, 1.0], [1.0, 1.0], [1.0], 3, ["a", "b"], [0.0, np.inf]])
def test_ranges_are_checked(write: Callable[..., Path], limits: Any) -> None:
    design = {"kind": "sobol", "cases": 2, "ranges": {"physics.g": limits}}
    with pytest.raises(InputError, match=r"design.ranges.physics.g = .*low < high"):
        load_sweep(write({"design": design}))


def test_a_range_without_whole_numbers(write: Callable[..., Path]) -> None:
    design = {"kind": "sobol", "cases": 2, "ranges": {"training.batch": [1.2, 1.8]}}
    with pytest.raises(InputError, match=r"training.batch takes whole numbers"):
        load_sweep(write({"design": design}))


def test_many_cases_must_be_meant(write: Callable[..., Path]) -> None:
    design = {"kind": "random", "cases": 100_001, "ranges": {"physics.g": [0.0, 1.0]}}
    path = write({"design": design})
    with pytest.raises(InputError, match="100001 cases"):
        load_sweep(path)
    assert len(load_sweep(path, many=True).cases) == 100_001


def test_geometries_are_checked_before(write: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("gmsh", exc_type=ImportError)
    text = STUDY.replace("lattice = [9]", 'geometry = "box.geo"').replace("site = 2", SPOT)
    text = text.replace("site = 6", SPOT).replace("sites = [4]", 'regions = ["box"]')
    (tmp_path / "study.toml").write_text(text)
    (tmp_path / "box.geo").write_text(BOX)
    key = "domain.parameters.width"
    with pytest.raises(InputError, match=r"case 0: .*no parameter 'with'; it defines width"):
        check_cases(load_sweep(write({"grid": {"domain.parameters.with": [1.0]}})))
    with pytest.raises(InputError, match=r"case 1: .*width = 'a' must be a number"):
        check_cases(load_sweep(write({"grid": {key: [1.0, "a"]}})))
    with pytest.raises(InputError, match=r"case 0: .*box.geo \(width = 8.0\): .*too wide"):
        check_cases(load_sweep(write({"grid": {key: [8.0, 9.0]}})))
    # one that cannot be meshed is told where it is, and the others are run
    table = run_here(load_sweep(write({"grid": {key: [1.0, 9.0]}})), tmp_path / "out")
    assert list(table["status"]) == ["finished", "failed"]
    assert table["error"][1].startswith("InputError: ")
    assert "box.geo (width = 9.0): Gmsh cannot mesh it: too wide" in table["error"][1]
    (mesh,) = (tmp_path / "out" / "meshes").iterdir()
    assert mesh.name.startswith("box-")


SPOT = "center = [0.5, 0.5]\nwidth = 0.5"
BOX = """\
SetFactory("OpenCASCADE");
DefineConstant[ width = 1, size = 0.5 ];
If (width > 5)
  Error("too wide");
  Abort;
EndIf
Rectangle(1) = {0, 0, 0, width, 1, 0};
Physical Surface("box") = {1};
Mesh.MeshSizeMax = size;
"""


# --- folders


def test_results_come_from_the_folders(write: Callable[..., Path], tmp_path: Path) -> None:
    sweep = load_sweep(write({"grid": {"training.batch": [1, 2], "pump.0.site": [2, 3]}}))
    out = tmp_path / "out"
    run_here(sweep, out)
    table = pd.read_csv(out / "results.csv")
    columns = list(table.columns)
    assert columns[:5] == ["case", "seed", "training.batch", "pump.0.site", "status"]
    assert columns[-5:] == [
        "gradient_cosine", "fraction_converged", "unknowns", "cells", "error",
    ]  # fmt: skip
    assert "seconds" not in columns
    for case, row in zip(sweep.cases, table.to_dict("records"), strict=True):
        folder = case_folder(out, case)
        summary = json.loads((folder / "summary.json").read_text())
        assert row["cost"] == summary["cost"]
        assert row["training.batch"] == load_study(folder / "study.toml").training.batch
        assert row["unknowns"] == row["cells"] == 9
        assert row["status"] == "finished"
    # a case that is taken away is unfinished, and the sweep does it again
    first = (out / "results.csv").read_bytes()
    (case_folder(out, sweep.cases[1]) / "summary.json").unlink()
    assert list(write_results(out)["status"]) == ["finished", "unfinished", *["finished"] * 2]
    assert not is_done(sweep.config(sweep.cases[1]), case_folder(out, sweep.cases[1]))
    (case_folder(out, sweep.cases[1]) / "checkpoint.npz").unlink()
    run_case(
        sweep.config(sweep.cases[1]), str(case_folder(out, sweep.cases[1])), str(out / "meshes")
    )
    write_results(out)
    assert (out / "results.csv").read_bytes() == first


def test_a_failure_is_recorded_and_tried_again(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = load_sweep(write({"seeds": [0, 1]}))
    out = tmp_path / "out"

    def fail(config: Any, run: Path, **_: Any) -> None:
        if config.seed == 1:
            raise MemoryError(f"no room\nin {run}")

    with monkeypatch.context() as patch:
        patch.setattr("nepfield.study.sweeps.sweep.train_study", fail)
        table = run_here(sweep, out)
    assert list(table["status"]) == ["unfinished", "failed"]
    assert table["error"][1] == "MemoryError: no room in cases/1-seed-1"
    folder = case_folder(out, sweep.cases[1])
    assert "fail" in json.loads((folder / "error.json").read_text())["traceback"][-2]
    assert load_study(folder / "study.toml").seed == 1
    run_case(sweep.config(sweep.cases[1]), str(folder), str(out / "meshes"))
    assert not (folder / "error.json").exists()
    assert list(write_results(out)["status"]) == ["unfinished", "finished"]


def test_a_folder_belongs_to_one_sweep(write: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    sweep = load_sweep(write({"grid": {"physics.loss": [0.1, 0.2]}}))
    run_here(sweep, out)
    with pytest.raises(InputError, match="a sweep is there already; go on with --resume"):
        run_sweep(sweep, out)
    done = run_sweep(sweep, out, resume=True)  # nothing to do: no workers are started
    assert list(done["status"]) == ["finished"] * 2
    with locked(out / ".lock"), pytest.raises(InputError, match="another nepfield sweep"):
        run_sweep(sweep, out, resume=True)
    other = load_sweep(write({"grid": {"physics.loss": [0.1, 0.3]}}))
    with pytest.raises(InputError, match=r"case 1 was .*0\.2.* is now .*0\.3"):
        run_sweep(other, out, resume=True)
    other = load_sweep(write({"grid": {"physics.loss": [0.1]}}))
    with pytest.raises(InputError, match="had 2 cases and has 1"):
        run_sweep(other, out, resume=True)
    other = load_sweep(write({"grid": {"physics.loss": [0.1, 0.2]}, "set": {"physics.g": 0.2}}))
    with pytest.raises(InputError, match=r"physics\.g was 0\.1 and is now 0\.2"):
        run_sweep(other, out, resume=True)
    with pytest.raises(InputError, match="holds other files"):
        run_sweep(sweep, tmp_path, resume=True)
    with pytest.raises(InputError, match="give one of them"):
        run_sweep(sweep, tmp_path / "new", workers=1, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="--workers 0"):
        run_sweep(sweep, tmp_path / "new", workers=0)
    assert not (tmp_path / "new").exists()


# --- pictures


def results(folder: Path, **columns: Any) -> Path:
    folder.mkdir()
    table = pd.DataFrame({"seed": 0, **columns, "status": "finished", "error": ""})
    table.insert(0, "case", range(len(table)))
    table["cost"] = np.linspace(1, 2, len(table))
    table.to_csv(folder / "results.csv", index=False)
    return folder


@pytest.mark.parametrize(
    "columns",
    [
        {"physics.g": [0.1, 0.1, 0.2, 0.2], "seed": [0, 1, 0, 1]},
        {"physics.g": [0.1, 10.0, 100.0]},
        {"physics.g": [0.1, 0.2] * 2, "physics.loss": [1, 1, 2, 2]},
        {"physics.g": [0.1, 0.2, 0.3], "physics.loss": [1, 2, 3]},
        {"physics.g": [0.1, 0.2] * 2, "training.rule": ["nep", "nep", "adjoint", "adjoint"]},
        {"domain.mesh": ["a.msh", "b/$c.msh"], "training.rule": ["nep", "adjoint"]},
        {"seed": [0, 1]},
    ],
)
def test_pictures(tmp_path: Path, columns: dict[str, Any]) -> None:
    folder = results(tmp_path / "out", **columns)
    path = plot_sweep(folder)
    assert path == folder / "figures" / "cost.png"
    assert 5_000 < path.stat().st_size < 300_000


def test_pictures_that_cannot_be(tmp_path: Path) -> None:
    folder = results(tmp_path / "out", **{"physics.g": [0.1, 0.2]})
    runner = CliRunner()
    result = runner.invoke(app, ["plot", str(folder), "--field", "price"])
    assert result.exit_code == 2
    assert "results.csv has cost" in result.stderr
    assert runner.invoke(app, ["plot", str(folder), "-o", str(tmp_path / "a.png")]).exit_code == 0
    assert (tmp_path / "a.png").is_file()
    table = pd.read_csv(folder / "results.csv").assign(status="failed")
    table.to_csv(folder / "results.csv", index=False)
    with pytest.raises(InputError, match="no finished case"):
        plot_sweep(folder)
    (folder / "results.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no results of nepfield sweep"):
        plot_sweep(folder)


# --- processes

# twelve cases; there is no site 44, so three of them fail
TWELVE = {
    "seeds": [0, 1, 2],
    "set": {"training.epochs": 80, "training.compare_every": 10},
    "zip": {"physics.loss": [0.1, 0.12, 0.15, 0.2], "readout.sites": [[4], [44], [5], [4]]},
}
STATUS = ["finished"] * 3 + ["failed"] * 3 + ["finished"] * 6


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twelve")
    (folder / "study.toml").write_text(STUDY)
    (folder / "sweep.toml").write_text(tomli_w.dumps({"study": "study.toml"} | TWELVE))
    return folder / "sweep.toml"


@pytest.fixture(scope="module")
def undisturbed(twelve: Path) -> bytes:
    """results.csv of the sweep with nothing in its way, from two workers."""
    seen: list[SweepProgress] = []
    out = twelve.parent / "undisturbed"
    table = run_sweep(load_sweep(twelve), out, workers=2, on_progress=seen.append)
    assert list(table["status"]) == STATUS
    assert table["error"][3] == "InputError: readout: site 44: lattice(9) has sites 0 to 8."
    assert [table["cost"][k] for k in (3, 4, 5)] == [None] * 3
    assert (seen[-1].finished, seen[-1].failed, seen[-1].running) == (9, 3, 0)
    assert max(p.running for p in seen) == 2
    assert sum("failed: InputError: readout: site 44" in p.problem for p in seen) == 3
    saved = tomllib.loads((out / "sweep.toml").read_text())
    assert saved["zip"] == TWELVE["zip"]
    return (out / "results.csv").read_bytes()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "nepfield.cli", "sweep", *arguments]


def environment() -> dict[str, str]:
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def finished(out: Path) -> int:
    return len(list(out.glob("cases/*/summary.json")))


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 500) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return value


def workers_of(process: subprocess.Popen[Any]) -> list[psutil.Process]:
    """The worker processes of a command."""
    found = []
    for child in psutil.Process(process.pid).children():
        try:
            line = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if "spawn_main" in line:
            found.append(child)
    return found


def test_kills_change_nothing(twelve: Path, undisturbed: bytes) -> None:
    out = twelve.parent / "killed"
    arguments = [str(twelve), "--workers", "2", "--out", str(out)]
    log = (twelve.parent / "log").open("w")
    process = subprocess.Popen(command(*arguments), env=environment(), stderr=log, stdout=log)
    try:
        for done in (1, 3):
            wait_for(lambda done=done: finished(out) >= done, "no case has finished")
            victims = workers_of(process)
            assert victims
            for victim in victims:
                victim.send_signal(signal.SIGKILL)
            psutil.wait_procs(victims, timeout=60)
        wait_for(lambda: finished(out) >= 5, "no case has finished after the workers died")
        told = twelve.parent / "log"
        wait_for(lambda: "cases: 4 finished" in told.read_text(), "nothing is told of them")
        orphans = workers_of(process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        log.close()
    assert psutil.wait_procs(orphans, timeout=60)[1] == []  # workers end with their command
    assert finished(out) < 9
    assert "Traceback" not in told.read_text()
    assert "cases: 4 finished" in told.read_text()
    again = subprocess.run(
        command(*arguments, "--resume"), env=environment(), capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert "9 of 12 cases finished" in again.stdout
    assert (out / "results.csv").read_bytes() == undisturbed


def test_workers_that_are_given_up_are_replaced_and_strangers_are_refused() -> None:
    with cluster.dask_client(1, None) as client:
        workers = client.cluster
        assert workers.scheduler_address.startswith("tls://127.0.0.1")
        kinds = [
            workers.scheduler.security.get_connection_args(role) for role in ("worker", "client")
        ]
        assert all(kind["require_encryption"] and kind["ssl_context"] for kind in kinds)
        host, port = workers.scheduler_address.removeprefix("tls://").split(":")
        stranger = ssl.create_default_context()
        stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
        with (  # the handshake ends, or is broken off, for want of a certificate
            socket.create_connection((host, int(port)), timeout=20) as plain,
            stranger.wrap_socket(plain) as connection,
            suppress(ConnectionError),
            pytest.raises(ssl.SSLError, match="certificate required"),
        ):
            connection.recv(1)
        for nanny in list(workers.workers.values()):
            workers.sync(nanny.close)  # as it ends itself where a worker could not be started
        cluster.replace_lost(workers)
        assert client.submit(sum, [1, 2]).result(timeout=300) == 3


def test_a_process_whose_pipes_may_end_it() -> None:
    """Gmsh gives SIGPIPE its deadly effect back, in notebooks too."""
    code = (
        "import signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        "from nepfield.study.sweeps import cluster\n"
        "if __name__ == '__main__':\n    for _ in range(3):\n"
        "        with cluster.dask_client(1, None) as client:\n"
        "            assert client.submit(sum, [1, 2]).result(timeout=300) == 3\n"
        "    print('alive')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


@pytest.mark.slow
def test_workers_that_are_slow_to_start_again(twelve: Path) -> None:
    """Dask gives up workers that are not back after 15 s, and then nobody would do the cases."""
    out = twelve.parent / "slow"
    line = command(str(twelve), "--workers", "2", "--out", str(out), "--quiet")
    process = subprocess.Popen(line, env=environment())
    wait_for(lambda: finished(out) >= 1, "no case has finished")
    for victim in workers_of(process):
        victim.send_signal(signal.SIGKILL)
    held: dict[int, psutil.Process] = {}
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for worker in workers_of(process):
            if worker.pid not in held:
                worker.suspend()
                held[worker.pid] = worker
        time.sleep(0.02)
    for worker in held.values():
        worker.resume()
    assert process.wait(150) == 0
    assert finished(out) == 9


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """A scheduler and two workers, started by hand."""
    address_file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    local = ["--host", "127.0.0.1"]
    worker = [*dask, "worker", "--scheduler-file", str(address_file), "--nthreads", "1"]
    worker += ["--nworkers", "2", "--no-dashboard", "--local-directory", str(tmp_path), *local]
    first = [*dask, "scheduler", *local, "--port", "0", "--no-dashboard"]
    started = []
    with (tmp_path / "log").open("w") as log:
        for line in ([*first, "--scheduler-file", str(address_file)], worker):
            started.append(subprocess.Popen(line, env=environment(), stdout=log, stderr=log))
    try:
        wait_for(lambda: address_file.is_file() and address_file.stat().st_size, "no scheduler")
        yield json.loads(address_file.read_text())["address"]
    finally:
        for process in started:  # the two workers end with the process that started them
            process.kill()
            process.wait(60)


def test_a_scheduler_started_by_hand(twelve: Path, undisturbed: bytes, scheduler: str) -> None:
    out = twelve.parent / "by-hand"
    table = run_sweep(load_sweep(twelve), out, scheduler=scheduler)
    assert list(table["status"]) == STATUS
    assert (out / "results.csv").read_bytes() == undisturbed


def test_ctrl_c(twelve: Path, undisturbed: bytes) -> None:
    out = twelve.parent / "interrupted"
    line = command(str(twelve), "--workers", "2", "--out", str(out))
    process = subprocess.Popen(
        line, env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(lambda: finished(out) >= 1, "no case has finished")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it as well
    told = process.communicate(timeout=180)[1]
    assert process.returncode == 130
    assert told.rstrip().endswith("interrupted")
    assert "Traceback" not in told
    table = pd.read_csv(out / "results.csv")
    assert 1 <= (table["status"] == "finished").sum() < 9
    lines = undisturbed.decode().splitlines()
    for number, row in enumerate((out / "results.csv").read_text().splitlines()[1:], 1):
        assert row == lines[number] or ",unfinished," in row


def test_cases_wait_in_one_queue(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask deals tasks out beforehand unless their keys make one group."""
    from distributed import Client
    from distributed.utils import key_split_group

    keys: list[Any] = []
    submit = Client.submit

    def noted(self: Client, *arguments: Any, **options: Any) -> Any:
        keys.append(options["key"])
        return submit(self, *arguments, **options)

    monkeypatch.setattr(Client, "submit", noted)
    sweep = load_sweep(write({"set": {"training.epochs": 1}, "grid": {"physics.loss": LOSSES}}))
    run_sweep(sweep, tmp_path / "out", workers=1)
    assert len(set(keys)) == len(LOSSES)
    assert len({key_split_group(key) for key in keys}) == 1


def test_a_scheduler_that_is_not_there(twelve: Path) -> None:
    result = CliRunner().invoke(
        app, ["sweep", str(twelve), "--scheduler", "nonsense", "--out", str(twelve.parent / "no")]
    )
    assert result.exit_code == 2
    assert "--scheduler nonsense: cannot be reached" in result.stderr
