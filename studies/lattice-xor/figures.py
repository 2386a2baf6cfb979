"""Tables and picture of the study: `python -m studies lattice-xor`."""

from __future__ import annotations

import pandas as pd

from studies.common import Job, fill_readme, write_csv
from studies.xor_lattices import (
    lattice_table,
    make_xor,
    statistics,
    statistics_text,
    without_keys,
)

from .network import EPOCHS, network_table, network_text

SEEDS = 100  # of the networks, as of sweep.toml


def make(job: Job) -> pd.DataFrame:
    """One row a training; beside it rules that correct themselves, and a neural network of the same
    size on the same task."""
    table = make_xor(job, "XOR on 9 sites, inputs at 2 and 6, output at 4")
    corrected = corrected_table(job)
    write_csv(corrected, job.out / "corrected.csv")
    write_csv(statistics(corrected), job.out / "corrected_statistics.csv", 4)
    fill_readme(job.out, corrected=statistics_text(corrected))
    network = network_table(*((2, 5) if job.quick else (SEEDS, EPOCHS)), job.map)
    write_csv(network, job.out / "network.csv")
    fill_readme(job.out, network=network_text(table, network))
    return table


def corrected_table(job: Job) -> pd.DataFrame:
    """One row a training of corrected.toml, the rules called by their corrections."""
    key = "training.corrections"
    swept = job.sweep("corrected.toml", trial=lambda case: case.seed == 0)
    table = lattice_table(swept, key)
    table["rule"] += " + " + table[key].astype(str)
    return without_keys(table)
