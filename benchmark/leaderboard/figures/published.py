"""Figures of published numbers and ours: in separate panels, never on one axis."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.figures.captions import joined, legend, protocol
from benchmark.leaderboard.figures.description import MEAN, PUBLISHED, SEED, DotPanel, Figure, Mark
from benchmark.leaderboard.figures.seeds import seed_marks
from benchmark.leaderboard.markup import one_line
from benchmark.leaderboard.plan import RowKey
from benchmark.leaderboard.reported import ReportedRow, ReportedTable
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.text import format_number, heading


def published_figures(analysis: Analysis, tables: Sequence[ReportedTable]) -> list[Figure]:
    """One figure per published table that shares a method and regularizer with a board, for the tasks of both."""
    found = [_figure(analysis, table, f"published-{number}") for number, table in enumerate(tables, 1)]
    return [figure for figure in found if figure is not None]


def _figure(analysis: Analysis, table: ReportedTable, key: str) -> Figure | None:
    ours = {row.key: row for row in analysis.table.rows}
    shared = [row for row in table.rows if RowKey(row.method, row.regularizer) in ours]
    columns = [column for column in analysis.table.columns if any(column.task in row.metrics for row in shared)]
    if analysis.table.plan is None or not columns:
        return None
    published = [_published_panel(column.task, shared) for column in columns]
    rows = [ours[RowKey(row.method, row.regularizer)] for row in shared]
    own = [_own_panel(column, list(dict.fromkeys(map(_identity, rows))), analysis) for column in columns]
    caption = joined(
        f"First the numbers as published in {table.source}, each on the axis of its own metric; then our rows of the "
        "same methods, on axes of their own. The two are not comparable in size: only the order within each may be "
        "looked at.",
        table.note,
        legend(PUBLISHED, SEED, MEAN),
        protocol(analysis),
    )
    return Figure(key, one_line(f"Published and ours: {table.title}"), caption, (*published, *own), len(columns))


def _identity(row: Row) -> RowKey:
    return row.key


def _published_panel(task: str, rows: Sequence[ReportedRow]) -> DotPanel:
    marks = []
    axis = task
    for row in rows:
        for name, entry in list(row.metrics.get(task, {}).items())[:1]:
            axis = heading(Column(task, name, entry["unit"], entry["higher_is_better"]))
            if entry["value"] is not None:
                text = f"{row.title}: {format_number(entry['value'], entry['unit'])} {entry['unit']}, {row.read_in}"
                marks.append(Mark(one_line(row.title), entry["value"], None, None, PUBLISHED, one_line(text)))
    categories = tuple(dict.fromkeys(one_line(row.title) for row in rows))
    return DotPanel(one_line(f"published: {task}"), one_line(axis), categories, tuple(marks), absent="not published")


def _own_panel(column: Column, keys: Sequence[RowKey], analysis: Analysis) -> DotPanel:
    rows = {row.key: row for row in analysis.rows}
    marks = [mark for key in keys for mark in seed_marks(one_line(key.label), rows[key], column)]
    categories = tuple(one_line(key.label) for key in keys)
    title = one_line(f"ours: {column.task}")
    return DotPanel(title, one_line(heading(column)), categories, tuple(marks), absent="not run yet")
