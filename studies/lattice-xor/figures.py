"""Tables and picture of the study: `python -m studies lattice-xor`."""

from __future__ import annotations

import pandas as pd

from studies.common import Job, fill_readme, write_csv
from studies.xor_lattices import make_xor

from .network import EPOCHS, network_table, network_text

SEEDS = 100  # of the networks, as of sweep.toml


def make(job: Job) -> pd.DataFrame:
    """One row a training; beside it a neural network of the same size on the same task."""
    table = make_xor(job, "XOR on 9 sites, inputs at 2 and 6, output at 4")
    network = network_table(*((2, 5) if job.quick else (SEEDS, EPOCHS)), job.map)
    write_csv(network, job.out / "network.csv")
    fill_readme(job.out, network=network_text(table, network))
    return table
