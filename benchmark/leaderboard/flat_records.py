"""Rows and comparisons as flat records, and these as CSV and Parquet. Numbers are not rounded.

`ROW_FIELDS` and `COMPARISON_FIELDS` are the columns that every file has, in this order, with their types; the
columns of metrics and costs follow them. docs/results.md describes each. Columns are added at the end of their group;
none is renamed, removed or given another meaning without raising `SCHEMA_VERSION`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.columns import all_columns
from benchmark.leaderboard.comparisons import Comparison
from benchmark.leaderboard.rows import Row, Table
from benchmark.leaderboard.statistics import Estimate, paired_estimates, smallest_effect
from benchmark.leaderboard.text import relative_path
from benchmark.records.atomic import replacing
from benchmark.records.escaping import escape_csv

SCHEMA_VERSION = 3
Record = dict[str, Any]

ESTIMATE_FIELDS = {"mean": float, "std": float, "low": float, "high": float, "n": int}
NAMED_COSTS = ("parameters_training", "parameters_inference", "peak_memory_mb", "train_seconds")
ROW_FIELDS: dict[str, type] = {
    "board": str,
    "version": int,
    **dict.fromkeys(("recipe", "split", "data", "data_fingerprint", "backbone", "tasks", "overrides"), str),
    **dict.fromkeys(("method", "regularizer", "options"), str),
    "n": int,
    **dict.fromkeys(("seeds", "planned_seeds"), str),
    "complete": bool,
    **dict.fromkeys(("rank_best", "rank_worst"), int),
    "among_best": bool,
    "gain_over": str,
    **{f"gain_{field}": kind for field, kind in ESTIMATE_FIELDS.items()},
    **dict.fromkeys(("gain_p", "gain_p_adjusted", "gain_standardised"), float),
    **dict.fromkeys(("parameters_training", "parameters_inference"), float),
    **dict.fromkeys(("training_seconds", "train_wall_seconds", "peak_memory_mb"), float),
    **dict.fromkeys(("cost_sizes", "cost_hardware", "hardware", "commits"), str),
    "dirty": bool,
    "files": str,
    "schema_version": int,
}
"""Columns of leaderboard.csv and leaderboard.parquet, before the columns of metrics and costs."""
COMPARISON_FIELDS: dict[str, type] = {
    "board": str,
    "version": int,
    **dict.fromkeys(("recipe", "data", "overrides", "family", "kind", "methods"), str),
    **dict.fromkeys(("row", "baseline", "task", "seeds"), str),
    **ESTIMATE_FIELDS,
    **dict.fromkeys(("df", "p", "p_adjusted"), float),
    "verdict": str,
    **dict.fromkeys(("anova_p", "standardised", "smallest_effect"), float),
    "schema_version": int,
}
"""Columns of comparisons.csv and comparisons.parquet."""


def row_records(analyses: Iterable[Analysis], folder: Path) -> list[Record]:
    """One record per row that has a result.

    Args:
        analyses: tables with their statistics.
        folder: folder of the written file; paths of result files are relative to it.
    """
    return [
        record
        for analysis in analyses
        for record in records_of(analysis, [row for row in analysis.rows if row.cells], folder)
    ]


def records_of(analysis: Analysis, rows: Sequence[Row], folder: Path) -> list[Record]:
    """One record per given row of a table; a row without a result has no metrics."""
    return [_row(analysis, row, folder) | entries for row, entries in zip(rows, _metrics(rows), strict=True)]


def comparison_records(analyses: Iterable[Analysis]) -> list[Record]:
    """One record per comparison and target that has a common seed."""
    return [
        _comparison(analysis.table, found)
        for analysis in analyses
        for found in analysis.comparisons
        if found.estimate is not None
    ]


def csv_text(records: Sequence[Mapping[str, Any]], fields: Iterable[str] = ()) -> str:
    """Records as CSV; None is written as nothing.

    Args:
        records: of one kind.
        fields: columns that come first, also without a record.
    """
    names = list(dict.fromkeys([*fields, *(field for record in records for field in record)]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([escape_csv(name) for name in names])
    for record in records:
        writer.writerow(["" if (value := record.get(name)) is None else escape_csv(value) for name in names])
    return text.getvalue()


def write_parquet(path: Path, records: Sequence[Mapping[str, Any]], fields: Mapping[str, type]) -> None:
    """Records as a Parquet file, with `SCHEMA_VERSION` in its metadata.

    Args:
        path: the file.
        records: of one kind.
        fields: columns that come first, with their types; further columns hold numbers, and counts if they end in " n".

    Raises:
        ImportError: if pyarrow is not installed; the message says how to install it.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ImportError("Parquet needs pyarrow: python -m pip install 'pyarrow>=17'") from None
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    further = {name: int if name.endswith(" n") else float for record in records for name in record}
    types = {**further, **fields}
    names = list(dict.fromkeys([*fields, *further]))
    schema = pa.schema([(name, kinds[types[name]]) for name in names], {"schema_version": str(SCHEMA_VERSION)})
    with replacing(path) as temporary:
        parquet.write_table(pa.Table.from_pylist([dict(record) for record in records], schema), temporary)


def _row(analysis: Analysis, row: Row, folder: Path) -> Record:
    ranks = analysis.ranks.get(row.key)
    measured = analysis.table.measured
    return {
        **_setting(analysis.table),
        "method": row.key.method,
        "regularizer": row.key.regularizer,
        "options": str(row.key.options),
        "n": len(row.cells),
        "seeds": " ".join(map(str, row.seeds)),
        "planned_seeds": " ".join(map(str, row.planned)),
        "complete": row.complete(measured) if row.planned else None,
        "rank_best": ranks.best if ranks else None,
        "rank_worst": ranks.worst if ranks else None,
        "among_best": ranks.among_best if ranks else None,
        **_gain(analysis, row),
        "parameters_training": row.cost("parameters_training"),
        "parameters_inference": row.cost("parameters_inference"),
        "training_seconds": row.training_seconds(),
        "train_wall_seconds": row.cost("train_seconds"),
        "peak_memory_mb": row.cost("peak_memory_mb"),
        **_origin(row, folder),
        "schema_version": SCHEMA_VERSION,
        **{f"cost {name}": row.cost(name) for name in _other_costs(row)},
    }


def _setting(table: Table) -> Record:
    setting = table.setting
    return {
        "board": table.plan.name if table.plan else None,
        "version": setting.version,
        "recipe": setting.recipe,
        "split": setting.split,
        "data": setting.data,
        "data_fingerprint": setting.fingerprint,
        "backbone": setting.backbone,
        "tasks": " ".join(setting.tasks),
        "overrides": str(setting.overrides),
    }


def _gain(analysis: Analysis, row: Row) -> Record:
    found = analysis.delta(row.key)
    estimate = found.estimate if found else None
    return {
        "gain_over": analysis.reference.label if analysis.reference else None,
        **{f"gain_{field}": getattr(estimate, field, None) for field in (*ESTIMATE_FIELDS, "p")},
        "gain_p_adjusted": found.p_adjusted if found else None,
        "gain_standardised": found.standardised if found else None,
    }


def _origin(row: Row, folder: Path) -> Record:
    origins = [origin for origin in row.provenance("cost") if isinstance(origin, Mapping)]
    code = row.code()
    return {
        "cost_sizes": "; ".join("x".join(map(str, origin.get("size", ()))) for origin in origins),
        "cost_hardware": "; ".join(str(origin.get("hardware")) for origin in origins),
        "hardware": "; ".join(str(entry) for entry in row.provenance("hardware")),
        "commits": " ".join(dict.fromkeys(str(commit) for commit, _ in code)),
        "dirty": any(dirty for _, dirty in code),
        "files": " ".join(relative_path(folder, cell.path) for cell in row.cells),
    }


def _other_costs(row: Row) -> list[str]:
    return [
        name for name in dict.fromkeys(n for cell in row.cells for n in cell.result.cost) if name not in NAMED_COSTS
    ]


def _metrics(rows: Sequence[Row]) -> list[Record]:
    """Every stored metric of each row."""
    targets = [(index, column) for index, row in enumerate(rows) for column in all_columns(_results(row)).values()]
    samples = [
        np.array([value for result in _results(rows[index]) if (value := column.value(result)) is not None])
        for index, column in targets
    ]
    records: list[Record] = [{} for _ in rows]
    for (index, column), estimate in zip(targets, paired_estimates(samples), strict=True):
        name = f"{column.key} [{column.unit}]"
        records[index] |= {f"{name} {field}": getattr(estimate, field, None) for field in ESTIMATE_FIELDS}
    return records


def _results(row: Row) -> list[Any]:
    return [cell.result for cell in row.cells]


def _comparison(table: Table, found: Comparison) -> Record:
    estimate = found.estimate or Estimate(0, 0.0)
    factor = smallest_effect(estimate.n) if estimate.std is not None else None
    values = {
        **_setting(table),
        **{field: getattr(estimate, field) for field in (*ESTIMATE_FIELDS, "df", "p")},
        "family": found.family or None,
        "kind": found.kind,
        "methods": " ".join(found.methods),
        "row": found.row.label if len(found.methods) == 1 else found.row.regularizer_label,
        "baseline": found.baseline.label if len(found.methods) == 1 else found.baseline.regularizer_label,
        "task": found.task or None,
        "seeds": " ".join(map(str, found.seeds)),
        "p_adjusted": found.p_adjusted,
        "verdict": found.verdict or None,
        "anova_p": found.homogeneity,
        "standardised": found.standardised,
        "smallest_effect": factor * estimate.std if factor and estimate.std is not None else None,
        "schema_version": SCHEMA_VERSION,
    }
    return {field: values[field] for field in COMPARISON_FIELDS}
