"""The command line: what it says, its exit status, and that a mistake costs the user nothing."""

from __future__ import annotations

import contextlib
import copy
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
import tomli_w
from click.testing import Result
from typer.testing import CliRunner

from nepfield.cli import app
from nepfield.mesh.domain import read_domain
from nepfield.study.systems.systems import load_study

ROOT = Path(__file__).parents[1]
MESHES = ROOT / "meshes"
PATH = {"PYTHONPATH": str(ROOT)}  # for processes that run elsewhere
ABSENT = object()  # a key that is taken away

CHAIN: dict[str, Any] = {
    "name": "chain",
    "domain": {"lattice": [7]},
    "physics": {"g": 0.02, "loss": 0.1},
    "potential": {"initial": 0.3},
    "pump": [{"site": 1}, {"site": 5}],
    "readout": {"sites": [3]},
    "task": {"name": "xor"},
    "training": {"epochs": 2, "rate": 0.01},
    "figures": {"enabled": False},
}
LINE = CHAIN | {
    "domain": {"mesh": "interval.msh"},
    "pump": [{"center": [1.8], "width": 0.6}, {"center": [6.2], "width": 0.6}],
    "readout": {"regions": ["output"]},
}


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of a study in which keys such as "pump.0.site" are replaced."""
    study = copy.deepcopy(base)
    for key, value in changes.items():
        place: Any = study
        *path, last = [int(part) if part.isdecimal() else part for part in key.split(".")]
        for part in path:
            place = place[part] if isinstance(place, list) else place.setdefault(part, {})
        if value is ABSENT:
            del place[last]
        else:
            place[last] = value
    return study


def write_study(folder: Path, base: dict[str, Any], **changes: Any) -> Path:
    """Write study.toml and the mesh that it names; in a key, `__` stands for a dot."""
    study = changed(base, {key.replace("__", "."): value for key, value in changes.items()})
    if study["domain"].get("mesh") == "interval.msh":
        (folder / "interval.msh").write_bytes((MESHES / "interval.msh").read_bytes())
    path = folder / "study.toml"
    path.write_text(tomli_w.dumps(study))
    return path


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of change of everything in a folder."""
    return {
        str(path.relative_to(folder)): (
            path.read_bytes() if path.is_file() else b"",
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
    }


# ---------------------------------------------------------------- thirty and more mistakes

Mistake = Callable[[Path], list[str]]
MISTAKES: dict[str, tuple[Mistake, tuple[str, ...]]] = {}


def mistake(name: str, *words: str) -> Callable[[Mistake], Mistake]:
    """Register what makes a mistake, and what its message must contain."""

    def register(make: Mistake) -> Mistake:
        assert name not in MISTAKES
        MISTAKES[name] = (make, words)
        return make

    return register


def values(name: str, base: dict[str, Any], changes: dict[str, Any], *words: str) -> None:
    """A study that is wrong in some keys."""

    def make(folder: Path) -> list[str]:
        return ["train", write_study(folder, base, **changes).name]

    MISTAKES[name] = (make, words)


# -- mesh files


def mesh_file(name: str, *words: str, file: str = "cavity.msh") -> Callable[..., Callable]:
    """The bytes of a mesh file, or a meshio mesh, that a study asks for."""

    def register(make: Callable[[], bytes | meshio.Mesh]) -> Callable:
        def study(folder: Path) -> list[str]:
            made = make()
            if isinstance(made, bytes):
                (folder / file).write_bytes(made)
            else:
                made.write(folder / file)
            path = write_study(folder, LINE, domain__mesh=file, domain__order=1)
            return ["train", path.name]

        MISTAKES[name] = (study, (file, *words))
        return make

    return register


def polygon() -> bytes:
    return (MESHES / "polygon.msh").read_bytes()


SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])


@mesh_file("truncated", "truncated or damaged")
def truncated() -> bytes:
    return polygon()[: len(polygon()) * 2 // 3]


@mesh_file("msh 2.2", "MSH format 2.2", "gmsh -format msh41", "Mesh.MshFileVersion = 4.1")
def old_format() -> bytes:
    return b"$MeshFormat\n2.2 0 8\n$EndMeshFormat\n$Nodes\n0\n$EndNodes\n"


@mesh_file("no mesh at all", "no valid $MeshFormat")
def no_mesh() -> bytes:
    return b"Point(1) = {0, 0, 0};\n"


@mesh_file("nan point", "point 0", "not a finite number")
def nan_point() -> bytes:
    return polygon().replace(b"\n1\n0 0 0\n", b"\n1\nnan 0 0\n", 1)


@mesh_file("inverted cell", "cell 1", "inverted", "counter-clockwise", file="cavity.vtu")
def inverted() -> meshio.Mesh:
    points = np.concatenate([SQUARE, [[2, 0.5, 0], [1.5, 0.5, 0]]])
    return meshio.Mesh(points, [("quad", [[0, 1, 2, 3], [1, 4, 2, 5]])])


@mesh_file("3-D cells", "3-D cells (tetra)", "gmsh -2", file="cavity.vtu")
def solid() -> meshio.Mesh:
    return meshio.Mesh(np.eye(4, 3), [("tetra", [[0, 1, 2, 3]])])


@mesh_file("disconnected", "2 pieces", "allow_disconnected = true", file="cavity.vtu")
def disconnected() -> meshio.Mesh:
    far = np.concatenate([SQUARE[:3], SQUARE[:3] + 5 * SQUARE[2]])
    return meshio.Mesh(far, [("triangle", [[0, 1, 2], [3, 4, 5]])])


@mesh_file("no physical groups", "no named region", "Physical Surface(")
def nameless() -> bytes:
    text = re.sub(rb"\$PhysicalNames.*?\$EndPhysicalNames\n", b"", polygon(), flags=re.S)
    text = re.sub(rb"(?m)^(\d 0 0 0 2 2 0) 1 1 ", rb"\1 0 ", text)
    return re.sub(rb"(?m)^(\d \S+ \S+ 0 \S+ \S+ 0) 1 2 ", rb"\1 0 ", text)


@mesh_file("duplicated point", "coincide", "Coherence", file="cavity.vtu")
def duplicated() -> meshio.Mesh:
    points = np.concatenate([SQUARE, SQUARE[:1]])
    return meshio.Mesh(points, [("triangle", [[0, 1, 2], [4, 2, 3]])])


@mesh_file("quadratic line cells", "line3", "Mesh.ElementOrder = 1", file="cavity.vtu")
def quadratic_lines() -> meshio.Mesh:
    return meshio.Mesh(np.eye(3) * [1, 0, 0], [("line3", [[1, 0, 2]])])


@mesh_file("unknown mesh format", "unknown mesh format '.step'", ".msh, .vtu", file="cavity.step")
def unknown_format() -> bytes:
    return b"ISO-10303-21;\n"


values("mesh missing", LINE, {"domain__mesh": "nowhere.msh"}, "domain.mesh", "there is no file")


@mistake("checked mesh missing", "nowhere.msh", "no such mesh file")
def checked_mesh_missing(folder: Path) -> list[str]:
    return ["check", "nowhere.msh"]


@mistake("seed of a mesh", "interval.msh", "--seed belong to a study")
def seed_of_a_mesh(folder: Path) -> list[str]:
    write_study(folder, LINE)
    return ["check", "interval.msh", "--seed", "1"]


# -- keys

values("unknown section", CHAIN, {"trainning__epochs": 5}, "trainning", 'did you mean "training"?')
values(
    "unknown key", CHAIN, {"training__epoch": 5}, "training.epoch: unknown", 'you mean "epochs"?'
)
values(
    "key of another section", CHAIN, {"training__loss": 0.1},
    "training.loss: unknown key", "it belongs in [physics]",
)  # fmt: skip
values("no pump", CHAIN, {"pump": ABSENT}, "pump: is missing", "[[pump]]")
values("no loss", CHAIN, {"physics__loss": ABSENT}, "physics.loss: is missing", "gamma")
values(
    "mesh and lattice", LINE, {"domain__lattice": [5]},
    "exactly one of mesh, geometry, lattice", "has mesh and lattice",
)  # fmt: skip
values(
    "disc without its brackets", LINE, {"readout": {"disc": {"center": [4], "radius": 0.3}}},
    "write [[readout.disc]]",
)  # fmt: skip

# -- values

values("text for a number", CHAIN, {"physics__g": "weak"}, 'physics.g = "weak": must be a number')
values("nan", CHAIN, {"physics__g": float("nan")}, "physics.g = NaN: must be a finite number")
values(
    "negative loss", CHAIN, {"physics__loss": -0.1}, "physics.loss = -0.1: must be greater than 0"
)
values("beta 0", CHAIN, {"training__beta": 0.0}, "training.beta = 0.0: must not be 0")
values(
    "bounds reversed", CHAIN, {"potential__bounds": [2, -2]},
    "potential.bounds = [2, -2]: must be [low, high] with low < high",
)  # fmt: skip
values(
    "initial outside of bounds", CHAIN, {"potential__bounds": [1, 2]},
    "initial leaves the bounds [1.0, 2.0]",
)  # fmt: skip
values("order 3", LINE, {"domain__order": 3}, "domain.order = 3: must be 1 or 2")
values(
    "unknown rule", CHAIN, {"training__rule": "backprop"},
    'training.rule = "backprop"', '"nep", "nep-symmetric", "nep-linear", "reciprocal", ',
    '"adjoint"',
)  # fmt: skip
values(
    "unknown optimizer", CHAIN, {"training__optimizer": "lbfgs"},
    'training.optimizer = "lbfgs"', '"adam", "sgd" or "momentum"',
)  # fmt: skip
values("unknown cost", CHAIN, {"training__cost": "mae"}, 'training.cost = "mae"', '"mse" or "cce"')
values(
    "unknown nonlinearity", CHAIN, {"physics__nonlinearity": "cubic"},
    'physics.nonlinearity = "cubic"', '"density", "saturation" or "none"',
)  # fmt: skip
values("unknown system", CHAIN, {"physics__system": "xy"}, 'physics.system = "xy"', '"gpe"')
values(
    "half a batch", CHAIN, {"training__batch": 1.5}, "training.batch = 1.5: must be a whole number"
)
values("a name with a slash", CHAIN, {"name": "a/b"}, 'name = "a/b"', "no slash")
values(
    "tolerance of 1", CHAIN, {"solver__tolerance": 1.0},
    "solver.tolerance = 1.0: must be less than 1",
)  # fmt: skip

# -- things in the wrong place

values(
    "pump outside", LINE, {"pump__1__center": [30.0]},
    "pump.1: pump at [30.0]", "outside the domain", "[0, 8]",
)  # fmt: skip
values(
    "pump of another dimension", LINE, {"pump__0__center": [1.0, 2.0]},
    "pump.0: pump center", "1 finite coordinate", "1-D domain",
)  # fmt: skip
values(
    "disc outside", LINE, {"readout": {"disc": [{"center": [9.5], "radius": 0.4}]}},
    "readout: readout disc at [9.5]", "[0, 8]",
)  # fmt: skip
values(
    "unknown region", LINE, {"readout__regions": ["outptu"]},
    "readout: ", "interval.msh", "no region called 'outptu'", "there is 'output'",
)  # fmt: skip
values(
    "unknown boundary", LINE, {"domain__dirichlet": ["wall"]},
    "domain: ", "interval.msh", "no boundary called 'wall'", "'left'", "'right'",
)  # fmt: skip
values("unknown site", CHAIN, {"readout__sites": [7]}, "readout: site 7", "0 to 6")
values(
    "site on a mesh", LINE, {"pump": [{"site": 1}, {"site": 5}]}, "interval.msh", "sites belong to"
)
values(
    "site pump with a wavevector", CHAIN, {"pump__0": {"site": 1, "wavevector": [1.0]}},
    "pump", "wavevector goes with center",
)  # fmt: skip
values(
    "initial of the wrong length", CHAIN, {"potential__initial": [0.1, 0.2]},
    "potential.initial", "2 values", "7",
)  # fmt: skip
values(
    "regions overlap", LINE, {"potential__basis": "regions"},
    "potential: ", "interval.msh", "'line' and 'output' overlap", 'basis = "regions"',
)  # fmt: skip
values(
    "nothing to train", CHAIN,
    {"potential__trainable": False, "pump__0__trainable": False, "pump__1__trainable": False},
    "nothing is trainable", "potential.trainable",
)  # fmt: skip

# -- data


def data(name: str, *words: str, **arrays: Any) -> None:
    """A study whose data file holds these arrays."""

    def make(folder: Path) -> list[str]:
        np.savez(folder / "samples.npz", **arrays)
        return ["train", write_study(folder, CHAIN, task={"file": "samples.npz"}).name]

    MISTAKES[name] = (make, ("samples.npz", *words))


TWO, ONE = np.eye(2), np.ones((2, 1))
data("data without targets", "'targets' is missing", "inputs", inputs=TWO)
data("nan in inputs", "inputs", "not finite", inputs=TWO * np.nan, targets=ONE)
data("targets too wide", "targets", "(nsamples, 1)", "(2, 2)", inputs=TWO, targets=TWO)
data("inputs too narrow", "inputs", "(nsamples, 2)", "(2, 1)", inputs=ONE, targets=ONE)
data("counts differ", "2 rows of inputs but 1 of targets", inputs=TWO, targets=ONE[:1])
data("one-dimensional inputs", "shape (nsamples, n)", "(2,)", inputs=TWO[0], targets=ONE)
data("words for inputs", "array of numbers", inputs=np.array([["a", "b"]]), targets=ONE[:1])
values(
    "one class", CHAIN, {"training__cost": "cce"}, 'training.cost = "cce"', "two outputs or more"
)
values(
    "targets that are no probabilities", CHAIN,
    {
        "training__cost": "cce",
        "readout__sites": [2, 4],
        "task": {"inputs": [[0, 1], [1, 0]], "targets": [[1, 1], [0, 1]]},
    },
    "class probabilities", "sum 1",
)  # fmt: skip
values(
    "inline targets too wide", CHAIN, {"task": {"inputs": [[0, 1]], "targets": [[1, 2]]}},
    "task.targets has rows of 2", "readout has 1",
)  # fmt: skip


@mistake("data that is no npz", "samples.npz", "no .npz file of number arrays")
def no_npz(folder: Path) -> list[str]:
    (folder / "samples.npz").write_text("inputs, targets\n")
    return ["train", write_study(folder, CHAIN, task={"file": "samples.npz"}).name]


# -- overrides, syntax, and files in the way


def options(name: str, arguments: list[str], *words: str) -> None:
    """A sound study with options that are not."""

    def make(folder: Path) -> list[str]:
        return ["train", write_study(folder, CHAIN).name, *arguments]

    MISTAKES[name] = (make, words)


options("override without a value", ["--set", "training.epochs"], "section.key=value")
options(
    "override of an unknown key", ["--set", "training.ratte=1"], 'did you mean "rate"?', "--set"
)
options(
    "override below a number", ["--set", "physics.loss.real=1"], "physics.loss is 0.1", "no key"
)
options("override of a third pump", ["--set", "pump.2.site=1"], "pump has 2 entries", "'2'")
options("negative seed", ["--seed", "-1"], "seed = -1: must be at least 0")


@mistake("toml syntax", "study.toml", "is not valid TOML", "line 1")
def toml_syntax(folder: Path) -> list[str]:
    (folder / "study.toml").write_text("name = chain\n")
    return ["train", "study.toml"]


@mistake("study is binary", "study.toml", "not text in UTF-8")
def binary_study(folder: Path) -> list[str]:
    (folder / "study.toml").write_bytes(b"\x93NUMPY\xff\xfe")
    return ["train", "study.toml"]


@mistake("study missing", "nowhere.toml: there is no such file")
def study_missing(folder: Path) -> list[str]:
    return ["train", "nowhere.toml"]


@mistake("study is a folder", "cannot be read (Is a directory)")
def study_is_a_folder(folder: Path) -> list[str]:
    (folder / "studies").mkdir()
    return ["train", "studies"]


@mistake("a run is there", "runs/chain: a run is there already", "--resume")
def run_is_there(folder: Path) -> list[str]:
    path = write_study(folder, CHAIN)
    (folder / "runs" / "chain").mkdir(parents=True)
    (folder / "runs" / "chain" / "study.toml").write_bytes(path.read_bytes())
    return ["train", path.name]


@mistake("foreign files are there", "results: this folder holds other files")
def foreign_files(folder: Path) -> list[str]:
    (folder / "results").mkdir()
    (folder / "results" / "thesis.tex").write_text("years of work")
    return ["train", write_study(folder, CHAIN).name, "--out", "results", "--resume"]


@mistake("another study is there", "was 0.1 and is now 0.2", "physics.loss")
def another_study(folder: Path) -> list[str]:
    path = write_study(folder, CHAIN)
    (folder / "run").mkdir()
    (folder / "run" / "study.toml").write_bytes(path.read_bytes())
    return ["train", path.name, "--out", "run", "--resume", "--set", "physics.loss=0.2"]


@mistake("out is a file", "results: this is a file")
def out_is_a_file(folder: Path) -> list[str]:
    (folder / "results").write_text("precious")
    return ["train", write_study(folder, CHAIN).name, "--out", "results"]


@mistake("out is below a file", "results/run: cannot be made (Not a directory)")
def out_below_a_file(folder: Path) -> list[str]:
    (folder / "results").write_text("precious")
    return ["train", write_study(folder, CHAIN).name, "--out", "results/run"]


@mistake("out has too long a name", "cannot be made", "File name too long")
def out_too_long(folder: Path) -> list[str]:
    return ["train", write_study(folder, CHAIN).name, "--out", "a" * 300]


@mistake("a mesh of too long a name", ".msh: File name too long")
def mesh_too_long(folder: Path) -> list[str]:
    return ["check", "a" * 300 + ".msh"]


@mistake("solve into a run", "run: a run is there already", "--out")
def solve_into_a_run(folder: Path) -> list[str]:
    path = write_study(folder, CHAIN)
    (folder / "run").mkdir()
    (folder / "run" / "study.toml").write_bytes(path.read_bytes())
    return ["solve", path.name, "--out", "run"]


@mistake("solve a run that was never trained", "run: this run has no checkpoint", "train it first")
def solve_untrained(folder: Path) -> list[str]:
    (folder / "run").mkdir()
    write_study(folder / "run", CHAIN)
    return ["solve", "run"]


@mistake("solve a folder that is no run", "run: this is no run folder (it has no study.toml)")
def solve_no_run(folder: Path) -> list[str]:
    (folder / "run").mkdir()
    return ["solve", "run"]


@mistake("a checkpoint that is none", "checkpoint.npz", "no checkpoint of nepfield")
def broken_checkpoint(folder: Path) -> list[str]:
    (folder / "run").mkdir()
    path = write_study(folder / "run", CHAIN)
    (folder / "run" / "checkpoint.npz").write_bytes(b"PK\x03\x04 and no more")
    return ["train", str(path), "--out", "run", "--resume"]


@mistake("compare into another format", "table.txt", ".csv")
def compare_text(folder: Path) -> list[str]:
    return ["compare", write_study(folder, CHAIN).name, "--out", "table.txt"]


@mistake("compare into a file that is there", "table.csv", "exists already")
def compare_over_a_file(folder: Path) -> list[str]:
    (folder / "table.csv").write_text("precious")
    return ["compare", write_study(folder, CHAIN).name, "--out", "table.csv"]


@mistake("compare into a folder that is not there", "tables/new.csv", "there is no folder tables")
def compare_nowhere(folder: Path) -> list[str]:
    return ["compare", write_study(folder, CHAIN).name, "--out", "tables/new.csv"]


@mistake("plot no run", "nowhere: ", "no run folder")
def plot_no_run(folder: Path) -> list[str]:
    return ["plot", "nowhere"]


@mistake("plot a run without fields", "run", "fields.vtu is missing")
def plot_no_fields(folder: Path) -> list[str]:
    (folder / "run").mkdir()
    write_study(folder / "run", CHAIN)
    return ["plot", "run"]


@mistake("an option that is none", "No such option", "--epochs")
def unknown_option(folder: Path) -> list[str]:
    return ["train", write_study(folder, CHAIN).name, "--epochs", "5"]


@cache
def outcome(name: str) -> tuple[Result, str, bool]:
    """The result of a mistake in a folder of its own, the folder, and whether it has changed."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        arguments = MISTAKES[name][0](Path(folder))
        before = contents(Path(folder))
        result = invoke(*arguments)
        return result, folder, contents(Path(folder)) != before


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str) -> None:
    result, _, written = outcome(name)
    assert result.exit_code == 2, result.output
    assert not written
    assert result.stdout == ""
    for word in MISTAKES[name][1]:
        assert word in result.stderr
    assert "Traceback" not in result.output
    assert len(result.stderr) < 1000
    if name != "an option that is none":  # that message is Typer's
        assert result.stderr.startswith("error: ")
        assert "\n" not in result.stderr.rstrip("\n")  # one mistake, one line


def test_each_mistake_has_its_own_message() -> None:
    assert len(MISTAKES) >= 30
    said: dict[str, str] = {}
    for name in MISTAKES:
        result, folder, _ = outcome(name)
        message = result.stderr.replace(folder, "")
        assert message not in said, f"{name} and {said.get(message)}"
        said[message] = name


@pytest.mark.parametrize("name", ["truncated", "pump outside", "toml syntax", "a run is there"])
def test_no_traceback_in_a_process_of_its_own(name: str, tmp_path: Path) -> None:
    """What `CliRunner` would swallow: the exit status and stderr of the true command."""
    make, words = MISTAKES[name]
    arguments = make(tmp_path)
    before = contents(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "nepfield.cli", *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ | PATH,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words)
    assert contents(tmp_path) == before


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = write_study(tmp_path, CHAIN, physics__loss=0, training__rule="hebb", seed="seven")
    result = invoke("check", str(path))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 3
    for key in ("physics.loss", "training.rule", "seed"):
        assert key in result.stderr


# ---------------------------------------------------------------- what goes well


@pytest.mark.parametrize("path", sorted(MESHES.glob("*.msh")), ids=lambda path: path.name)
def test_check_of_the_meshes(path: Path) -> None:
    result = invoke("check", str(path))
    assert result.exit_code == 0, result.output
    domain = read_domain(path)
    for name, cells in domain.regions.items():
        assert f"region {name!r}: {len(cells)} cells" in result.stdout
    for name, facets in domain.boundaries.items():
        assert f"boundary {name!r}: {len(facets)} facets" in result.stdout


LARGE = (
    "mnist-15x150", "mnist-beyond", "mnist-cavity", "mnist-nonlinearity", "mnist-open-cavity",
    "mnist-start-and-rule",
)  # fmt: skip
DOWNLOADED = ("mnist-full",)  # checked by tests/test_mnist_studies.py


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=name, marks=pytest.mark.slow if name in LARGE else ())
        for path in sorted(ROOT.glob("studies/*/study.toml"))
        for name in (path.parent.name,)
        if name not in DOWNLOADED
    ],
)
def test_check_of_the_studies(path: Path) -> None:
    result = invoke("check", str(path))
    assert result.exit_code == 0, result.output
    assert "ready: nepfield train runs it" in result.stdout
    for name in load_study(path).build_domain().regions:
        assert f"region {name!r}: " in result.stdout
    assert "warning" not in result.output


def test_check_counts_what_a_study_places(tmp_path: Path) -> None:
    path = write_study(tmp_path, LINE, pump__1__trainable=False, domain__dirichlet=["left"])
    said = invoke("check", str(path), "--set", "domain.order=1").stdout
    assert "finite elements of order 1, 64 complex unknowns" in said
    assert "64 values of V (trained), 2 pumps (1 trained), 2 inputs" in said
    assert "1 output (output), 4 samples" in said
    assert "pump width 0.6: 4.7 cells (of edge 0.128), 1.2 needed" in said


def test_check_warns_of_a_coarse_mesh(tmp_path: Path) -> None:
    path = write_study(tmp_path, LINE, pump__0__width=0.05, potential__bounds=[-400.0, 1.0])
    said = invoke("check", str(path)).stdout
    assert "pump width 0.05: 0.4 cells" in said  # of length 0.128
    # The kinetic energy may reach 400: 2 pi / sqrt(800) = 0.222.
    assert "shortest wavelength 0.222: 1.7 cells" in said
    assert said.count("warning: ") == 2


def test_arrays_that_are_not_used_are_warned_of(tmp_path: Path) -> None:
    rows = {"inputs": np.zeros((2, 2)), "targets": np.zeros((2, 1))}
    np.savez(tmp_path / "samples.npz", **rows, inputs_test=np.zeros((2, 2)))
    path = write_study(tmp_path, CHAIN, task={"file": "samples.npz"})
    result = invoke("check", str(path))
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: ")
    assert "samples.npz: not used: inputs_test; a task has the arrays inputs," in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_disc_of_few_points_is_warned_of(tmp_path: Path) -> None:
    disc = {"disc": [{"center": [4.0], "radius": 0.05}]}
    path = write_study(tmp_path, LINE, readout=disc, domain__order=1)
    result = invoke("check", str(path))
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: readout disc at [4.0]")
    assert "UserWarning" not in result.stderr


def test_help() -> None:
    whole = invoke("--help")
    assert whole.exit_code == 0
    for command in ("check", "solve", "train", "compare", "plot"):
        assert command in whole.stdout
        alone = invoke(command, "--help")
        assert alone.exit_code == 0
        assert "Usage" in alone.stdout
    for option in ("--resume", "--out", "--set", "--seed", "--quiet"):
        assert option in invoke("train", "--help").stdout


def test_help_loads_nothing_slow() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from nepfield.cli import app;"
        "assert CliRunner().invoke(app, ['train', '--help']).exit_code == 0;"
        "slow = {'pyvista', 'vtkmodules', 'matplotlib', 'pandas', 'numba'};"
        "slow |= {'scipy.stats', 'scipy.optimize', 'scipy.interpolate'};"
        "sys.exit(', '.join(slow & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env=os.environ | PATH,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
