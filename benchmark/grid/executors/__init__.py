"""Executors, which start and end the processes of cells; all state is in the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmark.records.failures import CODE
from benchmark.records.leases import Lease
from benchmark.records.result import RunResult, RunSpec


class ExecutorError(RuntimeError):
    """An executor that cannot be used here; the message is one line with the remedy."""


@dataclass(frozen=True)
class Ended:
    """A cell that has ended.

    Args:
        spec: the cell.
        how: one line with exit code or signal and last line of the log, for a cell without a result.
        error_class: class of the failure of a cell without a result.
        result: result that travelled back, for the launcher to store; None if the cell stores its result itself.
        details: file with curves and metrics of single images that belongs to `result`.
    """

    spec: RunSpec
    how: str
    error_class: str = CODE
    result: RunResult | None = None
    details: Path | None = None


class Executor(Protocol):
    """Starts cells; a cell stores its result under the lease, or `ended` returns it.

    `workers` is the number of cells that are started at a time. Ray and Slurm have queues, so their `workers` is
    larger than the number of cells that compute.
    """

    @property
    def workers(self) -> int:
        """Number of cells that are started at a time."""

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
