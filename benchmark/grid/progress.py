"""Display of a grid's progress: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from benchmark.records.escaping import escape_terminal
from benchmark.records.result import DONE, RunSpec

if TYPE_CHECKING:
    from rich.progress import TaskID

Steps = tuple[int, int]
"""Steps done, and all steps of a cell."""
LINE_SECONDS = 60.0
"""Seconds between two lines about running cells if the stream is not a terminal."""
MOST_BARS = 16
"""Number of cells with a bar; a cluster may run hundreds."""


@dataclass
class Part:
    """A running cell.

    Args:
        began: time of its start, of the monotonic clock.
        first: share of its steps that was done at the start.
        share: share of its steps that is done now.
    """

    began: float
    first: float = 0.0
    share: float = 0.0

    def reached(self, share: float) -> None:
        """The cell has done this share of its steps; less than before if it fell back to an earlier checkpoint."""
        if share:
            self.first, self.share = min(self.first, share), share

    @property
    def time_left(self) -> str:
        """Estimated time left, from the steps that were done since the start."""
        return time_left(self.began, self.share - self.first, 1 - self.share)


@dataclass(frozen=True)
class Outcome:
    """Status of a cell (done, failed, diverged or left to run), the reason in one line, and the class of a failure."""

    status: str
    error: str | None = None
    error_class: str | None = None


class Progress(Protocol):
    """Display of a grid's progress."""

    def begin(self, left: int, total: int) -> None:
        """The grid starts with `left` of `total` cells to run."""

    def started(self, spec: RunSpec, log: Path, earlier: Steps | None = None) -> None:
        """A cell was started; `earlier` are the steps that an earlier part of its training has done."""

    def advanced(self, spec: RunSpec, step: int, steps: int) -> None:
        """A running cell has done `step` of `steps` steps; 0 until it has reported its first one."""

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        """A cell has ended, here or at another launcher."""

    def note(self, line: str) -> None:
        """Show a line of text."""

    def close(self) -> None:
        """The grid has ended."""


def progress_on(stream: TextIO) -> Progress:
    """Progress bars if the stream is a terminal, else lines."""
    return TerminalProgress(stream) if stream.isatty() else LineProgress(stream)


class LineProgress:
    """One line per event, and one a minute for each running cell, with the time left.

    Args:
        stream: file that the lines are written to.
        interval: seconds between two lines about running cells.
    """

    def __init__(self, stream: TextIO, interval: float = LINE_SECONDS) -> None:
        self.stream, self.interval = stream, interval
        self.left, self.over, self.before = 0, 0, 0.0
        self.since = self.last_line = time.monotonic()
        self.cells: dict[RunSpec, Part] = {}

    def begin(self, left: int, total: int) -> None:
        """The grid starts with `left` of `total` cells to run."""
        self.left = left
        self.since = self.last_line = time.monotonic()
        self._write(f"{total - left} of {total} cells have a result, {left} to run")

    def started(self, spec: RunSpec, log: Path, earlier: Steps | None = None) -> None:
        """A cell was started; `earlier` are the steps that an earlier part of its training has done."""
        share = share_of(earlier)
        self.cells[spec] = Part(time.monotonic(), share, share)
        self._write(f"start {name_of(spec)}, log {log}")

    def advanced(self, spec: RunSpec, step: int, steps: int) -> None:
        """A running cell has done `step` of `steps` steps; 0 until it has reported its first one."""
        self.cells.setdefault(spec, Part(time.monotonic())).reached(share_of((step, steps)))
        if time.monotonic() - self.last_line >= self.interval:
            self.last_line = time.monotonic()
            for running, part in self.cells.items():
                self._write(f"  ... {name_of(running)} {part.share:.0%}, {part.time_left}")
            self._write(f"  ... grid {self._summary()}")

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        """A cell has ended, here or at another launcher."""
        part = self.cells.pop(spec, Part(time.monotonic()))
        self.over, self.before = self.over + 1, self.before + part.first
        took = clock(time.monotonic() - part.began)
        self._write(f"{ending(spec, outcome)} after {took}; grid {self._summary()}")

    def note(self, line: str) -> None:
        """Show a line of text."""
        self._write(line)

    def close(self) -> None:
        """The grid has ended."""

    def _summary(self) -> str:
        parts = self.cells.values()
        done = self.over - self.before + sum(part.share - part.first for part in parts)
        to_do = self.left - self.over - sum(part.share for part in parts)
        return f"{self.over}/{self.left}, {time_left(self.since, done, to_do)}"

    def _write(self, line: str) -> None:
        print(escape_terminal(line), file=self.stream, flush=True)


class TerminalProgress:
    """A bar for the grid and one for each running cell, with the time left.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        left = TextColumn("left", markup=False)
        name = TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), left, TimeRemainingColumn())
        # The loop of the grid draws the bars, since starting processes from a program with threads is unsafe.
        self.bars = Progress(*columns, console=Console(file=stream), auto_refresh=False, speed_estimate_period=600)
        self.over, self.left = 0, 0
        self.cells: dict[RunSpec, TaskID] = {}
        self.first: dict[RunSpec, float] = {}

    def begin(self, left: int, total: int) -> None:
        """The grid starts with `left` of `total` cells to run."""
        self.left = left
        self.bars.start()
        self.note(f"{total - left} of {total} cells have a result, {left} to run")
        self.grid = self.bars.add_task(f"grid 0/{left}", total=max(1, left))

    def started(self, spec: RunSpec, log: Path, earlier: Steps | None = None) -> None:
        """A cell was started; `earlier` are the steps that an earlier part of its training has done."""
        if spec in self.cells:
            self.bars.remove_task(self.cells.pop(spec))
        self._add_bar(spec, earlier)

    def advanced(self, spec: RunSpec, step: int, steps: int) -> None:
        """A running cell has done `step` of `steps` steps; 0 until it has reported its first one."""
        if spec not in self.cells:
            self._add_bar(spec)
        if spec in self.cells and step:
            self.bars.update(self.cells[spec], completed=step, total=steps)
        self._draw()

    def ended(self, spec: RunSpec, outcome: Outcome) -> None:
        """A cell has ended, here or at another launcher."""
        if spec in self.cells:
            self.bars.remove_task(self.cells.pop(spec))
        self.over += 1
        self.note(ending(spec, outcome))

    def note(self, line: str) -> None:
        """Show a line of text."""
        self.bars.console.print(escape_terminal(line), markup=False, highlight=False, soft_wrap=True)
        self._draw()

    def close(self) -> None:
        """The grid has ended."""
        self.bars.stop()

    def _add_bar(self, spec: RunSpec, earlier: Steps | None = None) -> None:
        if len(self.cells) < MOST_BARS:
            step, steps = earlier or (0, None)
            self.cells[spec] = self.bars.add_task(name_of(spec), completed=step, total=steps)
            self.first[spec] = share_of(earlier)

    def _draw(self) -> None:
        running = [self.bars.tasks[self.bars.task_ids.index(task)] for task in self.cells.values()]
        shares = sum(task.completed / task.total for task in running if task.total)
        if self.bars.tasks:
            # Of the work of this launcher, so that the time left does not count steps of an earlier one.
            before = sum(self.first.values())
            done, total = self.over + shares - before, max(1, self.left) - before
            self.bars.update(
                self.grid, completed=max(0.0, done), total=total, description=f"grid {self.over}/{self.left}"
            )
        self.bars.refresh()


def read_progress(folder: Path) -> Steps | None:
    """Steps done and total steps of a cell, from its progress.json; None without a readable file."""
    try:
        progress = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        return int(progress["step"]), int(progress["steps"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def name_of(spec: RunSpec) -> str:
    """Short name of a cell, without recipe, backbone and overrides; cells of a sweep share a name."""
    return f"{spec.method}+{spec.regularizer} seed {spec.seed}"


def ending(spec: RunSpec, outcome: Outcome) -> str:
    """Outcome of a cell, in one line."""
    return f"{outcome.status} {name_of(spec)}" + ("" if outcome.status == DONE else f": {outcome.error}")


def share_of(steps: Steps | None) -> float:
    """Share of the steps that is done; 0 while unknown."""
    done, total = steps or (0, 1)
    return done / max(1, total)


def time_left(since: float, done: float, to_do: float) -> str:
    """Estimated time left, if `done` of the work was done since `since`, a time of the monotonic clock."""
    if to_do <= 0:
        return "nearly done"
    return f"{clock((time.monotonic() - since) * to_do / done)} left" if done > 0 else "time left not known yet"


def clock(seconds: float) -> str:
    """H:MM:SS."""
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"
