"""Motion in physical time: steps of each sample's own, and pumps that change in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import observed_rates, square
from scipy.integrate import solve_ivp
from test_prefer import wave

import nepfield as nf
from nepfield.steady import imex
from nepfield.steady.envelopes import Driven, driven
from nepfield.steady.evolve import rate_of_change
from nepfield.steady.imex import Motion

INPUTS = np.array([[1.0, 0.0], [0.3, -0.8], [0.0, 0.0]])


def chain(g: float = 0.4) -> nf.GPE:
    pumps = [nf.site_pump(2, 0.7), nf.site_pump(6, 0.5j)]
    return nf.GPE(nf.graph(nf.lattice(9)), -0.3, pumps, nf.Density(g), 0.2)


def mesh(n: int = 3) -> nf.GPE:
    space = nf.finite_elements(square(n, 4.0), order=2)
    pumps = [nf.gaussian_pump([2.0, 1.5], 0.7, 0.8), nf.gaussian_pump([1.0, 3.0], 0.7, 0.5)]
    return nf.GPE(space, 0.2, pumps, nf.Saturation(0.6), 0.2)


def by_scipy(system: nf.GPE, envelope: Callable[[float], np.ndarray], time: float) -> np.ndarray:
    """The states of the three inputs at a time, with all pumps under one factor."""
    drive = system.drive(INPUTS).astype(complex)
    rate = rate_of_change(system, drive)

    def flat_rate(t: float, flat: np.ndarray) -> np.ndarray:
        return rate(flat.reshape(drive.shape), envelope(t) * drive).ravel()

    start = np.zeros(drive.size, dtype=complex)
    found = solve_ivp(flat_rate, (0, time), start, "DOP853", rtol=1e-10, atol=1e-12)
    return np.asarray(found.y[:, -1].reshape(drive.shape))


def fixed_steps(system: Any, drive: Driven, dt: float, time: float) -> np.ndarray:
    """The pair with steps that are all alike."""
    motion = Motion(system, drive, np.zeros((system.space.ndof, len(INPUTS))))
    columns = np.arange(len(INPUTS))
    none = np.zeros(len(INPUTS), dtype=bool)
    motion._solvers = lambda *_: [(slice(None), motion._stages.of_length(dt))]
    for k in range(round(time / dt)):
        motion.times[:] = k * dt
        motion.state, _, _ = motion._tried(columns, np.full(len(INPUTS), dt), none)
    return motion.state


@pytest.mark.parametrize("make", [chain, mesh])
def test_lattices_and_meshes_move_as_an_explicit_scheme_says(make: Callable[[], nf.GPE]) -> None:
    system = make()
    ramp = nf.Ramp(2.0, at=0.5)
    exact = by_scipy(system, ramp.factor, 4.0)
    size = np.linalg.norm(exact)
    for tolerance in (1e-4, 1e-7):
        found = nf.evolve(system, INPUTS, 4.0, envelope=ramp, tolerance=tolerance)
        assert np.linalg.norm(found.state - exact) < 20 * tolerance * size
        assert not found.state[:, 2].any()  # nothing drives the last sample
    steps = nf.evolve(system, INPUTS, 4.0, envelope=ramp, dt=0.01 if make is chain else 0.002)
    assert np.linalg.norm(steps.state - exact) < 1e-6 * size


@pytest.mark.parametrize("drive", ["constant", "pulse"])
def test_the_pair_is_of_order_four_for_drives_that_change(drive: str) -> None:
    """An error of the drive at the stages would show as a lower order."""
    system = chain()
    pulse = nf.Pulse(1.5, 0.6) if drive == "pulse" else None
    factor = (lambda t: 1.0) if pulse is None else pulse.factor
    exact = by_scipy(system, factor, 3.0)
    under = driven(system, INPUTS, pulse)
    steps = [0.25, 0.125, 0.0625]
    errors = [np.abs(fixed_steps(system, under, dt, 3.0) - exact).max() for dt in steps]
    assert observed_rates(steps, errors) == pytest.approx([4, 4], abs=0.4)
    assert errors[-1] < 1e-5
    fixed = [nf.evolve(system, INPUTS, 3.0, dt=dt, envelope=pulse).state for dt in steps]
    errors = [np.abs(state - exact).max() for state in fixed]
    assert observed_rates(steps, errors) == pytest.approx([4, 4], abs=0.5)


def test_the_dense_output_is_of_third_order() -> None:
    c = np.array(imex._NODES)
    explicit, implicit = np.zeros((6, 6)), imex._DIAGONAL * np.eye(6)
    implicit[0, 0] = 0
    for i in range(1, 6):
        explicit[i, :i], implicit[i, :i] = imex._EXPLICIT[i], imex._IMPLICIT[i]
    np.testing.assert_allclose(explicit.sum(axis=1), c, atol=1e-14)
    for theta in (0.2, 0.7, 1.0):
        weights = imex._DENSE @ theta ** np.arange(1, 4)
        for power in range(3):
            assert weights @ c**power == pytest.approx(theta ** (power + 1) / (power + 1))
        for part in (explicit, implicit):
            assert weights @ part @ c == pytest.approx(theta**3 / 6)
    np.testing.assert_allclose(imex._DENSE.sum(axis=1), imex._WEIGHTS, atol=1e-13)


@pytest.mark.parametrize("make", [chain, mesh])
def test_frames_lie_on_the_way(make: Callable[[], nf.GPE]) -> None:
    """States between two steps are as right as those at their ends."""
    system = make()
    envelope = nf.Ramp(1.0)
    found = nf.evolve(system, INPUTS, 3.0, frames=30, envelope=envelope, tolerance=1e-6)
    for k in (3, 10, 17):
        exact = by_scipy(system, envelope.factor, found.times[k])
        assert np.abs(found.states[k] - exact).max() < 3e-5


def test_a_sample_does_not_depend_on_the_others() -> None:
    system = chain()
    whole = nf.evolve(system, INPUTS, 5.0, frames=3)
    for k in range(2):
        alone = nf.evolve(system, INPUTS[[k]], 5.0, frames=3)
        np.testing.assert_allclose(alone.states[..., 0], whole.states[..., k], atol=1e-12)


def test_steps_are_as_long_as_the_error_allows() -> None:
    system = chain(g=2.0)
    drive = system.drive(INPUTS[:2]).astype(complex)
    counts = []
    for tolerance in (1e-4, 1e-6, 1e-8):
        motion = Motion(system, drive, 0 * drive, tolerance)
        counts.append(len(list(motion.until(10.0))))
    assert counts[0] < counts[1] < counts[2]
    assert counts[2] / counts[1] == pytest.approx(100 ** (1 / 4), rel=0.4)  # of order 4
    # where the drive is off and nothing moves they grow
    motion = Motion(system, 0 * drive, 0 * drive)
    assert len(list(motion.until(1000.0))) < 30


def test_a_step_of_the_drive_is_landed_on() -> None:
    """A wave that rests is disturbed late: a stepper that does not know it steps across."""
    system = chain()
    drive = driven(system, INPUTS[:2], nf.Step(at=40.0, before=0.0))
    motion = Motion(system, drive, np.zeros((9, 2)), 1e-7)
    for _ in motion.until(40.0):
        pass
    assert (motion.times == 40.0).all()
    assert not motion.state.any()  # what comes after the jump is not seen before
    for _ in motion.until(43.0):
        pass
    late = motion.at(43.0)
    np.testing.assert_allclose(late, nf.evolve(system, INPUTS[:2], 3.0).state, atol=1e-6)
    down = nf.evolve(system, INPUTS[:2], 6.0, dt=0.01, envelope=nf.Step(3.0, 1.0, 0.0))
    again = nf.evolve(system, INPUTS[:2], 6.0, envelope=nf.Step(3.0, 1.0, 0.0))
    np.testing.assert_allclose(again.state, down.state, atol=1e-6)


def test_a_short_pulse_is_not_overlooked() -> None:
    system = chain()
    pulse = nf.Pulse(200.0, 0.5, base=0.0, peak=2.0)
    found = nf.evolve(system, INPUTS[:2], 201.0, envelope=pulse, tolerance=1e-6)
    early = nf.evolve(system, INPUTS[:2], 6.0, envelope=nf.Pulse(5.0, 0.5, 0.0, 2.0), dt=0.005)
    assert np.abs(found.state).max() > 0.1
    np.testing.assert_allclose(found.state, early.state, atol=1e-5)


def test_every_pump_may_have_an_envelope_of_its_own() -> None:
    system = chain()
    envelopes = [None, nf.Ramp(2.0)]
    found = nf.evolve(system, INPUTS, 4.0, envelope=envelopes, dt=0.01)
    adaptive = nf.evolve(system, INPUTS, 4.0, envelope=envelopes)
    np.testing.assert_allclose(adaptive.state, found.state, atol=1e-6)
    # the first sample drives the first pump alone, which is always on
    plain = nf.evolve(system, INPUTS[:1], 4.0, dt=0.01)
    np.testing.assert_allclose(found.state[:, 0], plain.state[:, 0], atol=1e-12)
    both = nf.evolve(system, INPUTS[1:2], 4.0, dt=0.01)
    assert np.abs(found.state[:, 1] - both.state[:, 0]).max() > 0.01
    product = nf.Product((nf.Step(1.0), nf.Ramp(2.0)))
    np.testing.assert_allclose(product.factor(np.array([0.9, 1.0, 5.0])), [0, 0.5, 1])
    assert set(product.breaks) == {0.0, 1.0, 2.0}


def test_factors_of_envelopes() -> None:
    times = np.array([-1.0, 0.0, 1.0, 2.0, 9.0])
    np.testing.assert_allclose(nf.Step(1.0).factor(times), [0, 0, 1, 1, 1])
    np.testing.assert_allclose(nf.Ramp(2.0).factor(times), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(nf.Ramp(2.0, 0.0, 1.0, 0.2).factor(times), [1, 1, 0.6, 0.2, 0.2])
    pulse = nf.Pulse(1.0, 0.5, base=1.0, peak=3.0)
    assert pulse.factor(np.array(1.0)) == 3
    assert pulse.factor(np.array(1.5)) == pytest.approx(1 + 2 * np.exp(-0.5))
    assert pulse.factor(np.array(20.0)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": -1.0}, "time = -1.0: it must be positive"),
        ({"time": np.nan}, "time = nan"),
        ({"time": np.inf}, "time = inf"),
        ({"frames": 0}, "frames = 0: give a whole number"),
        ({"frames": 2.5}, "frames = 2.5"),
        ({"frames": 10**9}, "frames = 1000000000"),
        ({"frames": 10**5, "inputs": np.ones((800, 2))}, "their states take 10.7 GiB"),
        ({"tolerance": 0.0}, "tolerance = 0.0"),
        ({"tolerance": np.nan}, "tolerance = nan"),
        ({"dt": np.nan}, "dt = nan: it must be positive"),
        ({"initial": np.zeros((9, 2))}, r"initial: shape \(9, 2\)"),
        ({"initial": np.full((9, 3), np.nan)}, "initial: all values must be finite"),
        ({"envelope": 3.0}, "envelope: 3.0 is none; give a Step"),
        ({"envelope": [nf.Ramp(1.0)]}, "1 envelopes for 2 pumps"),
        ({"envelope": [nf.Ramp(1.0), "ramp"]}, "'ramp' is none"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(nf.InputError, match=message):
        nf.evolve(chain(), **{"inputs": INPUTS, "time": 1.0, **options})


def test_envelopes_that_are_wrong_are_refused() -> None:
    for make, message in (
        (lambda: nf.Ramp(0.0), "length = 0.0: a ramp takes time"),
        (lambda: nf.Ramp(np.inf), "length = inf: it must be finite"),
        (lambda: nf.Pulse(1.0, -2.0), "width = -2.0: the width of a pulse must be positive"),
        (lambda: nf.Step(np.nan), "at = nan: it must be finite"),
    ):
        with pytest.raises(nf.InputError, match=message):
            make()
    plain = _WithoutPumps()
    with pytest.raises(nf.InputError, match="_WithoutPumps has no pumps to tell apart"):
        driven(plain, np.ones((1, 2)), [nf.Ramp(1.0)])


class _WithoutPumps:
    def drive(self, inputs: np.ndarray) -> np.ndarray:
        return np.ones((3, len(inputs)))


def test_waves_of_two_components_take_one_envelope() -> None:
    system, inputs = wave("two components")
    ramp = nf.Ramp(1.0)
    found = nf.evolve(system, inputs, 2.0, envelope=ramp, tolerance=1e-6)
    fixed = nf.evolve(system, inputs, 2.0, envelope=ramp, dt=0.002)
    np.testing.assert_allclose(found.state, fixed.state, atol=1e-4)


def test_a_wave_that_grows_without_bound_is_refused() -> None:
    gain = nf.CustomNonlinearity(lambda n: 1j * n, lambda n: np.full_like(n, 1j))
    system = nf.GPE(nf.graph(nf.lattice(9)), 0, [nf.site_pump(2)], gain, 0.1)
    with pytest.raises(nf.InputError, match=r"cannot be followed beyond .*grows without bound"):
        nf.evolve(system, np.ones((1, 1)), 1e3)
