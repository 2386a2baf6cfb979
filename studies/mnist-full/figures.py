"""What all of MNIST takes, measured on stand-ins: `python -m studies mnist-full`.

The package ships 10,000 of the 70,000 images. Files of the size of MNIST are written of them, each
image six times for training and once for the test, and are trained on for three epochs. The first
starts from the vacuum, the second from known states, the last is held against the exact gradient.
"""

from __future__ import annotations

import multiprocessing
import re
import shutil
import struct
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import nepfield as nf
from nepfield.learning.classes import classes_of
from nepfield.study.run.jobs import train_study
from nepfield.study.systems.systems import load_study
from studies.common import Job, fill_readme, markdown, write_csv

COPIES = 6
EPOCHS, ALL_EPOCHS = 3, 20


def make(job: Job) -> pd.DataFrame:
    """A row a quantity."""
    with tempfile.TemporaryDirectory() as folder:
        write_stand_ins(Path(folder), COPIES, 20 if job.quick else None)
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # its memory is its own
            found = pool.apply(measured, (job.folder / "study.toml", Path(folder)))
    cold, warm, last = found["epochs"]
    rest = found["seconds"] - cold - warm - last
    rows = [
        ("images", found["images"], ""),
        ("first epoch, from the vacuum", cold, "s"),
        ("an epoch", warm, "s"),
        ("evaluation at the end", rest, "s"),
        (f"{ALL_EPOCHS} epochs", (cold + (ALL_EPOCHS - 2) * warm + last + rest) / 60, "min"),
        ("memory at most, without mapped files", found["memory"], "GB"),
        ("states in files beside the checkpoint", found["states"], "GB"),
    ]
    table = pd.DataFrame(rows, columns=["quantity", "value", "unit"])
    write_csv(table, job.out / "forecast.csv", 5)
    told = [(name, f"{value:.5g} {unit}".strip()) for name, value, unit in rows]
    fill_readme(job.out, results=markdown(pd.DataFrame(told, columns=["", "measured"])))
    return table


def write_stand_ins(folder: Path, copies: int, per_class: int | None = None) -> None:
    """Four IDX files as MNIST has them, of images in the package."""
    task = nf.mnist() if per_class is None else nf.mnist(train_per_class=per_class)
    images = np.rint(255 * task.inputs).astype(np.uint8).reshape(-1, 28, 28)
    digits = np.asarray(classes_of(task.targets), np.uint8)
    for name, times in (("train", copies), ("t10k", 1)):
        for kind, content in (("images-idx3", images), ("labels-idx1", digits)):
            content = np.tile(content, (times, *[1] * (content.ndim - 1)))
            head = struct.pack(f">BBBB{content.ndim}I", 0, 0, 8, content.ndim, *content.shape)
            (folder / f"{name}-{kind}-ubyte").write_bytes(head + content.tobytes())


class Memory:
    """Looks every 20 ms at how much memory this process has for itself, on Linux: nan elsewhere.

    Pages of files that are mapped to memory do not count: the system takes them back when it needs
    room.

    Attributes
    ----------
    most : float
        Bytes.
    """

    def __init__(self) -> None:
        self.most = np.nan
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        status = Path("/proc/self/status")
        while status.exists() and not self._done.wait(0.02):
            found = re.search(r"RssAnon:\s*(\d+) kB", status.read_text())
            if found:
                self.most = float(np.fmax(self.most, 1024 * int(found[1])))


def measured(study: Path, folder: Path) -> dict[str, Any]:
    """Seconds of epochs and of all, images, and GB of memory and files of a short training."""
    config = load_study(
        study,
        [f"task.source={folder}", f"training.epochs={EPOCHS}", "figures.enabled=false"],
    )
    begun = last = time.monotonic()
    epochs: list[float] = []

    def after(state: nf.TrainingState) -> None:
        nonlocal last
        now = time.monotonic()
        epochs.append(now - last)
        last = now

    out = folder / "run"
    with Memory() as memory:
        summary = train_study(config, out, on_epoch=after)
    files = sum(file.stat().st_size for file in out.glob("checkpoint-warm-*.npy"))
    shutil.rmtree(out)
    return {
        "epochs": epochs,
        "seconds": time.monotonic() - begun,
        "images": summary["samples"]["train"],
        "memory": memory.most / 1e9,
        "states": files / 1e9,
    }
