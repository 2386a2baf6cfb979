"""Files appear whole or not at all; folders are held by one process; names that many look for."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nepfield.errors import InputError

STUDY_FILE = "study.toml"
"""File of a run folder: the study that was run, which can be run again."""
START_FILE = "start.npz"
"""File of a run folder: what the run began with, where that came from another run."""
EVOLUTION = "evolution.csv"
"""File of a folder of `nepfield evolve`: what is read against time."""
BRANCHES = "branch.csv"
"""File of a folder of `nepfield branch`: what is read, along each branch."""
LOCK_FILE = ".lock"
"""File of a run or sweep folder while a process is at work there."""

_PART = re.compile(r"\..+\.part(\.\w+)?")


def unused(folder: Path) -> Path:
    """The folder, or the first of ``folder-2``, ``folder-3``, ... that is not there or empty."""
    number, found = 1, folder
    while found.exists() and (not found.is_dir() or any(found.iterdir())):
        number += 1
        found = folder.with_name(f"{folder.name}-{number}")
    return found


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Name to write a file under, which takes the place of `path` at the end of the block.

    Where the block raises, `path` stays as it was and nothing is left behind. The name cannot be
    foreseen, and its file is made anew there, never through a link; if `path` is a link, the file
    takes the place of the link. The name keeps the suffix, from which meshio and Pillow know the
    format. An OSError names `path`.
    """
    name = f".{path.stem[:32]}.{secrets.token_hex(8)}.part{path.suffix}"
    part = path.with_name(name)
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        try:
            yield part
            os.replace(part, path)
        finally:
            with suppress(OSError):  # a folder that is gone takes it along
                part.unlink(missing_ok=True)
    except OSError as error:
        if error.errno is None or error.filename not in (None, part, str(part)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def is_ours(path: Path) -> bool:
    """Whether a file is what `replacing` or `locked` leaves where a process is killed."""
    return path.name == LOCK_FILE or _PART.fullmatch(path.name) is not None


def remove_parts(folder: Path) -> None:
    """Take away what `replacing` has left in a folder; for whoever is alone at work there."""
    for path in folder.glob(".*.part*"):
        if _PART.fullmatch(path.name) and (path.is_symlink() or path.is_file()):
            path.unlink(missing_ok=True)


def check_within(folder: Path) -> None:
    """InputError if a folder within a run folder is a link, which may lead out of it."""
    if folder.is_symlink():
        raise InputError(
            f"{folder}: this is a link to {os.readlink(folder)}, and nothing is written through "
            "links out of a run folder; put a folder in its place, or choose another --out."
        )


def make_within(folder: Path) -> None:
    """Make a folder within a run folder, unless it is there; InputError if it is a link."""
    check_within(folder)
    folder.mkdir(exist_ok=True)


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold a folder alone, by a file in it; the lock ends with the process, however it ends.

    Parameters
    ----------
    path : Path
        The file of the lock. It is gone afterwards.
    wait : bool
        Wait for another process that holds it.

    Raises
    ------
    InputError
        If another process holds it and `wait` is false, or the file is a link.
    """
    file = _lock(path, wait)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # still held: who waits for it looks whether it is there
        os.close(file)


def _lock(path: Path, wait: bool) -> int:
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise InputError(f"{path}: this is a link; remove it.") from None
            raise
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(file)
            raise InputError(
                f"{path.parent}: another nepfield sweep or training is at work here; wait for its "
                "end, or choose another --out."
            ) from None
        except OSError as error:  # some network file systems have no locks
            warnings.warn(
                f"{path.parent}: cannot be locked ({error.strerror}); see to it that no other "
                "nepfield is at work there.",
                stacklevel=2,
            )
            return file
        except BaseException:
            os.close(file)
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), os.stat(path, follow_symlinks=False)):
                return file
        os.close(file)  # who held it has taken the file away
