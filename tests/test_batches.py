"""Large batches, solved in blocks: the same states and gradients as sample by sample."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import nepfield as nf
from nepfield.space.linalg import Factorisation
from nepfield.steady.batches import choice, kernels, lanes, pieces
from nepfield.steady.batches.acceleration import (
    WINDOW,
    Memory,
    combine,
    new_memory,
    remember,
)
from nepfield.steady.batches.chord import Outcome, iterate
from nepfield.steady.batches.lanes import LANES, compiled, load16, load32, rows, store16, store32
from nepfield.steady.batches.problems import responses_problem, states_problem
from nepfield.steady.batches.states import find_states
from nepfield.steady.batches.triangles import Triangles

NSAMPLES = 40


class Device:
    """A system, a cost and samples."""

    def __init__(self, system: nf.GPE, cost: nf.MSE, inputs: np.ndarray) -> None:
        self.system, self.cost, self.inputs = system, cost, inputs
        self.targets = np.random.default_rng(5).uniform(size=(len(inputs), cost.readout.noutputs))

    def gradient(self, rule: str = "adjoint", **options: object) -> nf.Gradient:
        return nf.gradient(
            self.system, self.cost, self.inputs, self.targets, rule, **{"beta": 0.01, **options}
        )


def lattice_device(level: float, response: object = None) -> Device:
    """A lattice of 8 x 10 sites; from about level -1 on the drive lies among the modes."""
    random = np.random.default_rng(1)
    space = nf.graph(nf.lattice(8, 10))
    pumps = [nf.site_pump(7 * k, float(w)) for k, w in enumerate(random.normal(0, 0.5, 12))]
    potential = level + random.uniform(0, 0.5, space.ndof)
    system = nf.GPE(space, potential, pumps, response or nf.Density(0.2), 0.1)
    cost = nf.MSE(nf.readout(space, sites=[5, 44, 71]))
    return Device(system, cost, random.uniform(size=(NSAMPLES, len(pumps))))


def mesh_device(response: object = None) -> Device:
    random = np.random.default_rng(2)
    space = nf.finite_elements(nf.read_domain("meshes/billiard.msh"), order=1)
    centers = random.uniform(0.25, 0.75, (5, 2)) * space.points.max(axis=0)
    pumps = [nf.gaussian_pump([float(x), float(y)], 0.5, 2.0) for x, y in centers]
    system = nf.GPE(space, 0.5, pumps, response or nf.Saturation(-0.5), 0.1)
    x, y = space.points[len(space.points) // 2]
    cost = nf.MSE(nf.readout(space, discs=[([float(x), float(y)], 1.0)]))
    return Device(system, cost, random.uniform(0.2, 1, (NSAMPLES, 5)))


DEVICES = {
    "lattice": lambda: lattice_device(0.0),
    "near resonance": lambda: lattice_device(-1.5),
    "mesh": mesh_device,
}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> object:
    """Call it to have every batch solved as small ones are."""
    return lambda: monkeypatch.setattr(choice, "LEAST", 10**9)


def difference(first: nf.Gradient, second: nf.Gradient) -> float:
    return max(
        float(np.linalg.norm(value - second.params[name]) / np.linalg.norm(second.params[name]))
        for name, value in first.params.items()
    )


@pytest.mark.parametrize("name", DEVICES)
def test_gradients_of_large_batches_are_those_of_small_ones(name: str, alone: object) -> None:
    device = DEVICES[name]()
    rules = ("adjoint", "nep") if name != "mesh" else ("adjoint",)
    found = {rule: device.gradient(rule, tolerance=1e-6) for rule in rules}
    tight = device.gradient(tolerance=1e-10)
    alone()
    for rule in rules:
        robust = device.gradient(rule, tolerance=1e-6 if rule == "adjoint" else 1e-10)
        assert difference(found[rule], robust) < 3e-4
    assert difference(tight, device.gradient(tolerance=1e-12)) < 1e-6


def test_the_certificate_is_the_residual(alone: object) -> None:
    device = lattice_device(-1.5)
    steady = nf.solve_steady(device.system, device.inputs, tolerance=1e-7)
    # by hand: H from the definition of the lattice, nep (13)
    state, drive = steady.state, device.system.drive(device.inputs)
    laplacian = -4 * state.reshape(8, 10, -1)
    for axis in (0, 1):
        for shift in (-1, 1):
            moved = np.roll(state.reshape(8, 10, -1), shift, axis)
            edge = [slice(None)] * 2
            edge[axis] = 0 if shift == 1 else -1
            moved[tuple(edge)] = 0
            laplacian = laplacian + moved
    potential = device.system.potential.values[:, None]
    rate = -1j * (
        -0.5 * laplacian.reshape(80, -1) + (potential + 0.2 * np.abs(state) ** 2 - 0.1j) * state
    )
    residual = np.linalg.norm(rate + drive, axis=0) / np.linalg.norm(drive, axis=0)
    assert (residual <= 1e-7 * (1 + 1e-6)).all()
    assert np.allclose(residual, steady.residual, rtol=1e-4)
    assert (steady.iterations > 3).all()  # Newton's method would take fewer
    alone()
    robust = nf.solve_steady(device.system, device.inputs, tolerance=1e-10)
    assert np.abs(steady.state - robust.state).max() < 1e-5


def test_a_sample_does_not_depend_on_its_neighbours() -> None:
    device = lattice_device(-1.0)
    drive = device.system.drive(device.inputs).astype(complex)
    scale = device.system.space.residual_norm(drive)
    linear = device.system.linearise(nf.solve_steady(device.system, device.inputs).state)
    triangles = Triangles(linear.factorise(linear.direct.mean(axis=-1)))

    def solve(samples: np.ndarray) -> np.ndarray:
        some, right = linear.samples(samples), drive[:, samples]
        problem = responses_problem(some, right, np.zeros_like(right))
        found = iterate(problem, triangles, np.full(len(samples), 1e-9), scale[samples])
        assert np.isfinite(found.residual).all()
        return problem.solution

    whole = solve(np.arange(NSAMPLES))
    order = np.random.default_rng(3).permutation(NSAMPLES)
    assert np.array_equal(solve(order), whole[:, order])
    assert np.array_equal(solve(np.array([7])), whole[:, [7]])


def test_samples_that_fail_go_through_newton_and_leave_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = lattice_device(0.0)
    usual = device.gradient(tolerance=1e-8)

    def failing(*args: object) -> object:
        found = find_states(*args)
        found.residual[[3, 20]] = np.inf
        return found

    monkeypatch.setattr("nepfield.steady.batches.states.find_states", failing)
    again = device.gradient(tolerance=1e-8)
    assert again.used.all()
    assert 0 < difference(again, usual) < 1e-6
    others = np.delete(np.arange(NSAMPLES), [3, 20])
    assert np.array_equal(again.steady.state[:, others], usual.steady.state[:, others])

    none = nf.gradient(
        device.system, device.cost, device.inputs, device.targets, "adjoint",
        on_failure="flag", tolerance=1e-8, max_iterations=0,
    )  # fmt: skip
    assert not none.used[[3, 20]].any()
    assert none.used[others].all()
    assert all(np.isfinite(value).all() for value in none.params.values())


def test_where_blocks_fail_on_the_way_states_are_still_found() -> None:
    """A strong drive among the modes, 7 times the loss: one sample is left to Newton's method."""
    strong = lattice_device(-1.5, nf.Density(1.0))
    inputs = 2 * strong.inputs
    drive = strong.system.drive(inputs).astype(complex)
    scale, goal = np.linalg.norm(drive, axis=0), np.full(NSAMPLES, 1e-8)
    nudged = np.zeros(NSAMPLES, dtype=bool)
    in_blocks = find_states(strong.system, drive, scale, 0 * drive, goal, goal, nudged)
    lost = ~np.isfinite(in_blocks.residual)
    assert 0 < lost.sum() < 5
    assert not in_blocks.state[:, lost].any()  # as it was given
    found = nf.solve_steady(strong.system, inputs, on_failure="flag", tolerance=1e-8)
    assert found.converged.all()
    residual = strong.system.residual(found.state, drive)
    assert (np.linalg.norm(residual, axis=0) <= 1e-8 * (1 + 1e-6) * scale).all()


class Capped(nf.Density):
    """An heir with an f of its own, and the fraction of another."""

    def f(self, n: np.ndarray) -> np.ndarray:
        return self.g * np.minimum(n, 0.05)

    def derivative(self, n: np.ndarray) -> np.ndarray:
        return self.g * (n < 0.05)


def emerging(n: np.ndarray) -> np.ndarray:
    """Loss that is not there at all densities."""
    return np.where(n > 0.05, 0.2 * n - 0.3j * (n - 0.05), 0.2 * n) if (n > 0.05).any() else 0.2 * n


@pytest.mark.parametrize(
    "response",
    [
        None,
        nf.CustomNonlinearity(lambda n: (0.2 - 0.02j) * n, lambda n: 0.2 - 0.02j),
        nf.Saturation(0.4),
        Capped(2.0),
        nf.CustomNonlinearity(emerging, lambda n: 0.2 - 0.3j * (n > 0.05)),
    ],
)
def test_linear_waves_and_complex_responses(response: object, alone: object) -> None:
    device = lattice_device(0.0, response or nf.Density(0.0))
    if response is None:
        device.system = nf.GPE(
            device.system.space, device.system.potential, device.system.pumps, None, 0.1
        )
    tight = device.gradient(tolerance=1e-10)
    alone()
    assert difference(tight, device.gradient(tolerance=1e-12)) < 1e-6


@pytest.mark.parametrize("make", [partial(lattice_device, 0.0), mesh_device])
def test_responses_that_python_evaluates_are_those_that_are_compiled(make: Any) -> None:
    same = nf.CustomNonlinearity(lambda n: -0.5 / (1 + n), lambda n: 0.5 / (1 + n) ** 2)
    compiled, by_python = make(response=nf.Saturation(-0.5)), make(response=same)
    assert compiled.system.response_alone().fraction == (-0.5, 0.0, 1.0)
    assert by_python.system.response_alone().fraction is None
    first, second = compiled.gradient(tolerance=1e-10), by_python.gradient(tolerance=1e-10)
    assert np.array_equal(first.steady.iterations, second.steady.iterations)
    assert np.abs(first.steady.state - second.steady.state).max() < 1e-13
    assert difference(first, second) < 1e-12


def test_an_heir_with_terms_of_its_own_is_solved_by_its_own_residual(alone: object) -> None:
    class Pairs(nf.GPE):
        def residual(self, state, drive, local=None):
            return super().residual(state, drive, local) + 0.05 * state.conj()

        def linearise(self, state, local=None):
            linear = super().linearise(state, local)
            linear.conjugate[...] += 0.05
            return linear

    device = lattice_device(0.0)
    base = device.system
    device.system = Pairs(base.space, base.potential, base.pumps, base.nonlinearity, base.loss)
    tight = device.gradient(tolerance=1e-10)
    alone()
    assert difference(tight, device.gradient(tolerance=1e-12)) < 1e-6


def test_a_sample_that_overflows_does_not_reach_the_next_one_in_its_lane() -> None:
    device = lattice_device(-1.0)
    drive = device.system.drive(device.inputs).astype(complex)
    drive[:, :5] *= 1e60
    scale = device.system.space.residual_norm(drive)
    scale[2] *= 1e12  # one that is done at once, and moves on beside the others
    triangles = Triangles(Factorisation(device.system.operator))

    def solve(samples: np.ndarray) -> tuple[np.ndarray, Outcome]:
        some = drive[:, samples]
        problem = states_problem(device.system, some, np.zeros_like(some))
        return problem.solution, iterate(
            problem, triangles, np.full(len(samples), 1e-8), scale[samples]
        )

    state, found = solve(np.arange(NSAMPLES))
    assert not np.isfinite(found.residual[:2]).any()
    assert np.isfinite(found.residual[5:]).all()
    for k in (5, 16, 20, 39):
        assert np.array_equal(solve(np.array([k]))[0][:, 0], state[:, k])


def test_blocks_take_few_steps_and_wait_for_few(monkeypatch: pytest.MonkeyPatch) -> None:
    device = lattice_device(-1.5)
    drive = device.system.drive(device.inputs).astype(complex)
    drive[:, :4] *= 3  # these take longer
    scale = device.system.space.residual_norm(drive)
    triangles = Triangles(Factorisation(device.system.operator))
    problem = states_problem(device.system, drive, np.zeros_like(drive))
    loaded: list[int] = []
    load = problem.load

    def counted(lanes: np.ndarray, samples: np.ndarray) -> None:
        loaded.append(len(lanes))
        load(lanes, samples)

    monkeypatch.setattr(problem, "load", counted)
    found = iterate(problem, triangles, np.full(NSAMPLES, 1e-8), scale)
    assert np.isfinite(found.residual).all()
    assert found.iterations[4:].max() <= 30
    assert found.solves <= 150
    assert loaded[0] == LANES
    assert sum(loaded) == NSAMPLES


def test_compiled_code_on_disk_belongs_to_all_files_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def stamp() -> object:
        return lanes.compiled(through_16_bits.py_func)._cache._cache_file._source_stamp

    before = stamp()
    assert stamp() == before
    monkeypatch.setattr(lanes, "_SOURCES", "another")
    assert stamp() != before
    assert kernels.evaluate._cache._cache_file._source_stamp[1] == before[1]


def test_triangles_solve_with_rows_and_columns_in_any_order() -> None:
    random = np.random.default_rng(4)
    device = lattice_device(-2.0)
    factors = Factorisation(device.system.operator)
    triangles = Triangles(factors)
    n = len(device.system.operator.toarray())
    right = random.normal(size=(2, n, LANES)).astype(np.float32)
    field = np.empty((n, 2, LANES), np.float32)
    field[triangles.rows.place] = right.transpose(1, 0, 2)
    flat = field.ravel()
    triangles.solve(flat)
    solution = np.empty((n, LANES), complex)
    found = flat.reshape(n, 2, LANES)
    solution[triangles.rows.order] = found[:, 0] + 1j * found[:, 1]
    exact = factors.solve(right[0] + 1j * right[1])
    assert np.abs(solution - exact).max() < 1e-5 * np.abs(exact).max()


def remembered(*corrections: np.ndarray, first: int = 0) -> Memory:
    """Memory of corrections (2 n, LANES) one after another, from this slot on, without a step."""
    memory = new_memory(corrections[0].size)
    for count, correction in enumerate(corrections):
        memory.force[:] = correction.ravel()
        remember(
            memory.force, memory.before, memory.step, (first + count) % WINDOW, count + 1,
            memory.images, memory.changes, memory.sketch, memory.gram, memory.products,
        )  # fmt: skip
    return memory


WHERE = np.linspace(0, 1, 2 * 2001)[:, None]
VECTORS = {
    "constant": np.ones((2 * 2001, LANES)),
    "alternating": np.resize([1.0, 1.0, -1.0, -1.0], 2 * 2001)[:, None] + np.zeros(LANES),
    "slow": np.cos(2 * np.pi * np.arange(1, LANES + 1) * WHERE),
    "fast": np.cos(2 * np.pi * 200.0 * np.arange(1, LANES + 1) ** 0.5 * WHERE),
    "random": np.random.default_rng(3).normal(size=(2 * 2001, LANES)),
    "small": np.random.default_rng(4).normal(size=(2 * 101, LANES)),  # here all that there is
}


@pytest.mark.parametrize("name", VECTORS)
def test_products_of_sketches_are_those_of_what_is_sketched(name: str) -> None:
    vectors = VECTORS[name]
    exact, close = (vectors**2).sum(axis=0), 0.02 if name == "small" else 0.25
    memory = remembered(vectors)
    assert memory.gram[0, :LANES] == pytest.approx(exact, rel=close)
    assert memory.products[:LANES] == pytest.approx(exact, rel=close)
    assert np.count_nonzero(memory.gram) == LANES


def test_a_change_of_one_unknown_is_seen() -> None:
    change, places = np.zeros((2 * 2001, LANES)), np.linspace(0, 2000, LANES).astype(int)
    for lane, place in enumerate(places):
        change[2 * place + lane % 2, lane] = lane + 1.0
    memory = remembered(change)
    assert np.array_equal(memory.gram[0, :LANES], np.arange(1.0, LANES + 1) ** 2)
    assert np.array_equal(memory.products[:LANES], memory.gram[0, :LANES])


def test_what_is_remembered_of_two_steps() -> None:
    random = np.random.default_rng(5)
    first, new = random.normal(size=(2, 2 * 259, LANES))
    second = 0.5 * first + new
    memory = remembered(first, second, first=WINDOW - 1)
    assert np.array_equal(memory.before, second.astype(np.float32).ravel())
    numbers = np.zeros_like(memory.before)
    halves = memory.images[0].copy()
    from_16_bits(halves, numbers)
    assert numbers == pytest.approx((first - second).ravel(), rel=1 / 128, abs=1e-6)
    gram = memory.gram.reshape(WINDOW, WINDOW, LANES)
    size = np.linalg.norm(first, axis=0) * np.linalg.norm(second - first, axis=0)
    assert np.abs(gram[0, -1] - (first * (second - first)).sum(axis=0)).max() < (0.4 * size).max()
    assert np.array_equal(gram[0, -1], gram[-1, 0])
    assert (gram[0, -1] < -0.1 * size).all()  # they point against each other
    products = memory.products.reshape(WINDOW, LANES)
    assert (products[-1] > 0.1 * size).all()
    assert np.count_nonzero(products) == 2 * LANES


def test_weights_of_remembered_steps_are_least_squares() -> None:
    random = np.random.default_rng(6)
    changes, new = random.normal(size=(WINDOW, 30, LANES)), random.normal(size=(30, LANES))
    changes[2, :, 5] = 2 * changes[4, :, 5]  # the older of two that say the same is left out
    gram = np.einsum("jil,kil->jkl", changes, changes).reshape(WINDOW, -1)
    products = np.einsum("jil,il->jl", changes, new).ravel()
    weights = np.empty(WINDOW * LANES)
    age = np.full(LANES, 9)
    age[:3] = [0, 1, 4]
    combine(gram, products, 4, age, weights)
    found = weights.reshape(WINDOW, LANES)
    assert not found[:, 0].any()
    for lane in (1, 2, 7):
        used = [(4 - a) % WINDOW for a in range(min(age[lane], WINDOW))]
        best = np.linalg.lstsq(changes[used, :, lane].T, new[:, lane], rcond=None)[0]
        assert np.allclose(found[used, lane], best)
        assert np.count_nonzero(found[:, lane]) == len(used)
    assert found[4, 5] != 0
    assert found[2, 5] == 0


@compiled
def through_16_bits(numbers: np.ndarray, halves: np.ndarray) -> None:
    for row in range(len(numbers) // LANES):
        store16(halves, row, load32(numbers, row))
        store32(numbers, row, load16(halves, row))


@compiled
def from_16_bits(halves: np.ndarray, numbers: np.ndarray) -> None:
    for row in range(len(numbers) // LANES):
        store32(numbers, row, load16(halves, row))


def test_numbers_of_16_bits_keep_eight_digits_and_the_whole_range() -> None:
    random = np.random.default_rng(7)
    numbers = random.normal(size=(64, LANES)) * 10.0 ** random.integers(-37, 38, (64, LANES))
    numbers[0] = 0.0
    numbers[1] = np.inf
    numbers[2] = np.nan
    found = rows(numbers.size, dtype=np.float32)
    found[:] = numbers.ravel()
    through_16_bits(found, rows(numbers.size, dtype=np.uint16))
    np.testing.assert_allclose(found, numbers.ravel().astype(np.float32), rtol=2.0**-8)
    assert np.ptp(found[3 * LANES :] / numbers.ravel()[3 * LANES :]) > 2.0**-8


def test_small_batches_never_come_here(monkeypatch: pytest.MonkeyPatch) -> None:
    device = lattice_device(0.0)

    def refused(*args: object) -> object:
        raise AssertionError("a small batch")

    monkeypatch.setattr("nepfield.steady.batches.states.find_states", refused)
    nf.solve_steady(device.system, device.inputs[: choice.LEAST - 1])
    with pytest.raises(AssertionError):
        nf.solve_steady(device.system, device.inputs[: choice.LEAST])


def test_without_a_compiler_the_same_is_found_with_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = lattice_device(0.0)
    usual = device.gradient(tolerance=1e-8)

    def broken() -> None:
        raise OSError("no LLVM")

    monkeypatch.setattr("nepfield.steady.batches.trial.run", broken)
    choice._compiles.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="Numba cannot compile here.*no LLVM"):
            slower = device.gradient(tolerance=1e-8)
    finally:
        choice._compiles.cache_clear()
    assert difference(usual, slower) < 1e-5


@pytest.mark.parametrize("value", [0.0, 1.0, -1e-3])
def test_a_tolerance_of_responses_that_is_none_is_refused(value: float) -> None:
    device = lattice_device(0.0)
    with pytest.raises(nf.InputError, match="response_tolerance"):
        nf.solve_steady(device.system, device.inputs, response_tolerance=value)


def test_the_tolerance_of_responses_is_a_setting(alone: object) -> None:
    device = lattice_device(-1.0)
    errors = []
    exact = device.gradient(tolerance=1e-12)
    for value in (1e-2, 1e-5):
        errors.append(difference(device.gradient(tolerance=1e-12, response_tolerance=value), exact))
    assert errors[1] < 1e-4 < errors[0]


@pytest.mark.parametrize("chosen", [np.arange(NSAMPLES), np.array([0, 1, 2, 5, 9, 31])])
def test_pieces_on_threads_give_what_one_thread_gives(
    monkeypatch: pytest.MonkeyPatch, chosen: np.ndarray
) -> None:
    """To the bit; samples that are not asked for stay as they were."""
    device = lattice_device(0.0)
    drive = device.system.drive(device.inputs).astype(complex)
    scale = device.system.space.residual_norm(drive)
    triangles = Triangles(Factorisation(device.system.operator))
    goal = np.full(NSAMPLES, 1e-8)

    def solve(workers: int) -> tuple[np.ndarray, Outcome]:
        monkeypatch.setattr(pieces, "threads", lambda: workers)
        state = np.zeros_like(drive)
        found = pieces.iterate_in_pieces(
            lambda some, start: states_problem(device.system, drive[:, some], start),
            triangles, chosen, state, goal, scale,
        )  # fmt: skip
        return state, found

    (alone, found), (shared, again) = solve(1), solve(3)
    assert np.array_equal(alone, shared)
    assert np.array_equal(found.residual, again.residual)
    assert np.array_equal(found.iterations, again.iterations)
    assert np.isfinite(found.residual[chosen]).all()
    others = np.setdiff1d(np.arange(NSAMPLES), chosen)
    assert not alone[:, others].any()
    assert np.isinf(found.residual[others]).all()
    # what the kernels measured is the certificate
    residual = device.system.residual(alone[:, chosen], drive[:, chosen])
    measured = device.system.space.residual_norm(residual) / scale[chosen]
    assert measured == pytest.approx(found.residual[chosen], rel=1e-6, abs=1e-15)


def test_no_row_of_lanes_lies_across_two_lines_of_the_cache() -> None:
    for dtype in (np.float32, float):
        array = rows(3, 5 * LANES, dtype=dtype)
        assert array.shape == (3, 5 * LANES)
        assert not array.any()
        assert array.ctypes.data % 64 == 0
        assert array.flags.c_contiguous
