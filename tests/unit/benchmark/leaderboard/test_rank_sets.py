"""Rank sets of rows with unequal seeds, and the size of the family that they are corrected in."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_results import board_of, cells_with, make_plan
from scipy import stats

from benchmark.leaderboard.plan import RowKey
from benchmark.leaderboard.ranking import rank_sets

NOISE = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])


def test_rows_with_other_seeds_are_compared_over_the_common_ones() -> None:
    """Steps of 10 with differences of about 0.02, over five or three common seeds: every pair differs."""
    found = rank_sets(
        {
            "third": dict(enumerate(0.01 * NOISE)),
            "second": dict(enumerate(10 + 0.02 * NOISE[:3])),
            "first": dict(enumerate(20 + 0.03 * NOISE)),
        },
        3,
    )
    assert [(key, str(ranks)) for key, ranks in found.items()] == [("first", "1"), ("second", "2"), ("third", "3")]


@pytest.mark.parametrize(
    ("p", "rows", "second"),
    [(0.03, 2, "2"), (0.03, 3, "1-2"), (0.007, 4, "2"), (0.009, 4, "1-2")],
    ids=["0.03 alone", "0.03 x 3", "0.007 x 6", "0.009 x 6"],
)
def test_the_family_of_the_ranks_are_all_pairs_of_planned_rows(p: float, rows: int, second: str) -> None:
    """Two complete rows whose one p value is multiplied by the number of pairs; the limit is 0.05."""
    shift = stats.t.ppf(1 - p / 2, 4) / 5**0.5
    better = dict(enumerate(NOISE / NOISE.std(ddof=1) + shift))
    assert str(rank_sets({"a": better, "b": dict.fromkeys(range(5), 0.0)}, rows)["b"]) == second


@pytest.mark.parametrize(("planned", "reference"), [([], "2"), ([("pap", "none"), ("pap", "aux")], "1-2")], ids=str)
def test_rows_of_a_board_without_a_result_count_in_the_family(planned: list[tuple[str, str]], reference: str) -> None:
    """The one p value is 0.02 with two rows, and 6 x 0.02 with four planned rows."""
    gains = NOISE / NOISE.std(ddof=1) + stats.t.ppf(0.99, 4) / 5**0.5
    cells = [*cells_with("single_task", "none", [50.0] * 5), *cells_with("mtan", "none", 50.0 + gains / 2)]
    analysis = board_of(make_plan([("single_task", "none"), ("mtan", "none"), *planned]), cells)
    assert str(analysis.ranks[RowKey("single_task", "none")]) == reference
