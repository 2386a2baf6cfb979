"""A wave as a laboratory has it: what stands there is not what is written, what is read is noisy.

    written      V                         shown: pixels, levels, crosstalk (`fields.modulator`)
    pumped       P (1 + e_p u)             of every state but the free one, u normal: pump drift
    detuned      V + e_d u                 of the same states: drift of the laser or the cavity
    waited       Psi after a time T        of the free state from the vacuum, of a nudged one from
                                           the free one; wrong by exp(-gamma T), its contrast by
                                           that over beta
    read         a camera, an interferometer (`fields.camera`)

All randomness comes from the keys of samples; without keys everything is exact: the steady states
of the device and what a perfect camera reads of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.camera import Camera, PhotographedIntensities
from nepfield.fields.modulator import Modulator
from nepfield.fields.parameters import Parameter, Values
from nepfield.fields.potentials import Potential
from nepfield.fields.readouts import Intensities
from nepfield.keys import Keys
from nepfield.reprs import Described
from nepfield.space.arrays import squared_magnitude
from nepfield.steady.prefer import find_preferred
from nepfield.steady.steady import Steady, joined
from nepfield.steady.switch_on import SwitchOn
from nepfield.steady.waiting import waited
from nepfield.systems import wave
from nepfield.systems.frames import WaveFrame
from nepfield.systems.gpe import GPE
from nepfield.systems.system import Push
from nepfield.systems.varied import detuned

_INSTEAD = (
    'write "nep", "nep-symmetric" or "reciprocal-symmetric", which measure nudges of strength beta'
)
_LIMIT = f"is a limit that no laboratory can measure: {_INSTEAD}"
_COMPUTED = f"asks for states of another device than the one that is measured: {_INSTEAD}"
REFUSED = dict.fromkeys(("nep-linear", "reciprocal"), _LIMIT) | dict.fromkeys(
    ("asym-ep", "dyadic-ep", "holomorphic-ep"), _COMPUTED
)
"""Rules of waves that cannot be measured, each with the reason."""


@dataclass(frozen=True, eq=False)
class MeasuredWave(Described):
    """A wave system that is written by a modulator, waited for and read by a camera.

    It is a system itself. What is not named here it has from its `device`.

    Attributes
    ----------
    wave : GPE
        With the parameters as they are written, which are those that are trained.
    camera : Camera
    modulator : Modulator
    drift : float
        Standard deviation of the shift of V of each state that follows a free one.
    pump_drift : float
        The same of the pumps, relative.
    waiting : float or None
        Time after which a state is read; None waits until it is steady.
    loss_error : float
        By how much of it the loss is taken too large where a rule needs to know it.
    """

    wave: GPE
    camera: Camera
    modulator: Modulator
    drift: float = 0.0
    pump_drift: float = 0.0
    waiting: float | None = None
    loss_error: float = 0.0

    def __post_init__(self) -> None:
        for name in ("drift", "pump_drift"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InputError(f"{name} = {getattr(self, name)}: it must be finite and >= 0.")
        if self.waiting is not None and not 0 < self.waiting < np.inf:
            raise InputError(
                f"waiting = {self.waiting}: it must be positive; None waits for the steady state."
            )
        if not -1 <= self.loss_error < np.inf:
            raise InputError(
                f"loss_error = {self.loss_error}: it must be a finite number, -1 or more."
            )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("wave", "device"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self.device, name)

    @cached_property
    def device(self) -> GPE:
        """The device itself, with the V that the modulator shows."""
        written = self.wave.potential
        if not written.trainable:
            return self.wave
        shown = replace(written.parameter, values=self.modulator.shown(written.values))
        return replace(self.wave, potential=replace(written, parameter=shown))

    @property
    def potential(self) -> Potential:
        """V as it is written."""
        return self.wave.potential

    @property
    def parameters(self) -> dict[str, Parameter]:
        """What is written, ``potential`` and ``weights``."""
        return self.wave.parameters

    @property
    def rules(self) -> tuple[str, ...]:
        """Those of the wave that can be measured, and the exact gradient."""
        return tuple(rule for rule in self.wave.rules if rule not in REFUSED)

    @property
    def published(self) -> tuple[str, ...]:
        """Of the rules of others those that can be measured."""
        return tuple(rule for rule in self.wave.published if rule not in REFUSED)

    @property
    def assumed_loss(self) -> float:
        """The loss that a rule takes the device to have."""
        return self.wave.loss * (1 + self.loss_error)

    @property
    def refusals(self) -> dict[str, str]:
        """Why the other rules are refused."""
        return {rule: f"{words}." for rule, words in REFUSED.items()}

    def with_parameters(self, values: Mapping[str, np.ndarray]) -> MeasuredWave:
        """The same with other values written, in full precision."""
        return replace(self, wave=self.wave.with_parameters(values))

    # -- what is measured ----------------------------------------------------------------

    def equilibrate(
        self,
        inputs: np.ndarray,
        nudge: Push | None = None,
        initial: np.ndarray | None = None,
        keys: Keys | None = None,
        **options: Any,
    ) -> Steady:
        """States of the device as they are when they are read.

        A free state (without `nudge`) begins in the vacuum if it is not waited for until it is
        steady, whatever `initial` is; a nudged one begins there. With drift each sample is a
        device of its own, and is solved alone.
        """
        device = self.device
        drive = device.drive(inputs)
        if keys is None or (nudge is None and self.waiting is None):
            return wave.equilibrate(device, drive, nudge, initial, **options)
        push = None if nudge is None else _push(nudge, drive)
        if push is None or not (self.drift or self.pump_drift):
            free = None if nudge is None else nudge.free
            return self._come(device, drive, push, free, initial, options)
        drive = drive * (1 + self.pump_drift * keys.fold("pump drift").normal(1))
        if not self.drift:
            return self._come(device, drive, push, None, initial, options)
        found = []
        for k, shift in enumerate(self.drift * keys.fold("drift").normal(1)[0]):
            one = slice(k, k + 1)
            shifted, begin = detuned(device, -shift), None if initial is None else initial[:, one]
            found.append(self._come(shifted, drive[:, one], push[:, one], None, begin, options))
        return joined(found)

    def _come(
        self,
        device: GPE,
        drive: np.ndarray,
        push: np.ndarray | None,
        free: np.ndarray | None,
        initial: np.ndarray | None,
        options: Mapping[str, Any],
    ) -> Steady:
        """Where a device comes: its steady state, or where it is after a time.

        `free` is a steady state of the same device and drive, whose residual is to be kept; None
        where these have drifted since.
        """
        if self.waiting is None:
            return find_preferred(device, drive, push=push, free=free, initial=initial, **options)
        start = np.zeros(drive.shape, dtype=complex)
        if push is not None:
            start, drive = start if initial is None else initial, drive + push
        return waited(device, drive, start, self.waiting)

    def frame(self, kind: str, free: np.ndarray) -> WaveFrame:
        """As `GPE.frame`, with the loss that is assumed."""
        return self._assumed.frame(kind, free)

    @cached_property
    def _assumed(self) -> GPE:
        return replace(self.device, loss=self.assumed_loss) if self.loss_error else self.device

    def seen(self, state: np.ndarray, keys: Keys | None = None) -> np.ndarray:
        """The complex wave as an interferometer shows it, (ndof, nsamples)."""
        return self.camera.field(state, keys)

    def reads(self, readout: Intensities) -> PhotographedIntensities:
        """A readout whose signals the camera takes."""
        return self.camera.reads(readout)

    def observables(
        self, state: np.ndarray, inputs: np.ndarray, free: np.ndarray, keys: Keys | None = None
    ) -> Values:
        """As `GPE.observables`, from one exposure of the intensity and one of the field.

        The intensity gives what is conjugate to Re V, the field what is conjugate to w and Im V.
        """
        if keys is None:
            return self.device.observables(state, inputs, free)
        space, potential, pumps = self.wave.space, self.wave.potential, self.wave.pumps
        observed, beats = {}, keys.fold("interferometer")
        if potential.trainable:
            density = squared_magnitude(space.evaluate(state))
            shown = self.camera.image(density, keys.fold("camera"))
            observed["potential"] = potential.integrate(space.w[:, None] * shown)
            if np.iscomplexobj(potential.values):
                there = space.evaluate(self.seen(state, beats))
                before = space.evaluate(self.seen(free, keys.fold("free")))
                crossed = -2j * space.w[:, None] * (there.conj() * before).imag
                observed["potential"] = observed["potential"] + potential.integrate(crossed)
        if pumps.parameter.is_trained:
            observed["weights"] = pumps.observable(self.seen(state, beats), inputs)
        return observed

    # -- what it is held against ---------------------------------------------------------

    def respond(
        self, kind: str, free: np.ndarray, nudge: Push, inputs: np.ndarray
    ) -> tuple[Values, np.ndarray]:
        """The exact gradient of the device in its steady states, read without noise."""
        found = np.full(free.shape[-1], True)
        if self.waiting is not None:
            steady = self._settled(inputs, free)
            found, free = steady.converged, np.where(steady.converged, steady.state, free)
        columns, solved = self.device.respond(kind, free, nudge.at(free), inputs)
        return columns, solved & found

    def _settled(self, inputs: np.ndarray, state: np.ndarray) -> Steady:
        """The steady states that the device would come to from near them."""
        return wave.equilibrate(self.device, self.device.drive(inputs), None, state)

    def switch_on(
        self, inputs: np.ndarray, steady: Steady, most: int | None = None, **options: Any
    ) -> SwitchOn:
        """Whether a switch-on reaches the steady states, as `nepfield.switch_on` finds it."""
        if self.waiting is not None:
            steady = self._settled(inputs, steady.state)
        return self.device.switch_on(inputs, steady, most, **options)

    def advice(
        self, history: Sequence[Mapping[str, float]], summary: Mapping[str, Any]
    ) -> list[str]:
        """What to change where a training went wrong."""
        if summary.get("verdict") != "gradient":
            told = self.device.advice(history, summary)
            return [text.replace('"reciprocal"', '"reciprocal-symmetric"') for text in told]
        return [
            f"the gradient of {summary['rule']}, as it is measured, is not to be trusted since "
            f"epoch {summary.get('untrusted_since')}: compare with the same study without "
            "[measurement]. If that learns, take more measurement.photons, a larger training.beta "
            "or a longer measurement.waiting; if not, lower physics.loss, or raise the lower bound "
            "of V (potential.bounds) until the drive stays below the lowest mode"
        ]

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return f"MeasuredWave: {self.wave.about()[0]}", {
            "camera": self.camera,
            "modulator": self.modulator,
            "drift": self.drift or None,
            "pump drift": self.pump_drift or None,
            "waiting": self.waiting,
            "loss error": self.loss_error or None,
        }


def _push(nudge: Push, drive: np.ndarray) -> np.ndarray:
    """What a nudge adds to the drive, ``-i beta dC/dPsibar``, nep (3)."""
    force: np.ndarray = nudge.force(drive if nudge.free is None else nudge.free)
    return -1j * force


def measured(
    system: GPE,
    *,
    photons: float | None = None,
    full_density: float = 1.0,
    noise: float = 0.0,
    field_noise: float = 0.0,
    phase_noise: float = 0.0,
    camera_pixels: Sequence[float] | None = None,
    slm_pixels: Sequence[float] | None = None,
    slm_levels: int | None = None,
    slm_crosstalk: float = 0.0,
    drift: float = 0.0,
    pump_drift: float = 0.0,
    waiting: float | None = None,
    loss_error: float = 0.0,
) -> MeasuredWave:
    """A wave as a laboratory has it.

        lab = nf.measured(system, photons=1e4, waiting=10 / system.loss)
        cost = nf.MSE(lab.reads(nf.readout(space, sites=[4])))
        nf.gradient(lab, cost, inputs, targets, "nep", 0.1, keys=nf.Keys(0, 1, np.arange(4)))

    Parameters
    ----------
    system : GPE
    photons : float, optional
        That a pixel of the camera collects in an exposure where the density is `full_density`.
        Intensities have Poisson's noise, fields that of heterodyne detection. None: no shot noise.
    full_density : float
        The density in which `photons` and the next two count.
    noise : float
        Standard deviation of a pixel beside shot noise, over `full_density`.
    field_noise : float
        The same of each quadrature of a field, over the root of `full_density`.
    phase_noise : float
        Standard deviation of the phase of each exposure of the field, in radians.
    camera_pixels : sequence of float, optional
        Sides of a camera pixel; None: the camera resolves all of the mesh, with a pixel's noise in
        each cell.
    slm_pixels, slm_levels, slm_crosstalk
        As `pixels`, `levels` and `crosstalk` of `nepfield.fields.modulator.Modulator`.
    drift, pump_drift, waiting, loss_error
        As in `MeasuredWave`.

    Returns
    -------
    MeasuredWave

    Raises
    ------
    InputError
        If a number is out of range, levels are given for a V without bounds, or the system is no
        wave with a potential and pumps.
    """
    if not isinstance(system, GPE):
        raise InputError(f"measured: {type(system).__name__} is no GPE, a wave that a camera sees.")
    camera = Camera(
        system.space, camera_pixels, photons, full_density, noise, field_noise, phase_noise
    )
    modulator = Modulator(system.space, system.potential, slm_pixels, slm_levels, slm_crosstalk)
    return MeasuredWave(system, camera, modulator, drift, pump_drift, waiting, loss_error)
