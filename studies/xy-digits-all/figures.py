"""Tables and picture of the study: `python -m studies xy-digits-all`."""

from __future__ import annotations

import pandas as pd

from studies import xy_digits
from studies.common import Job


def make(job: Job) -> pd.DataFrame:
    """One row a training; a network of 64-20-10 has as many numbers to train."""
    return xy_digits.make(job, hidden=20)
