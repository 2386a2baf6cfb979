"""Tables and picture of the study: `python -m studies lattice-xor-v-only`."""

from __future__ import annotations

import pandas as pd

from studies.common import Job
from studies.xor_lattices import make_xor


def make(job: Job) -> pd.DataFrame:
    """One row a training."""
    return make_xor(job, "XOR on 9 sites, V alone trained")
