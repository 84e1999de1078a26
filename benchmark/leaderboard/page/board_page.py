"""The page `board.html`: summary, table, figures, published numbers, failures. One file that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.figures.all_figures import figures_of
from benchmark.leaderboard.figures.description import Figure
from benchmark.leaderboard.figures.palette import DARK, LIGHT
from benchmark.leaderboard.figures.plotly_panels import plotly_figure
from benchmark.leaderboard.markdown import MAX_FAILURES, different_failures, failure_name
from benchmark.leaderboard.markup import PLAIN, one_line
from benchmark.leaderboard.notes import board_title, reading_notes
from benchmark.leaderboard.page.details import details_data
from benchmark.leaderboard.page.embedding import packed, packed_json, plotly_script
from benchmark.leaderboard.page.table_data import table_data, unique_labels
from benchmark.leaderboard.reported import ReportedTable, reported_lines
from benchmark.leaderboard.summary import board_summary
from benchmark.leaderboard.text import relative_path
from benchmark.records.store import Stored, Unreadable

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    "format.js",
    "data.js",
    "state.js",
    "table.js",
    "csv.js",
    "details.js",
    "figures.js",
    "controls.js",
    "main.js",
)
MAX_TABLES = 8
"""Largest number of tables of other runs with figures on the page, the ones with the most results. Every board has its
figures."""


def page_text(
    analyses: Sequence[Analysis], reported: Sequence[ReportedTable], left_out: Sequence[Unreadable], folder: Path
) -> str:
    """The text of board.html.

    Args:
        analyses: tables with their statistics, boards first.
        reported: published tables.
        left_out: files that are no readable results.
        folder: folder of the page; links are relative to it.

    Raises:
        ImportError: if plotly is not installed; the message says how to install it.
    """
    failures = different_failures(analyses)
    return (
        _environment()
        .get_template("board.html")
        .render(
            light=LIGHT,
            dark=DARK,
            scripts=SCRIPTS,
            num_results=sum(len(analysis.table.results) for analysis in analyses),
            num_left_out=len(left_out),
            boards=[_summary(analysis) for analysis in analyses if analysis.table.plan],
            reported=[_published(table) for table in reported],
            failures=[_failure(cell, folder) for cell in failures[:MAX_FAILURES]],
            more_failures=max(len(failures) - MAX_FAILURES, 0),
            left_out=[one_line(found.reason) for found in left_out[:MAX_FAILURES]],
            reading=reading_notes(),
            table_data=packed_json(table_data(analyses, folder)),
            details_data=packed_json(details_data(analyses, folder)),
            figures_data=packed_json(_figures(analyses, reported)),
            plotly_script=_packed_plotly(),
        )
    )


@cache
def _packed_plotly() -> str:
    return packed(plotly_script())


@cache
def _environment() -> Environment:
    """Environment of the templates, which escapes every inserted text."""
    return Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _summary(analysis: Analysis) -> dict[str, Any]:
    return {"title": board_title(analysis, PLAIN), "sentences": board_summary(analysis, PLAIN)}


def _published(table: ReportedTable) -> dict[str, Any]:
    head, *rows = reported_lines(table, PLAIN)
    names = {"title": table.title, "source": table.source, "note": table.note}
    return {**{key: one_line(text) for key, text in names.items()}, "link": table.link, "head": head, "rows": rows}


def _failure(cell: Stored, folder: Path) -> dict[str, str]:
    return {
        "status": cell.result.status,
        "path": relative_path(folder, cell.path),
        "name": one_line(failure_name(cell)),
        "error": one_line(cell.result.error or ""),
    }


def _figures(analyses: Sequence[Analysis], reported: Sequence[ReportedTable]) -> dict[str, list[dict[str, Any]]]:
    """The figures of boards, and of the largest tables of other runs, by the label of the table."""
    labels = dict(zip(map(id, analyses), unique_labels(analyses), strict=True))
    others = [analysis for analysis in analyses if analysis.table.plan is None]
    largest = sorted(others, key=lambda analysis: -len(analysis.table.results))[:MAX_TABLES]
    chosen = [analysis for analysis in analyses if analysis.table.plan] + largest
    return {labels[id(analysis)]: [_figure(figure) for figure in figures_of(analysis, reported)] for analysis in chosen}


def _figure(figure: Figure) -> dict[str, Any]:
    panels = [{"title": panel.title, "plotly": plotly_figure(panel)} for panel in figure.panels]
    names = {"key": figure.key, "title": figure.title, "caption": figure.caption}
    return {**names, "columns": min(figure.columns, len(figure.panels)), "panels": panels}
