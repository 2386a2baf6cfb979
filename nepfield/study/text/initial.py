"""Starting values: as a study gives them, or drawn by its seed."""

from __future__ import annotations

import numpy as np

from nepfield.errors import InputError
from nepfield.study.text.values import Normal, Uniform

Initial = float | complex | tuple[float, ...] | Uniform | Normal


def draw(
    initial: Initial, count: int, seed: tuple[int, ...], bounds: tuple[float, float] | None = None
) -> np.ndarray:
    """Starting values: as given, or drawn from a distribution, which bounds cut off.

    Parameters
    ----------
    initial : number, tuple, Uniform or Normal
    count : int
    seed : tuple of int
    bounds : (low, high), optional
        Cut off a normal distribution.

    Returns
    -------
    ndarray, shape (count,)

    Raises
    ------
    InputError
        If the values given are neither one nor `count`.
    """
    random = np.random.default_rng(seed)
    if isinstance(initial, Uniform):
        return random.uniform(*initial.uniform, size=count)
    if isinstance(initial, Normal):
        values = random.normal(*initial.normal, size=count)
        return values if bounds is None else np.clip(values, *bounds)
    values = np.asarray(initial)
    if values.shape not in ((), (count,)):
        raise InputError(
            f"{values.size} values for {count} of the basis; give one number, "
            f"{count} numbers, or a distribution."
        )
    return np.array(np.broadcast_to(values, count))
