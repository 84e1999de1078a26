"""State of the cells of a grid (stored, stale or missing), and the older results that a cell replaces."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from glob import escape, glob
from pathlib import Path
from typing import Any

from benchmark.records.identity import has_effect, normalised
from benchmark.records.result import DONE, RunSpec
from benchmark.records.store import ResultStore, Stored, StoreError, read_result
from benchmark.records.validation import RecordError

MISSING, STALE, UNREADABLE = "missing", "stale", "unreadable"
UNIDENTIFIED = "stored before cells were identified by their content"


class OlderResults:
    """Results of the same requests with other ingredients, which cells of a grid replace.

    The folders are listed once, since listing thousands of files for each cell would take minutes.

    Args:
        store: store of the results.
    """

    def __init__(self, store: ResultStore) -> None:
        self.store = store
        self._folders: dict[Path, dict[str, list[Path]]] = {}

    def of(self, spec: RunSpec) -> list[Stored]:
        """Results that a cell replaces, the newest last."""
        found = []
        for path in self._files(self.store.path(spec).parent).get(_prefix(spec.run_id), []):
            try:
                result = read_result(path)
            except (RecordError, OSError):
                continue
            if result.run_id != spec.run_id and _request(result.spec) == _request(spec):
                found.append(Stored(result, path))
        return sorted(found, key=_finished)

    def _files(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._folders:
            by_prefix: dict[str, list[Path]] = {}
            for path in sorted(glob(str(folder.with_name(escape(folder.name)) / "*.json"))):
                by_prefix.setdefault(_prefix(Path(path).stem), []).append(Path(path))
            self._folders[folder] = by_prefix
        return self._folders[folder]


def _finished(stored: Stored) -> str:
    """Time at which the cell ended, in ISO format; empty if it is not recorded."""
    return str(stored.result.provenance.get("finished") or "")


def _prefix(run_id: str) -> str:
    """A run_id without its digest."""
    return run_id.rpartition("-")[0]


def state_of(spec: RunSpec, older: OlderResults) -> str:
    """State of an identified cell: its status; or "stale" if only older results exist, "missing", "unreadable"."""
    try:
        outline = older.store.outline(spec)
    except RecordError:
        return UNREADABLE
    if outline is not None:
        return outline["status"]
    return STALE if older.of(spec) else MISSING


def reason(older: RunSpec, spec: RunSpec) -> str:
    """Change between an older cell and a cell, such as "film.py changed since"."""
    if older.ingredients is None or spec.ingredients is None:
        return UNIDENTIFIED
    return "; ".join(spec.ingredients.changes_since(older.ingredients)) or "equal ingredients"


def replaced(grid: Iterable[RunSpec], store: ResultStore) -> list[str]:
    """Numbers of cells that replace older results, one line for each reason."""
    counts: Counter[str] = Counter()
    results = OlderResults(store)
    for spec in grid:
        if store.version(spec) is None:
            counts.update({reason(older.result.spec, spec) for older in results.of(spec)[-1:]})
    return [
        f"{count} {'cells replace' if count > 1 else 'cell replaces'} older results: {why}"
        for why, count in counts.items()
    ]


def forgettable(grid: Iterable[RunSpec], store: ResultStore, which: str) -> list[tuple[RunSpec, Path]]:
    """Results of a grid to remove, with their files.

    Args:
        grid: identified cells.
        store: store of the results.
        which: "stale": older results that a cell replaces; "failed": results of cells that are not done; "all": both,
            and the results that are done.
    """
    chosen = []
    results = OlderResults(store)
    for spec in grid:
        if which in ("stale", "all"):
            chosen += [(older.result.spec, older.path) for older in results.of(spec)]
        state = state_of(spec, results)
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


def _request(spec: RunSpec) -> tuple[Any, ...]:
    """Key that is equal for equal requests, also if their ingredients differ."""
    overrides = {key: normalised(value) for key, value in spec.overrides.items() if has_effect(key)}
    names = (spec.folder, spec.method, spec.regularizer, spec.backbone, spec.split)
    return (*names, spec.seed, sorted(spec.tasks), overrides)
