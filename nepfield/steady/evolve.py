"""Evolution in physical time: the reference for the steady solvers, and transients.

    M dPsi/dt = -i F(Psi)                                                            nep (1), (10)

Steps are chosen by the error and implicit in H, so that a fine mesh costs no more of them
(`nepfield.steady.imex`); with a time step the scheme is the paper's, fourth-order Runge-Kutta.
Pumps may change in time (`nepfield.steady.envelopes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.reprs import Described, counted, numbers
from nepfield.space.linalg import Factorisation
from nepfield.steady.envelopes import Driven, Envelope, driven
from nepfield.steady.equation import Equation
from nepfield.steady.imex import Motion

MOST_FRAMES = 100_000
_SMALLEST, _COARSEST = 1e-13, 0.1  # tolerances
_LARGEST = 8 * 2**30  # bytes of states
_AWAY = 1e-9  # of a step, from a jump at its end

Rate = Callable[..., np.ndarray]


@dataclass(frozen=True, eq=False)
class Evolution(Described):
    """A trajectory.

    Attributes
    ----------
    times : ndarray, shape (ntimes,)
    states : ndarray, shape (ntimes, ndof, nsamples)
    residual : ndarray, shape (nsamples,)
        Norm of dPsi/dt over the norm of the drive at the end (1 where there is no drive).
    """

    times: np.ndarray
    states: np.ndarray
    residual: np.ndarray

    @property
    def state(self) -> np.ndarray:
        """The last state, shape (ndof, nsamples)."""
        return self.states[-1]

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        ends = f"from t = {self.times[0]:g} to {self.times[-1]:g}"
        return f"Evolution: {counted(len(self.times), 'time')} {ends}", {
            "states": numbers(self.states),
            "residual": self.residual,
        }


def rate_of_change(system: Equation, drive: np.ndarray) -> Rate:
    """The map from Psi to dPsi/dt, both of shape (ndof, nsamples), for a drive in weak form.

    Another drive may be given to it after the state.
    """
    if system.space.is_graph:
        return lambda state, drive=drive: -1j * system.residual(state, drive)
    mass = Factorisation(system.space.mass)

    def rate(state: np.ndarray, drive: np.ndarray = drive) -> np.ndarray:
        force = system.residual(state, drive)
        solved = mass.solve(np.ascontiguousarray(force).view(float)).view(complex)
        return -1j * solved

    return rate


def evolve(
    system: Equation,
    inputs: np.ndarray,
    time: float,
    *,
    dt: float | None = None,
    initial: np.ndarray | None = None,
    frames: int = 1,
    tolerance: float = 1e-7,
    envelope: Envelope | Sequence[Envelope | None] | None = None,
) -> Evolution:
    """Integrate the equation of motion.

    Parameters
    ----------
    system : Equation
        A wave, such as `GPE`.
    inputs : ndarray, shape (nsamples, ninputs)
    time : float
        Duration, in units of hbar over the energy unit.
    dt : float, optional
        Time step of fourth-order Runge-Kutta, the paper's scheme (0.1 on its lattice). Without it
        every sample has steps of its own, as long as its error allows.
    initial : ndarray, shape (ndof, nsamples), optional
        By default the vacuum.
    frames : int
        Number of equal intervals after which a state is kept.
    tolerance : float
        Error of a step of the adaptive scheme, relative to the norm of the state. After a sudden
        switch-on the waves on a mesh are wrong by some ten times as much.
    envelope : Step, Ramp, Pulse or Product, or a sequence of one a pump, optional
        The factor by which pumps change in time; None: they are always on.

    Returns
    -------
    Evolution

    Raises
    ------
    InputError
        If a number is not positive, the time step is unstable, or the wave grows without bound.
    """
    check_frames(frames, system.space.ndof * len(inputs))
    if not np.isfinite(time) or time <= 0:
        raise InputError(f"time = {time}: it must be positive.")
    times = np.linspace(0, time, frames + 1)
    states = list(
        trajectory(
            system, inputs, times,
            dt=dt, initial=initial, tolerance=tolerance, envelope=envelope,
        )
    )  # fmt: skip
    drive = driven(system, inputs, envelope).at(np.full(len(inputs), time))
    scale = system.space.residual_norm(drive)
    final = system.space.residual_norm(system.residual(states[-1], drive))
    return Evolution(times, np.array(states), final / np.where(scale == 0, 1.0, scale))


def check_frames(frames: int, size: int = 0) -> None:
    """InputError if that is no number of frames, or their states (`size` numbers each) are too
    large to keep."""
    if not isinstance(frames, int | np.integer) or not 0 < frames <= MOST_FRAMES:
        raise InputError(f"frames = {frames}: give a whole number from 1 to {MOST_FRAMES}.")
    if (bytes_ := 16 * size * (frames + 1)) > _LARGEST:
        raise InputError(
            f"frames = {frames}: their states take {bytes_ / 2**30:.3g} GiB; ask for fewer frames "
            "or samples."
        )


def trajectory(
    system: Equation,
    inputs: np.ndarray,
    times: np.ndarray,
    *,
    dt: float | None = None,
    initial: np.ndarray | None = None,
    tolerance: float = 1e-7,
    envelope: Envelope | Sequence[Envelope | None] | None = None,
) -> Iterator[np.ndarray]:
    """The states (ndof, nsamples) at increasing times, of which the first is that of `initial`.

    Parameters and errors as of `evolve`; each state is given as soon as it is known.
    """
    if dt is not None and (not np.isfinite(dt) or dt <= 0):
        raise InputError(f"dt = {dt}: it must be positive.")
    if not _SMALLEST <= tolerance <= _COARSEST:
        raise InputError(f"tolerance = {tolerance}: give one from {_SMALLEST} to {_COARSEST}.")
    drive = driven(system, inputs, envelope)
    shape = (system.space.ndof, len(inputs))
    state = np.zeros(shape, dtype=complex) if initial is None else np.array(initial, dtype=complex)
    if state.shape != shape:
        raise InputError(f"initial: shape {state.shape}; (ndof, nsamples) is {shape}.")
    if not np.isfinite(state).all():
        raise InputError("initial: all values must be finite.")
    return _stepped(system, drive, state, times, tolerance, dt)


def _stepped(
    system: Equation,
    drive: Driven,
    state: np.ndarray,
    times: np.ndarray,
    tolerance: float,
    dt: float | None,
) -> Iterator[np.ndarray]:
    yield state
    if dt is not None:
        yield from _runge_kutta(system, drive, state, times, dt)
        return
    motion = Motion(system, drive, state, tolerance)
    for time in times[1:]:
        for _ in motion.until(time):
            pass
        if motion.time < time:
            raise InputError(
                f"time = {times[-1]:g}: the wave cannot be followed beyond {motion.time:.3g}, "
                "where it grows without bound."
            )
        yield motion.at(time)


def _runge_kutta(
    system: Equation, drive: Driven, state: np.ndarray, times: np.ndarray, dt: float
) -> Iterator[np.ndarray]:
    """Fixed steps, which land on what is wanted and on where an envelope jumps or bends."""
    now, count = float(times[0]), state.shape[1]
    rate = rate_of_change(system, drive.at(np.full(count, now)))
    for time in times[1:].tolist():
        while now < time:
            stop = min(float(drive.next_break(np.array([now]))[0]), time)
            nsteps = max(1, int(np.ceil((stop - now) / dt - 1e-9)))
            step = (stop - now) / nsteps
            for k in range(nsteps):
                drives = []
                if drive.varies:
                    first, inside = now + k * step, _AWAY * step
                    moments = (first + inside, first + step / 2, first + step - inside)
                    drives = [drive.at(np.full(count, moment)) for moment in moments]
                state = runge_kutta_step(rate, state, step, drives)
            now = stop
        if not np.all(np.isfinite(state)):
            raise InputError(
                f"dt = {dt}: fourth-order Runge-Kutta is unstable on this space; it needs "
                f"about dt < {stable_time_step(system):.3g}."
            )
        yield state


def runge_kutta_step(
    rate: Rate, state: np.ndarray, dt: float, drives: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """One step of the classical fourth-order Runge-Kutta scheme.

    `drives` are those at the beginning, in the middle and at the end of the step; without them the
    drive is that of `rate`.
    """
    first, middle, last = ([drive] for drive in drives) if drives else ([], [], [])
    k1 = rate(state, *first)
    k2 = rate(state + dt / 2 * k1, *middle)
    k3 = rate(state + dt / 2 * k2, *middle)
    k4 = rate(state + dt * k3, *last)
    return state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def stable_time_step(system: Equation) -> float:
    """Largest stable step of fourth-order Runge-Kutta without nonlinearity (power iteration)."""
    rate = rate_of_change(system, np.zeros((system.space.ndof, 1), dtype=complex))
    state = np.random.default_rng(0).normal(size=(system.space.ndof, 1)) * 1e-9 + 0j
    growth = 1.0
    for _ in range(60):
        state = state * (1e-9 / np.linalg.norm(state))
        image = rate(state)
        growth = float(np.linalg.norm(image)) / 1e-9
        state = image
    return 2.78 / growth  # the scheme is stable up to 2.83 on the imaginary axis
