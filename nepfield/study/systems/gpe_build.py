"""A wave's potential and pumps, made of their sections, from draws or from trained runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from nepfield.errors import InputError, located
from nepfield.fields.places import region_indicator
from nepfield.fields.potentials import Potential, potential
from nepfield.fields.pump_images import PumpImage
from nepfield.fields.pumps import Pump, PumpArray, place_pumps
from nepfield.fields.transfer import transfer
from nepfield.mesh.domain import Domain
from nepfield.reprs import counted
from nepfield.space.elements import finite_elements
from nepfield.space.graph import graph
from nepfield.space.space import Space
from nepfield.study.systems.gpe_pumps import AnyPumpConfig
from nepfield.study.systems.gpe_sections import GPEPhysicsConfig, PotentialConfig, WaveDomainConfig
from nepfield.study.systems.laboratory import density_dimension
from nepfield.study.text.initial import starting_values
from nepfield.study.text.study import Begun, Source, Sources
from nepfield.study.text.values import Basis, Pixels, Regions
from nepfield.systems.nonlinearity import Density, Nonlinearity, Saturation


def build_space(config: WaveDomainConfig, domain: Domain) -> Space:
    """Finite elements on a mesh, or functions on a graph."""
    with located("domain"):
        if domain.kind == "graph":
            return graph(domain, config.dirichlet, config.robin)
        return finite_elements(domain, config.order, config.dirichlet, config.robin)


def build_nonlinearity(config: GPEPhysicsConfig) -> Nonlinearity | None:
    """The response of the wave to its density; None where it is linear."""
    if config.nonlinearity == "none" or config.g == 0:
        return None
    return (Density if config.nonlinearity == "density" else Saturation)(config.g)


class Fixed(Protocol):
    """A section that is a fixed part of the potential."""

    def build(self, space: Space) -> np.ndarray: ...


def build_background(
    space: Space, fixed: Mapping[str, Sequence[Fixed]], placed: PotentialConfig, seed: int
) -> np.ndarray | None:
    """What of the potential is not trained, at the quadrature points; None where that is nothing.

    Sections by their names, such as absorbers, and disorder, one value a cell (a vertex of a
    graph).
    """
    total = None
    for name, sections in fixed.items():
        for k, section in enumerate(sections):
            with located(name if name == "absorber" else f"{name}.{k}"):
                field = section.build(space)
            total = field if total is None else total + field
    if placed.disorder is None:
        return total
    with located("potential.disorder"):
        values = starting_values(placed.disorder, len(space.elements), (seed, 0, 1))
    disorder = values[space.element_of_point]
    return disorder if total is None else total + disorder


def build_potential(
    space: Space, config: PotentialConfig, seed: int, begun: Begun, sources: Sources
) -> Potential:
    """The potential with its starting values."""
    basis, imaginary = _pitch(config.basis), config.imaginary
    with located("potential"):
        blank = potential(space, basis=basis)
    if begun is None:
        values = _starting_potential(space, config, len(blank.values), seed, sources)
    else:
        values = begun["potential"]
    return potential(
        space,
        values,
        basis,
        bounds=config.bounds,
        imaginary_bounds=None if imaginary is None else imaginary.bounds,
        trainable=_trained_in(space, blank, config.trainable),
    )


def _trained_in(
    space: Space, blank: Potential, trainable: bool | tuple[str, ...]
) -> bool | np.ndarray:
    """Which values of V are trained: all, none, or those that lie in some regions."""
    if isinstance(trainable, bool):
        return trainable
    with located("potential.trainable"):
        inside = np.any([region_indicator(space, name) for name in trainable], axis=0)
    count = len(blank.values)
    known = blank.support >= 0
    hits = np.bincount(blank.support[known], (space.w * inside)[known], minlength=count)
    return hits > 0.5 * blank.measure


def _pitch(basis: Basis) -> str | tuple[str, ...] | tuple[float, ...]:
    """A basis as the library takes it."""
    if isinstance(basis, Regions):
        return basis.regions
    return basis.pixels if isinstance(basis, Pixels) else basis


def _starting_potential(
    space: Space, config: PotentialConfig, count: int, seed: int, sources: Sources
) -> np.ndarray:
    """Starting values of V, drawn or from another run, shape (count,)."""
    imaginary = config.imaginary
    taken: np.ndarray | None = None  # both parts at once
    with located("potential.initial"):
        if isinstance(config.initial, Path):
            source = sources[config.initial]
            taken = _projected(source, space, config.basis)
            if np.iscomplexobj(taken) and not (
                imaginary is not None and isinstance(imaginary.initial, Path)
            ):
                raise InputError(
                    f"{source.run}: V of this run is complex; take its imaginary part as well by "
                    "setting potential.imaginary.initial to the same folder."
                )
            values = source.inside(taken.real, config.bounds)
        else:
            values = starting_values(config.initial, count, (seed, 0), config.bounds)
    if imaginary is None:
        return values
    with located("potential.imaginary.initial"):
        if isinstance(imaginary.initial, Path):
            source = sources[imaginary.initial]
            if taken is None:
                taken = _projected(source, space, config.basis)
            elif imaginary.initial != config.initial:
                raise InputError(
                    f"{source.run}: potential.initial is another run, {config.initial}; both parts "
                    "of V must come from the same one."
                )
            part = source.inside(taken.imag, imaginary.bounds)
        else:
            part = starting_values(imaginary.initial, count, (seed, 1), imaginary.bounds)
    return values + 1j * part


def _projected(source: Source, space: Space, basis: Basis) -> np.ndarray:
    """The V of a trained run in another basis, shape (nvalues,); complex where it was."""
    _check_wave(source)
    try:
        values, outside = transfer(
            source.system.space,
            source.system.potential,
            _pitch(source.config.potential.basis),
            space,
            _pitch(basis),
        )
    except InputError as error:
        raise InputError(f"{source.run}: {error}") from None
    if outside > 0.01:
        warnings.warn(
            f"{source.run}: {outside:.0%} of {space.domain.source} lies farther than a cell "
            "size outside of this run's mesh; V there is that of the nearest cell.",
            stacklevel=2,
        )
    return values


def _check_wave(source: Source) -> None:
    if not {"potential", "weights"} <= set(source.system.parameters):
        raise InputError(
            f"{source.run}: this run is of another system ({source.config.physics.system}), "
            "which has no potential and no pumps."
        )


def build_pumps(
    space: Space, configs: Sequence[AnyPumpConfig], seed: int, begun: Begun, sources: Sources
) -> PumpArray:
    """The pumps with their starting weights."""
    pumps: list[Pump | PumpImage] = []
    for k, config in enumerate(configs):
        with located(f"pump.{k}"):
            pumps.append(config.build())
    counts = []
    for k, pump in enumerate(pumps):
        with located(f"pump.{k}"):
            counts.append(pump.count(space))
    ends = np.cumsum(counts)
    for k, config in enumerate(configs):
        part, pump = slice(int(ends[k]) - counts[k], int(ends[k])), pumps[k]
        with located(f"pump.{k}.weight"):
            if begun is not None:
                weight = begun["weights"][part]
            elif isinstance(config.weight, Path):
                weight = _trained_weights(sources[config.weight], part, sum(counts), space)
            else:
                weight = starting_values(config.weight, counts[k], (seed, 2 + k))
        pumps[k] = (
            replace(pump, weight=weight.item())
            if isinstance(pump, Pump)
            else replace(pump, weight=weight)
        )
    try:
        return place_pumps(space, pumps)
    except InputError:
        for k, pump in enumerate(pumps):  # which one is it?
            with located(f"pump.{k}"):
                place_pumps(space, [pump])
        raise


def _trained_weights(source: Source, part: slice, count: int, space: Space) -> np.ndarray:
    """The trained weights of the pumps with these places among `count`."""
    _check_wave(source)
    has, wanted = (density_dimension(on.domain) for on in (source.system.space, space))
    if source.config.units is not None and has != wanted:
        here, there = (f"{d}-D" if d else "lattice" for d in (has, wanted))
        raise InputError(
            f"{source.run}: this run is of a {here} domain and the study of a {there} one; the "
            "weight of a pump has another unit there, so its number cannot be taken over."
        )
    weights: np.ndarray = source.system.pumps.weights
    if len(weights) != count:
        raise InputError(
            f"{source.run}: this run has {counted(len(weights), 'pump')} and the study {count}; "
            "weights are taken by the place in the list, so both must have as many."
        )
    return weights[part]
