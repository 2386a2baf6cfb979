"""Parts of a batch, histories that are appended to, and what a system is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases import case, chain_cost, chain_system, distance

import nepfield as nf
from nepfield.learning.rules import RULES
from nepfield.learning.state import History, TrainingState, history_of

XOR = nf.xor()
TIGHT = {"tolerance": 1e-12}


def start(seed: int = 0) -> nf.GPE:
    return chain_system(np.random.default_rng(seed))


# -- gradients of parts of a batch ----------------------------------------------------------


@pytest.mark.parametrize("rule", nf.RULES)
def test_parts_of_a_batch_add_up_to_the_whole(rule: str) -> None:
    this = case("triangles-2", "saturation", "cce")
    steady = nf.solve_steady(this.system, this.inputs, **TIGHT)
    chosen = [np.array([2]), np.array([0, 1])]  # in another order as well
    whole = nf.gradient(
        this.system, this.cost, this.inputs, this.targets, rule, 0.05, steady=steady, **TIGHT
    )
    first, second = (
        nf.gradient(
            this.system, this.cost, this.inputs[k], this.targets[k], rule, 0.05,
            steady=steady.samples(k), **TIGHT,
        )
        for k in chosen
    )  # fmt: skip
    both = first + second
    assert distance(both.params, whole.params) < 1e-9
    assert distance(both.fields, whole.fields) < 1e-9
    assert both.cost == pytest.approx(whole.cost)
    assert both.count == 3
    order = np.concatenate(chosen)
    np.testing.assert_allclose(both.per_sample, whole.per_sample[order])
    np.testing.assert_allclose(both.outputs, whole.outputs[order])
    np.testing.assert_array_equal(both.steady.state, steady.state[:, order])


def test_samples_that_failed_are_counted_in_neither_part() -> None:
    system, cost = start(), chain_cost()
    steady = nf.solve_steady(system, XOR.inputs)
    broken = replace(steady, converged=np.array([True, False, True, True]))
    parts = [
        nf.gradient(
            system, cost, XOR.inputs[k], XOR.targets[k], steady=broken.samples(np.arange(4)[k]),
            on_failure="flag",
        )
        for k in (slice(2), slice(2, 4))
    ]  # fmt: skip
    both = parts[0] + parts[1]
    assert [part.count for part in parts] == [1, 2]
    kept = np.array([0, 2, 3])
    reference = nf.gradient(
        system, cost, XOR.inputs[kept], XOR.targets[kept], steady=steady.samples(kept)
    )
    assert distance(both.params, reference.params) < 1e-12


# -- nudges ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chain", "triangles-2"])
def test_a_nudge_may_be_any_field(name: str) -> None:
    """Everywhere, and of the strength of the cost's: then it is that of the cost."""
    this = case(name, "density")
    free = nf.solve_steady(this.system, this.inputs, **TIGHT)
    signals = this.cost.readout.signals(free.state)
    nudge = nf.Nudge(this.cost, this.targets.T, free.state, signals, "linearised", 0.1)
    field = nf.FieldNudge(nudge.force(free.state))
    by_cost, by_field = (
        nf.solve_steady(this.system, this.inputs, nudge=push, initial=free.state, **TIGHT).state
        for push in (nudge, field)
    )
    np.testing.assert_allclose(by_cost, by_field, rtol=1e-10, atol=1e-12)
    rng = np.random.default_rng(0)
    anywhere = nf.FieldNudge(1e-3 * (rng.normal(size=free.state.shape) + 0j))
    moved = nf.solve_steady(
        this.system, this.inputs, nudge=anywhere, initial=free.state, **TIGHT
    ).state
    drive = this.system.drive(this.inputs) - 1j * anywhere.field
    assert np.abs(this.system.residual(moved, drive)).max() < 1e-9
    assert np.abs(moved - free.state).max() > 1e-5


def test_an_array_is_no_nudge() -> None:
    with pytest.raises(nf.InputError, match="FieldNudge"):
        nf.solve_steady(start(), XOR.inputs, nudge=np.zeros((9, 4)))


# -- systems and rules ----------------------------------------------------------------------


def test_every_rule_of_a_system_is_in_the_one_table() -> None:
    assert set(nf.RULES) <= set(RULES)
    assert nf.GPE.rules == nf.RULES


def test_a_rule_that_the_system_does_not_admit_is_refused() -> None:
    with pytest.raises(nf.InputError, match=r"'ep' is unknown to GPE; choose one of nep, "):
        nf.gradient(start(), chain_cost(), XOR.inputs, XOR.targets, "ep")


def test_without_an_exact_gradient_nothing_asks_for_it() -> None:
    class Physical(nf.GPE):
        rules = ("nep", "nep-symmetric")

    system = Physical(start().space, start().potential, start().pumps, nf.Saturation(0.1), 0.03)
    result = nf.train(system, chain_cost(), XOR, optimizer=nf.Adam(0.02), epochs=3, compare_every=1)
    assert "gradient_cosine" not in result.history[-1]
    with pytest.raises(nf.InputError, match="no exact gradient"):
        nf.compare_gradients(system, chain_cost(), XOR.inputs, XOR.targets)


def test_parameters_are_arrays_where_numpy_asks() -> None:
    system = start()
    assert set(system.parameters) == {"potential", "weights"}
    np.testing.assert_array_equal(system.parameters["weights"], system.pumps.weights)
    assert len(system.parameters["potential"]) == 9
    assert system.parameters["potential"].on == "vertex"


# -- a history that is appended to ----------------------------------------------------------


def train(path: Path, epochs: int, **options: object) -> nf.TrainingResult:
    return nf.train(
        start(), chain_cost(), XOR, optimizer=nf.Adam(0.02), epochs=epochs, checkpoint=path,
        **options,
    )  # fmt: skip


def test_a_checkpoint_does_not_grow_with_the_epochs(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    sizes, written = [], []

    def look(state: TrainingState) -> None:
        sizes.append(path.stat().st_size)
        written.append(history_of(path).stat().st_size)

    train(path, 60, on_epoch=look)
    assert max(sizes) - min(sizes) < 32  # the number of the epoch may have a digit more
    growth = np.diff(written)
    assert growth.max() < 1.5 * growth.min()  # a line an epoch


def test_the_history_file_holds_what_the_result_does(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    result = train(path, 5, compare_every=2)
    assert history_of(path) == tmp_path / "history.csv"
    assert repr(History(history_of(path)).rows()) == repr(result.history)
    assert repr(TrainingState.load(path).history) == repr(result.history)


def test_an_earlier_line_is_never_written_again(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    train(path, 3)
    history = history_of(path)
    node, before = history.stat().st_ino, history.read_bytes()
    train(path, 8, resume=True)
    assert history.stat().st_ino == node
    assert history.read_bytes().startswith(before)


@pytest.mark.parametrize("tail", ["4,0.1", "4,0.5,0.5,0.5,0.5,0.5,0.5,0.5,,1.0\n", "\n", "x"])
def test_what_is_ahead_of_the_checkpoint_or_broken_off_is_dropped(
    tmp_path: Path, tail: str
) -> None:
    path, whole = tmp_path / "checkpoint.npz", tmp_path / "whole.npz"
    train(whole, 6)
    train(path, 3)
    with history_of(path).open("a") as file:
        file.write(tail)
    result = train(path, 6, resume=True)
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4, 5, 6]
    assert TrainingState.load(path).history[-1] == TrainingState.load(whole).history[-1]
    kept = history_of(path).read_text().splitlines()
    assert [line.split(",")[0] for line in kept[1:]] == ["1", "2", "3", "4", "5", "6"]


def test_a_checkpoint_of_version_0_1_is_read_and_goes_on(tmp_path: Path) -> None:
    path, whole = tmp_path / "checkpoint.npz", tmp_path / "whole.npz"
    expected = train(whole, 6)
    train(path, 3)
    with np.load(path) as data:
        arrays = dict(data)
    rows = TrainingState.load(path).history
    arrays["history"] = np.array(json.dumps(rows))  # it was kept inside
    np.savez(path, **arrays)
    history_of(path).unlink()
    result = train(path, 6, resume=True)
    assert len(History(history_of(path)).rows()) == 6
    for name, parameter in expected.system.parameters.items():
        np.testing.assert_array_equal(parameter, result.system.parameters[name])
    with np.load(path) as data:
        assert "history" not in data.files


# -- samples beyond those of the training ---------------------------------------------------


def test_other_samples_are_evaluated_every_so_often() -> None:
    task = nf.Task(XOR.inputs[:3], XOR.targets[:3], XOR.inputs[3:], XOR.targets[3:])
    result = nf.train(
        start(), chain_cost(), task, optimizer=nf.Adam(0.02), epochs=7, evaluate_every=3
    )
    known = [np.isfinite(row["test_cost"]) for row in result.history]
    assert known == [False, False, True, False, False, True, True]
    assert result.history[-1]["test_cost"] == pytest.approx(result.test.cost)
    assert set(result.history[0]) >= {"test_cost", "test_largest_error"}


def test_several_starts_of_a_wave_are_the_same_start_several_times() -> None:
    one, three = (
        nf.train(
            start(),
            chain_cost(),
            XOR,
            optimizer=nf.SGD(0.1),
            epochs=4,
            starts=n,
            warm_start=False,
        )
        for n in (1, 3)
    )
    for name, parameter in one.system.parameters.items():
        np.testing.assert_allclose(parameter, three.system.parameters[name], rtol=1e-9)


def test_samples_by_class_need_classes() -> None:
    with pytest.raises(nf.InputError, match="name a class"):
        nf.train(start(), chain_cost(), XOR, optimizer=nf.SGD(0.1), epochs=1, per_class=2)


# -- what is refused before any work ------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"starts": 2, "warm_start": True}, "starts = 2: a warm start is one start"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 0.5}, "seed = 0.5"),
        ({"optimizer": nf.SGD(0.1, {"nothing": 1.0})}, "a rate for 'nothing', but"),
    ],
)
def test_training_says_what_does_not_go_together(options: dict, message: str) -> None:
    options = {"optimizer": nf.SGD(0.1), "epochs": 1, **options}
    with pytest.raises(nf.InputError, match=message):
        nf.train(start(), chain_cost(), XOR, **options)


def test_gradients_of_two_rules_are_no_parts_of_one_batch() -> None:
    system, cost = start(), chain_cost()
    one, other = (
        nf.gradient(system, cost, XOR.inputs, XOR.targets, rule) for rule in ("nep", "adjoint")
    )
    with pytest.raises(nf.InputError, match="only parts of one batch"):
        one + other


def test_a_history_that_lacks_epochs_is_not_continued(tmp_path: Path) -> None:
    options = {"optimizer": nf.SGD(0.1), "checkpoint": tmp_path / "checkpoint.npz"}
    nf.train(start(), chain_cost(), XOR, epochs=3, **options)
    history = history_of(tmp_path / "checkpoint.npz")
    lines = history.read_text().splitlines(keepends=True)
    history.write_text("".join(lines[:-1]))
    with pytest.raises(nf.InputError, match="does not hold the 3 epochs"):
        nf.train(start(), chain_cost(), XOR, epochs=5, resume=True, **options)


def test_a_row_ahead_of_a_checkpoint_is_cut_in_a_fresh_training(tmp_path: Path) -> None:
    options = {"optimizer": nf.SGD(0.1), "checkpoint": tmp_path / "checkpoint.npz", "epochs": 2}
    once = nf.train(start(), chain_cost(), XOR, **options).history
    (tmp_path / "checkpoint.npz").unlink()
    nf.train(start(), chain_cost(), XOR, **options)
    kept = TrainingState.load(tmp_path / "checkpoint.npz").history
    assert [row["epoch"] for row in kept] == [1, 2]
    assert [row["cost"] for row in kept] == [row["cost"] for row in once]


def test_numbers_of_a_history_are_plain_numbers(tmp_path: Path) -> None:
    """A cost of a user may return NumPy numbers."""
    history = History(tmp_path / "history.csv")
    history.complete([{"epoch": np.int64(1), "cost": np.float64(0.25), "accuracy": 1}])
    assert (tmp_path / "history.csv").read_text().splitlines()[1].split(",") == ["1", "0.25", "1.0"]


def test_a_nudge_below_the_tolerance_still_moves_the_state() -> None:
    system, cost = start(), chain_cost()
    loose = {"tolerance": 1e-3}
    steady = nf.solve_steady(system, XOR.inputs, **loose)
    found = nf.gradient(system, cost, XOR.inputs, XOR.targets, "nep", 1e-6, steady=steady, **loose)
    assert any(np.abs(values).max() > 0 for values in found.sums.values())
