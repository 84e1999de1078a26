"""Relative gains over other cells of the same seeds: Delta_m over single-task networks, Delta_reg over no regularizer.

Metric card
-----------
* **Symbols**: M_t value of the ranking metric of task t, B_t value of the baseline on the same seed; s_t = 1 where
  higher is better, -1 where lower is; T tasks.
* **Unit**: %
* **Better**: higher
* **Valid pixels**: as in M_t.
* **Resolution**: as in M_t.
* **Pooling**: each seed first, with the baseline of the same seed, then the mean over seeds. Only results of the same
  recipe, version, data, backbone, tasks and overrides (except the overrides of the regularizer) are compared. A task
  whose metric no result has is left out for all.
* **Source**: Maninis, Radosavovic, Kokkinos, "Attentive Single-Tasking of Multiple Tasks", CVPR 2019.
* **Deviations**: papers use mIoU, RMSE, mean angle and odsF, as here, but often one set of single-task networks for
  several methods and backbones, and one seed.

`Delta_m`
* **Formula**: `100 / T * sum over t of s_t (M_t - B_t) / B_t, B = single-task networks`

`Delta_reg`
* **Formula**: `100 / T * sum over t of s_t (M_t - B_t) / B_t, B = the same method without a regularizer`
* **Source**: as Delta_m, with another baseline. A comparison of two regularizers has the same method with the other
  regularizer as B.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.leaderboard.columns import Column, ValuesBySeed
from benchmark.leaderboard.statistics import Sample


@dataclass(frozen=True)
class PairedGains:
    """Relative gains of one row over another, paired by seed.

    Args:
        seeds: the n seeds that both rows have with all metrics.
        by_task: (n, T) gains in percent, positive where the row is better.
    """

    seeds: tuple[int, ...]
    by_task: Sample

    @property
    def mean(self) -> Sample:
        """(n,) means over tasks."""
        return self.by_task.mean(axis=1) if self.by_task.size else np.empty(0)


def paired_gains(values: ValuesBySeed, baseline: ValuesBySeed, columns: Sequence[Column]) -> PairedGains:
    """Gains of a row over a baseline.

    A seed is left out if either row lacks a metric there, or if a metric of the baseline is 0, so that no relative
    gain exists.
    """
    keys = [column.key for column in columns]
    seeds = tuple(
        seed
        for seed in sorted(values)
        if keys
        and seed in baseline
        and all(key in values[seed] for key in keys)
        and all(baseline[seed].get(key) for key in keys)
    )
    ours = np.array([[values[seed][key] for key in keys] for seed in seeds], float).reshape(len(seeds), len(keys))
    theirs = np.array([[baseline[seed][key] for key in keys] for seed in seeds], float).reshape(len(seeds), len(keys))
    signs = np.array([1.0 if column.higher_is_better else -1.0 for column in columns])
    return PairedGains(seeds, 100 * signs * (ours - theirs) / theirs)
