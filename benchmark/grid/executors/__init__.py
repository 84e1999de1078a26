"""Executors start and end the processes of cells; all state lies in the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmark.records.leases import Lease
from benchmark.records.result import RunSpec


@dataclass(frozen=True)
class Ended:
    """A cell whose process has ended; `how` is one line with exit code or signal and the last line of the log."""

    spec: RunSpec
    how: str


class Executor(Protocol):
    """Starts cells, each in a process of its own; that process stores the result."""

    workers: int

    def start(self, spec: RunSpec, lease: Lease) -> Path:
        """Start a cell, pass the lease to it and return its log file."""

    def ended(self) -> list[Ended]:
        """Cells that have ended since the last call."""

    def steps(self, spec: RunSpec) -> tuple[int, int] | None:
        """Steps done and steps in all of a running cell; None while they are not known."""

    def cancel(self, spec: RunSpec) -> None:
        """End one cell at once; `ended` will not name it."""

    def stop(self, hurry: Callable[[], bool]) -> None:
        """Ask all cells to end; kill them once `hurry()` returns True."""
