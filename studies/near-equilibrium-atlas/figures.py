"""Tables and pictures of the atlas: `python -m studies near-equilibrium-atlas`."""

from __future__ import annotations

import pandas as pd

from studies.common import Job, fill_readme, write_csv

from .atlas import atlas_rows, grids
from .maps import (
    draw_maps,
    draw_predictor,
    judge,
    judged_text,
    map_table,
    reached_text,
    trust_text,
)


def make(job: Job) -> pd.DataFrame:
    """Sample both devices, draw the maps, and judge the predictors; one row a case."""
    parts = []
    for grid in grids(2 if job.quick else 100):
        items = [
            (grid.device, float(gamma), float(mean), tuple(grid.ratios), grid.draws)
            for gamma in grid.gammas
            for mean in grid.means
        ]
        table = pd.DataFrame([row for rows in job.map(atlas_rows, items) for row in rows])
        parts.append(table)
        draw_maps(job.out / f"{grid.device}.png", table)
    atlas = pd.concat(parts, ignore_index=True)
    write_csv(atlas, job.out / "cases.csv", 4)
    write_csv(map_table(atlas), job.out / "maps.csv", 4)
    judged = judge(atlas)
    write_csv(judged, job.out / "predictors.csv", 3)
    draw_predictor(job.out / "predictor.png", atlas, judged)
    fill_readme(
        job.out,
        reached=reached_text(atlas),
        predictors=judged_text(judged),
        trust=trust_text(atlas),
    )
    return atlas
