"""Files are read where they are regular, and only as far as memory allows; texts in any form."""

from __future__ import annotations

import io
import os
import shutil
import struct
import tempfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from test_cli import invoke

from nepfield.errors import InputError
from nepfield.learning.task_files import load_task
from nepfield.mesh import geometry
from nepfield.mesh.domain import read_domain
from nepfield.mesh.geometry import mesh_geometry, read_geometry
from nepfield.mesh.graphs import make_graph
from nepfield.mesh.lattice import lattice
from nepfield.reading import load_arrays
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.systems.systems import load_study
from nepfield.view.records import read_history, read_study, read_summary

MESHES = Path(__file__).parents[1] / "meshes"
CHAIN = """
name = "chain"
[domain]
lattice = [9]
[physics]
loss = 0.1
[[pump]]
site = 2
[readout]
sites = [4]
[task]
inputs = [[1.0]]
targets = [[0.5]]
[training]
epochs = 1
[figures]
enabled = false
"""
SWEEP = 'study = "study.toml"\nseeds = [0, 1]\n[grid]\n"physics.loss" = [0.1, 0.2]\n'
HUGE = "7" * 400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.toml").write_text(CHAIN)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    return tmp_path


# --- numbers are bounded before memory is asked for


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("domain.lattice=[100000, 100000]", "too many sites; 2,000,000 is the limit"),
        (f"domain.lattice=[{HUGE}]", "whole numbers from 1"),
        ("training.epochs=1000000000", "must be at most 10000000"),
        (f"training.epochs={HUGE}", "must be at most 10000000"),
        ("figures.frames=1000000000", "must be at most 10000"),
        ("training.starts=1000000000", "must be at most 10000"),
        ("training.per_class=1000000000", "must be at most 1000000"),
        (f"training.batch={HUGE}", "must be at most 9223372036854775807"),
        (f"seed={HUGE}", "must be at most 9223372036854775807"),
        (f"physics.loss={HUGE}", "must be a number"),
        (f"readout.sites=[{HUGE}]", "must be a point's index"),
        (f"domain.sites.a={HUGE}", "must be a point's index"),
        (f"pump.0.site={HUGE}", "must be a point's index"),
        ("potential.basis={ pixels = [1e-300] }", "choose larger ones"),
    ],
)
def test_numbers_of_a_study_are_bounded(folder: Path, change: str, says: str) -> None:
    result = invoke("check", str(folder / "study.toml"), "--set", change)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "complete", "vertices": 10**9},
        {"kind": "layered", "layers": [10**6, 10**6]},
        {"kind": "random-geometric", "vertices": 10**10, "radius": 0.1},
        {"kind": "delaunay", "vertices": 10**10},
        {"kind": "hypercube", "dimension": 10**9},
        {"kind": "lattice", "shape": [10**5, 10**5]},
    ],
)
def test_graphs_are_bounded(options: dict) -> None:
    with pytest.raises(InputError, match=r"too many|16 at most"):
        make_graph(**options)


def test_systems_of_graphs_are_bounded(folder: Path) -> None:
    base = '[domain]\ngraph = "complete"\nvertices = 3\n[domain.sets]\ninput = [0]\noutput = [2]\n'
    rest = '[task]\ninputs = [[1]]\ntargets = [[1]]\n[physics]\nclamp = "input"\n'
    for system, more, says in [
        ("ising", "[solver]\nreads = 1000000000\n", "at most 10000"),
        ("quantum-oscillators", 'method = "mesh"\ncells = 1000000000\n', "at most 1000"),
        ("oscillators", f"[solver]\nmax_iterations = {HUGE}\n", "at most 9223372036854775807"),
    ]:
        text = f'name = "x"\n{base}{rest}system = "{system}"\n{more}'
        (folder / "graph.toml").write_text(text)
        with pytest.raises(InputError, match=says):
            load_study(folder / "graph.toml")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[0, 1]", "{ count = 9000000000000000000 }", "more than 2,000,000 cases"),
        ("[0, 1]", f"{{ count = {HUGE} }}", "must be"),
        ("[0, 1]", f"[{HUGE}]", "must be"),
        ("[grid]", '[design]\nkind = "random"\ncases = 1000000000\n[design.ranges]', "cases"),
        ("[grid]", f'[design]\nkind = "random"\ncases = {HUGE}\n[design.ranges]', "whole number"),
        ("[grid]", f'[design]\nkind = "sobol"\ncases = 2\n[design.ranges]\n"seed" = [0, {HUGE}]\n',
         "must be [low, high]"),
        ("[grid]", f"[success]\ncost = {HUGE}\n[grid]", "must be a finite number"),
        ("[grid]", f"[success]\ncost = {{ below = {HUGE} }}\n[grid]", "must be a finite number"),
    ],
)  # fmt: skip
def test_numbers_of_a_sweep_are_bounded(folder: Path, old: str, new: str, says: str) -> None:
    (folder / "sweep.toml").write_text(SWEEP.replace(old, new))
    with pytest.raises(InputError) as caught:
        load_sweep(folder / "sweep.toml", many=True)
    assert says in str(caught.value)


def npz(
    path: Path, head: bytes = b"", size: int = 0, compression: int = zipfile.ZIP_STORED
) -> Path:
    """An .npz with `inputs` of two numbers, or of a head and a size of one's own."""
    right = io.BytesIO()
    np.save(right, np.ones((2, 1)))
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("targets.npy", right.getvalue())
        with archive.open("inputs.npy", "w") as file:
            file.write(head or right.getvalue())
            for _ in range(size // 2**20):
                file.write(bytes(2**20))
    return path


def head_of(shape: tuple, dtype: str = "<f8") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_bombs_in_an_npz_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "task.npz"
    assert load_task(npz(path)).inputs.shape == (2, 1)
    for shape in ((10**12,), (10**6, 10**6), (2**62,), (10**100,), (3, 1)):
        npz(path, head_of(shape) + bytes(16))
        with pytest.raises(InputError, match=r"no \.npz file of number arrays"):
            load_task(path)
    npz(path, head_of((10**9,), "<U1") + bytes(16))
    with pytest.raises(InputError, match=r"no \.npz file"):
        load_task(path)
    compressed = npz(path, head_of((2**20, 1)), 2**23, zipfile.ZIP_DEFLATED)
    assert compressed.stat().st_size < 2e4
    with pytest.raises(InputError, match="more than 4 MiB"):
        load_arrays(path, 2**22)
    raw = bytearray(path.read_bytes())  # and one that says in its directory that it has 4 GiB
    entry = raw.rindex(b"PK\x01\x02")
    raw[entry + 24 : entry + 28] = b"\xf0\xff\xff\xff"
    path.write_bytes(raw)
    with pytest.raises(InputError, match="more than 1024 MiB"):
        load_task(path)


def test_arrays_come_back_as_numpy_loads_them(tmp_path: Path) -> None:
    path = tmp_path / "any.npz"
    arrays = {
        "a": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "b/c": np.array("text"),
        "d": np.array([], dtype=np.int8),
        "e": np.array([1 + 2j]),
    }
    for save in (np.savez, np.savez_compressed):
        save(path, **arrays)
        read = load_arrays(path)
        with np.load(path) as other:
            assert list(read) == other.files
            for name in read:
                assert read[name].dtype == other[name].dtype
                np.testing.assert_array_equal(read[name], other[name])


def test_texts_are_bounded(folder: Path) -> None:
    (folder / "study.toml").write_text(CHAIN + "# " + "x" * 2**24)
    with pytest.raises(InputError, match="larger than 16 MiB"):
        load_study(folder / "study.toml")
    for deep in (f"{'.'.join('a' * 500)} = 1\n", f"a = {'[' * 90}{']' * 90}\n"):
        (folder / "study.toml").write_text(deep + CHAIN)
        with pytest.raises(InputError, match="sections within sections"):
            load_study(folder / "study.toml")
        (folder / "sweep.toml").write_text(deep + SWEEP)
        with pytest.raises(InputError, match="sections within sections"):
            load_sweep(folder / "sweep.toml")


# --- whatever is no regular file


@pytest.fixture(params=["pipe", "device"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A pipe that nobody writes to, or a link to a device without end."""
    path = tmp_path / "odd"
    if request.param == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.parametrize(
    "name", ["m.msh", "m.vtu", "m.xdmf", "s.toml", "g.geo", "task.npz", "m", "s.toml.bak"]
)
def test_pipes_and_devices_are_refused_at_once(odd: Path, name: str, folder: Path) -> None:
    path = odd.rename(folder / name)
    result = invoke("check", str(path))
    assert result.exit_code == 2, result.stderr
    assert name in result.stderr
    if name.endswith(".npz"):
        with pytest.raises(InputError, match="not a regular file"):
            load_task(path)
    if name.endswith(".msh"):
        with pytest.raises(InputError, match="not a regular file"):
            read_domain(path)


@pytest.mark.parametrize(
    "change",
    ['domain.mesh="{}"', 'task.file="{}"', 'potential.initial="{}"', 'domain.geometry="{}.geo"',
     'physics.system="{}.py:System"'],
)  # fmt: skip
def test_pipes_that_a_study_names_are_refused(folder: Path, change: str) -> None:
    for suffix in ("", ".geo", ".py"):
        os.mkfifo(folder / f"odd{suffix}")
    data = tomllib.loads(CHAIN)
    key = change.partition("=")[0]
    text = CHAIN.replace("lattice = [9]\n", "") if "domain" in key else CHAIN
    text = text.replace("inputs = [[1.0]]\ntargets = [[0.5]]\n", "") if "task" in key else text
    assert data["domain"]
    (folder / "study.toml").write_text(text)
    result = invoke("check", str(folder / "study.toml"), "--set", change.format("odd"))
    assert result.exit_code == 2
    assert "odd" in result.stderr


def test_pipes_that_a_sweep_or_geometry_names_are_refused(folder: Path) -> None:
    os.mkfifo(folder / "odd.toml")
    for name in ("odd.toml", "sweep.toml"):
        (folder / "sweep.toml").write_text(SWEEP.replace("study.toml", "odd.toml"))
        result = invoke("sweep", str(folder / name))
        assert result.exit_code == 2
        assert "it is a pipe, not a regular file" in result.stderr
    os.mkfifo(folder / "odd.geo")
    (folder / "shape.geo").write_text('Include "odd.geo";\n')
    with pytest.raises(InputError, match="it is a pipe"):
        read_geometry(folder / "shape.geo")


def test_pipes_in_a_run_folder_are_refused(folder: Path) -> None:
    done = folder / "done"
    assert invoke("train", str(folder / "study.toml"), "--out", str(done)).exit_code == 0
    run = folder / "run"
    for name in ("study.toml", "checkpoint.npz", "history.csv", "summary.json", "fields.vtu"):
        shutil.copytree(done, run)
        (run / name).unlink()
        os.mkfifo(run / name)
        readers = {"study.toml": read_study, "history.csv": read_history}
        if reader := (readers | {"summary.json": read_summary}).get(name):
            with pytest.raises(InputError, match="it is a pipe"):
                reader(run)
        for command in (
            ("compare", run),
            ("train", folder / "study.toml", "--out", run, "--resume"),
        ):
            result = invoke(*map(str, command))
            assert result.exception is None or isinstance(result.exception, SystemExit), name
        shutil.rmtree(run)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "x/" * 3000 + "y"])
def test_names_that_no_file_can_have_are_refused(folder: Path, name: str) -> None:
    for key in ("domain.mesh", "task.file", "domain.geometry", "potential.initial", "name"):
        value = name + (".geo" if key.endswith("geometry") else "")
        text = CHAIN.replace("lattice = [9]\n", "") if key.startswith("domain.") else CHAIN
        text = text.replace("inputs = [[1.0]]\ntargets = [[0.5]]\n", "") if "task" in key else text
        (folder / "study.toml").write_text(text)
        quoted = '"' + value.replace("\0", "\\u0000") + '"'
        result = invoke("train", str(folder / "study.toml"), "--set", f"{key}={quoted}")
        assert result.exit_code == 2, (key, result.stderr)
        assert "Traceback" not in result.stderr


# --- Gmsh

BOX = """
SetFactory("OpenCASCADE");
DefineConstant[ size = {0.5, Name "Parameters/size"} ];
Rectangle(1) = {0, 0, 0, 1, 1};
Physical Surface("cavity") = {1};
Physical Curve("wall") = {1:4};
Mesh.MeshSizeMax = size;
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    pytest.importorskip("gmsh")
    (tmp_path / "box.geo").write_text(BOX)
    return tmp_path / "box.geo"


def test_gmsh_tells_how_many_cells_a_size_would_make(box: Path, tmp_path: Path) -> None:
    for size, cells in ((1e-6, "2,300,000,000,000"), (5e-4, "9,300,000"), (1e-200, "e\\+")):
        with pytest.raises(InputError, match=f"about .*{cells}.* cells, 2,000,000 are the limit"):
            mesh_geometry(box, {"size": size}, tmp_path)
    assert not list(tmp_path.glob("*.msh"))


@pytest.mark.parametrize("name", ["billiard", "square-quads"])
def test_cells_are_foreseen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To a factor of two."""
    pytest.importorskip("gmsh")
    told = []
    scratch = tempfile.TemporaryDirectory

    class Kept(scratch):
        def __exit__(self, *error: object) -> None:
            told.append((Path(self.name) / "expected.txt").read_text())
            super().__exit__(*error)

    monkeypatch.setattr(geometry.tempfile, "TemporaryDirectory", Kept)
    made = len(read_domain(mesh_geometry(MESHES / f"{name}.geo", {}, tmp_path)).cells)
    foreseen = float(told[0].replace(",", ""))
    assert made / 2 < foreseen < 2 * made


def test_gmsh_has_a_limit_of_memory(box: Path, tmp_path: Path) -> None:
    (tmp_path / "draw.py").write_text("def large():\n    return bytearray(6 * 2**30)\n")
    with pytest.raises(InputError, match="the function fails with MemoryError"):
        mesh_geometry(f"{tmp_path}/draw.py:large", {}, tmp_path)


# --- other forms of text


def test_studies_and_sweeps_may_begin_with_a_byte_order_mark(folder: Path) -> None:
    for name, text in (("study.toml", CHAIN), ("sweep.toml", SWEEP)):
        (folder / name).write_text(text.replace("\n", "\r\n"), encoding="utf-8-sig")
    assert invoke("check", str(folder / "study.toml")).exit_code == 0
    assert len(load_sweep(folder / "sweep.toml").cases) == 4
    (folder / "study.toml").write_text(CHAIN, encoding="utf-16")
    result = invoke("check", str(folder / "study.toml"))
    assert "is not text in UTF-8" in result.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig"])
def test_a_geometry_in_any_encoding_is_read_as_gmsh_does(
    box: Path, tmp_path: Path, encoding: str
) -> None:
    text = BOX.replace("cavity", "Höhle").replace("// ", "// größer: ")
    box.write_bytes(f"// Maße in µm\n{text}".encode(encoding))
    assert read_geometry(box).parameters == {"size": "number"}
    domain = read_domain(mesh_geometry(box, {"size": 0.3}, tmp_path))
    assert list(domain.regions) == ["Höhle"]


def test_a_function_in_any_encoding_is_read_as_python_does(tmp_path: Path) -> None:
    path = tmp_path / "draw.py"
    path.write_bytes("# -*- coding: latin-1 -*-\ndef ring(größe=1.0): pass\n".encode("latin-1"))
    assert read_geometry(f"{path}:ring").parameters == {"größe": "any"}
    path.write_text("(" * 5000)
    with pytest.raises(InputError, match="not valid Python"):
        read_geometry(f"{path}:ring")


def test_lattices_up_to_the_limit_are_made() -> None:
    assert len(lattice(1000, 1000).points) == 10**6
