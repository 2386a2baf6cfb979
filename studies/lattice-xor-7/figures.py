"""Tables and picture of the study: `python -m studies lattice-xor-7`."""

from __future__ import annotations

import pandas as pd

from studies.common import Job
from studies.xor_lattices import make_xor


def make(job: Job) -> pd.DataFrame:
    """One row a training."""
    return make_xor(job, "XOR on 7 sites, inputs at 1 and 3, output at 5")
