"""Coverage of a board: which cells are done, missing, or failed, with the reasons."""

from __future__ import annotations

from collections import defaultdict

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.figures.captions import joined, protocol, shown_of
from benchmark.leaderboard.figures.description import MAX_ROWS, Cell, Figure, MapPanel
from benchmark.leaderboard.markup import one_line
from benchmark.leaderboard.plan import RowKey
from benchmark.leaderboard.rows import Row, row_key

MAX_REASONS = 5
"""Largest number of failures that the caption describes."""


def coverage(analysis: Analysis) -> Figure | None:
    """Done seeds by method and regularizer; None for a table without a board."""
    rows = analysis.table.rows
    if analysis.table.plan is None or not rows:
        return None
    reasons = _reasons(analysis)
    cells = {
        (one_line(row.key.method), one_line(row.key.regularizer_label)): _cell(row, reasons.get(row.key, []))
        for row in rows
    }
    methods = tuple(dict.fromkeys(one_line(row.key.method) for row in rows))
    regularizers = tuple(dict.fromkeys(one_line(row.key.regularizer_label) for row in rows))
    panel = MapPanel("done seeds of planned seeds", regularizers, methods[:MAX_ROWS], cells, 1.0, False, "share done")
    done, planned = (sum(map(len, found)) for found in zip(*((row.cells, row.planned) for row in rows), strict=True))
    failures = [text for texts in reasons.values() for text in texts]
    more = f"and {len(failures) - MAX_REASONS} more." if len(failures) > MAX_REASONS else ""
    caption = joined(
        f"{done} of {planned} cells are done. A dashed cell has no result; a blank is no part of the board; "
        f"a cross counts cells that failed or diverged{'' if failures else ': none'}.",
        "; ".join(failures[:MAX_REASONS]) + "." if failures else "",
        more,
        shown_of(len(methods)),
        protocol(analysis),
    )
    return Figure("coverage", "Coverage of the board", caption, (panel,), 1)


def _cell(row: Row, reasons: list[str]) -> Cell:
    share = len(row.cells) / len(row.planned) if row.planned else 0.0
    label = f"{len(row.cells)}/{len(row.planned)}" + (f" \N{MULTIPLICATION SIGN}{len(reasons)}" if reasons else "")
    text = "; ".join([f"{row.key.label}: {row.progress()}", *reasons])
    return Cell(share or None, label, one_line(text), row.key.label)


def _reasons(analysis: Analysis) -> dict[RowKey, list[str]]:
    """Failed cells of each row in words, without cells that were done later."""
    done = {(row.key, seed) for row in analysis.rows for seed in row.seeds}
    found: dict[RowKey, list[str]] = defaultdict(list)
    for cell in analysis.table.not_done:
        key, seed = row_key(cell.result), cell.result.spec.seed
        if (key, seed) not in done:
            error = one_line(cell.result.error or "")
            found[key].append(f"{key.label} seed {seed} {cell.result.status}: {error[:160]}")
    return found
