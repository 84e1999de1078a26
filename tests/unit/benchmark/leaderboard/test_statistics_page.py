"""docs/statistics.md: every number of the worked example is computed from its table with the code of the boards."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmark.leaderboard.agreement import prediction_interval
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.gains import paired_gains
from benchmark.leaderboard.statistics import (
    holm,
    homogeneity,
    methods_in_general,
    paired_estimates,
    smallest_effect,
    these_methods,
)

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "statistics.md").read_text()
ROWS = [list(map(float, line.strip("| ").split(" | "))) for line in re.findall(r"^\| \d.*$", PAGE, re.MULTILINE)]
COLUMNS = (Column("semseg", "mIoU", "%", True), Column("depth", "rmse@pixel", "m", False))
FURTHER = [np.array([0.2, -0.4, 0.6, 0.1, 0.5]), np.array([2.9, 2.1, 3.3, 2.4, 2.8])]
"""Gains of two further methods by seed, with the means 0.20 and 2.70 that the page names."""


@pytest.fixture(scope="module")
def gains():
    without, having = (
        {int(row[0]): {"semseg/mIoU": row[first], "depth/rmse@pixel": row[second]} for row in ROWS}
        for first, second in ((1, 4), (2, 5))
    )
    return paired_gains(having, without, COLUMNS)


def says(*texts: str) -> None:
    page = " ".join(PAGE.split())
    missing = [text for text in texts if text not in page]
    assert not missing


def test_gains_by_seed_are_those_of_the_table(gains):
    assert len(ROWS) == 5
    printed = np.array([[row[3], row[6], row[7]] for row in ROWS])
    assert np.column_stack([gains.by_task, gains.mean]) == pytest.approx(printed, abs=0.005)


def test_the_paired_interval(gains):
    (found,) = paired_estimates([gains.mean])
    says(f"have the mean {found.mean:.2f} and the standard deviation {found.std:.2f}")
    interval = f"**[{found.low:.2f}, {found.high:.2f}]**"
    says(f"{found.mean:.2f} ± {stats.t.ppf(0.975, 4):.3f} · {found.std:.2f} / √5 = {interval}")
    says(f'"there is no gain" is {found.p:.4f}')
    paired = stats.ttest_1samp(gains.by_task[:, 0], 0).pvalue
    unpaired = stats.ttest_ind([row[2] for row in ROWS], [row[1] for row in ROWS]).pvalue
    says(f"test has p = {paired:.3f}, and the test that ignores the seeds p = {unpaired:.3f}")


def test_the_two_statements_over_methods(gains):
    samples = [gains.mean, *FURTHER]
    says("mean gains " + "{:.2f}, {:.2f} and {:.2f} %".format(*(sample.mean() for sample in samples)))
    these, general = these_methods(samples), methods_in_general(samples)
    says(f"{these.mean:.2f} **[{these.low:.2f}, {these.high:.2f}]**")
    says(f"{general.mean:.2f} **[{general.low:.2f}, {general.high:.2f}]**".replace("-", "\N{MINUS SIGN}"))
    says(f"p = {homogeneity(samples):.6f}: they")


def test_holm(gains):
    raw = [estimate.p for estimate in paired_estimates([gains.mean, *FURTHER])]
    says("{:.4f}, {:.4f} and {:.4f}, and after Holm {:.4f}, {:.4f} and {:.4f}".format(*raw, *holm(raw)))


def test_power_and_noise(gains):
    factor, std = smallest_effect(5), gains.mean.std(ddof=1)
    says(f"finds {factor:.3f} standard deviations", f"{factor:.3f} · {std:.2f} = {factor * std:.2f} %")
    noise = [100 * np.std(values, ddof=1) / np.mean(values) for values in (np.array(ROWS)[:, 1], np.array(ROWS)[:, 4])]
    says("{:.2f} % in mIoU and by {:.2f} % in RMSE".format(*noise))


def test_one_more_seed():
    values = [row[1] for row in ROWS[1:]]
    low, high = prediction_interval(values, 1 - 0.05 / 2)
    says(f"mean {np.mean(values):.2f} and the standard deviation {np.std(values, ddof=1):.2f}")
    says(f"{stats.t.ppf(1 - 0.025 / 2, 3):.3f} · 0.34 · √(1 + 1/4) = **[{low:.2f}, {high:.2f}]**")
