"""Damaged and hostile files end in words: no traceback, no flood of memory, nothing overwritten.

A kind is one function: it puts good files into a folder and says which of them is damaged and what
is then done. More kinds are added by ``@kind("name")``.
"""

from __future__ import annotations

import gzip
import random
import re
import resource
import shutil
import signal
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_cli import contents, invoke
from test_domain import Msh
from test_mesh_files import grid_of, write_vtk

import nepfield as nf
from nepfield.errors import InputError
from nepfield.learning.digits import read_idx
from nepfield.learning.resume import resumed_state, starting_state
from nepfield.learning.task_files import load_task
from nepfield.learning.warm import files_of
from nepfield.mesh.domain import check_domain, read_domain, write_domain
from nepfield.mesh.geometry import read_geometry
from nepfield.mesh.lattice import lattice
from nepfield.study.sweeps.design import load_sweep
from nepfield.view.decision import run_decision
from nepfield.view.modes import run_spectrum
from nepfield.view.samples import run_samples

MESHES = Path(__file__).parents[1] / "meshes"
SECONDS, MEMORY = 60, 4 * 2**30


@dataclass(frozen=True)
class Victim:
    """A file, in a folder with all that it needs, and what is done with it once it is damaged.

    ``use`` may raise InputError and nothing else; ``text`` says whether words are exchanged as well
    as bytes; ``writes`` names folders that it may write to.
    """

    path: Path
    use: Callable[[Path], None]
    text: bool = True
    writes: tuple[str, ...] = ()


Maker = Callable[[Path, random.Random], Victim]
KINDS: dict[str, Maker] = {}


def kind(name: str) -> Callable[[Maker], Maker]:
    """Add a kind of file; its function gets an empty folder, and chance to choose by."""

    def register(make: Maker) -> Maker:
        KINDS[name] = make
        return make

    return register


def command(*words: str, exits: tuple[int, ...] = (0, 2, 3)) -> Callable[[Path], None]:
    """Run `nepfield` on the file; it must end with one of these codes."""

    def use(path: Path) -> None:
        result = invoke(*(str(path) if word == "FILE" else word for word in words))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code in exits, result.stderr
        assert "Traceback" not in result.stderr
        assert result.exit_code == 0 or result.stderr.strip()

    return use


def read_mesh(path: Path) -> None:
    check_domain(read_domain(path))


# --- the kinds


@kind("msh, text")
def msh_text(folder: Path, chance: random.Random) -> Victim:
    path = folder / "mine.msh"
    path.write_bytes(Msh().bytes())
    if chance.random() < 0.3:
        shutil.copyfile(MESHES / "polygon.msh", path)
    return Victim(path, read_mesh)


@kind("msh, binary")
def msh_binary(folder: Path, chance: random.Random) -> Victim:
    path = folder / "mine.msh"
    path.write_bytes(Msh().bytes(binary=True))
    return Victim(path, read_mesh, text=False)


@cache
def _vtu(which: int) -> bytes:
    how = [
        {"DataMode": "Ascii"},
        {"DataMode": "Binary", "Compressor": "ZLib"},
        {"DataMode": "Appended", "EncodeAppendedData": 0, "Compressor": "None"},
        {"DataMode": "Appended", "EncodeAppendedData": 0, "Compressor": "LZ4"},
        {"DataMode": "Appended", "EncodeAppendedData": 1, "Compressor": "LZMA"},
    ][which]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.vtu"
        write_vtk(grid_of(read_domain(MESHES / "polygon.msh")), path, how)
        return path.read_bytes()


@kind("vtu")
def vtu(folder: Path, chance: random.Random) -> Victim:
    path = folder / "mine.vtu"
    path.write_bytes(_vtu(chance.randrange(5)))
    return Victim(path, read_mesh)


@kind("vtu of a graph")
def vtu_graph(folder: Path, chance: random.Random) -> Victim:
    path = folder / "graph.vtu"
    write_domain(lattice(2, 3), path)
    return Victim(path, read_mesh)


@kind("xdmf")
def xdmf(folder: Path, chance: random.Random) -> Victim:
    (folder / "seed.msh").write_bytes(Msh().bytes())
    path = folder / "mine.xdmf"
    write_domain(read_domain(folder / "seed.msh"), path)
    return Victim(path, read_mesh)


@kind("HDF5 of an xdmf")
def xdmf_hdf(folder: Path, chance: random.Random) -> Victim:
    corner = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    meshio.Mesh(corner, [("triangle", [[0, 1, 2]])]).write(folder / "mine.xdmf")
    return Victim(folder / "mine.h5", lambda path: read_mesh(path.with_suffix(".xdmf")), text=False)


STUDY = """
name = "chain"
seed = 1
[domain]
lattice = [3, 3]
sites = { out = [1, 1] }
[physics]
nonlinearity = "density"
g = 0.1
loss = 0.1
[potential]
initial = { uniform = [-0.1, 0.1] }
bounds = [-1.0, 1.0]
[[pump]]
site = [0, 1]
weight = [0.5, 0.1]
[readout]
sites = [4]
[task]
inputs = [[0.0], [1.0]]
targets = [[0.1], [0.2]]
[training]
rule = "nep"
beta = 0.01
epochs = 2
[figures]
enabled = false
frames = 2
"""
UNITS = """[units]
length = "1 um"
mass = "1e-4 m_e"
"""
GRAPH = """
name = "phases"
[domain]
graph = "complete"
vertices = 4
[domain.sets]
input = [0, 1]
output = [3]
[physics]
system = "oscillators"
clamp = "input"
[coupling]
initial = { normal = [0, 1] }
bounds = [-2, 2]
[task]
inputs = [[0.0, 1.0], [1.0, 0.0]]
targets = [[0.1], [0.2]]
[training]
rule = "ep"
epochs = 1
"""


OTHERS = [
    GRAPH.replace('"oscillators"', '"ising"').replace("rule", "# rule"),
    GRAPH.replace('"oscillators"', '"quantum-oscillators"').replace("[-2, 2]", "[0.1, 2]")
    .replace("coupling", "stiffness").replace("normal = [0, 1]", "uniform = [0.5, 1]"),
    GRAPH.replace('"oscillators"', '"quantum-spins"')
    .replace("rule", "# rule"),
]  # fmt: skip


@kind("study")
def study(folder: Path, chance: random.Random) -> Victim:
    path = folder / "study.toml"
    text = chance.choice(
        [STUDY, GRAPH, *OTHERS, UNITS + STUDY.replace("g = 0.1", 'g = "1 ueV um^2"')]
    )
    path.write_text(text, encoding="utf-8")
    return Victim(path, command("check", "FILE"))


@kind("study of a mesh")
def study_of_mesh(folder: Path, chance: random.Random) -> Victim:
    path = folder / "study.toml"
    shutil.copyfile(MESHES / "interval.msh", folder / "interval.msh")
    domain = 'mesh = "interval.msh"\norder = 2\ndirichlet = ["left"]\n'
    text = STUDY.replace("lattice = [3, 3]\nsites = { out = [1, 1] }\n", domain)
    text = text.replace("site = [0, 1]", "center = [2.0]\nwidth = 0.6")
    path.write_text(text.replace("sites = [4]", 'regions = ["output"]'), encoding="utf-8")
    return Victim(path, command("check", "FILE"))


@kind("npz")
def npz(folder: Path, chance: random.Random) -> Victim:
    save = chance.choice([np.savez, np.savez_compressed])
    arrays = {"inputs": np.eye(4), "targets": np.ones((4, 1)), "test_inputs": np.eye(4)}
    save(folder / "task.npz", **arrays, test_targets=np.ones((4, 1)))
    return Victim(folder / "task.npz", lambda path: bool(load_task(path)), text=False)


@kind("states of a checkpoint")
def warm_states(folder: Path, chance: random.Random) -> Victim:
    checkpoint = folder / "checkpoint.npz"
    system = nf.GPE(nf.graph(lattice(5)), 0.0, [nf.site_pump(2)], nf.Density(0.1), 0.1)
    cost, ones = nf.MSE(nf.readout(system.space, sites=[4])), np.ones((2, 1))
    options: dict[str, Any] = {"warm_memory": 0.0, "checkpoint": checkpoint, "epochs": 1}
    nf.train(system, cost, nf.Task(ones, ones), optimizer=nf.Adam(0.01), **options)
    fresh = starting_state(system, nf.Adam(0.01), 0, {})
    return Victim(
        files_of(checkpoint)[0],
        lambda _: bool(resumed_state(checkpoint, fresh, 2, warm_start=True)),
        text=False,
    )


@kind("csv")
def csv(folder: Path, chance: random.Random) -> Victim:
    rows = ["label,set,pixel0,pixel1"]
    rows += [f"{k % 3},{('train', 'test')[k % 2]},{k}.5,{-k}" for k in range(8)]
    (folder / "task.csv").write_text("\n".join(rows))
    return Victim(folder / "task.csv", lambda path: bool(load_task(path)))


@kind("idx")
def idx(folder: Path, chance: random.Random) -> Victim:
    content = struct.pack(">4B3I", 0, 0, 8, 3, 2, 5, 3) + bytes(range(30))
    zipped = chance.choice([gzip.compress, bytes])
    (folder / "images").write_bytes(zipped(content))
    return Victim(folder / "images", lambda path: bool(read_idx(path).size), text=False)


@kind("arrays in an npz")
def npz_inside(folder: Path, chance: random.Random) -> Victim:
    """The bytes of an array are damaged, not those of the archive around it."""

    def use(path: Path) -> None:
        right = folder / "right.npz"
        np.savez(right, targets=np.ones((4, 1)))
        with zipfile.ZipFile(right, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, "inputs.npy")
        load_task(right)

    np.save(folder / "inputs.npy", np.eye(4))
    return Victim(folder / "inputs.npy", use)


@kind("geometry")
def geometry(folder: Path, chance: random.Random) -> Victim:
    """Its text; Gmsh itself has a process of its own with limits."""
    path = folder / "shape.geo"
    shutil.copyfile(MESHES / "stadium.geo", path)
    return Victim(path, lambda path: bool(read_geometry(path)))


SWEEP = """
study = "study.toml"
seeds = { count = 2 }
[set]
"training.epochs" = 3
[grid]
"physics.loss" = [0.1, 0.2]
[[list]]
"physics.g" = 0.1
label = "weak"
[list.zip]
"training.beta" = [0.01, 0.02]
[[list]]
"physics.g" = 0.2
label = "strong"
[design]
kind = "sobol"
cases = 4
seed = 1
[design.ranges]
"training.rate" = [0.01, 0.1]
[success]
cost = 0.1
"""


@kind("sweep")
def sweep(folder: Path, chance: random.Random) -> Victim:
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    (folder / "sweep.toml").write_text(SWEEP, encoding="utf-8")

    def use(path: Path) -> None:
        found = load_sweep(path)
        for case in found.cases[:3]:
            found.config(case)

    return Victim(folder / "sweep.toml", use)


SETS = "set,sample,input_0,input_1,target_0,target_1,output_0,output_1\n"
SETS += "".join(f"train,{k},{k % 2},{k // 2},{k % 2}.5,1,0.{k},1.{k}\n" for k in range(20))
MAP = "input_0,input_1,output_0,output_1,class\n"
MAP += "".join(f"{k % 3},{k // 3},0.{k},1.{k},{k % 2}\n" for k in range(9))
LEVELS = "mode,level,loss,detuning,residual\n0,-0.2,0.1,2.0,1e-12\n1,1.5,0.1,15.0,1e-12\n"
SPECTRUM = "fluctuation,frequency,growth,norm\n0,0.2,-0.1,0.9\n1,1.5,0.1,-0.2\n"


@kind("tables of a run")
def tables(folder: Path, chance: random.Random) -> Victim:
    """What pictures are made of, outputs, maps and modes; one of them is damaged."""
    texts = {"outputs": SETS, "decision": MAP, "modes": LEVELS, "spectrum": SPECTRUM}
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    (folder / "summary.json").write_text('{"tolerance": [0.1, 0.1], "within": {"train": 0.5}}')

    draw = {"outputs": run_samples, "decision": run_decision}

    def use(path: Path) -> None:
        drawn = draw.get(path.stem, run_spectrum)(folder)
        figure = drawn[0] if isinstance(drawn, tuple) else drawn
        assert figure is not None
        figure.draw_without_rendering()

    return Victim(folder / f"{chance.choice(sorted(texts))}.csv", use)


# --- damage

NUMBERS = [b"0", b"-1", b"1", b"2", b"1000", b"1000000000", b"99999999999999999999", b"1e9", b"nan"]
NUMBERS += [
    b"inf",
    b"-inf",
    b"1e-300",
    b"1e308",
    b"0.5",
    b"-0.0",
    b"7" * 400,
    b"[]",
    b'""',
    b"true",
]
PIECES = [b"\xef\xbb\xbf", b"\x00", b"\xff", b"\r", b"\n", b'"', b"[", b"]", b"<", b"$", b"=", b"{"]
PIECES += [b"'", b"..", b"/dev/zero", b"%s{x}[/red]", "größe".encode("latin-1"), b"\xe2\x80\xae"]


def damaged(raw: bytes, chance: random.Random, text: bool) -> bytes:
    """Some bytes changed, cut, doubled or put elsewhere; of a text also its numbers and lines."""
    for _ in range(chance.choice([1, 1, 1, 2, 3, 6])):
        size = len(raw)
        at = chance.randrange(size + 1)
        end = min(size, at + chance.choice([1, 1, 2, 4, 8, 40, 400]))
        what = chance.randrange(12 if text else 7)
        if what == 0:
            raw = raw[:at] + chance.randbytes(end - at) + raw[end:]
        elif what == 1:
            raw = raw[:at] + raw[end:]
        elif what == 2:
            raw = raw[:at] + raw[at:end] * chance.choice([2, 3, 50]) + raw[end:]
        elif what == 3:
            raw = raw[:at] if chance.random() < 0.5 else raw[:at] + raw[end:] + raw[at:end]
        elif what == 4:
            raw = raw[:at] + chance.choice(PIECES) + raw[at:]
        elif what == 5 and end > at:
            flipped = raw[at] ^ (1 << chance.randrange(8))
            raw = raw[:at] + bytes([flipped]) + raw[at + 1 :]
        elif what == 6:
            wide = chance.choice(
                [b"\xff" * 8, b"\x00" * 8, b"\xff\xff\xff\x7f", b"\x00\x00\x10\x00"]
            )
            raw = raw[:at] + wide + raw[at + len(wide) :]
        elif what <= 9:
            found = list(re.finditer(rb"[-+]?\d[\d.eE+-]*", raw))
            if found:
                place = chance.choice(found)
                raw = raw[: place.start()] + chance.choice(NUMBERS) + raw[place.end() :]
        elif what == 10:
            words = list(re.finditer(rb"[A-Za-z_]+", raw))
            if words:
                place, other = chance.choice(words), chance.choice(words)
                raw = raw[: place.start()] + other[0] + raw[place.end() :]
        else:
            lines = raw.split(b"\n")
            lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
            raw = b"\n".join(lines)
    return raw


@contextmanager
def limited() -> Iterator[None]:
    """Within a minute and 4 GiB more than there are in use."""

    def late(*_: object) -> None:
        raise AssertionError(f"takes more than {SECONDS} s")

    status = Path("/proc/self/status").read_text()
    used = int(re.search(r"VmData:\s*(\d+) kB", status)[1]) * 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attack(name: str, seed: int) -> None:
    """One damaged file of a kind."""
    chance = random.Random(f"{name} {seed}")
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(scratch)
        victim = KINDS[name](folder, chance)
        raw = damaged(victim.path.read_bytes(), chance, victim.text)
        victim.path.write_bytes(raw)
        before = contents(folder)
        try:
            with limited():
                victim.use(victim.path)
            said = "read"
        except InputError as error:
            said = str(error)
        assert 0 < len(said.strip()) < 20_000
        after = contents(folder)
        for path, content in before.items():
            if not str(path).startswith(victim.writes or "\0"):
                assert after[path] == content, f"{path} was overwritten"


attacks = st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 2**32))


@settings(max_examples=300)
@given(attack_of=attacks)
@example(attack_of=("tables of a run", 637))  # a column of targets is gone
@example(attack_of=("tables of a run", 325))  # numbers that only Python reads as such
@example(attack_of=("csv", 35145497))  # a sample without a set
def test_damaged_files_end_in_words(attack_of: tuple[str, int]) -> None:
    attack(*attack_of)


@pytest.mark.slow
@settings(max_examples=5000)
@given(attack_of=attacks)
def test_very_many_damaged_files_end_in_words(attack_of: tuple[str, int]) -> None:
    attack(*attack_of)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_is_not_damaged_is_read(name: str, tmp_path: Path) -> None:
    """So that it is the damage that is refused."""
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        victim = KINDS[name](folder, random.Random(seed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            victim.use(victim.path)
