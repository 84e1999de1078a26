"""Costs of rows as Markdown: parameters by part, operations, time and memory. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmark.leaderboard.markup import MARKDOWN, Markup
from benchmark.leaderboard.text import ABSENT, markdown_table
from benchmark.records.escaping import escape_markdown

Cost = Mapping[str, float | None]

PARAMETERS = "parameters_"
OF_TASK = f"{PARAMETERS}task_"
MEASURED_ALONE = ("gmacs", "latency_", "inference_memory_", "step_", PARAMETERS)
"""Beginnings of the names of costs that tools/measure_cost.py measures."""
COUNTED_IN_TRAINING = ("parameters_training", "parameters_inference")
"""Costs that the training of a cell records itself."""


class CostRow(NamedTuple):
    """Costs of a method with a regularizer.

    Args:
        method: its name.
        regularizer: its name.
        cost: numbers by name.
        where: image size and hardware of the measurement; may be empty.
    """

    method: str
    regularizer: str
    cost: Cost
    where: str = ""


def from_measurement(name: str) -> bool:
    """Return True for a cost that only tools/measure_cost.py measures."""
    return name.startswith(MEASURED_ALONE) and name not in COUNTED_IN_TRAINING


def parameter_table(rows: Sequence[CostRow]) -> str:
    """Parameters in millions, at training, at inference and by part."""
    columns = {
        "training": "parameters_training",
        "inference": "parameters_inference",
        "backbone": "parameters_backbone",
        "shared": "parameters_shared",
    }
    tasks = dict.fromkeys(name for row in rows for name in row.cost if name.startswith(OF_TASK))
    columns |= {name.removeprefix(OF_TASK): name for name in tasks}
    columns |= {"auxiliary heads": "parameters_auxiliary", "regularizer": "parameters_regularizer"}
    if any(row.cost.get("parameters_unused") for row in rows):
        columns["unused"] = "parameters_unused"
    heads = [f"{title} (M)" for title in columns]
    return _table(rows, heads, lambda row: [_number(row.cost.get(name), 1e-6, 3) for name in columns.values()])


def compute_table(rows: Sequence[CostRow]) -> str:
    """Multiply-accumulates, latency, memory and training steps."""
    batches = sorted({batch for row in rows for batch in batches_of(row.cost)})
    heads = ["GMACs"]
    for batch in batches:
        heads += [f"latency p50 / p95, batch {batch} (ms)", f"memory, batch {batch} (MiB)"]
    heads += ["training step (s)", "its memory (MiB)", "step time with / without", "step memory with / without"]
    heads += ["size, hardware"] if any(row.where for row in rows) else []
    return _table(rows, heads, lambda row: _compute_cells(row, batches, bool(heads[-1] == "size, hardware")))


def batches_of(cost: Iterable[str]) -> list[int]:
    """Batch sizes of the latencies among the names of costs."""
    start = "latency_p50_seconds_batch"
    return sorted(int(name.removeprefix(start)) for name in cost if name.startswith(start))


def short_hardware(hardware: Any, markup: Markup = MARKDOWN) -> str:
    """Name of the GPU, or of the CPU and the threads that were used."""
    if not isinstance(hardware, Mapping):
        return "hardware not recorded"
    if hardware.get("gpu"):
        return markup.text(str(hardware["gpu"]))
    threads = hardware.get("threads")
    return markup.text(f"{hardware.get('cpu')}, {threads} thread{'s' if threads != 1 else ''}")


def _compute_cells(row: CostRow, batches: Sequence[int], says_where: bool) -> list[str]:
    cost = row.cost
    cells = [_number(cost.get("gmacs"), 1, 3)]
    for batch in batches:
        latencies = [cost.get(f"latency_{rank}_seconds_batch{batch}") for rank in ("p50", "p95")]
        cells.append(" / ".join(_number(value, 1e3, 1) for value in latencies))
        cells.append(_number(cost.get(f"inference_memory_mb_batch{batch}"), 1, 0))
    cells += [_number(cost.get("step_seconds"), 1, 3), _number(cost.get("step_memory_mb"), 1, 0)]
    cells += [_number(cost.get(f"step_{kind}_ratio"), 1, 2) for kind in ("time", "memory")]
    return cells + ([row.where] if says_where else [])


def _table(rows: Sequence[CostRow], heads: Sequence[str], cells: Callable[[CostRow], list[str]]) -> str:
    """A table without the columns that no row has a number for."""
    found = [cells(row) for row in rows]
    kept = [index for index in range(len(heads)) if any(set(line[index]) - {*ABSENT, *" /"} for line in found)]
    lines = [["method", "regularizer", *(heads[index] for index in kept)]]
    for row, line in zip(rows, found, strict=True):
        lines.append([escape_markdown(row.method), escape_markdown(row.regularizer), *(line[index] for index in kept)])
    return markdown_table(lines)


def _number(value: float | None, factor: float, decimals: int) -> str:
    return ABSENT if value is None else f"{value * factor:.{decimals}f}"
