"""Branches of steady states of a wave as one number of it is varied.

F(Psi, p) = 0    followed by pseudo-arclength (Keller 1977), around folds; folds, Hopf points
                 and branch points located; branches that leave branch points, and others that
                 deflation finds (Farrell, Birkisson and Funke 2015)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.readouts import Readout
from nepfield.space.arrays import all_finite
from nepfield.steady.branches.arclength import Steps
from nepfield.steady.branches.branch import Branch, Diagram
from nepfield.steady.branches.explore import Explorer
from nepfield.steady.branches.family import Family
from nepfield.steady.branches.points import Lost, Point
from nepfield.steady.prefer import find_preferred
from nepfield.steady.steady import NotConverged, Steady
from nepfield.systems.system import checked_inputs, raise_unless_converged
from nepfield.systems.varied import Varied, check_wave, vary

_DEFLATED = 5  # values at which other states are looked for


def follow(
    system: Any,
    parameter: Varied,
    start: float,
    stop: float,
    *,
    inputs: np.ndarray | Sequence[float] | None = None,
    initial: np.ndarray | None = None,
    readout: Readout | None = None,
    step: float = 0.01,
    longest: float = 0.05,
    most: int = 400,
    tolerance: float = 1e-10,
    stability: bool = True,
) -> Branch:
    """Follow a branch of steady states from one value of a number of a wave to another.

    Parameters
    ----------
    system : System
        A wave, such as `GPE`.
    parameter : str or callable
        What is varied: ``"drive"`` (a factor of all pumps), ``"detuning"`` (V less the value),
        ``"weights.0"``, ``"potential.12"``, ``"inputs.0"``, ``"loss"``, ``"nonlinearity.g"``, or a
        function that gives for a value a system on the same space, or a system and its inputs.
    start, stop : float
        Where the branch begins, and the other end of the range. It may turn back within the range,
        and then ends where it began.
    inputs : array, shape (ninputs,), optional
        Of the sample that is followed; by default 1 each.
    initial : ndarray, shape (ndof,) or (ndof, 1), optional
        Near the state at `start`; by default the one that is found from the vacuum.
    readout : Readout, optional
        Its outputs are kept.
    step, longest : float
        First and longest step, in units of the range and of the largest state.
    most : int
        Points at most.
    tolerance : float
        Of the residual, relative to the strongest drive.
    stability : bool
        Whether the stability of the points is looked at; without it Hopf points are not found.

    Returns
    -------
    Branch

    Raises
    ------
    InputError
        If an argument does not fit.
    NotConverged
        If there is no steady state to start from.

    Examples
    --------
    >>> import nepfield as nf
    >>> space = nf.graph(nf.lattice(1))
    >>> system = nf.GPE(space, -2.0, [nf.site_pump(0)], nf.Density(1.0), loss=0.2)
    >>> nf.follow(system, "drive", 0.0, 1.0).folds.round(6)
    array([0.402355, 0.198976])
    """
    rows = _inputs(system, inputs)
    family = _family(system, parameter, start, stop, rows)
    explorer = Explorer(family, _steps(step, longest, most), _checked(tolerance), stability)
    _start(explorer, start, stop, initial)
    return explorer.branches(readout, _name(parameter))[0]


def diagram(
    system: Any,
    parameter: Varied,
    start: float,
    stop: float,
    *,
    inputs: np.ndarray | Sequence[float] | None = None,
    initial: np.ndarray | None = None,
    readout: Readout | None = None,
    switch: bool = True,
    both_ways: bool = False,
    deflate: int | Sequence[float] = 0,
    most_branches: int = 20,
    seed: int = 0,
    step: float = 0.01,
    longest: float = 0.05,
    most: int = 400,
    tolerance: float = 1e-10,
    stability: bool = True,
) -> Diagram:
    """Follow all branches that can be found.

    Parameters
    ----------
    system, parameter, start, stop, inputs, initial, readout
        As in `follow`.
    switch : bool
        Whether to follow what leaves branch points.
    both_ways : bool
        Whether to begin at `stop` as well, from the vacuum, where that is another branch.
    deflate : int or sequence of float
        At how many values of the parameter, or at which, other states are looked for.
    most_branches : int
    seed : int
        Of the random starts of deflation.
    step, longest, most, tolerance, stability
        As in `follow`.

    Returns
    -------
    Diagram

    Raises
    ------
    InputError, NotConverged
        As in `follow`.
    """
    rows = _inputs(system, inputs)
    family = _family(system, parameter, start, stop, rows)
    explorer = Explorer(
        family, _steps(step, longest, most), _checked(tolerance), stability, most_branches
    )
    explore(explorer, start, stop, initial, switch, both_ways, deflate, seed)
    return Diagram(explorer.branches(readout, _name(parameter)), _name(parameter))


def explore(
    explorer: Explorer,
    start: float,
    stop: float,
    initial: np.ndarray | None = None,
    switch: bool = True,
    both_ways: bool = False,
    deflate: int | Sequence[float] = 0,
    seed: int = 0,
) -> None:
    """Have an explorer find what it can; arguments as in `diagram`."""
    _start(explorer, start, stop, initial)
    if both_ways:
        state = _steady(explorer, stop, None).state[:, 0]
        if not explorer.knows(state, stop):
            explorer.follow(state, stop, np.sign(start - stop), f"start at {stop:.6g}")
    if switch:
        explorer.switch()
    values = _values(deflate, start, stop)
    if len(values):
        explorer.deflate(values, seed)
        if switch:
            explorer.switch()


def explorer_of(
    system: Any,
    parameter: Varied,
    start: float,
    stop: float,
    inputs: np.ndarray,
    tell: Callable[[int, Point], None] | None = None,
    most: int = 400,
    tolerance: float = 1e-10,
) -> Explorer:
    """An explorer that keeps what it finds where it is interrupted; arguments as in `diagram`."""
    family = _family(system, parameter, start, stop, _inputs(system, inputs))
    return Explorer(family, _steps(0.01, 0.05, most), _checked(tolerance), tell=tell)


def _inputs(system: Any, inputs: np.ndarray | Sequence[float] | None) -> np.ndarray:
    check_wave(system)
    rows = np.ones((1, system.ninputs)) if inputs is None else np.atleast_2d(inputs)
    rows = checked_inputs(system, rows)
    if len(rows) != 1:
        raise InputError(f"inputs: one sample is followed; these are {len(rows)}, give one row.")
    return rows


def _family(
    system: Any, parameter: Varied, start: float, stop: float, inputs: np.ndarray
) -> Family:
    for name, value in (("start", start), ("stop", stop)):
        if not isinstance(value, int | float | np.number) or not np.isfinite(value):
            raise InputError(f"{name} = {value}: give a finite number.")
    if start == stop:
        raise InputError(
            f"start = stop = {start}: a branch needs a range; give another number for stop."
        )
    return Family(vary(system, parameter, inputs), float(start), float(stop))


def _steps(first: float, longest: float, most: int) -> Steps:
    if not 0 < first <= longest <= 1:
        raise InputError(
            f"step = {first}, longest = {longest}: give 0 < step <= longest <= 1, in units of the "
            "range."
        )
    if not isinstance(most, int | np.integer) or most < 2:
        raise InputError(f"most = {most}: give a whole number of points, at least 2.")
    return Steps(first, longest, most=int(most))


def _checked(tolerance: float) -> float:
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance = {tolerance}: it must lie between 0 and 1.")
    return float(tolerance)


def _values(deflate: int | Sequence[float], start: float, stop: float) -> np.ndarray:
    if isinstance(deflate, bool):
        deflate = _DEFLATED if deflate else 0
    if isinstance(deflate, int | np.integer):
        return np.linspace(start, stop, deflate) if deflate > 0 else np.zeros(0)
    values = np.asarray(deflate, dtype=float)
    low, high = min(start, stop), max(start, stop)
    if values.ndim != 1 or not np.all((low <= values) & (values <= high)):
        raise InputError(f"deflate: give values of the parameter from {low:g} to {high:g}.")
    return values


def _name(parameter: Varied) -> str:
    return parameter if isinstance(parameter, str) else "parameter"


def _steady(explorer: Explorer, value: float, initial: np.ndarray | None) -> Steady:
    """The state at a value, from near a guess or from the vacuum."""
    equation, drive = explorer.family.at(value)
    steady = find_preferred(equation, drive, initial=initial, tolerance=explorer.tolerance)
    raise_unless_converged(steady)
    return steady


def _start(explorer: Explorer, start: float, stop: float, initial: np.ndarray | None) -> None:
    if initial is not None:
        initial = np.asarray(initial, dtype=complex)
        initial = initial[:, None] if initial.ndim == 1 else initial
        if initial.shape != (explorer.family.space.ndof, 1) or not all_finite(initial):
            raise InputError(
                f"initial: a finite state of shape ({explorer.family.space.ndof},) is needed; this "
                f"one has shape {initial.shape}."
            )
    steady = _steady(explorer, start, initial)
    try:
        explorer.follow(steady.state[:, 0], start, np.sign(stop - start), "start")
    except Lost as problem:
        raise NotConverged(f"no branch begins at {start:g}: {problem}", steady) from None
