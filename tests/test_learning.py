"""Costs and optimisers."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import cost_slope, per_sample
from scipy.integrate import quad
from scipy.special import log_softmax

import nepfield as nf
from tests.cases import case, ell, space

# -- costs -------------------------------------------------------------------------------


def interval_cost() -> tuple[nf.MSE, np.ndarray, list[tuple[float, float]]]:
    """Two regions, states that P2 holds exactly, and a quadrature that is exact for them."""
    line = space("interval").domain
    on = nf.finite_elements(line, order=2, quadrature=8)
    low, high = np.sort(line.points[:, 0])[[40, 55]]  # from node to node
    readout = nf.readout(on, regions=["output"], discs=[([(low + high) / 2], (high - low) / 2)])
    ends = np.sort(line.points[line.cells[line.regions["output"]]].ravel())
    x = on.nodes[on.dof < on.ndof, 0]
    state = np.column_stack([x * (8 - x) / 16 * (1 + 0.5j), x * (x - 8) / 10])
    return nf.MSE(readout), state, [(ends[0], ends[-1]), (low, high)]


def test_mse_is_the_integral_over_each_region() -> None:
    """nep (4): 1/2 sum_k 1/|Y_k| int (t_k - |Psi|^2)^2."""
    cost, state, ranges = interval_cost()
    targets = np.array([[0.3, 1.0], [2.0, -0.5]])
    density = [lambda x: 1.25 * (x * (8 - x) / 16) ** 2, lambda x: (x * (8 - x) / 10) ** 2]
    by_hand, means = np.zeros(2), np.zeros((2, 2))
    for s in range(2):
        for k, (low, high) in enumerate(ranges):
            square = quad(lambda x, s=s, k=k: (targets[s, k] - density[s](x)) ** 2, low, high)[0]
            by_hand[s] += 0.5 * square / (high - low)
            means[s, k] = quad(density[s], low, high)[0] / (high - low)
    np.testing.assert_allclose(per_sample(cost, state, targets), by_hand, rtol=1e-10)
    np.testing.assert_allclose(cost.readout.outputs(state), means, rtol=1e-10)


def test_mse_of_sites_is_the_paper_s_sum() -> None:
    on = space("chain")
    cost = nf.MSE(nf.readout(on, sites=[4, 7]))
    state = np.zeros((9, 1), dtype=complex)
    state[[4, 7, 1], 0] = 1 + 1j, 0.5j, 3
    assert per_sample(cost, state, np.array([[0.5, 1.0]])) == pytest.approx(
        0.5 * ((0.5 - 2) ** 2 + (1 - 0.25) ** 2)
    )


def test_mse_does_not_depend_on_the_size_of_the_region() -> None:
    on = nf.finite_elements(ell(4), dirichlet=[])  # no walls, so that a constant is a state
    state = np.full((on.ndof, 1), 0.6 + 0.8j)
    for names in (["corner"], ["corner", "right"]):
        cost = nf.MSE(nf.readout(on, regions=names))
        targets = np.full((1, len(names)), 3.0)
        assert per_sample(cost, state, targets) == pytest.approx(len(names) * 0.5 * 2**2)


def test_cce_is_the_cross_entropy_of_mean_intensities() -> None:
    this = case("triangles-2", cost="cce")
    on = this.system.space
    rng = np.random.default_rng(1)
    state = 3 * (rng.normal(size=(on.ndof, 3)) + 1j * rng.normal(size=(on.ndof, 3)))
    density = np.abs(on.B @ state) ** 2
    outputs = []
    for center in ([0.5, 1.4], [0.6, 0.6]):  # the discs of cases.py
        inside = np.hypot(*(on.points - center).T) <= 0.4
        outputs.append(on.w[inside] @ density[inside] / on.w[inside].sum())
    by_hand = -np.sum(this.targets * log_softmax(np.array(outputs).T, axis=1), axis=1)
    np.testing.assert_allclose(per_sample(this.cost, state, this.targets), by_hand, rtol=1e-12)


def test_cce_does_not_overflow() -> None:
    cost = nf.CCE(nf.readout(space("chain"), sites=[4, 7]))
    state = np.zeros((9, 1), dtype=complex)
    state[4, 0] = 100.0
    with np.errstate(all="raise", under="ignore"):
        assert per_sample(cost, state, np.array([[1.0, 0.0]])) == pytest.approx(0, abs=1e-12)
        assert per_sample(cost, state, np.array([[0.0, 1.0]])) == pytest.approx(1e4)
        slope = cost_slope(cost, state, np.array([[0.0, 1.0]]))
    assert slope[4, 0] == pytest.approx(100.0)


@pytest.mark.parametrize("kind", ["mse", "cce"])
@pytest.mark.parametrize("name", ["triangles-1", "disc", "interval", "network"])
def test_cost_derivatives_equal_difference_quotients(name: str, kind: str) -> None:
    """dC = 2 Re sum conj(dC/dPsibar) dPsi, sample by sample."""
    this = case(name, cost=kind)
    rng = np.random.default_rng(2)
    shape = (this.system.space.ndof, 3)
    state, step = (rng.normal(size=shape) + 1j * rng.normal(size=shape) for _ in range(2))
    h = 1e-5
    ends = [per_sample(this.cost, state + sign * h * step, this.targets) for sign in (1, -1)]
    slope = 2 * np.sum((cost_slope(this.cost, state, this.targets).conj() * step).real, axis=0)
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-9)


def test_overlapping_outputs_add_their_derivatives() -> None:
    on = space("interval")
    discs = [([4.0], 1.0), ([4.5], 1.0)]
    both = nf.MSE(nf.readout(on, discs=discs))
    single = [nf.MSE(nf.readout(on, discs=[disc])) for disc in discs]
    rng = np.random.default_rng(3)
    state = rng.normal(size=(on.ndof, 2)) + 1j * rng.normal(size=(on.ndof, 2))
    targets = np.array([[0.2, 0.9], [1.0, 0.1]])
    for what in (per_sample, cost_slope):
        parts = [what(c, state, targets[:, [k]]) for k, c in enumerate(single)]
        np.testing.assert_allclose(what(both, state, targets), sum(parts), rtol=1e-12)


def test_metrics() -> None:
    readout = nf.readout(space("chain"), sites=[4, 7])
    outputs = np.array([[0.9, 0.2], [0.3, 0.4], [0.6, 0.5]])
    targets = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    found = nf.MSE(readout).metrics(outputs, targets)
    assert found == {"largest_error": pytest.approx(0.6), "accuracy": pytest.approx(2 / 3)}
    assert set(nf.MSE(readout).metrics(outputs, targets * [1, 2])) == {"largest_error"}
    assert nf.CCE(readout).metrics(outputs, targets) == {"accuracy": pytest.approx(2 / 3)}


@pytest.mark.parametrize(
    ("kind", "targets", "message"),
    [
        (nf.MSE, [[0.0, 1.0, 0.0]], r"2 output regions .*\(nsamples, 2\); .*\(1, 3\)"),
        (nf.MSE, [0.0, 1.0], r"shape \(2,\)"),
        (nf.MSE, [[0.0, np.inf]], "targets: all values must be finite"),
        (nf.CCE, [[0.0, 0.5]], "sum 1"),
        (nf.CCE, [[1.5, -0.5]], "none negative"),
        (nf.CCE, [[np.nan, 1.0]], "finite"),
    ],
)
def test_bad_targets_are_refused(kind: type, targets: list, message: str) -> None:
    cost = kind(nf.readout(space("chain"), sites=[4, 7]))
    with pytest.raises(nf.InputError, match=message):
        cost.checked_targets(targets)


def test_targets_of_mse_may_be_negative_and_whole_numbers() -> None:
    cost = nf.MSE(nf.readout(space("chain"), sites=[4]))
    checked = cost.checked_targets([[-1], [2]])
    assert checked.dtype == float
    np.testing.assert_array_equal(checked, [[-1.0], [2.0]])


# -- optimisers --------------------------------------------------------------------------

REAL = {"potential": np.array([0.3, -0.2, 1.0]), "weights": np.array([0.5, -2.0])}
COMPLEX = {
    "potential": np.array([0.3 - 0.1j, -0.2j, 1.0]),
    "weights": np.array([0.5 + 1j, -2.0 - 0.3j]),
}


def slopes(params: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: (
            rng.normal(size=value.shape)
            + (1j * rng.normal(size=value.shape) if np.iscomplexobj(value) else 0)
        )
        for name, value in params.items()
    }


def run(optimizer: object, params: dict[str, np.ndarray], steps: int = 6) -> dict[str, np.ndarray]:
    memory = optimizer.start(params)
    for k in range(steps):
        params, memory = optimizer.step(params, slopes(params, k), memory)
    return params


def reference(kind: str, value: float, history: list[float], rate: float) -> float:
    """The textbook's recursions, for one real number."""
    velocity = first = second = 0.0
    for k, g in enumerate(history, start=1):
        if kind == "sgd":
            value -= rate * g
        elif kind == "momentum":
            velocity = 0.8 * velocity + g
            value -= rate * velocity
        else:
            first = 0.7 * first + 0.3 * g
            second = 0.95 * second + 0.05 * g * g
            value -= rate * (first / (1 - 0.7**k)) / (np.sqrt(second / (1 - 0.95**k)) + 1e-3)
    return value


OPTIMIZERS = {
    "sgd": lambda **o: nf.SGD(0.1, **o),
    "momentum": lambda **o: nf.Momentum(0.1, momentum=0.8, **o),
    "adam": lambda **o: nf.Adam(0.1, first_decay=0.7, second_decay=0.95, epsilon=1e-3, **o),
}


@pytest.mark.parametrize("start", [REAL, COMPLEX], ids=["real", "complex"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_optimisers_follow_the_textbook(kind: str, start: dict[str, np.ndarray]) -> None:
    """Also with a rate for one parameter, and complex ones as pairs of real ones."""
    trained = run(OPTIMIZERS[kind](rates={"weights": 0.02}), start)
    histories = [slopes(start, k) for k in range(6)]
    for name, value in start.items():
        rate = {"potential": 0.1, "weights": 0.02}[name]
        assert trained[name].dtype == value.dtype
        for part in ("real", "imag") if np.iscomplexobj(value) else ("real",):
            for i in range(len(value)):
                expected = reference(
                    kind,
                    getattr(value[i], part),
                    [getattr(h[name][i], part) for h in histories],
                    rate,
                )
                assert getattr(trained[name][i], part) == pytest.approx(expected, rel=1e-12)


def test_adam_has_the_defaults_of_the_paper() -> None:
    adam = nf.Adam(0.1)
    assert (adam.first_decay, adam.second_decay, adam.epsilon) == (0.9, 0.999, 1e-8)
    params, _ = adam.step(REAL, slopes(REAL, 0), adam.start(REAL))
    for name, value in REAL.items():  # the first step has the length of the rate
        np.testing.assert_allclose(
            params[name], value - 0.1 * np.sign(slopes(REAL, 0)[name]), rtol=1e-6
        )


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_step_changes_neither_parameters_nor_memory_in_place(kind: str) -> None:
    optimizer = OPTIMIZERS[kind]()
    params = {k: v.copy() for k, v in COMPLEX.items()}
    params, memory = optimizer.step(params, slopes(params, 0), optimizer.start(params))
    before = [{k: np.array(v) for k, v in d.items()} for d in (params, memory)]
    optimizer.step(params, slopes(params, 1), memory)
    for now, then in zip((params, memory), before, strict=True):
        assert now.keys() == then.keys()
        assert all(np.array_equal(now[k], then[k]) for k in now)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_view_of_a_larger_array_is_stepped_as_its_copy(kind: str) -> None:
    optimizer = OPTIMIZERS[kind]()
    view = {"potential": np.repeat(COMPLEX["potential"], 2)[::2]}
    copy = {"potential": COMPLEX["potential"]}
    np.testing.assert_array_equal(
        run(optimizer, view)["potential"], run(optimizer, copy)["potential"]
    )


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_rate_zero_holds_a_parameter(kind: str) -> None:
    trained = run(OPTIMIZERS[kind](rates={"potential": 0.0}), REAL)
    np.testing.assert_array_equal(trained["potential"], REAL["potential"])
    assert not np.array_equal(trained["weights"], REAL["weights"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nf.SGD(-0.1), r"rate = -0\.1; rates must be finite and >= 0"),
        (lambda: nf.Adam(np.nan), "rate = nan"),
        (lambda: nf.Momentum(np.inf), "rate = inf"),
        (lambda: nf.Adam(0.1, {"weights": -1.0}), r"weights = -1\.0"),
        (lambda: nf.Momentum(0.1, momentum=1.0), r"momentum = 1\.0; .* below 1"),
        (lambda: nf.Adam(0.1, first_decay=-0.1), "first_decay = -0.1"),
        (lambda: nf.Adam(0.1, second_decay=1.0), "second_decay = 1.0"),
    ],
)
def test_bad_rates_are_refused(make: object, message: str) -> None:
    with pytest.raises(nf.InputError, match=message):
        make()
