"""What the studies share: their sweeps, tables of these, and the tables in their READMEs.

A study is a folder with ``study.toml``, sweep files, a README with the result, and where more is
made of the sweeps than a table, ``figures.py`` with a function ``make``; ``python -m studies NAME``
runs all of it.
"""

from __future__ import annotations

import json
import multiprocessing
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from nepfield.study.run.build import build
from nepfield.study.run.trained import trained_system
from nepfield.study.sweeps.cluster import run_sweep
from nepfield.study.sweeps.design import Case, Sweep, load_sweep
from nepfield.study.sweeps.results import write_results
from nepfield.study.sweeps.sweep import case_folder, check_cases, open_sweep, run_case
from nepfield.terminal import SweepBar

STUDIES = Path(__file__).parent
EPOCHS = "training.epochs"

Row = dict[str, Any]
Map = Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]


# -- running --------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """How a study is run.

    Attributes
    ----------
    name : str
        Of its folder.
    out : Path
        Folder for tables and pictures; that of the study, or another one for a trial.
    runs : Path
        Folder for the folders of its sweeps.
    map : callable
        ``map(function, items)`` over worker processes.
    workers : int
    quick : bool
        A trial run: few seeds, few epochs.
    """

    name: str
    out: Path
    runs: Path
    map: Map
    workers: int = 1
    quick: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the study."""
        return STUDIES / self.name

    def sweep(
        self,
        file: str = "sweep.toml",
        trial: Callable[[Case], bool] | None = None,
        few: Row | None = None,
    ) -> Swept:
        """Do what is missing of a sweep, all of it on a fresh clone.

        Parameters
        ----------
        file : str
            The sweep file, in the study's folder.
        trial : callable, optional
            Which cases a trial run does; by default those of the first two seeds.
        few : dict, optional
            Keys and values that make the cases of a trial run small.
        """
        sweep = load_sweep(self.folder / file)
        if self.quick:
            two = list(dict.fromkeys(case.seed for case in sweep.cases))[:2]
            sweep = part_of(sweep, trial or (lambda case: case.seed in two), epochs=2)
            sweep = replace(sweep, fixed={**sweep.fixed, **(few or {})})
            return run_here(sweep, self.runs / sweep.name)
        out = self.runs / sweep.name
        with SweepBar(sweep.name, len(sweep.cases), quiet=False) as bar:
            run_sweep(sweep, out, workers=self.workers, resume=True, on_progress=bar.show)
        return Swept(sweep, out)


@dataclass(frozen=True)
class Swept:
    """A sweep that has been run, and its folder."""

    sweep: Sweep
    out: Path

    def folder(self, case: Case) -> Path:
        """The run folder of a case."""
        return case_folder(self.out, case)

    def case(self, label: str = "", **values: Any) -> Case:
        """The first case with a label and values; keys are given as ``training__rule="nep"``."""
        wanted = {key.replace("__", "."): value for key, value in values.items()}
        for case in self.sweep.cases:
            if case.label == label and wanted.items() <= {**case.values, "seed": case.seed}.items():
                return case
        raise KeyError(f"{self.sweep.path}: no case with {label!r}, {wanted}")

    def trained(self, case: Case) -> tuple[Any, Any]:
        """The study of a case as it is built, and its system as it was trained."""
        study = build(self.sweep.config(case), self.out / "meshes")
        return study, trained_system(study, self.folder(case))

    def history(self, case: Case) -> pd.DataFrame:
        """history.csv of a case, empty where there is none."""
        path = self.folder(case) / "history.csv"
        return pd.read_csv(path) if path.exists() else pd.DataFrame()

    def table(self) -> pd.DataFrame:
        """results.csv, with the outputs of each case, up to 16 numbers, and the lowest cosine of
        its training."""
        rows = []
        for case, (_, result) in zip(
            self.sweep.cases, write_results(self.out).iterrows(), strict=True
        ):
            row = result.drop("error").to_dict()
            if row["status"] == "finished":
                summary = json.loads((self.folder(case) / "summary.json").read_text())
                outputs = np.ravel(summary["outputs"])
                if outputs.size <= 16:
                    row |= {f"output_{k}": v for k, v in enumerate(outputs)}
                cosines = self.history(case).get("gradient_cosine", pd.Series(dtype=float))
                row["lowest_cosine"] = min(1.0, cosines.min()) if cosines.notna().any() else None
            rows.append(row | {"error": result["error"]})
        names = dict.fromkeys(name for row in rows for name in row if name != "error")
        table = pd.DataFrame(rows, columns=[*names, "error"])
        for name in ("epochs_to_success", "epochs", "cells", "unknowns"):
            if name in table:
                table[name] = table[name].astype("Int64")
        return table


def part_of(sweep: Sweep, chosen: Callable[[Case], bool], epochs: int | None = None) -> Sweep:
    """Some cases of a sweep, perhaps with other numbers of epochs, and then without a switch-on of
    what is not trained."""
    changed = {} if epochs is None else {EPOCHS: epochs, "training.switch_on": False}
    cases = [
        replace(case, values=case.values | {k: v for k, v in changed.items() if k in case.values})
        for case in sweep.cases
        if chosen(case)
    ]
    return replace(sweep, cases=tuple(cases), fixed={**sweep.fixed, **changed})


def run_here(sweep: Sweep, out: Path) -> Swept:
    """Run a sweep in this process."""
    check_cases(sweep)
    open_sweep(sweep, out, resume=out.exists())
    for case in sweep.cases:
        run_case(sweep.config(case), str(case_folder(out, case)), str(out / "meshes"))
    return Swept(sweep, out)


@contextmanager
def process_pool(workers: int) -> Iterator[Map]:
    """A `map` over worker processes, each on one thread; in this process if `workers` is 1."""
    if workers <= 1:
        with threadpool_limits(1):
            yield lambda function, items: [function(item) for item in items]
        return
    with multiprocessing.get_context("spawn").Pool(workers, threadpool_limits, (1,)) as pool:
        yield lambda function, items: pool.map(function, items, chunksize=4)


# -- tables ---------------------------------------------------------------------------


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown; every value is written as `str` would."""
    lines = [list(map(str, table.columns)), ["---"] * len(table.columns)]
    lines += [[str(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def code(value: object) -> str:
    """A word as code in Markdown; anything else as it is."""
    return (
        f"`{value}`" if isinstance(value, str) and re.fullmatch(r"[\w.-]+", value) else str(value)
    )


def write_csv(table: pd.DataFrame, path: Path, digits: int = 5) -> None:
    """Write a table with so many significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format=f"%.{digits}g")


def fill_readme(folder: Path, **tables: str) -> None:
    """Put tables into the marked places of a folder's README, if it has one.

    A README marks the place of a table with ``<!-- NAME -->`` and ``<!-- end -->``; what stands
    between the two is replaced.
    """
    readme = folder / "README.md"
    if not readme.exists():
        return
    text = readme.read_text(encoding="utf-8")
    for name, table in tables.items():
        pattern = rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            pattern, lambda m, t=table: f"{m[1]}\n{t}\n\n{m[2]}", text, flags=re.DOTALL
        )
        if not count:
            raise ValueError(f"{readme}: there is no place for the table {name!r}")
    readme.write_text(text, encoding="utf-8")


def by_order(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows sorted by columns, each in the order in which its values appear."""
    places = table.copy()
    for column in columns:
        places[column] = pd.factorize(places[column])[0]
    order = places.sort_values(list(columns), kind="stable").index
    return table.loc[order].reset_index(drop=True)
