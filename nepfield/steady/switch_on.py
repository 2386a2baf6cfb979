"""Does a device that is switched on reach the states that it is meant to have?

The pumps go from nothing to their full strength, at once or by a ramp, and the wave is followed
from the vacuum. Where abs(b) stays below the loss for every wave that may be met on the way, two
waves under the same drive only approach each other, so that there is one steady state and every
motion ends in it: nothing has to be computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.reprs import Described
from nepfield.space.linalg import one_thread
from nepfield.steady.envelopes import Driven, Envelope, Ramp
from nepfield.steady.equation import Equation
from nepfield.steady.settling import PATIENCE, SAME, Told, distance, settle
from nepfield.steady.steady import Steady

OUTCOMES = ("proved", "reached", "other state", "does not settle", "not looked at")
_ACCURACY = 1e-4  # of a step in time
_TOGETHER = 200_000  # unknowns of the samples that are followed at once


@dataclass(frozen=True, eq=False)
class SwitchOn(Described):
    """Where a switch-on from the vacuum ends, one a sample.

    Attributes
    ----------
    outcome : ndarray of str, shape (nsamples,)
        "proved": all motions end in the state given, by an inequality; "reached": the motion that
        was followed does; "other state": it ends in another one; "does not settle": it still moves
        after 100/gamma; "not looked at".
    time : ndarray, shape (nsamples,)
        At which it had settled, or until which it was followed; nan where it was not.
    state : ndarray, shape (ndof, nsamples)
        Where it ended, or the state given where nothing was followed.
    distance : ndarray, shape (nsamples,)
        Of that state from the one given, relative to the norm of this one.
    reason : tuple of str
        One sentence a sample.
    """

    outcome: np.ndarray
    time: np.ndarray
    state: np.ndarray
    distance: np.ndarray
    reason: tuple[str, ...]

    @property
    def arrives(self) -> np.ndarray:
        """1 where the state given is reached, 0 where it is not, nan where nobody has looked."""
        good = np.isin(self.outcome, OUTCOMES[:2])
        return np.where(self.outcome == OUTCOMES[-1], np.nan, good.astype(float))

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        words = [str(word) for word in self.outcome]
        count = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        return f"SwitchOn: {count or 'no sample'}", {
            "time": self.time,
            "first": self.reason[0] if self.reason else None,
        }


def switch_on(
    system: Equation,
    inputs: np.ndarray,
    steady: Steady,
    ramp: float = 0.0,
    *,
    most: int | None = None,
    stability: np.ndarray | None = None,
    tolerance: float = 1e-10,
    start: np.ndarray | None = None,
    told: Told | None = None,
) -> SwitchOn:
    """Switch the pumps on in the vacuum, and compare where the wave goes with given states.

    Parameters
    ----------
    system : Equation
        A wave, such as `GPE`.
    inputs : ndarray, shape (nsamples, ninputs)
    steady : Steady
        The states that are meant to be reached.
    ramp : float
        Time in which the pumps go from nothing to their full strength; 0: at once.
    most : int, optional
        At most so many samples are followed, the first of those that are not proved and that have
        a state.
    stability : ndarray of str, shape (nsamples,), optional
        What `nepfield.stability` says of the states given, where the caller knows it.
    tolerance : float
        Of the states found, relative to the drive.
    start : ndarray, shape (ndof, nsamples), optional
        Where the waves are already, on a way that began in the vacuum.
    told : callable, optional
        Called now and then with the number of samples that have settled, and the time.

    Returns
    -------
    SwitchOn

    Raises
    ------
    InputError
        If the system is no wave, the states are not its own, or the ramp is negative.
    """
    if not hasattr(system, "linearise"):
        raise InputError(
            f"switch_on: {type(system).__name__} is no wave, and moves downhill to a minimum."
        )
    if not np.isfinite(ramp) or ramp < 0:
        raise InputError(f"ramp = {ramp}: give a time, 0 for a sudden switch-on.")
    if np.shape(steady.state) != (system.space.ndof, len(inputs)):
        raise InputError(
            f"switch_on: the states have shape {np.shape(steady.state)}, but the system has "
            f"{system.space.ndof} unknowns and there are {len(inputs)} rows of inputs."
        )
    drive = system.drive(inputs).astype(complex)
    count = len(inputs)
    outcome = np.full(count, OUTCOMES[-1], dtype=f"<U{max(map(len, OUTCOMES))}")
    time, apart = np.full(count, np.nan), np.full(count, np.nan)
    state, reason = steady.state.astype(complex), ["nobody has looked"] * count
    proved = _contracts(system, drive) & steady.converged
    outcome[proved], apart[proved] = "proved", 0.0
    for k in np.flatnonzero(proved):
        reason[k] = "|b| stays below the loss on the whole way, so all motions end in one state"
    open_ones = np.flatnonzero(~proved & steady.converged)[:most]
    envelope: Envelope | None = Ramp(ramp) if ramp > 0 else None
    together = max(1, _TOGETHER // system.space.ndof)
    with one_thread():
        for first in range(0, len(open_ones), together):
            chosen = open_ones[first : first + together]
            found = settle(
                system,
                Driven([(envelope, drive[:, chosen])]),
                np.zeros_like(drive[:, chosen]) if start is None else start[:, chosen],
                tolerance=tolerance,
                accuracy=_ACCURACY,
                known=steady.samples(chosen),
                words=None if stability is None else stability[chosen],
                told=told,
            )
            state[:, chosen], time[chosen] = found.state, found.time
            apart[chosen] = distance(found.state, steady.state[:, chosen])
            for place, k in enumerate(chosen):
                outcome[k], reason[k] = _said(found.settled[place], time[k], apart[k])
    return SwitchOn(outcome, time, state, apart, tuple(reason))


def _said(settled: bool, time: float, apart: float) -> tuple[str, str]:
    """The outcome of a sample that was followed, and a sentence."""
    if not settled:
        return "does not settle", (
            f"followed for t = {time:.3g}, {PATIENCE:g} times 1/gamma at most, and it still moves"
        )
    if apart <= SAME:
        return "reached", f"settled by t = {time:.3g}"
    return "other state", f"settled by t = {time:.3g}, {apart:.2g} of the state given away from it"


def _contracts(system: Equation, drive: np.ndarray) -> np.ndarray:
    """For which samples a system proves that waves only approach each other, (nsamples,)."""
    ask = getattr(system, "contracts", None)
    no = np.zeros(drive.shape[1], dtype=bool)
    found: np.ndarray = no if ask is None else ask(drive)
    return found
