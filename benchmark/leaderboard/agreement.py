"""Agreement of a result with a second run of its cell: equal, within the spread of the row's seeds, or outside.

A second run draws from the same distribution as the row's seeds if the machine rounds in another way. So the new value
of each ranking metric is compared with the prediction interval of one further value, from the row's other seeds:

    mean +- t(n - 1) * s * sqrt(1 + 1 / n),   n other seeds with the mean and the sample standard deviation s

The run under test takes no part in its own interval. The T intervals hold together with 95 %: each has the level
1 - 0.05 / T (Bonferroni). Fewer than three other seeds give no interval, so that nothing can be said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmark.leaderboard.columns import Column, all_columns, measured_columns, ranking_columns
from benchmark.leaderboard.rows import row_key, setting_of
from benchmark.leaderboard.statistics import CONFIDENCE, MIN_SEEDS
from benchmark.leaderboard.text import ABSENT, format_number, heading, markdown_table
from benchmark.records.result import DONE, RunResult
from benchmark.records.store import Stored

EQUAL, WITHIN, OUTSIDE, UNDECIDED = VERDICTS = ("equal", "within the spread", "outside", "undecided")
TOLERANCE = 1e-9
"""Largest difference of equal values, relative to the larger of 1 and the value."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """A stored metric and its value in the second run.

    Args:
        column: the metric.
        stored: stored value.
        again: value of the second run; None if it was not measured.
        ranks: True if the metric ranks its task, so that it decides the verdict.
        interval: prediction interval from the row's other seeds; None for fewer than three.
    """

    column: Column
    stored: float
    again: float | None
    ranks: bool
    interval: Interval | None

    @property
    def equal(self) -> bool:
        """True if the values are equal up to `TOLERANCE`."""
        return self.again is not None and math.isclose(self.again, self.stored, rel_tol=TOLERANCE, abs_tol=TOLERANCE)

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        if self.again is None:
            return OUTSIDE
        if self.equal:
            return EQUAL
        if self.interval is None:
            return UNDECIDED
        return WITHIN if self.interval[0] <= self.again <= self.interval[1] else OUTSIDE


def other_seeds(result: RunResult, results: Iterable[Stored]) -> list[RunResult]:
    """The finished results of the same row, setting and ingredients with other seeds, one per seed."""
    if result.spec.ingredients is None:
        return []
    found = {
        cell.result.spec.seed: cell.result
        for cell in results
        if cell.result.status == DONE
        and cell.result.spec.seed != result.spec.seed
        and row_key(cell.result) == row_key(result)
        and setting_of(cell.result) == setting_of(result)
        and cell.result.spec.ingredients is not None
        and cell.result.spec.ingredients.digest == result.spec.ingredients.digest
    }
    return [found[seed] for seed in sorted(found)]


def agreements(stored: RunResult, again: RunResult, others: Sequence[RunResult]) -> list[Agreement]:
    """Every stored metric compared with the second run; the ranking metrics come first.

    Args:
        stored: the result under test.
        again: result of the second run.
        others: results of the row's other seeds.
    """
    ranking = measured_columns(ranking_columns(stored.spec.tasks, [stored]), [stored])
    level = 1 - (1 - CONFIDENCE) / max(1, len(ranking))
    columns = [*ranking, *(column for column in all_columns([stored]).values() if column not in ranking)]
    return [_agreement(column, column in ranking, stored, again, others, level) for column in columns]


def verdict_of(found: Sequence[Agreement]) -> str:
    """Verdict of a run: "equal" if every metric is equal; else the worst of the ranking metrics, at best `WITHIN`."""
    if all(entry.equal for entry in found):
        return EQUAL
    decisive = {entry.verdict for entry in found if entry.ranks}
    return next((verdict for verdict in (OUTSIDE, UNDECIDED) if verdict in decisive), WITHIN)


def prediction_interval(values: Sequence[float], level: float) -> Interval | None:
    """Interval of one further value of a normal sample with the probability `level`; None below `MIN_SEEDS` values."""
    if len(values) < MIN_SEEDS:
        return None
    sample = np.asarray(values, float)
    scale = float(sample.std(ddof=1)) * math.sqrt(1 + 1 / len(sample))
    if scale == 0:
        return float(sample.mean()), float(sample.mean())
    low, high = stats.t.interval(level, len(sample) - 1, loc=sample.mean(), scale=scale)
    return float(low), float(high)


def agreement_text(found: Sequence[Agreement]) -> str:
    """The comparison as a table; intervals are shown for ranking metrics."""
    lines = [["metric", "stored", "again", "difference", "interval of other seeds", "verdict"]]
    for entry in found:
        unit = entry.column.unit
        again = ABSENT if entry.again is None else format_number(entry.again, unit)
        difference = ABSENT if entry.again is None else f"{entry.again - entry.stored:+.2g}"
        shown = ", ".join(format_number(end, unit) for end in entry.interval) if entry.ranks and entry.interval else ""
        verdict = entry.verdict if entry.ranks or entry.equal else "differs"
        lines.append(
            [
                heading(entry.column),
                format_number(entry.stored, unit),
                again,
                "0" if entry.equal else difference,
                f"[{shown}]" if shown else ABSENT,
                verdict,
            ]
        )
    return markdown_table(lines)


def _agreement(
    column: Column, ranks: bool, stored: RunResult, again: RunResult, others: Sequence[RunResult], level: float
) -> Agreement:
    before = column.value(stored)
    if before is None:
        raise ValueError(f"{stored.run_id}: no stored value of {column.key}")
    values = [value for result in others if (value := column.value(result)) is not None]
    return Agreement(column, before, column.value(again), ranks, prediction_interval(values, level))
