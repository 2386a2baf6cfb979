"""Pseudo-arclength continuation (Keller 1977): a branch, point by point, around its folds.

With the tangent t at a point, the next one solves

    F(Psi, p) = 0,    <t, (Psi, p) - (Psi, p)_k> = ds

which is regular where the branch turns back. Steps are as long as Newton's method and the bend of
the branch allow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nepfield.steady.branches.points import Direction, Finder, Lost, Metric, Point
from nepfield.steady.branches.special import special_between

RANGE, CLOSED = "end of the range", "closed"
"""Why a branch ends, where nothing went wrong."""

_STRAIGHT = 0.95  # cosine between tangents of neighbours at least
_BEND = 0.15  # angle that is aimed at, radians
_EASY = 4  # Newton steps that are aimed at
_ASIDE = 0.2  # of the step: how far Newton's method may go
_AHEAD = 0.3  # of what a branch would reach if it went straight on from its first point
_GROWS = 10.0  # times the first state: what it is expected to become at most
_BEFORE_CLOSED = 4  # points before a loop may be closed


@dataclass(frozen=True)
class Steps:
    """How long the steps are, in units of the range of the parameter and of the largest state.

    Attributes
    ----------
    first, longest, shortest : float
    most : int
        Points of a branch.
    """

    first: float = 0.01
    longest: float = 0.05
    shortest: float = 1e-6
    most: int = 400


def metric_at(finder: Finder, points: list[Point]) -> Metric:
    """Lengths by the largest state on a branch, or by what one that begins small leads to."""
    space, width = finder.family.space, finder.family.width
    largest = max(point.norm for point in points)
    begins = points[0].tangent
    if begins.value != 0:
        ahead = float(np.sqrt(space.population(begins.state))) * width / abs(begins.value)
        largest = max(largest, min(_AHEAD * ahead, _GROWS * largest or np.inf))
    return Metric(space.mass, largest or 1.0, width)


def trace(
    finder: Finder, first: Point, direction: float, steps: Steps, tell: Callable[[Point], None]
) -> str:
    """Follow a branch from its first point on.

    Parameters
    ----------
    finder : Finder
    first : Point
    direction : float
        1 to go along its tangent, -1 against it.
    steps : Steps
    tell : callable
        Called with each point after the first, special ones among them.

    Returns
    -------
    str
        Why it ended.
    """
    points = [first]
    ahead = first.tangent.times(direction)
    length = steps.first
    if first.value == (finder.family.high if ahead.value > 0 else finder.family.low):
        return RANGE  # it would leave at once
    while len(points) < steps.most:
        metric = metric_at(finder, points)
        tangent = metric.unit(ahead)
        try:
            found, ended = _next(finder, metric, points[-1], tangent, length)
        except Lost as problem:
            length /= 2
            if length < steps.shortest:
                return f"lost: {problem}"
            continue
        for point in (*special_between(finder, metric, points[-1], found), found):
            tell(point)
        if ended:
            return RANGE
        if _closed(metric, points, found, length):
            return CLOSED
        length = min(length * _factor(metric, tangent, found), steps.longest)
        points.append(found)
        ahead = found.tangent
    return f"{steps.most} points"


def _next(
    finder: Finder, metric: Metric, last: Point, tangent: Direction, length: float
) -> tuple[Point, bool]:
    """The point one step on, and whether it lies at the end of the range; Lost if it is not
    clearly on the same branch."""
    family = finder.family
    value = last.value + length * tangent.value
    limit = family.high if tangent.value > 0 else family.low
    ended = not family.low < value < family.high
    if ended and tangent.value != 0:
        length = (limit - last.value) / tangent.value
        row = Direction(np.zeros_like(tangent.state), np.sign(tangent.value) / family.width**2)
        value = limit
    else:
        row = metric.row(tangent)
    guess = last.state + length * tangent.state
    found = finder.find(guess, value, row, last.value, last.neutral)
    aside = Direction(found.state - guess, found.value - value)
    if metric.inner(aside, aside) > (_ASIDE * length) ** 2:
        raise Lost("Newton's method went far aside")
    if metric.inner(metric.unit(found.tangent), tangent) < _STRAIGHT:
        raise Lost("the branch bends too much")
    return found, ended


def _factor(metric: Metric, tangent: Direction, found: Point) -> float:
    """How much longer the next step may be."""
    cosine = min(1.0, metric.inner(metric.unit(found.tangent), tangent))
    bend = _BEND / max(float(np.arccos(cosine)), 1e-3)
    effort = _EASY / max(found.iterations, 1)
    return float(np.clip(min(bend, effort), 0.5, 1.6))


def _closed(metric: Metric, points: list[Point], found: Point, length: float) -> bool:
    """Whether the branch has come back to its first point."""
    if len(points) < _BEFORE_CLOSED:
        return False
    back = found.minus(points[0])
    near = metric.inner(back, back) < length**2
    first, last = metric.unit(points[0].tangent), metric.unit(found.tangent)
    return near and abs(metric.inner(first, last)) > _STRAIGHT
