"""Whether steady states of a wave are stable: proved, computed, or not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nepfield.errors import InputError
from nepfield.fields.pictures import Field
from nepfield.reprs import Described
from nepfield.space.arrays import squared_magnitude
from nepfield.space.linalg import one_thread
from nepfield.space.space import Space
from nepfield.steady.equation import Equation
from nepfield.steady.linearisation import Linearisation
from nepfield.steady.stability.definite import is_definite, is_indefinite
from nepfield.steady.stability.eigenvalues import DIRECT, Window, direct_growth, windowed_growth
from nepfield.steady.stability.fluctuations import Fluctuations
from nepfield.steady.stability.pointwise import Bounds, pointwise_bounds
from nepfield.steady.steady import Steady

_ROUNDING = 1e-9
_TOGETHER = 1024  # samples that are linearised at a time
TIERS = ("pointwise", "definite", "eigenvalues")


@dataclass(frozen=True, eq=False)
class Stability(Described):
    """What becomes of small fluctuations around steady states, a number a sample.

    Attributes
    ----------
    growth : ndarray, shape (nsamples,)
        Rate at which the fastest fluctuation grows, per unit of time; negative where all decay.
        Where the state is proved stable by its coefficients alone this is a bound from above. nan
        where it is not known.
    stability : ndarray of str, shape (nsamples,)
        "proved" (by an inequality), "stable" (by eigenvalues that cover every frequency at which
        growth is possible), "unstable", or "unknown".
    frequency : ndarray, shape (nsamples,)
        At which that fluctuation turns, in the frame of the drive: 0 for a state that leaves
        along a line, else the device oscillates (Hopf). nan where no mode was computed.
    bound : ndarray, shape (nsamples,)
        No fluctuation grows faster: ``max(|b| + Im a + Im V) - gamma``.
    mode : ndarray, shape (2, ndof, nsamples)
        u and v of the fastest fluctuation ``u exp(lambda t) + conj(v exp(lambda t))``, with
        ``int |u|^2 + |v|^2 = 1``; 0 where none was computed.
    reason : tuple of str
        How each sample was judged.
    space : Space
        Of the states.
    """

    growth: np.ndarray
    stability: np.ndarray
    frequency: np.ndarray
    bound: np.ndarray
    mode: np.ndarray
    reason: tuple[str, ...]
    space: Space

    def about(self) -> tuple[str, dict[str, Any]]:
        """A few words on it."""
        words = [str(word) for word in self.stability]
        count = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        fastest = float(np.max(self.growth, initial=-np.inf, where=np.isfinite(self.growth)))
        return f"Stability: {count or 'no sample'}", {
            "growth": f"up to {fastest:.3g}" if np.isfinite(fastest) else None,
            "first": self.reason[0] if self.reason else None,
        }

    @property
    def unstable(self) -> np.ndarray:
        """1 where a state is unstable, 0 where it is stable, nan where that is not known."""
        known = self.stability != "unknown"
        return np.where(known, (self.stability == "unstable").astype(float), np.nan)

    @property
    def fields(self) -> list[Field]:
        """The fluctuation that grows fastest of all samples, to be drawn and kept; none where no
        state is unstable."""
        growth = np.where(self.stability == "unstable", self.growth, -np.inf)
        if not len(growth) or not np.isfinite(growth.max()):
            return []
        sample = int(np.argmax(growth))
        u, v = self.space.at_nodes(self.mode[:, :, sample].T).T
        return [
            Field(
                f"mode_{sample}", squared_magnitude(u) + squared_magnitude(v), "node", "mode",
                label=r"$|u|^2+|v|^2$", title="fastest growing fluctuation", sample=sample,
            ),
            Field(f"mode_u_{sample}", u, "node", label="u", sample=sample),
            Field(f"mode_v_{sample}", v, "node", label="v", sample=sample),
        ]  # fmt: skip


def stability(
    system: Equation, steady: Steady, tier: str = "eigenvalues", most: int | None = None
) -> Stability:
    """Prove or deny that steady states of a wave are stable.

    Fluctuations delta around a state follow ``d(delta)/dt = -i [(H + a) delta + b conj(delta)]``.
    Three tiers, each for the samples that the ones before have not decided:

    1. ``pointwise``: growth is at most ``max(|b| + Im a + Im V) - gamma`` over all points. Free.
    2. ``definite``: with uniform loss, a positive definite quadratic form
       ``<d, A0 d> + Re <d, b conj(d)>``, A0 = Re(H + a), makes every fluctuation decay at gamma.
       One real factorisation.
    3. ``eigenvalues``: all of them for up to 250 unknowns; for more, those that the window of
       possible growth holds. Where they are too many, or not resolved, the answer is "unknown".

    Parameters
    ----------
    system : Equation
        A wave, such as `GPE`.
    steady : Steady
        Its steady states; samples that have not converged are "unknown".
    tier : {"pointwise", "definite", "eigenvalues"}
        The last tier that is tried.
    most : int, optional
        Samples to which the tiers after the first are given; those that come later are "unknown"
        where the first does not prove them.

    Returns
    -------
    Stability

    Raises
    ------
    InputError
        If the system is no wave, or the states are not its own.
    """
    if not hasattr(system, "linearise"):
        raise InputError(
            f"stability: {type(system).__name__} is no wave. Minima of an energy are stable: they "
            "are accepted only where the Hessian is positive definite."
        )
    if tier not in TIERS:
        raise InputError(f"tier = {tier!r}: choose one of {', '.join(map(repr, TIERS))}.")
    if np.shape(steady.state) != (system.space.ndof, len(steady.converged)):
        raise InputError(
            f"stability: the states have shape {np.shape(steady.state)}, but the system has "
            f"{system.space.ndof} unknowns."
        )
    count = len(steady.converged)
    most = count if most is None else most
    samples: list[_Judged] = []
    bounds: list[np.ndarray] = []
    alike: list[_Judged] = []
    with one_thread():
        for first in range(0, count, _TOGETHER):
            found, bound = _judge_some(
                system,
                np.asarray(steady.state[:, first : first + _TOGETHER]),
                steady.converged[first : first + _TOGETHER],
                tier,
                most - first,
                alike,
            )
            samples += found
            bounds.append(bound)
    # a sample's mode in one piece: memory is taken only by those that are computed
    mode = np.zeros((count, 2, system.space.ndof), dtype=complex).transpose(1, 2, 0)
    for k, sample in enumerate(samples):
        if sample.mode is not None:
            mode[:, :, k] = sample.mode
    return Stability(
        growth=np.array([sample.growth for sample in samples]),
        stability=np.array([sample.stability for sample in samples]),
        frequency=np.array([sample.frequency for sample in samples]),
        bound=np.concatenate(bounds) if bounds else np.zeros(0),
        mode=mode,
        reason=tuple(sample.reason for sample in samples),
        space=system.space,
    )


@dataclass(frozen=True, eq=False)
class _Judged:
    growth: float
    stability: str
    frequency: float
    mode: np.ndarray | None
    reason: str


def _judge_some(
    system: Equation,
    states: np.ndarray,
    converged: np.ndarray,
    tier: str,
    most: int,
    alike: list[_Judged],
) -> tuple[list[_Judged], np.ndarray]:
    """Some samples, and the pointwise bound on their growth. Of a linear equation all samples are
    alike: the first that is judged is kept there."""
    linear = system.linearise(states)
    bounds = pointwise_bounds(linear)
    not_found = _Judged(np.nan, "unknown", np.nan, None, "no steady state was found")
    samples = [not_found] * len(converged)
    for k in np.flatnonzero(converged).tolist():
        if linear.direct is None and alike:
            samples[k] = alike[0]
            continue
        column = 0 if linear.direct is None else k
        samples[k] = _judge(linear, bounds, column, states[:, k], tier if k < most else TIERS[0])
        if linear.direct is None:
            alike.append(samples[k])
    return samples, np.broadcast_to(bounds.growth, len(converged))


def _judge(
    linear: Linearisation, bounds: Bounds, sample: int, state: np.ndarray, tier: str
) -> _Judged:
    """One sample, tier by tier."""
    bound, loss = float(bounds.growth[sample]), float(bounds.uniform_loss[sample])
    scale = max(float(bounds.coupling[sample]), abs(loss) if np.isfinite(loss) else 0.0)
    if bound < -_ROUNDING * scale:
        reason = "|b| is below the loss at every point"
        return _Judged(bound, "proved", np.nan, None, reason)
    if tier == "pointwise":
        return _Judged(np.nan, "unknown", np.nan, None, "|b| exceeds the loss somewhere")
    fluctuations = Fluctuations.of_sample(linear, sample)
    small = len(state) <= DIRECT
    if loss > 0 and _definite(linear, fluctuations, state, small):
        reason = "the quadratic form of fluctuations is positive definite and loss is uniform"
        return _Judged(-loss, "proved", np.nan, None, reason)
    if tier == "definite":
        return _Judged(np.nan, "unknown", np.nan, None, "the quadratic form is not definite")
    if small:
        found = direct_growth(fluctuations)
    else:
        window = Window(
            float(bounds.frequency[sample]),
            float(bounds.lowest[sample]),
            float(bounds.coupling[sample]),
            loss,
        )
        try:
            found = windowed_growth(fluctuations, window, linear.linear_part.vacuum_factorisation)
        except np.linalg.LinAlgError as error:
            return _Judged(np.nan, "unknown", np.nan, None, f"the computation failed: {error}")
    growth = found.rate.real
    if np.isfinite(loss) and growth < -loss:
        growth = -loss  # rounding: with uniform loss no pair of modes decays faster than it
    uncertain = _ROUNDING * max(abs(found.rate), bounds.coupling[sample])
    if growth > uncertain:
        verdict = "unstable"
    elif found.complete and growth < -uncertain:
        verdict = "stable"
    else:
        verdict = "unknown"
    mode = np.array([found.u, found.v])
    return _Judged(growth, verdict, abs(found.rate.imag), mode, found.reason)


def _definite(
    linear: Linearisation, fluctuations: Fluctuations, state: np.ndarray, small: bool
) -> bool:
    if not small:
        try:
            vacuum = linear.linear_part.vacuum_factorisation
        except np.linalg.LinAlgError:
            return False
        if is_indefinite(fluctuations, state, vacuum):
            return False
    return is_definite(fluctuations, state)
