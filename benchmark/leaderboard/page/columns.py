"""Columns that the page can show: their headings, groups, and the fields of the records that they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.columns import Column, all_columns
from benchmark.leaderboard.markup import one_line
from benchmark.leaderboard.text import DECIMALS, OTHER_DECIMALS, heading

TEXT, NUMBER, SPREAD, GAIN, RANK = "text", "number", "spread", "gain", "rank"
ROW, METRICS, GAINS, COST, ORIGIN = "row", "metrics", "gain", "cost", "origin"


class PageColumn(NamedTuple):
    """A column of the page.

    Args:
        id: its name in the address of a view.
        title: its heading.
        group: part of the column chooser.
        kind: how its cells are written: "text", "number", "spread" (mean ± deviation), "gain" (with interval), "rank".
        fields: fields of the records of leaderboard.csv.
        decimals: of the printed number.
        factor: from the stored number to the printed one.
        better: 1 where higher is better, -1 where lower is, 0 for neither.
    """

    id: str
    title: str
    group: str
    kind: str
    fields: tuple[str, ...]
    decimals: int = 0
    factor: float = 1.0
    better: int = 0

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON values."""
        return self._asdict()


LEADING = (
    PageColumn("rank", "rank", ROW, RANK, ("rank_best", "rank_worst", "complete")),
    PageColumn("method", "method", ROW, TEXT, ("method",)),
    PageColumn("regularizer", "regularizer", ROW, TEXT, ("regularizer", "options")),
    PageColumn("board", "board or recipe", ROW, TEXT, ("board", "recipe", "version", "overrides")),
    PageColumn("n", "seeds done", ROW, NUMBER, ("n", "seeds", "planned_seeds")),
)
OF_GAIN = (
    PageColumn("gain", "gain (%)", GAINS, GAIN, ("gain_mean", "gain_low", "gain_high", "gain_n", "gain_over"), 2, 1, 1),
    PageColumn("gain_standardised", "gain in units of noise", GAINS, NUMBER, ("gain_standardised",), 2, 1, 1),
    PageColumn("gain_p", "p of the gain", GAINS, NUMBER, ("gain_p",), 4, 1, -1),
    PageColumn("gain_p_adjusted", "p after Holm", GAINS, NUMBER, ("gain_p_adjusted",), 4, 1, -1),
)
OF_COST = (
    PageColumn("parameters_training", "parameters, training (M)", COST, NUMBER, ("parameters_training",), 2, 1e-6, -1),
    PageColumn(
        "parameters_inference", "parameters, inference (M)", COST, NUMBER, ("parameters_inference",), 2, 1e-6, -1
    ),
    PageColumn("training_seconds", "training (min)", COST, NUMBER, ("training_seconds",), 1, 1 / 60, -1),
    PageColumn("peak_memory_mb", "peak memory (MiB)", COST, NUMBER, ("peak_memory_mb",), 0, 1, -1),
    PageColumn("gmacs", "GMACs", COST, NUMBER, ("cost gmacs",), 3, 1, -1),
    PageColumn("step_seconds", "training step (s)", COST, NUMBER, ("cost step_seconds",), 3, 1, -1),
    PageColumn("step_memory_mb", "memory of a step (MiB)", COST, NUMBER, ("cost step_memory_mb",), 0, 1, -1),
)
OF_ORIGIN = tuple(
    PageColumn(name, title, ORIGIN, TEXT, (name,))
    for name, title in {
        "data": "data",
        "backbone": "backbone",
        "tasks": "tasks",
        "split": "split",
        "commits": "commits",
        "hardware": "hardware",
        "cost_sizes": "image size of the costs",
        "cost_hardware": "hardware of the costs",
    }.items()
)


def page_columns(analyses: Sequence[Analysis], fields: Iterable[str]) -> list[PageColumn]:
    """All columns that the records can fill.

    Args:
        analyses: tables with their statistics.
        fields: fields of the records that have a value anywhere.
    """
    known = set(fields)
    fixed = [*LEADING, *_metrics(analyses), *OF_GAIN, *OF_COST]
    used = {field for column in fixed for field in column.fields}
    costs = [
        PageColumn(field.removeprefix("cost "), one_line(field.removeprefix("cost ")), COST, NUMBER, (field,), 4)
        for field in fields
        if field.startswith("cost ") and field not in used
    ]
    return [column for column in (*fixed, *costs, *OF_ORIGIN) if column.group == ROW or column.fields[0] in known]


def metric_fields(column: Column) -> tuple[str, ...]:
    """Fields of a metric in the records."""
    return tuple(one_line(f"{column.key} [{column.unit}] {part}") for part in ("mean", "std", "n"))


def _metrics(analyses: Sequence[Analysis]) -> list[PageColumn]:
    """Every stored metric, ranking metrics first."""
    ranking = {column.key: column for analysis in analyses for column in analysis.table.measured}
    others = all_columns(result for analysis in analyses for result in analysis.table.results)
    return [
        PageColumn(
            one_line(column.key),
            one_line(heading(column)),
            METRICS,
            SPREAD,
            metric_fields(column),
            DECIMALS.get(column.unit, OTHER_DECIMALS),
            1.0,
            1 if column.higher_is_better else -1,
        )
        for column in {**ranking, **others}.values()
    ]
