"""States that a device reaches: the true motion, and solvers that take no unstable state."""

from __future__ import annotations

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
from nepfield.steady import imex, settling
from nepfield.steady.imex import Motion


def tableau() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A of the explicit and of the implicit part, and c."""
    explicit, implicit = np.zeros((6, 6)), imex._DIAGONAL * np.eye(6)
    implicit[0, 0] = 0
    for i in range(1, 6):
        explicit[i, :i], implicit[i, :i] = imex._EXPLICIT[i], imex._IMPLICIT[i]
    return explicit, implicit, explicit.sum(axis=1)


def test_the_pair_has_the_orders_four_and_three() -> None:
    explicit, implicit, c = tableau()
    np.testing.assert_allclose(implicit.sum(axis=1), c, atol=1e-14)
    for weights, order in ((imex._WEIGHTS, 4), (imex._LOWER, 3)):
        for power in range(order):
            assert weights @ c**power == pytest.approx(1 / (power + 1), abs=1e-14)
        for first in (explicit, implicit):
            assert weights @ first @ c == pytest.approx(1 / 6, abs=1e-14)
            if order == 4:
                assert (weights * c) @ first @ c == pytest.approx(1 / 8, abs=1e-14)
                assert weights @ first @ c**2 == pytest.approx(1 / 12, abs=1e-14)
                for second in (explicit, implicit):
                    assert weights @ first @ second @ c == pytest.approx(1 / 24, abs=1e-14)
    assert imex._LOWER @ c**3 != pytest.approx(1 / 4, abs=1e-4)  # or there were no error to see
    # stiff parts are damped: the last stage is the end of the step
    np.testing.assert_allclose(implicit[5], imex._WEIGHTS, atol=1e-15)


def wave(name: str) -> tuple[Any, np.ndarray]:
    if name == "lattice":
        return reference()[0], ONE
    if name == "two components":
        return placed("interval")[0], INPUTS[1:]
    space = nf.finite_elements(square(8, 5.0), order=2)
    pump = nf.gaussian_pump([2.0, 3.0], 0.8, 0.7)
    return nf.GPE(space, -0.4, [pump], nf.Saturation(0.8), 0.1), ONE


@pytest.mark.parametrize("name", ["lattice", "mesh", "two components"])
def test_the_motion_is_that_of_an_explicit_scheme(name: str) -> None:
    system, inputs = wave(name)
    errors = []
    for tolerance in (1e-4, 1e-6):
        drive = system.drive(inputs).astype(complex)
        motion = Motion(system, drive, np.zeros_like(drive), tolerance)
        times = list(motion.until(4.0))
        assert times == sorted(times)
        exact = nf.evolve(system, inputs, motion.time, dt=0.004).state
        errors.append(np.linalg.norm(motion.state - exact) / np.linalg.norm(exact))
    assert errors[0] < 2e-3
    # a drive that jumps at t = 0 excites stiff modes of a mesh, which implicit stages damp
    assert errors[1] < (0.4 if name == "mesh" else 0.1) * errors[0]


def test_fine_meshes_take_no_more_steps() -> None:
    steps = []
    for n in (6, 18):
        space = nf.finite_elements(square(n, 5.0), order=2)
        system = nf.GPE(space, 0.2, [nf.gaussian_pump([2, 3], 0.8, 0.3)], nf.Density(1.0), 0.1)
        drive = system.drive(ONE).astype(complex)
        steps.append(len(list(Motion(system, drive, 0 * drive).until(10.0))))
    assert steps[1] < 1.5 * steps[0]


def test_motion_without_end_stops() -> None:
    gain = np.full(9, 5j)
    system = nf.GPE(
        nf.graph(nf.lattice(9)), 0.0, [nf.site_pump(2, 1.0)], nf.Density(1e3), 0.0, gain
    )
    drive = system.drive(ONE).astype(complex)
    motion = Motion(system, drive, 0 * drive)
    for _ in motion.until(1e6, most=1_000):
        pass
    assert motion.time < 1e6


# -- prefer = "stable" --------------------------------------------------------------------------


def test_the_reference_case_is_what_a_switch_on_reaches() -> None:
    system, steady = reference()
    found = nf.solve_steady(system, ONE, prefer="stable")
    assert abs(found.state[4, 0]) ** 2 == pytest.approx(0.7707, abs=1e-4)
    assert found.residual[0] <= 1e-10
    assert nf.stability(system, found).stability[0] == "stable"
    assert "by following the motion for t = " in found.reason[0]
    assert "unstable state" in found.reason[0]
    switched = nf.evolve(system, ONE, 300.0, dt=0.1)
    np.testing.assert_allclose(found.state, switched.state, atol=3e-3)
    # a start from there is left alone
    again = nf.solve_steady(system, ONE, prefer="stable", initial=found.state)
    np.testing.assert_array_equal(again.state, found.state)
    # and one at the unstable state, which would stay there for long, is led to its limit cycle
    left = nf.solve_steady(system, ONE, prefer="stable", initial=steady.state, on_failure="flag")
    assert not left.converged[0]
    assert "oscillates" in left.reason[0]
    assert left.residual[0] > 0.01


def test_a_device_that_oscillates_has_not_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "PATIENCE", 15.0)
    system, steady = reference(-1.5)
    assert steady.converged.all()
    found = nf.solve_steady(system, ONE, prefer="stable", on_failure="flag")
    assert not found.converged[0]
    assert found.residual[0] > 0.1
    assert "the device oscillates" in found.reason[0]
    with pytest.raises(nf.NotConverged, match="oscillates"):
        nf.solve_steady(system, ONE, prefer="stable")
    with pytest.raises(nf.NotConverged, match=r"Followed for t = 20, 2 times 1/gamma"):
        nf.solve_steady(system, ONE, prefer="stable", patience=2.0)


def test_where_no_state_is_found_the_motion_is_followed() -> None:
    system, _ = reference()
    few: dict[str, Any] = {"max_iterations": 1, "on_failure": "flag"}
    plain = nf.solve_steady(system, ONE, **few)
    assert not plain.converged[0]
    assert "unstable" not in plain.reason[0]  # nobody has looked
    found = nf.solve_steady(system, ONE, prefer="stable", **few)
    assert found.converged[0]
    assert "found no state" in found.reason[0]


def test_states_that_are_stable_stay_as_they_are() -> None:
    system, _ = reference()
    inputs = np.array([[0.05], [1.0], [0.1]])
    plain = nf.solve_steady(system, inputs)
    found = nf.solve_steady(system, inputs, prefer="stable")
    np.testing.assert_array_equal(found.state[:, [0, 2]], plain.state[:, [0, 2]])
    assert abs(found.state[:, 1] - plain.state[:, 1]).max() > 0.1
    assert found.reason[0] == plain.reason[0]


def test_other_words_are_refused() -> None:
    system, _ = reference()
    with pytest.raises(nf.InputError, match="choose 'any' or 'stable'"):
        nf.solve_steady(system, ONE, prefer="unstable")


def test_other_waves_prefer_stable_states_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "PATIENCE", 10.0)
    system, _ = placed("chain", loss=(0.1, 0.1), g=-1.0, cross=3.0, turn_back=0.2 - 0.1j)
    steady = nf.solve_steady(system, 2 * INPUTS[:1], prefer="stable", on_failure="flag")
    said = nf.stability(system, steady).stability
    assert (said[steady.converged] != "unstable").all()


def test_studies_and_trainings_prefer_stable_states(tmp_path: Path) -> None:
    """The same study warns of an unstable state where it does not."""
    run = tmp_path / "run"
    study = unstable_study(tmp_path, solver__prefer="stable", training__compare_every=1)
    done = invoke("train", str(study), "--out", str(run))
    assert done.exit_code == 0, done.output
    assert "unstable" not in done.output
    summary = json.loads((run / "summary.json").read_text())
    assert summary["unstable"] == 0
    assert set(summary["stability"]) <= {"proved", "stable"}
    assert summary["outputs"][0][0] == pytest.approx(0.7707, abs=1e-3)
    history = (run / "history.csv").read_text().splitlines()
    place = history[0].split(",").index("unstable")
    assert [float(line.split(",")[place]) for line in history[1:]] == [0, 0, 0]


def test_the_nudged_state_is_that_beside_the_free_one() -> None:
    system, _ = reference()
    cost = nf.MSE(nf.readout(system.space, sites=[4]))
    options: dict[str, Any] = {"prefer": "stable", "tolerance": 1e-12}
    target = np.array([[0.5]])
    lossless = replace(system, loss=0.1)
    rule = nf.gradient(lossless, cost, ONE, target, "nep-symmetric", 1e-4, **options)
    limit = nf.gradient(lossless, cost, ONE, target, "nep-linear", **options)
    np.testing.assert_allclose(
        rule.params["potential"], limit.params["potential"], rtol=1e-4, atol=1e-6
    )
