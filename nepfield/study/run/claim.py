"""A run folder is claimed: looked at, made, and held until the work in it is done."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nepfield.errors import InputError
from nepfield.files import (
    LOCK_FILE,
    STUDY_FILE,
    check_within,
    is_ours,
    locked,
    make_within,
    remove_parts,
    replacing,
)
from nepfield.study.run.folder import check_same_study, write_text
from nepfield.study.text.config import study_to_toml
from nepfield.study.text.study import StudyConfig

_FOLDERS = ("figures", "frames", "meshes")


@contextmanager
def claimed(
    folder: Path, config: StudyConfig, resume: bool | None, held: bool = False
) -> Iterator[None]:
    """Make a run folder, or go on with one that `check_folder` has looked at, and hold it.

    Parameters
    ----------
    folder : Path
    config : StudyConfig
    resume : bool or None
        Whether a run that is there may go on; None where that is no choice.
    held : bool
        Whether the caller holds the folder's lock.

    Raises
    ------
    InputError
        If the folder exists and `resume` is not true, or holds another study or other files, or
        another process is at work there.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not held:
                stack.enter_context(locked(folder / LOCK_FILE, wait=False))
                check_folder(folder, config, resume)  # it may have been another's until now
            for place in (folder, *(folder / name for name in _FOLDERS)):
                remove_parts(place)
            write_text(folder / STUDY_FILE, study_to_toml(config, folder))
        except OSError as error:
            raise InputError(f"{folder}: cannot be made ({error.strerror}).") from None
        yield


@contextmanager
def keeping(folder: Path, safe: str) -> Iterator[None]:
    """Say what is safe where a file cannot be written, or memory ends, while work is being done.

    Parameters
    ----------
    folder : Path
        Where the work is done.
    safe : str
        What is safe, and what to do.

    Raises
    ------
    OSError
        With the name of the file.
    MemoryError
    """
    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"{error}; {safe}") from error
    except (OSError, InputError) as error:
        if not folder.is_dir():
            raise FileNotFoundError(
                errno.ENOENT, "this folder was taken away while nepfield worked in it", str(folder)
            ) from error
        cause = error.__cause__ if isinstance(error, InputError) else error
        if not isinstance(cause, OSError):
            raise
        told = f"{cause.strerror or cause}; {safe}"
        raise OSError(cause.errno or errno.EIO, told, cause.filename or str(folder)) from error


def check_folder(folder: Path, config: StudyConfig, resume: bool | None) -> None:
    """Check that a folder is for this study to be run in; parameters and errors as of `claimed`."""
    try:
        _check_folder(folder, config, resume)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}).") from None


def _check_folder(folder: Path, config: StudyConfig, resume: bool | None) -> None:
    study = folder / STUDY_FILE
    if folder.exists():
        if not folder.is_dir():
            raise InputError(f"{folder}: this is a file; choose another --out.")
        occupied = not all(is_ours(path) for path in folder.iterdir())
        if occupied and not study.exists():
            raise InputError(
                f"{folder}: this folder holds other files and no {STUDY_FILE}; choose another "
                "--out."
            )
        if occupied and not resume:
            go_on = "" if resume is None else "go on with --resume, or "
            raise InputError(f"{folder}: a run is there already; {go_on}choose another --out.")
        if occupied:
            check_same_study(study, config)
        for name in _FOLDERS:
            check_within(folder / name)


@contextmanager
def mesh_folder(
    config: StudyConfig, out: Path, meshes: str | Path | None = None
) -> Iterator[Path | None]:
    """Where the mesh of a geometry is looked for and kept: `meshes`, or a folder of the run.

    What is new comes into the run's folder at the end, so that a study that turns out to be wrong
    leaves nothing behind.
    """
    if config.domain.geometry is None or meshes is not None:
        yield None if meshes is None else Path(meshes)
        return
    kept = out / "meshes"
    with TemporaryDirectory() as scratch:
        for mesh in kept.glob("[!.]*.msh"):
            shutil.copyfile(mesh, Path(scratch) / mesh.name)
        yield Path(scratch)
        make_within(kept)
        for mesh in Path(scratch).glob("*.msh"):
            if not (kept / mesh.name).exists():
                with replacing(kept / mesh.name) as part:
                    shutil.copyfile(mesh, part)
