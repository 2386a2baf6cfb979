"""Run the studies of the lattices again and rewrite their CSV files, pictures and README tables.

    python -m studies.lattices [--seeds 100] [--workers 2] [--only NAME ...] [--quick]

Success of a training is decided on the state after its last epoch: cost < 0.01. ``--quick`` is a
trial run: 2 seeds, 5 epochs, into a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from studies.lattices.atlas import NAME as ATLAS
from studies.lattices.atlas import near_equilibrium_atlas
from studies.lattices.sensitivity import (
    BATCH,
    BETA,
    START,
    lattice_xor_batch,
    lattice_xor_beta,
    lattice_xor_start,
)
from studies.lattices.train import STUDIES, Map, process_pool
from studies.lattices.xor import (
    Options,
    lattice_xor,
    lattice_xor_7,
    lattice_xor_disorder,
    lattice_xor_v_only,
)

ALL: dict[str, Callable[[Options, Map], pd.DataFrame]] = {
    "lattice-xor": lattice_xor,
    "lattice-xor-v-only": lattice_xor_v_only,
    "lattice-xor-7": lattice_xor_7,
    "lattice-xor-disorder": lattice_xor_disorder,
    START: lattice_xor_start,
    BATCH: lattice_xor_batch,
    BETA: lattice_xor_beta,
    ATLAS: near_equilibrium_atlas,
}


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=100, help="seeds of the main studies")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--only", nargs="+", choices=list(ALL), default=list(ALL))
    parser.add_argument("--out", type=Path, default=STUDIES, help="folder of the study folders")
    parser.add_argument("--quick", action="store_true", help="trial run into a temporary folder")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as trial, process_pool(given.workers) as run:
        options = Options(given.seeds, given.out)
        if given.quick:
            options = Options(2, Path(trial), epochs=5)
        for name in given.only:
            started = time.monotonic()
            table = ALL[name](options, run)
            print(f"{name}: {len(table)} rows, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
