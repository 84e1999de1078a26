"""Figures: descriptions with values by hand, and both writers on ordinary, incomplete and hostile tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up_results import board_of, cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import Analysis, analyse
from benchmark.leaderboard.figures.all_figures import figures_of
from benchmark.leaderboard.figures.coverage import coverage
from benchmark.leaderboard.figures.description import DotPanel, Figure, MapPanel, ScatterPanel
from benchmark.leaderboard.figures.files import write_figure, write_figures
from benchmark.leaderboard.figures.gains import (
    forest_over_reference,
    forests_of_regularizers,
    method_map,
    negative_transfer,
)
from benchmark.leaderboard.figures.matplotlib_panels import draw
from benchmark.leaderboard.figures.pareto import pareto
from benchmark.leaderboard.figures.picture import picture_is_current, picture_of, write_picture
from benchmark.leaderboard.figures.plotly_panels import plotly_figure
from benchmark.leaderboard.figures.published import published_figures
from benchmark.leaderboard.figures.seeds import seed_strips
from benchmark.leaderboard.reported import ReportedRow, ReportedTable
from benchmark.leaderboard.tables import tables

HOSTILE = "<script>alert(1)</script>\"'|=cmd()$a^$"
ROWS = [("single_task", "none"), ("single_task", "aux"), ("mtan", "none"), ("mtan", "aux")]


def measured(gmacs: float, **cost: float) -> dict[str, object]:
    return {
        "cost": {"gmacs": gmacs, **cost},
        "provenance": {"cost": {"size": [120, 160], "hardware": {"cpu": "A CPU", "threads": 1}}},
    }


@pytest.fixture
def board() -> Analysis:
    """Gains over single_task by hand: aux +10, mtan -5, mtan+aux not run; the last seed of aux diverged."""
    cells = cells_with("single_task", "none", [20.0, 40.0, 50.0, 40.0], **measured(1.0))
    cells += cells_with("single_task", "aux", [22.0, 44.0, 55.0], **measured(2.0))
    cells += cells_with("mtan", "none", [19.0, 38.0, 47.5, 38.0], **measured(3.0))
    cells.append(
        make_cell("single_task", "aux", 3, tasks=("semseg",), version=2, error="loss is <nan>", status="diverged")
    )
    cells.append(make_cell("mtan", "none", 1, tasks=("semseg",), version=2, settings={"lr": 3}, error="no memory"))
    return board_of(make_plan(ROWS, range(4)), cells)


def test_open_marks_have_no_face(board: Analysis) -> None:
    (figure,) = forests_of_regularizers(board)
    (panel,) = figure.panels
    (mark,) = panel.marks
    marks = tuple(replace(mark, value=value, style=style) for value, style in ((1.0, "gain"), (2.0, "open")))
    canvas = draw(replace(figure, panels=(replace(panel, marks=marks),)))
    lines = [line for axes in canvas.figure.axes for line in axes.lines if line.get_marker() not in ("", "None", None)]
    faces = {float(line.get_xdata()[0]): line.get_markerfacecolor() for line in lines}
    assert faces[2.0] == "none"
    assert faces[1.0] != "none"


def test_the_forest_has_the_gain_of_each_method_and_says_which_is_missing(board: Analysis) -> None:
    (figure,) = forests_of_regularizers(board)
    (panel,) = figure.panels
    assert isinstance(panel, DotPanel)
    assert panel.categories == ("single_task", "mtan")
    (mark,) = panel.marks
    assert (mark.category, mark.row) == ("single_task", "single_task+aux")
    assert mark.value == pytest.approx(10.0)
    assert mark.low == pytest.approx(10.0), "three equal gains have an interval of no width"
    assert mark.style == "gain"
    assert "p after Holm" in mark.text
    assert "smoke" in figure.caption
    assert "version 2" in figure.caption


def test_a_reference_row_without_a_result_is_drawn_as_missing() -> None:
    figure = method_map(board_of(make_plan(ROWS, range(4)), cells_with("mtan", "none", [19.0, 38.0])))
    assert figure is not None
    panel = figure.panels[0]
    assert isinstance(panel, MapPanel)
    cell = panel.cells["single_task", "none"]
    assert (cell.value, cell.label) == (None, "0/4")
    assert "0 of 4 seeds" in cell.text


def test_a_gain_of_two_seeds_is_a_mark_without_an_interval() -> None:
    cells = cells_with("m", "none", [20.0, 40.0]) + cells_with("m", "aux", [22.0, 44.0])
    (figure,) = forests_of_regularizers(board_of(make_plan([("m", "none"), ("m", "aux")]), cells))
    (mark,) = figure.panels[0].marks
    assert (mark.style, mark.low) == ("few", None)


def test_a_difference_that_is_noise_is_no_gain() -> None:
    cells = cells_with("m", "none", [20.0, 40.0, 30.0]) + cells_with("m", "aux", [22.0, 38.0, 30.5])
    (figure,) = forests_of_regularizers(board_of(make_plan([("m", "none"), ("m", "aux")], range(3)), cells))
    (mark,) = figure.panels[0].marks
    assert mark.style == "open"
    assert mark.text.endswith("neither a gain nor a loss is shown")


def test_the_map_draws_a_missing_cell_as_missing(board: Analysis) -> None:
    panel = method_map(board).panels[0]
    assert panel.cells["mtan", "none"].value == pytest.approx(-5.0)
    assert panel.cells["single_task", "aux"].label.startswith("+10.00 ▲")
    missing = panel.cells["mtan", "aux"]
    assert (missing.value, missing.label) == (None, "0/4")
    assert "0 of 4 seeds" in missing.text


@pytest.mark.parametrize(("others", "left_out"), [(40, False), (41, True)])
def test_the_caption_says_if_rows_are_left_out(others: int, left_out: bool) -> None:
    """The reference row is no row of the forest and of the transfer, and a method of the maps."""
    rows = [("single_task", "none"), *((f"m{number}", "none") for number in range(others))]
    cells = [cell for row in rows for cell in cells_with(*row, [20.0, 21.0, 22.0])]
    found = board_of(make_plan(rows, range(3)), cells)
    sentence = "The first 40 of 41 rows are drawn."
    for made in (forest_over_reference, negative_transfer):
        assert (sentence in made(found).caption) == left_out
    for made in (method_map, coverage):
        assert f"The first 40 of {others + 1} rows are drawn." in made(found).caption


def test_negative_transfer_is_against_single_task_alone(board: Analysis) -> None:
    figure = negative_transfer(board)
    assert figure.panels[0].cells["mtan", "semseg"].value == pytest.approx(-5.0)
    assert "1 losses survive Holm" in figure.caption
    other = board_of(make_plan([("mtan", "none"), ("pap", "none")]), cells_with("mtan", "none", [1.0, 2.0, 3.0]))
    assert negative_transfer(other) is None


def test_the_strip_has_every_seed_and_the_mean(board: Analysis) -> None:
    panel = seed_strips(board).panels[0]
    own = [(mark.style, mark.value) for mark in panel.marks if mark.category == "single_task+aux"]
    assert own == [("seed", 22.0), ("seed", 44.0), ("seed", 55.0), ("mean", pytest.approx(121 / 3))]


def test_the_front_joins_the_rows_that_no_cheaper_row_exceeds(board: Analysis) -> None:
    """Costs 1, 2, 3 with gains 0, 10, -5: the third costs more than the first and gains less."""
    (panel,) = pareto(board).panels
    assert isinstance(panel, ScatterPanel)
    assert {point.name: (point.x, point.on_front) for point in panel.points} == {
        "single_task": (1.0, True),
        "single_task+aux": (2.0, True),
        "mtan": (3.0, False),
    }


def test_costs_of_another_machine_are_not_drawn_with_the_others(board: Analysis) -> None:
    cells = [cell for row in board.rows for cell in row.cells]
    elsewhere = {"provenance": {"cost": {"size": [9, 9], "hardware": {"cpu": "B"}}}, "cost": {"gmacs": 0.1}}
    cells += cells_with("mtan", "aux", [1.0, 1.0, 1.0, 1.0], **elsewhere)
    figure = pareto(board_of(make_plan(ROWS, range(4)), cells))
    assert "mtan+aux" not in {point.name for point in figure.panels[0].points}
    assert "1 row without costs measured there" in figure.caption


def test_coverage_counts_cells_and_gives_the_reasons_of_failures(board: Analysis) -> None:
    figure = coverage(board)
    cells = figure.panels[0].cells
    assert (cells["single_task", "aux"].value, cells["single_task", "none"].value) == (0.75, 1.0)
    assert cells["single_task", "aux"].label == "3/4 \N{MULTIPLICATION SIGN}1"
    assert cells["mtan", "none"].label == "4/4", "a failure of an earlier version whose seed is done now"
    assert cells["mtan", "aux"].value is None
    assert "11 of 16 cells are done" in figure.caption
    assert "single_task+aux seed 3 diverged: loss is <nan>" in figure.caption


def test_a_board_without_a_result_has_its_coverage_and_nothing_else() -> None:
    empty = board_of(make_plan(ROWS), [])
    assert [figure.key for figure in figures_of(empty)] == ["coverage"]


def published(evidence: str = "read") -> ReportedTable:
    metric = {"value": 45.0, "unit": "%", "higher_is_better": True}
    rows = [("MTAN (2019)", "mtan"), ("Other (2020)", "other")]
    return ReportedTable(
        "NYU-v2",
        "a paper",
        "",
        "Not comparable.",
        tuple(
            ReportedRow(title, name, "none", "?", evidence, "table 1", {"semseg": {"mIoU": metric}})
            for title, name in rows
        ),
    )


def test_published_numbers_have_panels_of_their_own(board: Analysis) -> None:
    (figure,) = published_figures(board, [published()])
    theirs, ours = figure.panels
    assert [(mark.category, mark.value, mark.style) for mark in theirs.marks] == [("MTAN (2019)", 45.0, "published")]
    assert ours.categories == ("mtan",)
    assert {mark.style for mark in ours.marks} == {"seed", "mean"}
    assert "not comparable" in figure.caption


def test_a_published_row_that_we_have_not_run_says_so() -> None:
    (figure,) = published_figures(board_of(make_plan(ROWS), cells_with("single_task", "none", [1.0])), [published()])
    assert (figure.panels[1].marks, figure.panels[1].absent) == ((), "not run yet")


def every_figure(analysis: Analysis) -> list[Figure]:
    return figures_of(analysis, [published()])


def test_plotly_accepts_every_panel(board: Analysis) -> None:
    """plotly's own classes check every property of a figure."""
    import plotly.graph_objects as go

    for figure in every_figure(board):
        for panel in figure.panels:
            drawn = replace_colours(plotly_figure(panel))
            go.Figure(drawn)


def replace_colours(value: object) -> object:
    if isinstance(value, dict):
        return {key: replace_colours(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [replace_colours(entry) for entry in value]
    return "#123456" if isinstance(value, str) and value.startswith("@") else value


def hostile() -> Analysis:
    cells = [
        cell
        for method in ("single_task", HOSTILE)
        for regularizer in ("none", HOSTILE)
        for cell in cells_with(method, regularizer, [20.0, 21.0, 22.5], tasks=("semseg",), **measured(1.0))
    ]
    cells.append(make_cell(HOSTILE, "none", 3, tasks=("semseg",), version=2, error=HOSTILE))
    rows = [(method, regularizer) for method in ("single_task", HOSTILE) for regularizer in ("none", HOSTILE)]
    return board_of(make_plan(rows, range(4)), cells)


def test_no_text_of_a_plotly_figure_holds_a_tag_of_a_name() -> None:
    for figure in every_figure(hostile()):
        for panel in figure.panels:
            assert "<script" not in str(without_row_labels(plotly_figure(panel)))


def without_row_labels(value: object) -> object:
    """A plotly figure without the labels by which the page finds rows; plotly does not draw them."""
    if isinstance(value, dict):
        return {key: without_row_labels(entry) for key, entry in value.items() if key != "customdata"}
    return [without_row_labels(entry) for entry in value] if isinstance(value, list) else value


def test_marks_that_turn_the_direction_of_text_are_written_as_codes(board: Analysis) -> None:
    cell = make_cell("mtan", "aux", 0, tasks=("semseg",), version=2, error="a \u202eb")
    cells = [*(cell for row in board.rows for cell in row.cells), cell]
    assert r"failed: a \u202eb" in coverage(board_of(make_plan(ROWS, range(4)), cells)).caption


def test_files_of_a_hostile_table_are_written(tmp_path: Path) -> None:
    figure = next(figure for figure in figures_of(hostile()) if isinstance(figure.panels[0], MapPanel))
    paths = write_figure(figure, tmp_path, "map", ("svg",))
    assert [path.name for path in paths] == ["map.svg", "map.txt"]
    svg = paths[0].read_text()
    assert "<script>" not in svg
    assert "&lt;script&gt;" in svg


def test_figures_of_the_boards_are_written_with_captions_and_always_alike(board: Analysis, tmp_path: Path) -> None:
    figure = coverage(board)
    for name in ("one", "two"):
        write_figure(figure, tmp_path / name, "coverage")
    for suffix in ("svg", "pdf", "png", "txt"):
        one, two = ((tmp_path / name / f"coverage.{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two, f"{suffix} differs between two runs"
    assert (tmp_path / "one" / "coverage.txt").read_text().startswith("Coverage of the board. 11 of 16")
    other = analyse(tables([make_cell("mtan", values={"mIoU": 20.0}, recipe="other")]))
    empty = board_of(make_plan(ROWS), [])
    names = {path.name for path in write_figures([empty, *other], [], tmp_path / "all")}
    assert names == {f"board-coverage.{suffix}" for suffix in ("svg", "pdf", "png", "txt")}


def test_the_picture_of_the_readme_is_current_until_a_result_changes(board: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "board.svg"
    write_picture(path, [board])
    assert picture_is_current(path, [board])
    more = [*(cell for row in board.rows for cell in row.cells), *cells_with("mtan", "aux", [20.0, 40.0, 50.0])]
    assert not picture_is_current(path, [board_of(make_plan(ROWS, range(4)), more)])


def test_the_picture_of_a_board_without_a_result_is_its_coverage(tmp_path: Path) -> None:
    empty = board_of(make_plan(ROWS), [])
    assert {cell.value for cell in picture_of([empty]).panels[0].cells.values()} == {None}
    assert picture_of([]) is None
    with pytest.raises(ValueError, match="no board to draw"):
        write_picture(tmp_path / "board.svg", [])
