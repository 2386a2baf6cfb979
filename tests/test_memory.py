"""Memory that a process keeps."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from nepfield.memory import keep_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep":
    keep_memory()
for turn in range(20):
    if turn == 10:
        before = faults()
    arrays = [np.ones(200_000) for _ in range(10)]
    del arrays
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc alone is told")
def test_memory_is_not_given_back_and_got_again_between_arrays() -> None:
    told = ("MALLOC_", "GLIBC_", "LD_PRELOAD")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(told)}

    def faults(how: str) -> int:
        command = [sys.executable, "-c", SCRIPT, how]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, env=plain)
        return int(ended.stdout)

    assert faults("keep") < 200
    huge = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not (huge.exists() and "[always]" in huge.read_text()):  # huge pages are few anyway
        assert faults("give back") > 2000
