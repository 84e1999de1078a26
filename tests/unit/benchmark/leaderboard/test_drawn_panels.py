"""Panels drawn by matplotlib and plotly: positions, ends of intervals, colours and texts, by hand."""

from __future__ import annotations

import re
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from benchmark.leaderboard.figures.description import (
    STYLES,
    Cell,
    DotPanel,
    Figure,
    MapPanel,
    Mark,
    Panel,
    Point,
    ScatterPanel,
)
from benchmark.leaderboard.figures.matplotlib_panels import draw
from benchmark.leaderboard.figures.palette import DARK, LIGHT, SIZES, SYMBOLS
from benchmark.leaderboard.figures.plotly_panels import plotly_figure

DOTS = DotPanel(
    "dots",
    "gain (%)",
    ("second", "first", "third"),
    (Mark("second", 2.0, 1.0, 4.0, "gain", "a text", "a row"), Mark("third", 5.0, None, None, "few", "few", "")),
    zero=True,
    absent="nothing",
)
MAP = MapPanel(
    "map",
    ("x", "y", "z"),
    ("top", "bottom"),
    {
        ("top", "x"): Cell(0.0, "zero", "in the middle"),
        ("top", "y"): Cell(-2.0, "low", "lowest", "a row"),
        ("bottom", "x"): Cell(9.0, "high", "beyond the limit"),
        ("bottom", "z"): Cell(None, "none", "missing"),
        ("left out", "x"): Cell(1.0, "?", "?"),
    },
    2.0,
    True,
    "gain (%)",
)
SCATTER = ScatterPanel(
    "scatter",
    "cost",
    "gain",
    (
        Point("dear", 3.0, 2.0, 0.5, 5.0, True, "dear text", "row 3"),
        Point("cheap", 1.0, 0.5, None, None, True, "cheap text", "row 1"),
        Point("worse", 2.0, 0.25, 0.125, 0.5, False, "worse text", "row 2"),
    ),
)


def axes_of(*panels: Panel, columns: int = 3) -> list[Axes]:
    """The axes of a drawn figure."""
    return draw(Figure("key", "title", "caption", panels, columns)).axes


def lines_of(axes: Axes) -> list[tuple[list[float], list[float]]]:
    return [(list(map(float, line.get_xdata())), list(map(float, line.get_ydata()))) for line in axes.lines]


def test_dots_stand_on_the_line_of_their_category_from_top_to_bottom() -> None:
    (axes,) = axes_of(DOTS)
    lines = lines_of(axes)
    assert ([1.0, 4.0], [0.0, 0.0]) in lines, "the interval"
    assert ([2.0], [0.0]) in lines
    assert ([5.0], [2.0]) in lines
    assert ([0.0, 0.0], [0.0, 1.0]) in lines, "the line at zero"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["second", "first", "third"]
    assert axes.get_ylim() == pytest.approx((2.6, -0.6))
    assert [(text.get_text(), text.get_position()) for text in axes.texts] == [("nothing", (0.5, 1))]
    assert axes.get_xlabel() == "gain (%)"
    assert axes.get_title(loc="left") == "dots"


def test_a_map_has_its_cells_in_place_and_colours_within_the_limit() -> None:
    (axes,) = axes_of(MAP)
    boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    centres = [(box.get_x() + box.get_width() / 2, box.get_y() + box.get_height() / 2) for box in boxes]
    assert centres == [pytest.approx(place) for place in ((0, 0), (1, 0), (0, 1), (2, 1))]
    colours = [box.get_facecolor() for box in boxes[:3]]
    names = ("map-middle", "map-low", "map-high")
    assert colours == [pytest.approx(to_rgba(LIGHT[name]), abs=0.01) for name in names]
    assert [box.get_fill() for box in boxes] == [True, True, True, False]
    assert [(text.get_text(), text.get_position()) for text in axes.texts] == [
        ("zero", (0, 0)),
        ("low", (1, 0)),
        ("high", (0, 1)),
        ("none", (2, 1)),
    ]
    assert axes.get_ylim() == pytest.approx((1.6, -0.6))


def test_texts_of_missing_cells_are_muted() -> None:
    (axes,) = axes_of(MAP)
    colours = {text.get_text(): text.get_color() for text in axes.texts}
    assert colours == {name: LIGHT["muted" if name == "none" else "text"] for name in ("zero", "low", "high", "none")}


def test_both_palettes_have_a_colour_for_each_name_and_style() -> None:
    assert list(LIGHT) == list(DARK)
    colours = [*LIGHT.values(), *DARK.values()]
    assert [colour for colour in colours if not re.fullmatch("#[0-9a-f]{6}", colour)] == []
    names = {"surface", "raised", "text", "muted", "line", "link", "map-low", "map-middle", "map-high"}
    assert set(LIGHT) == names | {"share-low", "share-high"} | set(STYLES)
    assert set(SYMBOLS) == set(SIZES) == set(STYLES)


def test_a_share_is_coloured_from_zero_to_the_limit() -> None:
    cells = {("top", "x"): Cell(0.0, "0", ""), ("bottom", "x"): Cell(4.0, "4", "")}
    (axes,) = axes_of(MapPanel("map", ("x",), ("top", "bottom"), cells, 4.0, False, "share"))
    colours = [patch.get_facecolor() for patch in axes.patches if isinstance(patch, Rectangle)]
    assert colours == [pytest.approx(to_rgba(LIGHT[name])) for name in ("share-low", "share-high")]


def test_a_scatter_joins_its_front_by_steps_and_names_it() -> None:
    (axes,) = axes_of(SCATTER)
    assert lines_of(axes)[0] == ([1.0, 3.0], [0.5, 2.0])
    assert axes.lines[0].get_drawstyle() == "steps-post"
    assert ([3.0, 3.0], [0.5, 5.0]) in lines_of(axes)
    assert [text.get_text() for text in axes.texts] == ["dear", "cheap"]
    colours = {float(line.get_xdata()[0]): line.get_color() for line in axes.lines if line.get_marker() == "o"}
    assert colours == {3.0: LIGHT["gain"], 1.0: LIGHT["gain"], 2.0: LIGHT["seed"]}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("cost", "gain")


def test_names_of_lines_are_written_once_in_a_row_of_equal_panels() -> None:
    """Four panels in three columns: the second shares the names of the first, and the third has others."""
    axes = axes_of(DOTS, DOTS, MAP, DOTS)
    assert [each.get_visible() for each in axes] == [True] * 4 + [False] * 2
    shown = [each.yaxis.get_tick_params()["labelleft"] if each.yaxis.get_tick_params() else True for each in axes[:4]]
    assert shown == [True, False, True, True]


@pytest.mark.parametrize(("name", "shown"), [("a" * 48, "a" * 48), ("a" * 49, "a" * 47 + "…"), ("$a^$", r"\$a^\$")])
def test_labels_are_cut_to_a_line_and_are_no_formula(name: str, shown: str) -> None:
    (axes,) = axes_of(DotPanel("t", "x", (name,), ()))
    assert [label.get_text() for label in axes.get_yticklabels()] == [shown]


def test_plotly_has_the_same_dots_with_lengths_of_intervals() -> None:
    figure = plotly_figure(DOTS)
    gain, few = figure["data"]
    assert (gain["x"], gain["y"], gain["hovertext"], gain["customdata"]) == ([2.0], [0], ["a text"], ["a row"])
    assert (gain["error_x"]["array"], gain["error_x"]["arrayminus"]) == ([2.0], [1.0])
    assert (few["x"], few["y"]) == ([5.0], [2])
    assert "error_x" not in few
    layout: dict[str, Any] = figure["layout"]
    assert layout["yaxis"]["range"] == pytest.approx([2.6, -0.6])
    assert layout["yaxis"]["ticktext"] == ["second", "first", "third"]
    assert layout["xaxis"]["zeroline"] is True
    assert "range" not in layout["xaxis"]
    assert [(note["y"], note["text"]) for note in layout["annotations"]] == [(1, "nothing")]
    empty = plotly_figure(DotPanel("t", "x", ("a",), ()))["layout"]["xaxis"]
    assert (empty["zeroline"], empty["range"], empty["showticklabels"]) == (False, [0, 1], False)


def test_plotly_has_the_same_map() -> None:
    figure = plotly_figure(MAP)
    heat, labels = figure["data"]
    assert heat["z"] == [[0.0, -2.0, None], [9.0, None, None]]
    assert (heat["zmin"], heat["zmax"]) == (-2.0, 2.0)
    assert [colour for _, colour in heat["colorscale"]] == ["@map-low", "@map-middle", "@map-high"]
    assert (labels["x"], labels["y"], labels["text"]) == ([0, 1, 0, 2], [0, 0, 1, 1], ["zero", "low", "high", "none"])
    assert labels["textfont"]["color"] == ["@text", "@text", "@text", "@muted"]
    (box,) = figure["layout"]["shapes"]
    assert (box["x0"], box["x1"], box["y0"], box["y1"]) == pytest.approx((1.54, 2.46, 0.58, 1.42))
    assert figure["layout"]["xaxis"]["range"] == pytest.approx([-0.6, 2.6])
    share = plotly_figure(MapPanel("map", ("x",), ("top",), {}, 4.0, False, "share"))["data"][0]
    assert (share["zmin"], share["zmax"]) == (0, 4.0)
    assert [colour for _, colour in share["colorscale"]] == ["@share-low", "@share-high"]


def test_plotly_has_the_same_scatter() -> None:
    steps, others, front = plotly_figure(SCATTER)["data"]
    assert (steps["x"], steps["y"], steps["line"]["shape"]) == ([1.0, 3.0], [0.5, 2.0], "hv")
    assert (others["x"], others["y"], others["mode"]) == ([2.0], [0.25], "markers")
    assert (front["x"], front["text"], front["customdata"]) == ([1.0, 3.0], ["cheap", "dear"], ["row 1", "row 3"])
    assert (front["error_y"]["array"], front["error_y"]["arrayminus"]) == ([0, 3.0], [0, 1.5])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("short+name", "short+name"),
        ("a" * 20 + "+" + "b" * 25, "a" * 20 + "<br>+" + "b" * 23 + "…"),
        ("c" * 25, "c" * 23 + "…"),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_labels_of_plotly_have_two_lines_at_most(name: str, shown: str) -> None:
    assert plotly_figure(DotPanel("t", "x", (name,), ()))["layout"]["yaxis"]["ticktext"] == [shown]


def test_positions_of_plotly_have_six_digits() -> None:
    marks = (Mark("a", 123.4567891, None, None, "seed", ""),)
    assert plotly_figure(DotPanel("t", "x", ("a",), marks))["data"][0]["x"] == [123.457]
