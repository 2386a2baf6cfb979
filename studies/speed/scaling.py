"""Cost of a steady state against its size."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from studies.speed.measure import Measurement

_NAME = "cost against size"
_ROOT = Path(__file__).resolve().parents[2]

SIZES = (23, 42, 78, 145, 274)
"""Squares a side; order 2 gives (2 n - 1)^2 unknowns, from 2,025 to 299,209."""


def measure_sizes(sizes: Sequence[int] = SIZES) -> list[dict[str, float]]:
    """What `studies.speed.size` says of each size, each in a fresh process."""
    runs = []
    for n in sizes:
        command = [sys.executable, "-m", "studies.speed.size", str(n)]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
        runs.append(json.loads(done.stdout))
    return runs


def fit_exponent(runs: Sequence[dict[str, float]]) -> tuple[float, float]:
    """Exponent and factor of ``total = factor * unknowns**exponent``, by least squares of logs."""
    unknowns, total = ([run[key] for run in runs] for key in ("unknowns", "total"))
    exponent, log_factor = np.polyfit(np.log(unknowns), np.log(total), 1)
    return float(exponent), float(np.exp(log_factor))


def tabulate(runs: Sequence[dict[str, float]]) -> list[Measurement]:
    """Rows of the table."""
    rows = []
    for run in runs:
        case = f"box, order 2, {run['unknowns']:,} unknowns"
        rows += [
            Measurement(_NAME, case, key, run[key], "s")
            for key in ("setup", "factorisation", "newton", "total")
        ]
        rows.append(Measurement(_NAME, case, "memory of the process", run["memory"], "GB"))
    case = f"{min(r['unknowns'] for r in runs):,} to {max(r['unknowns'] for r in runs):,} unknowns"
    exponent, _ = fit_exponent(runs)
    memory = max(run["memory"] for run in runs)
    return [
        *rows,
        Measurement(_NAME, case, "exponent of the total time", exponent, "", "<= 1.5"),
        Measurement(_NAME, case, "largest memory", memory, "GB", "< 12"),
    ]


def draw_scaling(runs: Sequence[dict[str, float]], path: Path) -> None:
    """Time and memory against the number of unknowns."""
    unknowns = np.array([run["unknowns"] for run in runs])
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    times, memory = figure.subplots(1, 2)
    labels = {"total": "total", "newton": "Newton", "factorisation": "factorisation"}
    labels["setup"] = "set-up"
    for (key, label), marker in zip(labels.items(), "os^v", strict=True):
        line = "-" if key == "total" else ":"
        times.loglog(unknowns, [run[key] for run in runs], line, marker=marker, label=label)
    exponent, factor = fit_exponent(runs)
    fit = factor * unknowns.astype(float) ** exponent
    times.loglog(unknowns, fit, "k--", lw=1, label=f"fit, exponent {exponent:.2f}")
    times.set(xlabel="complex unknowns", ylabel="time (s)", title="steady state, order 2")
    times.legend(fontsize=8)
    memory.loglog(unknowns, [run["memory"] for run in runs], "o-")
    memory.set(xlabel="complex unknowns", ylabel="memory of the process (GB)")
    for axes in (times, memory):
        axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=120)
