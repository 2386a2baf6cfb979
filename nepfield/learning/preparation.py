"""What inputs become before a system sees them; fitted on the training samples alone.

resize         an image to fewer or more pixels, each the mean of the area that it covers
pca            the principal components of the inputs, the largest first
standardise    "all": (x - mean) / deviation with one mean and one deviation over all inputs, so
               that dark pixels, being below the mean, act as a bias; "each": of each input
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nepfield.errors import InputError
from nepfield.learning.tasks import PREFIXES, Task
from nepfield.space.linalg import one_thread

STANDARDISED = ("all", "each")
_ROUNDING = 1e-12
"""A deviation of so little, relative to the numbers that it is of, is rounding."""


def prepared(
    task: Task,
    resize: tuple[int, int] | None = None,
    pca: int | None = None,
    standardise: str | None = None,
) -> Task:
    """A task with other inputs, in all its sets: resized, then projected, then standardised.

    Parameters
    ----------
    task : Task
    resize : (rows, columns), optional
        Of the images that the inputs then are; the task must know the size of its own.
    pca : int, optional
        Number of principal components that become the inputs. Components and mean are those of the
        training samples. A component in which these do not differ is 0.
    standardise : {"all", "each"}, optional
        Over all inputs or of each input; mean and deviation are those of the training samples. An
        input that is the same in all of them becomes 0.

    Raises
    ------
    InputError
        If the inputs are no images, there are not so many components, or all inputs are the same.
    """
    sets = {name: inputs for name, (inputs, _) in task.sets().items()}
    image = task.image
    with one_thread():  # so that a run finds the same inputs again, to the last digit
        if resize is not None:
            sets = {name: _resized(inputs, image, resize) for name, inputs in sets.items()}
            image = resize
        if pca is not None:
            sets, image = _components(sets, pca), None
        if standardise is not None:
            sets = _standardised(sets, standardise)
    arrays = {f"{PREFIXES[name]}inputs": inputs for name, inputs in sets.items()}
    return replace(task, **arrays, image=image)


def area_average(old: int, new: int) -> np.ndarray:
    """Along one side of an image: the share of each old pixel in each new one, shape (new, old)."""
    edges = np.linspace(0, old, new + 1)
    low = np.maximum(edges[:-1, None], np.arange(old))
    high = np.minimum(edges[1:, None], np.arange(1, old + 1))
    return np.maximum(high - low, 0.0) * (new / old)


def _resized(
    inputs: np.ndarray, image: tuple[int, int] | None, size: tuple[int, int]
) -> np.ndarray:
    if image is None:
        raise InputError(
            f"task: resize = {list(size)} is for images; say by task.image = [rows, columns] how "
            f"large the images are that the {inputs.shape[1]} inputs are the pixels of."
        )
    rows, columns = (area_average(old, new) for old, new in zip(image, size, strict=True))
    found = rows @ inputs.reshape(-1, *image) @ columns.T
    return found.reshape(len(inputs), -1)


def _components(sets: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    from sklearn.decomposition import PCA  # takes a second to import

    most = min(sets["train"].shape)
    if not 1 <= count <= most:
        raise InputError(
            f"task: pca = {count}: {len(sets['train'])} training samples of "
            f"{sets['train'].shape[1]} inputs have at most {most} components."
        )
    if len(sets["train"]) < 2:
        raise InputError(f"task: pca = {count}: one training sample has no components.")
    fitted = PCA(count, svd_solver="covariance_eigh").fit(sets["train"])
    found = {name: fitted.transform(inputs) for name, inputs in sets.items()}
    size = np.abs(found["train"]).max(axis=0)
    varied = size > _ROUNDING * np.abs(sets["train"]).max()
    return {name: np.where(varied, inputs, 0.0) for name, inputs in found.items()}


def _standardised(sets: dict[str, np.ndarray], how: str) -> dict[str, np.ndarray]:
    if how not in STANDARDISED:
        raise InputError(f"task: standardise = {how!r}: choose {' or '.join(STANDARDISED)}.")
    train = sets["train"]
    axis = None if how == "all" else 0
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = train.mean(axis=axis), train.std(axis=axis)
    if not np.all(np.isfinite(deviation)):
        raise InputError(
            "task: standardise: the inputs are too large to have a deviation: the largest is "
            f"{np.abs(train).max():.3g}; choose another unit."
        )
    varied = deviation > _ROUNDING * np.abs(train).max(axis=axis)
    if not np.any(varied):
        raise InputError("task: standardise: all inputs of the training samples are the same.")
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varied)
    return {name: (inputs - mean) * scale for name, inputs in sets.items()}
