"""Minima of energies, the flow to them, and their response, on energies known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import nepfield as nf
from nepfield.fields.coordinates import Coordinates
from nepfield.learning.costs import LogCosine
from nepfield.learning.nudge import FieldNudge, Nudge
from nepfield.steady.energy import Landscape
from nepfield.steady.flow import flow
from nepfield.steady.hessians import Bordered, Dense, positive_definite
from nepfield.steady.minimum import derivative_along, energy_response, minimum


@dataclass(frozen=True)
class Quadratic:
    """``x A x / 2 - b x``, with another b for each sample, written as the simplest energy is."""

    matrix: np.ndarray
    pull: np.ndarray
    free: np.ndarray

    def energy(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        return np.sum(state * (self.matrix @ state / 2 - self.pull[:, samples]), axis=0)

    def force(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        return self.matrix @ state - self.pull[:, samples]

    def hessian(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.matrix, (len(samples), *self.matrix.shape))


@dataclass(frozen=True)
class Wells:
    """``(x^2 - 1)^2 / 4 + y^2 / 2``: minima at x = 1 and -1, a saddle at the origin."""

    free = np.ones(2, dtype=bool)
    log: list[np.ndarray]

    def energy(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        x, y = state
        return (x**2 - 1) ** 2 / 4 + y**2 / 2

    def force(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        self.log.append(self.energy(state, samples))
        x, y = state
        return np.stack([x**3 - x, y])

    def hessian(self, state: np.ndarray, samples: np.ndarray) -> np.ndarray:
        matrices = np.zeros((state.shape[1], 2, 2))
        matrices[:, 0, 0], matrices[:, 1, 1] = 3 * state[0] ** 2 - 1, 1.0
        return matrices


def quadratic(seed: int = 0, n: int = 6, nsamples: int = 5) -> Quadratic:
    random = np.random.default_rng(seed)
    root = random.normal(size=(n, n))
    free = np.ones(n, dtype=bool)
    free[[1, 4]] = False
    return Quadratic(root @ root.T + np.eye(n), random.normal(size=(n, nsamples)), free)


def test_the_minimum_of_a_quadratic_energy_with_held_rows() -> None:
    energy = quadratic()
    start = np.random.default_rng(1).normal(size=(6, 5))
    steady = minimum(energy, start, largest_step=100.0)
    held = ~energy.free
    right = energy.pull[energy.free] - energy.matrix[np.ix_(energy.free, held)] @ start[held]
    block = energy.matrix[np.ix_(energy.free, energy.free)]
    assert steady.converged.all()
    assert set(steady.reason) == {"converged"}
    np.testing.assert_allclose(steady.state[energy.free], np.linalg.solve(block, right), atol=1e-12)
    np.testing.assert_array_equal(steady.state[held], start[held])
    np.testing.assert_allclose(
        steady.extra["lowest_curvature"], np.linalg.eigvalsh(block)[0], rtol=1e-12
    )
    assert steady.iterations.max() == 1


def test_steps_are_capped_and_running_out_of_them_is_told() -> None:
    energy = quadratic()
    start = np.full((6, 5), 30.0)
    steady = minimum(energy, start, largest_step=1.0, max_iterations=3)
    assert np.abs(steady.state - start).max() <= 3.0
    assert not steady.converged.any()
    assert "max_iterations" in steady.reason[0]
    assert (steady.iterations == 3).all()


def test_from_anywhere_a_minimum_is_reached_and_the_energy_never_grows() -> None:
    start = np.random.default_rng(2).normal(size=(2, 200)) * 2
    start[:, 0], start[:, 1] = (0.0, 0.5), (0.0, 0.0)  # on the ridge, and on its saddle
    energy = Wells([])
    steady = minimum(energy, start)
    assert steady.converged.all()
    np.testing.assert_allclose(np.abs(steady.state[0]), 1.0, atol=1e-10)
    np.testing.assert_allclose(steady.state[1], 0.0, atol=1e-10)
    np.testing.assert_allclose(steady.extra["lowest_curvature"], 1.0, atol=1e-8)
    assert (energy.energy(steady.state, np.arange(200)) <= energy.log[0] + 1e-12).all()
    one = Wells([])
    minimum(one, np.array([[0.3], [2.0]]))
    assert (np.diff(np.concatenate(one.log)) <= 1e-12).all()


def test_samples_do_not_depend_on_others() -> None:
    start = np.random.default_rng(3).normal(size=(2, 3000)) * 2
    whole = minimum(Wells([]), start).state
    parts = [minimum(Wells([]), part).state for part in np.split(start, [7, 1500], axis=1)]
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))
    order = np.random.default_rng(4).permutation(3000)
    np.testing.assert_array_equal(minimum(Wells([]), start[:, order]).state, whole[:, order])


def test_a_free_direction_is_no_failure_but_has_no_response() -> None:
    matrix = np.array([[1.0, -1.0], [-1.0, 1.0]])  # a spring between two that nothing holds
    energy = Quadratic(matrix, np.zeros((2, 1)), np.ones(2, dtype=bool))
    steady = minimum(energy, np.array([[1.0], [3.0]]))
    assert steady.converged.all()
    assert "free direction" in steady.reason[0]
    assert steady.state[0] == pytest.approx(steady.state[1])
    assert abs(steady.extra["lowest_curvature"][0]) < 1e-9
    _, solved = energy_response(energy, steady.state, FieldNudge(np.array([[1.0], [0.0]])))
    assert not solved.any()


def test_without_a_minimum_a_sample_fails_alone() -> None:
    energy = Quadratic(np.diag([1.0, 2.0]), np.array([[1.0, np.nan], [1.0, 1.0]]), np.full(2, True))
    steady = minimum(energy, np.zeros((2, 2)))
    np.testing.assert_array_equal(steady.converged, [True, False])
    assert steady.reason[1].startswith("not converged")
    slope = Quadratic(np.zeros((2, 2)), np.ones((2, 1)), np.full(2, True))  # falls for ever
    assert not minimum(slope, np.zeros((2, 1)), max_iterations=20).converged.any()


class TestNudge:
    """One entry of the state, held by a spring at its start, is read."""

    readout = Coordinates(np.array([1]), np.array([0]), np.ones(1))
    free = np.full(2, True)

    def spring(self, at: float) -> Quadratic:
        return Quadratic(np.eye(2), np.array([[0.3], [at]]), self.free)

    def nudge(self, at: float, beta: float, target: float = 0.0) -> Nudge:
        state = np.array([[0.3], [at]])
        cost = LogCosine(self.readout)
        return Nudge(cost, np.array([[target]]), state, state[[1]], "full", beta)

    @pytest.mark.parametrize("distance", [3.0, 3.14, -3.14, 3.1415926])
    def test_a_nudge_never_crosses_the_pole_of_its_cost(self, distance: float) -> None:
        nudge = self.nudge(distance, 0.1)
        steady = minimum(self.spring(distance), nudge.free, nudge)
        assert steady.converged.all()
        found = steady.state[1, 0]
        assert found == pytest.approx(distance - 0.1 * np.tan(found / 2), abs=1e-9)
        assert np.sign(found) == np.sign(distance)
        assert abs(found) < np.pi

    def test_away_from_the_target_there_may_be_no_minimum(self) -> None:
        nudge = self.nudge(3.0, -0.1)
        steady = minimum(self.spring(3.0), nudge.free, nudge)
        assert not steady.converged.any()
        assert "pole" in steady.reason[0]
        assert steady.state[1, 0] < np.pi
        near = self.nudge(0.5, -0.1)
        assert minimum(self.spring(0.5), near.free, near).converged.all()

    def test_a_nudge_below_the_tolerance_is_followed_all_the_same(self) -> None:
        nudge = self.nudge(0.5, 1e-9)
        steady = minimum(self.spring(0.5), nudge.free, nudge, tolerance=1e-6)
        shift = steady.state[1, 0] - 0.5
        assert shift == pytest.approx(-1e-9 * np.tan(0.25), rel=1e-6)

    def test_the_response_is_the_limit_of_the_nudged_minimum(self) -> None:
        energy, beta = quadratic(), 1e-4
        free = minimum(energy, np.zeros((6, 5)), largest_step=100.0).state
        readout = Coordinates(np.array([0, 2, 2]), np.array([0, 1, 1]), np.array([1.0, 0.5, 0.5]))
        targets = np.random.default_rng(5).normal(size=(2, 5))
        made = [
            Nudge(LogCosine(readout), targets, free, readout.signals(free), "full", b)
            for b in (1.0, beta, -beta)
        ]
        direction, solved = energy_response(energy, free, made[0])
        ahead, behind = (minimum(energy, free, nudge).state for nudge in made[1:])
        assert solved.all()
        np.testing.assert_allclose((ahead - behind) / (2 * beta), direction, atol=1e-6)
        along = derivative_along(lambda x: {"square": x**2}, free, direction)["square"]
        np.testing.assert_allclose(along, 2 * free * direction, atol=1e-9)

    def test_a_field_is_a_force_of_fixed_amplitude(self) -> None:
        energy = quadratic()
        field = np.random.default_rng(6).normal(size=(6, 5))
        pushed = minimum(energy, np.zeros((6, 5)), FieldNudge(field), largest_step=100.0)
        moved = Quadratic(energy.matrix, energy.pull - field, energy.free)
        alone = minimum(moved, np.zeros((6, 5)), largest_step=100.0)
        np.testing.assert_allclose(pushed.state, alone.state, atol=1e-12)


def test_the_flow_of_a_quadratic_energy_decays_as_it_must() -> None:
    energy = Quadratic(np.diag([1.0, 0.5]), np.zeros((2, 1)), np.full(2, True))
    steady = flow(energy, np.array([[1.0], [-2.0]]), time=3.0, accuracy=1e-9)
    np.testing.assert_allclose(steady.state[:, 0], [np.exp(-3.0), -2 * np.exp(-1.5)], rtol=1e-6)
    assert steady.extra["time"][0] == pytest.approx(3.0)
    assert not steady.converged[0]
    assert "longer" in steady.reason[0]
    rest = flow(energy, np.array([[1.0], [-2.0]]))
    assert rest.converged.all()
    assert np.abs(rest.state).max() < 1e-4


def test_the_flow_ends_in_the_well_in_which_it_began() -> None:
    start = np.random.default_rng(7).normal(size=(2, 50)) * 2
    steady = flow(Wells([]), start)
    assert steady.converged.all()
    np.testing.assert_allclose(steady.state[0], np.sign(start[0]), atol=1e-5)
    one = flow(Wells([]), start[:, [11]])
    np.testing.assert_array_equal(one.state[:, 0], steady.state[:, 11])
    saddle = flow(Wells([]), np.array([[0.0], [1.0]]), time=50.0)
    assert not saddle.converged[0]


@pytest.mark.parametrize("n", [1, 4, 12, 40])
def test_positive_definite_matrices_are_told_one_by_one(n: int) -> None:
    random = np.random.default_rng(n)
    root = random.normal(size=(60, n, n))
    matrices = (root + root.transpose(0, 2, 1)) / 2 + random.uniform(0, 2 * n, 60)[
        :, None, None
    ] * (np.eye(n))
    expected = np.linalg.eigvalsh(matrices)[:, 0] > 0
    assert 0 < expected.sum() < 60 or n == 1
    np.testing.assert_array_equal(positive_definite(matrices), expected)
    assert positive_definite(matrices[expected]).all()


def test_a_bordered_matrix_is_the_dense_one() -> None:
    random = np.random.default_rng(0)
    inner, outer = np.array([0, 3, 4, 5, *range(7, 25)]), np.array([6, 1, 2])
    border, rest = random.normal(size=(9, 22, 3)) / 3, random.normal(size=(9, 3, 3))
    diagonal = random.uniform(0.5, 3, (9, 22))
    diagonal[8, 5] = -0.1
    shift = 8.0 * np.eye(3)
    shift[0, 0] -= 6.0
    bordered = Bordered(inner, outer, diagonal, border, rest + rest.transpose(0, 2, 1) + shift)
    dense = Dense(bordered.dense())
    right = random.normal(size=(25, 9))
    for level in (None, random.uniform(0, 1, 9)):
        found, definite = bordered.solve(right, level)
        expected, also = dense.solve(right, level)
        np.testing.assert_array_equal(definite, also)
        np.testing.assert_allclose(found[:, definite], expected[:, definite], atol=1e-9)
    assert 0 < definite.sum() < 9
    np.testing.assert_allclose(bordered.scale(), dense.scale())
    np.testing.assert_allclose(bordered.lowest(), dense.lowest(), rtol=5e-2)
    added = random.normal(size=(9, 3, 3))
    places = np.ix_(np.arange(9), outer, outer)
    whole = dense.values.copy()
    whole[places] += added
    np.testing.assert_allclose(bordered.add(added).dense(), whole)
    few = np.array([1, 8])
    np.testing.assert_array_equal(bordered.samples(few).dense(), dense.values[few])


def test_a_nudge_on_uncoupled_rows_is_not_lost() -> None:
    """A bordered Hessian cannot take a stiffness in its diagonal block; it becomes a dense one."""

    class Layers(Quadratic):
        def hessian(self, state: np.ndarray, samples: np.ndarray) -> Bordered:
            m = np.broadcast_to(self.matrix, (len(samples), 3, 3))
            inner, outer = np.array([0, 1]), np.array([2])
            return Bordered(inner, outer, m[:, [0, 1], [0, 1]], m[:, :2, 2:], m[:, 2:, 2:])

    matrix = np.array([[2.0, 0.0, -0.5], [0.0, 3.0, 0.7], [-0.5, 0.7, 2.0]])
    energy = Layers(matrix, np.ones((3, 1)), np.full(3, True))
    free = np.linalg.solve(matrix, np.ones((3, 1)))
    for row in range(3):
        readout = Coordinates(np.array([row]), np.array([0]), np.ones(1))
        nudge = Nudge(LogCosine(readout), np.full((1, 1), 0.2), free, free[[row]], "full", 0.5)
        expected = matrix.copy()
        expected[row, row] += 0.5 * 0.5 / np.cos((free[row, 0] - 0.2) / 2) ** 2
        land = Landscape(energy, nudge, np.arange(1))
        np.testing.assert_allclose(land.hessian(free).dense()[0], expected)
        assert minimum(energy, free, nudge).iterations[0] <= 4


@pytest.mark.parametrize(
    ("option", "value"), [("tolerance", 0.0), ("tolerance", 2.0), ("max_iterations", -1)]
)
def test_options_that_make_no_sense_are_refused(option: str, value: float) -> None:
    with pytest.raises(nf.InputError, match=option):
        minimum(quadratic(), np.zeros((6, 5)), **{option: value})
    with pytest.raises(nf.InputError, match="time"):
        flow(quadratic(), np.zeros((6, 5)), time=-1.0)
