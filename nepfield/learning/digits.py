"""Handwritten digits: scikit-learn's of 8 x 8 pixels, and MNIST's of 28 x 28.

Of MNIST 10,000 images are in the package (`nepfield/data/README.md` has their source and licence);
all 70,000 are read from IDX files, the format in which they are distributed, or fetched from OpenML
by scikit-learn, where the user says so.
"""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nepfield.errors import InputError
from nepfield.learning.tasks import Task, xor
from nepfield.reading import LARGEST, is_regular, load_arrays, open_regular

SHIPPED = Path(__file__).parents[1] / "data" / "mnist10k.npz"
OPENML = "openml"
SIDE = 28  # pixels
_IDX = {"train": "train", "test": "t10k"}  # how the names of the four files begin
_ENDS = tuple(f"-ubyte{end}" for end in ("", ".gz"))


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
    return _counted(
        data.data / 16.0, data.target, (8, 8), "digits8", train_per_class, test_per_class
    )


def mnist(
    source: str | Path | None = None,
    train_per_class: int | None = None,
    test_per_class: int | None = None,
) -> Task:
    """Handwritten digits of 28 x 28 pixels (LeCun, Cortes, Burges).

    Inputs are the 784 pixels, row by row, from 0 (paper) to 1 (ink); targets are one-hot.

    Parameters
    ----------
    source : path or "openml", optional
        By default the first 10,000 training images of MNIST, which are in the package, without a
        test set. A folder with the four IDX files (``train-images-idx3-ubyte`` and so on, also
        gzipped), or "openml", from where scikit-learn fetches and then keeps them: 60,000 images to
        train on and 10,000 to test.
    train_per_class : int, optional
        Only the first so many images of each digit are for training.
    test_per_class : int, optional
        The next so many of each digit are for testing; of a source with a test set the first ones
        of that.

    Raises
    ------
    InputError
        If a file is missing or damaged, OpenML cannot be reached, or there are not so many images
        of a digit.
    """
    if source is None:
        arrays = load_arrays(SHIPPED)
        images, labels = _mixed(arrays["x"], arrays["y"])
        return _counted(
            images / 255.0, labels, (SIDE, SIDE), "mnist", train_per_class, test_per_class
        )
    parts = _from_openml() if source == OPENML else _from_idx(Path(source))
    (inputs, labels), (test_inputs, test_labels) = parts
    train = _counted(inputs, labels, (SIDE, SIDE), "mnist", train_per_class, None)
    test = _counted(test_inputs, test_labels, (SIDE, SIDE), "mnist (test)", test_per_class, None)
    return Task(train.inputs, train.targets, test.inputs, test.targets, image=(SIDE, SIDE))


def _counted(
    inputs: np.ndarray,
    labels: np.ndarray,
    image: tuple[int, int],
    name: str,
    train_per_class: int | None,
    test_per_class: int | None,
) -> Task:
    """Images with one-hot targets; of each digit the first ones to train on, the next to test."""
    targets = np.eye(10)[labels]
    if train_per_class is None:
        if test_per_class is not None:
            raise InputError(f"{name}: test_per_class needs train_per_class, which come first.")
        return Task(inputs, targets, image=image)
    first, after = train_per_class, train_per_class + (test_per_class or 0)
    fewest = int(np.bincount(labels).min())
    if first < 1 or after > fewest or (test_per_class is not None and test_per_class < 1):
        raise InputError(
            f"{name}: train_per_class = {train_per_class}, test_per_class = {test_per_class}; "
            f"give 1 or more, together at most {fewest}, as many as there are of each digit."
        )
    place = _ranks(labels)
    train, test = place < first, (place >= first) & (place < after)
    if test_per_class is None:
        return Task(inputs[train], targets[train], image=image)
    return Task(inputs[train], targets[train], inputs[test], targets[test], image=image)


def _ranks(labels: np.ndarray) -> np.ndarray:
    """The place of each image among those of its digit."""
    place = np.empty(len(labels), dtype=int)
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        place[members] = np.arange(len(members))
    return place


def _mixed(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted images in another order: the first of each digit, the second of each, and so on."""
    order = np.lexsort((labels, _ranks(labels)))
    return images[order], labels[order]


def _from_openml() -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test images with their labels, fetched or as they were kept."""
    from sklearn.datasets import fetch_openml

    try:
        data = fetch_openml("mnist_784", version=1, as_frame=False, parser="liac-arff")
    except Exception as error:  # of sockets, of HTTP, of files: whatever it is, there is no data
        raise InputError(
            f"mnist: OpenML gave no images ({error}); give task.source a folder with the four IDX "
            "files of MNIST, or leave it out for the 10,000 images in the package."
        ) from None
    images, labels = np.asarray(data.data) / 255.0, np.asarray(data.target).astype(int)
    return [(images[:60_000], labels[:60_000]), (images[60_000:], labels[60_000:])]


def _from_idx(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test images with their labels, from the four files in a folder."""
    parts = []
    for start in _IDX.values():
        images = read_idx(_found(folder, f"{start}-images", "idx3"))
        labels = read_idx(_found(folder, f"{start}-labels", "idx1"))
        if images.shape[1:] != (SIDE, SIDE) or labels.shape != images.shape[:1] or not len(images):
            raise InputError(
                f"{folder}: {start}-images of shape {images.shape} and {start}-labels of shape "
                f"{labels.shape} are not those of MNIST, (n, 28, 28) and (n,)."
            )
        if labels.max() > 9:
            raise InputError(f"{folder}: {start}-labels holds {labels.max()}, which is no digit.")
        parts.append((images.reshape(len(images), -1) / 255.0, labels.astype(int)))
    return parts


def _found(folder: Path, name: str, kind: str) -> Path:
    """One of the names that a file of MNIST goes by."""
    for dash in "-.":
        for end in _ENDS:
            if is_regular(path := folder / f"{name}{dash}{kind}{end}"):
                return path
    raise InputError(f"{folder}: there is no file {name}-{kind}-ubyte (or .gz) in this folder.")


def read_idx(path: str | Path) -> np.ndarray:
    """The array of an IDX file of bytes, gzipped or not.

    Such a file begins with two zeros, 8 for bytes, the number of dimensions, and each of these as a
    big-endian integer of 4 bytes.

    Raises
    ------
    InputError
        If it cannot be read, or is none.
    """
    try:
        with open_regular(path) as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            content = (gzip.GzipFile(fileobj=file) if zipped else file).read(LARGEST + 1)
    except (OSError, EOFError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: this IDX file cannot be read ({reason}).") from None
    except Exception as error:  # zlib.error
        raise InputError(f"{path}: this IDX file cannot be read ({error}).") from None
    if len(content) > LARGEST:
        raise InputError(f"{path}: holds more than {LARGEST >> 20} MiB.")
    head = 4 + 4 * content[3] if len(content) > 3 else 4
    if content[:3] != b"\0\0\x08" or not 1 <= content[3] <= 4 or len(content) < head:
        raise InputError(f"{path}: this is no IDX file of bytes.")
    shape = struct.unpack(f">{content[3]}I", content[4:head])
    if math.prod(shape) != len(content) - head:
        raise InputError(
            f"{path}: announces an array of shape {shape} and holds {len(content) - head} bytes."
        )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


TASKS: dict[str, Callable[..., Task]] = {"xor": xor, "digits8": digits8, "mnist": mnist}
"""Tasks by the name that studies use."""
