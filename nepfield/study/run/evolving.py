"""A study followed in physical time: `nepfield evolve`, and the folder that it leaves.

evolution.csv      a row a time and sample: what is read, in the units of the study
frames/            time-00000.vtu, ...: the intensity of each sample
frames.pvd         the list of them with their times, for ParaView
fields.vtu         the wave at the end
summary.json       what is said of them, and whether a switch-on reaches the steady states
figures/           evolution.png, evolution.gif, and the pictures of the end
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.layout import describe, place_of
from nepfield.fields.names import output_names
from nepfield.files import EVOLUTION, make_within
from nepfield.steady.envelopes import driven
from nepfield.steady.evolve import trajectory
from nepfield.steady.steady import Steady
from nepfield.study.run import folder as files
from nepfield.study.run.arrival import said_of_arrival
from nepfield.study.run.build import Study
from nepfield.study.run.claim import claimed, keeping
from nepfield.study.run.frames import write_list
from nepfield.study.run.jobs import draw_noting
from nepfield.study.run.opening import built_for
from nepfield.study.run.summary import study_entries
from nepfield.study.text.study import StudyConfig
from nepfield.systems.system import raise_unless_converged, switch_on

_LIFETIMES = 20.0
_USUAL = 4  # samples
_TIMES_WRITTEN = 200  # the tables are, at least

OnFrame = Callable[[int, int, str], None]
"""Called with the number of frames that are done and of all, and a few words."""


def evolve_study(
    config: StudyConfig,
    out: str | Path,
    run: str | Path | None = None,
    *,
    samples: Sequence[int] | None = None,
    accept_changes: bool = False,
    on_frame: OnFrame | None = None,
) -> dict[str, Any]:
    """Follow a study's wave as its section [evolve] says, and write a folder.

    Ctrl-C ends it after the frame before; the folder is then complete as far as it goes.

    Parameters
    ----------
    config : StudyConfig
    out : path
        The folder; it must not exist yet.
    run : path, optional
        Run folder whose trained parameters are used.
    samples : sequence of int, optional
        Of the task; by default the first four.
    accept_changes : bool
        As in `train_study`.
    on_frame : callable, optional

    Returns
    -------
    dict
        What is in summary.json. Its ``status`` is "evolved" or "interrupted".

    Raises
    ------
    InputError
        If the study has no wave, or something of it does not fit.
    NotConverged
        If it is to start in steady states and one is not found.
    """
    out, asked = Path(out), getattr(config, "evolve", None)
    if asked is None:
        raise InputError(
            f"{config.physics.system} has no motion in time that could be followed; nepfield "
            'evolve takes waves, physics.system = "gpe".'
        )
    with ExitStack() as stack:
        with built_for(config, out, run, accept_changes) as (study, system):
            chosen = _chosen(samples, len(study.task.inputs))
            steady = system.equilibrate(study.task.inputs[chosen], **study.solver)
            if asked.start == "steady":
                raise_unless_converged(steady)
            stack.enter_context(claimed(out, config, resume=None))
        stack.enter_context(keeping(out, "remove what is there of it, and follow it again"))
        return _Way(study, system, out, chosen, steady).followed(on_frame)


def _chosen(samples: Sequence[int] | None, count: int) -> np.ndarray:
    if samples is None:
        return np.arange(min(_USUAL, count))
    if len(samples) > files.FIELD_SAMPLES:
        raise InputError(
            f"--samples: {len(samples)} samples; at most {files.FIELD_SAMPLES} are followed."
        )
    if max(samples) >= count:
        raise InputError(
            f"--samples: there is no sample {max(samples)}; the task has {count}, counted from 0."
        )
    return np.array(samples)


class _Way:
    """Some samples of a study under way, and the files that they leave."""

    def __init__(
        self, study: Study, system: Any, out: Path, chosen: np.ndarray, steady: Steady
    ) -> None:
        self.study, self.system, self.out = study, system, out
        self.chosen, self.steady = chosen, steady
        self.inputs = study.task.inputs[chosen]
        self.entries = study_entries(study)
        asked = study.config.evolve
        self.envelope = asked.build(len(study.config.pump))
        duration = asked.time or _LIFETIMES / study.config.physics.loss
        self.times = np.linspace(0, duration, asked.frames + 1)
        self.rows: list[list[float]] = []
        self.written: list[tuple[float, str]] = []
        self.state = np.empty(0)

    def followed(self, on_frame: OnFrame | None) -> dict[str, Any]:
        """Follow them to the end, or until Ctrl-C, and write everything."""
        asked = self.study.config.evolve
        start = self.steady.state if asked.start == "steady" else None
        make_within(self.out / "frames")
        status, words = "evolved", {}
        options: dict[str, Any] = {"tolerance": asked.tolerance, "envelope": self.envelope}
        try:
            way = trajectory(self.system, self.inputs, self.times, initial=start, **options)
            for number, state in enumerate(way):
                self._keep(number, state)
                if on_frame is not None:
                    on_frame(
                        number,
                        asked.frames,
                        f"t = {self._shown(self.times[number]):.4g}{self._unit}",
                    )
            if start is None:
                words = self._arrival(on_frame)
        except KeyboardInterrupt:
            if not self.rows:
                raise
            status = "interrupted"
        self._write_tables()
        summary = {"status": status} | self._summary() | words
        summary["report"] = self._report(summary)
        files.write_summary(self.out / files.SUMMARY, summary)
        (self.out / files.FRAMES).unlink(missing_ok=True)
        return summary | {"notes": draw_noting(self.study.config, self.out)}

    # ------------------------------------------------------------ while it goes on

    def _shown(self, time: float) -> float:
        """A time in the study's unit."""
        return float(time * self.entries["units"].get("time", {}).get("factor", 1.0))

    @property
    def _unit(self) -> str:
        """Of times, after a space."""
        name = self.entries["units"].get("time", {}).get("unit", "")
        return f" {name}" if name else ""

    def _keep(self, number: int, state: np.ndarray) -> None:
        """Write the table and a frame anew."""
        self.state, time = state, self.times[number]
        factors = self._factors(time)
        read = self.study.cost.readout.outputs(state)
        scale = self.entries["units"].get(self.study.cost.readout.unit, {}).get("factor", 1.0)
        for sample, outputs in zip(self.chosen, read, strict=True):
            self.rows.append([self._shown(time), int(sample), *(scale * outputs), *factors])
        fields = self.system.fields(state, self.inputs)
        film = [field for field in fields if field.film and field.sample is not None]
        name = f"frames/time-{number:05d}.vtu"
        files.write_arrays(self.out / name, place_of(self.system), film)
        if not self.written:
            said = describe(self.system.domain, film, self._marks())
            files.write_summary(self.out / files.FRAMES, said | self.entries | self._named())
        self.written.append((self._shown(time), name))
        if number % max(1, len(self.times) // _TIMES_WRITTEN) == 0:
            self._write_tables()

    def _write_tables(self) -> None:
        files.write_text(self.out / EVOLUTION, _table([self._columns(), *self.rows]))
        write_list(self.out, self.written)

    def _factors(self, time: float) -> list[float]:
        """Of the pumps, as the table has them."""
        if self.envelope is None:
            return []
        each = self.envelope if isinstance(self.envelope, list) else [self.envelope]
        return [1.0 if e is None else float(e.factor(np.array(time))) for e in each]

    def _columns(self) -> list[str]:
        readout, units = self.study.cost.readout, self.entries["units"]
        unit = units.get(readout.unit, {}).get("unit", "")
        read = [f"{name} ({unit})" if unit else name for name in output_names(readout)]
        count = len(self._factors(0.0))
        pumps = [f"pump {k}" for k in range(count)] if count > 1 else ["pumps"] * count
        return [f"time ({self._unit.strip()})" if self._unit else "time", "sample", *read, *pumps]

    def _marks(self) -> list[Any]:
        return [*self.system.marks(), *self.study.cost.readout.marks()]

    # ------------------------------------------------------------ at the end

    def _arrival(self, on_frame: OnFrame | None) -> dict[str, Any]:
        """Whether the waves that are under way reach the steady states, where the pumps have their
        full strength in the end."""
        drive = driven(self.system, self.inputs, self.envelope)
        if not drive.full or drive.last_break > self.times[-1]:
            return {}

        def told(settled: int, time: float) -> None:
            if on_frame is not None:
                total = len(self.times) - 1
                on_frame(total, total, f"switch-on: {settled} settled, t = {time:.3g} more")

        found = switch_on(
            self.system, self.inputs, self.steady,
            tolerance=self.study.solver["tolerance"], start=self.state, told=told,
        )  # fmt: skip
        assert found is not None
        return said_of_arrival(found, {"report": [], "warnings": []})

    def _named(self) -> dict[str, Any]:
        return {"inputs": self.inputs}

    def _summary(self) -> dict[str, Any]:
        readout, steady = self.study.cost.readout, self.steady
        good = steady.converged
        at_rest = np.where(good[:, None], readout.outputs(steady.state), np.nan)
        fields = self.system.fields(self.state, self.inputs)
        said = files.write_fields(
            self.out / "fields.vtu", place_of(self.system), fields, self._marks()
        )
        return {
            **{key: self.entries[key] for key in ("name", "seed", "units", "lengths", "readout")},
            **self._named(),
            "samples": self.chosen,
            "targets": self.study.task.targets[self.chosen],
            "outputs": readout.outputs(self.state),
            "steady_outputs": at_rest,
            "fraction_converged": float(good.mean()),
            "not_converged": [r for r, ok in zip(steady.reason, good, strict=True) if not ok],
            "time": self.times[len(self.written) - 1],
            "frames": len(self.written) - 1,
            "warnings": [],
            "columns": {},
            **said,
        }

    def _report(self, summary: dict[str, Any]) -> list[dict[str, Any]]:
        start = "the vacuum" if self.study.config.evolve.start == "vacuum" else "the steady states"
        time = f"{self._shown(summary['time']):.4g}{self._unit}"
        text = f"from {start} for t = {time}, {summary['frames']} frames"
        return [{"label": "followed", "text": text}, *summary.get("report", ())]


def _table(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([f"{v:.9g}" if isinstance(v, float) else v for v in row])
    return text.getvalue()
