"""Panels drawn by matplotlib, in the light colours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from benchmark.leaderboard.figures.description import STYLES, DotPanel, Figure, MapPanel, Panel, ScatterPanel
from benchmark.leaderboard.figures.palette import LIGHT, SIZES, SYMBOLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 0.75
"""Points of a pixel."""
LINE, BORDER = 0.24, 1.1
"""Height of a category, and of title and axis together, in inches."""
MAX_LABEL = 48
"""Characters of a label."""
OPEN_MARKS = ("open", "few", "mean")


def draw(figure: Figure, width: float = 3.6) -> Canvas:
    """A figure as a matplotlib figure, its panels in `figure.columns` columns.

    Args:
        figure: the description.
        width: of a panel, in inches.
    """
    columns = min(figure.columns, len(figure.panels))
    lines = math.ceil(len(figure.panels) / columns)
    heights = [max(map(_height, figure.panels[line * columns : (line + 1) * columns])) for line in range(lines)]
    canvas = Canvas(figsize=(width * columns + 1.2, sum(heights)), layout="constrained")
    grid = canvas.subplots(lines, columns, squeeze=False, height_ratios=heights).ravel()
    for axes in grid[len(figure.panels) :]:
        axes.set_visible(False)
    for index, (axes, panel) in enumerate(zip(grid, figure.panels, strict=False)):
        _draw_panel(axes, panel)
        axes.set_title(_text(panel.title), fontsize=9, loc="left")
        if index % columns and _lines(panel) and _lines(panel) == _lines(figure.panels[index - 1]):
            axes.tick_params(labelleft=False)
    return canvas


def _lines(panel: Panel) -> tuple[str, ...]:
    """The names along the vertical axis."""
    if isinstance(panel, ScatterPanel):
        return ()
    return panel.categories if isinstance(panel, DotPanel) else panel.rows


def _height(panel: Panel) -> float:
    if isinstance(panel, ScatterPanel):
        return 3.2
    count = len(_lines(panel))
    # Names of columns are turned and need more room.
    return BORDER + (1.0 if isinstance(panel, MapPanel) else 0.0) + LINE * max(count, 2)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.tick_params(labelsize=8, colors=LIGHT["text"])
    for side in axes.spines.values():
        side.set_color(LIGHT["line"])
    if isinstance(panel, DotPanel):
        _draw_dots(axes, panel)
    elif isinstance(panel, MapPanel):
        _draw_map(axes, panel)
    else:
        _draw_scatter(axes, panel)


def _draw_dots(axes: Axes, panel: DotPanel) -> None:
    position = {name: index for index, name in enumerate(panel.categories)}
    for style in STYLES:
        for mark in (mark for mark in panel.marks if mark.style == style):
            y = position[mark.category]
            if mark.low is not None and mark.high is not None:
                axes.plot([mark.low, mark.high], [y, y], color=LIGHT[style], linewidth=1.2)
            axes.plot([mark.value], [y], **_marker(style))
    for name in set(panel.categories) - {mark.category for mark in panel.marks}:
        middle = axes.get_yaxis_transform()
        axes.text(
            0.5,
            position[name],
            panel.absent,
            transform=middle,
            ha="center",
            va="center",
            fontsize=7,
            color=LIGHT["muted"],
        )
    if panel.zero:
        axes.axvline(0, color=LIGHT["text"], linewidth=0.8, linestyle="--", zorder=0)
    axes.set_yticks(range(len(panel.categories)), [_text(name) for name in panel.categories])
    axes.set_ylim(len(panel.categories) - 0.4, -0.6)
    axes.set_xlabel(_text(panel.axis), fontsize=8)
    axes.grid(axis="x", color=LIGHT["line"], linewidth=0.5)
    axes.set_axisbelow(True)
    if not panel.marks:
        axes.set_xticks([])


def _draw_map(axes: Axes, panel: MapPanel) -> None:
    names = ("map-low", "map-middle", "map-high") if panel.diverging else ("share-low", "share-high")
    colours = LinearSegmentedColormap.from_list("map", [LIGHT[name] for name in names])
    start = -panel.limit if panel.diverging else 0.0
    for (row, column), cell in panel.cells.items():
        if row not in panel.rows:
            continue
        y, x = panel.rows.index(row), panel.columns.index(column)
        if cell.value is None:
            box = Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, fill=False, linestyle="--", edgecolor=LIGHT["muted"])
        else:
            share = (cell.value - start) / (panel.limit - start)
            box = Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colours(min(max(share, 0.0), 1.0)))
        axes.add_patch(box)
        colour = LIGHT["muted" if cell.value is None else "text"]
        axes.text(x, y, _text(cell.label), ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(panel.columns)), [_text(name) for name in panel.columns], rotation=30, ha="right")
    axes.set_yticks(range(len(panel.rows)), [_text(name) for name in panel.rows])
    axes.set_xlim(-0.6, len(panel.columns) - 0.4)
    axes.set_ylim(len(panel.rows) - 0.4, -0.6)
    axes.tick_params(length=0)


def _draw_scatter(axes: Axes, panel: ScatterPanel) -> None:
    front = sorted((point for point in panel.points if point.on_front), key=lambda point: (point.x, point.y))
    axes.step(
        [p.x for p in front], [p.y for p in front], where="post", color=LIGHT["muted"], linestyle=":", linewidth=1
    )
    for point in panel.points:
        if point.low is not None and point.high is not None:
            axes.plot([point.x, point.x], [point.low, point.high], color=LIGHT["line"], linewidth=1, zorder=1)
        axes.plot([point.x], [point.y], **_marker("seed" if not point.on_front else "gain") | {"marker": "o"})
        if point.on_front:
            axes.annotate(
                _text(point.name),
                (point.x, point.y),
                xytext=(-4, 4),
                textcoords="offset points",
                fontsize=6,
                ha="right",
            )
    axes.set_xlabel(_text(panel.x_axis), fontsize=8)
    axes.set_ylabel(_text(panel.y_axis), fontsize=8)
    axes.grid(color=LIGHT["line"], linewidth=0.5)
    axes.set_axisbelow(True)


def _marker(style: str) -> dict[str, Any]:
    return {
        "marker": SYMBOLS[style][0],
        "markersize": SIZES[style] * POINTS,
        "color": LIGHT[style],
        "markerfacecolor": "none" if style in OPEN_MARKS else LIGHT[style],
        "markeredgewidth": 1.2 if style in OPEN_MARKS else 0.5,
        "linestyle": "none",
    }


def _text(text: str) -> str:
    """A label without the sign that begins a formula, and not longer than a line."""
    short = text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1]}\N{HORIZONTAL ELLIPSIS}"
    return short.replace("$", r"\$")
