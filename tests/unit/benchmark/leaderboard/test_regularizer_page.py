"""The page about a regularizer: its words follow adjusted p values, and it shows the rows that it is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from made_up_results import board_of, cells_with, make_plan

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.regularizer_page import PageContents
from benchmark.records.regularizer_pages import RegularizerPage

ROWS = [("mtan", "none"), ("mtan", "aux"), ("mtan", "other")]
PLAIN = [20.0, 20.1, 19.9, 20.2, 19.8]
BETTER = [value * 1.05 + noise for value, noise in zip(PLAIN, (0.01, -0.01, 0.0, 0.01, -0.01), strict=True)]


def board(aux: Sequence[float], **changes: Any) -> Analysis:
    """One method without a regularizer, with `aux`, and with another one that the page is not about."""
    cells = cells_with("mtan", "none", PLAIN, cost={"parameters_training": 3e6})
    cells += cells_with("mtan", "aux", aux, cost={"parameters_training": 4.5e6, "step_time_ratio": 1.6}, **changes)
    return board_of(make_plan(ROWS), cells + cells_with("mtan", "other", [30.0] * 5))


def page(analysis: Analysis, appendix: str = "", **changes: Any) -> str:
    fields: dict[str, Any] = {"name": "AUX", "title": "Does it help?", "regularizers": ("aux",), "boards": ("board",)}
    return PageContents(RegularizerPage(**fields | changes), appendix).text([analysis])


def section(text: str, title: str) -> str:
    """The text below a heading, up to the next one."""
    return re.split(r"^#+ ", text.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(
    ("aux", "verdicts", "says"),
    [
        (BETTER, "1 called a gain, none called a loss", "a gain."),
        ([2 * plain - better for plain, better in zip(PLAIN, BETTER, strict=True)], "none called a gain, 1", "a loss."),
        (
            [20.4, 19.7, 20.3, 19.8, 19.9],
            "none called a gain, none called a loss",
            "neither a gain nor a loss is shown.",
        ),
    ],
)
def test_the_words_follow_the_adjusted_p_value(aux: list[float], verdicts: str, says: str) -> None:
    first, statement = section(page(board(aux)), "In short").strip().splitlines()
    assert "15 of 15 cells are done; 1 declared comparison of aux, 1 with an interval" in first
    assert verdicts in first
    assert statement.startswith("* aux over none: ")
    assert statement.endswith(says)


def test_two_seeds_give_no_statement() -> None:
    lines = section(page(board(BETTER[:2])), "In short").strip().splitlines()
    assert len(lines) == 1
    assert "1 declared comparison of aux, 0 with an interval: none called a gain, none called a loss." in lines[0]


def test_a_board_that_declares_nothing_about_the_regularizer_says_so() -> None:
    text = page(board(BETTER), regularizers=("missing",))
    assert "the board declares no comparison of missing." in text
    assert "No cell has been run yet." in text


def test_the_page_shows_the_regularizer_and_what_it_is_compared_with_alone() -> None:
    gains = section(page(board(BETTER)), "Gains")
    assert "aux over none (primary)" in gains
    assert "other over none" not in gains
    assert "other over aux" not in gains


def test_costs_are_those_over_the_same_method_without_a_regularizer() -> None:
    """4.5 - 3 = 1.5 million parameters more, and the measured ratio of the steps."""
    assert re.search(r"\| mtan +\| aux +\| 1\.50 +\| 1\.60 \|", section(page(board(BETTER)), "What it costs"))


def test_diagnostics_are_means_over_seeds_with_their_meaning() -> None:
    analysis = board(BETTER, diagnostics={"entropy": 3.5, "hidden": 1.0})
    shown = section(page(analysis, diagnostics={"entropy": "of the weights"}), "What the regularizer recorded")
    assert re.search(r"\| mtan +\| aux +\| 3\.50 ± 0\.00 \|", shown)
    assert "* entropy: of the weights." in shown
    assert "hidden" not in shown
    assert "| none" not in shown, "a row that recorded nothing"


def test_the_spread_of_the_paired_gain_is_that_of_its_seeds() -> None:
    """Gains of 0, 1, 2, 3 and 4 % have a standard deviation of sqrt(2.5) = 1.58 %."""
    aux = [plain * (1 + percent / 100) for percent, plain in enumerate(PLAIN)]
    cells = cells_with("mtan", "none", PLAIN) + cells_with("mtan", "aux", aux)
    notes = section(page(board_of(make_plan(ROWS[:2]), cells)), "Notes")
    assert "Standard deviation of a paired gain over seeds: 1.58 % (median of 1 comparison; 1.58 to 1.58 %)." in notes


def test_the_appendix_ends_the_page() -> None:
    assert page(board(BETTER), "## Earlier\n\ntext\n").endswith("\n## Earlier\n\ntext\n")


def test_boards_come_in_the_order_of_the_page() -> None:
    plans = [make_plan(ROWS[:2], name=name, title=f"Board {name}") for name in ("first", "second")]
    found = [board_of(plan, []) for plan in plans]
    text = PageContents(
        RegularizerPage(name="AUX", title="T", regularizers=("aux",), boards=("second", "first")), ""
    ).text(found)
    assert text.index("## second: Board second") < text.index("## first: Board first")
