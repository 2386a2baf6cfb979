"""Where a switch-on ends: proved, reached, in another state, or nowhere."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import square
from test_cli import invoke
from test_stability import ONE, reference, unstable_study
from test_two_components import INPUTS, placed

import nepfield as nf
from nepfield.steady import settling
from nepfield.steady.linearisation import Linearisation
from nepfield.steady.switch_on import OUTCOMES
from nepfield.study.run import arrival
from nepfield.study.run.jobs import train_study
from nepfield.study.sweeps.results import write_results
from nepfield.study.systems.systems import load_study
from nepfield.systems import system as systems


def pair(coupling: float, potential: float, pump: float, g: float) -> nf.GPE:
    """Two sites that are driven alike."""
    space = nf.graph(nf.lattice(2), coupling=[coupling])
    pumps = [nf.site_pump(k, pump, input=0) for k in (0, 1)]
    return nf.GPE(space, potential, pumps, nf.Density(g), 0.2)


def test_the_reference_case_ends_in_another_state() -> None:
    system, steady = reference()
    found = nf.switch_on(system, ONE, steady)
    assert found.outcome.tolist() == ["other state"]
    assert abs(found.state[4, 0]) ** 2 == pytest.approx(0.7707, abs=1e-4)
    assert found.distance[0] > 0.1
    assert found.arrives[0] == 0
    assert "other state" in repr(found)
    stable = nf.solve_steady(system, ONE, prefer="stable")
    there = nf.switch_on(system, ONE, stable)
    assert there.outcome.tolist() == ["reached"]
    assert there.distance[0] < 1e-6
    assert 10 < there.time[0] < 1000
    assert there.arrives[0] == 1


def test_a_device_that_oscillates_does_not_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "PATIENCE", 15.0)
    system, steady = reference(-1.5)
    found = nf.switch_on(system, ONE, steady)
    assert found.outcome.tolist() == ["does not settle"]
    assert found.time[0] == pytest.approx(150, abs=2)
    assert "still moves" in found.reason[0]


def test_a_ramp_keeps_the_lower_branch_that_a_sudden_switch_on_leaves() -> None:
    system = pair(1.0, -1.5, 0.4, 1.0)
    steady = nf.solve_steady(system, ONE)
    assert abs(steady.state[0, 0]) ** 2 == pytest.approx(0.3101, abs=1e-3)
    sudden = nf.switch_on(system, ONE, steady)
    slow = nf.switch_on(system, ONE, steady, ramp=100.0)
    assert (sudden.outcome[0], slow.outcome[0]) == ("other state", "reached")
    assert slow.time[0] > 100  # nobody looks before the pump has its full strength
    after = nf.evolve(system, ONE, 250.0, envelope=nf.Ramp(100.0), tolerance=1e-6)
    np.testing.assert_allclose(after.state, steady.state, atol=1e-4)


def test_a_wave_at_rest_in_an_unstable_state_leaves_it() -> None:
    """Exact symmetry holds the motion in a state that no experiment would see."""
    system = pair(0.6, 0.5, 0.5, -1.0)
    steady = nf.solve_steady(system, ONE)
    assert nf.stability(system, steady).stability[0] == "unstable"
    held = nf.evolve(system, ONE, 300.0, dt=0.05)
    np.testing.assert_allclose(held.state, steady.state, atol=1e-10)
    found = nf.switch_on(system, ONE, steady)
    assert found.outcome[0] == "other state"
    first, second = abs(found.state[:, 0]) ** 2
    assert abs(first - second) > 1.0


# -- what is proved ------------------------------------------------------------------------------


def random_lattice(rng: np.random.Generator) -> tuple[nf.GPE, np.ndarray]:
    kind = nf.Density if rng.random() < 0.5 else nf.Saturation
    response = kind(float(10 ** rng.uniform(-2, 0.3)) * rng.choice([-1, 1]))
    pumps = [nf.site_pump(2, 10 ** rng.uniform(-2, 0)), nf.site_pump(6, 0.1j)]
    potential = rng.uniform(-2, 1) + 0.3 * rng.normal(size=9)
    system = nf.GPE(nf.graph(nf.lattice(9)), potential, pumps, response, 10 ** rng.uniform(-1.3, 0))
    return system, rng.uniform(-1, 1, (3, 2))


def test_what_is_proved_is_reached() -> None:
    """Random lattices, the proof left out; and no wave is stronger than the proof says."""
    rng = np.random.default_rng(3)
    proved = followed = 0
    for _ in range(25):
        system, inputs = random_lattice(rng)
        steady = nf.solve_steady(system, inputs, on_failure="flag")
        sure = system.contracts(system.drive(inputs)) & steady.converged
        followed += int((~sure).sum())
        if not sure.any():
            continue
        proved += int(sure.sum())
        assert (nf.switch_on(system, inputs, steady).outcome[sure] == "proved").all()
        way = nf.evolve(system, inputs[sure], 12 / system.loss, frames=60, tolerance=1e-6)
        limit = np.linalg.norm(system.drive(inputs[sure]), axis=0) / system.loss
        assert (np.linalg.norm(way.states, axis=1) <= limit * (1 + 1e-6)).all()
        far = np.linalg.norm(way.state - steady.state[:, sure], axis=0)
        assert (far < 1e-3 * np.linalg.norm(steady.state[:, sure], axis=0)).all()
        for state in way.states:  # every fluctuation on the way decays
            linear = system.linearise(state)
            assert linear.conjugate is not None
            assert (np.abs(linear.conjugate).max(axis=0) < system.loss).all()
    assert proved > 20
    assert followed > 5


def test_meshes_are_proved_where_the_response_is_bounded() -> None:
    space = nf.finite_elements(square(4, 4.0), order=2)
    pumps = [nf.gaussian_pump([2.0, 1.5], 0.7, 5.0)]
    inputs = np.array([[1.0], [0.0]])
    weak = nf.GPE(space, -1.0, pumps, nf.Saturation(0.39), 0.1)  # g/4 < gamma
    assert weak.contracts(weak.drive(inputs)).all()
    strong = replace(weak, nonlinearity=nf.Saturation(0.41))
    assert strong.contracts(strong.drive(inputs)).tolist() == [False, True]  # no pump, no wave
    assert replace(weak, nonlinearity=nf.Density(0.0)).contracts(weak.drive(inputs)).all()
    assert replace(weak, nonlinearity=None).contracts(weak.drive(inputs)).all()
    assert not replace(weak, nonlinearity=nf.Density(1e-9)).contracts(weak.drive(inputs))[0]
    gain = np.zeros(len(space.w), complex)
    gain[3] = 0.2j
    assert not replace(weak, background=gain).contracts(weak.drive(inputs)).any()
    absorbing = nf.CustomNonlinearity(lambda n: -0.1j * n, lambda n: -0.1j * np.ones_like(n))
    assert not replace(weak, nonlinearity=absorbing).contracts(weak.drive(inputs)).any()
    open_walls = nf.finite_elements(square(4, 4.0), dirichlet=[], robin={"wall": -1j})
    with_gain = nf.GPE(open_walls, -1.0, pumps, nf.Saturation(0.1), 0.1)
    assert with_gain.contracts(with_gain.drive(inputs)).any() != open_walls.boundary_gains


class Pairs(nf.GPE):
    """A parametric drive, which the proof for a GPE does not know of."""

    pairs = 0.5

    def residual(self, state: np.ndarray, drive: np.ndarray, local: Any = None) -> np.ndarray:
        values = self.space.evaluate(state)
        extra = self.space.integrate(self.pairs * values.conj())
        return super().residual(state, drive, local) + extra

    def linearise(self, state: np.ndarray, local: Any = None) -> Linearisation:
        linear = super().linearise(state, local)
        assert linear.conjugate is not None
        return replace(linear, conjugate=linear.conjugate + self.pairs)


def test_other_equations_are_not_proved_by_the_bound_of_this_one() -> None:
    space = nf.graph(nf.lattice(3))
    pumps = [nf.site_pump(0, 0.1)]
    plain = nf.GPE(space, 0.5, pumps, nf.Density(0.01), 1.0)
    assert plain.contracts(plain.drive(ONE)).all()
    other = Pairs(space, 0.5, pumps, nf.Density(0.01), 1.0)
    assert not other.contracts(other.drive(ONE)).any()
    steady = nf.solve_steady(other, ONE)
    assert nf.switch_on(other, ONE, steady).outcome[0] == "reached"


@pytest.mark.slow
def test_random_lattices_end_where_runge_kutta_says() -> None:
    """Slow passages beside unstable states among them; in the last system one of 70/gamma."""
    rng = np.random.default_rng(11)
    wrong = looked = 0
    for number in range(34):
        loss = 10 ** rng.uniform(-1.2, -0.3)
        kind = nf.Density if number % 4 else nf.Saturation
        response = kind(10 ** rng.uniform(-0.5, 0.6))
        potential = rng.uniform(-2, 0) + 0.3 * rng.normal(size=9)
        pumps = [nf.site_pump(2, 10 ** rng.uniform(-0.7, 0.2)), nf.site_pump(6, 0.4)]
        system = nf.GPE(nf.graph(nf.lattice(9)), potential, pumps, response, loss)
        inputs = rng.uniform(-1, 1, size=(4, 2))
        steady = nf.solve_steady(system, inputs, on_failure="flag")
        found = nf.switch_on(system, inputs, steady)
        end = nf.evolve(system, inputs, 120 / loss, dt=0.04)
        apart = np.linalg.norm(end.state - steady.state, axis=0)
        there = apart < 1e-2 * np.linalg.norm(steady.state, axis=0)
        rests = end.residual < 1e-2
        for k in np.flatnonzero(steady.converged):
            said = found.outcome[k]
            true = "reached" if there[k] else "other state" if rests[k] else "does not settle"
            looked += 1
            wrong += ("reached" if said == "proved" else said) != true
    assert looked > 120
    assert wrong <= 2  # transients that are chaotic for long
    assert found.outcome[0] == "reached"
    assert found.time[0] * loss > 70


def test_waves_of_two_components_are_followed() -> None:
    system, _ = placed("chain")
    steady = nf.solve_steady(system, INPUTS)
    found = nf.switch_on(system, INPUTS, steady)
    assert set(found.outcome) == {"reached"}


# -- which samples, and what is refused ----------------------------------------------------------


def test_only_so_many_samples_are_followed() -> None:
    system, _ = reference()
    inputs = np.array([[0.0], [0.05], [1.0], [0.06], [0.07]])
    steady = nf.solve_steady(system, inputs)
    missing = replace(steady, converged=np.array([True, False, True, True, True]))
    told: list[tuple[int, float]] = []
    found = nf.switch_on(
        system, inputs, missing, most=2, told=lambda count, time: told.append((count, time))
    )
    words = ["proved", "not looked at", "other state", "reached", "not looked at"]
    assert found.outcome.tolist() == words
    np.testing.assert_array_equal(np.isnan(found.arrives), [False, True, False, False, True])
    assert told[-1][0] == 2
    assert [time for _, time in told] == sorted(time for _, time in told)
    assert set(words) <= set(OUTCOMES)


def test_systems_are_asked() -> None:
    system, steady = reference()
    found = systems.switch_on(system, ONE, steady, 1)
    assert found is not None
    assert found.outcome[0] == "other state"
    ring = nf.Ising(nf.complete_graph(3), 1.0, 0.0)
    assert systems.switch_on(ring, np.zeros((1, 0)), steady) is None


def test_what_does_not_fit_is_refused() -> None:
    system, steady = reference()
    for options, message in (
        ({"ramp": -1.0}, "ramp = -1.0: give a time"),
        ({"ramp": np.nan}, "ramp = nan"),
        ({"inputs": np.ones((2, 1))}, "there are 2 rows of inputs"),
        ({"inputs": np.ones((1, 3))}, "inputs: the 1 pump"),
    ):
        arguments: dict[str, Any] = {"inputs": ONE, "steady": steady, **options}
        with pytest.raises(nf.InputError, match=message):
            nf.switch_on(system, **arguments)
    with pytest.raises(nf.InputError, match="Ising is no wave"):
        nf.switch_on(nf.Ising(nf.complete_graph(3), 1.0, 0.0), np.zeros((1, 0)), steady)


# -- the end of a training ------------------------------------------------------------------------


def test_a_training_ends_with_a_switch_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    study = unstable_study(tmp_path)
    done = invoke("train", str(study), "--out", str(run))
    assert done.exit_code == 0, done.output
    assert "switch-on: 1 other state, 1 proved" in done.output
    words = "warning: 1 of 2 steady states are not reached when the device is switched on"
    assert f"{words} (other state: samples 0)" in done.output
    summary = json.loads((run / "summary.json").read_text())
    assert summary["switch_on"] == ["other state", "proved"]
    assert summary["switch_on_reached"] == 0.5
    assert summary["status"] == "finished"
    prefer = tmp_path / "prefer"
    done = invoke("train", str(study), "--out", str(prefer), "--set", "solver.prefer=stable")
    assert "switch-on: 1 reached, 1 proved" in done.output
    assert "not reached" not in done.output


def test_it_may_be_left_out_and_made_up_for(tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = load_study(unstable_study(tmp_path), ("training.switch_on=false",))
    summary = train_study(config, run)
    assert "switch_on" not in summary
    assert "switch_on = false" in (run / "study.toml").read_text()
    again = load_study(unstable_study(tmp_path))
    said: list[str] = []
    resumed = train_study(again, run, resume=True, on_switch=said.append)
    assert resumed["switch_on"] == ["other state", "proved"]
    assert said[-1].startswith("switch-on: 1 settled, t = ")
    assert resumed["cost"] == summary["cost"]


def test_an_interrupted_switch_on_leaves_a_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def interrupt(_: str) -> None:
        kept = json.loads((run / "summary.json").read_text())
        assert kept["outputs"]
        assert kept["status"] == "interrupted"  # what is killed now is to be resumed
        raise KeyboardInterrupt

    config = load_study(unstable_study(tmp_path))
    summary = train_study(config, run, on_switch=interrupt)
    assert summary["status"] == "interrupted"
    assert "switch_on" not in summary
    kept = json.loads((run / "summary.json").read_text())
    assert kept["epochs"] == 3
    assert kept["outputs"]
    assert (run / "fields.vtu").is_file()
    assert train_study(config, run, resume=True)["switch_on"] == ["other state", "proved"]

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("nobody looks after an interrupted training")

    monkeypatch.setattr(arrival, "switch_on", fail)
    longer = load_study(unstable_study(tmp_path), ("training.epochs=9",))

    def stop(state: nf.TrainingState) -> None:
        if state.epoch == 5:
            raise KeyboardInterrupt

    assert train_study(longer, run, resume=True, on_epoch=stop)["status"] == "interrupted"


def test_many_samples_and_large_systems_are_followed_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "_UNKNOWNS", 9)
    study = unstable_study(tmp_path, task__inputs=[[1.0], [0.1]])
    summary = train_study(load_study(study), tmp_path / "run")
    assert summary["switch_on"] == ["other state", None]
    assert summary["switch_on_reached"] == 0
    kept = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert kept["switch_on"] == ["other state", None]


@pytest.mark.slow
def test_sweeps_tell_what_is_reached(tmp_path: Path) -> None:
    study = unstable_study(tmp_path, training__epochs=1, name="swept")
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(f'study = "{study.name}"\n[grid]\n"pump.0.weight" = [0.6, 0.05]\n')
    done = invoke("sweep", str(sweep), "--out", str(tmp_path / "out"), "--workers", "1")
    assert done.exit_code == 0, done.output
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["switch_on_reached"]) for row in rows] == [0.5, 1.0]
    assert "switch_on_reached" in write_results(tmp_path / "out").columns
