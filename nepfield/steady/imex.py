"""The true motion of one wave, followed by steps that stiffness does not limit.

    M dPsi/dt = -i (H Psi + N(Psi)) + P

H and the drive are implicit, N explicit: the additive Runge-Kutta pair ARK4(3)6L[2]SA of order 4
and 3 (C. A. Kennedy and M. H. Carpenter, Appl. Numer. Math. 44, 139 (2003)). All implicit stages
share one factorisation of ``M + i dt/4 H``; steps lie on a grid of factors sqrt(2), so that few are
made, and they are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nepfield.space.linalg import Factorisation, real_times
from nepfield.steady.equation import Equation

_EXPLICIT = (
    (),
    (1 / 2,),
    (13861 / 62500, 6889 / 62500),
    (
        -116923316275 / 2393684061468,
        -2731218467317 / 15368042101831,
        9408046702089 / 11113171139209,
    ),
    (
        -451086348788 / 2902428689909,
        -2682348792572 / 7519795681897,
        12662868775082 / 11960479115383,
        3355817975965 / 11060851509271,
    ),
    (
        647845179188 / 3216320057751,
        73281519250 / 8382639484533,
        552539513391 / 3454668386233,
        3354512671639 / 8306763924573,
        4040 / 17871,
    ),
)
_IMPLICIT = (
    (),
    (1 / 4,),
    (8611 / 62500, -1743 / 31250),
    (5012029 / 34652500, -654441 / 2922500, 174375 / 388108),
    (
        15267082809 / 155376265600,
        -71443401 / 120774400,
        730878875 / 902184768,
        2285395 / 8070912,
    ),
    (82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211),
)
_DIAGONAL = 1 / 4
_WEIGHTS = np.array([82889 / 524892, 0, 15625 / 83664, 69875 / 102672, -2260 / 8211, 1 / 4])
_LOWER = np.array(
    [
        4586570599 / 29645900160,
        0,
        178811875 / 945068544,
        814220225 / 1159782912,
        -3700637 / 11593932,
        61727 / 225920,
    ]
)
_KEPT = 4  # factorisations
_SHORTEST = 1e-9


class Motion:
    """One sample under way.

    Parameters
    ----------
    equation : Equation
    drive : ndarray, shape (ndof, 1)
        P in weak form.
    start : ndarray, shape (ndof, 1)
    tolerance : float
        Error of a step, relative to the norm of the state.
    """

    def __init__(
        self, equation: Equation, drive: np.ndarray, start: np.ndarray, tolerance: float = 1e-4
    ) -> None:
        self._equation, self._drive, self._tolerance = equation, drive, tolerance
        self._operator, self._mass = equation.linear_part.operator, equation.space.mass
        self._weight = np.sqrt(equation.space.mass_diagonal)[:, None]
        self._solve_mass = Factorisation(self._mass).solve
        self._factors: dict[int, Factorisation] = {}
        self._rung = -6  # dt = sqrt(2)^rung
        self._nothing = np.zeros_like(drive)
        self.state, self.time = start.astype(complex), 0.0

    def until(self, time: float, most: int = 100_000) -> Iterator[float]:
        """Go on, a step at a time, until a time or so many steps; gives the time reached."""
        for _ in range(most):
            if self.time >= time:
                return
            if not self._step():
                return
            yield self.time

    def _step(self) -> bool:
        """One step that is accurate enough; False where none is."""
        while True:
            dt = float(np.sqrt(2.0) ** self._rung)
            if dt < _SHORTEST:
                return False
            with np.errstate(over="ignore", invalid="ignore"):
                there, error = self._tried(dt)
            if error <= 1:
                self.state, self.time = there, self.time + dt
                if error < 0.1:
                    self._rung += 1
                return True
            self._rung -= 1 if error < 4 else 2

    def _tried(self, dt: float) -> tuple[np.ndarray, float]:
        factors = self._factorised(dt)
        before = real_times(self._mass, self.state)
        implicit = [self._drive - 1j * (self._operator @ self.state)]
        explicit = [self._explicit(self.state)]
        for first, second in zip(_EXPLICIT[1:], _IMPLICIT[1:], strict=True):
            right = before + dt * sum(
                a * n + b * h for a, b, n, h in zip(first, second, explicit, implicit, strict=True)
            )
            stage = factors.solve(right + _DIAGONAL * dt * self._drive)
            if not np.isfinite(stage).all():
                return self.state, np.inf
            implicit.append((real_times(self._mass, stage) - right) / (_DIAGONAL * dt))
            explicit.append(self._explicit(stage))
        slopes = [n + h for n, h in zip(explicit, implicit, strict=True)]
        change = dt * sum(w * slope for w, slope in zip(_WEIGHTS, slopes, strict=True) if w)
        wrong = dt * sum(w * s for w, s in zip(_WEIGHTS - _LOWER, slopes, strict=True) if w)
        there = self.state + self._solve_mass(change)
        size = float(max(np.linalg.norm(self._weight * x) for x in (self.state, there)))
        error = float(np.linalg.norm(wrong / self._weight)) / (self._tolerance * max(size, 1e-12))
        return there, error if np.isfinite(error) else np.inf

    def _explicit(self, state: np.ndarray) -> np.ndarray:
        """-i N."""
        whole = self._equation.residual(state, self._nothing)
        return -1j * (whole - self._operator @ state)

    def _factorised(self, dt: float) -> Factorisation:
        factors = self._factors.pop(self._rung, None)
        if factors is None:
            factors = Factorisation((self._mass + 0.25j * dt * self._operator).tocsr())
        self._factors[self._rung] = factors  # the last one used comes last
        if len(self._factors) > _KEPT:
            del self._factors[next(iter(self._factors))]
        return factors
