"""Executors, which start and end the processes of cells; all state is in the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmark.records.leases import Lease
from benchmark.records.result import RunSpec


@dataclass(frozen=True)
class Ended:
    """A cell whose process has ended; `how` is one line with exit code or signal and last line of the log."""

    spec: RunSpec
    how: str


class Executor(Protocol):
    """Starts cells, each in its own process, which stores the result."""

    workers: int

    def start(self, spec: RunSpec, lease: Lease) -> Path:
        """Start a cell, pass the lease to it and return its log file."""

    def ended(self) -> list[Ended]:
        """Cells that have ended since the last call."""

    def steps(self, spec: RunSpec) -> tuple[int, int] | None:
        """Steps done and total steps of a running cell; None while unknown."""

    def cancel(self, spec: RunSpec) -> None:
        """End one cell immediately; `ended` does not return it."""

    def stop(self, hurry: Callable[[], bool]) -> None:
        """Ask all cells to end; kill them once `hurry()` returns True."""
