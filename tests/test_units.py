"""Physical units: texts become the right numbers, or a refusal, and a study is the same in both."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from helpers import MESHES
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from nepfield.cli import app
from nepfield.errors import InputError
from nepfield.study.check import check
from nepfield.study.run.build import build
from nepfield.study.run.folder import check_same_study
from nepfield.study.run.jobs import train_study
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.systems.laboratory import duration, laboratory_time, shown_units
from nepfield.study.systems.systems import load_study
from nepfield.study.text.config import study_to_toml
from nepfield.study.text.units import UnitError, in_unit_of, parse, scales
from nepfield.view.runs import read_run
from nepfield.view.sweeps import read_results

SCALES = scales("1 um", "1e-4 m_e", "meV", "ps")
ENERGY, LENGTH = 1.7, 2.5  # of the twins below: meV, um; hbar^2 / (m l^2) = 1.7 meV
MASS = f"{0.7619964221937169 / ENERGY / LENGTH**2 * 1e-4!r} m_e"


def write(folder: Path, data: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.toml"
    path.write_text(tomli_w.dumps(data), encoding="utf-8")
    return path


def billiard() -> dict[str, Any]:
    """A study in two dimensions with nearly every key that may have a unit."""
    return {
        "name": "twin",
        "units": {"length": f"{LENGTH} um", "mass": MASS},
        "domain": {
            "mesh": str(MESHES / "polygon.msh"),
            "order": 1,
            "dirichlet": [],
            "robin": {"wall": ["0.2 /um", "-0.1 /um"]},
        },
        "physics": {"g": "8 ueV um^2", "loss": "0.05 meV"},
        "absorber": [{"boundary": "wall", "width": "0.9 um", "strength": "20 ueV"}],
        "potential": {
            "basis": {"pixels": ["1 um", "1 um"]},
            "initial": {"normal": ["0.4 meV", "0.02 meV"]},
            "bounds": ["-0.3 meV", "1 meV"],
            "disorder": {"uniform": ["-5 ueV", "5 ueV"]},
            "imaginary": {"initial": "-0.004 meV", "bounds": ["-0.01 meV", 0]},
            "rate": "0.01 meV",
        },
        "pump": [
            {
                "center": ["1.5 um", "1.5 um"],
                "width": "1 um",
                "weight": ["1.5 meV/um", "0.2 meV/um"],
                "wavevector": ["0.1 /um", 0],
            },
            {"region": "domain", "weight": {"uniform": ["0.1 meV/um", "1 meV/um"]}},
        ],
        "readout": {"disc": [{"center": ["1.5 um", "2 um"], "radius": "0.8 um"}]},
        "task": {"inputs": [[0, 1], [1, 1]], "targets": [[0], ["1.5 /um^2"]]},
        "training": {"weight_rate": "0.05 meV/um", "epochs": 4, "compare_every": 1},
        "figures": {"enabled": False},
    }


def by_hand(data: dict[str, Any]) -> dict[str, Any]:
    """The same without units; factors from ENERGY and LENGTH alone."""
    length, energy = LENGTH, ENERGY
    units = {
        "/um^2": 1 / length**-2,
        "/um": length,
        "um": 1 / length,
        "ueV um^2": 1e-3 / energy / length**2,
        "meV/um": length / energy,
        "meV": 1 / energy,
        "ueV": 1e-3 / energy,
        "/ps": 0.6582119569509067 / energy,
    }

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if k != "units"}
        if isinstance(value, list):
            return [plain(v) for v in value]
        number, _, unit = value.partition(" ") if isinstance(value, str) else ("", "", "")
        return float(number) * units[unit] if unit in units else value

    return plain(data)


def lattice() -> dict[str, Any]:
    return {
        "name": "chain",
        "units": {"length": f"{LENGTH} um", "mass": MASS},
        "domain": {"lattice": [9]},
        "physics": {"g": "0.1 meV", "loss": "0.1 /ps", "nonlinearity": "saturation"},
        "potential": {"initial": {"uniform": ["0.2 meV", "0.6 meV"]}},
        "pump": [{"site": 2, "weight": "1 meV"}, {"site": 6, "weight": "-0.7 meV"}],
        "readout": {"sites": [4]},
        "task": {"name": "xor"},
        "training": {"rate": "0.02 meV", "weight_rate": "0.05 meV", "epochs": 4},
        "figures": {"enabled": False},
    }


# ---------------------------------------------------------------- what a text says


def test_scales_are_those_of_the_literature() -> None:
    """m = 1e-4 m_e and 1 um: 0.762 meV and 0.864 ps."""
    assert SCALES.factor(energy=1) == pytest.approx(0.762, abs=5e-4)
    assert SCALES.factor(time=1) == pytest.approx(0.864, abs=5e-4)
    # hbar^2 / (m l^2) from the constants that EVIDENCE gives: 0.6582 meV ps, 5685.6 * 1e-4
    assert SCALES.factor(energy=1) == pytest.approx(0.658212**2 / 0.56856, rel=1e-4)
    assert scales("2 um", "1e-4 m_e", "ueV", "fs").factor(energy=1) == pytest.approx(190.5, abs=0.1)
    assert SCALES.number("0.1 /ps", 1, (0,))[0] * SCALES.factor(energy=1) == pytest.approx(
        0.0658212, rel=1e-6
    )


SPELLINGS = {
    ("energy", 1e-3): ["meV", " meV", "millielectron_volt"],
    ("energy", 1.0): ["eV", "electron_volt"],
    ("length", 1e-6): ["um", "µm", "μm", "micron", "micrometer", " um"],
    ("length", 1e-9): ["nm", "nanometer"],
    ("density", 1e12): ["/um^2", "1/um**2", "um^-2", "µm⁻²", " / µm²", "1/(um um)"],
}


@settings(max_examples=60)
@given(
    number=st.floats(-1e150, 1e150),
    case=st.sampled_from([(k, s) for k, names in SPELLINGS.items() for s in names]),
)
def test_a_magnitude_times_its_unit(number: float, case: tuple[tuple[str, float], str]) -> None:
    (kind, size), spelling = case
    powers = {"energy": (1, (0.0,)), "length": (0, (1.0,)), "density": (0, (-1.0, -2.0))}[kind]
    found, _ = SCALES.number(f"{number!r} {spelling}", *powers)
    joule = 1.602176634e-19 if kind == "energy" else 1.0
    one = {"energy": SCALES.energy, "length": SCALES.length, "density": SCALES.length**-2}[kind]
    assert found == pytest.approx(number * size * joule / one, rel=1e-12)


@settings(max_examples=60)
@given(
    st.one_of(
        st.text(max_size=40),
        st.from_regex(r"\A[+-]?[0-9.]{1,5}[eE]?[0-9]{0,4} ?[a-zA-Zµ0-9*/^(). -]{0,12}\Z"),
        st.text("0123456789*^()⁹ um./-", max_size=30).map(lambda text: f"1 {text}"),
    )
)
def test_garbage_is_refused_without_a_traceback(text: str) -> None:
    """Towers of powers among it, which would keep pint busy for ever."""
    with contextlib.suppress(UnitError):
        number, unit = parse(text)
        assert np.isfinite(number)
        assert 0 < unit.si < np.inf


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 9**9**9 um", "is no unit"),
        ("1 9⁹^99", "is no unit"),
        ("1 (9)**(9)**(9)", "is no unit"),
        ("1 mev", "no unit that is known"),
        ("1 THz", "2 pi"),
        ("10 degC", "another zero"),
        ("0.1", "has no unit: write 0.1 without quotes"),
        ("1e999 meV", "no finite number"),
        ("inf meV", "must be a number and a unit"),
        ("1 √um", "is no unit"),
    ],
)
def test_what_is_no_quantity(text: str, says: str) -> None:
    with pytest.raises(UnitError, match=r'^"') as caught:
        parse(text)
    assert says in str(caught.value)


def test_pint_is_imported_only_for_a_study_with_units(tmp_path: Path) -> None:
    with_units, without = (
        write(tmp_path / name, data)
        for name, data in (("with", lattice()), ("without", by_hand(lattice())))
    )
    code = (
        "import sys; from nepfield.study.systems.systems import load_study; "
        "load_study({!r}); print('pint' in sys.modules)"
    )
    for path, says in ((with_units, "True"), (without, "False")):
        run = [sys.executable, "-c", code.format(str(path))]
        assert subprocess.run(run, capture_output=True, text=True).stdout.strip() == says


# ---------------------------------------------------------------- a study and its twin


@pytest.mark.parametrize("study", [billiard, lattice])
def test_a_study_with_units_is_its_dimensionless_twin(study: Any, tmp_path: Path) -> None:
    data = study()
    twin = by_hand(data)
    summaries, runs = [], []
    for name, content in (("units", data), ("twin", twin)):
        config = load_study(write(tmp_path / name, content))
        runs.append(tmp_path / f"run-{name}")
        summaries.append(train_study(config, runs[-1]))
    one, other = summaries
    assert one["cost"] == pytest.approx(other["cost"], rel=1e-10)
    assert np.ravel(one["outputs"]) == pytest.approx(np.ravel(other["outputs"]), rel=1e-10)
    assert one["cost"] > 0
    with np.load(runs[0] / "checkpoint.npz") as a, np.load(runs[1] / "checkpoint.npz") as b:
        for name in ("parameter/potential", "parameter/weights"):
            assert np.ptp(a[name]) > 0
            assert abs(a[name] - b[name]).max() < 1e-10 * abs(a[name]).max()
    tables = [np.genfromtxt(run / "history.csv", delimiter=",", names=True) for run in runs]
    assert len(tables[0]) == 4
    for name in tables[0].dtype.names:
        if name != "seconds":
            assert tables[0][name] == pytest.approx(tables[1][name], rel=1e-8, nan_ok=True)
    # and the resolved study of the run folder is the study, to the last bit
    again = load_study(runs[0] / "study.toml")
    assert again == load_study(tmp_path / "units" / "study.toml")
    assert study_to_toml(again, runs[0]) == (runs[0] / "study.toml").read_text(encoding="utf-8")
    train_study(again, tmp_path / "again")
    for name in ("history.csv", "checkpoint.npz"):
        if name == "history.csv":
            assert (tmp_path / "again" / name).read_bytes() == (runs[0] / name).read_bytes()
    with np.load(runs[0] / "checkpoint.npz") as a, np.load(tmp_path / "again/checkpoint.npz") as b:
        assert (a["parameter/potential"] == b["parameter/potential"]).all()


def test_a_run_with_units_resumes_to_the_identical_result(tmp_path: Path) -> None:
    path = write(tmp_path / "study", billiard())
    train_study(load_study(path), tmp_path / "whole")
    train_study(load_study(path, ["training.epochs=2"]), tmp_path / "parts")
    other_units = load_study(path, ["units.energy=ueV"])  # shown otherwise, the same physics
    train_study(other_units, tmp_path / "parts", resume=True)
    whole, parts = (np.load(tmp_path / name / "checkpoint.npz") for name in ("whole", "parts"))
    for name in ("parameter/potential", "parameter/weights"):
        assert (whole[name] == parts[name]).all()
    with pytest.raises(InputError, match="belongs to another study"):
        check_same_study(tmp_path / "parts/study.toml", load_study(path, ["units.mass=1e-3 m_e"]))


# ---------------------------------------------------------------- what is refused


WRONG = {
    "pump.0.center": '["1 meV", 1]',
    "pump.0.width": "1 meV",
    "pump.0.wavevector": '["1 um", 0]',
    "pump.0.weight": "1 meV um",
    "absorber.0.width": "1 ps",
    "absorber.0.strength": "1 um",
    "readout.disc.0.center": '["1 ps", 1]',
    "readout.disc.0.radius": "1 kg",
    "potential.basis": '{pixels = ["1 /um", 1]}',
    "potential.initial": '{uniform = ["0 meV", "1 um"]}',
    "potential.bounds": '["-1 um", "1 meV"]',
    "potential.disorder": "1 K",
    "potential.imaginary.initial": "-1 um",
    "potential.imaginary.bounds": '["-1 um", 0]',
    "potential.rate": "1 meV/um",
    "physics.g": "1 meV um^3",
    "physics.loss": "0.1 um",
    "domain.robin.wall": "1 um",
    "task.targets": '[["1 um^2"], [1]]',
    "training.rate": "1 um/ps",
    "training.weight_rate": "1 um",
}


@pytest.mark.parametrize("key", WRONG)
def test_a_unit_of_the_wrong_dimension(key: str, tmp_path: Path) -> None:
    path = write(tmp_path, billiard())
    with pytest.raises(InputError) as caught:
        load_study(path, [f"{key}={WRONG[key]}"])
    message = str(caught.value)
    assert message.startswith(f"{path}: {key}")
    assert "but needs" in message
    assert "such as" in message
    assert message.endswith("(from --set)")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("units.length=0 um", "greater than 0"),
        ("units.length=-1 um", "greater than 0"),
        ("units.length=nan um", "must be a number and a unit"),
        ("units.length=1 meV", "is an energy, but must be a length"),
        ("units.length=3", "must be text in quotes"),
        ("units.mass=1 um", "is a length, but must be a mass"),
        ("units.energy=ps", "such as"),
        ("units.time=meV", "such as"),
        ("physics.loss=abc", "must be a number"),
        ("physics.loss=-1 meV", "must be greater than 0"),
        ("physics.g=1 ueV", "goes with a lattice"),
        ("pump.1.weight=1 meV/um^0.5", "with 1 dimension"),
        ("physics.nonlinearity=saturation", "but needs an energy"),
        ("training.optimizer=sgd", 'optimizer = "sgd" a step has no unit'),
    ],
)
def test_other_mistakes_with_units(change: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_study(write(tmp_path, billiard()), [change])
    assert says in str(caught.value)
    if change.startswith("units"):
        assert "needs [units]" not in str(caught.value)  # one line for one mistake
        assert len(str(caught.value).splitlines()) == 1


def test_a_rate_for_both_is_asked_for_twice(tmp_path: Path) -> None:
    data = lattice()
    del data["training"]["weight_rate"]
    with pytest.raises(InputError, match="weight_rate is missing"):
        load_study(write(tmp_path, data))


def test_units_without_a_section(tmp_path: Path) -> None:
    data = by_hand(lattice())
    data["physics"]["loss"], data["pump"][0]["weight"] = "0.1 meV", "1 meV"
    with pytest.raises(InputError) as caught:
        load_study(write(tmp_path, data))
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        'physics.loss = "0.1 meV"', 'pump.0.weight = "1 meV"',
    ]  # fmt: skip
    assert all('[units], length = "1 um", mass = "1e-4 m_e"' in line for line in lines)


def test_the_dimension_of_the_units_must_be_that_of_the_domain(tmp_path: Path) -> None:
    data = lattice() | {"domain": {"mesh": str(MESHES / "interval.msh")}, "readout": {}}
    data["pump"] = [{"center": [2], "width": 1, "weight": "1 meV"}]
    data |= {"readout": {"disc": [{"center": [4], "radius": 1}]}}
    data["task"] = {"inputs": [[1]], "targets": [[1]]}
    path = write(tmp_path, data)
    with pytest.raises(InputError, match=r"written for a lattice, but the domain is 1 dimension"):
        build(load_study(path))
    with pytest.raises(InputError, match="√µm"):
        train_study(load_study(path), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_texts_that_are_no_quantities_stay(tmp_path: Path) -> None:
    """Names and paths are for the check behind, which sees them as they are."""
    path = write(tmp_path, billiard())
    with pytest.raises(InputError, match=r'potential\.initial = "runs/coarse"'):
        load_study(path, ["potential.initial=runs/coarse"])
    assert load_study(path, ["potential.basis=cells"]).potential.basis == "cells"


def test_parameters_of_a_geometry(tmp_path: Path) -> None:
    data = billiard()
    data["domain"] = {
        "geometry": str(MESHES / "stadium.geo"),
        "parameters": {"length": "5 um", "size": 0.5, "kind": "open"},
    }
    config = load_study(write(tmp_path, data))
    assert config.domain.parameters == {"length": 2.0, "size": 0.5, "kind": "open"}
    plain = by_hand(data)
    plain["domain"]["parameters"]["kind"] = "2 doors"  # without units a text is a text
    assert load_study(write(tmp_path, plain)).domain.parameters["kind"] == "2 doors"


# ---------------------------------------------------------------- out again


def test_figures_come_out_in_the_units_of_the_study(tmp_path: Path) -> None:
    path = write(tmp_path / "study", billiard())
    result = CliRunner().invoke(app, ["train", str(path), "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    units = summary["units"]
    assert {name: entry["unit"] for name, entry in units.items()} == {
        "length": "µm",
        "energy": "meV",
        "time": "ps",
        "density": "1/µm²",
        "target": "1/µm²",
        "interaction": "meV µm²",
        "weight": "meV/µm",
        "cost": "1/µm⁴",
        "gradient": "1/(meV µm⁶)",
    }
    factors = {name: entry["factor"] for name, entry in units.items()}
    assert factors["length"] == pytest.approx(LENGTH)
    assert factors["energy"] == pytest.approx(ENERGY)
    assert factors["density"] == pytest.approx(LENGTH**-2)
    assert factors["interaction"] == pytest.approx(ENERGY * LENGTH**2)
    assert factors["weight"] == pytest.approx(ENERGY / LENGTH)
    assert factors["gradient"] == pytest.approx(1 / ENERGY / LENGTH**6)
    assert factors["time"] * factors["energy"] == pytest.approx(0.6582119569509067)
    assert "(target 1.5)" in result.output  # as the study writes it
    assert "1/µm²" in result.output
    assert "meV/µm" in result.output
    shown = read_run(tmp_path / "run")
    pump = next(mark for mark in shown.marks if mark.kind == "pump")
    assert pump.shape["circle"]["center"] == pytest.approx([1.5, 1.5])
    field = next(field for field in shown.fields if field.arrays == ("V_re",))
    assert shown.label(field) == "V (meV)"
    assert shown.length_unit == "µm"
    with np.load(tmp_path / "run" / "checkpoint.npz") as saved:
        trained = saved["parameter/potential"].real * ENERGY
    drawn = shown.values(field)
    assert trained.min() - 0.03 < drawn.min() < drawn.max() < trained.max() + 0.03  # and disorder
    assert abs(drawn).max() > 0.3
    assert complex(pump.value).real == pytest.approx(summary["weights"][0][0] * ENERGY / LENGTH)
    assert pump.unit == "meV/µm"


def test_check_tells_the_scales(tmp_path: Path) -> None:
    said = check(write(tmp_path, billiard()))
    assert (
        "what is 1 here: length 2.5 µm, energy 1.7 meV, time 0.3872 ps, weight 0.68 meV/µm" in said
    )
    assert "loss 0.05 meV (1/gamma 13.16 ps): linewidth 0.1 meV (FWHM" in said
    assert "linewidth" not in check(write(tmp_path, by_hand(lattice())))


def test_dimensionless_figures_have_no_units(tmp_path: Path) -> None:
    config = load_study(write(tmp_path, by_hand(lattice())))
    assert shown_units(config, 0) == {}
    time = laboratory_time(config, 4, 4)
    assert time == {"states": 32, "decay_times_a_state": 50.0, "decay_times": 1600.0}
    of_lattice = shown_units(load_study(write(tmp_path, lattice())), 0)
    assert of_lattice["density"] == {"unit": "", "factor": 1.0}
    assert of_lattice["weight"]["unit"] == of_lattice["interaction"]["unit"] == "meV"


def test_the_time_in_a_laboratory(tmp_path: Path) -> None:
    """The main paper: 20 epochs of 5,000 samples, two states of 500 time units at gamma = 0.1."""
    path = write(tmp_path, lattice())
    config = load_study(path, ["physics.loss=1 /ps"])
    time = laboratory_time(config, 20, 5000)
    assert time is not None
    assert time["states"] == 200_000
    assert time["decay_times_a_state"] == 5000 * 0.1 * 0.1
    assert time["seconds"] == pytest.approx(200_000 * 50e-12)
    assert duration(time["seconds"]) == "10 µs"
    three = laboratory_time(load_study(path, ["training.rule=nep-symmetric"]), 20, 5000)
    assert three is not None
    assert three["states"] == 300_000
    assert laboratory_time(load_study(path, ["training.rule=adjoint"]), 20, 5000) is None


# ---------------------------------------------------------------- sweeps


def sweep_file(folder: Path, text: str) -> Path:
    write(folder, lattice())
    path = folder / "sweep.toml"
    path.write_text('study = "study.toml"\n' + text, encoding="utf-8")
    return path


def test_a_sweep_over_quantities(tmp_path: Path) -> None:
    text = '[grid]\n"physics.loss" = ["0.05 meV", "100 ueV"]\n[set]\n"training.epochs" = 1\n'
    path = sweep_file(tmp_path, text)
    result = CliRunner().invoke(
        app, ["sweep", str(path), "--workers", "1", "--out", str(tmp_path / "out"), "--quiet"]
    )
    assert result.exit_code == 0, result.output
    header, *rows = (tmp_path / "out/results.csv").read_text().splitlines()
    assert header.startswith("case,seed,physics.loss,status")
    assert [row.split(",")[2] for row in rows] == ["0.05", "0.1"]
    assert read_results(tmp_path / "out")[1] == ["physics.loss (meV)"]
    folders = sorted(path.name for path in (tmp_path / "out/cases").iterdir())
    assert folders == ["0-loss-0.05_meV", "1-loss-100_ueV"]
    saved = load_study(tmp_path / "out/cases/1-loss-100_ueV/study.toml")
    assert saved.physics.loss == pytest.approx(0.1 / ENERGY)
    (tmp_path / "out/cases.json").unlink()
    assert read_results(tmp_path / "out")[1] == ["physics.loss"]
    shutil.rmtree(tmp_path / "out")


def test_a_design_over_quantities(tmp_path: Path) -> None:
    text = '[design]\nkind = "random"\ncases = 5\n[design.ranges]\n"physics.loss" = {}\n'
    sweep = load_sweep(sweep_file(tmp_path, text.format('["50 ueV", "0.2 meV"]')))
    losses = [sweep.config(case).physics.loss * ENERGY for case in sweep.cases]
    written = [in_unit_of(case.values["physics.loss"], "1 meV") for case in sweep.cases]
    assert losses == pytest.approx(written)
    assert all(0.05 <= loss <= 0.2 for loss in losses)
    assert len(set(losses)) == 5
    with pytest.raises(InputError, match="is a length, but"):
        load_sweep(sweep_file(tmp_path, text.format('["0.05 meV", "0.2 um"]')))


@pytest.mark.parametrize("values", ['["0.1 meV", "0.1 /ps"]', '["0.1 meV", 0.1]'])
def test_values_of_one_key_need_one_kind_of_unit(values: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="units of one kind"):
        load_sweep(sweep_file(tmp_path, f'[grid]\n"physics.loss" = {values}\n'))
