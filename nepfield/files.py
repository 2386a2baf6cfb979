"""Files appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
