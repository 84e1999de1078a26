"""Results that are offered for a folder of results: faults, conflicts with stored results, and changed rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.leaderboard.agreement import TOLERANCE
from benchmark.leaderboard.rows import row_key
from benchmark.leaderboard.text import ABSENT, markdown_table
from benchmark.metrics.catalogue import CATALOGUE
from benchmark.records.escaping import escape_markdown
from benchmark.records.result import DONE, RunResult
from benchmark.records.store import ResultStore, Stored, Unreadable, read_result
from benchmark.records.validation import RecordError

RANGES = {"%": (0.0, 100.0), "m": (0.0, 1000.0), "deg": (0.0, 180.0)}
"""Smallest and largest value of a metric, by unit."""
DETAILS = ".details.jsonl.gz"


@dataclass(frozen=True)
class Conflict:
    """Two finished results of one cell with different numbers.

    Args:
        stored: the stored result, or the first of two offered files.
        offered: the offered result.
        differences: metric, stored value and offered value; None for a value that one of them lacks.
    """

    stored: Stored
    offered: Stored
    differences: tuple[tuple[str, float | None, float | None], ...]


@dataclass
class Submission:
    """Offered results of a folder, sorted by outcome.

    Args:
        new: results to add, also in place of stored failures.
        same: results that are stored already with equal numbers.
        conflicts: results whose cell is stored with other numbers.
        faults: reasons to refuse, one line each.
        notes: remarks for a reviewer, one line each.
    """

    new: list[Stored] = field(default_factory=list)
    same: list[Stored] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def acceptable(self) -> bool:
        """True if the new results can be added: there is no fault and no conflict."""
        return not self.faults and not self.conflicts


def read_submission(folder: Path, stored: Sequence[Stored]) -> Submission:
    """Read and check the results of a folder.

    Args:
        folder: folder of results, the one that holds `runs`.
        stored: results that are stored already.
    """
    found = Submission()
    known = {cell.result.run_id: cell for cell in stored}
    entries = list(ResultStore(folder).results())
    offered = {entry.result.run_id: entry for entry in entries if isinstance(entry, Stored)}
    for entry in entries:
        if isinstance(entry, Unreadable):
            found.faults.append(entry.reason)
            found.conflicts += _second_copy(entry.path, offered)
            continue
        before = known.get(entry.result.run_id)
        if before is None or before.result.status != DONE:
            _take_new(found, entry, folder)
        elif entry.result.status != DONE:
            found.notes.append(f"{entry.result.run_id}: {entry.result.status} here, but done in the stored results")
        elif differences := tuple(_differences(before.result, entry.result)):
            found.conflicts.append(Conflict(before, entry, differences))
        else:
            found.same.append(entry)
    found.faults += _other_files(folder)
    return found


def faults_of(cell: Stored, folder: Path) -> Iterator[str]:
    """Reasons to refuse one result, one line each."""
    result, name = cell.result, cell.result.run_id
    if result.spec.ingredients is None:
        yield f"{name}: does not record its ingredients, so nobody can tell what it measured; train it again"
        return
    home = ResultStore(folder).path(result.spec)
    if cell.path != home:
        yield f"{cell.path}: expected at {home.relative_to(folder)}, which follows from its content"
    if not result.provenance.get("commit"):
        yield f"{name}: names no commit; train in a git checkout"
    if result.status == DONE:
        yield from (f"{name}: {fault}" for fault in _metric_faults(result))


def notes_of(cell: Stored) -> Iterator[str]:
    """Remarks on one result for a reviewer, one line each."""
    if cell.result.provenance.get("dirty"):
        yield f"{cell.result.run_id}: its commit had uncommitted changes, so its code is not known exactly"
    if cell.result.status != DONE:
        yield f"{cell.result.run_id}: {cell.result.status}: {cell.result.error}"


def conflict_table(conflicts: Sequence[Conflict]) -> str:
    """Both values of every number that differs, with the origin of each result."""
    lines = [["cell", "number", "stored", "offered", "difference"]]
    for conflict in conflicts:
        name = escape_markdown(conflict.stored.result.run_id)
        lines.append([name, "origin", *(_origin(cell.result) for cell in (conflict.stored, conflict.offered)), ABSENT])
        for key, before, now in conflict.differences:
            values = [ABSENT if value is None else repr(value) for value in (before, now)]
            change = ABSENT if before is None or now is None else f"{now - before:+.3g}"
            lines.append([name, escape_markdown(key), *values, change])
    return markdown_table(lines)


def _second_copy(path: Path, offered: Mapping[str, Stored]) -> Iterator[Conflict]:
    """The conflict of a file with another file of the same cell, if their numbers differ."""
    try:
        second = Stored(read_result(path), path)
    except (RecordError, OSError):
        return
    first = offered.get(second.result.run_id)
    if first is not None and (differences := tuple(_differences(first.result, second.result))):
        yield Conflict(first, second, differences)


def _take_new(found: Submission, cell: Stored, folder: Path) -> None:
    faults = list(faults_of(cell, folder))
    found.faults += faults
    if not faults:
        found.new.append(cell)
        found.notes += notes_of(cell)


def _metric_faults(result: RunResult) -> Iterator[str]:
    missing = [task for task in result.spec.tasks if not result.metrics.get(task)]
    if missing:
        yield f"no metric of {', '.join(missing)}"
    for task, entries in result.metrics.items():
        for name, entry in entries.items():
            yield from (f"{task}/{name}: {fault}" for fault in _entry_faults(name, entry))


def _entry_faults(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    unit, value = entry["unit"], entry["value"]
    known = CATALOGUE.get(name)
    if known is not None and (unit, entry["higher_is_better"]) != tuple(known):
        expected = f"{known.unit!r} with higher_is_better {str(known.higher_is_better).lower()}"
        yield f"found unit {unit!r} with higher_is_better {str(entry['higher_is_better']).lower()}, expected {expected}"
    low, high = RANGES.get(unit, (-math.inf, math.inf))
    if not low <= value <= high:
        yield f"found {value!r} {unit}, expected {low:g} to {high:g}"


def _differences(stored: RunResult, offered: RunResult) -> Iterator[tuple[str, float | None, float | None]]:
    values = [
        {
            f"{task}/{name}": entry["value"]
            for task, entries in result.metrics.items()
            for name, entry in entries.items()
        }
        for result in (stored, offered)
    ]
    for key in dict.fromkeys([*values[0], *values[1]]):
        before, now = values[0].get(key), values[1].get(key)
        if before is None or now is None or not math.isclose(before, now, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            yield key, before, now


def _origin(result: RunResult) -> str:
    origin = result.provenance
    hardware = origin.get("hardware") or {}
    versions = origin.get("versions") or {}
    parts = [
        f"commit {str(origin.get('commit'))[:8]}",
        str(hardware.get("gpu") or hardware.get("cpu") or "unknown processor"),
        f"torch {versions.get('torch', 'unknown')}" if isinstance(versions, Mapping) else "",
        str(origin.get("finished") or ""),
    ]
    return escape_markdown(", ".join(filter(None, parts)))


def _other_files(folder: Path) -> Iterator[str]:
    """Files below `runs` that are neither results nor the details of a result."""
    for path in sorted((folder / "runs").rglob("*")):
        hidden = path.name.startswith(".")
        details = path.name.endswith(DETAILS) and path.with_name(path.name.removesuffix(DETAILS) + ".json").is_file()
        if path.is_file() and not hidden and path.suffix != ".json" and not details:
            yield f"{path}: neither a result nor the details of one; remove it"


def row_name(cell: Stored) -> str:
    """Recipe, row and seed of a result."""
    return f"{cell.result.spec.recipe}: {row_key(cell.result).label}, seed {cell.result.spec.seed}"
