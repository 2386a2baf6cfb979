"""Time stepping until nothing changes, or a part of it from which the whole is extrapolated."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_LONGEST = 2000.0  # physical time after which a state counts as never steady


@dataclass(frozen=True)
class Stepping:
    """How long time stepping took, or would take.

    Attributes
    ----------
    seconds : float
        Wall time to the goal, `seconds_per_step` times the number of steps.
    duration : float
        Physical time to the goal.
    seconds_per_step : float
        Of the fastest chunk of steps, as if nothing else ran on the machine; what is compared with
        it is the best of several repeats.
    extrapolated : bool
    """

    seconds: float
    duration: float
    seconds_per_step: float
    extrapolated: bool


@dataclass(frozen=True)
class Limits:
    """How long a benchmark may step, in seconds of wall time.

    Attributes
    ----------
    whole : float
        A run that is expected to take no longer than this is done to its end.
    part : float
        Of a longer one this much is done.
    """

    whole: float = 300.0
    part: float = 60.0


def step_to_end(
    advance: Callable[[int], None], residual: Callable[[], float], dt: float, goal: float
) -> Stepping:
    """Step until the residual is below the goal.

    Parameters
    ----------
    advance : callable
        Takes a number of steps.
    residual : callable
        Relative residual of the present state; it is looked at once in a unit of time.
    dt : float
    goal : float

    Raises
    ------
    RuntimeError
        If the scheme blows up or never becomes steady.
    """
    chunk = max(1, round(1 / dt))
    steps, per_step = 0, float("inf")
    while True:
        start = time.perf_counter()
        advance(chunk)
        steps += chunk
        per_step = min(per_step, (time.perf_counter() - start) / chunk)
        now = residual()
        if now <= goal:
            break
        if not now < 1e6 or steps * dt > _LONGEST:  # nan too
            raise RuntimeError(f"time stepping failed: residual {now} at t = {steps * dt:.1f}.")
    return Stepping(per_step * steps, steps * dt, per_step, extrapolated=False)


def step_within(
    limits: Limits,
    advance: Callable[[int], None],
    residual: Callable[[], float],
    dt: float,
    goal: float,
    duration: float,
) -> Stepping:
    """Step to the goal, or do a part if the whole would take too long.

    Parameters
    ----------
    limits : Limits
    advance, residual, dt, goal
        As in `step_to_end`.
    duration : float
        Physical time that the goal is expected to need, for the extrapolation.
    """
    start = time.perf_counter()
    advance(5)
    per_step = (time.perf_counter() - start) / 5
    if per_step * duration / dt <= limits.whole:
        return step_to_end(advance, residual, dt, goal)
    chunk = max(1, round(min(1.0, limits.part / 5) / per_step))
    end = time.perf_counter() + limits.part
    while (start := time.perf_counter()) < end:
        advance(chunk)
        per_step = min(per_step, (time.perf_counter() - start) / chunk)
    if not residual() < 1e6:
        raise RuntimeError("time stepping is unstable.")
    return Stepping(per_step * duration / dt, duration, per_step, extrapolated=True)
