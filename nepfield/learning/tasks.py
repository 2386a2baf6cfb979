"""What is to be learned: inputs and targets, to train on, to choose by, and to test on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.learning.classes import classes_of, one_hot
from nepfield.reprs import Described, counted

Levels = tuple[float, float]

PREFIXES = {"train": "", "validation": "validation_", "test": "test_"}
"""What the names of the arrays of each set begin with."""


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
    image : (rows, columns), optional
        Where the inputs are the pixels of an image, row by row from the top, its size.
    """

    inputs: np.ndarray
    targets: np.ndarray
    test_inputs: np.ndarray | None = None
    test_targets: np.ndarray | None = None
    validation_inputs: np.ndarray | None = None
    validation_targets: np.ndarray | None = None
    image: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for prefix in PREFIXES.values():
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
        for kind in ("inputs", "targets"):
            width = getattr(self, kind).shape[1]
            for prefix in PREFIXES.values():
                others = getattr(self, f"{prefix}{kind}")
                if others is not None and others.shape[1] != width:
                    raise InputError(
                        f"task: {kind} have {width} numbers a sample, {prefix}{kind} "
                        f"{others.shape[1]}; all sets need as many."
                    )
        if self.image is not None and np.prod(self.image) != self.inputs.shape[1]:
            rows, columns = self.image
            raise InputError(
                f"task: images of {rows} x {columns} pixels have {rows * columns} inputs, not "
                f"{self.inputs.shape[1]}."
            )

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
        for name, prefix in PREFIXES.items():
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
        arrays: dict[str, Any] = {
            f"{PREFIXES[name]}{kind}": array if levels is None else _between(array, levels, kind)
            for name, pair in self.sets().items()
            for kind, array, levels in zip(
                ("inputs", "targets"), pair, (input_levels, target_levels), strict=True
            )
        }
        return replace(self, **arrays)

    def with_classes(self, classes: Sequence[int]) -> Task:
        """The samples of some classes, in all sets; output k is then class ``classes[k]``.

        Raises
        ------
        InputError
            If the targets are not one-hot, a class stands there twice or does not exist, or a set
            has no sample of any of them.
        """
        chosen, count = list(classes), self.targets.shape[1]
        if len(set(chosen)) != len(chosen) or not all(0 <= k < count for k in chosen):
            raise InputError(
                f"task: classes = {chosen}: name each once, by numbers from 0 to {count - 1}."
            )
        arrays: dict[str, Any] = {}
        for name, (inputs, targets) in self.sets().items():
            if not one_hot(targets):
                raise InputError("task: classes needs targets that are one-hot.")
            kept = np.isin(targets.argmax(axis=1), chosen)
            if not kept.any():
                raise InputError(f"task: no {name} sample is of the classes {chosen}.")
            arrays[f"{PREFIXES[name]}inputs"] = inputs[kept]
            arrays[f"{PREFIXES[name]}targets"] = targets[kept][:, chosen]
        return replace(self, **arrays)

    def joined(self) -> Task:
        """The task with its validation samples among those that are trained on.

        For a last training, once everything has been chosen by these samples.

        Raises
        ------
        InputError
            If there are none.
        """
        if self.validation_inputs is None or self.validation_targets is None:
            raise InputError("task: there are no validation samples to train on.")
        return replace(
            self,
            inputs=np.concatenate([self.inputs, self.validation_inputs]),
            targets=np.concatenate([self.targets, self.validation_targets]),
            validation_inputs=None,
            validation_targets=None,
        )

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
        arrays: dict[str, Any] = {}
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
