"""MKL PARDISO against SuperLU: a single large mesh, from the mesh to the steady state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from nepfield.space import pardiso
from studies.speed.cases import box, relative_difference, solve_box
from studies.speed.measure import Measurement

_NAME = "MKL PARDISO against SuperLU"


def compare_factors(n: int = 274) -> list[Measurement]:
    """Processor time on one thread (run it with MKL_NUM_THREADS=1); a word where PARDISO is not
    installed."""
    if pardiso._library() is None:
        note = "pip install 'nepfield[mkl]'"
        return [Measurement(_NAME, "", "MKL PARDISO", "not installed", note=note)]
    solve_box(box(8), 2)  # imports are not counted
    domain = box(n)
    (system, steady), fast = _timed(lambda: solve_box(domain, 2))
    with _by_part() as parts:
        _, whole = _timed(lambda: solve_box(domain, 2))
    with patch.object(pardiso, "_library", lambda: None):  # as where it is not installed
        (_, other), slow = _timed(lambda: solve_box(domain, 2))
    case = f"box, order 2, {system.space.ndof:,} unknowns"
    difference = relative_difference(system.space, steady.state, other.state)
    parts["spaces, matrices, GMRES's vectors"] = whole - sum(parts.values())
    return [
        Measurement(_NAME, case, "mesh to steady state, PARDISO", fast, "s"),
        *(Measurement(_NAME, case, f"of it {k}", v, "s") for k, v in parts.items()),
        Measurement(_NAME, case, "mesh to steady state, SuperLU", slow, "s"),
        Measurement(_NAME, case, "ratio", slow / fast, "", ">= 1.7"),
        Measurement(_NAME, case, "difference of the states", difference, "", "<= 1e-6"),
    ]


@contextmanager
def _by_part() -> Iterator[dict[str, float]]:
    """Seconds that PARDISO takes meanwhile, by what it does."""
    parts = {"factors": 0.0, "solves": 0.0}
    with ExitStack() as stack:
        for name, part in (("__init__", "factors"), ("solve", "solves")):
            stack.enter_context(patch.object(pardiso._Pardiso, name, _adding(name, part, parts)))
        yield parts


def _adding(name: str, part: str, parts: dict[str, float]) -> Callable[..., Any]:
    done = getattr(pardiso._Pardiso, name)  # before it is patched

    def timed(*args: Any) -> Any:
        found, seconds = _timed(lambda: done(*args))
        parts[part] += seconds
        return found

    return timed


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    found = run()
    return found, time.process_time() - start
