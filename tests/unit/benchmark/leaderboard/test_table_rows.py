"""Rows, their labels and costs, the plans of boards, and titles and notes of tables."""

from __future__ import annotations

import pytest
from made_up_results import board_of, cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import Analysis, analyse
from benchmark.leaderboard.notes import board_title, notes_of, other_title
from benchmark.leaderboard.plan import RowKey, plans_of
from benchmark.leaderboard.rows import Row, recipe_version, training_steps
from benchmark.leaderboard.tables import tables
from benchmark.records.boards import Board
from benchmark.records.overrides import Overrides
from benchmark.records.store import Stored

KEY = RowKey("m", "none")


def only(cells: list[Stored]) -> Analysis:
    """The one table of other runs."""
    (found,) = analyse(tables(cells))
    return found


def test_progress_counts_each_status() -> None:
    assert Row(KEY, (), (0, 1, 2), {0: "diverged", 1: "failed", 2: "failed"}).progress() == (
        "0 of 3 seeds (1 diverged, 2 failed)"
    )


def test_the_training_time_of_a_row_is_of_its_longest_cell_and_the_mean_step() -> None:
    """100 steps of 0.3 s, the mean of 0.2 and 0.4 s."""
    cells = tuple(
        make_cell("m", seed=seed, version=1, settings={"train_cfg.max_iters": steps}, cost={"step_seconds": time})
        for seed, (steps, time) in enumerate([(100, 0.2), (50, 0.4)])
    )
    assert Row(KEY, cells).training_seconds() == pytest.approx(30)
    assert Row(KEY, (make_cell("m", cost={"step_seconds": 0.2}),)).training_seconds() is None
    assert Row(KEY, (make_cell("m", version=1, settings={"train_cfg.max_iters": 9}),)).training_seconds() is None


def test_steps_follow_from_times_where_no_ingredient_names_them() -> None:
    """50 s in steps of 0.3 s are 166.7 steps."""
    times = {"train_seconds": 50.0, "seconds_per_step": 0.3}
    assert training_steps(make_cell("m", cost=times).result) == 167
    assert training_steps(make_cell("m", cost={"train_seconds": 50.0}).result) is None


def test_a_cost_of_zero_is_known() -> None:
    row = Row(KEY, (make_cell("m", cost={"parameters_unused": 0.0}),))
    assert row.cost("parameters_unused") == 0.0
    assert row.cost("gmacs") is None


def test_entries_of_the_provenance_are_listed_once_in_the_order_of_the_seeds() -> None:
    cells = tuple(make_cell("m", seed=seed, provenance={"host": name}) for seed, name in enumerate("aba"))
    assert Row(KEY, cells).provenance("host") == ["a", "b"]


def test_ingredients_without_a_version_are_of_the_first() -> None:
    cell = make_cell("m", version=7)
    assert recipe_version(cell.result) == 7
    cell.result.spec.ingredients.versions.clear()
    assert recipe_version(cell.result) == 1


def test_a_note_of_the_data_may_be_one_text() -> None:
    assert only([make_cell("m", data={"id": "d", "notes": "One note."})]).table.data_notes == ["One note."]


def test_labels_show_options_of_a_regularizer_as_they_are_written() -> None:
    key = RowKey("m", "aux", Overrides({"regularizer.depth": "feature", "regularizer.ramp": True, "weight": 0.5}))
    assert key.regularizer_label == "aux (depth=feature, ramp=true, weight=0.5)"
    assert key.label == "m+aux (depth=feature, ramp=true, weight=0.5)"
    assert RowKey("m", "none", key.options).label == "m"


def test_a_plan_keeps_what_its_board_says() -> None:
    """A setting of a comparison replaces the same setting of the board."""
    board = Board(
        name="b",
        title="t",
        recipe="smoke",
        version=2,
        settings={"lr": 1},
        cells=({"methods": ["m"], "regularizers": ["none", "aux"], "seeds": [0], "settings": {"lr": 2}},),
        comparisons=({"regularizer": "aux", "over": "none", "methods": ["m"], "settings": {"lr": 2}},),
        caveats=("Small.",),
        ranking={"depth": "absRel"},
    )
    (plan,) = plans_of(board)
    assert plan.settings == Overrides({"lr": 2})
    assert plan.primary == {(RowKey("m", "aux"), KEY)}
    assert (plan.caveats, plan.ranking) == (("Small.",), {"depth": "absRel"})


UNKNOWN = "These results do not say on which data they were measured: they are not averaged or compared."


def test_results_on_unknown_data_have_a_note_and_boards_and_failures_have_none() -> None:
    assert notes_of(only([make_cell("m", values={"mIoU": 20.0}, data={})])) == [
        UNKNOWN,
        "Not measured, and no part of any gain: depth rmse@pixel, normals mean@pixel.",
    ]
    assert notes_of(only([make_cell("m", error="no disk", data={})])) == []
    assert notes_of(board_of(make_plan([("m", "none")]), [])) == []
    assert UNKNOWN not in notes_of(only([make_cell("m", values={"mIoU": 20.0})]))


def test_metrics_that_no_result_has_are_named_only_if_another_one_was_measured() -> None:
    cell = make_cell("m", values={"mIoU": 20.0}, tasks=("semseg", "boundary"))
    assert notes_of(only([cell])) == ["Not measured, and no part of any gain: boundary odsF@seism."]
    assert notes_of(only([make_cell("m", tasks=("semseg", "boundary"))])) == []


def test_results_of_older_ingredients_are_counted() -> None:
    """Five old cells of two rows; the row with three of them was trained again on one seed."""
    old = [*cells_with("m", "none", [20.0, 21.0, 22.0]), *cells_with("n", "none", [20.0, 20.0])]
    new = cells_with("m", "none", [22.0], settings={"lr": 2}, provenance={"finished": "2027-01-02"})
    last = notes_of(only([*old, *new]))[-1]
    assert last == "3 results were left out: newer results of their rows have other ingredients."


def test_titles_name_version_data_and_settings() -> None:
    settings = Overrides({"lr": 1})
    plan = make_plan([("m", "none")], settings=settings)
    assert board_title(board_of(plan, [])) == "board: A board (recipe smoke version 2, no data yet, with lr=1)"
    full = board_of(make_plan([("m", "none")]), cells_with("m", "none", [20.0]))
    assert board_title(full) == "board: A board (recipe smoke version 2, data d)"
    assert other_title(only(cells_with("m", "none", [20.0], overrides={"lr": 1}))) == "smoke version 2, lr=1"
    assert other_title(only([make_cell("m", values={"mIoU": 20.0})])) == "smoke"
