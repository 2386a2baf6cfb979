"""Whether a point lies on a branch that is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nepfield.steady.branches.points import Direction, Finder, Lost, Metric, Point

_SAME = 1e-4  # in the metric: nearer than that two points are the same
_NEAREST = 3  # points of a branch beside which it is looked for
_BEYOND = 0.1  # of a chord


def lies_on(finder: Finder, metric: Metric, branch: Sequence[Point], point: Point) -> bool:
    """Whether a point lies on a branch, given by its points in order.

    The branch is made exact in the plane upright on one of its chords that holds the point; so
    places where it turns or meets others are told apart.
    """
    if len(branch) < 2:
        return False
    space = finder.family.space
    states = np.column_stack([each.state for each in branch])
    values = np.array([each.value for each in branch])
    square = space.population(states - point.state[:, None]) / metric.size**2
    square += ((values - point.value) / metric.width) ** 2
    nearest = np.argsort(square)[:_NEAREST]
    chords = {k for near in nearest.tolist() for k in (near - 1, near)}
    for k in sorted(chords & set(range(len(branch) - 1))):
        if _on_chord(finder, metric, branch[k], branch[k + 1], point):
            return True
    return False


def _on_chord(finder: Finder, metric: Metric, first: Point, second: Point, point: Point) -> bool:
    along = second.minus(first)
    square = metric.inner(along, along)
    if square == 0:
        return False
    share = metric.inner(along, point.minus(first)) / square
    guess = first.state + share * along.state
    value = first.value + share * along.value
    apart = Direction(guess - point.state, value - point.value)
    if not -_BEYOND <= share <= 1 + _BEYOND or metric.inner(apart, apart) > square:
        return False
    try:
        row = metric.row(metric.unit(along))
        other = finder.find(guess, value, row, first.value, first.neutral, look=False)
    except Lost:
        return False
    apart = point.minus(other)
    return metric.inner(apart, apart) <= _SAME**2
