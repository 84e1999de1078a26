"""Gains over other cells of the same seeds: Delta_m over single-task networks, Delta_reg over no regularizer.

Metric card
-----------
* **Symbols**: M_t value of the ranking metric of task t, B_t that of the baseline of the same seed; s_t = 1 where
  higher is better, -1 where lower is; T tasks.
* **Unit**: %
* **Better**: higher
* **Valid pixels**: as in M_t.
* **Resolution**: as in M_t.
* **Pooling**: each seed first, with the baseline of that seed, then the mean over seeds. Only results of the same
  recipe, data-set id, backbone, tasks and overrides (but those of the regularizer) are compared; tasks whose metric
  nobody has measured are left out for all.
* **Source**: Maninis, Radosavovic, Kokkinos, "Attentive Single-Tasking of Multiple Tasks", CVPR 2019.
* **Deviations**: papers use mIoU, RMSE, mean angle and odsF, as here, but often one set of single-task networks for
  several methods and backbones, and one seed.

`Delta_m`
* **Formula**: `100 / T * sum over t of s_t (M_t - B_t) / B_t, B = single-task networks`

`Delta_reg`
* **Formula**: `100 / T * sum over t of s_t (M_t - B_t) / B_t, B = the same method without a regularizer`
* **Source**: as Delta_m, with another baseline. "Over X" in a table of regularizers has the same method with X as B.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmark.leaderboard.statistics import Summary, relative_gain, summarize
from benchmark.records.result import NO_REGULARIZER, REFERENCE_METHOD

BySeed = Mapping[Any, Mapping[str, float | None]]
"""seed, or what else makes pairs of cells -> task -> value of its ranking metric, None where it was not measured."""


@dataclass(frozen=True)
class Column:
    """The metric that ranks a task."""

    task: str
    name: str
    unit: str
    higher_is_better: bool


@dataclass(frozen=True)
class Gain:
    """A relative gain over other cells of the same seeds, in percent.

    Args:
        summary: over seeds; None where it cannot be said.
        note: what is missing, "2/3 single-task seeds"; "reference" for the cells that the others are compared with.
    """

    summary: Summary | None
    note: str = ""


def delta_m(values: BySeed, reference: BySeed, measured: Sequence[Column]) -> Gain:
    """Gain over the single-task cells, one of which is needed for every seed."""
    common = [seed for seed in values if seed in reference]
    if len(common) < len(values):
        return Gain(None, f"{len(common)}/{len(values)} single-task seeds")
    return _gain(values, reference, common, measured, REFERENCE_METHOD)


def delta_reg(values: BySeed, without: BySeed, measured: Sequence[Column], name: str = NO_REGULARIZER) -> Gain:
    """Gain of a regularizer over the same method without it, over the seeds that both have.

    Args:
        values: of the cells with it.
        without: of those that they are compared with.
        measured: the metrics that count.
        name: of the regularizer that those have.
    """
    common = [seed for seed in values if seed in without]
    if not common:
        return Gain(None, "no seed without it")
    gain = _gain(values, without, common, measured, name)
    partial = f"{len(common)}/{len(values)} seeds" if len(common) < len(values) else ""
    return replace(gain, note=gain.note or partial)


def _gain(values: BySeed, baseline: BySeed, seeds: Sequence[Any], measured: Sequence[Column], name: str) -> Gain:
    if not measured:
        return Gain(None, "no metric")
    directions = {column.task: column.higher_is_better for column in measured}
    gains = []
    for seed in seeds:
        ours, theirs = _known(values[seed]), _known(baseline[seed])
        for column in measured:
            if column.task not in ours or column.task not in theirs:
                return Gain(None, f"{column.task} {column.name} not measured for seed {seed}")
        gain = relative_gain(ours, theirs, directions)
        if gain is None:
            return Gain(None, f"a metric of {name} is 0 for seed {seed}")
        gains.append(gain)
    return Gain(summarize(gains))


def _known(values: Mapping[str, float | None]) -> dict[str, float]:
    return {task: value for task, value in values.items() if value is not None}
