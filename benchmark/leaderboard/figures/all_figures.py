"""All figures of a table, in reading order."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.figures.coverage import coverage
from benchmark.leaderboard.figures.description import Figure
from benchmark.leaderboard.figures.gains import (
    forest_over_reference,
    forests_of_regularizers,
    method_map,
    negative_transfer,
)
from benchmark.leaderboard.figures.pareto import pareto
from benchmark.leaderboard.figures.published import published_figures
from benchmark.leaderboard.figures.seeds import seed_strips
from benchmark.leaderboard.reported import ReportedTable


def figures_of(analysis: Analysis, reported: Sequence[ReportedTable] = ()) -> list[Figure]:
    """The figures that the results of a table allow; a board without a result still has its coverage.

    Args:
        analysis: rows with their statistics.
        reported: published tables, for the figures that show published numbers and ours.
    """
    found = [
        *forests_of_regularizers(analysis),
        forest_over_reference(analysis),
        method_map(analysis),
        negative_transfer(analysis),
        seed_strips(analysis),
        pareto(analysis),
        coverage(analysis),
        *published_figures(analysis, reported),
    ]
    return [figure for figure in found if figure is not None and any(_holds_something(figure))]


def _holds_something(figure: Figure) -> list[bool]:
    return [
        bool(getattr(panel, "marks", ()) or getattr(panel, "points", ()) or getattr(panel, "cells", ()))
        for panel in figure.panels
    ]
