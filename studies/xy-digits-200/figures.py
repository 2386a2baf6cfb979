"""Tables and picture of the study: `python -m studies xy-digits-200`."""

from __future__ import annotations

import pandas as pd

from studies import xy_digits
from studies.common import Job


def make(job: Job) -> pd.DataFrame:
    """One row a training."""
    return xy_digits.make(job, hidden=200)
