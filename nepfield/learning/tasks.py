"""What is to be learned: inputs and targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nepfield.errors import InputError


@dataclass(frozen=True, eq=False)
class Task:
    """Samples to train on, and optionally others to test on.

    Attributes
    ----------
    inputs : ndarray, shape (nsamples, ninputs)
    targets : ndarray, shape (nsamples, noutputs)
    test_inputs, test_targets : ndarray, optional
    """

    inputs: np.ndarray
    targets: np.ndarray
    test_inputs: np.ndarray | None = None
    test_targets: np.ndarray | None = None

    def __post_init__(self) -> None:
        if (self.test_inputs is None) != (self.test_targets is None):
            raise InputError("task: give both test_inputs and test_targets, or neither.")
        for prefix in ("", "test_"):
            pair = []
            for kind in ("inputs", "targets"):
                given = getattr(self, prefix + kind)
                if given is None:
                    continue
                try:
                    array = np.asarray(given).astype(float, casting="same_kind")
                except (TypeError, ValueError):
                    raise InputError(
                        f"task: {prefix + kind} must be an array of numbers."
                    ) from None
                if array.ndim != 2 or not len(array):
                    raise InputError(
                        f"task: {prefix + kind} must have shape (nsamples, n) with at least one "
                        f"sample; the shape is {array.shape}."
                    )
                if not np.all(np.isfinite(array)):
                    raise InputError(f"task: {prefix + kind} holds values that are not finite.")
                object.__setattr__(self, prefix + kind, array)
                pair.append(len(array))
            if len(set(pair)) > 1:
                raise InputError(
                    f"task: {pair[0]} rows of {prefix}inputs but {pair[1]} of {prefix}targets; "
                    "each sample needs both."
                )


def xor() -> Task:
    """Exclusive or of two inputs: targets 0, 1, 1, 0 for 00, 01, 10, 11."""
    inputs = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    return Task(inputs, np.array([[0.0], [1.0], [1.0], [0.0]]))


def load_task(path: str | Path) -> Task:
    """Read a task from an .npz file with the arrays `inputs`, `targets` and, if wanted, `test_*`.

    Raises
    ------
    InputError
        If the file cannot be read or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except Exception:  # zip, pickle and value errors alike mean: not a usable file
        raise InputError(
            f"{path}: this is no .npz file of number arrays; write one with "
            "numpy.savez(file, inputs=..., targets=...)."
        ) from None
    known = {"inputs", "targets", "test_inputs", "test_targets"}
    missing = {"inputs", "targets"} - set(arrays)
    if missing:
        raise InputError(
            f"{path}: the array {sorted(missing)[0]!r} is missing; the file holds "
            f"{', '.join(sorted(arrays)) or 'none'}."
        )
    try:
        return Task(**{name: array for name, array in arrays.items() if name in known})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
