"""Growth of fluctuations by their eigenvalues.

Small systems are solved directly. Of large ones the modes are found that can grow: those in the
window of frequencies that `nepfield.steady.stability.pointwise` gives. A trial space shows all of
them nearly, and those near the top are made exact. What the exact ones have moved is the error of
the trial space; the search ends where no other mode can be unstable within twice that error, or
above the ones that were found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nepfield.space.linalg import real_times
from nepfield.space.pardiso import Factors
from nepfield.steady.stability.davidson import Polished, TrialModes, polish
from nepfield.steady.stability.fluctuations import Fluctuations, to_pair
from nepfield.steady.stability.krein import endangered, signs
from nepfield.steady.stability.splines import spline_functions
from nepfield.steady.stability.trial import Trial, coarse_trial, fine_trial

DIRECT = 250
"""Unknowns up to which all eigenvalues are computed."""
_COARSE = 3000  # unknowns from which splines are tried
_COARSER = 0.35  # functions per unknown above which they are not worth it
_MARGIN = 1.4  # of the window: energies of the modes that are looked at
_FINER = (1.0, 0.7)  # spacings, in turn, where the trial space is too coarse
_HIGHER = (1.0, 2.0)  # and energies
_FIRST, _MOST = 2, 24  # modes that are made exact
_SMALL = 10_000  # unknowns up to which twice as many are made exact at first


@dataclass(frozen=True, eq=False)
class Window:
    """Where growth is possible.

    Attributes
    ----------
    frequency : float
        Modes that grow have ``|Im lambda|`` up to this.
    lowest : float
        Bound from below on A0, the Hermitian part of K.
    coupling : float
        Largest ``|b|``.
    uniform_loss : float
        gamma, or nan.
    """

    frequency: float
    lowest: float
    coupling: float
    uniform_loss: float


@dataclass(frozen=True, eq=False)
class Growth:
    """The mode that grows most, or decays most slowly.

    Attributes
    ----------
    rate : complex
        lambda; nan where none was found.
    u, v : ndarray, shape (ndof,)
    complete : bool
        Whether every mode that can grow has been looked at.
    reason : str
        What was done, or why it is not complete.
    """

    rate: complex
    u: np.ndarray
    v: np.ndarray
    complete: bool
    reason: str


def direct_growth(fluctuations: Fluctuations) -> Growth:
    """By all eigenvalues of the dense real matrix."""
    rates, vectors = np.linalg.eig(fluctuations.dense())
    top = _top(rates)
    u, v = to_pair(vectors[:, [top]].astype(complex))
    return _growth(fluctuations, rates[top], u, v, True, f"all {len(rates)} eigenvalues computed")


def windowed_growth(fluctuations: Fluctuations, window: Window, factors: Factors) -> Growth:
    """By the eigenvalues in a window.

    Parameters
    ----------
    fluctuations : Fluctuations
    window : Window
    factors : Factors
        Of ``H + a`` at the vacuum.
    """
    nothing = np.zeros((fluctuations.space.ndof, 1), dtype=complex)
    found = _growth(fluctuations, complex(np.nan), nothing, nothing, False, "")
    if not np.isfinite(window.frequency):
        reason = "loss vanishes or turns to gain somewhere: the window of growth is not bounded"
        return Growth(found.rate, found.u, found.v, False, reason)
    for step, finer in enumerate(_FINER):
        trial = _trial(fluctuations, window, finer, _HIGHER[step])
        if trial is None:
            reason = "too many modes lie where growth is possible"
            return Growth(found.rate, found.u, found.v, False, reason)
        found = _searched(fluctuations, window, factors, TrialModes.of(trial))
        if found.complete or found.rate.real > 0:
            break
    return found


def _trial(fluctuations: Fluctuations, window: Window, finer: float, higher: float) -> Trial | None:
    """Modes below 1.4 windows: of splines on large meshes, of the space itself elsewhere."""
    space = fluctuations.space
    energy = _MARGIN * higher * window.frequency
    if not space.is_graph and space.ndof > _COARSE:
        wave_number = np.sqrt(2 * (energy + max(0.0, -window.lowest)))
        spacing = finer * _MARGIN * np.pi / (2 * wave_number)
        lifting = spline_functions(space, spacing, _COARSER * space.ndof)
        if lifting is not None:
            return coarse_trial(fluctuations, energy, lifting)
    return fine_trial(fluctuations, energy, window.lowest)


def _searched(
    fluctuations: Fluctuations, window: Window, factors: Factors, modes: TrialModes
) -> Growth:
    """Make modes exact from the top down, until no other one matters."""
    scale = max(window.frequency, window.coupling, np.abs(modes.rates.real).max())
    order, outside = _split(modes, window, scale)
    few = _FIRST if fluctuations.space.ndof > _SMALL else 2 * _FIRST
    chosen, error = _first(modes, window, order, few), 0.0
    rest, done = order[~np.isin(order, chosen)], list[Polished]()
    count, complete, lost = 0, False, order[:0]
    while True:
        done.append(polish(fluctuations, modes, chosen, factors, 1e-8 * scale))
        count += len(chosen)
        sure = done[-1].converged
        if not sure.any():
            break
        moved = np.abs(done[-1].rates - modes.rates[chosen])[sure]
        error = max(error, 2 * float(moved.max()))
        lost = np.concatenate([lost, chosen[~sure]])  # no harm in modes that cannot matter
        best = max(float(part.rates.real[part.converged].max()) for part in done)
        may = _suspect(modes, window, best, error)
        if may[lost].any():
            break
        suspect = may[rest]
        chosen, rest = rest[suspect], rest[~suspect]
        complete = len(chosen) == 0
        if complete or count + len(chosen) > _MOST:
            break
    if len(outside):
        done.append(polish(fluctuations, modes, outside, factors, 1e-8 * scale))
    rates, u, v = (
        np.concatenate([getattr(part, name) for part in done], axis=-1)
        for name in ("rates", "u", "v")
    )
    sure = np.concatenate([part.converged for part in done])
    top = _top(np.where(sure, rates, -np.inf)) if sure.any() else 0
    reason = (
        f"{len(modes.rates)} modes looked at, {count} of them exactly; those of the trial space "
        f"were right to {error / 2:.1e}"
        if complete
        else f"the modes that may grow are not resolved (error {error / 2:.1e})"
    )
    rate = complex(rates[top]) if sure.any() else complex(np.nan)
    return _growth(fluctuations, rate, u[:, [top]], v[:, [top]], complete, reason)


def _split(modes: TrialModes, window: Window, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Modes in the window, the fastest first, and a few of those outside that decay slowly.

    Those outside decay, at gamma where loss is uniform; elsewhere they may decay more slowly than
    those inside.
    """
    (forwards,) = np.nonzero(modes.rates.imag >= -1e-12 * scale)
    forwards = forwards[np.argsort(modes.rates[forwards].imag, kind="stable")]
    reached = np.searchsorted(modes.rates[forwards].imag, _MARGIN * window.frequency)
    inside, outside = np.split(forwards, [max(int(reached), _FIRST)])
    inside = inside[np.argsort(-modes.rates[inside].real, kind="stable")]
    if np.isfinite(window.uniform_loss):
        return inside, outside[:0]
    outside = outside[np.argsort(-modes.rates[outside].real, kind="stable")]
    slower = modes.rates[outside].real > modes.rates[inside].real.max()
    return inside, outside[slower][:_FIRST]


def _first(modes: TrialModes, window: Window, order: np.ndarray, few: int) -> np.ndarray:
    """Modes to begin with: the fastest, and where these only decay the pairs nearest to growth.

    At uniform loss modes grow in pairs of opposite energy that meet (Krein).
    """
    if np.isnan(window.uniform_loss):
        return order[:few]
    growing = modes.rates[order].real + window.uniform_loss > 1e-9 * (1 + window.frequency)
    chosen = order[growing][:few]
    rest = order[~growing]
    sign = signs(modes)[rest] > 0
    plus, minus = rest[sign], rest[~sign]
    if len(plus) and len(minus):
        gap = np.abs(modes.rates.imag[plus][:, None] - modes.rates.imag[minus])
        for place in np.argsort(gap, axis=None):
            if len(chosen) >= few:
                break
            i, j = np.unravel_index(place, gap.shape)
            pair = np.array([plus[i], minus[j]])
            chosen = np.concatenate([chosen, pair[~np.isin(pair, chosen)]])
    missing = order[~np.isin(order, chosen)]
    return np.concatenate([chosen, missing[: max(0, few - len(chosen))]])[:few]


def _suspect(modes: TrialModes, window: Window, best: float, error: float) -> np.ndarray:
    """Which modes may be unstable, or the fastest, if the trial space errs by so much.

    Where two modes meet, an error e of their distance changes the square of their growth by
    2 |b| e at most.
    """
    sensitive = 2 * window.coupling * error
    growth = modes.rates.real
    if np.isnan(window.uniform_loss):
        return growth > min(best, -np.sqrt(sensitive)) - error
    loss = window.uniform_loss
    above = max(best, 0.0) + loss  # growth without loss that would matter
    ceiling = float(np.sqrt(max(above**2 - sensitive, 0.0))) - loss - error
    growing = growth + loss > 1e-9 * (1 + window.frequency)
    return (growing & (growth > ceiling)) | endangered(modes, loss, window.coupling, above, error)


def _top(rates: np.ndarray) -> int:
    """Index of the largest growth, of a pair the one that turns forwards."""
    near = rates.real >= rates.real.max() - 1e-12 * np.abs(rates).max()
    return int(np.argmax(np.where(near, rates.imag, -np.inf)))


def _growth(
    fluctuations: Fluctuations, rate: complex, u: np.ndarray, v: np.ndarray, complete: bool,
    reason: str,
) -> Growth:  # fmt: skip
    """With int |u|^2 + |v|^2 = 1."""
    mass = fluctuations.mass
    size = np.sqrt(sum(np.vdot(part, real_times(mass, part)).real for part in (u, v)))
    size = size if size > 0 else 1.0
    return Growth(complex(rate), u[:, 0] / size, v[:, 0] / size, complete, reason)
