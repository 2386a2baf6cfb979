"""Solve the box at one size and say what it cost, as JSON: ``python -m studies.speed.size N``.

A process of its own, because the operating system only tells the largest memory since it began.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import nepfield as nf
from studies.speed.cases import ONE_SAMPLE, RESIDUAL, box, box_system

_ENOUGH = 2.0  # seconds of repeats
_MOST_REPEATS = 10


def measure_size(n: int) -> dict[str, float]:
    """Cost of the steady state on n x n squares, order 2: the fastest of some repeats.

    Returns
    -------
    dict
        ``unknowns``; ``setup`` (from the mesh to the matrix), ``factorisation``, ``newton`` and
        their sum ``total`` in seconds; ``residual``; ``memory`` of the process in GB.
    """
    domain = box(n)
    _run(box(4))  # first calls load libraries
    best = _run(domain)
    spent, repeats = best["total"], 1
    while spent < _ENOUGH and repeats < _MOST_REPEATS:
        again = _run(domain)
        spent, repeats = spent + again["total"], repeats + 1
        best = min(best, again, key=lambda run: run["total"])
    return {**best, "memory": peak_memory()}


def peak_memory() -> float:
    """Largest resident memory of this process in GB."""
    try:
        with open("/proc/self/status") as lines:
            peak = next(line for line in lines if line.startswith("VmHWM"))
        return float(peak.split()[1]) / 1e6
    except (OSError, StopIteration):  # not Linux; what it tells may include the parent's
        peak_of_usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak_of_usage / (1e9 if sys.platform == "darwin" else 1e6)


def _run(domain: nf.Domain) -> dict[str, float]:
    times = [time.perf_counter()]
    system = box_system(nf.finite_elements(domain, order=2))
    _ = system.linear_part.vacuum_operator  # made here, so that it is timed here
    times.append(time.perf_counter())
    _ = system.linear_part.vacuum_factorisation
    times.append(time.perf_counter())
    steady = nf.solve_steady(system, ONE_SAMPLE, tolerance=RESIDUAL)
    times.append(time.perf_counter())
    return {
        "unknowns": system.space.ndof,
        "setup": times[1] - times[0],
        "factorisation": times[2] - times[1],
        "newton": times[3] - times[2],
        "total": times[3] - times[0],
        "residual": float(steady.residual[0]),
    }


if __name__ == "__main__":
    print(json.dumps(measure_size(int(sys.argv[1]))))
