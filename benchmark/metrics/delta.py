"""Multi-task gain over single-task networks. Standard library only: tables are made without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping


def multi_task_gain(
    values: Mapping[str, float | None],
    single_task: Mapping[str, float | None],
    higher_is_better: Mapping[str, bool],
) -> float | None:
    """Mean over tasks of the relative improvement over single-task networks, in percent.

        Delta_m = 100 / T * sum over t of (-1)^l_t (M_t - S_t) / S_t,   l_t = 1 where lower is better

    Source: Maninis et al., "Attentive Single-Tasking of Multiple Tasks", CVPR 2019, eq. 1.

    Args:
        values: primary metric M of each task.
        single_task: the same metric of the single-task networks, S.
        higher_is_better: direction of each; its keys are the tasks that are averaged.

    Returns:
        None where a number is missing or not finite, or a single-task number is 0: a mean over fewer tasks would be
        another quantity.
    """
    gains = [
        _gain(values.get(task), single_task.get(task), sign=1 if higher else -1)
        for task, higher in higher_is_better.items()
    ]
    known = [gain for gain in gains if gain is not None]
    if not known or len(known) < len(gains):
        return None
    return 100 * math.fsum(known) / len(known)


def _gain(value: float | None, baseline: float | None, sign: int) -> float | None:
    if value is None or baseline is None or baseline == 0:
        return None
    gain = sign * (value - baseline) / baseline
    return gain if math.isfinite(gain) else None
