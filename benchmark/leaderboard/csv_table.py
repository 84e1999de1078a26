"""Tables as CSV: every metric and cost, unrounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.leaderboard.cost_table import from_measurement
from benchmark.leaderboard.links import way
from benchmark.leaderboard.rows import Row, Table
from benchmark.leaderboard.statistics import Summary, summarize

COSTS = (
    "parameters_training",
    "parameters_inference",
    "train_seconds",
    "seconds_per_step",
    "evaluate_seconds",
    "peak_memory_mb",
    "needed_train_seconds",
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
        "recipe": setting.recipe,
        "data": setting.data,
        "data_fingerprint": setting.fingerprint,
        "backbone": setting.backbone,
        "tasks": " ".join(setting.tasks),
        "overrides": str(row.cells[0].result.spec.overrides),
        "rank": row.rank,
        "ranked_by": table.ranked_by,
        "method": row.method,
        "regularizer": row.regularizer,
        "n": len(row.cells),
        "seeds": " ".join(str(cell.result.spec.seed) for cell in row.cells),
    }
    for name, gain in (("delta_m [%]", row.delta_m), ("delta_reg [%]", row.delta_reg)):
        record.update(zip(_fields(name), _numbers(gain.summary), strict=True))
        record[f"{name} note"] = gain.note
    for name, values in _metrics(row).items():
        record.update(zip(_fields(name), _numbers(summarize(values)), strict=True))
    measured = dict.fromkeys(name for cell in row.cells for name in cell.result.cost if from_measurement(name))
    for name in (*COSTS, *measured):
        summary = row.cost(name)
        record[name] = summary.mean if summary else ""
    origins = [origin for origin in row.provenance("cost") if isinstance(origin, Mapping)]
    if origins:
        record["cost_sizes"] = "; ".join("x".join(map(str, origin.get("size", ()))) for origin in origins)
        record["cost_hardware"] = "; ".join(str(origin.get("hardware")) for origin in origins)
    return record | {
        "hardware": "; ".join(str(entry) for entry in row.provenance("hardware")),
        "commits": " ".join(dict.fromkeys(str(commit) for commit, _ in row.code())),
        "dirty": any(dirty for _, dirty in row.code()),
        "recipe_sha256": " ".join(str(entry) for entry in row.provenance("recipe_sha256")),
        "files": " ".join(way(folder, cell.path) for cell in row.cells),
    }


def _metrics(row: Row) -> dict[str, list[float]]:
    """Values of every metric by seed."""
    values: dict[str, list[float]] = {}
    for cell in row.cells:
        for task, entries in cell.result.metrics.items():
            for name, entry in entries.items():
                values.setdefault(f"{task}/{name} [{entry['unit']}]", []).append(entry["value"])
    return values


@cache
def _fields(name: str) -> tuple[str, ...]:
    return tuple(f"{name} {part}" for part in ("mean", "std", "ci95", "n"))


def _numbers(summary: Summary | None) -> tuple[float | str | None, ...]:
    """What stands under `_fields`; None is written as nothing."""
    return (summary.mean, summary.std, summary.ci95, summary.n) if summary else ("", "", "", "")
