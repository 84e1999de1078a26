"""Which rows are compared, and the methods that a statement is about."""

from __future__ import annotations

from dataclasses import replace

from made_up_results import board_of, cells_with, make_plan

from benchmark.leaderboard.comparisons import GENERAL, ROW, THESE
from benchmark.leaderboard.plan import RowKey

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
