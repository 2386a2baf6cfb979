"""A branch of steady states as an object, and several as a diagram."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nepfield.fields.readouts import Readout
from nepfield.reprs import Described, counted
from nepfield.steady.branches.points import Point

KINDS = ("fold", "Hopf", "branch point")


@dataclass(frozen=True, eq=False)
class Branch(Described):
    """Steady states along a branch, in the order in which they were found.

    Attributes
    ----------
    values : ndarray, shape (npoints,)
        Of the parameter.
    states : ndarray, shape (ndof, npoints)
    residual : ndarray, shape (npoints,)
        Relative to the strongest drive of the range.
    norm : ndarray, shape (npoints,)
        Square root of the integral of ``|Psi|^2``.
    growth, frequency : ndarray, shape (npoints,)
        Of the fastest fluctuation, per unit of time; frequency 0 where it leaves along a line.
        Modes that a symmetry leaves free are not counted. nan where it was not looked at, and of
        more than 250 unknowns where coefficients alone prove a state stable.
    stability : ndarray of str, shape (npoints,)
        "proved", "stable", "unstable" or "unknown", as `nepfield.stability` has them.
    special : ndarray of str, shape (npoints,)
        "fold", "Hopf", "branch point", or "".
    readouts : ndarray, shape (nreadouts, npoints)
        Outputs of a readout; empty without one.
    parameter : str
        What is varied.
    origin : str
        How its first point was found.
    ending : str
        Why it ends.
    """

    values: np.ndarray
    states: np.ndarray
    residual: np.ndarray
    norm: np.ndarray
    growth: np.ndarray
    frequency: np.ndarray
    stability: np.ndarray
    special: np.ndarray
    readouts: np.ndarray
    parameter: str = "parameter"
    origin: str = "start"
    ending: str = ""

    def __len__(self) -> int:
        return len(self.values)

    def points(self, kind: str) -> np.ndarray:
        """Values of the parameter at the special points of a kind, (n,)."""
        return self.values[self.special == kind]

    @property
    def folds(self) -> np.ndarray:
        """Values of the parameter at which the branch turns back."""
        return self.points("fold")

    @property
    def hopf(self) -> np.ndarray:
        """Values at which an oscillation begins or ends."""
        return self.points("Hopf")

    @property
    def branch_points(self) -> np.ndarray:
        """Values at which other branches meet this one."""
        return self.points("branch point")

    @property
    def counted(self) -> dict[str, int]:
        """How many points are of each stability, special ones left out."""
        words = self.stability[self.special == ""].tolist()
        return {word: words.count(word) for word in dict.fromkeys(words)}

    def near(self, value: float) -> np.ndarray:
        """Indices of the points before each crossing of a value of the parameter."""
        low = np.minimum(self.values[:-1], self.values[1:])
        high = np.maximum(self.values[:-1], self.values[1:])
        (crossed,) = np.nonzero((low <= value) & (value <= high) & (high > low))
        return crossed

    def guesses(self, value: float) -> np.ndarray:
        """States at a value of the parameter, by linear interpolation, shape (ndof, n)."""
        crossed = self.near(value)
        width = self.values[crossed + 1] - self.values[crossed]
        share = (value - self.values[crossed]) / width
        return (1 - share) * self.states[:, crossed] + share * self.states[:, crossed + 1]

    def table(self) -> dict[str, np.ndarray]:
        """The branch as columns, to be made a `pandas.DataFrame`."""
        columns = {self.parameter: self.values}
        columns |= {f"output_{k}": row for k, row in enumerate(self.readouts)}
        names = ("norm", "growth", "frequency", "stability", "special")
        return columns | {name: getattr(self, name) for name in names}

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        count = ", ".join(f"{number} {word}" for word, number in self.counted.items())
        low, high = (f"{limit:.4g}" for limit in (self.values.min(), self.values.max()))
        head = f"Branch from {self.origin}: {counted(len(self), 'point')}"
        return f"{head}, {self.parameter} {low} to {high}", {
            "stability": count,
            **{f"{kind}s" if kind != "Hopf" else kind: _listed(self.points(kind))
               for kind in KINDS},
            "ended": self.ending or None,
        }  # fmt: skip


def _listed(values: np.ndarray) -> str | None:
    return ", ".join(f"{value:.8g}" for value in values) if len(values) else None


Reader = Callable[[float], Readout]
"""Gives the readout at a value of the parameter, where it depends on it."""


def branch_of(
    points: Sequence[Point], readout: Readout | Reader | None = None, **names: str
) -> Branch:
    """The branch that points make.

    Parameters
    ----------
    points : sequence of Point
    readout : Readout or callable, optional
        Its outputs are kept.
    **names
        ``parameter``, ``origin`` and ``ending``.
    """
    states = np.column_stack([point.state for point in points])
    judged = [point.judged for point in points]
    outputs = np.zeros((0, len(points)))
    if callable(readout):
        each = [readout(point.value).outputs(point.state[:, None])[0] for point in points]
        outputs = np.column_stack(each)
    elif readout is not None:
        outputs = readout.outputs(states).T
    return Branch(
        values=np.array([point.value for point in points]),
        states=states,
        residual=np.array([point.residual for point in points]),
        norm=np.array([point.norm for point in points]),
        growth=np.array([np.nan if one.bound else one.growth for one in judged]),
        frequency=np.array([one.frequency for one in judged]),
        stability=np.array([one.stability for one in judged]),
        special=np.array([point.special for point in points]),
        readouts=np.asarray(outputs),
        **names,
    )


@dataclass(frozen=True, eq=False)
class Diagram(Described):
    """Branches of steady states of one family.

    Attributes
    ----------
    branches : tuple of Branch
        Those that others leave come before these.
    parameter : str
    """

    branches: tuple[Branch, ...]
    parameter: str = "parameter"

    def points(self, kind: str) -> np.ndarray:
        """Values of the parameter at all special points of a kind, in ascending order."""
        return np.sort(np.concatenate([branch.points(kind) for branch in self.branches]))

    def table(self) -> dict[str, np.ndarray]:
        """All branches as columns, with the number of the branch first."""
        tables = [
            {"branch": np.full(len(branch), k), **branch.table()}
            for k, branch in enumerate(self.branches)
        ]
        return {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        head = f"Diagram of {self.parameter}: {len(self.branches)} branches"
        if len(self.branches) == 1:
            head = head.removesuffix("es")
        return head, {
            f"{kind}s" if kind != "Hopf" else kind: _listed(self.points(kind)) for kind in KINDS
        }
