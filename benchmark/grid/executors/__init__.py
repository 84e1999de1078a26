"""Where cells run. An executor only starts and ends processes; all state lies in the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmark.records.leases import Lease
from benchmark.records.result import RunSpec


@dataclass(frozen=True)
class Ended:
    """A cell whose process has ended; `how` says in one line with what exit code and last words."""

    spec: RunSpec
    how: str


class Executor(Protocol):
    """Starts cells, each in a process of its own; that process stores the result."""

    workers: int

    def start(self, spec: RunSpec, lease: Lease) -> Path:
        """Start a cell and return its log file; the lease is handed down to it."""

    def ended(self) -> list[Ended]:
        """Cells that have ended since the last call."""

    def steps(self, spec: RunSpec) -> tuple[int, int] | None:
        """Steps done and steps in all of a running cell; None while it has not said."""

    def cancel(self, spec: RunSpec) -> None:
        """End one cell at once; `ended` will not name it."""

    def stop(self, hurry: Callable[[], bool]) -> None:
        """End all cells: politely at first, at once when `hurry()` turns true."""
