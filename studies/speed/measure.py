"""Stop-watches, and what a benchmark hands back."""

from __future__ import annotations

import operator
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_COMPARISONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}
_LIBRARIES = ("nepfield", "numpy", "scipy", "scikit-fem", "py-pde", "numba")


@dataclass(frozen=True)
class Measurement:
    """One number of one benchmark.

    Attributes
    ----------
    benchmark, case, quantity : str
    value : float or str
    unit : str
        "s", "GB", "" for ratios and counts.
    target : str
        A comparison such as ">= 100", or empty.
    note : str
        What a reader must know to read it rightly, such as what it was extrapolated from.
    """

    benchmark: str
    case: str
    quantity: str
    value: float | str
    unit: str = ""
    target: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if not self.target or isinstance(self.value, str):
            return None
        sign, bound = self.target.split()
        return bool(_COMPARISONS[sign](self.value, float(bound)))


def best_of(
    repeats: int, *functions: Callable[[], Any], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Shortest time in seconds of each function, called in turn so that all share the weather.

    With ``clock=time.process_time`` it is processor time, to which others on the machine matter
    less; for what runs on one thread.
    """
    best = [float("inf")] * len(functions)
    for _ in range(repeats):
        for k, function in enumerate(functions):
            start = clock()
            function()
            best[k] = min(best[k], clock() - start)
    return best


def describe_machine() -> list[Measurement]:
    """Cores, processor, Python and library versions."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    found: dict[str, str] = {
        "cores": str(cores),
        "processor": _processor(),
        "system": platform.system(),
        "Python": platform.python_version(),
    }
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return [Measurement("machine", "", name, value) for name, value in found.items()]


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
