"""The picture of README.md: the first board by method and regularizer, as one SVG file."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.figures.coverage import coverage
from benchmark.leaderboard.figures.description import Figure
from benchmark.leaderboard.figures.files import drawing, metadata
from benchmark.leaderboard.figures.gains import method_map
from benchmark.leaderboard.figures.plotly_panels import plotly_figure
from benchmark.leaderboard.markup import PLAIN
from benchmark.leaderboard.notes import board_title
from benchmark.leaderboard.plan import RowKey
from benchmark.records.atomic import write_text
from benchmark.records.result import NO_REGULARIZER, REFERENCE_METHOD


def picture_of(analyses: Sequence[Analysis]) -> Figure | None:
    """Gain over single-task networks by method and regularizer; the coverage of the board while it has no gain.

    None if there is no board.
    """
    boards = [analysis for analysis in analyses if analysis.table.plan]
    board = next((analysis for analysis in boards if analysis.table.results), next(iter(boards), None))
    if board is None:
        return None
    single_task = board.reference == RowKey(REFERENCE_METHOD, NO_REGULARIZER)
    figure = (method_map(board) if single_task else None) or coverage(board)
    if figure is None:
        return None
    panel = replace(figure.panels[0], title=f"{figure.title}: {board.name}")
    return replace(figure, panels=(panel,), title=board_title(board, PLAIN), columns=1)


def write_picture(path: Path, analyses: Sequence[Analysis]) -> None:
    """Write the SVG; its metadata hold the digest of its content.

    Raises:
        ValueError: if there is no board.
        OSError: if the file cannot be written.
    """
    figure = picture_of(analyses)
    if figure is None:
        raise ValueError(f"{path}: no board to draw; boards are files in the folder boards of the results")
    text = io.StringIO()
    # Letters are drawn as shapes, since a reader of README.md may lack the font.
    with drawing(figure, 6.4, "path") as canvas:
        canvas.savefig(text, format="svg", metadata={**metadata("svg"), "Description": _digest(figure)})
    write_text(path, "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n")


def picture_is_current(path: Path, analyses: Sequence[Analysis]) -> bool:
    """True if a file shows the present results; drawings of all versions of matplotlib count."""
    figure = picture_of(analyses)
    try:
        return figure is not None and _digest(figure) in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _digest(figure: Figure) -> str:
    """Digest of the content of the figure, with numbers rounded to six digits."""
    shown = [figure.title, *(panel.title for panel in figure.panels), *map(plotly_figure, figure.panels)]
    return f"figure {sha256(json.dumps(shown).encode()).hexdigest()}"
