"""The training loop: it learns, keeps count, and resumes to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import values_of, with_parameter

import nepfield as nf
from nepfield.learning import training
from nepfield.systems.near_equilibrium import nudge_losses
from tests.cases import TIGHT, case, chain_cost, chain_system, ell, space

XOR = nf.xor()


def system(seed: int = 0, **options: object) -> nf.GPE:
    return chain_system(np.random.default_rng(seed), **options)


def train(start: nf.GPE | None = None, task: nf.Task = XOR, **options: object) -> nf.TrainingResult:
    defaults = {"optimizer": nf.Adam(0.02), "epochs": 4}
    return nf.train(start or system(), chain_cost(), task, **{**defaults, **options})


def same(first: nf.TrainingResult, second: nf.TrainingResult) -> bool:
    """Whether two results hold the same parameters, bit by bit."""
    a, b = values_of(first.system), values_of(second.system)
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)


class Failing:
    """Makes the steady states of some samples fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails: Callable) -> None:
        solve, self.calls = nf.GPE.equilibrate, 0

        def failing(system: nf.GPE, inputs: np.ndarray, *args: object, **options: object):
            self.calls += 1
            found = solve(system, inputs, *args, **options)
            bad = np.array([fails(row, self.calls) for row in inputs], dtype=bool)
            state = np.where(bad, np.nan, found.state)
            return replace(found, state=state, converged=found.converged & ~bad)

        monkeypatch.setattr(nf.GPE, "equilibrate", failing)


# -- it learns ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_xor_on_the_chain(seed: int) -> None:
    result = train(system(seed), epochs=300)
    assert result.final.cost < 0.01
    assert result.history[0]["cost"] > 0.1
    np.testing.assert_allclose(result.final.outputs, XOR.targets, atol=0.15)
    fresh = nf.evaluate(result.system, chain_cost(), XOR.inputs, XOR.targets)
    assert fresh.cost == pytest.approx(result.final.cost, rel=1e-6)  # without the warm start


@pytest.mark.parametrize("rule", nf.RULES)
@pytest.mark.parametrize("optimizer", [nf.SGD(0.05), nf.Momentum(0.01), nf.Adam(0.01)])
def test_every_rule_and_optimiser_lowers_the_cost(rule: str, optimizer: object) -> None:
    result = train(system(1, loss=0.01), rule=rule, optimizer=optimizer, epochs=10)
    assert result.final.cost < result.history[0]["cost"]


@pytest.mark.parametrize("rule", nf.RULES)
def test_a_step_of_gradient_descent_by_hand(rule: str) -> None:
    start = system()
    optimizer = nf.SGD(0.1, {"weights": 0.5})
    result = train(start, optimizer=optimizer, epochs=1, rule=rule, beta=0.03)
    estimate = nf.gradient(start, chain_cost(), XOR.inputs, XOR.targets, rule, 0.03)
    for name, rate in (("potential", 0.1), ("weights", 0.5)):
        expected = start.parameters[name] - rate * estimate.fields[name]
        np.testing.assert_allclose(values_of(result.system)[name], expected, rtol=1e-12)


def test_a_step_of_the_potential_does_not_depend_on_the_mesh() -> None:
    steps = []
    for n in (4, 8):
        on = nf.finite_elements(ell(n))
        start = nf.GPE(on, 0.4, [nf.gaussian_pump([0.5, 0.5], 0.3, 10.0)], nf.Density(0.3), 0.3)
        result = nf.train(
            start,
            nf.MSE(nf.readout(on, regions=["upper"])),
            nf.Task([[1.0]], [[0.3]]),
            optimizer=nf.SGD(1.0),
            epochs=1,
        )
        step = result.system.potential.values - 0.4
        cells = on.domain.regions
        steps.append([step[cells[name]].mean() for name in ("corner", "right", "upper")])
    np.testing.assert_allclose(steps[0], steps[1], rtol=0.05)


def test_bounds_hold_in_every_epoch() -> None:
    start = system(complex_valued=True, bounds=(0.0, 0.5), imaginary_bounds=(-0.02, 0.0))
    seen = []
    train(
        start,
        optimizer=nf.Adam(0.1),
        epochs=20,
        on_epoch=lambda state: seen.append(state.parameters["potential"]),
    )
    values = np.array(seen)
    assert values.shape == (20, 9)
    assert values.real.min() == 0.0
    assert values.real.max() == 0.5
    assert values.imag.min() == -0.02
    assert values.imag.max() == 0.0


def test_what_is_not_trainable_stays() -> None:
    start = system()
    pumps = with_parameter(start.pumps, trainable=np.array([True, False]))
    result = train(replace(start, pumps=pumps), optimizer=nf.Momentum(0.1))
    assert result.system.pumps.weights[1] == start.pumps.weights[1]
    assert result.system.pumps.weights[0] != start.pumps.weights[0]
    fixed = with_parameter(start.potential, trainable=False)
    result = train(replace(start, potential=fixed))
    np.testing.assert_array_equal(result.system.potential.values, start.potential.values)
    assert "gradient_norm_potential" not in result.history[-1]


def test_weights_given_as_whole_numbers_are_trained() -> None:
    on = space("chain")
    starts = [
        nf.GPE(on, 0.3, [nf.site_pump(2, one), nf.site_pump(6, -one)], nf.Saturation(0.1), 0.03)
        for one in (1, 1.0)
    ]
    assert same(*[train(start) for start in starts])


# -- resuming ----------------------------------------------------------------------------


class Interrupt(Exception):
    """Stands for whatever ends a run."""


def stop_at(epoch: int) -> Callable[[nf.TrainingState], None]:
    def on_epoch(state: nf.TrainingState) -> None:
        if state.epoch == epoch:
            raise Interrupt

    return on_epoch


RUNS = {
    "adam": {},
    "batches": {"batch": 3, "seed": 5},
    "momentum": {"optimizer": nf.Momentum(0.05, {"weights": 0.1}), "batch": 1},
    "sgd": {"optimizer": nf.SGD(0.1), "shuffle": False, "batch": 2},
    "complex": {"start": system(2, complex_valued=True), "batch": 3, "rule": "nep-symmetric"},
    "cold": {"warm_start": False, "batch": 2, "compare_every": 4},
    "adjoint": {"rule": "adjoint", "compare_every": 2, "seed": 1, "batch": 3},
}


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path: Path, options: dict) -> None:
    options = {**options, "epochs": 12}
    paths = [tmp_path / name for name in ("whole.npz", "parts.npz")]
    whole = train(checkpoint=paths[0], **options)
    for epoch in (5, 9):
        with pytest.raises(Interrupt):
            train(checkpoint=paths[1], resume=True, on_epoch=stop_at(epoch), **options)
        assert nf.TrainingState.load(paths[1]).epoch == epoch
    parts = train(checkpoint=paths[1], resume=True, **options)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert same(whole, parts)
    assert whole.final.cost == parts.final.cost
    assert repr(whole.history) == repr(parts.history)  # nan is nan there


def test_an_interrupted_run_on_a_mesh_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Large enough for sparse factors and GMRES."""
    this = case("interval", "density", "cce")
    paths = [tmp_path / name for name in ("whole.npz", "parts.npz")]

    def run(path: Path, **options: object) -> None:
        task = nf.Task(this.inputs, this.targets)
        optimizer = nf.Adam(0.02)
        options |= {"checkpoint": path, "epochs": 4, "batch": 2}
        nf.train(this.system, this.cost, task, optimizer=optimizer, **options)

    run(paths[0])
    with pytest.raises(Interrupt):
        run(paths[1], on_epoch=stop_at(2))
    run(paths[1], resume=True)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert "accuracy" in nf.TrainingState.load(paths[1]).history[0]


def test_an_epoch_that_was_broken_off_is_done_again(tmp_path: Path) -> None:
    class Dying(nf.Adam):
        def step(self, *arguments: object) -> tuple:
            if next(steps, None) is None:
                raise Interrupt
            return super().step(*arguments)

    options = {"batch": 1, "epochs": 6}
    train(checkpoint=tmp_path / "whole.npz", **options)
    steps: Iterator[int] = iter(range(14))  # the third step of the fourth epoch fails
    with pytest.raises(Interrupt):
        train(checkpoint=tmp_path / "parts.npz", **{**options, "optimizer": Dying(0.02)})
    assert nf.TrainingState.load(tmp_path / "parts.npz").epoch == 3
    train(checkpoint=tmp_path / "parts.npz", resume=True, **options)
    assert (tmp_path / "whole.npz").read_bytes() == (tmp_path / "parts.npz").read_bytes()


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    first = train(checkpoint=path)
    before = path.read_bytes()
    again = train(
        system(9), checkpoint=path, resume=True, on_epoch=lambda state: pytest.fail("trained on")
    )
    assert path.read_bytes() == before
    assert same(first, again)
    assert repr(first.history) == repr(again.history)
    assert again.final.cost == first.final.cost


def test_a_resumed_run_may_be_longer(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    train(checkpoint=path, epochs=3, batch=3)
    longer = train(checkpoint=path, epochs=8, batch=3, resume=True)
    assert same(longer, train(epochs=8, batch=3))
    assert [row["epoch"] for row in longer.history] == list(range(1, 9))


def test_without_resume_a_run_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    first = train(checkpoint=path)
    before = path.read_bytes()
    train(system(4), checkpoint=path)
    assert path.read_bytes() != before
    assert same(first, train(checkpoint=path, resume=False))
    assert path.read_bytes() == before
    assert same(first, train(checkpoint=tmp_path / "not yet there.npz", resume=True))


def test_a_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    states = []
    train(
        system(complex_valued=True),
        checkpoint=tmp_path / "a.npz",
        compare_every=2,
        batch=3,
        on_epoch=states.append,
    )
    state, loaded = states[-1], nf.TrainingState.load(tmp_path / "a.npz")
    assert loaded.epoch == state.epoch == 4
    assert loaded.random_state == state.random_state
    assert repr(loaded.history) == repr(state.history)
    np.testing.assert_array_equal(loaded.warm, state.warm)
    for have, want in ((loaded.parameters, state.parameters), (loaded.memory, state.memory)):
        assert have.keys() == want.keys()
        assert all(np.array_equal(have[k], want[k]) for k in want)
    loaded.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_on_epoch_finds_its_checkpoint_on_disk(tmp_path: Path) -> None:
    path, epochs = tmp_path / "checkpoint.npz", []
    train(
        checkpoint=path,
        on_epoch=lambda state: epochs.append((state.epoch, nf.TrainingState.load(path).epoch)),
    )
    assert epochs == [(1, 1), (2, 2), (3, 3), (4, 4)]


@pytest.mark.parametrize("written", [0, 300])
def test_a_crash_while_saving_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    whole, path = tmp_path / "whole.npz", tmp_path / "checkpoint.npz"
    train(checkpoint=whole, epochs=5)
    train(checkpoint=path, epochs=2)
    before = path.read_bytes()

    def crash(file: object, **arrays: np.ndarray) -> None:
        file.write(before[:written])
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", crash)
        with pytest.raises(OSError, match="no space"):
            train(checkpoint=path, epochs=5, resume=True)
    assert path.read_bytes() == before
    assert nf.TrainingState.load(path).epoch == 2
    train(checkpoint=path, epochs=5, resume=True)
    # the comparison in the last epoch of the first part is all that may differ
    first, second = (nf.TrainingState.load(p) for p in (whole, path))
    assert all(np.array_equal(first.parameters[k], second.parameters[k]) for k in first.parameters)
    assert [p.name for p in tmp_path.iterdir() if ".part" in p.name] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": nf.Momentum(0.1)}, "memory of the optimiser .*first_potential"),
        ({"optimizer": nf.SGD(0.1)}, "memory of the optimiser"),
        ({"start": system(complex_valued=True)}, "parameters"),
        ({"warm_start": False}, "warm starts .*4 samples"),
        ({"task": nf.Task(XOR.inputs[:3], XOR.targets[:3])}, "warm starts .*4 samples"),
    ],
)
def test_a_checkpoint_of_another_study_is_refused(
    tmp_path: Path, change: dict, message: str
) -> None:
    path = tmp_path / "checkpoint.npz"
    train(checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(nf.InputError, match=rf"checkpoint\.npz: its {message}"):
        train(checkpoint=path, resume=True, **change)
    assert path.read_bytes() == before


def test_a_checkpoint_of_another_domain_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    train(checkpoint=path)
    other = case("lattice", "saturation")
    with pytest.raises(nf.InputError, match="its parameters"):
        nf.train(
            other.system,
            other.cost,
            nf.Task(other.inputs, other.targets),
            optimizer=nf.Adam(0.02),
            checkpoint=path,
            resume=True,
        )


def test_a_corrupt_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    train(checkpoint=path)
    whole = path.read_bytes()
    with np.load(path) as data:
        arrays = dict(data)
    np.savez(tmp_path / "other.npz", **{k: v for k, v in arrays.items() if k != "random_state"})
    for content in (
        b"",
        b"no zip",
        whole[:-100],
        whole[:400] + b"\0" * 40 + whole[440:],
        (tmp_path / "other.npz").read_bytes(),
    ):
        path.write_bytes(content)
        with pytest.raises(nf.InputError, match=r"checkpoint\.npz: this is no checkpoint"):
            train(checkpoint=path, resume=True)
        assert path.read_bytes() == content


# -- history -----------------------------------------------------------------------------


def test_history_of_the_first_epoch_by_hand() -> None:
    start = system(3)
    (row,) = train(start, epochs=1).history
    assert list(row) == [
        "epoch",
        "cost",
        "largest_error",
        "nonlinearity_ratio",
        "loss_ratio",
        "nudge_loss",
        "unstable",
        "gradient_norm_potential",
        "gradient_norm_weights",
        "gradient_cosine",
        "fraction_converged",
    ]
    before = nf.evaluate(start, chain_cost(), XOR.inputs, XOR.targets)
    near = nf.near_equilibrium(start, before.steady.state)
    estimate = nf.gradient(start, chain_cost(), XOR.inputs, XOR.targets, "nep")
    table = nf.compare_gradients(start, chain_cost(), XOR.inputs, XOR.targets)
    expected = {
        "epoch": 1,
        "cost": before.cost,
        "largest_error": np.abs(before.outputs - XOR.targets).max(),
        "nonlinearity_ratio": near.nonlinearity_ratio.mean(),
        "loss_ratio": near.loss.mean(),
        "nudge_loss": np.nanmean(nudge_losses(start, before.steady.state, estimate.response)),
        "unstable": 0.0,
        "gradient_norm_potential": np.linalg.norm(estimate.fields["potential"]),
        "gradient_norm_weights": np.linalg.norm(estimate.fields["weights"]),
        "gradient_cosine": table.loc["nep", "cosine"],
        "fraction_converged": 1.0,
    }
    assert row == {name: pytest.approx(value, rel=1e-6) for name, value in expected.items()}


def test_gradient_norms_are_norms_of_fields() -> None:
    """In L2: the same on a fine mesh as on a coarse one."""
    norms = []
    for n in (4, 8):
        on = nf.finite_elements(ell(n))
        start = nf.GPE(on, 0.4, [nf.gaussian_pump([0.5, 0.5], 0.3, 10.0)], nf.Density(0.3), 0.3)
        cost = nf.MSE(nf.readout(on, regions=["upper"]))
        task = nf.Task([[1.0]], [[0.3]])
        result = nf.train(start, cost, task, optimizer=nf.SGD(0.0), epochs=1)
        norms.append(result.history[0]["gradient_norm_potential"])
    assert norms[0] == pytest.approx(norms[1], rel=0.05)


def test_the_cost_of_an_epoch_counts_samples_not_batches() -> None:
    result = train(optimizer=nf.SGD(0.0), batch=3, epochs=1)
    assert result.history[0]["cost"] == pytest.approx(result.final.cost, rel=1e-9)
    assert result.history[0]["largest_error"] == pytest.approx(
        result.final.metrics["largest_error"], rel=1e-9
    )


@pytest.mark.parametrize(("every", "compared"), [(0, [7]), (3, [3, 6, 7]), (1, list(range(1, 8)))])
def test_the_gradient_is_compared_where_asked(every: int, compared: list[int]) -> None:
    for rule in ("nep", "adjoint"):
        history = train(rule=rule, epochs=7, batch=3, compare_every=every).history
        for row in history:
            cosine = row["gradient_cosine"]
            assert np.isnan(cosine) == (row["epoch"] not in compared)
            if row["epoch"] in compared:
                assert cosine == pytest.approx(1, rel=1e-9) if rule == "adjoint" else cosine < 1


def test_comparing_does_not_change_the_training() -> None:
    assert same(train(compare_every=1, batch=3), train(batch=3))


# -- samples, batches, seeds -------------------------------------------------------------


def test_every_epoch_takes_each_sample_once(monkeypatch: pytest.MonkeyPatch) -> None:
    task = nf.Task(np.arange(14.0).reshape(7, 2) / 10, np.arange(7.0)[:, None])
    batches: list[list[float]] = []
    inner = training.estimate

    def spy(system: nf.GPE, cost: object, inputs: np.ndarray, targets: np.ndarray, *a, **k):
        np.testing.assert_array_equal(inputs, task.inputs[targets[:, 0].astype(int)])
        batches.append(list(targets[:, 0]))
        return inner(system, cost, inputs, targets, *a, **k)

    monkeypatch.setattr(training, "estimate", spy)

    def orders(**options: object) -> list[list[float]]:
        batches.clear()
        train(task=task, epochs=3, batch=3, rule="nep-linear", optimizer=nf.SGD(0.0), **options)
        assert [len(b) for b in batches] == [3, 3, 1] * 3
        epochs = [[i for b in batches[k : k + 3] for i in b] for k in (0, 3, 6)]
        assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
        return epochs

    shuffled = orders(seed=1)
    assert shuffled[0] != shuffled[1] != shuffled[2]
    assert orders(seed=1) == shuffled
    assert orders(seed=2) != shuffled
    assert orders(shuffle=False) == [list(range(7))] * 3


def test_it_is_told_that_nudged_states_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = training.estimate

    def without(*arguments: object, **options: object) -> nf.Gradient:
        found = inner(*arguments, **options)
        return replace(found, used=np.zeros_like(found.used))

    monkeypatch.setattr(training, "estimate", without)
    with pytest.raises(nf.NotConverged, match=r"the free states are there.*training\.beta"):
        train(epochs=1)


def test_the_seed_decides_the_order_and_nothing_else() -> None:
    first, again, other = (train(batch=1, seed=seed) for seed in (3, 3, 4))
    assert same(first, again)
    assert repr(first.history) == repr(again.history)
    assert not same(first, other)
    assert same(*[train(batch=1, shuffle=False, seed=seed) for seed in (3, 4)])


def test_a_batch_may_be_larger_than_the_task() -> None:
    assert same(train(batch=100), train())
    assert same(train(batch=4), train())
    assert not same(train(batch=3), train())


def test_warm_starts_save_iterations_and_change_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[nf.Gradient] = []
    inner = training.estimate

    def spy(*arguments: object, **options: object) -> nf.Gradient:
        found.append(inner(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(training, "estimate", spy)
    results, iterations = [], []
    for flag in (True, False):
        found.clear()
        options = {"warm_start": flag, "rule": "adjoint", "epochs": 20, "batch": 3}
        results.append(train(system(1), **options, **TIGHT))
        iterations.append(sum(g.steady.iterations.sum() for g in found[2:]))  # after an epoch
    warm, cold = results
    assert iterations[0] < 0.8 * iterations[1]
    for name, value in values_of(cold.system).items():
        np.testing.assert_allclose(values_of(warm.system)[name], value, rtol=1e-6)


def test_warm_starts_belong_to_their_samples() -> None:
    """After an epoch that leaves the system as it is, they are its steady states."""
    states = []
    result = train(optimizer=nf.SGD(0.0), batch=1, seed=2, epochs=1, on_epoch=states.append)
    np.testing.assert_allclose(states[0].warm, result.final.steady.state, atol=1e-9)
    assert train(warm_start=False, on_epoch=states.append)
    assert states[-1].warm is None


# -- samples without a steady state ------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 1])
def test_failed_samples_are_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch, batch: int | None
) -> None:
    options = {"batch": batch, "shuffle": False, "compare_every": 1}
    expected = train(task=nf.Task(XOR.inputs[:3], XOR.targets[:3]), **options)
    states = []
    Failing(monkeypatch, lambda row, call: row.sum() == 2)
    result = train(on_epoch=states.append, **options)
    for row, other in zip(result.history, expected.history, strict=True):
        assert row["fraction_converged"] == 0.75
        assert other["fraction_converged"] == 1.0
        for name in set(row) - {"fraction_converged"}:
            assert row[name] == pytest.approx(other[name], rel=1e-7)
    for name, value in values_of(expected.system).items():
        np.testing.assert_allclose(values_of(result.system)[name], value, rtol=1e-7)
    assert np.isnan(states[-1].warm[:, 3]).all()  # it starts from the vacuum again
    assert np.isfinite(states[-1].warm[:, :3]).all()


def test_samples_that_need_more_iterations_than_allowed_are_left_out() -> None:
    result = train(epochs=2, max_iterations=0)
    assert [row["fraction_converged"] for row in result.history] == [0.25, 0.25]
    assert result.history[0]["cost"] == 0  # the vacuum is right for the inputs 0, 0
    assert result.final.cost == 0
    np.testing.assert_array_equal(np.isnan(result.final.outputs.ravel()), [False, *[True] * 3])


def test_an_epoch_without_any_steady_state_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.npz"
    # free and nudged states: two calls an epoch, and the third epoch is the first to fail
    with monkeypatch.context() as patch:
        Failing(patch, lambda row, call: call > 4)
        with pytest.raises(nf.NotConverged, match="epoch 3: not one sample") as error:
            train(checkpoint=path, epochs=6)
    assert not error.value.steady.converged.any()
    assert nf.TrainingState.load(path).epoch == 2
    assert same(train(checkpoint=path, epochs=6, resume=True), train(epochs=6))


def test_evaluate() -> None:
    start, cost = system(), chain_cost()
    whole = nf.evaluate(start, cost, XOR.inputs, XOR.targets)
    psi = whole.steady.state[4]
    np.testing.assert_allclose(whole.outputs[:, 0], np.abs(psi) ** 2)
    assert whole.cost == pytest.approx(np.mean(0.5 * (XOR.targets[:, 0] - np.abs(psi) ** 2) ** 2))
    none = nf.evaluate(start, cost, XOR.inputs[1:], XOR.targets[1:], max_iterations=0)
    assert np.isnan(none.cost)
    assert np.isnan(none.outputs).all()
    assert none.metrics == {}
    with pytest.raises(nf.InputError, match="4 inputs but 3 targets"):
        nf.evaluate(start, cost, XOR.inputs, XOR.targets[:3])


def test_test_samples_are_evaluated_with_the_trained_system() -> None:
    task = nf.Task(XOR.inputs[:2], XOR.targets[:2], XOR.inputs[2:], XOR.targets[2:])
    result = train(task=task)
    other = nf.evaluate(result.system, chain_cost(), XOR.inputs[2:], XOR.targets[2:])
    assert result.test.cost == pytest.approx(other.cost)
    assert result.test.metrics == pytest.approx(other.metrics)
    assert result.test.cost != result.final.cost
    assert train().test is None


# -- what is refused ---------------------------------------------------------------------


def test_nothing_to_train_is_refused() -> None:
    start = system()
    fixed = replace(
        start,
        potential=with_parameter(start.potential, trainable=False),
        pumps=with_parameter(start.pumps, trainable=np.zeros(2, dtype=bool)),
    )
    with pytest.raises(nf.InputError, match="nothing to train"):
        train(fixed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch = 0"),
        ({"epochs": -1}, "epochs = -1"),
        ({"rule": "backprop"}, "'backprop' is unknown"),
        ({"beta": 0.0}, "beta = 0"),
        ({"tolerance": 2.0}, "tolerance = 2"),
        ({"task": nf.Task([[1.0]], [[1.0]])}, "inputs: the 2 pumps"),
        ({"task": nf.Task([[1.0, 0.0]], [[1.0, 0.0]])}, "targets: 1 output region"),
    ],
)
def test_bad_arguments_are_refused_before_the_first_epoch(
    tmp_path: Path, change: dict, message: str
) -> None:
    with pytest.raises(nf.InputError, match=message):
        train(checkpoint=tmp_path / "checkpoint.npz", **change)
    assert list(tmp_path.iterdir()) == []


def test_no_epochs_leave_the_system_as_it_is() -> None:
    start = system()
    result = train(start, epochs=0)
    assert result.history == []
    assert values_of(result.system)["potential"].tobytes() == start.potential.values.tobytes()
    assert result.final.cost == nf.evaluate(start, chain_cost(), XOR.inputs, XOR.targets).cost
