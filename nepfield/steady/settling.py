"""Waves that are followed in time until they settle, and finished by Newton's method.

A wave has settled where Newton's method, begun at its state, ends nearby in a steady state that is
not unstable; or where it is so near to a state that is known that the flow only draws it nearer.
One that comes to rest at an unstable state, which exact symmetry may bring about, is moved off it
along the fluctuation that grows fastest, as noise would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nepfield.steady.envelopes import Driven
from nepfield.steady.equation import Equation
from nepfield.steady.imex import Motion
from nepfield.steady.newton import find_steady
from nepfield.steady.stability.certificate import stability
from nepfield.steady.stability.pointwise import growth_bound
from nepfield.steady.steady import Steady

PATIENCE = 100.0
"""Time in units of 1/gamma (the least loss) after which what still moves is said to oscillate."""
SAME = 1e-3
"""Distance, relative to a state, within which another one is the same."""
_LOOKED = 0.25  # 1/gamma between two looks at what has settled
_LEAST_LOSS = 1e-3
_SETTLED = 0.05  # residual from which Newton's method takes over
_AGAIN, _RISEN = 0.5, 5.0  # by which the residual has to fall, or to rise, before the next try
_PATIENT = 20  # looks after which it is tried again in any case
_DRAWN = 0.9  # distance from which it counts that a wave is only drawn nearer
_AT_REST = 1e-3  # residual from which a wave at an unstable state would stay there
_NEAR = 0.3  # of the norm of the state: how far Newton's method may go
_DISTURBED = 0.03  # of the norm of the state: how far it is moved off an unstable one
_NEWTON = 12  # steps

Told = Callable[[int, float], None]
"""Called with the number of samples that have settled, and the time that others have reached."""


@dataclass(frozen=True, eq=False)
class Settled:
    """What became of waves that were followed, a number a sample.

    Attributes
    ----------
    state : ndarray, shape (ndof, nsamples)
        The steady state, or the last one of a wave that has not settled.
    settled : ndarray of bool, shape (nsamples,)
    lost : ndarray of bool, shape (nsamples,)
        Those that could not be followed to the end.
    residual : ndarray, shape (nsamples,)
        Relative to the drive.
    time : ndarray, shape (nsamples,)
        That each was followed.
    iterations : ndarray of int, shape (nsamples,)
        Steps of Newton's method.
    """

    state: np.ndarray
    settled: np.ndarray
    lost: np.ndarray
    residual: np.ndarray
    time: np.ndarray
    iterations: np.ndarray


def settle(
    equation: Equation,
    drive: np.ndarray | Driven,
    start: np.ndarray,
    *,
    tolerance: float = 1e-10,
    accuracy: float = 1e-5,
    known: Steady | None = None,
    words: np.ndarray | None = None,
    patience: float | None = None,
    told: Told | None = None,
) -> Settled:
    """Follow waves until they settle, for `patience`/gamma after the drive has come to rest.

    Parameters
    ----------
    equation : Equation
    drive : ndarray, shape (ndof, nsamples), or Driven
    start : ndarray, shape (ndof, nsamples)
    tolerance : float
        Of the steady states, relative to the drive.
    accuracy : float
        Of a step in time.
    known : Steady, optional
        States of which it is known whether they are stable, one a sample: it is not found out again
        where a wave ends there.
    words : ndarray of str, shape (nsamples,), optional
        What is known of them.
    patience : float, optional
        By default 100.
    told : callable, optional
        Called at every look, with how many have settled and the time.

    Returns
    -------
    Settled
    """
    drive = drive if isinstance(drive, Driven) else Driven.constant(drive)
    space, count = equation.space, start.shape[1]
    last = drive.last_break
    final = drive.final
    scale = space.residual_norm(final)
    scale[scale == 0] = 1.0
    every = _LOOKED / max(float(-equation.linear_part.field.imag.max()), _LEAST_LOSS)
    motion = Motion(equation, drive, start, accuracy)
    state, settled = start.astype(complex), np.zeros(count, dtype=bool)
    residual, tried = np.full(count, np.inf), np.full(count, np.inf)
    time, iterations = np.zeros(count), np.zeros(count, dtype=int)
    since, moved_off = np.zeros(count, dtype=int), np.zeros(count, dtype=bool)
    for look in last + every * np.arange(1, round((patience or PATIENCE) / _LOOKED) + 1):
        going = ~settled & ~motion.lost
        if not going.any():
            break
        for _ in motion.until(look, chosen=going):
            pass
        state[:, going], time[going] = motion.state[:, going], motion.times[going]
        if known is not None:
            (near,) = np.nonzero(going & ~motion.lost & known.converged)
            near = near[_drawn(equation, motion.state[:, near], known.state[:, near])]
            settled[near], residual[near] = True, known.residual[near]
            state[:, near] = known.state[:, near]
            going &= ~settled
        force = equation.residual(motion.state, final)
        residual[going] = (space.residual_norm(force) / scale)[going]
        since += 1
        tried[(residual > _RISEN * tried) | (since >= _PATIENT)] = np.inf
        ready = going & ~motion.lost & (residual <= _SETTLED) & (residual <= _AGAIN * tried)
        (chosen,) = np.nonzero(ready)
        if len(chosen):
            tried[chosen], since[chosen] = residual[chosen], 0
            found = find_steady(
                equation,
                final[:, chosen],
                initial=motion.state[:, chosen],
                tolerance=tolerance,
                max_iterations=_NEWTON,
            )
            stays, modes = _judged(equation, found, motion.state[:, chosen], chosen, known, words)
            done = chosen[stays]
            settled[done], residual[done] = True, found.residual[stays]
            state[:, done], iterations[done] = found.state[:, stays], found.iterations[stays]
            for place, mode in modes.items():
                sample = chosen[place]
                if residual[sample] <= _AT_REST and not moved_off[sample]:
                    way = -1j * force[:, [sample]]  # it leaves to where it is drifting
                    moved = disturbed(found.state[:, [place]], mode, way)
                    motion.move(sample, moved[:, 0])
                    tried[sample], moved_off[sample] = np.inf, True
        if told is not None:
            told(int(settled.sum()), float(look))
    return Settled(state, settled, motion.lost, residual, time, iterations)


def _drawn(equation: Equation, moving: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Which waves are so near to steady states that they only come nearer, (nsamples,).

    The coefficients at the points prove it where fluctuations of the state, of the wave and of
    what lies around both decay, up to the difference on either side.
    """
    apart = moving - states
    drawn = distance(moving, states) <= _DRAWN
    for share in (0.0, 1.0, -1.0, 2.0):
        if not drawn.any():
            break
        (left,) = np.nonzero(drawn)
        linear = equation.linearise(states[:, left] + share * apart[:, left])
        drawn[left] = growth_bound(linear) < 0
    return drawn


def _judged(
    equation: Equation,
    found: Steady,
    moving: np.ndarray,
    chosen: np.ndarray,
    known: Steady | None,
    words: np.ndarray | None,
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Which of the states that Newton's method found from a motion will be kept, shape
    (nsamples,), and of the unstable ones the fluctuation that grows fastest."""
    size, moved = (np.linalg.norm(x, axis=0) for x in (moving, found.state - moving))
    near = found.converged & (moved <= _NEAR * size)
    modes: dict[int, np.ndarray] = {}
    for k in np.flatnonzero(near):
        if known is not None and words is not None and known.converged[chosen[k]]:
            apart = distance(found.state[:, [k]], known.state[:, [chosen[k]]])
            if apart[0] <= SAME and words[chosen[k]] in ("proved", "stable"):
                continue
        judged = stability(equation, found.samples(np.array([k])))
        if judged.stability[0] == "unstable":
            near[k] = False
            modes[int(k)] = judged.mode
    return near, modes


def distance(state: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far states are apart, relative to the norm of the other one, shape (nsamples,)."""
    size = np.linalg.norm(other, axis=0)
    apart: np.ndarray = np.linalg.norm(state - other, axis=0) / np.where(size > 0, size, 1.0)
    return apart


def is_beside(start: np.ndarray, state: np.ndarray) -> bool:
    """Whether a motion that starts there would stay long at the state, shape (ndof, 1) both."""
    return bool(distance(start, state)[0] <= 2 * _DISTURBED)


def disturbed(state: np.ndarray, mode: np.ndarray, way: np.ndarray | None = None) -> np.ndarray:
    """An unstable state and a little of what grows, or it would be left late or never.

    Parameters
    ----------
    state : ndarray, shape (ndof, 1)
    mode : ndarray, shape (2, ndof, 1)
        u and v of the fluctuation.
    way : ndarray, shape (ndof, 1), optional
        dPsi/dt in weak form: of the two directions of the fluctuation, that along it.
    """
    kick = mode[0] + mode[1].conj()
    if way is not None and np.vdot(kick, way).real < 0:
        kick = -kick
    return state + _DISTURBED * np.linalg.norm(state) / np.linalg.norm(kick) * kick
