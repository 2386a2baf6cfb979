"""One study, run: train it, solve it, or compare its gradients, and leave a run folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nepfield.files import BRANCHES, EVOLUTION, START_FILE, check_within, remove_parts
from nepfield.keys import Keys
from nepfield.learning.classes import classes_of
from nepfield.learning.compare import compare_gradients
from nepfield.learning.evaluation import Evaluation
from nepfield.learning.parts import Estimator
from nepfield.learning.schedules import best_epoch
from nepfield.learning.state import (
    CHECKPOINT,
    HISTORY,
    History,
    HistoryRow,
    TrainingState,
    history_of,
)
from nepfield.study.run import folder as files
from nepfield.study.run.arrival import OnSwitch, check_arrival
from nepfield.study.run.beginning import write_start
from nepfield.study.run.build import Study, build
from nepfield.study.run.claim import check_folder, claimed, keeping, mesh_folder
from nepfield.study.run.frames import Frames
from nepfield.study.run.judging import judged
from nepfield.study.run.opening import built_for
from nepfield.study.run.summary import GRADIENT_SAMPLES, complete
from nepfield.study.run.trained import check_unchanged, meshes_of, trained_system
from nepfield.study.text.study import StudyConfig
from nepfield.systems.system import device_of

if TYPE_CHECKING:
    import pandas as pd

_FILM = 25  # frames of the film that is drawn without being asked for

OnEpoch = Callable[[TrainingState], None]


def train_study(
    config: StudyConfig,
    out: str | Path,
    *,
    resume: bool = False,
    on_epoch: OnEpoch | None = None,
    on_switch: OnSwitch | None = None,
    meshes: str | Path | None = None,
    held: bool = False,
    accept_changes: bool = False,
    estimator: Estimator | None = None,
) -> dict[str, Any]:
    """Train a study and write its run folder.

    Everything that can be wrong with the study is found before the folder is made. Ctrl-C ends the
    training after the epoch before; the folder is then completed as it stands, and the run can be
    resumed.

    Parameters
    ----------
    config : StudyConfig
    out : path
        The run folder.
    resume : bool
        Go on with a run that is in the folder; without one, begin.
    on_epoch : callable, optional
        Called with the `TrainingState` after each epoch.
    on_switch : callable, optional
        Called with a few words while the trained device is switched on.
    meshes : path, optional
        Where the mesh of a ``domain.geometry`` is kept; by default in the run folder, where (or in
        that of its sweep) studies that take values from the run look for it.
    held : bool
        Whether the caller holds the folder's lock (`nepfield.files.locked`).
    accept_changes : bool
        Go on although the content of the mesh, of the task, or the file of the user's own system
        has changed since the run began.
    estimator : callable, optional
        What estimates the gradients, as in `nepfield.train`.

    Returns
    -------
    dict
        What is in summary.json. Its ``status`` is "finished" or "interrupted".

    Raises
    ------
    InputError
        If the study cannot be run, the folder holds something else, another process is at work
        there, or what the run was made from has changed.
    NotConverged
        If in a whole epoch no steady state was found.
    """
    out = Path(out)
    check_folder(out, config, resume)
    if resume and (out / CHECKPOINT).exists():
        meshes_of(out, config, meshes)  # refuses a geometry that has changed
    with ExitStack() as stack:
        with mesh_folder(config, out, meshes) as kept:
            study = build(config, kept, out if resume else None)
            if resume and (out / CHECKPOINT).exists():
                if not accept_changes:
                    check_unchanged(study, out)
                study.check_resumable(out / CHECKPOINT)
            stack.enter_context(claimed(out, config, resume, held))
            if config.runs() and not (out / START_FILE).exists():
                write_start(out, study.system)
        stack.enter_context(keeping(out, "the epochs before are safe: go on with --resume"))
        return _train(study, out, resume, on_epoch, on_switch, estimator)


def _train(
    study: Study,
    out: Path,
    resume: bool,
    on_epoch: OnEpoch | None,
    on_switch: OnSwitch | None,
    estimator: Estimator | None,
) -> dict[str, Any]:
    """Train in a folder that is held."""
    checkpoint = out / CHECKPOINT
    started = time.monotonic()

    def after_epoch(state: TrainingState) -> None:
        frames.show(state)
        if on_epoch is not None:
            on_epoch(state)

    status, ended = "finished", np.nan
    known: dict[str, Evaluation] = {}
    try:
        frames = Frames(study, out)
        result = study.train(
            checkpoint=checkpoint, resume=resume, on_epoch=after_epoch, estimator=estimator
        )
        system, history, ended = result.system, result.history, result.final.cost
        known = {} if result.test is None else {"test": result.test}
    except KeyboardInterrupt:
        status = "interrupted"
        last = TrainingState.load(checkpoint) if checkpoint.exists() else None
        system = study.system if last is None else study.system.with_parameters(last.kept)
        history = [] if last is None else last.history
        History(history_of(checkpoint)).cut(history)  # a row may be ahead of its checkpoint
    epochs = TrainingState.load(checkpoint).epoch if checkpoint.exists() else 0
    done = complete(study, system, out, epochs, history, known)
    summary = {
        "status": status,
        "epochs": epochs,
        "stopped": status == "finished" and epochs < study.config.training.epochs,
        "kept_epoch": best_epoch(history) if study.config.training.keep == "best" else epochs,
        **done.summary,
        "samples_left_out": _left_out(study, history),
        "seconds": time.monotonic() - started,
    }
    if history:
        summary |= judged(study, system, done.result, history, summary, epochs, ended)
    if status == "finished" and study.config.training.switch_on:
        # whole already, but a run that is killed now is not finished
        files.write_summary(out / files.SUMMARY, summary | {"status": "interrupted"})
        try:
            summary |= check_arrival(study, system, done, on_switch)
        except KeyboardInterrupt:
            summary["status"] = "interrupted"
        if history and "switch_on" in summary:
            summary |= judged(study, system, done.result, history, summary, epochs, ended)
        summary["seconds"] = time.monotonic() - started
    files.write_summary(out / files.SUMMARY, summary)
    (out / files.FRAMES).unlink(missing_ok=True)  # the summary says the same and more
    return summary | {"notes": draw_noting(study.config, out)}


def solve_study(
    config: StudyConfig,
    out: str | Path,
    run: str | Path | None = None,
    accept_changes: bool = False,
) -> dict:
    """Steady states of a study's inputs, written as a run folder without history.

    Parameters
    ----------
    config : StudyConfig
    out : path
        The folder; it must not exist yet.
    run : path, optional
        Run folder whose trained parameters are used.
    accept_changes : bool
        As in `train_study`.

    Returns
    -------
    dict
        What is in summary.json.
    """
    out = Path(out)
    with ExitStack() as stack:
        with built_for(config, out, run, accept_changes) as (study, system):
            stack.enter_context(claimed(out, config, resume=None))
        stack.enter_context(keeping(out, "remove what is there of it, and solve it again"))
        summary = complete(study, system, out).summary
        found = summary["fraction_converged"] == 1
        summary = {"status": "solved" if found else "not converged"} | summary
        files.write_summary(out / files.SUMMARY, summary)
        return summary | {"notes": draw_noting(config, out)}


def compare_study(
    config: StudyConfig, run: str | Path | None = None, accept_changes: bool = False
) -> pd.DataFrame:
    """Every gradient rule against the adjoint, for the study's inputs.

    Parameters
    ----------
    config : StudyConfig
    run : path, optional
        Run folder whose trained parameters are used; otherwise the starting ones.
    accept_changes : bool
        As in `train_study`.

    Returns
    -------
    DataFrame
        As `compare_gradients`.
    """
    study = build(config) if run is None else build(config, meshes_of(run, config), Path(run))
    task, system = study.task, trained_system(study, run, accept_changes)
    inputs = task.inputs[:GRADIENT_SAMPLES]
    measured = device_of(system) is not system  # then the rules see what a laboratory shows them
    return compare_gradients(
        system,
        study.cost,
        inputs,
        task.targets[:GRADIENT_SAMPLES],
        keys=Keys(config.seed, 0, np.arange(len(inputs))) if measured else None,
        **{k: v for k, v in config.training.estimator.items() if k != "rule"},
        on_failure="flag",
        **study.solver,
    )


def _left_out(study: Study, history: list[HistoryRow]) -> int:
    """Samples of all epochs that had no steady state."""
    training, count = study.config.training, len(study.task.inputs)
    classes = classes_of(study.task.targets)
    if training.per_class is not None and classes is not None:
        count = training.per_class * len(np.unique(classes))
    count *= training.starts
    return sum(round((1 - row["fraction_converged"]) * count) for row in history)


def draw_run(run: str | Path) -> list[Path]:
    """Draw all pictures of a run folder into its folder `figures`.

    Raises
    ------
    InputError
        If the folder has no fields.
    PicturesUnavailable
        If this machine has no OpenGL; curves are drawn all the same.
    """
    # slow to import, and the workers of a sweep draw nothing
    from nepfield.view.animation import animate
    from nepfield.view.branches import plot_branches
    from nepfield.view.curves import plot_training
    from nepfield.view.decision import plot_decision
    from nepfield.view.evolution import plot_evolution
    from nepfield.view.modes import plot_spectrum
    from nepfield.view.outputs import plot_confusion, plot_outputs
    from nepfield.view.render import render_run
    from nepfield.view.samples import plot_samples

    run = Path(run)
    figures = run / "figures"
    check_within(figures)
    remove_parts(figures)
    drawn: list[Path] = []
    if (run / HISTORY).exists():
        drawn.append(plot_training(run, figures / "training.png"))
    if (run / BRANCHES).exists():
        drawn.append(plot_branches(run, figures / "branch.png"))
    if (run / EVOLUTION).exists():
        drawn.append(plot_evolution(run, figures / "evolution.png"))
    pictures = (
        (plot_outputs, "outputs"),
        (plot_samples, "samples"),
        (plot_confusion, "confusion"),
        (plot_decision, "decision"),
        (plot_spectrum, "spectrum"),
    )
    for plot, name in pictures:
        path = plot(run, figures / f"{name}.png")
        drawn += [] if path is None else [path]
    drawn += render_run(run, figures)
    if (run / EVOLUTION).exists():
        drawn.append(animate(run, figures / "evolution.gif", _FILM))
    return drawn


def draw_noting(config: StudyConfig, out: Path) -> list[str]:
    """Draw the pictures; what goes wrong becomes a note and no error: the work is done."""
    if not config.figures.enabled:
        return []
    try:
        draw_run(out)
    except Exception as problem:
        if type(problem).__name__ == "PicturesUnavailable":
            return [str(problem)]
        told = " ".join(f"{type(problem).__name__}: {problem}".split())
        return [f"{told} (the run itself is whole; nepfield plot {out} draws them anew)"]
    return []
