"""Which rows are compared, and the methods that a statement is about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_results import board_of, cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.comparisons import GENERAL, PRIMARY, REST, ROW, THESE, Comparison
from benchmark.leaderboard.plan import RowKey
from benchmark.leaderboard.statistics import Estimate
from benchmark.leaderboard.tables import tables
from benchmark.records.overrides import Overrides

ROWS = [(method, regularizer) for method in ("a", "b", "c") for regularizer in ("none", "aux")]
CELLS = [
    cell
    for place, row in enumerate(ROWS)
    for cell in cells_with(*row, [20.0 + place + seed * (place + 1) / 10 for seed in range(3)])
]
PAIR = RowKey("a", "aux"), RowKey("a", "none")


def test_a_declared_comparison_is_about_the_declared_methods_alone() -> None:
    """Three methods have both rows, and the board declares the comparison for two of them."""
    plan = make_plan(ROWS, range(3))
    assert board_of(plan, CELLS).find(GENERAL, *PAIR).methods == ("a", "b", "c")
    for_two = replace(plan, primary=frozenset(pair for pair in plan.primary if pair[0].method != "c"))
    analysis = board_of(for_two, CELLS)
    assert {analysis.find(kind, *PAIR).methods for kind in (GENERAL, THESE)} == {("a", "b")}
    assert analysis.find(ROW, RowKey("c", "aux"), RowKey("c", "none")).estimate.n == 3


def test_a_comparison_that_no_board_declares_is_about_all_methods() -> None:
    analysis = board_of(make_plan(ROWS, range(3), primary=()), CELLS)
    assert analysis.find(GENERAL, *PAIR).methods == ("a", "b", "c")
    assert len(analysis.smallest_effects()) == sum(found.kind == ROW for found in analysis.comparisons)


def test_two_boards_have_families_of_their_own() -> None:
    plans = [make_plan(ROWS, range(3), name=name, recipe=name) for name in ("one", "two")]
    cells = {
        plan.name: [
            cell
            for place, row in enumerate(ROWS)
            for cell in cells_with(*row, [20.0 + place, 20.0 + 2 * place, 21.0 + place], recipe=plan.recipe)
        ]
        for plan in plans
    }
    together = analyse(tables([*cells["one"], *cells["two"]], plans))
    assert together == [board_of(plan, cells[plan.name]) for plan in plans]


def test_regularizers_are_compared_in_the_declared_direction_and_over_none() -> None:
    """The board lists aux before flat and before none, and declares aux over flat."""
    rows = [("a", "aux"), ("a", "flat"), ("a", "none")]
    cells = [cell for row in rows for cell in cells_with(*row, [20.0, 21.0, 22.0])]
    analysis = board_of(make_plan(rows, range(3), primary=(("aux", "flat"),)), cells)
    pairs = {(found.row.regularizer, found.baseline.regularizer): found.family for found in analysis.comparisons}
    assert pairs == {("aux", "flat"): PRIMARY, ("aux", "none"): REST, ("flat", "none"): REST}


def test_a_regularizer_with_options_is_compared_with_its_method_without_a_regularizer() -> None:
    light = Overrides({"regularizer.weight": 0.1})
    cells = [*cells_with("single_task", "none", [40.0]), *cells_with("a", "none", [20.0])]
    cells += cells_with("a", "aux", [22.0], overrides=dict(light))
    (analysis,) = analyse(tables(cells))
    assert analysis.find(ROW, RowKey("a", "aux", light), RowKey("a", "none")).estimate.mean == pytest.approx(10)


def test_a_method_with_two_common_seeds_is_no_part_of_the_statements_over_methods() -> None:
    cells = [cell for cell in CELLS if cell.result.run_id != CELLS[-1].result.run_id]
    analysis = board_of(make_plan(ROWS, range(3)), cells)
    assert analysis.find(ROW, RowKey("c", "aux"), RowKey("c", "none")).seeds == (2,)
    assert {found.methods for found in analysis.over_methods()} == {("a", "b")}


@pytest.mark.parametrize(
    ("family", "p", "called"),
    [(PRIMARY, 0.0299, True), (PRIMARY, 0.03, False), (REST, 0.0099, True), (REST, 0.01, False), ("", 1e-9, False)],
)
def test_the_level_of_the_family_decides_what_is_called_a_gain_or_a_loss(family: str, p: float, called: bool) -> None:
    for mean, word in ((1.0, "gain"), (-1.0, "loss")):
        found = Comparison(ROW, ("a",), *PAIR, "", family, Estimate(3, mean), (3,), p_adjusted=p)
        assert found.verdict == (word if called else "")


TWO = ("semseg", "depth")
"""Tasks of the boards below."""


def two_tasks(mious: dict[str, list[float]], method: str = "a", rise: float = 0.0) -> list:
    """Cells of one method with these mIoU values by regularizer, and depth errors of half a metre or by seed."""
    return [
        make_cell(method, regularizer, seed, {"mIoU": value, "rmse@pixel": 0.5 + rise * seed}, tasks=TWO, version=2)
        for regularizer, values in mious.items()
        for seed, value in enumerate(values)
    ]


def test_statements_over_methods_and_the_power_are_about_the_mean_over_tasks() -> None:
    """mIoU gains of 10, 20, 30 % and of 10, 12, 14 %, half of that as means: deviations 5 and 1 %.

    Three pairs find 3.264 standard deviations with 80 % power; b over a and the other pairs over a come first.
    """
    cells = two_tasks({"none": [10.0, 10.0, 10.0], "aux": [11.0, 12.0, 13.0]}, "a")
    cells += two_tasks({"none": [10.0, 10.0, 10.0], "aux": [11.0, 11.2, 11.4]}, "b")
    analysis = board_of(make_plan([row for row in ROWS if row[0] != "c"], range(3)), cells)
    assert [(found.kind, found.task) for found in analysis.over_methods()] == [(GENERAL, ""), (THESE, "")]
    found = {
        (entry.row.label, entry.baseline.label): entry.estimate
        for entry in analysis.comparisons
        if not entry.task and entry.kind == ROW
    }
    assert found.keys() == {("a+aux", "a"), ("b", "a"), ("b+aux", "a"), ("b+aux", "b")}
    assert found["a+aux", "a"].std == pytest.approx(5)
    assert analysis.smallest_effects() == pytest.approx(np.array([0.0, 1.0, 1.0, 5.0]) * 3.264, rel=1e-4)
    assert analysis.find(ROW, *PAIR, "semseg").standardised > 0
    assert analysis.find(ROW, *PAIR).standardised is None, "the noise of depth is not known"


def test_every_standardised_gain_is_in_units_of_the_noise_of_its_task() -> None:
    """Gains and losses of rows and over methods; the mean is the mean of both tasks."""
    cells = two_tasks({"none": [10.0, 10.5, 11.0], "aux": [9.0, 9.1, 9.4]}, "a", 0.01)
    cells += two_tasks({"none": [12.0, 12.5, 12.0], "aux": [13.0, 13.5, 14.0]}, "b", 0.02)
    analysis = board_of(make_plan([row for row in ROWS if row[0] != "c"], range(3)), cells)
    for found in analysis.comparisons:
        units = [analysis.find(found.kind, found.row, found.baseline, task) for task in TWO]
        expected = [entry.estimate.mean / analysis.noise[entry.task] for entry in units]
        assert [entry.standardised for entry in units] == pytest.approx(expected)
        if not found.task:
            assert found.standardised == pytest.approx(sum(expected) / 2)
