"""Mean and spread over seeds, and gains that are paired by seed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Summary:
    """Values of several seeds.

    Args:
        n: how many.
        mean: their mean.
        std: sample standard deviation (divisor n - 1), None for one value.
        ci95: half width of the 95 % confidence interval of the mean after Student's t, None for one value.
    """

    n: int
    mean: float
    std: float | None
    ci95: float | None


def summarize(values: Sequence[float]) -> Summary | None:
    """Mean and spread; None for no values."""
    n = len(values)
    if n == 0:
        return None
    if n == 1:
        return Summary(1, values[0], None, None)
    mean = math.fsum(values) / n
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return Summary(n, mean, std, t_quantile(n - 1) * std / math.sqrt(n))


@cache
def t_quantile(degrees_of_freedom: int) -> float:
    """The 97.5 % quantile of Student's t distribution."""
    # scipy.special loads in a fifth of the time of scipy.stats.
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, 0.975))


def relative_gain(
    values: Mapping[str, float], baseline: Mapping[str, float], higher_is_better: Mapping[str, bool]
) -> float | None:
    """Mean over tasks of the relative improvement over a baseline, in percent.

        100 / T * sum over t of s_t (M_t - B_t) / B_t,   s_t = +1 where higher is better, -1 where lower is

    Against single-task networks this is the multi-task gain Delta_m of Maninis et al. (CVPR 2019).

    Args:
        values: one number per task.
        baseline: one number for each of the same tasks.
        higher_is_better: direction of each of these numbers.

    Returns:
        None where a baseline is 0, so that there is no relative improvement.
    """
    if any(baseline[task] == 0 for task in values):
        return None
    gains = [(value - baseline[task]) / baseline[task] for task, value in values.items()]
    signs = [1 if higher_is_better[task] else -1 for task in values]
    return 100 * math.fsum(sign * gain for sign, gain in zip(signs, gains, strict=True)) / len(gains)


def ranks(values: Sequence[float], higher_is_better: bool) -> list[float]:
    """Rank of each value, 1 for the best; equal values share the mean of their ranks."""
    ordered = sorted(values, reverse=higher_is_better)
    first = {value: position for position, value in reversed(list(enumerate(ordered, start=1)))}
    count = Counter(values)
    return [first[value] + (count[value] - 1) / 2 for value in values]
