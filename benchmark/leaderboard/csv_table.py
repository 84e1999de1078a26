"""Tables as CSV: every metric and cost, unrounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmark.leaderboard.gains import Column, Gain
from benchmark.leaderboard.links import way
from benchmark.leaderboard.rows import Row, Table
from benchmark.leaderboard.statistics import Summary, summarize

COSTS = (
    "parameters_training", "parameters_inference", "train_seconds", "seconds_per_step", "evaluate_seconds",
    "peak_memory_mb",
)


def csv_text(tables: Iterable[Table], folder: Path) -> str:
    """The text of leaderboard.csv: one line per row of each table.

    Args:
        tables: our results.
        folder: where the text will lie; paths of result files are relative to it.
    """
    records = [_record(table, row, folder) for table in tables for row in table.rows]
    fields = list(dict.fromkeys(field for record in records for field in record))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows([record.get(field, "") for field in fields] for record in records)
    return text.getvalue()


def _record(table: Table, row: Row, folder: Path) -> dict[str, Any]:
    setting = table.setting
    record: dict[str, Any] = {
        "recipe": setting.recipe, "data": setting.data, "data_fingerprint": setting.fingerprint,
        "backbone": setting.backbone, "tasks": " ".join(setting.tasks), "overrides": str(setting.overrides),
        "rank": row.rank, "ranked_by": table.ranked_by, "method": row.method, "regularizer": row.regularizer,
        "n": len(row.cells), "seeds": " ".join(str(cell.result.spec.seed) for cell in row.cells),
    }
    record |= _gain("delta_m [%]", row.delta_m) | _gain("delta_reg [%]", row.delta_reg)
    for column, values in _metrics(row).items():
        record |= _numbers(f"{column.task}/{column.name} [{column.unit}]", summarize(values))
    for name in COSTS:
        summary = row.cost(name)
        record[name] = summary.mean if summary else ""
    return record | {
        "hardware": "; ".join(str(entry) for entry in row.provenance("hardware")),
        "commits": " ".join(str(entry) for entry in row.provenance("commit")),
        "dirty": any(row.provenance("dirty")),
        "recipe_sha256": " ".join(str(entry) for entry in row.provenance("recipe_sha256")),
        "files": " ".join(way(folder, cell.path) for cell in row.cells),
    }


def _metrics(row: Row) -> dict[Column, Sequence[float]]:
    """Values of every metric by seed."""
    values: dict[Column, list[float]] = {}
    for cell in row.cells:
        for task, entries in cell.result.metrics.items():
            for name, entry in entries.items():
                column = Column(task, name, entry["unit"], entry["higher_is_better"])
                values.setdefault(column, []).append(entry["value"])
    return dict(values)


def _gain(name: str, gain: Gain) -> dict[str, Any]:
    return _numbers(name, gain.summary) | {f"{name} note": gain.note}


def _numbers(name: str, summary: Summary | None) -> dict[str, Any]:
    if summary is None:
        return {f"{name} {part}": "" for part in ("mean", "std", "ci95", "n")}
    numbers = {"mean": summary.mean, "std": summary.std, "ci95": summary.ci95, "n": summary.n}
    return {f"{name} {part}": "" if value is None else value for part, value in numbers.items()}
