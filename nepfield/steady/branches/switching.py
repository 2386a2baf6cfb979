"""Where other branches leave a branch point.

The plane of directions at a branch point is spanned by the tangent of the branch that led there and
by null vectors of the linearisation that stand upright on it. A point is looked for a little way
off along each null vector, on either side, in the plane on which that vector stands (Keller 1977).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nepfield.steady.branches.neutral import smallest_singular
from nepfield.steady.branches.points import Direction, Finder, Lost, Metric, Point

_ASIDE = (0.02, 0.06, 0.15)  # lengths that are tried, in turn
_NULL = 1e-2  # rates up to which a vector counts, in units of the coupling
_ALONG = 0.5  # share of the offset that a new point must keep


def leaving(finder: Finder, metric: Metric, point: Point) -> Iterator[tuple[Point, Direction]]:
    """First points of branches that leave a branch point, and the directions in which they do.

    Parameters
    ----------
    finder : Finder
    metric : Metric
    point : Point
        The branch point.
    """
    tangent = metric.unit(point.tangent)
    for direction in _directions(finder, metric, point, tangent):
        for side in (1.0, -1.0):
            away = direction.times(side)
            found = _beside(finder, metric, point, away)
            if found is not None:
                yield found, away


def _directions(
    finder: Finder, metric: Metric, point: Point, tangent: Direction
) -> list[Direction]:
    """Null vectors upright on the tangent and on the neutral modes, of length 1."""
    linear = finder.family.linearise(point.state, point.value)
    if linear.conjugate is None:
        return []
    found = smallest_singular(linear)
    scale = float(np.abs(linear.conjugate).max())
    spanned = [tangent, *(Direction(mode, 0.0) for mode in point.neutral.right.T)]
    spanned = [metric.unit(one) for one in spanned]
    directions: list[Direction] = []
    for rate, mode in zip(found.rates, found.right.T, strict=True):
        candidate = metric.unit(Direction(mode, 0.0))
        for one in (*spanned, *directions):
            share = metric.inner(one, candidate)
            candidate = Direction(
                candidate.state - share * one.state, candidate.value - share * one.value
            )
        left = metric.inner(candidate, candidate)
        if left > 0.1 and (rate < _NULL * scale or not directions):
            directions.append(metric.unit(candidate))
    return directions


def _beside(finder: Finder, metric: Metric, point: Point, away: Direction) -> Point | None:
    """A point of another branch, or None where there is none."""
    for length in _ASIDE:
        offset = away.times(length)
        try:
            found = finder.find(
                point.state + offset.state, point.value + offset.value, metric.row(away)
            )
        except Lost:
            continue
        moved = found.minus(point)
        if metric.inner(moved, away) > _ALONG * np.sqrt(metric.inner(moved, moved)):
            return found
    return None
