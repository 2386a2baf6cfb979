"""The cases of a sweep, run by Dask distributed.

Cases are given to the scheduler some hundreds at a time. Each writes its own run folder, so nothing
but a word comes back, and whatever dies costs no more than the epochs since a case's last
checkpoint: a case whose worker died is given to another one.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

import nepfield
from nepfield.errors import InputError
from nepfield.study.sweeps.design import Case, Sweep
from nepfield.study.sweeps.results import error_of, write_results
from nepfield.study.sweeps.surroundings import check_address, check_guard, provide_handles
from nepfield.study.sweeps.sweep import (
    case_folder,
    check_cases,
    claimed,
    is_done,
    run_content,
    write_error,
)

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client, Future, LocalCluster

_AT_ONCE = 500  # cases that the scheduler knows of
_DEATHS = 10  # workers that a case may outlive
_RESULTS_EVERY = 30.0  # seconds between results.csv's, more where there are very many cases


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is.

    Attributes
    ----------
    total, finished, failed, running : int
        Cases.
    problem : str
        Why the case before failed, or "".
    """

    total: int
    finished: int
    failed: int
    running: int
    problem: str = ""


def run_sweep(
    sweep: Sweep,
    out: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    accept_changes: bool = False,
    on_progress: Callable[[SweepProgress], None] | None = None,
) -> pd.DataFrame:
    """Run all cases of a sweep.

    In a script, call it below ``if __name__ == "__main__":``, since the workers are new processes
    that import the script.

    Parameters
    ----------
    sweep : Sweep
        As `load_sweep` gives it.
    out : path
        The folder of the sweep.
    workers : int, optional
        Processes on this machine, one thread each; by default as many as there are processors.
    scheduler : str, optional
        Address of a Dask scheduler instead, ``"tcp://host:port"``. Its workers need nepfield and
        the same files under the same paths.
    resume : bool
        Go on with the sweep in the folder: what is not finished, and what failed.
    accept_changes : bool
        Go on although the content of a mesh or a task has changed since cases were begun; what is
        finished stays.
    on_progress : callable, optional
        Called with a `SweepProgress` after each case and about once a second.

    Returns
    -------
    DataFrame
        What is in results.csv.

    Raises
    ------
    InputError
        Before any case is run, if the sweep or a case's study cannot be used.
    KeyboardInterrupt
        After Ctrl-C; results.csv then has what is finished.
    """
    check_where(workers, scheduler)
    out = Path(out).resolve()
    check_cases(sweep)
    with claimed(sweep, out, resume, accept_changes):
        todo = [c for c in sweep.cases if not is_done(sweep.config(c), case_folder(out, c))]
        if todo:
            try:
                with dask_client(min(workers or processors(), len(todo)), scheduler) as client:
                    _Work(sweep, out, todo, client, on_progress, accept_changes).run()
            finally:
                table = write_results(out)
        return table if todo else write_results(out)


def check_where(workers: int | None, scheduler: str | None) -> None:
    """InputError if these are no workers, or cannot be had from where this is called."""
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: must be at least 1.")
    if workers is not None and scheduler is not None:
        raise InputError("--workers and --scheduler: give one of them.")
    if scheduler is not None:
        check_address(scheduler)
    else:
        check_guard()


class _Work:
    """The loop that gives cases to the scheduler and takes note of how they end."""

    def __init__(
        self,
        sweep: Sweep,
        out: Path,
        todo: list[Case],
        client: Client,
        on_progress: Callable[[SweepProgress], None] | None,
        accept_changes: bool,
    ) -> None:
        self.sweep, self.out, self.client = sweep, out, client
        self.accept_changes = accept_changes
        self.waiting: Iterator[Case] = iter(todo)
        self.pending: dict[Future, Case] = {}
        self.ended: Queue[Future] = Queue()
        self.deaths: dict[int, int] = {}
        self.finished, self.failed = len(sweep.cases) - len(todo), 0
        self.report = on_progress or (lambda _: None)
        self.threads, self.asked = 0, -1e9
        self.group = f"sweep-{os.urandom(8).hex()}"

    def run(self) -> None:
        """Until every case has ended."""
        next_results = time.monotonic() + _RESULTS_EVERY
        try:
            self._fill()
            self._tell()
            while self.pending:
                try:
                    future = self.ended.get(timeout=1.0)
                except Empty:
                    self._check_scheduler()
                    self._tell()
                    continue
                self._end(future)
                self._fill()
                if (begun := time.monotonic()) > next_results:
                    write_results(self.out)
                    took = time.monotonic() - begun
                    next_results = begun + max(_RESULTS_EVERY, 50 * took)
        finally:
            if self.pending:
                with suppress(Exception):
                    self.client.cancel(list(self.pending))

    def _fill(self) -> None:
        while len(self.pending) < _AT_ONCE:
            case = next(self.waiting, None)
            if case is None:
                return
            self._submit(case)

    def _submit(self, case: Case) -> None:
        content, keys = self.sweep.content_of(case)
        future = self.client.submit(
            run_content,
            content,
            str(self.sweep.study),
            keys,
            str(case_folder(self.out, case)),
            str(self.out / "meshes"),
            self.accept_changes,
            # Keys of one group: all but the first two a worker wait in one queue. Else Dask deals
            # out all cases before one has begun, and who is ahead waits for others to share.
            key=(self.group, case.number, self.deaths.get(case.number, 0)),
            pure=False,
            priority=-case.number,
        )
        self.pending[future] = case
        future.add_done_callback(self.ended.put)

    def _end(self, future: Future) -> None:
        from distributed import KilledWorker

        case = self.pending.pop(future)
        folder = case_folder(self.out, case)
        problem = ""
        if future.status == "finished":
            if future.result() == "finished":
                self.finished += 1
            else:
                problem = f"{case.folder} failed: {error_of(folder)}"
        elif future.status == "error":
            error = future.exception()
            if isinstance(error, ImportError) or "deserialization" in str(error):
                raise InputError(
                    f"the scheduler or its workers cannot load nepfield {nepfield.__version__}: "
                    "install the same one in their environment, then go on with --resume."
                )
            if isinstance(error, KilledWorker):
                # an existing scheduler has its own, smaller limit
                self.deaths[case.number] = self.deaths.get(case.number, 0) + 4
                if self.deaths[case.number] < _DEATHS and not self._local:
                    self._submit(case)
                    return
                error = RuntimeError(
                    "the workers died that ran this case; is there too little memory for it?"
                )
            write_error(folder, error)
            problem = f"{case.folder} failed: {error}"
        elif future.status == "cancelled":  # with the scheduler
            self._lost()
        else:  # what came of it died with its worker before it was fetched
            self._check_scheduler()
            self.deaths[case.number] = self.deaths.get(case.number, 0) + 1
            self._submit(case)
            return
        self.failed += bool(problem)
        self._tell(problem)

    @property
    def _local(self) -> bool:
        return self.client.cluster is not None

    def _tell(self, problem: str = "") -> None:
        now = time.monotonic()
        if now - self.asked > 2.0:
            if self.client.cluster is not None:
                replace_lost(self.client.cluster)
            with suppress(Exception):  # it is for show only
                self.threads = sum(self.client.nthreads().values())
            self.asked = now
        running = min(self.threads, len(self.pending))
        self.report(
            SweepProgress(len(self.sweep.cases), self.finished, self.failed, running, problem)
        )

    def _check_scheduler(self) -> None:
        if self.client.status not in ("running", "connecting"):
            self._lost()

    def _lost(self) -> None:
        raise InputError("the connection to the scheduler is lost; go on with --resume.")


def replace_lost(cluster: LocalCluster) -> None:
    """Start workers for those that Dask has given up.

    What watches a worker starts it again when it has died, but ends itself where the start fails,
    as it may on a busy machine; with no worker left nobody would do the cases.
    """
    lost = [
        k for k, nanny in list(cluster.workers.items()) if nanny.status.name in ("closed", "failed")
    ]
    if lost:
        for k in lost:
            del cluster.workers[k]
        cluster.scale(len(cluster.worker_spec))


@contextmanager
def dask_client(workers: int, scheduler: str | None) -> Iterator[Client]:
    """A client of an existing scheduler, or of one that is started here."""
    import dask
    from distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=20, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"--scheduler {scheduler}: cannot be reached ({error}); wanted an address such as "
                "tcp://127.0.0.1:8786, as dask scheduler prints it."
            ) from None
        log = logging.getLogger("distributed.client")
        level = log.level
        log.setLevel(logging.CRITICAL)  # what it says is said in our words
        try:
            with client:
                yield client
        finally:
            log.setLevel(level)
        return
    settings: dict[str, Any] = {
        "distributed.scheduler.allowed-failures": _DEATHS,
        "distributed.scheduler.worker-saturation": 1.0,  # a worker gets a case when it is free
        "distributed.scheduler.worker-ttl": None,  # a long factorisation is no sign of death
        # A worker that takes long to start again, on a busy machine, is not to be given up.
        "distributed.deploy.lost-worker-timeout": "1h",
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",  # what watches the workers costs time as well
        "distributed.admin.tick.limit": "1h",
        "distributed.admin.system-monitor.interval": "10s",
    }
    provide_handles(workers)
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        with _threads_without_signals():
            try:
                cluster = stack.enter_context(
                    LocalCluster(
                        n_workers=workers,
                        threads_per_worker=1,
                        processes=True,
                        host="127.0.0.1",
                        # who reaches a worker can run code: it asks for a certificate made now
                        protocol="tls://",
                        security=True,
                        dashboard_address="127.0.0.1:0",
                        scheduler_kwargs={"dashboard": False},
                        memory_limit=0,
                        silence_logs=logging.CRITICAL,
                    )
                )
            except (RuntimeError, OSError) as error:  # a worker that does not start
                raise InputError(
                    f"{workers} workers cannot be started ({error}): is there too little memory "
                    "for as many, or a limit of it (ulimit -v)? Give fewer --workers."
                ) from None
            client = stack.enter_context(Client(cluster, set_as_default=False))
        yield client


@contextmanager
def _threads_without_signals() -> Iterator[None]:
    """Ctrl-C is for the command alone, which then ends its workers; a connection that has ended is
    an error to be dealt with, and not the end of a process in which Gmsh has been at work, which
    takes back that Python ignores SIGPIPE.

    The threads that are made inside, and the processes that these start, now and when a worker has
    died, inherit that both signals are blocked.
    """
    resource_tracker.ensure_running()  # by itself it would unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGPIPE})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def processors() -> int:
    """How many of them this process may use."""
    return len(os.sched_getaffinity(0))
