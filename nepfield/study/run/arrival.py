"""The end of a training: does the device reach its states when it is switched on?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nepfield.study.run.build import Study
from nepfield.study.run.summary import SUMMARY_SAMPLES, Completed, listed_samples
from nepfield.systems.system import MOST_FOLLOWED, Arrival, System, switch_on

_UNKNOWNS = 200_000  # of all samples that are followed

OnSwitch = Callable[[str], None]
"""Called with a few words on how far it is."""


def check_arrival(
    study: Study, system: System, done: Completed, on_switch: OnSwitch | None = None
) -> dict[str, Any]:
    """Switch a device on, and say which of its states it reaches.

    Parameters
    ----------
    study : Study
    system : System
        With its trained parameters.
    done : Completed
        What is known of it, its states for the inputs of the task among that.
    on_switch : callable, optional

    Returns
    -------
    dict
        What changes in the summary: ``switch_on`` (a word a sample, None where nobody has looked),
        ``switch_on_reached`` (the share of those looked at), ``report`` and ``warnings``. Empty for
        systems whose motion is downhill.
    """
    steady, certificate = done.result.steady, done.certificate
    size = max(1, int(np.prod(steady.state.shape[:-1])))
    most = min(MOST_FOLLOWED, max(1, _UNKNOWNS // size))

    def told(settled: int, time: float) -> None:
        if on_switch is not None:
            on_switch(f"switch-on: {settled} settled, t = {time:.3g}")

    found = switch_on(
        system,
        study.task.inputs,
        steady,
        most,
        stability=None if certificate is None else certificate.stability,
        tolerance=study.solver["tolerance"],
        told=told,
    )
    return {} if found is None else said_of_arrival(found, done.summary)


def said_of_arrival(found: Arrival, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a summary says of a switch-on; as `check_arrival`."""
    words = found.outcome
    known = np.isfinite(found.arrives)
    count = {word: int(np.count_nonzero(words == word)) for word in dict.fromkeys(words.tolist())}
    text = ", ".join(f"{number} {word}" for word, number in count.items())
    warning = []
    (missed,) = np.nonzero(found.arrives == 0)
    if len(missed):
        kinds = {
            word: listed_samples(np.flatnonzero(words == word))
            for word in dict.fromkeys(words[missed].tolist())
        }
        told = "; ".join(f"{word}: samples {listed}" for word, listed in kinds.items())
        warning.append(
            f"{len(missed)} of {int(known.sum())} steady states are not reached when the device is "
            f'switched on ({told}): train with solver.prefer = "stable", more loss, weaker pumps, '
            "or V so high that the drive is below all modes"
        )
    return {
        "switch_on": [
            str(word) if looked else None for word, looked in zip(words, known, strict=True)
        ][:SUMMARY_SAMPLES],
        "switch_on_reached": float(found.arrives[known].mean()) if known.any() else np.nan,
        "warnings": [*summary["warnings"], *warning],
        "report": [*summary["report"], {"label": "switch-on", "text": text}],
    }
