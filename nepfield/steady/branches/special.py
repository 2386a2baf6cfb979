"""Special points between two points of a branch: folds, Hopf points, branch points.

At a fold the tangent has no component along the parameter; at a branch point (Keller) the
determinant of the bordered system is zero; at a Hopf point a pair of modes that turn stops to
decay. Each is the zero of a function along the chord between two points, found by Brent's method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nepfield.steady.branches.points import Finder, Lost, Metric, Point

FOLD, HOPF, BRANCH_POINT = "fold", "Hopf", "branch point"
_ACCURACY = 1e-12  # of the distance between two points
_MOST = 60
_CLOSE = 1e-2  # of a function at the ends: how near to 0 it must come where the search is lost
_TOGETHER = 1e-2  # of the chord: a fold that is nearer to a branch point is none


def special_between(finder: Finder, metric: Metric, first: Point, second: Point) -> list[Point]:
    """The special points between two neighbours, in order.

    Parameters
    ----------
    finder : Finder
    metric : Metric
    first, second : Point
    """
    chord = _Chord(finder, metric, first, second)
    turns = first.tangent.value * second.tangent.value < 0
    meets = first.sign * second.sign < 0
    folds = chord.zero(lambda point: point.tangent.value, FOLD) if turns else []
    found = []
    if meets:
        found = chord.zero(
            lambda point: point.sign * np.exp(point.logarithm - first.logarithm), BRANCH_POINT
        )
        if folds:  # a branch that leaves upright turns where it meets the other
            place, point = folds[0]
            if not found or abs(found[0][0] - place) < _TOGETHER:
                found, folds = [(place, chord.meeting(point))], []
    found += folds
    before, after = first.judged, second.judged
    if _changes(first, second):
        unstable = after if after.stability == "unstable" else before
        if unstable.turns:
            found += chord.zero(lambda point: point.judged.growth, HOPF, look=True)
        elif not found:  # an even number of modes at once, as symmetries have it
            found += chord.zero(lambda point: point.judged.growth, BRANCH_POINT, look=True)
    return [point for _, point in sorted(found, key=lambda each: each[0])]


def _changes(first: Point, second: Point) -> bool:
    """Whether one of two points is unstable and the other is not."""
    words = {first.judged.stability, second.judged.stability}
    growths = first.judged.growth, second.judged.growth
    return "unstable" in words and len(words) == 2 and growths[0] * growths[1] < 0


class _Chord:
    """Points between two points: those in planes that cut the line between them."""

    def __init__(self, finder: Finder, metric: Metric, first: Point, second: Point) -> None:
        self._finder, self._first = finder, first
        self._along = second.minus(first)
        self._tangent = metric.unit(self._along)
        self._row = metric.row(self._tangent)

    def at(self, share: float, look: bool) -> Point:
        """The point at a share of the way."""
        first, along = self._first, self._along
        return self._finder.find(
            first.state + share * along.state,
            first.value + share * along.value,
            self._row,
            first.value,
            first.neutral,
            look,
        )

    def meeting(self, point: Point) -> Point:
        """A point as a branch point, where any direction that is computed may be of either branch:
        its tangent is the chord."""
        return replace(point, special=BRANCH_POINT, tangent=self._tangent)

    def zero(
        self, test: Callable[[Point], float], special: str, look: bool = False
    ) -> list[tuple[float, Point]]:
        """Where a function of the points changes its sign, or nothing where that is lost.

        Beside a branch point Newton's method may fail; the nearest point that it finds will do.
        """
        from scipy.optimize import brentq  # slow to import

        tried: list[tuple[float, float, Point]] = []

        def tested(share: float) -> float:
            point = self.at(share, look)
            value = float(test(point))
            tried.append((abs(value), share, point))
            return value

        try:
            brentq(tested, 0.0, 1.0, xtol=_ACCURACY, maxiter=_MOST, disp=False)
        except (Lost, ValueError):  # ValueError: no change of sign on this chord
            ends = [size for size, share, _ in tried if share in (0.0, 1.0)]
            if len(ends) < 2 or min(size for size, _, _ in tried) > _CLOSE * max(ends):
                return []
        _, share, point = min(tried, key=lambda each: each[0])
        if not look:
            point = replace(point, judged=self._finder.judged(point))
        return [(share, self.meeting(point) if special == BRANCH_POINT else point.named(special))]
