"""Tables and pictures of the study: `python -m studies mnist-beyond`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator

from nepfield.view.curves import new_figure, save_figure
from studies.common import Job
from studies.mnist import evaluated, interval


def make(job: Job) -> pd.DataFrame:
    """As the other studies of MNIST, and the accuracy against the number of cells a class."""
    found = evaluated(job)
    draw_ranks(found.table, found.images, job.out / "ranks.png")
    return found.table


def draw_ranks(table: pd.DataFrame, images: int, path: Path) -> None:
    """Test accuracy of each rule against cells a class, with 95 % intervals over the test images
    of all seeds, so many each, and what a linear classifier reaches."""
    table = table.assign(cells=table["label"].str.split().str[0].astype(int))
    figure = new_figure(3.2, 5.0)
    axis = figure.subplots()
    for aside, (rule, part) in enumerate(table.groupby("rule", sort=False)):
        rows = [
            (cells, *interval(some["test_accuracy"].astype(float), images))
            for cells, some in part.groupby("cells")
        ]
        cells, mean, half = np.array(rows).T
        style: dict[str, Any] = dict(marker="o", ms=4, capsize=2, label=rule)
        axis.errorbar(cells * 1.04**aside, 100 * mean, 100 * half, **style)
    linear = table.drop_duplicates("seed")["linear"].astype(float).mean()
    axis.axhline(100 * linear, color="0.5", ls="--", lw=1, label="linear classifier")
    axis.set_xscale("log", base=2)
    counts = sorted(table["cells"].unique())
    axis.set_xticks(counts, [str(n) for n in counts])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("cells a class: fields that are squared and added")
    axis.set_ylabel("test accuracy (%)")
    axis.legend(frameon=False)
    save_figure(figure, path)
