"""A study of a recipe: its settings compared by accuracy, noise of a paired gain, and cost.

The figure of merit of a setting is the standard deviation of the mean gain of as many pairs as train in one core hour:
with h core hours per pair, spread * sqrt(h). Half of it means half the interval at equal computing time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.gains import paired_gains
from benchmark.leaderboard.plan import RowKey
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.statistics import Estimate, Summary, paired_estimates
from benchmark.leaderboard.text import ABSENT, format_gain, format_mean_std, format_number, heading, markdown_table
from benchmark.records.escaping import escape_markdown
from benchmark.records.overrides import Overrides
from benchmark.records.result import NO_REGULARIZER


@dataclass(frozen=True)
class Studied:
    """One setting of the recipe.

    Args:
        recipe: name and version of the recipe.
        settings: overrides of the recipe.
        columns: the ranking metric of each task.
        baseline: the metrics of `columns` without a regularizer, mean and spread over seeds; None for a missing metric.
        noise: relative standard deviation over seeds by task, in percent.
        gain: gain of the regularizer, paired by seed, mean over tasks.
        expected: standard deviation of that gain, in percent, if the two runs of a pair vary independently: the pooled
            standard deviation of both rows times sqrt(2). It has twice the degrees of freedom of the paired one.
        pair_hours: core hours of a pair of cells: steps times measured step time; None if it was not measured.
    """

    recipe: str
    settings: Overrides
    columns: tuple[Column, ...]
    baseline: tuple[Summary | None, ...]
    noise: Mapping[str, float]
    gain: Estimate | None
    expected: float | None
    pair_hours: float | None

    @property
    def spread_of_an_hour(self) -> float | None:
        """Standard deviation of the mean gain that one core hour of pairs would have, in percent."""
        if self.expected is None or self.pair_hours is None:
            return None
        return self.expected * self.pair_hours**0.5


def study(analyses: Sequence[Analysis], method: str, regularizer: str) -> list[Studied]:
    """The settings in which a method was trained, best figure of merit first.

    Args:
        analyses: tables of one folder of results.
        method: its name.
        regularizer: name of the regularizer whose gain over no regularizer is computed.
    """
    found = [studied for analysis in analyses if (studied := _studied(analysis, method, regularizer))]
    return sorted(
        found,
        key=lambda row: (row.spread_of_an_hour is None, row.spread_of_an_hour or 0, row.recipe, str(row.settings)),
    )


def study_table(rows: Sequence[Studied]) -> str:
    """The settings as a Markdown table."""
    if not rows:
        return "No setting has a result.\n"
    columns = rows[0].columns
    lines = [
        [
            "setting",
            *(heading(column) for column in columns),
            *(f"noise of {column.task} (%)" for column in columns),
            "gain (%)",
            "spread of the gain, paired / expected (%)",
            "core minutes per pair",
            "spread at one core hour (%)",
        ]
    ]
    return markdown_table([*lines, *(_line(row) for row in rows)])


def _studied(analysis: Analysis, method: str, regularizer: str) -> Studied | None:
    table = analysis.table
    rows = {row.key: row for row in table.rows}
    plain, changed = rows.get(RowKey(method, NO_REGULARIZER)), rows.get(RowKey(method, regularizer))
    if plain is None or not plain.cells:
        return None
    gains = None
    if changed is not None:
        gains = paired_gains(changed.values(table.measured), plain.values(table.measured), table.measured)
    return Studied(
        f"{table.setting.recipe}, version {table.setting.version}",
        table.setting.overrides,
        table.columns,
        tuple(plain.summary(column) for column in table.columns),
        analysis.noise,
        paired_estimates([gains.mean])[0] if gains is not None else None,
        _expected_spread([row for row in (plain, changed) if row], table.measured),
        _pair_hours(plain, changed),
    )


def _expected_spread(rows: Sequence[Row], columns: Sequence[Column]) -> float | None:
    """Pooled standard deviation of the rows' relative mean over tasks, times sqrt(2).

    Seeds that lack a metric do not count.
    """
    squares, freedom = 0.0, 0
    for row in rows:
        values = {seed: found for seed, found in row.values(columns).items() if len(found) == len(columns)}
        if not values:
            continue
        means = {column.key: float(np.mean([found[column.key] for found in values.values()])) for column in columns}
        relative = paired_gains(values, dict.fromkeys(values, means), columns).mean
        if len(relative) > 1:
            squares += float(((relative - relative.mean()) ** 2).sum())
            freedom += len(relative) - 1
    return (2 * squares / freedom) ** 0.5 if freedom else None


def _pair_hours(plain: Row, changed: Row | None) -> float | None:
    seconds = [row.training_seconds() if row else None for row in (plain, changed)]
    known = [value for value in seconds if value is not None]
    return sum(known) / 3600 if len(known) == len(seconds) else None


def _line(row: Studied) -> list[str]:
    settings = escape_markdown(", ".join(f"{key}={value}" for key, value in row.settings.items()))
    paired = ABSENT if row.gain is None or row.gain.std is None else format_number(row.gain.std, "%")
    expected = ABSENT if row.expected is None else format_number(row.expected, "%")
    hour = row.spread_of_an_hour
    return [
        f"{escape_markdown(row.recipe)}: {settings or 'as it is'}",
        *(format_mean_std(value, column.unit) for value, column in zip(row.baseline, row.columns, strict=True)),
        *(format_number(row.noise[c.task], "%") if c.task in row.noise else ABSENT for c in row.columns),
        format_gain(row.gain),
        f"{paired} / {expected}",
        ABSENT if row.pair_hours is None else f"{60 * row.pair_hours:.1f}",
        ABSENT if hour is None else format_number(hour, "%"),
    ]
