"""Panels as plotly figures: plain dicts of plotly's schema. "@name" stands for a colour of the page's palette."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from benchmark.leaderboard.figures.description import STYLES, Cell, DotPanel, MapPanel, Mark, Panel, Point, ScatterPanel
from benchmark.leaderboard.figures.palette import SIZES, SYMBOLS

PlotlyFigure = dict[str, Any]

MAX_LABEL = 24
"""Characters of one line of an axis label."""
LINE, BORDER = 26, 80
"""Height of a category, and of axis and margins together, in pixels."""


def plotly_figure(panel: Panel) -> PlotlyFigure:
    """A panel as `{"data": ..., "layout": ...}`; text is escaped, since plotly reads tags in it."""
    if isinstance(panel, DotPanel):
        return _dots(panel)
    return _map(panel) if isinstance(panel, MapPanel) else _scatter(panel)


def _dots(panel: DotPanel) -> PlotlyFigure:
    position = {name: index for index, name in enumerate(panel.categories)}
    data = []
    for style in STYLES:
        marks = [mark for mark in panel.marks if mark.style == style]
        if marks:
            data.append(_marks(style, marks, [position[mark.category] for mark in marks]))
    empty = [name for name in panel.categories if name not in {mark.category for mark in panel.marks}]
    zero = {"zeroline": True, "zerolinecolor": "@text", "zerolinewidth": 1, "rangemode": "tozero"}
    hidden = {} if panel.marks else {"range": [0, 1], "showticklabels": False}
    layout = {
        "height": BORDER + LINE * max(len(panel.categories), 2),
        "xaxis": {**_axis(panel.axis), **(zero if panel.zero else {"zeroline": False}), **hidden},
        "yaxis": _categories(panel.categories, reverse=True),
        "annotations": [_absent(position[name], panel.absent) for name in empty],
    }
    return _figure(data, layout)


def _marks(style: str, marks: Sequence[Mark], positions: Sequence[int]) -> dict[str, Any]:
    trace = {
        **_trace(style),
        "mode": "markers",
        "x": [_short_number(mark.value) for mark in marks],
        "y": list(positions),
        "hovertext": [_escape(mark.text) for mark in marks],
        "customdata": [mark.row for mark in marks],
    }
    if any(mark.low is not None for mark in marks):
        ends = [(mark.value, mark.low, mark.high) for mark in marks]
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [0 if high is None else _short_number(high - value) for value, _, high in ends],
            "arrayminus": [0 if low is None else _short_number(value - low) for value, low, _ in ends],
            "color": f"@{style}",
            "thickness": 1.5,
            "width": 4,
        }
    return trace


def _map(panel: MapPanel) -> PlotlyFigure:
    places = [
        (panel.rows.index(row), panel.columns.index(column), cell)
        for (row, column), cell in panel.cells.items()
        if row in panel.rows
    ]
    values: list[list[float | None]] = [[None] * len(panel.columns) for _ in panel.rows]
    for row, column, cell in places:
        values[row][column] = None if cell.value is None else _short_number(cell.value)
    names = ("map-low", "map-middle", "map-high") if panel.diverging else ("share-low", "share-high")
    steps = [index / (len(names) - 1) for index in range(len(names))]
    heat = {
        "type": "heatmap",
        "z": values,
        "zmin": -_short_number(panel.limit) if panel.diverging else 0,
        "zmax": _short_number(panel.limit),
        "colorscale": [[step, f"@{name}"] for step, name in zip(steps, names, strict=True)],
        "showscale": False,
        "hoverinfo": "skip",
        "xgap": 2,
        "ygap": 2,
    }
    layout = {
        "height": BORDER + 30 + LINE * max(len(panel.rows), 2),
        "xaxis": {**_categories(panel.columns), "showgrid": False, "side": "top"},
        "yaxis": {**_categories(panel.rows, reverse=True), "showgrid": False},
        "shapes": [_outline(row, column) for row, column, cell in places if cell.value is None],
    }
    return _figure([heat, _labels(places)], layout)


def _labels(places: Sequence[tuple[int, int, Cell]]) -> dict[str, Any]:
    """Texts of the cells, as a trace of its own, since missing cells have a text too."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": [column for _, column, _ in places],
        "y": [row for row, _, _ in places],
        "text": [_escape(cell.label) for _, _, cell in places],
        "textfont": {"color": ["@muted" if cell.value is None else "@text" for _, _, cell in places], "size": 11},
        "hovertext": [_escape(cell.text) for _, _, cell in places],
        "hoverinfo": "text",
        "customdata": [cell.row for _, _, cell in places],
        "cliponaxis": False,
    }


def _scatter(panel: ScatterPanel) -> PlotlyFigure:
    front = sorted((point for point in panel.points if point.on_front), key=lambda point: (point.x, point.y))
    steps = {
        "type": "scatter",
        "mode": "lines",
        "x": [point.x for point in front],
        "y": [point.y for point in front],
        "line": {"shape": "hv", "color": "@muted", "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }
    others = [point for point in panel.points if not point.on_front]
    data = [steps] + [_points(points, style) for points, style in ((others, "open"), (front, "gain")) if points]
    layout = {"height": 340, "xaxis": _axis(panel.x_axis), "yaxis": {**_axis(panel.y_axis), "automargin": True}}
    return _figure(data, layout)


def _points(points: Sequence[Point], style: str) -> dict[str, Any]:
    return {
        **_trace(style),
        **(_names(points) if style == "gain" else {"mode": "markers"}),
        "marker": {"symbol": "circle" if style == "gain" else "circle-open", "size": 8, "color": f"@{style}"},
        "x": [_short_number(point.x) for point in points],
        "y": [_short_number(point.y) for point in points],
        "hovertext": [_escape(point.text) for point in points],
        "customdata": [point.row for point in points],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [0 if point.high is None else _short_number(point.high - point.y) for point in points],
            "arrayminus": [0 if point.low is None else _short_number(point.y - point.low) for point in points],
            "color": "@line",
            "thickness": 1,
            "width": 2,
        },
    }


def _names(points: Sequence[Point]) -> dict[str, Any]:
    """The names of points, above and left of them, where the line of steps is not."""
    return {
        "mode": "markers+text",
        "text": [_escape(_short(point.name)) for point in points],
        "textposition": "top left",
        "textfont": {"size": 10, "color": "@muted"},
    }


def _trace(style: str) -> dict[str, Any]:
    marker: dict[str, Any] = {"symbol": SYMBOLS[style][1], "size": SIZES[style], "color": f"@{style}"}
    if SYMBOLS[style][1].endswith("-open"):
        marker["line"] = {"width": 2, "color": f"@{style}"}
    if style == "seed":
        marker["opacity"] = 0.75
    return {"type": "scatter", "name": style, "marker": marker, "hoverinfo": "text"}


def _figure(data: list[dict[str, Any]], layout: dict[str, Any]) -> PlotlyFigure:
    common = {
        "showlegend": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@text", "size": 12},
        "margin": {"l": 10, "r": 16, "t": 10, "b": 44},
        "hoverlabel": {"bgcolor": "@raised", "bordercolor": "@line", "font": {"color": "@text"}, "align": "left"},
        "hovermode": "closest",
    }
    return {"data": data, "layout": common | layout}


def _axis(title: str) -> dict[str, Any]:
    return {
        "title": {"text": _escape(title), "standoff": 8, "font": {"size": 12}},
        "gridcolor": "@line",
        "zerolinecolor": "@line",
        "automargin": True,
        "nticks": 6,
    }


def _categories(names: Sequence[str], reverse: bool = False) -> dict[str, Any]:
    """An axis of categories. Its positions are numbers, so that no name is read as a number or a date."""
    ends = [-0.6, len(names) - 0.4]
    return {
        "ticks": "",
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [_wrapped(name) for name in names],
        "range": ends[::-1] if reverse else ends,
        "automargin": True,
        "gridcolor": "@line",
        "zeroline": False,
        "tickfont": {"size": 11},
    }


def _wrapped(name: str) -> str:
    """A label of at most two lines, broken at a plus sign."""
    if len(name) <= MAX_LABEL or "+" not in name:
        return _escape(_short(name))
    head, _, tail = name.partition("+")
    return f"{_escape(_short(head))}<br>+{_escape(_short(tail))}"


def _short(text: str) -> str:
    return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}\N{HORIZONTAL ELLIPSIS}"


def _absent(position: int, text: str) -> dict[str, Any]:
    return {
        "x": 0.5,
        "xref": "paper",
        "y": position,
        "text": _escape(text),
        "showarrow": False,
        "font": {"size": 11, "color": "@muted"},
    }


def _outline(row: int, column: int) -> dict[str, Any]:
    return {
        "type": "rect",
        "x0": column - 0.46,
        "x1": column + 0.46,
        "y0": row - 0.42,
        "y1": row + 0.42,
        "line": {"color": "@muted", "width": 1, "dash": "dash"},
        "layer": "below",
    }


def _short_number(value: float) -> float:
    """A position of a mark: six digits are finer than any screen."""
    return float(f"{value:.6g}")


def _escape(text: str) -> str:
    return html.escape(text, quote=False)
