"""Published numbers in figures, figures as files, and the picture of the README."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from made_up_results import board_of, cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.figures.coverage import coverage
from benchmark.leaderboard.figures.files import write_figure, write_figures
from benchmark.leaderboard.figures.picture import picture_is_current, picture_of
from benchmark.leaderboard.figures.published import published_figures
from benchmark.leaderboard.reported import ReportedRow, ReportedTable
from benchmark.leaderboard.tables import tables
from benchmark.records.overrides import Overrides

TASKS = ("semseg", "depth")
ONE_ROW = [("m", "none")]
BOARD = board_of(
    make_plan([("single_task", "none"), ("m", "none")], (0,)),
    [*cells_with("single_task", "none", [20.0]), *cells_with("m", "none", [21.0])],
)


def published(*values: float | None) -> ReportedTable:
    """Published rows of m, and one of a method that no board has."""
    rows = [
        ReportedRow(
            f"M{number}",
            "m" if number else "unknown",
            "none",
            "ViT",
            "read",
            "table 1",
            {
                "semseg": {
                    name: {"value": found, "unit": "%", "higher_is_better": True}
                    for name, found in (("mIoU", value), ("pixAcc", 1.0))
                }
            },
        )
        for number, value in enumerate(values)
    ]
    return ReportedTable("NYU-v2", "a paper", "", "A note.", tuple(rows))


def test_published_rows_of_other_methods_are_not_shown_and_a_zero_is() -> None:
    cells = [make_cell("m", values={"mIoU": 20.0, "rmse@pixel": 0.5}, tasks=TASKS, version=2)]
    analysis = board_of(make_plan(ONE_ROW, (0,)), cells)
    (figure,) = published_figures(analysis, [published(50.0, 45.0, 0.0, None)])
    theirs, ours = figure.panels
    assert theirs.categories == ("M1", "M2", "M3")
    assert [(mark.category, mark.value, mark.text) for mark in theirs.marks] == [
        ("M1", 45.0, "M1: 45.00 %, table 1"),
        ("M2", 0.0, "M2: 0.00 %, table 1"),
    ]
    assert (theirs.title, ours.title, figure.columns) == ("published: semseg", "ours: semseg", 1)
    both = replace(published(50.0, 45.0).rows[1], metrics={"semseg": {}, "depth": {}})
    (figure,) = published_figures(analysis, [replace(published(), rows=(both, *published(50.0, 45.0).rows[1:]))])
    titles = ["published: semseg", "published: depth", "ours: semseg", "ours: depth"]
    assert ([panel.title for panel in figure.panels], figure.columns) == (titles, 2)
    assert published_figures(analyse(tables(cells))[0], [published(50.0, 45.0)]) == [], "other runs"
    assert published_figures(analysis, [published(50.0)]) == []


def test_files_are_named_by_board_and_settings_and_hold_title_and_caption(tmp_path: Path) -> None:
    plan = make_plan(ONE_ROW, (0,), settings=Overrides({"lr": 1}))
    paths = write_figures([board_of(plan, [])], [], tmp_path)
    assert {path.name.partition("-coverage")[0] for path in paths} == {"board-lr.1"}
    figure = coverage(BOARD)
    write_figure(figure, tmp_path, "one", ("svg",))
    assert (tmp_path / "one.txt").read_text() == f"{figure.title}. {figure.caption}\n"
    svg = (tmp_path / "one.svg").read_text()
    assert ">Coverage" not in svg
    assert "single_task</text>" in svg, "text stays text"
    assert "<dc:date>" not in svg
    others = write_figures(analyse(tables([make_cell("m", values={"mIoU": 20.0})])), [], tmp_path / "others")
    assert b"/CreationDate" not in (tmp_path / "others" / "smoke-seeds.pdf").read_bytes()
    assert {path.name for path in others} > {"smoke-seeds.svg"}, "without a board, all tables"


def test_the_picture_is_of_the_first_board_with_a_result() -> None:
    """A board whose reference is no single-task network has its coverage."""
    other = analyse(tables(cells_with("m", "none", [20.0])))
    empty = board_of(make_plan(ONE_ROW, (0,), name="empty"), [])
    figure = picture_of([*other, empty, BOARD])
    assert figure is not None
    assert (figure.key, figure.columns) == ("methods", 1)
    assert figure.title == "board: A board (recipe smoke version 2, data d)"
    assert [panel.title for panel in figure.panels] == ["Gain over single_task (%): board"]
    plain = board_of(make_plan(ONE_ROW, (0,)), cells_with("m", "none", [20.0]))
    assert picture_of([plain]).key == "coverage"
    assert picture_of(other) is None


def test_a_picture_without_a_board_or_without_a_file_is_not_current(tmp_path: Path) -> None:
    assert not picture_is_current(tmp_path / "none.svg", [BOARD])
    (tmp_path / "empty.svg").write_text("")
    assert not picture_is_current(tmp_path / "empty.svg", [BOARD])
    assert not picture_is_current(tmp_path / "empty.svg", [])
