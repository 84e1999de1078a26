"""Rank sets: the ranks that a row can have, given all pairwise comparisons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TypeVar

import numpy as np

from benchmark.leaderboard.statistics import CONFIDENCE, MIN_SEEDS, Sample, holm, p_values

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class RankSet:
    """Ranks that a row can have.

    Args:
        best: 1 + number of rows that are significantly better.
        worst: number of ranked rows - number of rows that are significantly worse.
        among_best: True if the row is not significantly worse than the row with the highest mean.
    """

    best: int
    worst: int
    among_best: bool

    def __str__(self) -> str:
        return f"{self.best}-{self.worst}" if self.best != self.worst else str(self.best)


def rank_sets(gains: Mapping[Key, Mapping[int, float]], num_rows: int) -> dict[Key, RankSet]:
    """Rank sets of complete rows, best mean first.

    Two rows differ if the paired t test over their common seeds is significant at 5 % after Holm over all pairs.

    Args:
        gains: gain over the reference row by seed, of each complete row.
        num_rows: rows of the board, incomplete ones included; it fixes the size of Holm's family.
    """
    order = sorted(gains, key=lambda key: -float(np.mean(list(gains[key].values()))))
    better = _significantly_better([gains[key] for key in order], num_rows)
    return {
        key: RankSet(
            1 + int(better[:, position].sum()), len(order) - int(better[position].sum()), not better[0, position]
        )
        for position, key in enumerate(order)
    }


def _significantly_better(rows: list[Mapping[int, float]], num_rows: int) -> np.ndarray:
    """(R, R) array: True where row i is significantly better than row j."""
    p = np.ones((len(rows), len(rows)))
    by_seeds: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_seeds[tuple(row)].append(index)
    for first, second in combinations_with_replacement(by_seeds, 2):
        common = [seed for seed in first if seed in second]
        if len(common) >= MIN_SEEDS:
            block = np.ix_(by_seeds[first], by_seeds[second])
            p[block] = _pairwise_p([rows[i] for i in by_seeds[first]], [rows[i] for i in by_seeds[second]], common)
            p[block[1].T, block[0].T] = p[block].T
    upper = np.triu_indices(len(rows), 1)
    missing = num_rows * (num_rows - 1) // 2 - len(upper[0])
    adjusted = np.array(holm([*p[upper], *[1.0] * max(missing, 0)]), float)[: len(upper[0])]
    means = np.array([np.mean(list(row.values())) for row in rows])
    significant = np.zeros(p.shape, bool)
    significant[upper] = adjusted < 1 - CONFIDENCE
    significant |= significant.T
    return significant & (means[:, None] > means[None, :])


def _pairwise_p(first: list[Mapping[int, float]], second: list[Mapping[int, float]], seeds: list[int]) -> Sample:
    """(R1, R2) p values of all pairs over common seeds."""
    left = np.array([[row[seed] for seed in seeds] for row in first])
    right = np.array([[row[seed] for seed in seeds] for row in second])
    differences = left[:, None] - right[None]
    return p_values(differences.reshape(-1, len(seeds))).reshape(len(first), len(second))
