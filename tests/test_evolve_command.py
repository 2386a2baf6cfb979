"""`nepfield evolve`: the files that it leaves, its units, interruptions, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import meshio
import numpy as np
import pytest
from PIL import Image
from test_cli import CHAIN, LINE, invoke, write_study
from test_stability import unstable_study

import nepfield as nf
from nepfield.study.run.build import build
from nepfield.study.run.evolving import evolve_study
from nepfield.study.systems.systems import load_study
from nepfield.view.animation import read_frames
from nepfield.view.evolution import read_evolution

EVOLVED = CHAIN | {
    "physics": {"nonlinearity": "density", "g": 0.5, "loss": 0.2},
    "evolve": {"time": 30.0, "frames": 6, "tolerance": 1e-7},
}
UNITS = {"length": "1 um", "mass": "1e-4 m_e"}


def table(run: Path) -> tuple[list[str], np.ndarray]:
    with (run / "evolution.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    return head, np.array(rows, dtype=float)


def test_a_study_is_followed_from_the_vacuum(tmp_path: Path) -> None:
    run = tmp_path / "run"
    changes: dict[str, Any] = {
        "figures__enabled": True,
        "evolve__envelope": [{"ramp": 10.0}, {"step": 2.0, "pump": 1}],
    }
    done = invoke("evolve", str(write_study(tmp_path, EVOLVED, **changes)), "--out", str(run))
    assert done.exit_code == 0, done.output
    assert "followed: from the vacuum for t = 30, 6 frames" in done.output
    assert "switch-on: 4 reached" in done.output or "proved" in done.output
    head, rows = table(run)
    assert head == ["time", "sample", "site 3", "pump 0", "pump 1"]
    assert rows[:, 0].tolist() == np.repeat(np.linspace(0, 30, 7), 4).tolist()
    assert rows[:, 1].tolist() == [0, 1, 2, 3] * 7
    study = build(load_study(run / "study.toml"))
    envelope = [nf.Ramp(10.0), nf.Product((nf.Ramp(10.0), nf.Step(2.0)))]
    way = nf.evolve(study.system, study.task.inputs, 30.0, frames=6, envelope=envelope, dt=0.02)
    read = np.array([study.cost.readout.outputs(state)[:, 0] for state in way.states])
    np.testing.assert_allclose(rows[:, 2], read.ravel(), atol=1e-5)
    np.testing.assert_allclose(rows[4:8, 3], 0.5)
    frames = read_frames(run)
    assert [time for time, _ in frames] == np.linspace(0, 30, 7).tolist()
    density = meshio.read(run / frames[-1][1]).point_data["density_3"]
    np.testing.assert_allclose(density, np.abs(way.states[-1][:, 3]) ** 2, atol=1e-5)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["status"] == "evolved"
    assert set(summary["switch_on"]) <= {"proved", "reached"}
    np.testing.assert_allclose(np.ravel(summary["outputs"]), read[-1], atol=1e-5)
    assert not (run / "frames.json").exists()
    assert (run / "figures" / "evolution.png").stat().st_size < 300_000
    with Image.open(run / "figures" / "evolution.gif") as film:
        assert film.n_frames > 2  # frames that are alike become one


def test_a_trained_run_says_what_its_training_said(tmp_path: Path) -> None:
    run, way = tmp_path / "run", tmp_path / "way"
    assert invoke("train", str(unstable_study(tmp_path)), "--out", str(run)).exit_code == 0
    trained = json.loads((run / "summary.json").read_text())
    arguments = ("--time", "40", "--set", "evolve.frames=4", "--from", "vacuum")
    done = invoke("evolve", str(run), "--out", str(way), *arguments)
    assert done.exit_code == 0, done.output
    assert "warning: 1 of 2 steady states are not reached" in done.output
    summary = json.loads((way / "summary.json").read_text())
    assert summary["switch_on"] == trained["switch_on"] == ["other state", "proved"]
    # it follows the trained device, and leaves the unstable state where it begins there
    np.testing.assert_allclose(summary["steady_outputs"], trained["outputs"], rtol=1e-6)
    only = tmp_path / "only"
    done = invoke("evolve", str(run), "--out", str(only), "--samples", "1", *arguments[:4])
    assert done.exit_code == 0, done.output
    assert json.loads((only / "summary.json").read_text())["samples"] == [1]


def test_a_pulse_disturbs_a_steady_state_that_comes_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    study = write_study(
        tmp_path, EVOLVED,
        evolve__envelope=[{"pulse": 20.0, "width": 2.0, "base": 1.0, "peak": 3.0}],
        evolve__time=100.0, evolve__frames=50,
    )  # fmt: skip
    done = invoke("evolve", str(study), "--out", str(run), "--from", "steady")
    assert done.exit_code == 0, done.output
    assert "switch-on" not in done.output  # it was not switched on
    head, rows = table(run)
    assert head[-1] == "pumps"
    output = rows.reshape(51, 4, 4)[:, 3, 2]
    np.testing.assert_allclose(output[:4], output[0], rtol=1e-3)
    assert output.max() > 1.5 * output[0]
    assert output[-1] == pytest.approx(output[0], rel=1e-3)


def test_times_have_units(tmp_path: Path) -> None:
    """The same study in physical units and without them."""
    plain, twin = tmp_path / "plain", tmp_path / "twin"
    base = LINE | {"evolve": {"time": 20.0, "frames": 4, "envelope": [{"ramp": 5.0}]}}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert (
        invoke("evolve", str(write_study(tmp_path / "a", base)), "--out", str(plain)).exit_code == 0
    )
    with_units = write_study(tmp_path / "b", base, units=UNITS, evolve__envelope=[])
    scales = load_study(with_units).units.scales
    ramp = f"{5.0 * scales.factor(time=1):.12g} ps"
    time = f"{20.0 * scales.factor(time=1):.12g} ps"
    done = invoke("evolve", str(with_units), "--out", str(twin), "--time", time, "--ramp", ramp)
    assert done.exit_code == 0, done.output
    (_, first), (head, second) = table(plain), table(twin)
    assert head == ["time (ps)", "sample", "output (1/µm)", "pumps"]
    np.testing.assert_allclose(second[:, 0], first[:, 0] * scales.factor(time=1), rtol=1e-6)
    np.testing.assert_allclose(second[:, 2], first[:, 2] * scales.factor(length=-1), rtol=1e-5)
    times = [
        float(e.attrib["timestep"]) for e in ElementTree.parse(twin / "frames.pvd").iter("DataSet")
    ]
    np.testing.assert_allclose(times, np.unique(second[:, 0]), rtol=1e-6)
    assert read_evolution(twin).columns[0] == "time (ps)"


def test_ctrl_c_leaves_a_usable_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = load_study(write_study(tmp_path, EVOLVED))

    def stop(frame: int, total: int, words: str) -> None:
        assert total == 6
        assert words.startswith("t = ")
        if frame == 2:
            raise KeyboardInterrupt

    summary = evolve_study(config, run, on_frame=stop)
    assert summary["status"] == "interrupted"
    assert (summary["frames"], summary["time"]) == (2, 10.0)
    assert "switch_on" not in summary
    assert len(read_frames(run)) == 3
    assert len(table(run)[1]) == 12
    assert json.loads((run / "summary.json").read_text())["status"] == "interrupted"
    assert (run / "fields.vtu").is_file()


def test_a_training_may_go_on_with_another_section_evolve(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert invoke("train", str(write_study(tmp_path, EVOLVED)), "--out", str(run)).exit_code == 0
    other = write_study(tmp_path, EVOLVED, evolve__time=7.0, training__epochs=3)
    done = invoke("train", str(other), "--out", str(run), "--resume")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time", "-1"], "evolve.time"),
        (["--time", "nan"], "evolve.time"),
        (["--time", "20 ps"], "[units]"),
        (["--from", "nowhere"], "evolve.start"),
        (["--ramp", "-3"], "evolve.envelope.0"),
        (["--ramp", "soon"], "evolve.envelope.0"),
        (["--samples", "0,9"], "there is no sample 9; the task has 4"),
        (["--samples", "0-20"], "at most 16 are followed"),
        (["--samples", "x"], "--samples x: give numbers"),
        (["--set", "evolve.frames=0"], "evolve.frames"),
        (["--set", "evolve.frames=20000"], "evolve.frames"),
        (["--set", "evolve.tolerance=1"], "evolve.tolerance"),
        (["--set", "evolve.envelope=[{ wobble = 1.0 }]"], "step, ramp, pulse"),
        (["--set", "evolve.envelope=[{ ramp = -1.0 }]"], "evolve.envelope.0"),
        (["--set", "evolve.envelope=[{ pulse = 1.0 }]"], "pulse and width go together"),
        (["--set", "evolve.envelope=[{ ramp = 1.0, step = 2.0 }]"], "exactly one of"),
        (["--set", "evolve.envelope=[{ ramp = 1.0, pump = 7 }]"], "is for pump 7"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    run = tmp_path / "run"
    done = invoke("evolve", str(write_study(tmp_path, EVOLVED)), "--out", str(run), *arguments)
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert not run.exists()


def test_only_waves_move_in_time(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "spins"\n[domain]\ngraph = "complete"\nvertices = 4\n[domain.sets]\ninput = [0]\n'
        'output = [3]\n[physics]\nsystem = "ising"\nclamp = "input"\n[task]\ninputs = [[1.0]]\n'
        "targets = [[1.0]]\n"
    )
    done = invoke("evolve", str(study), "--out", str(tmp_path / "run"))
    assert done.exit_code == 2, done.output
    assert "ising has no motion in time" in done.output
    there = tmp_path / "there"
    there.mkdir()
    (there / "study.toml").write_text("x = 1")
    done = invoke("evolve", str(write_study(tmp_path, EVOLVED)), "--out", str(there))
    assert done.exit_code == 2
    assert "choose another --out" in done.output


def test_damaged_tables_are_refused(tmp_path: Path) -> None:
    for text in ("", "time,sample\n", "time,output\n0,1\n", "time,sample,output\n0,0\n0,0,1\n"):
        (tmp_path / "evolution.csv").write_text(text)
        with pytest.raises(nf.InputError, match="not a readable table"):
            read_evolution(tmp_path)


def test_the_keys_are_explained() -> None:
    done = invoke("keys", "evolve")
    assert done.exit_code == 0
    for words in ("[[evolve.envelope]], with pulse", "absent: 20/gamma", 'such as "20 ps"'):
        assert words in done.output
