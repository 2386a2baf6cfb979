"""Evolution in physical time: the reference for the steady solvers, and transients.

    M dPsi/dt = -i F(Psi)                                                            nep (1), (10)

``rk4`` is the paper's scheme, fourth-order Runge-Kutta with a given time step; ``adaptive`` is an
eighth-order scheme with error control from SciPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from nepfield.errors import InputError
from nepfield.reprs import Described, counted, numbers
from nepfield.space.linalg import Factorisation
from nepfield.steady.equation import Equation


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


def rate_of_change(system: Equation, drive: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The map from Psi to dPsi/dt, both of shape (ndof, nsamples), for a drive in weak form."""
    if system.space.is_graph:
        return lambda state: -1j * system.residual(state, drive)
    mass = Factorisation(system.space.mass)

    def rate(state: np.ndarray) -> np.ndarray:
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
    tolerance: float = 1e-8,
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
        SciPy's DOP853 chooses its steps.
    initial : ndarray, shape (ndof, nsamples), optional
        By default the vacuum.
    frames : int
        Number of equal intervals after which a state is kept.
    tolerance : float
        Relative error of the adaptive scheme; the absolute one is a hundredth of it.

    Returns
    -------
    Evolution

    Raises
    ------
    InputError
        If a number is not positive, or the time step is unstable.
    """
    for name, value in (("time", time), ("dt", 1.0 if dt is None else dt), ("frames", frames)):
        if not np.isfinite(value) or value <= 0:
            raise InputError(f"{name} = {value}: it must be positive.")
    drive = system.drive(inputs).astype(complex)
    state = np.zeros_like(drive) if initial is None else np.array(initial, dtype=complex)
    if state.shape != drive.shape:
        raise InputError(f"initial: shape {state.shape}; (ndof, nsamples) is {drive.shape}.")
    rate = rate_of_change(system, drive)
    times = np.linspace(0, time, frames + 1)
    if dt is None:
        solution = solve_ivp(
            lambda _, flat: rate(flat.reshape(drive.shape)).ravel(),
            (0, time),
            state.ravel(),
            method="DOP853",
            t_eval=times,
            rtol=tolerance,
            atol=tolerance / 100,
        )
        if not solution.success:
            raise InputError(
                f"time = {time}: the wave cannot be followed beyond {solution.t[-1]:.3g}, where it "
                f"grows without bound ({solution.message})."
            )
        states = solution.y.T.reshape(-1, *drive.shape)
    else:
        kept = [state]
        for duration in np.diff(times):
            nsteps = int(np.ceil(duration / dt - 1e-9))
            for _ in range(nsteps):
                state = runge_kutta_step(rate, state, duration / nsteps)
            if not np.all(np.isfinite(state)):
                raise InputError(
                    f"dt = {dt}: fourth-order Runge-Kutta is unstable on this space; it needs "
                    f"about dt < {stable_time_step(system):.3g}."
                )
            kept.append(state)
        states = np.array(kept)
    scale = system.space.residual_norm(drive)
    final = system.space.residual_norm(system.residual(states[-1], drive))
    return Evolution(times, states, final / np.where(scale == 0, 1.0, scale))


def runge_kutta_step(
    rate: Callable[[np.ndarray], np.ndarray], state: np.ndarray, dt: float
) -> np.ndarray:
    """One step of the classical fourth-order Runge-Kutta scheme."""
    k1 = rate(state)
    k2 = rate(state + dt / 2 * k1)
    k3 = rate(state + dt / 2 * k2)
    k4 = rate(state + dt * k3)
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
