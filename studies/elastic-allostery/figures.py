"""Table and picture of the study: `python -m studies elastic-allostery`."""

from __future__ import annotations

import pandas as pd

from nepfield.learning.evaluation import evaluate
from studies.common import Job, fill_readme, markdown, write_csv
from studies.elastic_networks import at_rest, before_and_after, in_order, measured, spread


def make(job: Job) -> pd.DataFrame:
    """One row a training."""
    swept = job.sweep()
    rows = []
    for case in swept.sweep.cases:
        study, system = swept.trained(case)
        rest = {"strain_at_rest": at_rest(system, study.cost)[0]}
        rows.append({"patch": int(case.label), **measured(swept, case), **rest})
    table = in_order(rows, "trained", "patch", "seed")
    write_csv(table, job.out / "results.csv")
    if job.quick:
        return table
    first = swept.case("372", rest_length__trainable=False, seed=0)
    study, system = swept.trained(first)
    words = []
    for text, one in (("before", study.system), ("after", system)):
        result = evaluate(one, study.cost, study.task.inputs, study.task.targets, **study.solver)
        words.append(f"{text}: the pair is strained by {result.outputs[0, 0]:.3f}")
    before_and_after(swept.folder(first), job.out / "network.png", 0, words)
    told = []
    for name, part in table.groupby("trained", sort=False):
        told.append({
            "trained": name,
            "runs": len(part),
            "cost before": spread(part["train_start"]),
            "cost after": spread(part["train_end"]),
            "after / before": spread(part["train_ratio"]),
            "strain at rest, size": spread(part["strain_at_rest"].abs()),
            "lowest cosine": f"{part['cosine'].min():.6f}",
        })  # fmt: skip
    fill_readme(job.out, results=markdown(pd.DataFrame(told)))
    return table
