"""Classes: of what class a sample is, and as what it was read."""

from __future__ import annotations

import numpy as np

from nepfield.errors import InputError


def classes_of(targets: np.ndarray) -> np.ndarray | None:
    """The class of each sample: the output that is to be the largest.

    Parameters
    ----------
    targets : ndarray, shape (nsamples, noutputs)

    Returns
    -------
    ndarray of int, shape (nsamples,), or None
        None where the targets are no classes: fewer than two outputs, or a row whose largest value
        stands there twice.
    """
    targets = np.asarray(targets)
    if targets.ndim != 2 or targets.shape[1] < 2:
        return None
    largest = targets.max(axis=1, keepdims=True)
    if np.any(np.count_nonzero(targets == largest, axis=1) != 1):
        return None
    return targets.argmax(axis=1)


def one_hot(targets: np.ndarray) -> bool:
    """Whether targets (nsamples, noutputs) take two values, the high one once in each row."""
    targets = np.asarray(targets)
    if targets.ndim != 2 or targets.shape[1] < 2 or not len(targets):
        return False
    high = targets == targets.max()
    once = np.count_nonzero(high, axis=1) == 1
    return bool(once.all() and np.ptp(targets[~high]) == 0)


def confusion(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How often a class was read as another one.

    Parameters
    ----------
    outputs, targets : ndarray, shape (nsamples, noutputs)
        The largest output is what was read. Samples whose outputs are not finite, those that did
        not converge, are left out.

    Returns
    -------
    ndarray of int, shape (noutputs, noutputs)
        A row for each true class, a column for each class that was read.

    Raises
    ------
    InputError
        If the targets are no classes, or the shapes differ.
    """
    outputs, targets = np.asarray(outputs), np.asarray(targets)
    classes = classes_of(targets)
    if classes is None:
        raise InputError(
            "confusion: the targets are no classes; each sample needs two outputs or more, one of "
            "which has the largest target."
        )
    if outputs.shape != targets.shape:
        raise InputError(
            f"confusion: outputs of shape {outputs.shape} but targets of shape {targets.shape}."
        )
    n = targets.shape[1]
    read = np.isfinite(outputs).all(axis=1)
    pairs = classes[read] * n + outputs[read].argmax(axis=1)
    return np.bincount(pairs, minlength=n * n).reshape(n, n)
