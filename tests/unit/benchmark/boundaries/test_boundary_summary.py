"""From counts to odsF, oisF and AP, by hand; the golden cases reproduce published tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.boundaries.protocols import BSDS, SEISM
from benchmark.boundaries.summary import average_precision, points, summarise

TWO = replace(SEISM, thresholds=(0.3, 0.6))
TWO_BSDS = replace(BSDS, thresholds=(0.3, 0.6))


def test_counts_are_summed_over_images_before_they_are_divided() -> None:
    """At 0.3: R = (4 + 1) / 20, P = (4 + 1) / 10, F = 1/3. At 0.6 only the first image has predictions."""
    counts = np.array([[[4, 10, 4, 5], [2, 10, 2, 2]], [[1, 10, 1, 5], [0, 10, 0, 0]]])
    ods = summarise(counts, TWO).ods
    assert (ods.threshold, ods.recall, ods.precision) == (0.3, 0.25, 0.5)
    assert ods.f == pytest.approx(1 / 3)


def test_ois_takes_each_image_at_its_own_best_threshold() -> None:
    """The first image is best at 0.6 (P 5/5), the second at 0.3 (R 10/10): R = 15/20, P = 15/15."""
    counts = np.array([[[5, 10, 5, 50], [5, 10, 5, 5]], [[10, 10, 10, 10], [1, 10, 1, 1]]])
    ois = summarise(counts, TWO).ois
    assert (ois.recall, ois.precision) == (0.75, 1.0)


def test_of_thresholds_with_the_same_f_the_first_one_counts() -> None:
    counts = np.array([[[5, 10, 5, 10], [5, 10, 5, 10]]])
    assert summarise(counts, TWO).ods.threshold == 0.3


def test_seism_compares_f_with_six_decimals() -> None:
    """400000/1600001 and 400001/1600004 differ by 2e-7, the second is larger."""
    counts = np.array([[[200000, 800000, 200000, 800001], [400001, 1600002, 400001, 1600001]]])
    first, second = points(counts, TWO)[0, :, 2]
    assert first < second
    assert summarise(counts, TWO).ois.recall == 0.25


def test_bsds_looks_for_the_best_f_between_thresholds() -> None:
    """(R, P) = (1, 0.2) and (0.2, 1): F is 1/3 at both; halfway R = P = 0.6, met by the 100 steps to 1e-4."""
    counts = np.array([[[10, 10, 2, 10], [2, 10, 2, 2]]])
    assert summarise(counts, TWO).ods.f == pytest.approx(1 / 3)
    best = summarise(counts, TWO_BSDS).ods
    assert best.f == pytest.approx(0.6, abs=1e-4)
    assert best.threshold == pytest.approx(0.45, abs=2e-3)


@pytest.mark.parametrize(
    ("row", "seism", "bsds"),
    [
        ([0, 10, 0, 0], (0, 1), (0, 0)),
        ([0, 0, 0, 10], (1, 0), (0, 0)),
        ([0, 0, 0, 0], (0, 1), (0, 0)),
        ([0, 10, 0, 10], (0, 0), (0, 0)),
    ],
)
def test_recall_and_precision_of_nothing(row: list[int], seism: tuple[int, int], bsds: tuple[int, int]) -> None:
    """Values of the published scripts of SEISM and BSDS; F is zero in any case."""
    assert points(np.array([row]), SEISM)[0].tolist() == [*seism, 0]
    assert points(np.array([row]), BSDS)[0].tolist() == [*bsds, 0]


def test_average_precision_counts_only_where_the_curve_reaches() -> None:
    """P falls from 1 at R 0.2 to 0.5 at R 0.4: 21 places 0.20, 0.21, ..., 0.40 with a mean of 0.75."""
    curve = np.array([[0.4, 0.5, 0], [0.2, 1.0, 0]])
    assert average_precision(curve) == pytest.approx(21 * 0.75 / 100)


def test_average_precision_of_a_single_recall_is_zero() -> None:
    assert average_precision(np.array([[0.4, 0.5, 0], [0.4, 0.7, 0]])) == 0


def image_counts() -> st.SearchStrategy[list[list[int]]]:
    """Counts of an image of one annotator at two thresholds."""
    row = st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)).map(
        lambda t: [min(t), t[1], min(t), t[2]]
    )
    return st.lists(row, min_size=2, max_size=2)


@settings(max_examples=200, deadline=None)
@given(images=st.lists(image_counts(), min_size=1, max_size=6))
def test_no_image_is_better_at_the_common_threshold_than_at_its_own(images: list[list[list[int]]]) -> None:
    """Up to the six decimals that SEISM compares."""
    counts = np.array(images)
    summary = summarise(counts, TWO)
    common = TWO.thresholds.index(summary.ods.threshold)
    f = points(counts, TWO)[..., 2]
    chosen = [int(np.array([f"{value:.6f}" for value in image], float).argmax()) for image in f]
    assert (f[np.arange(len(f)), chosen] >= f[:, common] - 1e-6).all()
    if len(images) == 1:
        assert summary.ois.f >= summary.ods.f - 1e-6


def test_ois_may_fall_below_ods_by_its_published_definition() -> None:
    """The best F of a hard image (0.2 with 200 wrong pixels, against 0 with none) spoils the sum of the counts."""
    hard, easy = [[30, 100, 30, 200], [0, 100, 0, 0]], [[1000, 1000, 1000, 1000]] * 2
    summary = summarise(np.array([hard, easy]), TWO)
    assert summary.ois.f == pytest.approx(2 * 1030 / 2300)
    assert summary.ods.f == pytest.approx(2 * 1000 / 2100)
