"""Parts of LEADERBOARD.md and of the terminal's table that need odd titles, many failures or results without data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up_results import board_of, cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import Analysis, analyse
from benchmark.leaderboard.markdown import different_failures, leaderboard, reported_section
from benchmark.leaderboard.markup import one_line
from benchmark.leaderboard.reported import ReportedTable
from benchmark.leaderboard.statistics import Summary
from benchmark.leaderboard.tables import tables
from benchmark.leaderboard.terminal import setting_line, terminal_table
from benchmark.leaderboard.text import (
    format_mean_std,
    format_number,
    format_p,
    format_seeds,
    heading,
    listed,
    markdown_table,
    result_link,
)
from benchmark.records.overrides import Overrides
from benchmark.records.store import Stored

OUT = Path("results")
ROWS = [("m", "none")]


def only(cells: list[Stored]) -> Analysis:
    """The one table of other runs."""
    (found,) = analyse(tables(cells))
    return found


def test_numbers_have_the_decimals_of_their_unit() -> None:
    assert [format_number(1.23456, unit) for unit in ("%", "deg", "m", "1")] == ["1.23", "1.23", "1.2346", "1.2346"]
    assert format_mean_std(Summary(3, 1.0, 0.0), "%") == "1.00 ± 0.00"
    assert (format_p(0.001), format_p(0.00099)) == ("0.001", "< 0.001")


def test_seeds_words_and_tables_as_text() -> None:
    assert [format_seeds(seeds) for seeds in ([5, 3, 4], [3, 3], [])] == ["3-5", "3", "0"]
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert markdown_table([["a", "b"], ["1", "22222"]]) == "| a   | b   |\n| --- | --- |\n| 1   | 22222 |\n"


def test_a_metric_without_a_unit_has_no_brackets() -> None:
    (column, *_) = only(cells_with("m", "none", [20.0])).table.columns
    texts = [
        heading(replace(column, unit=unit, higher_is_better=higher)) for unit, higher in (("1", True), ("", False))
    ]
    assert texts == ["semseg mIoU ↑", "semseg mIoU ↓"]


def test_a_link_leads_to_a_file_with_blanks_and_plus_signs() -> None:
    stored = Stored(make_cell("m").result, Path("results/runs/a b/m+n.json"))
    assert result_link("0", stored, OUT) == "[0](runs/a%20b/m+n.json)"


def test_text_of_several_lines_becomes_one() -> None:
    assert one_line(" a\n b\t\u202ec ") == r"a b \u202ec"


def test_contents_lead_to_the_headings_of_the_second_level() -> None:
    """GitHub's anchors have no punctuation; an escaped name is unescaped first."""
    plan = make_plan(ROWS, title="A <b> & _c_!")
    failed = make_cell("n", error="no disk", tasks=("semseg",), version=2)
    found = [board_of(plan, []), only([*cells_with("m", "none", [20.0]), failed])]
    text = leaderboard(found, [ReportedTable("NYU-v2", "A paper", "", "A note.", ())], OUT)
    contents = text.partition("## Contents\n\n")[2].partition("\n\n")[0].splitlines()
    assert [line.partition("](")[2] for line in contents] == [
        "#board-a-b--_c_-recipe-smoke-version-2-no-data-yet)",
        "#other-runs)",
        "#published-numbers-as-published)",
        "#cells-that-failed)",
    ]


def test_lines_of_the_reading_notes_are_as_long_as_the_text() -> None:
    notes = leaderboard([], [], OUT).partition("## How to read the tables\n\n")[2].splitlines()
    assert 110 < max(map(len, notes)) <= 120


def test_other_runs_are_counted_and_are_no_section_without_a_row() -> None:
    failed = only([make_cell("m", error="no disk")])
    assert "## Other runs" not in leaderboard([failed], [], OUT)
    found = [only(cells_with("m", "none", [20.0], version=version)) for version in (None, 3)]
    text = leaderboard(found, [], OUT)
    assert "No board is defined here; the runs below are compared, but not ranked.\n" in text
    assert " 1 results do not record the version of their recipe.\n" in text
    assert "do not record" not in leaderboard(found[1:], [], OUT)


def test_failures_are_named_once_and_counted_beyond_the_fiftieth() -> None:
    cells = [make_cell("m", seed=seed, error="x" * (161 if seed else 160)) for seed in range(52)]
    analysis = only(cells)
    assert different_failures([analysis, analysis]) == list(analysis.table.not_done)
    two = [make_cell(method, error="no disk") for method in ("m", "n")]
    assert different_failures([only(two)]) == two
    lines = leaderboard([analysis], [], OUT).partition("## Cells that failed\n\n")[2].splitlines()
    assert (len(lines), lines[-1]) == (51, "* and 2 more")
    assert lines[0].endswith(f": `{'x' * 160}`")
    assert lines[1].endswith(f": `{'x' * 157}...`")
    assert "more" not in leaderboard([only(cells[:50])], [], OUT).partition("## Cells that failed")[2]


@pytest.mark.parametrize(("link", "source"), [("", "A paper"), ("https://a.org", "[A paper](https://a.org)")])
def test_a_published_table_links_to_its_source(link: str, source: str) -> None:
    text = reported_section(ReportedTable("NYU-v2", "A paper", link, "Not comparable.", ()))
    assert text.startswith(f"NYU-v2. Source: {source}. Not comparable.\n")


def test_the_line_above_a_table_has_version_data_and_settings() -> None:
    (cell,) = cells_with("m", "none", [20.0], overrides={"lr": 1})
    assert setting_line(only([cell]).table.setting) == "smoke version 2 on d, lr=1"
    bare = replace(only([cell]).table.setting, version=None, data="", overrides=Overrides())
    assert setting_line(bare) == "smoke on unknown data"


def test_a_wide_terminal_shows_parameters_and_a_narrow_one_the_gain_alone() -> None:
    cost = {"parameters_inference": 2e6}
    cells = [*cells_with("m", "none", [20.0, 20.0], cost=cost), *cells_with("m", "aux", [22.0, 22.0], cost=cost)]
    analysis = only(cells)

    def shown(width: int) -> list[list[str]]:
        lines = [line for line in terminal_table(analysis, width).splitlines() if line.startswith("|")]
        return [[part.strip() for part in line.split("|")[1:-1]] for line in (lines[0], lines[2])]

    wide = [
        ["row", "semseg mIoU ↑ (%)", "gain over m (%)", "n", "param. (M)"],
        ["m+aux", "22.00 ± 0.00", "+10.00 (n = 2)", "2", "2.00"],
    ]
    assert shown(64) == wide, "64 characters"
    assert shown(63) == shown(51) == [line[:-1] for line in wide], "51 characters"
    assert shown(50) == [[line[0], *line[2:4]] for line in wide]
    reference_free = terminal_table(only(cells_with("m", "aux", [20.0])), 100)
    assert "gain" not in reference_free
    assert terminal_table(analysis, 1) == terminal_table(analysis, 20), "a narrower terminal is no use"


def test_a_failure_that_the_reader_knows_is_not_told_again() -> None:
    cells = [make_cell("m", seed=seed, error="no disk") for seed in (0, 1)]
    text = terminal_table(only(cells), 200, told=[cells[0].result.run_id])
    assert [line for line in text.splitlines() if "failed" in line] == [f"failed: {cells[1].result.run_id}: no disk"]
