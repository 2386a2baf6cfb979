"""Tables and picture of the study: `python -m studies polariton-microcavity`."""

from __future__ import annotations

import pandas as pd

from nepfield.view.sweeps import plot_sweep
from studies.common import Job, write_csv


def make(job: Job) -> dict[str, pd.DataFrame]:
    """The tables of the three sweeps."""
    tables = {}
    for name in ("seeds", "linewidth", "mass"):
        swept = job.sweep(f"{name}.toml")
        tables[name] = swept.table()
        write_csv(tables[name], job.out / f"{name}.csv", 6)
        if name == "linewidth":
            plot_sweep(swept.out, job.out / "linewidth.png")
    return tables
