"""The block of README.md: its marks, and the board that it shows."""

from __future__ import annotations

import pytest
from made_up_results import board_of, cells_with, make_plan

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.readme import BEGIN, END, with_readme_block
from benchmark.leaderboard.tables import tables

ROWS = [("mtan", "none")]


@pytest.mark.parametrize(
    "text",
    ["", BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}\n{BEGIN}\n{END}", f"{BEGIN}\n{END}\n{END}"],
    ids=["no mark", "no end", "no beginning", "wrong order", "two beginnings", "two ends"],
)
def test_a_text_without_both_marks_once_and_in_order_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no block to rewrite: expected one line"):
        with_readme_block(text, [])


def test_the_first_board_that_has_a_result_is_shown() -> None:
    other = analyse(tables(cells_with("mtan", "none", [20.0], recipe="other")))
    empty, first, second = (
        board_of(make_plan(ROWS, (0,), name=name, title=name), cells)
        for name, cells in (
            ("empty", []),
            ("first", cells_with("mtan", "none", [20.0])),
            ("second", cells_with("mtan", "none", [21.0])),
        )
    )
    text = with_readme_block(f"{BEGIN}\n{END}", [*other, empty, first, second])
    assert text.startswith(f"{BEGIN}\n**first: first (recipe smoke version 2, data d)**\n\n* `first`: 1 of 1 cells")


def test_without_a_result_on_a_board_the_block_says_so() -> None:
    boards = [board_of(make_plan(ROWS), []), *analyse(tables(cells_with("mtan", "none", [20.0])))]
    assert with_readme_block(f"{BEGIN}\n{END}", boards) == f"{BEGIN}\nNo cell of a board has been run yet.\n{END}"
