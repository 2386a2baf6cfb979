"""Frames of a training: which epochs have one, what they hold, kills and films."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path
from xml.etree import ElementTree

import meshio
import numpy as np
import pytest
import pyvista
from helpers import needs_opengl
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_cli import CHAIN, LINE, MESHES, contents, invoke, write_study
from test_run import LONG, start, wait_for

import nepfield as nf
from nepfield.errors import InputError
from nepfield.learning.state import TrainingState
from nepfield.study.run.build import build
from nepfield.study.run.frames import Frames, frame_epochs
from nepfield.study.run.jobs import train_study
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.systems.systems import load_study
from nepfield.view.animation import animate, read_frames
from nepfield.view.runs import read_run

SQUARE = CHAIN | {
    "name": "square",
    "domain": {"mesh": str(MESHES / "square-quads.msh"), "order": 1, "dirichlet": ["wall"]},
    "potential": {"initial": {"uniform": [-0.3, 0.3]}},
    "pump": [{"center": [0.3, 0.5], "width": 0.2}, {"center": [0.7, 0.5], "width": 0.2}],
    "readout": {"regions": ["lower"]},
}


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "frames").iterdir())


def film(run: Path) -> dict[str, bytes]:
    """The frames of a run and their list."""
    paths = [run / "frames.pvd", *(run / "frames").iterdir()]
    return {str(path.relative_to(run)): path.read_bytes() for path in paths}


# ---------------------------------------------------------------- which epochs


@given(st.integers(1, 300), st.integers(0, 100_000))
def test_frames_are_about_as_many_as_wanted(frames: int, epochs: int) -> None:
    chosen = frame_epochs(frames, epochs)
    assert chosen[0] == 0
    assert chosen[-1] == epochs
    steps = np.diff(chosen)
    assert len(set(steps[:-1])) <= 1  # evenly spaced but for the last
    assert not len(steps) or 0 < steps[-1] <= steps[0]
    if epochs < frames:
        assert len(chosen) == epochs + 1
    else:
        apart = max(frames - 1, 1)
        assert 1 + apart / 1.42 <= len(chosen) <= min(2 + 1.42 * apart, epochs + 1)


@given(st.integers(1, 60), st.integers(0, 5000), st.integers(0, 5000))
def test_frames_of_a_longer_run_are_among_those_of_a_shorter_one(
    frames: int, epochs: int, more: int
) -> None:
    short, long = frame_epochs(frames, epochs), frame_epochs(frames, epochs + more)
    assert {epoch for epoch in long if epoch <= epochs} <= set(short)


def test_no_frames_by_default(tmp_path: Path) -> None:
    assert frame_epochs(0, 100) == []
    assert frame_epochs(25, 200) == [*range(0, 200, 8), 200]
    train_study(load_study(write_study(tmp_path, CHAIN)), tmp_path / "run")
    assert not (tmp_path / "run" / "frames").exists()
    assert not (tmp_path / "run" / "frames.pvd").exists()


def test_a_negative_number_is_refused(tmp_path: Path) -> None:
    path = write_study(tmp_path, CHAIN, figures__frames=-1)
    result = invoke("train", str(path), "--out", str(tmp_path / "run"))
    assert result.exit_code == 2
    assert "figures.frames" in result.stderr


# ---------------------------------------------------------------- what is in them


def test_a_frame_holds_the_steady_states_of_its_epoch(tmp_path: Path) -> None:
    """Potential and densities after the epoch's last step, found anew from its checkpoint."""
    config = load_study(
        write_study(
            tmp_path, LINE, figures__frames=9, training__epochs=4, training__batch=2,
            potential__imaginary={"initial": -0.01, "bounds": [-0.1, 0.0]},
        )
    )  # fmt: skip
    run, study = tmp_path / "run", build(config)
    after = {0: study.system}

    def keep(state: TrainingState) -> None:
        after[state.epoch] = study.system.with_parameters(state.parameters)

    train_study(config, run, on_epoch=keep)
    assert names(run) == [f"epoch-{epoch:06d}.vtu" for epoch in range(5)]
    potentials = []
    for epoch, system in after.items():
        mesh = meshio.read(run / "frames" / f"epoch-{epoch:06d}.vtu")
        psi = system.space.at_nodes(nf.solve_steady(system, study.task.inputs).state)
        assert sorted(mesh.point_data) == [f"density_{k}" for k in range(4)]
        for k in range(4):
            assert mesh.point_data[f"density_{k}"] == pytest.approx(
                np.abs(psi[:, k]) ** 2, abs=1e-8
            )
        assert sorted(mesh.cell_data) == ["V_im", "V_re"]
        assert mesh.cell_data["V_re"][0] == pytest.approx(system.potential.values.real)
        assert mesh.cell_data["V_im"][0] == pytest.approx(system.potential.values.imag)
        potentials.append(mesh.cell_data["V_re"][0])
    assert all(np.abs(np.diff(potentials, axis=0)).max(axis=1) > 1e-4)
    last, fields = pyvista.read(run / "frames" / names(run)[-1]), pyvista.read(run / "fields.vtu")
    for name in last.array_names:  # the same names and the same numbers
        assert last[name] == pytest.approx(fields[name], abs=1e-8)


def test_paraviews_list_of_frames(tmp_path: Path) -> None:
    path = write_study(tmp_path, CHAIN, figures__frames=3, training__epochs=5)
    train_study(load_study(path), tmp_path / "run")
    reader = pyvista.get_reader(tmp_path / "run" / "frames.pvd")
    assert reader.time_values == [0, 2, 4, 5]
    reader.set_active_time_value(4)
    ours = reader.read()[0]
    theirs = pyvista.read(tmp_path / "run" / "frames" / "epoch-000004.vtu")
    assert np.array_equal(ours["density_1"], theirs["density_1"])
    files = [entry.get("file") for entry in ElementTree.parse(reader.path).iter("DataSet")]
    assert files == [f"frames/epoch-{epoch:06d}.vtu" for epoch in (0, 2, 4, 5)]


def test_a_sample_without_steady_state_is_not_shown(tmp_path: Path) -> None:
    path = write_study(
        tmp_path, CHAIN, figures__frames=2, physics={"g": 1.0, "loss": 0.02},
        solver={"max_iterations": 2}, training__epochs=1,
        task={"inputs": [[0.01, 0.0], [5.0, 5.0]], "targets": [[1.0], [0.0]]},
    )  # fmt: skip
    train_study(load_study(path), tmp_path / "run")
    data = meshio.read(tmp_path / "run" / "frames" / "epoch-000001.vtu").point_data
    assert np.isfinite(data["density_0"]).all()
    assert np.isnan(data["density_1"]).all()
    animate(tmp_path / "run", tmp_path / "film.gif")


def test_at_most_sixteen_inputs_have_frames(tmp_path: Path) -> None:
    inputs = np.linspace(0, 1, 40).reshape(20, 2)
    np.savez(tmp_path / "samples.npz", inputs=inputs, targets=inputs[:, :1])
    task = {"file": "samples.npz"}
    path = write_study(tmp_path, CHAIN, task=task, training__epochs=1, figures__frames=2)
    train_study(load_study(path), tmp_path / "run")
    data = meshio.read(tmp_path / "run" / "frames" / "epoch-000001.vtu").point_data
    assert sum(key.startswith("density_") for key in data) == 16


# ---------------------------------------------------------------- broken off and resumed


def test_killed_and_resumed_with_frames(tmp_path: Path) -> None:
    path = write_study(tmp_path, LONG, figures__frames=30)
    whole, run = tmp_path / "whole", tmp_path / "killed"
    train_study(load_study(path), whole)
    assert names(whole) == [f"epoch-{epoch:06d}.vtu" for epoch in frame_epochs(30, 80)]
    process = start(path, run)
    wait_for(process, run, 5)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (run / "summary.json").exists()
    (run / "frames" / ".epoch-000004.part.vtu").write_bytes(b"half a file")
    assert invoke("train", str(path), "--out", str(run), "--resume").exit_code == 0
    assert film(run) == film(whole)


def test_killed_between_checkpoint_and_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame of the checkpoint's epoch is made up for, bit by bit."""
    config = load_study(
        write_study(tmp_path, LINE, figures__frames=9, training__epochs=6, training__batch=2)
    )
    whole, run = tmp_path / "whole", tmp_path / "run"
    train_study(config, whole)
    show = Frames.show

    def kill(self: Frames, state: TrainingState) -> None:
        if state.epoch == 3:
            raise SystemExit("killed")
        show(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(Frames, "show", kill)
        with pytest.raises(SystemExit):
            train_study(config, run)
    assert names(run)[-1] == "epoch-000002.vtu"
    train_study(config, run, resume=True)
    assert film(run) == film(whole)


def test_a_broken_off_run_says_what_its_frames_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_study(tmp_path, CHAIN, figures__frames=3)

    def kill(self: Frames, state: TrainingState) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Frames, "show", kill)
        with pytest.raises(SystemExit):
            train_study(load_study(path), tmp_path / "run")
    assert not (tmp_path / "run" / "summary.json").exists()
    shown = read_run(tmp_path / "run", "frames/epoch-000000.vtu")
    assert [(field.picture, field.sample) for field in shown.fields] == [
        *(("density", k) for k in range(4)), ("potential", None),
    ]  # fmt: skip
    assert [mark.kind for mark in shown.marks] == ["pump", "pump", "readout"]
    assert shown.sample(1) == "inputs (0, 1)"
    animate(tmp_path / "run", tmp_path / "film.gif")
    train_study(load_study(path), tmp_path / "run", resume=True)
    assert not (tmp_path / "run" / "frames.json").exists()


def test_more_epochs_give_the_frames_of_the_longer_run(tmp_path: Path) -> None:
    """3 frames of 5 epochs are 2 apart, of 12 epochs 4 (or so): what is too much goes."""
    path = write_study(tmp_path, LINE, figures__frames=3, training__batch=2)
    run, whole = tmp_path / "run", tmp_path / "whole"
    for out, epochs in ((run, 5), (run, 12), (whole, 12)):
        config = load_study(path, [f"training.epochs={epochs}"])
        train_study(config, out, resume=out == run)
        assert names(out) == [f"epoch-{k:06d}.vtu" for k in frame_epochs(3, epochs)]
    assert film(run) == film(whole)


def test_another_number_of_frames_is_the_same_study(tmp_path: Path) -> None:
    path, run = write_study(tmp_path, CHAIN, training__epochs=8), tmp_path / "run"
    train = ["train", str(path), "--out", str(run), "--resume"]
    assert invoke(*train, "--set", "training.epochs=4").exit_code == 0
    assert invoke(*train, "--set", "figures.frames=9").exit_code == 0
    # what was not kept is not there; epoch 0 is the start, epoch 4 what the checkpoint held
    assert names(run) == [f"epoch-{epoch:06d}.vtu" for epoch in (0, 4, 5, 6, 7, 8)]
    whole = tmp_path / "whole"
    train_study(load_study(path, ["figures.frames=9"]), whole)
    assert names(whole) == [f"epoch-{epoch:06d}.vtu" for epoch in range(9)]
    assert all((whole / "frames" / name).read_bytes() == (run / "frames" / name).read_bytes()
               for name in names(run))  # fmt: skip
    before = contents(run / "frames")
    assert invoke(*train, "--set", "figures.frames=9").exit_code == 0
    assert contents(run / "frames") == before  # not even written anew
    (run / "frames" / "notes.txt").write_text("mine")
    assert invoke(*train).exit_code == 0  # no frames are wanted any more
    assert names(run) == ["notes.txt"]
    assert not (run / "frames.pvd").exists()
    (run / "frames" / "notes.txt").unlink()
    assert invoke(*train).exit_code == 0
    assert not (run / "frames").exists()


def test_a_run_that_begins_anew_has_no_old_frames(tmp_path: Path) -> None:
    path, run = write_study(tmp_path, CHAIN, figures__frames=9), tmp_path / "run"
    config = load_study(path)
    train_study(config, run)
    (run / "checkpoint.npz").unlink()
    study = build(config)
    Frames(study, run)
    assert names(run) == ["epoch-000000.vtu"]
    assert [epoch for epoch, _ in read_frames(run)] == [0]


def test_a_sweep_keeps_frames_only_where_it_says_so(tmp_path: Path) -> None:
    write_study(tmp_path, CHAIN, figures__frames=25)
    (tmp_path / "plain.toml").write_text('study = "study.toml"\n[grid]\n"physics.g" = [0.1]\n')
    (tmp_path / "film.toml").write_text(
        'study = "study.toml"\n[set]\n"figures.frames" = 3\n[grid]\n"physics.g" = [0.1]\n'
    )
    for name, frames in (("plain", 0), ("film", 3)):
        sweep = load_sweep(tmp_path / f"{name}.toml")
        assert sweep.config(sweep.cases[0]).figures.frames == frames


# ---------------------------------------------------------------- animations


def pages(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        found = []
        for k in range(image.n_frames):
            image.seek(k)
            found.append(np.asarray(image.convert("RGB")).astype(float))
        return found


@needs_opengl
def test_the_film_of_a_mesh(tmp_path: Path) -> None:
    path = write_study(tmp_path, SQUARE, figures__frames=3, training={"epochs": 2, "rate": 3.0})
    run, output = tmp_path / "run", tmp_path / "film.gif"
    train_study(load_study(path), run)
    result = invoke("plot", str(run), "-o", str(output))
    assert (result.exit_code, result.output) == (0, "")
    assert output.stat().st_size < 3_000_000
    film = pages(output)
    assert len(film) == 3
    # the potential (right of the middle, upper half) changes from frame to frame
    height, width, _ = film[0].shape
    for before, after in itertools.pairwise(film):
        corner = np.abs(after - before)[height // 8 : height // 2, 2 * width // 3 : -width // 8]
        assert (corner.max(axis=-1) > 25).mean() > 0.05
    with Image.open(output) as image:
        assert image.info["loop"] == 0


def test_the_film_of_a_line_needs_no_opengl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nepfield.view.animation.opengl_problem", lambda: "no OpenGL")
    path = write_study(tmp_path, CHAIN, figures__frames=3, training={"epochs": 2, "rate": 0.2})
    run = tmp_path / "run"
    train_study(load_study(path), run)
    film = pages(animate(run, tmp_path / "film.gif"))
    assert len(film) == 3
    assert (np.abs(film[2] - film[0]).max(axis=-1) > 50).mean() > 1e-3


def test_without_opengl_there_is_no_film_of_a_mesh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = "Pictures of fields need OpenGL. Install it (apt-get install libgl1)"
    monkeypatch.setattr("nepfield.view.animation.opengl_problem", lambda: problem)
    path = write_study(tmp_path, SQUARE, figures__frames=2, training__epochs=1)
    run = tmp_path / "run"
    train_study(load_study(path), run)
    result = invoke("plot", str(run), "-o", str(tmp_path / "film.gif"))
    assert result.exit_code == 4
    assert result.stderr == f"no pictures of fields: {problem}\n"
    assert not (tmp_path / "film.gif").exists()


def test_films_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    train_study(load_study(write_study(tmp_path, CHAIN, training__epochs=1)), run)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.gif").write_bytes(b"precious")
    for arguments, words in (
        (["run", "-o", "new.gif"], ["no frames", "figures.frames = 25", "train"]),
        (["run", "-o", "new.mp4"], ["new.mp4", ".gif"]),
        (["run", "-o", "old.gif"], ["exists already"]),
        (["run", "-o", "new.gif", "--field", "density"], ["--field density", ".gif"]),
        (["nowhere", "-o", "new.gif"], ["nowhere", "no run folder"]),
    ):
        result = invoke("plot", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert all(word in result.stderr for word in words), result.stderr
    assert (tmp_path / "old.gif").read_bytes() == b"precious"
    assert not (tmp_path / "new.gif").exists()


@pytest.mark.parametrize(
    "text", ["", "<VTKFile>", "<a><DataSet timestep='x' file='f'/></a>", "<a/>"]
)
def test_a_broken_list_of_frames(tmp_path: Path, text: str) -> None:
    (tmp_path / "frames.pvd").write_text(text)
    with pytest.raises(InputError, match=r"frames\.pvd"):
        read_frames(tmp_path)
