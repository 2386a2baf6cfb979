"""Starting values: as a study gives them, or drawn by its seed."""

from __future__ import annotations

import numpy as np

from nepfield.errors import InputError
from nepfield.study.text.values import Normal, ScaledNormal, Uniform

Given = float | complex | tuple[float, ...] | Uniform | Normal | ScaledNormal


def starting_values(
    initial: Given,
    count: int,
    seed: tuple[int, ...],
    bounds: tuple[float, float] | None = None,
    sizes: np.ndarray | None = None,
) -> np.ndarray:
    """Starting values: as given, or drawn from a distribution, which bounds cut off.

    Parameters
    ----------
    initial : number, tuple, Uniform, Normal or ScaledNormal
    count : int
    seed : tuple of int
    bounds : (low, high), optional
        Cut off a normal distribution.
    sizes : ndarray, shape (count,), optional
        N_i + N_j of each edge, for `ScaledNormal`.

    Returns
    -------
    ndarray, shape (count,)

    Raises
    ------
    InputError
        If the values given are neither one nor `count`, or scaled ones belong to no edges.
    """
    random = np.random.default_rng(seed)
    if isinstance(initial, Uniform):
        return random.uniform(*initial.uniform, size=count)
    if isinstance(initial, Normal | ScaledNormal):
        if isinstance(initial, Normal):
            values = random.normal(*initial.normal, size=count)
        elif sizes is None:
            raise InputError("scaled_normal is for a parameter on the edges of a graph.")
        else:
            values = random.normal(size=count) * initial.scaled_normal / np.sqrt(sizes)
        return values if bounds is None else np.clip(values, *bounds)
    values = np.asarray(initial)
    if values.shape not in ((), (count,)):
        raise InputError(
            f"{values.size} values for {count} of the basis; give one number, "
            f"{count} numbers, or a distribution."
        )
    return np.array(np.broadcast_to(values, count))
