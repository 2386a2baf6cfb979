"""Backgrounds, biases, plane waves over regions, training in regions, and keys taken away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import MESHES
from typer.testing import CliRunner

import nepfield as nf
from nepfield.cli import app
from nepfield.errors import InputError
from nepfield.fields.formulas import evaluate_formula
from nepfield.study.run.build import build
from nepfield.study.systems.systems import load_study

LINE = f"""
name = "line"
seed = 3
[domain]
mesh = "{MESHES / "interval.msh"}"
[physics]
g = 0.1
loss = 0.1
[potential]
initial = {{ uniform = [-0.1, 0.1] }}
[[pump]]
center = [2.0]
width = 0.6
[[pump]]
center = [6.0]
width = 0.6
[readout]
regions = ["output"]
[task]
name = "xor"
[training]
epochs = 2
"""


def load(folder: Path, *overrides: str, text: str = LINE) -> Any:
    (folder / "study.toml").write_text(text)
    return load_study(folder / "study.toml", overrides)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


# ---------------------------------------------------------------- keys taken away


def test_a_key_without_a_value_is_taken_away(tmp_path: Path) -> None:
    with_bounds = "potential.bounds=[-1, 1]"
    assert load(tmp_path, with_bounds).potential.bounds == (-1, 1)
    assert load(tmp_path, with_bounds, "potential.bounds=").potential.bounds is None
    assert len(load(tmp_path, "pump.1=", "task.name=", "task.inputs=[[1]]",
                    "task.targets=[[0.1]]").pump) == 1  # fmt: skip
    assert load(tmp_path, "potential=").potential.initial == 0
    with pytest.raises(InputError, match="loss: is missing"):
        load(tmp_path, "physics.loss=")
    with pytest.raises(InputError, match="is none of them"):
        load(tmp_path, "pump.7=")


def test_keys_that_exclude_each_other_say_how_to_choose(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"to choose domain.lattice add --set domain.mesh="):
        load(tmp_path, "domain.lattice=[9]")
    with pytest.raises(InputError, match=r"to choose domain.graph add --set domain.mesh="):
        load(tmp_path, 'domain.graph="complete"', "domain.vertices=5")
    with pytest.raises(InputError, match=r"to choose pump.0.region add --set pump.0.center="):
        load(tmp_path, "pump.0.region=output")
    with pytest.raises(InputError, match=r"to choose task.inputs add --set task.name="):
        load(tmp_path, "task.inputs=[[0, 1]]", "task.targets=[[1]]")
    chosen = load(
        tmp_path, "pump.0.region=output", "pump.0.center=", "pump.0.width="
    )  # as the message says
    assert chosen.pump[0].region == "output"
    swapped = load(
        tmp_path, "domain.mesh=", "domain.lattice=[9]", "pump.0.site=1", "pump.0.center=",
        "pump.0.width=", "pump.1.site=5", "pump.1.center=", "pump.1.width=",
        "readout.regions=", "readout.sites=[3]",
    )  # fmt: skip
    assert swapped.domain.lattice == (9,)


@pytest.mark.slow
def test_a_sweep_takes_keys_away_too(tmp_path: Path) -> None:
    load(tmp_path, text=LINE.replace("[[pump]]", "[[pump]]\nweight = 0.5", 1))
    (tmp_path / "sweep.toml").write_text('study = "study.toml"\n[grid]\n"physics.g" = [0.0, 0.1]\n')
    done = invoke("sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "s"), "--quiet",
                  "--workers", "1", "--set", "pump.0.weight=")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert nf.open_sweep(tmp_path / "s").run(0).config.pump[0].weight == 1


# ---------------------------------------------------------------- pumps


@pytest.fixture(scope="module")
def plane() -> nf.Space:
    return nf.finite_elements(nf.read_domain(MESHES / "billiard.msh"), order=2)


def test_a_plane_wave_over_a_region(plane: nf.Space) -> None:
    k = [1.5, -0.5]
    pump = nf.region_pump("output", wavevector=k)
    inside = np.zeros(len(plane.elements), dtype=bool)
    inside[plane.domain.region("output")] = True
    wanted = inside[plane.element_of_point] * np.exp(1j * plane.points @ k)
    assert pump.profile(plane) == pytest.approx(wanted)
    assert pump.shape is not None
    assert pump.shape(plane)["arrow"] == k
    with pytest.raises(InputError, match="pump wavevector"):
        nf.region_pump("output", wavevector=[1.0]).profile(plane)


def test_a_study_with_a_plane_wave_over_a_region(tmp_path: Path) -> None:
    chosen = ("pump.0.region=output", "pump.0.center=", "pump.0.width=")
    config = load(tmp_path, *chosen, "pump.0.wavevector=[2.0]")
    study = build(config)
    assert np.abs(np.imag(study.system.pumps.load[:, [0]])).max() > 0
    (length,) = [x for x in config.pump[0].lengths(study.system.space)]
    assert length[:2] == ("pump wavelength", pytest.approx(np.pi))
    text = (
        LINE.replace(f'mesh = "{MESHES / "interval.msh"}"', "lattice = [9]")
        .replace("center = [2.0]\nwidth = 0.6", "site = 1\nwavevector = [1.0]")
        .replace("center = [6.0]\nwidth = 0.6", "site = 7")
        .replace('regions = ["output"]', "sites = [3]")
    )
    config = load(tmp_path, text=text)
    with pytest.raises(InputError, match="wavevector goes with"):
        build(config)


def test_a_constant_pump_is_on_whatever_the_inputs_are() -> None:
    space = nf.graph(nf.lattice(9))
    bias = nf.site_pump(0, 0.7, constant=True)
    system = nf.GPE(space, 0.3, [bias, nf.site_pump(2, 0.5), nf.site_pump(6)], nf.Density(0.1), 0.1)
    assert system.ninputs == 2
    assert system.pumps.input.tolist() == [-1, 0, 1]
    inputs = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, -1.0]])
    drive = system.drive(inputs)
    assert drive[0] == pytest.approx([0.7] * 3)
    assert drive[2] == pytest.approx(0.5 * inputs[:, 0])
    assert drive[6] == pytest.approx(inputs[:, 1])
    # the same device with an input that is always 1
    driven = nf.GPE(space, 0.3, [nf.site_pump(0, 0.7, input=2), nf.site_pump(2, 0.5, input=0),
                                 nf.site_pump(6, input=1)], nf.Density(0.1), 0.1)  # fmt: skip
    cost, targets = nf.MSE(nf.readout(space, sites=[4])), np.full((3, 1), 0.2)
    wide = np.column_stack([inputs, np.ones(3)])
    for rule in ("nep", "adjoint"):
        first = nf.gradient(system, cost, inputs, targets, rule)
        second = nf.gradient(driven, cost, wide, targets, rule)
        assert first.cost == pytest.approx(second.cost)
        for name, values in first.params.items():
            assert values == pytest.approx(second.params[name], rel=1e-6, abs=1e-12), (rule, name)
    marks = {mark.input for mark in system.marks()}
    assert marks == {None, 0, 1}
    with pytest.raises(InputError, match="it is constant"):
        nf.GPE(space, pumps=[nf.site_pump(0, constant=True, input=1)])


def test_a_study_with_a_bias(tmp_path: Path) -> None:
    third = "[[pump]]\ncenter = [4.0]\nwidth = 0.5\nweight = 0.4\nconstant = true\n[readout]"
    config = load(tmp_path, text=LINE.replace("[readout]", third))
    assert config.pump_inputs == (0, 1, -1)
    study = build(config)
    assert study.system.ninputs == 2
    result = study.train()
    assert result.final.outputs[0, 0] > 0  # both inputs are 0 there
    with pytest.raises(InputError, match="a constant pump takes no input"):
        load(tmp_path, "pump.2.input=0", text=LINE.replace("[readout]", third))


# ---------------------------------------------------------------- backgrounds


def test_formulas() -> None:
    points = np.array([[1.0, 2.0], [0.5, -1.0]])
    x, y = points.T
    for text, values in (
        ("0.1*(x^2 + y**2)", 0.1 * (x**2 + y**2)),
        ("-2", -2 * np.ones(2)),
        ("where(hypot(x, y) < 2, sin(pi*x), max(x, y))",
         np.where(np.hypot(x, y) < 2, np.sin(np.pi * x), np.maximum(x, y))),
        ("exp(-x)/2 - abs(y)", np.exp(-x) / 2 - np.abs(y)),
    ):  # fmt: skip
        assert evaluate_formula(text, points) == pytest.approx(values)


@pytest.mark.parametrize(
    "text",
    ["", "x +", "z", "__import__('os')", "x.real", "open(1)", "(lambda: 1)()", "[1, 2]", "1/0*x",
     "log(-1)", "'x'", "True", "x if x else y", "9**9**9**9", "sin(x, y)", "x" * 2000,
     "(" * 500 + "x" + ")" * 500, "x < y < 1", "sqrt(x=1)", "10**400", "f'{x}'", "x := 2"],
)  # fmt: skip
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="formula"):
        evaluate_formula(text, np.array([[1.0, 2.0]]))


def test_fixed_parts_of_the_potential(tmp_path: Path) -> None:
    cells = 64
    np.save(tmp_path / "v.npy", np.linspace(0, 1, cells))
    sections = (
        '[[background]]\nregion = "output"\nvalue = -0.25\n'
        '[[background]]\nformula = "x^2"\nscale = 0.01\n'
        '[[background]]\nfile = "v.npy"\nscale = 0.5\n'
    )
    config = load(tmp_path, text=LINE + sections)
    study = build(config)
    space = study.system.space
    inside = np.isin(space.element_of_point, space.domain.region("output"))
    wanted = -0.25 * inside + 0.01 * space.points[:, 0] ** 2
    wanted += 0.5 * np.linspace(0, 1, cells)[space.element_of_point]
    assert study.system.background == pytest.approx(wanted)
    before = study.system.potential.values
    result = study.train()
    assert result.system.background is study.system.background
    assert not np.array_equal(result.system.potential.values, before)
    plain = build(load(tmp_path)).system
    assert plain.background is None
    assert before == pytest.approx(plain.potential.values)  # draws stay what they were
    # a resolved study is read back the same
    from nepfield.study.text.config import study_to_toml

    (tmp_path / "again.toml").write_text(study_to_toml(config, tmp_path))
    assert load_study(tmp_path / "again.toml") == config


def test_backgrounds_in_units(tmp_path: Path) -> None:
    units = '[units]\nlength = "1 um"\nmass = "1e-4 m_e"\n'
    section = '[[background]]\nregion = "output"\nvalue = "0.3 meV"\n'
    text = LINE.replace("[domain]", f"{units}[domain]") + section
    config = load(tmp_path, text=text)
    assert config.background[0].value == pytest.approx(0.3 / 0.762, rel=1e-3)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ('region = "nowhere"\nvalue = 1.0', "no region called 'nowhere'"),
        ('region = "output"', "region and value go together"),
        ('formula = "x +"', "background.0: formula"),
        ('file = "short.npy"', "one number for each of the 64 cells"),
        ('file = "words.npy"', "no .npy file of numbers"),
        ('file = "nan.npy"', "not finite"),
        ('file = "none.npy"', "there is no file"),
        ('region = "output"\nvalue = 1.0\nformula = "x"', "needs exactly one of"),
    ],
)
def test_wrong_backgrounds(tmp_path: Path, section: str, says: str) -> None:
    np.save(tmp_path / "short.npy", np.ones(3))
    np.save(tmp_path / "nan.npy", np.full(64, np.nan))
    (tmp_path / "words.npy").write_text("no numbers")
    with pytest.raises(InputError, match=says):
        build(load(tmp_path, text=f"{LINE}[[background]]\n{section}\n"))


# ---------------------------------------------------------------- training in regions


def test_training_inside_chosen_regions_only(tmp_path: Path) -> None:
    study = build(load(tmp_path, 'potential.trainable=["output"]'))
    inside = np.zeros(64, dtype=bool)
    inside[study.system.domain.region("output")] = True
    before = study.system.potential.values
    after = study.train().system.potential.values
    assert np.array_equal(after[~inside], before[~inside])
    assert np.all(after[inside] != before[inside])
    (tmp_path / "study.toml").write_text(LINE)
    said = invoke("check", str(tmp_path / "study.toml"), "--set", 'potential.trainable=["output"]')
    assert f"64 values of V ({inside.sum()} trained)" in said.output
    for value, says in (
        ('["nowhere"]', "no region called 'nowhere'"), ("[]", "true or false, or names of regions"),
        ('"output"', "true or false, or names of regions"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=says):
            build(load(tmp_path, f"potential.trainable={value}"))
    pixels = build(
        load(tmp_path, 'potential.trainable=["output"]', "potential.basis.pixels=[0.25]")
    )
    parameter = pixels.system.potential.parameter
    assert 0 < np.sum(parameter.trainable) < len(parameter)


def test_a_mask_that_does_not_fit_is_refused(plane: nf.Space) -> None:
    with pytest.raises(InputError, match="trainable has shape"):
        nf.potential(plane, trainable=np.ones(3, dtype=bool))


# ---------------------------------------------------------------- regions that overlap


def test_regions_that_overlap_can_be_named_in_order(plane: nf.Space, tmp_path: Path) -> None:
    inside = np.zeros(len(plane.elements), dtype=bool)
    inside[plane.domain.region("output")] = True
    placed = nf.potential(plane, [1.0, 2.0], basis=["output", "cavity"])
    here = np.where(inside, 1.0, 2.0)[plane.element_of_point]
    assert placed.at_points() == pytest.approx(here)
    assert placed.measure.sum() == pytest.approx(plane.w.sum())
    assert placed.parameter.on == "region"
    with pytest.raises(InputError, match=r"basis = \{ regions = \[\"output\", \"cavity\"\] \}"):
        nf.potential(plane, basis="regions")
    with pytest.raises(InputError, match="'output' lies within those that are named before it"):
        nf.potential(plane, basis=["cavity", "output"])
    with pytest.raises(InputError, match="no region called"):
        nf.potential(plane, basis=["nowhere"])


@pytest.mark.slow
def test_a_study_with_regions_named_in_order(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Name those that have a value") as wrong:
        build(load(tmp_path, "potential.basis=regions"))
    said = str(wrong.value).partition("basis = {")[2].partition("}")[0]
    config = load(tmp_path, f"potential.basis={{{said}}}")  # as the message says
    study = build(config)
    assert len(study.system.potential.values) == len(study.system.domain.regions)
    done = invoke("train", str(tmp_path / "study.toml"), "--out", str(tmp_path / "run"), "--quiet",
                  "--set", f"potential.basis={{{said}}}")  # fmt: skip
    assert done.exit_code == 0, done.output
    # and is taken over onto cells
    moved = build(load(tmp_path, "potential.initial=run")).system.potential
    trained = nf.open_run(tmp_path / "run").system.potential
    assert moved.at_points() == pytest.approx(trained.at_points())
