"""Intervals, tests and corrections against written-out formulae, scipy, statsmodels OLS and published gains."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.gains import paired_gains
from benchmark.leaderboard.statistics import (
    Estimate,
    holm,
    homogeneity,
    methods_in_general,
    paired_estimates,
    smallest_effect,
    summarize,
    these_methods,
)


def samples(rng, seeds, spread=0.0, effect=0.0):
    """Gains by seed of len(seeds) methods."""
    return [rng.normal(effect + spread * rng.normal(), 1.0, n) for n in seeds]


def test_spread_of_three_seeds_by_hand():
    """1, 2, 3: mean 2, squared deviations 1 + 0 + 1 over n - 1 = 2, so the standard deviation is 1."""
    summary = summarize([1.0, 2.0, 3.0])
    assert (summary.n, summary.mean, summary.std) == (3, 2.0, 1.0)
    assert summarize([4.0]).std is None
    assert summarize([]) is None


def test_the_paired_interval_by_hand():
    """1, 2, 3: 2 ± 4.3027 / sqrt(3), with the t quantile from a printed table; t = 2 sqrt(3), p = 0.0742."""
    (estimate,) = paired_estimates([np.array([1.0, 2.0, 3.0])])
    assert estimate.high - 2 == pytest.approx(4.3027 / 3**0.5, abs=1e-4)
    assert estimate.p == pytest.approx(0.0742, abs=1e-4)
    assert (estimate.n, estimate.df) == (3, 2)


@pytest.mark.parametrize("n", [3, 5, 30])
def test_the_paired_interval_is_that_of_a_regression_on_a_constant(n):
    values = np.random.default_rng(n).normal(0.3, 1.0, n)
    fit = sm.OLS(values, np.ones(n)).fit()
    (estimate,) = paired_estimates([values])
    assert (estimate.low, estimate.high) == pytest.approx(tuple(fit.conf_int()[0]), abs=1e-9)
    assert estimate.p == pytest.approx(fit.pvalues[0], abs=1e-9)


def test_samples_of_different_lengths_do_not_change_each_other():
    rng = np.random.default_rng(0)
    mixed = [rng.normal(size=n) for n in (5, 3, 5, 0, 1, 2, 4)]
    assert paired_estimates(mixed) == [paired_estimates([sample])[0] for sample in mixed]


def test_fewer_than_three_seeds_have_no_interval():
    nothing, one, two = paired_estimates([np.array([]), np.array([1.0]), np.array([1.0, 3.0])])
    assert nothing is None
    assert (one.mean, one.std, one.low, one.p) == (1.0, None, None, None)
    assert (two.mean, two.low, two.p) == (2.0, None, None)
    assert two.std == pytest.approx(2**0.5)


def test_equal_rows_do_not_differ():
    (estimate,) = paired_estimates([np.zeros(5)])
    assert (estimate.low, estimate.high, estimate.p) == (0.0, 0.0, 1.0)


def test_these_methods_by_the_formula():
    """SE^2 = sum s_m^2 / n_m / M^2; Welch and Satterthwaite; unequal numbers of seeds."""
    gains = samples(np.random.default_rng(1), [5, 3, 4])
    v = [np.var(sample, ddof=1) / len(sample) for sample in gains]
    se = (sum(v) / 9) ** 0.5
    df = sum(v) ** 2 / sum(part**2 / (len(sample) - 1) for part, sample in zip(v, gains, strict=True))
    mean = sum(map(np.mean, gains)) / 3
    half = stats.t.ppf(0.975, df) * se
    estimate = these_methods(gains)
    assert (estimate.mean, estimate.df) == pytest.approx((mean, df), abs=1e-9)
    assert (estimate.low, estimate.high) == pytest.approx((mean - half, mean + half), abs=1e-9)
    assert estimate.p == pytest.approx(2 * stats.t.cdf(-abs(mean) / se, df), abs=1e-9)
    assert estimate.n == 3
    assert these_methods([-sample for sample in gains]).p == pytest.approx(estimate.p), "the test has two sides"


def test_methods_whose_gains_do_not_vary_have_an_interval_of_no_width():
    """Means of 2 and 4 with three and four seeds: 3, on 2 + 3 degrees of freedom."""
    assert these_methods([np.full(3, 2.0), np.full(4, 4.0)]) == Estimate(2, 3.0, None, 3.0, 3.0, 0.0, 5.0)
    assert these_methods([np.zeros(3), np.zeros(3)]).p == 1.0


def test_these_methods_of_equal_size_and_spread_are_a_regression_on_methods():
    """With equal variances, Welch's degrees of freedom are M (n - 1), as in a cell means model."""
    base = np.random.default_rng(2).normal(size=5)
    gains = [base + shift for shift in (0.0, 1.0, 2.5)]
    design = np.kron(np.eye(3), np.ones((5, 1)))
    fit = sm.OLS(np.concatenate(gains), design).fit()
    test = fit.t_test(np.full((1, 3), 1 / 3))
    estimate = these_methods(gains)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(test.conf_int()[0]), abs=1e-9)
    assert estimate.df == pytest.approx(fit.df_resid, abs=1e-9)


def test_methods_in_general_are_a_sample_of_method_means():
    gains = samples(np.random.default_rng(3), [5, 3, 4, 5])
    means = [sample.mean() for sample in gains]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(means), scale=stats.sem(means))
    estimate = methods_in_general(gains)
    assert (estimate.n, estimate.low, estimate.high) == (4, pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_one_method_says_nothing_about_methods():
    assert these_methods([np.ones(5)]) is None
    assert methods_in_general([np.ones(5)]) is None
    assert methods_in_general([np.ones(5), np.zeros(5)]).low is None, "two methods are no sample of methods"


def test_homogeneity_is_the_f_test_of_nested_regressions():
    gains = samples(np.random.default_rng(4), [5, 3, 4], spread=1.0)
    sizes = [len(sample) for sample in gains]
    design = np.zeros((sum(sizes), 3))
    design[np.arange(sum(sizes)), np.repeat(range(3), sizes)] = 1
    values = np.concatenate(gains)
    full, common = sm.OLS(values, design).fit(), sm.OLS(values, np.ones(len(values))).fit()
    assert homogeneity(gains) == pytest.approx(full.compare_f_test(common)[1], abs=1e-9)


def test_homogeneity_of_two_methods_is_the_t_test_of_two_samples():
    varying, constant = np.array([1.0, 2.0, 4.0]), np.full(4, 0.5)
    for first, second in ((varying, varying[:2] + 2), (varying, constant + 3)):
        assert homogeneity([first, second]) == pytest.approx(sm.stats.ttest_ind(first, second)[1], abs=1e-9)
    assert homogeneity([constant, constant + 1]) is None, "without any spread"
    assert homogeneity([varying]) is None


def test_a_family_without_a_comparison_is_empty():
    assert holm([]) == []


def test_the_correction_leaves_the_garbage_collector_as_it_was():
    holm([0.01, 0.02])
    assert gc.get_freeze_count() == 0


def test_holm_by_hand():
    """0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1, made monotone: 0.04, 0.06, 0.06, 0.06."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_a_missing_comparison_still_counts_in_its_family():
    """0.02 alone would stay 0.02; with a planned comparison that has no cells yet it is 0.04."""
    assert holm([0.02, None]) == [pytest.approx(0.04), None]


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_smallest_effect_is_found_in_four_of_five_cases(n):
    """Power of the two-sided t test from the noncentral t distribution."""
    critical, shift = stats.t.ppf(0.975, n - 1), smallest_effect(n) * n**0.5
    power = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    assert power == pytest.approx(0.8, abs=1e-6)
    assert smallest_effect(2) is None


RUNS = 4000


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.75])
def test_the_interval_of_methods_in_general_covers_in_95_percent(spread):
    """Ten methods of five seeds. The interval is that of the means of the methods, as the test above shows."""
    rng = np.random.default_rng(20)
    effects = spread * rng.normal(size=(RUNS, 10, 1))
    means = rng.normal(effects, 1.0, size=(RUNS, 10, 5)).mean(axis=2)
    held = [estimate.low <= 0.0 <= estimate.high for estimate in paired_estimates(list(means))]
    assert 0.94 <= np.mean(held) <= 0.96


def coverage(seeds):
    """Share of intervals for these methods that hold the mean of the drawn effects of the methods."""
    rng = np.random.default_rng(20)
    held = 0
    for _ in range(RUNS):
        effects = rng.normal(size=len(seeds))
        estimate = these_methods([rng.normal(effect, 1.0, n) for effect, n in zip(effects, seeds, strict=True)])
        held += estimate.low <= effects.mean() <= estimate.high
    return held / RUNS


@pytest.mark.parametrize("methods", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_the_interval_of_these_methods_covers_in_95_percent(methods):
    assert 0.94 <= coverage([5] * methods) <= 0.96


def test_the_interval_of_these_methods_is_not_too_short_with_three_seeds():
    """Welch's and Satterthwaite's degrees of freedom are an approximation, which is cautious for few seeds."""
    assert coverage([5, 5, 5, 3, 3, 3]) >= 0.94


COLUMNS = (
    Column("semseg", "mIoU", "%", True),
    Column("depth", "rmse", "m", False),
    Column("normals", "mErr", "deg", False),
    Column("boundary", "odsF", "%", True),
)


def by_seed(*values):
    """The metrics of one seed."""
    return {0: {column.key: value for column, value in zip(COLUMNS, values, strict=True)}}


def test_gain_by_hand():
    """mIoU 40 -> 44 is +10 %, RMSE 0.5 -> 0.45 m is +10 %, mErr 20 -> 22 degrees is -10 %, odsF 70 -> 70 is 0."""
    gain = paired_gains(by_seed(44.0, 0.45, 22.0, 70.0), by_seed(40.0, 0.5, 20.0, 70.0), COLUMNS)
    assert gain.by_task[0] == pytest.approx([10, 10, -10, 0])
    assert gain.mean == pytest.approx([2.5])


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
    single_task = by_seed(38.02, 0.6104, 20.94, 76.22)
    assert paired_gains(by_seed(*values), single_task, COLUMNS).mean[0] == pytest.approx(published, abs=0.011)


def test_a_baseline_of_zero_has_no_relative_gain():
    assert paired_gains(by_seed(1.0, 1.0, 1.0, 1.0), by_seed(0.0, 1.0, 1.0, 1.0), COLUMNS).seeds == ()


def test_gains_are_in_the_order_of_the_seeds():
    """Seed 1: 40 -> 44 is +10 %; seed 2: 40 -> 48 is +20 %."""
    column = COLUMNS[:1]
    ours, theirs = (
        {seed: {"semseg/mIoU": value} for seed, value in found} for found in ([(2, 48), (1, 44)], [(1, 40), (2, 40)])
    )
    gain = paired_gains(ours, theirs, column)
    assert (gain.seeds, gain.mean.tolist()) == ((1, 2), pytest.approx([10, 20]))


def test_without_a_metric_there_is_no_gain():
    gain = paired_gains(by_seed(1.0, 1.0, 1.0, 1.0), by_seed(2.0, 1.0, 1.0, 1.0), ())
    assert (gain.seeds, len(gain.mean)) == ((), 0)
