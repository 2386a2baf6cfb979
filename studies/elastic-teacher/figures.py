"""Table and picture of the study: `python -m studies elastic-teacher`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from studies.common import Job, fill_readme, markdown, write_csv
from studies.elastic_networks import before_and_after, in_order, measured, spread


def make(job: Job) -> pd.DataFrame:
    """One row a training."""
    swept = job.sweep()
    rows = [
        {"teacher": Path(str(case.values["task.file"])).stem[-1], **measured(swept, case)}
        for case in swept.sweep.cases
    ]
    table = in_order(rows, "trained", "teacher", "seed")
    write_csv(table, job.out / "results.csv")
    if job.quick:
        return table
    first = swept.sweep.cases[0]
    words = ("before", "after")
    before_and_after(swept.folder(first), job.out / "network.png", 0, words)
    told = []
    for name, part in table.groupby("trained", sort=False):
        told.append({
            "trained": name,
            "runs": len(part),
            "training, before": spread(part["train_start"]),
            "training, after / before": spread(part["train_ratio"]),
            "test, after / before": spread(part["test_ratio"]),
            "lowest cosine": f"{part['cosine'].min():.6f}",
        })  # fmt: skip
    fill_readme(job.out, results=markdown(pd.DataFrame(told)))
    return table
