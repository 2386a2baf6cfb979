"""Tables and picture of the study: `python -m studies ising-xor`."""

from __future__ import annotations

import numpy as np
import pandas as pd

import nepfield as nf
from studies.common import Job, fill_readme, markdown, write_csv

SPINS = "domain.vertices"
RESTARTS = 5
INSTANCES = 200
SCHEDULES = [(50, 8), (20, 16), (10, 32), (20, 32)]  # sweeps, reads


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
        counts = with_restarts(first, again)
        told = pd.DataFrame({"restarts, up to": range(RESTARTS + 1), "learnt, of 40": counts})
        fill_readme(job.out, restarts=markdown(told))
    annealed = pd.DataFrame([annealing_row(*s, 3 if job.quick else INSTANCES) for s in SCHEDULES])
    fill_readme(job.out, annealing=markdown(annealed))
    return table


def annealing_row(sweeps: int, reads: int, instances: int) -> dict[str, object]:
    """How often annealing finds the enumerated ground state of 16 spins, and at what cost: J from
    N(0, 1), h from N(0, 1/4), every spin coupled to every other."""
    domain, nothing, found, updates = nf.complete_graph(16), np.zeros((1, 0)), 0, 0.0
    for seed in range(instances):
        random = np.random.default_rng(seed)
        values = random.normal(size=len(domain.cells)), random.normal(size=16) / 2
        exact = nf.Ising(domain, *values)
        annealed = nf.Ising(domain, *values, ground_state="annealing")
        best = nf.solve_steady(exact, nothing).state
        steady = nf.solve_steady(annealed, nothing, sweeps=sweeps, reads=reads)
        found += bool(abs(exact.energy(steady.state) - exact.energy(best))[0] < 1e-9)
        updates += steady.extra["spin_updates"][0] / instances
    return {
        "sweeps": sweeps,
        "reads": reads,
        f"found, of {instances}": found,
        "spin updates an equilibrium": f"{updates:.0f}",
    }


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
    """How many seeds have learnt it with 8 spins and up to 0, 1, ... restarts of those that fail;
    restart r of seed k is seed 1000 r + k."""
    own = first[(first["label"] == "ep") & (first[SPINS] == 8)]
    learnt = {seed for seed, ok in zip(own["seed"], own["success"], strict=True) if ok}
    tried = dict(zip(again["seed"], again["success"].astype(bool), strict=True))
    counts = [len(learnt)]
    for restart in range(1, RESTARTS + 1):
        learnt |= {seed for seed in set(own["seed"]) - learnt if tried[1000 * restart + seed]}
        counts.append(len(learnt))
    return counts
