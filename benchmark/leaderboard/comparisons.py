"""Comparisons between rows: one row over another, and one regularizer over another over several methods.

A board declares its primary comparisons. Holm's method is applied to this family and, separately, to all other
comparisons. A comparison is called a gain or a loss only if its adjusted p value is below the level of its family. With
these levels, at most one board in twenty without any effect calls anything a gain or a loss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.leaderboard.columns import Column, ValuesBySeed
from benchmark.leaderboard.gains import PairedGains, paired_gains
from benchmark.leaderboard.plan import RowKey, reference_of
from benchmark.leaderboard.rows import Table
from benchmark.leaderboard.statistics import (
    MIN_SEEDS,
    Estimate,
    Sample,
    holm,
    homogeneity,
    methods_in_general,
    paired_estimates,
    these_methods,
)
from benchmark.records.result import NO_REGULARIZER

ROW, THESE, GENERAL = KINDS = ("row", "these methods", "methods in general")
PRIMARY, REST = FAMILIES = ("primary", "rest")
LEVELS = {PRIMARY: 0.03, REST: 0.01}
"""Significance level of each family. Their sum stays below the 5 % of a board, since relative gains are only nearly
normal."""
GAIN, LOSS = "gain", "loss"


@dataclass(frozen=True)
class Comparison:
    """A comparison with its estimate.

    Args:
        kind: "row", "these methods" or "methods in general".
        methods: the methods that take part.
        row: the compared row; for several methods, with the first of them.
        baseline: the row that it is compared with.
        task: task of the gain; empty for the mean over tasks.
        family: "primary" or "rest"; empty in a table without a board.
        estimate: gain in percent; None if no seed is common.
        seeds: number of common seeds of each method.
        homogeneity: p value of the analysis of variance of gains by method; None for one method.
        standardised: gain in units of the seed noise of its task, or the mean of these over tasks.
        p_adjusted: p value after Holm in its family.
    """

    kind: str
    methods: tuple[str, ...]
    row: RowKey
    baseline: RowKey
    task: str
    family: str
    estimate: Estimate | None
    seeds: tuple[int, ...]
    homogeneity: float | None = None
    standardised: float | None = None
    p_adjusted: float | None = None

    @property
    def verdict(self) -> str:
        """The word "gain" or "loss" if the adjusted p value is below the level of the family, else empty."""
        if self.estimate is None or self.p_adjusted is None or self.p_adjusted >= LEVELS.get(self.family, 0.0):
            return ""
        return GAIN if self.estimate.mean > 0 else LOSS


@dataclass(frozen=True)
class _Pair:
    """A planned comparison of two rows."""

    row: RowKey
    baseline: RowKey
    primary: bool


def compare_rows(table: Table, noise: Mapping[str, float]) -> list[Comparison]:
    """All comparisons of a table: per row and over methods, for the mean over tasks and for each task.

    Their p values are not adjusted yet.

    Args:
        table: a board or other runs.
        noise: relative standard deviation over seeds by task, in percent.
    """
    if table.plan is None and not (table.setting.names_data and table.measured):
        return []
    values = {row.key: row.values(table.measured) for row in table.rows}
    pairs = list(_pairs(table))
    gains = [paired_gains(values.get(pair.row, {}), values.get(pair.baseline, {}), table.measured) for pair in pairs]
    found = _per_row(pairs, gains, table.measured)
    found += _over_methods(pairs, gains, table.measured)
    found = [comparison for group in _by_pair(found) for comparison in _standardised(group, noise)]
    return found if table.plan else [replace(comparison, family="") for comparison in found]


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons of one board with their p values after Holm, family by family."""
    values: dict[int, float | None] = {}
    for family in FAMILIES:
        members = [index for index, comparison in enumerate(comparisons) if comparison.family == family]
        raw = [found.p if (found := comparisons[index].estimate) is not None else None for index in members]
        values |= dict(zip(members, holm(raw), strict=True))
    return [replace(comparison, p_adjusted=values.get(index)) for index, comparison in enumerate(comparisons)]


def _pairs(table: Table) -> Iterator[_Pair]:
    """Each row over the reference row, then the regularizers of each method over each other, each pair once."""
    keys = [row.key for row in table.rows]
    reference = reference_of(dict.fromkeys(keys))
    primary: frozenset[tuple[RowKey, RowKey]] = table.plan.primary if table.plan else frozenset()
    by_method: dict[str, list[RowKey]] = defaultdict(list)
    for key in sorted(keys, key=lambda key: key.regularizer != NO_REGULARIZER):
        by_method[key.method].append(key)
    within = {}
    for group in by_method.values():
        for position, later in enumerate(group):
            for earlier in group[:position]:
                if earlier.options == later.options or earlier.regularizer == NO_REGULARIZER:
                    row, baseline = (earlier, later) if (earlier, later) in primary else (later, earlier)
                    within[row, baseline] = _Pair(row, baseline, (row, baseline) in primary)
    if reference is not None:
        yield from (_Pair(key, reference, False) for key in keys if key != reference and (key, reference) not in within)
    yield from within.values()


def _per_row(pairs: Sequence[_Pair], gains: Sequence[PairedGains], columns: Sequence[Column]) -> list[Comparison]:
    samples = [sample for gain in gains for sample in _targets(gain)]
    estimates = iter(paired_estimates(samples))
    return [
        Comparison(ROW, (pair.row.method,), pair.row, pair.baseline, task, _family(pair, task), next(estimates), seeds)
        for pair, gain in zip(pairs, gains, strict=True)
        for seeds in [(len(gain.seeds),)]
        for task in _tasks(columns)
    ]


def _over_methods(pairs: Sequence[_Pair], gains: Sequence[PairedGains], columns: Sequence[Column]) -> list[Comparison]:
    groups: dict[tuple[RowKey, RowKey], list[tuple[_Pair, PairedGains]]] = defaultdict(list)
    for pair, gain in zip(pairs, gains, strict=True):
        if pair.row.method == pair.baseline.method:
            nameless = pair.row._replace(method=""), pair.baseline._replace(method="")
            groups[nameless].append((pair, gain))
    # A declared comparison is about the methods that the board declares it for.
    declared = ([member for member in group if member[0].primary] or group for group in groups.values())
    return [found for group in declared if len(group) > 1 for found in _statements(group, columns)]


def _statements(members: Sequence[tuple[_Pair, PairedGains]], columns: Sequence[Column]) -> Iterator[Comparison]:
    """Both statements over methods, for the mean and for each task, from the methods with three seeds or more."""
    pair = members[0][0]
    known = [(member.row.method, gain) for member, gain in members if len(gain.seeds) >= MIN_SEEDS]
    methods = tuple(method for method, _ in known)
    seeds = tuple(len(gain.seeds) for _, gain in known)
    for position, task in enumerate(_tasks(columns)):
        samples = [_targets(gain)[position] for _, gain in known]
        spread = homogeneity(samples)
        for kind, estimate in ((GENERAL, methods_in_general(samples)), (THESE, these_methods(samples))):
            yield Comparison(kind, methods, pair.row, pair.baseline, task, _family(pair, task), estimate, seeds, spread)


def _tasks(columns: Sequence[Column]) -> list[str]:
    """The targets of a comparison: "" for the mean over tasks, then each task if there are several."""
    return ["", *(column.task for column in columns)] if len(columns) > 1 else [""]


def _targets(gain: PairedGains) -> list[Sample]:
    """The samples of `_tasks`, in the same order."""
    return [gain.mean, *gain.by_task.T] if gain.by_task.shape[1] > 1 else [gain.mean]


def _family(pair: _Pair, task: str) -> str:
    return PRIMARY if pair.primary and not task else REST


def _by_pair(comparisons: Sequence[Comparison]) -> Iterator[list[Comparison]]:
    """Groups of one comparison over all its targets: the mean, then the tasks."""
    groups: dict[tuple[object, ...], list[Comparison]] = defaultdict(list)
    for comparison in comparisons:
        groups[comparison.kind, comparison.row, comparison.baseline].append(comparison)
    yield from groups.values()


def _standardised(group: Sequence[Comparison], noise: Mapping[str, float]) -> list[Comparison]:
    """The comparisons of one pair with their gains in units of the seed noise."""
    by_task = {
        comparison.task: comparison.estimate.mean / noise[comparison.task]
        for comparison in group
        if comparison.estimate is not None and noise.get(comparison.task)
    }
    complete = by_task and len(by_task) == len(group) - 1
    mean = float(np.mean(list(by_task.values()))) if complete else None
    return [
        replace(comparison, standardised=by_task.get(comparison.task) if comparison.task else mean)
        for comparison in group
    ]


def deltas_by_seed(
    values: Mapping[RowKey, ValuesBySeed], reference: RowKey, columns: Sequence[Column]
) -> dict[RowKey, dict[int, float]]:
    """Gain of each row over the reference row, by seed; zero for the reference row itself."""
    found = {}
    for key, own in values.items():
        gain = paired_gains(own, values.get(reference, {}), columns)
        found[key] = dict(zip(gain.seeds, map(float, gain.mean), strict=True))
    return found
