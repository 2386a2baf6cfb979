"""Cost of the certificate of stability as JSON: ``python -m studies.speed.certificate N CASE``.

Case 0 is the box as it is: its quadratic form is definite, so one factorisation proves the state.
Case 1 has V - 2 and gamma = 0.03: the drive lies among the modes, and eigenvalues decide.
A process of its own, because the operating system only tells the largest memory since it began.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nepfield as nf
from studies.speed.cases import LOSS, ONE_SAMPLE, RESIDUAL, box, box_system
from studies.speed.measure import Measurement
from studies.speed.size import peak_memory

_NAME = "stability"
_ROOT = Path(__file__).resolve().parents[2]
_CASES = ((0.0, LOSS), (-2.0, 0.03))  # shift of V, gamma
_SECONDS = 3.0  # allowed up to so many unknowns:
_SMALL = 50_000

SIZES = (45, 90, 274)
"""Squares a side; order 2 gives (2 n - 1)^2 unknowns, from 7,921 to 299,209."""


def measure_certificate(n: int, case: int) -> dict[str, float | str]:
    """Processor time of the steady state and of its certificate on n x n squares, order 2."""
    shift, loss = _CASES[case]
    domain = box(n)
    nf.stability(*_solved(box(4), shift, loss))  # first calls load libraries
    start = time.process_time()
    system, steady = _solved(domain, shift, loss)
    middle = time.process_time()
    found = nf.stability(system, steady)
    return {
        "unknowns": system.space.ndof,
        "steady": middle - start,
        "certificate": time.process_time() - middle,
        "growth": float(found.growth[0]),
        "stability": str(found.stability[0]),
        "memory": peak_memory(),
    }


def _solved(domain: nf.Domain, shift: float, loss: float) -> tuple[nf.GPE, nf.Steady]:
    system = box_system(nf.finite_elements(domain, order=2), shift, loss)
    return system, nf.solve_steady(system, ONE_SAMPLE, tolerance=RESIDUAL)


def compare_certificates(sizes: Sequence[int] = SIZES) -> list[Measurement]:
    """Rows of the table: both cases at each size, each in a fresh process."""
    rows = []
    for n in sizes:
        proved, computed = (_in_a_process(n, case) for case in range(len(_CASES)))
        unknowns = int(proved["unknowns"])
        small = unknowns <= _SMALL
        for words, run in (("V", proved), ("V - 2, gamma = 0.03", computed)):
            case = f"box, {words}, order 2, {unknowns:,} unknowns"
            rows += [
                Measurement(_NAME, case, "steady state", run["steady"], "s", note="processor time"),
                Measurement(_NAME, case, "certificate", run["certificate"], "s",
                            f"<= {_SECONDS}" if small else "",
                            note=f"{run['stability']}, growth {run['growth']:.6f}"),
                Measurement(_NAME, case, "memory of the process", run["memory"], "GB",
                            "" if small else "<= 4.5"),
            ]  # fmt: skip
        both = float(proved["certificate"]) + float(computed["certificate"])
        slower = max(float(run["steady"]) for run in (proved, computed))
        case = f"box, order 2, {unknowns:,} unknowns"
        rows.append(
            Measurement(_NAME, case, "both certificates over a steady state", both / slower, "",
                        "" if small else "<= 1.5")
        )  # fmt: skip
    return rows


def _in_a_process(n: int, case: int) -> dict[str, float | str]:
    command = [sys.executable, "-m", "studies.speed.certificate", str(n), str(case)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    found: dict[str, float | str] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(measure_certificate(int(sys.argv[1]), int(sys.argv[2]))))
