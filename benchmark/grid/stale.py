"""State of the cells of a grid (stored, stale or missing), and the older results that a cell replaces."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from glob import escape
from pathlib import Path
from typing import Any

from benchmark.records.identity import has_effect, normalised
from benchmark.records.result import DONE, RunSpec
from benchmark.records.store import ResultStore, Stored, StoreError, read_result
from benchmark.records.validation import RecordError

MISSING, STALE, UNREADABLE = "missing", "stale", "unreadable"
STATES = (DONE, MISSING, STALE, "failed", "diverged", UNREADABLE)
UNIDENTIFIED = "stored before cells were identified by their content"


def state_of(spec: RunSpec, store: ResultStore) -> str:
    """State of an identified cell: its status; or "stale" if only older results exist, "missing", "unreadable"."""
    try:
        result = store.read(spec)
    except RecordError:
        return UNREADABLE
    if result is not None:
        return result.status
    return STALE if older_results(spec, store) else MISSING


def older_results(spec: RunSpec, store: ResultStore) -> list[Stored]:
    """Results of the same request with other ingredients, which this cell replaces."""
    prefix = spec.run_id.rpartition("-")[0]
    found = []
    for path in sorted(store.path(spec).parent.glob(f"{escape(prefix)}-*.json")):
        try:
            result = read_result(path)
        except (RecordError, OSError):
            continue
        if result.run_id != spec.run_id and _request(result.spec) == _request(spec):
            found.append(Stored(result, path))
    return found


def reason(older: RunSpec, spec: RunSpec) -> str:
    """Change between an older cell and a cell, such as "film.py changed since"."""
    if older.ingredients is None or spec.ingredients is None:
        return UNIDENTIFIED
    return "; ".join(spec.ingredients.changes_since(older.ingredients)) or "equal ingredients"


def replaced(grid: Iterable[RunSpec], store: ResultStore) -> list[str]:
    """Numbers of cells that replace older results, one line for each reason."""
    counts: Counter[str] = Counter()
    for spec in grid:
        if store.version(spec) is None:
            counts.update({reason(older.result.spec, spec) for older in older_results(spec, store)[-1:]})
    return [
        f"{count} {'cells replace' if count > 1 else 'cell replaces'} older results: {why}"
        for why, count in counts.items()
    ]


def status_text(grid: Sequence[RunSpec], store: ResultStore) -> str:
    """Counts of the states, a line for each method and regularizer, and the reasons of stale cells."""
    states = {spec: state_of(spec, store) for spec in grid}
    rows: dict[str, Counter[str]] = {}
    for spec, state in states.items():
        rows.setdefault(_row(spec), Counter())[state] += 1
    shown = [state for state in STATES if state in states.values() or state in STATES[:4]]
    width = max(map(len, ("", *rows)))
    lines = [" ".join([" " * width, *(f"{state:>10s}" for state in shown)])]
    lines += [
        " ".join([f"{row:{width}s}", *(f"{counts[state]:10d}" for state in shown)]) for row, counts in rows.items()
    ]
    total = Counter(states.values())
    lines.append(f"{len(grid)} cells: " + ", ".join(f"{total[state]} {state}" for state in shown))
    for spec, state in states.items():
        if state == STALE:
            older = older_results(spec, store)[-1].result
            lines.append(f"stale: {older.run_id}: {reason(older.spec, spec)}")
    return "\n".join(lines)


def forgettable(grid: Iterable[RunSpec], store: ResultStore, which: str) -> list[tuple[RunSpec, Path]]:
    """Results of a grid to remove, with their files.

    Args:
        grid: identified cells.
        store: store of the results.
        which: "stale": older results that a cell replaces; "failed": results of cells that are not done; "all": both,
            and the results that are done.
    """
    chosen = []
    for spec in grid:
        if which in ("stale", "all"):
            chosen += [(older.result.spec, older.path) for older in older_results(spec, store)]
        state = state_of(spec, store)
        if state not in (MISSING, STALE) and (which == "all" or (which == "failed" and state != DONE)):
            chosen.append((spec, store.path(spec)))
    return chosen


def forget(spec: RunSpec, path: Path, store: ResultStore) -> None:
    """Remove a result with its log and checkpoints.

    Raises:
        StoreError: if a process is running the cell.
    """
    lease = store.claim(spec)
    if lease is None:
        raise StoreError(f"{spec.run_id}: not removed, since a process is running this cell")
    try:
        for file in (path, path.with_name(store.details_path(spec).name)):
            file.unlink(missing_ok=True)
        shutil.rmtree(store.work_folder(spec), ignore_errors=True)
    finally:
        lease.release()


def _row(spec: RunSpec) -> str:
    """Name of a cell without its seed."""
    return " ".join(filter(None, (f"{spec.method}+{spec.regularizer}", str(spec.overrides))))


def _request(spec: RunSpec) -> tuple[Any, ...]:
    """Key that is equal for equal requests, whatever their ingredients."""
    overrides = {key: normalised(value) for key, value in spec.overrides.items() if has_effect(key)}
    names = (spec.folder, spec.method, spec.regularizer, spec.backbone, spec.split)
    return (*names, spec.seed, sorted(spec.tasks), overrides)
