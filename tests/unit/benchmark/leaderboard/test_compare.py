"""The paired difference of two rows, commits or folders, and what differs in their ingredients."""

from __future__ import annotations

import pytest
from made_up_results import cells_with, make_cell
from scipy import stats

from benchmark.leaderboard.columns import chosen_columns
from benchmark.leaderboard.compare import changes_between, compare, select


def test_two_rows_are_paired_by_seed():
    """Gains of 10, 20 and 30 % on the three common seeds."""
    first = cells_with("mtan", "none", [10.0, 20.0, 30.0])
    second = cells_with("mtan", "aux", [11.0, 24.0, 39.0, 90.0])
    (found,) = compare(select("mtan", [*first, *second]), select("mtan+aux", [*first, *second]))
    low, _ = stats.t.interval(0.95, 2, loc=20, scale=10 / 3**0.5)
    assert (found.gains[0].n, found.gains[0].mean) == (3, pytest.approx(20))
    assert found.gains[0].low == pytest.approx(low)
    assert found.values[0][1].mean == pytest.approx((11 + 24 + 39) / 3), "means are over the common seeds too"
    assert "mtan+aux over mtan (smoke)" in found.to_text()


def test_the_gain_of_each_task_stands_by_its_metric():
    """+10 % mIoU, 20 % more depth error, 5 % less angle."""
    first = make_cell("mtan", values={"mIoU": 20.0, "rmse@pixel": 0.5, "mean@pixel": 20.0})
    second = make_cell("pap", values={"mIoU": 22.0, "rmse@pixel": 0.6, "mean@pixel": 19.0})
    (found,) = compare([first], [second])
    assert [column.name for column in found.columns] == ["mIoU", "rmse@pixel", "mean@pixel"]
    assert [gain.mean for gain in found.gains] == pytest.approx([-5 / 3, 10.0, -20.0, 5.0])


def test_two_commits_are_compared_row_by_row():
    old = [make_cell(name, values={"mIoU": 20.0}, provenance={"commit": "a" * 40}) for name in ("mtan", "pap", "psd")]
    new = [
        make_cell(name, values={"mIoU": 22.0}, data={"id": "e"}, provenance={"commit": "b" * 40})
        for name in ("mtan", "pap")
    ]
    found = compare(select("a" * 8, [*old, *new]), select("b" * 8, [*old, *new]))
    assert [difference.first.method for difference in found] == ["mtan", "pap"]
    assert [difference.gains[0].mean for difference in found] == pytest.approx([10.0, 10.0])
    assert f"commit {'a' * 40} -> {'b' * 40}" in found[0].changes
    assert "data id d -> e" in found[0].changes


def test_a_row_is_not_paired_with_other_rows_of_a_folder():
    """One row against two: equal rows are paired, and no others."""
    first = cells_with("mtan", "none", [10.0, 20.0])
    second = [*cells_with("mtan", "none", [11.0, 22.0]), *cells_with("pap", "none", [30.0, 40.0])]
    for sides in ((first, second), (second, first)):
        (found,) = compare(*sides)
        assert (found.first.method, found.second.method) == ("mtan", "mtan")


def test_changes_name_ingredients_and_environment():
    first = make_cell("mtan", version=1, settings={"lr": 1}, provenance={"versions": {"torch": "2.8"}})
    second = make_cell("mtan", version=2, settings={"lr": 2}, provenance={"versions": {"torch": "2.9"}})
    assert changes_between(first, second) == ["recipe version 1 -> 2", "lr 1 -> 2", "versions torch 2.8 -> 2.9"]


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"found 'mtam', expected a row, .* near: mtan"):
        select("mtam", cells_with("mtan", "none", [1.0]))


def test_chosen_metrics_are_compared_in_place_of_the_ranking_ones():
    """pixAcc 50 and 60: a gain of 20 %."""
    first = make_cell("mtan", values={"mIoU": 20.0, "pixAcc": 50.0})
    second = make_cell("pap", values={"mIoU": 10.0, "pixAcc": 60.0})
    (found,) = compare([first], [second], chosen_columns("semseg/pixAcc", [first.result]))
    assert [gain.mean for gain in found.gains] == pytest.approx([20.0, 20.0])
    assert "mIoU" not in found.to_text()
