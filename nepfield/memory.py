"""How the C library keeps memory between arrays."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def keep_memory() -> None:
    """Let this process keep freed memory for its next arrays: 256 MB, 64 MB in other threads.

    By default glibc gives the memory of larger arrays back to the system at once and gets it again,
    cleared, for the next one: a tenth of the time of a training on a small mesh. It is the
    process's own choice, so only commands and workers make it. Elsewhere than on glibc nothing
    happens.
    """
    with suppress(OSError, TypeError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, 256 * 2**20)
        mallopt(_MMAP_THRESHOLD, 32 * 2**20)  # the largest that glibc takes
