"""A switch-on followed in time: `nf.evolve` against SciPy's DOP853 on the same operator.

DOP853 is what `nf.evolve` was before: explicit, of order 8, with error control. On a mesh its steps
are as short as its stability demands, so its time is that of a short span, times the whole duration
over the span.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

import nepfield as nf
from nepfield.space.linalg import one_thread
from nepfield.steady.evolve import rate_of_change
from studies.speed.cases import ONE_SAMPLE, box, box_system, relative_difference
from studies.speed.measure import Measurement, best_of

_NAME = "switch-on in time"
_ERROR = 1e-4  # that is wanted at the end, relative
_TOLERANCES = (1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
_REFERENCE = 1e-7
_MESHES = Path(__file__).resolve().parents[2] / "meshes"

Case = tuple[str, Callable[[], nf.GPE], str]


def billiard() -> nf.GPE:
    """The billiard of the demo at order 2, with the nonlinearity and the loss of the box."""
    space = nf.finite_elements(nf.read_domain(_MESHES / "billiard.msh"), order=2)
    fixed = nf.potential(space, 0.0, trainable=False)
    pump = nf.gaussian_pump([1.8, 2.4], 0.6, 0.6, trainable=False)
    return nf.GPE(space, fixed, [pump], nf.Density(1.0), 0.1)


def _box(n: int) -> nf.GPE:
    return box_system(nf.finite_elements(box(n), order=2))


CASES: tuple[Case, ...] = (
    ("box", lambda: _box(15), ""),
    ("billiard", billiard, ">= 10"),
    ("box", lambda: _box(90), ">= 40"),
)


def compare_transients(
    cases: Sequence[Case] = CASES, duration: float = 30.0, limit: float = 30.0
) -> list[Measurement]:
    """Rows of the table: both steppers, from the vacuum, for each case.

    Parameters
    ----------
    cases : sequence of (name, function that makes the system, target)
    duration : float
    limit : float
        About so many seconds of DOP853 are measured.
    """
    rows = []
    for name, make, target in cases:
        system = make()
        case = f"{name}, order 2, {system.space.ndof:,} unknowns, t = {duration:g}"
        with one_thread():
            rows += _compare(case, system, target, duration, limit)
    return rows


def _compare(
    case: str, system: nf.GPE, target: str, duration: float, limit: float
) -> list[Measurement]:
    space = system.space

    def follow(tolerance: float) -> np.ndarray:
        return nf.evolve(system, ONE_SAMPLE, duration, tolerance=tolerance).state

    exact = follow(_REFERENCE)
    for tolerance in _TOLERANCES:
        error = relative_difference(space, follow(tolerance), exact)
        if error <= _ERROR:
            break
    (ours,) = best_of(2, lambda: follow(tolerance), clock=time.process_time)
    span, seconds, state = _explicit(system, duration, limit)
    theirs = seconds * duration / span
    whole = span == duration
    note = f"rtol 1e-4{'' if whole else f', extrapolated from t = {span:.3g} in {seconds:.3g} s'}"
    rows = [
        Measurement(_NAME, case, "nf.evolve", ours, "s",
                    note=f"tolerance {tolerance:g}, processor time"),
        Measurement(_NAME, case, "its error at the end", error, "", f"<= {_ERROR:g}", "relative"),
        Measurement(_NAME, case, "DOP853", theirs, "s", note=note),
        Measurement(_NAME, case, "ratio", theirs / ours, "", target, note),
    ]  # fmt: skip
    if whole:
        apart = relative_difference(space, state, exact)
        rows.append(Measurement(_NAME, case, "error of DOP853", apart, "", note="against the same"))
    return rows


def _explicit(system: nf.GPE, duration: float, limit: float) -> tuple[float, float, np.ndarray]:
    """DOP853 over a span that takes about so long: the span, processor time, the state."""
    drive = system.drive(ONE_SAMPLE).astype(complex)
    rate = rate_of_change(system, drive)
    span = min(duration, 0.01)
    while True:
        start = time.process_time()
        found = solve_ivp(
            lambda _, flat: rate(flat.reshape(drive.shape)).ravel(),
            (0, span),
            np.zeros(drive.size, dtype=complex),
            method="DOP853",
            rtol=_ERROR,
            atol=_ERROR / 100,
        )
        seconds = time.process_time() - start
        if span >= duration or seconds > limit / 3:
            return span, seconds, found.y[:, -1:]
        span = min(duration, span * min(8.0, max(1.5, limit / (2 * seconds + 1e-9))))
