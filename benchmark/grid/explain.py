"""Explanation of one cell: its state, the reason why it waits, and the last lines of its log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmark.grid.loop import Dependencies
from benchmark.grid.progress import name_of
from benchmark.grid.stale import MISSING, STALE, OlderResults, reason
from benchmark.grid.status import CellState, cell_states, cell_table
from benchmark.records.escaping import escape_terminal
from benchmark.records.leases import all_leases, is_stale
from benchmark.records.result import DONE, RunSpec
from benchmark.records.store import ResultStore
from benchmark.tasks import suggest

LOG_LINES = 20
LOG_BYTES = 64 << 10


def find_cell(grid: Sequence[RunSpec], wanted: str) -> RunSpec:
    """The cell of a grid that a user names.

    Args:
        grid: identified cells.
        wanted: run_id, a unique part of it, the path of the result, or "METHOD+REGULARIZER seed N".

    Raises:
        ValueError: if no cell or several cells have this name, in one line.
    """
    text = Path(wanted).stem if wanted.endswith(".json") else wanted
    exact = [spec for spec in grid if text in (spec.run_id, name_of(spec))]
    found = exact or [spec for spec in grid if text in spec.run_id or text in name_of(spec)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(spec.run_id for spec in found[:4])
        raise ValueError(
            f"{len(found)} cells have {wanted!r} in their name: {names}{', ...' if len(found) > 4 else ''}"
        )
    raise ValueError(f"no cell named {wanted!r} in this grid.{suggest(text, [spec.run_id for spec in grid])}")


def explanation(spec: RunSpec, store: ResultStore, depends_on: Dependencies) -> str:
    """State of a cell, its error, the reasons why it waits, and the last lines of its log."""
    (cell,) = cell_states([spec], store)
    lines = [*cell_table([cell]), f"run_id: {spec.run_id}"]
    if cell.error:
        lines.append(f"error: {cell.error}")
    lines += [f"waits: {wait}" for wait in _waits(cell, store, depends_on)]
    log = store.work_folder(spec) / "cell.log"
    tail = last_lines(log)
    lines += [f"last lines of {log}:", *tail] if tail else [f"no log at {log}"]
    return "\n".join(map(escape_terminal, lines))


def _waits(cell: CellState, store: ResultStore, depends_on: Dependencies) -> Iterator[str]:
    if cell.lease is not None:
        yield f"for {cell.owner} on {cell.host}, which holds the cell"
        return
    if cell.state == DONE:
        return
    needed = [state for state in cell_states(depends_on(cell.spec), store) if state.state != DONE]
    yield from (f"for {name_of(state.spec)}, which is {state.state}" for state in needed)
    lease = all_leases(store.leases).get(cell.spec.run_id)
    if lease is not None and is_stale(lease):
        yield "for a launcher; the process that ran it has ended without a result"
    elif not needed:
        yield "for a launcher; start the grid" + (" again" if cell.state not in (MISSING, STALE) else "")
    if cell.state == STALE:
        older = OlderResults(store).of(cell.spec)[-1].result
        yield f"since the stored result {older.run_id} is stale: {reason(older.spec, cell.spec)}"


def last_lines(log: Path, count: int = LOG_LINES) -> list[str]:
    """The last lines of a log that are not empty; none if it cannot be read."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - LOG_BYTES))
            lines: Iterable[str] = file.read().decode("utf-8", errors="replace").replace("\r", "\n").splitlines()
    except OSError:
        return []
    return [line.rstrip() for line in lines if line.strip()][-count:]
