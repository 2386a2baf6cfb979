"""All branches that can be found: from a start, across branch points, by deflation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nepfield.fields.readouts import Readout
from nepfield.steady.branches.arclength import CLOSED, Steps, metric_at, trace
from nepfield.steady.branches.branch import Branch, Reader, branch_of
from nepfield.steady.branches.deflation import deflated_states
from nepfield.steady.branches.family import Family
from nepfield.steady.branches.known import lies_on
from nepfield.steady.branches.points import Direction, Finder, Lost, Point
from nepfield.steady.branches.special import BRANCH_POINT
from nepfield.steady.branches.switching import leaving

_OWN = 8  # last points of a branch that it is not compared with itself
_SHARED = 2  # points in a row on another branch after which a branch ends there


class Explorer:
    """Follows branches of a family and keeps what it finds, also where it is interrupted.

    Parameters
    ----------
    family : Family
    steps : Steps
    tolerance : float
    look : bool
        Whether stability is looked at.
    most : int
        Branches at most.
    tell : callable, optional
        Called with the number of branches and the last point after each point.
    """

    def __init__(
        self,
        family: Family,
        steps: Steps,
        tolerance: float = 1e-10,
        look: bool = True,
        most: int = 20,
        tell: Callable[[int, Point], None] | None = None,
    ) -> None:
        self.family, self.steps, self.most = family, steps, most
        self.finder = Finder(family, tolerance, look)
        self.tolerance, self._tell = tolerance, tell
        self._found: list[tuple[list[Point], dict[str, str]]] = []

    def branches(
        self, readout: Readout | Reader | None = None, parameter: str = "parameter"
    ) -> tuple[Branch, ...]:
        """What has been found so far."""
        return tuple(
            branch_of(points, readout, parameter=parameter, **names)
            for points, names in self._found
            if points
        )

    def follow(self, state: np.ndarray, value: float, direction: float, origin: str) -> None:
        """One branch from a state at a value of the parameter, to larger or smaller values.

        Raises
        ------
        Lost
            If there is no steady state near the start.
        """
        self._along(self.finder.at_value(state, value, direction), 1.0, origin)

    def both_ways(self, first: Point, origin: str) -> None:
        """One branch through a point, both parts of it together."""
        points, names = self._begin(first, origin)
        endings = []
        for direction in (-1.0, 1.0):
            if direction > 0:
                points.reverse()
            endings.append(self._go(points, first, direction))
            if endings[-1] == CLOSED:
                break
        names["ending"] = ", ".join(dict.fromkeys(endings))

    def switch(self) -> None:
        """Follow what leaves the branch points of all branches, also of those that this finds."""
        done = 0
        while done < len(self._found):
            points, _ = self._found[done]
            metric = metric_at(self.finder, points)
            for point in [each for each in points[1:] if each.special == BRANCH_POINT]:
                for first, away in self._leaving(metric, point):
                    if len(self._found) >= self.most:
                        return
                    forward = np.sign(metric.inner(first.tangent, away)) or 1.0
                    self._along(first, forward, f"branch point at {point.value:.6g}", point)
            done += 1

    def deflate(self, values: np.ndarray, seed: int = 0) -> None:
        """Look for states that lie on none of the branches, and follow those."""
        for value in values:
            known = self._states_at(float(value))
            for state in deflated_states(self.family, float(value), known, self.tolerance, seed):
                if len(self._found) >= self.most:
                    return
                try:
                    first = self.finder.at_value(state, float(value))
                except Lost:
                    continue
                if not self._is_known(first):
                    self.both_ways(first, f"deflation at {value:.6g}")

    def knows(self, state: np.ndarray, value: float) -> bool:
        """Whether a state lies on one of the branches."""
        return self._is_known(self.finder.at_value(state, value))

    # ---------------------------------------------------------------- one branch

    def _begin(self, first: Point, origin: str) -> tuple[list[Point], dict[str, str]]:
        names = {"origin": origin, "ending": "interrupted"}
        self._found.append(([first], names))
        return self._found[-1]

    def _along(
        self, first: Point, direction: float, origin: str, before: Point | None = None
    ) -> None:
        points, names = self._begin(first, origin)
        if before is not None:
            points.insert(0, before)
        names["ending"] = self._go(points, first, direction)

    def _go(self, points: list[Point], first: Point, direction: float) -> str:
        others = [each for each, _ in self._found if each is not points]
        shared, own = 0, False

        def tell(point: Point) -> None:
            nonlocal shared, own
            points.append(point)
            if self._tell is not None:
                self._tell(len(self._found), point)
            if not point.special:
                own = self._is_known(point, [points[:-_OWN]])
                shared = shared + 1 if own or self._is_known(point, others) else 0
                if shared == _SHARED:
                    raise _Met

        try:
            return trace(self.finder, first, direction, self.steps, tell)
        except _Met:
            place = [k for k, each in enumerate(points) if not each.special][-_SHARED]
            del points[place + 1 :]
            return CLOSED if own else "met a branch that is known"

    # ---------------------------------------------------------------- what is known

    def _leaving(self, metric: Any, point: Point) -> Iterator[tuple[Point, Direction]]:

        for first, away in leaving(self.finder, metric, point):
            if not self._is_known(first):
                yield first, away

    def _states_at(self, value: float) -> list[np.ndarray]:
        """The state of every branch at a value of the parameter."""
        found = []
        for branch in self.branches():
            for guess in branch.guesses(value).T:
                try:
                    found.append(self.finder.at_value(guess, value, look=False).state)
                except Lost:
                    continue
        return found

    def _is_known(self, point: Point, known: Sequence[Sequence[Point]] | None = None) -> bool:
        """Whether a point lies on one of the branches."""
        branches = [each for each, _ in self._found] if known is None else known
        return any(
            lies_on(self.finder, metric_at(self.finder, list(branch)), branch, point)
            for branch in branches
            if branch
        )


class _Met(Exception):
    """A branch has come to another one that is known."""
