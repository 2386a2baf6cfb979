"""Every benchmark of studies/speed at a tiny size: it runs, and what it compares is the same."""

from __future__ import annotations

import ast
import csv
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import nepfield as nf
from nepfield.space import pardiso
from studies.speed import __main__ as main
from studies.speed import against_pypde, runge_kutta, scaling, throughput, transients
from studies.speed.assembly import compare_assembly
from studies.speed.batch import compare_batch
from studies.speed.cases import box, box_system
from studies.speed.certificate import compare_certificates
from studies.speed.dense_reference import DenseChain
from studies.speed.factors import compare_factors
from studies.speed.measure import Measurement, best_of, describe_machine
from studies.speed.phases import compare_phases
from studies.speed.report import COLUMNS, print_table, write_csv
from studies.speed.small import compare_small
from studies.speed.stepping import Limits, step_to_end, step_within
from studies.speed.throughput import compare_throughput
from studies.speed.workers import compare_workers


def values(rows: Sequence[Measurement], quantity: str) -> list[float]:
    """All numbers of one quantity, which must be there."""
    found = [row.value for row in rows if row.quantity == quantity]
    assert found, f"no {quantity!r} in {[row.quantity for row in rows]}"
    return [float(value) for value in found]


def decay(rate: float, dt: float):
    """A state that decays exactly: how to advance it and its residual."""
    state = [1.0]

    def advance(nsteps: int) -> None:
        state[0] *= np.exp(-rate * dt * nsteps)

    return advance, lambda: state[0]


def test_stepping_stops_at_the_goal() -> None:
    done = step_to_end(*decay(0.1, 0.5), dt=0.5, goal=1e-8)
    assert not done.extrapolated
    assert done.duration == pytest.approx(-np.log(1e-8) / 0.1, abs=1.0)


def test_long_stepping_is_extrapolated_from_a_part() -> None:
    part = step_within(
        Limits(whole=0.0, part=0.01), *decay(0.1, 0.5), dt=0.5, goal=1e-8, duration=200.0
    )
    assert part.extrapolated
    assert part.seconds == pytest.approx(part.seconds_per_step * 400)


def test_stepping_that_blows_up_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="failed"):
        step_to_end(*decay(-1.0, 0.5), dt=0.5, goal=1e-8)
    with pytest.raises(RuntimeError, match="failed"):
        step_to_end(lambda _: None, lambda: float("nan"), dt=0.5, goal=1e-8)


def test_newton_and_runge_kutta_find_the_same_state() -> None:
    rows = runge_kutta.compare_with_runge_kutta(10, 6, Limits(60, 1))
    assert values(rows, "difference of the two states")[0] < 1e-6
    assert values(rows, "ratio")[0] > 0
    assert all("stepped to the end" in row.note for row in rows if row.quantity == "ratio")


def test_runge_kutta_says_that_it_extrapolates() -> None:
    rows = runge_kutta.compare_with_runge_kutta(12, 6, Limits(0, 0.1))
    (note,) = [row.note for row in rows if row.quantity == "ratio"]
    assert note.startswith("extrapolated")
    assert "121 unknowns" in note


def test_both_steppers_end_in_the_same_state() -> None:
    small = [("box", lambda: box_system(_space(5)), ">= 1")]
    rows = transients.compare_transients(small, 3.0, 30.0)
    assert values(rows, "its error at the end")[0] < 1e-4
    assert values(rows, "error of DOP853")[0] < 1e-3  # it went to the end
    assert "extrapolated" not in rows[-2].note
    rows = transients.compare_transients(small, 3.0, 0.0)
    (note,) = [row.note for row in rows if row.quantity == "ratio"]
    assert "extrapolated from t = " in note


def _space(n: int) -> nf.Space:
    return nf.finite_elements(box(n), order=2)


def test_nepfield_and_pypde_agree_ever_better() -> None:
    pytest.importorskip("pde")
    # Compiling takes much longer than a small box: a process of its own does without.
    command = (
        "from studies.speed.against_pypde import compare_with_pypde as compare; "
        "from studies.speed.stepping import Limits; "
        "print([(row.quantity, row.value) for row in compare(20, Limits(300, 1), 'numpy')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [Measurement("", "", *pair) for pair in ast.literal_eval(done.stdout)]
    coarse, fine = values(rows, "difference of the two states")
    assert fine < 0.03
    assert fine < 0.4 * coarse  # both discretisations are of second order
    assert values(rows, "ratio")[0] > 0


def test_without_pypde_the_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pde", None)
    (row,) = against_pypde.compare_with_pypde(8)
    assert row.value == "py-pde is not installed"
    assert row.met is None


@pytest.mark.slow
def test_sizes_are_measured_and_fitted(tmp_path: Path) -> None:
    runs = scaling.measure_sizes((6, 12))
    assert [run["unknowns"] for run in runs] == [121, 529]
    for run in runs:
        assert run["residual"] <= 1e-8
        assert run["setup"] + run["factorisation"] + run["newton"] == pytest.approx(run["total"])
        assert 0.01 < run["memory"] < 4
    scaling.draw_scaling(runs, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size < 300_000
    assert len(values(scaling.tabulate(runs), "exponent of the total time")) == 1


@pytest.mark.slow
def test_certificates_are_measured() -> None:
    rows = compare_certificates((10,))
    assert len(values(rows, "certificate")) == 2
    both = sum(values(rows, "certificate")) / max(values(rows, "steady state"))
    assert values(rows, "both certificates over a steady state")[0] == pytest.approx(both)
    notes = [row.note for row in rows if row.quantity == "certificate"]
    assert notes[0] == "proved, growth -0.100000"
    assert notes[1].split(",")[0] in ("stable", "unstable")


def test_the_exponent_is_fitted_to_the_logarithms() -> None:
    runs = [{"unknowns": n, "total": 3e-6 * n**1.25} for n in (100, 1000, 50000)]
    assert scaling.fit_exponent(runs) == pytest.approx((1.25, 3e-6))


def test_assembled_matrices_are_those_of_scikit_fem() -> None:
    rows = compare_assembly(6, repeats=1)
    differences = values(rows, "difference of the matrices")
    assert len(differences) == 4  # two orders, real and complex
    assert max(differences) <= 1e-12
    assert len(values(rows, "ratio")) == 4


def test_small_training_ends_at_the_parameters_of_the_dense_reference() -> None:
    rows = compare_small(epochs=15, repeats=1)
    assert values(rows, "difference of the parameters")[0] <= 1e-8
    assert values(rows, "time of nepfield over dense NumPy")[0] > 0


def test_the_dense_reference_learns() -> None:
    inputs = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    targets = np.array([0.0, 1.0, 1.0, 0.0])
    random = np.random.default_rng(0)
    chain = DenseChain(
        random.uniform(0, 0.5, 9), random.uniform(-1, 1, 2), np.array([2, 6]), 4, 0.1, 0.03
    )
    chain.train(inputs, targets, 200)
    drive = np.zeros((4, 9), dtype=complex)
    drive[:, chain.pump_sites] = inputs * chain.weights
    output = np.abs(chain.steady(drive, np.zeros_like(drive))[:, 4]) ** 2
    assert np.abs(output - targets).max() < 0.1


def test_a_batch_gives_the_states_of_its_samples() -> None:
    rows = compare_batch(4, 12, nsamples=30, repeats=1)
    assert values(rows, "difference of the states")[0] <= 1e-6
    assert values(rows, "ratio")[0] > 0


def test_large_batches_give_the_gradients_of_the_robust_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throughput, "_STEPS", 20)
    rows = compare_throughput(nsamples=32, nx=30, n=18)
    errors = values(rows, "error of the gradient")
    assert len(errors) == 3  # below and among the modes, and on a mesh
    assert max(errors) < 3e-4
    assert min(values(rows, "ratio")) > 0


def test_pardiso_and_superlu_find_the_same_state(monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("pymklpardiso")
    monkeypatch.setattr(pardiso, "_library", lambda: library)
    rows = compare_factors(33)
    assert values(rows, "difference of the states")[0] < 1e-9
    assert values(rows, "of it factors")[0] > 0  # 4,225 unknowns are enough for it
    assert values(rows, "of it solves")[0] > 0


def test_minima_of_phases_are_where_their_motion_ends() -> None:
    rows = compare_phases(10, epochs=2, nsamples=12, turns=1)
    assert values(rows, "from its end to the minimum, rad")[0] < 1e-3
    assert 0.3 < values(rows, "samples that end in the same minimum")[0] <= 1
    slow, fast = (
        values(rows, "Runge-Kutta, the same"),
        values(rows, "nepfield, random phases to minima"),
    )
    assert values(rows, "ratio")[0] == pytest.approx(slow[0] / fast[0])
    (note,) = {row.note for row in rows if row.quantity == "ratio"}
    assert "12 of 12 samples rest" in note


@pytest.mark.slow
def test_one_and_two_workers_do_the_same(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(
        'name = "chain"\ndomain.lattice = [9]\nphysics.loss = 0.1\npotential.initial = 0.2\n'
        'pump = [{ site = 2 }, { site = 6 }]\nreadout.sites = [4]\ntask.name = "xor"\n'
    )
    rows = compare_workers(2, 2, tmp_path / "study.toml")
    one, two = values(rows, "one worker"), values(rows, "two workers")
    assert values(rows, "ratio")[0] == pytest.approx(one[0] / two[0])
    assert values(rows, "different results") == [1]


def test_some_benchmarks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "compare_batch", lambda **_: [Measurement("b", "c", "q", 3.0)])
    main.main(["--only", "batch", "--quick", "--out", str(tmp_path)])
    assert (tmp_path / "results.csv").read_text().splitlines()[-1] == "b,c,q,3,,,,"
    assert not (tmp_path / "scaling.png").exists()
    with pytest.raises(SystemExit, match="2"):
        main.main(["--only", "batches", "--out", str(tmp_path / "no")])
    assert not (tmp_path / "no").exists()


def test_targets_are_judged() -> None:
    assert Measurement("b", "c", "q", 11.0, target=">= 10").met is True
    assert Measurement("b", "c", "q", 9.0, target=">= 10").met is False
    assert Measurement("b", "c", "q", 12.0, target="< 12").met is False
    assert Measurement("b", "c", "q", 12.0).met is None


def test_table_and_csv_hold_all_rows(tmp_path: Path) -> None:
    rows = [*describe_machine(), Measurement("b", "c", "time", 0.002, "s", "<= 1", "a note")]
    write_csv(rows, tmp_path / "results.csv")
    with (tmp_path / "results.csv").open() as file:
        read = list(csv.DictReader(file))
    assert tuple(read[0]) == COLUMNS
    assert len(read) == len(rows)
    assert read[-1]["met"] == "yes"
    assert read[-1]["value"] == "0.002"
    console = Console(record=True, width=120, file=(tmp_path / "screen").open("w"))
    print_table(rows, console)
    text = console.export_text()
    assert "2 ms" in text
    assert "(1) a note" in text


def test_best_of_takes_the_shortest() -> None:
    calls: list[int] = []
    times = best_of(3, lambda: calls.append(0), lambda: calls.append(1))
    assert calls == [0, 1, 0, 1, 0, 1]
    assert len(times) == 2
    assert min(times) >= 0
