"""Which samples an epoch takes, and in which batches."""

from __future__ import annotations

import numpy as np

from nepfield.errors import InputError


def batches(
    random: np.random.Generator, nsamples: int, batch: int, shuffle: bool = True
) -> list[np.ndarray]:
    """An epoch that takes every sample once.

    Parameters
    ----------
    random : Generator
        Draws the order; left alone without `shuffle`.
    nsamples : int
    batch : int
        Samples a step; the last batch has what is left.
    shuffle : bool

    Returns
    -------
    list of ndarray of int
        Indices of the samples, batch by batch.
    """
    order = random.permutation(nsamples) if shuffle else np.arange(nsamples)
    return _parts(order, batch)


def class_batches(
    random: np.random.Generator, classes: np.ndarray, per_class: int, batch: int | None = None
) -> list[np.ndarray]:
    """An epoch that takes equally many samples of each class, drawn with replacement.

    Parameters
    ----------
    random : Generator
    classes : ndarray of int, shape (nsamples,)
        As `classes_of` gives them; each class that stands there is drawn from.
    per_class : int
        Samples of a class in the epoch; the same sample may be drawn more than once.
    batch : int, optional
        Samples a step, then in a random order; by default all at once, class after class.

    Returns
    -------
    list of ndarray of int
        Indices of the samples, batch by batch.

    Raises
    ------
    InputError
        If `per_class` is below 1.
    """
    if per_class < 1:
        raise InputError(f"per_class = {per_class}: must be at least 1.")
    members = [np.flatnonzero(classes == k) for k in np.unique(classes)]
    drawn = np.concatenate([random.choice(among, per_class) for among in members])
    return [drawn] if batch is None else _parts(random.permutation(drawn), batch)


def occurrences(batches: list[np.ndarray]) -> list[np.ndarray]:
    """How often each sample was drawn before in the same epoch, batch by batch."""
    drawn = np.concatenate(batches)
    order = np.argsort(drawn, kind="stable")
    ordered = drawn[order]
    before = np.empty_like(drawn)
    before[order] = np.arange(len(drawn)) - np.searchsorted(ordered, ordered)
    return np.split(before, np.cumsum([len(batch) for batch in batches])[:-1])


def _parts(order: np.ndarray, batch: int) -> list[np.ndarray]:
    if batch < 1:
        raise InputError(f"batch = {batch}: must be at least 1.")
    return [order[k : k + batch] for k in range(0, len(order), batch)]
