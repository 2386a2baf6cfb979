"""Warm starts: the states of the epoch before, in memory or, beyond a bound, in a file.

Of two files the checkpoint names one; an epoch writes to the other, so that a run which is killed
goes on from the states that its checkpoint had.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from nepfield.errors import InputError
from nepfield.space.arrays import columns_of
from nepfield.steady.steady import Steady

USUAL = 1024.0
"""MB that are kept in memory."""


def file_of(warm: np.ndarray) -> Path | None:
    """The file that states lie in; None if they are in memory."""
    return Path(warm.filename) if isinstance(warm, np.memmap) and warm.filename else None


def files_of(checkpoint: Path) -> tuple[Path, Path]:
    """The files in which states may lie beside a checkpoint."""
    first, second = (checkpoint.with_name(f"{checkpoint.stem}-warm-{k}.npy") for k in (0, 1))
    return first, second


def opened(path: Path, mode: str = "r") -> np.ndarray:
    """States in a file, (..., nsamples); there the sample comes first, so that each lies in one
    piece."""
    if path.is_symlink():
        raise ValueError(f"{path.name} is a link")
    states: np.ndarray = np.lib.format.open_memmap(path, mode=mode)
    return np.moveaxis(states, 0, -1)


def room(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Room for states of a shape (nsamples, ...), seen as (..., nsamples): in memory if they take
    up to `USUAL` MB, else in a temporary file that ends with the array."""
    if np.prod(shape, dtype=float) * dtype.itemsize <= USUAL * 2**20:
        return np.moveaxis(np.empty(shape, dtype), 0, -1)
    with tempfile.TemporaryFile() as file:
        return np.moveaxis(np.memmap(file, dtype, "w+", shape=shape), 0, -1)


class WarmStarts:
    """Where the states of a training are kept from one epoch to the next.

    Parameters
    ----------
    nsamples : int
    bound : float
        MB in memory; what is larger lies in files.
    checkpoint : Path, optional
        They lie beside it, else in the folder for temporary files until the training ends.
    """

    def __init__(self, nsamples: int, bound: float, checkpoint: Path | None) -> None:
        if not bound >= 0:
            raise InputError(f"warm_memory = {bound}: it must be a number of MB, 0 or more.")
        self._nsamples, self._bound, self._checkpoint = nsamples, bound, checkpoint
        self._folder: tempfile.TemporaryDirectory | None = None

    def begin(self, warm: np.ndarray | None) -> np.ndarray | None:
        """A copy of the states of the epoch before, to be written to."""
        path = None if warm is None else file_of(warm)
        if warm is None or path is None:
            return None if warm is None else warm.copy(order="K")
        other = next(file for file in self._files() if file.name != path.name)
        other.unlink(missing_ok=True)
        shutil.copyfile(path, other)
        return opened(other, "r+")

    def keep(
        self, warm: np.ndarray | None, steady: Steady, chosen: np.ndarray
    ) -> np.ndarray | None:
        """The states to start from next time, with those that were found now."""
        state = steady.state
        if warm is None:
            warm = self._new(state.shape[:-1], state.dtype)
        good = columns_of(steady.converged)
        warm[..., chosen[good]] = state[..., good]
        return warm

    def _new(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        shape = (self._nsamples, *shape)
        if np.prod(shape, dtype=float) * dtype.itemsize <= self._bound * 2**20:
            states = np.full(shape, np.nan, dtype)
        else:
            path = self._files()[0]
            path.unlink(missing_ok=True)
            states = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
            states[...] = np.nan
        return np.moveaxis(states, 0, -1)

    def _files(self) -> tuple[Path, Path]:
        if self._checkpoint is not None:
            return files_of(self._checkpoint)
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="nepfield-")
        return files_of(Path(self._folder.name) / "training.npz")
