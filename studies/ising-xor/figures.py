"""Tables of the study: `python -m studies ising-xor`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from studies.common import Job, fill_readme, markdown, write_csv

SPINS = "domain.vertices"
RESTARTS = 5


def make(job: Job) -> pd.DataFrame:
    """One row a training."""
    first, again = job.sweep().table(), job.sweep("restarts.toml").table()
    again["label"], again[SPINS] = "ep", 8
    columns = ["label", SPINS, "seed", "cost", "success", "epochs_to_success", "ever", "gap"]
    table = pd.concat([first, again])[columns]
    write_csv(table, job.out / "results.csv")
    rows = [row(*key, part) for key, part in first.groupby(["label", SPINS], sort=False)]
    fill_readme(job.out, results=markdown(pd.DataFrame(rows)))
    if not job.quick:
        solved = with_restarts(first, again)
        told = [{"restarts, up to": k, "of 40": count} for k, count in enumerate(solved)]
        fill_readme(job.out, restarts=markdown(pd.DataFrame(told)))
    return table


def row(label: str, spins: int, part: pd.DataFrame) -> dict[str, object]:
    """What is told of one size."""
    epochs = part.loc[part["success"].astype(bool), "epochs_to_success"].dropna().astype(float)
    middle = f"{np.median(epochs):.0f} ({epochs.min():.0f}-{epochs.max():.0f})"
    return {
        "rule": f"`{label}`",
        "spins": spins,
        "learnt, of 40 seeds": int(part["success"].sum()),
        "ever": int(part["ever"].sum()),
        "epochs to success": middle if len(epochs) else "-",
    }


def with_restarts(first: pd.DataFrame, again: pd.DataFrame) -> list[int]:
    """How many of the seeds have learnt it with up to 0, 1, ... restarts, with 8 spins."""
    own = first[(first["label"] == "ep") & (first[SPINS] == 8)].sort_values("seed")
    restarts = again.sort_values("seed")["success"].to_numpy(dtype=bool)
    tries = np.column_stack(
        [own["success"].to_numpy(dtype=bool), restarts.reshape(len(own), RESTARTS)]
    )
    return [int(count) for count in np.logical_or.accumulate(tries, axis=1).sum(axis=0)]
