"""Modes of a study's cavity and the fluctuations around one of its states, as a folder.

    modes.csv       a row a mode: level, loss, detuning (level over loss), residual, the share of
                    each pump that lies in it, its share in each output
    spectrum.csv    a row a fluctuation: frequency, growth, norm (int |u|^2 - |v|^2)
    fields.vtu, summary.json, study.toml, figures/    as a run folder has them

Numbers are dimensionless, as in a run folder; pictures and what is told have the study's units.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nepfield.errors import InputError
from nepfield.fields.names import output_names
from nepfield.fields.readouts import Intensities
from nepfield.steady.modes.bogoliubov import Spectrum, bogoliubov_spectrum
from nepfield.steady.modes.cavity import Modes, modes
from nepfield.study.run import folder as files
from nepfield.study.run.build import Study
from nepfield.study.run.claim import claimed, keeping
from nepfield.study.run.jobs import draw_noting
from nepfield.study.run.opening import built_for
from nepfield.study.run.summary import study_entries
from nepfield.study.text.study import StudyConfig
from nepfield.study.text.units import UnitError
from nepfield.systems.system import solve_steady

MOST = 200
"""Modes that may be asked for."""


def modes_study(
    config: StudyConfig,
    out: str | Path,
    run: str | Path | None = None,
    *,
    count: int = 8,
    sample: int | None = None,
    near: float | str | None = None,
    accept_changes: bool = False,
) -> dict[str, Any]:
    """Find modes and fluctuations, and write them to a new folder.

    Parameters
    ----------
    config : StudyConfig
    out : path
        The folder; it must not exist yet.
    run : path, optional
        Run folder whose trained parameters are used.
    count : int
        So many modes, and so many fluctuations.
    sample : int, optional
        The input around whose steady state the fluctuations are; by default the first of those with
        the strongest drive.
    near : float or str, optional
        A level, with [units] also such as "0.1 meV"; the modes nearest to it are found, by default
        the lowest.
    accept_changes : bool
        As in `train_study`.

    Returns
    -------
    dict
        What is in summary.json, with the tables as ``modes`` and ``spectrum`` (None where the
        sample has no steady state; then ``not_converged`` says why), and ``notes``.

    Raises
    ------
    InputError
        If the study's system is no wave, there is no such sample, or the folder is there already.
    """
    out = Path(out)
    if not 1 <= count <= MOST:
        raise InputError(f"--count {count}: give a whole number from 1 to {MOST}.")
    level = None if near is None else _level(near, config)
    with ExitStack() as stack:
        with built_for(config, out, run, accept_changes) as (study, system):
            samples = len(study.task.inputs)
            if not hasattr(system, "linear_part"):
                raise InputError(
                    f"{config.name}: modes are of waves; a system {config.physics.system!r} has "
                    "none."
                )
            if sample is None:
                drive = system.space.residual_norm(system.drive(study.task.inputs))
                sample = int(np.argmax(drive >= (1 - 1e-9) * drive.max()))
            if not 0 <= sample < samples:
                raise InputError(f"--sample {sample}: the study has samples 0 to {samples - 1}.")
            stack.enter_context(claimed(out, config, resume=None))
        stack.enter_context(keeping(out, "remove what is there of it, and begin again"))
        summary, tables = _found(study, system, out, count, sample, level)
        files.write_summary(out / files.SUMMARY, summary)
        return summary | tables | {"notes": draw_noting(config, out)}


def _level(text: float | str, config: StudyConfig) -> float:
    """A level as a dimensionless number."""
    try:
        number = float(text)
    except ValueError:
        if config.units is None:
            raise InputError(
                f"--near {text}: give a number; this study has no [units] for others."
            ) from None
        try:
            number = config.units.scales.number(str(text), 1, (0.0,))[0]
        except UnitError as error:
            raise InputError(f"--near {error}; give an energy.") from None
    if not np.isfinite(number):
        raise InputError(f"--near {text}: give a finite number.")
    return number


def told(summary: Mapping[str, Any]) -> tuple[list[tuple[str, pd.DataFrame]], list[str]]:
    """Tables with their titles, and lines, in the study's units; from what `modes_study` gave."""
    energy, unit = _energy(summary["units"])
    tables = []
    for name, title in _TITLES.items():
        if summary[name] is None:
            continue
        table = summary[name].drop(columns="residual", errors="ignore")
        for column in set(_ENERGIES) & set(table.columns):
            table[column] = energy * table[column]
        heads = {c: f"{c} ({unit})" for c in _ENERGIES} if unit else {}
        tables.append((title.format(**summary), table.rename(columns=heads)))
    nearest = summary["modes"].loc[summary["nearest_mode"]]
    line = (
        f"the drive is nearest to mode {summary['nearest_mode']}, "
        f"{energy * nearest['level']:.4g}{f' {unit}'.rstrip()} away, {nearest['detuning']:.3g} "
        "times its loss"
    )
    return tables, [line]


_TITLES = {
    "modes": "{name}: modes of the cavity",
    "spectrum": "{name}: fluctuations around the state of sample {sample}",
}
_MOST_PUMPS = 64
_ENERGIES = ("level", "loss", "frequency", "growth")


def _energy(units: Mapping[str, Any]) -> tuple[float, str]:
    """What energies are multiplied by to be shown, and their unit."""
    shown = units.get("energy", {"factor": 1.0, "unit": ""})
    return float(shown["factor"]), str(shown["unit"])


def _found(
    study: Study, system: Any, out: Path, count: int, sample: int, near: float | None
) -> tuple[dict[str, Any], dict[str, pd.DataFrame | None]]:
    """Compute, write the tables and the fields, and say what there is."""
    readout = study.cost.readout
    reads = isinstance(readout, Intensities)
    cavity = modes(system, count, near, readout if reads else None)
    steady = solve_steady(
        system, study.task.inputs[[sample]], on_failure="flag", **study.solver
    )  # fmt: skip
    spectrum = None
    if steady.converged[0]:
        spectrum = bogoliubov_spectrum(system, steady, 0, count)
    entries = study_entries(study)
    energy, unit = _energy(entries["units"])
    tables = {
        "modes": _modes_table(cavity, output_names(readout) if reads else ()),
        "spectrum": None if spectrum is None else _spectrum_table(spectrum),
    }
    for name, table in tables.items():
        if table is not None:
            text = table.to_csv(index=False, lineterminator="\n")
            files.write_text(out / f"{name}.csv", text)
    drawn = cavity.fields_in(energy, unit)
    drawn += [] if spectrum is None else spectrum.fields_in(energy, unit)
    marks = [*system.marks(), *readout.marks()]
    nearest = int(np.argmin(cavity.detuning))
    summary = {
        "status": "found",
        **{key: entries[key] for key in ("name", "seed", "units", "lengths")},
        "sample": sample,
        "unknowns": system.space.ndof,
        "lowest_level": float(cavity.level.min()) if near is None else None,
        "nearest_mode": nearest,
        "detuning": float(cavity.detuning[nearest]),
        "largest_growth": None if spectrum is None else float(spectrum.growth.max()),
        "not_converged": [] if steady.converged[0] else [steady.reason[0]],
        **files.write_fields(out / "fields.vtu", system.space, drawn, marks),
    }
    return summary, tables


def _modes_table(found: Modes, names: tuple[str, ...]) -> pd.DataFrame:
    """A row a mode; images of pumps have too many to be told one by one."""
    pumps = found.pumps if len(found.pumps) <= _MOST_PUMPS else ()
    columns = {
        "mode": np.arange(len(found.level)),
        "level": found.level,
        "loss": found.loss,
        "detuning": found.detuning,
        "residual": found.residual,
        **{f"pump_{k}": share for k, share in enumerate(pumps)},
        **{f"output_{name}": share for name, share in zip(names, found.readouts, strict=True)},
    }
    return pd.DataFrame(columns)


def _spectrum_table(found: Spectrum) -> pd.DataFrame:
    """A row a fluctuation."""
    return pd.DataFrame(
        {
            "fluctuation": np.arange(len(found.growth)),
            "frequency": found.frequency,
            "growth": found.growth,
            "norm": found.norm,
        }
    )
