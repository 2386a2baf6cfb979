"""Large batches: free states and gradients of many images at once, on a lattice and on a mesh."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numba
import numpy as np

import nepfield as nf
from nepfield.steady.batches import choice, pieces
from nepfield.steady.batches.chord import Outcome, iterate
from nepfield.steady.batches.lanes import LANES
from nepfield.steady.batches.triangles import Triangles
from studies.speed.cases import box
from studies.speed.measure import Measurement, best_of

_NAME = "large batches"
_G, _LOSS, _TOLERANCE, _RATE = 0.04, 0.07, 1e-6, 0.01
_DT, _STEPS, _WALL = 0.05, 5000, 50.0  # at dt = 0.1 Runge-Kutta blows up in the walls


@dataclass(frozen=True)
class Device:
    """A system with samples, and the states that it had before the last step of a training."""

    system: nf.GPE
    cost: nf.CCE
    inputs: np.ndarray
    targets: np.ndarray
    before: np.ndarray

    def gradient(self, rule: str = "adjoint", tolerance: float = _TOLERANCE) -> nf.Gradient:
        return nf.gradient(
            self.system, self.cost, self.inputs, self.targets, rule,
            initial=self.before, tolerance=tolerance,
        )  # fmt: skip


def lattice_device(level: float, nsamples: int, ny: int = 15, nx: int = 150) -> Device:
    """Cells of ny x ny sites in a row, with walls of height 50 between them; a random picture
    drives every cell, a site of each is read."""
    random = np.random.default_rng(0)
    space = nf.graph(nf.lattice(ny, nx))
    iy, ix = np.divmod(np.arange(space.ndof), nx)
    pumps = [
        nf.site_pump(int(i), float(w), input=int(pixel))
        for i, (w, pixel) in enumerate(
            zip(random.normal(0, 0.3, space.ndof), iy * ny + ix % ny, strict=True)
        )
    ]
    potential = level + random.uniform(0, 0.5, space.ndof)
    potential[ix % ny == ny - 1] += _WALL
    system = nf.GPE(space, potential, pumps, nf.Density(_G), _LOSS)
    sites = [ny // 2 * nx + ny * k + ny // 2 for k in range(nx // ny)]
    return _trained(system, nf.CCE(nf.readout(space, sites=sites)), nsamples, random)


def mesh_device(n: int, nsamples: int) -> Device:
    """The box of the other benchmarks, thirty spots of light and four discs that are read."""
    random = np.random.default_rng(0)
    space = nf.finite_elements(box(n), order=2)
    pumps = [
        nf.gaussian_pump([float(x), float(y)], 1.0, float(w))
        for (x, y), w in zip(random.uniform(-8, 8, (30, 2)), random.normal(0, 1, 30), strict=True)
    ]
    potential = 1.0 + random.uniform(-0.3, 0.3, len(space.domain.cells))
    system = nf.GPE(space, potential, pumps, nf.Density(0.3), 0.1)
    discs = [((x, y), 1.0) for x in (-5.0, 5.0) for y in (-5.0, 5.0)]
    return _trained(system, nf.CCE(nf.readout(space, discs=discs)), nsamples, random)


def _trained(system: nf.GPE, cost: nf.CCE, nsamples: int, random: np.random.Generator) -> Device:
    """After one step of a training: warm starts are the states before it."""
    inputs = random.uniform(size=(nsamples, system.ninputs))
    classes = cost.readout.noutputs
    targets = np.eye(classes)[random.integers(classes, size=nsamples)]
    start = nf.gradient(system, cost, inputs, targets, "adjoint", tolerance=_TOLERANCE)
    values = {name: p.values for name, p in system.parameters.items()}
    optimizer = nf.Adam(_RATE)
    moved, _ = optimizer.step(values, start.fields, optimizer.start(values))
    return Device(system.with_parameters(moved), cost, inputs, targets, start.steady.state)


@contextmanager
def alone() -> Iterator[None]:
    """Batches are solved as before: Newton's method and GMRES on all samples together."""
    least, choice.LEAST = choice.LEAST, 10**9
    try:
        yield
    finally:
        choice.LEAST = least


def compare_throughput(nsamples: int = 96, nx: int = 150, n: int = 45) -> list[Measurement]:
    """An image on one thread, in processor time, warm-started as in a training."""
    rows = []
    for level, where in ((0.0, "below the modes"), (-2.5, "among the modes")):
        rows += _against_runge_kutta(lattice_device(level, nsamples, nx=nx), where)
    rows += _against_before(mesh_device(n, nsamples))
    for count in (32, 1000 if nsamples > 50 else 64):
        device = lattice_device(0.0, count, nx=nx)
        rows.append(_seconds(device, f"lattice(15, {nx}), {count} samples"))
    for ny, wide in ((5, nx // 3), (15, 3 * nx)):
        device = lattice_device(0.0, nsamples, ny, wide)
        rows.append(_seconds(device, f"lattice({ny}, {wide}), {nsamples} samples"))
    return rows


def _seconds(device: Device, case: str) -> Measurement:
    device.gradient()
    (seconds,) = best_of(3, _fresh(device), clock=time.process_time)
    return Measurement(_NAME, case, "an image", seconds / len(device.inputs), "s")


def _fresh(device: Device) -> Callable[[], nf.Gradient]:
    """The gradient of a system of which nothing was solved yet, as after each step."""
    return lambda: Device(
        device.system.with_parameters({}), device.cost, device.inputs, device.targets, device.before
    ).gradient()


def _against_runge_kutta(device: Device, where: str, images: int = 4) -> list[Measurement]:
    nsamples = len(device.inputs)
    ny, nx = 15, device.system.space.ndof // 15
    potential = device.system.potential.values
    drive = device.system.drive(device.inputs[:images]).astype(complex)

    def two_phases() -> None:
        for column in drive.T:
            for _ in range(2):
                _runge_kutta(
                    np.zeros(len(column), complex), potential, column.copy(), ny, nx, _STEPS
                )

    _runge_kutta(np.zeros(len(drive), complex), potential, drive[:, 0].copy(), ny, nx, 1)
    device.gradient()
    fast, solves = _counted(device)
    ours, theirs = best_of(5, _fresh(device), lambda: None, clock=time.process_time)
    (theirs,) = best_of(1, two_phases, clock=time.process_time)
    ours, theirs = ours / nsamples, theirs / images
    with alone():
        (before,) = best_of(1, _fresh(device), clock=time.process_time)
        robust = device.gradient(tolerance=1e-10)
    case = f"lattice(15, {nx}), {where}, {nsamples} samples"
    difference = max(
        float(np.linalg.norm(v - robust.params[k]) / np.linalg.norm(robust.params[k]))
        for k, v in fast.params.items()
    )
    return [
        Measurement(_NAME, case, "an image", ours, "s"),
        Measurement(_NAME, case, "an image, two phases of Runge-Kutta", theirs, "s"),
        Measurement(_NAME, case, "ratio", theirs / ours, "", ">= 300"),
        Measurement(_NAME, case, "an image, as before", before / nsamples, "s"),
        Measurement(
            _NAME, case, "time over its triangular solves", ours * nsamples / solves, "", "<= 4"
        ),
        Measurement(_NAME, case, "error of the gradient", difference, "", "<= 3e-4"),
    ]


def _counted(device: Device) -> tuple[nf.Gradient, float]:
    """The gradient, and the seconds that its triangular solves take by themselves."""
    made: list[int] = []
    used: list[Triangles] = []

    def counting(problem: Any, triangles: Triangles, *args: Any) -> Outcome:
        found = iterate(problem, triangles, *args)
        made.append(found.solves)
        used.append(triangles)
        return found

    with patch.object(pieces, "iterate", counting):
        found = _fresh(device)()
    field = np.zeros(2 * device.system.space.ndof * LANES, np.float32)
    times = []
    for _ in range(50):
        start = time.process_time()
        for _ in range(10):
            used[0].solve(field)
        times.append((time.process_time() - start) / 10)
    return found, sum(made) * min(times)


def _against_before(device: Device) -> list[Measurement]:
    nsamples = len(device.inputs)
    case = f"box, order 2, {device.system.space.ndof:,} unknowns, {nsamples} samples"
    device.gradient()
    (fast,) = best_of(3, _fresh(device), clock=time.process_time)
    found = device.gradient()
    with alone():
        (before,) = best_of(1, _fresh(device), clock=time.process_time)
        robust = device.gradient(tolerance=1e-10)
    difference = max(
        float(np.linalg.norm(v - robust.params[k]) / np.linalg.norm(robust.params[k]))
        for k, v in found.params.items()
    )
    return [
        Measurement(_NAME, case, "an image", fast / nsamples, "s"),
        Measurement(_NAME, case, "an image, as before", before / nsamples, "s"),
        Measurement(_NAME, case, "ratio", before / fast, "", ">= 5"),
        Measurement(_NAME, case, "error of the gradient", difference, "", "<= 3e-4"),
    ]


@numba.njit(cache=True)
def _rate(
    psi: np.ndarray, potential: np.ndarray, drive: np.ndarray, ny: int, nx: int, out: np.ndarray
) -> None:
    """kappa of nep (13) on a lattice with walls around it."""
    for iy in range(ny):
        for ix in range(nx):
            i = iy * nx + ix
            z = psi[i]
            laplacian = -4.0 * z
            if iy > 0:
                laplacian += psi[i - nx]
            if iy < ny - 1:
                laplacian += psi[i + nx]
            if ix > 0:
                laplacian += psi[i - 1]
            if ix < nx - 1:
                laplacian += psi[i + 1]
            n = z.real * z.real + z.imag * z.imag
            out[i] = -1j * (-0.5 * laplacian + (potential[i] + _G * n) * z) - _LOSS * z + drive[i]


@numba.njit(cache=True)
def _runge_kutta(
    psi: np.ndarray,
    potential: np.ndarray,
    drive: np.ndarray,
    ny: int,
    nx: int,
    steps: int,
) -> None:
    """Classical fourth-order Runge-Kutta, in place."""
    slope, total, trial = np.empty_like(psi), np.empty_like(psi), np.empty_like(psi)
    for _ in range(steps):
        _rate(psi, potential, drive, ny, nx, slope)
        for i in range(len(psi)):
            total[i] = psi[i] + _DT / 6 * slope[i]
            trial[i] = psi[i] + _DT / 2 * slope[i]
        _rate(trial, potential, drive, ny, nx, slope)
        for i in range(len(psi)):
            total[i] += _DT / 3 * slope[i]
            trial[i] = psi[i] + _DT / 2 * slope[i]
        _rate(trial, potential, drive, ny, nx, slope)
        for i in range(len(psi)):
            total[i] += _DT / 3 * slope[i]
            trial[i] = psi[i] + _DT * slope[i]
        _rate(trial, potential, drive, ny, nx, slope)
        for i in range(len(psi)):
            psi[i] = total[i] + _DT / 6 * slope[i]
