"""One-to-one matching against brute force and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from boundary_cases import scattered
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from benchmark.boundaries.matching import bonuses, match_sets, tolerance_of

Pixels = NDArray[np.int64]


def pixels_at(places: list[tuple[int, int]], shape: tuple[int, int]) -> Pixels:
    """Places in raster order of (row, column)."""
    return np.sort(np.array([row * shape[1] + column for row, column in places], np.int64))


def squared_distances(predicted: Pixels, truth: Pixels, width: int) -> Pixels:
    """Squared distance of every predicted to every true pixel, an integer."""
    predicted_at, true_at = np.array(np.divmod(predicted, width)), np.array(np.divmod(truth, width))
    return ((predicted_at[:, :, None] - true_at[:, None]) ** 2).sum(0)


def distances(predicted: Pixels, truth: Pixels, width: int) -> NDArray[np.float64]:
    """Distance of every predicted to every true pixel."""
    return np.sqrt(squared_distances(predicted, truth, width))


def size_and_cost(predicted: Pixels, truth: Pixels, mates: Pixels, width: int) -> tuple[int, int]:
    """Number of matched pairs and the sum of their rint(100 d)."""
    hit = mates >= 0
    assert len(set(mates[hit].tolist())) == hit.sum(), "a true pixel has two mates"
    paired = distances(predicted, truth, width)[np.flatnonzero(hit), mates[hit]]
    return int(hit.sum()), int(np.rint(100 * paired).sum())


def brute_force(predicted: Pixels, truth: Pixels, shape: tuple[int, int], share: float) -> tuple[int, int]:
    """The optimum by a dense assignment: the least of rint(100 d) - ceil(10000 R), then the most pairs."""
    radius = share * math.sqrt(shape[0] ** 2 + shape[1] ** 2)
    apart = distances(predicted, truth, shape[1])
    weight = np.rint(100 * apart)
    # As in the C++ code: the integer is compared with the rounded square. A pair at the radius itself may miss it.
    near = squared_distances(predicted, truth, shape[1]) <= radius * radius
    loss = np.where(near, 10_000 * (weight - math.ceil(10_000 * radius)) - 1, 0)
    rows, columns = linear_sum_assignment(loss)
    chosen = near[rows, columns]
    return int(chosen.sum()), int(weight[rows, columns][chosen].sum())


@settings(max_examples=60, deadline=None)
@example(seed=0, height=3, width=3, share=1 / 3, predicted=0.375, true=0.5, annotator=None)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    share=st.floats(0.02, 0.4),
    predicted=st.floats(0, 0.8),
    true=st.floats(0, 0.8),
    annotator=st.sampled_from([None, 0, 3]),
)
def test_size_and_cost_are_those_of_a_dense_assignment(
    seed: int, height: int, width: int, share: float, predicted: float, true: float, annotator: int | None
) -> None:
    shape = (height, width)
    sets = [np.flatnonzero(scattered(seed + step, shape, predicted)) for step in range(3)]
    truth = np.flatnonzero(scattered(seed + 99, shape, true))
    for each, mates in zip(sets, match_sets(sets, truth, tolerance_of(shape, share), annotator), strict=True):
        assert size_and_cost(each, truth, mates, width) == brute_force(each, truth, shape, share)


@pytest.mark.parametrize("seed", range(4))
def test_size_is_the_largest_possible_where_no_chain_is_long(seed: int) -> None:
    shape, share = (40, 50), 0.05
    predicted, truth = (np.flatnonzero(scattered(seed + k, shape, 0.1)) for k in (0, 50))
    near = distances(predicted, truth, shape[1]) <= share * math.hypot(*shape)
    largest = (maximum_bipartite_matching(csr_array(near)) >= 0).sum()
    (mates,) = match_sets([predicted], truth, tolerance_of(shape, share))
    assert (mates >= 0).sum() == largest


@pytest.mark.parametrize(("links", "matched"), [(70, 70), (110, 110), (111, 110), (260, 259)])
def test_a_match_is_omitted_if_it_shifts_a_chain_by_more_than_a_hundred_radii(links: int, matched: int) -> None:
    """True pixels stand 4 apart and predicted ones on all but the first of them, and 4 beyond the last.

    One more match shifts all by 4 px, 400 each. It is worth it up to ceil(10000 * 0.004 * sqrt(20^2 + 1100^2)) = 44008.
    """
    shape = (20, 1100)
    truth = pixels_at([(10, 4 * step) for step in range(links)], shape)
    predicted = pixels_at([(10, 4 * step + 4) for step in range(links)], shape)
    tolerance = tolerance_of(shape, 0.004)
    assert tolerance.lost == 44008
    (mates,) = match_sets([predicted], truth, tolerance)
    assert size_and_cost(predicted, truth, mates, shape[1]) == (matched, 400 * links if matched == links else 0)


@pytest.mark.parametrize("column", [2, 3])
def test_the_distance_itself_is_within_reach(column: int) -> None:
    """The diagonal of 60x80 is 100, so 0.02 is 2 px."""
    shape = (60, 80)
    (mates,) = match_sets([pixels_at([(0, column)], shape)], pixels_at([(0, 0)], shape), tolerance_of(shape, 0.02))
    assert mates.tolist() == [0 if column == 2 else -1]


def test_distance_decides_between_matchings_of_one_size() -> None:
    """Of two true pixels at distances 1 and 2 the nearer one is taken."""
    shape = (60, 80)
    (mates,) = match_sets([pixels_at([(5, 5)], shape)], pixels_at([(5, 3), (5, 6)], shape), tolerance_of(shape, 0.02))
    assert mates.tolist() == [1]


def test_with_no_distance_only_coincident_pixels_match() -> None:
    shape = (4, 5)
    predicted, truth = pixels_at([(0, 0), (1, 1), (3, 4)], shape), pixels_at([(0, 1), (1, 1), (3, 4)], shape)
    (mates,) = match_sets([predicted], truth, tolerance_of(shape, 0.0))
    assert mates.tolist() == [-1, 1, 2]


def test_matches_do_not_depend_on_the_previous_sets() -> None:
    """Ties are settled by a number of each pixel, so a set gets the same matches alone, first or last."""
    shape, tolerance = (30, 40), tolerance_of((30, 40), 0.06)
    truth = np.flatnonzero(scattered(1, shape, 0.1))
    sets = [np.flatnonzero(scattered(seed, shape, 0.05 + 0.1 * seed)) for seed in range(2, 8)]
    forward, backward = match_sets(sets, truth, tolerance, 0), match_sets(sets[::-1], truth, tolerance, 0)[::-1]
    for each, one, other in zip(sets, forward, backward, strict=True):
        (alone,) = match_sets([each], truth, tolerance, 0)
        assert np.array_equal(one >= 0, alone >= 0)
        assert np.array_equal(other >= 0, alone >= 0)


def test_exchanging_both_maps_changes_neither_size_nor_cost() -> None:
    shape, tolerance = (30, 40), tolerance_of((30, 40), 0.07)
    one, other = (np.flatnonzero(scattered(seed, shape, 0.15)) for seed in (0, 1))
    (forward,), (backward,) = match_sets([one], other, tolerance), match_sets([other], one, tolerance)
    assert size_and_cost(one, other, forward, 40) == size_and_cost(other, one, backward, 40)


def test_empty_sets_match_nothing() -> None:
    tolerance, nothing, something = tolerance_of((6, 7), 0.2), np.array([], np.int64), np.array([3], np.int64)
    assert [len(mates) for mates in match_sets([nothing, something], nothing, tolerance)] == [0, 1]
    assert match_sets([something, nothing], something, tolerance)[0].tolist() == [0]
    assert match_sets([], something, tolerance) == []


@pytest.mark.parametrize(("matches", "lost"), [(5000, 77_332), (10**6, 10**6)])
def test_bonuses_stay_below_one_unit_of_cost_and_gains_below_the_range_of_integers(matches: int, lost: int) -> None:
    bonus, unit = bonuses(np.arange(1000), matches, lost, annotator=4)
    assert bonus.min() >= 1
    assert int(bonus.max()) * matches < unit
    # Prices are at most a gain, and a search adds no more than two of them to a gain.
    assert 3 * (lost * unit + int(bonus.max())) < 2**62
