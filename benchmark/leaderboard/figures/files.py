"""Figures as files: SVG, PDF and PNG, each with its caption as a text file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.figures.all_figures import figures_of
from benchmark.leaderboard.figures.description import Figure
from benchmark.leaderboard.figures.matplotlib_panels import draw
from benchmark.leaderboard.reported import ReportedTable
from benchmark.records.atomic import replacing, write_text
from benchmark.records.overrides import Overrides
from benchmark.records.result import safe_name

FORMATS = ("svg", "pdf", "png")
SETTINGS: Any = {"svg.hashsalt": "figure", "pdf.fonttype": 42, "savefig.dpi": 200}
"""Text stays text, and the same figure gives the same file."""


def write_figures(analyses: Sequence[Analysis], reported: Sequence[ReportedTable], folder: Path) -> list[Path]:
    """Write all figures of the boards; of all tables if there is no board.

    Args:
        analyses: tables with their statistics.
        reported: published tables.
        folder: folder of the files; it is made.

    Returns:
        The written files, named BOARD-FIGURE.svg, .pdf, .png and .txt (the caption).

    Raises:
        OSError: if a file cannot be written.
    """
    boards = [analysis for analysis in analyses if analysis.table.plan] or list(analyses)
    return [
        path
        for analysis in boards
        for figure in figures_of(analysis, reported)
        for path in write_figure(figure, folder, f"{_stem(analysis)}-{figure.key}")
    ]


def write_figure(figure: Figure, folder: Path, stem: str, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write one figure in each format, and its caption."""
    paths = [folder / f"{stem}.{suffix}" for suffix in formats]
    with drawing(figure) as canvas:
        for path, suffix in zip(paths, formats, strict=True):
            with replacing(path) as temporary:
                canvas.savefig(temporary, format=suffix, metadata=metadata(suffix))
    write_text(folder / f"{stem}.txt", f"{figure.title}. {figure.caption}\n")
    return [*paths, folder / f"{stem}.txt"]


@contextmanager
def drawing(figure: Figure, width: float = 3.6, letters: str = "none") -> Iterator[Canvas]:
    """Yield a drawn figure, under the settings for saving it.

    Args:
        figure: the description.
        width: of a panel, in inches.
        letters: how an SVG holds text: "none" as text, "path" as shapes.
    """
    with mpl.rc_context({**SETTINGS, "svg.fonttype": letters}), warnings.catch_warnings():
        # A character that the font does not have is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield draw(figure, width)


def metadata(suffix: str) -> dict[str, Any]:
    """Metadata without the date, so that the same figure gives the same file."""
    return {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix, {})


def _stem(analysis: Analysis) -> str:
    settings = analysis.table.plan.settings if analysis.table.plan else Overrides()
    return safe_name(f"{analysis.name}-{settings}" if settings else analysis.name)[:120]
