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


def test_only_finished_results_and_no_short_hashes_are_found():
    (cell,) = cells_with("mtan", "none", [1.0])
    assert select("0123456", [cell]) == [cell]
    with pytest.raises(ValueError, match=r"found '012345', .* rows: mtan$"):
        select("012345", [cell])
    with pytest.raises(ValueError, match="rows: none$"):
        select("mtan", [make_cell("mtan", error="no memory")])


def test_cells_without_a_common_seed_are_not_compared():
    assert compare(cells_with("mtan", "none", {0: 10.0}), cells_with("mtan", "none", {1: 11.0})) == []


def test_versions_of_a_recipe_are_compared():
    first, second = (cells_with("mtan", "none", [miou], version=version) for version, miou in ((1, 10.0), (2, 11.0)))
    (found,) = compare(first, second)
    assert found.gains[0].mean == pytest.approx(10)
    assert found.setting.version == 1
    assert "recipe version 1 -> 2" in found.to_text()


def test_the_newest_ingredients_of_a_row_are_compared():
    """The cell was trained again, from 10 to 20; 30 is 50 % more than 20."""
    old, new = (
        cells_with("mtan", "none", [miou], settings={"lr": rate}, provenance={"finished": day})
        for miou, rate, day in ((10.0, 1, "2027-01-01"), (20.0, 2, "2027-01-02"))
    )
    (found,) = compare([*new, *old], cells_with("mtan", "aux", [30.0]))
    assert found.gains[0].mean == pytest.approx(50)


def test_values_are_of_the_seeds_that_have_a_gain():
    """Seed 1 of the second row has no metric."""
    second = [*cells_with("mtan", "aux", {0: 11.0}), make_cell("mtan", "aux", 1, tasks=("semseg",), version=2)]
    (found,) = compare(cells_with("mtan", "none", [10.0, 30.0]), second)
    assert [summary.mean for summary in found.values[0]] == [10.0, 11.0]


def test_without_a_gain_the_values_are_shown_alone():
    """A relative gain over zero does not exist."""
    (found,) = compare(cells_with("mtan", "none", [0.0]), cells_with("mtan", "none", [5.0]))
    text = found.to_text()
    lines = [[part.strip() for part in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    assert lines[2] == ["mean over these", "", "", "\N{EN DASH}", "0", "\N{EN DASH}"]
    assert lines[3] == ["semseg mIoU ↑ (%)", "0.00", "5.00", "\N{EN DASH}", "0", "\N{EN DASH}"]
    assert text.startswith("mtan (smoke)\n")
    assert text.endswith("differs in:\n  nothing that is recorded\n")


def test_the_table_has_both_means_the_gain_and_its_p_value():
    """Gains of 10, 20 and 30 %: t = 20 / (10 / sqrt(3)) on two degrees of freedom."""
    (found,) = compare(cells_with("mtan", "none", [10.0] * 3), cells_with("mtan", "aux", [11.0, 12.0, 13.0]))
    line = next(line for line in found.to_text().splitlines() if line.startswith("| semseg"))
    p = stats.ttest_1samp([10.0, 20.0, 30.0], 0).pvalue
    expected = ["semseg mIoU ↑ (%)", "10.00 ± 0.00", "12.00 ± 1.00", "+20.00 [-4.84, +44.84]", "3", f"{p:.3f}"]
    assert [part.strip() for part in line.split("|")[1:-1]] == expected


def test_a_seed_and_missing_ingredients_are_no_difference():
    assert changes_between(make_cell("mtan"), make_cell("mtan", seed=1)) == []
    assert changes_between(make_cell("mtan", version=2), make_cell("mtan", seed=1)) == []
    assert changes_between(make_cell("mtan"), make_cell("pap")) == ["method mtan -> pap"]


def test_an_entry_that_is_missing_on_one_side_is_named_whole():
    first, second = (make_cell("mtan", provenance=found) for found in ({"hardware": {"cpu": "X"}}, {}))
    assert changes_between(first, second) == ["hardware {'cpu': 'X'} -> None"]
    assert changes_between(second, first) == ["hardware None -> {'cpu': 'X'}"]


def test_entries_of_one_side_and_nested_entries_are_named_in_full():
    first, second = (
        make_cell("mtan", provenance={"dirty": dirty, "versions": versions, "hardware": {"gpu": {"memory": memory}}})
        for dirty, versions, memory in ((False, {}, 8), (True, {"numpy": "2.3"}, 16))
    )
    changes = ["dirty False -> True", "versions numpy None -> 2.3", "hardware gpu memory 8 -> 16"]
    assert changes_between(first, second) == changes


def test_results_with_ingredients_are_newer_than_results_without():
    old = make_cell("mtan", values={"mIoU": 10.0}, tasks=("semseg",), provenance={"finished": "2028-01-01"})
    (new,) = cells_with("mtan", "none", [20.0], provenance={"finished": "2027-01-01"})
    for cells in ([old, new], [new, old]):
        (found,) = compare(cells, cells_with("mtan", "aux", [30.0]))
        assert found.gains[0].mean == pytest.approx(50)
