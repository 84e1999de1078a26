"""Descriptions of figures: panels of dots, of coloured cells, or of two measures. They use no drawing library.

All text is plain: a drawing library's writer escapes it. A panel stands alone, so that a narrow page may stack panels.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.leaderboard.rows import Row

GAIN, LOSS, OPEN, FEW, SEED, MEAN, PUBLISHED = ("gain", "loss", "open", "few", "seed", "mean", "published")
STYLES = {
    GAIN: "a gain that survives Holm",
    LOSS: "a loss that survives Holm",
    OPEN: "an interval that shows neither a gain nor a loss",
    FEW: "fewer than three common seeds, no interval",
    SEED: "one seed",
    MEAN: "the mean over seeds",
    PUBLISHED: "a published number",
}
"""Styles of marks with their meanings."""
MAX_ROWS = 40
"""Largest number of rows in a panel, see `captions.shown_of`."""


@dataclass(frozen=True)
class Mark:
    """A value of a category, with an optional interval.

    Args:
        category: one of the panel's categories.
        value: in the unit of the panel's axis.
        low: lower end of the interval; None without an interval.
        high: upper end of the interval.
        style: one of `STYLES`.
        text: the mark in words.
        row: label of the row that it leads to; empty for no row.
    """

    category: str
    value: float
    low: float | None
    high: float | None
    style: str
    text: str
    row: str = ""


@dataclass(frozen=True)
class DotPanel:
    """Values by category, one line per category.

    Args:
        title: title of the panel.
        axis: name of the value axis with its unit.
        categories: from top to bottom.
        marks: in the order of drawing.
        zero: True if the axis shows a line at 0.
        absent: text for a category without a mark.
    """

    title: str
    axis: str
    categories: tuple[str, ...]
    marks: tuple[Mark, ...]
    zero: bool = False
    absent: str = "no result"


@dataclass(frozen=True)
class Cell:
    """One cell of a map.

    Args:
        value: number that its colour shows; None for a cell that is drawn as missing.
        label: short text within the cell.
        text: the cell in words.
        row: label of the row that it leads to; empty for no row.
    """

    value: float | None
    label: str
    text: str
    row: str = ""


@dataclass(frozen=True)
class MapPanel:
    """Coloured cells by two categories; a pair without a cell is left blank.

    Args:
        title: title of the panel.
        columns: names of the columns, from left to right.
        rows: names of the rows, from top to bottom.
        cells: by (row, column).
        limit: the colours span [-limit, limit] if `diverging`, else [0, limit].
        diverging: True for two colours around 0, False for shades of one.
        scale: name of the number that the colours show, with its unit.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]
    limit: float
    diverging: bool
    scale: str


@dataclass(frozen=True)
class Point:
    """A row in a panel of two measures; `low` and `high` are the interval of y."""

    name: str
    x: float
    y: float
    low: float | None
    high: float | None
    on_front: bool
    text: str
    row: str = ""


@dataclass(frozen=True)
class ScatterPanel:
    """Two measures of rows.

    Args:
        title: title of the panel.
        x_axis: name of the horizontal axis with its unit.
        y_axis: name of the vertical axis with its unit.
        points: the points with `on_front` are joined by a line of steps.
    """

    title: str
    x_axis: str
    y_axis: str
    points: tuple[Point, ...]


Panel = DotPanel | MapPanel | ScatterPanel


@dataclass(frozen=True)
class Figure:
    """One figure.

    Args:
        key: short name for files and links, unique within its table.
        title: title of the figure.
        caption: how to read the figure, with n, protocol, version and its limits.
        panels: in reading order.
        columns: panels side by side where the page is wide.
    """

    key: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    columns: int = 3


def row_ids(rows: tuple[Row, ...]) -> dict[int, str]:
    """A label for each row that is unique in its table, by position: a repeated label gets its seeds."""
    labels = [row.key.label for row in rows]
    return {
        index: label if labels.count(label) == 1 else f"{label} seed {' '.join(map(str, row.seeds))}"
        for index, (label, row) in enumerate(zip(labels, rows, strict=True))
    }
