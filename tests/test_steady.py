"""Steady states: convergence and its certificate, the linear solvers below, and time evolution."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from helpers import MESHES, at_nodes, interval, l2_norm, observed_rates, square, uniform_pump
from hypothesis import given, settings
from hypothesis import strategies as st

import nepfield as nf
from nepfield.space.linalg import Factorisation
from nepfield.steady import linear as linear_solves
from nepfield.steady.evolve import stable_time_step
from nepfield.steady.linear import SharedPreconditioner, gmres, solve_linearised
from nepfield.steady.newton import _newton

ONE = np.ones((1, 1))
RESPONSES = {
    "linear": None,
    "density": nf.Density(0.8),
    "saturation": nf.Saturation(1.5),
    "custom": nf.CustomNonlinearity(
        lambda n: (0.6 - 0.3j) * n / (1 + n), lambda n: (0.6 - 0.3j) / (1 + n) ** 2
    ),
}


def hard_box(n, width, detuning, amplitude, order=1):
    """A box of side 20 with V = 0.3 cos x cos y; Gamma, Delta and F as in the literature."""
    space = nf.finite_elements(square(n, 20.0, -10.0), order=order)
    x, y = space.points.T
    return nf.GPE(
        space,
        pumps=[nf.gaussian_pump([0, 0], 3.0, -1j * amplitude)],
        nonlinearity=nf.Density(1.0),
        loss=width / 2,
        background=0.3 * np.cos(x) * np.cos(y) - detuning,
    )


HARD = {"fast": (0.2, 0.0, 0.6), "lossless": (0.05, -0.2, 0.1), "bistable": (0.2, 1.0, 0.6)}


@pytest.fixture(scope="module")
def bistable():
    return hard_box(24, *HARD["bistable"])


@pytest.fixture(scope="module")
def disc():
    """A moderately nonlinear system with two pumps, well beyond the dense limit."""
    space = nf.finite_elements(nf.read_domain(MESHES / "disc.msh"), order=2)
    assert space.ndof > linear_solves.DENSE_LIMIT
    return nf.GPE(
        space,
        potential=-0.5,
        pumps=[
            nf.gaussian_pump([0.3, 0.2], 0.3, 8.0),
            nf.gaussian_pump([-0.3, -0.1], 0.3, 3 - 4j),
        ],
        nonlinearity=nf.Density(1.5),
        loss=0.3,
    )


@pytest.fixture(scope="module")
def chain():
    return nf.GPE(
        nf.graph(nf.lattice(9)),
        potential=np.linspace(-0.2, 0.4, 9) - 0.05j,
        pumps=[nf.site_pump(2, 0.8 + 0.2j), nf.site_pump(6, -0.5)],
        nonlinearity=nf.Density(0.3),
        loss=0.2,
    )


XOR = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])


def certified(system, inputs, steady, tolerance=1e-10):
    """The residual, computed anew from the definition, is what the certificate says."""
    drive = system.drive(inputs)
    force = system.operator @ steady.state + 1j * drive
    if system.nonlinearity is not None:
        values = system.space.B @ steady.state
        shift = system.nonlinearity.f(np.abs(values) ** 2)
        force = force + system.space.B.T @ (system.space.w[:, None] * shift * values)
    weight = 1 / np.sqrt(system.space.mass.diagonal())[:, None]
    size = np.linalg.norm(weight * drive, axis=0)
    residual = np.linalg.norm(weight * force, axis=0) / np.where(size > 0, size, 1)
    assert np.allclose(residual, steady.residual, rtol=1e-6, atol=1e-14)
    return np.all(residual <= tolerance)


# -- hard cases -----------------------------------------------------------------------


@pytest.mark.parametrize("case", HARD)
def test_hard_cases_are_solved_from_the_vacuum(case):
    system = hard_box(48, *HARD[case])
    steady = nf.solve_steady(system, ONE)
    assert certified(system, ONE, steady)
    assert np.abs(steady.state).max() > 0.2
    if case == "bistable":
        assert steady.reason == ("converged by pseudo-transient continuation",)
    else:
        assert steady.reason == ("converged",)
        assert steady.iterations[0] < 15
        slow = nf.solve_steady(system, ONE, method="pseudotime")
        assert certified(system, ONE, slow)
        assert np.abs(slow.state - steady.state).max() < 1e-8


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("case", HARD)
def test_hard_cases_at_full_size(case, order):
    system = hard_box(128 // order, *HARD[case], order=order)
    steady = nf.solve_steady(system, ONE)
    assert certified(system, ONE, steady)


@pytest.mark.parametrize(("case", "lifetimes"), [("fast", 12), ("lossless", 4), ("bistable", 12)])
def test_time_evolution_reaches_the_state_that_was_found(case, lifetimes):
    """The wave itself, switched on in the vacuum, goes where the solver went."""
    system = hard_box(20, *HARD[case])
    steady = nf.solve_steady(system, ONE)
    early, late = nf.evolve(system, ONE, lifetimes / system.loss, frames=2, tolerance=1e-5).states[
        1:
    ]
    size = l2_norm(system.space, steady.state)[0]
    distance = [l2_norm(system.space, state - steady.state)[0] / size for state in (early, late)]
    assert distance[1] < 0.05
    assert distance[1] < 0.5 * distance[0]
    polished = nf.solve_steady(system, ONE, initial=late)
    assert polished.reason == ("converged",)
    assert np.abs(polished.state - steady.state).max() < 1e-8


@pytest.mark.slow
@pytest.mark.parametrize("case", HARD)
def test_long_time_evolution_ends_in_the_state_that_was_found(case):
    system = hard_box(24, *HARD[case])
    steady = nf.solve_steady(system, ONE)
    end = nf.evolve(system, ONE, (60 if case == "bistable" else 20) / system.loss, tolerance=1e-6)
    assert np.abs(end.state - steady.state).max() < 1e-5


# -- batches --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["disc", "chain"])
def test_a_batch_is_its_samples(name, request):
    system = request.getfixturevalue(name)
    rng = np.random.default_rng(5)
    inputs = np.vstack([XOR, rng.normal(size=(3, 2))])
    batch = nf.solve_steady(system, inputs, tolerance=1e-11)
    assert certified(system, inputs, batch, 1e-11)
    for k, one in enumerate(inputs):
        alone = nf.solve_steady(system, one[None], tolerance=1e-11)
        assert np.abs(alone.state[:, 0] - batch.state[:, k]).max() < 1e-9
    assert batch.iterations.shape == batch.residual.shape == batch.converged.shape == (7,)
    assert len(batch.reason) == 7


def test_one_hard_sample_does_not_spoil_the_others(bistable):
    inputs = np.array([[0.1], [1.0], [0.0], [-0.2]])
    steady = nf.solve_steady(bistable, inputs)
    assert certified(bistable, inputs, steady)
    assert [r == "converged" for r in steady.reason] == [True, False, True, True]
    assert "continuation" in steady.reason[1]
    assert steady.iterations[2] == 0
    assert steady.iterations[1] > 3 * steady.iterations[0]
    alone = nf.solve_steady(bistable, inputs[[0]])
    assert np.abs(alone.state[:, 0] - steady.state[:, 0]).max() < 1e-9
    # the response is odd in the drive
    negative = nf.solve_steady(bistable, -inputs[[3]])
    assert np.abs(negative.state[:, 0] + steady.state[:, 3]).max() < 1e-9


def test_samples_picks_some(chain):
    steady = nf.solve_steady(chain, XOR)
    mask = np.array([True, False, False, True])
    for chosen in (mask, [0, 3]):
        some = steady.samples(chosen)
        assert np.array_equal(some.state, steady.state[:, [0, 3]])
        assert np.array_equal(some.residual, steady.residual[[0, 3]])
        assert np.array_equal(some.iterations, steady.iterations[[0, 3]])
        assert some.converged.shape == (2,)
        assert len(some.reason) == 2


def test_an_empty_batch_is_no_error(chain):
    steady = nf.solve_steady(chain, np.zeros((0, 2)))
    assert steady.state.shape == (9, 0)
    assert steady.converged.shape == (0,)


# -- Newton ---------------------------------------------------------------------------


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("kind", ["interval", "disc", "lattice"])
def test_linearisation_is_the_derivative_of_the_residual(kind, response):
    space = {
        "interval": lambda: nf.finite_elements(interval(7), order=1, robin={"right": -1j}),
        "disc": lambda: nf.finite_elements(nf.read_domain(MESHES / "disc.msh"), order=2),
        "lattice": lambda: nf.graph(nf.lattice(3, 4)),
    }[kind]()
    rng = np.random.default_rng(2)
    system = nf.GPE(space, potential=0.3 - 0.2j, nonlinearity=RESPONSES[response], loss=0.1)
    state, change = (
        rng.normal(size=(space.ndof, 2)) + 1j * rng.normal(size=(space.ndof, 2)) for _ in range(2)
    )
    nothing = np.zeros_like(state)
    exact = system.linearise(state).apply(change)
    errors = []
    for size in (1e-2, 5e-3):
        forward = system.residual(state + size * change, nothing)
        backward = system.residual(state - size * change, nothing)
        errors.append(np.abs((forward - backward) / (2 * size) - exact).max())
    assert errors[1] < 1e-3 * np.abs(exact).max()
    if response == "linear":
        assert errors[1] < 1e-9
    else:
        assert observed_rates([2, 1], errors)[0] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("response", RESPONSES)
def test_linearisations_and_their_relatives(response):
    """The dense, the transposed and the loss-reversed map are what they say."""
    space = nf.finite_elements(interval(6), order=2, robin={"right": 0.3 - 1j})
    rng = np.random.default_rng(4)
    system = nf.GPE(space, potential=0.3 - 0.2j, nonlinearity=RESPONSES[response], loss=0.1)
    state, d, multiplier = (
        rng.normal(size=(space.ndof, 2)) + 1j * rng.normal(size=(space.ndof, 2)) for _ in range(3)
    )
    linear = system.linearise(state)
    for one in (linear, linear.transposed(), linear.with_reversed_loss()):
        image = one.apply(d)
        matrices = one.real_matrices()
        for k in range(2):
            pairs = matrices[k % len(matrices)] @ d[:, k].copy().view(float)
            assert np.allclose(pairs.view(complex), image[:, k])
    # Re sum l (A d + B conj d) = Re sum d (A^T l + conj(B^T l)), A = -i (H + a), B = -i b
    forward = np.sum(multiplier * -1j * linear.apply(d), axis=0).real
    backward = np.sum(d * -1j * linear.transposed().apply(multiplier), axis=0).real
    assert np.allclose(forward, backward, rtol=1e-12)
    # reversing the loss twice, or transposing twice, is nothing
    for twice in (
        linear.with_reversed_loss().with_reversed_loss(),
        linear.transposed().transposed(),
    ):
        assert np.allclose(twice.apply(d), linear.apply(d), atol=1e-14)
    reversed_ = linear.with_reversed_loss().linear_part.operator.toarray()
    assert np.allclose(reversed_, linear.linear_part.operator.toarray().conj())


def test_convergence_is_quadratic(disc):
    """Each halving of the exponent of the residual costs one step."""
    inputs = np.array([[1.0, 0.7]])
    counts = [nf.solve_steady(disc, inputs, tolerance=t).iterations[0] for t in (1e-3, 1e-6, 1e-12)]
    assert counts[0] > 2
    assert counts[1] <= counts[0] + 2
    assert counts[2] <= counts[1] + 2


def test_residuals_of_newton_steps_square(chain):
    """Full steps with exact linear solves: r_{k+1} < C r_k^2."""
    drive = chain.drive(np.array([[1.0, 0.7]]))
    state = nf.solve_steady(chain, [[1.0, 0.7]]).state * 1.1
    sizes = []
    for _ in range(5):
        force = chain.residual(state, drive)
        sizes.append(np.linalg.norm(force))
        state = state + solve_linearised(chain.linearise(state), -force)[0]
    usable = [s for s in sizes if s > 1e-14]
    assert len(usable) >= 3
    orders = np.diff(np.log(usable))[1:] / np.diff(np.log(usable))[:-1]
    assert np.all(orders > 1.7)


def test_a_newton_step_never_makes_the_residual_grow(bistable):
    """The line search shortens steps that would; full ones do so here."""
    drive = bistable.drive(ONE).astype(complex)
    scale = bistable.space.residual_norm(drive)
    start = np.zeros_like(drive)
    residuals = [1.0]
    for steps in range(1, 8):
        state, residual, _ = _newton(
            bistable, drive, scale, start.copy(), 1e-10, steps, np.zeros(1, dtype=bool)
        )
        residuals.append(residual[0])
        true = bistable.space.residual_norm(bistable.residual(state, drive)) / scale
        assert residual[0] == pytest.approx(true[0])
    assert np.all(np.diff(residuals) <= 0)
    assert residuals[-1] < 0.95
    state, undamped = start, []
    for _ in range(7):
        force = bistable.residual(state, drive)
        undamped.append(bistable.space.residual_norm(force)[0])
        state = state + solve_linearised(bistable.linearise(state), -force)[0]
    assert np.any(np.diff(undamped) > 0)


def test_a_linear_system_needs_one_step(disc):
    system = nf.GPE(disc.space, potential=-0.5, pumps=disc.pumps, loss=0.3)
    steady = nf.solve_steady(system, XOR[1:], tolerance=1e-12)
    assert np.array_equal(steady.iterations, [1, 1, 1])
    dense = np.linalg.solve(system.operator.toarray(), -1j * system.drive(XOR[1:]))
    assert np.abs(steady.state - dense).max() < 1e-10


@pytest.mark.parametrize("name", ["disc", "chain"])
def test_warm_start_saves_steps(name, request):
    system = request.getfixturevalue(name)
    inputs = np.array([[1.0, 0.7], [0.5, -1.0]])
    cold = nf.solve_steady(system, inputs)
    near = nf.solve_steady(system, inputs * 1.001, initial=cold.state)
    assert np.all(near.iterations < cold.iterations)
    again = nf.solve_steady(system, inputs, initial=cold.state)
    assert not again.iterations.any()
    assert np.array_equal(again.state, cold.state)


def test_the_start_is_not_written_to(chain):
    start = np.full((9, 4), 0.1 + 0.1j)
    kept = start.copy()
    nf.solve_steady(chain, XOR, initial=start)
    nf.solve_steady(chain, XOR, initial=start, method="pseudotime")
    assert np.array_equal(start, kept)


def test_real_start_is_taken(chain):
    steady = nf.solve_steady(chain, XOR, initial=np.full((9, 4), 0.1))
    assert np.allclose(steady.state, nf.solve_steady(chain, XOR).state, atol=1e-8)


@pytest.mark.parametrize("method", ["newton", "pseudotime"])
@pytest.mark.parametrize("name", ["disc", "chain"])
def test_without_a_drive_the_vacuum_is_the_answer(name, method, request):
    system = request.getfixturevalue(name)
    steady = nf.solve_steady(system, np.zeros((2, 2)), method=method)
    assert steady.converged.all()
    assert not steady.state.any()
    assert not steady.iterations.any()
    assert not steady.residual.any()


def test_without_a_drive_a_wave_decays_to_the_vacuum(chain):
    steady = nf.solve_steady(chain, np.zeros((1, 2)), initial=np.full((9, 1), 0.5))
    assert steady.converged.all()
    assert np.abs(steady.state).max() < 1e-8


@pytest.mark.parametrize("name", ["disc", "chain"])
def test_a_nudge_is_a_drive_in_weak_form(name, request):
    system = request.getfixturevalue(name)
    inputs = np.array([[0.7, 0.4]])
    whole = nf.solve_steady(system, inputs, tolerance=1e-12).state
    half = system.drive(0.5 * inputs)
    by_nudge = nf.solve_steady(
        system, 0.5 * inputs, nudge=nf.FieldNudge(1j * half), tolerance=1e-12
    ).state
    assert np.abs(by_nudge - whole).max() < 1e-9
    alone = nf.solve_steady(
        system, 0 * inputs, nudge=nf.FieldNudge(2j * half), tolerance=1e-12
    ).state
    assert np.abs(alone - whole).max() < 1e-9


# -- failure --------------------------------------------------------------------------


def test_failure_carries_the_last_iterate(bistable):
    inputs = np.array([[0.0], [1.0]])
    with pytest.raises(nf.NotConverged) as caught:
        nf.solve_steady(bistable, inputs, max_iterations=1)
    steady = caught.value.steady
    assert np.array_equal(steady.converged, [True, False])
    assert steady.state.shape == (bistable.space.ndof, 2)
    assert steady.residual[1] > 1e-10
    assert np.all(np.isfinite(steady.state))
    message = str(caught.value)
    assert re.search(r"1 of 2 steady states were not found; sample 1 not converged", message)
    assert "try more loss" in message
    assert steady.reason[0] == "converged"
    certified(bistable, inputs, steady)


def test_flagging_never_raises(bistable):
    steady = nf.solve_steady(bistable, ONE, max_iterations=1, on_failure="flag")
    assert not steady.converged[0]
    assert steady.reason[0].startswith("not converged: residual")
    certified(bistable, ONE, steady)


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("method", ["newton", "pseudotime"])
@pytest.mark.parametrize("size", ["dense", "sparse"])
@pytest.mark.parametrize(
    ("response", "amplitude"),
    [
        (nf.Density(1e12), 1e3),
        (nf.Density(-1e6), 1e6),
        (nf.Density(1.0), 1e200),
        (nf.Saturation(-1e8), 1.0),
        (nf.CustomNonlinearity(lambda n: n**4, lambda n: 4 * n**3), 1e80),
        (nf.CustomNonlinearity(lambda n: np.full_like(n, np.nan), lambda n: n), 1.0),
    ],
)
def test_absurd_physics_is_flagged(response, amplitude, size, method):
    space = nf.graph(nf.lattice(5 if size == "dense" else 60))
    system = nf.GPE(space, pumps=[nf.site_pump(2, amplitude)], nonlinearity=response, loss=0.01)
    steady = nf.solve_steady(
        system, np.array([[1.0], [0.5]]), max_iterations=5, on_failure="flag", method=method
    )
    assert np.array_equal(steady.converged, steady.residual <= 1e-10)
    assert np.all(np.isfinite(steady.state))
    for ok, reason in zip(steady.converged, steady.reason, strict=True):
        assert reason.startswith("converged" if ok else "not converged")


@pytest.mark.parametrize("nsites", [5, 60])
def test_a_constant_response_is_a_potential(nsites):
    space = nf.graph(nf.lattice(nsites))
    inputs = np.array([[0.0], [1.0], [3.0]])  # the first is steady before the others
    constant = nf.CustomNonlinearity(lambda n: 0.3, lambda n: 0.0)
    pumps = [nf.site_pump(2)]
    found = nf.solve_steady(nf.GPE(space, 0.1, pumps, constant), inputs)
    expected = nf.solve_steady(nf.GPE(space, 0.4, pumps), inputs)
    assert np.allclose(found.state, expected.state, atol=1e-12)


@pytest.mark.parametrize("nsites", [5, 60])
@pytest.mark.parametrize("response", [None, nf.Density(0.0)], ids=["linear", "g = 0"])
@pytest.mark.parametrize("method", ["newton", "pseudotime"])
def test_a_driven_mode_without_loss_is_flagged(nsites, response, method):
    """On resonance and without loss there is no steady state; H is exactly singular."""
    system = nf.GPE(
        nf.graph(nf.lattice(nsites), dirichlet=[]),
        pumps=[uniform_pump()],
        nonlinearity=response,
        loss=0.0,
    )
    steady = nf.solve_steady(system, ONE, max_iterations=5, on_failure="flag", method=method)
    assert not steady.converged[0]
    assert np.all(np.isfinite(steady.state))
    with pytest.raises(nf.NotConverged):
        nf.solve_steady(system, ONE, max_iterations=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, r"tolerance = 0\.0: it must lie between 0 and 1"),
        ({"tolerance": 1.0}, "between 0 and 1"),
        ({"tolerance": np.nan}, "between 0 and 1"),
        ({"method": "Newton"}, r"method = 'Newton': choose 'newton' or 'pseudotime'"),
        ({"on_failure": "ignore"}, "choose 'raise' or 'flag'"),
        ({"initial": np.zeros((9, 3))}, r"shape \(9, 4\) \(ndof, nsamples\).*\(9, 3\)"),
        ({"initial": np.full((9, 4), np.nan)}, "initial: a finite array"),
        ({"initial": np.zeros(9)}, r"shape \(9,\)"),
        ({"nudge": nf.FieldNudge(np.zeros((8, 4)))}, r"nudge: .*\(9, 4\)"),
        ({"nudge": nf.FieldNudge(np.full((9, 4), np.inf))}, "nudge: a finite array"),
    ],
)
def test_arguments_that_are_refused(chain, options, message):
    with pytest.raises(nf.InputError, match=message):
        nf.solve_steady(chain, XOR, **options)


@pytest.mark.parametrize("on_failure", ["raise", "flag"])
def test_nan_inputs_are_refused_even_when_flagging(chain, on_failure):
    with pytest.raises(nf.InputError, match="finite"):
        nf.solve_steady(chain, np.array([[0.0, np.nan]]), on_failure=on_failure)


# -- linear solves --------------------------------------------------------------------


def random_map(rng, n, b=1.0):
    a = rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)) + 3 * np.sqrt(n) * np.eye(n)
    b = b * (rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))
    stacked = np.block([[(a + b).real, -(a - b).imag], [(a + b).imag, (a - b).real]])

    def apply(d):
        return a @ d + b @ d.conj()

    def solve(right):
        both = np.linalg.solve(stacked, np.concatenate([right.real, right.imag]))
        return both[:n] + 1j * both[n:]

    return apply, solve, np.linalg.inv(a)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 20), nsamples=st.integers(1, 4))
def test_gmres_agrees_with_a_dense_solve(seed, n, nsamples):
    rng = np.random.default_rng(seed)
    apply, solve, inverse = random_map(rng, n, 0.3)
    right = rng.normal(size=(n, nsamples)) + 1j * rng.normal(size=(n, nsamples))
    tolerance = np.full(nsamples, 1e-11)
    for precondition in (lambda v: inverse @ v, lambda v: v):
        with np.errstate(all="raise"):
            found, converged, iterations, *_ = gmres(
                apply, precondition, right, tolerance, 2 * n + 2
            )
        assert converged.all()
        assert iterations <= 2 * n + 1  # at most the real dimension, but for rounding
        assert np.abs(found - solve(right)).max() < 1e-8 * np.abs(right).max()


def test_gmres_takes_each_sample_to_its_own_tolerance():
    rng = np.random.default_rng(0)
    apply, _, inverse = random_map(rng, 15)
    right = rng.normal(size=(15, 3)) + 0j
    tolerance = np.array([1e-2, 1e-12, 1e-6])
    found, converged, *_ = gmres(apply, lambda v: inverse @ v, right, tolerance)
    assert converged.all()
    residual = np.linalg.norm(apply(found) - right, axis=0) / np.linalg.norm(right, axis=0)
    assert np.all(residual <= 1.1 * tolerance)
    # a sample that is done is left alone: it has not been solved more accurately than asked
    assert residual[0] > 1e-9


def test_gmres_with_right_hand_sides_that_vanish_or_break_down():
    """Zero: nothing to do. An eigenvector: exact after one step, while the others go on."""
    rng = np.random.default_rng(1)
    spectrum = np.arange(1.0, 9.0)
    right = np.zeros((8, 4), complex)
    right[2, 1] = 1.0  # an eigenvector
    right[[1, 5], 2] = 1j  # two of them
    right[:, 3] = rng.normal(size=8) + 1j * rng.normal(size=8)
    with np.errstate(divide="raise", invalid="raise"):
        found, converged, iterations, *_ = gmres(
            lambda d: spectrum[:, None] * d, lambda v: v, right, np.full(4, 1e-13)
        )
    assert converged.all()
    assert iterations <= 16
    assert np.abs(found - right / spectrum[:, None]).max() < 1e-12
    assert not found[:, 0].any()
    with np.errstate(all="raise"):
        found, converged, iterations, *_ = gmres(
            lambda d: d, lambda v: v, 0 * right, np.full(4, 1e-9)
        )
    assert not found.any()
    assert converged.all()
    assert iterations == 0


def test_gmres_says_when_it_fails():
    rng = np.random.default_rng(2)
    apply, _, _ = random_map(rng, 20)
    right = rng.normal(size=(20, 2)) + 0j
    with np.errstate(all="raise"):
        found, converged, iterations, *_ = gmres(apply, lambda v: v, right, np.full(2, 1e-12), 3)
        assert not converged.any()
        assert iterations == 3
        # still the best there is in three steps
        assert np.all(np.linalg.norm(apply(found) - right, axis=0) < np.linalg.norm(right, axis=0))
    for rank in (0, 1, 7, 19):  # singular maps, whose range does not hold the right-hand side
        kept = (np.arange(20) < rank)[:, None]
        found, converged, iterations, *_ = gmres(
            lambda d, kept=kept: kept * d, lambda v: v, right, np.full(2, 1e-12)
        )
        assert not converged.any()
        assert iterations < 10
        assert np.all(np.isfinite(found))
    # another sample of the batch, whose right-hand side lies in the range, is solved
    kept = (np.arange(20) < 7)[:, None]
    right[7:, 1] = 0
    spectrum = np.linspace(1, 2, 20)[:, None]
    found, converged, *_ = gmres(
        lambda d: kept * spectrum * d, lambda v: v, right, np.full(2, 1e-12)
    )
    assert np.array_equal(converged, [False, True])
    assert np.allclose(found[:7, 1], (right / spectrum)[:7, 1])


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("relative", ["direct", "transposed", "reversed"])
def test_dense_and_sparse_paths_agree(monkeypatch, response, relative):
    space = nf.finite_elements(interval(12, 0, 4), order=2)
    system = nf.GPE(
        space,
        potential=-0.4 - 0.1j,
        pumps=[nf.gaussian_pump([1.5], 0.5, 1 - 0.5j)],
        nonlinearity=RESPONSES[response],
        loss=0.1,
    )
    rng = np.random.default_rng(3)
    state, right = (
        rng.normal(size=(space.ndof, 3)) + 1j * rng.normal(size=(space.ndof, 3)) for _ in range(2)
    )
    linear = system.linearise(state)
    if relative == "transposed":
        linear = linear.transposed()
    if relative == "reversed":
        linear = linear.with_reversed_loss()
    assert space.ndof <= linear_solves.DENSE_LIMIT
    dense, _ = solve_linearised(linear, right)
    monkeypatch.setattr(linear_solves, "DENSE_LIMIT", 0)
    sparse, converged = solve_linearised(linear, right)
    assert converged.all()
    assert np.abs(dense - sparse).max() < 1e-9 * np.abs(dense).max()
    assert np.abs(linear.apply(sparse) - right).max() < 1e-9


def test_steady_states_of_dense_and_sparse_paths_agree(monkeypatch, chain):
    dense = nf.solve_steady(chain, XOR, tolerance=1e-12).state
    monkeypatch.setattr(linear_solves, "DENSE_LIMIT", 0)
    sparse = nf.solve_steady(chain, XOR, tolerance=1e-12).state
    assert np.abs(dense - sparse).max() < 1e-10


def counted_gmres(monkeypatch):
    counts = []

    def counted(*arguments):
        result = gmres(*arguments)
        counts.append(result[2])
        return result

    monkeypatch.setattr(linear_solves, "gmres", counted)
    return counts


def test_old_factors_are_refreshed(monkeypatch, disc):
    """A state far from the vacuum ages the vacuum's factors; the next solve uses new ones."""
    counts = counted_gmres(monkeypatch)
    rng = np.random.default_rng(0)
    n = disc.space.ndof
    state = at_nodes(disc.space, lambda p: 4 + 1j * p[:, 0])
    linear = disc.linearise(state)
    preconditioner = SharedPreconditioner()
    for _ in range(3):
        right = rng.normal(size=(n, 1)) + 1j * rng.normal(size=(n, 1))
        found, converged = solve_linearised(linear, right, 1e-11, preconditioner)
        assert converged.all()
        assert np.abs(linear.apply(found) - right).max() < 1e-8
    assert counts[0] > 8
    assert counts[1] < 0.7 * counts[0]


def test_good_factors_are_kept(disc):
    preconditioner = SharedPreconditioner()
    linear = disc.linearise(np.full((disc.space.ndof, 1), 0.1 + 0j))
    first = preconditioner.factors(linear)
    assert first is disc.linear_part.vacuum_factorisation
    preconditioner.report(3)
    assert preconditioner.factors(linear) is first
    preconditioner.report(20)
    second = preconditioner.factors(linear)
    assert second is not first
    preconditioner.report(3)
    assert preconditioner.factors(linear) is second


def test_a_sample_far_from_the_others_gets_its_own_factors(monkeypatch, disc):
    counts = counted_gmres(monkeypatch)
    state = np.ones((disc.space.ndof, 3)) * [0.0, 0.1, 30.0 + 5j]
    linear = disc.linearise(state)
    right = np.ones((disc.space.ndof, 3)) * [1, 1j, 1]
    found, converged = solve_linearised(linear, right, 1e-10)
    assert converged.all()
    assert len(counts) == 2
    relative = np.linalg.norm(linear.apply(found) - right, axis=0) / np.linalg.norm(right, axis=0)
    assert np.all(relative < 1e-9)


def test_vacuum_factors_are_made_once(monkeypatch, disc):
    made = []
    original = Factorisation.__init__

    def counting(self, matrix):
        made.append(matrix.shape)
        original(self, matrix)

    monkeypatch.setattr(Factorisation, "__init__", counting)
    fresh = disc.with_parameters({"weights": np.array([8.0, 3 - 4j])})
    for scale in (0.2, 0.3, 0.4):
        nf.solve_steady(fresh, scale * XOR)
    assert len(made) == 1
    nf.solve_steady(fresh.with_parameters({"potential": fresh.potential.values + 0.1}), 0.2 * XOR)
    assert len(made) == 2


# -- time evolution -------------------------------------------------------------------


def test_a_level_turns_and_decays():
    """Without pump and nonlinearity: exp(-i E t - gamma t), on a lattice and on a mesh."""
    chain = nf.graph(nf.lattice(5))
    mode = np.sin(np.pi * np.arange(1, 6) / 6)[:, None] + 0j
    energy = 1 - np.cos(np.pi / 6)
    end = nf.evolve(nf.GPE(chain, potential=0.3, loss=0.2), np.zeros((1, 0)), 4.0, initial=mode)
    exact = mode * np.exp(-4j * (energy + 0.3) - 4 * 0.2)
    assert np.abs(end.state - exact).max() < 1e-7
    space = nf.finite_elements(interval(10, 0, np.pi), order=2)
    levels, modes = scipy.linalg.eigh(space.stiffness.toarray(), space.mass.toarray())
    start = modes[:, [1]] + 0j
    end = nf.evolve(nf.GPE(space, loss=0.1), np.zeros((1, 0)), 2.0, initial=start)
    assert levels[1] / 2 == pytest.approx(2, rel=1e-3)
    assert np.abs(end.state - start * np.exp(-1j * levels[1] - 0.2)).max() < 1e-6


def test_without_loss_and_drive_the_number_is_conserved():
    space = nf.finite_elements(interval(12, 0, 4), order=2)
    system = nf.GPE(space, potential=0.5, nonlinearity=nf.Density(2.0), loss=0.0)
    start = at_nodes(space, lambda p: np.exp(-((p[:, 0] - 1.5) ** 2) + 1j * p[:, 0]))
    end = nf.evolve(system, np.zeros((1, 0)), 3.0, initial=start, tolerance=1e-8)
    number = [np.vdot(s, space.mass @ s).real for s in (start, end.state)]
    assert number[1] == pytest.approx(number[0], rel=1e-7)
    assert np.abs(end.state - start).max() > 0.1


def test_runge_kutta_is_of_fourth_order(chain):
    exact = nf.evolve(chain, XOR, 4.0, tolerance=1e-13).state
    steps = [0.4, 0.2, 0.1]
    errors = [np.abs(nf.evolve(chain, XOR, 4.0, dt=dt).state - exact).max() for dt in steps]
    assert observed_rates(steps, errors) == pytest.approx([4, 4], abs=0.3)


def test_adaptive_and_fixed_steps_agree_on_a_mesh():
    """Several samples on a mesh: the mass matrix is solved for each of them."""
    space = nf.finite_elements(interval(10, 0, 8), order=2)
    system = nf.GPE(
        space,
        pumps=[nf.gaussian_pump([2.0], 0.7), nf.gaussian_pump([5.0], 0.7, 1j)],
        nonlinearity=nf.Density(0.5),
        loss=0.3,
    )
    adaptive = nf.evolve(system, XOR, 2.0, tolerance=1e-10)
    fixed = nf.evolve(system, XOR, 2.0, dt=0.004)
    assert np.abs(adaptive.state - fixed.state).max() < 1e-7
    assert np.abs(adaptive.state[:, 3]).max() > 0.3
    alone = nf.evolve(system, XOR[[2]], 2.0, dt=0.004)
    assert np.abs(alone.state[:, 0] - fixed.state[:, 2]).max() < 1e-12


def test_evolution_stays_in_a_steady_state(disc):
    inputs = np.array([[0.4, 0.2]])
    steady = nf.solve_steady(disc, inputs, tolerance=1e-12)
    later = nf.evolve(disc, inputs, 0.5, initial=steady.state)
    assert np.abs(later.state - steady.state).max() < 1e-8
    assert later.residual[0] < 1e-5


@pytest.mark.parametrize("dt", [None, 0.1])
def test_frames_are_equal_intervals(chain, dt):
    trajectory = nf.evolve(chain, XOR, 3.0, dt=dt, frames=3)
    assert np.array_equal(trajectory.times, [0, 1, 2, 3])
    assert trajectory.states.shape == (4, 9, 4)
    assert not trajectory.states[0].any()
    assert np.array_equal(trajectory.state, trajectory.states[-1])
    second = nf.evolve(chain, XOR, 1.0, dt=dt, initial=trajectory.states[1])
    assert np.abs(second.state - trajectory.states[2]).max() < 1e-7


def test_time_that_is_no_multiple_of_dt_is_still_reached(chain):
    odd = nf.evolve(chain, XOR, 1.03, dt=0.1)
    exact = nf.evolve(chain, XOR, 1.03, tolerance=1e-12)
    assert np.abs(odd.state - exact.state).max() < 1e-5
    assert odd.times[-1] == 1.03


def test_evolution_reports_the_residual_of_its_end(chain):
    steady = nf.solve_steady(chain, XOR[1:])
    short, long = (nf.evolve(chain, XOR[1:], t, dt=0.1) for t in (5.0, 120.0))
    assert np.all(short.residual > 1e-3)
    assert np.all(long.residual < 1e-8)
    assert np.abs(long.state - steady.state).max() < 1e-8


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_unstable_step_names_a_stable_one():
    space = nf.finite_elements(interval(10, 0, 8), order=2)
    system = nf.GPE(space, pumps=[nf.gaussian_pump([4.0], 0.7)], loss=0.3)
    with pytest.raises(nf.InputError, match=r"dt = 0\.2: .*unstable.*dt < ") as caught:
        nf.evolve(system, ONE, 100.0, dt=0.2)
    named = float(re.search(r"dt < ([\d.e-]+\d)", str(caught.value)).group(1))
    assert named == pytest.approx(stable_time_step(system), rel=1e-2)
    levels = scipy.linalg.eigh(space.stiffness.toarray(), space.mass.toarray(), eigvals_only=True)
    assert named == pytest.approx(2.78 / (levels[-1] / 2), rel=0.1)
    assert nf.evolve(system, ONE, 2.0, dt=named).residual[0] < 10
    with pytest.raises(nf.InputError):
        nf.evolve(system, ONE, 400.0, dt=1.1 * named)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": 0.0}, r"time = 0\.0: it must be positive"),
        ({"time": np.inf}, "time = inf"),
        ({"dt": 0.0}, r"dt = 0\.0: it must be positive"),
        ({"dt": -0.1}, "must be positive"),
        ({"dt": np.nan}, "dt = nan"),
        ({"frames": 0}, "frames = 0"),
        ({"initial": np.zeros((9, 1))}, r"initial: shape \(9, 1\).*\(9, 4\)"),
    ],
)
def test_evolutions_that_are_refused(chain, options, message):
    with pytest.raises(nf.InputError, match=message):
        nf.evolve(chain, XOR, **{"time": 1.0, **options})


# -- near equilibrium -----------------------------------------------------------------


def uniform(loss, potential, nonlinearity=None, n=1.0, kind="mesh"):
    space = (
        nf.finite_elements(square(3, 2.0), order=2, dirichlet=[])
        if kind == "mesh"
        else nf.graph(nf.lattice(5, periodic=True))
    )
    system = nf.GPE(space, potential=potential, nonlinearity=nonlinearity, loss=loss)
    return system, np.full((space.ndof, 1), np.sqrt(n) * np.exp(0.3j))


@pytest.mark.parametrize("kind", ["mesh", "graph"])
def test_loss_number_of_a_uniform_state(kind):
    """It is gamma over the modulus of the detuned level, V + 2 g n - i gamma."""
    for loss, potential, g, n in ((0.0, 0.5, 0.0, 1), (0.1, 0.5, 0.0, 1), (0.1, -0.5, 0.4, 2.0)):
        system, state = uniform(loss, potential, nf.Density(g) if g else None, n, kind)
        exact = loss / abs(potential + 2 * g * n - 1j * loss)
        assert nf.near_equilibrium(system, state).loss[0] == pytest.approx(exact, abs=1e-12)
    resonant, state = uniform(0.1, 0.0, kind=kind)
    assert nf.near_equilibrium(resonant, state).loss[0] == pytest.approx(1)


def test_lossless_wave_is_at_equilibrium():
    system, state = uniform(0.0, 0.7, nf.Density(0.3))
    report = nf.near_equilibrium(system, state)
    assert report.loss[0] == 0
    assert report.response[0] == 0
    assert report.nonlinearity_ratio[0] == np.inf


def test_absorbers_count_as_loss():
    system, state = uniform(0.0, 0.5 - 0.2j)
    assert nf.near_equilibrium(system, state).loss[0] == pytest.approx(0.2 / abs(0.5 - 0.2j))
    space = system.space
    walled = nf.GPE(space, potential=0.5, loss=0.0, background=np.full(len(space.w), -0.2j))
    assert nf.near_equilibrium(walled, state).loss[0] == pytest.approx(0.2 / abs(0.5 - 0.2j))


@pytest.mark.parametrize("n", [0.3, 2.0])
def test_nonlinearity_ratio_is_gn_over_gamma(n):
    system, state = uniform(0.1, 0.5, nf.Density(0.04), n)
    report = nf.near_equilibrium(system, np.hstack([state, 2 * state, 0 * state]))
    exact = np.array([1, 4, 0]) * 0.04 * n / 0.1
    assert report.nonlinearity_ratio == pytest.approx(exact)
    saturating, state = uniform(0.1, 0.5, nf.Saturation(0.04), n)
    ratio = nf.near_equilibrium(saturating, state).nonlinearity_ratio[0]
    assert ratio == pytest.approx(0.04 * n / (1 + n) / 0.1)  # the shift from f(0)


def test_complex_response_violates_its_condition():
    """nep (24): f + n f' must be real."""
    real, state = uniform(0.1, 0.5, nf.Saturation(0.7))
    assert nf.near_equilibrium(real, state).response[0] == 0
    absorbing = nf.CustomNonlinearity(
        lambda n: (0.3 - 0.4j) * n, lambda n: np.full_like(n, 0.3 - 0.4j, dtype=complex)
    )
    system, state = uniform(0.1, 0.5, absorbing, 1.5)
    report = nf.near_equilibrium(system, state)
    assert report.response[0] == pytest.approx(0.8)
    exact = abs(2 * 0.4 * 1.5 + 0.1) / abs(0.5 + 2 * (0.3 - 0.4j) * 1.5 - 0.1j)
    assert report.loss[0] == pytest.approx(exact)
    assert report.nonlinearity_ratio[0] == pytest.approx(0.5 * 1.5 / 0.1)


def test_near_resonance_is_far_from_equilibrium(disc):
    """More loss is further away; each sample has its own number."""
    steady = nf.solve_steady(disc, XOR[1:])
    report = nf.near_equilibrium(disc, steady.state)
    assert report.loss.shape == report.response.shape == report.nonlinearity_ratio.shape == (3,)
    assert np.all((report.loss > 0) & (report.loss < 1))
    assert np.ptp(report.nonlinearity_ratio) > 1e-3
    values = np.abs(disc.space.evaluate(steady.state)) ** 2
    mean = disc.space.w @ values / disc.space.w.sum()
    assert report.nonlinearity_ratio == pytest.approx(1.5 * mean / 0.3)


@pytest.mark.parametrize("count", [-1, 1.5])
def test_a_number_of_iterations_that_is_none_is_refused(count: float) -> None:
    system = nf.GPE(nf.graph(nf.lattice(3)), 0.5, [nf.site_pump(0)])
    with pytest.raises(nf.InputError, match="whole number >= 0"):
        nf.solve_steady(system, np.ones((1, 1)), max_iterations=count)


def test_one_singular_sample_does_not_cost_the_others_their_step() -> None:
    """On the dense path a batch is solved at once; a singular matrix must stay its own affair."""
    space = nf.graph(nf.lattice(3))
    lossless = nf.GPE(space, 0.0, [nf.site_pump(0)], nf.Density(1.0), loss=0.0)
    state = np.zeros((3, 2), dtype=complex)
    state[:, 1] = 1.0
    linear = lossless.linearise(state)
    # H has the eigenvalue 1 on three sites: a = -1 makes the first sample exactly singular.
    direct = linear.direct.copy()
    direct[:, 0] = -1.0
    singular = replace(linear, direct=direct)
    right = np.ones((3, 2), dtype=complex)
    d, solved = solve_linearised(singular, right)
    alone, _ = solve_linearised(singular.samples(np.array([1])), right[:, [1]])
    assert solved.tolist() == [False, True]
    np.testing.assert_allclose(d[:, [1]], alone, rtol=1e-14)
