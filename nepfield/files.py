"""Files: read only where they are regular, written whole or not at all; names that many look for."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

STUDY_FILE = "study.toml"
"""File of a run folder: the study that was run, which can be run again."""
START_FILE = "start.npz"
"""File of a run folder: what the run began with, where that came from another run."""

LARGEST = 2**30
"""Bytes that a file, or an array in it, may have: with what is computed from them below 4 GiB."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read its bytes, at once or not at all.

    Opening a pipe waits for a writer and a device may have no end, so neither is opened.

    Raises
    ------
    OSError
        If there is no such file, if it may not be read, and for whatever is no regular file; the
        ``strerror`` says what it is.
    """
    _check_regular(path, os.stat(path).st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_regular(path, os.fstat(descriptor).st_mode)  # it may have been exchanged
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | os.PathLike[str], largest: int = LARGEST) -> bytes:
    """The content of a regular file of at most `largest` bytes; OSError as in `open_regular`."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(largest + 1) if size <= largest else b""
    if max(size, len(content)) > largest:
        raise OSError(errno.EFBIG, f"larger than {largest / 2**20:g} MiB", os.fspath(path))
    return content


def _check_regular(path: str | os.PathLike[str], mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    kinds = {
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
    }
    kind = next((words for test, words in kinds.items() if test(mode)), "something else")
    raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", os.fspath(path))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Name to write a file under, which takes the place of `path` at the end of the block.

    Where the block raises, `path` stays as it was and nothing is left behind. The name keeps the
    suffix, from which meshio and Pillow know the format.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
