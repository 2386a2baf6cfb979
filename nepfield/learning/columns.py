"""How the columns of a history are drawn: what `nepfield.view.curves` finds in summary.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nepfield.learning.rules import EXACT

Columns = dict[str, dict[str, Any]]

COST, NORMS = "cost C", "gradient norm"


def describe_columns(
    parameters: Mapping[str, str],
    figures: Mapping[str, str],
    metrics: Mapping[str, str],
    *,
    rule: str = "",
    sets: Iterable[str] = (),
    units: bool = False,
) -> Columns:
    """Which columns of a history are drawn, and how.

    Parameters
    ----------
    parameters, figures, metrics : dict of str to str
        What the trained parameters, the figures of the system and the metrics of the cost are
        called in pictures; those that are called nothing are not drawn.
    rule : str
        The learning rule.
    sets : iterable of str
        Sets of samples besides those that are trained on: "validation", "test".
    units : bool
        Whether the run has units, which norms of gradients have not.

    Returns
    -------
    dict
        By column, as `nepfield.view.curves.plot_training` reads it.
    """
    sets = list(sets)
    own = "training" if sets else ""
    columns: Columns = {"cost": {"panel": COST, "unit": "cost", "label": own}}
    columns |= {f"{name}_cost": columns["cost"] | {"label": name, "dots": True} for name in sets}
    for metric, label in metrics.items():
        said: dict[str, Any] = {"panel": label, "label": own}
        if metric == "accuracy":
            said |= {"scale": "linear", "limits": [0, 1]}
        columns[metric] = said
        columns |= {f"{name}_{metric}": said | {"label": name, "dots": True} for name in sets}
    panel = NORMS + ("\n(dimensionless)" if units else "")
    columns |= {
        f"gradient_norm_{name}": {"panel": panel, "label": label}
        for name, label in parameters.items()
    }
    columns["gradient_cosine"] = {
        "panel": "cosine", "label": f"{rule} to {EXACT}".strip(), "scale": "linear",
        "limits": [-1, 1], "level": 1.0, "dots": True,
    }  # fmt: skip
    columns["gradient_error"] = {"panel": "gradient error\nthat it measured", "level": 1.0}
    columns |= {
        name: {"panel": label, "scale": "linear"} for name, label in figures.items() if label
    }
    columns["fraction_converged"] = {
        "panel": "fraction\nconverged", "scale": "linear", "limits": [0, 1], "usual": 1.0
    }  # fmt: skip
    return columns
