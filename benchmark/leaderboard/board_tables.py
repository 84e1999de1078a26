"""The Markdown tables of one table of results: ranks, comparisons, details and cost."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.comparisons import GENERAL, PRIMARY, ROW, THESE, Comparison
from benchmark.leaderboard.cost_table import CostRow, compute_table, from_measurement, parameter_table, short_hardware
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.summary import comparison_name, reference_name
from benchmark.leaderboard.text import (
    ABSENT,
    format_gain,
    format_mean_std,
    format_p,
    format_scaled,
    format_seeds,
    heading,
    markdown_table,
    result_link,
)
from benchmark.records.escaping import escape_markdown, escape_markdown_code

Cells = tuple[str, Callable[[Row], str]]
"""A printed column: its heading, and its text by row."""

MAX_METRICS = 4
"""Metrics in the first table, so that it has eight columns at most."""
COST_NOTE = """\
Measured by `tools/measure_cost.py` on random weights and images. GMACs are of one image and count convolutions, matrix
products and attention; memory includes the weights; a training step includes the regularizer and the optimiser.
"""


def rank_table(analysis: Analysis, columns: Sequence[Column] = (), rows: Sequence[Row] | None = None) -> str:
    """The first table: method, regularizer, metrics, gain over the reference row, and rank set or number of seeds.

    Args:
        analysis: rows with their statistics.
        columns: metrics to show in place of the ranking metrics.
        rows: rows to show; all rows if None.
    """
    shown: list[Cells] = [
        ("method", lambda row: _bold(analysis, row, escape_markdown(row.key.method))),
        ("regularizer", lambda row: escape_markdown(row.key.regularizer_label)),
    ]
    metrics = columns or analysis.table.columns[:MAX_METRICS]
    shown += [(escape_markdown(heading(column)), _metric(column)) for column in metrics]
    if analysis.reference:
        title = f"gain over {escape_markdown(reference_name(analysis))} (%)"
        shown.append((title, lambda row: delta_text(analysis, row)))
    if analysis.table.plan:
        shown.append(("rank", lambda row: _bold(analysis, row, rank_text(analysis, row))))
    else:
        shown.append(("n", lambda row: str(len(row.cells))))
    return _grid(shown, analysis.rows if rows is None else rows)


def delta_text(analysis: Analysis, row: Row) -> str:
    """Gain of a row over the reference row."""
    if row.key == analysis.reference:
        return "reference"
    found = analysis.delta(row.key)
    return format_gain(found.estimate if found else None)


def rank_text(analysis: Analysis, row: Row) -> str:
    """Rank set of a row; for an incomplete row, the number of seeds that are done."""
    ranks = analysis.ranks.get(row.key)
    if ranks is not None:
        return str(ranks)
    return ABSENT if row.complete(analysis.table.measured) else row.progress()


def comparison_table(analysis: Analysis, chosen: Sequence[Comparison] | None = None) -> str:
    """Regularizers compared within each method and over methods; empty if no method has two regularizers.

    Args:
        analysis: rows with their statistics.
        chosen: comparisons to show; all if None.
    """
    order = {GENERAL: 0, THESE: 1, ROW: 2}
    found = [
        comparison
        for comparison in (analysis.comparisons if chosen is None else chosen)
        if comparison.row.method == comparison.baseline.method and comparison.estimate and not comparison.task
    ]
    if not found:
        return ""
    shown: list[tuple[str, Callable[[Comparison], str]]] = [
        ("comparison", _family_mark),
        ("of", _subject),
        ("n", lambda entry: format_seeds(entry.seeds)),
        ("gain (%)", lambda entry: format_gain(entry.estimate)),
        ("ANOVA p", lambda entry: format_p(entry.homogeneity)),
    ]
    if analysis.table.plan:
        shown += [
            ("p, Holm", lambda entry: format_p(entry.p_adjusted)),
            ("says", lambda entry: entry.verdict or ABSENT),
        ]
    shown.append(("methods", lambda entry: escape_markdown(", ".join(entry.methods))))
    in_order = sorted(found, key=lambda entry: (entry.family != PRIMARY, order[entry.kind]))
    return markdown_table([[name for name, _ in shown], *([show(entry) for _, show in shown] for entry in in_order)])


def task_table(analysis: Analysis, chosen: Sequence[Comparison] | None = None) -> str:
    """The gains of each task, of the comparisons that the board declares; empty for one task or no declaration.

    Args:
        analysis: rows with their statistics.
        chosen: comparisons to show; all if None.
    """
    comparisons = analysis.comparisons if chosen is None else chosen
    measured = analysis.table.measured
    declared = [found for found in comparisons if found.family == PRIMARY and found.estimate]
    if len(measured) < 2 or not declared:
        return ""
    lines = [["comparison", "of", *(f"{escape_markdown(column.task)} (%)" for column in measured)]]
    for found in declared:
        by_task = [analysis.find(found.kind, found.row, found.baseline, column.task) for column in measured]
        names = escape_markdown(comparison_name(found)), _subject(found)
        lines.append([*names, *(_task_gain(comparison) for comparison in by_task)])
    return markdown_table(lines)


def details_table(analysis: Analysis, folder: Path, letters: Mapping[str, str]) -> str:
    """The second table: further metrics, parameters, training time, hardware, commits and result files.

    Args:
        analysis: rows with their statistics.
        folder: folder of the text; links are relative to it.
        letters: letter of each kind of hardware, see `hardware_letters`.
    """
    rows = [row for row in analysis.rows if row.cells]
    shown: list[Cells] = [
        ("method", lambda row: escape_markdown(row.key.method)),
        ("regularizer", lambda row: escape_markdown(row.key.regularizer_label)),
        ("n", lambda row: str(len(row.cells))),
        *((escape_markdown(heading(column)), _metric(column)) for column in analysis.table.columns[MAX_METRICS:]),
        ("param. training (M)", lambda row: format_scaled(row.cost("parameters_training"), 1e6, 2)),
        ("param. inference (M)", lambda row: format_scaled(row.cost("parameters_inference"), 1e6, 2)),
        ("training (min)", lambda row: format_scaled(row.training_seconds(), 60, 1)),
        ("hardware", lambda row: ", ".join(letters[text] for text in hardware_letters([row]))),
        ("commit", _commits),
        ("runs by seed", lambda row: " ".join(_run_link(cell, folder) for cell in row.cells)),
    ]
    return _grid(shown, rows)


def hardware_letters(rows: Iterable[Row]) -> dict[str, str]:
    """Letter of each kind of hardware that trained cells, by its text: A to Z, then A26, A27 and so on."""
    texts = dict.fromkeys(escape_markdown(hardware_text(entry)) for row in rows for entry in row.provenance("hardware"))
    letters = list(string.ascii_uppercase)
    return {text: letters[index] if index < 26 else f"A{index}" for index, text in enumerate(texts)}


def cost_tables(rows: Iterable[Row]) -> str:
    """Costs of the rows that tools/measure_cost.py has measured; empty without a measurement."""
    measured = [_cost_row(row) for row in rows if any(map(from_measurement, _cost_names(row)))]
    return "\n".join([COST_NOTE, parameter_table(measured), compute_table(measured)]) if measured else ""


def _subject(comparison: Comparison) -> str:
    """The method of a comparison; for several methods, the question that is asked about them."""
    return escape_markdown(comparison.methods[0] if comparison.kind == ROW else comparison.kind)


def _family_mark(comparison: Comparison) -> str:
    """Name of a comparison; a primary one is marked."""
    name = escape_markdown(comparison_name(comparison))
    return f"{name} (primary)" if comparison.family == PRIMARY else name


def _task_gain(comparison: Comparison | None) -> str:
    if comparison is None:
        return ABSENT
    return format_gain(comparison.estimate) + (f" {comparison.verdict}" if comparison.verdict else "")


def _bold(analysis: Analysis, row: Row, text: str) -> str:
    """Bold text for the rows that are not significantly worse than the best row."""
    ranks = analysis.ranks.get(row.key)
    return f"**{text}**" if ranks is not None and ranks.among_best else text


def _metric(column: Column) -> Callable[[Row], str]:
    return lambda row: format_mean_std(row.summary(column), column.unit)


def _grid(columns: Sequence[Cells], rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    return markdown_table([[name for name, _ in columns], *([show(row) for _, show in columns] for row in rows)])


def _run_link(cell: Any, folder: Path) -> str:
    return result_link(str(cell.result.spec.seed), cell, folder)


def _commits(row: Row) -> str:
    """Short hashes; a star marks a checkout with changes that no commit holds."""
    marks = sorted(f"{str(commit)[:8]}{'*' if dirty else ''}" if commit else "none" for commit, dirty in row.code())
    return ", ".join(escape_markdown_code(mark) for mark in marks)


def hardware_text(entry: Any) -> str:
    """The machine that a result names, in one line."""
    if not isinstance(entry, Mapping):
        return "not recorded"
    memory = f"{entry['memory_gib']} GiB" if entry.get("memory_gib") else None
    counts = [f"{name}: {entry[name]}" for name in ("cores", "threads") if entry.get(name)]
    parts = [entry.get("cpu"), *counts, memory, entry.get("gpu"), entry.get("system")]
    return ", ".join(str(part) for part in parts if part)


def _cost_names(row: Row) -> list[str]:
    return list(dict.fromkeys(name for cell in row.cells for name in cell.result.cost))


def _cost_row(row: Row) -> CostRow:
    origins = [origin for origin in row.provenance("cost") if isinstance(origin, Mapping)]
    where = dict.fromkeys(
        f"{'x'.join(map(str, origin.get('size', ())))}, {short_hardware(origin.get('hardware'))}" for origin in origins
    )
    cost = {name: row.cost(name) for name in _cost_names(row)}
    return CostRow(row.key.method, row.key.regularizer_label, cost, "; ".join(where))
