"""Five devices that went wrong, and what their advice makes of them: `python -m studies verdicts`.

Each device is trained as it was drawn, and again with what the advice of the training before says.
results.csv has a row a training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from nepfield.study.run.jobs import train_study
from nepfield.study.systems.systems import load_study
from studies.common import Job, Row, fill_readme, markdown, write_csv

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Device:
    """A study and what is changed in it, training by training, each by the advice before."""

    file: str
    steps: tuple[tuple[str, ...], ...]


SMALLER = (
    "readout.regions=",
    "readout.disc=[{center=[6.0,-5.0],radius=0.25},{center=[0.0,4.0],radius=0.25}]",
)
LOWER = ("potential.bounds=[-1.5,1]", "potential.initial={normal=[-1.0,0.02]}")
SLOWER = (
    "training.rate=0.01",
    "training.epochs=500",
    "training.schedule={over=500}",
    "training.warm_start=false",
)
FASTER = ("training.rate=0.05", "training.weight_rate=0.5")
DEVICES = {
    "double well": Device("study.toml", ((), ("training.rule=reciprocal",))),
    "plane wave": Device(
        "plane-wave.toml",
        ((), ("training.rule=reciprocal",), ("training.rule=reciprocal", "training.epochs=60")),
    ),
    "ring": Device(
        "ring.toml",
        (
            (),
            ("training.rule=reciprocal",),
            ("training.rule=reciprocal", *SMALLER, "training.epochs=120"),
        ),
    ),
    "majority": Device(
        "majority.toml",
        (
            (),
            ("training.rule=adjoint", *LOWER),
            ("training.rule=adjoint", *LOWER, *SLOWER),
        ),
    ),
    "moons": Device("moons.toml", ((), (*FASTER, "training.epochs=240"))),
}


def make(job: Job) -> pd.DataFrame:
    """Train them all, step by step."""
    items = [
        (name, number, job.quick)
        for name, device in DEVICES.items()
        for number in range(len(device.steps))
    ]
    table = pd.DataFrame(job.map(train, items))
    write_csv(table, job.out / "results.csv")
    fill_readme(job.out, results=markdown(told(table)))
    return table


def train(item: tuple[str, int, bool]) -> Row:
    """One training."""
    name, number, quick = item
    changes = DEVICES[name].steps[number]
    always = ("figures.enabled=false", *(("training.epochs=2",) if quick else ()))
    config = load_study(FOLDER / DEVICES[name].file, (*changes, *always))
    with TemporaryDirectory() as scratch:
        summary: dict[str, Any] = train_study(config, Path(scratch) / "run")
    return {
        "device": name,
        "step": number,
        "changed": "; ".join(changes),
        "epochs": summary["epochs"],
        "cost": summary["cost"],
        "largest_error": summary.get("largest_error"),
        "accuracy": summary.get("accuracy"),
        "cosine": summary["gradient_cosine"],
        "reached": summary.get("switch_on_reached"),
        "verdict": summary["verdict"],
        "advice": " / ".join(summary["advice"]),
    }


def told(table: pd.DataFrame) -> pd.DataFrame:
    """What the README shows of it."""
    return pd.DataFrame(
        {
            "device": table["device"],
            "changed": [f"`{text}`" if text else "as drawn" for text in table["changed"]],
            "epochs": table["epochs"],
            "cost": [f"{value:.3g}" for value in table["cost"]],
            "cosine": [f"{value:.2f}" for value in table["cosine"]],
            "verdict": table["verdict"],
        }
    )
