"""XOR trained on coarse and fine meshes of the billiard, and each result on one fine mesh.

    below          studies/xor-billiard with V = 0 at the start
    propagating    the same with V between -5 and -3, from -4, where the wave is 2 to 2.6 units
                   long; with more loss, and the exact gradient, since NEP's cannot be trusted there

Every training begins with the same device, whatever the mesh. What was trained is handed on by
`potential.initial` and `pump.weight` = run folder.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nepfield.learning.training import evaluate
from nepfield.study.run.build import build
from nepfield.study.run.jobs import train_study
from nepfield.study.systems.gpe import GPEStudy
from nepfield.study.systems.gpe_sections import WaveDomainConfig
from nepfield.study.systems.systems import load_study
from nepfield.study.text.values import Pixels
from studies.lattices.train import STUDIES, Row
from studies.mesh_convergence.devices import BILLIARD

SIZES = (0.96, 0.68, 0.48, 0.34)
BASES: dict[str, str | Pixels] = {"cells": "cells", "pixels": Pixels(pixels=(0.5, 0.5))}
DEVICES: dict[str, tuple[str, ...]] = {
    "below": ("potential.initial=0.0", "training.epochs=200"),
    "propagating": (
        "potential.initial=-4.0",
        "potential.bounds=[-5, -3]",
        "physics.loss=0.3",
        "training.rule=adjoint",
        "training.epochs=400",
    ),
}
CASES = (
    ("below", "cells", 1),
    ("below", "cells", 2),
    ("below", "pixels", 2),
    ("propagating", "cells", 1),
    ("propagating", "cells", 2),
)


@dataclass(frozen=True)
class Training:
    """One training: device, basis of V, order and size of the cells, and where meshes are kept.

    A trial run gives its own number of epochs.
    """

    device: str
    basis: str
    order: int
    size: float
    finest: float
    meshes: Path
    epochs: int | None = None


def study_of(job: Training, size: float, order: int) -> GPEStudy:
    """The study of a device on a mesh of this size."""
    config = load_study(
        STUDIES / "xor-billiard" / "study.toml",
        [
            "training.compare_every=0",
            "figures.enabled=false",
            *DEVICES[job.device],
            *([] if job.epochs is None else [f"training.epochs={job.epochs}"]),
        ],
    )
    domain = WaveDomainConfig(
        geometry=BILLIARD,
        parameters={"size": size, "size_output": size / 3},
        order=order,
        dirichlet=("wall",),
    )
    potential = config.potential.model_copy(update={"basis": BASES[job.basis]})
    return config.model_copy(update={"domain": domain, "potential": potential})


def train_and_transfer(job: Training) -> Row:
    """Train on one mesh; the figures there, and those of the same device on the finest mesh."""
    config = study_of(job, job.size, job.order)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        summary = train_study(config, run, meshes=job.meshes)
        (run / "meshes").symlink_to(job.meshes.resolve())  # there a run's mesh is looked for
        fine = study_of(job, job.finest, 2)
        potential = fine.potential.model_copy(update={"initial": run})
        pumps = tuple(pump.model_copy(update={"weight": run}) for pump in fine.pump)
        fine = fine.model_copy(update={"potential": potential, "pump": pumps})
        study = build(fine, job.meshes)
    there = evaluate(
        study.system, study.cost, study.task.inputs, study.task.targets, **study.solver
    )
    targets = study.task.targets
    row: Row = {"device": job.device, "basis": job.basis, "order": job.order, "size": job.size}
    row |= {"cells": summary["cells"], "values": len(study.system.potential.values)}
    for label, cost, outputs in (
        ("", summary["cost"], summary["outputs"]),
        ("fine_", there.cost, there.outputs),
    ):
        error = float(np.abs(outputs - targets).max())
        row |= {f"{label}cost": cost, f"{label}largest_error": error}
        row |= {f"{label}output_{k}": value for k, value in enumerate(np.ravel(outputs))}
        row[f"{label}solved"] = bool(cost < 0.02 and error < 0.1)
    row["moved"] = float(np.abs(there.outputs - summary["outputs"]).max())
    return row
