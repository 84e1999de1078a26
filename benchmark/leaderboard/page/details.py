"""Details of each row: its seeds with values, origin and curves, and its comparisons with other rows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.board_tables import hardware_text
from benchmark.leaderboard.columns import all_columns
from benchmark.leaderboard.comparisons import Comparison
from benchmark.leaderboard.markup import one_line
from benchmark.leaderboard.page.curves import budget, curves_of
from benchmark.leaderboard.page.table_data import row_comparisons
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.text import format_p, relative_path
from benchmark.records.store import Stored

CHECKOUT = Path(__file__).resolve().parents[3]
DIGITS = 6
"""Significant digits of the values of single seeds; the linked result files have all."""
DECIMALS = 5
"""Decimals of gains, which are printed with two."""


class Texts:
    """Texts that many rows share, each stored once."""

    def __init__(self) -> None:
        self._position: dict[str, int] = {}

    def add(self, text: str) -> int:
        """The number of a text."""
        return self._position.setdefault(one_line(text), len(self._position))

    def to_json(self) -> list[str]:
        """All texts by number."""
        return list(self._position)


def details_data(analyses: Sequence[Analysis], folder: Path) -> dict[str, Any]:
    """Details of all rows in the order of `table_data`, as plain JSON values.

    Args:
        analyses: tables with their statistics.
        folder: folder of the page; links are relative to it.
    """
    texts = Texts()
    limits = budget(sum(len(analysis.table.results) for analysis in analyses))
    rows = []
    for analysis in analyses:
        comparisons = row_comparisons(analysis)
        for row in analysis.rows:
            own = comparisons.get(row.key, [])
            rows.append(
                {
                    "cells": [_cell(cell, folder, texts, limits) for cell in row.cells],
                    "values": _values(row),
                    "comparisons": [_comparison(found, texts) for found in own],
                    "diagnostics": _diagnostics(row),
                }
            )
    return {"texts": texts.to_json(), "rows": rows}


def _cell(cell: Stored, folder: Path, texts: Texts, limits: tuple[int, tuple[str, ...]]) -> dict[str, Any]:
    origin = cell.result.provenance
    command = origin.get("command")
    versions = origin.get("versions")
    return {
        "seed": cell.result.spec.seed,
        "path": one_line(relative_path(folder, cell.path)),
        "reproduce": one_line(f"python tools/reproduce.py {shlex.quote(_from_checkout(cell.path))}"),
        "commit": one_line(str(origin.get("commit") or "not recorded")),
        "dirty": bool(origin.get("dirty")),
        "command": texts.add(str(command) if command else "not recorded"),
        "finished": one_line(str(origin.get("finished") or "not recorded")),
        "hardware": texts.add(hardware_text(origin.get("hardware"))),
        "versions": texts.add(_pairs(versions) if isinstance(versions, Mapping) else "not recorded"),
        "curves": curves_of(cell, *limits),
    }


def _from_checkout(path: Path) -> str:
    """A path relative to the checkout; for a file outside of the checkout, the path unchanged."""
    return relative_path(CHECKOUT, path.absolute()) if path.absolute().is_relative_to(CHECKOUT) else str(path)


def _values(row: Row) -> list[list[Any]]:
    """Metric, then one value per seed."""
    results = [cell.result for cell in row.cells]
    return [
        [one_line(column.key), *(_rounded(column.value(result)) for result in results)]
        for column in all_columns(results).values()
    ]


def _comparison(found: Comparison, texts: Texts) -> list[Any]:
    """Baseline, task, mean, ends of the interval, n, p after Holm, verdict."""
    estimate = found.estimate
    if estimate is None:
        raise ValueError("a comparison without an estimate has no details")
    return [
        texts.add(found.baseline.label),
        texts.add(found.task or "mean over tasks"),
        *(None if value is None else round(value, DECIMALS) for value in (estimate.mean, estimate.low, estimate.high)),
        estimate.n,
        format_p(found.p_adjusted),
        found.verdict,
    ]


def _diagnostics(row: Row) -> list[list[Any]]:
    """Logged values of the regularizer: name, then one value per seed."""
    names = dict.fromkeys(name for cell in row.cells for name in cell.result.diagnostics)
    return [[one_line(name), *(_rounded(cell.result.diagnostics.get(name)) for cell in row.cells)] for name in names]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
