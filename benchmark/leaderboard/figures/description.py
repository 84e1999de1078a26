"""Descriptions of figures: panels of dots, of coloured cells, or of two measures. They know no drawing library.

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
"""Styles of marks, with what they mean."""
MAX_ROWS = 40
"""Rows that one panel shows; the caption says how many there are."""


@dataclass(frozen=True)
class Mark:
    """A value of a category, with an interval where there is one.

    Args:
        category: one of the panel's categories.
        value: in the unit of the panel's axis.
        low: lower end of the interval; None without an interval.
        high: upper end of the interval.
        style: one of `STYLES`.
        text: what the mark says in words.
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
        title: what the panel shows.
        axis: the value axis with its unit.
        categories: from top to bottom.
        marks: in the order of drawing.
        zero: True if the axis shows a line at 0.
        absent: what is said where a category has no mark.
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
        value: what its colour says; None for a cell that is drawn as missing.
        label: short text within the cell.
        text: what the cell says in words.
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
        title: what the panel shows.
        columns: from left to right.
        rows: from top to bottom.
        cells: by (row, column).
        limit: the colours span [-limit, limit] if `diverging`, else [0, limit].
        diverging: True for two colours around 0, False for shades of one.
        scale: what the colour says, with its unit.
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
        title: what the panel shows.
        x_axis: with its unit.
        y_axis: with its unit.
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
        title: what it shows.
        caption: how to read it, with n, protocol and version, and what it cannot show.
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
