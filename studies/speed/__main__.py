"""``python -m studies.speed [--quick] [--only NAME ...] [--out DIR]``: measure, print, save."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from studies.speed import scaling
from studies.speed.against_pypde import compare_with_pypde
from studies.speed.assembly import compare_assembly
from studies.speed.batch import compare_batch
from studies.speed.certificate import SIZES, compare_certificates
from studies.speed.corrections import compare_corrections
from studies.speed.factors import compare_factors
from studies.speed.measure import Measurement, describe_machine
from studies.speed.phases import compare_phases
from studies.speed.report import print_table, write_csv
from studies.speed.runge_kutta import compare_with_runge_kutta
from studies.speed.small import compare_small
from studies.speed.stepping import Limits
from studies.speed.throughput import compare_throughput
from studies.speed.transients import CASES, compare_transients
from studies.speed.workers import compare_workers


def main(arguments: list[str] | None = None) -> None:
    """Run all benchmarks and write ``results.csv`` and ``scaling.png``."""
    parser = argparse.ArgumentParser(prog="python -m studies.speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: a check, not a result")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="some of the benchmarks, such as sweep"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/speed"),
        metavar="DIR",
        help="folder for results.csv and scaling.png (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    quick = options.quick
    console = Console()
    runs: list[dict[str, float]] = []

    def sizes() -> list[Measurement]:
        runs.extend(scaling.measure_sizes((8, 16, 32) if quick else scaling.SIZES))
        return scaling.tabulate(runs)

    limits = Limits(5, 2) if quick else Limits()
    benchmarks: dict[str, Callable[[], list[Measurement]]] = {
        "Runge-Kutta on the same operator": lambda: compare_with_runge_kutta(
            *((24, 12) if quick else (90, 20)), limits
        ),
        "py-pde": lambda: compare_with_pypde(32 if quick else 128, limits),
        "cost against size": sizes,
        "stability": lambda: compare_certificates((12, 20) if quick else SIZES),
        "switch-on in time": lambda: compare_transients(*((CASES[:1], 3.0, 2.0) if quick else ())),
        "assembly": lambda: compare_assembly(32 if quick else 128),
        "small problem": lambda: compare_small(20 if quick else 100),
        "batch": lambda: compare_batch(nx=30 if quick else 150, nsamples=10 if quick else 100),
        "corrections": lambda: compare_corrections(*(((1,), 1) if quick else ())),
        "large batches": lambda: compare_throughput(*((32, 30, 12) if quick else ())),
        "factors": lambda: compare_factors(24 if quick else 274),
        "oscillators": lambda: compare_phases(*((10, 2, 20, 1) if quick else ())),
        "sweep": lambda: compare_workers(*((4, 2) if quick else (16, 100))),
    }
    if unknown := set(options.only or ()) - set(benchmarks):
        parser.error(f"--only {', '.join(sorted(unknown))}: known are {', '.join(benchmarks)}")
    chosen = options.only or list(benchmarks)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = describe_machine()
    for name in chosen:
        with console.status(f"{name} ..."):
            rows += benchmarks[name]()
    if runs:
        scaling.draw_scaling(runs, options.out / "scaling.png")
    write_csv(rows, options.out / "results.csv")
    print_table(rows, console)
    if quick:
        console.print("The targets are meant for the full sizes.")
    missed = [row for row in rows if row.met is False]
    console.print(
        f"{sum(row.met is True for row in rows)} targets met, {len(missed)} missed. "
        f"Saved in {options.out}/",
        highlight=False,
    )


if __name__ == "__main__":
    main()
