"""Frames of a training: what changes in it, after chosen epochs, as a film for ParaView.

    frames/epoch-000008.vtu    after epoch 8; epoch 0 is before the first step
    frames.pvd                 the list of them with their epochs
    frames.json                what they hold, until summary.json says it

A frame depends on the checkpoint of its epoch alone, so a run that is killed and resumed ends with
the same files. Frames are a power of two epochs apart (and one more after the last epoch), so
those of a longer run are, up to there, among those of a shorter one: where a run goes on to more
epochs, those that are not wanted any more are taken away, and what is left is what the longer run
would have. The same holds where fewer frames are wanted, or none. Where more are wanted than
before, epoch 0 and that of the checkpoint are made up for; the others between them are gone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nepfield.fields.layout import describe, place_of
from nepfield.files import make_within
from nepfield.keys import Keys
from nepfield.learning.state import CHECKPOINT, TrainingState
from nepfield.study.run import folder as files
from nepfield.study.run.build import Study
from nepfield.study.run.summary import study_entries


def frame_epochs(frames: int, epochs: int) -> list[int]:
    """Epochs that have a frame, from 0 to the last.

    Parameters
    ----------
    frames : int
        About so many are wanted; 0 for none. Because of the power of two there are from
        1 + (frames - 1) / 1.42 to 2 + 1.42 (frames - 1) of them (of 11 from 9 to 16; 1 counts as
        2), and never more than one an epoch beside epoch 0.
    epochs : int
        Length of the training.
    """
    if frames == 0:
        return []
    wanted = epochs / max(1, frames - 1)
    apart = 2 ** round(np.log2(wanted)) if wanted > 1 else 1
    return sorted({*range(0, epochs, apart), epochs})


class Frames:
    """Writes the frames of a run while it is trained.

    Parameters
    ----------
    study : Study
        Its `figures.frames` says how many.
    out : Path
        The run folder. Frames of it that are not wanted are taken away; those of epoch 0 and of
        the checkpoint are written if they are missing: the run may have been killed before.
    """

    def __init__(self, study: Study, out: Path) -> None:
        self.study, self.out, self.folder = study, out, out / "frames"
        config = study.config
        self.epochs = frame_epochs(config.figures.frames, config.training.epochs)
        checkpoint = out / CHECKPOINT
        state = TrainingState.load(checkpoint) if checkpoint.exists() else None
        done = 0 if state is None else state.epoch
        for epoch, path in self._there():
            if epoch not in self.epochs or epoch > done:
                path.unlink()
        if not self.epochs:
            for name in ("frames.pvd", files.FRAMES):
                (out / name).unlink(missing_ok=True)
            if self.folder.is_dir() and not any(self.folder.iterdir()):
                self.folder.rmdir()
            return
        make_within(self.folder)
        if not self._path(0).exists():
            self._write(0, None)
        if done in self.epochs and not self._path(done).exists():
            self._write(done, state)
        self._list()

    def show(self, state: TrainingState) -> None:
        """Called after each epoch."""
        if state.epoch in self.epochs:
            self._write(state.epoch, state)
            self._list()

    def _write(self, epoch: int, state: TrainingState | None) -> None:
        study = self.study
        system, inputs = study.system, study.task.inputs[: files.FIELD_SAMPLES]
        warm = None
        if state is not None:
            system = system.with_parameters(state.parameters)
            warm = None if state.warm is None else state.warm[..., : len(inputs)]
        keys = Keys(study.config.seed, epoch, np.arange(len(inputs))).fold("frame")
        # The states at hand belong to the parameters before the epoch's last step.
        steady = system.equilibrate(inputs, None, warm, keys, **study.solver)
        shown = np.where(steady.converged, steady.state, np.nan)
        fields = [field for field in system.fields(shown, inputs) if field.film]
        files.write_arrays(self._path(epoch), place_of(system), fields)
        marks = [*system.marks(), *study.cost.readout.marks()]
        said = describe(system.domain, fields, marks) | study_entries(study)
        files.write_summary(self.out / files.FRAMES, said)

    def _path(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:06d}.vtu"

    def _there(self) -> list[tuple[int, Path]]:
        names = [(re.fullmatch(r"epoch-(\d+)", p.stem), p) for p in self.folder.glob("*.vtu")]
        return sorted((int(match[1]), path) for match, path in names if match)

    def _list(self) -> None:
        write_list(self.out, [(epoch, f"frames/{path.name}") for epoch, path in self._there()])


def write_list(out: Path, frames: Sequence[tuple[float, str]]) -> None:
    """Write frames.pvd, ParaView's list of files and their times (or epochs)."""
    lines = [
        f'    <DataSet timestep="{time:.9g}" part="0" file="{name}"/>' for time, name in frames
    ]
    text = "\n".join(
        [
            '<?xml version="1.0"?>',
            '<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">',
            "  <Collection>",
            *lines,
            "  </Collection>",
            "</VTKFile>",
        ]
    )
    files.write_text(out / "frames.pvd", text + "\n")
