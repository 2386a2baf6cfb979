"""States kept from one epoch to the next, in memory or in files: the same training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nepfield as nf
from nepfield.learning.state import TrainingState
from nepfield.learning.warm import file_of, files_of


def train(**options: Any) -> nf.TrainingResult:
    system = nf.GPE(
        nf.graph(nf.lattice(9)), 0.1, [nf.site_pump(2), nf.site_pump(6, 0.5)], nf.Density(0.1), 0.1
    )
    cost = nf.MSE(nf.readout(system.space, sites=[4]))
    random = np.random.default_rng(0)
    task = nf.Task(random.uniform(size=(7, 2)), random.uniform(size=(7, 1)))
    return nf.train(
        system, cost, task, optimizer=nf.Adam(0.01), **{"epochs": 5, "batch": 3, **options}
    )


def same(first: nf.TrainingResult, second: nf.TrainingResult) -> bool:
    return bool(
        np.array_equal(first.system.potential.values, second.system.potential.values)
        and first.history == second.history
        and np.array_equal(first.final.outputs, second.final.outputs)
    )


@pytest.mark.parametrize("beside", [True, False])
def test_states_in_files_are_those_in_memory(tmp_path: Path, beside: bool) -> None:
    place = {"checkpoint": tmp_path / "checkpoint.npz"} if beside else {}
    assert same(train(warm_memory=0.0, **place), train())
    assert len(list(tmp_path.glob("*-warm-*.npy"))) == 2 * beside


def test_a_killed_epoch_does_not_touch_what_its_checkpoint_names(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(state: TrainingState) -> None:
        if state.epoch == 3:
            # the fourth epoch had begun, and had written to the other file
            used = file_of(state.warm)
            (other,) = (file for file in files_of(path) if file.name != used.name)
            other.write_bytes(b"half")
            raise Killed

    path = tmp_path / "checkpoint.npz"
    with pytest.raises(Killed):
        train(warm_memory=0.0, checkpoint=path, on_epoch=kill)
    assert path.stat().st_size < 5000  # the states are not in there
    assert same(train(warm_memory=0.0, checkpoint=path, resume=True), train())


def test_states_that_are_missing_or_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    train(warm_memory=0.0, checkpoint=path, epochs=1)
    file = files_of(path)[0]
    elsewhere = file.rename(tmp_path / "elsewhere.npy")
    with pytest.raises(nf.InputError, match="no checkpoint"):
        TrainingState.load(path)
    file.symlink_to(elsewhere)
    with pytest.raises(nf.InputError, match="is a link"):
        TrainingState.load(path)


@pytest.mark.parametrize("bound", [-1.0, np.nan])
def test_a_bound_that_is_none_is_refused(bound: float) -> None:
    with pytest.raises(nf.InputError, match="warm_memory"):
        train(warm_memory=bound)
