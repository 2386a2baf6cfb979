"""Train a study from many seeds and tell how many succeed.

    python -m studies.seeds studies/xor-billiard/study.toml [--seeds 20] [--set KEY=VALUE]

Success is decided on the state after the last epoch: cost < 0.02, outputs within 0.1 of their
targets, and a cosine of the rule's gradient to the adjoint above 0.9 in the last epoch. Where
targets reach from 0 to T (densities, with [units]), errors count in T and the cost in its square.
Writes seeds.csv beside the study.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from nepfield.study.run.jobs import train_study
from nepfield.study.systems.systems import load_study


def train_seed(path: Path, seed: int, overrides: list[str]) -> dict[str, float]:
    """Train one seed in a temporary folder; its figures after the last epoch."""
    config = load_study(path, [*overrides, "figures.enabled=false"], seed)
    with tempfile.TemporaryDirectory() as folder:
        summary = train_study(config, Path(folder) / "run")
        history = pd.read_csv(Path(folder) / "run" / "history.csv")
    outputs, targets = np.array(summary["outputs"]), np.array(summary["targets"])
    contrast = np.ptp(targets)
    error, cost = np.abs(outputs - targets).max() / contrast, summary["cost"] / contrast**2
    return {
        "seed": seed,
        "cost": cost,
        **{f"output_{k}": value for k, value in enumerate(np.ravel(outputs))},
        "largest_error": error,
        "gradient_cosine": summary["gradient_cosine"],
        "lowest_cosine": history["gradient_cosine"].min(),
        "seconds": summary["seconds"],
        "solved": bool(cost < 0.02 and error < 0.1 and summary["gradient_cosine"] > 0.9),
    }


def main(arguments: list[str] | None = None) -> pd.DataFrame:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--seeds", type=int, default=20, help="seeds 0 to N - 1")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, help="CSV file [default: seeds.csv beside the study]")
    options = parser.parse_args(arguments)
    rows = []
    for seed in range(options.seeds):
        rows.append(train_seed(options.study, seed, options.set))
        row = rows[-1]
        print(
            f"seed {seed}: cost {row['cost']:.4f}, largest error {row['largest_error']:.3f}, "
            f"cosine {row['gradient_cosine']:.4f} (lowest {row['lowest_cosine']:.4f}), "
            f"{row['seconds']:.1f} s{'' if row['solved'] else '  NOT SOLVED'}",
            flush=True,
        )
    table = pd.DataFrame(rows)
    print(f"solved: {table['solved'].sum()} of {len(table)}")
    out = options.out or options.study.parent / "seeds.csv"
    table.drop(columns="seconds").to_csv(out, index=False, float_format="%.6g")
    return table


if __name__ == "__main__":
    main()
