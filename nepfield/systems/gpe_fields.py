"""What a wave shows of itself: density and phase of each sample, potential, gradient, pumps."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from nepfield.fields.parameters import Values
from nepfield.fields.pictures import Field, Mark
from nepfield.fields.potentials import Potential
from nepfield.fields.pumps import PumpArray
from nepfield.space.arrays import squared_magnitude
from nepfield.space.space import Space

_ENERGY = r"$\hbar^2/m\ell^2$"


class Wave(Protocol):
    """A wave on a space in a potential, driven by pumps."""

    @property
    def space(self) -> Space: ...
    @property
    def potential(self) -> Potential: ...
    @property
    def pumps(self) -> PumpArray: ...
    @property
    def background(self) -> np.ndarray | None: ...


def wave_fields(
    system: Wave, state: np.ndarray, inputs: np.ndarray, gradient: Values | None = None
) -> list[Field]:
    """Fields of a wave.

    Parameters
    ----------
    system : Wave
    state : ndarray, shape (ndof, nsamples)
    inputs : ndarray, shape (nsamples, ninputs)
    gradient : dict of ndarray, optional
        As fields, by parameter; that of ``potential`` is drawn.
    """
    space = system.space
    shown = [
        field for k, psi in enumerate(space.at_nodes(state).T) for field in sample_fields(k, psi)
    ]
    placed = system.potential
    total = placed.at_points() + (0.0 if system.background is None else system.background)
    shown += potential_fields(per_element(space, total))
    if system.pumps.image is not None:
        shown += weight_fields(per_element(space, system.pumps.image @ system.pumps.weights))
    if gradient is not None and "potential" in gradient:
        slope = np.append(gradient["potential"], 0.0)[placed.support]
        shown += gradient_fields(per_element(space, slope))
    return shown


def sample_fields(sample: int, psi: np.ndarray) -> list[Field]:
    """Density and phase of one sample, from its wave at the nodes of a space."""
    density: dict[str, Any] = dict(
        on="node", label=r"$|\Psi|^2$", title="density |Ψ|²", unit="density", sample=sample
    )
    phase: dict[str, Any] = dict(
        on="node", label=r"phase of $\Psi$", title="phase of Ψ", scale="cyclic", sample=sample
    )
    wave, intensity = f"psi_{sample}", squared_magnitude(psi)
    return [
        Field(wave, psi, picture="density", part="intensity", scale="intensity", **density),
        # the same for frames, which hold no wave
        Field(
            f"density_{sample}", intensity, picture="density", scale="intensity", film=True,
            **density,
        ),
        Field(wave, psi, picture="phase", part="phase", **phase),
        Field(f"phase_{sample}", np.angle(psi), **phase),
    ]  # fmt: skip


def potential_fields(values: np.ndarray) -> list[Field]:
    """Real and imaginary part of V on the elements; the latter is drawn where it is not 0."""
    energy: dict[str, Any] = dict(
        on="cell", unit="energy", natural=_ENERGY, scale="auto", film=True
    )
    imaginary = np.imag(values).astype(float)
    energy_im = energy | {"film": np.iscomplexobj(values)}
    return [
        Field("V_re", values.real.copy(), picture="potential", label="V", title="potential V",
              **energy),
        Field("V_im", imaginary, picture="potential" if np.any(imaginary) else "", label="Im V",
              title="imaginary part of V", **energy_im),
    ]  # fmt: skip


def weight_fields(values: np.ndarray) -> list[Field]:
    """Pumps that are images as they are when all pixels are 1: their weights."""
    shown: dict[str, Any] = dict(on="cell", unit="weight", scale="diverging", film=True)
    label, words = "pump weights $w$", "weights of the pumps"
    fields = [
        Field("weights", values.real.copy(), picture="weights", label=label, title=words, **shown)
    ]
    if np.iscomplexobj(values):
        fields.append(Field("weights_im", values.imag.copy(), label=f"Im {label}", **shown))
    return fields


def gradient_fields(slope: np.ndarray) -> list[Field]:
    """The gradient by V on the elements; of a complex one the real part is drawn."""
    shown: dict[str, Any] = dict(on="cell", unit="gradient", scale="diverging")
    label, words = r"$\partial C/\partial V$", "gradient of the cost by V"
    fields = [
        Field("dC_dV", slope.real.copy(), picture="gradient", label=label, title=words, **shown)
    ]
    if np.iscomplexobj(slope):
        imaginary = slope.imag.copy()
        fields.append(Field("dC_dV_im", imaginary, label=r"$\partial C/\partial$ Im V", **shown))
    return fields


def pump_marks(system: Wave) -> list[Mark]:
    """The pumps that know where they are, with their weights."""
    pumps = system.pumps
    return [
        Mark(
            "pump", "w", shape, int(k) if k >= 0 else None, dashed=True, value=weight.item(),
            unit="weight",
        )
        for shape, k, weight in zip(pumps.shapes, pumps.input, pumps.weights, strict=False)
        if shape is not None
    ]  # fmt: skip


def per_element(space: Space, values: np.ndarray) -> np.ndarray:
    """Mean over each element of values at the quadrature points."""
    shape = (len(space.elements), -1)
    return (space.w * values).reshape(shape).sum(axis=1) / space.w.reshape(shape).sum(axis=1)
