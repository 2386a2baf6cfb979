"""What is installed from a wheel has all that it needs, the demo included."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nepfield.cli import app
from nepfield.errors import InputError
from nepfield.study.demo import write_demo

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    line = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_demo_from_an_unpacked_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    assert not (tmp_path / "site" / "studies").exists()
    line = [sys.executable, "-m", "nepfield.cli", "demo", "mine", "--no-run"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "mine/study.toml" in done.stdout
    mesh = (tmp_path / "mine" / "billiard.msh").read_bytes()
    assert mesh == (ROOT / "meshes" / "billiard.msh").read_bytes()
    done = subprocess.run(
        [*line[:3], "check", "mine/study.toml"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ready" in done.stdout


def test_the_demo_overwrites_nothing(tmp_path: Path) -> None:
    study = write_demo(tmp_path / "demo")
    assert write_demo(tmp_path / "demo") == study  # again: nothing to do
    study.write_text("mine")
    with pytest.raises(InputError, match="give another folder"):
        write_demo(tmp_path / "demo")
    assert study.read_text() == "mine"
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, ["demo", str(tmp_path / "file")])
    assert result.exit_code == 2
    assert "the demo cannot be written" in result.stderr


@pytest.mark.slow
def test_the_demo_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    binaries = tmp_path / "env" / "bin"
    install = [str(binaries / "python"), "-m", "pip", "install", "-q", "-c"]
    subprocess.run([*install, str(ROOT / "constraints.txt"), str(wheel)], check=True)
    bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    line = [str(binaries / "nepfield"), "demo", "--quiet"]
    subprocess.run(line, cwd=tmp_path, env=bare, check=True)
    run = tmp_path / "nepfield-demo" / "run"
    assert json.loads((run / "summary.json").read_text())["status"] == "finished"
    assert list((run / "figures").glob("*.png"))
    shutil.rmtree(tmp_path / "env")
