"""What is to be learned: inputs and targets, to train on, to choose by, and to test on."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.learning.classes import classes_of, one_hot
from nepfield.reading import load_arrays
from nepfield.reprs import Described, counted

Levels = tuple[float, float]

_PREFIXES = {"train": "", "validation": "validation_", "test": "test_"}


@dataclass(frozen=True, eq=False)
class Task(Described):
    """Samples to train on, and optionally others to test on.

    Attributes
    ----------
    inputs : ndarray, shape (nsamples, ninputs)
    targets : ndarray, shape (nsamples, noutputs)
    test_inputs, test_targets : ndarray, optional
        Samples that say how good the result is.
    validation_inputs, validation_targets : ndarray, optional
        Samples by which a user chooses between trainings, so that the test stays fair.
    """

    inputs: np.ndarray
    targets: np.ndarray
    test_inputs: np.ndarray | None = None
    test_targets: np.ndarray | None = None
    validation_inputs: np.ndarray | None = None
    validation_targets: np.ndarray | None = None

    def __post_init__(self) -> None:
        for prefix in _PREFIXES.values():
            pair = [self._checked(prefix + kind) for kind in ("inputs", "targets")]
            inputs, targets = pair
            if (inputs is None) != (targets is None):
                raise InputError(
                    f"task: give both {prefix}inputs and {prefix}targets, or neither."
                    if prefix
                    else "task: give both inputs and targets."
                )
            if inputs is None or targets is None:
                continue
            if len(inputs) != len(targets):
                raise InputError(
                    f"task: {len(inputs)} rows of {prefix}inputs but {len(targets)} of "
                    f"{prefix}targets; each sample needs both."
                )
            object.__setattr__(self, f"{prefix}inputs", inputs)
            object.__setattr__(self, f"{prefix}targets", targets)

    def _checked(self, name: str) -> np.ndarray | None:
        given = getattr(self, name)
        if given is None:
            return None
        try:
            array = np.asarray(given).astype(float, casting="same_kind")
        except (TypeError, ValueError):
            raise InputError(f"task: {name} must be an array of numbers.") from None
        if array.ndim != 2 or not len(array):
            raise InputError(
                f"task: {name} must have shape (nsamples, n) with at least one sample; the shape "
                f"is {array.shape}."
            )
        if not np.all(np.isfinite(array)):
            raise InputError(f"task: {name} holds values that are not finite.")
        return array

    def sets(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Inputs and targets of each set that there is: "train", "validation", "test"."""
        found = {}
        for name, prefix in _PREFIXES.items():
            inputs, targets = getattr(self, f"{prefix}inputs"), getattr(self, f"{prefix}targets")
            if inputs is not None:
                found[name] = (inputs, targets)
        return found

    def with_levels(
        self, input_levels: Levels | None = None, target_levels: Levels | None = None
    ) -> Task:
        """The task with other numbers for 0 and 1, in all its sets.

        Parameters
        ----------
        input_levels, target_levels : (low, high), optional
            What 0 and 1 become, and what lies between and beyond in proportion. None leaves the
            numbers as they are.

        Raises
        ------
        InputError
            If the two levels are equal or not finite.
        """
        arrays = {
            f"{_PREFIXES[name]}{kind}": array if levels is None else _between(array, levels, kind)
            for name, pair in self.sets().items()
            for kind, array, levels in zip(
                ("inputs", "targets"), pair, (input_levels, target_levels), strict=True
            )
        }
        return replace(self, **arrays)

    def split(self, validation: float = 0.0, test: float = 0.0, seed: int = 0) -> Task:
        """Take samples out of the training set, to choose by and to test on.

        Parameters
        ----------
        validation, test : float
            Their shares of the samples; 0 for no such set.
        seed : int
            Of what is drawn: the same task, shares and seed give the same sets.

        Returns
        -------
        Task
            Each sample is in one set. Where the targets are one-hot, each class has its share of
            each set, as nearly as whole samples allow.

        Raises
        ------
        InputError
            If the task has such a set already, or one of the three would be empty.
        """
        shares = {"test": test, "validation": validation}
        for name, share in shares.items():
            if not 0 <= share < 1:
                raise InputError(f"task: {name} = {share}; a share is at least 0 and below 1.")
            if share and name in self.sets():
                raise InputError(
                    f"task: there are {name} samples already; leave out the share {name} = {share}."
                )
        nsamples = len(self.inputs)
        wanted = {name: round(share * nsamples) for name, share in shares.items()}
        left = nsamples - sum(wanted.values())
        counts = {"training": left} | {name: wanted[name] for name in shares if shares[name]}
        if empty := [name for name, count in counts.items() if count < 1]:
            raise InputError(
                f"task: validation = {validation} and test = {test} of {nsamples} samples leave "
                f"none for {empty[0]}."
            )
        classes = _one_hot_classes(self.targets)
        random = np.random.default_rng(seed)
        order = random.permutation(nsamples)
        arrays: dict[str, np.ndarray] = {}
        for name, count in wanted.items():
            if not count:
                continue
            chosen = _stratified(order, classes[order], count)
            arrays[f"{name}_inputs"] = self.inputs[np.sort(order[chosen])]
            arrays[f"{name}_targets"] = self.targets[np.sort(order[chosen])]
            order = order[~chosen]
        kept = np.sort(order)
        return replace(self, inputs=self.inputs[kept], targets=self.targets[kept], **arrays)

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        sets = {name: f"{counted(len(x), 'sample')}" for name, (x, _) in self.sets().items()}
        inputs, outputs = self.inputs.shape[1], self.targets.shape[1]
        head = f"Task: {counted(inputs, 'input')}, {counted(outputs, 'output')}"
        return f"{head}, {sets.pop('train')}", {
            **sets,
            "inputs": self.inputs,
            "targets": self.targets,
        }


def _between(array: np.ndarray, levels: Levels, kind: str) -> np.ndarray:
    low, high = levels
    if not np.isfinite([low, high]).all() or low == high:
        raise InputError(f"task: levels ({low}, {high}) of {kind}: give two numbers that differ.")
    return low + (high - low) * array


def _one_hot_classes(targets: np.ndarray) -> np.ndarray:
    """The class of each sample where each row has one high value among equal low ones; else 0."""
    classes = classes_of(targets)
    return classes if classes is not None and one_hot(targets) else np.zeros(len(targets), int)


def _stratified(order: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Mask of `count` samples of an order, each class by its share (largest remainders)."""
    labels, of_class = np.unique(classes, return_inverse=True)
    sizes = np.bincount(of_class)
    ideal = count * sizes / len(order)
    shares = np.floor(ideal).astype(int)
    largest = np.argsort(shares - ideal, kind="stable")
    shares[largest[: count - shares.sum()]] += 1
    chosen = np.zeros(len(order), dtype=bool)
    for label in range(len(labels)):
        chosen[np.flatnonzero(of_class == label)[: shares[label]]] = True
    return chosen


def xor() -> Task:
    """Exclusive or of two inputs: targets 0, 1, 1, 0 for 00, 01, 10, 11."""
    inputs = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    return Task(inputs, np.array([[0.0], [1.0], [1.0], [0.0]]))


def digits8(train_per_class: int | None = None, test_per_class: int | None = None) -> Task:
    """Handwritten digits of 8 x 8 pixels, 1797 of them, as scikit-learn has them.

    Inputs are the 64 pixels, row by row, from 0 to 1; targets are one-hot, ten of them.

    Parameters
    ----------
    train_per_class : int, optional
        The first so many images of each digit are for training; by default all images are.
    test_per_class : int, optional
        The next so many of each digit are for testing.

    Raises
    ------
    InputError
        If there are not so many images of a digit.
    """
    from sklearn.datasets import load_digits  # takes a second to import

    data = load_digits()
    inputs, targets = data.data / 16.0, np.eye(10)[data.target]
    if train_per_class is None:
        if test_per_class is not None:
            raise InputError("digits8: test_per_class needs train_per_class, which come first.")
        return Task(inputs, targets)
    first, after = train_per_class, train_per_class + (test_per_class or 0)
    fewest = int(np.bincount(data.target).min())
    if first < 1 or after > fewest or (test_per_class is not None and test_per_class < 1):
        raise InputError(
            f"digits8: train_per_class = {train_per_class}, test_per_class = {test_per_class}; "
            f"give 1 or more, together at most {fewest}, as many as there are of each digit."
        )
    place = np.empty(len(inputs), dtype=int)  # of an image among those of its digit
    for digit in range(10):
        members = np.flatnonzero(data.target == digit)
        place[members] = np.arange(len(members))
    train, test = place < first, (place >= first) & (place < after)
    if test_per_class is None:
        return Task(inputs[train], targets[train])
    return Task(inputs[train], targets[train], inputs[test], targets[test])


TASKS: dict[str, Callable[..., Task]] = {"xor": xor, "digits8": digits8}
"""Tasks by the name that studies use."""


def load_task(path: str | Path) -> Task:
    """Read a task from an .npz file.

    Its arrays are `inputs`, `targets` and, if wanted, `validation_inputs`, `validation_targets`,
    `test_inputs`, `test_targets`. Others are left alone, with a warning that names them.

    Raises
    ------
    InputError
        If the file cannot be read or lacks an array.
    """
    try:
        arrays = load_arrays(path)
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{path}: this is no .npz file that can be read ({error.strerror or error})."
        ) from None
    except Exception:  # zip, pickle and value errors alike mean: not a usable file
        raise InputError(
            f"{path}: this is no .npz file of number arrays; write one with "
            "numpy.savez(file, inputs=..., targets=...)."
        ) from None
    known = [f"{prefix}{kind}" for prefix in _PREFIXES.values() for kind in ("inputs", "targets")]
    missing = {"inputs", "targets"} - set(arrays)
    if missing:
        raise InputError(
            f"{path}: the array {sorted(missing)[0]!r} is missing; the file holds "
            f"{', '.join(sorted(arrays)) or 'none'}."
        )
    try:
        task = Task(**{name: array for name, array in arrays.items() if name in known})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if others := sorted(set(arrays) - set(known)):
        warnings.warn(
            f"{path}: not used: {', '.join(others)}; a task has the arrays {', '.join(known)}.",
            stacklevel=2,
        )
    return task
