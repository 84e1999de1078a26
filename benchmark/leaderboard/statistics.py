"""Statistics over seeds and over methods, computed by scipy and statsmodels.

Every sample holds paired gains in percent, one value per seed. Intervals are two-sided 95 % t intervals.
"""

from __future__ import annotations

import gc
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

Sample = NDArray[np.float64]

CONFIDENCE = 0.95
MIN_SEEDS = 3
"""Smallest sample that gets an interval: with two values the t quantile is 12.7."""
POWER = 0.8


@dataclass(frozen=True)
class Summary:
    """Values of several seeds.

    Args:
        n: number of values.
        mean: arithmetic mean.
        std: sample standard deviation (divisor n - 1); None for one value.
    """

    n: int
    mean: float
    std: float | None


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval and the test against zero.

    Args:
        n: number of values that the mean is taken over: seeds, or methods.
        mean: the mean, in percent.
        std: sample standard deviation; None for one value, and for a mean over several samples, see `these_methods`.
        low: lower end of the 95 % interval; None without an interval, as for fewer than three values of one sample.
        high: upper end of the interval.
        p: two-sided p value of the t test against zero, not adjusted; None without an interval.
        df: degrees of freedom of interval and test.
    """

    n: int
    mean: float
    std: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    df: float | None = None


def summarize(values: Sequence[float]) -> Summary | None:
    """Mean and sample standard deviation; None for no values."""
    if not values:
        return None
    array = np.asarray(values, float)
    return Summary(len(array), float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else None)


def paired_estimates(samples: Sequence[Sample]) -> list[Estimate | None]:
    """The t interval and t test of each sample; None for an empty sample.

    Samples of equal length are computed together, since a table holds thousands.
    """
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        by_length[len(sample)].append(index)
    found: list[Estimate | None] = [None] * len(samples)
    for n, indices in by_length.items():
        if n:
            group = np.stack([samples[index] for index in indices])
            for index, estimate in zip(indices, _estimates(group), strict=True):
                found[index] = estimate
    return found


def p_values(samples: Sample) -> Sample:
    """Two-sided p value of the t test against zero, per row of a (K, n) array; 1 for a row of zeros."""
    return _p_values(_t_test(samples))


def these_methods(samples: Sequence[Sample]) -> Estimate | None:
    """Mean over the given methods; the interval holds for these methods only.

        SE^2 = sum over m of s_m^2 / n_m / M^2, degrees of freedom by Welch and Satterthwaite

    Args:
        samples: gains by seed of each method; at least three seeds each.

    Returns:
        None for fewer than two methods.
    """
    if len(samples) < 2:
        return None
    variances = np.array([sample.var(ddof=1) / len(sample) for sample in samples])
    freedoms = np.array([len(sample) - 1 for sample in samples])
    mean = float(np.mean([sample.mean() for sample in samples]))
    total = float(variances.sum())
    if total == 0:
        return Estimate(len(samples), mean, None, mean, mean, 0.0 if mean else 1.0, float(freedoms.sum()))
    df = total**2 / float((variances**2 / freedoms).sum())
    scale = total**0.5 / len(samples)
    low, high = stats.t.interval(CONFIDENCE, df, loc=mean, scale=scale)
    p = 2 * stats.t.sf(abs(mean) / scale, df)
    return Estimate(len(samples), mean, None, float(low), float(high), float(p), df)


def methods_in_general(samples: Sequence[Sample]) -> Estimate | None:
    """Mean over methods as a sample of all methods: the t interval of the method means; None for fewer than two."""
    if len(samples) < 2:
        return None
    return paired_estimates([np.array([sample.mean() for sample in samples])])[0]


def homogeneity(samples: Sequence[Sample]) -> float | None:
    """P value of the one-way analysis of variance of gains by method; None where it is undefined."""
    if len(samples) < 2 or all(np.ptp(sample) == 0 for sample in samples):
        return None
    return float(stats.f_oneway(*samples).pvalue)


def holm(p: Sequence[float | None]) -> list[float | None]:
    """P values adjusted by Holm's method.

    A comparison without a p value counts as p = 1: the size of a family follows from the plan, not from the cells that
    are there, so a missing cell makes no other comparison significant.
    """
    if not p:
        return []
    with _few_objects_to_collect():
        adjusted = multipletests([1.0 if value is None else value for value in p], method="holm")[1]
    return [None if raw is None else float(value) for raw, value in zip(p, adjusted, strict=True)]


@contextmanager
def _few_objects_to_collect() -> Iterator[None]:
    """Hide all present objects from the garbage collector.

    statsmodels collects garbage in every correction, which takes a second if torch or many results are loaded.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@cache
def smallest_effect(n: int) -> float | None:
    """Smallest mean, in standard deviations, that a paired t test of n values finds with 80 % power at 5 %.

    None for fewer than three values.
    """
    if n < MIN_SEEDS:
        return None
    return float(TTestPower().solve_power(effect_size=None, nobs=n, alpha=1 - CONFIDENCE, power=POWER))


def _t_test(samples: Sample) -> Any:
    """The t test of each row against zero."""
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # The callers replace the undefined results of rows that do not vary.
        warnings.simplefilter("ignore", RuntimeWarning)
        return stats.ttest_1samp(samples, 0.0, axis=1)


def _p_values(test: Any) -> Sample:
    """The p values of a t test; 1 for a row of zeros, where it is undefined."""
    return np.nan_to_num(np.asarray(test.pvalue, float), nan=1.0)


def _estimates(group: Sample) -> list[Estimate]:
    """One estimate per row of a (K, n) array. The numbers of a row do not depend on the other rows."""
    n = group.shape[1]
    means = group.mean(axis=1)
    if n == 1:
        return [Estimate(1, float(mean)) for mean in means]
    spreads = group.std(axis=1, ddof=1)
    if n < MIN_SEEDS:
        return [Estimate(n, float(mean), float(std)) for mean, std in zip(means, spreads, strict=True)]
    test = _t_test(group)
    interval = test.confidence_interval(CONFIDENCE)
    low, high = (np.where(spreads > 0, end, means) for end in (interval.low, interval.high))
    columns = np.array([means, spreads, low, high, _p_values(test)]).T.tolist()
    return [Estimate(n, mean, std, low, high, p, n - 1.0) for mean, std, low, high, p in columns]
