"""Files are read where they are regular, and no further than memory allows."""

from __future__ import annotations

import errno
import io
import math
import os
import stat
import zipfile
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nepfield.errors import InputError

LARGEST = 2**30
"""Bytes that a file, or an array in it, may have: with what is computed from them below 4 GiB."""
LARGEST_MESH = 2**29
"""The same of a mesh file, from which more is computed."""
LARGEST_TEXT = 2**24
"""Bytes that a file for people may have: reading it must not take minutes."""


def is_regular(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file, and it is no folder, pipe or device; never raises."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):  # also a name that no file can have
        return False


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read its bytes, at once or not at all.

    Opening a pipe waits for a writer and a device may have no end, so neither is opened.

    Raises
    ------
    OSError
        If there is no such file, if it may not be read, and for whatever is no regular file; the
        ``strerror`` says what it is.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from None
    _check_regular(path, mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_regular(path, os.fstat(descriptor).st_mode)  # it may have been exchanged
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(path: str | os.PathLike[str], mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    kinds |= {stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
    kind = next((words for test, words in kinds.items() if test(mode)), "something else")
    raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", os.fspath(path))


def read_bytes(path: str | os.PathLike[str], largest: int = LARGEST) -> bytes:
    """The content of a regular file; OSError as of `open_regular`, and where it is larger."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(largest + 1) if size <= largest else b""
    if max(size, len(content)) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest >> 20} MiB", os.fspath(path))
    return content


def read_text(path: str | os.PathLike[str], largest: int = LARGEST_TEXT) -> str:
    """The text of a regular file in UTF-8, without a byte-order mark; OSError as of `read_bytes`.

    Raises UnicodeDecodeError where it is no UTF-8.
    """
    return read_bytes(path, largest).decode("utf-8-sig")


def load_array(path: str | os.PathLike[str]) -> NDArray:
    """The array of an .npy file; raises as `load_arrays`."""
    content = read_bytes(path)
    _check_announced(io.BytesIO(content), len(content))
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def load_arrays(path: str | os.PathLike[str], largest: int = LARGEST) -> dict[str, NDArray]:
    """All arrays of an .npz file, once it is known that they are as large as they say.

    Parameters
    ----------
    path : path
    largest : int
        Bytes that all of them together may have; compressed, they may be a thousandth of that.

    Raises
    ------
    InputError
        If they are larger.
    OSError, ValueError, and others
        If the file is none, as `numpy.load` and `open_regular` raise them.
    """
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > largest:
            raise InputError(
                f"{path}: its arrays would take more than {largest >> 20} MiB; keep less in it."
            )
        arrays = {}
        for entry in entries:
            with archive.open(entry) as stream:
                _check_announced(stream, entry.file_size)
            with archive.open(entry) as stream:
                arrays[entry.filename.removesuffix(".npy")] = np.lib.format.read_array(
                    stream, allow_pickle=False
                )
    return arrays


def _check_announced(stream: IO[bytes], size: int) -> None:
    """ValueError where the head of an array announces another size than there is."""
    version = np.lib.format.read_magic(stream)
    heads = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in heads:
        raise ValueError(f"an array in version {version} of the format")
    shape, _, dtype = heads[version](stream)
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != size - stream.tell():
        raise ValueError("an array has another size than it announces")
