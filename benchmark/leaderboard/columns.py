"""Metrics as columns: which metric ranks a task, and how its values are found in results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.records.result import RunResult
from benchmark.records.store import Stored
from benchmark.tasks import STANDARD_TASKS

ValuesBySeed = Mapping[int, Mapping[str, float]]
"""seed -> column key -> value; a metric that was not measured has no entry."""

_PRIMARY_METRICS = tuple(task.primary_metric for task in STANDARD_TASKS.values())


@dataclass(frozen=True)
class Column:
    """A metric of a task.

    Args:
        task: name of the task.
        name: name of the metric.
        unit: unit of its values; empty where nothing was measured.
        higher_is_better: direction.
    """

    task: str
    name: str
    unit: str
    higher_is_better: bool

    @property
    def key(self) -> str:
        """The column as it is named in CSV files and by `--columns`: "depth/delta1"."""
        return f"{self.task}/{self.name}"

    def value(self, result: RunResult) -> float | None:
        """The value of a result; None where it was not measured, or measured in another unit."""
        entry = result.metrics.get(self.task, {}).get(self.name)
        return entry["value"] if entry is not None and entry["unit"] == self.unit else None


def ranking_columns(
    tasks: Sequence[str], results: Sequence[RunResult], chosen: Mapping[str, str] | None = None
) -> tuple[Column, ...]:
    """The metric that ranks each task.

    Args:
        tasks: the tasks.
        results: results that have the metrics.
        chosen: metric by task, in place of the default. The default of a standard task is its primary metric, see
            `benchmark.tasks`. The default of another task is the first of these primary metrics that it has, else its
            first metric.
    """
    found = (_ranking_column(task, results, (chosen or {}).get(task, "")) for task in tasks)
    return tuple(column for column in found if column is not None)


def measured_columns(columns: Iterable[Column], results: Sequence[RunResult]) -> tuple[Column, ...]:
    """Columns with a value in at least one result; gains are means over these columns."""
    return tuple(column for column in columns if any(column.value(result) is not None for result in results))


def all_columns(results: Iterable[RunResult]) -> dict[str, Column]:
    """Every stored metric by its key."""
    found: dict[str, Column] = {}
    for result in results:
        for task, entries in result.metrics.items():
            for name, entry in entries.items():
                if f"{task}/{name}" not in found:
                    found[f"{task}/{name}"] = Column(task, name, entry["unit"], entry["higher_is_better"])
    return found


def chosen_columns(text: str, results: Iterable[RunResult]) -> tuple[Column, ...]:
    """The columns of `--columns depth/delta1,semseg/pixAcc`.

    Raises:
        ValueError: for a metric that no result has; the message names the metrics there are.
    """
    known = all_columns(results)
    keys = [key.strip() for key in text.split(",") if key.strip()]
    for key in keys:
        if key not in known:
            raise ValueError(f"--columns: found {key!r}, expected some of {', '.join(known) or 'no metric'}")
    return tuple(known[key] for key in keys)


def values_by_seed(cells: Iterable[Stored], columns: Iterable[Column]) -> dict[int, dict[str, float]]:
    """The measured values of cells that differ in their seed alone."""
    columns = tuple(columns)
    return {
        cell.result.spec.seed: {
            column.key: value for column in columns if (value := column.value(cell.result)) is not None
        }
        for cell in cells
    }


def chosen_ranking(text: str) -> dict[str, str]:
    """Metric by task from "depth/absRel,semseg/pixAcc".

    Raises:
        ValueError: for an entry without a slash.
    """
    pairs = [key.strip().partition("/") for key in text.split(",") if key.strip()]
    for task, slash, name in pairs:
        if not (task and slash and name):
            raise ValueError(f"--rank-by: found {task + slash + name!r}, expected TASK/METRIC such as depth/absRel")
    return {task: name for task, _, name in pairs}


def _ranking_column(task: str, results: Sequence[RunResult], chosen: str) -> Column | None:
    known = STANDARD_TASKS.get(task)
    for result in results:
        metrics = result.metrics.get(task, {})
        primary = (metric for metric in _PRIMARY_METRICS if metric in metrics)
        name = chosen or (known.primary_metric if known else next(primary, next(iter(metrics), "")))
        if name in metrics:
            return Column(task, name, metrics[name]["unit"], metrics[name]["higher_is_better"])
    if chosen:
        # Nothing has this metric, so nothing is ranked by it.
        return Column(task, chosen, "", True)
    return Column(task, known.primary_metric, "", known.higher_is_better) if known else None
