"""Training curves from the details of results, reduced to a number of points that fits into the page."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.records.store import Stored

TOTAL = "loss"
MAX_POINTS, MIN_POINTS = 60, 12
ALL_VALUES = 400_000
"""Values of all curves of a page together, some 2 MB."""
MAX_BYTES = 64 << 20
"""Size of the largest unpacked file of details that is read."""

Curves = dict[str, list[float | None]]
"""Losses by name at the steps "step"; each value is the mean over the steps since the point before."""


def curves_of(cell: Stored, points: int, names: tuple[str, ...] = ()) -> Curves | None:
    """The training curves of a cell; None if they are not stored or not readable.

    Args:
        cell: a result; its details are a file in the same folder.
        points: largest number of points of a curve.
        names: losses to keep; all if empty.
    """
    path = cell.path.with_suffix(".details.jsonl.gz")
    try:
        records = list(_steps(path))
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    if not records:
        return None
    groups = np.array_split(np.arange(len(records)), min(points, len(records)))
    losses = [name for name in records[0] if name.startswith(TOTAL) and (not names or name in names)]
    curves: Curves = {"step": [_number(records[group[-1]].get("step")) for group in groups]}
    for name in losses:
        curves[name] = [_mean([records[index].get(name) for index in group]) for group in groups]
    return curves


def budget(num_results: int) -> tuple[int, tuple[str, ...]]:
    """Points of each curve, and the losses to keep (empty: all), so that the curves of a page fit."""
    per_result = ALL_VALUES / max(num_results, 1)
    # A cell has about ten losses.
    if per_result >= 10 * MIN_POINTS:
        return min(MAX_POINTS, int(per_result / 10)), ()
    return max(MIN_POINTS, min(MAX_POINTS, int(per_result / 2))), (TOTAL,)


def _steps(path: Path) -> Iterator[dict[str, Any]]:
    """The records of training steps, in order."""
    with gzip.open(path, "rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError(f"{path}: more than {MAX_BYTES >> 20} MiB")
    for line in text.splitlines():
        if line.startswith(b'{"step"'):
            record = json.loads(line)
            if isinstance(record, dict):
                yield record


def _mean(values: list[Any]) -> float | None:
    numbers = [value for value in map(_number, values) if value is not None]
    return float(f"{np.mean(numbers):.4g}") if numbers else None


def _number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value) else None
