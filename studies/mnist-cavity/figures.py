"""Tables and pictures of the study: `python -m studies mnist-cavity`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Circle

from nepfield.learning.classes import classes_of
from nepfield.space.arrays import half_phase
from nepfield.systems.system import solve_steady
from nepfield.view.curves import BLUE, GREY, new_figure, save_figure
from studies.common import Job
from studies.mnist import evaluated
from studies.mnist_pictures import finely, middles_of_regions

DIGIT = 8
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#b5dcf5", "#2f7fd0", "#123a66", "black", "#6b1d1a", "#d9542b", "#fdd9a0"]
)


def make(job: Job) -> pd.DataFrame:
    """As the other studies of MNIST, and one wave alone."""
    found = evaluated(job)
    draw_wave(found.study, found.system, job.out / "wave.png")
    return found.table


def draw_wave(study: Any, system: Any, path: Path) -> None:
    """What a test image makes: the wave in its main phase, and the intensities that are read."""
    inputs, targets = study.task.sets()["test"]
    image = int(np.flatnonzero(np.equal(classes_of(targets), DIGIT))[0])
    steady = solve_steady(system, inputs[[image]], **study.solver)
    outputs = study.cost.readout.outputs(steady.state)[0]
    wave = system.space.at_nodes(steady.state)[:, 0]
    wave = (wave * half_phase(np.sum(wave**2)).conj()).real
    wave *= np.sign(wave[np.argmax(np.abs(wave))])
    most = float(np.quantile(np.abs(wave), 0.999))

    figure = new_figure(3.4)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.5, 7, 1.6])
    left.imshow(inputs[image].reshape(study.config.pump[0].grid), cmap="gray")
    left.set(xticks=[], yticks=[])
    left.set_title("image", fontsize=9)
    shown = middle.tripcolor(
        *finely(system.space, wave), shading="gouraud", cmap=SIGNED, vmin=-most, vmax=most
    )
    names = study.config.readout.regions
    highest = study.cost.readout.profiles.max(axis=1).toarray()  # 1 / area of a disc
    radii = 1 / np.sqrt(np.pi * highest.ravel())
    for k, (place, radius) in enumerate(
        zip(middles_of_regions(system.space, names), radii, strict=True)
    ):
        middle.add_patch(Circle(place, radius, fill=False, edgecolor="white", lw=0.7))
        middle.annotate(
            str(k), place, (0, 7), textcoords="offset points",
            color="white", fontsize=8, ha="center",
        )  # fmt: skip
    middle.set(aspect="equal", xlabel="x (mesh units)", ylabel="y (mesh units)", facecolor="0.85")
    middle.set_title("wave in its main phase", fontsize=9)
    figure.colorbar(shown, ax=middle, pad=0.01, shrink=0.8, label=r"Re $\Psi$")
    colors = [BLUE if k == outputs.argmax() else GREY for k in range(len(outputs))]
    right.barh(range(len(outputs)), outputs, color=colors)
    right.set(yticks=range(len(outputs)), xlabel=r"mean $|\Psi|^2$")
    right.invert_yaxis()
    right.set_title("what the discs read", fontsize=9)
    for axis in (left, middle, right):
        axis.tick_params(labelsize=8)
    save_figure(figure, path, colormaps=[SIGNED])
