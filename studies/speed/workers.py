"""How much faster two workers do a sweep than one."""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path

import tomli_w

from nepfield.study.sweeps.cluster import run_sweep
from nepfield.study.sweeps.design import load_sweep
from nepfield.study.sweeps.sweep import case_folder
from studies.speed.measure import Measurement

_NAME = "sweep, two workers against one"
_MEMORY = Path("/dev/shm")  # a checkpoint an epoch keeps some discs busy, which is not measured
_STUDY = Path(__file__).parents[1] / "xor-billiard" / "study.toml"


def compare_workers(
    cases: int = 16, epochs: int = 100, study: Path = _STUDY, repeats: int = 3
) -> list[Measurement]:
    """A sweep of equal cases: the time of the whole call, with the start of the workers.

    The cases differ in the largest number of Newton steps, which none of them needs, so that all do
    the same work and must end in the same state.
    """
    seconds: dict[int, list[float]] = {1: [], 2: []}
    results: list[bytes] = []
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        content = {
            "study": str(study),
            "set": {"training.epochs": epochs},
            "grid": {"solver.max_iterations": list(range(50, 50 + cases))},
        }
        (path := Path(folder, "sweep.toml")).write_text(tomli_w.dumps(content))
        sweep = load_sweep(path)
        for turn, workers in itertools.product(range(repeats), seconds):
            out = Path(folder, f"workers-{workers}-{turn}")
            start = time.perf_counter()
            table = run_sweep(sweep, out, workers=workers)
            seconds[workers].append(time.perf_counter() - start)
            if (table["status"] != "finished").any():
                raise RuntimeError(f"not all cases were finished: {set(table['error'])}")
            results += [(case_folder(out, c) / "fields.vtu").read_bytes() for c in sweep.cases]
    one, two = min(seconds[1]), min(seconds[2])
    case = f"{study.parent.name}, {cases} cases of {epochs} epochs"
    turns = ", ".join(f"{a / b:.2f}" for a, b in zip(*seconds.values(), strict=True))
    note = (
        f"the whole call, with checks, start of the workers and results.csv, best of {repeats}; "
        "run folders in memory where there is /dev/shm"
    )
    return [
        Measurement(_NAME, case, "one worker", one, "s", "", note),
        Measurement(_NAME, case, "two workers", two, "s"),
        Measurement(_NAME, case, "ratio", one / two, "", ">= 1.8"),
        Measurement(_NAME, case, "ratio, turn by turn", turns),
        Measurement(_NAME, case, "different results", len(set(results)), "", "<= 1"),
    ]
