"""The rows of the page: the records of leaderboard.csv by column, and the texts above and below each table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.board_tables import rank_text
from benchmark.leaderboard.comparisons import ROW, Comparison
from benchmark.leaderboard.figures.description import row_ids
from benchmark.leaderboard.flat_records import Record, records_of
from benchmark.leaderboard.markup import PLAIN, one_line
from benchmark.leaderboard.notes import board_title, notes_of, other_title
from benchmark.leaderboard.page.columns import page_columns
from benchmark.leaderboard.summary import comparison_name, describe, reference_name
from benchmark.leaderboard.text import format_gain, format_p, format_seeds

ELSEWHERE = ("files",)
"""Fields that only the details of a row show."""
ENDS = (" low", " high")
"""Ends of intervals of metrics, which the page does not show."""


def table_data(analyses: Sequence[Analysis], folder: Path) -> dict[str, Any]:
    """Rows, columns and tables as plain JSON values.

    Args:
        analyses: tables with their statistics, boards first.
        folder: folder of the page; links are relative to it.
    """
    records = [record for analysis in analyses for record in records_of(analysis, analysis.rows, folder)]
    data = _by_field(records)
    labels = unique_labels(analyses)
    return {
        "fields": data,
        "columns": [column.to_json() for column in page_columns(analyses, data)],
        "tables": [_table(analysis, label) for analysis, label in zip(analyses, labels, strict=True)],
        "table": [index for index, analysis in enumerate(analyses) for _ in analysis.rows],
        "label": [label for analysis in analyses for label in map(one_line, row_ids(analysis.rows).values())],
        "regularizer": _distinct([one_line(row.key.regularizer_label) for found in analyses for row in found.rows]),
        "rank": [one_line(rank_text(analysis, row)) for analysis in analyses for row in analysis.rows],
        "best": [_among_best(analysis, index) for analysis in analyses for index in range(len(analysis.rows))],
    }


def unique_labels(analyses: Sequence[Analysis]) -> list[str]:
    """A short name of each table, for menus and addresses: a repeated name gets a number."""
    names = [one_line(_label(analysis)) for analysis in analyses]
    return [
        name if names.index(name) == index else f"{name} ({names[:index].count(name) + 1})"
        for index, name in enumerate(names)
    ]


def title_of(analysis: Analysis) -> str:
    """The heading of a table as plain text."""
    return board_title(analysis, PLAIN) if analysis.table.plan else f"other runs: {other_title(analysis, PLAIN)}"


def _label(analysis: Analysis) -> str:
    setting = analysis.table.setting
    if analysis.table.plan is not None:
        return f"{analysis.name} {setting.overrides}" if setting.overrides else analysis.name
    return f"other: {other_title(analysis, PLAIN)}"


def _table(analysis: Analysis, label: str) -> dict[str, Any]:
    return {
        "label": label,
        "title": title_of(analysis),
        "board": analysis.table.plan is not None,
        "setting": describe(analysis.table.setting, PLAIN),
        "reference": one_line(reference_name(analysis)) if analysis.reference else "",
        "ranking": [one_line(column.key) for column in analysis.table.measured],
        "notes": notes_of(analysis, PLAIN),
        "statements": [_statement(found) for found in analysis.over_methods() if found.estimate is not None],
    }


def _statement(found: Comparison) -> list[str]:
    """A comparison over methods: name, question, gain, seeds, p after Holm, verdict, methods."""
    return [
        one_line(comparison_name(found)) + (" (primary)" if found.family == "primary" else ""),
        found.kind,
        f"{format_gain(found.estimate)} %",
        format_seeds(found.seeds),
        format_p(found.p_adjusted),
        found.verdict or "neither is shown",
        one_line(", ".join(found.methods)),
    ]


def _among_best(analysis: Analysis, index: int) -> int:
    ranks = analysis.ranks.get(analysis.rows[index].key)
    return int(ranks is not None and ranks.among_best)


def _by_field(records: Sequence[Record]) -> dict[str, Any]:
    """The values of each field in the order of the records; a field without a value is left out."""
    names = dict.fromkeys(name for record in records for name in record)
    found = {}
    for name in names:
        if name in ELSEWHERE or ("/" in name and name.endswith(ENDS)):
            continue
        values = [record.get(name) for record in records]
        if any(value not in (None, "") for value in values):
            found[one_line(name)] = _column(values)
    return found


def _column(values: Sequence[Any]) -> dict[str, Any]:
    """Numbers as they are; texts as their distinct values and an index for each record."""
    if all(value is None or isinstance(value, int | float) for value in values):
        return {"numbers": [_shortest(value) for value in values]}
    return _distinct(["" if value is None else one_line(str(value)) for value in values])


def _distinct(values: Sequence[str]) -> dict[str, Any]:
    position = {value: index for index, value in enumerate(dict.fromkeys(values))}
    return {"texts": list(position), "index": [position[value] for value in values]}


def _shortest(value: float | None) -> float | None:
    """A whole number without its decimal point, which JavaScript reads as the same number."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def row_comparisons(analysis: Analysis) -> dict[Any, list[Comparison]]:
    """The comparisons of each row over another row."""
    found: dict[Any, list[Comparison]] = {}
    for comparison in analysis.comparisons:
        if comparison.kind == ROW and comparison.estimate is not None:
            found.setdefault(comparison.row, []).append(comparison)
    return found
