"""Files appear whole or not at all; and the names of those that many modules look for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STUDY_FILE = "study.toml"
"""File of a run folder: the study that was run, which can be run again."""
START_FILE = "start.npz"
"""File of a run folder: what the run began with, where that came from another run."""


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
