"""What is shown of a sweep while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from nepfield.study.sweeps.cluster import SweepProgress


class SweepBar:
    """A bar with finished, failed, running and the time left; lines where there is no screen."""

    def __init__(self, name: str, total: int, quiet: bool) -> None:
        self.console = Console(stderr=True)
        self.lines = not quiet and not self.console.is_terminal
        self.quiet, self.every, self.shown = quiet, max(1, total // 20), -1
        self.bar = Progress(
            TextColumn(name, markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=self.console,
            speed_estimate_period=1e6,  # a case may take hours
            disable=quiet or not self.console.is_terminal,
        )
        self.task = self.bar.add_task("cases", total=total, state="")

    def __enter__(self) -> SweepBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, progress: SweepProgress) -> None:
        """Called after each case, and in between."""
        done = progress.finished + progress.failed
        state = f"{progress.finished} finished, {progress.failed} failed"
        running = f"{state}, {progress.running} running"
        if self.shown < 0 and not self.bar.disable:
            # cases done by an earlier command say nothing of the time left
            self.bar.update(self.task, completed=done, state=running)
            self.bar.reset(self.task, completed=done)
            self.bar.start()
        if progress.problem and not self.quiet:
            self.console.print(progress.problem, markup=False, highlight=False, soft_wrap=True)
        self.bar.update(self.task, completed=done, state=running)
        if self.lines and done != self.shown and done % self.every == 0:
            text = f"{done}/{progress.total} cases: {running}"
            self.console.print(text, markup=False, highlight=False)
        self.shown = done
