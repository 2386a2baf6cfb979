"""The folder of a sweep opened from Python: its tables, its cases as runs, its pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nepfield.errors import InputError
from nepfield.reading import LARGEST, read_text
from nepfield.reprs import Described, listed
from nepfield.study.run.opened import Run, open_run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class SweepRuns(Described):
    """The folder that `nepfield sweep` wrote.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    @cached_property
    def results(self) -> pd.DataFrame:
        """results.csv: a row a case, with its number, what was varied, and how it ended.

        Raises
        ------
        InputError
            If the sweep has not ended yet, or the table is damaged.
        """
        from nepfield.view.sweeps import read_results

        return read_results(self.folder)[0]

    @property
    def varied(self) -> list[str]:
        """The keys that were varied, columns of `results`."""
        from nepfield.view.sweeps import read_results

        return list(read_results(self.folder)[1])

    @cached_property
    def statistics(self) -> pd.DataFrame | None:
        """statistics.csv, over all seeds; None where the sweep has no [success]."""
        import pandas as pd

        path = self.folder / "statistics.csv"
        return pd.read_csv(path) if path.is_file() else None

    @cached_property
    def cases(self) -> dict[int, Path]:
        """The run folder of each case, by its number; those that have begun."""
        path = self.folder / "cases.json"
        try:
            listing = json.loads(read_text(path, LARGEST))["cases"]
            found = {int(e["case"]): self.folder / "cases" / str(e["folder"]) for e in listing}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not as nepfield writes it: {error!r}") from None
        return {case: folder for case, folder in found.items() if folder.is_dir()}

    def run(self, case: int) -> Run:
        """The run of a case, by its number in `results`.

        Raises
        ------
        InputError
            If there is no such case, or it has not begun.
        """
        if case not in self.cases:
            raise InputError(f"{self.folder}: case {case} is none of {listed(self.cases)}.")
        return open_run(self.cases[case])

    def plot(
        self,
        field: str | None = None,
        *,
        samples: Sequence[int] | int | None = None,
        log: bool = False,
    ) -> Figure:
        """A column of `results` against what was varied, by default the cost; or "density",
        "phase", "potential", "gradient" of the cases side by side.

        Raises
        ------
        InputError
            For `samples` and `log`, which are of a run.
        """
        if samples is not None or log:
            raise InputError(
                f"{self.folder}: samples and log are of a run; draw one: .run(0).plot(...)."
            )
        from nepfield.view.sheets import sheet_figure, sheet_names
        from nepfield.view.sweeps import sweep_figure

        if field is None or field in self.results.columns or field not in sheet_names(self.folder):
            return sweep_figure(self.folder, field or "cost")[0]
        return sheet_figure(self.folder, field)[0]

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        head = f"SweepRuns in {self.folder}"
        if not (self.folder / "results.csv").is_file():
            return f"{head}: {len(self.cases)} cases, not finished", {}
        table = self.results
        good = int((table["status"] == "finished").sum())
        return f"{head}: {good} of {len(table)} cases finished", {
            "varied": listed(self.varied) or "seeds",
            "median cost": float(table["cost"].median()) if "cost" in table else None,
            "columns": listed(table.columns, 8),
        }


def open_sweep(folder: str | Path) -> SweepRuns:
    """Open the folder of a sweep.

        sweep = nf.open_sweep("runs/device-sweep")
        sweep.results, sweep.statistics, sweep.run(3).plot("density"), sweep.plot("cost")

    Raises
    ------
    InputError
        If it is no such folder.
    """
    path = Path(folder)
    if not (path / "cases.json").is_file() and not (path / "results.csv").is_file():
        raise InputError(f"{path}: this is no folder of a sweep (it has no cases.json).")
    return SweepRuns(path)
