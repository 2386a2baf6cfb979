"""Tables and pictures that the studies of elastic networks share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from nepfield.learning.evaluation import evaluate
from nepfield.study.sweeps.design import Case
from nepfield.view.animation import read_frames
from nepfield.view.curves import new_figure, save_figure
from nepfield.view.painting import Painter, legend, outline
from nepfield.view.panels import find_panels, find_scales
from nepfield.view.runs import read_run
from nepfield.view.shapes import find_marks, find_shape
from studies.common import Swept

ROUNDING = 1e-12
TRAINED = {True: "stiffnesses and rest lengths", False: "stiffnesses alone"}


def measured(swept: Swept, case: Case) -> dict[str, Any]:
    """Cost before and after the training of a case, on all sets of samples, and the lowest cosine.

    That is over the epochs that were compared with a cost above `ROUNDING`: below, both gradients
    are rounding.
    """
    study, system = swept.trained(case)
    summary = json.loads((swept.folder(case) / "summary.json").read_text())
    row: dict[str, Any] = {
        "trained": TRAINED[study.config.rest_length.trainable],
        "seed": case.seed,
    }
    for name, (inputs, targets) in study.task.sets().items():
        start = evaluate(study.system, study.cost, inputs, targets, **study.solver).cost
        end = summary["cost" if name == "train" else f"{name}_cost"]
        row |= {f"{name}_start": start, f"{name}_end": end, f"{name}_ratio": end / start}
    k, history = system.stiffness.values, swept.history(case)
    compared = history.loc[history["cost"] > ROUNDING, "gradient_cosine"]
    return row | {
        "cosine": compared.min(),
        "largest_strain": summary["largest_strain"],
        "stiffness_low": k.min(),
        "stiffness_high": k.max(),
    }


def spread(values: pd.Series) -> str:
    """Least, median and greatest."""
    return f"{values.min():.1e}, {values.median():.1e}, {values.max():.1e}"


def before_and_after(run: Path, output: Path, sample: int, words: Sequence[str]) -> Path:
    """The displaced network before and after training, springs in the same colours.

    Parameters
    ----------
    run : Path
        With its first and last frame.
    output : Path
    sample : int
        Which one is shown.
    words : (str, str)
        Over the two panels.
    """
    names = [read_frames(run)[k][1] for k in (0, -1)]
    both = [read_run(run, name) for name in names]
    whole = read_run(run)
    scales = find_scales(both)
    figure = new_figure(4.6, 10.5)
    row = figure.subplots(1, 2, sharex=True, sharey=True)
    shape = find_shape(max(both, key=lambda files: files.reach))
    marks = find_marks(whole, shape)
    painter = Painter(shape)
    try:
        for axes, files, text in zip(row, both, words, strict=True):
            panel = find_panels(files, shape, 16, scales)["deformation"][sample]
            axes.imshow(painter.image(panel, 1000), extent=painter.box, aspect="equal", zorder=0)
            axes.set(xlim=painter.box[:2], ylim=painter.box[2:], title=text, xticks=[], yticks=[])
            outline(axes, shape, marks, panel, named=False)
    finally:
        painter.close()
    layer = panel.edges
    assert layer is not None
    colors = ScalarMappable(Normalize(*layer.scale.limits), layer.scale.cmap)
    figure.colorbar(colors, ax=list(row), label=layer.label, pad=0.02, fraction=0.05, aspect=25)
    figure.suptitle(" ", fontsize=9)  # room for the legend
    legend(figure, marks, "")
    return save_figure(figure, output, [layer.scale.cmap])


def in_order(rows: list[dict[str, Any]], *columns: str) -> pd.DataFrame:
    """A table with these columns first."""
    table = pd.DataFrame(rows)
    first = [name for name in columns if name in table]
    return table[[*first, *(name for name in table if name not in first)]]


def at_rest(system: Any, cost: Any) -> np.ndarray:
    """What is read while nothing is displaced."""
    state = system.equilibrate(np.zeros((1, system.ninputs))).state
    return np.asarray(cost.readout.outputs(state)[0])
