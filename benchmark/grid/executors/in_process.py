"""Executor that runs cells in this process, one after another, for notebooks, debuggers and tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from benchmark.grid.executors import Ended
from benchmark.records.leases import Lease
from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore


class InProcessExecutor:
    """Runs each cell in this process when it is started.

    Args:
        store: store whose work folders hold the logs.
        run: function that trains a cell in its work folder, such as `benchmark.training.cell.run_cell`.
    """

    workers = 1

    def __init__(self, store: ResultStore, run: Callable[[RunSpec, Path], RunResult]) -> None:
        self.store, self.run = store, run
        self._ended: list[Ended] = []
        self._lease: Lease | None = None
        self._stopped = threading.Event()
        # One thread for all cells: starting one for each would take longer than a trivial cell.
        threading.Thread(target=self._beat, name="heartbeats", daemon=True).start()

    def start(self, spec: RunSpec, lease: Lease) -> Path:
        """Run the cell; heartbeats come from a thread meanwhile."""
        folder = self.store.work_folder(spec)
        self._lease = lease
        try:
            self._ended.append(Ended(spec, "", result=self.run(spec, folder)))
        finally:
            self._lease = None
        return folder / "cell.log"

    def ended(self) -> list[Ended]:
        """The cell that has run since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def steps(self, spec: RunSpec) -> tuple[int, int] | None:
        """None: a cell has ended when `start` returns."""
        return None

    def cancel(self, spec: RunSpec) -> None:
        """Forget the result of a cell."""
        self._ended = [ended for ended in self._ended if ended.spec != spec]

    def stop(self, hurry: Callable[[], bool]) -> None:
        """End the heartbeats; no cell runs between two calls."""
        self._stopped.set()

    def _beat(self) -> None:
        while not self._stopped.wait(self.store.lease_seconds / 12):
            lease = self._lease
            if lease is not None:
                with suppress(OSError):
                    lease.heartbeat()
