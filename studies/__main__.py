"""Run studies again: what is missing of their sweeps, then their tables, pictures, README tables.

    python -m studies [NAME ...] [--workers 2] [--quick]

NAME is a folder here; without one all are run, those first that the README leans on most, but for
`speed`, a command of its own. The folders of sweeps lie in runs/ and are gone on with where they
are. ``--quick`` is a trial run of two seeds and a few epochs into a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from studies.common import STUDIES, Job, process_pool, write_csv

_FIRST = ("mnist-15x150", "mnist-cavity")
_NAMES = {folder.name for folder in STUDIES.iterdir() if (folder / "study.toml").exists()}
ALL = [*_FIRST, *sorted(_NAMES.difference(_FIRST))]


def make(job: Job) -> Any:
    """Run a study; what its figures.py returns, or else the tables of its sweeps.

    Without a figures.py each sweep file ``NAME.toml`` gets the table ``NAME.csv``.
    """
    if (job.folder / "figures.py").exists():
        return import_module(f"studies.{job.name}.figures").make(job)
    tables = {}
    for file in sorted(job.folder.glob("*.toml")):
        if file.name != "study.toml":
            tables[file.stem] = job.sweep(file.name).table()
            write_csv(tables[file.stem], job.out / f"{file.stem}.csv", 6)
    return tables


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Entry point; what was made, by the name of the study."""
    parser = argparse.ArgumentParser(prog="python -m studies", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="studies [default: all]")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, help="write to DIR/NAME [default: into the studies]")
    parser.add_argument("--quick", action="store_true", help="trial run into a temporary folder")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.names) - set(ALL)):
        parser.error(f"{', '.join(unknown)}: known are {', '.join(ALL)}")
    made = {}
    with tempfile.TemporaryDirectory() as trial, process_pool(given.workers) as run:
        runs, out = Path("runs"), given.out or STUDIES
        if given.quick:
            runs, out = Path(trial, "runs"), given.out or Path(trial, "studies")
        for name in given.names or ALL:
            started = time.monotonic()
            (out / name).mkdir(parents=True, exist_ok=True)
            job = Job(name, out / name, runs, run, given.workers, given.quick)
            made[name] = make(job)
            print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    return made


if __name__ == "__main__":
    main()
