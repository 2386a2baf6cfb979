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
from nepfield.mesh.geometry import has_mesh
from nepfield.space.space import Space
from nepfield.study.systems.laboratory import density_dimension
from nepfield.study.text.config import Pixels, StudyConfig, load_study
from nepfield.systems.gpe import GPE

if TYPE_CHECKING:
    from nepfield.study.run.build import Study

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


def meshes_of(
    run: str | Path, config: StudyConfig, meshes: str | Path | None = None
) -> Path | None:
    """Where a run keeps the mesh of its geometry: in its folder, or in that of its sweep.

    Parameters
    ----------
    run : path
        A trained run.
    config : StudyConfig
        A study that goes on with the run.
    meshes : path, optional
        Another folder where the mesh may be.

    Returns
    -------
    Path or None
        None where the study's mesh is no geometry or not that of the run.

    Raises
    ------
    InputError
        If the mesh is not kept there: today's geometry may be another shape.
    """
    domain, run = config.domain, Path(run)
    if domain.geometry is None or load_run(run).domain != domain:
        return None
    places = [run / "meshes"] if meshes is None else [Path(meshes), run / "meshes"]
    if (run.parent.parent / "cases.json").is_file():
        places.append(run.parent.parent / "meshes")
    for place in places:
        if has_mesh(domain.geometry, domain.parameters, place):
            return place
    raise InputError(
        f"{run}: the mesh that this run was trained on is not in {' or '.join(map(str, places))}: "
        f"it is missing, or {domain.geometry} (or Gmsh) has changed since. Put it back as it was, "
        "or train again into another folder."
    )


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

    def weight(self, index: int, count: int, space: Space) -> complex:
        """The trained weight of the pump with this place in a list of `count`."""
        has, wanted = (density_dimension(on.domain) for on in (self.system.space, space))
        if self.study.config.units is not None and has != wanted:
            here, there = (f"{d}-D" if d else "lattice" for d in (has, wanted))
            raise InputError(
                f"{self.run}: this run is of a {here} domain and the study of a {there} one; the "
                "weight of a pump has another unit there, so its number cannot be taken over."
            )
        weights = self.system.pumps.weights
        if len(weights) != count:
            raise InputError(
                f"{self.run}: this run has {len(weights)} pumps and the study {count}; weights "
                "are taken by the place in the list, so both must have as many."
            )
        return weights[index].item()
