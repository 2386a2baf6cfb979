"""Newton-Krylov against Runge-Kutta on the same operator, from the vacuum to the same residual."""

from __future__ import annotations

import numpy as np

import nepfield as nf
from nepfield.steady.evolve import rate_of_change, runge_kutta_step, stable_time_step
from studies.speed.cases import ONE_SAMPLE, RESIDUAL, SHIFT, box, relative_difference, solve_box
from studies.speed.measure import Measurement, best_of
from studies.speed.stepping import Limits, Stepping, step_to_end, step_within

_SAFETY = 0.95  # of the largest stable step, which power iteration finds from above


class _Stepper:
    """Fourth-order Runge-Kutta on the operator of a system, from the vacuum."""

    def __init__(self, system: nf.GPE) -> None:
        self.system = system
        self.drive = system.drive(ONE_SAMPLE).astype(complex)
        self.scale = system.space.residual_norm(self.drive)[0]
        self.rate = rate_of_change(system, self.drive)
        linear = stable_time_step(system)
        self.dt = _SAFETY / (1 / linear + SHIFT / 2.78)
        self.state = np.zeros_like(self.drive)

    def advance(self, nsteps: int) -> None:
        for _ in range(nsteps):
            self.state = runge_kutta_step(self.rate, self.state, self.dt)

    def residual(self) -> float:
        force = self.system.residual(self.state, self.drive)
        return float(self.system.space.residual_norm(force)[0] / self.scale)


def compare_with_runge_kutta(
    n: int = 90, coarse: int = 20, limits: Limits | None = None
) -> list[Measurement]:
    """Steady state of the box, order 2, n x n squares; `coarse` is stepped to the end."""
    limits = limits or Limits()
    domain = box(n)
    system, _ = solve_box(domain, 2)
    (newton,) = best_of(5, lambda: solve_box(domain, 2))

    small, steady = solve_box(box(coarse), 2)
    stepper = _Stepper(small)
    to_end = step_to_end(stepper.advance, stepper.residual, stepper.dt, RESIDUAL)
    difference = relative_difference(small.space, stepper.state, steady.state)

    stepper = _Stepper(system)
    stepping = step_within(
        limits, stepper.advance, stepper.residual, stepper.dt, RESIDUAL, to_end.duration
    )
    case = f"box, order 2, {system.space.ndof:,} unknowns"
    note = _how(stepping, stepper.dt, small.space.ndof)
    name = "Newton against Runge-Kutta, same operator"
    return [
        Measurement(name, case, "nepfield, mesh to steady state", newton, "s"),
        Measurement(
            name, case, "Runge-Kutta, vacuum to steady state", stepping.seconds, "s", "", note
        ),
        Measurement(name, case, "ratio", stepping.seconds / newton, "", ">= 100", note),
        Measurement(
            name,
            f"box, order 2, {small.space.ndof:,} unknowns",
            "difference of the two states",
            difference,
            "",
            "<= 1e-6",
            f"relative; Runge-Kutta took {to_end.seconds:.3g} s to its end there",
        ),
    ]


def _how(stepping: Stepping, dt: float, unknowns: int) -> str:
    text = (
        f"dt {dt:.3g}, {1e3 * stepping.seconds_per_step:.3g} ms a step, t {stepping.duration:.4g}"
    )
    if not stepping.extrapolated:
        return f"stepped to the end: {text}"
    return (
        f"extrapolated: {text}; time a step measured here, t to residual {RESIDUAL:g} from the "
        f"same box with {unknowns:,} unknowns, stepped to the end"
    )
