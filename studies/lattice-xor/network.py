"""A small neural network, trained by backpropagation, beside the lattice on the same task.

The lattice has 11 parameters (9 of V, 2 weights). A network of 2 inputs, h hidden tanh units and
1 linear output has 4 h + 1: 9 or 13. It is trained on the same cost, 1/2 mean squared error, from
the same seeds.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from nepfield.learning.tasks import xor
from studies.common import Map, markdown

EPOCHS = 300
SOLVED = 0.01  # cost, as in sweep.toml


def network_row(item: tuple[int, str, int, int]) -> dict[str, object]:
    """One training of ``MLPRegressor``: hidden units, solver, seed, epochs."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    hidden, solver, seed, epochs = item
    task = xor()
    rate = {"adam": 0.02, "sgd": 0.1}.get(solver, 0.001)
    network = MLPRegressor(
        hidden_layer_sizes=(hidden,),
        activation="tanh",
        solver=solver,
        alpha=0.0,
        batch_size=4 if solver != "lbfgs" else "auto",
        learning_rate_init=rate,
        momentum=0.0,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=epochs + 1,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # all epochs are wanted
        network.fit(task.inputs, task.targets.ravel())
    outputs = network.predict(task.inputs)
    costs = [
        *getattr(network, "loss_curve_", []),
        0.5 * np.mean((outputs - task.targets[:, 0]) ** 2),
    ]
    below = np.flatnonzero(np.array(costs) < SOLVED)
    return {
        "hidden": hidden,
        "parameters": 4 * hidden + 1,
        "solver": solver,
        "seed": seed,
        "cost": costs[-1],
        "solved": bool(costs[-1] < SOLVED),
        "epochs_to_success": int(below[0]) if len(below) and solver != "lbfgs" else pd.NA,
        "classified": bool(np.all((outputs > 0.5) == (task.targets[:, 0] > 0.5))),
    }


def network_table(seeds: int, epochs: int, run: Map) -> pd.DataFrame:
    """Networks of 9 and 13 parameters, with the optimisers of the lattice and with L-BFGS."""
    items = [
        (hidden, solver, seed, epochs)
        for hidden in (2, 3)
        for solver in ("sgd", "adam", "lbfgs")
        for seed in range(seeds)
    ]
    return pd.DataFrame(run(network_row, items))


def network_text(lattice: pd.DataFrame, network: pd.DataFrame) -> str:
    """Lattice and networks in one Markdown table."""
    rows = []
    for (case, rule), part in lattice.groupby(["case", "rule"], sort=False):
        if rule in ("nep", "adjoint") and case in ("study", "adam-random"):
            rows.append(_line(f"lattice, `{case}`", 11, f"`{rule}`", part))
    names = {"adam": "Adam, rate 0.02", "sgd": "SGD, rate 0.1", "lbfgs": "L-BFGS"}
    for (hidden, solver), part in network.groupby(["hidden", "solver"], sort=False):
        name = f"network 2-{hidden}-1, {names[solver]}"
        rows.append(_line(name, part["parameters"].iloc[0], "backpropagation", part))
    return markdown(pd.DataFrame(rows))


def _line(name: str, parameters: int, rule: str, part: pd.DataFrame) -> dict[str, object]:
    epochs = part.loc[part["solved"], "epochs_to_success"].dropna().to_numpy(dtype=float)
    return {
        "device": name,
        "parameters": parameters,
        "gradient": rule,
        "solved": f"{100 * part['solved'].mean():.0f} %",
        "epochs to success": f"{np.median(epochs):.0f}" if len(epochs) else "-",
        "cost, median": f"{part['cost'].median():.2g}",
    }
