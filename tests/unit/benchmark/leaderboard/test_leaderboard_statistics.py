"""Mean, spread, intervals and gains, against hand calculations and scipy.stats."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.leaderboard.statistics import ranks, relative_gain, summarize, t_quantile


def test_spread_of_three_seeds_by_hand():
    """1, 2, 3: mean 2, squared deviations 1 + 0 + 1 over n - 1 = 2, so std 1; t(2) = 4.3027 from a printed table."""
    summary = summarize([1.0, 2.0, 3.0])
    assert (summary.n, summary.mean, summary.std) == (3, 2.0, 1.0)
    assert summary.ci95 == pytest.approx(4.3027 / 3**0.5, abs=1e-4)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_the_interval_is_that_of_scipy(n):
    values = np.random.default_rng(n).normal(20.0, 0.4, n)
    summary = summarize(list(values))
    low, high = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert summary.mean - summary.ci95 == pytest.approx(low, rel=1e-9)
    assert summary.mean + summary.ci95 == pytest.approx(high, rel=1e-9)
    assert summary.std == pytest.approx(np.std(values, ddof=1), rel=1e-12)
    assert t_quantile(n - 1) == pytest.approx(stats.t.ppf(0.975, n - 1), rel=1e-9)


def test_one_seed_has_no_spread_and_none_has_no_mean():
    assert (summarize([3.0]).mean, summarize([3.0]).std, summarize([3.0]).ci95) == (3.0, None, None)
    assert summarize([]) is None


def test_gain_by_hand():
    """mIoU 40 -> 44 is +10 %, RMSE 0.5 -> 0.45 m is +10 %, mErr 20 -> 22 degrees is -10 %: the mean is +3.33 %."""
    gain = relative_gain(
        {"semseg": 44.0, "depth": 0.45, "normals": 22.0},
        {"semseg": 40.0, "depth": 0.5, "normals": 20.0},
        {"semseg": True, "depth": False, "normals": False},
    )
    assert gain == pytest.approx(10 / 3, rel=1e-12)


@pytest.mark.parametrize(
    ("values", "published"),
    [
        ((36.35, 0.6284, 21.02, 76.36), -1.89),
        ((36.34, 0.6290, 20.88, 76.38), -1.75),
        ((36.72, 0.6178, 20.82, 76.42), -0.95),
        ((36.69, 0.6246, 20.87, 76.42), -1.30),
        ((38.90, 0.6010, 20.48, 76.34), 1.56),
    ],
)
def test_gain_of_published_rows(values, published):
    """Multi-task, Cross-Stitch, PAP, PSD and ATRC on HRNet-18 in the ATRC paper; the numbers are rounded."""
    names = ("semseg", "depth", "normals", "boundary")
    single_task = dict(zip(names, (38.02, 0.6104, 20.94, 76.22), strict=True))
    directions = dict(zip(names, (True, False, False, True), strict=True))
    gain = relative_gain(dict(zip(names, values, strict=True)), single_task, directions)
    assert gain == pytest.approx(published, abs=0.011)


def test_no_gain_over_a_baseline_of_zero():
    assert relative_gain({"semseg": 1.0}, {"semseg": 0.0}, {"semseg": True}) is None


@pytest.mark.parametrize("higher", [True, False])
def test_ranks_are_those_of_scipy(higher):
    values = [3.0, 1.0, 3.0, 2.0, 1.0, 7.0]
    signed = [-value for value in values] if higher else values
    assert ranks(values, higher) == list(stats.rankdata(signed))
