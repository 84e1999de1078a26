"""State of every cell of a grid, as a table: from results, leases and progress files alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmark.grid.progress import name_of, read_progress
from benchmark.grid.stale import MISSING, STALE, UNREADABLE, OlderResults, reason
from benchmark.records.escaping import escape_terminal
from benchmark.records.leases import all_leases, is_stale, read
from benchmark.records.result import DIVERGED, DONE, FAILED, RunSpec
from benchmark.records.store import ResultStore
from benchmark.records.validation import RecordError
from benchmark.tasks import counted

RUNNING, QUEUED = "running", "queued"
STATES = (DONE, MISSING, STALE, FAILED, DIVERGED, UNREADABLE, RUNNING, QUEUED)
ALWAYS_SHOWN = STATES[:4]
COLUMNS = ("state", "cell", "owner", "host", "step", "heartbeat", "minutes", "error")
LONGEST_ERROR = 80


@dataclass(frozen=True)
class CellState:
    """State of one cell.

    Args:
        spec: the cell.
        state: one of `STATES`.
        owner: process or job of a cell that runs or waits in a queue.
        host: its host.
        step: steps done and total steps of a running cell; None while unknown.
        heartbeat: seconds since the last heartbeat of its owner.
        minutes: minutes since its start, or of its whole run.
        error_class: class of a failure, see `benchmark.records.failures`.
        error: one line.
        lease: file of the lease of a running cell.
    """

    spec: RunSpec
    state: str
    owner: str = ""
    host: str = ""
    step: tuple[int, int] | None = None
    heartbeat: float | None = None
    minutes: float | None = None
    error_class: str | None = None
    error: str | None = None
    lease: Path | None = None


def cell_states(grid: Iterable[RunSpec], store: ResultStore, older: OlderResults | None = None) -> list[CellState]:
    """The state of each identified cell, in the order of the grid."""
    leases, older = all_leases(store.leases), older or OlderResults(store)
    return [_state(spec, store, leases.get(spec.run_id), older) for spec in grid]


def _state(spec: RunSpec, store: ResultStore, lease: Path | None, older: OlderResults) -> CellState:
    try:
        outline = store.outline(spec)
    except RecordError as error:
        return CellState(spec, UNREADABLE, error=str(error))
    if lease is not None and (outline is None or outline["status"] != DONE) and not is_stale(lease):
        return _claimed(spec, store, lease)
    if outline is None:
        return CellState(spec, STALE if older.of(spec) else MISSING)
    times = outline["provenance"]
    minutes = _minutes_between(times.get("started"), times.get("finished"))
    return CellState(
        spec, outline["status"], minutes=minutes, error_class=outline.get("error_class"), error=outline.get("error")
    )


def _claimed(spec: RunSpec, store: ResultStore, lease: Path) -> CellState:
    content = read(lease)
    try:
        heartbeat = max(0.0, time.time() - lease.stat().st_mtime)
    except OSError:
        heartbeat = None
    step = read_progress(store.work_folder(spec))
    queue = content.get("queue")
    process = content.get("worker") or content.get("owner") or {}
    started = content.get("claimed")
    return CellState(
        spec,
        QUEUED if queue and step is None else RUNNING,
        owner=str(queue or f"pid {process.get('pid')}"),
        host=str(content.get("host", "")),
        step=step,
        heartbeat=heartbeat,
        minutes=(time.time() - started) / 60 if isinstance(started, (int, float)) else None,
        lease=lease,
    )


def status_text(grid: Sequence[RunSpec], store: ResultStore) -> str:
    """A line for each cell, counts for each method and regularizer, the sum, and the reasons of stale cells."""
    older = OlderResults(store)
    states = cell_states(grid, store, older)
    lines = [*cell_table(states), "", *_counts(states), total(states)]
    for cell in states:
        if cell.state == STALE:
            replaced = older.of(cell.spec)[-1].result
            lines.append(f"stale: {replaced.run_id}: {reason(replaced.spec, cell.spec)}")
    return "\n".join(lines)


def watch_text(grid: Sequence[RunSpec], store: ResultStore, height: int) -> tuple[str, bool]:
    """A status that fits a terminal of some lines, cells at work first; and True if no cell is left to run."""
    states = cell_states(grid, store)
    order = (RUNNING, QUEUED, FAILED, DIVERGED, UNREADABLE, DONE, STALE, MISSING)
    chosen = sorted(states, key=lambda cell: order.index(cell.state))[: max(1, height - 4)]
    ended = all(cell.state in (DONE, FAILED, DIVERGED, UNREADABLE) for cell in states)
    return "\n".join([f"{time.strftime('%H:%M:%S')}  {total(states)}", *cell_table(chosen)]), ended


def total(states: Sequence[CellState]) -> str:
    """Number of cells in each state, in one line."""
    counts = Counter(cell.state for cell in states)
    shown = [state for state in STATES if counts[state] or state in ALWAYS_SHOWN]
    return f"{counted(len(states), 'cell')}: " + ", ".join(f"{counts[state]} {state}" for state in shown)


def cell_table(states: Sequence[CellState]) -> list[str]:
    """A line for each cell; columns that are empty everywhere are left out."""
    rows = [COLUMNS, *map(_row, states)]
    columns = list(zip(*rows, strict=True))
    kept = [column for column in columns if column[0] in COLUMNS[:2] or any(column[1:])]
    widths = [max(map(len, column)) for column in kept]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*kept, strict=True)
    ]


def _row(cell: CellState) -> tuple[str, ...]:
    error = ": ".join(filter(None, (cell.error_class, cell.error)))
    row = (
        cell.state,
        " ".join(filter(None, (name_of(cell.spec), str(cell.spec.overrides)))),
        cell.owner,
        cell.host,
        f"{cell.step[0]}/{cell.step[1]}" if cell.step else "",
        f"{cell.heartbeat:.0f} s ago" if cell.heartbeat is not None else "",
        f"{cell.minutes:.1f}" if cell.minutes is not None else "",
        error if len(error) <= LONGEST_ERROR else f"{error[: LONGEST_ERROR - 3]}...",
    )
    return tuple(map(escape_terminal, row))


def _counts(states: Sequence[CellState]) -> list[str]:
    rows: dict[str, Counter[str]] = {}
    for cell in states:
        spec = cell.spec
        name = " ".join(filter(None, (f"{spec.method}+{spec.regularizer}", str(spec.overrides))))
        rows.setdefault(name, Counter())[cell.state] += 1
    found = {cell.state for cell in states}
    shown = [state for state in STATES if state in found or state in ALWAYS_SHOWN]
    width = max(map(len, ("", *rows)))
    head = " ".join([" " * width, *(f"{state:>10s}" for state in shown)])
    return [head] + [
        " ".join([f"{name:{width}s}", *(f"{counts[state]:10d}" for state in shown)]) for name, counts in rows.items()
    ]


def _minutes_between(started: Any, finished: Any) -> float | None:
    try:
        return (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds() / 60
    except (TypeError, ValueError):
        return None
