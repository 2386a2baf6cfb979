"""Whether a readout can get bright at all, with the potential within its bounds: the *reach*.

A training ends in the dark for two reasons: V within its bounds cannot bring enough of the wave to
the readout, or training has not found how. The reach tells them apart, before and after training.
It says of each output, and of the samples that ask most of it,

*attained*: the brightest intensity for which a potential within the bounds was found
(`nepfield.learning.brightest`), and
*bound*: an intensity that none of them can exceed (`nepfield.systems.brightness`).

Each sample is looked at alone: that each can get bright does not say that one potential makes all
of them bright at once, and dark where they shall be dark. The weights of the pumps stay as they
are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.names import output_names
from nepfield.fields.readouts import Intensities, Readout
from nepfield.learning.brightest import Darkness, Search
from nepfield.learning.costs import CCE, LEARNT, Cost, contrast
from nepfield.learning.gradients import checked_samples
from nepfield.reprs import Described, counted
from nepfield.space.linalg import one_thread
from nepfield.steady.stability.certificate import stability
from nepfield.steady.steady import Steady
from nepfield.systems.brightness import brightness_bounds
from nepfield.systems.gpe import GPE
from nepfield.systems.system import device_of

_SAMPLES, _PAIRS = 3, 12  # looked at closely: of each output, and of all (but one of each)
_STEPS = 20  # Newton steps; a potential that needs more is passed by
_CERTIFIED = 5000  # unknowns up to which the stability of what was attained is computed
_BISECTIONS = 7


@dataclass(frozen=True, eq=False)
class Reach(Described):
    """How bright each output can get for the samples that ask most of it.

    Attributes
    ----------
    sample, output : ndarray of int, shape (npairs,)
        The sample and the output that a row is about; a few rows for each output that a sample
        wants bright.
    wanted : ndarray, shape (npairs,)
        The least intensity that would do.
    start : ndarray, shape (npairs,)
        With V as it is; nan where no steady state was found.
    attained : ndarray, shape (npairs,)
        The brightest with a potential that was found. The search of a row ends where `wanted` is
        attained. nan where no steady state was found at all.
    bound : ndarray, shape (npairs,)
        No potential within the bounds gives more; infinite where nothing can be said.
    potential : ndarray, shape (npairs, nvalues)
        The potentials that give `attained`.
    stable : tuple of str
        Whether the states that are bright enough last: "proved", "stable", "unstable", "unknown",
        or "" of those that are not bright enough.
    verdict : tuple of str
        Of each output, by its darkest row: "reached", "out of reach" (proved by the bound), "not
        found" (neither), or "" where no sample wants it bright.
    pumps : ndarray, shape (noutputs,)
        The factor by which the pumps have to be stronger for the bound to admit what is wanted.
    names : tuple of str
        What the outputs are called.
    """

    sample: np.ndarray
    output: np.ndarray
    wanted: np.ndarray
    start: np.ndarray
    attained: np.ndarray
    bound: np.ndarray
    potential: np.ndarray
    stable: tuple[str, ...]
    verdict: tuple[str, ...]
    pumps: np.ndarray
    names: tuple[str, ...]

    @property
    def darkest(self) -> np.ndarray:
        """Of each output the row that its verdict is about: that which is least bright, measured by
        what is wanted, of those out of reach where there are any; -1 for none, (noutputs,)."""
        share = np.nan_to_num(self.attained) / self.wanted
        share = np.where((share < 1) & (self.bound < self.wanted), share - 1, share)
        rows = [np.flatnonzero(self.output == k) for k in range(len(self.verdict))]
        return np.array([r[np.argmin(share[r])] if len(r) else -1 for r in rows], dtype=int)

    @property
    def factor(self) -> np.ndarray:
        """About how many times stronger the pumps have to be for each output to get bright enough,
        since intensities grow with their square, and at least `pumps`; 1 where it is within reach,
        nan where no sample wants it bright; shape (noutputs,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.append(np.sqrt(self.wanted / np.nan_to_num(self.attained)), np.nan)
        return np.maximum(np.maximum(needed[self.darkest], self.pumps), 1.0)

    @property
    def brightest(self) -> np.ndarray:
        """What is attained in that row; nan for none, shape (noutputs,)."""
        return np.append(self.attained, np.nan)[self.darkest]

    def sentences(self, density: float = 1.0, unit: str = "") -> list[str]:
        """What it says of each output that a sample wants bright, and what to change.

        Parameters
        ----------
        density : float
            What intensities are multiplied by to be in the unit.
        unit : str
            After a space, such as " /µm²".
        """
        said = []
        for k, (word, row) in enumerate(zip(self.verdict, self.darkest, strict=True)):
            if not word:
                continue
            attained, bound = float(np.nan_to_num(self.attained[row])), self.bound[row]
            head = (
                f"{self.names[k]}, sample {self.sample[row]}: an intensity of "
                f"{density * self.wanted[row]:.3g}{unit}"
            )
            if word == "reached":
                lasting = [self.stable[j] for j in np.flatnonzero(self.output == k)]
                but = ", though in a state that is unstable" if "unstable" in lasting else ""
                said.append(f"{head} is within reach{but}")
                continue
            stronger = f"make the pumps about {_told(self.factor[k])} times stronger"
            if word == "out of reach":
                said.append(
                    f"{head} is out of reach with the pumps as they are: no V within its bounds "
                    f"gives more than {density * bound:.3g}{unit}. Lower the bound of V, "
                    f"{stronger}, open the way to the readout, or ask for less"
                )
                continue
            known = "nothing is known that excludes more"
            if np.isfinite(bound):
                known = f"more than {density * bound:.3g}{unit} is impossible"
            said.append(
                f"{head} was not found with the pumps as they are: "
                f"{density * attained:.3g}{unit} is the brightest of the potentials that were "
                f"tried ({known}). Lower the bound of V or the loss, {stronger}, or open the way "
                "to the readout"
            )
        return said

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        return f"Reach of {counted(len(self.verdict), 'output')}", {
            name: f"{word}, {value:.4g}"
            for name, word, value in zip(self.names, self.verdict, self.brightest, strict=True)
            if word
        }


def _told(factor: float) -> str:
    return f"{factor:.3g}" if factor < 1000 else f"{factor:,.0f}" if factor < 1e6 else "a million"


def wanted_intensity(cost: Cost, targets: np.ndarray) -> np.ndarray:
    """The intensities that would do as outputs, shape (nsamples, noutputs).

    Of a squared error the target less a tenth of the contrast of the targets of an output (of the
    target, where all are alike). Of K classes with a gain the intensity ``ln(1 + sqrt(K)) / gain``
    for the right one: the cross entropy is then half of ln K, if the others are dark.
    """
    targets = cost.checked_targets(targets)
    if isinstance(cost, CCE):
        return targets * np.log(1 + np.sqrt(targets.shape[1])) / cost.gain
    return targets - LEARNT * contrast(targets)


def reach(
    system: GPE, readout: Readout, inputs: np.ndarray, wanted: np.ndarray, **options: Any
) -> Reach:
    """How bright the outputs of a wave can get with V within its bounds.

    Parameters
    ----------
    system : GPE
    readout : Readout
        Of intensities.
    inputs : ndarray, shape (nsamples, ninputs)
    wanted : ndarray, shape (nsamples, noutputs)
        Intensities that would do, such as `wanted_intensity` makes of the targets of a cost; what
        is 0 or less is not looked at.
    **options
        Of `solve_steady`; 20 Newton steps unless more are given.

    Returns
    -------
    Reach
        Of each output the three samples that are looked at (fewer, if there are more than four
        outputs) are those that the bounds leave least room.

    Raises
    ------
    InputError
        If the system is no wave with a potential, the readout reads no intensities, or the arrays
        do not fit.
    """
    system = device_of(system)
    if not isinstance(system, GPE) or not isinstance(readout, Intensities):
        raise InputError(
            f"reach: {type(system).__name__} read by {type(readout).__name__} has no reach; that "
            "is of intensities of a wave with a potential (GPE)."
        )
    inputs, wanted = checked_samples(system, Darkness(readout), inputs, wanted)
    with one_thread():
        return _reach(system, readout, inputs, wanted, options)


def _reach(
    system: GPE,
    readout: Intensities,
    inputs: np.ndarray,
    wanted: np.ndarray,
    options: Mapping[str, Any],
) -> Reach:
    rough = brightness_bounds(system, readout, inputs, sharp=False).least
    pairs = _hardest(wanted, rough)
    sample, output = pairs.T
    needed, bound = wanted[sample, output], np.full(len(pairs), np.inf)
    chosen, place = np.unique(sample, return_inverse=True)
    if len(chosen):
        bound = brightness_bounds(system, readout, inputs[chosen]).least[place, output]
    if np.iscomplexobj(system.potential.values):
        system = _without_loss(system)
    options = {"max_iterations": _STEPS, **options, "prefer": "any"}
    search = Search(system, readout, inputs, pairs, needed, options)
    start = search.best
    if len(pairs):
        search.scan()
        start = search.best.copy()
        search.uniform()
        for row in _worth_climbing(output, needed, bound):
            search.climb(row)
    outputs = range(readout.noutputs)
    verdict = [
        _verdict(search.best[rows], needed[rows], bound[rows])
        for rows in (output == k for k in outputs)
    ]
    found = Reach(
        sample, output, needed, start, search.best, bound, search.potential,
        tuple(_lasts(system, search, row) for row in range(len(pairs))),
        tuple(verdict), np.ones(readout.noutputs),
        output_names(readout),
    )  # fmt: skip
    for k, word in enumerate(found.verdict):
        if word == "out of reach":
            row = found.darkest[k]
            found.pumps[k] = _factor(system, readout, inputs[[sample[row]]], k, needed[row])
    return found


def _verdict(attained: np.ndarray, wanted: np.ndarray, bound: np.ndarray) -> str:
    if not len(attained):
        return ""
    dark = ~(attained >= wanted)
    if (dark & (bound < wanted)).any():
        return "out of reach"
    return "not found" if dark.any() else "reached"


def _worth_climbing(output: np.ndarray, wanted: np.ndarray, bound: np.ndarray) -> list[int]:
    """All rows, but of those of an output that the bound excludes the darkest alone."""
    excluded = bound < wanted
    darkest = {k: int(np.argmin(np.where(output == k, bound / wanted, np.inf))) for k in output}
    return [row for row, k in enumerate(output) if not excluded[row] or row == darkest[k]]


def _hardest(wanted: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Of each output the samples that have least room, (npairs, 2) of sample and output."""
    pairs, most = [], max(1, min(_SAMPLES, _PAIRS // wanted.shape[1]))
    for k, (column, bound) in enumerate(zip(wanted.T, bounds.T, strict=True)):
        (rows,) = np.nonzero(column > 0)
        order = np.lexsort([-column[rows], bound[rows] / column[rows]])
        pairs += [(s, k) for s in rows[order[:most]]]
    return np.array(pairs, dtype=int).reshape(-1, 2)


def _without_loss(system: GPE) -> GPE:
    """The system with Im V as high as it may be."""
    parameter = system.potential.parameter
    limits, values = parameter.imaginary_bounds, np.array(parameter.values)
    if limits is not None:
        values.imag[np.broadcast_to(parameter.trainable, values.shape)] = limits[1]
    return system.with_parameters({"potential": values})


def _lasts(system: GPE, search: Search, row: int) -> str:
    """The stability of the state that is bright enough, as far as that is quick."""
    state = search.states[row]
    if state is None or row in search.dark:
        return ""
    one = np.ones(1, dtype=bool)
    steady = Steady(state[:, None], one, np.zeros(1), np.zeros(1, dtype=int), ("converged",))
    tier = "eigenvalues" if len(state) <= _CERTIFIED else "pointwise"
    moved = system.with_parameters({"potential": search.potential[row]})
    return str(stability(moved, steady, tier).stability[0])


def _factor(
    system: GPE, readout: Intensities, inputs: np.ndarray, output: int, wanted: float
) -> float:
    """How much stronger the pumps have to be for the bounds to admit what is wanted."""

    def bound(factor: float) -> float:
        stronger = system.with_parameters({"weights": factor * system.pumps.weights})
        return float(brightness_bounds(stronger, readout, inputs).least[0, output])

    least, most = 1.0, 1.01 * float(np.sqrt(wanted / max(bound(1.0), 1e-300)))
    if bound(np.sqrt(least * most)) < wanted * least / most * 1.1:  # it grows with the square
        return most
    for _ in range(_BISECTIONS):
        middle = np.sqrt(least * most)
        least, most = (middle, most) if bound(middle) < wanted else (least, middle)
    return most
