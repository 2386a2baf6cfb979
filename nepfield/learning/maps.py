"""Outputs over a grid of inputs: what a device says of inputs that it was not trained on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.readouts import Readout
from nepfield.reprs import Described
from nepfield.systems.system import System, checked_inputs

LARGEST = 1000
"""Points a side that may be asked for."""
_MARGIN = 0.1  # of the range of the inputs, on each side
_FINEST = {1: 8, 2: 5}  # halvings of the grid, by the number of inputs: 257 and 33 points a side
_STEPS = 20  # of the solver, whose continuation takes ten times as many
_USELESS = 9  # points a side that a map needs
_BATCH = 256  # states at once


@dataclass(frozen=True, eq=False)
class OutputMap(Described):
    """Outputs over one input or two.

    Attributes
    ----------
    axes : tuple of ndarray, shape (n,)
        Values of each input.
    outputs : ndarray, shape (n, noutputs) or (n, n, noutputs)
        The first axis is the first input; nan where no equilibrium was found.
    """

    axes: tuple[np.ndarray, ...]
    outputs: np.ndarray

    @property
    def inputs(self) -> np.ndarray:
        """All points, shape (n or n * n, ninputs), as `outputs` has them in order."""
        return _grid(self.axes)

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        sides = " x ".join(str(len(axis)) for axis in self.axes)
        known = np.isfinite(self.outputs).all(axis=-1).mean()
        return f"OutputMap: {sides} points", {"found": f"{known:.1%}"}


def output_map(
    system: System,
    readout: Readout,
    inputs: np.ndarray,
    points: int | None = None,
    seconds: float = 3.0,
    **options: Any,
) -> OutputMap | None:
    """Outputs of a system over the range of one input or two.

    Parameters
    ----------
    system : System
    readout : Readout
    inputs : ndarray, shape (nsamples, 1) or (nsamples, 2)
        Samples; the map reaches a tenth of their range beyond them on each side.
    points : int, optional
        Points a side. By default 33 (of one input 257), or as many as `seconds` allow: the grid is
        halved again and again while the time for that is likely to be there.
    seconds : float
    **options
        Of the system's solver; at most 20 Newton steps. Each point starts from where the system
        starts without a warm start (a wave: the vacuum), so no point depends on another.

    Returns
    -------
    OutputMap or None
        None where there are not even 9 points a side in that time.

    Raises
    ------
    InputError
        If there are not one or two inputs, or `points` is no whole number from 2 to 1000.
    """
    inputs = checked_inputs(system, inputs)
    dimension = inputs.shape[1]
    if dimension not in (1, 2):
        raise InputError(f"output_map: of one input or two; this system has {dimension}.")
    if points is not None and (
        not isinstance(points, int | np.integer) or not 2 <= points <= LARGEST
    ):
        raise InputError(f"points = {points}: give a whole number from 2 to {LARGEST}.")
    low, high = inputs.min(axis=0), inputs.max(axis=0)
    room = np.where(high > low, _MARGIN * (high - low), 0.5 * np.maximum(1.0, np.abs(low)))
    limits = list(zip(low - room, high + room, strict=True))
    if "max_iterations" in options:
        options["max_iterations"] = min(options["max_iterations"], _STEPS)

    def read(chosen: np.ndarray) -> np.ndarray:
        found = []
        for first in range(0, len(chosen), _BATCH):
            rows = chosen[first : first + _BATCH]
            steady = system.equilibrate(rows, None, None, None, **options)
            outputs = readout.outputs(steady.state)
            found.append(np.where(steady.converged[:, None], outputs, np.nan))
        return np.concatenate(found)

    if points is not None:
        axes = tuple(np.linspace(*pair, points) for pair in limits)
        return _shaped(axes, read(_grid(axes)))
    known: dict[tuple[int, ...], np.ndarray] = {}
    size, spent = 0, 0.0
    for level, new in enumerate(_levels(dimension)):
        if spent + (2**dimension - 1) * spent > seconds:
            break
        size, began = 2 ** (level + 1), time.monotonic()
        finest = 2 ** _FINEST[dimension]
        values = np.array([low + (high - low) * k / finest for (low, high), k in
                           zip(limits, np.array(new).T, strict=True)]).T  # fmt: skip
        known |= dict(zip(new, read(values), strict=True))
        spent += time.monotonic() - began
    if size + 1 < _USELESS:
        return None
    step = 2 ** _FINEST[dimension] // size
    kept = [tuple(step * k for k in place) for place in np.ndindex(*(size + 1,) * dimension)]
    axes = tuple(np.linspace(*pair, size + 1) for pair in limits)
    return _shaped(axes, np.array([known[place] for place in kept]))


def _levels(dimension: int) -> Iterator[list[tuple[int, ...]]]:
    """Points that each halving of the grid adds, counted on the finest one."""
    finest, before = 2 ** _FINEST[dimension], 2 * 2 ** _FINEST[dimension]
    for level in range(1, _FINEST[dimension] + 1):
        step = finest // 2**level
        places = (
            tuple(step * k for k in place) for place in np.ndindex(*(2**level + 1,) * dimension)
        )
        yield [place for place in places if any(k % before for k in place) or level == 1]
        before = step


def _grid(axes: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def _shaped(axes: tuple[np.ndarray, ...], outputs: np.ndarray) -> OutputMap:
    return OutputMap(axes, outputs.reshape(*(len(axis) for axis in axes), -1))
