"""Loop that runs a grid: claim, start, watch and collect cells."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence

from benchmark.grid.executors import Ended, Executor
from benchmark.grid.failures import FailureRules
from benchmark.grid.progress import Outcome, Progress, ending, name_of, read_progress
from benchmark.grid.queue import CellQueue
from benchmark.grid.signals import StopSignals
from benchmark.records.failures import CODE, class_of_os_error
from benchmark.records.leases import Lease
from benchmark.records.provenance import provenance
from benchmark.records.result import DONE, FAILED, RunResult, RunSpec, failure
from benchmark.records.store import ResultStore, StoreError, Version
from benchmark.records.validation import RecordError

TICK_SECONDS = 0.05
SHOW_SECONDS = 0.5
HEARTBEATS_PER_LIFETIME = 12
RETRY_CLAIM_SECONDS = 1.0
BLOCKED_SECONDS = 0.2
LEFT = "left"
"""Outcome of a cell that was not run, because of a stop, a limit, a rule for failures, or a needed cell."""

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
        rules: consequences of failures.
    """

    def __init__(
        self,
        grid: Sequence[RunSpec],
        store: ResultStore,
        executor: Executor,
        progress: Progress,
        depends_on: Dependencies = independent,
        rules: FailureRules | None = None,
    ) -> None:
        self.grid, self.store, self.executor, self.progress = list(grid), store, executor, progress
        self.depends_on, self.rules = depends_on, rules or FailureRules()
        self.outcomes: dict[RunSpec, Outcome] = {}
        self.waiting = CellQueue()
        self.running: dict[RunSpec, tuple[Lease, float]] = {}
        self._versions: dict[RunSpec, Version | None] = {}
        self._held_elsewhere: set[RunSpec] = set()
        self._next_show = self._next_heartbeat = 0.0

    def plan(self, retry: Collection[str], limit: int | None = None) -> None:
        """Sort the cells into cells with an outcome and waiting cells.

        Args:
            retry: statuses of cells to run again.
            limit: largest number of cells to run; None for all.
        """
        waiting = [spec for spec in self.grid if self._is_to_run(spec, retry)]
        count = len(waiting) if limit is None else limit
        self.waiting = CellQueue(waiting[:count])
        for spec in waiting[count:]:
            self.outcomes[spec] = Outcome(LEFT, f"not run, since at most {limit} cells were wanted")

    def _is_to_run(self, spec: RunSpec, retry: Collection[str]) -> bool:
        # Read the version before the result: if it changes later, another launcher has run the cell.
        version = self._versions[spec] = self.store.version(spec)
        try:
            result = None if version is None else self.store.read(spec)
        except RecordError as error:
            self.outcomes[spec] = Outcome(FAILED, unreadable(error))
            return False
        if result is None or (result.status != DONE and result.status in retry):
            return True
        self.outcomes[spec] = _outcome_of(result)
        return False

    def work(self, signals: StopSignals) -> None:
        """Run until every cell has an outcome or a signal arrives; end all processes and release all leases."""
        self.progress.begin(len(self.waiting), len(self.grid))
        for spec, outcome in self.outcomes.items():
            if outcome.status not in (DONE, LEFT):
                self.progress.note(ending(spec, outcome))
        try:
            while (self.waiting or self.running) and signals.first is None:
                collected, started = self._collect(), self._fill()
                self._watch()
                if not collected and not started:
                    time.sleep(TICK_SECONDS)
        finally:
            self.executor.stop(hurry=lambda: signals.again)
            self._collect_stored()
            self.progress.close()
            self.store.remove_leftovers(spec for spec, outcome in self.outcomes.items() if outcome.status == DONE)
        for spec in self.waiting:
            self.outcomes[spec] = Outcome(LEFT, "not run, since the grid was stopped; the same command continues it")

    def _collect(self) -> bool:
        """Record the outcome of cells that have ended; returns True if there are some."""
        ended_cells = self.executor.ended()
        for ended in ended_cells:
            lease, started = self.running.pop(ended.spec)
            self._settle_ended(ended, lease, started)
        return bool(ended_cells)

    def _settle_ended(self, ended: Ended, lease: Lease, started: float) -> None:
        """Use the result that the cell has stored or returned, or store a failure; wait if another launcher runs it."""
        spec, reason = ended.spec, ended.how
        result = ended.result
        if result is None and self.store.version(spec) == self._versions[spec]:
            if self._try_again(spec, Outcome(FAILED, reason, ended.error_class), lease):
                return
            result = failure(
                spec, FAILED, reason, provenance(started=started, data={}, config_text=""), ended.error_class
            )
        if result is None:
            self._settle(spec, reason, lease)
            return
        try:
            self.store.publish(result, lease, ended.details)
        except (StoreError, RecordError, OSError) as error:
            error_class = class_of_os_error(error) if isinstance(error, OSError) else ended.error_class
            self._settle_unstored(spec, f"{reason}; {error}" if reason else str(error), lease, error_class)
        else:
            self._conclude(spec, _outcome_of(result), lease)

    def _settle_unstored(self, spec: RunSpec, reason: str, lease: Lease, error_class: str) -> None:
        """Wait if another launcher runs the cell; else use its stored result, or the error of storing."""
        if _unless_unknown(lease.held):
            self._settle(spec, reason, lease, error_class)
        else:
            self.progress.note(f"{name_of(spec)} was taken over by another process")
            self.waiting.put_back(spec)

    def _try_again(self, spec: RunSpec, outcome: Outcome, lease: Lease | None) -> bool:
        """Put a cell back if the rules allow another attempt; returns True if so."""
        delay = self.rules.delay(spec, outcome)
        if delay is None:
            return False
        if lease is not None:
            lease.release()
        self._versions[spec] = self.store.version(spec)
        self.progress.note(f"again in {delay:.0f} s: {ending(spec, outcome)}")
        self.waiting.put_back(spec, delay)
        return True

    def _collect_stored(self) -> None:
        """After a stop: record the cells that have a result, and return the others to the waiting cells."""
        for ended in self.executor.ended():
            if ended.result is not None and ended.spec in self.running:
                self._settle_ended(ended, *self.running.pop(ended.spec))
        for spec, (lease, _) in self.running.items():
            if self.store.version(spec) == self._versions[spec]:
                lease.release()
                self.waiting.put_back(spec)
            else:
                self._settle(spec, lease=lease)
        self.running.clear()

    def _settle(
        self,
        spec: RunSpec,
        reason: str = "its result has disappeared",
        lease: Lease | None = None,
        error_class: str = CODE,
    ) -> None:
        """Use the stored result as the cell's outcome; without a result, the cell failed for the given reason."""
        try:
            result = self.store.read(spec)
        except RecordError as error:
            outcome = Outcome(FAILED, unreadable(error))
        else:
            outcome = _outcome_of(result) if result else Outcome(FAILED, reason, error_class)
        self._conclude(spec, outcome, lease)

    def _conclude(self, spec: RunSpec, outcome: Outcome, lease: Lease | None) -> None:
        """Give a cell its outcome, unless it is tried again."""
        if self._try_again(spec, outcome, lease):
            return
        if lease is not None:
            lease.release()
        self._finish(spec, outcome)

    def _finish(self, spec: RunSpec, outcome: Outcome) -> None:
        self.outcomes[spec] = outcome
        self.progress.ended(spec, outcome)
        line = self.rules.record(spec, outcome)
        if line is not None:
            self.progress.note(line)

    def _fill(self) -> bool:
        """Start cells while workers are free; returns True if a cell was started or has an outcome now."""
        changed = False
        while len(self.running) < self.executor.workers:
            spec = self.waiting.take()
            if spec is None:
                break
            changed = self._try_to_start(spec) or changed
        return changed

    def _try_to_start(self, spec: RunSpec) -> bool:
        """Start a cell, or give it an outcome; returns False if it must wait."""
        reason = self.rules.reason_to_leave(spec)
        if reason is not None:
            self.outcomes[spec] = Outcome(LEFT, reason)
            return True
        if self._ran_elsewhere(spec):
            return True
        if self._is_blocked(spec):
            return spec in self.outcomes
        try:
            lease = self.store.claim(spec)
        except OSError as error:
            outcome = Outcome(FAILED, f"could not be claimed: {error}", class_of_os_error(error))
            if not self._try_again(spec, outcome, None):
                self._finish(spec, outcome)
            return True
        if lease is None:
            self._wait_for_holder(spec)
            return False
        if self._ran_elsewhere(spec):
            lease.release()
        else:
            self._start(spec, lease)
        return True

    def _ran_elsewhere(self, spec: RunSpec) -> bool:
        """Return True, and use the result as outcome, if another launcher has stored one since the start."""
        if self.store.version(spec) == self._versions[spec]:
            return False
        self._settle(spec)
        return True

    def _is_blocked(self, spec: RunSpec) -> bool:
        """Return True if a cell must wait for a needed cell; leave it if the needed cell failed."""
        for needed in self.depends_on(spec):
            if self._is_done(needed):
                continue
            if needed in self.waiting or needed in self.running:
                self.waiting.put_back(spec, BLOCKED_SECONDS)
            else:
                self._finish(spec, Outcome(LEFT, f"needs {name_of(needed)}, which is not done"))
            return True
        return False

    def _is_done(self, spec: RunSpec) -> bool:
        if spec in self.outcomes:
            return self.outcomes[spec].status == DONE
        try:
            return self.store.finished(spec)
        except RecordError:
            return False

    def _wait_for_holder(self, spec: RunSpec) -> None:
        if spec not in self._held_elsewhere:
            self._held_elsewhere.add(spec)
            self.progress.note(f"{name_of(spec)} is being run by another process; waiting for it")
        self.waiting.put_back(spec, RETRY_CLAIM_SECONDS)

    def _start(self, spec: RunSpec, lease: Lease) -> None:
        started = time.time()
        # Read now: the executor removes the file when it starts the cell.
        earlier = read_progress(self.store.work_folder(spec))
        try:
            log = self.executor.start(spec, lease)
        except OSError as error:
            ended = Ended(spec, f"could not be started: {error}", class_of_os_error(error))
            self._settle_ended(ended, lease, started)
            return
        self.running[spec] = (lease, started)
        self.progress.started(spec, log, earlier)

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
        self.waiting.put_back(spec)


def _outcome_of(result: RunResult) -> Outcome:
    return Outcome(result.status, result.error, result.error_class)


def _unless_unknown(holds: Callable[[], bool]) -> bool:
    """Check a lease; count it as held if the folder of leases is unreadable, so that a running cell goes on."""
    try:
        return holds()
    except OSError:
        return True


def unreadable(error: RecordError) -> str:
    """Error of a cell that is not run, since its unreadable result file may come from another version."""
    return f"{error}; move this file away to run the cell"
