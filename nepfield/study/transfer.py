"""What a trained run hands on: its parameters, to the same study or to another one.

A study whose `potential.initial` is a run folder begins with the potential trained there, projected
onto its own mesh and basis; a pump whose weight is one, with the weight trained there.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.transfer import transfer
from nepfield.learning.state import TrainingState
from nepfield.space import Space
from nepfield.study.config import Pixels, StudyConfig, load_study
from nepfield.systems.gpe import GPE

if TYPE_CHECKING:
    from nepfield.study.build import Study

_ROUNDING = 1e-9  # of the width of the bounds: a mean of values on a bound may leave it by so much


def load_run(run: str | Path) -> StudyConfig:
    """The study of a run folder.

    Raises
    ------
    InputError
        If the folder holds no study.
    """
    path = Path(run) / "study.toml"
    if not path.is_file():
        raise InputError(f"{run}: this is no run folder (it has no study.toml).")
    return load_study(path)


def trained_system(study: Study, run: str | Path | None) -> GPE:
    """The system of a study with the parameters of a run, if there is one."""
    if run is None:
        return study.system
    checkpoint = Path(run) / "checkpoint.npz"
    if not checkpoint.exists():
        raise InputError(f"{run}: this run has no checkpoint yet; train it first.")
    saved, here = TrainingState.load(checkpoint).parameters, study.system.parameters
    if {name: (v.shape, v.dtype) for name, v in saved.items()} != {
        name: (v.shape, v.dtype) for name, v in here.items()
    }:
        raise InputError(
            f"{checkpoint}: its parameters (sizes "
            f"{', '.join(f'{name} {v.size}' for name, v in sorted(saved.items()))}) are not those "
            "of the study; its mesh, potential.basis, pumps and what is trainable must be as "
            "they were trained."
        )
    return study.system.with_parameters(saved)


def runs_of(config: StudyConfig) -> set[Path]:
    """The run folders that a study takes values from."""
    placed = config.potential
    values = [placed.initial, *(pump.weight for pump in config.pump)]
    values += [] if placed.imaginary is None else [placed.imaginary.initial]
    return {value for value in values if isinstance(value, Path)}


def meshes_of(run: Path) -> Path | None:
    """Where a run keeps the mesh of its geometry: in its folder, or in that of its sweep."""
    places = [run / "meshes", run.parent.parent / "meshes"]
    return next((place for place in places if place.is_dir()), None)


@dataclass(frozen=True, eq=False)
class Source:
    """A trained run whose values a study begins with.

    Attributes
    ----------
    run : Path
    study : Study
        Rebuilt from the run folder.
    system : GPE
        With the trained parameters.
    """

    run: Path
    study: Study
    system: GPE

    def potential(self, space: Space, wanted: str | Sequence[float]) -> np.ndarray:
        """The trained V in another basis, shape (nvalues,); complex where it was."""
        basis = self.study.config.potential.basis
        try:
            values, outside = transfer(
                self.system.space,
                self.system.potential,
                basis.pixels if isinstance(basis, Pixels) else basis,
                space,
                wanted,
            )
        except InputError as error:
            raise InputError(f"{self.run}: {error}") from None
        if outside > 0.01:
            warnings.warn(
                f"{self.run}: {outside:.0%} of {space.domain.source} lies farther than a cell "
                "size outside of this run's mesh; V there is that of the nearest cell.",
                stacklevel=2,
            )
        return values

    def inside(self, values: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
        """The values, with rounding taken off those that leave the bounds by no more than that."""
        if bounds is None:
            return values
        low, high = bounds
        slack = _ROUNDING * (high - low)
        if values.min() < low - slack or values.max() > high + slack:
            raise InputError(
                f"{self.run}: values of this run from {values.min():.6g} to {values.max():.6g} "
                f"leave the bounds [{low:g}, {high:g}]; widen them."
            )
        return np.clip(values, low, high)

    def weight(self, index: int, count: int) -> complex:
        """The trained weight of the pump with this place in a list of `count`."""
        weights = self.system.pumps.weights
        if len(weights) != count:
            raise InputError(
                f"{self.run}: this run has {len(weights)} pumps and the study {count}; weights "
                "are taken by the place in the list, so both must have as many."
            )
        return weights[index].item()
