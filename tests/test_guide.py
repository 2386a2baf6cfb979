"""The examples of CONTRIBUTING.md work as they stand; the system in it through every command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cases import taylor_rate
from typer.testing import CliRunner

import nepfield as nf
from nepfield.cli import app
from nepfield.learning.state import TrainingState

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "CONTRIBUTING.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
FILES = {
    text.split("\n", 1)[0].removeprefix("# "): text
    for _, text in BLOCKS
    if text.startswith("# resistors.")
}
EXAMPLES = [text for kind, text in BLOCKS if kind == "python" and text not in FILES.values()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_guide_has_its_files_and_examples() -> None:
    assert set(FILES) == {"resistors.py", "resistors.toml"}
    code = [line for line in FILES["resistors.py"].splitlines()[1:] if line.strip()]
    assert len(code) < 100
    assert len(EXAMPLES) == 5


def check_gradient(wave: nf.GPE, cost: nf.Cost) -> None:
    """The exact gradient of a wave and a cost passes the Taylor test."""
    inputs, targets = np.eye(2), np.ones((2, 1))
    start, direction = wave.potential.values, np.random.default_rng(0).normal(size=9)

    def gradient(h: float) -> nf.Gradient:
        moved = wave.with_parameters({"potential": start + h * direction})
        return nf.gradient(moved, cost, inputs, targets, "adjoint", tolerance=1e-12)

    slope = float(gradient(0.0).params["potential"] @ direction)
    rates = taylor_rate(lambda h: gradient(h).cost, slope, 1e-2)
    assert rates.min() > 1.9, rates


def test_the_examples_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict = {"__name__": "guide"}
    monkeypatch.setitem(sys.modules, "guide", type(sys)("guide"))  # dataclasses look there
    for text in EXAMPLES:
        exec(compile(text, str(GUIDE), "exec"), names)
    for cost in (names["Huber"](names["sites"]), names["cost"]):
        check_gradient(names["wave"], cost)
    # the ring turns: its phase winds once
    disc, state = names["disc"], names["state"]
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = 0.4 * np.column_stack([np.cos(angle), np.sin(angle)])
    values = disc.at_nodes(state)[:, 0]
    nearest = np.argmin(((disc.nodes[:, None] - ring) ** 2).sum(-1), axis=0)
    turns = np.angle(values[np.roll(nearest, -1)] / values[nearest]).sum() / (2 * np.pi)
    assert turns == pytest.approx(1)


def test_a_system_from_outside_is_checked_trained_solved_compared_and_drawn(folder: Path) -> None:
    assert "conductance" in run("check", "resistors.toml")
    text = run("train", "resistors.toml", "--out", "run")
    assert "finished" in text
    summary = pd.read_json("run/summary.json", typ="series")
    assert summary["cost"] < 2e-3
    assert summary["gradient_cosine"] > 0.999
    assert {p.name for p in Path("run/figures").iterdir()} >= {
        "training.png", "outputs.png", "voltage.png", "conductance.png",
    }  # fmt: skip
    assert "ep-symmetric" in run("compare", "run")
    run("solve", "run", "--out", "again")
    first, second = (pd.read_json(f"{d}/summary.json", typ="series") for d in ("run", "again"))
    np.testing.assert_allclose(first["outputs"], second["outputs"], atol=1e-9)
    run("plot", "run", "-o", "voltage.png", "--field", "voltage")
    assert Path("voltage.png").stat().st_size > 5000


def test_a_wrong_key_is_answered_with_the_keys_of_this_system(folder: Path) -> None:
    text = Path("resistors.toml").read_text().replace("[conductance]", "[conductances]")
    Path("resistors.toml").write_text(text)
    result = CliRunner().invoke(app, ["check", "resistors.toml"])
    assert result.exit_code == 2
    assert "conductance" in result.output
    assert "pump" not in result.output
    Path("resistors.toml").write_text(FILES["resistors.toml"].replace("ResistorStudy", "Resistor"))
    assert CliRunner().invoke(app, ["check", "resistors.toml"]).exit_code == 2


def test_it_is_killed_and_resumed_to_the_same_bits(folder: Path) -> None:
    command = [sys.executable, "-m", "nepfield.cli", "train", "resistors.toml", "--quiet"]
    command += ["--set", "figures.enabled=false", "--set", "training.epochs=400"]
    subprocess.run([*command, "--out", "whole"], check=True)
    process = subprocess.Popen([*command, "--out", "killed"])
    checkpoint = Path("killed/checkpoint.npz")
    while not checkpoint.exists() or TrainingState.load(checkpoint).epoch < 20:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert TrainingState.load(checkpoint).epoch < 400
    subprocess.run([*command, "--out", "killed", "--resume"], check=True)
    for name in ("checkpoint.npz", "history.csv"):
        assert Path("whole", name).read_bytes() == Path("killed", name).read_bytes()


def test_it_is_swept_on_two_workers(folder: Path) -> None:
    Path("sweep.toml").write_text(
        'study = "resistors.toml"\nseeds = [0, 1]\n[set]\n"training.epochs" = 20\n'
        '[grid]\n"training.rule" = ["ep", "adjoint"]\n[success]\ncost = 0.01\n'
    )
    run("sweep", "sweep.toml", "--out", "swept", "--workers", "2", "--quiet")
    table = pd.read_csv("swept/results.csv")
    assert (table["status"] == "finished").all()
    assert len(table) == 4
    assert table["power"].notna().all()
    run("plot", "swept")
    run("plot", "swept", "--field", "voltage", "-o", "sheet.png")
    assert Path("sheet.png").stat().st_size > 5000
