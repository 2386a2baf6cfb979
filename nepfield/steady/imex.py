"""The true motion of waves, followed by steps that stiffness does not limit.

    M dPsi/dt = -i (H Psi + N(Psi)) + P(t)

H and the drive are implicit, N explicit: the additive Runge-Kutta pair ARK4(3)6L[2]SA of order 4
and 3 with its dense output of order 3 (C. A. Kennedy and M. H. Carpenter, Appl. Numer. Math. 44,
139 (2003)). All implicit stages share one factorisation of ``M + i dt/4 H``; steps lie on a grid of
factors sqrt(2), so that few are made, and they are kept. Every sample has steps of its own; what
samples have in common, factors and calls, they share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from nepfield.space.linalg import DENSE_LIMIT, Factorisation, real_times
from nepfield.steady.envelopes import Driven
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
_NODES = (0.0, 1 / 2, 83 / 250, 31 / 50, 17 / 20, 1.0)
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
_DENSE = np.array(  # of theta, theta^2, theta^3
    [
        [6943876665148 / 7220017795957, -54480133 / 30881146, 6818779379841 / 7100303317025],
        [0, 0, 0],
        [7640104374378 / 9702883013639, -11436875 / 14766696, 2173542590792 / 12501825683035],
        [-20649996744609 / 7521556579894, 174696575 / 18121608, -31592104683404 / 5083833661969],
        [8854892464581 / 2390941311638, -12120380 / 966161, 61146701046299 / 7138195549469],
        [-11397109935349 / 6675773540249, 3843 / 706, -17219254887155 / 4939391667607],
    ]
)

Linear = Callable[[np.ndarray], np.ndarray]

_TOTAL = [np.array(row) for row in _EXPLICIT]  # weights of whole slopes in a stage
_PART = [np.subtract(b, a) for a, b in zip(_EXPLICIT, _IMPLICIT, strict=True)]  # of implicit ones
_FIRST_RUNG, _RUNGS = -6, 8  # dt = sqrt(2)^rung; at most so many at once
_SHORTEST = 1e-9
_LARGE, _KEPT = 50_000, (12, 4)  # factors that are kept, up to so many unknowns and above
_NUDGE = 1e-10  # of a step: so near to a jump the drive is taken on the step's own side


class StageSolvers:
    """What solves ``M + i dt/4 H``, for steps that come again and again."""

    def __init__(self, equation: Equation) -> None:
        self._space, self._linear = equation.space, equation.linear_part
        self._made: dict[int, Linear] = {}
        self._kept = _KEPT[equation.space.ndof > _LARGE]

    def on_rung(self, rung: int) -> Linear:
        """Of a step of length sqrt(2)^rung; kept until others are needed more."""
        solve = self._made.pop(rung, None)
        if solve is None:
            solve = self.of_length(np.sqrt(2.0) ** rung)
        self._made[rung] = solve  # the last one used comes last
        if len(self._made) > self._kept:
            del self._made[next(iter(self._made))]
        return solve

    def of_length(self, dt: float) -> Linear:
        """Of a step of any length, made anew."""
        space, linear = self._space, self._linear
        if space.ndof <= DENSE_LIMIT:
            inverse = np.linalg.inv(space.mass.toarray() + 1j * _DIAGONAL * dt * linear.dense)
            return lambda right: inverse @ right
        return Factorisation((space.mass + 1j * _DIAGONAL * dt * linear.operator).tocsr()).solve


class Motion:
    """Samples under way.

    Parameters
    ----------
    equation : Equation
    drive : ndarray, shape (ndof, nsamples), or Driven
        P in weak form.
    start : ndarray, shape (ndof, nsamples)
        At time 0.
    tolerance : float
        Error of a step, relative to the norm of the state.
    solvers : StageSolvers, optional
        Of this equation, where another motion has some already.

    Attributes
    ----------
    state : ndarray, shape (ndof, nsamples)
    times : ndarray, shape (nsamples,)
        Where each sample is.
    lost : ndarray of bool, shape (nsamples,)
        Those that cannot be followed any further.
    """

    def __init__(
        self,
        equation: Equation,
        drive: np.ndarray | Driven,
        start: np.ndarray,
        tolerance: float = 1e-4,
        solvers: StageSolvers | None = None,
    ) -> None:
        self._equation, self._tolerance = equation, tolerance
        self._drive = drive if isinstance(drive, Driven) else Driven.constant(drive)
        self._weight = np.sqrt(equation.space.mass_diagonal)[:, None]
        self._masses: Linear = lambda field: field
        self._solve_mass: Linear = self._masses
        if not equation.space.is_graph:
            mass = equation.space.mass
            self._masses = lambda field: real_times(mass, field)
            self._solve_mass = Factorisation(mass).solve
        self._stages = StageSolvers(equation) if solvers is None else solvers
        self.state = start.astype(complex)
        count = self.state.shape[1]
        self.times, self.lost = np.zeros(count), np.zeros(count, dtype=bool)
        self._rungs = np.full(count, _FIRST_RUNG)
        self._before, self._since = self.state, self.times.copy()  # each sample's last step
        self._slopes = np.zeros((6, *self.state.shape), dtype=complex)

    @property
    def time(self) -> float:
        """Up to which all samples have come."""
        return float(self.times.min(initial=np.inf))

    def until(
        self, time: float, most: int = 100_000, chosen: np.ndarray | None = None
    ) -> Iterator[float]:
        """Go on, a step at a time, until a time or so many steps; gives the time reached.

        Only the samples `chosen` (bool, shape (nsamples,)) go on.
        """
        for _ in range(most):
            going = (self.times < time) & ~self.lost
            if chosen is not None:
                going &= chosen
            if not going.any():
                return
            with np.errstate(over="ignore", invalid="ignore"):
                self._step(np.flatnonzero(going))
            yield self.time

    def at(self, time: float) -> np.ndarray:
        """The states at a time within the last step of every sample, shape (ndof, nsamples)."""
        length = self.times - self._since
        theta = np.divide(time - self._since, length, out=np.ones_like(length), where=length > 0)
        weights = _DENSE @ np.array([theta, theta**2, theta**3]) * length
        found = self.state.copy()
        (inside,) = np.nonzero(theta < 1)
        change = np.einsum("ik,ijk->jk", weights[:, inside], self._slopes[:, :, inside])
        found[:, inside] = self._before[:, inside] + self._solve_mass(change)
        return found

    def move(self, sample: int, state: np.ndarray) -> None:
        """Let a sample go on from another state, shape (ndof,)."""
        self.state = self.state.copy()
        self.state[:, sample] = state
        self._since[sample] = self.times[sample]

    def _step(self, columns: np.ndarray) -> None:
        """One step of some samples, where it is accurate enough."""
        dt = np.sqrt(2.0) ** self._rungs[columns]
        stops = self._drive.next_break(self.times[columns])
        landing = stops - self.times[columns] < dt * (1 + 1e-9)
        dt = np.where(landing, stops - self.times[columns], dt)
        there, error, slopes = self._tried(columns, dt, landing)
        right = error <= 1
        moved = columns[right]
        if len(moved) == self.state.shape[1]:
            self._before, self.state, self._slopes = self.state, there, slopes
        elif len(moved):
            self._before, self.state = self._before.copy(), self.state.copy()
            self._before[:, moved] = self.state[:, moved]
            self.state[:, moved] = there[:, right]
            self._slopes[:, :, moved] = slopes[:, :, right]
        self._since[moved] = self.times[moved]
        self.times[moved] = np.where(landing, stops, self.times[columns] + dt)[right]
        self._adapt(columns, dt, error, landing)

    def _adapt(
        self, columns: np.ndarray, dt: np.ndarray, error: np.ndarray, landing: np.ndarray
    ) -> None:
        """The length of the next step: an error is the fourth power of it."""
        with np.errstate(divide="ignore"):
            powers = np.log2(error) / 2  # rungs by which this step is too long
        longer = np.clip(np.floor(-1.2 - powers), 0, _RUNGS)
        shorter = np.clip(np.ceil(powers + 0.3), 1, _RUNGS)
        change = np.where(error <= 1, longer, -shorter)
        rungs = np.where(landing, np.floor(2 * np.log2(dt)), self._rungs[columns]) + change
        # a step that a break cut short says nothing against the usual length
        rungs = np.where(landing & (error <= 1), np.maximum(rungs, self._rungs[columns]), rungs)
        self._rungs[columns] = rungs
        self.lost[columns] = np.sqrt(2.0) ** rungs < _SHORTEST

    def _tried(
        self, columns: np.ndarray, dt: np.ndarray, landing: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where a step leads, its error over the tolerance, and the slopes in it."""
        equation, operator = self._equation, self._equation.linear_part.fastest
        state, since = self.state[:, columns], self.times[columns]
        before = self._masses(state)
        whole = np.empty((6, *state.shape), dtype=complex)
        implicit = np.empty_like(whole)
        drive = self._drive.at(since + _nudge(since, dt), columns)
        whole[0] = -1j * equation.residual(state, drive)
        implicit[0] = drive - 1j * (operator @ state)
        solvers = self._solvers(columns, dt, landing)
        for i in range(1, 6):
            right = before + dt * (
                _combined(_TOTAL[i], whole[:i]) + _combined(_PART[i], implicit[:i])
            )
            if self._drive.varies:
                moment = np.minimum(since + _NODES[i] * dt, since + dt - _nudge(since, dt))
                drive = self._drive.at(moment, columns)
            stage = np.empty_like(state)
            forced = right + _DIAGONAL * dt * drive
            for group, solve in solvers:
                stage[:, group] = solve(forced[:, group])
            whole[i] = -1j * equation.residual(stage, drive)
            implicit[i] = (self._masses(stage) - right) / (_DIAGONAL * dt)
        there = state + self._solve_mass(dt * _combined(_WEIGHTS, whole))
        wrong = dt * _combined(_WEIGHTS - _LOWER, whole)
        size = np.maximum(*(np.linalg.norm(self._weight * x, axis=0) for x in (state, there)))
        error = np.linalg.norm(wrong / self._weight, axis=0)
        error /= self._tolerance * np.maximum(size, 1e-12)
        return there, np.where(np.isfinite(error), error, np.inf), whole

    def _solvers(
        self, columns: np.ndarray, dt: np.ndarray, landing: np.ndarray
    ) -> list[tuple[np.ndarray | slice, Linear]]:
        """For each length of a step the samples that take it, and how its stages are solved."""
        if not landing.any() and (self._rungs[columns] == self._rungs[columns[0]]).all():
            return [(slice(None), self._stages.on_rung(int(self._rungs[columns[0]])))]
        found: list[tuple[np.ndarray | slice, Linear]] = []
        for length in np.unique(dt[landing]):
            found.append((np.flatnonzero(landing & (dt == length)), self._stages.of_length(length)))
        rungs = self._rungs[columns]
        for rung in np.unique(rungs[~landing]):
            found.append(
                (np.flatnonzero(~landing & (rungs == rung)), self._stages.on_rung(int(rung)))
            )
        return found


def _combined(weights: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """A sum of complex fields with real weights, as one product."""
    flat = slopes.reshape(len(slopes), -1).view(float)
    combined: np.ndarray = (weights @ flat).view(complex).reshape(slopes.shape[1:])
    return combined


def _nudge(since: np.ndarray, dt: np.ndarray) -> np.ndarray:
    return np.maximum(_NUDGE * dt, 2 * np.spacing(since + dt))
