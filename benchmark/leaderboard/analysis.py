"""Everything that is computed from a table: gains, comparisons, rank sets, noise and power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from benchmark.leaderboard.comparisons import GENERAL, PRIMARY, ROW, Comparison, adjusted, compare_rows, deltas_by_seed
from benchmark.leaderboard.plan import RowKey, reference_of
from benchmark.leaderboard.ranking import RankSet, rank_sets
from benchmark.leaderboard.rows import Row, Table
from benchmark.leaderboard.statistics import smallest_effect

ROUNDING = 1e-12
"""Relative deviation of equal numbers whose mean was rounded."""


@dataclass(frozen=True)
class Analysis:
    """A table with its statistics.

    Args:
        table: the rows.
        rows: the rows in printed order: complete rows by their gain over the reference row, then the others.
        reference: the row that gains are taken over; None if there is no row without a regularizer.
        noise: relative standard deviation over seeds by task, in percent, pooled over rows.
        comparisons: all comparisons.
        ranks: rank sets of complete rows; empty for a table without a board.
    """

    table: Table
    rows: tuple[Row, ...]
    reference: RowKey | None
    noise: Mapping[str, float]
    comparisons: tuple[Comparison, ...]
    ranks: Mapping[RowKey, RankSet]

    @property
    def name(self) -> str:
        """Name of the board; of the recipe for other runs."""
        return self.table.plan.name if self.table.plan else self.table.setting.recipe

    def delta(self, key: RowKey) -> Comparison | None:
        """Gain of a row over the reference row, mean over tasks; None if the table does not compare the two."""
        return self.find(ROW, key, self.reference)

    def find(self, kind: str, row: RowKey, baseline: RowKey | None, task: str = "") -> Comparison | None:
        """One comparison; None if the table does not make it."""
        return self._index.get((kind, row, baseline, task))

    @cached_property
    def _index(self) -> dict[tuple[str, RowKey, RowKey | None, str], Comparison]:
        return {(found.kind, found.row, found.baseline, found.task): found for found in self.comparisons}

    def over_methods(self) -> list[Comparison]:
        """The statements over methods, mean over tasks."""
        return [found for found in self.comparisons if found.kind != ROW and not found.task]

    def headlines(self) -> list[Comparison]:
        """The primary comparisons about methods in general; per row if the board has one method only."""
        primary = [found for found in self.comparisons if found.family == PRIMARY]
        return [found for found in primary if found.kind == GENERAL] or primary

    def smallest_effects(self) -> list[float]:
        """Smallest gain, in percent, that each comparison of two rows could have found, sorted."""
        return sorted(
            factor * found.estimate.std
            for found in self.comparisons
            if found.kind == ROW and not found.task and found.estimate and found.estimate.std is not None
            if (factor := smallest_effect(found.estimate.n)) is not None
        )


def analyse(tables: Sequence[Table]) -> list[Analysis]:
    """Compute all statistics of tables. The families of a board are shared by all its tables."""
    noises = [seed_noise(table) for table in tables]
    found = [compare_rows(table, noise) for table, noise in zip(tables, noises, strict=True)]
    for name in {table.plan.name for table in tables if table.plan}:
        members = [index for index, table in enumerate(tables) if table.plan and table.plan.name == name]
        together = iter(adjusted([comparison for index in members for comparison in found[index]]))
        for index in members:
            found[index] = list(islice(together, len(found[index])))
    return [_analysis(*entry) for entry in zip(tables, noises, found, strict=True)]


def _analysis(table: Table, noise: Mapping[str, float], comparisons: Sequence[Comparison]) -> Analysis:
    reference = reference_of({row.key: row for row in table.rows}) if table.setting.names_data else None
    ranks = _ranks(table, reference)
    means = {
        found.row: found.estimate.mean
        for found in comparisons
        if found.kind == ROW and not found.task and found.baseline == reference and found.estimate
    }
    position = {key: index for index, key in enumerate(ranks)}
    default = {row.key: index for index, row in enumerate(table.rows)}
    rows = sorted(
        table.rows, key=lambda row: (position.get(row.key, len(ranks)), -means.get(row.key, -np.inf), default[row.key])
    )
    return Analysis(table, tuple(rows), reference, noise, tuple(comparisons), ranks)


def seed_noise(table: Table) -> dict[str, float]:
    """Relative standard deviation over seeds by task, in percent, pooled over the rows that vary at all."""
    noise = {}
    for column in table.measured:
        summaries = [summary for row in table.rows if row.cells and (summary := row.summary(column))]
        varying = [(found, found.std) for found in summaries if found.std and found.std > ROUNDING * abs(found.mean)]
        if varying:
            squares = [(found.n - 1) * (100 * std / found.mean) ** 2 for found, std in varying]
            noise[column.task] = float(np.sqrt(np.sum(squares) / sum(found.n - 1 for found, _ in varying)))
    return noise


def _ranks(table: Table, reference: RowKey | None) -> dict[RowKey, RankSet]:
    """Rank sets of the complete rows of a board whose seeds the reference row has too."""
    if table.plan is None or reference is None:
        return {}
    complete: Sequence[Row] = [row for row in table.rows if row.complete(table.measured)]
    values = {row.key: row.values(table.measured) for row in table.rows}
    deltas = deltas_by_seed(values, reference, table.measured)
    ranked = {row.key: deltas[row.key] for row in complete if set(row.planned) <= set(deltas[row.key])}
    return rank_sets(ranked, len(table.rows)) if ranked else {}
