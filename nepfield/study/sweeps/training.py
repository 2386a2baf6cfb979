"""One training on several processes or a cluster: each batch in parts, by Dask distributed.

What comes back is put together in the order of the samples, in portions that do not depend on the
parts, so it does not matter how many workers there are, which does which part, how often it is
begun, and who dies.
"""

from __future__ import annotations

from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from nepfield.errors import InputError
from nepfield.learning.costs import Cost
from nepfield.learning.gradients import Gradient
from nepfield.learning.parts import InParts, Part
from nepfield.study.run.jobs import train_study
from nepfield.study.sweeps.cluster import check_where, dask_client, processors, replace_lost
from nepfield.study.text.study import StudyConfig
from nepfield.systems.system import System, trained

if TYPE_CHECKING:
    from distributed import Client, Future

_TRIES = 5  # times that a batch is given out again, where its data died with all workers
_WAIT = 2.0  # seconds between looks at the workers


def train_on_workers(
    config: StudyConfig,
    out: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """`nepfield.study.run.jobs.train_study` with every batch split over workers.

    Parameters
    ----------
    config : StudyConfig
    out : path
    workers : int, optional
        Processes on this machine; by default as many as there are processors.
    scheduler : str, optional
        Address of a Dask scheduler instead, ``"tcp://host:port"``. Its workers need nepfield.
    **options
        As in `train_study`.

    Returns
    -------
    dict
        What is in summary.json.

    Raises
    ------
    InputError
        Also if the workers cannot be had, or are lost.
    """
    check_where(workers, scheduler)
    with dask_client(workers or processors(), scheduler) as client:
        most = workers or max(len(client.scheduler_info()["workers"]), 1)
        return train_study(config, out, estimator=InParts(_Workers(client), most), **options)


class _Workers:
    """Gives the parts of a batch to workers. What does not change in a training goes to them
    once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sent: Any = None

    def __call__(self, system: System, cost: Cost, parts: list[Part]) -> list[Gradient]:
        """The gradient of each part."""
        from distributed import KilledWorker

        for _ in range(_TRIES):
            futures: list[Future] = []
            try:
                if self._sent is None:
                    both = [(_bare(system), cost)]
                    (self._sent,) = self._client.scatter(both, broadcast=True)
                futures = [
                    self._client.submit(_estimated, self._sent, part, pure=False) for part in parts
                ]
                ended: Queue[Future] = Queue()
                for future in futures:
                    future.add_done_callback(ended.put)
                left = len(futures)
                while left:
                    try:
                        ended.get(timeout=_WAIT)
                        left -= 1
                    except Empty:
                        self._check()
                if all(future.status == "finished" for future in futures):
                    return list(self._client.gather(futures))
                for future in futures:
                    if future.status == "error" and not isinstance(
                        error := future.exception(), KilledWorker
                    ):
                        raise error
                self._sent = None  # it is lost with the workers that had it
            finally:
                self._client.cancel([future for future in futures if not future.done()])
        raise InputError(
            "the workers died that had a batch, again and again; is there too little memory for "
            "them? The epochs before are safe: go on with --resume and fewer --workers."
        )

    def _check(self) -> None:
        if self._client.status not in ("running", "connecting"):
            raise InputError("the connection to the scheduler is lost; go on with --resume.")
        if self._client.cluster is not None:
            replace_lost(self._client.cluster)


def _bare(system: System) -> System:
    """The system without what solvers have kept in it."""
    return system.with_parameters({name: p.values for name, p in trained(system).items()})


def _estimated(sent: tuple[System, Cost], part: Part) -> Gradient:
    """On a worker: the gradient of a part."""
    return part.estimate(*sent)
