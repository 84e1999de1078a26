"""Strip plot of seeds: every seed of every row, by task."""

from __future__ import annotations

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.figures.captions import joined, legend, protocol, shown_of
from benchmark.leaderboard.figures.description import MAX_ROWS, MEAN, SEED, DotPanel, Figure, Mark, row_ids
from benchmark.leaderboard.markup import one_line
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.text import format_mean_std, format_number, heading


def seed_strips(analysis: Analysis) -> Figure | None:
    """The value of each seed and the mean of each row, one panel per ranking metric."""
    rows = {label: row for label, row in _labelled(analysis).items() if row.cells}
    if not rows or not analysis.table.measured:
        return None
    shown = dict(list(rows.items())[:MAX_ROWS])
    panels = tuple(_panel(column, shown) for column in analysis.table.measured)
    caption = joined(
        "Values of all seeds. The spread of the dots is the noise that a difference must exceed.",
        legend(SEED, MEAN),
        shown_of(len(rows)),
        protocol(analysis),
    )
    return Figure("seeds", "Every seed of every row", caption, panels, 2)


def _labelled(analysis: Analysis) -> dict[str, Row]:
    return {one_line(label): analysis.rows[index] for index, label in row_ids(analysis.rows).items()}


def _panel(column: Column, rows: dict[str, Row]) -> DotPanel:
    marks = [mark for label, row in rows.items() for mark in seed_marks(label, row, column)]
    title = one_line(f"{column.task} {column.name}")
    return DotPanel(title, one_line(heading(column)), tuple(rows), tuple(marks))


def seed_marks(label: str, row: Row, column: Column) -> list[Mark]:
    """The values of a row by seed, and their mean if there are several."""
    values = [(cell.result.spec.seed, column.value(cell.result)) for cell in row.cells]
    unit = "" if column.unit == "1" else f" {column.unit}"
    marks = [
        Mark(
            label,
            value,
            None,
            None,
            SEED,
            one_line(f"{label}, seed {seed}: {format_number(value, column.unit)}{unit}"),
            label,
        )
        for seed, value in values
        if value is not None
    ]
    summary = row.summary(column)
    if summary is not None and summary.n > 1:
        text = f"{label}, mean of {summary.n} seeds: {format_mean_std(summary, column.unit)}{unit}"
        marks.append(Mark(label, summary.mean, None, None, MEAN, one_line(text), label))
    return marks
