"""Study files: what is read, what is refused and in which words, what is written back."""

from __future__ import annotations

import math
import os
import tomllib
import traceback
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nepfield.errors import InputError
from nepfield.study.systems.gpe_pumps import SitePumpConfig
from nepfield.study.systems.systems import SYSTEMS, load_study
from nepfield.study.text.config import study_to_toml
from nepfield.study.text.domains import DomainConfig
from nepfield.study.text.study import sections_in
from nepfield.study.text.values import Normal, Pixels, Uniform

FULL = """\
name = "everything"
seed = 7
[domain]
mesh = "meshes/cavity.msh"
order = 1
dirichlet = ["wall"]
robin = { mirror = 0.5, window = [0.0, -1.0] }
allow_disconnected = true
[physics]
system = "gpe"
nonlinearity = "saturation"
g = 0.1
loss = 1
[[absorber]]
region = "edge"
strength = 2.0
[[absorber]]
boundary = "wall"
width = 0.5
strength = 1
[potential]
basis = { pixels = [0.5, 0.25] }
initial = { uniform = [0.1, 0.3] }
bounds = [-2, 2]
imaginary = { initial = -0.1, bounds = [-1, 0] }
trainable = false
rate = 0.1
[[pump]]
center = [1.5, 1]
width = 0.7
weight = [1, -2]
wavevector = [0, 3]
input = 1
trainable = false
[[pump]]
site = [0, 3]
weight = { normal = [0, 1] }
[[pump]]
region = "left"
[readout]
regions = ["output"]
sites = [4, [1, 2]]
[[readout.disc]]
center = [3, 3]
radius = 0.5
[task]
file = "data.npz"
[training]
cost = "cce"
rule = "nep-symmetric"
beta = -0.02
optimizer = "sgd"
rate = 0.5
weight_rate = 0.05
epochs = 0
batch = 4
shuffle = false
compare_every = 10
warm_start = false
[solver]
tolerance = 1e-8
max_iterations = 9
[figures]
enabled = false
"""

SMALL = """\
name = "small"
[domain]
lattice = [9]
[physics]
loss = 0.1
[[pump]]
site = 0
[readout]
sites = [4]
[task]
name = "xor"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "cavity.msh").touch()
    (tmp_path / "data.npz").touch()
    (tmp_path / "full.toml").write_text(FULL)
    (tmp_path / "small.toml").write_text(SMALL)
    return tmp_path


def refusal(path: Path, *overrides: str, seed: int | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_study(path, overrides, seed)
    text = "".join(traceback.format_exception(caught.value))
    message = str(caught.value)
    for jargon in ("pydantic.dev", "type=", "Config", "validation error", "tuple", "dictionary"):
        assert jargon not in message
    assert "ValidationError" not in text
    return message


# --- what is read


def test_every_key_is_read(folder: Path) -> None:
    study = load_study(folder / "full.toml")
    assert study.seed == 7
    assert study.domain.mesh == folder / "meshes" / "cavity.msh"
    assert study.domain.robin == {"mirror": 0.5, "window": -1j}
    assert isinstance(study.domain.robin["mirror"], float)
    assert study.physics.loss == 1.0
    assert isinstance(study.physics.loss, float)
    assert [a.strength for a in study.absorber] == [2.0, 1.0]
    assert study.potential.basis == Pixels(pixels=(0.5, 0.25))
    assert study.potential.initial == Uniform(uniform=(0.1, 0.3))
    assert study.potential.imaginary is not None
    assert study.potential.imaginary.bounds == (-1.0, 0.0)
    spot, point, region = study.pump
    assert spot.weight == 1 - 2j
    assert spot.wavevector == (0.0, 3.0)
    assert point.site == (0, 3)
    assert point.weight == Normal(normal=(0.0, 1.0))
    assert region.weight == 1.0
    assert study.pump_inputs == (1, 1, 2)
    assert study.readout.sites == (4, (1, 2))
    assert study.readout.count == 4
    assert study.task.file == folder / "data.npz"
    assert study.training.beta == -0.02
    assert study.solver.max_iterations == 9
    assert study.figures.enabled is False


def test_defaults(folder: Path) -> None:
    study = load_study(folder / "small.toml")
    assert (study.seed, study.domain.order, study.domain.dirichlet) == (0, 2, None)
    assert (study.potential.basis, study.potential.initial) == ("cells", 0.0)
    assert (study.training.rule, study.training.beta, study.training.batch) == ("nep", 0.01, None)
    assert (study.solver.tolerance, study.solver.max_iterations) == (1e-10, 50)
    assert study.figures.enabled is True
    assert study.pump_inputs == (0,)


def test_no_dirichlet_is_not_absent_dirichlet(folder: Path) -> None:
    study = load_study(folder / "small.toml", ["domain.dirichlet=[]"])
    assert study.domain.dirichlet == ()
    assert "dirichlet = []" in study_to_toml(study, folder)


def test_studies_are_frozen_and_described(folder: Path) -> None:
    study = load_study(folder / "small.toml")
    with pytest.raises(ValueError, match="frozen"):
        study.physics.loss = 2.0
    for kind in SYSTEMS.values():
        for field in kind.model_fields.values():
            assert field.description
            for section in sections_in(field.annotation):
                for inner in section.model_fields.values():
                    assert inner.description


def test_sections_can_be_made_in_python() -> None:
    pump = SitePumpConfig(site=(1, 2), weight=1 + 2j)
    assert pump.weight == 1 + 2j
    assert DomainConfig(lattice=(3, 4)).lattice == (3, 4)


# --- overrides, seed, paths


def test_overrides(folder: Path) -> None:
    study = load_study(
        folder / "full.toml",
        [
            "training.rule=adjoint",  # plain text needs no quotes
            'training.optimizer = "adam"',
            "pump.0.weight=0.5",
            "pump.1.weight={ uniform = [0, 1] }",
            "readout.disc.0.radius=2",
            "domain.robin.mirror=[1, 1]",
            "solver.tolerance=1e-6",
            "physics.g=0.1",
            "physics.g=0.2",  # the last one counts
        ],
    )
    assert study.training.rule == "adjoint"
    assert study.training.optimizer == "adam"
    assert study.pump[0].weight == 0.5
    assert study.pump[1].weight == Uniform(uniform=(0.0, 1.0))
    assert study.readout.disc[0].radius == 2.0
    assert study.domain.robin["mirror"] == 1 + 1j
    assert study.solver.tolerance == 1e-6
    assert study.physics.g == 0.2


def test_override_makes_a_section_that_was_left_out(folder: Path) -> None:
    study = load_study(folder / "small.toml", ["potential.imaginary.initial=-0.5"])
    assert study.potential.imaginary is not None
    assert study.potential.imaginary.initial == -0.5


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.rate", ["section.key=value"]),
        ("=3", ["section.key=value"]),
        ("training..rate=3", ["section.key=value"]),
        ("pump.3.weight=1", ["pump has 3 entries", "'3'"]),
        ("pump.-1.weight=1", ["pump has 3 entries", "'-1'"]),
        ("pump.weight=1", ["pump has 3 entries", "'weight'"]),
        ("seed.x=1", ["seed is 7", "'x'"]),
        ("training.rte=1", ["training.rte", 'did you mean "rate"', "from --set"]),
        ("training.rate=fast", ['training.rate = "fast"', "must be a number", "from --set"]),
        ("name=1\nseed=2", ["name", "folder"]),  # one override sets one key
    ],
)
def test_refused_overrides(folder: Path, override: str, words: list[str]) -> None:
    message = refusal(folder / "full.toml", override)
    assert all(word in message for word in words), message


def test_seed(folder: Path) -> None:
    assert load_study(folder / "full.toml", seed=19).seed == 19
    assert load_study(folder / "full.toml", ["seed=3"]).seed == 3
    assert load_study(folder / "full.toml", ["seed=3"], seed=0).seed == 0
    assert "seed = -1: must be at least 0" in refusal(folder / "full.toml", seed=-1)


def test_paths_count_from_the_study(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = folder / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "study.toml").write_text(FULL.replace("meshes/", "../../meshes/"))
    (deep / "data.npz").touch()
    monkeypatch.chdir(folder / "a")
    study = load_study("b/study.toml")
    assert study.domain.mesh == folder / "meshes" / "cavity.msh"
    assert study.task.file == deep / "data.npz"


def test_missing_files_are_all_named(folder: Path) -> None:
    (folder / "meshes" / "cavity.msh").unlink()
    (folder / "data.npz").unlink()
    (folder / "data.npz").mkdir()
    lines = refusal(folder / "full.toml").splitlines()
    assert len(lines) == 2
    assert f"there is no file {folder / 'meshes' / 'cavity.msh'}" in lines[0]
    assert 'task.file = "data.npz"' in lines[1]


# --- what is refused


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("name=a/b", 'name = "a/b": must be usable as the name of a folder'),
        ("name=''", 'name = "": must be usable as the name of a folder'),
        ("name=3", "name = 3: must be text in quotes"),
        ("seed=1.0", "seed = 1.0: must be a whole number"),
        ("seed=true", "seed = true: must be a whole number"),
        ("domain.order=3", "domain.order = 3: must be 1 or 2"),
        ("domain.order=true", "domain.order = true: must be 1 or 2"),
        ("domain.dirichlet=wall", 'domain.dirichlet = "wall": must be a list'),
        ("domain.dirichlet=['']", 'domain.dirichlet.0 = "": must not be empty'),
        ("domain.robin=[1]", "domain.robin = [1]: must be a table { name = value }"),
        ("domain.robin.a=x", 'domain.robin.a = "x": must be a finite number or [real, imaginary]'),
        ("domain.mesh=3", "domain.mesh = 3: must be a file name in quotes"),
        ("physics.system=bec", 'physics.system = "bec": must be "gpe"'),
        (
            "physics.nonlinearity=kerr",
            'physics.nonlinearity = "kerr": must be "density", "saturation" or "none"',
        ),
        ("physics.g=nan", "physics.g = NaN: must be a finite number"),
        ("physics.g='0.1'", 'physics.g = "0.1": must be a number'),
        ("physics.g=true", "physics.g = true: must be a number"),
        ("physics.loss=0", "physics.loss = 0: must be greater than 0"),
        ("physics.loss=inf", "physics.loss = Infinity: must be a finite number"),
        ("absorber.0.strength=-1", "absorber.0.strength = -1: must be greater than 0"),
        ("absorber.0.width=1", "absorber.0: boundary and width go together"),
        ("absorber.0.boundary=b", "absorber.0: needs exactly one of region, boundary, has region"),
        ("potential.basis=pixel", 'potential.basis = "pixel": must be "cells", "regions", or {'),
        ("potential.basis={pixels=[0, 1]}", "with positive sizes"),
        ("potential.bounds=[2, -2]", "potential.bounds = [2, -2]: must be [low, high] with low <"),
        ("potential.bounds=[0, inf]", "potential.bounds = [0, Infinity]: must be [low, high]"),
        ("potential.initial=3", "potential: initial leaves the bounds [-2.0, 2.0]"),
        ("potential.initial=[0, 3]", "potential: initial leaves the bounds [-2.0, 2.0]"),
        ("potential.initial={uniform=[0, 3]}", "potential: initial leaves the bounds [-2.0, 2.0]"),
        ("potential.imaginary.initial=1", "potential.imaginary: initial leaves the bounds"),
        ("potential.trainable=1", "potential.trainable = 1: must be true or false"),
        ("pump.0.center=[1, 2, 3]", "pump.0.center = [1, 2, 3]: must be [x] or [x, y]"),
        ("pump.0.center=[1]", "pump.0: center and wavevector need the same number"),
        ("pump.0.width=-1", "pump.0.width = -1: must be greater than 0"),
        (
            "pump.0.site=1",
            "pump.0: needs exactly one of center, site, region, cell, grid, has center and site",
        ),
        ("pump.0.input=-1", "pump.0.input = -1: must be at least 0"),
        ("pump.1.site=-1", "pump.1.site = -1: must be a point's index or [iy, ix]"),
        ("pump.1.site=true", "pump.1.site = true: must be a point's index"),
        ("pump.2.width=1", "pump.2: center and width go together"),
        ("pump=[]", "pump = []: nothing drives the wave: add a [[pump]]"),
        ("pump={}", "pump: must be a list of sections: write [[pump]] above each"),
        (
            "pump=[{}]",
            "pump.0: needs exactly one of center, site, region, cell, grid, has none of them",
        ),
        ("readout.sites=[1.5]", "readout.sites.0 = 1.5: must be a point's index"),
        ("readout.disc.0.radius=0", "readout.disc.0.radius = 0: must be greater than 0"),
        ("readout={}", "readout: needs at least one of regions, sites, disc"),
        ("task.name=xor", "task: needs exactly one of name, file, inputs, has name and file"),
        ("task={}", "task: needs exactly one of name, file, inputs, has none of them"),
        ("task={name='nor'}", 'task.name = "nor": must be "xor"'),
        ("task={inputs=[[1]]}", "task: inputs and targets go together"),
        ("task={inputs=[[1], [1, 2]], targets=[[1], [1]]}", "task: inputs needs rows of one leng"),
        ("task={inputs=[], targets=[]}", "task: inputs needs rows of one length, at least one row"),
        ("task={inputs=[[]], targets=[[1]]}", "task: inputs needs rows of one length"),
        ("task={inputs=[[1]], targets=[[1], [2]]}", "task: 1 rows of inputs but 2 of targets"),
        ("task={inputs=[[true]], targets=[[1]]}", "task.inputs.0.0 = true: must be a number"),
        ("task={inputs=[[1, 2]], targets=[[1]]}", "a pump takes input 2 (counted from 0), but"),
        (
            "task={inputs=[[1, 2, 3]], targets=[[1]]}",
            "task.targets has rows of 1, but readout has 4",
        ),
        ("training.cost=mae", 'training.cost = "mae": must be "mse" or "cce"'),
        ("training.rule=bp", 'training.rule = "bp": must be "nep", "nep-symmetric", "nep-linear"'),
        ("training.beta=0", "training.beta = 0: must not be 0"),
        ("training.optimizer=lbfgs", 'training.optimizer = "lbfgs": must be "adam", "sgd" or'),
        ("training.rate=0.0", "training.rate = 0.0: must be greater than 0"),
        ("training.epochs=-1", "training.epochs = -1: must be at least 0"),
        ("training.epochs=1.5", "training.epochs = 1.5: must be a whole number"),
        ("training.batch=0", "training.batch = 0: must be at least 1"),
        ("training.shuffle=yes", 'training.shuffle = "yes": must be true or false'),
        ("solver.tolerance=1", "solver.tolerance = 1: must be less than 1"),
        ("solver.max_iterations=0", "solver.max_iterations = 0: must be at least 1"),
        ("solver=3", "solver = 3: must be a section [solver] with keys of its own"),
        ("figures.enabled='no'", 'figures.enabled = "no": must be true or false'),
    ],
)
def test_refused_values(folder: Path, override: str, line: str) -> None:
    message = refusal(folder / "full.toml", override)
    assert len(message.splitlines()) == 1, message
    assert f"{folder / 'full.toml'}: " in message
    assert line in message


@pytest.mark.parametrize(
    "value",
    [
        "heavy",
        "[1]",
        "[1, 2, 3]",
        "[1, inf]",
        "{ uniform = [1, 0] }",
        "{ normal = [0, 0] }",
        "{ uniform = [0, 1], normal = [0, 1] }",
        "{}",
        "nan",
        "true",
        "1e400",
    ],
)
def test_a_value_of_many_forms_has_one_message(folder: Path, value: str) -> None:
    message = refusal(folder / "full.toml", f"pump.0.weight={value}")
    assert len(message.splitlines()) == 1
    assert "pump.0.weight" in message
    for form in ("a finite number", "[real, imaginary]", "{ uniform = ", "{ normal = "):
        assert form in message


def test_an_integer_too_large_for_a_number_is_refused(folder: Path) -> None:
    assert "pump.0.weight" in refusal(folder / "full.toml", f"pump.0.weight=1{'0' * 400}")
    assert "physics.g" in refusal(folder / "full.toml", f"physics.g=1{'0' * 400}")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("domain.periodic=true", "domain: periodic goes with lattice, not with mesh"),
        ("domain.sites={ a = 1 }", "domain: sites goes with lattice, not with mesh"),
        (
            "domain.lattice=[9]",
            "domain: needs exactly one of mesh, geometry, lattice, has mesh and lattice",
        ),
        ("domain.dirichlet=[mirror]", "must be a list"),
        ("domain.dirichlet=['mirror']", "boundary mirror stands in both dirichlet and robin"),
        ("domain.lattice=[0]", "domain.lattice = [0]: must be [n] or [ny, nx]"),
        ("domain.lattice=[2.5]", "domain.lattice = [2.5]: must be [n] or [ny, nx]"),
        ("domain={}", "domain: needs exactly one of mesh, geometry, lattice, has none of them"),
    ],
)
def test_refused_domains(folder: Path, override: str, line: str) -> None:
    assert line in refusal(folder / "full.toml", override)


def test_classes_need_two_outputs(folder: Path) -> None:
    message = refusal(folder / "small.toml", "training.cost=cce")
    assert "readout needs two outputs or more" in message


@pytest.mark.parametrize("section", ["domain", "physics", "pump", "readout", "task", "name"])
def test_missing_sections(folder: Path, section: str) -> None:
    data = load_toml(SMALL)
    del data[section]
    path = folder / "study.toml"
    path.write_text(tomli_w.dumps(data))
    message = refusal(path)
    assert message.startswith(f"{path}: {section}: is missing (")


def test_unknown_keys_name_the_nearest_and_the_known(folder: Path) -> None:
    path = folder / "study.toml"
    path.write_text(
        SMALL.replace("loss = 0.1", "los = 0.1\nepochs = 3\nqqqq = 1")
        + "[trainin]\nrate = 1\n[unknown]\nlength = '1 um'\n"
    )
    lines = refusal(path).splitlines()
    text = "\n".join(lines)
    assert f"{path}: physics.loss: is missing (loss rate gamma)" in lines
    assert 'physics.los: unknown key, did you mean "loss"?' in text
    assert "known in [physics]: system, nonlinearity, g, loss" in text
    assert "physics.epochs: unknown key, it belongs in [training]" in text
    assert "physics.qqqq: unknown key; known in [physics]" in text
    assert 'trainin: unknown key, did you mean "training"? known outside of the sections' in text
    assert "unknown: unknown key; known outside of the sections: name, seed, units" in text
    assert len(lines) == 6


def test_unknown_key_in_a_list(folder: Path) -> None:
    message = refusal(folder / "full.toml", "pump.1.wieght=1")
    assert 'pump.1.wieght: unknown key, did you mean "weight"? known in [[pump]]: center' in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'name = "a"\nseed = = 3\n', ["not valid TOML", "line 2"]),
        (b"name = 'a'\nname = 'b'\n", ["not valid TOML", "line 2"]),
        (b"seed = 1" + b"0" * 5000, ["not valid TOML"]),
        (b"name = '\xff'", ["not text in UTF-8"]),
        (b"", ["name: is missing", "domain: is missing", "physics: is missing"]),
    ],
)
def test_broken_files(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    message = refusal(path)
    assert all(word in message for word in [str(path), *words]), message


def test_no_file(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "none.toml")
    assert "cannot be read" in refusal(tmp_path)


# --- what is written back


def load_toml(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def same(first: Any, second: Any) -> bool:
    """Equality that tells 1.0 from 1 + 0j: the latter makes a weight complex."""
    return first == second and repr(first) == repr(second)


@pytest.mark.parametrize("name", ["full.toml", "small.toml"])
def test_round_trip(folder: Path, name: str) -> None:
    study = load_study(folder / name)
    run = folder / "runs" / "deep"
    run.mkdir(parents=True)
    text = study_to_toml(study, run)
    (run / "study.toml").write_text(text)
    again = load_study(run / "study.toml")
    assert same(again, study)
    assert study_to_toml(again, run) == text


def test_written_paths_are_relative_and_nothing_is_none(folder: Path) -> None:
    text = study_to_toml(load_study(folder / "full.toml"), folder / "runs" / "x")
    data = load_toml(text)
    assert data["domain"]["mesh"] == "../../meshes/cavity.msh"
    assert data["task"] == {"file": "../../data.npz"}
    assert data["pump"][2] == {"region": "left", "weight": 1.0, "trainable": True}
    assert "bounds = [-2.0, 2.0]" in text


def test_a_tree_that_is_moved_keeps_its_runs(folder: Path) -> None:
    inner = folder / "project"
    inner.mkdir()
    for part in ("meshes", "data.npz", "full.toml"):
        os.replace(folder / part, inner / part)
    run = inner / "runs" / "x"
    run.mkdir(parents=True)
    (run / "study.toml").write_text(study_to_toml(load_study(inner / "full.toml"), run))
    moved = folder / "elsewhere"
    inner.rename(moved)
    study = load_study(moved / "runs" / "x" / "study.toml")
    assert study.domain.mesh == moved / "meshes" / "cavity.msh"


number = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0, exclude_min=True, allow_nan=False, allow_infinity=False)
name = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
pair = st.tuples(number, number).map(list)
limits = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
draws = limits.map(lambda v: {"uniform": v}) | st.tuples(number, positive).map(
    lambda v: {"normal": list(v)}
)
site = st.integers(0, 99) | st.lists(st.integers(0, 99), min_size=2, max_size=2)
pumps = st.fixed_dictionaries(
    {"weight": number | pair | draws},
    optional={"input": st.integers(0, 3), "wavevector": pair, "trainable": st.booleans()},
).flatmap(
    lambda base: (
        site.map(lambda s: base | {"site": s})
        | name.map(lambda r: base | {"region": r})
        | st.tuples(pair, positive).map(lambda c: base | {"center": c[0], "width": c[1]})
    )
)
epochs = st.integers(0, 10**7)
studies = st.fixed_dictionaries(
    {
        "name": st.text("abcäß 01._-", min_size=1, max_size=9).filter(
            lambda n: n.strip() and n not in (".", "..")
        ),
        "seed": st.integers(0, 2**63 - 1),
        "domain": st.fixed_dictionaries(
            {"lattice": st.lists(st.integers(1, 99), min_size=1, max_size=2)},
            optional={
                "dirichlet": st.lists(st.sampled_from(["wall", "[", "a, ]", "b]"]), max_size=3),
                "robin": st.dictionaries(name.map(lambda n: f"r{n}"), number | pair, max_size=2),
                "periodic": st.booleans(),
                "sites": st.dictionaries(name, site, max_size=2),
            },
        ),
        "physics": st.fixed_dictionaries({"loss": positive}, optional={"g": number}),
        "potential": st.fixed_dictionaries(
            {"initial": number | st.lists(number, min_size=1, max_size=3) | draws},
            optional={
                "basis": st.sampled_from(["cells", "regions"])
                | st.lists(positive, min_size=1, max_size=2).map(lambda v: {"pixels": v}),
                "imaginary": st.fixed_dictionaries({}, optional={"initial": number | draws}),
            },
        ),
        "pump": st.lists(pumps, min_size=1, max_size=3),
        "readout": st.fixed_dictionaries(
            {"sites": st.lists(site, min_size=1, max_size=3)},
            optional={"regions": st.lists(name, max_size=2)},
        ),
        "task": st.just({"name": "xor"}),
        "training": st.fixed_dictionaries(
            {},
            optional={
                "beta": number.filter(bool),
                "rate": positive,
                "epochs": epochs,
            },
        ),
    }
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=studies)
def test_any_study_round_trips(tmp_path: Path, data: dict[str, Any]) -> None:
    path = tmp_path / "study.toml"
    path.write_text(tomli_w.dumps(data), encoding="utf-8", newline="\n")
    study = load_study(path)
    text = study_to_toml(study, tmp_path)
    path.write_text(text, encoding="utf-8", newline="\n")
    again = load_study(path)
    assert same(again, study)
    assert math.copysign(1, again.physics.g) == math.copysign(1, study.physics.g)


def test_a_sweep_file_is_not_taken_for_a_study(tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text('study = "study.toml"\nseeds = [0, 1]\n')
    with pytest.raises(InputError, match="this is a sweep file; run it by: nepfield sweep"):
        load_study(tmp_path / "sweep.toml")
