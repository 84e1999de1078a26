"""The sentences of a summary, word by word, on boards with values by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from made_up_results import board_of, cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.markup import PLAIN
from benchmark.leaderboard.rows import Setting
from benchmark.leaderboard.summary import board_summary, describe, noise_sentence, power_sentence, reference_name
from benchmark.leaderboard.tables import tables
from benchmark.records.overrides import Overrides

ONE_TASK = [20.0, 21.0, 22.0]


def test_the_power_is_told_by_its_median_and_range() -> None:
    assert power_sentence(SimpleNamespace(smallest_effects=lambda: [0.5, 1.0, 2.25])) == (
        "With these seeds and this spread, a comparison of two rows finds a gain of 1.00 % or more "
        "(median; 0.50 to 2.25 %) with 80 % power at 5 %, two-sided, before Holm."
    )
    assert power_sentence(SimpleNamespace(smallest_effects=list)) == ""


def test_the_noise_of_one_task_is_not_shared_out() -> None:
    assert noise_sentence(SimpleNamespace(noise={"semseg": 1.0})) == ""


def test_a_setting_is_described_by_what_is_known() -> None:
    full = Setting("lite", 3, "val", "d", "f", "b", ("semseg", "depth"), Overrides({"lr": 1}))
    assert describe(full, PLAIN) == (
        "Recipe lite version 3 · data d · split val · backbone b · tasks semseg, depth · with lr=1"
    )
    bare = Setting("lite", None, "test", "", "", "", (), Overrides())
    assert describe(bare, PLAIN) == "Recipe lite, version not recorded · data unknown"


@pytest.mark.parametrize(
    ("methods", "others"), [(1, "no other row is"), (2, "1 other row is"), (3, "2 other rows are")]
)
def test_the_rows_that_are_not_worse_than_the_best_are_counted(methods: int, others: str) -> None:
    """Equal rows; the first of them is the reference."""
    names = ["single_task", "mtan", "pap"][:methods]
    cells = [cell for name in names for cell in cells_with(name, "none", ONE_TASK)]
    first, *_ = board_summary(board_of(make_plan([(name, "none") for name in names], range(3)), cells), PLAIN)
    assert first == (
        f"board: {3 * methods} of {3 * methods} cells are done; of {methods} ranked rows, single_task has the highest "
        f"mean gain over single_task (the reference itself), and {others} not significantly worse."
    )


def test_the_best_row_has_its_gain_and_the_part_of_the_board_its_settings() -> None:
    """22 over 20 is +10 % in each of three seeds; single_task is significantly worse."""
    plan = make_plan([("single_task", "none"), ("mtan", "none")], range(3), settings=Overrides({"lr": 1}))
    cells = [
        *cells_with("single_task", "none", [20.0] * 3, overrides={"lr": 1}),
        *cells_with("mtan", "none", [22.0] * 3, overrides={"lr": 1}),
    ]
    assert board_summary(board_of(plan, cells), PLAIN)[0] == (
        "board with lr=1: 6 of 6 cells are done; of 2 ranked rows, mtan has the highest mean gain over single_task "
        "(+10.00 [+10.00, +10.00] %), and no other row is not significantly worse."
    )
    assert board_summary(board_of(plan, []), PLAIN) == [
        "board with lr=1: 0 of 6 cells are done; no row can be ranked yet."
    ]


ROWS = [(method, regularizer) for method in ("a", "b", "c") for regularizer in ("none", "aux")]


def test_a_declared_comparison_has_its_gain_seeds_and_adjusted_p() -> None:
    """Mean gains of the methods: 9, 10 and 11 %, so 10 +- 4.3027 / sqrt(3), and t = 10 sqrt(3), p = 0.0033.

    The family has five members, of which the three rows and the statement about these methods do not vary: p = 0.
    """
    cells = [cell for method in "abc" for cell in cells_with(method, "none", [100.0] * 3)]
    cells += [
        cell
        for method, value in zip("abc", (109, 110, 111), strict=True)
        for cell in cells_with(method, "aux", [value] * 3)
    ]
    text = board_summary(board_of(make_plan(ROWS, range(3)), cells), PLAIN)[1]
    assert text == "aux over none: +10.00 [+7.52, +12.48] % (3 methods, 3 seeds, adjusted p 0.003), a gain."


def test_the_p_value_of_a_declared_comparison_is_adjusted() -> None:
    """Two comparisons of one method: Holm doubles the smaller p value."""
    rows = [("m", name) for name in ("none", "aux", "flat")]
    values = {"none": [20.0, 20.0, 20.0], "aux": [21.0, 22.0, 22.5], "flat": [20.1, 19.9, 20.2]}
    cells = [cell for name, found in values.items() for cell in cells_with("m", name, found)]
    analysis = board_of(make_plan(rows, range(3), primary=(("aux", "none"), ("flat", "none"))), cells)
    first, second = board_summary(analysis, PLAIN)[1].split("; ")
    p = [found.estimate.p for found in analysis.headlines()]
    assert first.endswith(f"% (m, 3 seeds, adjusted p {2 * p[0]:.3f}), neither a gain nor a loss is shown")
    assert second.endswith(f"% (m, 3 seeds, adjusted p {p[1]:.3f}), neither a gain nor a loss is shown.")


def test_declared_comparisons_without_enough_cells_say_so() -> None:
    """Two methods are no sample of methods; then no method has both rows."""
    cells = [cell for method in "ab" for name in ("none", "aux") for cell in cells_with(method, name, ONE_TASK)]
    board = board_of(make_plan(ROWS[:4], range(3)), cells)
    assert board_summary(board, PLAIN)[1] == "aux over none: not enough cells for an interval (2 methods)."
    board = board_of(make_plan(ROWS[:4], range(3)), cells[:3])
    assert board_summary(board, PLAIN)[1] == "aux over none: not enough cells for an interval (no method yet)."
    board = board_of(make_plan(ROWS[:2], range(3)), cells[:3])
    assert board_summary(board, PLAIN)[1] == "aux over none: not enough cells for an interval (a)."
    board = board_of(make_plan(ROWS[:2], range(3), primary=()), cells[:3])
    assert board_summary(board, PLAIN)[1] == "The board declares no comparison."


def test_the_limits_name_the_median_effect_that_can_be_found() -> None:
    """Gains of 9, 10, 11 % and of 8, 10, 12 % and their differences: deviations 1, 2 and about 3; three pairs need
    3.264 of them."""
    rows = [("single_task", "none"), ("a", "none"), ("b", "none")]
    values = {"single_task": [100.0] * 3, "a": [109.0, 110.0, 111.0], "b": [112.0, 110.0, 108.0]}
    cells = [cell for name, found in values.items() for cell in cells_with(name, "none", found)]
    assert board_summary(board_of(make_plan(rows, range(3)), cells), PLAIN)[2] == (
        "The board cannot say if two rows differ by less than about 4.9 %, and nothing about other data, backbones or "
        "schedules."
    )
    assert board_summary(board_of(make_plan(rows, range(3)), cells[:2]), PLAIN)[2] == (
        "The board cannot say anything about other data, backbones or schedules."
    )


def test_without_a_row_without_a_regularizer_there_is_no_reference() -> None:
    (analysis,) = analyse(tables([make_cell("m", "aux", values={"mIoU": 20.0})]))
    assert reference_name(analysis) == "no row"
