"""Studies of several systems: which keys each has, classes from outside, parameters by name."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
import tomli_w
from pydantic import Field, TypeAdapter, ValidationError
from test_cli import CHAIN, changed, invoke, write_study

import nepfield as nf
from nepfield.errors import InputError
from nepfield.files import START_FILE, STUDY_FILE
from nepfield.learning.optimizers import Adam
from nepfield.learning.state import TrainingState
from nepfield.study.check import check
from nepfield.study.run.build import build
from nepfield.study.run.jobs import solve_study, train_study
from nepfield.study.run.trained import load_run
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.systems.gpe import GPEStudy
from nepfield.study.systems.oscillators import OscillatorStudy
from nepfield.study.systems.systems import SYSTEMS, load_study, study_class
from nepfield.study.text.config import parse_override, study_to_toml
from nepfield.study.text.initial import starting_values
from nepfield.study.text.keys import flat, holds_whole
from nepfield.study.text.kinds import Kind, OneOf
from nepfield.study.text.study import StudyConfig
from nepfield.study.text.values import ScaledNormal

PHASES: dict[str, Any] = {
    "name": "phases",
    "domain": {"graph": "complete", "vertices": 5, "sets": {"input": [0, 1], "output": [4]}},
    "physics": {"system": "oscillators"},
    "task": {"name": "xor", "input_levels": [-1.5, 1.5], "target_levels": [-1.5, 1.5]},
    "training": {"epochs": 3},
    "figures": {"enabled": False},
}

# Springs between heights of vertices, as a user may write it.
OUTSIDE = '''
"""A network whose heights relax to a weighted mean of their neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from nepfield.fields.parameters import Parameter, moved
from nepfield.mesh.domain import Domain
from nepfield.steady.steady import Steady
from nepfield.study.text.sections import ParameterConfig, PhysicsConfig, SetReadoutConfig
from nepfield.study.text.study import StudyConfig
from nepfield.study.text.values import Name, Positive


@dataclass(frozen=True, eq=False)
class Springs:
    domain: Domain
    stiffness: Parameter
    clamped: np.ndarray

    rules = ("ep", "ep-symmetric")
    nudge = "full"
    warm_start = False
    figure_labels = {"stretch": "stretch"}
    driven = "inputs"

    @property
    def ninputs(self):
        return len(self.clamped)

    @property
    def parameters(self):
        return {"stiffness": self.stiffness}

    def with_parameters(self, values):
        return replace(self, **moved(self.parameters, values))

    def equilibrate(self, inputs, nudge=None, initial=None, keys=None, **options):
        n, (i, j) = len(self.domain.points), self.domain.cells.T
        matrix, k = 0.1 * np.eye(n), self.stiffness.values
        np.add.at(matrix, (i, i), k)
        np.add.at(matrix, (j, j), k)
        np.add.at(matrix, (i, j), -k)
        np.add.at(matrix, (j, i), -k)
        free = np.setdiff1d(np.arange(n), self.clamped)
        state = np.zeros((n, len(inputs)))
        state[self.clamped] = inputs.T
        stiff = np.repeat(matrix[np.ix_(free, free)][None], len(inputs), 0)
        force = (matrix @ state)[free]
        if nudge is not None:  # the cost is quadratic
            stiff = stiff + nudge.stiffness(state)[:, free][:, :, free]
            force = force + nudge.force(state)[free]
        state[free] = -np.linalg.solve(stiff, force.T[..., None])[..., 0].T
        count = len(inputs)
        done = np.ones(count, bool)
        return Steady(state, done, np.zeros(count), np.ones(count, int), ("converged",) * count)

    def observables(self, state, inputs, free, keys=None):
        i, j = self.domain.cells.T
        return {"stiffness": 0.5 * (state[i] - state[j]) ** 2}

    def respond(self, kind, free, nudge, inputs):
        raise AssertionError("ep and ep-symmetric ask for no response")

    def figures(self, steady, inputs, response=None):
        i, j = self.domain.cells.T
        return {"stretch": np.abs(steady.state[i] - steady.state[j]).mean(axis=0)}

    def fields(self, state, inputs, gradient=None):
        return []

    def marks(self):
        return []

    def advice(self, history, summary):
        return []


class SpringPhysics(PhysicsConfig):
    """Which heights are the inputs."""

    clamp: Name = Field(default="input", description="set of vertices whose heights are given")


class Stiffness(ParameterConfig):
    """How stiff the springs are."""

    initial: Positive = Field(default=1.0, description="of each spring")


class SpringStudy(StudyConfig):
    """A study of springs."""

    physics: SpringPhysics = Field(description="which heights are the inputs")
    stiffness: Stiffness = Field(default=Stiffness(), description="of the springs")
    readout: SetReadoutConfig = Field(default=SetReadoutConfig(), description="which are read")

    @classmethod
    def rules(cls):
        return Springs.rules

    @classmethod
    def costs(cls):
        return ("mse",)

    def build_system(self, domain, begun, sources):
        stiffness = self.parameter("stiffness", "edge", domain, begun, sources)
        return Springs(domain, stiffness, domain.region(self.physics.clamp))


class Other:
    """No study."""
'''

SPRINGS: dict[str, Any] = {
    "name": "springs",
    "domain": {"graph": "layered", "layers": [2, 3, 1]},
    "physics": {"system": "springs.py:SpringStudy"},
    "stiffness": {"bounds": [0.1, 10.0], "rate": 0.5},
    "task": {"inputs": [[0, 1], [1, 0]], "targets": [[0.2], [0.6]]},
    "training": {"epochs": 6},
    "figures": {"enabled": False},
}


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load_study(path, overrides)
    return str(caught.value)


@pytest.fixture
def springs(tmp_path: Path) -> Path:
    (tmp_path / "springs.py").write_text(OUTSIDE)
    return write_study(tmp_path, SPRINGS)


# ---------------------------------------------------------------- each system has its own keys


def test_the_system_decides_the_class(tmp_path: Path) -> None:
    assert type(load_study(write_study(tmp_path, CHAIN))) is GPEStudy
    assert type(load_study(write_study(tmp_path, CHAIN, physics__system="gpe"))) is GPEStudy
    study = load_study(write_study(tmp_path, PHASES))
    assert type(study) is OscillatorStudy
    assert study.training.cost == "log-cosine"
    assert (study.training.rule, study.training.beta) == ("ep", 0.1)
    assert (study.training.optimizer, study.training.rate) == ("sgd", 0.1)
    assert study.training.warm_start is False
    assert SYSTEMS["oscillators"] is OscillatorStudy


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "coupling.ratee=1",
            ['did you mean "rate"', "known in [coupling]: initial, bounds, train"],
        ),
        ("physics.loss=0.1", ["physics.loss: unknown key", "known in [physics]: system, clamp"]),
        ("domain.order=1", ["domain.order: unknown key", "known in [domain]: mesh, geometry"]),
        ("potential.initial=0", ["potential: unknown key", "coupling, bias, bias_phase"]),
        ("pump=[]", ["pump: unknown key", "coupling, bias, bias_phase"]),
        ("weight=1", ["weight: unknown key"]),
        ("readout.sites=[0]", ["readout.sites: unknown key", "known in [readout]: sets"]),
        ("training.weight_rate=1", ["training.weight_rate: unknown key"]),
        ("training.rule=nep", ['must be "ep", "ep-symmetric" or "adjoint" (rule that']),
        ("training.cost=cce", ['training.cost = "cce": must be "log-cosine" or "mse"']),
        ("readout.sets=[]", ["readout.sets = []"]),
        ("coupling.initial={ scaled_normal = 0 }", ["{ scaled_normal = s } with s > 0"]),
        ("coupling={ initial = 3, bounds = [0, 1] }", ["coupling: initial leaves the bounds"]),
        ("units={ length = '1 um', mass = '1e-4 m_e' }", ["oscillators has no physical units"]),
        ("training.gain=2", ['gain goes with cost = "cce"']),
        ("training.epsilon=1e-3", ['epsilon goes with optimizer = "adam"']),
    ],
)
def test_wrong_keys_are_told_those_of_the_system(
    tmp_path: Path, override: str, words: list[str]
) -> None:
    message = refusal(write_study(tmp_path, PHASES), override)
    assert all(word in message for word in words), message
    assert "pump" not in message.removeprefix(str(tmp_path)) or override.startswith("pump")
    assert len(message.splitlines()) == 1


def test_an_unknown_system_is_told_those_there_are(tmp_path: Path) -> None:
    path = write_study(tmp_path, PHASES)
    message = refusal(path, "physics.system=bec")
    assert message.startswith(f'{path}: physics.system = "bec": must be "gpe", "oscillators", ')
    assert message.endswith("(from --set)")
    assert '"file.py:Name" or "package.module:Name"' in message
    assert "physics.system = 3: must be" in refusal(path, "physics.system=3")


def test_an_oscillator_study_round_trips(tmp_path: Path) -> None:
    changes = {
        "coupling": {"initial": {"scaled_normal": 0.7}, "rate": 0.3, "bounds": [-3, 3]},
        "bias": {"initial": [0.1, 0.2, 0.3, 0.4, 0.5], "trainable": False},
        "solver__method": "flow",
        "domain__graph_seed": 3, "domain__graph": "random-geometric", "domain__radius": 2.0,
        "training__per_class": 2, "training__starts": 3, "training__average": 20,
        "task__validation": 0.25,
    }  # fmt: skip
    study = load_study(write_study(tmp_path, PHASES, **changes))
    text = study_to_toml(study, tmp_path)
    (tmp_path / "again.toml").write_text(text)
    again = load_study(tmp_path / "again.toml")
    assert again == study
    assert study_to_toml(again, tmp_path) == text
    assert list(tomllib.loads(text))[:6] == [
        "name", "seed", "domain", "physics", "coupling", "bias",
    ]  # fmt: skip
    assert study.rates() == {"coupling": 0.3}
    assert study.solver_options()["method"] == "flow"


def test_an_oscillator_study_is_built_and_checked(tmp_path: Path) -> None:
    path = write_study(tmp_path, PHASES)
    study = build(load_study(path))
    assert {name: len(p) for name, p in study.system.parameters.items()} == {
        "coupling": 10, "bias": 5, "bias_phase": 5,
    }  # fmt: skip
    assert study.task.inputs.tolist()[1] == [-1.5, 1.5]
    assert study.cost.readout.noutputs == 1
    said = check(path)
    assert "study 'phases': oscillators" in said
    assert "10 values of coupling (trained), 5 values of bias (trained)" in said
    assert "ready: nepfield train runs it" in said
    summary = train_study(load_study(path), tmp_path / "run")
    assert summary["status"] == "finished"
    assert summary["unknowns"] == 5
    assert summary["warnings"] == []
    assert "weights" not in summary


# ---------------------------------------------------------------- classes from outside


def test_a_class_in_a_file_beside_the_study(springs: Path) -> None:
    study = load_study(springs)
    assert type(study).__name__ == "SpringStudy"
    assert isinstance(study, StudyConfig)
    assert study.physics.system == springs.with_name("springs.py:SpringStudy")
    assert (study.training.cost, study.training.rule) == ("mse", "ep")
    assert type(load_study(springs)) is type(study)  # the file is read once
    deep = springs.parent / "a" / "b"
    deep.mkdir(parents=True)
    text = study_to_toml(study, deep)
    assert tomllib.loads(text)["physics"]["system"] == "../../springs.py:SpringStudy"
    (deep / STUDY_FILE).write_text(text)
    assert load_study(deep / STUDY_FILE) == study


def test_it_is_trained_resumed_solved_and_handed_on(springs: Path) -> None:
    folder = springs.parent
    whole = train_study(load_study(springs), folder / "whole")
    assert whole["cost"] < load_and_solve(springs)["cost"]
    train_study(load_study(springs, ["training.epochs=2"]), folder / "run")
    train_study(load_study(springs), folder / "run", resume=True)
    ends = [TrainingState.load(folder / n / "checkpoint.npz").parameters for n in ("whole", "run")]
    assert np.array_equal(ends[0]["stiffness"], ends[1]["stiffness"])
    solved = solve_study(load_run(folder / "run"), folder / "solved", folder / "run")
    assert solved["cost"] == pytest.approx(whole["cost"])
    for command in (["check", str(springs)], ["solve", str(folder / "run"), "--out", "x"]):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            result = invoke(*command)
        assert result.exit_code == 0, result.output


def load_and_solve(path: Path) -> dict:
    return solve_study(load_study(path), path.parent / "start")


def test_wrong_keys_of_an_outside_study(springs: Path) -> None:
    message = refusal(springs, "stiffness.bound=[0, 1]")
    assert 'did you mean "bounds"? known in [stiffness]: initial, bounds, trainable' in message
    assert 'must be "ep" or "ep-symmetric"' in refusal(springs, "training.rule=adjoint")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.py:SpringStudy", ["cannot be read", "nowhere.py"]),
        ("springs.py:Missing", ["there is no class 'Missing'"]),
        ("springs.py:Other", ["is no class of studies"]),
        ("broken.py:Study", ["broken.py: cannot be imported: ZeroDivisionError"]),
        ("no.such.package:Study", ["no.such.package: cannot be imported: ModuleNotFoundError"]),
        ("nepfield.errors:InputError", ["is no class of studies"]),
    ],
)
def test_classes_that_cannot_be_used(springs: Path, name: str, words: list[str]) -> None:
    springs.with_name("broken.py").write_text("1 / 0\n")
    message = refusal(springs, f"physics.system={name}")
    assert all(word in message for word in words), message
    assert "physics.system" in message
    assert len(message.splitlines()) == 1


def test_a_class_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").touch()
    (tmp_path / "lab" / "springs_of_lab.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)
    path = write_study(tmp_path, SPRINGS, physics__system="lab.springs_of_lab:SpringStudy")
    study = load_study(path)
    assert type(study) is sys.modules["lab.springs_of_lab"].SpringStudy
    assert tomllib.loads(study_to_toml(study, tmp_path / "deep"))["physics"]["system"] == (
        "lab.springs_of_lab:SpringStudy"
    )
    assert build(study).system.ninputs == 2


def test_a_file_that_has_changed_is_read_again(
    springs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a second, by one character: bytecode of the older file would be taken for it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    first = type(load_study(springs))
    source = springs.with_name("springs.py")
    when = source.stat().st_mtime_ns
    source.write_text(OUTSIDE.replace("default=1.0", "default=2.0"))
    os.utime(source, ns=(when, when))
    second = load_study(springs)
    assert type(second) is not first
    assert second.stiffness.initial == 2.0


def test_a_sweep_knows_the_keys_of_the_system(springs: Path) -> None:
    path = springs.with_name("sweep.toml")
    text = (
        'study = "study.toml"\n[set.training]\nrate = 0.1\n[grid]\n"stiffness.initial" = [1, 2]\n'
    )
    path.write_text(text)
    sweep = load_sweep(path)
    assert sweep.kind.__name__ == "SpringStudy"
    assert [sweep.config(case).stiffness.initial for case in sweep.cases] == [1.0, 2.0]
    path.write_text('study = "study.toml"\n[grid]\n"physics.system" = ["gpe", "oscillators"]\n')
    with pytest.raises(InputError, match=r"physics\.system is no key to sweep"):
        load_sweep(path)


def test_workers_of_a_sweep_find_the_class(springs: Path) -> None:
    path = springs.with_name("sweep.toml")
    path.write_text('study = "study.toml"\n[grid]\n"stiffness.initial" = [0.5, 1, 2]\n')
    out = springs.with_name("out")
    result = invoke("sweep", str(path), "--workers", "2", "--out", str(out), "--quiet")
    assert result.exit_code == 0, result.output
    rows = (out / "results.csv").read_text().splitlines()
    assert len(rows) == 4
    assert all(",finished," in row for row in rows[1:])
    config = load_run(out / "cases" / "2-initial-2")
    assert config.physics.system == springs.with_name("springs.py:SpringStudy")
    assert config.stiffness.initial == 2.0


def test_values_in_a_table_are_no_sections(tmp_path: Path) -> None:
    kind = study_class(PHASES, tmp_path / STUDY_FILE)
    given = {"coupling": {"initial": {"scaled_normal": 1.0}, "rate": 2.0}}
    assert flat(given, kind) == {
        "coupling.initial": {"scaled_normal": 1.0}, "coupling.rate": 2.0,
    }  # fmt: skip
    assert holds_whole("domain.vertices", kind)
    assert not holds_whole("coupling.rate", kind)


# ---------------------------------------------------------------- parameters by name


def test_starting_values_belong_to_the_name(tmp_path: Path) -> None:
    """Whatever else a study has: what one section says moves no other parameter."""
    first = build(load_study(write_study(tmp_path, PHASES))).system.parameters
    other = write_study(tmp_path, PHASES, coupling={"initial": 0.1}, bias={"initial": 0.2})
    second = build(load_study(other)).system.parameters
    assert np.array_equal(first["bias_phase"].values, second["bias_phase"].values)
    assert np.ptp(first["coupling"].values) > 0
    assert np.array_equal(second["coupling"].values, np.full(10, 0.1))
    seeded = build(load_study(write_study(tmp_path, PHASES), seed=1)).system.parameters
    assert not np.array_equal(first["bias"].values, seeded["bias"].values)


def test_scaled_normal_values_go_by_the_layers(tmp_path: Path) -> None:
    layers = {"graph": "layered", "layers": [64, 20, 10], "sets": {"input": list(range(64))}}
    path = write_study(
        tmp_path, PHASES | {"domain": layers}, coupling={"initial": {"scaled_normal": 1.0}},
        task={"name": "digits8", "train_per_class": 2},
    )  # fmt: skip
    values = build(load_study(path)).system.parameters["coupling"].values
    first, second = values[: 64 * 20], values[64 * 20 :]
    assert first.std() == pytest.approx(84**-0.5, rel=0.05)
    assert second.std() == pytest.approx(30**-0.5, rel=0.12)
    assert abs(first.mean()) < 0.01
    message = refusal(path, "potential.initial={ scaled_normal = 1 }")
    assert "potential: unknown key" in message
    with pytest.raises(InputError, match="edges of a graph"):
        starting_values(ScaledNormal(scaled_normal=1.0), 3, (0,))
    with pytest.raises(InputError, match=r"bias\.initial: scaled_normal is for a parameter on the"):
        build(load_study(path, ["bias.initial={ scaled_normal = 1 }"]))


def test_values_of_another_run_are_found_by_name(tmp_path: Path) -> None:
    path = write_study(tmp_path, PHASES)
    train_study(load_study(path), tmp_path / "run")
    trained = TrainingState.load(tmp_path / "run" / "checkpoint.npz").parameters
    again = write_study(tmp_path, PHASES, coupling={"initial": "run"}, bias={"initial": "run"})
    config = load_study(again)
    assert config.runs() == {tmp_path / "run"}
    parameters = build(config).system.parameters
    assert np.array_equal(parameters["coupling"].values, trained["coupling"])
    assert np.array_equal(parameters["bias"].values, trained["bias"])
    assert not np.array_equal(parameters["bias_phase"].values, trained["bias_phase"])
    # and kept by name, so the other run may go
    train_study(config, tmp_path / "second")
    with np.load(tmp_path / "second" / START_FILE) as kept:
        assert set(kept.files) == {"coupling", "bias", "bias_phase"}
        start = kept["coupling"]
    shutil.rmtree(tmp_path / "run")
    back = build(load_run(tmp_path / "second"), None, tmp_path / "second").system
    assert np.array_equal(back.parameters["coupling"].values, start)


def test_a_run_that_has_no_such_values(tmp_path: Path) -> None:
    train_study(load_study(write_study(tmp_path, CHAIN)), tmp_path / "wave")
    path = write_study(tmp_path, PHASES, coupling={"initial": "wave"})
    with pytest.raises(InputError) as caught:
        build(load_study(path))
    for words in ("coupling.initial: ", "wave: this run has no parameter 'coupling'", "potential"):
        assert words in str(caught.value)
    train_study(load_study(write_study(tmp_path, PHASES)), tmp_path / "small")
    larger = changed(PHASES, {"domain.vertices": 6, "coupling": {"initial": "small"}})
    with pytest.raises(InputError, match="10 values of coupling and the study 15"):
        build(load_study(write_study(tmp_path, larger)))
    of_phases = write_study(tmp_path, CHAIN, potential__initial="small")
    with pytest.raises(
        InputError, match=r"potential\.initial: .* of another system \(oscillators\)"
    ):
        build(load_study(of_phases))
    bounded = write_study(tmp_path, PHASES, coupling={"initial": "small", "bounds": [-0.1, 0.1]})
    with pytest.raises(InputError, match=r"leave the bounds \[-0.1, 0.1\]; widen them"):
        build(load_study(bounded))


def test_a_start_of_version_0_1_is_read(tmp_path: Path) -> None:
    """It has V and the weights under the names that they still have."""
    train_study(load_study(write_study(tmp_path, CHAIN)), tmp_path / "first")
    path = write_study(tmp_path, CHAIN, potential__initial="first", pump__0__weight="first")
    train_study(load_study(path), tmp_path / "run")
    with np.load(tmp_path / "run" / START_FILE) as kept:
        assert set(kept.files) == {"potential", "weights"}
        weights = kept["weights"]
    np.savez(tmp_path / "run" / START_FILE, potential=np.full(7, 0.25), weights=weights)
    system = build(load_run(tmp_path / "run"), None, tmp_path / "run").system
    assert np.array_equal(system.potential.values, np.full(7, 0.25))


def test_nothing_to_train_names_the_sections(tmp_path: Path) -> None:
    fixed = {name: {"trainable": False} for name in ("coupling", "bias", "bias_phase")}
    with pytest.raises(InputError, match=r"coupling\.trainable or bias\.trainable or bias_phase"):
        build(load_study(write_study(tmp_path, PHASES, **fixed)))


# ---------------------------------------------------------------- kinds


class Ring(Kind):
    key: ClassVar[str] = "ring"
    along: ClassVar[tuple[str, ...]] = ("thickness",)
    ring: float = Field(description="radius")
    thickness: float = Field(description="thickness")


class Spot(Kind):
    key: ClassVar[str] = "spot"
    spot: int = Field(description="place")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "needs exactly one of ring, spot, has none of them"),
        ({"ring": 1.0, "thickness": 1.0, "spot": 1}, "has ring and spot"),
        ({"ring": 1.0}, "ring and thickness go together; a spot takes neither"),
        ({"spot": 1, "thickness": 1.0}, "ring and thickness go together; a spot takes neither"),
        (3, "valid dictionary"),
    ],
)
def test_a_section_is_of_one_kind(given: Any, says: str) -> None:
    kinds: TypeAdapter[Any] = TypeAdapter(Annotated[Ring | Spot, OneOf()])
    assert kinds.validate_python({"ring": 1.0, "thickness": 2.0}) == Ring(ring=1, thickness=2)
    assert kinds.validate_python(Spot(spot=3)) == Spot(spot=3)
    with pytest.raises(ValidationError, match=says):
        kinds.validate_python(given)


# ---------------------------------------------------------------- common keys


@pytest.mark.parametrize(
    ("domain", "says"),
    [
        ({"graph": "complete"}, 'domain: graph = "complete" needs vertices'),
        ({"graph": "layered", "vertices": 3}, 'vertices goes with graph = "complete" or "random'),
        ({"graph": "star"}, 'domain.graph = "star": must be "complete", "layered", "random-geom'),
        ({"lattice": [5], "radius": 1.0}, 'radius goes with graph = "random-geometric"'),
        ({"graph": "complete", "vertices": 3, "lattice": [3]}, "has graph and lattice"),
        ({"graph": "complete", "vertices": 3, "sets": {"a": [-1]}}, "domain.sets.a.0 = -1"),
    ],
)
def test_refused_graphs(tmp_path: Path, domain: dict[str, Any], says: str) -> None:
    assert says in refusal(write_study(tmp_path, PHASES | {"domain": domain}))


@pytest.mark.parametrize(
    ("domain", "count"),
    [
        ({"graph": "complete", "vertices": 6}, 6),
        ({"graph": "layered", "layers": [2, 3, 1]}, 6),
        ({"graph": "random-geometric", "vertices": 12, "radius": 9.0, "graph_seed": 2}, 12),
        ({"graph": "delaunay", "vertices": 9}, 9),
        ({"graph": "hypercube", "dimension": 3}, 8),
        ({"lattice": [2, 3], "sites": {"corner": [0, 0]}}, 6),
    ],
)
def test_every_kind_of_graph_with_named_sets(
    tmp_path: Path, domain: dict[str, Any], count: int
) -> None:
    path = write_study(tmp_path, PHASES | {"domain": domain | {"sets": {"input": [3, 1]}}})
    found = load_study(path, ["readout.sets=['input']"]).build_domain()
    assert len(found.points) == count
    assert found.region("input").tolist() == [1, 3]


def test_sets_of_a_mesh_file(tmp_path: Path) -> None:
    nf.write_domain(nf.lattice(6), tmp_path / "chain.vtu")
    path = write_study(tmp_path, PHASES | {"domain": {"mesh": "chain.vtu", "sets": {"a": [5, 0]}}})
    assert load_study(path).build_domain().region("a").tolist() == [0, 5]
    with pytest.raises(InputError, match="a"):
        load_study(path, ["domain.sets.a=[6]"]).build_domain()
    of_mesh = write_study(tmp_path, CHAIN | {"domain": {"mesh": "interval.msh"}})
    with pytest.raises(InputError, match="is no graph; name regions of a mesh in its file"):
        load_study(of_mesh, ["domain.sets.a=[1]"]).build_domain()


def test_levels_and_shares_of_a_task(tmp_path: Path) -> None:
    rows = [[k / 10] for k in range(10)]
    task = {
        "inputs": rows, "targets": rows, "input_levels": [-1, 1], "target_levels": [2, 1],
        "validation": 0.2, "test": 0.3,
    }  # fmt: skip
    data = changed(CHAIN, {"task": task, "pump": [{"site": 1}]})
    config = load_study(write_study(tmp_path, data))
    sets = build(config).task.sets()
    assert {name: len(inputs) for name, (inputs, _) in sets.items()} == {
        "train": 5, "validation": 2, "test": 3,
    }  # fmt: skip
    everything = np.concatenate([np.column_stack(pair) for pair in sets.values()])
    assert np.sort(everything[:, 0]) == pytest.approx(np.linspace(-1, 0.8, 10))
    assert everything[:, 1] == pytest.approx(2 - (everything[:, 0] + 1) / 2)
    assert build(config).task.inputs.tolist() == build(config).task.inputs.tolist()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("task.input_levels=[1, 1]", "task.input_levels = [1, 1]: must be [for 0, for 1], two"),
        ("task.validation=1", "task.validation = 1: must be less than 1"),
        ("task.test=-0.1", "task.test = -0.1: must be at least 0"),
        ("task.train_per_class=3", 'task: train_per_class goes with name = "digits8"'),
        ("task.source=.", 'task: source goes with name = "mnist"'),
        (
            "task.resize=[3, 0]",
            "task.resize = [3, 0]: must be [rows, columns], whole numbers from 1",
        ),
        ("task.standardise=both", 'task.standardise = "both": must be "all" or "each"'),
        ("task.classes=[1]", "task.classes = [1]: "),
        ("training.starts=0", "training.starts = 0: must be at least 1"),
        ("training.evaluate_every=-1", "training.evaluate_every = -1: must be at least 0"),
    ],
)
def test_refused_tasks_and_trainings(tmp_path: Path, override: str, says: str) -> None:
    assert says in refusal(write_study(tmp_path, CHAIN), override)


def test_the_gain_is_that_of_the_cost_and_has_a_unit(tmp_path: Path) -> None:
    classes = changed(CHAIN, {
        "readout.sites": [3, 4], "training.cost": "cce", "training.gain": 3.0,
        "training.epsilon": 1e-3,
        "task": {"inputs": [[0, 1], [1, 0]], "targets": [[0, 1], [1, 0]]},
    })  # fmt: skip
    study = build(load_study(write_study(tmp_path, classes)))
    assert study.cost.gain == 3.0
    assert isinstance(study.optimizer, Adam)
    assert study.optimizer.epsilon == 1e-3
    units = {"units": {"length": "2 um", "mass": "1e-4 m_e"}}
    path = write_study(tmp_path, classes | units, training__gain="12 um^2")
    assert load_study(path).training.gain == pytest.approx(3.0)
    assert "is an energy, but needs length^d" in refusal(path, "training.gain=1 meV")


def test_one_parser_of_overrides() -> None:
    assert parse_override("training.rate = 0.5") == ("training.rate", 0.5)
    assert parse_override("name=a=b") == ("name", "a=b")
    assert parse_override("pump.0.weight=[1, 2]") == ("pump.0.weight", [1, 2])
    for wrong in ("rate", "=1", "a..b=1"):
        with pytest.raises(InputError, match=r"must be section\.key=value"):
            parse_override(wrong)


def test_study_files_of_the_repository_are_valid() -> None:
    for path in sorted((Path(__file__).parents[1] / "studies").glob("*/study.toml")):
        data = tomllib.loads(path.read_text())
        config = load_study(path)
        assert config.name == data["name"]
        tomli_w.dumps(tomllib.loads(study_to_toml(config, path.parent)))
