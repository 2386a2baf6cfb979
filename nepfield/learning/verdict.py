"""What became of a training: a word, since when, and what to change.

    learnt       the task is learnt, by states that an experiment sees
    learning     not yet, and the cost still falls; or it is not known whether the states are real
    stalled      not yet, and the cost falls no more
    gradient     not, and the gradient of the rule is not to be trusted
    diverging    not, and the cost is above where it was
    dark         not, and an output is below a tenth of what is wanted of it
    unstable     by unstable states, which an experiment leaves
    unreachable  by states that are not reached when the pumps are switched on

Where the outputs are as wanted: unstable, unreachable, learnt. Else the first that applies of
unstable (some samples have no steady state, and all others are as wanted), unreachable (what was
trained is not what a start from nothing finds), gradient (unless the cost still falls, is below
0.8 of what it was, and the cosine is positive), diverging, dark, learning, and where the cost falls
no more unstable, unreachable, stalled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

VERDICTS = (
    "learnt", "learning", "stalled", "gradient", "diverging", "dark", "unstable", "unreachable"
)  # fmt: skip
TRUSTED_COSINE = 0.5
"""Cosine to the exact gradient below which a gradient is not to be trusted."""
TRUSTED_LOSS = 0.1
"""`nudge_loss` above which it is not, where no cosine is known: below, the cosine is above 0.9 in
98 % of the cases on a lattice and in 92 % on a mesh (studies/near-equilibrium-atlas)."""
TRUSTED_ERROR = 1.0
"""`gradient_error` from which it is not, where no cosine is known: as large as the gradient."""
PROGRESS = 0.8
"""Cost at the end over that of the first epoch, above which a doubtful gradient is to blame."""
RISEN = 1.02
"""Cost at the end over that of the first epoch, from which a training diverges."""
FALLING = 0.02
"""Share by which the cost must fall over the last quarter of the epochs for it to be falling."""
_FEW = 8  # epochs before which nothing is said to have stalled
_MISSED = ("other state", "does not settle")
_KNOWN = ("proved", "stable", "reached")

History = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Verdict:
    """What became of a training.

    Attributes
    ----------
    word : str
        One of `VERDICTS`.
    untrusted_since : int or None
        Epoch since which the gradient has not been to be trusted, up to the end.
    falling : bool
        Whether the cost still fell in the last quarter of the epochs.
    fits : bool
        Whether the outputs are as wanted.
    """

    word: str
    untrusted_since: int | None
    falling: bool
    fits: bool = False


def judge(
    history: History,
    *,
    fits: bool,
    faint: bool,
    lost: bool = False,
    missing: bool = False,
    stability: Sequence[str] = (),
    switch_on: Sequence[str | None] = (),
) -> Verdict:
    """Judge a training by its history and by its states.

    Parameters
    ----------
    history : sequence of dict
        A row an epoch; ``cost``, and where they are known ``gradient_cosine``,
        ``gradient_error`` and ``nudge_loss``.
    fits : bool
        Whether the outputs are as wanted.
    faint : bool
        Whether an output is far too small.
    lost : bool
        Whether the states that were trained, each from the one before, cost much less than those
        that are found without them.
    missing : bool
        Whether some samples have no steady state, and the others are as wanted.
    stability : sequence of str
        Of each state that was looked at, as `nepfield.stability` says it; empty for systems whose
        states are always stable.
    switch_on : sequence of str or None
        Whether a switch-on reaches it; None where that was not tried.
    """
    since, falling = untrusted_since(history), is_falling(history)
    tried = [*switch_on, *[None] * (len(stability) - len(switch_on))]
    states = list(zip(stability, tried, strict=True)) if stability else []
    unstable = any(word == "unstable" for word, _ in states)
    missed = any(on in _MISSED for _, on in states)
    known = all(word in _KNOWN or on in _KNOWN for word, on in states)
    if fits:
        word = "unstable" if unstable else "unreachable" if missed else "learnt"
        word = word if known or word != "learnt" else "learning"
        return Verdict(word, since, falling, fits=True)
    costs = _costs(history)
    risen = len(costs) > 1 and not costs[-1] <= RISEN * costs[0]
    cosines = _known(history, "gradient_cosine")
    backwards = bool(cosines) and cosines[-1][1] < 0
    little = len(costs) > 1 and not costs[-1] <= PROGRESS * costs[0]
    if missing:
        word = "unstable"
    elif lost:
        word = "unreachable"
    elif since is not None and (little or backwards or not falling):
        word = "gradient"
    elif risen:
        word = "diverging"
    elif faint:
        word = "dark"
    elif falling:
        word = "learning"
    else:
        word = "unstable" if unstable else "unreachable" if missed else "stalled"
    return Verdict(word, since, falling)


def untrusted_since(history: History) -> int | None:
    """The epoch since which the gradient has not been to be trusted; None if it is, or nobody
    knows.

    Judged by the cosine to the exact gradient where it was ever compared, else by the error that
    the rule measured itself, else by `nudge_loss`.
    """
    bad = [(epoch, cosine < TRUSTED_COSINE) for epoch, cosine in _known(history, "gradient_cosine")]
    if not bad:
        errors = _known(history, "gradient_error")
        bad = [(epoch, error >= TRUSTED_ERROR) for epoch, error in errors]
    if not bad:
        bad = [(epoch, loss > TRUSTED_LOSS) for epoch, loss in _known(history, "nudge_loss")]
    since = None
    for epoch, wrong in bad:
        since = (since or epoch) if wrong else None
    return since


def is_falling(history: History) -> bool:
    """Whether the cost fell by more than 2 % in the last quarter of the epochs, noise averaged."""
    costs = _costs(history)
    count = len(costs)
    if count < _FEW:
        return count < 2 or costs[-1] < costs[0]
    width = max(1, count // 8)
    now, before = costs[-width:].mean(), costs[-2 * width - width : -2 * width].mean()
    return bool(now < (1 - FALLING) * before)


def advice(verdict: Verdict, summary: Mapping[str, Any]) -> list[str]:
    """What to do next, for any system; systems add what they know themselves.

    Parameters
    ----------
    verdict : Verdict
    summary : dict
        ``epochs`` that were done.
    """
    epochs = max(1, int(summary.get("epochs", 1)))
    if verdict.word == "learning" and verdict.fits:
        return [
            "the outputs are as wanted, but nobody knows whether a device would keep these states: "
            "ask nepfield evolve RUN --from vacuum, and leave training.switch_on = true"
        ]
    if verdict.word == "learning":
        return [
            f"the cost still falls: go on with --resume --set training.epochs={3 * epochs}, or "
            "raise the rates"
        ]
    if verdict.word == "diverging":
        return ["the cost has risen: lower training.rate (and other rates) by 3 to 10"]
    if verdict.word == "stalled":
        return [
            "the cost falls no more: start again with another seed, other starting values or "
            "larger rates, or give it more to train (wider bounds, more values)"
        ]
    return []


def _costs(history: History) -> np.ndarray:
    costs = np.array([row["cost"] for row in history], dtype=float)
    return costs[np.isfinite(costs)]


def _known(history: History, name: str) -> list[tuple[int, float]]:
    """Epochs and values of a column where it is known."""
    rows = [(int(row["epoch"]), row.get(name)) for row in history]
    return [(epoch, value) for epoch, value in rows if value is not None and np.isfinite(value)]
