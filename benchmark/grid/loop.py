"""Loop that runs a grid: claim, start, watch and collect cells."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence

from benchmark.grid.executors import Ended, Executor
from benchmark.grid.progress import Outcome, Progress, ending, name_of
from benchmark.grid.signals import StopSignals
from benchmark.records.leases import Lease
from benchmark.records.provenance import provenance
from benchmark.records.result import DONE, FAILED, RunSpec, failure
from benchmark.records.store import ResultStore, StoreError, Version
from benchmark.records.validation import RecordError

TICK_SECONDS = 0.05
SHOW_SECONDS = 0.5
HEARTBEATS_PER_LIFETIME = 12
RETRY_CLAIM_SECONDS = 1.0
LEFT = "left"
"""Outcome of a cell that could not be run: the grid was stopped, or a cell that it needs is not done."""

Dependencies = Callable[[RunSpec], Iterable[RunSpec]]


def independent(spec: RunSpec) -> Iterable[RunSpec]:
    """The dependencies of cells that need no other cell."""
    return ()


class GridLoop:
    """Loop over the cells of a grid; see `benchmark.grid.cells.run`.

    Args:
        grid: all cells, in the order of running.
        store: store of the results.
        executor: starts the cells.
        progress: display of the progress.
        depends_on: cells that must be done before a cell can start.
    """

    def __init__(
        self,
        grid: Sequence[RunSpec],
        store: ResultStore,
        executor: Executor,
        progress: Progress,
        depends_on: Dependencies = independent,
    ) -> None:
        self.grid, self.store, self.executor, self.progress = list(grid), store, executor, progress
        self.depends_on = depends_on
        self.outcomes: dict[RunSpec, Outcome] = {}
        self.waiting: list[RunSpec] = []
        self.running: dict[RunSpec, tuple[Lease, float]] = {}
        self._versions: dict[RunSpec, Version | None] = {}
        self._not_before: dict[RunSpec, float] = {}
        self._next_show = self._next_heartbeat = 0.0

    def plan(self, retry: Collection[str]) -> None:
        """Sort the cells into cells with an outcome and waiting cells."""
        for spec in self.grid:
            # Read the version before the result: if it changes later, another launcher has run the cell.
            self._versions[spec] = self.store.version(spec)
            try:
                result = self.store.read(spec)
            except RecordError as error:
                self.outcomes[spec] = Outcome(FAILED, unreadable(error))
                continue
            if result is None or (result.status != DONE and result.status in retry):
                self.waiting.append(spec)
            else:
                self.outcomes[spec] = Outcome(result.status, result.error)

    def work(self, signals: StopSignals) -> None:
        """Run until every cell has an outcome or a signal arrives; end all processes and release all leases."""
        self.progress.begin(len(self.waiting), len(self.grid))
        for spec, outcome in self.outcomes.items():
            if outcome.status != DONE:
                self.progress.note(ending(spec, outcome))
        try:
            while (self.waiting or self.running) and signals.first is None:
                self._collect()
                self._fill()
                self._watch()
                time.sleep(TICK_SECONDS)
        finally:
            self.executor.stop(hurry=lambda: signals.again)
            self._collect_stored()
            self.progress.close()
        for spec in self.waiting:
            self.outcomes[spec] = Outcome(LEFT, "not run, since the grid was stopped; the same command continues it")

    def _collect(self) -> None:
        """Record the outcome of cells that have ended."""
        for ended in self.executor.ended():
            lease, started = self.running.pop(ended.spec)
            self._settle_ended(ended, lease, started)

    def _settle_ended(self, ended: Ended, lease: Lease, started: float) -> None:
        """Use the result that the cell has stored, or store a failure; wait if another launcher runs the cell."""
        spec, reason = ended.spec, ended.how
        if self.store.version(spec) == self._versions[spec]:
            origin = provenance(started=started, data={}, config_text="")
            try:
                self.store.publish(failure(spec, FAILED, reason, origin), lease)
            except (StoreError, RecordError, OSError) as error:
                reason = f"{reason}; {error}"
            if not _unless_unknown(lease.held):
                self.progress.note(f"{name_of(spec)} was taken over by another process")
                self.waiting.append(spec)
                return
        lease.release()
        self._settle(spec, reason)

    def _collect_stored(self) -> None:
        """After a stop: record the cells that have stored a result, and return the others to the waiting cells."""
        for spec, (lease, _) in self.running.items():
            lease.release()
            if self.store.version(spec) == self._versions[spec]:
                self.waiting.append(spec)
            else:
                self._settle(spec)
        self.running.clear()

    def _settle(self, spec: RunSpec, reason: str = "its result has disappeared") -> None:
        """Use the stored result as the cell's outcome; without a result, the cell failed for the given reason."""
        try:
            result = self.store.read(spec)
        except RecordError as error:
            outcome = Outcome(FAILED, unreadable(error))
        else:
            outcome = Outcome(result.status, result.error) if result else Outcome(FAILED, reason)
        self._finish(spec, outcome)

    def _finish(self, spec: RunSpec, outcome: Outcome) -> None:
        self.outcomes[spec] = outcome
        self.progress.ended(spec, outcome)

    def _fill(self) -> None:
        """Start cells while workers are free and other launchers do not hold the cells."""
        for spec in list(self.waiting):
            if len(self.running) >= self.executor.workers:
                return
            if time.monotonic() < self._not_before.get(spec, 0.0):
                continue
            if self._ran_elsewhere(spec) or self._is_blocked(spec):
                continue
            try:
                lease = self.store.claim(spec)
            except OSError as error:
                self.waiting.remove(spec)
                self._finish(spec, Outcome(FAILED, f"could not be claimed: {error}"))
                continue
            if lease is None:
                self._wait_for_holder(spec)
            elif self._ran_elsewhere(spec):
                lease.release()
            else:
                self.waiting.remove(spec)
                self._start(spec, lease)

    def _ran_elsewhere(self, spec: RunSpec) -> bool:
        """Return True, and use the result as outcome, if another launcher has stored one since the start."""
        if self.store.version(spec) == self._versions[spec]:
            return False
        self.waiting.remove(spec)
        self._settle(spec)
        return True

    def _is_blocked(self, spec: RunSpec) -> bool:
        """Return True if a cell must wait for a needed cell; leave it if the needed cell failed."""
        for needed in self.depends_on(spec):
            if self._is_done(needed):
                continue
            if needed not in self.waiting and needed not in self.running:
                self.waiting.remove(spec)
                self._finish(spec, Outcome(LEFT, f"needs {name_of(needed)}, which is not done"))
            return True
        return False

    def _is_done(self, spec: RunSpec) -> bool:
        try:
            return self.store.finished(spec)
        except RecordError:
            return False

    def _wait_for_holder(self, spec: RunSpec) -> None:
        if spec not in self._not_before:
            self.progress.note(f"{name_of(spec)} is being run by another process; waiting for it")
        self._not_before[spec] = time.monotonic() + RETRY_CLAIM_SECONDS

    def _start(self, spec: RunSpec, lease: Lease) -> None:
        started = time.time()
        try:
            log = self.executor.start(spec, lease)
        except OSError as error:
            self._settle_ended(Ended(spec, f"could not be started: {error}"), lease, started)
            return
        self.running[spec] = (lease, started)
        self.progress.started(spec, log)

    def _watch(self) -> None:
        """Update the display and send heartbeats, each at its own interval."""
        now = time.monotonic()
        if now >= self._next_show:
            self._next_show = now + SHOW_SECONDS
            for spec in self.running:
                self.progress.advanced(spec, *(self.executor.steps(spec) or (0, 1)))
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + self.store.lease_seconds / HEARTBEATS_PER_LIFETIME
            for spec in [spec for spec, (lease, _) in self.running.items() if not _unless_unknown(lease.heartbeat)]:
                self._give_up(spec)

    def _give_up(self, spec: RunSpec) -> None:
        """Cancel a cell that another launcher has claimed, for example while this machine slept, and wait for it."""
        self.progress.note(f"{name_of(spec)} was taken over by another process")
        self.executor.cancel(spec)
        del self.running[spec]
        self.waiting.append(spec)


def _unless_unknown(holds: Callable[[], bool]) -> bool:
    """Check a lease; count it as held if the folder of leases is unreadable, so that a running cell goes on."""
    try:
        return holds()
    except OSError:
        return True


def unreadable(error: RecordError) -> str:
    """Error of a cell that is not run, since its unreadable result file may come from another version."""
    return f"{error}; move this file away to run the cell"
