"""What learning, studies and pictures need to know of a physical system: the `System`.

A system is any object with these members; there is no base class and no list of systems. Its state
is an array whose last axis is the sample, and only the system and its readout look into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.parameters import Parameter, Values
from nepfield.fields.pictures import Field, Mark
from nepfield.fields.readouts import Readout
from nepfield.keys import Keys
from nepfield.mesh.domain import Domain
from nepfield.reprs import counted
from nepfield.space.arrays import all_finite
from nepfield.steady.linear import SharedPreconditioner
from nepfield.steady.steady import NotConverged, Steady

MOST_CERTIFIED = 64
"""Samples of a run whose stability is looked at closely."""
MOST_FOLLOWED = 16
"""Samples of a run that are switched on."""

Figures = dict[str, np.ndarray]
"""A number a sample, shape (nsamples,), by name: columns of the history and of the summary."""


class Push(Protocol):
    """A nudge as a system sees it (`nepfield.learning.nudge` has the usual ones).

    All but `samples`, `free` and `readout` give what is added to the system; a system asks for
    what it needs.
    """

    @property
    def free(self) -> np.ndarray | None:
        """The free state at which a force of fixed amplitude is made; None if there is none."""

    @property
    def rows(self) -> np.ndarray | None:
        """Rows of the state on which it acts; None where that may be any."""

    @property
    def readout(self) -> Readout | None:
        """What it acts through; None for a force that is given everywhere."""

    @property
    def slopes(self) -> np.ndarray | None:
        """Slope by each signal of a nudge linear in them, (nsignals, nsamples); else None."""

    def energy(self, state: np.ndarray) -> np.ndarray:
        """Energy that is added, shape (nsamples,)."""

    def force(self, state: np.ndarray) -> np.ndarray:
        """Slope of that energy by the state (by its conjugate where it is complex), like it."""

    def stiffness(self, state: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Second derivative of that energy by these rows of the state (None: all), shape
        (nsamples, nrows, nrows)."""

    def branch(self, state: np.ndarray) -> np.ndarray | None:
        """Between which of its poles the state lies, as whole numbers; None without a pole."""

    def table(self, spectrum: np.ndarray) -> np.ndarray:
        """Energy of configurations whose signals are given (nsignals, nconfigurations)."""

    def samples(self, chosen: np.ndarray | slice) -> Self:
        """The same for some of the samples."""

    def at(self, free: np.ndarray) -> Self:
        """The same as it is made at another free state, read without noise."""


class System(Protocol):
    """A physical system that equilibrates.

    One whose states need not be stable may also have ``certify(steady, most)`` (see `certify`), and
    ``switch_on(inputs, steady, most, ...)`` where it need not reach them (see `switch_on`).
    Rules of others that it admits too are in ``published``, a tuple like `rules`; comparisons leave
    them out unless they are asked for.

    Attributes
    ----------
    domain : Domain
    parameters : dict of str to Parameter
        All of them, trained or not, by name.
    ninputs : int
    driven : str
        What takes the inputs, in words: "the 2 pumps".
    rules : tuple of str
        Learning rules that it admits, the usual one first; "adjoint" among them says that it has
        an exact gradient.
    nudge : {"full", "linearised"}
        Whether a nudge moves with the state or is made once, at the free state.
    warm_start : bool
        Whether training usually starts from the states of the epoch before.
    figure_labels : dict of str to str
        How pictures call the numbers that `figures` gives (mathtext in dollars).
    """

    @property
    def domain(self) -> Domain: ...
    @property
    def parameters(self) -> Mapping[str, Parameter]: ...
    @property
    def ninputs(self) -> int: ...
    @property
    def driven(self) -> str: ...
    @property
    def rules(self) -> tuple[str, ...]: ...
    @property
    def nudge(self) -> str: ...
    @property
    def warm_start(self) -> bool: ...
    @property
    def figure_labels(self) -> Mapping[str, str]: ...

    def with_parameters(self, values: Mapping[str, np.ndarray]) -> Self:
        """The same system with other values of the parameters named, moved into their bounds."""

    def equilibrate(
        self,
        inputs: np.ndarray,
        nudge: Push | None = None,
        initial: np.ndarray | None = None,
        keys: Keys | None = None,
        **options: Any,
    ) -> Steady:
        """Steady states; nothing is raised where one is not found.

        `initial` (state-like) is where to start; samples whose column holds a nan start as if there
        were none. `keys` are for random starts; None means a start that is always the same.
        """

    def observables(
        self, state: np.ndarray, inputs: np.ndarray, free: np.ndarray, keys: Keys | None = None
    ) -> Values:
        """What is conjugate to each trained parameter, (n, nsamples) each; keys: with noise."""

    def respond(
        self, kind: str, free: np.ndarray, nudge: Push, inputs: np.ndarray
    ) -> tuple[Values, np.ndarray]:
        """Derivatives (n, nsamples) by the linear response that a rule calls `kind`; and for which
        samples it was found, (nsamples,)."""

    def figures(
        self, steady: Steady, inputs: np.ndarray, response: np.ndarray | None = None
    ) -> Figures:
        """Columns of history and summary; `response`: nudged minus free state, from a rule that has
        it. Of a long epoch they are the means over its first thousand samples, about."""

    def fields(
        self, state: np.ndarray, inputs: np.ndarray, gradient: Values | None = None
    ) -> list[Field]:
        """What to draw and keep; `gradient`: as fields, by the name of the parameter."""

    def marks(self) -> list[Mark]:
        """What is placed on the domain, readouts left out."""

    def advice(
        self, history: Sequence[Mapping[str, float]], summary: Mapping[str, Any]
    ) -> list[str]:
        """What to change where a training went wrong; empty where nothing did."""


class Frame(Protocol):
    """How a device's response says something of the multiplier of the exact gradient.

    The nudged device solves ``D z = v``, the exact multiplier ``T z = right``; T - D is local and
    known (`nepfield.systems.frames`).
    """

    @property
    def norm_weight(self) -> np.ndarray:
        """Makes the Euclidean norm of weak forms that of fields, (ndof, 1)."""

    def right(self, error: np.ndarray) -> np.ndarray:
        """What T is solved for, of the slope of the cost by the conjugate of the state."""

    def force(self, right: np.ndarray) -> np.ndarray:
        """The force of the nudge that makes the device solve for it."""

    def read(self, response: np.ndarray) -> np.ndarray:
        """z, of the change of the state that this nudge makes."""

    def solve(
        self, right: np.ndarray, preconditioner: SharedPreconditioner | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """z in the limit of a weak nudge, and for which samples it was found."""

    def difference(self, z: np.ndarray) -> np.ndarray:
        """(T - D) z."""

    def multiplier(self, z: np.ndarray) -> np.ndarray:
        """l of z, as `Readable.parameter_derivative` takes it."""


class Readable(System, Protocol):
    """A system whose state is a field that can be read as a whole, such as a wave."""

    def frame(self, kind: str, free: np.ndarray) -> Frame:
        """How a response is read, of a kind: "nep" or "reciprocal"."""

    def parameter_derivative(
        self, state: np.ndarray, multiplier: np.ndarray, inputs: np.ndarray
    ) -> Values:
        """The derivatives (n, nsamples) that a multiplier at a free state stands for."""


def seen(system: System, state: np.ndarray, keys: Keys | None = None) -> np.ndarray:
    """A state as it is measured, field by field: ``system.seen(state, keys)`` where it has that
    method, else the state itself."""
    ask = getattr(system, "seen", None)
    found: np.ndarray = state if ask is None else ask(state, keys)
    return found


class Certificate(Protocol):
    """What a system says of the stability of its states, one a sample.

    Attributes
    ----------
    stability : ndarray of str, shape (nsamples,)
        "proved", "stable", "unstable" or "unknown".
    growth : ndarray, shape (nsamples,)
        Rate of the fastest fluctuation; nan where it is not known.
    unstable : ndarray, shape (nsamples,)
        1, 0, or nan where that is not known.
    fields : list of Field
        The fastest growing fluctuation.
    """

    @property
    def stability(self) -> np.ndarray: ...
    @property
    def growth(self) -> np.ndarray: ...
    @property
    def unstable(self) -> np.ndarray: ...
    @property
    def fields(self) -> list[Field]: ...


def certify(system: System, steady: Steady, most: int = MOST_CERTIFIED) -> Certificate | None:
    """Ask a system whether its states are stable, so many samples closely; None where it has no
    method `certify`, as with minima of an energy, whose Hessian is known to be definite."""
    ask = getattr(system, "certify", None)
    found: Certificate | None = None if ask is None else ask(steady, most)
    return found


class Arrival(Protocol):
    """What a system says of a switch-on, one a sample.

    Attributes
    ----------
    outcome : ndarray of str, shape (nsamples,)
        "proved" or "reached" where the state is; "other state"; "does not settle"; or "not looked
        at".
    arrives : ndarray, shape (nsamples,)
        1, 0, or nan where nobody has looked.
    """

    @property
    def outcome(self) -> np.ndarray: ...
    @property
    def arrives(self) -> np.ndarray: ...


def switch_on(
    system: System, inputs: np.ndarray, steady: Steady, most: int | None = None, **options: Any
) -> Arrival | None:
    """Ask a system whether it reaches its states when it is switched on, following so many samples
    beside those that it proves; None where it has no method `switch_on`: its motion is downhill."""
    ask = getattr(system, "switch_on", None)
    found: Arrival | None = None if ask is None else ask(inputs, steady, most, **options)
    return found


def device_of(system: Any) -> Any:
    """The device itself, where a system is one as it is measured (`nepfield.systems.measured`)."""
    return getattr(system, "device", system)


def about_system(system: Any) -> tuple[str, dict[str, Any]]:
    """What `Described.about` says of a system: where it is, its inputs and its parameters."""
    domain = system.domain
    size = counted(len(domain.points), "vertex" if len(domain.points) == 1 else "vertice")
    head = f"{type(system).__name__} on {domain.source}: {size}"
    return f"{head}, {counted(system.ninputs, 'input')}", dict(system.parameters)


def admitted(system: System) -> tuple[str, ...]:
    """Every rule that a system admits: its `rules`, then the rules of others in ``published``."""
    return system.rules + tuple(getattr(system, "published", ()))


def trained(system: System) -> dict[str, Parameter]:
    """The parameters of a system of which anything is trained."""
    return {name: p for name, p in system.parameters.items() if p.is_trained}


def checked_inputs(system: System, inputs: np.ndarray) -> np.ndarray:
    """The inputs as a float array of shape (nsamples, ninputs).

    Raises
    ------
    InputError
        If their shape is another one, or a number is not finite.
    """
    try:
        array = np.asarray(inputs).astype(float, casting="same_kind")
    except (TypeError, ValueError):
        raise InputError("inputs: they must be an array of real numbers.") from None
    if array.ndim != 2 or array.shape[1] != system.ninputs:
        raise InputError(
            f"inputs: {system.driven} need an array of shape (nsamples, {system.ninputs}); this "
            f"one has shape {array.shape}."
        )
    if not all_finite(array):
        raise InputError("inputs: all values must be finite.")
    return array


def solve_steady(
    system: System,
    inputs: np.ndarray,
    *,
    nudge: Push | None = None,
    initial: np.ndarray | None = None,
    keys: Keys | None = None,
    on_failure: str = "raise",
    **options: Any,
) -> Steady:
    """Find the steady states of a system for a batch of inputs.

    Parameters
    ----------
    system : System
    inputs : ndarray, shape (nsamples, ninputs)
    nudge : Nudge or FieldNudge, optional
        What is added to the system, as in nep (3).
    initial : ndarray, optional
        Warm start, of the shape of the state; by default that of the system (a wave: the vacuum).
    keys : Keys, optional
        For systems that start at random.
    on_failure : {"raise", "flag"}
        Raise `NotConverged` if a sample fails, or only mark it in `Steady.converged`.
    **options
        Of the system's solver; for waves ``tolerance``, ``max_iterations``, ``method`` and
        ``prefer`` ("stable": no unstable state counts as found), as
        `nepfield.steady.prefer.find_preferred` has them.

    Returns
    -------
    Steady

    Raises
    ------
    NotConverged
        With the last iterate as its attribute `steady`.
    InputError
        If an argument does not fit.
    """
    if on_failure not in ("raise", "flag"):
        raise InputError(f"on_failure = {on_failure!r}: choose 'raise' or 'flag'.")
    inputs = checked_inputs(system, inputs)
    if isinstance(nudge, np.ndarray):
        raise InputError(
            f"nudge: a Nudge is needed, or FieldNudge(field) for a force everywhere; this is an "
            f"array of shape {nudge.shape}."
        )
    if initial is not None and not all_finite(initial):
        raise InputError(
            f"initial: a finite array like the state is needed; this one, of shape "
            f"{np.shape(initial)}, has values that are not finite."
        )
    steady = system.equilibrate(inputs, nudge, initial, keys, **options)
    if on_failure == "raise":
        raise_unless_converged(steady)
    return steady


def raise_unless_converged(steady: Steady) -> None:
    """NotConverged if a sample has no steady state."""
    if not steady.converged.all():
        failed = np.flatnonzero(~steady.converged)
        raise NotConverged(
            f"{len(failed)} of {len(steady.converged)} steady states were not found; sample "
            f"{failed[0]} {steady.reason[failed[0]]}",
            steady,
        )
