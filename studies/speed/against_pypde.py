"""Newton-Krylov on triangles of order 1 against py-pde's Runge-Kutta on a grid of equal pitch."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from scipy.interpolate import RectBivariateSpline

import nepfield as nf
from studies.speed.cases import (
    LOSS,
    RESIDUAL,
    SHIFT,
    SIDE,
    box,
    box_drive,
    box_potential,
    solve_box,
)
from studies.speed.measure import Measurement, best_of
from studies.speed.stepping import Limits, step_to_end, step_within

_NAME = "Newton against py-pde"
_SAFETY = 0.95  # of the largest stable step, 2.83 over the largest frequency


class _Stepper:
    """py-pde's Runge-Kutta solver, compiled, with the state and its residual."""

    def __init__(self, pde: Any, n: int, backend: str) -> None:
        grid = pde.CartesianGrid([[-SIDE / 2, SIDE / 2]] * 2, n)
        self.cells = np.asarray(grid.axes_coords[0])
        x, y = np.meshgrid(self.cells, self.cells, indexing="ij")
        self.drive = box_drive(x, y)
        equation = pde.PDE(
            {"psi": f"0.5*I*laplace(psi) - I*(V + psi*conjugate(psi) - {LOSS}*I)*psi - I*F"},
            consts={
                "V": pde.ScalarField(grid, box_potential(x, y)),
                "F": pde.ScalarField(grid, self.drive),
            },
            bc={"value": 0},
        )
        self.state = pde.ScalarField(grid, 0, dtype=complex)
        self.dt = _SAFETY * 2.83 / (4 * (n / SIDE) ** 2 + SHIFT)
        solver = pde.solvers.RungeKuttaSolver(equation, backend=backend)
        start = time.perf_counter()
        self._step = solver.make_stepper(self.state, self.dt)
        self._rate = equation.make_pde_rhs(self.state, backend=backend)
        self.time = 0.0
        self.advance(1)
        self.residual()
        self.compilation = time.perf_counter() - start

    def advance(self, nsteps: int) -> None:
        self.time = self._step(self.state, self.time, self.time + nsteps * self.dt)

    def residual(self) -> float:
        rate = self._rate(self.state.data, self.time)
        return float(np.linalg.norm(rate) / np.linalg.norm(self.drive))


def compare_with_pypde(
    n: int = 128, limits: Limits | None = None, backend: str = "numba"
) -> list[Measurement]:
    """Steady state of the box on n x n squares, and the agreement there and at n / 2."""
    try:
        import pde
    except ImportError:
        return [Measurement(_NAME, f"box, {n} x {n}", "ratio", "py-pde is not installed")]
    limits = limits or Limits()
    coarse = _Stepper(pde, n // 2, backend)
    to_end = step_to_end(coarse.advance, coarse.residual, coarse.dt, RESIDUAL)
    fine = _Stepper(pde, n, backend)
    stepping = step_within(limits, fine.advance, fine.residual, fine.dt, RESIDUAL, to_end.duration)
    domain = box(n)
    (newton,) = best_of(10, lambda: solve_box(domain, 1))

    case = f"box, order 1, {n} x {n}"
    how = f"dt {fine.dt:.3g}, {1e3 * stepping.seconds_per_step:.3g} ms a step"
    note = f"stepped to the end: {how}, t {stepping.duration:.4g}"
    if stepping.extrapolated:
        note = (
            f"extrapolated: {how} measured here, t {stepping.duration:.4g} from {n // 2} x {n // 2}"
        )
    rows = [
        Measurement(_NAME, case, "nepfield, mesh to steady state", newton, "s"),
        Measurement(_NAME, case, "py-pde, vacuum to steady state", stepping.seconds, "s", "", note),
        Measurement(
            _NAME, case, "py-pde, compilation", fine.compilation, "s", "", "not in the ratio"
        ),
        Measurement(_NAME, case, "ratio", stepping.seconds / newton, "", ">= 10", note),
    ]
    for size, stepper, whole in ((n // 2, coarse, True), (n, fine, not stepping.extrapolated)):
        if whole:
            difference = _difference(stepper, size)
            rows.append(
                Measurement(
                    _NAME,
                    f"box, order 1, {size} x {size}",
                    "difference of the two states",
                    difference,
                    "",
                    "<= 0.05",
                    "relative, on the centres of py-pde's cells",
                )
            )
    return rows


def _difference(stepper: _Stepper, n: int) -> float:
    """Relative L2 distance of nepfield's state from py-pde's, at the centres of its cells."""
    system, steady = solve_box(box(n), 1)
    ours = _at_centres(system.space, steady.state, n, stepper.cells)
    theirs = stepper.state.data
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def _at_centres(space: nf.Space, state: np.ndarray, n: int, centres: np.ndarray) -> np.ndarray:
    """A state on the corners of n x n squares, interpolated to their centres by cubic splines."""
    place = np.rint((space.nodes + SIDE / 2) * n / SIDE).astype(int)
    corners = np.zeros((n + 1, n + 1), dtype=complex)
    corners[place[:, 0], place[:, 1]] = space.at_nodes(state)[:, 0]
    line = np.linspace(-SIDE / 2, SIDE / 2, n + 1)
    real, imaginary = (
        RectBivariateSpline(line, line, part)(centres, centres)
        for part in (corners.real, corners.imag)
    )
    return real + 1j * imaginary
