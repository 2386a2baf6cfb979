"""A run folder opened from Python: what it says, what was trained, its pictures and its grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nepfield.errors import InputError
from nepfield.files import STUDY_FILE
from nepfield.learning.costs import Cost
from nepfield.learning.state import CHECKPOINT, HISTORY
from nepfield.learning.tasks import Task
from nepfield.reprs import Described, listed
from nepfield.steady.steady import Steady
from nepfield.study.run.build import Study, build
from nepfield.study.run.folder import DECISION, OUTPUTS, SUMMARY
from nepfield.study.run.trained import load_run, meshes_of, trained_system
from nepfield.systems.system import solve_steady

if TYPE_CHECKING:
    import pandas as pd
    import pyvista
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Run(Described):
    """A run folder that `nepfield train` or `nepfield solve` wrote, read when it is asked.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What summary.json holds; empty where the run has none yet."""
        from nepfield.view.records import read_summary

        return read_summary(self.folder)

    @cached_property
    def history(self) -> pd.DataFrame:
        """history.csv, a row an epoch.

        Raises
        ------
        InputError
            If the run was not trained.
        """
        import pandas as pd

        from nepfield.view.records import read_history

        return pd.DataFrame(read_history(self.folder))

    @cached_property
    def config(self) -> Any:
        """The study that was run, every key of it (`StudyConfig`)."""
        return load_run(self.folder)

    @cached_property
    def _study(self) -> Study:
        return build(self.config, meshes_of(self.folder, self.config), self.folder)

    @cached_property
    def system(self) -> Any:
        """The system with the trained parameters; with the starting ones, where none was trained.

        Of a run of `nepfield solve RUN` these are those that its study begins with.
        """
        known = (self.folder / CHECKPOINT).is_file()
        return trained_system(self._study, self.folder if known else None)

    @property
    def cost(self) -> Cost:
        """The cost, which has the readout."""
        return self._study.cost

    @property
    def task(self) -> Task:
        """Inputs and targets."""
        return self._study.task

    @property
    def name(self) -> str:
        """The name of the study."""
        from nepfield.view.records import run_title

        return run_title(self.folder)

    @property
    def pictures(self) -> list[str]:
        """What `plot` can draw."""
        from nepfield.view.render import picture_names

        trained = ["training"] if (self.folder / HISTORY).is_file() else []
        classes = ["confusion"] if self.summary.get("confusion") else []
        tables = {"samples": OUTPUTS, "decision": DECISION}
        drawn = [name for name, file in tables.items() if (self.folder / file).is_file()]
        return [*picture_names(self.folder), *trained, "outputs", *classes, *drawn]

    def solve(self, inputs: np.ndarray | None = None, **options: Any) -> Steady:
        """Steady states of the trained system.

        Parameters
        ----------
        inputs : ndarray, shape (nsamples, ninputs), optional
            By default those of the task.
        **options
            Of `solve_steady`, beside those of the study's solver.
        """
        rows = self.task.inputs if inputs is None else inputs
        return solve_steady(self.system, rows, **{**self._study.solver, **options})

    def plot(
        self,
        picture: str | None = None,
        *,
        samples: Sequence[int] | int | None = None,
        log: bool = False,
    ) -> Figure:
        """One of the `pictures`, as the run has it; arguments as in `nepfield.plot`."""
        from nepfield.view.look import run_figure

        chosen = [samples] if isinstance(samples, int) else samples
        return run_figure(self.folder, picture, chosen, log)[1]

    def to_pyvista(self) -> pyvista.UnstructuredGrid:
        """The grid of fields.vtu: dimensionless, as all numbers in a run folder."""
        from nepfield.view.runs import read_grid

        return read_grid(self.folder)

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        summary = self.summary
        rows = {
            name.replace("_", " "): summary[name]
            for name in ("cost", "gradient_cosine", "test_accuracy", "largest_error")
            if isinstance(summary.get(name), float)
        }
        status = summary.get("status", "not finished")
        epochs = f", {summary['epochs']} epochs" if "epochs" in summary else ""
        try:
            pictures = listed(self.pictures, 8)
        except InputError:
            pictures = "none"
        head = f"Run {self.name} ({status}{epochs}) in {self.folder}"
        return head, {**dict(list(rows.items())[:4]), "pictures": pictures}


def open_run(folder: str | Path) -> Run:
    """Open a run folder.

        run = nf.open_run("runs/device")
        run.summary["cost"], run.history, run.system, run.solve(), run.plot("phase")

    Parameters
    ----------
    folder : path
        As `nepfield train`, `nepfield solve` or a sweep (``cases/NAME``) wrote it.

    Returns
    -------
    Run
        What is in the folder is read when it is asked for.

    Raises
    ------
    InputError
        If it is no run folder.
    """
    path = Path(folder)
    if (path / "cases.json").is_file():
        raise InputError(f"{path}: this is the folder of a sweep; use nepfield.open_sweep.")
    if not (path / STUDY_FILE).is_file():
        raise InputError(f"{path}: this is no run folder (it has no {STUDY_FILE}).")
    if not any((path / name).exists() for name in (SUMMARY, CHECKPOINT, HISTORY, "frames")):
        raise InputError(
            f"{path}: this is no run folder, or nothing was found in its run yet: beside "
            f"{STUDY_FILE} there is neither {SUMMARY} nor {CHECKPOINT}."
        )
    return Run(path)
