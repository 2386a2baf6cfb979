"""Nobody goes on unawares with a run whose mesh, task or system has changed under the same name."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
from test_cli import CHAIN, LINE, ROOT, contents, invoke, write_study
from test_endings import one_line, train
from test_run import same_result

import nepfield as nf
from nepfield.learning.state import TrainingState, saved_origin
from nepfield.study.run.jobs import train_study
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.sweeps.sweep import case_folder, open_sweep, run_case
from nepfield.study.systems.systems import load_study

Change = Callable[[Path], object]


def samples(folder: Path, shift: float = 0.0, **more: np.ndarray) -> None:
    inputs = np.array([[0.0, 1.0], [1.0, 0.5], [1.0, 1.0]])
    np.savez(
        folder / "data.npz", inputs=inputs, targets=inputs[:, :1] + shift,
        test_inputs=inputs[:2], test_targets=inputs[:2, :1], **more,
    )  # fmt: skip


def mesh(folder: Path, shift: float = 0.0, output: int = 3, wall: str = "wall") -> None:
    points = np.linspace(0, 1, 9)[:, None]
    points[4] += shift
    cells = np.column_stack([np.arange(8), np.arange(1, 9)])
    domain = nf.Domain(
        points, cells, "line", {"output": np.arange(output)}, {wall: np.array([[0], [8]])}
    )
    (folder / "mesh.vtu").unlink(missing_ok=True)
    nf.write_domain(domain, folder / "mesh.vtu")


def study(folder: Path) -> Path:
    mesh(folder)
    samples(folder)
    pumps = [{"center": [0.2], "width": 0.3}, {"center": [0.8], "width": 0.3}]
    return write_study(
        folder, LINE, domain={"mesh": "mesh.vtu"}, pump=pumps, task={"file": "data.npz"}
    )


CHANGES: dict[str, tuple[Change, list[str]]] = {
    "points": (lambda f: mesh(f, shift=0.01), ["mesh.vtu (points)"]),
    "region": (lambda f: mesh(f, output=2), ["mesh.vtu (region 'output')"]),
    "boundary": (lambda f: mesh(f, wall="rim"), ["mesh.vtu (boundary 'wall', boundary 'rim')"]),
    "targets": (lambda f: samples(f, 0.1), ["data.npz (targets)"]),
    "both": (
        lambda f: [samples(f, 0.1), mesh(f, output=2)],
        ["mesh.vtu (region 'output'); ", "data.npz (targets)"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_run_does_not_go_on_with_something_else(tmp_path: Path, name: str) -> None:
    change, words = CHANGES[name]
    path, run = study(tmp_path), tmp_path / "run"
    assert train(path, run).exit_code == 0
    change(tmp_path)
    before = contents(tmp_path)
    words = ["what this run was made from has changed since", *words, "--accept-changes"]
    for arguments in (
        ["train", str(path), "--out", str(run), "--resume", "--set", "training.epochs=3"],
        ["train", str(path), "--out", str(run), "--resume"],  # though nothing is left to do
        ["solve", str(run), "--out", str(tmp_path / "solved")],
        ["compare", str(run)],
    ):
        one_line(invoke(*arguments), *words)
        assert contents(tmp_path) == before
    resumed = ["--resume", "--set", "training.epochs=3"]
    solved = ["solve", str(run), "--out", str(tmp_path / "solved")]
    assert invoke(*solved, "--accept-changes").exit_code == 0
    assert invoke("compare", str(run), "--accept-changes").exit_code == 0
    assert train(path, run, *resumed, "--accept-changes").exit_code == 0
    assert train(path, run, *resumed).exit_code == 0  # from then on it is what the run is made from


def test_a_mesh_of_another_size_is_told_as_a_changed_mesh(tmp_path: Path) -> None:
    path, run = write_study(tmp_path, LINE), tmp_path / "run"
    assert train(path, run).exit_code == 0
    file = meshio.read(tmp_path / "interval.msh")
    assert len(file.points) > 20
    shutil.copyfile(ROOT / "meshes" / "interval.msh", tmp_path / "interval.msh")
    assert train(path, run, "--resume").exit_code == 0
    domain = nf.read_domain(tmp_path / "interval.msh")
    inner = nf.Domain(
        np.linspace(0, 8, 9)[:, None], np.column_stack([np.arange(8), np.arange(1, 9)]), "line",
        {"output": np.arange(3)}, {name: np.array([[0]]) for name in domain.boundaries},
    )  # fmt: skip
    nf.write_domain(inner, tmp_path / "interval.vtu")
    text = path.read_text().replace("interval.msh", "interval.vtu")
    assert "interval.vtu" in text
    run_text = (run / "study.toml").read_text().replace("interval.msh", "interval.vtu")
    path.write_text(text)
    (run / "study.toml").write_text(run_text)
    one_line(train(path, run, "--resume"), "interval.vtu (points, cells")


def test_what_means_the_same_is_no_change(tmp_path: Path) -> None:
    """Digests are of the content: another format of numbers or an unused array is no change."""
    path, run = study(tmp_path), tmp_path / "run"
    assert train(path, run).exit_code == 0
    samples(tmp_path, unused=np.zeros(3))
    read = meshio.read(tmp_path / "mesh.vtu")
    read.write(tmp_path / "mesh.vtu", binary=False)
    assert train(path, run, "--resume").exit_code == 0


def test_what_the_study_names_otherwise_may_differ(tmp_path: Path) -> None:
    """`solve RUN --set` asks for another mesh or task; that is no change behind one's back."""
    path, run = study(tmp_path), tmp_path / "run"
    assert train(path, run).exit_code == 0
    solved = ["solve", str(run), "--out", str(tmp_path / "solved"), "--set", "task.name=xor"]
    file = tmp_path / "copy.toml"
    file.write_text((run / "study.toml").read_text().replace('file = "../data.npz"\n', ""))
    (run / "study.toml").write_text(file.read_text().replace("[task]\n", '[task]\nname = "xor"\n'))
    assert invoke(*solved).exit_code == 2  # the run's own task is now said to be XOR, and was not
    (tmp_path / "run2").mkdir()
    assert train(path, tmp_path / "run2" / "run").exit_code == 0
    moved = ["solve", str(tmp_path / "run2" / "run"), "--out", str(tmp_path / "solved")]
    assert invoke(*moved, "--set", "task.target_levels=[0.1, 0.9]").exit_code == 0


def test_values_are_not_taken_from_a_run_whose_mesh_has_changed(tmp_path: Path) -> None:
    path, run = study(tmp_path), tmp_path / "run"
    assert train(path, run).exit_code == 0
    mesh(tmp_path, shift=0.01)
    taken = ["--set", f"potential.initial={run}"]
    one_line(train(path, tmp_path / "second", *taken), "run/checkpoint.npz", "mesh.vtu (points)")


def without_digests(run: Path) -> None:
    """As version 0.1 left it."""
    with np.load(run / "checkpoint.npz") as data:
        arrays = {name: data[name] for name in data.files if name != "origin"}
    np.savez(run / "checkpoint.npz", **arrays)


def test_a_run_without_digests_goes_on_with_a_note(tmp_path: Path) -> None:
    path, run = study(tmp_path), tmp_path / "run"
    train_study(load_study(path), tmp_path / "whole")
    assert train(path, run).exit_code == 0
    without_digests(run)
    assert saved_origin(run / "checkpoint.npz") == {}
    for arguments in (["train", str(path), "--out", str(run), "--resume"], ["compare", str(run)]):
        told = invoke(*arguments)
        assert told.exit_code == 0
        assert ("keeps no digests" in told.stderr) == (arguments[0] == "train")
    same_result(run, tmp_path / "whole")


def test_another_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, run = write_study(tmp_path, CHAIN), tmp_path / "run"
    assert train(path, run).exit_code == 0
    assert "version" not in train(path, run, "--resume").stderr
    monkeypatch.setattr(nf, "__version__", "7.8")
    told = invoke("solve", str(run), "--out", str(tmp_path / "solved"))
    assert told.exit_code == 0
    assert "made by nepfield 0.1.0; this is 7.8" in told.stderr


def test_a_changed_system_of_the_users_own(tmp_path: Path) -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    code = guide[guide.index("```python\n# resistors.py") :]
    code = code.split("```")[1].removeprefix("python\n")
    text = guide[guide.index("```toml\n# resistors.toml") :].split("```")[1].removeprefix("toml\n")
    (tmp_path / "resistors.py").write_text(code)
    path, run = tmp_path / "resistors.toml", tmp_path / "run"
    path.write_text(text.replace("epochs = 60", "epochs = 2") + "[figures]\nenabled = false\n")
    assert train(path, run).exit_code == 0
    assert train(path, run, "--resume").exit_code == 0
    (tmp_path / "resistors.py").write_text(code + "\n# another law\n")
    one_line(train(path, run, "--resume"), "system (resistors.py)")
    assert train(path, run, "--resume", "--accept-changes").exit_code == 0


def test_a_training_in_python(tmp_path: Path) -> None:
    space = nf.graph(nf.lattice(5))

    def go_on(task: nf.Task, **options: Any) -> nf.TrainingResult:
        wave = nf.GPE(space, 0.2, [nf.site_pump(1), nf.site_pump(3)], nf.Density(0.1), 0.1)
        cost = nf.MSE(nf.readout(space, sites=[2]))
        options |= {"optimizer": nf.SGD(0.01), "checkpoint": tmp_path / "x.npz"}
        return nf.train(wave, cost, task, resume=True, **options)

    go_on(nf.xor(), epochs=1)
    other = nf.Task(nf.xor().inputs, 1 - nf.xor().targets)
    with pytest.raises(nf.InputError, match=r"x\.npz: .*task \(targets\).*accept_changes=True"):
        go_on(other, epochs=2)
    go_on(other, epochs=2, accept_changes=True)
    assert TrainingState.load(tmp_path / "x.npz").origin["task"]["targets"]
    go_on(other, epochs=3)


# ---------------------------------------------------------------- sweeps


def swept(tmp_path: Path, cases: int = 2) -> tuple[Path, Path]:
    """A sweep of which the first cases are done."""
    study(tmp_path)
    path, out = tmp_path / "sweep.toml", tmp_path / "out"
    path.write_text('study = "study.toml"\n[grid]\n"physics.loss" = [0.1, 0.2, 0.3]\n')
    sweep = load_sweep(path)
    open_sweep(sweep, out, resume=False)
    for case in sweep.cases[:cases]:
        folder = str(case_folder(out, case))
        assert run_case(sweep.config(case), folder, str(out / "meshes")) == "finished"
    return path, out


@pytest.mark.parametrize("name", ["region", "targets"])
def test_a_sweep_does_not_go_on_with_something_else(tmp_path: Path, name: str) -> None:
    change, words = CHANGES[name]
    path, out = swept(tmp_path, cases=3)
    change(tmp_path)
    before = {name: content for name, (content, _) in contents(tmp_path).items()}
    arguments = ["sweep", str(path), "--out", str(out), "--resume", "--quiet"]
    one_line(invoke(*arguments), "out/cases/0-loss-0.1/checkpoint.npz", *words)
    assert {name: content for name, (content, _) in contents(tmp_path).items()} == before
    assert invoke(*arguments, "--accept-changes").exit_code == 0


def test_a_case_goes_on_with_something_else_where_that_is_meant(tmp_path: Path) -> None:
    """What a worker is told, without workers."""
    path, out = swept(tmp_path, cases=1)
    mesh(tmp_path, output=2)
    sweep = load_sweep(path)
    case = sweep.cases[0]
    folder = case_folder(out, case)
    (folder / "summary.json").unlink()
    assert run_case(sweep.config(case), str(folder), str(out / "meshes")) == "failed"
    problem = json.loads((folder / "error.json").read_text())["message"]
    assert "what this run was made from has changed" in problem
    assert run_case(sweep.config(case), str(folder), str(out / "meshes"), True) == "finished"


def test_what_old_cases_do_not_say_is_told_once(tmp_path: Path) -> None:
    path, out = swept(tmp_path)
    sweep = load_sweep(path)
    for case in sweep.cases[:2]:
        without_digests(case_folder(out, case))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_sweep(sweep, out, resume=True)
    assert [f"{out}: this run keeps no digests" in str(w.message) for w in caught] == [True]
